"""The long tables of a page: their columns, and all their rows as data, so that a search finds what is not shown.

A browser draws a thousand rows at once and searches a hundred thousand in a moment; to draw them all takes a phone
half a minute. So a page shows the first rows, which is all that printing or a browser without scripts needs, and
carries the others as one block of JSON, in which each name stands once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.model import Cause
from reconciler.core.sanitize import display
from reconciler.reporting.aggregates import urgent_first, work_order
from reconciler.reporting.wording import card, cause_word, heads, moment, person, reason_sentence, rest_hint, rule_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from reconciler.reporting.report import Report, Row

#: Rows of a table that a page carries; more would be a file that nobody can send.
_MOST_CARRIED = 100_000
#: Where the last edit is a part of the story.
_EDITED = frozenset({Cause.CHANGED_BACK, Cause.CONTACT_CHANGED, Cause.CONTACT_CREATED})
#: A text, and what stands small beside it.
Cell = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row: a contact, its company, and what else its table tells."""

    contact: int
    contact_name: str
    company: int
    company_name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table of contacts; its columns are Contact, Company, and those of `heads`."""

    id: str
    title: str
    #: What one row is, and several are.
    noun: str
    heads: tuple[str, ...]
    #: How many rows there are in truth.
    total: int
    lines: tuple[Line, ...]
    #: Rows shown before anybody searches.
    most_rows: int
    #: How to get what is not shown, cut at its backquotes.
    hint: tuple[str, ...] = field(default=())

    @property
    def shown(self) -> tuple[Line, ...]:
        return self.lines[: self.most_rows]


def page_tables(report: Report, most_rows: int, zone: tzinfo | None) -> list[PageTable]:
    """Return the table of changes and that of what is left alone, each if it has rows."""
    before, after, left = heads(report)
    tables = []
    if report.changes:
        caused, ran = report.kind != "undo", report.kind == "run"
        rows = urgent_first(report.changes)
        total = len(rows) + report.omitted
        hidden = total - min(len(rows), most_rows)
        tables.append(
            PageTable(
                id="changes",
                title="To put back" if report.kind == "undo" else "Changes",
                noun="changes",
                heads=(before, after, *(["Cause"] if caused else []), *(["Result"] if ran else [])),
                total=total,
                lines=tuple(_line(row, _change_cells(report, row, zone)) for row in rows[:_MOST_CARRIED]),
                most_rows=most_rows,
                hint=tuple(rest_hint(report, hidden).split("`")) if hidden > 0 else (),
            )
        )
    if report.standing:
        people = (before, after) if report.kind == "undo" else ("Contact's owner", "Company's owner")
        rows = work_order(report.standing)
        hidden = len(rows) - most_rows
        tables.append(
            PageTable(
                id="left",
                title=f"{left}: every contact",
                noun=left.lower(),
                heads=(*people, "Why", *([] if report.kind == "undo" else ["Cause"])),
                total=len(rows),
                lines=tuple(_line(row, _left_cells(report, row, zone)) for row in rows[:_MOST_CARRIED]),
                most_rows=most_rows,
                hint=tuple(rest_hint(report, hidden).split("`")) if hidden > 0 else (),
            )
        )
    return tables


def _line(row: Row, cells: Iterator[Cell]) -> Line:
    return Line(
        contact=row.contact,
        contact_name=row.contact_name,
        company=row.company,
        company_name=row.company_name,
        cells=tuple(cells),
    )


def _change_cells(report: Report, row: Row, zone: tzinfo | None) -> Iterator[Cell]:
    yield person(row.before, row.before_name), ""
    yield person(row.after, row.after_name), rule_word(row.rule)
    if report.kind != "undo":
        yield cause_word(row.cause), _last_edit(row, zone)
    if report.kind == "run":
        yield row.result or "open", row.detail


def _left_cells(report: Report, row: Row, zone: tzinfo | None) -> Iterator[Cell]:
    yield person(row.before, row.before_name), ""
    yield person(row.after, row.after_name), ""
    yield reason_sentence(row.result), ""
    if report.kind != "undo":
        yield cause_word(row.cause), _last_edit(row, zone)


def _last_edit(row: Row, zone: tzinfo | None) -> str:
    """Say who edited the contact last, which need not be who changed its owner."""
    if row.cause not in _EDITED or row.last_edited_at is None:
        return ""
    by = f" by {person(row.last_edited_by, row.last_edited_by_name)}" if row.last_edited_by else ""
    return f"last edited{by}, {moment(row.last_edited_at, zone)}"


def carried(tables: Sequence[PageTable], origin: str) -> str:
    """Return all rows as JSON that may stand in a page: each text once, rows as numbers of texts."""
    words: dict[str, int] = {}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    rows = {
        table.id: [
            [
                *(line.contact, word(line.contact_name), line.company, word(line.company_name)),
                *(word(text) for cell in line.cells for text in cell),
            ]
            for line in table.lines
        ]
        for table in tables
    }
    base = origin.rstrip("/") if card(origin, "contact", 1) else ""
    document = {
        "origin": base,
        "heads": {table.id: table.heads for table in tables},
        "nouns": {table.id: table.noun for table in tables},
        "totals": {table.id: table.total for table in tables},
        "words": [display(text) for text in words],
        "rows": rows,
    }
    # Nothing in it can end the element or begin a comment.
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
