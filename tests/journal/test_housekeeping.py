"""Retention: what is old and needed by nobody goes, and nothing else; what is kept still tells the same."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import PORTAL, carry_out, change, mismatch, swept
from sqlalchemy import text

from reconciler.core.model import Cause, Result, Rule, RunReport, Standing, Status
from reconciler.errors import LeaseHeldError, Stopped
from reconciler.journal.pruning import Pruned
from reconciler.journal.records import ApprovalRecord, NewException, NoApproval, NothingToUndo, OurWrites, Selection
from reconciler.journal.rows import Links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from reconciler.clock import VirtualClock
    from reconciler.core.model import Change
    from reconciler.journal.store import Journal

YEAR = timedelta(days=365)
DAY = 86_400.0


def run_of(
    journal: Journal,
    *changes: Change,
    links: Links | None = None,
    result: Result = Result.APPLIED,
    status: Status = Status.APPLIED,
    portal: str = PORTAL,
) -> int:
    """Write down a whole run with these changes; return its number."""
    run = journal.begin(portal=portal, command="service")
    carry_out(journal, run, changes, links, result)
    journal._clock.sleep(1)
    journal.finish(RunReport(run=run, status=status))
    return run


def numbers(journal: Journal) -> list[int | None]:
    """Return the runs that are kept, oldest first."""
    return [record.report.run for record in journal.runs(10_000)][::-1]


def prune(journal: Journal, now: datetime | None = None) -> Any:
    """Remove what is older than a year; nothing may point to what is gone."""
    pruned = journal.housekeeping.prune(YEAR, now or journal._clock.now(), partial(journal.lease, 0))
    with journal._reading() as connection:
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    return pruned


def test_old_runs_that_wrote_nothing_go(journal: Journal, clock: VirtualClock) -> None:
    """But the last that saw the whole portal stays, however old it is."""
    for _ in range(3):
        run_of(journal, status=Status.IN_SYNC)
    complete = run_of(journal, status=Status.REFUSED)
    run_of(journal, status=Status.FAILED)
    clock.sleep(366 * DAY)
    young = run_of(journal, status=Status.FAILED)
    before = journal.last_success(PORTAL)
    assert prune(journal).runs == 4
    assert numbers(journal) == [complete, young]
    assert journal.last_success(PORTAL) == before
    assert journal.writes.to_undo(PORTAL, run=1) is NothingToUndo.PRUNED


def test_a_run_stays_while_one_of_its_writes_is_the_last_of_its_contact(journal: Journal, clock: VirtualClock) -> None:
    """It stays whole, so that its numbers stay right, and goes when each of its contacts was written again."""
    old = run_of(journal, change(1), change(2))
    clock.sleep(366 * DAY)
    again = run_of(journal, change(1, before=2, after=3))
    assert prune(journal).runs == 0
    assert journal.changes(old)[1].change == change(2)
    assert len(journal.changes(old)) == 2
    clock.sleep(DAY)
    last = run_of(journal, change(2, before=2, after=3))
    pruned = prune(journal)
    assert (pruned.runs, pruned.changes) == (1, 2)
    assert numbers(journal) == [again, last]


@pytest.mark.parametrize("result", [Result.CONFLICT, Result.GONE, Result.DENIED, Result.FAILED, Result.UNKNOWN])
def test_what_was_not_written_keeps_nothing(journal: Journal, clock: VirtualClock, result: Result) -> None:
    """Nor does it make an older write superfluous."""
    written = run_of(journal, change(1))
    run_of(journal, change(2), result=result)
    run_of(journal, change(1, before=2, after=3), result=result)
    clock.sleep(366 * DAY)
    last = run_of(journal, status=Status.IN_SYNC)
    prune(journal)
    assert numbers(journal) == [written, last]


def test_an_open_intent_keeps_its_run(journal: Journal, clock: VirtualClock) -> None:
    """Nobody knows yet what became of it."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1)])
    journal.finish(RunReport(run=run, status=Status.STOPPED))
    clock.sleep(366 * DAY)
    run_of(journal, status=Status.IN_SYNC)
    prune(journal)
    assert [intent.run for intent in journal.open_intents(PORTAL)] == [run]


def test_contacts_of_another_portal_are_others(journal: Journal, clock: VirtualClock) -> None:
    """The same number there is no later write of this one."""
    here = run_of(journal, change(1))
    there = run_of(journal, change(1), portal="other")
    clock.sleep(366 * DAY)
    prune(journal)
    assert numbers(journal) == [here, there]


