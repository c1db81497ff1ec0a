"""Journals that somebody edited by hand, or cut short: each command tells it in a sentence, and nothing is guessed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support.world import CLEO, MEMORY, World

from reconciler.clock import VirtualClock
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest
from reconciler.errors import JournalError
from reconciler.journal.store import Journal, open_journal
from reconciler.journal.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What was never written there: wrong types, words of nobody, dates that are none, halves of JSON.
VALUES: tuple[Any, ...] = (
    *(
        None,
        -1,
        0,
        2**63 - 1,
        1.5,
        float("inf"),
        "",
        "x",
        "{",
        "[]",
        '{"unknown": "x"}',
        "null",
        '[1, "a"]',
        b"\xff\xfe",
    ),
    *("2026-13-01 00:00:00", "0001-01-01 00:00:00", "a" * 70_000, "[" * 5000, "\x1b[2J"),
)
COLUMNS = [
    (table.name, column.name) for table in metadata.sorted_tables for column in table.c if table.name != "sighting"
]
#: How each part of the journal is read.
READ: dict[str, Callable[[Journal], object]] = {
    "runs": lambda journal: journal.runs(1000),
    "changes": lambda journal: [journal.changes(run) for run in (1, 2, 3)],
    "latest": lambda journal: journal.find_run("latest"),
    "names": lambda journal: journal.user_names("portal"),
    "health": lambda journal: (journal.last_success("portal"), journal.last_attempt("portal")),
    "approvals": lambda journal: journal.approvals.open("portal"),
    "exceptions": lambda journal: journal.exceptions.entries("portal"),
    "standing": lambda journal: journal.sweeps.standing("portal"),
    "roster": lambda journal: (journal.sweeps.known("portal").roster, journal.sweeps.known("portal").last),
    "halfway": lambda journal: journal.sweeps.known("portal").halfway,
    "open": lambda journal: journal.open_intents("portal"),
    "undo": lambda journal: journal.writes.to_undo("portal", run=1),
    "restart": lambda journal: journal.begin(portal="portal", command="test"),
}


@cache
def lived_in() -> bytes:
    """Return a journal with runs, changes, a roster and people."""
    with TemporaryDirectory(dir=MEMORY) as folder, closing(World(Path(folder))) as world:
        world.drift(6, each=3)
        world.run()
        world.office.database.write("UPDATE company SET assigned_by_id = ?", (CLEO,))
        world.run()
        world.restart()
        world.close()
        with closing(sqlite3.connect(Path(folder) / "journal.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return (Path(folder) / "journal.db").read_bytes()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Give a journal to spoil."""
    path = tmp_path / "journal.db"
    path.write_bytes(lived_in())
    yield path
    shutil.rmtree(tmp_path)


def readable(path: Path) -> int:
    """Read all of a journal; return how many parts could not be, each of which said why in a sentence."""
    told = 0
    try:
        with open_journal(f"sqlite:///{path}", VirtualClock()) as journal:
            for read in READ.values():
                try:
                    read(journal)
                except JournalError:
                    told += 1
    except JournalError:
        told += 1
    return told


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda name: name)
def test_any_value_in_any_column(table: str, column: str, file: Path) -> None:
    """A row that somebody edited is shown as it is, or told; whatever the schema's own checks would have said."""
    whole = file.read_bytes()
    # Each column a few of them, so that together each has been everywhere.
    turn = COLUMNS.index((table, column))
    for value in VALUES[turn % 6 :: 6]:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = 1")
            try:
                connection.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))  # noqa: S608 - names of ours
            except sqlite3.IntegrityError:
                continue
            connection.commit()
        assert readable(file) <= len(READ)
        for left in file.parent.glob("journal.db-*"):
            left.unlink()
        file.write_bytes(whole)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_journal_cut_short(share: float, file: Path) -> None:
    """A copy that was broken off: told, and never filled up with guesses."""
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert readable(file) > 0


@pytest.mark.parametrize("table", ["portal", "run", "change", "company", "sweep_progress", "user", "exception"])
def test_a_journal_without_one_of_its_tables(table: str, file: Path) -> None:
    """Told by whatever needs it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA foreign_keys = 0")
        connection.execute(f'DROP TABLE "{table}"')
        connection.commit()
    assert readable(file) > 0


def test_rows_that_point_nowhere(file: Path) -> None:
    """The history without its run, the run without its portal: nothing is made up for them."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA foreign_keys = 0")
        connection.execute("UPDATE change SET run_id = 77, approval_id = 5, undoes_change_id = 99")
        connection.execute("UPDATE run SET undoes_run_id = 88")
        connection.execute("DELETE FROM user")
        connection.commit()
    with open_journal(f"sqlite:///{file}", VirtualClock()) as journal:
        assert journal.changes(1) == []
        assert len(journal.changes(77)) == 6
        assert journal.find_run(77) is None


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE change SET result = 'done'", "'done' is not a valid Result"),
        ("UPDATE change SET owner_after = 'Bob'", "a text for a number"),
        ("UPDATE run SET started_at = 'yesterday'", "holds something that this program did not write"),
        ("UPDATE run SET reasons = '{'", "holds something that this program did not write"),
    ],
    ids=["result", "owner", "time", "json"],
)
def test_what_is_wrong_is_told_with_the_way_out(statement: str, told: str, file: Path) -> None:
    """One sentence: what, where, and what to do."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute(statement)
        connection.commit()
    with open_journal(f"sqlite:///{file}", VirtualClock()) as journal:
        with pytest.raises(JournalError, match=told) as failure:
            journal.runs(), journal.changes(1)
        assert "put back a copy of it" in str(failure.value)


def test_a_run_does_not_write_by_an_edited_row(make_world: Callable[..., World]) -> None:
    """An open intent that somebody edited ends the run before the portal is written to."""
    world = make_world()
    world.drift(3)
    world.run()
    with closing(sqlite3.connect(world.journal.path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE change SET result = NULL, settled_at = NULL, owner_after = '8; DROP'")
        connection.commit()
    before = len(world.portal.history)
    world.office.database.write("UPDATE company SET assigned_by_id = ?", (CLEO,))
    finished = reconcile(world.worker, RunRequest(command="test", lease_wait=0.0))
    assert isinstance(finished.failure, JournalError)
    assert len(world.portal.history) == before
