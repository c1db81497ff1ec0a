"""Reads in several lanes: in parallel as far as the settings say, each whole, behind one throttle and one budget."""

from __future__ import annotations

import httpx
import structlog
from structlog.testing import capture_logs
from support.portal_fixture import Office
from support.portal_line import HOST, Line, client_on

from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.rest.batch_codec import Command
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.meters import LeakyBucket
from reconciler.simulator.transport import InProcessTransport

PAGE = Command("crm.contact.list", {"order": {"ID": "ASC"}, "select": ["ID"], "start": 0})
#: A second for each command, and nothing besides.
SLOW = CostModel(Profile(read=1.0))


class ByHost(httpx.BaseTransport):
    """Several portals, each under its name."""

    def __init__(self, ends: dict[str, InProcessTransport]) -> None:
        self._ends = ends

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._ends[request.url.host].handle_request(request)


def office(**options: object) -> Office:
    """Return an office where a list command takes a second."""
    return Office(clock=VirtualClock(Timeline()), costs=SLOW, **options)  # type: ignore[arg-type]


def test_three_lanes_take_a_third_of_the_time() -> None:
    """A hundred and fifty commands: three requests side by side, or one after the other."""
    seconds = {}
    for lanes in (1, 3):
        line = Line(office(), lanes=lanes)
        line.client.read([PAGE] * 150)
        seconds[lanes] = line.clock.monotonic()
        assert line.stats["commands"] == {"crm.contact.list": 150}
    assert seconds == {1: 150.0, 3: 50.0}


def test_a_round_is_cut_into_equal_parts() -> None:
    """Eighty commands: two requests of forty, not fifty and thirty, and no third one."""
    line = Line(Office(clock=VirtualClock(Timeline())), lanes=3)
    line.client.read([PAGE] * 80)
    assert (line.stats["requests"], line.client.usage.requests, line.client.usage.commands) == (2, 2, 80)


def test_one_failing_lane_is_repeated_alone() -> None:
    """An HTML page in one lane costs one more request, and no answer of the others."""
    line = Line(Office(clock=VirtualClock(Timeline()), faults=[{"kind": "html_502", "request": 2}]), lanes=3)
    answers = line.client.read([PAGE] * 150)
    assert len(answers) == 150
    assert line.stats["requests"] == 4


def test_lanes_share_the_bucket() -> None:
    """F5.1: parallel requests are one program's; the portal refuses none of them."""
    timeline = Timeline()
    bucket = LeakyBucket(VirtualClock(timeline), 5, 1)
    line = Line(Office(clock=VirtualClock(timeline), bucket=bucket), lanes=3, burst=5, per_second=1)
    line.client.read([PAGE] * 50 * 20)
    assert line.stats["requests"] == 20
    assert line.stats["rejected"] == {}


def test_a_renamed_portal_is_followed_by_all_lanes() -> None:
    """F6: each lane meets the redirect; one follows it, the others find it followed."""
    timeline = Timeline()
    old = Office(clock=VirtualClock(timeline), moved_to="new.bitrix24.ru", costs=SLOW)
    new = Office(clock=VirtualClock(timeline), costs=SLOW)
    clock = VirtualClock(timeline)
    ends = {HOST: InProcessTransport(old.portal), "new.bitrix24.ru": InProcessTransport(new.portal)}
    client = client_on(ByHost(ends), clock, webhook=f"https://{HOST}{old.portal.webhook_path}", lanes=3)
    assert len(client.read([PAGE] * 150)) == 150
    assert client.host == "new.bitrix24.ru"
    assert (old.portal.stats()["requests"], new.portal.stats()["requests"]) == (3, 3)


def test_the_lanes_log_under_the_number_of_the_run() -> None:
    """Context variables go along: each retry of a lane says whose it is."""
    line = Line(Office(clock=VirtualClock(Timeline()), faults=[{"kind": "html_502", "request": 2}]), lanes=3)
    with (
        structlog.contextvars.bound_contextvars(run=7),
        capture_logs([structlog.contextvars.merge_contextvars]) as logs,
    ):
        line.client.read([PAGE] * 150)
    assert [(entry["event"], entry.get("run")) for entry in logs] == [("portal.retry", 7)]
