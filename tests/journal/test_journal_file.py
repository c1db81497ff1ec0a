"""The database file: made safely, and each thing that can be wrong with it in one sentence with the next step."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal_values import PORTAL, change

from reconciler.errors import JournalError, LeaseHeldError
from reconciler.journal import database, schema
from reconciler.journal.backup import back_up
from reconciler.journal.lease import hold_lease
from reconciler.journal.store import open_journal
from reconciler.service import heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal


@pytest.fixture(params=[0, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the mask of the process for a test."""
    old = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(old)


def refusal_of(url: str, clock: VirtualClock, *, read_only: bool = False) -> str:
    """Return the sentence with which a journal is not opened."""
    with pytest.raises(JournalError) as refusal:
        open_journal(url, clock, read_only=read_only)
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "journal.url" in sentence
    return sentence


@pytest.mark.usefixtures("umask")
def test_the_files_are_for_this_user_only_whatever_the_umask(unprivileged: Path, clock: VirtualClock) -> None:
    """The log and the index of the log as well."""
    with open_journal(f"sqlite:///{unprivileged}/journal.db", clock) as journal:
        journal.begin(portal=PORTAL, command="service")
        modes = {file.name: file.stat().st_mode & 0o777 for file in unprivileged.iterdir()}
    assert modes == dict.fromkeys(("journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lease"), 0o600)


@pytest.mark.usefixtures("umask")
def test_heartbeat_and_copy_are_for_this_user_only_whatever_the_umask(unprivileged: Path, clock: VirtualClock) -> None:
    """They are written again and read, also where the mask takes all rights away."""
    beats = unprivileged / "journal.db.beat"
    for at in (1.0, 2.0):
        heartbeat.write(beats, heartbeat.Beat(process=os.getpid(), boot="", at=at))
    with open_journal(f"sqlite:///{unprivileged}/journal.db", clock) as journal:
        journal.begin(portal=PORTAL, command="service")
        back_up(f"sqlite:///{unprivileged}/journal.db", unprivileged / "copy.db", clock, replace=False)
    beat = heartbeat.read(beats)
    assert beat is not None
    assert beat.at == 2.0
    for path in (beats, unprivileged / "copy.db"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_database_is_as_safe_as_it_should_be(journal: Journal) -> None:
    """Each connection has the pragmas that durability asks for."""
    with journal._writing() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "temp_store")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "temp_store": 2,
    }


def test_odd_characters_in_a_path_are_just_characters(tmp_path: Path, clock: VirtualClock) -> None:
    """A question mark would begin the options of SQLite's own addresses."""
    directory = tmp_path / "a b#c&d=e?"
    directory.mkdir()
    with open_journal(f"sqlite:///{tmp_path}/a b#c&d=e%3F/100%.db", clock) as journal:
        journal.begin(portal=PORTAL, command="service")
    assert sorted(file.name for file in directory.iterdir()) == ["100%.db", "100%.db.lease"]


def test_a_missing_directory_is_named(tmp_path: Path, clock: VirtualClock) -> None:
    """It is not made: a misspelt path would scatter journals over the disk."""
    assert f"The directory {tmp_path}/no of the journal does not exist" in refusal_of(
        f"sqlite:///{tmp_path}/no/journal.db", clock
    )
    (tmp_path / "file").touch()
    assert f"cannot be created: {tmp_path}/file is not a directory; set `journal.url`" in refusal_of(
        f"sqlite:///{tmp_path}/file/below/journal.db", clock
    )


def test_a_directory_is_no_journal(tmp_path: Path, clock: VirtualClock) -> None:
    """The way out is a file in it."""
    assert "is a directory: set `journal.url` to a file in it" in refusal_of(f"sqlite:///{tmp_path}", clock)


def test_a_directory_without_write_access_is_explained(unprivileged: Path, clock: VirtualClock) -> None:
    """For a new journal, and for one that is there."""
    url = f"sqlite:///{unprivileged}/journal.db"
    unprivileged.chmod(0o500)
    assert f"cannot be created (Permission denied): give this user ({os.geteuid()}) write access" in refusal_of(
        url, clock
    )
    unprivileged.chmod(0o700)
    open_journal(url, clock).close()
    unprivileged.chmod(0o500)
    assert f"give this user ({os.geteuid()}) write access to the file and its directory" in refusal_of(url, clock)


