"""`add`, `delete`, `fields` and what updates set off, through REST: F2 to F4 and F17."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ADMIN, ANN, BOB, START, Office

from reconciler.simulator.workflows import Template

BOTH = Template(id=1, auto_execute=3)
TEMPLATES = (BOTH, Template(id=2, auto_execute=2), Template(id=3), Template(id=4, entity="company", auto_execute=1))


def phones(office: Office, contact_id: int) -> list[tuple[str, str]]:
    """Return a contact's telephones as `crm.contact.get` shows them."""
    entries = office.call("crm.contact.get", id=contact_id).result.get("PHONE", [])
    return [(entry["VALUE_TYPE"], entry["VALUE"]) for entry in entries]


def test_a_new_contact() -> None:
    """F2, F4: owned by the caller, open and exported, of category 0, with all of its links; the id is a number."""
    office = Office()
    for company_id in (10, 20):
        office.company(company_id)
    fields = {"NAME": "Zoë", "COMPANY_IDS": [20, 10], "PHONE": [{"VALUE": "+1", "VALUE_TYPE": "HOME"}], "NOPE": 1}
    answer = office.call("crm.contact.add", fields=fields)
    contact = office.call("crm.contact.get", id=answer.result).result
    assert answer.result == int(contact["ID"])
    assert (contact["ASSIGNED_BY_ID"], contact["CREATED_BY_ID"], contact["OPENED"]) == ("1", "1", "Y")
    assert (contact["NAME"], contact["EXPORT"], contact["HAS_PHONE"], contact["COMPANY_ID"]) == ("Zoë", "Y", "Y", "20")
    assert contact["DATE_CREATE"] == contact["DATE_MODIFY"] == "2026-01-01T03:00:00+03:00"
    assert office.row("contact", answer.result)["category_id"] == 0
    links = office.call("crm.contact.company.items.get", id=answer.result).result
    assert [(link["COMPANY_ID"], link["IS_PRIMARY"]) for link in links] == [(20, "Y"), (10, "N")]


@pytest.mark.parametrize(("method", "name"), [("crm.contact.add", "LAST_NAME"), ("crm.company.add", "TITLE")])
def test_a_record_without_a_name(method: str, name: str) -> None:
    """F4: what has no name is called by its number."""
    office = Office()
    number = office.call(method, fields={"ASSIGNED_BY_ID": BOB}).result
    shown = office.call(method.replace("add", "get"), id=number).result
    assert shown[name].endswith(f"#{number}")
    assert shown["ASSIGNED_BY_ID"] == str(BOB)


def test_an_import() -> None:
    """F4: only with IMPORT may dates and authors be set, and it starts no workflow."""
    office = Office(workflow_templates=(BOTH,))
    fields = {"DATE_CREATE": "2020-01-01T00:00:00Z", "CREATED_BY_ID": BOB}
    plain, imported = (
        office.call("crm.contact.add", fields=fields, params=params).result for params in ({}, {"IMPORT": "Y"})
    )
    assert [office.row("contact", number)["created_by_id"] for number in (plain, imported)] == [ADMIN, BOB]
    assert office.row("contact", plain)["date_create"] == START
    assert office.row("contact", imported)["date_create"] == 1_577_836_800
    assert office.portal.stats()["workflows_started"] == 1


@pytest.mark.parametrize("entity", ["contact", "company"])
@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "Parameter 'fields' must be array."),
        ({"fields": "x"}, "Parameter 'fields' must be array."),
        ({"fields": {}, "params": "x"}, "Parameter 'params' must be array."),
    ],
)
def test_wrong_calls_of_add(entity: str, params: dict[str, Any], sentence: str) -> None:
    """F4: the same sentences as `update`."""
    answer = Office().call(f"crm.{entity}.add", **params)
    assert (answer.status, answer.error) == (400, ("", sentence))


def test_deleting() -> None:
    """F17: into the recycle bin; the contacts of a company get the smallest company left, without a date."""
    office = Office()
    for company_id in (10, 20):
        office.company(company_id)
    office.contact(1, company=10)
    office.portal.people.bind(1, 20)
    before = office.row("contact", 1)["date_modify"]
    assert office.call("crm.company.delete", id=10).result is True
    assert (office.row("contact", 1)["company_id"], office.row("contact", 1)["date_modify"]) == (20, before)
    assert office.call("crm.contact.delete", ID="1").result is True
    assert office.list().ids == []
    company = office.portal.people.restore_company(10)
    contact = office.portal.people.restore_contact(1)
    assert company > 20
    assert contact > 1
    assert office.row("contact", contact)["company_id"] == 20
    assert office.call("crm.company.contact.items.get", id=company).result == []


