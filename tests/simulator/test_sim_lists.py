"""Pages, fields and rights of crm.contact.list, crm.company.list and their get: F2."""

from __future__ import annotations

import pytest
from support.portal_fixture import ANN, BOB, START, Office


@pytest.fixture
def office() -> Office:
    """Hire nobody, but fill in 120 contacts."""
    office = Office()
    office.contacts(120)
    return office


@pytest.mark.parametrize(
    ("start", "first", "number", "following"),
    [
        pytest.param(0, 1, 50, 50, id="first"),
        pytest.param(25, 1, 50, 50, id="floors"),
        pytest.param("50", 51, 50, 100, id="second-as-text"),
        pytest.param(149, 101, 20, None, id="last"),
        pytest.param(150, 1, 50, 50, id="beyond-the-end-is-page-one"),
        pytest.param(100_000, 1, 50, 50, id="far-beyond"),
        pytest.param("x", 1, 50, 50, id="no-number"),
    ],
)
def test_pages(office: Office, start: object, first: int, number: int, following: int | None) -> None:
    """F2: pages of 50, `start` floors, and beyond the last page stands page one again."""
    answer = office.list(start=start)
    assert (answer.ids[0], len(answer.ids)) == (first, number)
    assert answer.json["total"] == 120
    assert answer.json.get("next") == following


def test_advancing_blindly_never_ends(office: Office) -> None:
    """F2: a loop that only adds 50 to `start` sees page one after the last."""
    assert [office.list(start=start).ids[0] for start in (0, 50, 100, 150, 200)] == [1, 51, 101, 1, 1]


@pytest.mark.parametrize(
    "asked", [{}, {"order": {"ID": "ASC"}}, {"order": {"ID": "ASC"}, "filter": {">ID": 2}}, {"filter": {">ID": 2}}]
)
def test_pages_by_offset_shift_when_somebody_deletes_between_them(office: Office, asked: dict[str, object]) -> None:
    """F2: an offset counts what is there now, so that a deletion behind it hides a record from whoever pages."""
    skipped = 2 if "filter" in asked else 0
    assert office.list(start=50, **asked).ids == list(range(51 + skipped, 101 + skipped))
    office.portal.people.delete_contact(7)
    assert office.list(start=50, **asked).ids == list(range(52 + skipped, 102 + skipped))


def test_a_list_without_an_order_comes_as_the_table_lies(office: Office) -> None:
    """F2: whatever is selected, its pages by offset hold every record once, whichever companies they belong to."""
    for contact in range(1, 121):
        office.portal.database.write("UPDATE contact SET company_id = ? WHERE id = ?", (9 - contact % 3, contact))
    pages = [office.list(start=start, select=["ID", "COMPANY_ID", "ASSIGNED_BY_ID"]).ids for start in (0, 50, 100)]
    assert [contact for page in pages for contact in page] == list(range(1, 121))


def test_without_count(office: Office) -> None:
    """F2: start=-1 gives a page, total 0 and no next."""
    answer = office.list(start=-1, filter={">ID": 60})
    assert answer.ids == list(range(61, 111))
    assert answer.json["total"] == 0
    assert "next" not in answer.json


@pytest.mark.parametrize(("start", "total"), [(0, 0), (50, 0), (-1, 0)])
def test_nothing_found(office: Office, start: int, total: int) -> None:
    """F2: an empty answer is `[]` with total 0."""
    answer = office.list(start=start, filter={"ID": 999})
    assert (answer.result, answer.json["total"]) == ([], total)


def test_count_follows_the_data(office: Office) -> None:
    """A cached COUNT is forgotten when anything changes."""
    assert office.list().json["total"] == 120
    office.portal.people.delete_contact(7)
    assert office.list().json["total"] == 119


def test_id_always_comes_along(office: Office) -> None:
    """F2: ID is returned even if not requested; unknown names and non-texts are ignored."""
    answer = office.call("crm.contact.list", filter={"ID": 1}, select=["ASSIGNED_BY_ID", "FULL_NAME", 5])
    assert answer.result == [{"ID": "1", "ASSIGNED_BY_ID": "7"}]
    assert office.call("crm.contact.list", filter={"ID": 1}, select=["NO_SUCH"]).result == [{"ID": "1"}]


@pytest.mark.parametrize("select", [[], ["*"], ["*", "UF_*"]], ids=str)
def test_all_fields(office: Office, select: list[str]) -> None:
    """F2: nothing or `*` is everything but multifields; some fields are never shown."""
    row = office.call("crm.contact.list", filter={"ID": 1}, select=select).result[0]
    assert {"ID", "NAME", "COMPANY_ID", "DATE_MODIFY", "HAS_PHONE", "ADDRESS_CITY", "UTM_SOURCE"} <= set(row)
    assert not {"PHONE", "COMPANY_IDS", "CATEGORY_ID", "OBSERVERS", "FULL_NAME"} & set(row)