def test_a_file_without_write_access_is_explained_before_the_portal_is_read(
    unprivileged: Path, clock: VirtualClock
) -> None:
    """Opening is the time to find out."""
    url = f"sqlite:///{unprivileged}/journal.db"
    open_journal(url, clock).close()
    (unprivileged / "journal.db").chmod(0o400)
    assert f"is not writable: give this user ({os.geteuid()}) write access" in refusal_of(url, clock)


def test_a_directory_that_may_not_be_entered_is_explained_to_a_reader(unprivileged: Path, clock: VirtualClock) -> None:
    """It is not the same as no journal."""
    (unprivileged / "closed").mkdir(mode=0)
    url = f"sqlite:///{unprivileged}/closed/journal.db"
    assert "cannot be opened (Permission denied)" in refusal_of(url, clock, read_only=True)


@pytest.mark.parametrize("content", [b"not a database, for sure" * 100, b"\0" * 4096], ids=["text", "zeros"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, clock: VirtualClock, content: bytes) -> None:
    """And the setting is named."""
    file = tmp_path / "journal.db"
    file.write_bytes(content)
    assert "is not a SQLite database: set `journal.url` to another file" in refusal_of(f"sqlite:///{file}", clock)
    assert file.read_bytes() == content


@pytest.mark.parametrize("program", [0, 0x47504B47], ids=["unnamed", "named"])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, clock: VirtualClock, program: int) -> None:
    """Also when it uses Alembic. Not a byte of it changes, its mode of logging included."""
    file = tmp_path / "journal.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    connection.execute(f"PRAGMA application_id = {program}")
    connection.close()
    before = file.read_bytes()
    assert "belongs to another program" in refusal_of(f"sqlite:///{file}", clock)
    assert "belongs to another program" in refusal_of(f"sqlite:///{file}", clock, read_only=True)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db"]


