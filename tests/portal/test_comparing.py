"""Comparing contacts with the roster: each row is checked against what was asked, and a full page is continued."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB
from support.portal_line import Line, tampered
from support.sweeping import CLEO, office, truth

from reconciler.clock import VirtualClock
from reconciler.core.companies import Group, Halfway, Strategy, groups
from reconciler.errors import IncompleteReadError, PausedError, UsageError
from reconciler.portal.read.checkpoint import KEEP_SECONDS, Slot
from reconciler.portal.read.comparing import Comparison, count_contacts
from reconciler.portal.read.details import DetailOptions
from reconciler.portal.read.drift import DriftQuery
from reconciler.portal.read.sweep import Reader, Scope, SweepOptions
from reconciler.simulator.costs import CostModel, Profile

BODY = 512_000


def filled(companies: int = 3, contacts: int = 130, **options: Any) -> Line:
    """Return a portal where all contacts of Ann's companies are Bob's."""
    made = office(**options)
    for company in range(1, companies + 1):
        made.company(company, ANN)
    for contact in range(1, contacts + 1):
        made.contact(3 * contact, BOB, contact % companies + 1)
    return Line(made)


def sweep(line: Line, strategy: Strategy = Strategy.DRIFT, **more: Any) -> Any:
    """Look once."""
    return Reader(line.client, lambda *_: None, SweepOptions(strategy=strategy), **more).sweep(Scope())


@pytest.mark.parametrize(("contacts", "commands"), [(49, 1), (50, 2), (51, 2), (99, 3), (101, 3), (130, 3)])
def test_a_full_page_is_continued(contacts: int, commands: int) -> None:
    """Where more than fifty contacts of a group drifted, the companies from the last one of the page on are asked."""
    line = filled(contacts=contacts)
    comparison = Comparison(line.client, "", lambda *_: None)
    comparison.drift(groups({1: ANN, 2: ANN, 3: ANN}))
    assert set(comparison.mismatches) == truth(line.office)
    assert line.stats["commands"]["crm.contact.list"] == commands


def test_a_group_of_500_companies_fits_into_a_command_and_fifty_into_few_bodies() -> None:
    """F14, F17: fewer than a thousand variables each, and no body above the limit."""
    owners = {100_000_000 + company: 1 + company % 60 for company in range(30_000)}
    commands = [DriftQuery(group, "UF_CRM_FIXED").command() for group in groups(owners)]
    assert len(commands) == 60
    assert max(command.encoded.count("=") for command in commands) < 520
    assert max(len(command.encoded) for command in commands) < BODY / 20
    line = filled()
    line.client.read(commands)
    assert line.stats["rejected"] == {}


ROW = {"ID": "9", "COMPANY_ID": "1", "ASSIGNED_BY_ID": "8", "DATE_CREATE": "", "DATE_MODIFY": "", "MODIFY_BY_ID": "1"}


@pytest.mark.parametrize(
    ("row", "doubt"),
    [
        pytest.param({"COMPANY_ID": "4"}, "contact 9 does not match the filter", id="another-company"),
        pytest.param({"COMPANY_ID": None}, "contact 9 does not match the filter", id="no-company"),
        pytest.param({"ASSIGNED_BY_ID": str(ANN)}, "contact 9 does not match the filter", id="the-owner-itself"),
        pytest.param({"ID": "0"}, "ID 0 came out of place", id="no-number"),
        pytest.param({"COMPANY_ID": "x"}, "contact 9 does not match the filter", id="company-unreadable"),
    ],
)
def test_a_row_that_was_not_asked_for(row: dict[str, Any], doubt: str) -> None:
    """F2: a filter that the portal ignores shows in the rows."""
    line = tampered(
        filled(), "crm.contact.list?order[COMPANY_ID]=ASC&order[ID]=ASC&filter[%40COMPANY_ID]", [ROW | row], total=1
    )
    with pytest.raises(IncompleteReadError, match=doubt):
        sweep(line)


def test_a_contact_without_a_company_among_the_linked_ones() -> None:
    """F2: read page by page, the ignored filter shows in the row as well."""
    line = filled(faults=[{"kind": "dropped_filter", "method": "crm.contact.list", "field": "COMPANY_ID"}])
    line.office.contact(1, ANN)
    with pytest.raises(IncompleteReadError, match="contact 1 does not match the filter"):
        sweep(line, Strategy.PAGES)


def test_a_row_without_the_yes_no_field() -> None:
    """F2: names that the portal does not know are dropped from the answer."""
    with pytest.raises(UsageError, match="the portal has no field UF_CRM_NONE"):
        Reader(filled().client, lambda *_: None).sweep(Scope(), DetailOptions(contact_field="UF_CRM_NONE"))


def test_contacts_without_an_owner_are_found() -> None:
    """F2: `!` includes those that are empty."""
    line = filled(contacts=0)
    line.office.contact(1, 0, 1)
    assert {m.contact for m in sweep(line).mismatches} == {1}


def test_what_was_compared_with_an_owner_of_the_past_is_forgotten() -> None:
    """A company changed hands, or is gone, between query and look."""
    line = filled(contacts=9)
    comparison = Comparison(line.client, "", lambda *_: None)
    comparison.drift(groups({1: ANN, 2: ANN, 3: ANN}))
    comparison.review({1: ANN, 2: CLEO})
    assert {m.company for m in comparison.mismatches} == {1}


def test_what_an_earlier_run_found_is_looked_at_again() -> None:
    """Set right, gone, linked elsewhere, given to a third, or as it was."""
    line = filled(contacts=6)
    earlier = Halfway(began=line.clock.now(), owners={}, found=tuple(sweep(line).mismatches))
    people = line.office.portal.people
    people.edit_contact(3, 1, assigned_by_id=ANN)
    people.delete_contact(6)
    people.unbind(9, 1)
    people.bind(9, 2)
    people.edit_contact(12, 1, assigned_by_id=CLEO)
    people.unbind(15, 3)
    comparison = Comparison(line.client, "", lambda *_: None, earlier)
    comparison.review({1: ANN, 2: ANN, 3: ANN})
    assert set(comparison.mismatches) == truth(line.office)
    assert comparison.details.keys() == {9, 12, 18}


@pytest.mark.parametrize(("companies", "commands"), [(0, 0), (1, 1), (900, 1), (901, 2)])
def test_contacts_are_counted_by_their_companies(companies: int, commands: int) -> None:
    """So many companies to a command as PHP takes; none, no command: an empty list would count all (F2)."""
    line = filled(companies=max(1, companies), contacts=40)
    assert count_contacts(line.client, range(1, companies + 1)) == (40 if companies else 0)
    assert line.stats["commands"].get("crm.contact.list", 0) == commands


def test_the_seconds_of_a_command() -> None:
    """As the portal measured them; none where it did not say."""
    price = 0.25
    line = filled(costs=CostModel(Profile(read=price)))
    assert sweep(line).seconds == pytest.approx(price)
    assert sweep(filled()).seconds is None


def test_progress_of_a_comparison() -> None:
    """In companies, of those to compare."""
    told: list[tuple[str, int, int]] = []
    line = filled(companies=120, contacts=0)
    many = [Group(ANN, (company,)) for company in range(1, 121)]
    Comparison(line.client, "", lambda *seen: told.append(seen)).drift(many)
    assert told == [("contacts by company", done, 120) for done in (50, 100, 120)]


# Slots --------------------------------------------------------------------------------------------------------------


def test_a_slot_keeps_each_minute_and_pauses_at_its_end() -> None:
    """So that what is lost with a process is a minute; in monotonic seconds."""
    clock = VirtualClock()
    kept: list[Halfway] = []
    slot = Slot(clock, kept.append, until=100.0)
    so_far = Halfway(began=clock.now(), owners={})
    assert not slot.due
    clock.sleep(KEEP_SECONDS)
    assert slot.due
    slot.keep(so_far, 0.5)
    assert (slot.due, slot.over) == (False, False)
    clock.sleep(100 - KEEP_SECONDS)
    assert (slot.due, slot.over) == (True, True)
    with pytest.raises(PausedError, match="so large that one run cannot read it all: 99% is read and kept"):
        slot.keep(so_far, 0.99)
    assert kept == [so_far, so_far]


def test_a_slot_without_an_end() -> None:
    """Of a run by hand: kept each minute, never paused."""
    clock = VirtualClock()
    kept: list[Halfway] = []
    slot = Slot(clock, kept.append)
    clock.sleep(1e6)
    assert (slot.due, slot.over) == (True, False)
    slot.keep(Halfway(began=clock.now(), owners={}), 0.1)
    assert len(kept) == 1
