"""A document as one HTML page that needs nothing else: no script, no resource from anywhere, a strict policy.

Jinja2 escapes everything; `finalize` takes the invisible characters out before that, wherever a name is shown.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from reconciler.ops import facts
from reconciler.ops.display import display

if TYPE_CHECKING:
    from datetime import tzinfo

    from reconciler.ops.report import Report

_MOST_PEOPLE = 10


def page(report: Report, *, most_rows: int, zone: tzinfo | None) -> str:
    """Return the document as a page."""
    style = _resource("page.css")
    rows = facts.urgent_first(report.changes)[:most_rows]
    hidden = len(report.changes) - len(rows)
    head = facts.facts(report, zone)
    people_title, people = facts.balances(report.changes, _MOST_PEOPLE)
    return _template().render(
        report=report,
        plan=report.kind == "plan",
        head=[pair for pair in head if pair[0] != "Note"],
        people_title=people_title,
        people=people if facts.is_large(report) else [],
        rows=rows,
        hint=facts.rest_hint(report, hidden).split("`") if hidden else None,
        groups=facts.groups(report.standing),
        most_companies=facts.MOST_COMPANIES,
        style=Markup(style),  # noqa: S704 - our own file, and the policy names its hash
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


@cache
def _resource(name: str) -> str:
    return resources.files("reconciler.ops").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "card": facts.card,
        "person": facts.person,
        "reason_sentence": facts.reason_sentence,
        "counted": facts.counted,
    }
    return environment.from_string(_resource("page.html"))


def _shown(value: Any) -> Any:
    return display(value) if isinstance(value, str) and not isinstance(value, Markup) else value
