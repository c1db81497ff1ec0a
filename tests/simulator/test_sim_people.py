"""What people do in the user interface: F3 and F17 through the portal's Python API."""

from __future__ import annotations

import pytest
from support.portal_fixture import ANN, BOB, START, Office


@pytest.fixture
def office() -> Office:
    """Link contact 1 with companies 10 (primary) and 20, an hour ago."""
    office = Office()
    for company_id in (10, 20, 30):
        office.company(company_id)
    office.contact(1, owner=ANN, company=10)
    office.portal.people.bind(1, 20)
    office.clock.sleep(3600)
    return office


def company_of(office: Office, contact_id: int = 1) -> int | None:
    """Return a contact's own COMPANY_ID."""
    value = office.row("contact", contact_id)["company_id"]
    return None if value is None else int(value)


def test_an_edit(office: Office) -> None:
    """F4: a person's edit moves the date and MODIFY_BY_ID; saving the same again does nothing."""
    office.portal.people.edit_contact(1, BOB, assigned_by_id=BOB)
    contact = office.row("contact", 1)
    assert (contact["assigned_by_id"], contact["modify_by_id"], contact["date_modify"]) == (BOB, BOB, START + 3600)
    office.clock.sleep(60)
    office.portal.people.edit_contact(1, ANN, assigned_by_id=BOB)
    assert office.row("contact", 1) == contact
    (edit,) = office.portal.history
    assert (edit.source, edit.by, edit.field) == ("person", BOB, "ASSIGNED_BY_ID")
    assert office.portal.stats()["updates_applied"] == 0


def test_an_edit_of_a_company(office: Office) -> None:
    """F3: a new owner of a company leaves the contacts alone."""
    office.portal.people.edit_company(10, BOB, assigned_by_id=BOB, title="New")
    assert office.owner_of(1) == ANN
    assert [edit.field for edit in office.portal.history] == ["ASSIGNED_BY_ID", "TITLE"]
    assert office.portal.drift() == 1


def test_wrong_edits(office: Office) -> None:
    """A mistake in a test says so: unknown column, unknown record."""
    with pytest.raises(ValueError, match="a contact has no company_id to edit"):
        office.portal.people.edit_contact(1, BOB, company_id=5)
    with pytest.raises(LookupError, match="no contact 99"):
        office.portal.people.edit_contact(99, BOB, assigned_by_id=BOB)


def test_links_move_no_date(office: Office) -> None:
    """F3: binding methods are raw SQL: no date, no editor, on neither side."""
    before = {table: office.row(table, record) for table, record in (("contact", 1), ("company", 20), ("company", 30))}
    del before["contact"]["company_id"]
    office.portal.people.bind(1, 30)
    office.portal.people.bind_from_company(30, 1)
    office.portal.people.unbind(1, 10)
    office.portal.people.unbind_from_company(20, 1)
    after = {table: office.row(table, record) for table, record in (("contact", 1), ("company", 20), ("company", 30))}
    del after["contact"]["company_id"]
    assert after == before
    assert office.portal.history == []


def test_binding_on_the_contacts_card(office: Office) -> None:
    """F3: the first company is primary, a later one only when it is said to be; twice changes nothing."""
    office.contact(2)
    office.portal.people.bind(2, 20)
    office.portal.people.bind(2, 10)
    office.portal.people.bind(2, 10)
    assert company_of(office, 2) == 20
    office.portal.people.bind(2, 30, primary=True)
    assert company_of(office, 2) == 30


def test_binding_on_the_companys_card_steals_primary(office: Office) -> None:
    """F3: the company becomes primary of every affected contact."""
    office.portal.people.bind_from_company(20, 1)
    assert company_of(office) == 20
    rows = office.call("crm.contact.company.items.get", id=1).result
    assert [(row["COMPANY_ID"], row["IS_PRIMARY"]) for row in rows] == [(10, "N"), (20, "Y")]


def test_unbinding_on_the_contacts_card(office: Office) -> None:
    """F3: removing the primary company promotes the first one left; removing another changes nothing."""
    office.portal.people.bind(1, 30)
    office.portal.people.unbind(1, 30)
    assert company_of(office) == 10
    office.portal.people.unbind(1, 10)
    assert company_of(office) == 20
    office.portal.people.unbind(1, 20)
    assert company_of(office) is None


