"""The schedule: failing runs change nothing about it, two never overlap, none is lost, and it ends when asked."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from support.portal_fixture import BOB
from support.world import CLEO

from reconciler.clock import SystemClock
from reconciler.core.model import Status
from reconciler.core.redaction import Redactor
from reconciler.journal.store import open_journal
from reconciler.portal.rest.question import Beside
from reconciler.service.scheduler import Schedule, Service
from reconciler.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.world import World

#: Longer than anything here takes, on the busiest machine.
PATIENCE = 30


@pytest.fixture
def log() -> io.StringIO:
    """Return what the program logs, as a console shows it."""
    stream = io.StringIO()
    logs.configure("debug", "json", Redactor(["simulatedtoken0"]), stream)
    return stream


def service_of(world: World, **changes: Any) -> Service:
    """Make a service of ten minutes' interval."""
    return Service(replace(world.worker, **changes), lambda _: None, interval=600)


def test_a_day_of_polls(make_world: Callable[..., World]) -> None:
    """48 ticks while people work: no drift is older than half an hour."""
    world = make_world()
    world.drift(10)
    service = service_of(world)
    for poll in range(48):
        if poll % 6 == 5:
            world.portal.people.edit_company(101 + poll % 2, 1, assigned_by_id=(BOB, CLEO)[poll % 5 % 2])
        service.tick()
        assert world.portal.drift() == 0
        world.clock.sleep(1800)
    runs = world.journal.runs(1000)
    assert len(runs) == 48
    assert {run.report.status for run in runs} == {Status.APPLIED, Status.IN_SYNC}
    assert {run.command for run in runs} == {"service"}
    assert world.portal.stats()["noop_updates"] == 0


def test_ticks_survive_a_portal_that_is_down(make_world: Callable[..., World], log: io.StringIO) -> None:
    """A failing run is journalled and logged; the next one works."""
    world = make_world(attempts=1)
    world.drift(3)
    service = service_of(world)
    world.faults({"kind": "html_502"})
    service.tick()
    world.faults()
    service.tick()
    assert [run.report.status for run in world.journal.runs()] == [Status.APPLIED, Status.FAILED]
    assert "run.finished" in log.getvalue()


def test_ticks_survive_a_lease_that_is_held(make_world: Callable[..., World], log: io.StringIO) -> None:
    """Another run works on the journal for longer than a minute: this one is left out, with a word."""
    world = make_world()
    with world.journal.lease(0):
        service_of(world).tick()
    assert world.journal.runs() == []
    assert world.clock.monotonic() == 60
    assert "service.skipped" in log.getvalue()


def test_ticks_survive_a_journal_that_cannot_be_used(make_world: Callable[..., World], log: io.StringIO) -> None:
    """A directory without right to write, say: told in one sentence."""
    world = make_world()
    journal = open_journal(f"sqlite:///{world.journal.path}", world.clock)
    journal.close()
    journal.path = world.journal.path / "nowhere"
    service_of(world, journal=journal).tick()
    assert "service.run_failed" in log.getvalue()
    assert "Traceback" not in log.getvalue()


def test_ticks_survive_the_unforeseen(make_world: Callable[..., World], log: io.StringIO) -> None:
    """A bug of ours is logged with its traceback, and the token nowhere in it."""
    world = make_world()

    class Broken:
        usage = None
        beside = Beside()

        def read(self, _: object) -> NoReturn:
            raise ZeroDivisionError("at https://portal.bitrix24.de/rest/1/simulatedtoken0/batch")

    service = service_of(world, client=Broken())
    service.tick()
    assert "service.run_crashed" in log.getvalue()
    assert "ZeroDivisionError" in log.getvalue()
    assert "simulatedtoken0" not in log.getvalue()
    service_of(world).tick()
    assert [run.report.status for run in world.journal.runs()] == [Status.IN_SYNC, Status.FAILED]


def test_a_stopped_clock_lets_no_tick_begin(make_world: Callable[..., World], log: io.StringIO) -> None:
    """A tick that waited for its turn does not begin a run that would end at once."""
    world = make_world()
    service = service_of(world)
    world.clock.stop()
    service.tick()
    assert world.journal.runs() == []
    assert "service.stopped_early" in log.getvalue()


