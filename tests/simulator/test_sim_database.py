"""The tables under the embedded portal."""

from __future__ import annotations

import sqlite3

import pytest

from reconciler.simulator.database import Database


def test_versions_and_counts() -> None:
    """A COUNT is known until data change."""
    database = Database()
    database.insert("user", id=1)
    sql = "SELECT COUNT(*) FROM user"
    assert [database.count(sql), database.count(sql)] == [(1, False), (1, True)]
    before = database.version
    assert database.write("UPDATE user SET name = 'x'") == 1
    assert database.version > before
    assert database.count(sql) == (1, False)


def test_a_forgotten_database_closes_its_connection() -> None:
    """Python 3.13 warns about a connection that nobody closed, and a warning is an error here."""
    connection = Database().connection
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_bulk_is_all_or_nothing() -> None:
    """A failure while filling leaves the tables, and their indexes, as they were."""
    database = Database()
    with pytest.raises(RuntimeError, match="half way"), database.bulk() as connection:  # noqa: PT012 - fails inside
        connection.execute("INSERT INTO user (id) VALUES (1)")
        raise RuntimeError("half way")
    assert database.rows("SELECT * FROM user") == []
    with database.bulk() as connection:
        connection.execute("INSERT INTO user (id) VALUES (1)")
    assert len(database.rows("SELECT * FROM user")) == 1
    indexes = {row["name"] for row in database.rows("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"contact_company_id", "contact_date_modify", "company_my"} <= indexes


def test_clear_and_close() -> None:
    """Cleared tables count ids from one again; a closed database answers nothing."""
    database = Database()
    assert database.insert("company", assigned_by_id=1) == 1
    database.clear()
    assert database.insert("company", assigned_by_id=1) == 1
    database.close()
    with pytest.raises(Exception, match="closed"):
        database.rows("SELECT 1")


@pytest.mark.parametrize(
    ("sql", "plan"),
    [
        ("SELECT id FROM contact WHERE category_id = 0 AND id > 5 AND id <= 55 ORDER BY id", "PRIMARY KEY"),
        ("SELECT id FROM contact WHERE category_id = 0 AND company_id IN (1, 2) AND assigned_by_id <> 5", "company_id"),
        ("SELECT id FROM company WHERE category_id = 0 AND id > 5 AND id <= 55 ORDER BY id", "PRIMARY KEY"),
        ("SELECT contact_id FROM contact_company WHERE company_id = 5", "contact_company_company"),
    ],
    ids=["window", "drift-query", "company-window", "contacts-of-a-company"],
)
def test_queries_use_their_index(sql: str, plan: str) -> None:
    """F14: windows walk the primary key, the drift query the index on COMPANY_ID."""
    assert plan in Database().rows(f"EXPLAIN QUERY PLAN {sql}")[0]["detail"]


def test_lists_of_ids_are_kept_until_data_change() -> None:
    """Of the last few queries: whoever pages through a list asks the same one each time."""
    database = Database()
    database.insert("user", id=1)
    sql = "SELECT id FROM user WHERE id < ?"
    first = database.ids(sql, (9,))
    assert list(first) == [1]
    assert database.ids(sql, (9,)) is first
    for bound in (5, 6, 7, 8):
        database.ids(sql, (bound,))
    assert database.ids(sql, (9,)) is not first
    database.insert("user", id=2)
    assert list(database.ids(sql, (9,))) == [1, 2]
