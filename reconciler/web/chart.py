"""Drift over time: many looks at a portal, put together into as many columns as an eye can tell apart.

The scale is logarithmic, because a backfill of ten thousand and the three contacts of an ordinary morning stand in the
same chart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log10
from typing import TYPE_CHECKING, Protocol

from reconciler.core.model import Status
from reconciler.reporting.wording import counted, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, tzinfo

#: Columns that fit on a phone.
_MOST_COLUMNS = 124
#: Seconds that a column may stand for.
_STEPS = (600, 1_800, 3_600, 7_200, 14_400, 21_600, 86_400)
#: Runs that saw the portal as a whole, and stopped ones, which are nobody's fault.
_SAW = frozenset({Status.IN_SYNC, Status.APPLIED, Status.PARTIAL, Status.REFUSED})


class Look(Protocol):
    """A run in short; the journal's records are such."""

    @property
    def at(self) -> datetime: ...

    @property
    def status(self) -> Status: ...

    @property
    def drift(self) -> int: ...

    @property
    def standing(self) -> int: ...

    @property
    def corrected(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A part of the time; lengths in hundredths of the chart, x from the left."""

    x: float
    width: float
    found: float
    standing: float | None
    #: Whether a run did not see the portal as a whole.
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A row of the table that says the same."""

    day: date
    sweeps: int
    failed: int
    most: int
    corrected: int
    #: At its end; None: no complete sweep.
    standing: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is to be drawn, and to be said to whoever cannot see it."""

    columns: tuple[Column, ...]
    #: From the highest to 0.
    ticks: tuple[int, ...]
    start: datetime
    end: datetime
    sentence: str
    days: tuple[Day, ...]

    @property
    def standing_path(self) -> str:
        """The line of what is left alone, with gaps where nobody knows."""
        parts, open_ = [], False
        for column in self.columns:
            if column.standing is None:
                open_ = False
                continue
            y = f"{100 - column.standing:.1f}"
            parts.append(f"{'L' if open_ else 'M'}{column.x:.2f} {y}H{column.x + column.width:.2f}")
            open_ = True
        return "".join(parts)


def chart(looks: Sequence[Look], now: datetime, zone: tzinfo | None, *, longest: timedelta) -> Chart | None:
    """Return the chart of the looks, oldest first, none older than `longest`; None: there is nothing to draw."""
    found = [look for look in looks if now - longest <= look.at <= now]
    if not found:
        return None
    span = max((now - found[0].at).total_seconds(), _STEPS[0])
    step = next((step for step in _STEPS if span / step <= _MOST_COLUMNS), _STEPS[-1])
    count = int(span // step) + 1
    start = now - timedelta(seconds=count * step)
    groups: list[list[Look]] = [[] for _ in range(count)]
    for look in found:
        groups[min(count - 1, int((look.at - start).total_seconds() // step))].append(look)
    saw = [look for look in found if look.status in _SAW]
    highest = max((max(look.drift - look.standing, look.standing) for look in saw), default=0)
    decades = max(1, len(str(highest)) if highest > 10 ** (len(str(highest)) - 1) else len(str(highest)) - 1)
    return Chart(
        columns=tuple(
            _column(group, 100 * index / count, 100 / count, decades)
            for index, group in enumerate(groups)
            if group or step == _STEPS[0]
        ),
        ticks=(*(10**power for power in range(decades, -1, -1)), 0),
        start=start,
        end=now,
        sentence=_sentence(found, saw, zone),
        days=tuple(_days(found, zone)),
    )


def _column(group: Sequence[Look], x: float, width: float, decades: int) -> Column:
    saw = [look for look in group if look.status in _SAW]
    return Column(
        x=x,
        width=width,
        found=_height(max((look.drift - look.standing for look in saw), default=0), decades),
        standing=_height(saw[-1].standing, decades) if saw else None,
        failed=any(_failed(look) for look in group),
    )


def _height(number: int, decades: int) -> float:
    return 0.0 if number <= 0 else 100 * (log10(number) + 1) / (decades + 1)


def _failed(look: Look) -> bool:
    return look.status in {Status.FAILED, Status.INCOMPLETE}


def _sentence(found: Sequence[Look], saw: Sequence[Look], zone: tzinfo | None) -> str:
    failed = sum(map(_failed, found))
    parts = [f"{counted(len(found), 'sweep')} since {moment(found[0].at, zone)}"]
    parts += [f"{failed:,} of them did not see the portal as a whole"] if failed else []
    if saw:
        most = max(saw, key=lambda look: look.drift - look.standing)
        parts.append(f"most contacts to correct: {most.drift - most.standing:,}, on {moment(most.at, zone)}")
        parts.append(f"corrected in all: {sum(look.corrected for look in found):,}")
        parts.append(f"left alone now: {saw[-1].standing:,}")
    return "; ".join(parts)


def _days(found: Iterable[Look], zone: tzinfo | None) -> list[Day]:
    """Return the days, the newest first."""
    groups: dict[date, list[Look]] = {}
    for look in found:
        groups.setdefault(look.at.astimezone(zone).date(), []).append(look)
    days = []
    for day, looks in groups.items():
        saw = [look for look in looks if look.status in _SAW]
        days.append(
            Day(
                day=day,
                sweeps=len(looks),
                failed=sum(map(_failed, looks)),
                most=max((look.drift - look.standing for look in saw), default=0),
                corrected=sum(look.corrected for look in looks),
                standing=saw[-1].standing if saw else None,
            )
        )
    return sorted(days, key=lambda one: one.day, reverse=True)
