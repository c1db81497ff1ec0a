"""What a journal remembers of runs, changes and users."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from journal_values import PORTAL, change, outcome

from reconciler.core.model import Result, RunReport, Standing, Status, Usage, User
from reconciler.journal.store import ChangeRecord, Journal, OpenIntent, open_journal

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.clock import VirtualClock


def report(run: int | None, status: Status = Status.IN_SYNC, **numbers: int) -> RunReport:
    """Return a report with nothing in it but these numbers."""
    return RunReport(run=run, status=status, **numbers)


def test_a_finished_run_reads_back_as_it_was_reported(journal: Journal, clock: VirtualClock) -> None:
    """Every number, the reasons and the outcomes survive; times are the clock's."""
    began = clock.now()
    run = journal.begin(portal=PORTAL, command="--once")
    journal.intend(run, [change(1), change(2)])
    journal.settle(run, [outcome(1), outcome(2, Result.DENIED, "Access denied.")])
    clock.sleep(12.5)
    told = RunReport(
        run=run,
        status=Status.PARTIAL,
        companies=20,
        contacts=100,
        drift=5,
        standing=3,
        reasons={Standing.OWNER_DISMISSED: 2, Standing.OWNER_MISSING: 1},
        outcomes={Result.APPLIED: 1, Result.DENIED: 1},
        usage=Usage(requests=3, commands=61, operating_seconds=1.25, duration_seconds=12.5),
        error="one change was denied",
    )
    journal.finish(told)
    record = journal.find_run(run)
    assert record is not None
    assert record.report == told
    assert (record.portal, record.command) == (PORTAL, "--once")
    assert (record.started_at, record.finished_at) == (began, began + timedelta(seconds=12.5))


def test_runs_come_newest_first_and_no_more_than_asked_for(journal: Journal) -> None:
    """`latest` is the first of them."""
    numbers = [journal.begin(portal=PORTAL, command="service") for _ in range(3)]
    assert [record.report.run for record in journal.runs()] == numbers[::-1]
    assert [record.report.run for record in journal.runs(limit=2)] == [numbers[2], numbers[1]]
    latest = journal.find_run("latest")
    assert latest is not None
    assert latest.report.run == numbers[2]


def test_an_empty_journal_has_no_run(journal: Journal) -> None:
    """Nothing is found, and nothing fails."""
    assert journal.runs() == []
    assert journal.find_run("latest") is None
    assert journal.find_run(4711) is None
    assert journal.changes(4711) == []
    assert journal.open_intents(PORTAL) == []
    assert journal.user_names(PORTAL) == {}


def test_a_run_under_way_shows_its_outcomes_so_far(journal: Journal) -> None:
    """It has no end, and counts as incomplete until it has."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1), change(2)])
    journal.settle(run, [outcome(1)])
    record = journal.find_run(run)
    assert record is not None
    assert record.finished_at is None
    assert record.report.status is Status.INCOMPLETE
    assert record.report.outcomes == {Result.APPLIED: 1}


def test_beginning_a_run_closes_an_abandoned_one_of_the_same_portal_only(journal: Journal, clock: VirtualClock) -> None:
    """Its intents stay open: only the portal knows what became of them."""
    dead = journal.begin(portal=PORTAL, command="service")
    other = journal.begin(portal="other", command="service")
    journal.intend(dead, [change(1)])
    intended = clock.now()
    clock.sleep(600)
    journal.begin(portal=PORTAL, command="service")
    record = journal.find_run(dead)
    assert record is not None
    assert record.report.status is Status.FAILED
    assert record.report.error == "The program ended in the middle of this run; the next one settles what it left open."
    assert record.finished_at == clock.now()
    assert journal.open_intents(PORTAL) == [OpenIntent(run=dead, change=change(1), attempted_at=intended)]
    untouched = journal.find_run(other)
    assert untouched is not None
    assert untouched.finished_at is None


def test_a_run_that_never_began_cannot_be_finished(journal: Journal) -> None:
    """A bug of the caller, and no fault of the database."""
    for run in (None, 4711):
        with pytest.raises(ValueError, match=f"there is no run {run} to finish"):
            journal.finish(report(run))


def test_an_intent_is_open_until_its_outcome_is_known(journal: Journal, clock: VirtualClock) -> None:
    """And keeps the times of both."""
    run = journal.begin(portal=PORTAL, command="service")
    intended = clock.now()
    journal.intend(run, [change(1)])
    assert journal.open_intents(PORTAL) == [OpenIntent(run=run, change=change(1), attempted_at=clock.now())]
    assert journal.open_intents("other") == []
    clock.sleep(2)
    journal.settle(run, [outcome(1, Result.FAILED, "The portal said no.")])
    assert journal.open_intents(PORTAL) == []
    assert journal.changes(run) == [
        ChangeRecord(
            id=1,
            run=run,
            change=change(1),
            result=Result.FAILED,
            detail="The portal said no.",
            intended_at=intended,
            attempted_at=intended,
            attempts=1,
            settled_at=intended + timedelta(seconds=2),
        )
    ]


def test_intending_the_same_change_again_counts_an_attempt(journal: Journal, clock: VirtualClock) -> None:
    """The first time stays, the latest is kept, and there is one row."""
    run = journal.begin(portal=PORTAL, command="service")
    first = clock.now()
    journal.intend(run, [change(1)])
    clock.sleep(30)
    journal.intend(run, [change(1), change(2)])
    again, fresh = journal.changes(run)
    assert (again.intended_at, again.attempted_at, again.attempts) == (first, clock.now(), 2)
    assert (fresh.intended_at, fresh.attempted_at, fresh.attempts) == (clock.now(), clock.now(), 1)


def test_a_settled_change_that_is_intended_again_is_open_again(journal: Journal, clock: VirtualClock) -> None:
    """A crash in the second attempt must not look like the outcome of the first."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1)])
    journal.settle(run, [outcome(1, Result.FAILED, "busy")])
    clock.sleep(30)
    journal.intend(run, [change(1)])
    (record,) = journal.changes(run)
    assert (record.result, record.settled_at, record.detail, record.attempts) == (None, None, "", 2)
    assert journal.open_intents(PORTAL) == [OpenIntent(run=run, change=change(1), attempted_at=clock.now())]