def test_a_restored_company_is_linked_again() -> None:
    """F17: with a new id, and with the contacts that still exist."""
    office = Office()
    office.company(10)
    office.contact(1, company=10)
    office.contact(2, company=10)
    office.portal.people.delete_company(10)
    office.portal.people.delete_contact(2)
    restored = office.portal.people.restore_company(10)
    assert office.row("contact", 1)["company_id"] == restored


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("crm.contact.delete", {}, ("", "ID is not defined or invalid.")),
        ("crm.contact.delete", {"id": 99}, ("ERROR_CORE", "Element not found")),
        ("crm.company.delete", {"id": 99}, ("", "Company is not found")),
    ],
)
def test_wrong_calls_of_delete(method: str, params: dict[str, Any], error: tuple[str, str]) -> None:
    """F6: contacts and companies say it differently."""
    answer = Office().call(method, **params)
    assert (answer.status, answer.error) == (400, error)


@pytest.mark.parametrize("role", ["own_only", "read_only", "none"])
@pytest.mark.parametrize("entity", ["contact", "company"])
def test_rights_of_a_person(role: str, entity: str) -> None:
    """F2, F4: who may not, is denied; with "own only" a foreign record, and a missing one, is denied too."""
    office = Office(user_id=ANN, role=role)
    office.company(10, owner=ANN)
    office.company(20, owner=BOB)
    office.contact(10, owner=ANN)
    office.contact(20, owner=BOB)
    add = office.call(f"crm.{entity}.add", fields={})
    foreign = office.call(f"crm.{entity}.delete", id=20)
    missing = office.call(f"crm.{entity}.delete", id=99)
    own = office.call(f"crm.{entity}.delete", id=10)
    described = office.call(f"crm.{entity}.fields")
    assert foreign.error == missing.error == ("", "Access denied.")
    assert [answer.status for answer in (add, own)] == ([200, 200] if role == "own_only" else [400, 400])
    assert described.status == (400 if role == "none" else 200)


def test_a_reassigned_record_is_lost_from_sight() -> None:
    """F2: a person of few rights may lose sight of a record by giving it away."""
    office = Office(user_id=ANN, role="own_only")
    office.contact(1, owner=ANN)
    assert office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": BOB}).result is True
    assert office.list().ids == []
    assert office.call("crm.contact.get", id=1).error == ("", "Access denied.")


def test_telephones() -> None:
    """F2, F4: without ID a new one, with ID another value, with DELETE or without a value none."""
    office = Office()
    office.contact(1)
    office.contact(2)

    def update(*entries: dict[str, Any]) -> bool:
        return bool(office.call("crm.contact.update", id=1, fields={"PHONE": list(entries)}).result)

    assert update({"VALUE": "+1", "VALUE_TYPE": "WORK"}, {"VALUE": "+2"}, {"VALUE": ""})
    assert phones(office, 1) == [("WORK", "+1"), ("WORK", "+2")]
    assert update({"ID": 1, "VALUE": "+3", "VALUE_TYPE": "MOBILE"}, {"ID": 2, "DELETE": "Y", "VALUE": "+2"})
    assert phones(office, 1) == [("MOBILE", "+3")]
    assert office.portal.stats()["updates_applied"] == 2
    assert update({"ID": 1, "VALUE": "+3", "VALUE_TYPE": "MOBILE"})
    assert office.portal.stats()["noop_updates"] == 1
    office.call("crm.contact.update", id=2, fields={"PHONE": [{"ID": 1, "VALUE": "+4"}]})
    assert phones(office, 1) == [("MOBILE", "+3")], "no value of another record is touched"
    assert update({"ID": 1})
    assert phones(office, 1) == []
    assert office.call("crm.contact.get", id=1).result["HAS_PHONE"] == "N"


