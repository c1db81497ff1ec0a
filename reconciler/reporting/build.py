"""A plan, an undo or a run made into a document, and the document shown as text, JSON, Markdown, CSV or a page.

The heavy formats live in modules of their own, imported when asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.model import Change, Names, Rule, RunReport, Status
from reconciler.reporting.notes import SIDE_EFFECTS, plan_notes
from reconciler.reporting.report import Format, Report, Row
from reconciler.reporting.to_json import as_json, json_pieces, json_text, run_json
from reconciler.reporting.wording import summary_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo
    from typing import TextIO

    from reconciler.core.model import Skip, Usage
    from reconciler.core.plan import Plan
    from reconciler.core.rules.undo import Left
    from reconciler.core.snapshot import Snapshot

__all__ = ["SIDE_EFFECTS", "Format", "Report", "Row", "as_json", "json_text", "plan_report", "render", "run_json"]
__all__ += ["run_report", "summary_line", "undo_report", "write"]

#: Rows shown where the caller gives no number: a screen, an issue's text, what a page shows before it is searched.
_MOST_ROWS = {"text": 50, "markdown": 500, "html": 1_000}


def plan_report(plan: Plan, *, snapshot: Snapshot, origin: str, usage: Usage, notes: Sequence[str] = ()) -> Report:
    """Make the document of a plan; all names are the snapshot's."""
    names = names_of(snapshot)
    return Report(
        kind="plan",
        title=f"Plan for {plan.portal}",
        portal=plan.portal,
        origin=origin,
        counts=RunReport(
            run=None,
            status=Status.IN_SYNC if not plan.changes else Status.INCOMPLETE,
            companies=len(snapshot.roster),
            contacts=snapshot.contacts,
            not_compared=snapshot.outside_roster,
            drift=plan.drift,
            standing=len(plan.skips),
            reasons=plan.reasons,
            causes=plan.causes,
            usage=usage,
        ),
        started_at=snapshot.taken_at,
        digest=plan.digest,
        changes=tuple(_edited(change_row(change, names), snapshot, names) for change in plan.changes),
        standing=tuple(_edited(_skip_row(skip, names), snapshot, names) for skip in plan.skips),
        notes=tuple(dict.fromkeys([*plan_notes(plan, snapshot), *notes])),
    )


def undo_report(
    back: Sequence[Change],
    left: Sequence[Left],
    *,
    portal: str,
    what: str,
    digest: str,
    names: Names,
    origin: str,
    usage: Usage,
    taken_at: datetime,
    notes: Sequence[str] = (),
) -> Report:
    """Make the document of an undo before it is carried out; `what` is taken back ("run 12", "contact 15").

    The rows of what stays point the same way: from the owner that we wrote, to the one who was there before.
    """
    return Report(
        kind="undo",
        title=f"Undo of {what} of {portal}",
        portal=portal,
        origin=origin,
        counts=RunReport(
            run=None,
            status=Status.INCOMPLETE if back else Status.IN_SYNC,
            drift=len(back) + len(left),
            standing=len(left),
            usage=usage,
        ),
        started_at=taken_at,
        digest=digest if back else "",
        changes=tuple(replace(change_row(change, names), cause="") for change in back),
        standing=tuple(_left_row(one, names) for one in left),
        notes=tuple(notes),
    )


def run_report(
    report: RunReport,
    *,
    portal: str,
    command: str,
    started_at: datetime,
    finished_at: datetime | None,
    rows: Sequence[Row],
    origin: str,
    notes: Sequence[str] = (),
) -> Report:
    """Make the document of a run; `rows` are its changes."""
    return Report(
        kind="run",
        title=f"Run of {portal}" if report.run is None else f"Run {report.run} of {portal}",
        portal=portal,
        origin=origin,
        counts=report,
        started_at=started_at,
        finished_at=finished_at,
        command=command,
        digest=report.digest,
        changes=tuple(rows),
        notes=tuple(notes),
    )


