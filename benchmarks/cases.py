"""The cases: what is measured at which portal, one contestant after the other."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import FAST, OURS, PEERS, Arena, Measured, Size, drift_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Contestant
    from processes import Served

#: What `--cases` knows, in the order of measuring, with the sentence that the table begins with.
CASES = {
    "a": "first sweep and fix",
    "b": "quiet poll: nothing has changed since",
    "c": "poll after 10 companies changed owner",
    "d": "ten times the portal, first sweep and quiet poll",
    "owners": "quiet poll with 300 owners",
    "small": "quiet poll of a small portal",
    "sizes": "polls of other sizes, for the picture",
    "e": "backfill of 50,000 updates, in virtual time",
}
#: (a) to (c), (d), and those with more owners and of other sizes.
PORTAL = Size(companies=20_000, contacts=100_000, drifted=200)
LARGE = Size(companies=200_000, contacts=1_000_000, drifted=20)
MANY_OWNERS = Size(companies=20_000, contacts=100_000, owners=300)
SMALL = Size(companies=50, contacts=200, owners=5)
#: More updates than the portal's meter lets through in ten minutes, for the peer that writes in parallel.
PAST_THE_LIMIT = Size(companies=500, contacts=2_400, drifted=2_000)
SIZES = (Size(companies=200, contacts=1_000), Size(companies=2_000, contacts=10_000))
MOVED = 10
BACKFILL = 50_000


@dataclass(slots=True)
class Results:
    """Everything that was measured, and what it is judged by."""

    measured: list[Measured] = field(default_factory=list)
    #: (case, size) -> the drift queries that the portal needs at least.
    floors: dict[str, int] = field(default_factory=dict)
    #: Contacts that drifted when companies changed owner.
    handed_over: int = 0
    #: The backfill's table and complaints, each a text; empty where it did not run.
    backfill: str = ""
    backfill_complaints: str = ""

    def ours(self, case: str) -> Measured | None:
        """Return our run of a case; None where it was not measured."""
        return next((m for m in self.measured if m.case == case and m.who.ours), None)

    def peers(self, case: str) -> list[Measured]:
        return [m for m in self.measured if m.case == case and not m.who.ours]


def measure(cases: Sequence[str], scale: float, *, peers: bool) -> Results:
    """Measure the cases at a share of their size."""
    results = Results()
    contestants = [OURS, *(PEERS if peers else ())]
    asked = set(cases)
    backfill = None
    for who in contestants if asked & {"a", "b", "c"} else ():
        if who.name.startswith("b24pysdk") and backfill is None and "e" in asked:
            # Virtual time needs a processor and is not measured by it: while the slowest ones wait for the portal.
            backfill = _start_backfill(scale)
        _three_cases(results, who, PORTAL.times(scale), asked, max(1, round(MOVED * scale)))
    if "d" in asked:
        _ten_times(results, LARGE.times(scale))
    polls = [("owners", MANY_OWNERS.times(scale), OURS), ("small", SMALL, OURS)]
    polls += [("sizes", size.times(scale), who) for size in SIZES for who in contestants]
    for case, size, who in polls:
        if case in asked:
            _poll_only(results, case, size, who)
    if "e" in asked:
        if peers:
            with _arena(PAST_THE_LIMIT.times(scale), FAST) as arena:
                _take(results, arena.measure("e parallel"))
        _end_backfill(results, backfill or _start_backfill(scale))
    return results


@contextmanager
def _arena(size: Size, who: Contestant) -> Iterator[Arena]:
    """Give a contestant a portal of its own, seeded as that of the others, and an empty working directory."""
    with tempfile.TemporaryDirectory() as folder, size.portal() as portal:
        yield Arena(size=size, portal=portal, who=who, folder=folder)


def _three_cases(results: Results, who: Contestant, size: Size, asked: set[str], moved: int) -> None:
    with _arena(size, who) as arena:
        first = arena.measure("a", look_first="a" in asked)
        if "a" in asked:
            _take(results, first)
        if "b" in asked:
            _take(results, arena.measure("b"))
        if "c" in asked and who.ours:
            owners = size.companies_by_owner()
            results.floors["a"] = results.floors["b"] = drift_queries(owners)
            _hand_over(arena.portal, owners, moved)
            results.floors["c"] = drift_queries(owners)
            results.handed_over = int(arena.portal.stats()["drift"])
            _take(results, arena.measure("c", look_first=True))
    if who.ours and "b" not in results.floors:
        results.floors["b"] = drift_queries(size.companies_by_owner())


def _ten_times(results: Results, size: Size) -> None:
    """Measure ours; peers are scaled from (b), because each would need more than ten minutes.

    By offset, a page of a million contacts takes 0.12 s of the portal with its COUNT, which is metered: 20,000 of them
    are 2,400 s, and 480 are let through in ten minutes. By ID, one after the other, 24,000 commands take 600 s.
    """
    results.floors["d"] = drift_queries(size.companies_by_owner())
    with _arena(size, OURS) as arena:
        _take(results, arena.measure("d first"))
        _take(results, arena.measure("d"))
    for peer in results.peers("b"):
        if not peer.failure:
            _take(results, peer.times(size.contacts / peer.size.contacts, case="d", size=size))


def _poll_only(results: Results, case: str, size: Size, who: Contestant) -> None:
    if who.ours:
        results.floors[case] = drift_queries(size.companies_by_owner())
    with _arena(size, who) as arena:
        if who.ours:
            arena.measure("unseen")  # a peer remembers nothing
        _take(results, arena.measure(case))


def _take(results: Results, measured: Measured) -> None:
    results.measured.append(measured)
    how = measured.failure or (f"scaled by {measured.scaled:g}" if measured.scaled else "measured")
    told = f"{measured.case}: {measured.who.name}, {measured.size}: {measured.seconds:.1f} s, {how}"
    print(told, file=sys.stderr, flush=True)


def _hand_over(portal: Served, companies_by_owner: dict[int, int], wanted: int) -> None:
    """Give companies to other people, as somebody would in the portal."""
    asked = {"order": {"ID": "ASC"}, "filter": {"=IS_MY_COMPANY": "N"}, "select": ["ID", "ASSIGNED_BY_ID"], "start": -1}
    owners = sorted(companies_by_owner)
    for row in portal.call("crm.company.list", asked)[:wanted]:
        before = int(row["ASSIGNED_BY_ID"])
        after = owners[(owners.index(before) + 1) % len(owners)]
        portal.call("crm.company.update", {"id": row["ID"], "fields": {"ASSIGNED_BY_ID": after}})
        companies_by_owner[before] -= 1
        companies_by_owner[after] += 1


def _start_backfill(scale: float) -> subprocess.Popen[str]:
    """Let case (e) run in a process of its own, behind all others."""
    updates = str(max(1, round(BACKFILL * scale)))
    command = [sys.executable, str(Path(__file__).with_name("backfill.py")), "--updates", updates]
    behind = ["nice", "-n", "19"] if shutil.which("nice") else []
    process = subprocess.Popen([*behind, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    atexit.register(process.kill)  # also when the benchmark is interrupted
    return process


def _end_backfill(results: Results, process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate()
    lines = output.splitlines()
    results.backfill = "\n".join(line for line in lines if line.startswith("|"))
    results.backfill_complaints = "\n".join(line for line in lines if not line.startswith("|"))
    if process.returncode and not results.backfill_complaints:
        results.backfill_complaints = (errors.strip() or "nothing said").splitlines()[-1]
    print("e: backfill, measured", file=sys.stderr, flush=True)
