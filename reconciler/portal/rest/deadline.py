"""The way over the network, with one deadline for a whole exchange: connect, TLS, request, headers, body.

httpx's own time-outs start anew with each byte, so a server that sends one every few seconds would hold a request for
ever (encode/httpx#1450), in its headers just as in its body. httpx's transport takes no network backend; httpcore's
pool does, so the transport is made of it here. Two waits are not ours to cut: a name server has the system's own
time-outs, and within an `https://` proxy the records of the inner TLS are collected by httpcore.
"""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

#: The extension of a request that says within how many seconds its exchange must be over.
WITHIN = "reconciler.within"
#: Seconds for which an idle connection is kept; httpx's own figure.
_IDLE_SECONDS = 5.0
#: Bytes written between two looks at the deadline: a TLS record.
_PIECE = 16_384
#: What is left once nothing is, for calls that must begin so that they close what they hold; 0 would mean: do not wait.
_AT_ONCE = 0.001
#: httpx has an error of the same name for each.
_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


class Transport(httpx.BaseTransport):
    """Send requests over real connections, each exchange within `seconds` of real time."""

    def __init__(
        self,
        seconds: float,
        *,
        tls: ssl.SSLContext,
        proxy: str | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._seconds = seconds
        self._until = _Until(now)
        network = _Network(self._until)
        if proxy is None:
            self._pool = httpcore.ConnectionPool(
                ssl_context=tls, max_connections=None, keepalive_expiry=_IDLE_SECONDS, network_backend=network
            )
        else:
            by = httpx.Proxy(proxy)
            self._pool = httpcore.HTTPProxy(
                _address(by.url),
                by.raw_auth,
                ssl_context=tls,
                proxy_ssl_context=tls if by.url.scheme == "https" else None,
                max_connections=None,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=network,
            )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._until.begin(min(self._seconds, request.extensions.get(WITHIN, self._seconds)))
        with _errors_of_httpx():
            response = self._ask(
                httpcore.Request(
                    request.method,
                    _address(request.url),
                    headers=request.headers.raw,
                    content=request.read(),
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def _ask(self, request: httpcore.Request) -> httpcore.Response:
        """Return the answer to a request, never one that was there before the request left.

        The pool closes an idle connection on which something waits to be read. Bytes that came together with the end
        of the answer before are with the parser already; they would be taken for the answer to the next request.
        """
        response = self._pool.handle_request(request)
        stream = response.extensions["network_stream"]
        if isinstance(stream, _Stream) and not stream.heard:
            response.close()
            stream.close()
            raise httpcore.RemoteProtocolError("an answer that nobody asked for")
        return response

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """The answer's body, as it comes in."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _Until(threading.local):
    """When the exchange of each thread must be over (monotonic seconds): a request is carried out in one thread."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at = math.inf

    def begin(self, seconds: float) -> None:
        """Let an exchange of this thread begin, which may take so long."""
        self._at = self._now() + seconds

    def left(self, timeout: float | None) -> float:
        """Return the seconds that a call may take, at most `timeout`; 0 or less: none."""
        left = self._at - self._now()
        return left if timeout is None else min(timeout, left)


class _Network(httpcore.SyncBackend):
    """Sockets that know the deadline of the thread that uses them."""

    def __init__(self, until: _Until) -> None:
        self._until = until

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *rest: Any, **others: Any
    ) -> httpcore.NetworkStream:
        timeout = max(self._until.left(timeout), _AT_ONCE)
        return _Stream(super().connect_tcp(host, port, timeout, *rest, **others), self._until)


class _Stream(httpcore.NetworkStream):
    """A connection, on which no call goes beyond the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, until: _Until) -> None:
        self._inner = inner
        self._until = until
        #: Whether anything was read since the latest request left.
        self.heard = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._until.left(timeout)
        if left <= 0:
            raise httpcore.ReadTimeout
        self.heard = True
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard = False
        for start in range(0, len(buffer), _PIECE):
            left = self._until.left(timeout)
            if left <= 0:
                raise httpcore.WriteTimeout
            self._inner.write(buffer[start : start + _PIECE], left)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = max(self._until.left(timeout), _AT_ONCE)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._until)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _address(url: httpx.URL) -> httpcore.URL:
    # The system's resolver wants the zone of a link-local address as it is, and not as a URL writes it.
    host = url.raw_host.replace(b"%25", b"%")
    return httpcore.URL(scheme=url.raw_scheme, host=host, port=url.port, target=url.raw_path)


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except _ERRORS as cause:
        raise getattr(httpx, type(cause).__name__)(str(cause)) from cause
