"""One sweep of a portal: what it finds, what it leaves out and says so, and when it refuses to be believed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line, tampered

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.companies import Strategy
from reconciler.core.model import Mismatch, User
from reconciler.errors import IncompleteReadError, MissingScopeError, UsageError
from reconciler.portal.read.sweep import Reader, Scope, SweepOptions

EVE = 9


def line(**options: Any) -> Line:
    """Return an office with two companies of Ann and one of Bob, five contacts, two of them drifted."""
    office = Office(clock=VirtualClock(Timeline()), **options)
    office.company(5, ANN, title="Acme")
    office.company(6, BOB, title="Globex")
    office.company(7, ANN, title="Initech")
    office.contact(1, ANN, 5, name="Alan", last_name="Ash")
    office.contact(2, BOB, 5, name="Bea")
    office.contact(3, BOB, 6)
    office.contact(4, ANN, 6, last_name="Dean")
    office.contact(8, BOB)
    return Line(office)


def sweep(wire: Line, scope: Scope | None = None, strategy: Strategy | None = None) -> Any:
    """Look once."""
    return Reader(wire.client, lambda *_: None, SweepOptions(strategy=strategy)).sweep(scope or Scope())


DRIFT = (
    Mismatch(contact=2, company=5, owner=BOB, company_owner=ANN),
    Mismatch(contact=4, company=6, owner=ANN, company_owner=BOB),
)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_sweep(strategy: Strategy) -> None:
    """Roster, linked contacts, the mismatching ones, and who the people are."""
    snapshot = sweep(line(), strategy=strategy)
    assert snapshot.roster == {5: ANN, 6: BOB, 7: ANN}
    assert snapshot.contacts == 4
    assert snapshot.mismatches == DRIFT
    assert snapshot.outside_roster == 0
    assert snapshot.users == {
        ANN: User(id=ANN, name="Ann", active=True, employee=True, departments=(1,)),
        BOB: User(id=BOB, name="Bob", active=True, employee=True, departments=(1,)),
    }


def test_the_time_of_a_sweep_is_the_portals() -> None:
    """Watermarks compare with the portal's own clock only."""
    wire = line()
    wire.office.portal.clock_offset = 3600
    assert sweep(wire).taken_at == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_an_empty_portal() -> None:
    """Nothing is there, and that is proven; nobody has to be asked for."""
    wire = Line(Office(clock=VirtualClock(Timeline())))
    snapshot = sweep(wire)
    assert (snapshot.roster, snapshot.contacts, snapshot.mismatches, snapshot.users) == ({}, 0, (), {})
    assert "user.get" not in wire.stats["commands"]


@pytest.mark.parametrize("strategy", Strategy)
def test_contacts_of_companies_outside_the_roster_are_counted(strategy: Strategy) -> None:
    """Own companies and other categories are not ours to correct (F2)."""
    wire = line()
    wire.office.company(50, BOB, is_my_company="Y")
    wire.office.company(51, BOB, category_id=3)
    wire.office.contact(60, ANN, 50)
    wire.office.contact(61, ANN, 51)
    wire.office.contact(62, ANN, 5, category_id=3)
    snapshot = sweep(wire, strategy=strategy)
    assert set(snapshot.roster) == {5, 6, 7}
    assert (snapshot.contacts, snapshot.outside_roster) == (6, 2)
    assert snapshot.mismatches == DRIFT


@pytest.mark.parametrize("strategy", Strategy)
def test_nobody_is_an_owner_too(strategy: Strategy) -> None:
    """Owner 0 on either side is a mismatch, and no user to look up."""
    wire = line()
    wire.office.company(9, 0)
    wire.office.contact(20, ANN, 9)
    wire.office.contact(21, 0, 5)
    snapshot = sweep(wire, strategy=strategy)
    assert Mismatch(contact=20, company=9, owner=ANN, company_owner=0) in snapshot.mismatches
    assert Mismatch(contact=21, company=5, owner=0, company_owner=ANN) in snapshot.mismatches
    assert set(snapshot.users) == {ANN, BOB}


