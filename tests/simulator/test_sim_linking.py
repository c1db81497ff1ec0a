"""`crm.contact.company.*` and `crm.company.contact.*`: F3 and F17 through REST."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office


@pytest.fixture
def office() -> Office:
    """Link contact 1 with companies 10 (primary) and 20, of three; contact 2 with company 10."""
    office = Office()
    for company_id in (10, 20, 30):
        office.company(company_id)
    office.contact(1, company=10)
    office.contact(2, company=10)
    office.portal.people.bind(1, 20)
    return office


def companies(office: Office, contact_id: int = 1) -> list[tuple[int, int, str]]:
    """Return id, place and mark of a contact's companies."""
    links = office.call("crm.contact.company.items.get", id=contact_id).result
    return [(link["COMPANY_ID"], link["SORT"], link["IS_PRIMARY"]) for link in links]


def company_of(office: Office, contact_id: int = 1) -> Any:
    """Return a contact's own COMPANY_ID."""
    return office.row("contact", contact_id)["company_id"]


def test_a_link_more(office: Office) -> None:
    """F3: at the end of the card, primary only when asked for; false when it is there already."""
    assert office.call("crm.contact.company.add", id=1, fields={"COMPANY_ID": 30}).result is True
    assert companies(office) == [(10, 10, "Y"), (20, 20, "N"), (30, 30, "N")]
    assert office.call("crm.contact.company.add", id=1, fields={"COMPANY_ID": 30, "IS_PRIMARY": "Y"}).result is False
    assert company_of(office) == 10


def test_a_new_primary_company(office: Office) -> None:
    """F3: IS_PRIMARY=Y takes it from the one that had it; the first link is primary by itself."""
    fields = {"COMPANY_ID": "30", "IS_PRIMARY": "Y", "SORT": 5}
    assert office.call("crm.contact.company.add", id=1, fields=fields).result is True
    assert companies(office) == [(30, 5, "Y"), (10, 10, "N"), (20, 20, "N")]
    assert company_of(office) == 30
    office.contact(3)
    office.call("crm.contact.company.add", id=3, fields={"COMPANY_ID": 20})
    assert companies(office, 3) == [(20, 10, "Y")]


def test_a_link_less(office: Office) -> None:
    """F3: removing the primary one promotes the first remaining; false when there was none."""
    office.call("crm.contact.company.add", id=1, fields={"COMPANY_ID": 30, "SORT": 15})
    assert office.call("crm.contact.company.delete", id=1, fields={"COMPANY_ID": 10}).result is True
    assert companies(office) == [(30, 15, "Y"), (20, 20, "N")]
    assert company_of(office) == 30
    assert office.call("crm.contact.company.delete", id=1, fields={"COMPANY_ID": 10}).result is False


def test_all_links_at_once(office: Office) -> None:
    """F3: the first that says so is primary, or else the first; what is not named goes."""
    items: list[Any] = [{"COMPANY_ID": 20}, {"COMPANY_ID": 30, "IS_PRIMARY": "Y", "SORT": 5}, {"COMPANY_ID": 0}, "x"]
    assert office.call("crm.contact.company.items.set", id=1, items=items).result is True
    assert companies(office) == [(30, 5, "Y"), (20, 10, "N")]
    assert office.call("crm.contact.company.items.set", id=1, items=[{"COMPANY_ID": 10}]).result is True
    assert companies(office) == [(10, 10, "Y")]
    assert office.call("crm.contact.company.items.set", id=1, items=[]).result is True
    assert (companies(office), company_of(office)) == ([], None)


def test_no_links_at_all(office: Office) -> None:
    """F3: items.delete leaves a contact without a company, and a company's contacts with what is left to them."""
    assert office.call("crm.company.contact.items.delete", id=10).result is True
    assert (company_of(office, 1), company_of(office, 2)) == (20, None)
    assert office.call("crm.contact.company.items.delete", id=1).result is True
    assert company_of(office, 1) is None


def test_the_companys_side_steals(office: Office) -> None:
    """F3: it becomes primary for the contact even if IS_PRIMARY=N was passed."""
    fields = {"CONTACT_ID": 1, "IS_PRIMARY": "N"}
    assert office.call("crm.company.contact.add", id=30, fields=fields).result is True
    assert (company_of(office), [mark for _, _, mark in companies(office)]) == (30, ["N", "Y", "N"])
    assert office.call("crm.company.contact.add", id=30, fields=fields).result is False


def test_the_companys_side_sets(office: Office) -> None:
    """F3: items.set steals for those it adds; who is linked and stays at his place keeps another primary company."""
    office.call("crm.company.contact.items.set", id=20, items=[{"CONTACT_ID": 1, "SORT": 20}, {"CONTACT_ID": 2}])
    assert company_of(office, 2) == 20
    links = office.call("crm.company.contact.items.get", id=20).result
    assert [link["CONTACT_ID"] for link in links] == [1, 2]


