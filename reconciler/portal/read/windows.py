"""Reading whole lists by disjoint windows of IDs, each proven whole by the portal's own count.

A window asks for `ID > a, ID <= b` with `start=0`, so that the portal counts the rows of just that window: a range
of the primary key, some fifty rows, half a millisecond (F14). Its answer is believed when it holds exactly
`min(50, total)` rows, all inside the window, in rising order, each passing the listing's own check. That shows up
what `start=-1` would hide: a page that comes short, and a page that is not there. The last window has no end, so
that nothing can stand beyond it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from reconciler.errors import IncompleteReadError
from reconciler.portal.entities import BATCH_COMMANDS, ID, PAGE
from reconciler.portal.rest.batch_codec import Command, Value, identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)

#: How often a window that fails its proof is read before the whole read is given up.
READINGS = 3
#: A window is planned for this many standard deviations fewer than 50 rows: an overflow costs one more command.
SPARE = 1.5
#: The width grows at most so much from one round to the next.
GROWTH = 4
#: An answer that leaves more than so many windows is cut into wider ones, which are then cut in their turn: a count
#: that cannot be must not fill the memory.
MOST_WINDOWS = 1_000


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
    #: The last of them is the ID; all but the ID have the same value in every row.
    order: Sequence[str] = (ID,)


class Page(Protocol[Row_co]):
    """A command that lists rows, and the proof of its answer."""

    def command(self) -> Command:
        """Return what to ask."""

    def prove(self, answer: Answer) -> tuple[Sequence[Row_co], Sequence[Page[Row_co]]]:
        """Return the rows and what is left to read. Raises IncompleteReadError."""


#: What the proof of a page raises for an answer that cannot be believed.
DOUBTS = (ValueError, TypeError, AttributeError, KeyError)


def one_more(readings: int, noun: str, doubt: Exception) -> int:
    """Count a reading whose answer cannot be believed. Raises IncompleteReadError after READINGS of them."""
    if readings + 1 >= READINGS:
        raise IncompleteReadError(
            f"the {noun} could not be read as a whole ({doubt}), so nothing was written; the next sweep tries again"
        ) from doubt
    return readings + 1


def counted(answer: Answer) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a page. Raises ValueError or TypeError where it is shorter than the portal's count."""
    if not isinstance(answer.result, list):
        raise TypeError("an answer without rows")
    if answer.total is None or len(answer.result) != min(PAGE, answer.total):
        raise ValueError(f"{len(answer.result)} rows came where the portal counts {answer.total}")
    return answer.result


