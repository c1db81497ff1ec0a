"""The embedded portal over HTTP or HTTPS, for programs in other processes and other languages.

Flask takes a request apart, cheroot carries it: HTTP/1.1 with keep-alive, and as many requests at a time as there
are threads, so that more of them queue, as they do before a real portal.

Besides the portal under `/rest/` there is a back door for tests and benchmarks, which asks for no credentials:

- `GET /_sim/stats`: the portal's statistics, and `cpu_seconds`, the processor time of this process since the reset
  without that of these statistics;
- `GET /_sim/writes`: each update, when its record had been read before, and what others did to it in between;
- `POST /_sim/reset`: data as they were seeded, and no statistics, used limits, faults or clock offset;
  `{"data": "keep"}` leaves the data as they are;
- `POST /_sim/faults`: a JSON list, see `faults.py`, takes the place of the faults that were set;
- `POST /_sim/clock`: `{"advance": seconds}` lets time pass, `{"offset": seconds}` puts the portal's time of day ahead
  of the true one, or behind.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import flask
from cheroot import wsgi

from reconciler.clock import VirtualClock
from reconciler.errors import Stopped, UsageError
from reconciler.simulator.assembly import build
from reconciler.simulator.http import Request, Response
from reconciler.simulator.moving_clock import MovingClock
from reconciler.simulator.seed import reseed
from reconciler.simulator.tls import certificate
from reconciler.simulator.visitors import Visitors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.simulator.portal import Portal

__all__ = ["Address", "build", "serve"]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CHUNK = 65_536
#: An idle connection is kept so long, as stock nginx does.
_KEEP_ALIVE_SECONDS = 75
#: How often cheroot looks whether it was asked to end.
_BEAT_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a served portal is found."""

    host: str
    port: int
    base_url: str
    #: With the trailing slash, as the portal itself shows it.
    webhook_url: str
    stats_url: str
    #: The certificate authority to trust; None for plain HTTP. The file is gone when serving ends.
    tls_certificate: Path | None
    #: Who is connected.
    visitors: Visitors


@contextmanager
def serve(
    portal: Portal, *, host: str = "127.0.0.1", port: int = 0, tls: bool = False, threads: int = 8
) -> Iterator[Address]:
    """Serve the portal until the block is left; port 0 takes a free one.

    Leaving the block ends requests that still wait: their connections are cut.
    """
    with ExitStack() as stack:
        server = wsgi.Server(
            (host, port),
            _application(portal),
            numthreads=threads,
            max=threads,
            server_name="bitrix24-simulator",
            timeout=_KEEP_ALIVE_SECONDS,
            request_queue_size=128,
            shutdown_timeout=1,
        )
        server.expiration_interval = _BEAT_SECONDS
        server.keep_alive_conn_limit = 128
        visitors = server.ConnectionClass = Visitors()
        authority: Path | None = None
        if tls:
            authority, server.ssl_adapter = stack.enter_context(certificate(host))
        _probe(host, port)
        server.prepare()
        if isinstance(portal.clock, MovingClock):
            portal.clock.resume()
        thread = threading.Thread(target=server.serve, name="embedded-portal")
        thread.start()
        try:
            yield _address(portal, host, server.bind_addr[1], authority, visitors)
        finally:
            if isinstance(portal.clock, MovingClock):
                portal.clock.stop()
            server.stop()
            thread.join()


def _probe(host: str, port: int) -> None:
    """Find out whether one can listen there; cheroot would leave a socket behind when one cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as failure:
        reason = (failure.strerror or str(failure)).partition(" (while")[0]
        raise UsageError(
            f"The portal cannot listen on {host}, port {port} ({reason}): choose others with --host and --port, "
            "where --port 0 takes a free one."
        ) from failure


def _address(portal: Portal, host: str, port: int, authority: Path | None, visitors: Visitors) -> Address:
    name = "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104 - compared, not bound
    name = f"[{name}]" if ":" in name else name
    base_url = f"{'https' if authority else 'http'}://{name}:{port}"
    return Address(
        host=host,
        port=port,
        base_url=base_url,
        webhook_url=base_url + portal.webhook_path,
        stats_url=f"{base_url}/_sim/stats",
        tls_certificate=authority,
        visitors=visitors,
    )


class _CutError(ConnectionResetError):
    """Ends a connection without another byte; cheroot closes it quietly on this error number."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the portal was told to cut the connection")


