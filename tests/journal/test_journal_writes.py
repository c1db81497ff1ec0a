"""What we wrote over all runs: whole changes, how often, and what can be taken back."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import PORTAL, carry_out, change
from sqlalchemy import delete

from reconciler.core.model import Cause, Change, Outcome, Result, Rule, RunReport, Standing, Status
from reconciler.journal import tables
from reconciler.journal.records import NewException, NothingToUndo, OpenIntent, OurWrites
from reconciler.journal.store import Links

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.clock import VirtualClock
    from reconciler.journal.records import ChangeRecord
    from reconciler.journal.store import Journal

_portal_numbers = count()


def run_of(journal: Journal, *changes: Change, portal: str = PORTAL, result: Result = Result.APPLIED) -> int:
    """Carry these changes out in a run of their own, from begin to end."""
    run = journal.begin(portal=portal, command="service")
    carry_out(journal, run, changes, result=result)
    journal.finish(RunReport(run=run, status=Status.APPLIED))
    return run


def undo(journal: Journal, *writes: ChangeRecord, portal: str = PORTAL) -> int:
    """Take these writes back in a run of its own."""
    run = journal.begin(portal=portal, command="undo")
    back = [
        Change(
            contact=write.change.contact,
            company=write.change.company,
            before=write.change.after,
            after=write.change.before,
            rule=Rule.UNDO,
        )
        for write in writes
    ]
    carry_out(journal, run, back, Links(undoes={write.change.contact: write.id for write in writes}))
    journal.finish(RunReport(run=run, status=Status.APPLIED))
    return run


def found(answer: OurWrites | NothingToUndo) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (run, contact) of what counts and of what is superseded; nothing was taken back already."""
    assert isinstance(answer, OurWrites), answer
    assert answer.taken_back == ()
    latest, superseded = (
        [(write.run, write.change.contact) for write in writes] for writes in (answer.latest, answer.superseded)
    )
    return latest, superseded


def taken_back(answer: OurWrites | NothingToUndo) -> list[tuple[int, int]]:
    """Return (run, contact) of what was taken back already; there is nothing else."""
    assert isinstance(answer, OurWrites), answer
    assert (answer.latest, answer.superseded) == ((), ())
    return [(write.run, write.change.contact) for write in answer.taken_back]


# Whole changes


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("cause", [Cause.UNKNOWN, Cause.CHANGED_BACK])
def test_a_change_comes_back_with_its_rule_and_cause(journal: Journal, rule: Rule, cause: Cause) -> None:
    """Whether it is open or settled, with or without an intent."""
    whole = change(1, rule=rule, cause=cause, company_owner=9)
    unsent = change(2, rule=rule, cause=cause, company_owner=9)
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [whole])
    (intent,) = journal.open_intents(PORTAL)
    assert isinstance(intent, OpenIntent)
    assert intent.change == whole
    journal.settle(run, [Outcome(change=each, result=Result.CONFLICT) for each in (whole, unsent)])
    assert [record.change for record in journal.changes(run)] == [whole, unsent]


def test_a_change_says_which_one_it_takes_back(journal: Journal) -> None:
    """And an ordinary one says nothing."""
    first = run_of(journal, change(1))
    (write,) = journal.changes(first)
    (back,) = journal.changes(undo(journal, write))
    assert (write.undoes, write.approval) == (None, None)
    assert back.undoes == write.id


# How often


def test_our_writes_are_counted_by_contact_from_a_moment_on(journal: Journal, clock: VirtualClock) -> None:
    """Applied ones only, oldest first."""
    moments = []
    for after in (2, 3, 4):
        clock.sleep(3600)
        moments.append(clock.now())
        run_of(journal, change(1, after=after), change(2, after=after))
        run_of(journal, change(1, after=after), portal="other")
        run_of(journal, change(1, after=after), result=Result.CONFLICT)
    assert journal.writes.since(PORTAL, [1, 3], moments[1], now=clock.now()) == {1: moments[1:]}
    assert journal.writes.since(PORTAL, [1, 2], moments[0], now=clock.now()) == {1: moments, 2: moments}
    assert journal.writes.since(PORTAL, [], moments[0], now=clock.now()) == {}
    assert journal.writes.since(PORTAL, [1], clock.now() + timedelta(seconds=1), now=clock.now()) == {}


