"""Case (e): a backfill of 50,000 updates at 0.3 s each, in virtual time, under every limiter a portal may have.

`python benchmarks/backfill.py` prints a table; `--updates N` takes fewer, `--only TEXT` the cases whose name has it.
The time that counts is virtual: but for the last column nothing depends on the machine, and each run gives the same.
The bound is `updates x seconds x 600 / limit`: what a program could reach that used every second of every window. There
is none where the portal does not count the updates, because they take no longer than 0.1 s (F15).
No journal is kept, since its disk is not what is measured; everything else is as in a run.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import structlog

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.model import Change, Outcome, Result
from reconciler.engine.planning import fresh_first
from reconciler.portal.entities import CONTACT_UPDATE
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import FLOOR, WINDOW, Budget, Throttle
from reconciler.portal.write.writer import ChunkLimits, Writer
from reconciler.settings.address import parse_webhook
from reconciler.simulator.costs import PROFILES, CostModel, Profile
from reconciler.simulator.database import Database
from reconciler.simulator.http import Request
from reconciler.simulator.meters import LeakyBucket, OperatingMeter, OperatingModel
from reconciler.simulator.portal import Portal
from reconciler.simulator.seed import SeedSpec, seed
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable

UPDATES = 50_000
#: What the settings say of a cloud portal; also its request bucket, of which a fifth is left to others.
BURST, PER_SECOND, KNOWN_LIMIT, MARGIN = 50.0, 2.0, 480.0, 0.2
_REFUSALS = (b"OPERATION_TIME_LIMIT", b"QUERY_LIMIT_EXCEEDED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A portal, and who else is on it. Times in seconds."""

    name: str
    model: OperatingModel = OperatingModel.DOCS
    ban: bool = False
    #: What the portal really allows each method in ten minutes; the settings always say 480.
    limit: float = 480.0
    update_seconds: float = 0.3
    #: What the slowest tenth of them takes at least; None: all take the same.
    slowest_tenth: float | None = None
    #: What an update takes from the middle of the backfill on; None: as before.
    later_seconds: float | None = None
    #: Requests a second of another program on the same address, out of the two that the portal lets pass.
    others_per_second: float = 0.0
    #: Seconds of the updates' own meter that another program uses up each minute.
    others_operating: float = 0.0

    @property
    def bound(self) -> float | None:
        """The seconds that an update must take in the long run; None: the limit does not matter."""
        if self.update_seconds <= FLOOR:
            return None
        return self.update_seconds * WINDOW / (self.limit - self.others_operating * WINDOW / 60)

    @property
    def most(self) -> float:
        """The highest ratio to the bound that is promised."""
        return 1.05 if self.limit == KNOWN_LIMIT else 1.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How a backfill went. Times in virtual seconds, but for `cpu_seconds`."""

    case: Case
    updates: int
    requests: int
    #: Requests of ours that were refused, in whole or in part, by either limiter.
    refused: int
    #: Updates without an outcome, with another one than `applied`, or not to be found in the portal.
    lost: int
    wall_seconds: float
    longest_request: float
    #: Longest time between a precondition and the end of its write, by the portal's clock.
    longest_gap: float
    #: Processor time of this process, both sides.
    cpu_seconds: float

    @property
    def ratio(self) -> float | None:
        """Time taken, as a multiple of the bound; None where there is none."""
        return None if self.case.bound is None else self.wall_seconds / (self.updates * self.case.bound)

    @property
    def complaints(self) -> list[str]:
        """What is not as promised, in words."""
        others = self.case.others_per_second or self.case.others_operating
        known = self.case.limit == KNOWN_LIMIT
        allowed = self.requests * 0.01 if others else 0 if known and self.case.later_seconds is None else 1
        broken = {
            f"{self.lost} updates lost": self.lost > 0,
            f"{self.refused} requests refused": self.refused > allowed,
            f"{self.ratio or 0:.3f} times the bound": (self.ratio or 0) > self.case.most,
            f"a request of {self.longest_request:.0f} s": self.longest_request > 60,  # noqa: PLR2004 - F5.3
        }
        return [f"{self.case.name}: {what}" for what, so in broken.items() if so]


CASES = (
    *(Case(name=f"480 s, counters as in {model}", model=model) for model in OperatingModel),
    *(Case(name=f"480 s, ban, {model}", model=model, ban=True) for model in OperatingModel),
    *(Case(name=f"420 s unknown, {model}", model=model, limit=420) for model in OperatingModel),
    *(Case(name=f"420 s unknown, ban, {model}", model=model, limit=420, ban=True) for model in OperatingModel),
    Case(name="another program on the bucket", others_per_second=1.0),
    Case(name="another program on the bucket, updates of 0.02 s", others_per_second=1.0, update_seconds=0.02),
    Case(name="another program on the meter", others_operating=12.0),
    Case(name="updates step from 0.1 to 2 s", update_seconds=0.1, later_seconds=2.0),
)


class _Line(httpx.BaseTransport):
    """Counts what passes between the worker and the portal."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._inner = InProcessTransport(portal)
        self.requests = 0
        self.refused = 0
        self.longest = 0.0
        self.before: Callable[[int], None] = lambda _requests: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.before(self.requests)
        self.requests += 1
        left = self._portal.clock.monotonic()
        response = self._inner.handle_request(request)
        self.longest = max(self.longest, self._portal.clock.monotonic() - left)
        self.refused += any(code in response.read() for code in _REFUSALS)
        return response


