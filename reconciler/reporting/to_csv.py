"""Documents as CSV, for a spreadsheet.

A cell that a spreadsheet would take for a formula starts with an apostrophe instead. Also after a semicolon: where
that is the list separator (most of Europe), the program splits the line there before it looks at quotes.
"""

from __future__ import annotations

import csv as csv_
import io
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler.core.sanitize import display
from reconciler.reporting.aggregates import work_order
from reconciler.reporting.report import Row
from reconciler.reporting.wording import card, cause_word, person, reason_sentence

if TYPE_CHECKING:
    from typing import TextIO

    from reconciler.reporting.report import Report

#: Also the full-width forms, which a spreadsheet may read the same.
_FORMULA = re.compile(r"(^|;)(?=[\s']*[=+\-@＝＋－＠])")  # noqa: RUF001 - exactly these


def csv(report: Report) -> str:
    """Return what `write_csv` writes."""
    out = io.StringIO()
    write_csv(report, out)
    return out.getvalue()


def write_csv(report: Report, out: TextIO) -> None:
    """Write every row, changes first, then what is left alone; lines end with a line feed.

    The columns are the fields of `Row`, then the addresses of both cards; the time of the last edit is in UTC, as a
    spreadsheet reads it. `result` says `planned` for a change of a plan or an undo, `open` for a change of a run that
    has no outcome yet, else the outcome or the reason it is left alone.
    """
    writer = csv_.writer(out, lineterminator="\n")
    names = [field.name for field in fields(Row)]
    titles = ["last_edited_at_utc" if name == "last_edited_at" else name for name in names]
    writer.writerow([*titles, "contact_card", "company_card"])
    unset = "open" if report.kind == "run" else "planned"
    for row in (*report.changes, *report.standing):
        values = {name: getattr(row, name) for name in names} | {"result": row.result or unset}
        cells = [_cell(value) for value in values.values()]
        writer.writerow([*cells, *_cards(report.origin, row)])


def standing_csv(report: Report) -> str:
    """Return the work list: what is left alone in a plan, in the order in which people work through it.

    By reason, those first where somebody has to act; then by the company's owner, company and contact.
    """
    out = io.StringIO()
    writer = csv_.writer(out, lineterminator="\n")
    writer.writerow(
        (
            *("reason", "company_owner", "company_owner_id", "company", "company_id"),
            *("contact", "contact_id", "contact_owner", "contact_owner_id"),
            *("cause", "last_edited_by", "last_edited_at_utc", "company_card", "contact_card"),
        )
    )
    for row in work_order(report.standing):
        cells = (
            *(reason_sentence(row.result), person(row.after, row.after_name), row.after or None),
            *(row.company_name, row.company, row.contact_name, row.contact),
            *(person(row.before, row.before_name), row.before or None, cause_word(row.cause)),
            person(row.last_edited_by, row.last_edited_by_name) if row.last_edited_by else "",
            row.last_edited_at,
        )
        contact, company = _cards(report.origin, row)
        writer.writerow([*map(_cell, cells), company, contact])
    return out.getvalue()


def cell(text: str) -> str:
    """Return the text so that no spreadsheet calculates it."""
    return _FORMULA.sub(r"\1'", display(text))


def _cell(value: str | int | datetime | None) -> str | int | None:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return cell(value) if isinstance(value, str) else value


def _cards(origin: str, row: Row) -> tuple[str, str]:
    return card(origin, "contact", row.contact), card(origin, "company", row.company)