def test_an_undo_does_not_reach_past_a_gap(journal: Journal, clock: VirtualClock) -> None:
    """What came after a write that stays, stays."""
    first = run_of(journal, change(1), change(2))  # stays for contact 2
    second = run_of(journal, change(1, before=2, after=3))
    third = run_of(journal, change(1, before=3, after=4))
    clock.sleep(366 * DAY)
    prune(journal)
    assert numbers(journal) == [first, second, third]


def test_a_clock_that_is_ahead_removes_nothing(journal: Journal, clock: VirtualClock) -> None:
    """One reading of it is not believed: what goes is old by the portal's time, too."""
    for _ in range(3):
        run_of(journal, status=Status.IN_SYNC)
    run = run_of(journal, change(1))
    run_of(journal, change(1, before=2, after=3))
    journal.exceptions.add(PORTAL, Standing.KEPT, [NewException(contact=9)])
    journal.exceptions.release(PORTAL, [entry.id for entry in journal.exceptions.entries(PORTAL)], "ann")
    journal.approvals.wait(PORTAL, [change(5)], run=run, numbers={}, sentence="too many")
    journal.approvals.review(PORTAL, [])
    now = clock.now()
    clock.sleep(4 * 366 * DAY)
    assert prune(journal, now) == Pruned()
    assert numbers(journal) == [1, 2, 3, 4, 5]
    assert prune(journal, clock.now()) == Pruned(runs=4, changes=1, exceptions=1, approvals=1)


def test_a_portal_clock_that_is_ahead_removes_nothing(journal: Journal, clock: VirtualClock) -> None:
    """Neither clock alone decides."""
    for _ in range(3):
        run_of(journal, status=Status.IN_SYNC)
    assert prune(journal, clock.now() + 4 * YEAR) == Pruned()


