"""The web server of the service's pages: cheroot, so that no client can keep the others from an answer.

A connection gets a thread only when the whole header of a request has arrived: one that is idle, or sends a byte now
and then, holds a socket and nothing else, and not for long. Reading what follows the header, and writing the answer,
have a deadline in all. Of connections that wait there may be so many; then the one that has waited longest is closed.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
from cheroot import wsgi
from cheroot.server import HTTPConnection

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import flask

log = structlog.get_logger("reconciler.web")

#: Requests at a time: a person, some monitoring systems, and clients that read slowly.
_THREADS = 8
#: Seconds until the header of a request must be there, and until its body was read or its answer was taken.
PATIENCE = 10.0
#: Seconds that the end waits for a request under way.
_FAREWELL = 1
#: Connections that wait for a request.
MOST_WAITING = 64
#: How often cheroot looks whether it was asked to end.
_BEAT_SECONDS = 0.1
_MOST_HEADERS = 16_384
_END_OF_HEADERS = b"\r\n\r\n"


class _Timed:
    """A socket that takes so many seconds for all reading of a request, and so many for all writing."""

    def __init__(self, line: socket.socket, seconds: float) -> None:
        self._line = line
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def begin(self) -> None:
        """Begin with a request."""
        self._until.clear()

    def recv_into(self, *where: Any) -> int:
        self._wait_for("reading")
        return self._line.recv_into(*where)

    def send(self, *data: Any) -> int:
        self._wait_for("writing")
        return self._line.send(*data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def _wait_for(self, what: str) -> None:
        now = time.monotonic()
        left = self._until.setdefault(what, now + self._seconds) - now
        if left <= 0:
            raise TimeoutError("timed out")  # the words by which cheroot knows it
        self._line.settimeout(left)


class _Connection(HTTPConnection):
    """A connection that tells whether a request has arrived."""

    def __init__(self, server: _Server, line: socket.socket, *how: Any) -> None:
        self._timed = _Timed(line, server.timeout)
        super().__init__(server, self._timed, *how)

    def has_request(self) -> bool:
        """Tell whether a thread has something to do: a whole header, one that is too long, or the end."""
        if self.rfile.has_data():
            return True
        try:
            self.socket.settimeout(0)
            arrived = self.socket.recv(_MOST_HEADERS + 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if not arrived or _END_OF_HEADERS in arrived or len(arrived) > _MOST_HEADERS:
            return True
        # Not to be asked again before more has come.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(arrived) + 1)
        return False

    def communicate(self) -> bool:
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._timed.begin()
        kept: bool = super().communicate()  # type: ignore[no-untyped-call]
        return kept

    def hang_up(self) -> None:
        """End the connection; the server finds it at its end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.server.forget(self)
        super().close()


class _Server(wsgi.Server):
    """Hands a connection to a thread when there is a request, and logs what cheroot would write to standard error."""

    ConnectionClass = _Connection

    def __init__(self, *how: Any, most_waiting: int, **settings: Any) -> None:
        self._most_waiting = most_waiting
        self._waiting: set[_Connection] = set()
        self._lock = threading.Lock()
        super().__init__(*how, **settings)

    def process_conn(self, conn: _Connection) -> None:
        """Take a connection that is new, or on which something has arrived."""
        self.forget(conn)
        if conn.has_request():
            super().process_conn(conn)
            return
        since = conn.last_used
        self.put_conn(conn)
        if since is not None:  # some of a header has come; it has no more time for that
            conn.last_used = since

    def put_conn(self, conn: _Connection) -> None:
        """Let a connection wait for a request."""
        with self._lock:
            if len(self._waiting) >= self._most_waiting:
                oldest = min(self._waiting, key=lambda each: each.last_used or 0.0)
                self._waiting.remove(oldest)
                oldest.hang_up()
            self._waiting.add(conn)
        super().put_conn(conn)

    def forget(self, conn: _Connection) -> None:
        """Do not count a connection among those that wait."""
        with self._lock:
            self._waiting.discard(conn)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:  # noqa: ARG002 - its hook
        log.debug("web.complaint", text=msg, exc_info=traceback)


@contextmanager
def serving(
    application: flask.Flask, *, address: str, port: int, patience: float = PATIENCE, most_waiting: int = MOST_WAITING
) -> Iterator[int]:
    """Serve the application until the block is left; yield the port. Raises UsageError where one cannot listen."""
    _probe(address, port)
    server = _Server(
        (address, port),
        application,
        most_waiting=most_waiting,
        numthreads=_THREADS,
        max=_THREADS,
        server_name="reconciler",
        timeout=patience,
        request_queue_size=128,
        shutdown_timeout=_FAREWELL,
    )
    server.expiration_interval = _BEAT_SECONDS
    server.keep_alive_conn_limit = most_waiting
    server.max_request_header_size = _MOST_HEADERS
    server.max_request_body_size = _MOST_HEADERS
    server.prepare()
    thread = threading.Thread(target=server.serve, name="web", daemon=True)
    thread.start()
    try:
        yield int(server.bind_addr[1])
    finally:
        server.stop()
        thread.join(PATIENCE)


def _probe(address: str, port: int) -> None:
    """Find out whether one can listen there; cheroot would leave a socket behind when one cannot."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as failure:
        reason = (failure.strerror or str(failure)).partition(" (while")[0]
        change = "web.port to another one (0 takes a free one)"
        if failure.errno == errno.EADDRNOTAVAIL:
            change = "web.address to an address of this machine (0.0.0.0 is all of them)"
        raise UsageError(
            f"The pages of the service cannot listen on {address}, port {port} ({reason}): set {change}, "
            "or web.enabled to false."
        ) from failure
