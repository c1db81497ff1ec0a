"""A journal of the previous version: brought up to date by the first run, with a copy beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from journal_values import PORTAL, change
from structlog.testing import capture_logs

from reconciler.core.model import Standing
from reconciler.errors import JournalError
from reconciler.journal import database, schema
from reconciler.journal.database import make_engine, open_file
from reconciler.journal.records import Selection
from reconciler.journal.store import open_journal

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.clock import VirtualClock

THEN = "2026-01-01 00:00:00.000000"
OLD_ROWS = (
    "INSERT INTO portal (id, name, first_seen_at) VALUES (1, 'example.bitrix24.com', :then)",
    """INSERT INTO run (id, portal_id, command, version, started_at, finished_at, status)
       VALUES (1, 1, 'service', '0.1.0', :then, :then, 'applied')""",
    """INSERT INTO change (run_id, contact_id, company_id, owner_before, owner_after, intended_at, attempted_at,
                           attempts, settled_at, result)
       VALUES (1, 1, 7, 1, 2, :then, :then, 1, :then, 'applied')""",
    """INSERT INTO run (id, portal_id, command, version, started_at, finished_at, status, undoes_run_id)
       VALUES (2, 1, 'undo', '0.1.0', :then, :then, 'applied', 1)""",
    """INSERT INTO change (run_id, contact_id, company_id, owner_before, owner_after, intended_at, attempted_at,
                           attempts, settled_at, result, rule, undoes_change_id)
       VALUES (2, 1, 7, 2, 1, :then, :then, 1, :then, 'applied', 'undo', 1)""",
    "INSERT INTO exception (portal_id, contact_id, kind, since) VALUES (1, 5, 'excluded', :then)",
    "INSERT INTO exception (portal_id, contact_id, kind, since, detail) VALUES (1, 1, 'undone', :then, 'as it was')",
    "INSERT INTO exception (portal_id, contact_id, kind, since) VALUES (1, 6, 'respected', :then)",
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a journal of the schema before the latest, with a run, a change and an exception."""
    path = tmp_path / "journal.db"
    database.create_file(path)
    file = open_file(path, path)
    engine = make_engine(file, read_only=False)
    with database.transaction(engine, file, writing=True) as connection:
        config = Config()
        config.set_main_option("script_location", "reconciler.journal:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in OLD_ROWS:
            connection.exec_driver_sql(statement, {"then": THEN})
    engine.dispose()
    return path


def test_nothing_is_lost_and_the_old_journal_lies_beside_it(old: Path, clock: VirtualClock) -> None:
    """The copy is whole, of the older schema, and for this user only; the log says where it is."""
    with capture_logs() as logs, open_journal(f"sqlite:///{old}", clock) as journal:
        assert [record.report.run for record in journal.runs()] == [2, 1]
        assert [record.change.contact for record in journal.changes(1)] == [1]
        found = journal.exceptions.entries(PORTAL)
        assert [(e.entry.contact, e.kind, e.run, e.entry.detail) for e in found] == [
            (5, Standing.KEPT, None, ""),
            (1, Standing.UNDONE, 2, "as it was"),
            (6, Standing.RESPECTED, None, ""),
        ]
        assert journal.exceptions.entries(PORTAL, Selection(runs=[1])) == [found[1]]
    copy = old.with_name("journal.db.schema-0002")
    assert [(e["event"], e["before"], e["copy"]) for e in logs] == [("journal.upgraded", "0002", str(copy))]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
        assert before.execute("SELECT count(*) FROM change").fetchone() == (2,)
    assert not list(old.parent.glob("*.part"))


def test_without_room_for_the_copy_nothing_is_upgraded(
    old: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says so, and the journal is as it was."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(JournalError, match=r"no copy could be made beside it .*\(No space left on device\): make room"):
        open_journal(f"sqlite:///{old}", clock)
    with closing(sqlite3.connect(old)) as still:
        assert still.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
    assert not list(old.parent.glob("*.part"))
    monkeypatch.undo()
    open_journal(f"sqlite:///{old}", clock).close()
    assert schema.HEAD == "0005"


def test_a_new_journal_has_no_copy(tmp_path: Path, clock: VirtualClock) -> None:
    """There was nothing before."""
    with open_journal(f"sqlite:///{tmp_path}/new.db", clock) as journal:
        journal.intend(journal.begin(portal=PORTAL, command="service"), [change(1)])
    assert not list(tmp_path.glob("*schema*"))
