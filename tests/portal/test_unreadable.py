"""A record with a field that cannot be read is left alone by number and reason; all others are judged."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB
from support.portal_line import Line, Tampered, client_on
from support.sweeping import office, truth

from reconciler.core.companies import Strategy
from reconciler.core.model import Department
from reconciler.errors import IncompleteReadError
from reconciler.portal.entities import COMPANY_LIST, CONTACT_LIST, DEPARTMENT_LIST
from reconciler.portal.read.people import Structure
from reconciler.portal.read.sweep import Reader, Scope, SweepOptions
from reconciler.portal.rest.questions import ask
from reconciler.simulator.transport import InProcessTransport


def filled(contacts: int = 3) -> Line:
    """Return a portal where contacts of Bob's belong to company 5 of Ann's."""
    made = office()
    made.company(5, ANN)
    for number in range(1, contacts + 1):
        made.contact(number, BOB, 5)
    return Line(made)


def firm(*departments: tuple[int, int, int]) -> Line:
    """Return a portal with these departments: number, head, the one above."""
    made = office(scopes=("crm", "user", "department"))
    for number, head, parent in departments:
        made.database.insert("department", id=number, name="D", head=head, parent=parent)
    return Line(made)


def spoilt(line: Line, method: str, number: int, **fields: Any) -> Line:
    """Let one record come with other values in these fields, wherever it comes."""

    def change(command: str, key: str, answer: dict[str, Any]) -> None:
        for row in (answer["result"] or {}).get(key, ()) if command.startswith(method) else ():
            if row["ID"] == str(number):
                row.update({name: value for name, value in fields.items() if name in row})

    line.client = client_on(Tampered(InProcessTransport(line.office.portal), change), line.clock)
    return line


def sweep(line: Line, strategy: Strategy = Strategy.DRIFT) -> Any:
    """Look once."""
    return Reader(line.client, lambda *_: None, SweepOptions(strategy=strategy)).sweep(Scope())


ZERO_DATE = "-0001-11-30T00:00:00+02:30"


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        pytest.param({"DATE_MODIFY": ZERO_DATE}, "DATE_MODIFY is no date", id="zero-date"),
        pytest.param({"DATE_CREATE": ["soon"]}, "DATE_CREATE is no date", id="a-list-for-a-date"),
        pytest.param({"MODIFY_BY_ID": "-1"}, "MODIFY_BY_ID is no number", id="editor"),
        pytest.param({"TYPE_ID": {"a": 1}}, "TYPE_ID is no text", id="type"),
        pytest.param({"NAME": ["a"], "LAST_NAME": {"b": 1}}, "", id="a-name-only-explains"),
        pytest.param(
            {"DATE_CREATE": "x", "ASSIGNED_BY_ID": "-8"},
            "ASSIGNED_BY_ID is no number, DATE_CREATE is no date",
            id="both",
        ),
    ],
)
def test_a_contact_that_cannot_be_read(strategy: Strategy, fields: dict[str, Any], doubt: str) -> None:
    """It is found with what cannot be read of it, and the others as ever."""
    snapshot = sweep(spoilt(filled(), CONTACT_LIST, 2, **fields), strategy)
    details = snapshot.contact_details
    assert {number: detail.doubt for number, detail in details.items()} == {1: "", 2: doubt, 3: ""}
    assert {mismatch.contact for mismatch in snapshot.mismatches} == {1, 2, 3}


def test_a_contact_whose_company_cannot_be_read() -> None:
    """Read page by page, it is counted among those that are not compared."""
    snapshot = sweep(spoilt(filled(), CONTACT_LIST, 2, COMPANY_ID="-5"), Strategy.PAGES)
    assert {mismatch.contact for mismatch in snapshot.mismatches} == {1, 3}
    assert snapshot.outside_roster == 1


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        pytest.param({"ASSIGNED_BY_ID": "x"}, "ASSIGNED_BY_ID is no number", id="owner"),
        pytest.param({"COMPANY_TYPE": ["x"]}, "COMPANY_TYPE is no text", id="type"),
        pytest.param({"TITLE": ["x"]}, "", id="a-title-only-explains"),
    ],
)
def test_a_company_that_cannot_be_read(fields: dict[str, Any], doubt: str) -> None:
    """It stays in the roster, and says what cannot be read."""
    line = filled()
    line.office.company(6, ANN)
    line.office.contact(9, BOB, 6)
    snapshot = sweep(spoilt(line, COMPANY_LIST, 5, **fields))
    assert {number: detail.doubt for number, detail in snapshot.company_details.items()} == {5: doubt, 6: ""}


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        pytest.param({"UF_HEAD": "x"}, Department(id=2, parent=0, head=0), id="head"),
        pytest.param({"PARENT": "x"}, Department(id=2, parent=0, head=BOB), id="parent"),
    ],
)
def test_a_department_that_cannot_be_read(fields: dict[str, Any], read: Department) -> None:
    """Nobody above takes the place of a head who cannot be read."""
    line = firm((1, ANN, 0), (2, BOB, 1))
    structure = Structure()
    ask(spoilt(line, DEPARTMENT_LIST, 2, **fields).client, structure.questions(0, 4))
    assert structure.departments()[2] == read


def stops_at_a_page(line: Line) -> Line:
    """Let no count be more than fifty."""

    def change(_command: str, key: str, answer: dict[str, Any]) -> None:
        totals = answer["result_total"] or {}
        if key in totals:
            totals[key] = min(50, totals[key])

    line.client = client_on(Tampered(InProcessTransport(line.office.portal), change), line.clock)
    return line


@pytest.mark.parametrize("strategy", Strategy)
def test_counts_that_stop_at_a_page(strategy: Strategy) -> None:
    """They prove nothing, and the sentence says what is wrong."""
    with pytest.raises(IncompleteReadError, match="the portal counts 50 contacts where there are more"):
        sweep(stops_at_a_page(filled(51)), strategy)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_page_that_is_just_full(strategy: Strategy) -> None:
    """Fifty contacts are fifty contacts, also where the count would stop there."""
    line = stops_at_a_page(filled(50))
    assert set(sweep(line, strategy).mismatches) == truth(line.office)


def test_departments_beyond_the_count() -> None:
    """A second page with other departments than the first: the count stops at a page."""
    line = firm(*((number, ANN, 0) for number in range(1, 61)))
    structure = Structure()
    ask(stops_at_a_page(line).client, structure.questions(0, 4))
    with pytest.raises(IncompleteReadError, match="60 departments came where the portal counts 50"):
        structure.departments()