def test_an_outcome_without_an_intent_is_stored_as_never_sent(journal: Journal, clock: VirtualClock) -> None:
    """A conflict that the check found: no request left, yet it counts."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.settle(run, [outcome(1, Result.CONFLICT)])
    (record,) = journal.changes(run)
    assert (record.result, record.intended_at, record.attempts) == (Result.CONFLICT, None, 0)
    assert record.settled_at == clock.now()
    journal.intend(run, [change(1)])
    (record,) = journal.changes(run)
    assert (record.result, record.intended_at, record.attempts) == (None, clock.now(), 1)


@pytest.mark.parametrize(
    "other",
    [change(1, company=8), change(1, before=3), change(1, after=3)],
    ids=["company", "before", "after"],
)
def test_a_run_keeps_one_change_for_a_contact(journal: Journal, other: object) -> None:
    """Another one would write over what undo needs; nothing of its transaction is stored."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1)])
    with pytest.raises(ValueError, match="one change for a contact"):
        journal.intend(run, [change(5), other])
    assert [record.change for record in journal.changes(run)] == [change(1)]


@pytest.mark.parametrize(
    "wrong",
    [change(0), change(1, company=0), change(1, before=-1), change(1, after=0), change(1, before=2)],
    ids=["no-contact", "no-company", "negative-owner", "no-owner", "no-op"],
)
def test_a_senseless_change_is_never_intended(journal: Journal, wrong: object) -> None:
    """The database holds the rule, whoever forgets it."""
    run = journal.begin(portal=PORTAL, command="service")
    with pytest.raises(ValueError, match="rules forbid"):
        journal.intend(run, [change(5), wrong])
    assert journal.changes(run) == []


def test_nothing_to_intend_or_settle_is_nothing(journal: Journal) -> None:
    """Empty chunks are ordinary."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [])
    journal.settle(run, [])
    journal.remember_users(PORTAL, [])
    assert journal.changes(run) == []


def test_changes_are_sorted_by_company_then_contact(journal: Journal) -> None:
    """Whatever the order in which they were written."""
    run = journal.begin(portal=PORTAL, command="service")
    scattered = [change(3, company=9), change(1, company=9), change(2, company=8)]
    journal.intend(run, scattered)
    assert [record.change for record in journal.changes(run)] == [scattered[2], scattered[1], scattered[0]]


def test_a_later_run_settles_an_old_intent_under_the_old_run(journal: Journal, clock: VirtualClock) -> None:
    """The old run's sums become right; nothing else of it moves, and the new run does not count it."""
    old = journal.begin(portal=PORTAL, command="service")
    journal.intend(old, [change(1), change(2)])
    journal.settle(old, [outcome(1)])
    clock.sleep(600)
    new = journal.begin(portal=PORTAL, command="service")
    closed = journal.find_run(old)
    clock.sleep(1)
    journal.settle(old, [outcome(2, Result.ALREADY)])
    settled, fresh = journal.find_run(old), journal.find_run(new)
    assert closed is not None
    assert settled is not None
    assert fresh is not None
    assert closed.report.outcomes == {Result.APPLIED: 1}
    assert settled.report.outcomes == {Result.APPLIED: 1, Result.ALREADY: 1}
    assert settled.report.status is Status.FAILED
    assert settled.finished_at == closed.finished_at
    assert fresh.report.outcomes == {}


