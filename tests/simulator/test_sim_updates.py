"""crm.contact.update and crm.company.update: F4, with the links of F3 and the bells of F17."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ADMIN, ANN, BOB, START, Office


def office_with(path: str = "legacy", **options: Any) -> Office:
    """Return an office with a contact of Ann's at company 10, an hour after the portal's data were made."""
    office = Office(update_path=path, **options)
    for company_id in (10, 20, 30):
        office.company(company_id)
    office.contact(1, owner=ANN, company=10, modify_by_id=ANN)
    office.clock.sleep(3600)
    return office


@pytest.mark.parametrize("path", ["legacy", "factory"])
def test_a_change(path: str) -> None:
    """F4: true, a new DATE_MODIFY, MODIFY_BY_ID of the webhook's owner; history knows what was before."""
    office = office_with(path)
    assert office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": BOB}).result is True
    contact = office.row("contact", 1)
    assert (contact["assigned_by_id"], contact["modify_by_id"], contact["date_modify"]) == (BOB, ADMIN, START + 3600)
    (edit,) = office.portal.history
    assert (edit.entity, edit.id, edit.field, edit.before, edit.after) == ("contact", 1, "ASSIGNED_BY_ID", ANN, BOB)
    assert (edit.at, edit.by, edit.source) == (START + 3600, ADMIN, "rest")
    stats = office.portal.stats()
    assert (stats["updates_applied"], stats["noop_updates"]) == (1, 0)


@pytest.mark.parametrize(("path", "touched"), [("legacy", True), ("factory", False)])
def test_an_unchanged_value(path: str, touched: bool) -> None:
    """F4: the legacy path writes dates even for the same value, the other one does nothing; both say true."""
    office = office_with(path)
    assert office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": ANN}).result is True
    contact = office.row("contact", 1)
    assert (contact["date_modify"] == START + 3600) is touched
    assert (contact["modify_by_id"] == ADMIN) is touched
    stats = office.portal.stats()
    assert (stats["updates_applied"], stats["noop_updates"], stats["notices"]) == (0, 1, 0)
    assert office.portal.history == []


@pytest.mark.parametrize(
    ("path", "params", "notices"),
    [
        pytest.param("legacy", {}, 0, id="legacy-default"),
        pytest.param("legacy", {"REGISTER_SONET_EVENT": "N"}, 0, id="legacy-N"),
        pytest.param("legacy", {"REGISTER_SONET_EVENT": "Y"}, 1, id="legacy-Y"),
        pytest.param("legacy", {"REGISTER_SONET_EVENT": "y"}, 1, id="legacy-y"),
        pytest.param("legacy", {"REGISTER_SONET_EVENT": True}, 0, id="legacy-true-is-not-Y"),
        pytest.param("factory", {"REGISTER_SONET_EVENT": "N"}, 1, id="factory-always"),
    ],
)
def test_notices(path: str, params: dict[str, Any], notices: int) -> None:
    """F4, F17: flags are compared with 'Y'; the newer path rings whatever the flag says."""
    office = office_with(path)
    office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": BOB}, params=params)
    assert office.portal.stats()["notices"] == notices
    office.call("crm.contact.update", id=1, fields={"COMMENTS": "x"}, params=params)
    assert office.portal.stats()["notices"] == notices


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"ASSIGNED_BY_ID": 0}, id="zero"),
        pytest.param({"ASSIGNED_BY_ID": -5}, id="negative"),
        pytest.param({"ASSIGNED_BY_ID": "nobody"}, id="no-number"),
        pytest.param({"NO_SUCH": 1}, id="unknown"),
        pytest.param({"assigned_by_id": BOB}, id="lower-case"),
        pytest.param({"DATE_MODIFY": "2020-01-01", "MODIFY_BY_ID": BOB, "CREATED_BY_ID": BOB, "ID": 5}, id="read-only"),
        pytest.param({}, id="nothing"),
        pytest.param([], id="empty-list"),
    ],
)
def test_dropped_fields(fields: Any) -> None:
    """F4: unknown, read-only and non-positive values are dropped, and the update "succeeds"."""
    office = office_with("factory")
    before = office.row("contact", 1)
    assert office.call("crm.contact.update", id=1, fields=fields).result is True
    assert office.row("contact", 1) == before
    assert office.portal.stats()["noop_updates"] == 1


def test_an_empty_update_still_touches_the_record() -> None:
    """F4: on the legacy path empty fields after sanitising still perform an "update"."""
    office = office_with()
    assert office.call("crm.contact.update", id=1, fields={"NO_SUCH": 1}).result is True
    assert office.row("contact", 1)["date_modify"] == START + 3600


def test_nobody_checks_the_new_owner() -> None:
    """F4: a positive id of nobody is accepted."""
    office = office_with()
    assert office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": "4711"}).result is True
    assert office.owner_of(1) == 4711


def test_kinds_of_fields() -> None:
    """F4: each field is stored in its own kind."""
    office = office_with()
    fields = {"NAME": "X", "OPENED": "y", "EXPORT": "yes", "BIRTHDATE": "2000-01-01T00:00:00Z", "SOURCE_ID": 5}
    office.call("crm.contact.update", id=1, fields=fields)
    contact = office.row("contact", 1)
    assert [contact[name] for name in ("name", "opened", "export", "source_id")] == ["X", "Y", "N", "5"]
    assert contact["birthdate"] == 946_684_800
    office.call("crm.company.update", id=10, fields={"REVENUE": "12.5", "TITLE": "T"})
    assert (office.row("company", 10)["revenue"], office.row("company", 10)["title"]) == (12.5, "T")
    office.call("crm.company.update", id=10, fields={"REVENUE": "much"})
    assert office.row("company", 10)["revenue"] == 0


