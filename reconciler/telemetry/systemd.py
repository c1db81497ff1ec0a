"""What systemd wants of a service: a priority for each line of its journal, and word that the service lives.

Without libraries of systemd's: both are a line of text, and where there is no systemd nothing is said.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from syslog import LOG_CRIT, LOG_DEBUG, LOG_ERR, LOG_INFO, LOG_WARNING
from typing import TextIO

#: The least level of a record in `logging`'s numbers, from the worst -> its priority; below: debug. (That module itself
#: would cost a command that logs nothing its time.)
_PRIORITIES = ((50, LOG_CRIT), (40, LOG_ERR), (30, LOG_WARNING), (20, LOG_INFO))


def is_journal(stream: TextIO) -> bool:
    """Tell whether a stream leads to systemd's journal, by the device and number of the socket that systemd names."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    # The variable is inherited by whoever is started with other streams: only the same socket is the journal.
    return named == f"{there.st_dev}:{there.st_ino}"


def notify(*words: str) -> None:
    """Tell the service manager, as in sd_notify(3): READY=1, WATCHDOG=1, STATUS=...

    It is never waited for: one that does not listen is not worth a run, and hears the next word.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # of the abstract namespace
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.setblocking(False)
        line.sendto("\n".join(words).encode(), address)


def priority(level: int) -> int:
    """Return the priority of a level of `logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), LOG_DEBUG)


def marked(text: str, number: int) -> str:
    """Put a priority in front of each line, as sd-daemon(3) has it: the journal takes each for a record, and hides it.

    So `journalctl -p warning` finds what went wrong.
    """
    return "\n".join(f"<{number}>{line}" for line in text.split("\n"))