# Scope --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "companies", "contacts", "mismatching"),
    [
        pytest.param(Scope(companies=(5,)), {5}, 2, [2], id="company"),
        pytest.param(Scope(companies=(7,)), {7}, 0, [], id="company-without-contacts"),
        pytest.param(Scope(owners=(ANN,)), {5, 7}, 2, [2], id="owner"),
        pytest.param(Scope(companies=(5, 6)), {5, 6}, 4, [2, 4], id="several-companies"),
        pytest.param(Scope(owners=(ANN, BOB)), {5, 6, 7}, 4, [2, 4], id="several-owners"),
        pytest.param(Scope(companies=(6,), owners=(BOB,)), {6}, 2, [4], id="both"),
    ],
)
def test_a_part_of_the_portal(scope: Scope, companies: set[int], contacts: int, mismatching: list[int]) -> None:
    """`--company` and `--owner`."""
    snapshot = sweep(line(), scope)
    assert set(snapshot.roster) == companies
    assert snapshot.contacts == contacts
    assert [m.contact for m in snapshot.mismatches] == mismatching


def test_one_large_company() -> None:
    """More contacts than a page holds, far apart."""
    wire = line()
    for number in range(100, 10_000, 77):
        wire.office.contact(number, BOB, 7)
    assert len(sweep(wire, Scope(companies=(7,))).mismatches) == len(range(100, 10_000, 77))


@pytest.mark.parametrize(
    ("scope", "sentence"),
    [
        pytest.param(Scope(companies=(99,)), "no company 99 is visible .* check --company", id="no-such-company"),
        pytest.param(Scope(companies=(8,)), "or it is one of your own; check --company", id="own-company"),
        pytest.param(Scope(owners=(99,)), "no company with owner 99 is visible .* check --owner", id="no-such-owner"),
        pytest.param(Scope(companies=(5,), owners=(BOB,)), "no company 5 with owner 8 is visible", id="not-both"),
        pytest.param(Scope(companies=(5, 99)), "no company 99 is visible .* check --company", id="one-of-two"),
        pytest.param(Scope(owners=(ANN, 99)), "no company with owner 99 is visible", id="one-owner-of-two"),
        pytest.param(Scope(companies=(6,), owners=(ANN, 99)), "no company 6 with owner 7 or 99", id="either"),
    ],
)
def test_a_scope_that_matches_nothing(scope: Scope, sentence: str) -> None:
    """Issue 2: a slip of the finger is no empty plan."""
    wire = line()
    wire.office.company(8, ANN, is_my_company="Y")
    with pytest.raises(UsageError, match=sentence):
        sweep(wire, scope)


# Filters that the portal ignores ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "field", "scope"),
    [
        pytest.param("crm.company.list", "IS_MY_COMPANY", Scope(), id="own-companies"),
        pytest.param("crm.company.list", "ASSIGNED_BY_ID", Scope(owners=(ANN,)), id="owner"),
        pytest.param("crm.company.list", "ID", Scope(companies=(6,)), id="company"),
        pytest.param("crm.contact.list", "COMPANY_ID", Scope(), id="contacts-of-companies"),
        pytest.param("crm.contact.list", "ASSIGNED_BY_ID", Scope(), id="contacts-of-other-owners"),
        pytest.param("crm.contact.list", "COMPANY_ID", Scope(companies=(5,)), id="contacts-of-one-company"),
        pytest.param("user.get", "", Scope(), id="users"),
    ],
)
def test_an_ignored_filter_makes_the_sweep_incomplete(method: str, field: str, scope: Scope) -> None:
    """F2, F9: the portal says nothing about it; the rows do."""
    wire = line(faults=[{"kind": "dropped_filter", "method": method, "field": field}])
    wire.office.company(8, ANN, is_my_company="Y")
    with pytest.raises(IncompleteReadError, match="nothing was written"):
        sweep(wire, scope)


# Users --------------------------------------------------------------------------------------------------------------


def test_the_people_on_both_sides() -> None:
    """F9: the dismissed say so; bots, guests without a department and the deleted are not returned."""
    wire = line()
    wire.office.user(EVE, active=0, name="Eve", last_name="Old")
    wire.office.user(10, departments="[]")
    wire.office.user(11, user_type="bot")
    for contact, owner in ((20, EVE), (21, 10), (22, 11), (23, 12)):
        wire.office.contact(contact, owner, 5)
    users = sweep(wire).users
    assert users[EVE] == User(id=EVE, name="Eve Old", active=False, employee=True, departments=(1,))
    assert set(users) == {ANN, BOB, EVE}


@pytest.mark.parametrize(
    ("department", "departments"), [([1], (1,)), ([4, 7], (4, 7)), ([], ()), (False, ()), (None, ())], ids=str
)
def test_employees_are_in_a_department(department: Any, departments: tuple[int, ...]) -> None:
    """F17: the limited scopes do not tell the type of a user."""
    row = {"ID": "7", "ACTIVE": True, "NAME": "", "LAST_NAME": None, "UF_DEPARTMENT": department}
    users = sweep(tampered(line(), "user.get", [row], total=1)).users
    assert users == {ANN: User(id=ANN, name="user 7", active=True, employee=bool(departments), departments=departments)}