def test_a_damaged_journal_is_explained(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Bytes go bad on disks."""
    journal.begin(portal=PORTAL, command="service")
    journal.close()
    with journal.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (journal.path.stat().st_size - 4096))
    with pytest.raises(JournalError, match="is damaged: put back a copy of it"), open_journal(url, clock) as damaged:
        damaged.runs()


@pytest.mark.parametrize("read_only", [False, True], ids=["writer", "reader"])
def test_a_journal_from_the_future_asks_for_the_newer_program(
    journal: Journal, url: str, clock: VirtualClock, read_only: bool
) -> None:
    """Nothing in it is touched."""
    with journal._writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    journal.close()
    sentence = refusal_of(url, clock, read_only=read_only)
    assert "was written by a newer version of this program" in sentence
    assert f"(its schema is 0999, this program knows {schema.HEAD}): install the newer program" in sentence


def test_a_journal_of_an_older_program_is_not_migrated_by_a_reader(
    journal: Journal, url: str, clock: VirtualClock
) -> None:
    """A look must not change what it looks at."""
    with journal._writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    journal.close()
    with pytest.raises(JournalError, match="older version of this program: the next run brings it up to date"):
        open_journal(url, clock, read_only=True)


def test_a_reader_makes_nothing(tmp_path: Path, clock: VirtualClock) -> None:
    """Without a file, and with an empty one, there was no run yet."""
    file = tmp_path / "journal.db"
    assert "There was no run yet" in refusal_of(f"sqlite:///{file}", clock, read_only=True)
    assert list(tmp_path.iterdir()) == []
    file.touch()
    assert "There was no run yet" in refusal_of(f"sqlite:///{file}", clock, read_only=True)
    assert file.stat().st_size == 0


def test_a_reader_cannot_write(url: str, clock: VirtualClock) -> None:
    """Whatever is asked of it."""
    with open_journal(url, clock, read_only=True) as reader, pytest.raises(JournalError, match="is not writable"):
        reader.begin(portal=PORTAL, command="service")


def test_a_full_disk_is_explained_and_leaves_no_half(journal: Journal) -> None:
    """The chunk that did not fit is not there; when there is room again, it fits."""
    run = journal.begin(portal=PORTAL, command="service")
    many = [change(contact) for contact in range(1, 5001)]
    with journal._reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(JournalError, match=r"cannot grow, the disk is full: make room, or set `journal\.url`"):
        journal.intend(run, many)
    assert journal.changes(run) == []
    with journal._reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    journal.intend(run, many)
    assert len(journal.open_intents(PORTAL)) == 5000


def test_a_database_that_somebody_else_locks_is_explained(
    url: str, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time that SQLite waits."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.0)
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "is locked by another program for 10 s: end that program" in refusal_of(url, clock)
    finally:
        other.close()


def test_any_other_failure_is_one_sentence_too(journal: Journal) -> None:
    """With the database's own words."""
    with (
        pytest.raises(JournalError, match=r"failed \(no such table: absent\): repair it, or set `journal\.url`"),
        journal._reading() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM absent")


def test_a_database_without_a_shared_log_is_refused(tmp_path: Path) -> None:
    """As SQLite behaves on a file system without shared memory; a database in memory has no log either."""
    connection = sqlite3.connect(":memory:")
    try:
        with pytest.raises(JournalError, match=r"SQLite cannot share: .* a local disk"):
            database._prepare(connection, tmp_path, read_only=False)
    finally:
        connection.close()


def test_a_migration_waits_for_the_lease(tmp_path: Path, clock: VirtualClock) -> None:
    """A run of the older program must not find its tables changed under it."""
    file = tmp_path / "journal.db"
    with hold_lease(file, clock, 0), pytest.raises(LeaseHeldError):
        open_journal(f"sqlite:///{file}", clock)
    assert clock.monotonic() == 60
    open_journal(f"sqlite:///{file}", clock).close()


def test_a_migration_that_fails_leaves_an_empty_file(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema and revision appear together, or not at all; the next start begins again."""
    url = f"sqlite:///{tmp_path}/journal.db"
    whole = schema.migrate

    def half(connection: object, path: Path) -> None:
        whole(connection, path)
        raise JournalError("The power is gone.")

    with monkeypatch.context() as broken:
        broken.setattr(schema, "migrate", half)
        with pytest.raises(JournalError, match="power"):
            open_journal(url, clock)
    refusal_of(url, clock, read_only=True)
    with open_journal(url, clock) as journal:
        assert journal.runs() == []


def test_an_installed_wheel_brings_its_migrations(tmp_path: Path) -> None:
    """There is no alembic.ini and no source tree beside an installed program."""
    script = """
import os, sys
from flit_core import buildapi
os.chdir(sys.argv[1])
print(buildapi.build_wheel(sys.argv[2]))
"""
    build = [sys.executable, "-c", script, str(Path(__file__).parents[2]), str(tmp_path)]
    name = subprocess.run(build, check=True, capture_output=True, text=True, timeout=60).stdout.split()[-1]
    with zipfile.ZipFile(tmp_path / name) as wheel:
        wheel.extractall(tmp_path / "site")
    script = f"""
import sys
sys.path[:0] = ["site", {sysconfig.get_path("purelib")!r}]
import reconciler
assert reconciler.__file__.startswith({str(tmp_path)!r}), reconciler.__file__
from reconciler.clock import SystemClock
from reconciler.journal import schema
from reconciler.journal.store import open_journal
with open_journal("sqlite:///journal.db", SystemClock()) as journal:
    print(journal.begin(portal="portal", command="service"))
assert "alembic" not in sys.modules, "a new journal needs no migration"
from sqlalchemy import create_engine
with create_engine("sqlite://").begin() as empty:
    schema.upgrade(empty)
"""
    # -S: without the link to the source tree that a development environment has.
    tried = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
    )
    assert (tried.stdout, tried.stderr) == ("1\n", "")
