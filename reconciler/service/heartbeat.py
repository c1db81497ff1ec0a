"""The heartbeat: a small file beside the journal by which `reconciler health` knows that the service is alive.

Its time is that of the machine's monotonic clock, which all processes share and nobody sets; after a reboot it starts
anew, so the boot is named too. A worker that is frozen, or gone, stops writing it, whatever it was doing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

#: Seconds after which a heartbeat is too old: five are missing.
STALE = 25.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")
#: Bytes of the file, always the same: it is written over in place, and so never seen half.
_LENGTH = 1024
#: The user of the service only.
_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What the service says of itself."""

    process: int
    #: Of the machine; empty where it has no name.
    boot: str
    #: Monotonic seconds.
    at: float
    #: Why the service does not call itself alive; empty: it does.
    wrong: str = ""
    #: ISO 8601.
    last_attempt: str | None = None
    last_success: str | None = None


def beat_file(journal: Path) -> Path:
    """Return where the heartbeat of a journal is; for all names of one file the same."""
    path = Path(os.path.realpath(journal.expanduser()))
    return path.with_name(f"{path.name}.beat")


def this_boot() -> str:
    """Return the name of the machine's present boot; empty where it has none."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write(path: Path, beat: Beat) -> None:
    """Write the heartbeat. Raises OSError."""
    text = json.dumps(asdict(beat)).encode()
    if len(text) > _LENGTH:
        text = json.dumps(asdict(beat) | {"wrong": "something is wrong"}).encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    try:
        if os.fstat(file).st_mode & _MODE != _MODE:  # the umask took it away, and nobody could open it any more
            os.fchmod(file, _MODE)
        os.pwrite(file, text.ljust(_LENGTH), 0)
    finally:
        os.close(file)


def remove(path: Path) -> None:
    """Take the heartbeat away at the end of the service."""
    with suppress(OSError):
        path.unlink()


def read(path: Path) -> Beat | None:
    """Return the heartbeat; None: there is none that can be read."""
    try:
        return Beat(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def verdict(path: Path, now: float) -> tuple[Beat | None, str]:
    """Return the heartbeat, and why the service is not alive; empty: it is. `now` is monotonic."""
    beat = read(path)
    if beat is None:
        return None, f"no service is at work on this journal ({path} holds no heartbeat)"
    age = now - beat.at
    if beat.boot != this_boot() or age < 0:
        return beat, "the service has not been started since the machine was"
    if age > STALE:
        return beat, f"the last heartbeat of process {beat.process} is {age:.0f} s old (limit {STALE:.0f} s)"
    return beat, beat.wrong
