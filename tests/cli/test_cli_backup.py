"""`reconciler backup`, the journal's line of `reconciler check`, and what a run leaves to retention."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.command_line import Desk


def runs_in(file: Path) -> int:
    """Return how many runs a journal holds."""
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("SELECT count(*) FROM run").fetchone()[0])


def test_backup(desk: Desk) -> None:
    """A copy that is a journal, told with its size; a second one needs leave."""
    assert desk.run("backup", "copy.db").err.startswith("reconciler: There is no journal ")
    desk.run("--once", "--yes")
    ended = desk.run("backup", "copy.db", "--json")
    assert ended.code == 0
    copy = desk.folder / "copy.db"
    assert ended.json == {"schema": 1, "status": "ok", "file": "copy.db", "bytes": copy.stat().st_size}
    assert runs_in(copy) == 1
    desk.run("--once", "--yes")
    again = desk.run("backup", "copy.db")
    assert (again.code, runs_in(copy)) == (2, 1)
    assert "--replace" in again.err
    shown = desk.run("backup", "copy.db", "--replace")
    assert (shown.code, runs_in(copy)) == (0, 2)
    assert shown.out.startswith("The journal is copied to copy.db: ")
    listed = desk.run("runs", "--json").json
    desk.env(JOURNAL__URL="sqlite:///copy.db")
    assert desk.run("runs", "--json").json == listed


def test_check_tells_size_and_age_of_the_journal(desk: Desk) -> None:
    """In the line of the database."""
    desk.run("--once", "--yes")
    [line] = [line for line in desk.run("check").out.splitlines() if " database " in line]
    assert str(desk.journal) in line
    assert " kB, 1 run since 20" in line


def test_a_run_prunes_the_journal(desk: Desk) -> None:
    """Runs of cron have no service that would; a run of a year and a day ago goes, the last ones stay."""
    for _ in range(3):
        desk.run("--once", "--yes")
    with closing(sqlite3.connect(desk.journal)) as database, database:
        for column in ("started_at", "finished_at", "snapshot_at"):
            database.execute(f"UPDATE run SET {column} = datetime({column}, '-366 days') WHERE id < 3")  # noqa: S608
    desk.env(JOURNAL__KEEP_DAYS="400")
    desk.run("--once", "--yes")
    assert runs_in(desk.journal) == 4
    desk.env(JOURNAL__KEEP_DAYS=None)
    assert desk.run("--once", "--yes").code == 0
    # The first wrote to contacts that nothing has written to since.
    assert [run["run"] for run in desk.run("runs", "--json").json["runs"]] == [5, 4, 3, 1]
