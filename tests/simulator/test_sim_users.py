"""user.get, user.current, profile and department.get: F9 and F17."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ADMIN, ANN, BOB, START, Office

#: 2026-03-01T00:00:00Z.
LATER = START + 59 * 86_400


@pytest.fixture
def office() -> Office:
    """Add a dismissed employee, an extranet user, a bot, an integrator and an e-mail user."""
    office = Office()
    office.user(20, name="Dora", active=0, email="dora@example.org", date_register=START)
    office.database.write("UPDATE user SET xml_id = 'ext-7', changed_at = ? WHERE id = ?", (LATER, ANN))
    office.database.write("UPDATE user SET phone_inner = '102', active_at = ? WHERE id = ?", (LATER, BOB))
    office.user(30, name="Ex", departments="[]", user_type="extranet")
    office.user(40, name="Bot", user_type="bot")
    office.user(41, name="Integrator", user_type="integrator")
    office.user(42, name="Mail", departments="[]", user_type="email")
    return office


EVERYBODY = [ADMIN, ANN, BOB, 20]


def test_a_user(office: Office) -> None:
    """F9: ID is text, ACTIVE a boolean, UF_DEPARTMENT numbers; some dates are `{}`."""
    answer = office.call("user.get", FILTER={"ID": 20})
    (user,) = answer.result
    assert user["ID"] == "20"
    assert user["ACTIVE"] is False
    assert user["UF_DEPARTMENT"] == [1]
    assert user["USER_TYPE"] == "employee"
    assert user["DATE_REGISTER"] == "2026-01-01T03:00:00+03:00"
    assert user["TIMESTAMP_X"] == {}
    assert answer.json["total"] == 1


def test_who_is_never_returned(office: Office) -> None:
    """F9: bots, integrators and e-mail users are absent, so "not returned" is not "dismissed"."""
    assert office.call("user.get").ids == EVERYBODY
    assert office.call("user.get", FILTER={"@ID": [40, 41, 42]}).result == []


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        pytest.param({"ID": 30}, [30], id="administrator-by-id"),
        pytest.param({"FILTER": {"ID": 30}}, [30], id="administrator-by-filter"),
        pytest.param({"FILTER": {"@ID": [30]}}, [], id="another-key"),
        pytest.param({"ADMIN_MODE": True}, [*EVERYBODY, 30], id="admin-mode"),
        pytest.param({"ADMIN_MODE": True, "FILTER": {"USER_TYPE": "extranet"}}, [30], id="admin-mode-with-filter"),
        pytest.param({"FILTER": {"ADMIN_MODE": True}}, EVERYBODY, id="admin-mode-inside-is-no-field"),
    ],
)
def test_extranet_users(office: Office, params: dict[str, Any], ids: list[int]) -> None:
    """F9: users without a department are for administrators who ask for them."""
    assert office.call("user.get", **params).ids == ids


def test_admin_mode_needs_an_administrator(office: Office) -> None:
    """F9: ADMIN_MODE of anybody else changes nothing."""
    office.database.write("UPDATE user SET is_admin = 0")
    assert office.call("user.get", ADMIN_MODE=True).ids == EVERYBODY
    assert office.call("user.get", ID=30).result == []
    assert office.call("user.admin").result is False
    assert office.call("profile").result["ADMIN"] is False


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        pytest.param({"ID": BOB}, [BOB], id="top-level"),
        pytest.param({"id": BOB}, [BOB], id="any-case"),
        pytest.param({"ID": ANN, "FILTER": {"ID": BOB}}, [BOB], id="filter-replaces-the-rest"),
        pytest.param({"ID": ANN, "filter": {}}, EVERYBODY, id="even-an-empty-one"),
        pytest.param({"FILTER": "x", "ID": ANN}, [ANN], id="filter-that-is-none"),
        pytest.param({"FILTER": {"ID": [ANN, BOB, 40]}}, [ANN, BOB], id="ids"),
        pytest.param({"FILTER": {"@ID": [ANN, BOB]}}, [ANN, BOB], id="in"),
        pytest.param({"FILTER": {"!@ID": [ANN, BOB]}}, [ADMIN, 20], id="not-in"),
        pytest.param({"FILTER": {"!ID": ANN}}, [ADMIN, BOB, 20], id="not"),
        pytest.param({"FILTER": {"ID": []}}, [], id="no-ids-is-nobody"),
        pytest.param({"FILTER": {">ID": ANN, "<=ID": 20}}, [BOB, 20], id="range"),
        pytest.param({"FILTER": {">=ID": BOB, "<ID": 20}}, [BOB], id="other-range"),
        pytest.param({"FILTER": {"NO_SUCH": 1}}, EVERYBODY, id="unknown-is-ignored"),
        pytest.param({"FILTER": {"NAME": "ann"}}, [ANN], id="name"),
        pytest.param({"FILTER": {"NAME": "A%"}}, [ADMIN, ANN], id="without an operator % is any text"),
        pytest.param({"FILTER": {"NAME": "_o_"}}, [BOB], id="and _ any letter"),
        pytest.param({"FILTER": {"NAME": "A.a"}}, [], id="and nothing else is special"),
        pytest.param({"FILTER": {"!NAME": "A%"}}, [BOB, 20], id="negated"),
        pytest.param({"FILTER": {"=NAME": "A%"}}, [], id="with = it is a letter"),
        pytest.param({"FILTER": {"NAME": ["ann", "B%"]}}, [ANN, BOB], id="several"),
        pytest.param({"FILTER": {"UF_PHONE_INNER": "102"}}, [BOB], id="internal-number"),
        pytest.param({"UF_PHONE_INNER": "999"}, [], id="nobodys-internal-number"),
        pytest.param({"FILTER": {"XML_ID": "ext-7"}}, [ANN], id="external-id"),
        pytest.param({"FILTER": {"XML_ID": "ext-8"}}, [], id="nobodys-external-id"),
        pytest.param({"FILTER": {"NAME_SEARCH": "bo"}}, [BOB], id="search"),
        pytest.param({"FILTER": {"%NAME_SEARCH": "ob"}}, [], id="a-search-takes-no-operator"),
        pytest.param({"FILTER": {"NAME_SEARCH": "nobody"}}, [], id="search-for-nobody"),
        pytest.param({"FILTER": {">TIMESTAMP_X": "2026-02-01T00:00:00Z"}}, [ANN], id="changed"),
        pytest.param({"FILTER": {"<=TIMESTAMP_X": "2025-01-01T00:00:00Z"}}, [ADMIN, BOB], id="not-changed"),
        pytest.param({"FILTER": {">LAST_ACTIVITY_DATE": "2026-02-01T00:00:00Z"}}, [BOB], id="active-lately"),
        pytest.param({"FILTER": {"<LAST_ACTIVITY_DATE": "2026-02-01T00:00:00Z"}}, [], id="never-active-is-not-before"),
        pytest.param({"FILTER": {"PERSONAL_PHONE": "+1"}}, [], id="what-nobody-has"),
        pytest.param({"FILTER": {"!PERSONAL_PHONE": "+1"}}, EVERYBODY, id="what-everybody-lacks"),
        pytest.param({"FILTER": {"IS_ONLINE": "Y"}}, [], id="online"),
        pytest.param({"FILTER": {"IS_ONLINE": "N"}}, EVERYBODY, id="not-online"),
        pytest.param({"FILTER": {"HAS_DEPARTAMENT": "Y"}}, EVERYBODY, id="with-a-department"),
        pytest.param({"FILTER": {"FIND": "bob"}}, EVERYBODY, id="find-is-for-the-other-method"),
        pytest.param({"FILTER": {"%NAME": "D"}}, [ADMIN, 20], id="substring"),
        pytest.param({"FILTER": {"=%NAME": "a%"}}, [ADMIN, ANN], id="beginning"),
        pytest.param({"FILTER": {"%=NAME": "%n"}}, [ANN], id="end"),
        pytest.param({"FILTER": {"=%NAME": "%o%"}}, [BOB, 20], id="middle"),
        pytest.param({"FILTER": {"=%NAME": "bob"}}, [BOB], id="no-wildcard"),
        pytest.param({"FILTER": {"USER_TYPE": "employee"}}, EVERYBODY, id="type"),
        pytest.param({"UF_DEPARTMENT": 1}, EVERYBODY, id="department"),
        pytest.param({"UF_DEPARTMENT": 2}, [], id="other-department"),
        pytest.param({"FILTER": {">=DATE_REGISTER": "2026-01-01T00:00:00Z"}}, [20], id="registered"),
        pytest.param({"FILTER": {">=DATE_REGISTER": "once"}}, [], id="no-date"),
    ],
)
def test_filters(office: Office, params: dict[str, Any], ids: list[int]) -> None:
    """F9: a FILTER replaces all other parameters; otherwise fields stand at the top."""
    assert office.call("user.get", **params).ids == ids


@pytest.mark.parametrize(
    ("value", "active"),
    [(True, True), (1, True), ("Y", True), ("true", True), ("false", True), (False, False), (0, False), ("0", False),
     ("N", False), ("", False), (None, False)],
    ids=repr,
)  # fmt: skip
def test_active(office: Office, value: object, active: bool) -> None:
    """F9: only '', 0, '0', 'N' and false mean inactive; the text "false" is true."""
    assert office.call("user.get", FILTER={"ACTIVE": value}).ids == ([ADMIN, ANN, BOB] if active else [20])


def test_order(office: Office) -> None:
    """F9: sort and order are both needed, else ID ascending."""
    assert office.call("user.get", sort="NAME", order="DESC").ids == [20, BOB, ANN, ADMIN]
    assert office.call("user.get", SORT="UF_DEPARTMENT", ORDER="asc").ids == EVERYBODY
    assert office.call("user.get", sort="NAME").ids == EVERYBODY
    assert office.call("user.get", order="DESC").ids == EVERYBODY
    assert office.call("user.get", sort="NO_SUCH", order="DESC").ids == EVERYBODY


def test_pages() -> None:
    """F9: 50 users from any offset on; beyond the end is nothing, without total; start=-1 has no count."""
    office = Office()
    for user_id in range(100, 157):
        office.user(user_id)
    first = office.call("user.get")
    assert (len(first.ids), first.json["total"], first.json["next"]) == (50, 60, 50)
    second = office.call("user.get", start=50)
    assert (len(second.ids), second.json["total"], "next" in second.json) == (10, 60, False)
    odd = office.call("user.get", start=7)
    assert (odd.ids[0], len(odd.ids), odd.json["next"]) == (first.ids[7], 50, 57)
    assert office.call("user.search", start=57).ids == second.ids[-3:]
    beyond = office.call("user.get", start=100)
    assert (beyond.result, "total" in beyond.json) == ([], False)
    uncounted = office.call("user.get", start=-1)
    assert (len(uncounted.ids), uncounted.json["total"], "next" in uncounted.json) == (50, 0, False)


def test_nobody_has_no_total(office: Office) -> None:
    """F9: an empty result is `[]` without total."""
    answer = office.call("user.get", ID=4711)
    assert (answer.result, "total" in answer.json) == ([], False)


@pytest.mark.parametrize(
    ("scope", "missing"),
    [("user", set()), ("user_basic", {"USER_TYPE"}), ("user_brief", {"USER_TYPE", "EMAIL"})],
)
def test_fields_by_scope(scope: str, missing: set[str]) -> None:
    """F17: limited scopes have ACTIVE and UF_DEPARTMENT, not USER_TYPE; the briefest has no EMAIL."""
    office = Office(scopes=(scope,))
    (user,) = office.call("user.get", ID=ANN).result
    assert {"ID", "ACTIVE", "NAME", "UF_DEPARTMENT"} <= set(user)
    assert {"USER_TYPE", "EMAIL"} - set(user) == missing
    assert set(office.call("user.current").result) == set(user)


@pytest.mark.parametrize(
    ("select", "fields"),
    [
        (["ID", "NAME", "NO_SUCH"], ["ID", "NAME"]),
        (["ID", "UF_*"], ["ID", "UF_EMPLOYMENT_DATE", "UF_DEPARTMENT"]),
        (["NAME"], ["NAME"]),
    ],
    ids=str,
)
def test_select(office: Office, select: list[str], fields: list[str]) -> None:
    """F9: unknown names are skipped; here ID does not come by itself."""
    assert list(office.call("user.get", ID=ANN, select=select).result[0]) == fields
    assert "EMAIL" in office.call("user.get", ID=ANN, select=[*select, "*"]).result[0]


def test_the_webhooks_own_user(office: Office) -> None:
    """F9: user.current and profile are the webhook's owner."""
    assert office.call("user.current").result["NAME"] == "Ada"
    profile = office.call("profile").result
    assert (profile["ID"], profile["NAME"], profile["ADMIN"]) == ("1", "Ada", True)


