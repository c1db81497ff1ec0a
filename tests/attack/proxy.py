"""A proxy on the loopback interface between worker and portal, which holds back and loses what passes through."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECES = 8


@dataclass(kw_only=True)
class Passage:
    """What happens to one request and its answer."""

    #: Seconds on the way to the portal, and back; what is done meanwhile happens at the end of each.
    up: float = 0.0
    down: float = 0.0
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None
    #: The answer comes in pieces over so many seconds, or not at all.
    trickle: float = 0.0
    lost: bool = False


@contextmanager
def proxy(port: int, decide: Callable[[bytes], Passage]) -> Iterator[int]:
    """Pass requests to a port of this machine until the block is left; yield the proxy's own port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            passage = decide(body)
            time.sleep(passage.up)
            passage.before()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            # The portal carries a request out also for a worker that is gone.
            connection.request("POST", self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            passage.after()
            time.sleep(passage.down)
            if passage.lost:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._answer(answer.status, answer.getheader("Content-Type", ""), content, passage.trickle)

        def _answer(self, status: int, kind: str, content: bytes, seconds: float) -> None:
            size = max(1, -(-len(content) // _PIECES)) if seconds else max(1, len(content))
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for start in range(0, len(content), size):
                    time.sleep(seconds / _PIECES)
                    self.wfile.write(content[start : start + size])
            except OSError:  # the worker has given up, or was killed
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Say nothing: a worker that is gone is what this is for."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
