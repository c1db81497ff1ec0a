"""The lease: the right to run against one journal, one holder at a time.

It is a lock of the operating system on a file beside the database, so it ends with its holder, however that ends;
what is written in the file only tells people who it is. Who removes the file lets another run begin: the holder then
writes nothing more. On a network file system such a lock may exclude nobody: the journal belongs on a local disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import JournalError, LeaseHeldError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.clock import Clock

#: Seconds between two looks at a lease that somebody else holds.
_LOOK_EVERY = 0.5
#: Read and write, for this user only.
_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that is held."""

    path: Path
    #: Descriptor of the locked file.
    file: int

    @property
    def in_place(self) -> bool:
        """Whether the next run would look at the file that is locked."""
        try:
            return os.path.samestat(os.fstat(self.file), self.path.stat())
        except OSError:
            return False

    def require_in_place(self) -> None:
        """Raise `JournalError` if another run may have begun."""
        if not self.in_place:
            raise JournalError(
                f"The lease {self.path} was removed or replaced during this run, so that another one may have begun, "
                "and this one writes nothing more: leave that file where it is; a later run settles what is open."
            )


@contextmanager
def hold_lease(journal: Path, clock: Clock, wait: float) -> Iterator[Lease]:
    """Hold the lease of this journal; wait for it up to `wait` seconds.

    Raise `LeaseHeldError` with its holder when it stays taken, `JournalError` when its file cannot be used.
    """
    path = journal.with_name(f"{journal.name}.lease")
    lease = _take(path, clock, clock.monotonic() + wait)
    try:
        _write_holder(lease.file, {"process": os.getpid(), "host": socket.gethostname(), "since": _second(clock)})
        try:
            yield lease
        finally:
            os.ftruncate(lease.file, 0)
    finally:
        os.close(lease.file)  # and with it the lock


def _take(path: Path, clock: Clock, give_up_at: float) -> Lease:
    while True:
        lease = Lease(path=path, file=_open(path))
        try:
            _acquire(lease.file, path, clock, give_up_at)
        except BaseException:
            os.close(lease.file)
            raise
        if lease.in_place:
            return lease
        # Removed while we waited: the next run would lock a file of its own.
        os.close(lease.file)


def _open(path: Path) -> int:
    try:
        # Never removed by us: whoever waits on a removed file would share the lease with whoever makes the next one.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        if os.fstat(file).st_mode & _MODE != _MODE:  # the umask took it away, and the next run could not open it
            os.fchmod(file, _MODE)
    except OSError as error:
        raise JournalError(
            f"The lease {path} beside the journal cannot be opened ({error.strerror}): "
            f"give this user ({os.geteuid()}) write access to that directory, or set `journal.url` to another place."
        ) from error
    return file


def _acquire(file: int, path: Path, clock: Clock, give_up_at: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            left = give_up_at - clock.monotonic()
            if left <= 0:
                raise LeaseHeldError(
                    f"{_describe_holder(file)} is running against the journal {path.with_suffix('')}: "
                    "wait until it ends, or stop it."
                ) from None
            clock.sleep(min(_LOOK_EVERY, left))
        except OSError as error:
            raise JournalError(
                f"The file system of {path} cannot lock files ({error.strerror}): set `journal.url` to a local disk."
            ) from error
        else:
            return


def _second(clock: Clock) -> str:
    return f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"


def _write_holder(file: int, holder: dict[str, int | str]) -> None:
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)


def _describe_holder(file: int) -> str:
    try:
        holder = json.loads(os.pread(file, 1000, 0))
        return f"Process {holder['process']} on {holder['host']}, since {holder['since']},"
    except (ValueError, KeyError, TypeError):
        # Its holder has the lock, but has not yet written who it is.
        return "Another process"