def _application(portal: Portal) -> flask.Flask:
    app = flask.Flask(__name__, static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a `_CutError` must reach cheroot
    app.url_map.merge_slashes = False
    body_limit = portal.options.max_body

    @app.route("/rest/<path:_path>", methods=_METHODS, provide_automatic_options=False)
    def rest(_path: str) -> flask.Response:
        environ = flask.request.environ
        path, _, query = environ["REQUEST_URI"].partition("?")
        headers = {name.lower(): value for name, value in flask.request.headers.items()}
        headers["x-forwarded-proto"] = environ["wsgi.url_scheme"]  # as the web server before the portal says it
        request = Request(
            method=flask.request.method,
            path=path,
            query=query,
            headers=headers,
            body=_body(body_limit),
            source=flask.request.remote_addr or "",
        )
        try:
            return _answer(portal.handle(request))
        except Stopped:
            raise _CutError from None

    app.register_blueprint(_back_door(portal))
    return app


def _body(limit: int) -> bytes:
    """Read the body, or one byte more than the limit: enough for the portal to refuse it.

    The rest is read and dropped in pieces, so that the client gets to read the answer (F17).
    """
    stream = flask.request.stream
    body = stream.read(limit + 1)
    while len(body) > limit and stream.read(_CHUNK):
        pass
    return body


def _answer(response: Response) -> flask.Response:
    cut_after = response.cut_after
    if cut_after == 0:
        raise _CutError
    body = response.body

    def part() -> Iterator[bytes]:
        yield body[:cut_after]
        raise _CutError

    whole = cut_after is None or cut_after >= len(body)
    answer = flask.Response(body if whole else part(), response.status)
    del answer.headers["Content-Type"]
    answer.headers.extend(dict(response.headers))
    answer.headers["Content-Length"] = str(len(body))
    return answer


def _back_door(portal: Portal) -> flask.Blueprint:
    door = flask.Blueprint("_sim", __name__, url_prefix="/_sim")
    cpu_at_reset = time.process_time()

    @door.get("/stats")
    def stats() -> dict[str, Any]:
        nonlocal cpu_at_reset
        spent, began = time.process_time() - cpu_at_reset, time.thread_time()
        document = {**portal.stats(), "cpu_seconds": round(spent, 3)}
        # Counting the drift of a million contacts is work for whoever asks here, and not for the portal's clients.
        cpu_at_reset += time.thread_time() - began
        return document

    @door.get("/writes")
    def writes() -> list[dict[str, Any]]:
        return [asdict(write) | {"age": write.age} for write in portal.writes]

    @door.post("/reset")
    def reset() -> dict[str, Any]:
        nonlocal cpu_at_reset
        wish = flask.request.get_json(silent=True) or {}
        if wish.get("data") != "keep":
            reseed(portal.database)
        portal.reset()
        portal.clock_offset = 0.0
        cpu_at_reset = time.process_time()
        return stats()

    @door.post("/faults")
    def faults() -> dict[str, Any] | tuple[dict[str, Any], int]:
        wish = flask.request.get_json(silent=True)
        try:
            portal.faults.load(wish)
        except ValueError as failure:
            return {"error": str(failure)}, 400
        return {"loaded": len(wish or [])}

    @door.post("/clock")
    def clock() -> dict[str, Any] | tuple[dict[str, Any], int]:
        wish = flask.request.get_json(silent=True) or {}
        try:
            _move(portal, **wish)
        except (TypeError, ValueError) as failure:
            return {"error": f"the clock cannot be moved so: {failure}"}, 400
        return {"now": datetime.fromtimestamp(portal.wall(), UTC).isoformat()}

    return door


def _move(portal: Portal, *, advance: float = 0.0, offset: float | None = None) -> None:
    if advance:
        if isinstance(portal.clock, MovingClock):
            portal.clock.advance(float(advance))
        elif isinstance(portal.clock, VirtualClock):
            portal.clock.sleep(float(advance))
        else:
            raise ValueError("this portal was built on a clock that nobody can move")
    if offset is not None:
        portal.clock_offset = float(offset)
