"""Filters and orders of the old list methods: F2, with everything they ignore."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, START, Office

from reconciler.simulator.filters import parse_key

DAY = 86400


@pytest.fixture(scope="module")
def office() -> Office:
    """Six contacts that differ in everything a filter can ask for; nobody changes them."""
    office = Office(update_path="factory")
    for company_id in (10, 20):
        office.company(company_id)
    office.contact(1, owner=ANN, company=10, name="Alice", source_id="WEB", opened="Y", date_modify=START)
    office.contact(2, owner=BOB, company=10, name="alan", source_id="CALL", date_modify=START + 60)
    office.contact(3, owner=ANN, company=20, name="Ömer 100%", post="", date_modify=START + 3600)
    office.contact(4, owner=BOB, name="ömer_1", date_modify=START + DAY, birthdate=START)
    office.contact(5, owner=ANN, company=0, name=None, post="boss")
    office.contact(6, owner=BOB, company=20, category_id=15, name="Alice")
    office.database.insert("multifield", entity="contact", entity_id=2, type_id="PHONE", value="+1 555")
    office.database.insert("multifield", entity="contact", entity_id=2, type_id="EMAIL", value="a@b.c")
    office.database.insert("multifield", entity="company", entity_id=1, type_id="PHONE", value="+1 555")
    return office


ALL = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        pytest.param({"ID": 2}, [2], id="equals"),
        pytest.param({"=ID": "2"}, [2], id="equals-sign"),
        pytest.param({"!ID": 2}, [1, 3, 4, 5], id="not"),
        pytest.param({"!=ID": 2}, [1, 3, 4, 5], id="not-equals"),
        pytest.param({">ID": 2, "<=ID": 4}, [3, 4], id="window"),
        pytest.param({">=ID": 4}, [4, 5], id="at-least"),
        pytest.param({"<ID": 2}, [1], id="below"),
        pytest.param({"!>ID": 2}, [1, 2], id="not-above"),
        pytest.param({"@ID": [1, 3, 99]}, [1, 3], id="in"),
        pytest.param({"@ID": 3}, [3], id="in-one"),
        pytest.param({"!@ID": [1, 3]}, [2, 4, 5], id="not-in"),
        pytest.param({"ID": [1, 3]}, [1, 3], id="array-is-or"),
        pytest.param({"!ID": [1, 3]}, [2, 4, 5], id="negated-array-is-and-of-negations"),
        pytest.param({"ID": [0]}, [], id="nobody-has-id-zero"),
    ],
)
def test_numbers(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: operations; an array is OR of its values, with `!` AND of the negations, with `@` IN."""
    assert office.list(filter=conditions, start=-1).ids == ids
    assert office.list(filter=conditions).json["total"] == len(ids)


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param({"NO_SUCH_FIELD": 1}, id="unknown-field"),
        pytest.param({"id": 2}, id="field-in-lower-case"),
        pytest.param({"COMPANY_IDS": 10}, id="company-ids"),
        pytest.param({"CATEGORY_ID": 15}, id="category"),
        pytest.param({"OBSERVERS": 1}, id="observers"),
        pytest.param({"CHECK_PERMISSIONS": "N"}, id="check-permissions"),
        pytest.param({"LOGIC": "OR", "0": {"ID": 1}, "1": {"ID": 2}}, id="logic"),
        pytest.param({"@ID": []}, id="empty-in"),
        pytest.param({"ID": []}, id="empty-array"),
        pytest.param({"!@COMPANY_ID": []}, id="empty-not-in"),
        pytest.param({"@DATE_MODIFY": []}, id="empty-dates"),
        pytest.param([], id="nothing"),
    ],
)
def test_conditions_that_are_dropped(office: Office, conditions: Any) -> None:
    """F2: unknown fields, fields outside the list's SQL and empty arrays leave the list unfiltered."""
    assert office.list(filter=conditions, start=-1).ids == ALL


