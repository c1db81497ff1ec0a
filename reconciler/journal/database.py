"""The SQLite file under the journal: where it is, who may read it, how it is opened, and what can be wrong with it."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from reconciler.errors import JournalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

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


def locate(url: str) -> Path:
    """Return the absolute path of the file that a `journal.url` names, symbolic links followed.

    Two names of one file must share one lease. Raise `UsageError` for anything but a SQLite file.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if (
        parsed is None
        or parsed.drivername not in {"sqlite", "sqlite+pysqlite"}
        or parsed.host
        or parsed.query
        or parsed.database in {None, "", ":memory:"}
    ):
        # The value is not shown: the address of another kind of database may hold a password.
        raise UsageError(
            "The setting `journal.url` must name a SQLite file, as in sqlite:///journal.db "
            "or sqlite:////var/lib/reconciler/journal.db."
        )
    try:
        path = Path(os.path.realpath(Path(str(parsed.database)).expanduser()))
    except (OSError, RuntimeError) as error:
        raise UsageError(f"The setting `journal.url` names a path that leads nowhere: {error}.") from error
    # What could not be followed to its end. A folder that may not be entered is told by whoever opens the file.
    if os.path.islink(path):  # noqa: PTH114 - `Path.is_symlink` fails there
        raise UsageError(f"The setting `journal.url` names a path that leads nowhere: {path} is a link to itself.")
    return path


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


def make_engine(path: Path, *, read_only: bool, first: Sequence[str] = ()) -> Engine:
    """Return an engine that never creates the file: one that vanishes in mid-run must not come back world-readable.

    `first` are statements that each of its connections begins with.
    """

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
    if read_only:
        return
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(
            f"The journal {path} is on a file system that SQLite cannot share: {_SET_PLACE}, a local disk."
        )
    connection.execute("PRAGMA synchronous = FULL")


@dataclass(frozen=True, slots=True)
class Database:
    """An open database; each part of the journal speaks to it through one transaction at a time."""

    engine: Engine
    path: Path

    def reading(self) -> AbstractContextManager[Connection]:
        """Run a transaction that only reads, and sees one state of the database throughout."""
        return transaction(self.engine, self.path, writing=False)

    def writing(self) -> AbstractContextManager[Connection]:
        """Run a transaction that writes: all of it is stored, or nothing."""
        return transaction(self.engine, self.path, writing=True)


#: What is raised on the way from a row to a value, when the row is none of ours.
_STRANGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class ForbiddenError(JournalError, ValueError):
    """What should be written breaks a rule of the schema: a mistake of this program, or a row that somebody edited."""


@contextmanager
def transaction(engine: Engine, path: Path, *, writing: bool) -> Iterator[Connection]:
    """Run one transaction; raise `JournalError` with one sentence and the way out when the database fails."""
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
