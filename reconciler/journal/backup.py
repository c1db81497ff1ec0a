"""A copy of the journal while it is in use, by SQLite's online backup: whole, as of one moment, in one file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import JournalError, UsageError
from reconciler.journal import database, schema
from reconciler.settings.journal_url import is_part_of, locate, named_path

if TYPE_CHECKING:
    from reconciler.clock import Clock

#: Pages (of 4 kB) that are copied before others get their turn, and what is waited between, in seconds.
_PAGES_AT_ONCE = 2_000
_BREATH = 0.01


def back_up(url: str, target: Path, clock: Clock, *, replace: bool) -> int:
    """Copy the journal that `url` names to `target`, readable by this user only; return its size in bytes.

    The schema stays as it is, also where it is of an older program: a copy before an update is what people want.
    An existing file is only written over with `replace`, and only once the copy is complete and sound. Raise
    `UsageError` for a target that cannot be, `JournalError` when the journal cannot be read or the copy not be written,
    Stopped between two steps; then nothing is left of it.
    """
    journal = locate(url)
    if not database.is_there(journal):
        raise JournalError(f"There is no journal {journal} to copy (setting `journal.url`).")
    place = Path(os.path.realpath(target))
    if is_part_of(place, journal):
        raise UsageError(f"{target} is the journal itself; name another file for the copy")
    try:
        if place.is_dir():
            raise UsageError(f"{target} is a directory; name a file in it")
        if _is_stream(target) or (target.exists() and not target.is_file()):
            raise UsageError(f"{target} is no ordinary file, and is left as it is; name a file for the copy")
        if place.exists() and not replace:
            raise UsageError(f"{target} is there already; name another file, or write over it with --replace")
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise _not_writable(target, error) from error
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        _create(part)
    except OSError as error:
        raise _not_writable(target, error) from error
    try:
        _copy(database.open_file(named_path(url), journal), part, clock)
        _put(part, place, replace=replace)
    finally:
        for rest in (part, part.with_name(f"{part.name}-journal")):
            rest.unlink(missing_ok=True)
    return place.stat().st_size


def _create(part: Path) -> None:
    file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(file, 0o600)  # whatever the umask takes away
    os.close(file)


def back_up_before_migration(file: database.OpenFile, revision: str, clock: Clock) -> Path:
    """Copy a journal of an older schema to a file beside it, and return that; the caller holds the lease.

    The older program can go on with the copy. One that a migration which failed has left is written over. Raises
    `JournalError` when there is no room.
    """
    place = file.path.with_name(f"{file.path.name}.schema-{revision}")
    part = place.with_name(f"{place.name}.part")
    try:
        part.unlink(missing_ok=True)
        _create(part)
        _copy(file, part, clock)
        _put(part, place, replace=True)
    except OSError as error:
        raise JournalError(
            f"The journal {file.path} is of an older version, and no copy could be made beside it before the upgrade "
            f"({error.strerror}): make room there, and give this user ({os.geteuid()}) write access."
        ) from error
    finally:
        for rest in (part, part.with_name(f"{part.name}-journal")):
            rest.unlink(missing_ok=True)
    return place


def _is_stream(target: Path) -> bool:
    """Whether this names an open stream of this process, as /dev/stdout does, wherever that leads."""
    path = os.path.abspath(target)  # noqa: PTH100 - `resolve` would follow the link
    return path.startswith(("/dev/std", "/dev/fd/", "/proc/"))


def _not_writable(target: Path, error: OSError) -> UsageError:
    return UsageError(f"{target} cannot be written ({error.strerror}); name a file in a folder of yours")


def _copy(file: database.OpenFile, part: Path, clock: Clock) -> None:
    journal = file.path
    engine = database.make_engine(file, read_only=True)
    try:
        with database.transaction(engine, file, writing=False) as connection:
            if schema.current_revision(connection, journal) is None:
                raise JournalError(f"The journal {journal} is empty: there was no run yet.")
        source = engine.raw_connection()
        try:
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                online: sqlite3.Connection = source.driver_connection  # type: ignore[assignment] # ours: see make_engine
                online.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda *_: clock.sleep(0), sleep=_BREATH)
                # One file, without a log beside it; the program that opens it turns that on again.
                copy.execute("PRAGMA journal_mode = DELETE")
                sound = copy.execute("PRAGMA quick_check").fetchone()[0] == "ok"
        finally:
            source.close()
    except sqlite3.Error as error:
        raise JournalError(
            f"The journal {journal} could not be copied to {part.parent} ({error}): make room there, or try again."
        ) from error
    finally:
        engine.dispose()
    if not sound:
        raise JournalError(f"The journal {journal} is damaged, and so is a copy: put back an earlier one.")


def _put(part: Path, place: Path, *, replace: bool) -> None:
    """Give the copy its name, on the disk, and not over a file that has come up meanwhile."""
    for path, flags in ((part, os.O_RDONLY), (part.parent, os.O_RDONLY | os.O_DIRECTORY)):
        file = os.open(path, flags)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    if replace:
        part.replace(place)
        return
    try:
        os.link(part, place)
    except FileExistsError:
        raise UsageError(f"{place} has come up meanwhile; name another file") from None
    except OSError:  # a file system without hard links
        with suppress(FileNotFoundError):
            part.rename(place)
