"""What queries cost a real database: the statements that a server builds, and that a walk through a table is found."""

from __future__ import annotations

from typing import Any

import pytest
from database import Kind, Recorded, Row, kind_of
from mariadb import Measured, missing, running
from server_sql import TABLES, statements

from reconciler.simulator.calls import Call, Caller
from reconciler.simulator.php import from_python

QUIET = Measured(examined=10, milliseconds=0.1, index="PRIMARY")


def call(method: str, start: int = 0, **params: Any) -> Call:
    """Return a call as it reaches the embedded portal."""
    return Call(method=method, params=from_python(params), start=start, caller=Caller(user_id=1), now=0, utc_offset=0)


def row(share: float, *, times: int = 1, method: str = "crm.contact.list", asked: str = "@COMPANY_ID") -> Row:
    """Return what was measured of one kind of call."""
    kind = Kind(method, asked, "ID")
    return Row(kind=kind, statement="page", table="b_crm_contact", times=times, measured=QUIET, share=share)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (
            {"@COMPANY_ID": [7, 8], "!ASSIGNED_BY_ID": 5},
            "(L.COMPANY_ID IN (7, 8)) AND (L.ASSIGNED_BY_ID IS NULL OR NOT",
        ),
        ({"!COMPANY_ID": 0}, "(L.COMPANY_ID IS NOT NULL AND NOT L.COMPANY_ID = 0)"),
        ({"<=COMPANY_ID": "0$result[k][0][ID]"}, "(L.COMPANY_ID IS NULL OR L.COMPANY_ID <= 0)"),
        ({">ID": 3, "<=ID": "09"}, "(L.ID > 3) AND (L.ID <= 9)"),
        ({">=DATE_MODIFY": "2026-11-20T10:00:00+03:00"}, "(L.DATE_MODIFY >= '2026-11-20 07:00:00')"),
        ({"=IS_MY_COMPANY": "N"}, "(L.IS_MY_COMPANY = 'N')"),
    ],
)
def test_a_filter_becomes_the_condition_of_the_server(asked: dict[str, Any], where: str) -> None:
    """Empty values and negations as the portal treats them, and always the category."""
    count, page = statements(call("crm.contact.list", filter=asked, order={"ID": "ASC"}, select=["ID"]))
    assert where in count.sql
    assert page.sql.startswith("SELECT L.ID FROM b_crm_contact L WHERE ")
    assert page.sql.endswith("AND (L.CATEGORY_ID IN (0)) ORDER BY L.ID ASC LIMIT 0, 50")


def test_a_call_that_does_not_count_is_one_statement() -> None:
    """`start = -1` asks for a page alone; the newer method has other names."""
    params = {"entityTypeId": 3, "filter": {"@id": [1]}, "select": ["id", "companyIds"], "order": {"id": "ASC"}}
    (page,) = statements(call("crm.item.list", -1, **params))
    expected = "SELECT L.ID FROM b_crm_contact L WHERE (L.ID IN (1)) AND (L.CATEGORY_ID IN (0)) ORDER BY L.ID ASC"
    assert page.sql == f"{expected} LIMIT 0, 50"


def test_a_filter_that_nothing_is_known_of_is_refused() -> None:
    """A guess would measure another query."""
    with pytest.raises(ValueError, match="no statement is known for the filter %NAME"):
        list(statements(call("crm.contact.list", filter={"%NAME": "x"})))


def test_calls_are_counted_by_kind_in_the_run_that_asks_most() -> None:
    """Values make no kind, except that 0 means none; a method of which nothing is known is named."""
    recorded = Recorded()
    for value in (0, 5, 6):
        recorded.take(call("crm.contact.list", filter={">ID": value}, order={"ID": "DESC"}))
    recorded.end_run()
    recorded.take(call("crm.contact.list", filter={">ID": 9}, order={"ID": "DESC"}))
    recorded.take(call("crm.deal.get", id=1))
    recorded.end_run()
    zero, other = Kind("crm.contact.list", ">ID=0", "ID DESC"), Kind("crm.contact.list", ">ID", "ID DESC")
    assert dict(recorded.most) == {zero: 1, other: 2}
    assert kind_of(recorded.samples[zero][0]) == zero
    assert recorded.unknown == {"crm.deal.get"}


def test_a_walk_is_a_complaint_unless_it_is_one_of_the_few() -> None:
    """The count of all companies is asked once a poll; asked often, it is a complaint as well."""
    assert row(0.24).complaint is None
    assert row(0.25).complaint == "`crm.contact.list` @COMPANY_ID, by ID: the page reads 25% of b_crm_contact"
    assert row(1.0, method="crm.company.list", asked="=IS_MY_COMPANY").complaint is None
    assert row(1.0, method="crm.company.list", asked="=IS_MY_COMPANY", times=5).complaint is not None


@pytest.mark.skipif(
    bool(missing()), reason="NO MARIADB HERE: `apt-get install mariadb-server`, then `make benchdatabase`"
)
def test_a_real_database_tells_an_index_from_a_walk() -> None:
    """A server of our own counts the rows that it reads, and names the index."""
    company = call("crm.contact.list", -1, filter={"@COMPANY_ID": [7]}, order={"COMPANY_ID": "ASC", "ID": "ASC"})
    owner = call("crm.contact.list", -1, filter={"ASSIGNED_BY_ID": 5})
    with running(TABLES, {}) as (database, folder):
        rows = [(n, n % 500, n % 41, "2026-11-01 00:00:00", "2026-11-01 00:00:00", 1) for n in range(1, 2001)]
        columns = ("ID", "COMPANY_ID", "ASSIGNED_BY_ID", "DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID")
        database.fill("b_crm_contact", columns, rows, folder)
        by_index, walk = database.measure([page.sql for each in (company, owner) for page in statements(each)])
    assert by_index.index == "IX_CRM_CONTACT_COMPANY_ID"
    assert by_index.examined < 10
    assert walk.examined > 1900
