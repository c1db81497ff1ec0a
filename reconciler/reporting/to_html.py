"""A document as one HTML page that needs nothing else: no resource from anywhere, and a strict policy.

It is whole without its script, which only searches and shows more rows. Jinja2 escapes everything; `finalize` takes
the invisible characters out before that, wherever a name is shown.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from reconciler.core.model import Cause, Result
from reconciler.core.sanitize import display
from reconciler.reporting import aggregates as sums
from reconciler.reporting import wording as facts
from reconciler.reporting.html_tables import carried, page_tables

if TYPE_CHECKING:
    from datetime import tzinfo

    from reconciler.core.model import RunReport
    from reconciler.reporting.report import Report

_MOST_PEOPLE = 20
_MOST_COMPANIES = 5
#: Told by the tiles, the chart and the notes.
_SHOWN_ELSEWHERE = frozenset({"Note", "Causes", "Outcomes"})


def page(report: Report, *, most_rows: int, zone: tzinfo | None) -> str:
    """Return the document as a page."""
    tables = page_tables(report, most_rows, zone)
    people = sums.balances(report)
    style, script = resource("page.css"), resource("page.js")
    return template("page.html").render(
        report=report,
        head=[pair for pair in facts.facts(report, zone) if pair[0] not in _SHOWN_ELSEWHERE],
        tiles=_tiles(report),
        causes=[(one, facts.cause_sentence(Cause(one.cause))) for one in sums.by_cause(report)],
        people_title=sums.balances_title(report, people, _MOST_PEOPLE),
        people=people[:_MOST_PEOPLE],
        tables=tables,
        all_carried=all(len(table.lines) == table.total for table in tables),
        groups=sums.groups(report.standing),
        left=facts.heads(report)[2],
        most_companies=_MOST_COMPANIES,
        # Our own files, whose hashes the policy names, and JSON that cannot end its element.
        style=Markup(style),  # noqa: S704
        style_hash=hashed(style),
        script=Markup(script),  # noqa: S704
        script_hash=hashed(script),
        data=Markup(carried(tables, report.origin)),  # noqa: S704
    )


def page_policy() -> str:
    """Return what a page may load, for a server's header."""
    style, script = hashed(resource("page.css")), hashed(resource("page.js"))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def _tiles(report: Report) -> list[tuple[int, str]]:
    """Return the numbers that the page starts with."""
    counts = report.counts
    planned, left = counts.drift - counts.standing, (counts.standing, "left alone")
    match report.kind:
        case "plan":
            seen = [(counts.compared, "linked contacts"), (counts.companies, "companies")]
            return [(planned, "to change"), left, *seen, *_not_compared(counts)]
        case "undo":
            return [(planned, "to put back"), (counts.standing, "not put back")]
        case "held" if facts.is_over(report):
            return [(counts.drift, "held back")]
        case "held":
            return [(planned, "not written yet"), (counts.standing, "done or already right")]
    if not facts.saw(counts):
        return []
    results = [(counts.outcomes[result], result.value) for result in Result if counts.outcomes.get(result)]
    linked = [] if report.command == "undo" else [(counts.compared, "linked contacts"), *_not_compared(counts)]
    return [*(results or [(planned, "to change")]), left, *linked]


def _not_compared(counts: RunReport) -> list[tuple[int, str]]:
    return [(counts.not_compared, "not compared")] if counts.not_compared else []


def hashed(text: str) -> str:
    """Return what a policy calls a style or a script that stands in the page."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def resource(name: str) -> str:
    """Return a file of this package."""
    return resources.files("reconciler.reporting").joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> Template:
    """Return a template of this package; it escapes everything, and takes the invisible out of what it shows."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "card": facts.card,
        "cause_word": facts.cause_word,
        "counted": facts.counted,
        "lasting": facts.lasting,
        "nothing": facts.nothing,
        "number": "{:,}".format,
        "outcome_words": facts.outcome_words,
        "person": facts.person,
        "reason_sentence": facts.reason_sentence,
        "saw": facts.saw,
        "share": _share,
        "status_words": facts.status_words,
    }
    return environment.from_string(resource(name))


def _share(number: int, most: int) -> str:
    """Return the length of a bar, of 100; what is not nothing can be seen."""
    return f"{max(0.6, 100 * number / most):.1f}" if number else "0"


def _shown(value: Any) -> Any:
    return display(value) if isinstance(value, str) and not isinstance(value, Markup) else value