def names_of(snapshot: Snapshot) -> Names:
    """Return what the drifted contacts, their companies and the people on both sides are called."""
    return Names(
        contacts={number: detail.name for number, detail in snapshot.contact_details.items()},
        companies={number: detail.name for number, detail in snapshot.company_details.items()},
        users={number: user.name for number, user in (snapshot.users or {}).items()},
    )


def change_row(change: Change, names: Names, *, result: str = "", detail: str = "") -> Row:
    """Make the row of a change, with the names that are known."""
    company_owner = change.after if change.rule is Rule.COMPANY_OWNER else change.company_owner
    return Row(
        contact=change.contact,
        contact_name=names.contacts.get(change.contact, ""),
        company=change.company,
        company_name=names.companies.get(change.company, ""),
        before=change.before,
        before_name=names.users.get(change.before, ""),
        after=change.after,
        after_name=names.users.get(change.after, ""),
        result=result,
        detail=detail,
        cause=change.cause.value,
        rule=change.rule.value,
        company_owner=company_owner,
        company_owner_name=names.users.get(company_owner, ""),
    )


def _skip_row(skip: Skip, names: Names) -> Row:
    mismatch = skip.mismatch
    # Nothing is written: it only has the shape of a change to the company's owner.
    change = Change(
        contact=mismatch.contact,
        company=mismatch.company,
        before=mismatch.owner,
        after=mismatch.company_owner,
        cause=skip.cause,
    )
    return replace(
        change_row(change, names, result=skip.reason.value, detail=skip.detail or skip.reason.sentence), rule=""
    )


def _left_row(left: Left, names: Names) -> Row:
    change = replace(left.change, before=left.change.after, after=left.change.before, rule=Rule.UNDO, company_owner=0)
    row = change_row(change, names, result=left.obstacle.value, detail=left.obstacle.sentence)
    return replace(row, cause="", rule="")


def _edited(row: Row, snapshot: Snapshot, names: Names) -> Row:
    """Add who edited the contact last."""
    detail = snapshot.contact_details.get(row.contact)
    if detail is None or detail.doubt:
        return row
    return replace(
        row,
        last_edited_by=detail.modified_by,
        last_edited_by_name=names.users.get(detail.modified_by, ""),
        last_edited_at=detail.modified,
    )


def write(report: Report, format: Format, file: TextIO) -> None:  # noqa: A002 - the command line's word
    """Write what `render` returns; JSON and CSV row by row, since a plan of 50,000 is too long to be made in one."""
    match format:
        case "json":
            file.writelines(json_pieces(report))
        case "csv":
            from reconciler.reporting.to_csv import write_csv  # noqa: PLC0415 - as below

            write_csv(report, file)
        case _:
            file.write(render(report, format))


def render(
    report: Report,
    format: Format,  # noqa: A002 - the command line's word
    *,
    width: int = 100,
    color: bool = False,
    most_rows: int | None = None,
    zone: tzinfo | None = None,
) -> str:
    """Return the document in the format, its last line ended.

    `width` and `color` matter for text only. `most_rows` limits the changes shown as text (default 50), Markdown
    (500) and HTML (1,000, with a search over all); JSON and CSV are always whole. Times are shown in `zone`, None is
    this machine's; JSON has them as they are, CSV in UTC. A CSV file for Excel should be written as `utf-8-sig`.
    """
    most = _MOST_ROWS.get(format, 0) if most_rows is None else most_rows
    match format:
        case "json":
            return "".join(json_pieces(report))
        case "text":
            from reconciler.reporting.to_text import text  # noqa: PLC0415 - rich costs time, and only text needs it

            return text(report, width=width, color=color, most_rows=most, zone=zone)
        case "markdown":
            from reconciler.reporting.to_markdown import markdown  # noqa: PLC0415 - as above

            return markdown(report, most_rows=most, zone=zone)
        case "csv":
            from reconciler.reporting.to_csv import csv  # noqa: PLC0415 - as above

            return csv(report)
        case _:
            from reconciler.reporting.to_html import page  # noqa: PLC0415 - as above, Jinja2

            return page(report, most_rows=most, zone=zone)
