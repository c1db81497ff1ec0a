"""Runs that end early: stopped, killed, or kept out by another one; the next run finishes the job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.world import total

from reconciler.core.model import Result, Status
from reconciler.errors import JournalError, LeaseHeldError, Stopped
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange, World

    from reconciler.planning import Proposal


class Killed(BaseException):
    """Stands for a power failure: nothing in the program may handle it."""


def kill_at(world: World, write: int, moment: str) -> None:
    """Let the worker die right before, or right after, its so many-th request with updates."""

    def die(exchange: Exchange) -> None:
        if exchange.updates and len(world.witness.writes) == write:
            raise Killed

    setattr(world.witness, moment, die)


def survive(world: World) -> None:
    """Start again after a death."""
    world.witness.before = world.witness.after = lambda _: None
    world.restart()


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.5, 0.9, 1.5, 3.0, 5.2, 8.0, 13.0, 20.0])
def test_a_run_is_stopped(make_world: Callable[..., World], seconds: float) -> None:
    """Whenever the end is asked for: nothing is half journalled, and the next run does the rest, each contact once."""
    world = make_world(profile="cloud")
    world.drift(60)
    world.later(seconds, world.clock.stop)
    finished = world.run()
    report = finished.report
    assert (report.status, finished.failure) == (Status.STOPPED, None)
    assert world.journal.runs()[0].report.status is Status.STOPPED
    written = world.portal.stats()["updates_applied"]
    assert list(world.results().values()).count("applied") == report.outcomes.get(Result.APPLIED, 0) == written
    world.restart()
    assert world.run().report.outcomes.get(Result.APPLIED, 0) == 60 - written
    assert (world.portal.drift(), world.portal.stats()["updates_applied"]) == (0, 60)
    assert "open" not in world.outcomes(1)


def test_the_request_under_way_ends(make_world: Callable[..., World]) -> None:
    """A request that has left is waited for and journalled, however long it takes."""
    world = make_world(profile=Profile(write_median=2.0))
    world.drift(30)
    world.witness.before = lambda exchange: world.later(5, world.clock.stop) if exchange.updates else None
    finished = world.run()
    assert finished.report.status is Status.STOPPED
    assert finished.report.usage.duration_seconds == 20
    assert world.outcomes() == {"applied": 10}


def test_stopped_while_a_lost_answer_is_waited_for(make_world: Callable[..., World]) -> None:
    """The doubtful chunk stays open; the next run settles it by reading, after the portal has surely ended."""
    world = make_world(profile=Profile(write_median=1.0), read_timeout=5.0)
    world.drift(12)
    world.later(6, world.clock.stop)
    finished = world.run()
    assert finished.report.status is Status.STOPPED
    assert world.outcomes() == {"applied": 6, "open": 4}
    world.restart()
    world.run()
    assert world.outcomes(1) == {"applied": 10}
    assert world.outcomes(2) == {"applied": 2}
    assert world.witness.clock.monotonic() > 60


@pytest.mark.parametrize("write", [1, 2])
@pytest.mark.parametrize(
    ("moment", "settled"), [pytest.param("before", "failed", id="before"), pytest.param("after", "applied", id="after")]
)
def test_a_run_is_killed(make_world: Callable[..., World], moment: str, settled: str, write: int) -> None:
    """The next run settles what was open, counts it in the old run, and writes the rest."""
    world = make_world()
    world.drift(30)
    kill_at(world, write, moment)
    with pytest.raises(Killed):
        world.run()
    killed = world.journal.runs()[0]
    assert (killed.finished_at, killed.report.run) == (None, 1)
    assert world.outcomes() == ({"open": 10} if write == 1 else {"applied": 10, "open": 10})
    survive(world)
    finished = world.run()
    assert world.clock.monotonic() >= 60
    assert list(world.results(1).values()) == ["applied"] * 10 * (write - 1) + [settled] * 10
    record = world.journal.find_run(1)
    assert record is not None
    assert record.report.status is Status.FAILED
    assert total(finished) == finished.report.drift == 30 - 10 * (write - 1) - 10 * (settled == "applied")
    assert (world.portal.drift(), world.portal.stats()["updates_applied"]) == (0, 30)


def test_a_killed_runs_changes_that_people_touched(make_world: Callable[..., World]) -> None:
    """What is found at the next start is told as it is: applied, conflict, gone."""
    world = make_world()
    world.drift(3)
    kill_at(world, 1, "after")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    world.portal.people.edit_contact(2, 9, assigned_by_id=9)
    world.portal.people.delete_contact(3)
    world.run()
    assert world.results(1) == {1: "applied", 2: "conflict", 3: "gone"}


def test_many_open_intents_are_settled_in_pieces(make_world: Callable[..., World]) -> None:
    """Two runs left more open than fits into a page: each is settled under its own run."""
    world = make_world()
    world.drift(80)
    changes = []

    def keep(proposal: Proposal, _: object) -> bool:
        changes.extend(proposal.plan.changes)
        return False

    world.run(confirm=keep)
    for part in (changes[:60], changes[60:]):
        world.journal.intend(world.journal.begin(portal="portal", command="test"), part)
    world.run()
    assert world.outcomes(2) == {"failed": 60}
    assert world.outcomes(3) == {"failed": 20}
    assert world.outcomes(4) == {"applied": 80}


@pytest.mark.parametrize(
    ("gone_by", "waited"),
    [
        pytest.param(0, 65, id="at-once"),
        pytest.param(50, 15, id="after-a-while"),
        pytest.param(3600, 0, id="long-after"),
        pytest.param(-86_400, 65, id="clock-set-back"),
    ],
)
def test_how_long_open_intents_are_waited_for(make_world: Callable[..., World], gone_by: float, waited: float) -> None:
    """The portal may be at work for a minute; a clock that was set back does not make that a day."""
    world = make_world()
    world.drift(3)
    kill_at(world, 1, "after")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    world.clock.timeline.start += timedelta(seconds=gone_by)
    world.office.portal.clock_offset = -gone_by
    world.run()
    assert world.clock.monotonic() == waited


def test_a_portal_that_is_down_leaves_intents_open(make_world: Callable[..., World]) -> None:
    """What cannot be settled now is settled by a later run."""
    world = make_world()
    world.drift(3)
    kill_at(world, 1, "after")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    world.faults({"kind": "html_502"})
    assert world.run().report.status is Status.FAILED
    assert world.outcomes(1) == {"open": 3}
    world.faults()
    world.run()
    assert world.outcomes(1) == {"applied": 3}


def test_a_second_run_at_the_same_time(make_world: Callable[..., World]) -> None:
    """It gets LeaseHeldError and exit code 5, and leaves no trace in the journal; the first goes on."""
    world = make_world()
    world.drift(10)
    refused: list[LeaseHeldError] = []

    def second(proposal: Proposal, _: object) -> bool:
        with pytest.raises(LeaseHeldError) as caught:
            world.run(lease_wait=3.0)
        refused.append(caught.value)
        return bool(proposal.plan.changes)

    assert world.run(confirm=second).report.status is Status.APPLIED
    assert refused[0].exit_code == 5
    assert world.clock.monotonic() == 3
    assert len(world.journal.runs()) == 1


def test_stopped_while_waiting_for_the_lease(make_world: Callable[..., World]) -> None:
    """Nothing has begun yet, so there is nothing to report."""
    world = make_world()
    world.later(1, world.clock.stop)
    with world.journal.lease(0), pytest.raises(Stopped):
        world.run(lease_wait=60.0)
    assert world.journal.runs() == []


def test_a_journal_that_fails_in_mid_run(make_world: Callable[..., World]) -> None:
    """Without its journal nothing is written to the portal, and the error is not swallowed."""
    world = make_world()
    world.drift(10)

    def break_journal(_proposal: Proposal, _refusal: object) -> bool:
        world.close()
        world.journal.path.unlink()
        world.journal.path.mkdir()
        return True

    with pytest.raises(JournalError):
        world.run(confirm=break_journal)
    assert world.portal.history == []


def test_the_times_of_a_run(make_world: Callable[..., World]) -> None:
    """Beginning and end are those of the worker's clock."""
    world = make_world(profile=Profile(network=1.0))
    world.drift(3)
    world.run()
    record = world.journal.runs()[0]
    assert record.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.finished_at == record.started_at + timedelta(seconds=record.report.usage.duration_seconds)
    assert record.report.usage.duration_seconds == len(world.witness.exchanges)
