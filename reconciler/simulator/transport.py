"""The embedded portal behind an httpx client, in the same process and on the same clock.

`httpx.WSGITransport` neither honours time-outs nor cuts an answer; this one does both, in virtual time too.

With a read time-out the portal works in a thread of its own while the caller waits: on a virtual clock both are
sleepers on one timeline, of which one runs at a time, so the trace stays the same each time, and the caller wakes at
exactly start + time-out while the portal goes on and commits, as a real one would. (A request in the calling thread
could be interrupted only at the portal's own sleeps, and would then never finish.) Without a read time-out nothing
has to be interrupted, and the portal is called directly.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx

from reconciler.clock import VirtualClock
from reconciler.errors import Stopped
from reconciler.simulator.http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.clock import Clock

_CHUNK = 65_536


class Handler(Protocol):
    """What answers requests: the portal."""

    @property
    def clock(self) -> Clock:
        """The clock on which it works, and its caller waits."""
        ...

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        ...


class InProcessTransport(httpx.BaseTransport):
    """Hand requests to the portal, and its answers back, whole or cut.

    Time passes on the portal's clock: a worker that is asked to end stops its own, which does not unsend a request.
    The request's `read` time-out runs from the moment it is sent until the answer is there, the portal's network delay
    included. `connect`, `write` and `pool` cannot run out: there is no connection to make and nothing is ever full.
    """

    def __init__(self, portal: Handler, *, source: str = "127.0.0.1") -> None:
        self._portal = portal
        self._clock = portal.clock
        self._source = source

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        read = request.extensions.get("timeout", {}).get("read")
        path, _, query = request.url.raw_path.partition(b"?")
        exchange = _Exchange(
            Request(
                method=request.method,
                path=path.decode("ascii"),
                query=query.decode("ascii"),
                headers=dict(request.headers.items()),
                body=request.read(),
                source=self._source,
            )
        )
        if not self._ends_within(read, exchange):
            raise httpx.ReadTimeout("timed out", request=request)
        if exchange.response is None:
            raise exchange.failure or AssertionError
        return _answer(exchange.response)

    def _ends_within(self, seconds: float | None, exchange: _Exchange) -> bool:
        if seconds is None:
            self._carry_out(exchange)
            return True
        if isinstance(self._clock, VirtualClock):
            return self._ends_within_virtual(self._clock, seconds, exchange)
        return self._ends_within_real(seconds, exchange)

    def _carry_out(self, exchange: _Exchange) -> None:
        """Let the portal do its part."""
        try:
            exchange.response = self._portal.handle(exchange.request)
        except BaseException as failure:  # noqa: BLE001 - raised again in the thread that asked, if it still waits
            exchange.failure = failure

    def _ends_within_virtual(self, clock: VirtualClock, seconds: float, exchange: _Exchange) -> bool:
        # A clock of its own on the same timeline: to stop it wakes this caller and nobody else.
        alarm = VirtualClock(clock.timeline)

        def work() -> None:
            self._carry_out(exchange)
            alarm.stop()

        clock.timeline.run_aside(clock.monotonic(), work)
        try:
            alarm.sleep(seconds)
        except Stopped:
            return True
        return False

    def _ends_within_real(self, seconds: float, exchange: _Exchange) -> bool:
        done = threading.Event()

        def work() -> None:
            self._carry_out(exchange)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        return done.wait(seconds)


@dataclass(slots=True)
class _Exchange:
    """A request on its way, and what became of it: one of the two, once it has ended."""

    request: Request
    response: Response | None = None
    failure: BaseException | None = None


def _answer(response: Response) -> httpx.Response:
    cut_after = response.cut_after
    if cut_after == 0:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    headers = {"Content-Length": str(len(response.body))} | dict(response.headers)
    if cut_after is not None and cut_after >= len(response.body):
        cut_after = None
    return httpx.Response(response.status, headers=headers, stream=_Body(response.body, cut_after))


class _Body(httpx.SyncByteStream):
    """A body in chunks, as from a socket, so that a client can stop reading one that is too long."""

    def __init__(self, body: bytes, cut_after: int | None) -> None:
        self._body = body
        self._cut_after = cut_after

    def __iter__(self) -> Iterator[bytes]:
        sent = self._body[: self._cut_after]
        for start in range(0, len(sent), _CHUNK):
            yield sent[start : start + _CHUNK]
        if self._cut_after is not None:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
                f" (received {len(sent)} bytes, expected {len(self._body)})"
            )
