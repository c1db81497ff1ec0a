"""What there is to say about a plan or a run, before any format: words, numbers, sums.

Nothing here is cleaned or escaped; each format does that for itself, at its own edge.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.core.model import Result, RunReport, Standing, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from reconciler.ops.report import Report, Row

#: What needs a person comes first where not every row fits.
_URGENCY = ("failed", "denied", "unknown", "", "conflict", "gone", "already", "applied")
#: For the sentence about a run; the tables and JSON use the journal's own words.
_SPOKEN = {Result.APPLIED: "corrected", Result.ALREADY: "already right", Result.CONFLICT: "in conflict"}
#: Changes that can be read one by one.
_LARGE = 20
#: Companies that are named for a group of standing drift; formats with less room name fewer.
MOST_COMPANIES = 5
#: Longest address of a portal that can be meant.
_MOST_ORIGIN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How many contacts a person would gain and lose."""

    person: int
    name: str
    gains: int
    loses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Standing drift that has one reason and one company owner."""

    reason: str
    person: int
    name: str
    contacts: int
    #: The companies, the one with the most contacts first, as (ID, name).
    companies: tuple[tuple[int, str], ...]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Say a number of things: "1 contact", "10,000 contacts"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def lasting(seconds: float) -> str:
    """Say how long: "4.1 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 99.95:  # noqa: PLR2004 - beyond it, "100.0 s" says less than minutes do
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, rest_of_hour = divmod(minutes, 60)
    return f"{minutes} min {rest:02d} s" if not hours else f"{hours:,} h {rest_of_hour:02d} min"


def moment(time: datetime, zone: tzinfo | None) -> str:
    """Say when, in the zone; None is this machine's."""
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M %Z}".rstrip()


def reason_sentence(reason: str) -> str:
    """Return what a person reads for the value of a `Standing`; any other text as it is."""
    return Standing(reason).sentence if reason in set(Standing) else reason


def outcome_words(outcomes: Mapping[Result, int]) -> str:
    """Say the outcomes in short, in the order of `Result`: "498 applied, 2 gone"."""
    return ", ".join(f"{outcomes[result]:,} {result}" for result in Result if outcomes.get(result))


def reason_words(reasons: Mapping[Standing, int]) -> str:
    """Say why contacts are left alone; the numbers only where there is more than one reason."""
    found = [reason for reason in Standing if reasons.get(reason)]
    if len(found) == 1:
        return found[0].sentence
    return ", ".join(f"{reasons[reason]:,}: {reason.sentence}" for reason in found)


def status_words(status: Status) -> str:
    """Return the status as a person reads it."""
    return status.value.replace("_", " ")


def summary_line(report: RunReport) -> str:
    """Tell a run in one sentence without its full stop."""
    parts = [_story(report)]
    if report.standing:
        parts.append(f"{report.standing:,} left alone ({reason_words(report.reasons) or 'standing drift'})")
    parts.append(f"{counted(report.usage.requests, 'request')}, {lasting(report.usage.duration_seconds)}")
    line = "; ".join(parts)
    return f"{line}: {report.error}" if report.error else line


def _story(report: RunReport) -> str:
    planned, looked_at = report.drift - report.standing, sum(report.outcomes.values())
    if report.status is Status.IN_SYNC:
        place = f"{counted(report.contacts, 'contact')} of {counted(report.companies, 'company', 'companies')}"
        return f"nothing to correct among {place}" if report.standing else f"in sync: {place}"
    if report.status is Status.REFUSED and not looked_at:
        return f"refused, nothing written: {counted(planned, 'contact')} would change"
    if not looked_at and report.status is not Status.APPLIED:
        return f"{report.status}, nothing written"
    applied = report.outcomes.get(Result.APPLIED, 0)
    other = [
        f"{report.outcomes[result]:,} {_SPOKEN.get(result, result.value)}"
        for result in Result
        if result is not Result.APPLIED and report.outcomes.get(result)
    ]
    told = ", ".join([f"{applied:,} of {counted(planned, 'contact')} corrected", *other])
    return told if report.status in {Status.APPLIED, Status.PARTIAL} else f"{report.status}: {told}"