def test_unbinding_on_the_companys_card(office: Office) -> None:
    """F17: COMPANY_ID becomes the smallest company left, whatever IS_PRIMARY says; another link changes nothing."""
    office.portal.people.bind(1, 30)
    office.portal.people.bind_from_company(30, 1)
    office.portal.people.unbind_from_company(20, 1)
    assert company_of(office) == 30
    office.portal.people.unbind_from_company(30, 1)
    assert company_of(office) == 10


def test_deleting_a_company(office: Office) -> None:
    """F17: its contacts get the smallest company left, or none, without a date."""
    before = office.row("contact", 1)["date_modify"]
    office.contact(2, company=10)
    office.portal.people.delete_company(10)
    assert (company_of(office, 1), company_of(office, 2)) == (20, None)
    assert office.row("contact", 1)["date_modify"] == before
    assert office.call("crm.company.get", id=10).error == ("", "Not found")


def test_merging_companies(office: Office) -> None:
    """F17: all contacts of both are bound to the surviving company, which is primary for each."""
    office.contact(2, company=20)
    office.contact(3, company=30)
    office.portal.people.merge_companies(20, 30)
    assert [company_of(office, contact_id) for contact_id in (1, 2, 3)] == [30, 30, 30]
    assert len(office.call("crm.company.contact.items.get", id=30).result) == 3
    assert office.call("crm.company.get", id=20).error == ("", "Not found")


def test_the_recycle_bin(office: Office) -> None:
    """F17: a restored contact is a new record with a new id, links and all."""
    office.portal.people.delete_contact(1)
    office.portal.people.delete_contact(1)
    assert office.list().ids == []
    assert office.call("crm.company.contact.items.get", id=20).result == []
    restored = office.portal.people.restore_contact(1)
    assert restored != 1
    assert office.list().ids == [restored]
    assert len(office.call("crm.contact.company.items.get", id=restored).result) == 2
    with pytest.raises(KeyError):
        office.portal.people.restore_contact(1)


def test_ids_are_never_reused(office: Office) -> None:
    """F17: the id of a deleted contact is gone for good."""
    first = office.portal.people.create_contact(ANN, company_id=10, name="New")
    office.portal.people.delete_contact(first)
    second = office.portal.people.create_contact(ANN)
    assert second > first
    assert office.row("contact", second)["date_create"] == START + 3600
    assert company_of(office, second) is None


def test_a_new_company(office: Office) -> None:
    """A person who adds a company owns it, unless said otherwise."""
    assert office.row("company", office.portal.people.create_company(BOB, title="New"))["assigned_by_id"] == BOB
    assert office.row("company", office.portal.people.create_company(BOB, assigned_by_id=ANN))["assigned_by_id"] == ANN


def test_a_dismissal(office: Office) -> None:
    """A dismissed employee keeps what he or she owns."""
    office.portal.people.dismiss_user(ANN)
    assert office.owner_of(1) == ANN
    assert [user["ACTIVE"] for user in office.call("user.get", ID=ANN).result] == [False]


def test_links_are_numbers() -> None:
    """F3: items.get has numbers where lists have texts, no pages, and `[]` for none."""
    office = Office()
    office.contact(1, company=office.company(10))
    answer = office.call("crm.contact.company.items.get", id=1)
    assert answer.result == [{"COMPANY_ID": 10, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"}]
    assert "total" not in answer.json
    assert office.call("crm.contact.company.items.get", id=2).result == []
    refusal = office.call("crm.company.contact.items.get")
    assert refusal.error == ("", "The parameter ownerEntityID is invalid or not defined.")


def test_drift_is_counted_as_the_worker_should(office: Office) -> None:
    """Drift is standard contacts whose primary company, no own one, has another owner."""
    office.company(40, owner=BOB, is_my_company="Y")
    office.company(50, owner=BOB)
    office.contact(2, owner=ANN, company=40)
    office.contact(3, owner=ANN, company=50, category_id=15)
    office.contact(4, owner=ANN, company=50)
    office.contact(5, owner=ANN, company=999)
    assert office.portal.stats()["drift"] == 1
