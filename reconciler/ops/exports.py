"""Documents as Markdown, for an issue or a wiki, and as CSV, for a spreadsheet.

Markdown: every name is escaped letter by letter, so none becomes a link, a heading, HTML or a mention of somebody.
CSV: a cell that a spreadsheet would take for a formula starts with an apostrophe instead. Also after a semicolon:
where that is the list separator (most of Europe), the program splits the line there before it looks at quotes.
"""

from __future__ import annotations

import csv as csv_
import io
import re
from dataclasses import fields
from typing import TYPE_CHECKING

from reconciler.ops.display import display
from reconciler.ops.facts import (
    MOST_COMPANIES,
    balances,
    card,
    counted,
    facts,
    groups,
    is_large,
    person,
    reason_sentence,
    rest_hint,
    urgent_first,
)
from reconciler.ops.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo
    from typing import TextIO

    from reconciler.ops.report import Report

#: Also the full-width forms, which a spreadsheet may read the same.
_FORMULA = re.compile(r"(^|;)(?=[\s']*[=+\-@＝＋－＠])")  # noqa: RUF001 - exactly these
#: What Markdown, with the extensions of GitHub, reads as more than a letter, wherever it stands or at the start.
_MARKDOWN = re.compile(r"[\\`*_\[\]|~$#<>&@]|:(?=//)|(?i:(?<=www)\.)|^(?:[-+=]|\d+(?=[.)]))")
#: Breaks what would become a link or a mention, which a backslash does not: those are found after it is gone.
_NOTHING = "<!-- -->"
_REPLACED = {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "@": f"@{_NOTHING}",
    ":": f":{_NOTHING}",
    ".": f"{_NOTHING}.",
}
_MOST_PEOPLE = 20


def csv(report: Report) -> str:
    """Return what `write_csv` writes."""
    out = io.StringIO()
    write_csv(report, out)
    return out.getvalue()


def write_csv(report: Report, out: TextIO) -> None:
    """Write every row, changes first, then what is left alone; lines end with a line feed.

    The columns are the fields of `Row`, then the addresses of both cards. `result` says `planned` for a change of a
    plan, `open` for a change of a run that has no outcome yet, else the outcome or the reason it is left alone.
    """
    writer = csv_.writer(out, lineterminator="\n")
    names = [field.name for field in fields(Row)]
    writer.writerow([*names, "contact_card", "company_card"])
    unset = "planned" if report.kind == "plan" else "open"
    for row in (*report.changes, *report.standing):
        values = {name: getattr(row, name) for name in names}
        values["result"] = row.result or unset
        cells = [cell(value) if isinstance(value, str) else value for value in values.values()]
        cards = (card(report.origin, "contact", row.contact), card(report.origin, "company", row.company))
        writer.writerow([*cells, *cards])


def cell(text: str) -> str:
    """Return the text so that no spreadsheet calculates it."""
    return _FORMULA.sub(r"\1'", display(text))


def markdown(report: Report, *, most_rows: int, zone: tzinfo | None) -> str:
    """Return the document in the Markdown of GitHub, with tables."""
    return "\n".join(_blocks(report, most_rows, zone)) + "\n"


def escaped(text: str) -> str:
    """Return the text so that Markdown shows it letter by letter."""
    return _MARKDOWN.sub(_harmless, display(text))


def _harmless(found: re.Match[str]) -> str:
    sign = found.group()
    return sign + _NOTHING if sign.isdigit() else _REPLACED.get(sign, "\\" + sign)


def _blocks(report: Report, most_rows: int, zone: tzinfo | None) -> Iterator[str]:
    yield f"# {escaped(report.title)}\n"
    plain = [(label, value) for label, value in facts(report, zone) if label != "Note"]
    yield from (f"- **{label}**: {escaped(value)}" for label, value in plain)
    yield from (f"\n> {escaped(note)}" for note in report.notes)
    if is_large(report):
        title, people = balances(report.changes, _MOST_PEOPLE)
        lines = [(_person(one.person, one.name), f"{one.gains:,}", f"{one.loses:,}") for one in people]
        yield from _table(title, ("Person", "Gains:", "Loses:"), lines)
    if report.changes:
        yield from _changes(report, most_rows)
    if report.standing:
        heads = ("Contacts:", "Why", "Company's owner", "Companies")
        yield from _table("Left alone", heads, _standing(report))


def _changes(report: Report, most_rows: int) -> Iterator[str]:
    rows = urgent_first(report.changes)[:most_rows]
    hidden = len(report.changes) - len(rows)
    plan = report.kind == "plan"
    heads = ["Contact", "Company", "From" if plan else "Before", "To" if plan else "After"]
    title = f"Changes ({len(rows):,} of {len(report.changes):,})" if hidden else f"Changes ({len(rows):,})"
    yield from _table(title, heads if plan else [*heads, "Result"], (_cells(report, row) for row in rows))
    if hidden:
        before, command, after = rest_hint(report, hidden).split("`")
        yield f"\n{before}`{command}`{after}"


def _cells(report: Report, row: Row) -> list[str]:
    cells = [
        _link(row.contact_name, row.contact, card(report.origin, "contact", row.contact)),
        _link(row.company_name, row.company, card(report.origin, "company", row.company)),
        _person(row.before, row.before_name),
        _person(row.after, row.after_name),
    ]
    result = f"{row.result or 'open'}: {row.detail}" if row.detail else row.result or "open"
    return cells if report.kind == "plan" else [*cells, escaped(result)]


def _standing(report: Report) -> Iterator[list[str]]:
    for group in groups(report.standing):
        some = group.companies[:MOST_COMPANIES]
        links = ", ".join(_link(name, number, card(report.origin, "company", number)) for number, name in some)
        more = len(group.companies) - len(some)
        yield [
            f"{group.contacts:,}",
            escaped(reason_sentence(group.reason)),
            _person(group.person, group.name),
            links + (f" and {counted(more, 'other')}" if more else ""),
        ]


def _table(title: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Draw a table; a head that ends with a colon makes its column right-aligned."""
    yield f"\n## {title}\n"
    yield "| " + " | ".join(head.removesuffix(":") for head in heads) + " |"
    yield "| " + " | ".join("---:" if head.endswith(":") else "---" for head in heads) + " |"
    yield from ("| " + " | ".join(line) + " |" for line in lines)


def _link(name: str, number: int, address: str) -> str:
    label = escaped(name) or f"\\#{number}"
    return f"[{label}]({address})" if address else label


def _person(number: int, name: str) -> str:
    return escaped(person(number, name))