def test_company_filters_by_contact_are_dropped(office: Office) -> None:
    """F2: company CONTACT_ID is known to crm.company.fields and does nothing."""
    assert office.list("crm.company.list", filter={"CONTACT_ID": 1}).ids == [10, 20]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        pytest.param({"!COMPANY_ID": 0}, [1, 2, 3], id="has-a-company"),
        pytest.param({"!=COMPANY_ID": ""}, [1, 2, 3], id="has-a-company-text"),
        pytest.param({"COMPANY_ID": 0}, [4, 5], id="has-none"),
        pytest.param({"COMPANY_ID": ""}, [4, 5], id="has-none-text"),
        pytest.param({"COMPANY_ID": None}, [4, 5], id="has-none-null"),
        pytest.param({">=COMPANY_ID": 0}, ALL, id="at-least-zero-takes-null"),
        pytest.param({">COMPANY_ID": 0}, [1, 2, 3], id="above-zero-does-not"),
        pytest.param({"!COMPANY_ID": 10}, [3, 4, 5], id="not-ten-takes-null"),
        pytest.param({"!@COMPANY_ID": [10]}, [3, 5], id="not-in-does-not"),
        pytest.param({"@COMPANY_ID": [0]}, [5], id="in-zero-is-zero"),
        pytest.param({"@COMPANY_ID": [10, 20], "!ASSIGNED_BY_ID": ANN}, [2], id="drift-query"),
        pytest.param({"+COMPANY_ID": 10}, [1, 2, 4, 5], id="or-null"),
        pytest.param({"+@COMPANY_ID": [10]}, [1, 2, 4, 5], id="or-null-in"),
        pytest.param({"!+COMPANY_ID": 10}, [3], id="not-or-null"),
        pytest.param({"+COMPANY_ID": []}, [4, 5], id="or-null-of-nothing"),
        pytest.param({"+BIRTHDATE": "2020-01-01"}, [1, 2, 3, 5], id="or-null-date"),
        pytest.param({"COMPANY_ID": "^&^"}, [4, 5], id="special-empty"),
        pytest.param({"COMPANY_ID": "^%^"}, [1, 2, 3], id="special-not-empty"),
        pytest.param({"!COMPANY_ID": "^&^"}, [1, 2, 3], id="special-not-of-empty"),
        pytest.param({"POST": "^%^"}, [5], id="special-text-not-empty"),
    ],
)
def test_null(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: zero and nothing are the same for `=`; `!` takes rows without a value along."""
    assert office.list(filter=conditions, start=-1).ids == ids


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        pytest.param({"%ID": 2}, [2], id="like-on-id"),
        pytest.param({"=%ASSIGNED_BY_ID": "8%"}, [2, 4], id="like-on-user"),
        pytest.param({"?ID": 3}, [3], id="query-on-id"),
        pytest.param({"%COMPANY_ID": 1}, [], id="like-on-company"),
        pytest.param({"%COMPANY_ID": 10}, [1, 2], id="like-on-company-equal"),
        pytest.param({"%SOURCE_ID": "WE"}, [], id="like-on-status"),
        pytest.param({"%SOURCE_ID": "web"}, [1], id="like-on-status-equal"),
        pytest.param({"%NAME": "al"}, [1, 2], id="substring"),
        pytest.param({"%NAME": "ÖMER"}, [3, 4], id="substring-any-alphabet"),
        pytest.param({"%NAME": "0%"}, [3], id="substring-takes-percent-as-it-is"),
        pytest.param({"%NAME": "r_"}, [4], id="substring-takes-underscore-as-it-is"),
        pytest.param({"=%NAME": "al%"}, [1, 2], id="pattern"),
        pytest.param({"%=NAME": "%e"}, [1], id="pattern-other-spelling"),
        pytest.param({"?NAME": "lic"}, [1], id="query"),
        pytest.param({"*NAME": "lic"}, [1], id="full-text"),
        pytest.param({"NAME": "ALICE"}, [1], id="equal-without-case"),
        pytest.param({"!NAME": "alice"}, [2, 3, 4, 5], id="not-equal-takes-null"),
        pytest.param({">NAME": "alice"}, [3, 4], id="text-range"),
        pytest.param({"@NAME": ["ALAN", "alice"]}, [1, 2], id="text-in"),
        pytest.param({"!@NAME": ["ALAN", "alice"]}, [3, 4], id="text-not-in"),
        pytest.param({"POST": ""}, [1, 2, 3, 4], id="empty-text-and-null"),
        pytest.param({"!POST": ""}, [5], id="not-empty"),
        pytest.param({">=POST": ""}, ALL, id="at-least-nothing"),
        pytest.param({"%NAME": ""}, [], id="substring-nothing"),
        pytest.param({"!%NAME": "al"}, [1, 2], id="negated-like-is-not-negated"),
        pytest.param({"OPENED": "Y"}, [1], id="flag"),
    ],
)
def test_text_and_like(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: LIKE on ids is `=`, also on directories and references; text ignores case."""
    assert office.list(filter=conditions, start=-1).ids == ids


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        pytest.param({">=DATE_MODIFY": "2026-01-01T03:00:00+03:00"}, [1, 2, 3, 4], id="offset"),
        pytest.param({">DATE_MODIFY": "2026-01-01T00:00:00Z"}, [2, 3, 4], id="after"),
        pytest.param({">=DATE_MODIFY": "2026-01-01 03:01:00"}, [2, 3, 4], id="server-zone"),
        pytest.param({">=DATE_MODIFY": "2026-01-02"}, [4], id="a-day-in-the-server-zone"),
        pytest.param({"DATE_MODIFY": "2026-01-01T00:01:00Z"}, [2], id="to-the-second"),
        pytest.param({"!DATE_MODIFY": "2026-01-01T00:01:00Z"}, [1, 3, 4, 5], id="not"),
        pytest.param({"%DATE_MODIFY": "2026-01-01T00:01:00Z"}, [2], id="like-is-equal"),
        pytest.param({">=DATE_MODIFY": "2026-01-01T03:00:00 03:00"}, [], id="plus-became-a-space"),
        pytest.param({">=DATE_MODIFY": "last full moon"}, [], id="no-date"),
        pytest.param({"!DATE_MODIFY": "no date"}, ALL, id="not-no-date"),
        pytest.param({">=DATE_MODIFY": ["2026-01-02"]}, [], id="array"),
        pytest.param({"BIRTHDATE": ""}, [1, 2, 3, 5], id="no-birthday"),
        pytest.param({"!BIRTHDATE": ""}, [4], id="birthday"),
        pytest.param({"<DATE_MODIFY": "now"}, [5], id="now"),
    ],
)
def test_dates(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: strtotime, one-second precision; what is no date becomes IS NULL and finds nothing."""
    assert office.list(filter=conditions, start=-1).ids == ids


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({"PHONE": "+1 555"}, [2]),
        ({"PHONE": ["+1 555", "x"]}, [2]),
        ({"%PHONE": "555"}, []),
        ({"!EMAIL": "a@b.c"}, [1, 3, 4, 5]),
        ({"HAS_PHONE": "Y"}, [2]),
    ],
    ids=str,
)
def test_multifields(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: phone and e-mail by exact match only."""
    assert office.list(filter=conditions, start=-1).ids == ids


@pytest.mark.parametrize(("value", "ids"), [([], ALL), ([[{"ID": 7}]], [2, 3, 4, 5]), ([1, 2, 3], [2, 3, 4, 5])])
def test_an_array_after_a_range_is_zero_or_one(office: Office, value: list[Any], ids: list[int]) -> None:
    """F1.3: under `>ID` an array is cast: an empty one to 0, any other to 1."""
    assert office.list(filter={">ID": value}, start=-1).ids == ids


def test_the_category_is_forced(office: Office) -> None:
    """F2: only standard contacts are listed or returned by get, whatever the filter says."""
    assert 6 not in office.list(filter={"@CATEGORY_ID": [15]}).ids
    assert office.call("crm.contact.get", id=6).error == ("", "Not found")
    assert office.call("crm.contact.update", id=6, fields={}).result is True


def test_own_companies_are_listed() -> None:
    """F2: "my companies" are among the companies; IS_MY_COMPANY tells them apart."""
    office = Office()
    office.company(1, is_my_company="Y", revenue=12.5)
    office.company(2)
    assert office.list("crm.company.list").ids == [1, 2]
    assert office.list("crm.company.list", filter={"=IS_MY_COMPANY": "N"}).ids == [2]
    assert office.list("crm.company.list", filter={">REVENUE": "12,4"}).ids == [1]
    assert office.list("crm.company.list", filter={"REVENUE": "none"}).ids == [2]


def test_very_long_lists(office: Office) -> None:
    """A JSON body may bring more ids than SQLite has question marks."""
    assert office.list(filter={"@ID": [2, *range(100, 40_100)]}, start=-1).ids == [2]


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        pytest.param({"ID": "DESC"}, [5, 4, 3, 2, 1], id="desc"),
        pytest.param({"id": "asc"}, ALL, id="any-case"),
        pytest.param({"ID": "up"}, [5, 4, 3, 2, 1], id="anything-else-is-desc"),
        pytest.param({"NO_SUCH": "DESC", "ID": "ASC"}, ALL, id="unknown-ignored"),
        pytest.param({"COMPANY_IDS": "DESC", "PHONE": "DESC", "ID": "ASC"}, ALL, id="not-sortable-ignored"),
        pytest.param({"ASSIGNED_BY_ID": "DESC", "ID": "ASC"}, [2, 4, 1, 3, 5], id="two-fields"),
        pytest.param({"COMPANY_ID": "ASC", "ID": "ASC"}, [4, 5, 1, 2, 3], id="nothing-first"),
    ],
)
def test_order(office: Office, order: dict[str, str], ids: list[int]) -> None:
    """F2: unknown fields are ignored, a direction other than ASC is DESC."""
    assert office.call("crm.contact.list", order=order, start=-1).ids == ids


