"""Contacts that are left alone: from when, why, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import PORTAL, carry_out, change, swept

from reconciler.core.model import Standing
from reconciler.journal.exceptions import BY_COMPANY_OWNER, BY_TIME
from reconciler.journal.records import ExceptionRecord, NewException, Selection
from reconciler.journal.rows import Links
from reconciler.journal.store import open_journal

if TYPE_CHECKING:
    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = 86_400.0
QUARANTINED, RESPECTED, UNDONE, KEPT = (
    Standing.QUARANTINED,
    Standing.RESPECTED,
    Standing.UNDONE,
    Standing.KEPT,
)
_portal_numbers = count()


def entry(contact: int, *, company: int = 7, company_owner: int | None = 2) -> NewException:
    """Return a contact of company 7, whose owner is 2."""
    return NewException(contact=contact, company=company, company_owner=company_owner)


def sweep(journal: Journal, owner: int = 2, *, portal: str = PORTAL) -> None:
    """Let a complete sweep find this owner of company 7."""
    journal.sweeps.remember(portal, swept({7: owner, 8: 1}, NOON), [])


def test_an_exception_keeps_all_that_led_to_it(journal: Journal, clock: VirtualClock) -> None:
    """Since when, why, who edited the contact last and when, and when it ends by itself."""
    run = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, run, [change(1)])
    (write,) = journal.changes(run)
    full = NewException(
        contact=1,
        company=7,
        company_owner=2,
        owner=1,
        change=write.id,
        last_editor=44,
        last_edited_at=NOON,
        detail="changed back three times",
    )
    ends = clock.now() + timedelta(days=7)
    assert journal.exceptions.add(PORTAL, QUARANTINED, [full], expires_at=ends) == [1]
    record = ExceptionRecord(
        id=1, kind=QUARANTINED, entry=full, since=clock.now(), expires_at=ends, released_at=None, released_by=None
    )
    assert journal.exceptions.entries(PORTAL) == [record]
    assert journal.exceptions.entries(PORTAL, Selection(contacts=[1])) == [record]
    assert journal.exceptions.find(PORTAL, 1) == record
    assert journal.exceptions.entries(PORTAL, Selection(contacts=[2])) == []
    assert journal.exceptions.find("other", 1) is None


def test_the_same_contact_is_excepted_once(journal: Journal, clock: VirtualClock) -> None:
    """Only the new ones are told, so that a notice goes out once; the first keeps its time."""
    began = clock.now()
    assert journal.exceptions.add(PORTAL, RESPECTED, []) == []
    assert journal.exceptions.add(PORTAL, RESPECTED, [entry(1), entry(2), entry(1)]) == [1, 2]
    clock.sleep(600)
    assert journal.exceptions.add(PORTAL, RESPECTED, [entry(1), entry(3)]) == [3]
    assert {each.entry.contact: each.since for each in journal.exceptions.entries(PORTAL)}[1] == began
    assert journal.exceptions.add("other", RESPECTED, [entry(1)]) == [1]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([KEPT, RESPECTED], RESPECTED),
        ([RESPECTED, UNDONE], UNDONE),
        ([UNDONE, QUARANTINED, KEPT], QUARANTINED),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_of_several_reasons_the_gravest_is_told(journal: Journal, kinds: list[Standing], told: Standing) -> None:
    """Whatever their order."""
    for kind in kinds:
        journal.exceptions.add(PORTAL, kind, [entry(1)])
    assert journal.exceptions.in_force(PORTAL) == {1: told}
    assert len(journal.exceptions.entries(PORTAL)) == len(kinds)


# Time


def test_time_ends_an_exception_for_everybody_who_looks(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Also for one who may only look; it is written down later."""
    journal.exceptions.add(PORTAL, QUARANTINED, [entry(1)], expires_at=clock.now() + timedelta(days=1))
    journal.exceptions.add(PORTAL, QUARANTINED, [entry(2)])
    clock.sleep(DAY - 1)
    assert journal.exceptions.in_force(PORTAL) == {1: QUARANTINED, 2: QUARANTINED}
    clock.sleep(1)
    with open_journal(url, clock, read_only=True) as reader:
        assert reader.exceptions.in_force(PORTAL) == {2: QUARANTINED}
        assert [each.entry.contact for each in reader.exceptions.entries(PORTAL)] == [2]
    sweep(journal)
    clock.sleep(60)
    sweep(journal)
    record = journal.exceptions.find(PORTAL, 1)
    assert record is not None
    assert (record.released_at, record.released_by) == (clock.now() - timedelta(minutes=1), BY_TIME)


def test_what_time_has_ended_can_be_excepted_anew(journal: Journal, clock: VirtualClock) -> None:
    """And stays as history."""
    for number in (1, 2):
        ends = clock.now() + timedelta(days=1)
        assert journal.exceptions.add(PORTAL, QUARANTINED, [entry(1)], expires_at=ends) == [1]
        clock.sleep(DAY)
        record = journal.exceptions.find(PORTAL, number)
        assert record is not None
        assert record.since == clock.now() - timedelta(days=1)


