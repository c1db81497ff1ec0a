"""`crm.item.*` for contacts and companies: F2, F4, F6 and F17."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, START, Office


@pytest.fixture
def office() -> Office:
    """Have a contact of two companies, one of another category, and one without anything."""
    office = Office()
    for company_id in (10, 20):
        office.company(company_id, title=f"Company {company_id}")
    office.contact(1, company=10, name="Zoë", last_name="Ångström", type_id="CLIENT")
    office.portal.people.bind(1, 20)
    office.contact(2, owner=BOB, company=20, category_id=5, name="Bo", opened="Y")
    office.contact(3, date_modify=START)
    office.clock.sleep(60)
    return office


def found(office: Office, conditions: dict[str, Any], type_id: int = 3) -> list[int]:
    """Return the ids that a filter finds."""
    answer = office.call("crm.item.list", entityTypeId=type_id, filter=conditions, order={"id": "ASC"}, select=["id"])
    return [item["id"] for item in answer.result["items"]]


def test_an_item(office: Office) -> None:
    """F2: camelCase, numbers as numbers, nulls, Y and N, arrays; ids of companies in the order of the card."""
    office.call("crm.contact.update", id=1, fields={"PHONE": [{"VALUE": "+1"}], "EMAIL": [{"VALUE": "a@example.com"}]})
    item = office.call("crm.item.get", entityTypeId=3, id=1).result["item"]
    expected = {
        "id": 1,
        "assignedById": ANN,
        "companyId": 10,
        "companyIds": [10, 20],
        "categoryId": 0,
        "name": "Zoë",
        "secondName": None,
        "opened": "N",
        "typeId": "CLIENT",
        "createdTime": "2026-01-01T02:43:20+03:00",
        "updatedTime": "2026-01-01T03:01:00+03:00",
        "updatedBy": 1,
        "leadId": None,
        "birthdate": None,
        "observers": [],
        "entityTypeId": 3,
        "phone": "+1",
        "phoneWork": "+1",
        "phoneMobile": "",
        "email": "a@example.com",
        "hasPhone": "Y",
        "fm": [
            {"id": 1, "valueType": "WORK", "value": "+1", "typeId": "PHONE"},
            {"id": 2, "valueType": "WORK", "value": "a@example.com", "typeId": "EMAIL"},
        ],
    }
    assert {name: item[name] for name in expected} == expected


def test_a_company_as_an_item(office: Office) -> None:
    """F2: its contacts by their places, and numbers where the older list has texts."""
    office.call("crm.company.update", id=20, fields={"REVENUE": 12.5, "COMPANY_TYPE": "CUSTOMER"})
    item = office.call("crm.item.get", entityTypeId="4", id="20").result["item"]
    assert (item["contactIds"], item["revenue"], item["typeId"]) == ([2, 1], 12.5, "CUSTOMER")
    assert (item["isMyCompany"], item["entityTypeId"]) == ("N", 4)


def test_a_list(office: Office) -> None:
    """F2: all categories; without `select` everything with fm, with one only what is known of it."""
    answer = office.call("crm.item.list", entityTypeId=3, order={"id": "DESC"}).json
    assert [item["id"] for item in answer["result"]["items"]] == [3, 2, 1]
    assert answer["total"] == 3
    assert all(item["fm"] == [] and item["entityTypeId"] == 3 for item in answer["result"]["items"])
    chosen = office.call("crm.item.list", entityTypeId=3, select=["name", "companyIds", "nope"], filter={"id": 1})
    assert chosen.result == {"items": [{"name": "Zoë", "companyIds": [10, 20]}]}


def test_pages() -> None:
    """F2: fifty a page, `next` while there are more, no wrap behind the end; -1 counts nothing: total 0."""
    office = Office()
    office.contacts(120)
    pages = {
        start: office.call("crm.item.list", entityTypeId=3, select=["id"], order={"ID": "asc"}, start=start).json
        for start in (0, 50, 75, 100, 150, -1)
    }
    seen = {start: [item["id"] for item in page["result"]["items"]][:1] for start, page in pages.items()}
    assert seen == {0: [1], 50: [51], 75: [51], 100: [101], 150: [], -1: [1]}
    assert {start: page.get("next") for start, page in pages.items()} == {
        **dict.fromkeys((100, 150, -1)),
        0: 50,
        50: 100,
        75: 100,
    }
    assert {start: page["total"] for start, page in pages.items()} == dict.fromkeys((0, 50, 75, 100, 150), 120) | {
        -1: 0
    }


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"categoryId": 5}, [2]),
        ({"id": [1, 3]}, [1, 3]),
        ({"@id": [1, 3]}, [1, 3]),
        ({"!@id": [1, 3]}, [2]),
        ({"!id": 1}, [2, 3]),
        ({"@id": []}, []),
        ({">id": 1, "<=id": 2}, [2]),
        ({">=ID": 2}, [2, 3]),
        ({"companyId": 10}, [1]),
        ({"!companyId": 10}, [2, 3]),
        ({"companyId": None}, [3]),
        ({"!companyId": None}, [1, 2]),
        ({"!=companyId": [10, None]}, [2]),
        ({"name": "ZOË"}, [1]),
        ({"%name": "o"}, [1, 2]),
        ({"=%name": "z%"}, [1]),
        ({"%=name": "%o"}, [2]),
        ({"!%name": "o"}, [3]),
        ({"!=%name": "z%"}, [2, 3]),
        ({"%name": "%"}, []),
        ({"opened": "Y"}, [2]),
        ({"opened": 1}, [2]),
        ({"!opened": True}, [1, 3]),
        ({">=updatedTime": "2026-01-01T00:00:00Z"}, [3]),
        ({">=updatedTime": "2026-01-01T02:00:00+02:00"}, [3]),
        ({">updatedTime": "no date"}, []),
        ({"><id": 1}, []),
        ({"shortName": "x"}, []),
        ({"!shortName": "x"}, [1, 2, 3]),
        ({"observers": [7]}, []),
        ({"!observers": 7}, [1, 2, 3]),
        ({"phone": "+1"}, []),
        ({"logic": "OR", "id": 1, "categoryId": 5}, [1, 2]),
        ({"0": {"logic": "OR", "0": {"id": 1}, "1": {"id": 3, "categoryId": 0}}, "!id": 1}, [3]),
        ({"LOGIC": "AND", "0": "x", "id": 2}, [2]),
    ],
    ids=str,
)
def test_filters(office: Office, conditions: dict[str, Any], ids: list[int]) -> None:
    """F2: the filters of the newer list: nesting, OR, null as "empty", negations that include what is empty."""
    assert found(office, conditions) == ids


def test_filters_of_companies(office: Office) -> None:
    """F2: companies can be found by their contacts, and by numbers."""
    office.call("crm.item.update", entityTypeId=4, id=20, fields={"observers": [BOB], "revenue": 10})
    assert found(office, {"contactIds": [2]}, 4) == [20]
    assert found(office, {"contactIds": 1}, 4) == [10, 20]
    assert found(office, {"observers": BOB, ">revenue": 9}, 4) == [20]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"filter": {"nope": 1}}, "Invalid filter: field 'NOPE' is not allowed in filter"),
        ({"filter": {"0": {"!nope": 1}}}, "Invalid filter: field '!NOPE' is not allowed in filter"),
        ({"filter": {"?name": 1}}, "Invalid filter: field '?NAME' is not allowed in filter"),
        ({"filter": {"companyIds": 1}}, "Invalid filter: field 'COMPANY_IDS' is not allowed in filter"),
        ({"filter": {">id": [1]}}, "Invalid filter: field '>ID' has invalid value"),
        ({"filter": {"%name": ["x"]}}, "Invalid filter: field '%NAME' has invalid value"),
        ({"order": {"nope": "ASC"}}, "Invalid order: field 'NOPE' is not allowed in order"),
        (
            {"order": {"id": "up"}},
            "Invalid order: allowed sort directions are ASC, DESC. But got 'UP' for field 'ID'",
        ),
    ],
)
def test_what_is_wrong_is_said(office: Office, params: dict[str, Any], sentence: str) -> None:
    """F2: INVALID_ARG_VALUE for an unknown field, where the older list drops it; no array under `>id` either."""
    answer = office.call("crm.item.list", entityTypeId=3, **params)
    assert (answer.status, answer.error) == (400, ("INVALID_ARG_VALUE", sentence))


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("list", {}, ("100", "Could not find value for parameter {entityTypeId}")),
        ("get", {"entityTypeId": 3}, ("100", "Could not find value for parameter {id}")),
        ("add", {"entityTypeId": 3}, ("100", "Could not find value for parameter {fields}")),
        (
            "get",
            {"entityTypeId": 3, "id": "x"},
            ("100", "Invalid value {x} to match with parameter {id}. Should be value of type int."),
        ),
        (
            "list",
            {"entityTypeId": 3, "filter": "x"},
            ("100", "Invalid value {x} to match with parameter {filter}. Should be value of type array."),
        ),
        ("fields", {"entityTypeId": 1268}, ("NOT_FOUND", "Smart process not found")),
        ("list", {"entityTypeId": 5}, ("ENTITY_TYPE_NOT_SUPPORTED", "Entity type Invoice is not supported")),
        ("get", {"entityTypeId": 3, "id": 99}, ("NOT_FOUND", "Item not found")),
        ("update", {"entityTypeId": 3, "id": 99, "fields": {}}, ("NOT_FOUND", "Item not found")),
        ("delete", {"entityTypeId": 3, "id": 99}, ("NOT_FOUND", "Item not found")),
        (
            "update",
            {"entityTypeId": 3, "id": 1, "fields": {"assignedById": 0}},
            ("CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "assignedById"'),
        ),
        (
            "update",
            {"entityTypeId": 3, "id": 1, "fields": {"observers": 7}},
            ("100", "Expected iterable value for multiple field, but got integer instead"),
        ),
    ],
)
def test_refusals(office: Office, method: str, params: dict[str, Any], error: tuple[str, str]) -> None:
    """F6: the codes of the newer methods, HTTP 400."""
    answer = office.call(f"crm.item.{method}", **params)
    assert (answer.status, answer.error) == (400, error)


def test_adding(office: Office) -> None:
    """F2: of a category, with links, observers and telephones; the answer is the whole item."""
    fields = {
        "name": "New",
        "assignedById": BOB,
        "categoryId": 5,
        "companyIds": [20, 10],
        "observers": [BOB, ANN, ANN],
        "fm": {"n0": {"typeId": "PHONE", "valueType": "HOME", "value": "+2"}, "n1": {"typeId": "X", "value": "y"}},
        "createdBy": 99,
        "export": "y",
    }
    item = office.call("crm.item.add", entityTypeId=3, fields=fields).result["item"]
    shown = {
        name: item[name] for name in ("name", "assignedById", "categoryId", "companyId", "companyIds", "createdBy")
    }
    assert shown == {k: v for k, v in fields.items() if k in shown} | {"companyId": 20, "createdBy": 1}
    assert (item["observers"], item["export"], [entry["value"] for entry in item["fm"]]) == ([ANN, BOB], "Y", ["+2"])
    assert office.list(filter={"ID": item["id"]}).ids == [], "not of category 0"


@pytest.mark.parametrize(
    ("type_id", "defaults"),
    [
        (3, {"typeId": "CLIENT", "sourceId": "CALL", "honorific": None, "export": "Y", "opened": "Y"}),
        (4, {"typeId": "CUSTOMER", "industry": "IT", "employees": "EMPLOYEES_1", "currencyId": "USD", "opened": "Y"}),
    ],
)
def test_what_an_item_gets_by_itself(office: Office, type_id: int, defaults: dict[str, str | None]) -> None:
    """F2: the first entry of each directory, where nothing else is said."""
    item = office.call("crm.item.add", entityTypeId=type_id, fields={}).result["item"]
    assert {name: item[name] for name in defaults} == defaults
    other = office.call("crm.item.add", entityTypeId=type_id, fields={"typeId": "OTHER"}).result["item"]
    assert other["typeId"] == "OTHER"


def test_updating(office: Office) -> None:
    """F4, F17: without a difference nothing is saved; a new owner rings a bell; dates that are none change nothing."""
    before = office.row("contact", 2)
    same = {"assignedById": BOB, "opened": True, "birthdate": "never", "nope": 1, "observers": []}
    assert office.call("crm.item.update", entityTypeId=3, id=2, fields=same).result["item"]["id"] == 2
    assert office.row("contact", 2) == before
    item = office.call("crm.item.update", entityTypeId=3, id=2, fields={"assignedById": ANN, "name": None}).result[
        "item"
    ]
    assert (item["assignedById"], item["name"], item["updatedTime"]) == (ANN, None, "2026-01-01T03:01:00+03:00")
    stats = office.portal.stats()
    assert (stats["noop_updates"], stats["updates_applied"], stats["notices"]) == (1, 1, 1)
    assert [(edit.field, edit.after) for edit in office.portal.history] == [("ASSIGNED_BY_ID", ANN), ("NAME", None)]


def test_updating_what_stands_elsewhere(office: Office) -> None:
    """F4: telephones by their ids, observers and companies as wholes; each moves the date."""
    update = {"entityTypeId": 3, "id": 3}
    item = office.call("crm.item.update", **update, fields={"fm": {"n0": {"typeId": "PHONE", "value": "+1"}}}).result
    number = str(item["item"]["fm"][0]["id"])
    item = office.call("crm.item.update", **update, fields={"fm": {number: {"typeId": "PHONE", "value": ""}}}).result
    assert item["item"]["fm"] == []
    item = office.call("crm.item.update", **update, fields={"companyId": 20, "observers": [BOB]}).result
    assert (item["item"]["companyIds"], item["item"]["observers"]) == ([20], [BOB])
    item = office.call("crm.item.update", **update, fields={"companyIds": None, "observers": None}).result
    assert (item["item"]["companyId"], item["item"]["observers"]) == (None, [])
    assert office.portal.stats()["updates_applied"] == 4


def test_deleting(office: Office) -> None:
    """F17: an empty list for an answer, and the record is in the recycle bin."""
    assert office.call("crm.item.delete", entityTypeId=3, id=2).result == []
    assert found(office, {}) == [1, 3]
    assert office.portal.people.restore_contact(2) > 3


def test_fields(office: Office) -> None:
    """F2: every field that is shown is described, with its upper name; what is switched off is not."""
    for type_id in (3, 4):
        fields = office.call("crm.item.fields", entityTypeId=type_id).result["fields"]
        number = {3: 1, 4: 10}[type_id]
        item = office.call("crm.item.get", entityTypeId=type_id, id=number).result["item"]
        assert {name for name, value in item.items() if value is not None} <= set(fields) | {"fm", "entityTypeId"}
        assert fields["assignedById"]["upperName"] == "ASSIGNED_BY_ID"
        assert (fields["id"]["isReadOnly"], fields["observers"]["type"]) == (True, "user")
        assert "shortName" not in fields


@pytest.mark.parametrize("role", ["own_only", "read_only", "none"])
def test_rights(role: str) -> None:
    """F2, F6: ACCESS_DENIED 400 for what one may not; a list shows what one may see."""
    office = Office(user_id=ANN, role=role)
    office.contact(1, owner=ANN)
    office.contact(2, owner=BOB)
    seen = {"own_only": [1], "read_only": [1, 2], "none": []}[role]
    assert found(office, {}) == seen
    update = office.call("crm.item.update", entityTypeId=3, id=2, fields={"name": "x"})
    delete = office.call("crm.item.delete", entityTypeId=3, id=2)
    assert update.error == delete.error == ("ACCESS_DENIED", "Access denied")
    add = office.call("crm.item.add", entityTypeId=3, fields={})
    get = office.call("crm.item.get", entityTypeId=3, id=2)
    fields = office.call("crm.item.fields", entityTypeId=3)
    assert add.status == (200 if role == "own_only" else 400)
    assert get.status == (200 if role == "read_only" else 400)
    assert fields.status == (400 if role == "none" else 200)


def test_extranet_users() -> None:
    """F6: allowed_only_intranet_user 403."""
    office = Office(user_id=20)
    office.user(20, user_type="extranet", departments="[]")
    answer = office.call("crm.item.list", entityTypeId=3)
    assert (answer.status, answer.error[0]) == (403, "allowed_only_intranet_user")
