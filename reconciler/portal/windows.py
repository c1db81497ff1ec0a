"""Reading a whole list by disjoint windows of IDs, each proven whole by the portal's own count (DESIGN 4.1).

A window asks for `ID > a, ID <= b` with `start=0`, so that the portal counts the rows of just that window: a range
of the primary key, some fifty rows, half a millisecond (F14). Its answer is believed when it holds exactly
`min(50, total)` rows, all inside the window, in rising order, each passing the listing's own check. That shows up
what `start=-1` would hide: a page that comes short, and a page that is not there. The last window has no end, so
that nothing can stand beyond it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reconciler.errors import IncompleteReadError
from reconciler.portal.dialect import BATCH_COMMANDS, ID, PAGE
from reconciler.portal.wire import Command, Value, identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.portal.client import Client
    from reconciler.portal.wire import Answer

Row = TypeVar("Row")

#: How often a window that fails its proof is read before the whole read is given up.
READINGS = 3
#: A window is planned for this many standard deviations fewer than 50 rows: an overflow costs one more command.
SPARE = 1.5
#: The width grows at most so much from one batch to the next.
GROWTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """What to list, and how to tell that a row belongs there.

    `parse` raises ValueError for a row that the filter should have kept out: the portal ignores filters it does not
    know, without a word (F2).
    """

    method: str
    select: Sequence[str]
    filter: Mapping[str, Value]
    parse: Callable[[int, Mapping[str, Any]], Row]
    #: For messages: "contacts".
    noun: str


@dataclass(frozen=True, slots=True)
class _Window:
    """The IDs above `after`, up to `end`; None: all of them."""

    after: int
    end: int | None
    readings: int = 0

    def command(self, listing: Listing[Any]) -> Command:
        bounds: dict[str, Value] = {f">{ID}": self.after}
        if self.end is not None:
            bounds[f"<={ID}"] = self.end
        conditions = {**bounds, **listing.filter}
        return Command(
            listing.method,
            {"order": {ID: "ASC"}, "filter": conditions, "select": list(listing.select), "start": 0},
        )


class WindowReader(Generic[Row]):
    """Reads one listing from the first ID to the last."""

    def __init__(self, client: Client, listing: Listing[Row], *, highest: int | None) -> None:
        """`highest` is the highest ID known beforehand, or None to read by pages from the start (few rows)."""
        self._client = client
        self._listing = listing
        self._highest = highest
        self._waiting: deque[_Window] = deque()
        self._width = PAGE
        self._finished = False
        #: Windows read so far.
        self.windows = 0
        #: Up to which ID everything has been asked for.
        self.position = 0

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, a list for each batch of commands; not ordered between windows.

        Raises `IncompleteReadError` where the read cannot be proven whole; what was yielded before must then not
        be used.
        """
        while batch := self._next_batch():
            answers = self._client.read([window.command(self._listing) for window in batch])
            proven = [self._prove(window, answer) for window, answer in zip(batch, answers, strict=True)]
            self.windows += len(batch)
            self._waiting.extend(window for _, rest in proven for window in rest)
            self._width = _width(batch, answers, self._width)
            yield [row for rows, _ in proven for row in rows]

    def _next_batch(self) -> list[_Window]:
        """Take what is left of earlier windows first, then cut new ones."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_COMMANDS))]
        while len(batch) < BATCH_COMMANDS and not self._finished:
            after, self.position = self.position, self.position + self._width
            if self._highest is None or self.position >= self._highest:
                self._finished = True
                self.position = max(after, self._highest or 0)
            batch.append(_Window(after, None if self._finished else self.position))
        return batch

    def _prove(self, window: _Window, answer: Answer) -> tuple[list[Row], list[_Window]]:
        """Return the rows of a window and what is left of it; a window that fails is left as a whole."""
        try:
            rows, last = self._parse(window, answer)
        except (ValueError, TypeError, AttributeError) as doubt:
            if window.readings + 1 >= READINGS:
                raise IncompleteReadError(
                    f"the {self._listing.noun} could not be read as a whole ({doubt}), so nothing was written; "
                    "the next sweep tries again"
                ) from doubt
            return [], [_Window(window.after, window.end, window.readings + 1)]
        return rows, self._rest(window, last, (answer.total or 0) - len(rows))

    def _rest(self, window: _Window, last: int, left: int) -> list[_Window]:
        """Cut what is left of a window by the density that its count tells: behind a gap it may be very full."""
        if left <= 0:
            return []
        end = window.end if window.end is not None else max(last, self._highest or 0)
        width = _fitting_width(left / (end - last)) if left > PAGE and end > last else max(1, end - last)
        bounds = [last, *range(last + width, end, width), window.end]
        return [_Window(after, before) for after, before in pairwise(bounds)]

    def _parse(self, window: _Window, answer: Answer) -> tuple[list[Row], int]:
        """Return the rows and the last ID."""
        if not isinstance(answer.result, list):
            raise TypeError("an answer without rows")
        if answer.total is None or len(answer.result) != min(PAGE, answer.total):
            raise ValueError(f"{len(answer.result)} rows came where the portal counts {answer.total}")
        rows: list[Row] = []
        last = window.after
        for row in answer.result:
            number = identifier(row.get(ID))
            if number <= last or (window.end is not None and number > window.end):
                raise ValueError(f"ID {number} came out of place")
            rows.append(self._listing.parse(number, row))
            last = number
        return rows, last


def _width(batch: Sequence[_Window], answers: Sequence[Answer], width: int) -> int:
    """Return the width of the next windows: about 50 rows each, by the density just seen."""
    bounded = [(w.end - w.after, a.total or 0) for w, a in zip(batch, answers, strict=True) if w.end is not None]
    covered = sum(ids for ids, _ in bounded)
    if not covered:
        return width
    density = sum(rows for _, rows in bounded) / covered
    return min(width * GROWTH, _fitting_width(density)) if density else width * GROWTH


def _fitting_width(density: float) -> int:
    """Return how many IDs hold about a page of rows, seldom more."""
    density = min(1.0, density)
    spread = SPARE * math.sqrt(PAGE * (1 - density))
    return max(PAGE, int((PAGE - spread) / density))
