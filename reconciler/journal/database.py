"""The SQLite file under the journal: where it is, who may read it, how it is opened, and what can be wrong with it."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from reconciler.errors import JournalError, JournalMovedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from reconciler.journal.lease import Lease

#: Seconds SQLite waits for another process (`approve`, a backup) to end its transaction.
BUSY_TIMEOUT = 10.0

_SET_PLACE = "set `journal.url` to another place"
#: With the user's number: in a container, or where a service manager made the user up, it has no name.
_GIVE_ACCESS = f"give this user ({{user}}) write access to the file and its directory, or {_SET_PLACE}"
_FAULTS = {
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: set `journal.url` to another file",
    sqlite3.SQLITE_CORRUPT: "is damaged: put back a copy of it, or set `journal.url` to a new file",
    sqlite3.SQLITE_FULL: f"cannot grow, the disk is full: make room, or {_SET_PLACE}",
    sqlite3.SQLITE_READONLY: f"is not writable: {_GIVE_ACCESS}",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened: {_GIVE_ACCESS}",
    sqlite3.SQLITE_BUSY: f"is locked by another program for {BUSY_TIMEOUT:g} s: end that program, or {_SET_PLACE}",
}


def create_file(path: Path) -> None:
    """Make an empty file that only this user may read, if there is none; SQLite gives -wal and -shm the same mode."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if path.is_dir():
            raise JournalError(f"The journal {path} is a directory: set `journal.url` to a file in it.") from None
        return
    except NotADirectoryError as error:
        blocking = next(parent for parent in path.parents if parent.exists())
        raise JournalError(
            f"The journal {path} cannot be created: {blocking} is not a directory; {_SET_PLACE}."
        ) from error
    except FileNotFoundError as error:
        raise JournalError(
            f"The directory {path.parent} of the journal does not exist: create it, or {_SET_PLACE}."
        ) from error
    except OSError as error:
        way_out = f"mount it writable, or {_SET_PLACE}" if error.errno == errno.EROFS else _give_access()
        raise JournalError(f"The journal {path} cannot be created ({error.strerror}): {way_out}.") from error
    try:
        os.fchmod(file, 0o600)  # a umask of 0777 would have left us without access ourselves
    finally:
        os.close(file)


def is_there(path: Path) -> bool:
    """Tell whether there is a file; raise `JournalError` when that cannot be known."""
    try:
        return path.is_file()
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be opened ({error.strerror}): {_give_access()}.") from error


#: "BxOR", in the header of the file: tells our databases from those of other programs.
APPLICATION_ID = 0x42784F52


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """Which file the journal is. Its name may come to mean another one while the journal is open."""

    #: As the setting has it, absolute, symbolic links not followed.
    named: Path
    #: Symbolic links followed.
    path: Path
    device: int
    inode: int
    #: Device and inode of SQLite's log beside it (`-wal`), while a connection keeps it in its place; None: not known.
    log: tuple[int, int] | None = None

    def with_log(self) -> OpenFile:
        """Return the same with the log that is there now."""
        found = _log_of(self.path).stat()
        return replace(self, log=(found.st_dev, found.st_ino))

    def require_same(self) -> None:
        """Raise `JournalMovedError` if the name does not lead to this file any more, or it has another log.

        What is written to a file without a name is lost with the process. The same file may come back to its place,
        and then everything works again. A file that comes in its place is never opened by the running program: it may
        be an empty one, and would let us write over what people have decided. With another log, we and other programs
        would not see what the others write.
        """
        what = _changed(self.named, (self.device, self.inode))
        if what:
            what = f"The journal {self.named} {what}"
        elif self.log and (what := _changed(_log_of(self.path), self.log)):
            what = f"The log {_log_of(self.path)} of the journal {what}"
        if what:
            raise JournalMovedError(
                f"{what} while this program had it open, so nothing is written: put the same file back, or restart the "
                "program to go on with what `journal.url` names then."
            )


def _changed(path: Path, before: tuple[int, int]) -> str:
    """Say what has become of a file with this device and inode; empty: it is in its place."""
    try:
        now = os.stat(path)  # noqa: PTH116 - twice as fast, and before each transaction
    except FileNotFoundError:
        return "is gone: it was deleted or moved"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return "" if (now.st_dev, now.st_ino) == before else "is another file now: it was replaced"


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def open_file(named: Path, path: Path) -> OpenFile:
    """Return which file is at this path. Raise `JournalError` if there is none, or it has several names."""
    try:
        found = path.stat()
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be opened ({error.strerror}): {_give_access()}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"The journal {path} is no ordinary file: set `journal.url` to another path.")
    if found.st_nlink > 1:
        # SQLite keeps a log, and we a lease, beside each name: two writers would not know of each other.
        raise JournalError(
            f"The journal {path} has {found.st_nlink} names (hard links), and SQLite would keep a log for each: "
            f"remove the others (`find DIRECTORY -samefile {path}` lists them), or {_SET_PLACE}."
        )
    return OpenFile(named=named, path=path, device=found.st_dev, inode=found.st_ino)


