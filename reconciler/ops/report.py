"""A plan or a run as a document: one value, shown as text, JSON, Markdown, CSV or a page.

Names come from a CRM, where strangers type them (DESIGN 12). They stand in a `Report` as they came; each format
makes them harmless in its own way. The heavy formats live in modules of their own, imported when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reconciler.core.model import Change, Mismatch, Names, RunReport, Skip, Status
from reconciler.ops.answers import as_json, json_pieces, json_text, run_json
from reconciler.ops.facts import MOST_COMPANIES, groups, summary_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo
    from typing import TextIO

    from reconciler.core.model import Snapshot, Usage
    from reconciler.core.plan import Plan

__all__ = ["SIDE_EFFECTS", "Format", "Report", "Row", "as_json", "json_text", "plan_report", "render", "run_json"]
__all__ += ["run_report", "shown", "summary_line", "write"]

Format = Literal["text", "json", "markdown", "csv", "html"]

#: Stands at the head of every plan (DESIGN 1).
SIDE_EFFECTS = (
    "Deals, activities and tasks stay with the person who had them, and that person may lose sight of the contact "
    '(roles "own records only").'
)
_UNVERIFIED = (
    "The webhook has no user scope: nobody can tell whether the new owners still work there, so nothing of this may "
    "be written. Add the scope user_basic (or user) to the webhook."
)
#: Rows shown where the caller gives no number: a screen, an issue's text, a page that a phone can still open.
_MOST_ROWS = {"text": 50, "markdown": 500, "html": 5_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One drifted contact of a plan, or one change of a run. Names are empty where they are not known."""

    contact: int
    contact_name: str
    company: int
    company_name: str
    #: Owner now (plan) or before the run; 0 for none.
    before: int
    before_name: str
    #: The wanted owner; in a skip the company's owner, 0 for none.
    after: int
    after_name: str
    #: Plan: empty for a change, the `Standing` value for a skip. Run: the `Result` value, empty while open.
    result: str = ""
    #: One sentence where the result does not say it all.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A plan or a run, ready to be shown."""

    kind: Literal["plan", "run"]
    title: str
    portal: str
    #: `https://host` of the portal, for links to its cards. Empty: no links.
    origin: str
    #: A plan's status says `in_sync` where nothing would change, and nothing otherwise.
    counts: RunReport
    #: The portal's time of the sweep, or when the run began.
    started_at: datetime
    #: None for a plan, and for a run that is under way or ended without a word.
    finished_at: datetime | None = None
    #: The command that ran; empty for a plan.
    command: str = ""
    #: A plan's digest, in full.
    digest: str = ""
    changes: tuple[Row, ...] = ()
    #: Drifted contacts that are left alone.
    standing: tuple[Row, ...] = ()
    #: Sentences that a reader should know before acting.
    notes: tuple[str, ...] = ()


def plan_report(
    plan: Plan, *, snapshot: Snapshot, names: Names, origin: str, usage: Usage, notes: Sequence[str] = ()
) -> Report:
    """Make the document of a plan. People the snapshot knows need not stand in `names`."""
    people = {number: user.name for number, user in (snapshot.users or {}).items()} | dict(names.users)
    called = Names(contacts=names.contacts, companies=names.companies, users=people)
    own = [SIDE_EFFECTS] if plan.changes else []
    if plan.changes and not plan.owners_verified:
        own.insert(0, _UNVERIFIED)
    if snapshot.outside_roster:
        own.append(
            f"Not looked at: {snapshot.outside_roster:,} contacts of companies outside the roster (own companies, "
            "other categories, created during the sweep)."
        )
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
            drift=plan.drift,
            standing=len(plan.skips),
            reasons=plan.reasons,
            usage=usage,
        ),
        started_at=snapshot.taken_at,
        digest=plan.digest,
        changes=tuple(change_row(change, called) for change in plan.changes),
        standing=tuple(_skip_row(skip, called) for skip in plan.skips),
        notes=tuple(dict.fromkeys([*own, *notes])),
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
        changes=tuple(rows),
        notes=tuple(notes),
    )


def shown(plan: Plan, format: Format, most_rows: int | None = None) -> list[Mismatch]:  # noqa: A002 - as in `write`
    """Return the drifted contacts whose names, or whose companies' names, `render` will show.

    Asking for the names of 50,000 contacts takes a thousand commands, and a screen shows 50 of them.
    """
    if format in {"json", "csv"}:
        return [_mismatch(change) for change in plan.changes] + [skip.mismatch for skip in plan.skips]
    most = _MOST_ROWS[format] if most_rows is None else most_rows
    summed_up = groups([_skip_row(skip, Names()) for skip in plan.skips])
    companies = {number for group in summed_up for number, _ in group.companies[:MOST_COMPANIES]}
    # One contact speaks for its company: those that are left alone are not listed one by one.
    one_each = {skip.mismatch.company: skip.mismatch for skip in plan.skips if skip.mismatch.company in companies}
    return [*map(_mismatch, plan.changes[:most]), *one_each.values()]


def _mismatch(change: Change) -> Mismatch:
    return Mismatch(contact=change.contact, company=change.company, owner=change.before, company_owner=change.after)


def change_row(change: Change, names: Names, *, result: str = "", detail: str = "") -> Row:
    """Make the row of a change, with the names that are known."""
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
    )


def _skip_row(skip: Skip, names: Names) -> Row:
    mismatch = skip.mismatch
    change = Change(
        contact=mismatch.contact, company=mismatch.company, before=mismatch.owner, after=mismatch.company_owner
    )
    return change_row(change, names, result=skip.reason.value, detail=skip.reason.sentence)


def write(report: Report, format: Format, file: TextIO) -> None:  # noqa: A002 - the command line's word
    """Write what `render` returns; JSON and CSV row by row, since a plan of 50,000 is too long to be made in one."""
    match format:
        case "json":
            file.writelines(json_pieces(report))
        case "csv":
            from reconciler.ops.exports import write_csv  # noqa: PLC0415 - as below

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
    (500) and HTML (5,000); JSON and CSV are always whole. Times are shown in `zone`, None is this machine's; JSON
    has them as they are. CSV is meant for UTF-8; a file for Excel should be written as `utf-8-sig`.
    """
    most = _MOST_ROWS.get(format, 0) if most_rows is None else most_rows
    match format:
        case "json":
            return "".join(json_pieces(report))
        case "text":
            from reconciler.ops.tables import text  # noqa: PLC0415 - rich costs time, and only text needs it

            return text(report, width=width, color=color, most_rows=most, zone=zone)
        case "markdown":
            from reconciler.ops.exports import markdown  # noqa: PLC0415 - as above

            return markdown(report, most_rows=most, zone=zone)
        case "csv":
            from reconciler.ops.exports import csv  # noqa: PLC0415 - as above

            return csv(report)
        case _:
            from reconciler.ops.page import page  # noqa: PLC0415 - as above, Jinja2

            return page(report, most_rows=most, zone=zone)
