"""Documents as text for a terminal or a pipe, drawn by rich.

Names reach rich as `Text`, cleaned by `display`: never as markup, never with escape codes of their own. Numbers of
records are never cut; names are, with an ellipsis.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reconciler.core.model import Cause, Result
from reconciler.core.sanitize import display
from reconciler.reporting.aggregates import (
    balances,
    balances_title,
    by_cause,
    detail_counts,
    groups,
    is_large,
    urgent_first,
)
from reconciler.reporting.wording import (
    card,
    cause_sentence,
    cause_word,
    facts,
    heads,
    nothing,
    person,
    reason_sentence,
    rest_hint,
    rule_word,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from rich.console import RenderableType

    from reconciler.reporting.report import Report, Row

_MOST_PEOPLE = 10
#: Cards whose address is written out below a table that has no room for a column of them.
_MOST_CARDS = 5
_MOST_COMPANIES = 3
_MOST_DETAILS = 10
#: Cells that the columns beside the link need to stay readable.
_ROOM_FOR_NAMES = 90
#: rich takes width from columns that may wrap, as long as there are any: numbers and addresses are never cut.
WHOLE: dict[str, object] = {"no_wrap": True}
RIGHT: dict[str, object] = {"no_wrap": True, "justify": "right"}
FOLD: dict[str, object] = {"overflow": "fold"}
STATUS_COLORS = {"applied": "green", "in sync": "green", "failed": "red", "incomplete": "red", "partial": "yellow"}
_HEAD_COLORS = {"Error": "red", "Note": "yellow"}
_COLORS: dict[str, str] = {
    Result.APPLIED: "green",
    Result.ALREADY: "green",
    Result.CONFLICT: "yellow",
    Result.GONE: "yellow",
    Result.DENIED: "red",
    Result.FAILED: "red",
    Result.UNKNOWN: "red",
}


def text(report: Report, *, width: int, color: bool, most_rows: int, zone: tzinfo | None) -> str:
    """Return the document as text."""
    parts: list[RenderableType] = [Text(display(report.title), style="bold"), "", _head(report, zone)]
    if is_large(report):
        parts += _causes(report) + _people(report)
    if report.changes:
        parts += _changes(report, width, most_rows)
    elif report.kind != "run":
        parts += ["", Text(nothing(report))]
    if details := detail_counts(report.changes, _MOST_DETAILS):
        parts += _details(details)
    if report.standing:
        parts += _standing(report)
    return draw(Group(*parts), width=width, color=color)


def draw(content: RenderableType, *, width: int, color: bool) -> str:
    """Return what rich makes of the content: no codes at all without colour, no blanks at the ends of lines."""
    out = io.StringIO()
    # All that rich would otherwise guess from the environment is given.
    console = Console(
        file=out,
        width=width,
        height=25,
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )
    console.print(content)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).strip("\n") + "\n"


def table(*columns: tuple[str, dict[str, object]]) -> Table:
    """Return an empty table in the house style: one rule below the head, no frame."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title, options in columns:
        made.add_column(title, **options)  # type: ignore[arg-type] # rich's own names
    return made


def _head(report: Report, zone: tzinfo | None) -> Padding:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, value in facts(report, zone, brief=is_large(report)):
        grid.add_row(Text(label), Text(display(value), style=_HEAD_COLORS.get(label, "")))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _section(title: str, content: RenderableType) -> list[RenderableType]:
    return ["", Text(title, style="bold"), "", Padding(content, (0, 0, 0, 2), expand=False)]


def _causes(report: Report) -> list[RenderableType]:
    found = by_cause(report)
    if not found:
        return []
    made = table(("Contacts", RIGHT), ("Cause", WHOLE), ("What it means", FOLD))
    for one in found:
        made.add_row(Text(f"{one.contacts:,}"), Text(cause_word(one.cause)), Text(cause_sentence(Cause(one.cause))))
    return _section("By cause", made)


