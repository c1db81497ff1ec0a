"""What there is to say about a plan, an undo or a run, before any format: words and numbers.

Nothing here is cleaned or escaped; each format does that for itself, at its own edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.core.model import Cause, Result, Rule, RunReport, Standing, Status
from reconciler.core.rules.undo import Obstacle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from reconciler.reporting.report import Report

#: For the sentence about a run; the tables and JSON use the journal's own words.
_SPOKEN = {Result.APPLIED: "corrected", Result.ALREADY: "already right", Result.CONFLICT: "in conflict"}
#: A word or two for a cell, and what it means.
_CAUSES = {
    Cause.CHANGED_BACK: ("changed back", "corrected by us before, and not our owner any more"),
    Cause.COMPANY_OWNER_CHANGED: ("handed over", "the company has a new owner, the contact still an earlier one"),
    Cause.CONTACT_CREATED: ("newly created", "created since the last complete sweep"),
    Cause.NEWLY_LINKED: ("newly linked", "linked to the company since, but not edited"),
    Cause.CONTACT_CHANGED: ("edited", "somebody edited the contact since: its owner, its company, or anything else"),
    Cause.UNKNOWN: ("not known", "no earlier complete sweep, or no trace since it, tells why"),
}
#: Why contacts are not compared.
NOT_COMPARED = "of companies that are one's own, of another category, or not visible to the webhook"
#: Who is written where it is not the company's owner.
_RULES = {Rule.SUCCESSOR: "successor", Rule.HEAD: "head of department"}
#: Longest address of a portal that can be meant.
_MOST_ORIGIN = 300
_MEGABYTE = 1_000_000
_NOTHING = {"plan": "Nothing to change.", "undo": "Nothing can be put back.", "run": "Nothing was changed."}
#: States of a set that cannot be approved any more; the journal keeps its numbers, and its changes no longer.
_OVER = frozenset({"used", "expired", "withdrawn"})


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


def file_size(size: int) -> str:
    """Return a number of bytes as people say it."""
    if size < _MEGABYTE:
        return f"{max(1, round(size / 1_000))} kB"
    return f"{size / _MEGABYTE:,.1f} MB"


def moment(time: datetime, zone: tzinfo | None) -> str:
    """Say when, in the zone; None is this machine's."""
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M %Z}".rstrip()


def reason_sentence(reason: str) -> str:
    """Return what a person reads for the value of a `Standing` or an `Obstacle`; any other text as it is."""
    if reason in set(Standing):
        return Standing(reason).sentence
    return Obstacle(reason).sentence if reason in set(Obstacle) else reason


def cause_word(cause: str) -> str:
    """Return the value of a `Cause` in a word or two; any other text as it is."""
    return _CAUSES[Cause(cause)][0] if cause in set(Cause) else cause


def cause_sentence(cause: Cause) -> str:
    """Return what a cause means, in half a sentence."""
    return _CAUSES[cause][1]


def cause_words(causes: Mapping[Cause, int]) -> str:
    """Say why contacts drifted: "120 handed over, 3 newly created"."""
    return ", ".join(f"{causes[cause]:,} {cause_word(cause)}" for cause in Cause if causes.get(cause))


def rule_word(rule: str) -> str:
    """Return what chose the new owner, where it is not simply the company's owner."""
    return _RULES.get(Rule(rule), "") if rule in set(Rule) else rule


def outcome_words(outcomes: Mapping[Result, int]) -> str:
    """Say the outcomes in short, in the order of `Result`: "498 applied, 2 gone"."""
    return ", ".join(f"{outcomes[result]:,} {result}" for result in Result if outcomes.get(result))


def reason_words(reasons: Mapping[Standing, int]) -> str:
    """Say why contacts are left alone; the numbers only where there is more than one reason."""
    found = [reason for reason in Standing if reasons.get(reason)]
    if len(found) == 1:
        return found[0].sentence
    return ", ".join(f"{reasons[reason]:,}: {reason.sentence}" for reason in found)


def status_words(report: RunReport) -> str:
    """Return how a run ended, as a person reads it."""
    if report.status is Status.REFUSED and report.outcomes:
        return "held back in part"
    return report.status.value.replace("_", " ")


def saw(report: RunReport) -> bool:
    """Whether a run got as far as to know what there is; where it did not, its zeros are no numbers."""
    return report.taken_at is not None or bool(report.companies or report.drift)


def summary_line(report: RunReport) -> str:
    """Tell a run in one sentence without its full stop."""
    parts = [_story(report)]
    if report.not_compared and report.status is Status.IN_SYNC:
        parts.append(f"{counted(report.not_compared, 'contact')} not compared ({NOT_COMPARED})")
    if report.standing:
        parts.append(f"{report.standing:,} left alone ({reason_words(report.reasons) or 'standing drift'})")
    parts.append(f"{counted(report.usage.requests, 'request')}, {lasting(report.usage.duration_seconds)}")
    line = "; ".join(parts)
    return f"{line}: {report.error}" if report.error else line


def undo_line(report: RunReport) -> str:
    """Tell how taking something back went, likewise."""
    settled, left = sum(report.outcomes.values()), report.standing
    if report.status is Status.IN_SYNC:
        told = "nothing put back"
    elif report.status is Status.REFUSED and not settled:
        told = f"refused, nothing written: {counted(report.drift - left, 'contact')} would be put back"
    else:
        told = _story(report).replace(f" {_SPOKEN[Result.APPLIED]}", " put back")
    parts = [told, *([f"{left:,} left as they are" if left > 1 else "1 left as it is"] if left else [])]
    parts.append(f"{counted(report.usage.requests, 'request')}, {lasting(report.usage.duration_seconds)}")
    return "; ".join(parts)


