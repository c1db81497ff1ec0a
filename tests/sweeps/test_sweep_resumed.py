"""A portal so large and slow that one slot does not suffice: what was read is kept, and the next run goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from support.portal_fixture import ANN, START
from support.sweeping import companies_of, truth, waiting
from support.world import CLEO, World, audit

from reconciler.core.companies import Strategy
from reconciler.core.model import Cause, Standing, Status
from reconciler.core.policy import Policies
from reconciler.engine.planning import PlanRequest, Rules, propose
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest
from reconciler.journal import tables
from reconciler.portal.read.sweep import Reader, SweepOptions
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.companies import Halfway
    from reconciler.engine.run import RunResult

OWNERS, COMPANIES, CONTACTS = 120, 3600, 4800
#: Each command takes a second, and fifty of them are a request: a slot is over after the first one.
SLOT = 45.0
OLD = START - 1000
STRATEGIES = pytest.mark.parametrize("strategy", Strategy)
#: How a sweep that was paused goes on: in further slots, or at once to its end.
GOING_ON = pytest.mark.parametrize("seconds", [SLOT, None], ids=["in-slots", "at-once"])
#: Contacts that drift from the start: of the first companies, of the last, and in between.
DRIFTED = (1, 2, 700, 2400, 4799)


@pytest.fixture
def large(make_world: Callable[..., World]) -> Callable[..., World]:
    """Return what makes a portal of 80 pages of companies and 120 owners, where five contacts drift."""

    def make(strategy: Strategy, **options: object) -> World:
        tactics = SweepOptions(strategy=strategy)
        world = make_world(**{"profile": Profile(read=1.0), "limits": "self-hosted", "tactics": tactics} | options)
        for owner in range(1000, 1000 + OWNERS):
            world.office.user(owner)
        owners = {company: 1000 + company % OWNERS for company in range(1, COMPANIES + 1)}
        contacts = {contact: contact % COMPANIES + 1 for contact in range(1, CONTACTS + 1)}
        with world.portal.database.lock:
            connection = world.portal.database.connection
            connection.executemany(
                "INSERT INTO company (id, assigned_by_id, date_create, date_modify) VALUES (?, ?, ?, ?)",
                [(company, owner, OLD, OLD) for company, owner in owners.items()],
            )
            connection.executemany(
                "INSERT INTO contact (id, assigned_by_id, company_id, date_create, date_modify) VALUES (?, ?, ?, ?, ?)",
                [(n, ANN if n in DRIFTED else owners[c], c, OLD, OLD) for n, c in contacts.items()],
            )
            connection.executemany(
                "INSERT INTO contact_company (contact_id, company_id, is_primary) VALUES (?, ?, 'Y')", contacts.items()
            )
        world.portal.database.write("UPDATE user SET name = name")  # so that counts in its cache are stale
        return world

    return make


def halfway(world: World) -> Halfway | None:
    """Return what the journal keeps of the sweep under way."""
    return world.journal.sweeps.known("portal").halfway


def sightings(world: World) -> int:
    """Return how many contacts it keeps."""
    with world.journal._reading() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.sighting)).scalar_one())


def slot(world: World, seconds: float | None = SLOT) -> RunResult:
    """Run as the service does, and let ten minutes pass."""
    finished = reconcile(world.worker, RunRequest(command="service", seconds=seconds))
    world.clock.sleep(600)
    return finished


def until(world: World, phase: str) -> None:
    """Run until companies or contacts are half read."""
    for _ in range(10):
        finished = slot(world)
        assert finished.report.status is Status.INCOMPLETE
        kept = halfway(world)
        assert kept is not None
        if (phase == "companies") is (kept.companies_up_to is not None):
            return
    raise AssertionError(f"the sweep never came to the {phase}")


def to_the_end(
    world: World, between: Callable[[], object] = lambda: None, seconds: float | None = SLOT
) -> list[RunResult]:
    """Run until a sweep comes to its end."""
    runs = []
    for _ in range(12):
        runs.append(slot(world, seconds))
        if runs[-1].proposal is not None:
            return runs
        between()
    raise AssertionError("the sweep never came to its end")


def drift_of(finished: RunResult) -> set[int]:
    """Return the contacts that a sweep found."""
    assert finished.proposal is not None
    return {mismatch.contact for mismatch in finished.proposal.snapshot.mismatches}


@STRATEGIES
def test_a_sweep_over_several_slots(large: Callable[..., World], strategy: Strategy) -> None:
    """Each run but the last ends incomplete, says how far it came, and nothing is read twice but for a look."""
    whole = large(strategy)
    reading = whole.run(limit=0).report.usage.commands
    world = large(strategy)
    expected = truth(world.office)
    runs = to_the_end(world)
    assert len(runs) > 2
    shares = []
    for finished in runs[:-1]:
        assert finished.report.status is Status.INCOMPLETE
        error = finished.report.error or ""
        assert "is read and kept, and the next run goes on from there" in error
        shares.append(int(error.split("%")[0].rsplit(" ", 1)[1]))
    assert shares == sorted(set(shares))
    audit(world)
    assert runs[-1].report.status is Status.APPLIED
    assert runs[-1].proposal is not None
    assert set(runs[-1].proposal.snapshot.mismatches) == expected
    assert {c.cause for c in runs[-1].proposal.plan.changes} == {Cause.UNKNOWN}
    assert truth(world.office) == set()
    writing = sum(exchange.commands for exchange in world.witness.exchanges if exchange.updates or exchange.probes)
    # Besides, each slot has a look or a survey, reads what was found again, and cuts its windows anew.
    assert sum(run.report.usage.commands for run in runs) - writing <= reading + 8 * len(runs)


@STRATEGIES
def test_a_slot_that_ends_on_pages_that_overflow(large: Callable[..., World], strategy: Strategy) -> None:
    """Where numbers lie close, a window holds more than a page: its rest is read before the pause."""
    world = large(strategy)
    with world.portal.database.lock:
        for table in ("company", "contact"):
            world.portal.database.connection.execute(f"UPDATE {table} SET id = id * 9 WHERE id > 1800")  # noqa: S608
        world.portal.database.connection.execute(
            "UPDATE contact SET company_id = company_id * 9 WHERE company_id > 1800"
        )
    for contact in range(50_001, 50_071):
        world.office.contact(contact, ANN, 120)
    expected = truth(world.office)
    finished = to_the_end(world)[-1]
    assert finished.proposal is not None
    assert set(finished.proposal.snapshot.mismatches) == expected
    assert finished.proposal.snapshot.roster == companies_of(world.office)


@STRATEGIES
def test_what_the_journal_keeps_meanwhile(large: Callable[..., World], strategy: Strategy) -> None:
    """Companies first, then where the comparison stands and what it has found; nothing when it is done."""
    world = large(strategy)
    until(world, "companies")
    kept = halfway(world)
    assert kept is not None
    assert kept.owners == {n: o for n, o in companies_of(world.office).items() if n <= (kept.companies_up_to or 0)}
    assert world.journal.sweeps.known("portal").roster is None
    until(world, "contacts")
    kept = halfway(world)
    assert kept is not None
    assert (kept.strategy, kept.companies_up_to) == (strategy, None)
    assert kept.position > (0, 0)
    assert sightings(world) == len(kept.found) > 0
    roster = world.journal.sweeps.known("portal").roster
    assert roster is not None
    assert roster.owners == companies_of(world.office)
    assert world.journal.sweeps.known("portal").last is None
    to_the_end(world)
    assert halfway(world) is None
    assert sightings(world) == 0
    assert world.journal.sweeps.known("portal").last is not None


@STRATEGIES
def test_restarts_in_between(large: Callable[..., World], strategy: Strategy) -> None:
    """Another process goes on with what the journal keeps."""
    world = large(strategy)
    runs = to_the_end(world, world.restart)
    assert len(runs) > 2
    assert drift_of(runs[-1]) == set(DRIFTED)


@STRATEGIES
@GOING_ON
@pytest.mark.parametrize("phase", ["companies", "contacts"])
def test_people_who_work_in_what_was_read_already(
    large: Callable[..., World], strategy: Strategy, phase: str, seconds: float | None
) -> None:
    """Hand-overs, new and deleted companies; contacts set right or deleted: the plan at the end is right."""
    world = large(strategy)
    people = world.portal.people
    until(world, phase)
    people.edit_company(2, 1, assigned_by_id=CLEO)
    people.edit_company(COMPANIES, 1, assigned_by_id=CLEO)
    people.edit_company(3, 1, assigned_by_id=ANN)  # the owner that its contact has
    people.delete_company(11)
    people.create_company(CLEO)
    people.edit_contact(1, CLEO, assigned_by_id=CLEO)  # of company 2
    people.delete_contact(700)
    finished = to_the_end(world, seconds=seconds)[-1]
    assert finished.proposal is not None
    found, left = set(finished.proposal.snapshot.mismatches), truth(world.office)
    assert left == set()  # it wrote them all
    assert drift_of(finished) >= {2401 - 1, 4799}
    assert not drift_of(finished) & {1, 2, 700}
    assert all(mismatch.company_owner == world.owner_of(mismatch.contact) for mismatch in found)
    assert not finished.report.outcomes.get("conflict")
    assert slot(world).report.drift == 0


@STRATEGIES
def test_most_companies_change_hands_while_they_are_read(large: Callable[..., World], strategy: Strategy) -> None:
    """More than are worth looking at one by one elsewhere: here there is no other way to know."""
    world = large(strategy)
    until(world, "companies")
    now = int(world.clock.now().timestamp())
    world.portal.database.write("UPDATE company SET assigned_by_id = 9, date_modify = ? WHERE id <= 1200", (now,))
    drifted = truth(world.office)
    finished = to_the_end(world, seconds=None)[-1]
    assert finished.report.status is Status.REFUSED
    assert finished.proposal is not None
    assert finished.proposal.snapshot.roster == companies_of(world.office)
    assert set(finished.proposal.snapshot.mismatches) == drifted


@STRATEGIES
def test_what_was_written_meanwhile_is_nobodys_change_back(large: Callable[..., World], strategy: Strategy) -> None:
    """A run with a limit is not remembered, as one that is killed: what it wrote must not look like a fight."""
    world = large(strategy)
    until(world, "contacts")
    written: set[int] = set()
    for _ in range(10):
        finished = world.run(seconds=SLOT, limit=2)
        if finished.proposal is not None:
            written = {change.contact for change in finished.proposal.plan.changes}
            break
    assert len(written) == 2
    assert halfway(world) is not None
    finished = slot(world)
    assert drift_of(finished) == set(DRIFTED) - written
    assert finished.report.causes == {Cause.UNKNOWN: 3}
    assert halfway(world) is None


@STRATEGIES
@GOING_ON
def test_a_card_that_is_being_edited_settles_also_when_the_sweep_began_long_ago(
    large: Callable[..., World], strategy: Strategy, seconds: float | None
) -> None:
    """How young an edit is, is told by the end of a sweep: its beginning may lie hours back."""
    world = large(strategy)
    to_the_end(world)
    world.worker = replace(world.worker, rules=Rules(policies=Policies(settle=timedelta(minutes=5))))
    until(world, "contacts")
    world.clock.sleep(3 * 3600)

    names = iter("abcdefghijkl")

    def edit() -> None:  # of the last owner's companies, and behind the pages that were read
        world.portal.people.edit_contact(3718, CLEO, assigned_by_id=CLEO, name=next(names))

    edit()
    finished = to_the_end(world, edit, seconds=seconds)[-1]
    assert finished.proposal is not None
    skips = finished.proposal.plan.skips
    assert [skip.mismatch.contact for skip in skips if skip.reason is Standing.SETTLING] == [3718]
    assert world.owner_of(3718) == CLEO
    world.clock.sleep(600)
    to_the_end(world)
    assert truth(world.office) == set()


@STRATEGIES
@pytest.mark.parametrize("phase", ["companies", "contacts"])
@pytest.mark.parametrize("wait", [timedelta(hours=23), timedelta(hours=25)], ids=["hours", "a-day"])
def test_an_old_beginning_is_begun_anew(
    large: Callable[..., World], strategy: Strategy, phase: str, wait: timedelta
) -> None:
    """What was compared a day ago says little."""
    world = large(strategy)
    until(world, phase)
    before = halfway(world)
    world.clock.sleep(wait.total_seconds())
    finished = to_the_end(world)[-1]
    assert before is not None
    assert (finished.report.taken_at == before.began) is (wait < timedelta(days=1))
    assert drift_of(finished) == set(DRIFTED)


@STRATEGIES
@pytest.mark.parametrize("phase", ["companies", "contacts"])
def test_a_plan_that_is_only_shown_neither_goes_on_nor_keeps(
    large: Callable[..., World], strategy: Strategy, phase: str
) -> None:
    """`reconciler plan` reads all there is, and leaves the journal as it was."""
    world = large(strategy)
    until(world, phase)
    before = halfway(world)
    ground = PlanRequest(portal="portal", clock=world.clock)
    reader = Reader(world.worker.client, lambda *_: None, world.worker.tactics)
    proposal = propose(reader, world.journal, ground)
    assert set(proposal.snapshot.mismatches) == truth(world.office)
    assert halfway(world) == before


@STRATEGIES
@GOING_ON
def test_companies_that_vanish_in_the_middle_of_a_read(
    large: Callable[..., World], strategy: Strategy, seconds: float | None
) -> None:
    """Their contacts wait all the same, also where an earlier slot has marked the company as vanished."""
    world = large(strategy)
    to_the_end(world)
    world.portal.people.delete_company(10)
    world.portal.people.bind_from_company(5, 9)
    until(world, "companies")
    assert waiting(to_the_end(world, seconds=seconds)[-1].proposal) == {9}
    world.clock.sleep(7 * 3600)
    assert waiting(to_the_end(world)[-1].proposal) == set()
    assert world.owner_of(9) == 1005


@STRATEGIES
def test_a_suspicious_read_over_several_slots_comes_to_an_end(large: Callable[..., World], strategy: Strategy) -> None:
    """It would be read once more for ever: the guard refuses what follows from it instead."""
    world = large(strategy)
    to_the_end(world)
    world.portal.database.write("DELETE FROM company WHERE id > 2500")
    world.portal.people.edit_contact(1, CLEO, assigned_by_id=CLEO)
    for _ in range(3):
        finished = to_the_end(world)[-1]
        assert finished.report.status is Status.REFUSED
        assert "companies known before are missing" in (finished.report.error or "")
    last = world.journal.sweeps.known("portal").last
    assert last is not None
    assert last.companies == COMPANIES
    assert finished.refusal is not None
    assert world.run(approve=finished.refusal.digest).report.status is Status.APPLIED
    assert halfway(world) is None


@STRATEGIES
def test_deletions_in_each_slot_do_not_begin_it_anew(large: Callable[..., World], strategy: Strategy) -> None:
    """Where something is always deleted, and all companies fit into a slot, a sweep comes to its end all the same."""
    world = large(strategy)
    gone = iter(range(20, 60))
    until(world, "contacts")
    world.portal.people.delete_company(next(gone))
    before = halfway(world)
    runs = to_the_end(world, lambda: world.portal.people.delete_company(next(gone)), seconds=100.0)
    assert before is not None
    assert runs[-1].report.taken_at == before.began
    assert drift_of(runs[-1]) == set(DRIFTED)


@GOING_ON
@pytest.mark.parametrize("phase", ["companies", "contacts"])
def test_a_clock_that_is_set_back_begins_it_anew(
    large: Callable[..., World], phase: str, seconds: float | None
) -> None:
    """What was kept would lie in the future, and nobody could ask what has changed since."""
    world = large(Strategy.DRIFT)
    until(world, phase)
    world.portal.clock_offset = -7200.0
    world.portal.people.edit_company(2, 1, assigned_by_id=CLEO)
    runs = to_the_end(world, seconds=seconds)
    assert drift_of(runs[-1]) == {*DRIFTED, 3601}
    assert world.owner_of(1) == CLEO
    last = world.journal.sweeps.known("portal").last
    assert last is not None
    assert last.taken_at < world.clock.now() - timedelta(hours=1)


def test_a_run_by_hand_reads_on_to_the_end(large: Callable[..., World]) -> None:
    """Without a slot a sweep is not paused; what it has is kept each minute, in case it is killed."""
    world = large(Strategy.PAGES)
    kept: list[Halfway | None] = []
    world.witness.after = lambda _: kept.append(halfway(world))
    world.run()
    assert truth(world.office) == set()
    assert {each.position > (0, 0) for each in kept if each is not None} == {True}
    assert halfway(world) is None