def test_what_led_to_a_released_quarantine_does_not_count_again(journal: Journal, clock: VirtualClock) -> None:
    """Else the first write after it would bring it back; other exceptions change nothing."""
    began = clock.now()
    for after in (2, 3, 4):
        run_of(journal, change(1, after=after), change(2, after=after))
        clock.sleep(60)
    journal.exceptions.add(PORTAL, Standing.QUARANTINED, [NewException(contact=1)])
    journal.exceptions.add(PORTAL, Standing.RESPECTED, [NewException(contact=2)])
    assert len(journal.writes.since(PORTAL, [1], began, now=clock.now())[1]) == 3
    journal.exceptions.release(PORTAL, [1, 2], by="anna")
    assert set(journal.writes.since(PORTAL, [1, 2], began, now=clock.now())) == {2}
    clock.sleep(60)
    run_of(journal, change(1, after=5))
    assert journal.writes.since(PORTAL, [1], began, now=clock.now()) == {1: [clock.now()]}


def test_what_led_to_a_quarantine_that_is_over_by_time_does_not_count_again(
    journal: Journal, clock: VirtualClock
) -> None:
    """Also before a run has written down that it is over: a plan writes nothing, and says what a run would do."""
    began = clock.now()
    run_of(journal, change(1, after=2))
    clock.sleep(60)
    over = clock.now() + timedelta(hours=1)
    journal.exceptions.add(PORTAL, Standing.QUARANTINED, [NewException(contact=1)], over)
    assert set(journal.writes.since(PORTAL, [1], began, now=over - timedelta(seconds=1))) == {1}
    assert journal.writes.since(PORTAL, [1], began, now=over) == {}


# What can be taken back


def test_of_a_run_that_counts_what_nobody_wrote_later(journal: Journal) -> None:
    """The rest is told apart; both are sorted by company, then contact."""
    run = run_of(journal, change(1, company=9), change(2), change(3), change(4, company=9))
    later = run_of(journal, change(3, before=2, after=5), change(4, company=9, before=2, after=5))
    run_of(journal, change(2, before=2, after=6), result=Result.DENIED)
    assert found(journal.writes.to_undo(PORTAL, run=run)) == ([(run, 2), (run, 1)], [(run, 3), (run, 4)])
    assert found(journal.writes.to_undo(PORTAL, run=later)) == ([(later, 3), (later, 4)], [])


def test_a_run_can_be_asked_about_one_contact_or_company(journal: Journal) -> None:
    """All that is given must hold."""
    run = run_of(journal, change(1, company=9), change(2), change(3))
    later = run_of(journal, change(3, before=2, after=5))
    assert found(journal.writes.to_undo(PORTAL, run=run, contact=2)) == ([(run, 2)], [])
    assert found(journal.writes.to_undo(PORTAL, run=run, company=9)) == ([(run, 1)], [])
    assert found(journal.writes.to_undo(PORTAL, run=run, contact=3)) == ([], [(run, 3)])
    assert journal.writes.to_undo(PORTAL, run=run, contact=1, company=7) is NothingToUndo.NOTHING_WRITTEN
    assert found(journal.writes.to_undo(PORTAL, contact=3)) == ([(later, 3)], [])
    assert found(journal.writes.to_undo(PORTAL, company=7)) == ([(run, 2), (later, 3)], [])


def test_a_contact_that_we_wrote_last_in_another_company_is_not_of_this_one(journal: Journal) -> None:
    """It has moved, and so has what counts."""
    run_of(journal, change(1, company=7))
    run_of(journal, change(1, company=8, before=2, after=3))
    assert journal.writes.to_undo(PORTAL, company=7) is NothingToUndo.NOTHING_WRITTEN


def test_a_second_undo_of_a_contact_reaches_the_write_before(journal: Journal) -> None:
    """And a third finds nothing."""
    first = run_of(journal, change(1, before=1, after=2))
    second = run_of(journal, change(1, before=2, after=3))
    for run in (second, first):
        answer = journal.writes.to_undo(PORTAL, contact=1)
        assert found(answer) == ([(run, 1)], [])
        assert isinstance(answer, OurWrites)
        undo(journal, *answer.latest)
    assert journal.writes.to_undo(PORTAL, contact=1) is NothingToUndo.NOTHING_WRITTEN
    assert taken_back(journal.writes.to_undo(PORTAL, run=first)) == [(first, 1)]