def test_the_program_dies_between_intent_and_outcome(url: str, clock: VirtualClock) -> None:
    """Killed without a chance to clean up, it leaves the intent for the next start, in a file that can be read."""
    script = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from journal_values import PORTAL, change
from reconciler.clock import SystemClock
from reconciler.journal.store import open_journal
journal = open_journal({url!r}, SystemClock())
with journal.lease(0):
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1), change(2)])
    assert "alembic" not in sys.modules, "an up-to-date journal needs no migration"
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=20).returncode == -9
    with open_journal(url, clock, read_only=True) as reader:
        (record,) = reader.runs()
        assert record.finished_at is None
    with open_journal(url, clock) as journal, journal.lease(0):
        run = journal.begin(portal=PORTAL, command="service")
        opened = journal.open_intents(PORTAL)
        assert [(intent.run, intent.change) for intent in opened] == [(run - 1, change(1)), (run - 1, change(2))]


def test_a_reader_sees_what_is_committed_while_a_run_writes(journal: Journal, url: str, clock: VirtualClock) -> None:
    """And does not make the run wait."""
    run = journal.begin(portal=PORTAL, command="service")
    with open_journal(url, clock, read_only=True) as reader:
        journal.intend(run, [change(1)])
        with reader._reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM change").scalar_one()
            journal.settle(run, [outcome(1)])
        assert [record.result for record in reader.changes(run)] == [Result.APPLIED]


def test_users_are_remembered_by_portal_under_their_latest_name(journal: Journal) -> None:
    """Names serve reports; those of somebody who is gone stay."""
    anna = User(id=1, name="Anna", active=True, employee=True)
    boris = User(id=2, name="Boris", active=True, employee=True)
    journal.remember_users(PORTAL, [anna, boris])
    journal.remember_users(PORTAL, [User(id=1, name="Anna Berg", active=False, employee=True)])
    journal.remember_users("other", [User(id=1, name="Carla", active=True, employee=False)])
    assert journal.user_names(PORTAL) == {1: "Anna Berg", 2: "Boris"}
    assert journal.user_names("other") == {1: "Carla"}


@pytest.mark.parametrize("status", list(Status))
def test_a_success_is_a_run_that_saw_the_whole_portal(journal: Journal, clock: VirtualClock, status: Status) -> None:
    """A refused plan is one, too: it waits for a person, not for another look."""
    run = journal.begin(portal=PORTAL, command="service")
    clock.sleep(5)
    journal.finish(report(run, status))
    saw_all = status in {Status.IN_SYNC, Status.APPLIED, Status.PARTIAL, Status.REFUSED}
    assert journal.last_success(PORTAL) == (clock.now() if saw_all else None)
    assert journal.last_attempt(PORTAL) == clock.now() - timedelta(seconds=5)


def test_attempts_and_successes_belong_to_a_portal(journal: Journal, clock: VirtualClock) -> None:
    """The latest of each counts."""
    for seconds in (0, 600):
        clock.sleep(seconds)
        journal.finish(report(journal.begin(portal=PORTAL, command="service")))
    success = clock.now()
    clock.sleep(600)
    journal.begin(portal=PORTAL, command="service")
    assert journal.last_success(PORTAL) == success
    assert journal.last_attempt(PORTAL) == clock.now()
    assert journal.last_success("other") is None
    assert journal.last_attempt("other") is None


def test_run_numbers_are_never_given_out_again(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Also when retention has removed the latest run."""
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1)])
    with journal._writing() as connection:
        connection.exec_driver_sql("DELETE FROM run")
    assert journal.changes(run) == []
    journal.close()
    with open_journal(url, clock) as again:
        assert again.begin(portal=PORTAL, command="service") == run + 1


def test_no_name_of_a_contact_or_company_has_a_place(journal: Journal, tmp_path: Path) -> None:
    """The journal is a file that people copy: text columns are ours, except the names of users."""
    with journal._reading() as connection:
        text = connection.exec_driver_sql(
            "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND c.name LIKE '%name%' AND m.name <> 'sqlite_sequence'"
        ).scalars()
        assert set(text) == {"portal.name", "user.name"}
    assert journal.path == tmp_path / "journal.db"
