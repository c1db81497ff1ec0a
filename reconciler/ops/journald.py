"""Priorities for the journal of systemd, which takes them from `<N>` in front of a line (sd-daemon(3)) and hides it.

So `journalctl -p warning` finds what went wrong. A terminal, a file, a pipe and a container get no such mark.
"""

from __future__ import annotations

import os
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


def priority(level: int) -> int:
    """Return the priority of a level of `logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), LOG_DEBUG)


def marked(text: str, number: int) -> str:
    """Put a priority in front of each line: each becomes a record of its own."""
    return "\n".join(f"<{number}>{line}" for line in text.split("\n"))
