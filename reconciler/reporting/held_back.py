"""A set of changes that the guard held back, as a document: what somebody who approves it agrees to.

The journal keeps numbers of contacts and companies, and no names of theirs. Why a contact drifted it keeps as long as
the drift stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Change, Names, Rule, RunReport, Status
from reconciler.reporting.build import change_row
from reconciler.reporting.refusal import approve_command, stored_sentence
from reconciler.reporting.report import Report, Row
from reconciler.reporting.wording import counted, is_over, rest_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.reporting.approvals import Approval
    from reconciler.reporting.report import Balance

    Key = tuple[int, int, int, int]

#: What the rows say in a run that held them back.
HELD_BACK = "held_back"


def held_rows(
    changes: Iterable[tuple[Key, Cause | None]], names: Mapping[int, str], *, undo: bool, result: str = ""
) -> list[Row]:
    """Return the rows of these changes, in their order, each with its cause where it is known; `names` are people's."""
    rule, known = Rule.UNDO if undo else Rule.COMPANY_OWNER, Names(users=dict(names))
    rows = []
    for (contact, company, before, after), cause in changes:
        change = Change(contact=contact, company=company, before=before, after=after, rule=rule)
        row = replace(change_row(change, known, result=result), rule="")
        rows.append(replace(row, cause=cause.value if cause and not undo else ""))
    return rows


def held_report(
    one: Approval,
    rows: Sequence[Row],
    *,
    left: int,
    causes: Mapping[Cause, int],
    people: Sequence[Balance],
    portal: str,
    origin: str,
) -> Report:
    """Make the document of a set, with the first rows of what is left of it; the numbers are of all that is left.

    Of a set that cannot be approved any more nothing is left to show.
    """
    report = Report(
        kind="held",
        title=f"Changes that the guard held back on {portal}",
        portal=portal,
        origin=origin,
        counts=RunReport(run=one.run, status=Status.REFUSED, drift=one.count, causes=dict(causes)),
        started_at=one.created_at,
        command=str(one.state),
        digest=one.digest,
        changes=tuple(rows),
        omitted=left - len(rows),
        people=tuple(people),
        notes=(stored_sentence(one.sentence, whole=left == one.count),),
    )
    return report if is_over(report) else replace(report, counts=replace(report.counts, standing=one.count - left))


def for_a_page(report: Report) -> Report:
    """Add what a page of the document has to say besides: how to approve, and that it does not list everything."""
    notes, left = list(report.notes), len(report.changes) + report.omitted
    if left and report.command != "approved":
        which = "this change" if left == 1 else f"exactly these {left:,} changes"
        notes.append(f"To let {which} through, where the service runs: {approve_command(report.digest)}")
    if report.omitted:
        command = rest_command(report)
        rest = f" All of them, where the service runs: {command}" if command else ""
        listed = f"This page lists the first {len(report.changes):,} of {counted(left, 'change')}, by company"
        notes.append(f"{listed}; its numbers, causes and people are of all.{rest}")
    return replace(report, notes=tuple(notes))