def facts(report: Report, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Return the head of a document as (label, text); the notes last."""
    counts, usage = report.counts, report.counts.usage
    planned = counts.drift - counts.standing
    cost = f"{counted(usage.requests, 'request')} ({counted(usage.commands, 'command')})"
    found = [("Taken" if report.kind == "plan" else "Started", moment(report.started_at, zone))]
    if report.command:
        found.append(("Command", report.command))
    if report.kind == "run":
        found.append(("Status", status_words(counts.status) if report.finished_at else "not finished"))
    found.append(
        (
            "Looked at",
            f"{counted(counts.companies, 'company', 'companies')}, {counted(counts.contacts, 'linked contact')}",
        )
    )
    share = f" ({counts.drift / counts.contacts:.1%})" if counts.contacts else ""
    drift = counted(counts.drift, "contact") + share
    if counts.drift:
        drift += f": {planned:,} to change"
    if counts.standing:
        words = "" if report.standing else reason_words(counts.reasons)
        drift += f", {counts.standing:,} left alone" + (f" ({words})" if words else "")
    found.append(("Drift", drift))
    if counts.outcomes:
        found.append(("Outcomes", outcome_words(counts.outcomes)))
    found.append(("Cost", f"{cost}, {lasting(usage.duration_seconds)}"))
    if report.digest:
        found.append(("Digest", report.digest[:12]))
    if counts.error:
        found.append(("Error", counts.error))
    return found + [("Note", note) for note in report.notes]


def is_large(report: Report) -> bool:
    """Whether people should be summed up before the contacts are listed."""
    return report.kind == "plan" and len(report.changes) > _LARGE


def balances(rows: Sequence[Row], most: int) -> tuple[str, list[Balance]]:
    """Return a title and who gains and who loses, the largest movement first."""
    gains, loses = Counter(row.after for row in rows), Counter(row.before for row in rows)
    names = {row.before: row.before_name for row in rows} | {row.after: row.after_name for row in rows}
    people = sorted(names, key=lambda person: (-gains[person] - loses[person], person))
    cut = f" (the first {most} of {len(people):,} people)" if len(people) > most else ""
    return f"Who gains and who loses{cut}", [
        Balance(person=person, name=names[person], gains=gains[person], loses=loses[person]) for person in people[:most]
    ]


def groups(rows: Sequence[Row]) -> list[Group]:
    """Gather standing drift by reason and company owner, the largest group first."""
    found: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.result, row.after].append(row)
    order = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Group(
            reason=reason,
            person=person,
            name=members[0].after_name,
            contacts=len(members),
            companies=tuple(
                pair for pair, _ in Counter((row.company, row.company_name) for row in members).most_common()
            ),
        )
        for (reason, person), members in order
    ]


def detail_counts(rows: Sequence[Row], most: int) -> list[tuple[str, str, int]]:
    """Return (result, detail, contacts) of the changes that have a detail, the most frequent first."""
    found = Counter((row.result, row.detail) for row in rows if row.detail)
    return [(result, detail, contacts) for (result, detail), contacts in found.most_common(most)]


def urgent_first(rows: Sequence[Row]) -> list[Row]:
    """Sort the rows so that what needs a person comes first; the order is kept otherwise."""
    return sorted(rows, key=lambda row: _URGENCY.index(row.result) if row.result in _URGENCY else 0)


def person(number: int, name: str) -> str:
    """Return what a person is called: the name, else the number; 0 is nobody."""
    return name or (f"#{number}" if number else "nobody")


def card(origin: str, kind: str, number: int) -> str:
    """Return the address of a record's card ("contact", "company"); empty where the origin is no web address."""
    base = origin.rstrip("/")
    try:
        parts = urlsplit(base)
        plain = parts.scheme in {"http", "https"} and base == f"{parts.scheme}://{parts.netloc}" and parts.hostname
    except ValueError:
        return ""
    if (
        not plain
        or len(base) > _MOST_ORIGIN
        or not all(letter.isalnum() or letter in "-.:[]" for letter in parts.netloc)
    ):
        return ""
    return f"{base}/crm/{kind}/details/{number}/"


def rest_hint(report: Report, hidden: int) -> str:
    """Return how to see the rows that do not fit."""
    run = report.counts.run
    which = "plan" if report.kind == "plan" else f"show {'latest' if run is None else run}"
    file = "plan.csv" if report.kind == "plan" else f"run-{'latest' if run is None else run}.csv"
    return f"… and {hidden:,} more; all: `reconciler {which} --format csv --output {file}`"