def _story(report: RunReport) -> str:
    planned, looked_at = report.drift - report.standing, sum(report.outcomes.values())
    if report.status is Status.IN_SYNC:
        place = f"{counted(report.compared, 'contact')} of {counted(report.companies, 'company', 'companies')}"
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
    if report.status is Status.REFUSED:
        other.append(f"{planned - looked_at:,} held back by the guard")
    told = ", ".join([f"{applied:,} of {counted(planned, 'contact')} corrected", *other])
    finished = {Status.APPLIED, Status.PARTIAL, Status.REFUSED}
    return told if report.status in finished else f"{report.status}: {told}"


def facts(  # noqa: C901 - a document has many parts
    report: Report, zone: tzinfo | None, *, brief: bool = False
) -> list[tuple[str, str]]:
    """Return the head of a document as (label, text), the notes last; `brief`: the causes stand elsewhere."""
    counts, usage = report.counts, report.counts.usage
    cost = f"{counted(usage.requests, 'request')} ({counted(usage.commands, 'command')})"
    if report.kind == "held":
        return [("Held back", moment(report.started_at, zone)), *_held_facts(report, brief=brief)]
    found = [("Started" if report.kind == "run" else "Taken", moment(report.started_at, zone))]
    if report.command:
        found.append(("Command", report.command))
    if report.kind == "run":
        found.append(("Status", status_words(counts) if report.finished_at else "not finished"))
    if report.kind == "undo":
        found.append(("Changes", _undo_words(counts)))
    elif report.kind == "plan" or saw(counts):
        if report.command != "undo":  # which looks at what we wrote, and no further
            found.append(("Looked at", _looked_at(report)))
        found.append(("Drift", _drift_words(report)))
    if counts.causes and not brief:
        found.append(("Causes", cause_words(counts.causes)))
    if counts.outcomes:
        found.append(("Outcomes", outcome_words(counts.outcomes)))
    found.append(("Cost", f"{cost}, {lasting(usage.duration_seconds)}"))
    if report.digest:
        found.append(("Digest", report.digest[:12]))
    if counts.error:
        found.append(("Error", counts.error))
    return found + [("Note", note) for note in report.notes]


def is_over(report: Report) -> bool:
    """Tell whether a document is of a set that was held back and cannot be approved any more."""
    return report.kind == "held" and report.command in _OVER


def nothing(report: Report) -> str:
    """Say why a document has no changes."""
    if report.kind != "held":
        return _NOTHING[report.kind]
    return "The journal does not keep these changes any more." if is_over(report) else "All of its changes are done."


def _held_facts(report: Report, *, brief: bool) -> list[tuple[str, str]]:
    """Return what there is to say of a set that waits for approval; its standing rows are those written meanwhile."""
    counts = report.counts
    changes = f"{counts.drift:,}"
    if counts.standing and not is_over(report):
        changes += f": {counts.drift - counts.standing:,} not written yet, {counts.standing:,} done or already right"
    # The same set is held back in each run until it is approved.
    found = [("Last in run", str(counts.run))] if counts.run else []
    found += [("State", report.command), ("Changes", changes)]
    if counts.causes and not brief:
        found.append(("Causes", cause_words(counts.causes)))
    found.append(("Digest", report.digest[:12]))
    return found + [("Note", note) for note in report.notes]


def _looked_at(report: Report) -> str:
    counts = report.counts
    said = f"{counted(counts.companies, 'company', 'companies')}, {counted(counts.compared, 'linked contact')}"
    # A plan says it in a note.
    missed = counts.not_compared if report.kind == "run" else 0
    return f"{said}; not at {missed:,} {NOT_COMPARED}" if missed else said


def _undo_words(counts: RunReport) -> str:
    put_back = counts.drift - counts.standing
    left = f", {counts.standing:,} that stay" if counts.standing else ""
    return f"{counts.drift:,} of ours: {put_back:,} to put back{left}"


def _drift_words(report: Report) -> str:
    counts = report.counts
    share = f" ({counts.drift / counts.compared:.1%})" if counts.compared else ""
    drift = counted(counts.drift, "contact") + share
    if counts.drift:
        drift += f": {counts.drift - counts.standing:,} to change"
    if counts.standing:
        words = "" if report.standing else reason_words(counts.reasons)
        drift += f", {counts.standing:,} left alone" + (f" ({words})" if words else "")
    return drift


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
    """Return how to see the rows that do not fit; the command between backquotes, if there is one."""
    command = rest_command(report)
    return f"… and {hidden:,} more" + (f"; all: `{command}`" if command else "")


def rest_command(report: Report) -> str:
    """Return the command that lists all rows of a document; empty where there is none."""
    run = report.counts.run
    if report.kind == "undo" or (report.kind == "held" and run is None):
        return ""
    which = "plan" if report.kind == "plan" else f"show {'latest' if run is None else run}"
    file = "plan.csv" if report.kind == "plan" else f"run-{'latest' if run is None else run}.csv"
    return f"reconciler {which} --format csv --output {file}"


def heads(report: Report) -> tuple[str, str, str]:
    """Return what the owners' columns of the changes are called, and the title of what is left alone."""
    match report.kind:
        case "plan" | "held":
            return "From", "To", "Left alone"
        case "undo":
            return "From", "Back to", "Not put back"
        case _:
            return "Before", "After", "Left alone"