@pytest.mark.parametrize("scope", ["user", "user_basic", "user_brief"])
def test_any_user_scope_is_enough(scope: str) -> None:
    """F17: all of them tell who works there."""
    assert set(sweep(line(scopes=("crm", scope))).users) == {ANN, BOB}


def test_without_a_user_scope_nobody_is_known() -> None:
    """None, which is not the same as nobody: the plan may be shown, and not applied."""
    snapshot = sweep(line(scopes=("crm",)))
    assert snapshot.users is None
    assert snapshot.mismatches == DRIFT


def test_without_the_crm_scope_there_is_no_sweep() -> None:
    """The error says what to add."""
    with pytest.raises(MissingScopeError, match="add it to the webhook"):
        sweep(line(scopes=("user",)))


def test_more_owners_than_a_page_holds() -> None:
    """120 people, asked for by fifty."""
    wire = line()
    for number in range(100, 220):
        wire.office.user(number)
        wire.office.contact(number, number, 5)
    assert len(sweep(wire).users) == 122
    assert wire.stats["commands"]["user.get"] == 3


@pytest.mark.parametrize("kind", ["short_page", "empty_page"])
def test_a_short_page_of_users(kind: str) -> None:
    """Somebody who is not returned is no employee, so nobody may get lost."""
    with pytest.raises(IncompleteReadError, match=r"read as a whole \(a page came short"):
        sweep(line(faults=[{"kind": kind, "method": "user.get"}]))


ANN_ROW = {"ID": "7", "ACTIVE": True, "NAME": "Ann", "UF_DEPARTMENT": [1]}


@pytest.mark.parametrize(
    ("rows", "total", "doubt"),
    [
        pytest.param([ANN_ROW | {"ID": "99"}], 1, "ID 99 was not asked for", id="foreign"),
        pytest.param([ANN_ROW | {"ID": "x"}], 1, "not an identifier", id="no-number"),
        pytest.param([ANN_ROW], 2, "came short", id="fewer-than-counted"),
        pytest.param([ANN_ROW], None, "came short", id="not-counted"),
        pytest.param({"7": ANN_ROW}, 1, "came short", id="an-object"),
        pytest.param(["x"], 1, "no attribute", id="a-text"),
    ],
)
def test_users_of_another_shape(rows: Any, total: int | None, doubt: str) -> None:
    """No owner is judged by a row that was not understood."""
    with pytest.raises(IncompleteReadError, match="the users could not be read") as failure:
        sweep(tampered(line(), "user.get", rows, total=total))
    assert doubt in str(failure.value)


def test_an_empty_answer_of_users_has_no_total() -> None:
    """F9: all the owners are bots; nobody is returned, and nothing is wrong."""
    assert sweep(tampered(line(), "user.get", [], total=None)).users == {}


# The first look -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("crm.company.list?order[ID]=DESC", {"a": 1}),
        ("crm.company.list?order[ID]=DESC", [{"TITLE": "x"}]),
        ("crm.contact.list?order[ID]=DESC", [{"ID": "x"}]),
        ("crm.contact.list?order[ID]=DESC", ["x"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_first_look_of_another_shape(method: str, result: Any) -> None:
    """Something else answers than a portal."""
    with pytest.raises(IncompleteReadError, match="unknown shape"):
        sweep(tampered(line(), method, result))


def test_the_highest_id_only_plans_the_windows() -> None:
    """Records that come after the first look are read as well."""
    wire = tampered(line(), "crm.contact.list?order[ID]=DESC", [])
    assert sweep(wire).mismatches == DRIFT


@pytest.mark.parametrize(
    ("strategy", "contacts"),
    [
        pytest.param(Strategy.DRIFT, ("contacts by company", 3, 3), id="companies-compared"),
        pytest.param(Strategy.PAGES, ("contacts", 4, 4), id="ids-read"),
    ],
)
def test_progress(strategy: Strategy, contacts: tuple[str, int, int]) -> None:
    """What, how far, and how far in all."""
    told: list[tuple[str, int, int]] = []
    Reader(line().client, lambda *seen: told.append(seen), SweepOptions(strategy=strategy)).sweep(Scope())
    assert told == [("companies", 7, 7), contacts]