def test_overdue(make_world: Callable[..., World]) -> None:
    """After one and a half intervals without a start, but not while a run takes its time."""
    world = make_world()
    world.drift(3)
    service = service_of(world)
    world.clock.sleep(900)
    assert not service.overdue()
    world.clock.sleep(1)
    assert service.overdue()
    during: list[bool] = []

    def watch(_: object) -> None:
        world.witness.clock.sleep(70)
        during.append(service.overdue())

    world.witness.before = watch
    service.tick()
    assert set(during) == {False}
    assert not service.overdue()


EPOCH, LATER = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC), datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "following"),
    [
        pytest.param(EPOCH, EPOCH + timedelta(minutes=10), id="on time"),
        pytest.param(EPOCH + timedelta(minutes=9), EPOCH + timedelta(minutes=10), id="late"),
        pytest.param(EPOCH + timedelta(minutes=10), EPOCH + timedelta(minutes=20), id="an interval late"),
        pytest.param(LATER, LATER + timedelta(minutes=10), id="a clock that jumped"),
    ],
)
def test_a_jump_of_the_clock_starts_the_schedule_again(now: datetime, following: datetime) -> None:
    """One run for all that was missed, and the next one an interval from now, without counting them one by one."""
    schedule = Schedule(seconds=600, timezone=UTC)
    missed, fires = 0, EPOCH
    while fires <= now and missed < 3:
        missed, fires = missed + 1, schedule.get_next_fire_time(fires, now)
    assert (missed, fires) == (1, following)


class Ticks:
    """Stands for the worker's runs, under the real scheduler: counts them, and holds each until it may end."""

    def __init__(self, service: Service) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self._tick = service.tick
        service.tick = self.tick  # type: ignore[method-assign] # a run is not what is tested here

    def tick(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        self.may_end.acquire(timeout=PATIENCE)
        self._tick()
        self.at_once -= 1
        self.ended.release()


@pytest.fixture
def scheduled(make_world: Callable[..., World]) -> Iterator[tuple[Service, Ticks, threading.Thread, SystemClock]]:
    """Run a service with the real scheduler and the real time, an interval of a twentieth of a second."""
    world, clock = make_world(), SystemClock()
    service = Service(replace(world.worker, clock=clock), lambda _: None, interval=0.05)
    ticks = Ticks(service)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service, ticks, thread, clock
    clock.stop()
    ticks.may_end.release(1000)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_never_two_at_once_and_none_lost(
    scheduled: tuple[Service, Ticks, threading.Thread, SystemClock], log: io.StringIO
) -> None:
    """A run that outlasts many intervals is followed by the one that fell due meanwhile, at once, and then the next."""
    _, ticks, _, _ = scheduled
    for _ in range(4):
        assert ticks.begun.acquire(timeout=PATIENCE)
        assert not ticks.begun.acquire(timeout=0.1)
        ticks.may_end.release()
    assert ticks.most_at_once == 1
    assert "crashed" not in log.getvalue()


def test_the_end_waits_for_the_run_in_progress(
    scheduled: tuple[Service, Ticks, threading.Thread, SystemClock], log: io.StringIO
) -> None:
    """After a stop the present run ends, the service after it; a run that waited does not begin."""
    _, ticks, thread, clock = scheduled
    assert ticks.begun.acquire(timeout=PATIENCE)
    clock.stop()
    thread.join(0.1)
    assert thread.is_alive()
    ticks.may_end.release(1000)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "service.stopped" in log.getvalue()


def test_a_clock_set_back_does_not_put_the_next_run_off(
    make_world: Callable[..., World], log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler believes that the next run is an hour away; the monotonic clock knows better."""
    world, clock = make_world(), SystemClock()
    service = Service(replace(world.worker, clock=clock), lambda _: None, interval=3600)
    ticks = Ticks(service)
    ticks.may_end.release(1000)
    monkeypatch.setattr("reconciler.service.scheduler.LOOK_EVERY", 0.02)
    thread = threading.Thread(target=service.run)
    thread.start()
    assert ticks.begun.acquire(timeout=PATIENCE)
    assert ticks.ended.acquire(timeout=PATIENCE)
    service.watch.started_at -= 2 * 3600
    assert ticks.begun.acquire(timeout=PATIENCE)
    clock.stop()
    thread.join(PATIENCE)
    assert "service.overdue" in log.getvalue()
    assert ticks.most_at_once == 1