def test_the_companys_side_lets_go(office: Office) -> None:
    """F17: COMPANY_ID becomes the smallest company left, though no link is marked as primary then."""
    office.call("crm.contact.company.add", id=1, fields={"COMPANY_ID": 30, "SORT": 5})
    assert office.call("crm.company.contact.delete", id=10, fields={"CONTACT_ID": 1}).result is True
    assert company_of(office) == 20
    assert [mark for _, _, mark in companies(office)] == ["N", "N"]
    assert office.call("crm.company.contact.delete", id=10, fields={"CONTACT_ID": 1}).result is False


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("crm.contact.company.add", {"id": 1, "fields": {"COMPANY_ID": 30}}),
        ("crm.contact.company.delete", {"id": 1, "fields": {"COMPANY_ID": 10}}),
        ("crm.contact.company.items.set", {"id": 1, "items": [{"COMPANY_ID": 30}]}),
        ("crm.contact.company.items.delete", {"id": 1}),
        ("crm.company.contact.add", {"id": 30, "fields": {"CONTACT_ID": 1}}),
        ("crm.company.contact.delete", {"id": 10, "fields": {"CONTACT_ID": 1}}),
        ("crm.company.contact.items.set", {"id": 30, "items": [{"CONTACT_ID": 1}]}),
        ("crm.company.contact.items.delete", {"id": 10}),
    ],
)
def test_no_date_moves(office: Office, method: str, params: dict[str, Any]) -> None:
    """F3: raw SQL: no date, no editor, no history, no notice, on neither side; only COMPANY_ID changes."""
    office.clock.sleep(3600)
    rows = (("contact", 1), ("company", 10), ("company", 30))
    before = [office.row(*row) for row in rows]
    assert office.call(method, **params).result is True
    after = [office.row(*row) for row in rows]
    was, now = before[0].pop("company_id"), after[0].pop("company_id")
    assert (was != now) == (method != "crm.contact.company.add")
    assert before == after
    assert office.portal.history == []


SINGLE = "The parameter 'ownerEntityID' is invalid or not defined."
SEVERAL = "The parameter ownerEntityID is invalid or not defined."


@pytest.mark.parametrize(
    ("call", "params", "sentence"),
    [
        ("add", {}, SINGLE),
        ("delete", {"id": -1}, SINGLE),
        ("items.get", {"id": 0}, SEVERAL),
        ("items.set", {}, SEVERAL),
        ("items.delete", {}, SEVERAL),
        ("add", {"id": 1}, "The parameter 'fields' must be array."),
        ("delete", {"id": 1}, "The parameter 'item' must be array."),
        ("items.set", {"id": 1}, "The parameter items must be array."),
        ("add", {"id": 99, "fields": {}}, "Not found."),
        ("items.set", {"id": 99, "items": []}, "Not found."),
        ("add", {"id": 1, "fields": {}}, "The parameter 'fields' is not valid."),
        ("delete", {"id": 1, "fields": {"COMPANY_ID": -5}}, "The parameter 'fields' is not valid."),
    ],
)
def test_wrong_calls(office: Office, call: str, params: dict[str, Any], sentence: str) -> None:
    """F3, F6: no code, HTTP 400; single links quote the parameter's name, sets of them do not."""
    answer = office.call(f"crm.contact.company.{call}", **params)
    assert (answer.status, answer.error) == (400, ("", sentence))


@pytest.mark.parametrize("call", ["add", "delete", "items.get", "items.set", "items.delete"])
def test_rights(call: str) -> None:
    """F3, F6: ACCESS_DENIED 403 "Access denied!" for somebody else's contact."""
    office = Office(user_id=ANN, role="own_only")
    office.company(10, owner=ANN)
    office.contact(1, owner=BOB, company=10)
    answer = office.call(f"crm.contact.company.{call}", id=1, fields={"COMPANY_ID": 10}, items=[])
    assert (answer.status, answer.error) == (403, ("ACCESS_DENIED", "Access denied!"))


def test_rights_on_the_other_end() -> None:
    """F3: what one may not see one cannot link."""
    office = Office(user_id=ANN, role="own_only")
    office.company(10, owner=BOB)
    office.contact(1, owner=ANN)
    answer = office.call("crm.contact.company.add", id=1, fields={"COMPANY_ID": 10})
    assert answer.error == ("", "[Company #10] You do not have permission to view this item")


@pytest.mark.parametrize(("side", "key"), [("contact.company", "COMPANY_ID"), ("company.contact", "CONTACT_ID")])
def test_fields(side: str, key: str) -> None:
    """F3: what a link consists of."""
    fields = Office().call(f"crm.{side}.fields").result
    assert sorted(fields) == sorted([key, "IS_PRIMARY", "SORT"])
    assert (fields[key]["isRequired"], fields[key]["type"]) == (True, "integer")