def _people(report: Report) -> list[RenderableType]:
    people = balances(report)
    if not people:
        return []
    made = table(("Person", {}), ("#", RIGHT), ("gains", RIGHT), ("loses", RIGHT))
    for one in people[:_MOST_PEOPLE]:
        made.add_row(
            name(one.name or ("" if one.person else "nobody")),
            Text(str(one.person or "")),
            Text(f"{one.gains:,}" if one.gains else "·"),
            Text(f"{one.loses:,}" if one.loses else "·"),
        )
    return _section(balances_title(report, people, _MOST_PEOPLE), made)


def _changes(report: Report, width: int, most_rows: int) -> list[RenderableType]:
    rows = urgent_first(report.changes)[:most_rows]
    total = len(report.changes) + report.omitted
    hidden = total - len(rows)
    longest = max((len(card(report.origin, "contact", row.contact)) for row in rows), default=0)
    linked = bool(longest) and width >= _ROOM_FOR_NAMES + longest
    # A column that says the same in each row takes room from the names.
    caused = len({row.cause for row in report.changes}) > 1
    ruled = any(rule_word(row.rule) for row in rows)
    # The journal keeps no names of contacts.
    named = any(row.contact_name for row in rows)
    before, after, _ = heads(report)
    columns: list[tuple[str, dict[str, object]]] = [("#" if named else "Contact", RIGHT)]
    columns += [("Contact", {})] if named else []
    columns += [("Company", {}), (before, {}), (after, {})]
    columns += [("By rule", FOLD)] if ruled else []
    columns += [("Cause", FOLD)] if caused else []
    columns += [("Result", WHOLE)] if report.kind == "run" else []
    columns += [("Card", WHOLE)] if linked else []
    made = table(*columns)
    for row in rows:
        cells = [Text(str(row.contact)), *([name(row.contact_name)] if named else [])]
        cells += [name(row.company_name or f"#{row.company}")]
        cells += [name(person(row.before, row.before_name)), name(person(row.after, row.after_name))]
        cells += [name(rule_word(row.rule))] if ruled else []
        cells += [name(cause_word(row.cause))] if caused else []
        cells += [_result(row.result)] if report.kind == "run" else []
        cells += [Text(card(report.origin, "contact", row.contact), style="dim")] if linked else []
        made.add_row(*cells)
    title = "To put back" if report.kind == "undo" else "Changes"
    parts = _section(title + (f" ({len(rows):,} of {total:,})" if hidden else ""), made)
    if hidden:
        parts += ["", Text("  " + rest_hint(report, hidden), style="dim")]
    if longest and not linked:
        parts += _section("Cards", _cards(report.origin, rows))
    return parts


def _cards(origin: str, rows: Sequence[Row]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim")
    for row in rows[:_MOST_CARDS]:
        grid.add_row(Text(card(origin, "contact", row.contact)), name(row.contact_name))
    return grid


def _details(details: Sequence[tuple[str, str, int]]) -> list[RenderableType]:
    made = table(("Contacts", RIGHT), ("Result", WHOLE), ("Why", FOLD))
    for result, detail, contacts in details:
        made.add_row(Text(f"{contacts:,}"), _result(result), Text(display(detail)))
    return _section("Not as planned", made)


def _standing(report: Report) -> list[RenderableType]:
    whose = "Old owner" if report.kind == "undo" else "Company's owner"
    made = table(("Contacts", RIGHT), ("Why", FOLD), (whose, {}), ("Companies", FOLD))
    for group in groups(report.standing):
        some = [display(name) or f"#{number}" for number, name in group.companies[:_MOST_COMPANIES]]
        more = len(group.companies) - len(some)
        made.add_row(
            Text(f"{group.contacts:,}"),
            Text(display(reason_sentence(group.reason))),
            name(group.whose),
            Text(", ".join(some) + (f" and {more:,} more" if more else "")),
        )
    return _section(heads(report)[2], made)


def _result(result: str) -> Text:
    return Text(display(result) or "open", style=_COLORS.get(result, "yellow"))


def name(name_: str) -> Text:
    """Return a name as a cell of one line, cut where it must be."""
    return Text(display(name_), no_wrap=True, overflow="ellipsis")