def make_engine(file: OpenFile, *, read_only: bool, first: Sequence[str] = ()) -> Engine:
    """Return an engine that never creates the file: one that vanishes in mid-run must not come back world-readable.

    `first` are statements that each of its connections begins with.
    """
    path = file.path

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}",
            uri=True,
            timeout=BUSY_TIMEOUT,
            # No BEGIN of the driver's own: it sends one before DML only, and migrations would not be transactions.
            isolation_level=None,
            # The pool lends a connection to one thread at a time.
            check_same_thread=False,
        )
        try:
            file.require_same()  # after it was opened, so that no other file can have come between
            _prepare(connection, path, read_only=read_only)
            for statement in first:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    # Parameters are left out of messages: what a message holds ends up in logs.
    return create_engine("sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True)


def _prepare(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    _require_ours(connection, path)
    if read_only:
        return
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(
            f"The journal {path} is on a file system that SQLite cannot share: {_SET_PLACE}, a local disk."
        )
    connection.execute("PRAGMA synchronous = FULL")


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse another program's database before anything in it is changed; an empty one is a new journal."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (program,) = connection.execute("PRAGMA application_id").fetchone()
    if program not in {0, APPLICATION_ID} or (tables and not program):
        raise JournalError(f"The database {path} belongs to another program: set `journal.url` to another file.")


@dataclass(slots=True)
class Database:
    """An open database; each part of the journal speaks to it through one transaction at a time."""

    engine: Engine
    file: OpenFile
    #: Held open, so that SQLite's log stays the same file: with the last connection it would go.
    held: Connection | None = None
    #: While a run is under way here.
    lease: Lease | None = None

    @property
    def path(self) -> Path:
        """The database file, absolute, symbolic links followed."""
        return self.file.path

    def close(self) -> None:
        """Close all connections."""
        if self.held is not None:
            self.held.close()
        self.engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """Run a transaction that only reads, and sees one state of the database throughout."""
        return transaction(self.engine, self.file, writing=False)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a transaction that writes: all of it is stored, or nothing; nothing of a run that has lost its lease."""
        with transaction(self.engine, self.file, writing=True) as connection:
            if self.lease is not None:  # seen inside: another run begins before this transaction, or after it
                self.lease.require_in_place()
            yield connection


#: What is raised on the way from a row to a value, when the row is none of ours.
_STRANGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class ForbiddenError(JournalError, ValueError):
    """What should be written breaks a rule of the schema: a mistake of this program, or a row that somebody edited."""


@contextmanager
def transaction(engine: Engine, file: OpenFile, *, writing: bool) -> Iterator[Connection]:
    """Run one transaction; raise `JournalError` with one sentence and the next step when the database fails."""
    path = file.path
    file.require_same()
    try:
        with engine.connect().execution_options(writing=writing) as connection, connection.begin():
            # A transaction that begins as a reader cannot wait for its turn to write: SQLite fails it at once.
            # Not in an event of the engine: with one listener all statements look for more of them. And past the
            # engine, which makes a result of each statement: there are as many of these as of all others.
            connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN DEFERRED")
            yield connection
    except JournalError:
        raise
    except IntegrityError as error:
        raise ForbiddenError(f"the journal's rules forbid this: {error.orig}") from error
    except (DBAPIError, sqlite3.Error) as error:
        raise JournalError(f"The journal {path} {_explain(error)}.") from error
    except (SQLAlchemyError, *_STRANGE) as error:
        # A word that is no result, a date that is none: of a row that somebody edited, or another program.
        raise JournalError(
            f"The journal {path} holds something that this program did not write ({type(error).__name__}: {error}): "
            f"put back a copy of it, or {_SET_PLACE}."
        ) from error


def _explain(error: DBAPIError | sqlite3.Error) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    # The low byte is the kind, the rest a detail of it.
    fault = _FAULTS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    return fault.format(user=os.geteuid()) if fault else f"failed ({cause}): repair it, or {_SET_PLACE}"


def _give_access() -> str:
    return _GIVE_ACCESS.format(user=os.geteuid())