@pytest.mark.parametrize(
    ("method", "params", "description"),
    [
        ("crm.contact.update", {"id": 0, "fields": "x"}, "ID is not defined or invalid."),
        ("crm.contact.update", {"fields": {}}, "ID is not defined or invalid."),
        ("crm.contact.update", {"id": 99}, "Parameter 'fields' must be array."),
        ("crm.contact.update", {"id": 99, "fields": "x"}, "Parameter 'fields' must be array."),
        ("crm.contact.update", {"id": 99, "fields": {}, "params": "x"}, "Parameter 'params' must be array."),
        ("crm.contact.update", {"id": 99, "fields": {}}, "Contact is not found"),
        ("crm.company.update", {"id": 99, "fields": {}}, "Company is not found"),
    ],
)
def test_refusals(method: str, params: dict[str, Any], description: str) -> None:
    """F4: the order of the checks, an empty code, HTTP 400."""
    answer = office_with().call(method, **params)
    assert (answer.status, answer.error) == (400, ("", description))


def test_rights_come_before_existence() -> None:
    """F4: no right to edit, or not one's own record: "Access denied.", for a missing record too."""
    office = office_with(user_id=BOB, role="own_only")
    office.contact(2, owner=BOB)
    for contact_id in (1, 99):
        answer = office.call("crm.contact.update", id=contact_id, fields={"ASSIGNED_BY_ID": BOB})
        assert (answer.status, answer.error) == (400, ("", "Access denied."))
    read_only = office_with(user_id=BOB, role="read_only")
    assert read_only.call("crm.contact.update", id=1, fields={}).error == ("", "Access denied.")
    assert read_only.list().ids == [1]


def test_out_of_sight_after_reassigning() -> None:
    """F2: a user who sees own records only loses sight of a record by giving it away."""
    office = office_with(user_id=BOB, role="own_only")
    office.contact(2, owner=BOB)
    assert office.list().ids == [2]
    office.call("crm.contact.update", id=2, fields={"ASSIGNED_BY_ID": ANN})
    assert office.list().ids == []
    assert office.call("crm.contact.update", id=2, fields={"ASSIGNED_BY_ID": BOB}).error == ("", "Access denied.")


def links(office: Office, contact_id: int = 1) -> tuple[list[int], int | None]:
    """Return a contact's companies, the primary ones first, and its own COMPANY_ID."""
    rows = office.database.rows(
        "SELECT company_id FROM contact_company WHERE contact_id = ? ORDER BY is_primary DESC, company_id",
        (contact_id,),
    )
    return [row[0] for row in rows], office.row("contact", contact_id)["company_id"]


def test_company_id_already_linked() -> None:
    """F3: COMPANY_ID of a company that is linked already is ignored; primary is not switched."""
    office = office_with()
    office.portal.people.bind(1, 20)
    office.call("crm.contact.update", id=1, fields={"COMPANY_ID": 20})
    assert links(office) == ([10, 20], 10)


def test_company_id_not_linked() -> None:
    """F3: another COMPANY_ID replaces all links by the single one, and is an update with a date."""
    office = office_with("factory")
    office.portal.people.bind(1, 20)
    office.call("crm.contact.update", id=1, fields={"COMPANY_ID": 30})
    assert links(office) == ([30], 30)
    assert office.row("contact", 1)["date_modify"] == START + 3600
    (edit,) = office.portal.history
    assert (edit.field, edit.before, edit.after) == ("COMPANY_ID", 10, 30)
    assert office.portal.stats()["updates_applied"] == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"COMPANY_ID": 0}, ([], None)),
        ({"COMPANY_IDS": [20, 10]}, ([20, 10], 20)),
        ({"COMPANY_IDS": [10]}, ([10], 10)),
        ({"COMPANY_IDS": [10, "30", 10, 0]}, ([10, 30], 10)),
        ({"COMPANY_IDS": ""}, ([], None)),
    ],
    ids=str,
)
def test_company_ids(fields: dict[str, Any], expected: tuple[list[int], int | None]) -> None:
    """F3: COMPANY_IDS replaces the links, its first company becomes primary."""
    office = office_with()
    office.call("crm.contact.update", id=1, fields=fields)
    assert links(office) == expected


def test_company_update_with_contacts() -> None:
    """F3: CONTACT_ID of a company steals primary from others, and moves no contact's date."""
    office = office_with()
    office.contact(2, company=20)
    before = office.row("contact", 1)["date_modify"]
    office.call("crm.company.update", id=20, fields={"CONTACT_ID": [1]})
    assert links(office, 1) == ([20, 10], 20)
    assert links(office, 2) == ([], None)
    assert office.row("contact", 1)["date_modify"] == before
    office.call("crm.company.update", id=20, fields={"CONTACT_ID": [1]})
    assert office.portal.stats()["noop_updates"] == 1


def test_a_company_changes_hands() -> None:
    """F3: a company's new owner moves only the company's date; its contacts stay as they are."""
    office = office_with()
    before = office.row("contact", 1)
    office.call("crm.company.update", id=10, fields={"ASSIGNED_BY_ID": BOB})
    assert office.row("contact", 1) == before
    assert office.row("company", 10)["date_modify"] == START + 3600
    assert office.portal.stats()["drift"] == 1


def test_an_update_beyond_the_listed_category() -> None:
    """F4: update works for any category, though lists show only the standard one."""
    office = office_with()
    office.contact(2, category_id=15)
    assert office.call("crm.contact.update", id=2, fields={"ASSIGNED_BY_ID": BOB}).result is True
    assert office.owner_of(2) == BOB
