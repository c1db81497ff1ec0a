"""The tables in the code and the tables of the migrations are the same, and keep what they promise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from journal_values import PORTAL
from sqlalchemy import create_engine, insert, inspect, select

from reconciler.core.model import Result, Status
from reconciler.journal import schema, tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from reconciler.journal.store import Journal

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def rules(connection: Connection) -> dict[str, Any]:
    """Return what Alembic does not compare: CHECK constraints, conditions of partial indexes, and SQLite's own."""
    inspector = inspect(connection)
    return {
        name: (
            connection.exec_driver_sql(f"PRAGMA table_list('{name}')").fetchall(),
            connection.exec_driver_sql(f"PRAGMA table_xinfo('{name}')").fetchall(),
            sorted(row[2:] for row in connection.exec_driver_sql(f"PRAGMA foreign_key_list('{name}')")),
            sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(name)),
            sorted(
                (index["name"], str(index["dialect_options"].get("sqlite_where")))
                for index in inspector.get_indexes(name)
            ),
        )
        for name in inspector.get_table_names()
    }


def test_the_migrations_make_the_tables_of_the_code(journal: Journal) -> None:
    """Whoever changes one without the other hears of it here; a new journal is made at once, without the revisions."""
    old = create_engine("sqlite://")
    with journal._reading() as made, old.connect() as migrated:
        schema.upgrade(migrated)
        context = MigrationContext.configure(migrated)
        assert compare_metadata(context, tables.metadata) == []
        assert rules(migrated) == rules(made)
        for connection in (migrated, made):
            assert schema.current_revision(connection, journal.path) == schema.HEAD
    old.dispose()


def test_the_known_revision_is_the_latest() -> None:
    """And revisions are numbered in order: a later one is known by its number alone."""
    config = Config()
    config.set_main_option("script_location", "reconciler.journal:migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [schema.HEAD]
    oldest_first = [revision.revision for revision in script.walk_revisions()][::-1]
    assert oldest_first == [f"{number:04}" for number in range(1, len(oldest_first) + 1)]


def test_a_new_journal_is_marked_as_ours(journal: Journal) -> None:
    """By the number in its header."""
    with journal._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA application_id").scalar_one() == schema.APPLICATION_ID
        assert schema.current_revision(connection, journal.path) == schema.HEAD


@pytest.mark.parametrize(
    ("constraint", "values"), [("ck_change_result", Result), ("ck_run_status", Status)], ids=["result", "status"]
)
def test_each_result_and_status_can_be_stored(journal: Journal, constraint: str, values: Any) -> None:
    """The database knows exactly those of the code."""
    table = constraint.split("_")[1]
    with journal._reading() as connection:
        checks = {check["name"]: check["sqltext"] for check in inspect(connection).get_check_constraints(table)}
    assert checks[constraint].partition(" IN ")[2] == str(tuple(value.value for value in values))


def test_times_come_back_in_utc_whatever_zone_they_went_in(journal: Journal) -> None:
    """And order by the moment, not by the hour on the wall."""
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    with journal._writing() as connection:
        connection.execute(insert(tables.portal), [{"name": "east", "first_seen_at": east}])
        stored = connection.execute(select(tables.portal.c.first_seen_at)).scalar_one()
        raw = connection.exec_driver_sql("SELECT first_seen_at FROM portal").scalar_one()
    assert stored == NOON
    assert stored.tzinfo is UTC
    assert raw == "2026-05-01 12:00:00.000000"


def test_a_time_without_a_zone_is_refused(journal: Journal) -> None:
    """It could be anywhere's."""
    with pytest.raises(Exception, match="without a zone"), journal._writing() as connection:
        connection.execute(insert(tables.portal), [{"name": "p", "first_seen_at": NOON.replace(tzinfo=None)}])


def row(table: str, **values: object) -> dict[str, object]:
    """Return a valid row of a table that later features fill, with these values."""
    rows: dict[str, dict[str, object]] = {
        "company": {"company_id": 1, "owner_id": 2, "seen_at": NOON},
        "sweep_progress": {"kind": "roster"},
        "approval": {
            "digest": "0" * 64,
            "state": "waiting",
            "change_count": 1,
            "created_at": NOON,
        },
        "approval_change": {"contact_id": 1, "first_id": 2, "company_id": 1, "owner_before": 0, "owner_after": 2},
        "standing": {
            "contact_id": 1,
            "company_id": 1,
            "owner_id": 1,
            "company_owner_id": 2,
            "reason": "company_owner_dismissed",
            "appeared_at": NOON,
        },
        "exception": {"contact_id": 1, "kind": "quarantined", "since": NOON},
    }
    return {"portal_id": 1, **rows[table], **values}


@pytest.mark.parametrize(
    ("table", "first", "second"),
    [
        ("company", {"previous_owner_id": 1, "owner_changed_at": NOON, "older_owner_ids": [4, 5]}, {"company_id": 2}),
        ("sweep_progress", {"started_at": NOON, "read_up_to": 0}, {"kind": "window", "complete_since": NOON}),
        (
            "approval",
            {"state": "expired", "closed_at": NOON},
            {"state": "approved", "approved_at": NOON, "expires_at": NOON},
        ),
        ("approval_change", {"last_id": 2}, {"first_id": 3}),
        ("standing", {"ended_at": NOON}, {"ended_at": None}),
        ("exception", {"released_at": NOON, "released_by": "command"}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_later_features_find_their_columns(journal: Journal, table: str, first: Any, second: Any) -> None:
    """What has ended stays as history beside what is in force."""
    journal.begin(portal=PORTAL, command="service")
    with journal._writing() as connection:
        target = tables.metadata.tables[table]
        for values in (first, second):
            connection.execute(insert(target), [row(table, **values)])
        stored = connection.execute(select(target)).mappings().first()
        assert stored is not None
        assert {name: stored[name] for name in first} == first


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("company", {"previous_owner_id": 1}),
        ("sweep_progress", {"started_at": NOON}),
        ("approval", {"state": "believed"}),
        ("approval", {"state": "approved"}),
        ("approval", {"state": "used"}),
        ("approval", {"digest": "0123456789ab"}),
        ("approval_change", {"owner_after": 0}),
        ("approval_change", {"last_id": 1}),
        ("standing", {"contact_id": 0}),
        ("exception", {"kind": "whim"}),
        ("exception", {"released_at": NOON}),
        ("exception", {"portal_id": 9}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_the_database_refuses_what_makes_no_sense(journal: Journal, table: str, wrong: Any) -> None:
    """A rule of the schema holds for every later feature."""
    journal.begin(portal=PORTAL, command="service")
    with pytest.raises(ValueError, match="constraint failed"), journal._writing() as connection:
        connection.execute(insert(tables.metadata.tables[table]), [row(table, **wrong)])


@pytest.mark.parametrize("table", ["company", "sweep_progress", "approval", "approval_change", "standing", "exception"])
def test_one_thing_is_in_force_once(journal: Journal, table: str) -> None:
    """No second standing drift, exception or open approval of the same."""
    journal.begin(portal=PORTAL, command="service")
    with pytest.raises(ValueError, match="UNIQUE constraint failed"), journal._writing() as connection:
        connection.execute(insert(tables.metadata.tables[table]), [row(table), row(table)])
