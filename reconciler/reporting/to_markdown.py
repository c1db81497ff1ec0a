"""Documents as Markdown, for an issue or a wiki.

Every name is escaped letter by letter, so that none becomes a link, a heading, HTML or a mention of somebody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.core.model import Cause
from reconciler.core.sanitize import display
from reconciler.reporting.aggregates import balances, balances_title, by_cause, groups, is_large, urgent_first
from reconciler.reporting.wording import (
    card,
    cause_sentence,
    cause_word,
    counted,
    facts,
    heads,
    person,
    reason_sentence,
    rest_hint,
    rule_word,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from reconciler.reporting.report import Report, Row

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
_MOST_COMPANIES = 5
_MOST_PEOPLE = 20


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
    plain = [(label, value) for label, value in facts(report, zone, brief=is_large(report)) if label != "Note"]
    yield from (f"- **{label}**: {escaped(value)}" for label, value in plain)
    yield from (f"\n> {escaped(note)}" for note in report.notes)
    if is_large(report):
        yield from _sums(report)
    if report.changes:
        yield from _changes(report, most_rows)
    if report.standing:
        whose = "Old owner" if report.kind == "undo" else "Company's owner"
        yield from _table(heads(report)[2], ("Contacts:", "Why", whose, "Companies"), _standing(report))


def _sums(report: Report) -> Iterator[str]:
    if causes := by_cause(report):
        means = ((f"{one.contacts:,}", cause_word(one.cause), cause_sentence(Cause(one.cause))) for one in causes)
        yield from _table("By cause", ("Contacts:", "Cause", "What it means"), means)
    if people := balances(report):
        some = people[:_MOST_PEOPLE]
        lines = [(_person(one.person, one.name), f"{one.gains:,}", f"{one.loses:,}") for one in some]
        yield from _table(balances_title(report, people, _MOST_PEOPLE), ("Person", "Gains:", "Loses:"), lines)


def _changes(report: Report, most_rows: int) -> Iterator[str]:
    rows = urgent_first(report.changes)[:most_rows]
    total = len(report.changes) + report.omitted
    hidden = total - len(rows)
    title = "To put back" if report.kind == "undo" else "Changes"
    title += f" ({len(rows):,} of {total:,})" if hidden else f" ({len(rows):,})"
    before, after, _ = heads(report)
    columns = ["Contact", "Company", before, after]
    columns += [] if report.kind == "undo" else ["Cause"]
    columns += ["Result"] if report.kind == "run" else []
    yield from _table(title, columns, (_cells(report, row) for row in rows))
    if hidden:
        words, *command = rest_hint(report, hidden).split("`")
        yield f"\n{words}" + (f"`{command[0]}`" if command else "")


def _cells(report: Report, row: Row) -> list[str]:
    rule = rule_word(row.rule)
    cells = [
        _link(row.contact_name, row.contact, card(report.origin, "contact", row.contact)),
        _link(row.company_name, row.company, card(report.origin, "company", row.company)),
        _person(row.before, row.before_name),
        _person(row.after, row.after_name) + (f" ({rule})" if rule else ""),
    ]
    cells += [] if report.kind == "undo" else [escaped(cause_word(row.cause))]
    result = f"{row.result or 'open'}: {row.detail}" if row.detail else row.result or "open"
    return [*cells, escaped(result)] if report.kind == "run" else cells


def _standing(report: Report) -> Iterator[list[str]]:
    for group in groups(report.standing):
        some = group.companies[:_MOST_COMPANIES]
        links = ", ".join(_link(name, number, card(report.origin, "company", number)) for number, name in some)
        more = len(group.companies) - len(some)
        yield [
            f"{group.contacts:,}",
            escaped(reason_sentence(group.reason)),
            escaped(group.whose),
            links + (f" and {counted(more, 'other')}" if more else ""),
        ]


def _table(title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Draw a table; a head that ends with a colon makes its column right-aligned."""
    yield f"\n## {title}\n"
    yield "| " + " | ".join(column.removesuffix(":") for column in columns) + " |"
    yield "| " + " | ".join("---:" if column.endswith(":") else "---" for column in columns) + " |"
    yield from ("| " + " | ".join(line) + " |" for line in lines)


def _link(name: str, number: int, address: str) -> str:
    label = escaped(name) or f"\\#{number}"
    return f"[{label}]({address})" if address else label


def _person(number: int, name: str) -> str:
    return escaped(person(number, name))
