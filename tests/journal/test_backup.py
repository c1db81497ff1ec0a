"""A copy of the journal while it is in use is whole and private, and nothing is lost by making it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from journal_values import PORTAL, carry_out, change

from reconciler.core.model import RunReport, Status
from reconciler.errors import JournalError, Stopped, UsageError
from reconciler.journal.backup import back_up
from reconciler.journal.store import open_journal

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal


@pytest.fixture
def used(journal: Journal) -> Journal:
    """Return a journal with a run in it."""
    run = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, run, [change(1), change(2)])
    journal.finish(RunReport(run=run, status=Status.APPLIED))
    return journal


def test_a_copy_is_a_journal(used: Journal, url: str, clock: VirtualClock, tmp_path: Path) -> None:
    """Also while somebody is in the middle of a transaction; one file, for this user only."""
    target = tmp_path / "copies" / "journal.copy"
    target.parent.mkdir()
    with used._writing() as connection:
        connection.exec_driver_sql("DELETE FROM change")
        assert back_up(url, target, clock, replace=False) == target.stat().st_size
        connection.rollback()
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]
    with open_journal(f"sqlite:///{target}", clock, read_only=True) as copy:
        assert copy.runs() == used.runs()
        assert copy.changes(1) == used.changes(1)


def test_a_copy_can_take_the_place_of_the_journal(used: Journal, url: str, clock: VirtualClock, tmp_path: Path) -> None:
    """Another machine goes on from it: run numbers follow, and undo knows what was written."""
    target = tmp_path / "moved.db"
    back_up(url, target, clock, replace=False)
    with open_journal(f"sqlite:///{target}", clock) as moved:
        assert moved.begin(portal=PORTAL, command="service") == 2
        assert moved.writes.to_undo(PORTAL, run=1) == used.writes.to_undo(PORTAL, run=1)


@pytest.mark.usefixtures("used")
def test_an_existing_file_is_only_written_over_on_request(url: str, clock: VirtualClock, tmp_path: Path) -> None:
    """The sentence says how."""
    target = tmp_path / "kept"
    target.write_text("kept")
    with pytest.raises(UsageError, match=r"is there already; .* --replace"):
        back_up(url, target, clock, replace=False)
    assert target.read_text() == "kept"
    back_up(url, target, clock, replace=True)
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM change").fetchone() == (2,)


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("journal.db", "is the journal itself"),
        ("journal.db-wal", "is the journal itself"),
        (".", "is a directory; name a file in it"),
        ("nowhere/copy", "cannot be written (No such file or directory)"),
        ("x" * 300, "cannot be written (File name too long)"),
    ],
)
def test_a_target_that_cannot_be(url: str, clock: VirtualClock, tmp_path: Path, name: str, words: str) -> None:
    """Also with leave to write over it."""
    with pytest.raises(UsageError) as refusal:
        back_up(url, tmp_path / name, clock, replace=True)
    assert words in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("name", ["pipe", "link", "/dev/null", "/dev/full", "/dev/stdout"])
def test_what_is_no_ordinary_file_stays_as_it_is(
    url: str, clock: VirtualClock, tmp_path: Path, name: str, replace: bool
) -> None:
    """A device that a copy took the place of would be missed by the whole machine; --replace is not advised."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    target = tmp_path / name
    before = target.stat()
    with pytest.raises(UsageError, match=r"is no ordinary file, and is left as it is; name a file for the copy$"):
        back_up(url, target, clock, replace=replace)
    after = target.stat()
    assert (after.st_mode, after.st_rdev, after.st_ino) == (before.st_mode, before.st_rdev, before.st_ino)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []


def test_a_journal_that_cannot_be_copied(clock: VirtualClock, tmp_path: Path) -> None:
    """There is none; it is empty; it is something else."""
    for content, words in ((None, "no journal"), (b"", "empty"), (b"x" * 5_000, "not a SQLite database")):
        source = tmp_path / "source.db"
        if content is not None:
            source.write_bytes(content)
        with pytest.raises(JournalError, match=words):
            back_up(f"sqlite:///{source}", tmp_path / "copy", clock, replace=False)
        assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("used")
def test_a_stop_leaves_nothing_behind(url: str, clock: VirtualClock, tmp_path: Path) -> None:
    """Neither the copy nor a part of it."""
    before = {path.name for path in tmp_path.iterdir()}
    clock.stop()
    with pytest.raises(Stopped):
        back_up(url, tmp_path / "copy", clock, replace=False)
    assert {path.name for path in tmp_path.iterdir()} - {"journal.db-shm", "journal.db-wal"} <= before
