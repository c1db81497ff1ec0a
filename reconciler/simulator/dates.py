"""Dates as the portal writes them, and the part of PHP's `strtotime` that clients send (F2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_ABSOLUTE = re.compile(
    r"""
    (?: (?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2}) | (?P<d2>\d{1,2})\.(?P<m2>\d{1,2})\.(?P<y2>\d{4})
      | (?P<m3>\d{1,2})/(?P<d3>\d{1,2})/(?P<y3>\d{4}) )
    (?: (?:[T]|\s+) (?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,]\d+)?)?
      \s*(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)? )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_RELATIVE = re.compile(r"([+-]?\s*\d+)\s*(second|sec|minute|min|hour|day|week|fortnight)s?(\s+ago)?", re.IGNORECASE)
_UNITS = {"sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_UNITS["fortnight"] = 2 * _UNITS["week"]
_LONGEST_MONTH = 31
_DAYS = {"yesterday": -1, "today": 0, "midnight": 0, "tomorrow": 1}


def strtotime(text: str, now: int, utc_offset: int) -> int | None:
    """Return epoch seconds, or None where PHP gives false.

    Without an offset of its own the text is in the server's zone (`utc_offset` in seconds). A text whose `+` became a
    space on the way (`...T10:00:00 03:00`) is no date, as in PHP.
    """
    text = text.strip()
    if re.fullmatch(r"@-?\d+", text):
        return int(text[1:])
    if text.lower() == "now":
        return now
    if text.lower() in _DAYS:
        return now - (now + utc_offset) % 86400 + 86400 * _DAYS[text.lower()]
    relative = _relative(text)
    return now + relative if relative is not None else _absolute(text, utc_offset)


def _relative(text: str) -> int | None:
    total, position = 0, 0
    for match in _RELATIVE.finditer(text):
        if text[position : match.start()].strip():
            return None
        seconds = int(match[1].replace(" ", "")) * _UNITS[match[2].lower()]
        total += -seconds if match[3] else seconds
        position = match.end()
    return total if position and not text[position:].strip() else None


def _absolute(text: str, utc_offset: int) -> int | None:
    match = _ABSOLUTE.fullmatch(text)
    if not match:
        return None
    year, month, day = (next(match[name + end] for end in ("", "2", "3") if match[name + end]) for name in "ymd")
    try:
        moment = datetime(
            int(year),
            int(month),
            1,
            int(match["H"] or 0),
            int(match["M"] or 0),
            int(match["S"] or 0),
            tzinfo=_zone(match["zone"], utc_offset),
        )
    except (ValueError, OverflowError):
        return None
    # PHP takes the 31st of any month, and goes on counting into the next.
    return int(moment.timestamp()) + 86400 * (int(day) - 1) if 1 <= int(day) <= _LONGEST_MONTH else None


def _zone(text: str | None, utc_offset: int) -> timezone:
    if not text:
        return timezone(timedelta(seconds=utc_offset))
    if text[0] not in "+-":
        return UTC
    hours, _, minutes = text[1:].partition(":")
    if len(hours) > 2:  # noqa: PLR2004 - +0300
        hours, minutes = hours[:-2], hours[-2:]
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-offset if text[0] == "-" else offset)


def iso(seconds: float, utc_offset: int) -> str:
    """Write a moment with the server's offset, in whole seconds."""
    return _iso(int(seconds), utc_offset)


@lru_cache(maxsize=1024)  # the rows of a page often have one, and so have the calls of a batch
def _iso(seconds: int, utc_offset: int) -> str:
    return datetime.fromtimestamp(seconds, timezone(timedelta(seconds=utc_offset))).isoformat()
