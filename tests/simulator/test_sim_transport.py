"""The embedded portal behind httpx: time-outs in virtual time, cut answers, and what travels."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from reconciler.clock import SystemClock, Timeline, VirtualClock
from reconciler.simulator.assembly import build
from reconciler.simulator.costs import Profile
from reconciler.simulator.http import Request, Response
from reconciler.simulator.portal import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://portal.example/rest/1/token/crm.contact.list.json?filter%5B%3EID%5D=7&a=b+c"


class Slow:
    """A portal that takes its time, commits, and answers."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0, answer: Response | None = None) -> None:
        self.clock = clock
        self.seconds = seconds
        self.answer = answer or Response(status=200, body=b'{"result":true}')
        self.requests: list[Request] = []
        #: The moments at which work was committed.
        self.committed: list[float] = []

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        self.clock.sleep(self.seconds)
        self.committed.append(self.clock.monotonic())
        return self.answer


def client_of(portal: Slow, timeout: float | None = 75) -> httpx.Client:
    """Return an httpx client that reaches this portal only."""
    return httpx.Client(transport=InProcessTransport(portal), timeout=timeout)


@pytest.fixture(params=[75.0, None], ids=["with-time-out", "without"])
def timeout(request: pytest.FixtureRequest) -> float | None:
    """Both ways through the transport: with a thread and without."""
    value: float | None = request.param
    return value


def test_the_portal_sees_what_was_sent(timeout: float | None) -> None:
    """Raw path, raw query, lower-case headers, raw body, and where it came from."""
    portal = Slow(VirtualClock())
    with client_of(portal, timeout=timeout) as client:
        client.post(URL, content=b'{"start":-1}', headers={"Content-Type": "application/json"})
    request = portal.requests[0]
    assert request.method == "POST"
    assert request.path == "/rest/1/token/crm.contact.list.json"
    assert request.query == "filter%5B%3EID%5D=7&a=b+c"
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"start":-1}'
    assert request.source == "127.0.0.1"


def test_the_client_sees_what_was_answered(timeout: float | None) -> None:
    """Status, headers and body, and a length."""
    answer = Response(status=503, body="ключ".encode(), headers={"Content-Type": "text/plain; charset=utf-8"})
    with client_of(Slow(VirtualClock(), answer=answer), timeout=timeout) as client:
        response = client.get(URL)
    assert (response.status_code, response.text) == (503, "ключ")
    assert response.headers["Content-Length"] == "8"


def test_an_answer_in_time_costs_what_the_portal_took(timeout: float | None) -> None:
    """Forty virtual seconds pass, and no more: the time-out that did not happen moves no clock."""
    portal = Slow(VirtualClock(), 40)
    with client_of(portal, timeout=timeout) as client:
        assert client.get(URL).json() == {"result": True}
        assert portal.clock.monotonic() == 40
        client.get(URL)
    assert portal.clock.monotonic() == 80


def test_the_caller_wakes_at_the_time_out_and_the_portal_goes_on() -> None:
    """F5.3: at second 75 the answer is lost; at second 100 the work is committed all the same."""
    portal = Slow(VirtualClock(), 100)
    with client_of(portal) as client, pytest.raises(httpx.ReadTimeout):
        client.get(URL)
    assert portal.clock.monotonic() == 75
    assert portal.committed == []
    portal.clock.sleep(24)
    assert portal.committed == []
    portal.clock.sleep(2)
    assert portal.committed == [100]


def test_requests_after_a_time_out_overlap_with_the_work_left_behind() -> None:
    """A retry reaches a portal that still works on the first request, as a real one may."""
    portal = Slow(VirtualClock(), 100)
    with client_of(portal) as client:
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                client.get(URL)
    portal.clock.sleep(60)
    assert portal.committed == [100, 175]


def test_updates_behind_a_time_out_are_applied_one_by_one() -> None:
    """F4 and F5.3: ten updates of ten seconds each; the caller gives up at 75, and the portal applies all ten."""
    spec = SeedSpec(companies=20, contacts=60, owners=5, without_company=0, drift=1)
    profile = Profile(write_median=10, network=1)
    clock = VirtualClock()
    portal = build(spec, clock=clock, profile=profile, options=PortalOptions(request_seconds=200))
    cmd = {
        f"c{row['id']}": f"crm.contact.update?id={row['id']}&fields[ASSIGNED_BY_ID]={row['owner']}"
        for row in portal.database.rows(
            "SELECT contact.id, company.assigned_by_id AS owner FROM contact JOIN company ON company.id = company_id"
            " WHERE contact.category_id = 0 LIMIT 10"
        )
    }
    with httpx.Client(transport=InProcessTransport(portal), timeout=75) as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"http://portal.example{portal.webhook_path}batch", json={"cmd": cmd})
    assert clock.monotonic() == 75
    assert portal.stats()["updates_applied"] == 8
    clock.sleep(30)
    assert portal.stats()["updates_applied"] == 10
    assert portal.drift() == 50