def test_what_was_written_down_while_our_clock_was_behind_is_not_old(journal: Journal, clock: VirtualClock) -> None:
    """A machine without a battery begins in 1970; the portal's time in the run, or the beginning, tells."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.finish(RunReport(run=run, status=Status.IN_SYNC, taken_at=clock.now() + 3 * YEAR))
    run_of(journal, status=Status.IN_SYNC)
    clock.sleep(2 * 366 * DAY)
    assert prune(journal).runs == 0
    clock.sleep(3 * 366 * DAY)
    assert prune(journal).runs == 1


def test_the_lease_is_held_for_each_step_and_not_for_the_search(journal: Journal, clock: VirtualClock) -> None:
    """So that a run waits for a moment only; one that is at work ends the pruning, and the rest goes later."""
    for _ in range(250):
        run_of(journal, status=Status.IN_SYNC)
    clock.sleep(366 * DAY)
    run_of(journal, status=Status.IN_SYNC)
    held: list[int] = []

    @contextmanager
    def lease() -> Iterator[None]:
        if len(held) == 2:
            raise LeaseHeldError("another run")
        with journal.lease(0):
            held.append(len(numbers(journal)))
            yield

    with pytest.raises(LeaseHeldError):
        journal.housekeeping.prune(YEAR, clock.now(), lease)
    assert held == [251, 151]
    assert len(numbers(journal)) == 51
    assert prune(journal) == Pruned(runs=50)


def test_what_does_not_go_in_time_goes_the_next_time(journal: Journal, clock: VirtualClock) -> None:
    """And it is said that something is left."""
    for _ in range(250):
        run_of(journal, status=Status.IN_SYNC)
    clock.sleep(366 * DAY)
    run_of(journal, status=Status.IN_SYNC)

    @contextmanager
    def slow() -> Iterator[None]:
        clock.sleep(15)
        yield

    assert journal.housekeeping.prune(YEAR, clock.now(), slow) == Pruned(runs=200, finished=False)
    assert prune(journal) == Pruned(runs=50)


def test_an_exception_that_came_meanwhile_keeps_its_run(journal: Journal, clock: VirtualClock) -> None:
    """Each step looks again."""
    run_of(journal, change(1))
    run_of(journal, change(1, before=2, after=3))
    write = journal.changes(1)[0].id
    clock.sleep(366 * DAY)

    @contextmanager
    def lease() -> Iterator[None]:
        journal.exceptions.add(PORTAL, Standing.UNDONE, [NewException(contact=1, change=write)])
        yield

    assert journal.housekeeping.prune(YEAR, clock.now(), lease) == Pruned()
    assert numbers(journal) == [1, 2]


def test_an_exception_in_force_keeps_what_led_to_it(journal: Journal, clock: VirtualClock) -> None:
    """Until it is released."""
    old = run_of(journal, change(1))
    write = journal.changes(old)[0].id
    journal.exceptions.add(PORTAL, Standing.UNDONE, [NewException(contact=1, change=write)])
    run_of(journal, change(1, before=2, after=3))
    clock.sleep(366 * DAY)
    run_of(journal, status=Status.IN_SYNC)
    prune(journal)
    assert numbers(journal)[0] == old
    journal.exceptions.release(PORTAL, [entry.id for entry in journal.exceptions.entries(PORTAL)], "ann")
    prune(journal)
    assert old not in numbers(journal)
    found = journal.exceptions.find(PORTAL, 1)
    assert found is not None
    assert found.entry.change is None


def test_what_points_to_a_run_that_went_points_to_nothing(journal: Journal, clock: VirtualClock) -> None:
    """An undo that stays, and an approval that was refused then."""
    old = run_of(journal, change(1))
    journal.approvals.wait(PORTAL, [change(5)], run=old, numbers={}, sentence="too many")
    back = journal.begin(portal=PORTAL, command="undo", undoes=old)
    undo = change(1, before=2, after=1, rule=Rule.UNDO)
    carry_out(journal, back, [undo], Links(undoes={1: journal.changes(old)[0].id}))
    clock.sleep(1)
    journal.finish(RunReport(run=back, status=Status.APPLIED))
    clock.sleep(366 * DAY)
    prune(journal)
    record = journal.find_run(back)
    assert record is not None
    assert record.undoes is None
    assert journal.changes(back)[0].undoes is None
    assert [approval.run for approval in journal.approvals.open(PORTAL)] == [None]


def test_standing_drift_that_ended_goes(journal: Journal, clock: VirtualClock) -> None:
    """What stands stays, from when it stood."""
    began = clock.now()
    left = [(mismatch(contact), "waiting", Cause.UNKNOWN) for contact in (1, 2)]
    journal.sweeps.remember(PORTAL, swept({7: 2}, began), left)
    journal.sweeps.remember(PORTAL, swept({7: 2}, clock.now()), left[1:])
    clock.sleep(366 * DAY)
    assert prune(journal).standing == 1
    assert [(drift.mismatch.contact, drift.since) for drift in journal.sweeps.standing(PORTAL)] == [(2, began)]


def test_ended_exceptions_go_but_what_a_person_forgave(journal: Journal, clock: VirtualClock) -> None:
    """Only the latest of a contact counts, and those in force stay."""
    edited = clock.now()
    for _ in range(2):
        journal.exceptions.add(
            PORTAL, Standing.RESPECTED, [NewException(contact=1, last_edited_at=edited), NewException(contact=2)]
        )
        of_contact = journal.exceptions.entries(PORTAL, Selection(contacts=[1]))
        journal.exceptions.release(PORTAL, [entry.id for entry in of_contact], "ann")
        clock.sleep(60)
    journal.exceptions.add(PORTAL, Standing.QUARANTINED, [NewException(contact=3)], clock.now() + timedelta(days=7))
    clock.sleep(366 * DAY)
    journal.exceptions.add(PORTAL, Standing.QUARANTINED, ())  # writes down what is over by time: now, so it stays
    forgiven = journal.exceptions.forgiven(PORTAL)
    assert prune(journal).exceptions == 1
    assert journal.exceptions.forgiven(PORTAL) == forgiven == {1: edited}
    assert [entry.entry.contact for entry in journal.exceptions.entries(PORTAL)] == [2]
    clock.sleep(366 * DAY)
    assert prune(journal).exceptions == 1


def test_closed_approvals_go_unless_a_change_names_them(journal: Journal, clock: VirtualClock) -> None:
    """Who let a change through can be told for as long as the change is kept."""
    digests = [journal.approvals.wait(PORTAL, [change(contact)], numbers={}, sentence="too many") for contact in (1, 2)]
    for digest in digests:
        journal.approvals.approve(PORTAL, digest, by="ann", how="by command")
    force = journal.approvals.in_force(PORTAL)
    run_of(journal, change(1), links=Links(approvals=force))
    journal.approvals.withdraw(PORTAL, digests[1])
    journal.approvals.review(PORTAL, [])
    clock.sleep(366 * DAY)
    assert prune(journal).approvals == 1
    assert isinstance(journal.approvals.find(PORTAL, digests[0]), ApprovalRecord)
    assert journal.approvals.find(PORTAL, digests[1]) is NoApproval.UNKNOWN


def test_many_runs_go_in_several_steps_and_a_stop_comes_between(journal: Journal, clock: VirtualClock) -> None:
    """What has gone by then has gone whole; the next time goes on."""
    for _ in range(250):
        run_of(journal, status=Status.IN_SYNC)
    clock.sleep(366 * DAY)
    run_of(journal, status=Status.IN_SYNC)
    clock.stop()
    with pytest.raises(Stopped):
        prune(journal)
    assert len(numbers(journal)) == 251


def test_survey(journal: Journal, clock: VirtualClock) -> None:
    """Size with the write-ahead log, and the age of the oldest run."""
    assert journal.housekeeping.survey().oldest is None
    began = clock.now()
    run_of(journal, change(1), change(2))
    survey = journal.housekeeping.survey()
    assert (survey.runs, survey.changes, survey.oldest) == (1, 2, began)
    assert survey.size > journal.path.stat().st_size


_CONTACTS = st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), _CONTACTS),
        st.tuples(st.just("undo run"), st.integers(1, 6)),
        st.tuples(st.just("undo contact"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(10, 200)),
    ),
    min_size=4,
    max_size=14,
)


def told(journal: Journal, clock: VirtualClock) -> dict[str, Any]:
    """Return all that undo, causes and flapping are told of the contacts."""
    back = [mismatch(contact) for contact in range(1, 5)]
    return {
        "written": journal.sweeps.evidence(PORTAL, back).written,
        "lately": journal.writes.since(PORTAL, range(1, 5), clock.now() - timedelta(days=30), now=clock.now()),
        "contacts": {contact: journal.writes.to_undo(PORTAL, contact=contact) for contact in range(1, 5)},
        "runs": {run: journal.writes.to_undo(PORTAL, run=run) for run in numbers(journal) if run},
    }


def undo(journal: Journal, writes: OurWrites, undoes: int | None) -> None:
    """Take these writes back, as the worker does."""
    run = journal.begin(portal=PORTAL, command="undo", undoes=undoes)
    records = writes.latest
    back = [change(r.change.contact, before=r.change.after, after=r.change.before, rule=Rule.UNDO) for r in records]
    carry_out(journal, run, back, Links(undoes={record.change.contact: record.id for record in records}))
    journal.finish(RunReport(run=run, status=Status.APPLIED))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_undo_and_evidence_of_what_is_kept_stay_the_same(
    quick: Journal, clock: VirtualClock, steps: list[tuple[str, Any]]
) -> None:
    """Whatever was written, taken back and waited for: before and after retention the journal tells the same.

    An undo of a contact whose latest write was taken back may reach a write that is not kept any more: then it finds
    nothing, and never another write in its place.
    """
    journal = quick
    with journal._writing() as connection:
        for table in ("exception", "change", "run"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - three fixed names
    owner = dict.fromkeys(range(1, 5), 1)
    for step, what in steps:
        if step == "write":
            wanted = [change(contact, before=owner[contact], after=owner[contact] + 1) for contact in what]
            owner.update({each.contact: each.after for each in wanted})
            run_of(journal, *wanted)
        elif step == "wait":
            clock.sleep(what * DAY)
        else:
            asked = (
                {"contact": what} if step == "undo contact" else {"run": dict(enumerate(numbers(journal), 1)).get(what)}
            )
            if None in asked.values():
                continue
            writes = journal.writes.to_undo(PORTAL, **asked)
            if isinstance(writes, OurWrites) and writes.latest:
                undo(journal, writes, asked.get("run"))
                owner.update({record.change.contact: record.change.before for record in writes.latest})
    before = told(journal, clock)
    prune(journal)
    after, kept = told(journal, clock), set(numbers(journal))
    assert (after["written"], after["lately"]) == (before["written"], before["lately"])
    assert {run: told_of(writes) for run, writes in after["runs"].items()} == {
        run: told_of(writes) for run, writes in before["runs"].items() if run in kept
    }
    for contact, writes in before["contacts"].items():
        gone = isinstance(writes, OurWrites) and not {record.run for record in writes.latest} <= kept
        expected = NothingToUndo.NOTHING_WRITTEN if gone else told_of(writes)
        assert told_of(after["contacts"][contact]) == expected


def told_of(writes: OurWrites | NothingToUndo) -> Any:
    """Return what an undo would do; what a change took back may be known no more, and nobody asks."""
    if isinstance(writes, NothingToUndo):
        return writes
    return [[(r.id, r.run, r.change) for r in records] for records in (writes.latest, writes.superseded)]
