"""The journal's upkeep happens once a day, after a run, and never stops the schedule."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from reconciler.clock import Clock
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest
from reconciler.journal.store import open_journal
from reconciler.service.pruning import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from support.world import World


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Return a world with a run in its journal."""
    world = make_world()
    world.run()
    return world


class OtherTime(Clock):
    """A clock of the same machine whose time of day is set to another one."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self._clock, self._ahead = clock, ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


def told(world: World, upkeep: Upkeep) -> list[str]:
    """Let a run be heard of; return what was logged of the upkeep."""
    with capture_logs() as logs:
        upkeep.hear(world.run())
    return [entry["event"] for entry in logs if entry["event"].startswith("journal.")]


def test_once_a_day(world: World) -> None:
    """After the first run of a start, and then not before a day is over."""
    upkeep = Upkeep(world.worker, 365)
    assert told(world, upkeep) == ["journal.pruned"]
    world.clock.sleep(86_000)
    assert told(world, upkeep) == []
    world.clock.sleep(400)
    assert told(world, upkeep) == ["journal.pruned"]


def test_not_beside_another_run(world: World) -> None:
    """It waits for the next run, without a word."""
    upkeep = Upkeep(world.worker, 365)
    finished = world.run()
    with world.journal.lease(0), capture_logs() as logs:
        upkeep.hear(finished)
    assert logs == []
    assert told(world, upkeep) == ["journal.pruned"]


def test_a_journal_that_cannot_be_used(world: World) -> None:
    """Is told in one event."""
    copy = shutil.copy(world.journal.path, world.journal.path.with_name("copy.db"))
    with open_journal(f"sqlite:///{copy}", world.clock) as broken:
        copy.unlink()
        upkeep = Upkeep(replace(world.worker, journal=broken), 365)
        assert told(world, upkeep) == ["journal.not_pruned"]


def test_not_after_a_run_that_did_not_hear_the_portal_s_time(world: World) -> None:
    """Our clock alone is not believed."""
    upkeep = Upkeep(world.worker, 365)
    world.faults({"kind": "html_502"})
    assert told(world, upkeep) == []
    world.faults()
    assert told(world, upkeep) == ["journal.pruned"]


def test_one_run_under_a_clock_that_is_years_ahead_removes_no_history(world: World) -> None:
    """A dead battery, or a snapshot that was put back: the portal's time is another one."""
    for _ in range(3):
        world.run()
    kept = len(world.journal.runs(100))
    ahead = OtherTime(world.clock, timedelta(days=4 * 366))
    with open_journal(f"sqlite:///{world.journal.path}", ahead) as journal:
        worker = replace(world.worker, clock=ahead, journal=journal)
        upkeep = Upkeep(worker, 365)
        upkeep.hear(reconcile(worker, RunRequest(command="service")))
    assert len(world.journal.runs(100)) == kept + 1