def test_no_order_is_no_order(office: Office) -> None:
    """F2: without `order` rows come as the database finds them, here by company."""
    office = Office()
    office.contact(1, company=20)
    office.contact(2, company=10)
    assert office.call("crm.contact.list", filter={"@COMPANY_ID": [10, 20]}, start=-1).ids == [2, 1]


@pytest.mark.parametrize("name", ["order", "filter", "select"])
def test_parameters_must_be_arrays(office: Office, name: str) -> None:
    """F2: `Parameter 'order' must be array.`, code empty."""
    answer = office.call("crm.contact.list", **{name: "x"})
    assert (answer.status, answer.error) == (400, ("", f"Parameter '{name}' must be array."))


def test_keys() -> None:
    """F2: `!` comes first, then `+`, then one operation, the longer ones tried first."""
    condition = parse_key("!+>=NAME")
    assert (condition.field, condition.operation, condition.negative, condition.or_null) == ("NAME", ">=", True, True)
    assert [parse_key(key).operation for key in ("=%A", "%=A", "*=A", "*%A", "A", ">A")] == [
        "=%",
        "%=",
        "*=",
        "*%",
        "=",
        ">",
    ]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({"%FULL_NAME": "ce b"}, [1]),
        ({"FULL_NAME": "alice brown"}, [1]),
        ({"%FULL_NAME": "nobody"}, []),
    ],
    ids=str,
)
def test_names_as_a_whole(conditions: dict[str, str], ids: list[int]) -> None:
    """F2: FULL_NAME is in no answer and among no fields, and yet filters."""
    office = Office()
    office.contact(1, name="Alice", last_name="Brown")
    office.contact(2, name="Bob")
    assert office.list(filter=conditions).ids == ids
    assert "FULL_NAME" not in office.call("crm.contact.fields").result
    assert "FULL_NAME" not in office.call("crm.contact.list", select=["*", "FULL_NAME"]).result[0]


def test_addresses_of_email_ignore_case() -> None:
    """F2: an e-mail address is found in any letter case, a telephone number only as it is written."""
    office = Office()
    office.contact(1)
    for type_id, value in (("EMAIL", "Alice@Example.org"), ("WEB", "https://Example.org")):
        office.database.insert("multifield", entity="contact", entity_id=1, type_id=type_id, value=value)
    assert office.list(filter={"EMAIL": "alice@example.ORG"}).ids == [1]
    assert office.list(filter={"!EMAIL": "alice@example.ORG"}).ids == []
    assert office.list(filter={"WEB": "https://example.org"}).ids == []