def test_types() -> None:
    """F2: every scalar is text, flags are Y or N, empty is null, an old row may say "0", an empty date is ""."""
    office = Office()
    office.company(12, revenue=0)
    office.contact(1, company=12, name="", opened="Y", date_modify=START + 1)
    office.contact(2, company=0)
    office.contact(3)
    row = office.call("crm.contact.get", id=1).result
    assert row["ID"] == "1"
    assert row["COMPANY_ID"] == "12"
    assert row["ASSIGNED_BY_ID"] == "7"
    assert row["OPENED"] == "Y"
    assert row["NAME"] == ""
    assert row["LAST_NAME"] is None
    assert row["LEAD_ID"] is None
    assert row["BIRTHDATE"] == ""
    assert row["DATE_MODIFY"] == "2026-01-01T03:00:01+03:00"
    companies = office.call("crm.contact.list", select=["COMPANY_ID"], order={"ID": "ASC"}).result
    assert [row["COMPANY_ID"] for row in companies] == ["12", "0", None]
    company = office.call("crm.company.get", id=12).result
    assert (company["REVENUE"], company["IS_MY_COMPANY"], "EXPORT" in company) == ("0", "N", False)


def test_multifields() -> None:
    """F2: phones come only when asked for by name, and only for those who have any; get always has them."""
    office = Office()
    office.contacts(2)
    office.database.insert("multifield", entity="contact", entity_id=2, type_id="PHONE", value="+1")
    office.database.insert("multifield", entity="contact", entity_id=2, type_id="PHONE", value="+2", value_type="HOME")
    phones = [
        {"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "+1", "TYPE_ID": "PHONE"},
        {"ID": "2", "VALUE_TYPE": "HOME", "VALUE": "+2", "TYPE_ID": "PHONE"},
    ]
    rows = office.call("crm.contact.list", select=["ID", "PHONE", "HAS_PHONE"], order={"ID": "ASC"}).result
    assert rows == [{"ID": "1", "HAS_PHONE": "N"}, {"ID": "2", "HAS_PHONE": "Y", "PHONE": phones}]
    assert office.call("crm.contact.get", id=2).result["PHONE"] == phones
    assert office.call("crm.contact.list", filter={"ID": 99}, select=["PHONE"]).result == []


@pytest.mark.parametrize(
    ("record_id", "description"),
    [(0, "ID is not defined or invalid."), ("x", "ID is not defined or invalid."), (999, "Not found")],
)
def test_get_refuses(office: Office, record_id: object, description: str) -> None:
    """F2, F6: get refuses with an empty code and HTTP 400."""
    for method in ("crm.contact.get", "crm.company.get"):
        answer = office.call(method, id=record_id)
        assert (answer.status, answer.error) == (400, ("", description))
    assert office.call("crm.contact.get").error[1] == "ID is not defined or invalid."


def own_records_only(role: str) -> Office:
    """Return an office whose webhook belongs to Bob, no administrator."""
    office = Office(user_id=BOB, role=role)
    office.contact(1, owner=ANN)
    office.contact(2, owner=BOB)
    office.company(5, owner=BOB)
    return office


def test_own_records_only() -> None:
    """F2: rows that may not be read are absent, and total counts the visible ones."""
    office = own_records_only("own_only")
    assert office.list().ids == [2]
    assert office.list().json["total"] == 1
    assert office.call("crm.contact.get", id=2).status == 200
    assert office.call("crm.contact.get", id=1).error == ("", "Access denied.")
    assert office.call("crm.contact.get", id=999).error == ("", "Access denied.")
    assert office.list("crm.company.list").ids == [5]


def test_no_right_at_all() -> None:
    """F2: without the right to read a type there is an error instead of an empty list."""
    office = own_records_only("none")
    for answer in (office.list(), office.list("crm.company.list"), office.call("crm.contact.get", id=2)):
        assert (answer.status, answer.error) == (400, ("", "Access denied."))
    assert office.call("crm.contact.company.items.get", id=2).error == ("ACCESS_DENIED", "Access denied!")


def test_an_administrator_sees_all() -> None:
    """F2: admin sees all, whatever the role says."""
    office = Office(role="own_only")
    office.contacts(3, owner=BOB)
    assert office.list().ids == [1, 2, 3]
