"""Whether the service lives and does its work, in virtual time: nothing here waits."""

from __future__ import annotations

import io
import json
import os
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ADMIN

from reconciler.clock import VirtualClock
from reconciler.core.model import Status
from reconciler.core.redaction import Redactor
from reconciler.errors import JournalError, UnreachableError
from reconciler.service import heartbeat
from reconciler.service.health import LivenessListener, Watch
from reconciler.service.http import Tally, View
from reconciler.service.notifier import Notifier
from reconciler.service.scheduler import Service
from reconciler.settings.policy import Notify
from reconciler.telemetry import logs
from reconciler.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.world import World

SLOT = 600.0


@pytest.fixture
def log() -> io.StringIO:
    """Return what the program logs."""
    stream = io.StringIO()
    logs.configure("info", "json", Redactor(["simulatedtoken0"]), stream)
    return stream


def events(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    """Return the lines of one event."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


class Shop:
    """A service in virtual time with everything that looks at it."""

    def __init__(self, world: World, *, beat_file: Path | None = None, **notify: Any) -> None:
        self.world = world
        journal, client = world.journal, world.worker.client
        self.watch = Watch(
            world.clock,
            interval=SLOT,
            beat_file=beat_file,
            last_success=journal.last_success("portal"),
            last_attempt=journal.last_attempt("portal"),
        )
        metrics = Metrics()
        client.listener = LivenessListener(self.watch, metrics)
        herald = Notifier(world.worker, Notify(**notify), str)
        self.service = Service(world.worker, herald.hear, interval=SLOT, watch=self.watch, tally=Tally(metrics))
        self.view = View(world.worker, journal, self.watch, metrics, Redactor(["simulatedtoken0"]).text)

    def slot(self, times: int = 1) -> None:
        """Let so many intervals pass, each with a sweep at its beginning."""
        for _ in range(times):
            began = self.world.clock.monotonic()
            self.service.tick()
            self.watch.beat()
            self.idle(began + SLOT - self.world.clock.monotonic())

    def idle(self, seconds: float) -> None:
        """Let time pass while the loop turns, and the schedule does nothing."""
        end = self.world.clock.monotonic() + seconds
        while (left := end - self.world.clock.monotonic()) > 0:
            self.world.clock.sleep(min(20.0, left))
            self.watch.beat()

    @property
    def readyz(self) -> str:
        """What the page would say."""
        return "; ".join(self.view.not_ready())

    def metric(self, name: str) -> float:
        """Return a metric without labels, or with those that are given in its name."""
        lines = self.view.metrics().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2])


def test_a_new_service_is_alive_and_not_yet_ready(make_world: Callable[..., World]) -> None:
    """Ready is who has seen the portal as a whole; who has just restarted remembers that."""
    world = make_world()
    world.drift(3)
    shop = Shop(world)
    assert shop.watch.not_alive() == ""
    assert shop.readyz == "no sweep has been complete yet"
    shop.slot()
    assert shop.readyz == ""
    world.restart()
    assert Shop(world).readyz == ""


def test_a_failing_portal_makes_it_not_ready_after_two_and_a_half_intervals(
    make_world: Callable[..., World], log: io.StringIO
) -> None:
    """Attempts go on and are told apart from successes; the log says once when it goes, and once when it comes."""
    shop = Shop(make_world(attempts=1))
    shop.slot()
    shop.world.faults({"kind": "html_502"})
    shop.slot(1)
    assert shop.readyz == ""
    shop.slot(2)
    said, _, why = shop.readyz.partition(": ")
    assert said == "the last complete sweep ended 40 min 00 s ago (limit 25 min 00 s)"
    assert why.startswith("a server before the portal gets no answer from it (HTTP 502); is the portal up?")
    assert shop.watch.not_alive() == ""
    assert shop.metric("reconciler_sweeps_started_total") == 4
    assert shop.metric('reconciler_sweeps_total{result="in_sync"}') == 1
    assert shop.metric("reconciler_last_success_age_seconds") == pytest.approx(2_400, abs=5)
    assert shop.metric("reconciler_ready") == 0
    shop.world.faults()
    shop.slot()
    assert shop.readyz == ""
    assert [len(events(log, event)) for event in ("service.not_ready", "service.ready")] == [1, 1]


def test_a_webhook_that_is_revoked(make_world: Callable[..., World], tmp_path: Path, log: io.StringIO) -> None:
    """Not ready at once; one event, one notice, one probe in an interval; and it comes back without a restart."""
    told = tmp_path / "events"
    world = make_world(scopes=("crm", "user", "im"))
    world.drift(1)
    command = ("sh", "-c", f'cat >> "{told}"; echo >> "{told}"')
    shop = Shop(world, on_event=command)
    shop.slot()
    world.portal.revoked = True
    world.drift(0)
    before = world.portal.stats()["requests"]
    shop.slot(1)
    assert shop.readyz.startswith("the portal does not let the worker in: ")
    assert shop.readyz.count("not accept the webhook") + shop.readyz.count("not know this webhook") == 1
    assert "simulatedtoken0" not in shop.readyz
    assert shop.watch.not_alive() == ""
    assert (shop.metric("reconciler_authorized"), shop.metric("reconciler_ready")) == (0, 0)
    shop.slot(5)
    assert len(world.witness.exchanges) - before <= 6
    assert [json.loads(line)["event"] for line in told.read_text().splitlines()] == ["authorization_lost"]
    assert len(events(log, "service.not_ready")) == 1
    world.portal.revoked = False
    shop.slot()
    assert (shop.readyz, shop.metric("reconciler_authorized")) == ("", 1)
    assert len(told.read_text().splitlines()) == 1


def test_a_revoked_webhook_is_told_in_the_bell_when_it_is_over(make_world: Callable[..., World]) -> None:
    """Before, no notice can pass: none is tried, and still there is one probe in an interval."""
    world = make_world(scopes=("crm", "user", "im"))
    shop = Shop(world, users=[ADMIN])
    shop.slot()
    world.portal.revoked = True
    before = len(world.witness.exchanges)
    shop.slot(5)
    assert len(world.witness.exchanges) - before == 5
    world.portal.revoked = False
    shop.slot(3)
    (bell,) = world.portal.bell.shown
    assert "did not let the worker in" in bell.message
    assert world.portal.bell._last == 1


@pytest.mark.parametrize("back", [-3_600, 3_600, 86_400 * 365], ids=["an hour back", "an hour ahead", "a year ahead"])
def test_the_time_of_day_may_be_set(back: int, make_world: Callable[..., World], tmp_path: Path) -> None:
    """Neither life, nor readiness, nor the age of the last success goes by it; after a restart neither."""
    beats = tmp_path / "beat"
    world = make_world()
    shop = Shop(world, beat_file=beats)
    shop.slot()
    world.clock.timeline.start += timedelta(seconds=back)
    shop.idle(100)
    assert (shop.readyz, shop.watch.not_alive()) == ("", "")
    assert shop.watch.success_age == pytest.approx(700, abs=5)
    assert heartbeat.verdict(beats, world.clock.monotonic())[1] == ""
    shop.slot()
    assert shop.readyz == ""
    if back < 0:
        world.restart()
        assert Shop(world).readyz == ""


def test_a_loop_that_stands_still_is_not_alive(make_world: Callable[..., World]) -> None:
    """And therefore not ready."""
    shop = Shop(make_world())
    shop.slot()
    shop.world.clock.sleep(heartbeat.STALE + 1)
    assert shop.watch.not_alive() == "the service's loop has stood still for 26.0 s"
    assert shop.readyz == shop.watch.not_alive()
    shop.watch.beat()
    assert shop.watch.not_alive() == ""


def test_a_schedule_that_stands_still_is_not_alive(make_world: Callable[..., World], tmp_path: Path) -> None:
    """The loop turns, and no run begins: the heartbeat itself says so to `reconciler health`."""
    beats = tmp_path / "beat"
    shop = Shop(make_world(), beat_file=beats)
    shop.slot()
    shop.idle(850)
    assert shop.watch.not_alive() == ""
    shop.idle(60)
    says = "no run has begun for 25 min 10 s (limit 25 min 00 s)"
    assert shop.watch.not_alive() == says
    beat, wrong = heartbeat.verdict(beats, shop.world.clock.monotonic())
    assert (wrong, beat.process if beat else 0) == (says, os.getpid())


def test_a_run_that_hangs_is_not_alive_and_a_long_one_is() -> None:
    """What counts is that answers come: a backfill takes hours."""
    clock = VirtualClock()
    watch = Watch(clock, interval=SLOT)
    pulse = LivenessListener(watch)
    signs = (
        lambda: pulse.held_back(1.0),
        lambda: pulse.budget_waited("batch", 300.0),
        lambda: pulse.ended(["server.time"], [None]),
        lambda: pulse.failed(["server.time"], UnreachableError("no answer")),
    )
    watch.begun()
    for number in range(20):
        clock.sleep(1_000)
        signs[number % 4]()
        watch.beat()
        assert watch.not_alive() == ""
    assert watch.idle == 0
    clock.sleep(1_801)
    watch.beat()
    assert watch.not_alive() == "the run under way has heard nothing for 30 min 01 s"
    watch.over()
    assert watch.not_alive() == ""


def test_a_run_that_does_not_end_by_itself_is_counted(make_world: Callable[..., World], log: io.StringIO) -> None:
    """Another run holds the lease; the journal is away; a bug. Each is an attempt, and none a success."""
    world = make_world()
    shop = Shop(world)
    with world.journal.lease(0):
        shop.service.tick()
    assert shop.metric('reconciler_sweeps_total{result="skipped"}') == 1

    class Away:
        def lease(self, _: float) -> None:
            raise JournalError("The journal is away.")

    shop.service._worker = replace(world.worker, journal=Away())  # type: ignore[arg-type]
    shop.service.tick()
    shop.service._worker = replace(world.worker, client=None)  # type: ignore[arg-type]
    shop.service.tick()
    assert shop.metric('reconciler_sweeps_total{result="failed"}') == 1
    assert shop.metric('reconciler_sweeps_total{result="crashed"}') == 1
    assert shop.metric("reconciler_sweeps_started_total") == 3
    assert not shop.watch.running
    assert len(events(log, "service.run_crashed")) == 1


def test_a_journal_that_cannot_be_written_is_not_ready(make_world: Callable[..., World]) -> None:
    """In the journal's own words; looked at every ten seconds, not with each probe; the metrics go on."""
    world = make_world()
    shop = Shop(world)
    shop.slot()
    assert shop.readyz == ""
    world.clock.sleep(11)
    shop.watch.beat()
    with world.journal._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    assert shop.readyz.startswith(f"the journal {world.journal.path} is not writable: ")
    assert shop.metric("reconciler_ready") == 0
    assert shop.metric("reconciler_journal_bytes") > 0


def test_a_journal_that_was_moved_away_is_not_ready(make_world: Callable[..., World]) -> None:
    """Though its file can still be written, without a name."""
    world = make_world()
    shop = Shop(world)
    shop.slot()
    assert shop.readyz == ""
    shop.idle(20)
    world.journal.path.rename(world.journal.path.with_suffix(".away"))
    assert shop.readyz.startswith(f"the journal {world.journal.path} is gone: it was deleted or moved")


def test_metrics_outlive_a_journal_that_cannot_be_read(make_world: Callable[..., World]) -> None:
    """What is counted in it stays as it was."""
    world = make_world()
    world.drift(1_200)
    shop = Shop(world)
    shop.slot()
    assert shop.metric("reconciler_approval_waiting_changes") == 1_200
    assert shop.metric("reconciler_guard_refusals_total") == 1
    assert shop.metric("reconciler_backlog_contacts") == 1_200
    os.rename(world.journal.path, world.journal.path.with_suffix(".away"))  # noqa: PTH104
    world.journal._database.engine.dispose()
    shop.idle(20)
    assert shop.metric("reconciler_approval_waiting_changes") == 1_200
    assert shop.metric("reconciler_ready") == 0


def test_a_heartbeat_that_cannot_be_written_is_told_once(tmp_path: Path, log: io.StringIO) -> None:
    """Nothing else depends on it."""
    clock = VirtualClock()
    watch = Watch(clock, interval=SLOT, beat_file=tmp_path / "gone" / "beat")
    for _ in range(3):
        watch.beat()
    assert len(events(log, "service.beat_failed")) == 1
    (tmp_path / "gone").mkdir()
    watch.beat()
    assert heartbeat.read(tmp_path / "gone" / "beat") is not None
    watch.end()
    watch.end()
    assert not (tmp_path / "gone" / "beat").exists()


def test_a_sweep_of_a_part_of_its_slot_is_a_success(make_world: Callable[..., World]) -> None:
    """A plan that is refused was a complete look: the service does its work, and a person is asked."""
    world = make_world()
    world.drift(1_200)
    shop = Shop(world)
    shop.slot()
    assert world.journal.runs()[0].report.status is Status.REFUSED
    assert shop.readyz == ""


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Be systemd: listen where a service of `Type=notify` is to tell how it goes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")  # the kernel finds a name in the abstract namespace
        ear.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{ear.getsockname()[1:].decode()}")
        yield ear


def told(manager: socket.socket) -> list[str]:
    """Return what systemd was told since it was asked last."""
    heard: list[str] = []
    with suppress(BlockingIOError):
        while True:
            heard.append(manager.recv(4096).decode())
    return heard


def said(watch: Watch, manager: socket.socket) -> str:
    """Let the heart beat once; return the state that systemd is told."""
    told(manager)  # what is not read fills the queue
    watch.beat()
    [words] = told(manager)
    return words.removeprefix("READY=1\nWATCHDOG=1\nSTATUS=")


def ended(shop: Shop) -> str:
    """Return when the last complete sweep ended, for people."""
    return f"{shop.watch.last_success:%Y-%m-%d %H:%M}"


def test_systemd_hears_that_the_service_lives_and_how_it_goes(
    make_world: Callable[..., World], manager: socket.socket
) -> None:
    """With each beat; that it is not ready is no reason to start it anew."""
    world = make_world()
    shop = Shop(world)
    shop.watch.beat()
    assert told(manager) == ["READY=1\nWATCHDOG=1\nSTATUS=No sweep has been complete yet."]
    shop.slot()
    assert said(shop.watch, manager) == f"Ready; the last complete sweep ended {ended(shop)} UTC."
    world.clock.sleep(2.6 * SLOT)
    shop.watch.begun()
    assert shop.readyz != ""
    assert said(shop.watch, manager) == f"Not ready: the last complete sweep ended {ended(shop)} UTC; the log says why."


def test_systemd_hears_nothing_of_a_service_that_hangs(manager: socket.socket) -> None:
    """So that it starts it anew; the loop alone turning is not enough."""
    clock = VirtualClock()
    watch = Watch(clock, interval=SLOT)
    watch.begun()
    watch.beat()
    assert len(told(manager)) == 1
    clock.sleep(1_801)
    watch.beat()
    assert watch.not_alive() != ""
    assert told(manager) == []
    watch.moved()
    watch.beat()
    assert len(told(manager)) == 1


@pytest.mark.parametrize("address", ["", "@nobody-listens-here", "/nowhere/notify", "x" * 300])
def test_a_manager_that_does_not_listen_disturbs_nobody(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A container engine may hand on the address of a socket that is not there."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    watch = Watch(VirtualClock(), interval=SLOT)
    watch.beat()
    assert watch.not_alive() == ""


def test_a_socket_of_the_file_system_is_heard_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd has it: /run/systemd/notify."""
    monkeypatch.chdir(tmp_path)  # an address has room for 107 bytes
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("notify")
        ear.setblocking(False)
        Watch(VirtualClock(), interval=SLOT).beat()
        assert len(told(ear)) == 1
