"""The status page: what the service did, does and waits for, for somebody who has nothing but a browser.

From the same environment and style as the HTML report; without a script, so that the policy allows none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from markupsafe import Markup

import reconciler
from reconciler.core.model import Result, Status
from reconciler.reporting import wording as facts
from reconciler.reporting.exceptions import last_edited, until
from reconciler.reporting.refusal import (
    approve_command,
    held_page,
    stored_causes,
    stored_limits,
    stored_people,
    stored_sentence,
)
from reconciler.reporting.to_html import hashed, resource, template
from reconciler.web.chart import chart
from reconciler.web.server import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from reconciler.core.model import Change
    from reconciler.reporting.approvals import Approval
    from reconciler.reporting.exceptions import LeftAlone
    from reconciler.reporting.lists import Run
    from reconciler.reporting.report import Balance
    from reconciler.web.chart import Look

#: How far back the chart looks.
MONTH = timedelta(days=30)
#: Rows of each table.
MOST_RUNS, MOST_CHANGES, MOST_EXCEPTIONS, MOST_MOVERS, MOST_LIMITS = 12, 20, 10, 10, 8
_DAY = timedelta(days=1)
_DONE = (Result.APPLIED, Result.ALREADY, Result.GONE)


class Written(Protocol):
    """A change as the journal knows it."""

    @property
    def run(self) -> int: ...

    @property
    def change(self) -> Change: ...

    @property
    def result(self) -> Result | None: ...

    @property
    def detail(self) -> str: ...

    @property
    def settled_at(self) -> datetime | None: ...

    @property
    def attempted_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """All that the page tells. Times in seconds where they are no moments."""

    portal: str
    #: The portal's pages, for links to its cards; empty for none.
    origin: str
    now: datetime
    interval: float
    #: Why the service does not do its work; empty: it does.
    wrong: Sequence[str]
    #: When the run under way began; None: there is none.
    running_since: datetime | None
    last_attempt: datetime | None
    last_success: datetime | None
    #: The latest, newest first, and those of the last month in short, oldest first.
    runs: Sequence[Run]
    looks: Sequence[Look]
    #: What waits, and what is in force.
    approvals: Sequence[Approval]
    changes: Sequence[Written]
    #: The latest, and how many there are of each kind.
    exceptions: Sequence[LeftAlone] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    #: Seconds used of the window, by method; what is granted to each, None: no limit.
    used: Mapping[str, float] = field(default_factory=dict)
    granted: float | None = None
    #: Names by number.
    users: Mapping[int, str] = field(default_factory=dict)


def status_page(present: Present, zone: tzinfo | None = None) -> Page:
    """Return the page, and the policy that it can live with."""
    style = resource("page.css") + resource("status.css")
    latest = _latest_complete(present)
    text = template("status.html").render(
        present=present,
        version=reconciler.__version__,
        state=_state(present),
        tiles=_tiles(present, latest),
        times=_times(present, zone),
        waiting=[_waiting(one) for one in present.approvals if one.state == "waiting"],
        most_movers=MOST_MOVERS,
        most_limits=MOST_LIMITS,
        held_page=held_page,
        approved=[one for one in present.approvals if one.state == "approved"],
        chart=chart(present.looks, present.now, zone, longest=MONTH),
        runs=present.runs[:MOST_RUNS],
        budget=_budget(present),
        changes=present.changes[:MOST_CHANGES],
        reasons=sorted(latest.report.reasons.items(), key=lambda one: -one[1]) if latest else [],
        kinds=sorted(present.kinds.items(), key=lambda one: -one[1]),
        name=lambda number: facts.person(number, present.users.get(number, "")),
        until=lambda one: until(one, zone),
        last_edited=lambda one: last_edited(one.entry, present.users, zone),
        moment=lambda time: facts.moment(time, zone),
        local=lambda time: time.astimezone(zone),
        style=Markup(style),  # noqa: S704 - our own files
    )
    policy = f"default-src 'none'; style-src 'sha256-{hashed(style)}'; img-src data:; frame-ancestors 'none'; "
    return Page(text=text, policy=f"{policy}base-uri 'none'; form-action 'none'")


def _latest_complete(present: Present) -> Run | None:
    """Return the latest run that saw the portal as a whole."""
    return next(
        (run for run in present.runs if run.finished_at and run.report.taken_at and run.command != "undo"), None
    )


def _state(present: Present) -> tuple[str, str]:
    """Return how it goes: a word for the style, and a sentence."""
    if present.wrong:
        return "bad", "The service does not do its work."
    if any(one.state == "waiting" for one in present.approvals):
        return "mid", "The service does its work; some changes wait for a person."
    return "good", "The service does its work."


def backlog(run: Run | None) -> int:
    """Return how many contacts this run should have written and has not."""
    if run is None:
        return 0
    report = run.report
    done = sum(report.outcomes.get(result, 0) for result in _DONE)
    return max(0, report.drift - report.standing - done)


def time_left(run: Run | None, interval: float) -> float | None:
    """Return the seconds until the backlog is done at the pace of this run; None: it does not get smaller."""
    left = backlog(run)
    if run is None or not left or run.report.status is Status.REFUSED:
        return None
    done = sum(run.report.outcomes.get(result, 0) for result in _DONE)
    return left / done * max(interval, run.report.usage.duration_seconds) if done else None


def _tiles(present: Present, latest: Run | None) -> list[tuple[str, str, str]]:
    """Return the numbers that the page starts with: number, what it is, what to say besides."""
    left, seconds = backlog(latest), time_left(latest, present.interval)
    waiting = sum(one.left for one in present.approvals if one.state == "waiting")
    pace = ""
    if left and waiting:
        pace = "waiting for approval" if waiting >= left else f"{waiting:,} of them wait for approval"
    elif left:
        pace = f"about {facts.lasting(seconds)} left" if seconds else "they come up again in the next sweep"
    day = sum(look.corrected for look in present.looks if present.now - look.at <= _DAY)
    tiles = [(f"{left:,}", "still to correct", pace), (f"{day:,}", "corrected in 24 hours", "")]
    if latest is not None:
        counts = latest.report
        tiles.append((f"{counts.standing:,}", "left alone", ""))
        tiles.append(
            (f"{counts.compared:,}", "linked contacts", f"of {facts.counted(counts.companies, 'company', 'companies')}")
        )
        if counts.not_compared:
            tiles.append((f"{counts.not_compared:,}", "contacts not compared", facts.NOT_COMPARED))
    return tiles


def _times(present: Present, zone: tzinfo | None) -> list[tuple[str, str]]:
    def ago(time: datetime) -> str:
        return f"{facts.moment(time, zone)}, {facts.lasting(max(0.0, (present.now - time).total_seconds()))} ago"

    times = [("Last complete sweep", ago(present.last_success) if present.last_success else "none yet")]
    if present.running_since:
        times.append(("Sweep under way", f"since {ago(present.running_since)}"))
    elif present.last_attempt:
        times.append(("Last sweep", ago(present.last_attempt)))
        times.append(("Next sweep", facts.moment(present.last_attempt + timedelta(seconds=present.interval), zone)))
    return [*times, ("Interval", facts.lasting(present.interval))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A refused set, with its numbers and the next step."""

    count: int
    since: datetime
    run: int | None
    sentence: str
    limits: list[tuple[str, str, str]]
    #: How many have which cause, and who would gain and lose most: both of all that were held back, written or not.
    causes: list[tuple[str, int]]
    people: list[Balance]
    #: How many those are.
    held: int
    command: str
    #: The page that lists them.
    page: str


def _waiting(one: Approval) -> _Waiting:
    return _Waiting(
        count=one.left,
        since=one.created_at,
        run=one.run,
        sentence=stored_sentence(one.sentence, whole=one.left == one.count),
        limits=stored_limits(one.numbers),
        causes=stored_causes(one.numbers),
        people=stored_people(one.numbers),
        held=one.count,
        command=approve_command(one.digest),
        page=held_page(one.digest),
    )


def _budget(present: Present) -> list[tuple[str, str, str, str]]:
    """Return each method with its seconds, those granted, and the length of its bar, of 100."""
    granted = present.granted
    rows = []
    for method, used in sorted(present.used.items(), key=lambda one: (-one[1], one[0])):
        share = min(100.0, 100 * used / granted) if granted else 0.0
        rows.append((method, f"{used:,.1f} s", f"{granted:,.0f} s" if granted else "no limit", f"{share:.1f}"))
    return rows
