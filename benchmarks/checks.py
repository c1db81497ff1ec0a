"""What was promised, held against what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cases import Results
    from measuring import Measured

#: Commands of a quiet poll besides its drift queries, and its HTTP requests.
BESIDES, MOST_REQUESTS = 3, 4
#: Rows on a page.
PAGE = 50
#: Of the best peer's cost, for reading in (a).
SHARE = 0.25
#: Of a poll of a million contacts, and of the first look at it.
MOST_PORTAL_SECONDS, MOST_SECONDS, MOST_MB, WINDOW = 30, 60, 150, 600
#: The embedded portal's processor time, by the time that it plays.
MOST_OF_THE_PORTAL = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise."""

    case: str
    what: str
    bound: str
    found: str
    holds: bool
    #: Holds at any size; the others are promised at the sizes of the benchmark only.
    everywhere: bool = False

    def verdict(self, *, full: bool) -> str:
        """Say whether it holds; a smaller portal proves nothing either way."""
        if full or self.everywhere:
            return "pass" if self.holds else "FAIL"
        return "not judged"

    def failed(self, *, full: bool) -> bool:
        return self.verdict(full=full) == "FAIL"


def checks(results: Results) -> list[Check]:
    """Hold every promise against what was measured."""
    return [
        *_first_sweep(results),
        *_polls(results),
        *_hand_over(results),
        *_ten_times(results),
        *_small(results),
        *_always(results),
        *_backfill(results),
    ]


def most(case: str, what: str, found: float, bound: float, *, unit: str = "", everywhere: bool = False) -> Check:
    """Return the promise that something is at most so much."""
    return Check(
        case=case,
        what=what,
        bound=f"at most {_number(bound)}{unit}",
        found=f"{_number(found)}{unit}",
        holds=found <= bound,
        everywhere=everywhere,
    )


def _first_sweep(results: Results) -> Iterator[Check]:
    ours, peers = results.ours("a"), [peer for peer in results.peers("a") if not peer.failure]
    if ours is None or not peers:
        return
    best = min(peer.reading.commands for peer in peers)
    yield most("a", f"reading: commands, by the best peer's {best:,}", ours.reading.commands / best, SHARE)
    least = min(peer.reading.portal_seconds for peer in peers)
    found = ours.reading.portal_seconds / least
    yield most("a", f"reading: portal seconds, by the best peer's {least:.1f}", found, SHARE)
    quickest = min(peers, key=lambda peer: peer.reading.seconds)
    yield Check(
        case="a",
        what="reading: wall seconds",
        bound=f"under {quickest.reading.seconds:.1f} s ({quickest.who.name})",
        found=f"{ours.reading.seconds:.1f} s",
        holds=ours.reading.seconds < quickest.reading.seconds,
    )


def _polls(results: Results) -> Iterator[Check]:
    for case in ("b", "owners"):
        ours = results.ours(case)
        if ours is None:
            continue
        bound = results.floors[case] + BESIDES
        yield most(case, f"commands, for {results.floors[case]} drift queries", ours.commands, bound)
        if case == "b":
            yield most(case, "HTTP requests", ours.requests, MOST_REQUESTS)


def _hand_over(results: Results) -> Iterator[Check]:
    ours = results.ours("c")
    if ours is None:
        return
    more = math.ceil(results.handed_over / PAGE)
    bound = results.floors["c"] + BESIDES + more
    what = f"reading: commands, for {results.floors['c']} drift queries and {results.handed_over} drifted contacts"
    yield most("c", what, ours.reading.commands, bound)
    yield most("c", "reading: HTTP requests", ours.reading.requests, MOST_REQUESTS)


def _ten_times(results: Results) -> Iterator[Check]:
    first, poll = results.ours("d first"), results.ours("d")
    if first is not None:
        yield most("d", "first sweep: wall seconds", first.seconds, WINDOW, unit=" s")
        yield most("d", "first sweep: peak memory", first.peak_mb, MOST_MB, unit=" MB")
    if poll is not None:
        yield most("d", "quiet poll: portal seconds", poll.portal_seconds, MOST_PORTAL_SECONDS, unit=" s")
        yield most("d", "quiet poll: wall seconds", poll.seconds, MOST_SECONDS, unit=" s")
        yield most("d", "quiet poll: peak memory", poll.peak_mb, MOST_MB, unit=" MB")


def _small(results: Results) -> Iterator[Check]:
    ours = results.ours("small")
    if ours is not None:
        owners = any(method.startswith("user.") for method in ours.stats["commands"])
        what = "HTTP requests, that for the check of owners included" if owners else "HTTP requests"
        yield most("small", what, ours.requests, 2 if owners else 1, everywhere=True)


def _always(results: Results) -> Iterator[Check]:
    runs = [measured for measured in results.measured if measured.who.ours]
    if not runs:
        return
    yield most("all", "refused requests", sum(run.rejected for run in runs), 0, everywhere=True)
    yield most("all", "mismatches left", sum(run.left for run in runs), 0, everywhere=True)
    yield most("all", "wrong or lost results", sum(run.wrong_or_lost for run in runs), 0, everywhere=True)
    failures = [run for run in runs if run.failure]
    yield most("all", "runs of ours that did not end well", len(failures), 0, everywhere=True)
    dearest = max((run for run in results.measured if not run.scaled), key=lambda run: run.portal_share)
    what = f"the embedded portal's CPU, by the time it plays ({_named(dearest)})"
    yield Check(
        case="all",
        what=what,
        bound=f"under {MOST_OF_THE_PORTAL:.0%}",
        found=f"{dearest.portal_share:.1%}",
        holds=dearest.portal_share < MOST_OF_THE_PORTAL,
    )


def _backfill(results: Results) -> Iterator[Check]:
    if results.backfill or results.backfill_complaints:
        yield Check(
            case="e",
            what="backfill: time, refusals, nothing lost",
            bound="as promised",
            found=results.backfill_complaints.replace("\n", "; ") or "as promised",
            holds=not results.backfill_complaints,
        )


def _named(measured: Measured) -> str:
    return f"{measured.case}, {measured.who.name}, {measured.size}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if value < 1 else f"{value:.1f}"
