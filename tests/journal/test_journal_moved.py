"""The open journal is compared with its path: what is written to a file without a name would be lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from journal_values import PORTAL, change

from reconciler.errors import JournalError, JournalMovedError
from reconciler.journal.store import open_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal


def _delete(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)


@pytest.mark.parametrize(
    ("away", "words"),
    [(_delete, "is gone: it was deleted or moved"), (_move, "is gone"), (_replace, "is another file now")],
    ids=["deleted", "moved", "replaced"],
)
def test_nothing_is_written_to_a_journal_that_is_not_in_its_place(
    journal: Journal, away: Callable[[Path], None], words: str
) -> None:
    """No run begins, a run under way intends nothing more, and no new file appears."""
    run = journal.begin(portal=PORTAL, command="service")
    away(journal.path)
    files = sorted(journal.path.parent.iterdir())
    with pytest.raises(JournalMovedError, match=words), journal.lease(0):
        pytest.fail("a run without a journal")
    with pytest.raises(JournalMovedError, match="put the same file back, or restart the program"):
        journal.intend(run, [change(1)])
    with pytest.raises(JournalMovedError, match=words):
        journal.require_writable()
    assert set(journal.path.parent.iterdir()) - set(files) <= {journal.path.with_name("journal.db.lease")}


@pytest.mark.parametrize("away", [_delete, _replace], ids=["deleted", "replaced"])
def test_nothing_is_written_to_a_log_that_is_not_in_its_place(journal: Journal, away: Callable[[Path], None]) -> None:
    """What another program decides would stand in another log: this one would not see it."""
    run = journal.begin(portal=PORTAL, command="service")
    away(journal.path.with_name("journal.db-wal"))
    with pytest.raises(JournalMovedError, match=r"The log \S*journal\.db-wal of the journal is"):
        journal.intend(run, [change(1)])
    with pytest.raises(JournalMovedError, match="restart the program"):
        journal.require_writable()


def test_the_log_stays_while_the_journal_is_open(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Also when another program closes it, and when no transaction is under way."""
    for _ in range(3):
        with open_journal(url, clock) as other:
            other.begin(portal=PORTAL, command="once")
        journal._database.engine.dispose()
        journal.require_writable()
    assert len(journal.runs()) == 3


def test_the_same_file_back_in_its_place_is_the_journal_again(journal: Journal) -> None:
    """Without a restart."""
    run = journal.begin(portal=PORTAL, command="service")
    _move(journal.path)
    with pytest.raises(JournalMovedError):
        journal.intend(run, [change(1)])
    journal.path.with_name("elsewhere.db").rename(journal.path)
    with journal.lease(0):
        journal.intend(run, [change(1)])
    assert len(journal.open_intents(PORTAL)) == 1


def test_a_link_that_leads_to_another_file_now_is_a_replacement(journal: Journal, clock: VirtualClock) -> None:
    """The setting names the link, so the link decides."""
    link = journal.path.with_name("link.db")
    link.symlink_to(journal.path)
    with open_journal(f"sqlite:///{link}", clock) as opened:
        link.unlink()
        link.symlink_to(shutil.copy(journal.path, journal.path.with_name("copy.db")))
        with pytest.raises(JournalMovedError, match="is another file now"):
            opened.begin(portal=PORTAL, command="service")
    assert journal.runs() == []


def test_a_connection_made_later_does_not_open_another_file(url: str, clock: VirtualClock) -> None:
    """The pool makes connections when it needs them; a replaced file is never opened by the running program."""
    with open_journal(url, clock) as opened:
        opened._database.engine.dispose()
        _replace(opened.path)
        with pytest.raises(JournalMovedError), opened._database.engine.connect():
            pytest.fail("another file")


def test_a_folder_that_may_not_be_entered_any_more(unprivileged: Path, clock: VirtualClock) -> None:
    """The journal may still be there, but nobody can tell."""
    folder = unprivileged / "folder"
    folder.mkdir()
    with open_journal(f"sqlite:///{folder}/journal.db", clock) as journal:
        folder.chmod(0)
        with pytest.raises(JournalMovedError, match=r"cannot be looked at \(Permission denied\)"):
            journal.runs()
        folder.chmod(0o700)
        assert journal.runs() == []


def test_two_hard_links_are_refused(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Each name would have a log and a lease of its own, so that two runs could work at the same time."""
    other = journal.path.with_name("other.db")
    os.link(journal.path, other)
    for name in (journal.path, other):
        with pytest.raises(JournalError, match=r"has 2 names \(hard links\).*journal\.url"):
            open_journal(f"sqlite:///{name}", clock)
    with pytest.raises(JournalError, match="has 2 names"), journal.lease(0):
        pytest.fail("a second lease")
    other.unlink()
    with journal.lease(0):
        pass
    open_journal(url, clock).close()


def test_a_device_is_no_journal(tmp_path: Path, clock: VirtualClock) -> None:
    """Nor a pipe, which would wait for a writer for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(JournalError, match="is no ordinary file"):
        open_journal(f"sqlite:///{tmp_path}/pipe", clock)


def test_an_empty_database_is_a_new_journal(tmp_path: Path, clock: VirtualClock) -> None:
    """A file of 0 bytes, and a database without a table."""
    (tmp_path / "empty.db").touch()
    connection = sqlite3.connect(tmp_path / "bare.db")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    for name in ("empty.db", "bare.db"):
        with open_journal(f"sqlite:///{tmp_path}/{name}", clock) as journal:
            assert journal.begin(portal=PORTAL, command="service") == 1