def test_lanes_with_time_outs_give_the_same_trace_each_time() -> None:
    """Four lanes, some of whose requests time out, twice."""

    def run() -> list[str]:
        clock, trace = VirtualClock(), list[str]()

        def call(index: int) -> Callable[[], None]:
            portal = Slow(clock, index * 7 % 11)

            def ask() -> None:
                with client_of(portal, timeout=5) as client:
                    try:
                        client.get(URL)
                        trace.append(f"{index} ok {clock.monotonic():g}")
                    except httpx.ReadTimeout:
                        trace.append(f"{index} late {clock.monotonic():g}")

            return ask

        clock.gather([call(index) for index in range(20)], 4)
        return trace

    first = run()
    assert first == run()
    assert len(first) == 20
    assert {line.split()[1] for line in first} == {"ok", "late"}


def test_a_stopped_worker_still_gets_the_answer_of_its_last_request() -> None:
    """A request that was sent is not unsent by a signal."""
    timeline = Timeline()
    worker, portal = VirtualClock(timeline), Slow(VirtualClock(timeline), 10)
    worker.call_later(5, worker.stop)
    with client_of(portal) as client:
        assert client.get(URL).status_code == 200
    assert portal.committed == [10]


def test_a_cut_before_the_first_byte_is_a_protocol_error(timeout: float | None) -> None:
    """`cut_after=0`: committed, and not a byte comes back."""
    portal = Slow(VirtualClock(), 1, Response(status=200, body=b"abc", cut_after=0))
    with client_of(portal, timeout=timeout) as client, pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
        client.get(URL)
    assert portal.committed == [1]


def test_a_truncated_body_fails_after_its_last_byte(timeout: float | None) -> None:
    """`cut_after=n`: headers promise the whole length, n bytes arrive, then the connection is gone."""
    portal = Slow(VirtualClock(), answer=Response(status=200, body=b"0123456789", cut_after=4))
    with client_of(portal, timeout=timeout) as client, client.stream("GET", URL) as response:
        assert response.headers["Content-Length"] == "10"
        chunks = response.iter_raw()
        assert next(chunks) == b"0123"
        with pytest.raises(httpx.RemoteProtocolError, match="received 4 bytes, expected 10"):
            next(chunks)


def test_a_cut_after_the_end_cuts_nothing() -> None:
    """The whole body arrived before."""
    portal = Slow(VirtualClock(), answer=Response(status=200, body=b"abc", cut_after=3))
    with client_of(portal) as client:
        assert client.get(URL).content == b"abc"


def test_a_long_body_comes_in_pieces() -> None:
    """A client that limits what it reads can stop in between."""
    portal = Slow(VirtualClock(), answer=Response(status=200, body=bytes(1_000_000)))
    with client_of(portal) as client, client.stream("GET", URL) as response:
        assert len(next(response.iter_raw())) < 100_000


def test_only_the_read_time_out_can_run_out() -> None:
    """There is no connection to make, nothing to fill, and no pool to wait for."""
    portal = Slow(VirtualClock(), 40)
    timeout = httpx.Timeout(read=75, connect=0, write=0, pool=0)
    with httpx.Client(transport=InProcessTransport(portal), timeout=timeout) as client:
        assert client.get(URL).status_code == 200


def test_a_fault_of_the_portal_itself_is_raised_where_it_was_called(timeout: float | None) -> None:
    """A mistake in the embedded portal must not look like a network error."""

    class Broken(Slow):
        def handle(self, request: Request) -> Response:
            raise KeyError(request.path)

    with client_of(Broken(VirtualClock()), timeout=timeout) as client, pytest.raises(KeyError):
        client.get(URL)


class Held:
    """A portal that answers when it is released, for real time."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.released = threading.Event()
        self.committed = threading.Event()

    def handle(self, request: Request) -> Response:
        self.released.wait(10)
        self.committed.set()
        return Response(status=200, body=request.path.encode())


def test_time_outs_hold_in_real_time_too() -> None:
    """The caller gives up after 20 ms; the portal commits when it is done."""
    portal = Held()
    with httpx.Client(transport=InProcessTransport(portal), timeout=0.02) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get(URL)
        assert not portal.committed.is_set()
        portal.released.set()
        assert portal.committed.wait(10)
        assert client.get("http://portal.example/rest", timeout=10).text == "/rest"
