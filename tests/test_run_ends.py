"""Runs that end early: stopped, killed, or kept out by another one; the next run finishes the job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.portal_fixture import ANN, BOB
from support.world import CLEO, total

from reconciler.core.model import Result, Status
from reconciler.core.policy import PersonEdit, Policies
from reconciler.engine.planning import Rules, Undo
from reconciler.engine.run import Consent
from reconciler.errors import JournalError, LeaseHeldError, Stopped
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange, World

    from reconciler.engine.planning import PlannedRun


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
    assert world.outcomes() == ({"open": 10} if write == 1 else {"applied": 10, "open": 20})
    survive(world)
    finished = world.run()
    assert world.clock.monotonic() >= 60
    opened = 10 if write == 1 else 20
    assert list(world.results(1).values()) == ["applied"] * 10 * (write - 1) + [settled] * opened
    record = world.journal.find_run(1)
    assert record is not None
    assert record.report.status is Status.FAILED
    assert total(finished) == finished.report.drift == 30 - 10 * (write - 1) - opened * (settled == "applied")
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

    def keep(proposal: PlannedRun, _: object) -> Consent:
        changes.extend(proposal.plan.changes)
        return Consent.NOTHING

    world.run(confirm=keep)
    for part in (changes[:60], changes[60:]):
        world.journal.intend(world.journal.begin(portal="portal", command="test"), part)
    world.run()
    assert world.outcomes(2) == {"failed": 60}
    assert world.outcomes(3) == {"failed": 20}
    assert world.outcomes(4) == {"applied": 80}


@pytest.mark.parametrize("set_by", [0, 3600, -86_400], ids=["right", "clock-set-forward", "clock-set-back"])
def test_open_intents_are_waited_for_whatever_the_clock_says(make_world: Callable[..., World], set_by: float) -> None:
    """The portal carries the request out half a minute after the kill: no clock makes that a write that failed."""
    world = make_world()
    world.drift(5)
    kill_at(world, 1, "before")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    late = "UPDATE contact SET assigned_by_id = ?, date_modify = date_modify + 100"
    world.later(30, lambda: world.office.database.write(late, (BOB,)))
    world.clock.timeline.start += timedelta(seconds=set_by)
    world.office.portal.clock_offset = -set_by
    told: list[tuple[str, float]] = []
    world.run(reading=lambda noun, _done, _total: told.append((noun, world.clock.monotonic())))
    assert world.outcomes(1) == {"applied": 5}
    assert world.clock.monotonic() == 65
    assert told[0] == ("writes that an earlier run left open, after a wait of 65 s", 0)


def put_back(world: World, contact: int) -> None:
    """Let a person give a contact back to its old owner."""
    world.portal.people.edit_contact(contact, CLEO, assigned_by_id=ANN)


def edit_phone(world: World, contact: int) -> None:
    """Let a person edit something else."""
    world.portal.people.edit_contact(contact, CLEO, name="Edited")


def after_a_lost_answer(world: World, act: Callable[[], None]) -> None:
    """Let somebody act after the first request with updates, and before the worker looks what became of it."""

    def watch(exchange: Exchange) -> None:
        if world.witness.writes and not exchange.updates:
            world.witness.before = lambda _: None
            world.witness.clock.sleep(10)
            act()

    world.witness.before = watch


@pytest.mark.parametrize(
    ("fault", "act"),
    [
        pytest.param({"kind": "lost_answer"}, put_back, id="written-and-put-back"),
        pytest.param({"kind": "cut_before"}, edit_phone, id="not-written-and-edited"),
    ],
)
def test_a_person_acts_after_an_answer_was_lost(
    make_world: Callable[..., World], fault: dict[str, str], act: Callable[[World, int], None]
) -> None:
    """The old owner is in place, and the date has moved: nobody can tell why, so the run does not write again."""
    world = make_world()
    world.drift(3)
    after_a_lost_answer(world, lambda: act(world, 2))
    world.faults({**fault, "method": "crm.contact.update", "times": 1})
    world.run()
    assert world.results() == {1: "applied", 2: "conflict", 3: "applied"}
    assert world.owner_of(2) == ANN


@pytest.mark.parametrize("act", [put_back, edit_phone], ids=["put-back", "edited"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_person_acts_after_a_kill(
    make_world: Callable[..., World], moment: str, act: Callable[[World, int], None]
) -> None:
    """What the killed run left open is a conflict then, and never told as not written; its sweep judges afresh."""
    world = make_world()
    world.drift(3)
    kill_at(world, 1, moment)
    with pytest.raises(Killed):
        world.run()
    survive(world)
    world.later(10, lambda: act(world, 2))
    world.run(confirm=lambda *_: Consent.NOTHING)
    seen = {("after", edit_phone): "applied", ("before", put_back): "failed"}  # in the latter nothing was ever changed
    assert world.results(1)[2] == seen.get((moment, act), "conflict")
    assert world.results(1)[1] == ("applied" if moment == "after" else "failed")


def test_a_respected_person_puts_the_old_owner_back_after_a_kill(make_world: Callable[..., World]) -> None:
    """With `person_edit = "respect"` the choice stays, though our own write never became known."""
    world = make_world()
    world.drift(3)
    world.run()
    world.portal.people.edit_company(101, CLEO, assigned_by_id=CLEO)
    world.witness.clock.sleep(600)
    world.worker = replace(world.worker, rules=Rules(policies=Policies(person_edit=PersonEdit.RESPECT)))
    kill_at(world, 2, "after")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    world.worker = replace(world.worker, rules=Rules(policies=Policies(person_edit=PersonEdit.RESPECT)))
    world.later(10, lambda: world.portal.people.edit_contact(2, CLEO, assigned_by_id=BOB))
    world.run()
    assert world.results(2) == {1: "applied", 2: "conflict", 3: "applied"}
    assert world.owner_of(2) == BOB


def test_a_person_takes_an_undo_back_after_a_lost_answer(make_world: Callable[..., World]) -> None:
    """An undo does not write again over it."""
    world = make_world()
    world.drift(3)
    run = world.run().report.run
    world.witness.clock.sleep(600)
    del world.witness.exchanges[:]
    after_a_lost_answer(world, lambda: world.portal.people.edit_contact(2, CLEO, assigned_by_id=BOB))
    world.faults({"kind": "lost_answer", "method": "crm.contact.update", "times": 1})
    world.run(command="undo", undo=Undo(run=run))
    assert world.results() == {1: "applied", 2: "conflict", 3: "applied"}
    assert world.owner_of(2) == BOB


def test_intents_of_an_older_version_are_never_told_as_not_written(make_world: Callable[..., World]) -> None:
    """They hold no date: whether it was written and put back cannot be told."""
    world = make_world()
    world.drift(3)
    kill_at(world, 1, "before")
    with pytest.raises(Killed):
        world.run()
    survive(world)
    with world.journal._writing() as connection:
        connection.exec_driver_sql("UPDATE change SET modified_at = NULL")
    world.run()
    assert world.outcomes(1) == {"conflict": 3}
    assert world.portal.drift() == 0


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

    def second(_proposal: PlannedRun, _: object) -> Consent:
        with pytest.raises(LeaseHeldError) as caught:
            world.run(lease_wait=3.0)
        refused.append(caught.value)
        return Consent.PASSING

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

    def break_journal(_proposal: PlannedRun, _refusal: object) -> Consent:
        world.close()
        world.journal.path.unlink()
        world.journal.path.mkdir()
        return Consent.PASSING

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