@dataclass(frozen=True, slots=True)
class Window(Generic[Row]):
    """The IDs of a listing above `after`, up to `end`; None: all of them."""

    listing: Listing[Row]
    after: int = 0
    end: int | None = None
    readings: int = 0
    #: The highest ID of the listing, as far as it is known; 0: it is not.
    highest: int = 0

    def command(self) -> Command:
        """Return what to ask."""
        listing = self.listing
        # Where a filter narrows the search, a bound that bounds nothing could mislead the portal's database.
        bounded = self.after or self.end is not None or not listing.filter
        bounds: dict[str, Value] = {f">{ID}": self.after} if bounded else {}
        if self.end is not None:
            bounds[f"<={ID}"] = self.end
        return Command(
            listing.method,
            {
                "order": dict.fromkeys(listing.order, "ASC"),
                "filter": {**bounds, **listing.filter},
                "select": list(listing.select),
                "start": 0,
            },
        )

    def prove(self, answer: Answer) -> tuple[list[Row], list[Window[Row]]]:
        """Return the rows and what is left to read; a window that fails is left as a whole, READINGS times.

        Raises IncompleteReadError.
        """
        try:
            rows, first, last = self._parse(answer)
        except DOUBTS as doubt:
            return [], [replace(self, readings=one_more(self.readings, self.listing.noun, doubt))]
        left = (answer.total or 0) - len(rows)
        if len(rows) == PAGE and last not in {self.end, self.highest}:
            left = max(left, 1)  # a full page is not believed to be the last one: a count may stop at a page
        return rows, self._rest(first, last, left)

    def _rest(self, first: int, last: int, left: int) -> list[Window[Row]]:
        """Cut what is left by its density, or without an end by that of the page: behind a gap it may be very full."""
        if left <= 0:
            return []
        if left <= PAGE:
            return [replace(self, after=last, readings=0)]
        width = _fitting_width(PAGE / (last + 1 - first) if self.end is None else left / (self.end - last))
        if self.end is None:
            end = last + width * min(MOST_WINDOWS, math.ceil(left / PAGE))
        else:
            end, width = self.end, max(width, (self.end - last) // MOST_WINDOWS)
        bounds = [last, *range(last + width, end, width), self.end]
        return [replace(self, after=after, end=before, readings=0) for after, before in pairwise(bounds)]

    def _parse(self, answer: Answer) -> tuple[list[Row], int, int]:
        """Return the rows, the first ID and the last."""
        rows: list[Row] = []
        first, last = 0, self.after
        for row in counted(answer):
            number = identifier(row.get(ID))
            if number <= last or (self.end is not None and number > self.end):
                raise ValueError(f"ID {number} came out of place")
            rows.append(self.listing.parse(number, row))
            first, last = first or number, number
        if self.end is not None and (answer.total or 0) - len(rows) > self.end - last:
            raise ValueError(f"the portal counts {answer.total} rows where there are not so many IDs")
        return rows, first, last


class Queue(Generic[Row]):
    """Pages to be read, what is left of earlier ones first."""

    def __init__(self, client: Client, pages: Iterable[Page[Row]] = ()) -> None:
        self._client = client
        self._left: deque[Page[Row]] = deque()
        self._further = iter(pages)
        #: How many of the pages were taken.
        self.taken = 0
        #: Commands sent so far, and the seconds the portal took for them, as far as it said.
        self.commands = 0
        self.seconds = 0.0

    def _take(self, count: int) -> list[Page[Row]]:
        left = self.take_left(count)
        further = list(islice(self._further, count - len(left)))
        self.taken += len(further)
        return left + further

    def take_left(self, count: int) -> list[Page[Row]]:
        """Take what is left of earlier windows, at most so many."""
        return [self._left.popleft() for _ in range(min(count, len(self._left)))]

    def absorb(self, pages: Sequence[Page[Row]], answers: Sequence[Answer]) -> list[Row]:
        """Return the rows of answers; what they leave to read comes next. Raises IncompleteReadError."""
        self.commands += len(pages)
        self.seconds += sum(answer.timing.duration or 0.0 for answer in answers)
        proven = [page.prove(answer) for page, answer in zip(pages, answers, strict=True)]
        self._left.extend(page for _, rest in proven for page in rest)
        return [row for rows, _ in proven for row in rows]

    def rounds(self) -> Iterator[list[Row]]:
        """Yield the rows, a list for each round of requests. Raises IncompleteReadError.

        What was yielded before an error must not be used.
        """
        while pages := self._take(self._client.at_once):
            yield self.read(pages)

    def finish(self) -> Iterator[list[Row]]:
        """Do the same with what is left of the pages taken so far."""
        while pages := self.take_left(self._client.at_once):
            yield self.read(pages)

    def read(self, pages: Sequence[Page[Row]]) -> list[Row]:
        """Ask for these pages, and absorb the answers."""
        return self.absorb(pages, self._client.read([page.command() for page in pages]))


class WindowReader(Generic[Row]):
    """Reads one listing from the first ID to the last."""

    def __init__(
        self,
        client: Client,
        listing: Listing[Row],
        *,
        highest: int | None,
        after: int = 0,
        rows: int = 0,
    ) -> None:
        """`highest` is the highest ID known beforehand, or None to read by pages from the start (few rows).

        `after` is where to begin; `rows`, where it is known, how many there are in all.
        """
        self._client = client
        self._listing = listing
        self._highest = highest
        #: What is left of the windows asked for; when it is finished, everything up to `position` is read.
        self.queue: Queue[Row] = Queue(client)
        self._width = _fitting_width(rows / highest) if rows and highest else PAGE
        self._guessed = not rows
        #: Whether everything has been asked for.
        self.finished = False
        #: Up to which ID everything has been asked for.
        self.position = after

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows, a list for each round of requests; not ordered between windows.

        Raises `IncompleteReadError` where the read cannot be proven whole; what was yielded before must then not
        be used.
        """
        # The density of IDs is a guess at first: no reason to ask in all lanes.
        count = BATCH_COMMANDS if self._guessed else self._client.at_once
        while batch := self._next_batch(count):
            answers = self._client.read([window.command() for window in batch])
            rows = self.queue.absorb(batch, answers)
            self._width = _width(batch, answers, self._width)
            count = self._client.at_once
            yield rows

    def _next_batch(self, count: int) -> list[Page[Row]]:
        """Take what is left of earlier windows first, then cut new ones."""
        batch = self.queue.take_left(count)
        while len(batch) < count and not self.finished:
            after, self.position = self.position, self.position + self._width
            if self._highest is None or self.position >= self._highest:
                self.finished = True
                self.position = max(after, self._highest or 0)
            end = None if self.finished else self.position
            batch.append(Window(self._listing, after, end, highest=self._highest or 0))
        return batch


def _width(batch: Sequence[Page[Any]], answers: Sequence[Answer], width: int) -> int:
    """Return the width of the next windows: about 50 rows each, by the density just seen."""
    bounded = [
        (page.end - page.after, answer.total or 0)
        for page, answer in zip(batch, answers, strict=True)
        if isinstance(page, Window) and page.end is not None
    ]
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