def test_a_portal_without_users() -> None:
    """A database without users still answers: the webhook belongs to an administrator without a name."""
    office = Office()
    office.database.write("DELETE FROM user")
    assert office.call("profile").result["NAME"] == ""
    assert office.call("user.current").result == {"ID": "1"}


def test_departments() -> None:
    """F9: PARENT and UF_HEAD may be missing; filters, order, pages and scope."""
    office = Office(scopes=("department",))
    office.database.insert("department", id=1, name="All", head=ADMIN)
    office.database.insert("department", id=2, name="Sales", parent=1)
    for department_id in range(3, 62):
        office.database.insert("department", id=department_id, name="Team", parent=2)
    head, sales, *_ = office.call("department.get").result
    assert head == {"ID": "1", "NAME": "All", "SORT": 500, "UF_HEAD": "1"}
    assert sales == {"ID": "2", "NAME": "Sales", "SORT": 500, "PARENT": "1"}
    assert office.call("department.get", PARENT=1).ids == [2]
    assert office.call("department.get", ID=[1, 3]).ids == [1, 3]
    assert office.call("department.get", UF_HEAD=1).ids == [1]
    assert len(office.call("department.get", start=50).ids) == 11
    assert office.call("department.get", start=60).ids == office.call("department.get", start=50).ids
    assert office.call("department.get", FILTER={"PARENT": 1}, ID=3).ids == [2]
    assert office.call("department.get", filter={"SORT": 500, "NAME": ["All", "Sales"]}).ids == [1, 2]
    assert office.call("department.get", sort="ID", order="DESC").ids[0] == 61
    assert office.call("department.get", SORT="NAME", ORDER="asc").ids[:2] == [1, 2]
    assert office.call("department.get", sort="UF_HEAD", order="DESC").ids[0] == 1
    assert office.call("department.get", sort="NAME").ids[:2] == [1, 2]


@pytest.mark.parametrize(
    ("scope", "conditions", "everybody"),
    [
        ("user_brief", {"EMAIL": "dora@example.org"}, True),
        ("user_brief", {"UF_PHONE_INNER": "102"}, False),
        ("user_basic", {"EMAIL": "dora@example.org"}, False),
        ("user_basic", {">LAST_LOGIN": "2027-01-01"}, True),
        ("user", {">LAST_LOGIN": "2027-01-01"}, False),
    ],
)
def test_filters_by_scope(scope: str, conditions: dict[str, str], everybody: bool) -> None:
    """F17: what the scope does not show it does not filter by either; the condition is ignored."""
    office = Office(scopes=(scope,))
    found = office.call("user.get", FILTER=conditions).result
    assert (len(found) == 3) == everybody
