"""Whether a portal carries out conditional updates, found out without writing anything."""

from __future__ import annotations

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line
from support.world import change

from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import BlockedError, DeniedError
from reconciler.portal.rest.batch_codec import Answer
from reconciler.portal.write.capability import number_of, takes_conditions, try_conditions

CHANGES = [change(7), change(8)]


def line(**options: object) -> Line:
    """Return an office with a company of Bob's, of which two contacts are Ann's; there are others before them."""
    office = Office(clock=VirtualClock(Timeline()), **options)
    office.company(100, ANN)
    office.company(101, BOB)
    office.contact(1, BOB, 100)
    office.contact(7, ANN, 101)
    office.contact(8, ANN, 101)
    return Line(office)


def test_a_portal_that_fills_in_what_a_command_takes_from_another() -> None:
    """A contact is found, and read by the number that was found; nothing is written."""
    wire = line()
    assert takes_conditions(wire.client, CHANGES)
    assert wire.office.portal.history == []


def test_a_portal_that_leaves_macros_as_text() -> None:
    """The number of the record is not filled in, so there is no such contact."""
    assert not takes_conditions(line(macros=False).client, CHANGES)


def test_contacts_that_are_not_there_prove_nothing() -> None:
    """Their writes will be refused one by one."""
    assert takes_conditions(line().client, [change(70)])


@pytest.mark.parametrize(
    ("method", "field"),
    [("crm.company.list", ""), ("crm.company.list", "ASSIGNED_BY_ID")]
    + [("crm.contact.list", field) for field in ("", "ASSIGNED_BY_ID", "ID", "COMPANY_ID")],
)
def test_a_portal_that_ignores_a_condition(method: str, field: str) -> None:
    """It would find another contact, and have that one written."""
    wire = line()
    wire.office.portal.faults.load([{"kind": "dropped_filter", "method": method, "field": field}])
    with pytest.raises(BlockedError, match="ignores the conditions"):
        takes_conditions(wire.client, CHANGES)


def test_a_webhook_that_may_not_read_contacts() -> None:
    """It says nothing about macros."""
    wire = line()
    wire.office.portal.faults.load([{"kind": "command_error", "method": "crm.contact.list"}])
    with pytest.raises(DeniedError):
        takes_conditions(wire.client, CHANGES)


def test_check_tries_it_without_a_plan() -> None:
    """A found, an empty and a failed precondition, and nothing is written."""
    wire = line()
    assert try_conditions(wire.client) is True
    assert try_conditions(line(macros=False).client) is False
    assert wire.office.portal.history == []


def test_check_cannot_try_it_without_contacts() -> None:
    """Then it is not known."""
    assert try_conditions(Line(Office(clock=VirtualClock(Timeline()))).client) is None


def test_check_tells_a_portal_that_would_write_contact_one() -> None:
    """What is filled in for a precondition that found nothing must be refused, and here another contact answers."""
    wire = line()
    for position in range(3):
        wire.office.portal.faults.load(
            [{"kind": "dropped_filter", "method": "crm.contact.list", "field": "ID"}] if position else []
        )
        assert try_conditions(wire.client) is (position == 0)


def test_check_of_a_webhook_that_may_not_read_contacts() -> None:
    """It says nothing about macros."""
    wire = line()
    wire.office.portal.faults.load([{"kind": "command_error", "method": "crm.contact.list"}])
    with pytest.raises(DeniedError):
        try_conditions(wire.client)


@pytest.mark.parametrize(
    ("result", "number"),
    [([{"ID": "7"}], 7), ({"ID": "7"}, 7), ([], 0), (None, 0), ({"ID": "x"}, 0), ([7], 0), ({}, 0)],
    ids=str,
)
def test_the_number_of_a_record(result: object, number: int) -> None:
    """Of one record, or of the first of a list; of anything else there is none."""
    assert number_of(Answer(result=result)) == number