def measure(case: Case, updates: int = UPDATES) -> Measured:
    """Carry out a backfill of so many updates, and say how it went."""
    began = time.process_time()
    timeline = Timeline()
    portal = _portal(case, updates, VirtualClock(timeline))
    changes = _changes(portal)
    if len(changes) != updates:
        raise RuntimeError(f"{len(changes)} contacts to write, not {updates}")
    clock, line = VirtualClock(timeline), _Line(portal)
    if case.later_seconds is not None:
        line.before = lambda _: _slow_down(portal, case, len(outcomes) * 2 >= updates)
    outcomes: list[Outcome] = []
    over = _others(portal, case, timeline)
    with _client(portal, line, clock) as client:
        writer = Writer(client, clock, ChunkLimits(), intend=lambda _: None, settle=outcomes.extend)
        writer.apply(fresh_first(changes, ()))
        wall = clock.monotonic()
        over(clock)
    applied = sum(outcome.result is Result.APPLIED for outcome in outcomes)
    return Measured(
        case=case,
        updates=updates,
        requests=line.requests,
        refused=line.refused,
        lost=max(updates - applied, portal.drift()),
        wall_seconds=wall,
        longest_request=line.longest,
        longest_gap=writer.longest_gap,
        cpu_seconds=time.process_time() - began,
    )


def _slow_down(portal: Portal, case: Case, now: bool) -> None:
    if now and case.later_seconds is not None and portal.costs is not None:
        portal.costs.profile = _prices(case.later_seconds)


def _prices(seconds: float, slowest_tenth: float | None = None) -> Profile:
    """Return the cloud portal's prices, but for updates."""
    return replace(PROFILES["cloud"], write_median=seconds, write_p90=slowest_tenth or seconds)


def _portal(case: Case, updates: int, clock: VirtualClock) -> Portal:
    database = Database()
    companies = max(1, updates // 5)
    spec = SeedSpec(companies=companies, contacts=updates, owners=50, drift=1.0, without_company=0.0)
    seed(database, spec, int(clock.now().timestamp()))
    return Portal(
        database,
        clock=clock,
        bucket=LeakyBucket(clock, BURST, PER_SECOND),
        meter=OperatingMeter(clock, case.model, case.limit, case.ban),
        costs=CostModel(_prices(case.update_seconds, case.slowest_tenth)),
    )


def _changes(portal: Portal) -> list[Change]:
    """Return what a sweep would have found."""
    rows = portal.database.rows(
        "SELECT contact.id, company.id, contact.assigned_by_id, company.assigned_by_id, contact.date_modify"
        " FROM contact JOIN company ON company.id = contact.company_id WHERE contact.category_id = 0"
        " AND company.is_my_company = 'N' AND contact.assigned_by_id <> company.assigned_by_id ORDER BY contact.id"
    )
    return [
        Change(
            contact=row[0],
            company=row[1],
            before=row[2],
            after=row[3],
            modified=datetime.fromtimestamp(row[4], UTC),
        )
        for row in rows
    ]


def _client(portal: Portal, line: _Line, clock: VirtualClock) -> Client:
    return Client(
        parse_webhook(f"https://portal.bitrix24.com{portal.webhook_path}", ()),
        http_client(connect_timeout=10.0, read_timeout=75.0, transport=line),
        clock=clock,
        throttle=Throttle(clock, burst=BURST, per_second=PER_SECOND, margin=MARGIN),
        budget=Budget(clock, limit=KNOWN_LIMIT),
        limits=Limits(),
        random=random.Random(1),
    )


def _others(portal: Portal, case: Case, timeline: Timeline) -> Callable[[VirtualClock], None]:
    """Let other programs work on the portal, and return what ends them."""
    over = False

    def every(seconds: float, act: Callable[[], object]) -> None:
        own = VirtualClock(timeline)

        def work() -> None:
            while not over:
                act()
                own.sleep(seconds)

        timeline.run_aside(0.0, work)

    def end(clock: VirtualClock) -> None:
        nonlocal over
        over = True
        clock.sleep(61.0)

    if case.others_per_second:
        request = Request(method="POST", path=f"{portal.webhook_path}server.time")
        every(1 / case.others_per_second, lambda: portal.handle(request))
    if case.others_operating and portal.meter is not None:
        meter = portal.meter
        every(60.0, lambda: meter.record(CONTACT_UPDATE, case.others_operating, in_batch=True))
    return end


def table(measured: list[Measured]) -> str:
    """Return a Markdown table."""
    rows = [
        ("case", "updates", "requests", "refused", "lost", "hours", "times the bound", "longest request", "CPU s"),
        *(
            (
                figures.case.name,
                f"{figures.updates:,}",
                f"{figures.requests:,}",
                f"{figures.refused}",
                f"{figures.lost}",
                f"{figures.wall_seconds / 3600:.2f}",
                "-" if figures.ratio is None else f"{figures.ratio:.3f}",
                f"{figures.longest_request:.1f} s",
                f"{figures.cpu_seconds:.0f}",
            )
            for figures in measured
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where something is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    options = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    measured = [measure(case, options.updates) for case in CASES if options.only in case.name]
    print(table(measured))
    complaints = [complaint for figures in measured for complaint in figures.complaints]
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
