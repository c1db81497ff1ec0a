"""What the settings name, looked up in the portal: what is there, what is not, and what the portal does not show."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line, tampered

from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import DeniedError, IncompleteReadError, MissingScopeError
from reconciler.portal.read.references import COUNTED, Found, Missing, Named, NamedRecords, look_up

SCOPES = ("crm", "user", "department")
CAROL = 9


def line(**options: Any) -> Line:
    """Return an office with a department that Ann leads and one below it that nobody leads, and some records."""
    office = Office(clock=VirtualClock(Timeline()), **({"scopes": SCOPES} | options))
    office.database.insert("department", id=1, name="Firm", head=ANN)
    office.database.insert("department", id=2, name="Sales", parent=1)
    office.company(5, ANN, company_type="PARTNER")
    office.company(6, ANN)
    office.contact(1, BOB, 5, type_id="CLIENT")
    return Line(office)


def companies(**named: Any) -> Named:
    """Name something of companies."""
    return Named(companies=NamedRecords(**named))


def contacts(**named: Any) -> Named:
    """Name something of contacts."""
    return Named(contacts=NamedRecords(**named))


def test_nothing_named_costs_one_command() -> None:
    """The scopes, which every setting may need."""
    office = line()
    assert look_up(office.client, Named()) == Found(scopes=frozenset(SCOPES))
    assert (office.stats["requests"], office.stats["commands"]) == (1, {"scope": 1})


def test_users() -> None:
    """Those that are there; a number that is not is absent."""
    office = line()
    office.office.user(CAROL, active=0)
    found = look_up(office.client, Named(users=frozenset({ANN, CAROL, 999}))).users
    assert {number: user.active for number, user in found.items()} == {ANN: True, CAROL: False}


def test_numbers_that_are_missing() -> None:
    """By setting, with the numbers; a setting without gaps costs no second look."""
    office = line()
    named = companies(ids={"leave_companies": frozenset({5, 42, 43}), "only_companies": frozenset({5, 6})})
    assert look_up(office.client, named).companies.missing == {"leave_companies": Missing(count=2, some=(42, 43))}
    office = line()
    look_up(office.client, companies(ids={"only_companies": frozenset({5, 6})}))
    assert office.stats["requests"] == 1
    found = look_up(office.client, contacts(ids={"leave_contacts": frozenset({1, 2})}))
    assert found.contacts.missing == {"leave_contacts": Missing(count=1, some=(2,))}


def test_a_long_list_is_counted() -> None:
    """190,000 numbers need 380 commands; only of the first groups with gaps are all numbers asked for."""
    office = line()
    for number in range(10, 10 + 3 * COUNTED, 2):
        office.office.company(number)
    named = companies(ids={"only_companies": frozenset(range(10, 10 + 4 * COUNTED))})
    missing = look_up(office.client, named).companies.missing["only_companies"]
    assert missing.count == 5 * COUNTED / 2
    assert missing.some == tuple(range(11, 10 + 2 * COUNTED, 2))
    assert office.stats["commands"]["crm.company.list"] == 4 + 2 * COUNTED / 50


def test_types() -> None:
    """All that there are, by code, and how many records have those that are named."""
    found = look_up(line().client, companies(types=frozenset({"PARTNER", "OTHER", ""}))).companies
    assert found.types["PARTNER"] == "Partner"
    assert found.of_type == {"PARTNER": 1, "OTHER": 0}
    found = look_up(line().client, contacts(types=frozenset({"CLIENT"}))).contacts
    assert (found.types["CLIENT"], found.of_type) == ("Clients", {"CLIENT": 1})


@pytest.mark.parametrize(("shown", "requests"), [(50, 2), (70, 1)], ids=["in pages", "at once"])
def test_many_types(shown: int, requests: int) -> None:
    """A portal may give fifty at a time, or all."""
    rows = [{"STATUS_ID": f"UC_{number}", "NAME": f"Type {number}"} for number in range(shown)]
    office = tampered(line(), "crm.status.list", rows, total=70)
    assert len(look_up(office.client, companies(types=frozenset({"UC_1"}))).companies.types) == shown
    assert office.stats["requests"] == requests


@pytest.mark.parametrize(
    ("name", "kind"), [("UF_CRM_OWNER_FIXED", "boolean"), ("UF_CRM_NONE", ""), ("TITLE", "string")]
)
def test_a_field(name: str, kind: str) -> None:
    """Its type, or nothing where there is no such field."""
    assert look_up(line().client, companies(field=name)).companies.field_type == kind
    kind = "" if name == "TITLE" else kind
    assert look_up(line().client, contacts(field=name)).contacts.field_type == kind


def test_heads() -> None:
    """A department inherits the head of the one above; without any fit head it is told."""
    office = line()
    found = look_up(office.client, Named(heads=True))
    assert (set(found.departments), found.without_head) == ({1, 2}, ())
    office = line()
    office.office.database.connection.execute("UPDATE user SET active = 0 WHERE id = ?", (ANN,))
    office.office.database.insert("department", id=3, name="Support", parent=1, head=BOB)
    assert look_up(office.client, Named(heads=True)).without_head == (1, 2)


def test_departments_alone() -> None:
    """Their heads are looked up only where they are needed."""
    found = look_up(line().client, Named(departments=True))
    assert (set(found.departments), found.users, found.without_head) == ({1, 2}, {}, ())


def test_many_departments() -> None:
    """Also those on further pages."""
    office = line()
    for number in range(3, 230):
        office.office.database.insert("department", id=number, name="x", parent=1)
    assert len(look_up(office.client, Named(heads=True)).departments) == 229


def test_what_the_portal_refuses() -> None:
    """Each refusal is kept by name; the rest is there."""
    office = line(scopes=("crm",))
    named = Named(users=frozenset({ANN}), heads=True, companies=NamedRecords(field="UF_CRM_OWNER_FIXED"))
    found = look_up(office.client, named)
    assert {what: type(error) for what, error in found.refused.items()} == {
        "users": MissingScopeError,
        "departments": MissingScopeError,
    }
    assert (found.companies.field_type, found.departments, found.without_head) == ("boolean", {}, ())


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("scope", "scopes"),
        ("crm.company.list", "companies.ids"),
        ("crm.status.list", "companies.types"),
        ("crm.company.fields", "companies.field"),
        ("crm.contact.list", "contacts.ids"),
    ],
)
def test_a_refused_question(method: str, what: str) -> None:
    """It is kept, and nothing is claimed of it."""
    office = line(faults=[{"kind": "command_error", "method": method, "code": "ACCESS_DENIED"}])
    named = Named(
        companies=NamedRecords(ids={"leave_companies": frozenset({42})}, types=frozenset({"X"}), field="UF_CRM_X"),
        contacts=NamedRecords(ids={"leave_contacts": frozenset({42})}),
    )
    found = look_up(office.client, named)
    assert {key: type(error) for key, error in found.refused.items()}[what] is DeniedError


@pytest.mark.parametrize(
    ("method", "result", "named"),
    [
        ("scope", "crm", Named()),
        ("crm.company.list", [], companies(ids={"leave_companies": frozenset({5})})),
        ("crm.status.list", [{"ID": 1}], companies(types=frozenset({"X"}))),
        ("crm.company.fields", "none", companies(field="UF_CRM_X")),
    ],
)
def test_an_answer_that_cannot_be_believed(method: str, result: Any, named: Named) -> None:
    """It is asked for again, and given up."""
    with pytest.raises(IncompleteReadError):
        look_up(tampered(line(), method, result, total=9).client, named)


def test_the_portal_is_only_read() -> None:
    """All that is asked leaves every record as it is."""
    office = line()
    before = [office.office.row("company", 5), office.office.row("contact", 1)]
    look_up(
        office.client,
        Named(
            users=frozenset({ANN}),
            departments=True,
            heads=True,
            companies=NamedRecords(ids={"leave_companies": frozenset({5})}, types=frozenset({"X"}), field="UF_CRM_X"),
        ),
    )
    assert [office.office.row("company", 5), office.office.row("contact", 1)] == before
    assert office.office.portal.bell.shown == []