# People


def test_a_person_releases_an_exception(journal: Journal, clock: VirtualClock) -> None:
    """Under a name, once; of this portal only."""
    journal.exceptions.add(PORTAL, UNDONE, [entry(1), entry(2)])
    clock.sleep(5)
    assert journal.exceptions.release("other", [1], by="anna") == 0
    assert journal.exceptions.release(PORTAL, [1, 99], by="anna") == 1
    assert journal.exceptions.release(PORTAL, [1], by="boris") == 0
    record = journal.exceptions.find(PORTAL, 1)
    assert record is not None
    assert (record.released_at, record.released_by) == (clock.now(), "anna")
    assert journal.exceptions.in_force(PORTAL) == {2: UNDONE}
    assert journal.exceptions.add(PORTAL, UNDONE, [entry(1)]) == [1]


# The company's owner


@pytest.mark.parametrize(
    ("kind", "ends"), [(RESPECTED, True), (UNDONE, True), (QUARANTINED, True), (KEPT, False)], ids=str
)
def test_a_new_owner_of_the_company_ends_what_stood_against_the_old_one(
    journal: Journal, clock: VirtualClock, kind: Standing, ends: bool
) -> None:
    """At once for the sweep that sees it, and for good when that sweep is remembered."""
    sweep(journal)
    journal.exceptions.add(PORTAL, kind, [entry(1), entry(2, company=8, company_owner=1)])
    sweep(journal)
    assert journal.exceptions.in_force(PORTAL, {7: 2, 8: 1}) == {1: kind, 2: kind}
    left = {2: kind} if ends else {1: kind, 2: kind}
    assert journal.exceptions.in_force(PORTAL, {7: 3, 8: 1}) == left
    sweep(journal, 3, portal="other")
    assert journal.exceptions.in_force(PORTAL) == {1: kind, 2: kind}
    clock.sleep(60)
    sweep(journal, 3)
    assert journal.exceptions.in_force(PORTAL) == left
    record = journal.exceptions.find(PORTAL, 1)
    assert record is not None
    assert (record.released_at, record.released_by) == ((clock.now(), BY_COMPANY_OWNER) if ends else (None, None))


def test_an_old_exception_does_not_stand_in_the_way_of_one_against_the_new_owner(journal: Journal) -> None:
    """Within the run that sees the new owner, before its sweep is remembered."""
    sweep(journal)
    journal.exceptions.add(PORTAL, RESPECTED, [entry(1, company_owner=2), entry(2, company_owner=2)])
    assert journal.exceptions.add(PORTAL, RESPECTED, [entry(1, company_owner=3)]) == [1]
    sweep(journal, 3)
    assert journal.exceptions.in_force(PORTAL) == {1: RESPECTED}


def test_an_exception_without_a_look_at_the_company_holds_against_the_owner_that_is_found(journal: Journal) -> None:
    """An undo does not ask who owns the company; what it took back must not be done again by the next sweep."""
    sweep(journal)
    journal.exceptions.add(PORTAL, UNDONE, [entry(1, company_owner=None)])
    assert journal.exceptions.in_force(PORTAL, {7: 3}) == {1: UNDONE}
    sweep(journal, 3)
    assert journal.exceptions.in_force(PORTAL) == {1: UNDONE}
    sweep(journal, 4)
    assert journal.exceptions.in_force(PORTAL) == {}


def test_a_company_that_is_gone_ends_nothing(journal: Journal) -> None:
    """Nobody owns it now; nor does a contact without a company wait for one."""
    sweep(journal)
    journal.exceptions.add(PORTAL, UNDONE, [entry(1), NewException(contact=2)])
    journal.sweeps.remember(PORTAL, swept({8: 1}, NOON), [])
    assert journal.exceptions.in_force(PORTAL, {8: 1}) == {1: UNDONE, 2: UNDONE}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([QUARANTINED, KEPT]), st.integers(1, 3), st.sampled_from([0, 90])),
        st.tuples(st.just("release"), st.integers(1, 3)),
        st.tuples(st.just("sleep"), st.sampled_from([10, 100])),
        st.tuples(st.just("sweep"), st.integers(1, 2)),
    ),
    max_size=10,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=_STEPS)