def test_an_undo_can_be_taken_back_by_its_run(journal: Journal) -> None:
    """Then the first write counts again."""
    first = run_of(journal, change(1))
    answer = journal.writes.to_undo(PORTAL, run=first)
    assert isinstance(answer, OurWrites)
    back = undo(journal, *answer.latest)
    answer = journal.writes.to_undo(PORTAL, run=back)
    assert found(answer) == ([(back, 1)], [])
    assert isinstance(answer, OurWrites)
    undo(journal, *answer.latest)
    assert found(journal.writes.to_undo(PORTAL, run=first)) == ([(first, 1)], [])
    assert taken_back(journal.writes.to_undo(PORTAL, run=back)) == [(back, 1)]


def test_what_lies_beneath_an_undo_of_something_forgotten_is_not_guessed(journal: Journal, clock: VirtualClock) -> None:
    """Retention removed the run that it took back, and with it all before."""
    run_of(journal, change(1, before=1, after=2))
    second = run_of(journal, change(1, before=2, after=3))
    answer = journal.writes.to_undo(PORTAL, run=second)
    assert isinstance(answer, OurWrites)
    clock.sleep(1)
    undo(journal, *answer.latest)
    clock.sleep(100 * 86_400)
    assert journal.housekeeping.prune(timedelta(days=99), clock.now(), nullcontext).runs == 2
    assert journal.writes.to_undo(PORTAL, contact=1) is NothingToUndo.NOTHING_WRITTEN


def test_why_there_is_nothing_to_take_back_of_a_run(journal: Journal) -> None:
    """Each reason is a value with its sentence."""
    empty = run_of(journal)
    tried = run_of(journal, *(change(contact) for contact in range(1, 4)), result=Result.UNKNOWN)
    pruned = run_of(journal, change(1))
    foreign = run_of(journal, change(1), portal="other")
    with journal._writing() as connection:
        connection.execute(delete(tables.run).where(tables.run.c.id == pruned))
    running = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, running, [change(1)])
    reasons = {
        empty: NothingToUndo.NOTHING_WRITTEN,
        tried: NothingToUndo.NOTHING_WRITTEN,
        pruned: NothingToUndo.PRUNED,
        foreign: NothingToUndo.NO_SUCH_RUN,
        running: NothingToUndo.UNDER_WAY,
        running + 1: NothingToUndo.NO_SUCH_RUN,
        0: NothingToUndo.NO_SUCH_RUN,
    }
    assert {run: journal.writes.to_undo(PORTAL, run=run) for run in reasons} == reasons
    assert len({reason.sentence for reason in NothingToUndo}) == len(NothingToUndo)


def test_an_empty_journal_has_nothing_to_take_back(journal: Journal) -> None:
    """Of a run, a contact, a company."""
    assert journal.writes.to_undo(PORTAL, run=1) is NothingToUndo.NO_SUCH_RUN
    assert journal.writes.to_undo(PORTAL, contact=1) is NothingToUndo.NOTHING_WRITTEN
    assert journal.writes.to_undo(PORTAL, company=1) is NothingToUndo.NOTHING_WRITTEN


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.one_of(st.frozensets(st.integers(1, 3)), st.integers(0, 3)), max_size=7))
def test_what_counts_is_what_the_contacts_hold(quick: Journal, steps: list[frozenset[int] | int]) -> None:
    """Writes (sets of contacts) and undoes (of the run so long ago), against the owners that contacts then have."""
    portal = f"portal-{next(_portal_numbers)}"
    owners: dict[int, int] = dict.fromkeys(range(1, 4), 100)
    fresh = count(1)
    runs: list[int] = []

    def write(changes: Iterable[Change]) -> None:
        for each in changes:
            assert owners[each.contact] == each.before, "an undo must find what it takes back"
            owners[each.contact] = each.after

    for step in steps:
        if isinstance(step, frozenset):
            new = [change(contact, before=owners[contact], after=next(fresh)) for contact in sorted(step)]
            runs.append(run_of(quick, *new, portal=portal))
            write(new)
        elif step < len(runs):
            answer = quick.writes.to_undo(portal, run=runs[-1 - step])
            if isinstance(answer, OurWrites):
                runs.append(undo(quick, *answer.latest, portal=portal))
                write(record.change for record in quick.changes(runs[-1]))
    for contact, owner in owners.items():
        answer = quick.writes.to_undo(portal, contact=contact)
        if isinstance(answer, OurWrites):
            assert [each.change.after for each in answer.latest] == [owner]