@pytest.mark.parametrize("method", ["crm.contact.add", "crm.contact.update"])
def test_an_address_that_is_none(method: str) -> None:
    """F4: an exception of the application has the code ERROR_CORE, HTTP 400."""
    office = Office()
    office.contact(1)
    answer = office.call(method, id=1, fields={"EMAIL": [{"VALUE": "nobody"}]})
    assert (answer.status, answer.error[0]) == (400, "ERROR_CORE")
    assert office.call(method, id=1, fields={"EMAIL": [{"VALUE": "a@example.com"}]}).status == 200


@pytest.mark.parametrize(
    ("path", "method", "fields", "notices", "workflows"),
    [
        pytest.param("legacy", "crm.contact.update", {"ASSIGNED_BY_ID": BOB}, 0, 2, id="legacy"),
        pytest.param("legacy", "crm.contact.update", {"ASSIGNED_BY_ID": ANN}, 0, 2, id="legacy-no-change"),
        pytest.param("factory", "crm.contact.update", {"ASSIGNED_BY_ID": BOB}, 1, 2, id="factory"),
        pytest.param("factory", "crm.contact.update", {"ASSIGNED_BY_ID": ANN}, 0, 2, id="factory-no-change"),
        pytest.param("legacy", "crm.item.update", {"assignedById": BOB}, 1, 2, id="item"),
        pytest.param("legacy", "crm.item.update", {"assignedById": ANN}, 0, 0, id="item-no-change"),
    ],
)
def test_what_an_update_sets_off(path: str, method: str, fields: dict[str, Any], notices: int, workflows: int) -> None:
    """F4, F17: the newer code always rings the bell, the older methods always start the workflows on edit."""
    office = Office(update_path=path, workflow_templates=TEMPLATES)
    office.contact(1, owner=ANN)
    assert office.call(method, entityTypeId=3, id=1, fields=fields).status == 200
    stats = office.portal.stats()
    assert (stats["notices"], stats["workflows_started"]) == (notices, workflows)


def test_workflows_of_people() -> None:
    """F17: AUTO_EXECUTE 1 starts on creation, 2 on editing, 3 on both, whoever does it."""
    office = Office(workflow_templates=TEMPLATES)
    contact = office.portal.people.create_contact(ANN)
    assert office.portal.stats()["workflows_started"] == 1
    office.portal.people.edit_contact(contact, ANN, name="New")
    office.portal.people.edit_contact(contact, ANN, name="New")
    assert office.portal.stats()["workflows_started"] == 3
    office.portal.people.create_company(ANN)
    assert office.portal.stats()["workflows_started"] == 4
    office.portal.reset()
    assert office.portal.stats()["workflows_started"] == 0


def test_fields_of_both_types() -> None:
    """F2: every field that is listed is described, and COMPANY_IDS, which no list shows; CATEGORY_ID is neither."""
    office = Office()
    office.contact(1)
    office.company(1)
    for entity in ("contact", "company"):
        described = office.call(f"crm.{entity}.fields").result
        listed = office.call(f"crm.{entity}.list").result[0]
        assert set(listed) <= set(described) | {"FACE_ID"}
        assert "CATEGORY_ID" not in described
        for field in described.values():
            assert {"type", "isRequired", "isReadOnly", "isImmutable", "isMultiple", "isDynamic", "title"} <= set(field)
    contact = office.call("crm.contact.fields").result
    assert contact["COMPANY_IDS"]["isMultiple"] is True
    assert contact["COMPANY_ID"]["isDeprecated"] is True
    assert contact["TYPE_ID"]["statusType"] == "CONTACT_TYPE"
    assert contact["DATE_MODIFY"]["isReadOnly"] is True
    assert [name for name, field in contact.items() if field["isDynamic"]] == ["UF_CRM_OWNER_FIXED"]
    assert contact["LEAD_ID"]["settings"] == {"parentEntityTypeId": 1}
    assert office.call("crm.company.fields").result["TITLE"]["isRequired"] is True


def test_marketing_tags_and_addresses_are_kept() -> None:
    """F2: UTM and address fields are plain texts."""
    office = Office()
    fields = {"TITLE": "A", "UTM_SOURCE": "news", "ADDRESS_CITY": "Riga", "REG_ADDRESS": "Street", "REVENUE": "12.5"}
    number = office.call("crm.company.add", fields=fields).result
    shown = office.call("crm.company.get", id=number).result
    assert {name: shown[name] for name in fields} == fields