def test_exceptions_follow_any_order_of_events(
    quick: Journal, clock: VirtualClock, steps: list[tuple[object, ...]]
) -> None:
    """A model of one dictionary says the same."""
    portal, owner = f"portal-{next(_portal_numbers)}", 1
    model: dict[tuple[int, Standing], float] = {}
    exceptions = quick.exceptions
    for step in steps:
        match step:
            case ("add", Standing() as kind, int(contact), int(seconds)):
                ends = clock.now() + timedelta(seconds=seconds) if seconds else None
                new = exceptions.add(portal, kind, [entry(contact, company_owner=owner)], expires_at=ends)
                assert new == ([] if (contact, kind) in model else [contact])
                model.setdefault((contact, kind), clock.monotonic() + (seconds or 1e9))
            case ("release", int(contact)):
                chosen = [each.id for each in exceptions.entries(portal, Selection(contacts=[contact]))]
                assert exceptions.release(portal, chosen, by="anna") == len(chosen)
                model = {key: ends for key, ends in model.items() if key[0] != contact}
            case ("sleep", int(seconds)):
                clock.sleep(seconds)
            case ("sweep", int(found)):
                model = {key: ends for key, ends in model.items() if found == owner or key[1] is KEPT}
                owner = found
                sweep(quick, owner, portal=portal)
        model = {key: ends for key, ends in model.items() if clock.monotonic() < ends}
        assert {(each.entry.contact, each.kind) for each in exceptions.entries(portal)} == set(model)
        assert set(exceptions.in_force(portal, {7: owner})) == {contact for contact, _ in model}


def test_a_kind_is_released_of_some_contacts(journal: Journal) -> None:
    """Other kinds, and other contacts, stay as they are."""
    entries = [NewException(contact=contact) for contact in (1, 2, 3)]
    journal.exceptions.add(PORTAL, Standing.UNDONE, entries)
    journal.exceptions.add(PORTAL, Standing.KEPT, entries)
    assert journal.exceptions.release_kind(PORTAL, Standing.UNDONE, [1, 2, 9], "undo") == 2
    assert journal.exceptions.in_force(PORTAL) == {1: Standing.KEPT, 2: Standing.KEPT, 3: Standing.UNDONE}


# Choosing


def chosen(journal: Journal, **values: Any) -> list[int]:
    """Return the numbers of the exceptions in force that this selection chooses."""
    return [record.id for record in journal.exceptions.entries(PORTAL, Selection(**values))]


def test_exceptions_are_chosen_by_contact_kind_and_company(journal: Journal) -> None:
    """Each narrows the choice down; a set of several takes any of them; ended ones and other portals are no choice."""
    journal.exceptions.add(PORTAL, UNDONE, [entry(1), entry(2, company=8)])
    journal.exceptions.add(PORTAL, RESPECTED, [entry(1), entry(3, company=9)])
    journal.exceptions.add(PORTAL, KEPT, [entry(4), entry(5)])
    journal.exceptions.add("other", UNDONE, [entry(1)])
    journal.exceptions.release(PORTAL, [6], by="anna")
    assert chosen(journal) == [1, 2, 3, 4, 5]
    assert chosen(journal, contacts=[1, 4, 5, 99]) == [1, 3, 5]
    assert chosen(journal, kinds=[UNDONE, KEPT]) == [1, 2, 5]
    assert chosen(journal, companies=[8, 9]) == [2, 4]
    assert chosen(journal, contacts=[1], kinds=[RESPECTED], companies=[7]) == [3]
    assert chosen(journal, companies=[8], kinds=[RESPECTED]) == []


def test_exceptions_are_chosen_by_the_run_that_made_them_or_whose_undo_did(journal: Journal) -> None:
    """An undo of a company takes back changes of several runs: each of these runs chooses its own."""
    first = journal.begin(portal=PORTAL, command="once")
    carry_out(journal, first, [change(1), change(2)])
    second = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, second, [change(3)])
    journal.exceptions.add(PORTAL, QUARANTINED, [entry(9)], run=second)
    undo = journal.begin(portal=PORTAL, command="undo")
    numbers = {record.change.contact: record.id for run in (first, second) for record in journal.changes(run)}
    back = [change(contact, before=2, after=1) for contact in (1, 3)]
    journal.intend(undo, back, Links(undoes={1: numbers[1], 3: numbers[3]}))
    journal.exceptions.add(PORTAL, UNDONE, [entry(1), entry(3)], run=undo)
    journal.exceptions.add(PORTAL, KEPT, [entry(2)])
    assert chosen(journal, runs=[undo]) == [2, 3]
    assert chosen(journal, runs=[first]) == [2]
    assert chosen(journal, runs=[second]) == [1, 3]
    assert chosen(journal, runs=[first, second]) == [1, 2, 3]
    assert chosen(journal, runs=[99]) == []
    assert [record.run for record in journal.exceptions.entries(PORTAL)] == [second, undo, undo, None]


def test_a_choice_may_be_large(journal: Journal) -> None:
    """More numbers than SQLite takes parameters."""
    many = range(1, 40_001)
    journal.exceptions.add(PORTAL, UNDONE, map(entry, many))
    assert chosen(journal, contacts=many) == list(many)
    assert journal.exceptions.release(PORTAL, many, by="anna") == len(many)
