"""Documents as JSON, for scripts: a contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Cause, Result, RunReport, Standing, Status
from reconciler.reporting.aggregates import balances

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.reporting.report import Report, Row


def run_json(report: RunReport) -> dict[str, Any]:
    """Return a run for scripts: a flat object."""
    document: dict[str, Any] = {
        "schema": 1,
        "run": report.run,
        "status": report.status.value,
        "companies": report.companies,
        "contacts": report.contacts,
        "not_compared": report.not_compared,
        "drift": report.drift,
        "standing": report.standing,
        **{result.value: report.outcomes.get(result, 0) for result in Result},
        "reasons": {reason.value: report.reasons[reason] for reason in Standing if report.reasons.get(reason)},
        "causes": {cause.value: report.causes[cause] for cause in Cause if report.causes.get(cause)},
        "requests": report.usage.requests,
        "commands": report.usage.commands,
        "operating_seconds": round(report.usage.operating_seconds, 3),
        "duration_seconds": round(report.usage.duration_seconds, 3),
    }
    return document if report.error is None else document | {"error": report.error}


def as_json(report: Report) -> dict[str, Any]:
    """Return the whole document for scripts: the run's keys, and the rows.

    A plan or an undo has no run and no outcomes yet: `run` is null and every outcome is 0; `status` is `planned`, and
    where nothing would be written `in_sync` or `nothing_to_undo`.
    """
    return _head(report) | {name: list(rows) for name, rows in _tables(report)}


def json_pieces(report: Report) -> Iterator[str]:
    """Yield the text of the whole document, a row on a line.

    A plan may have 50,000 rows: built as one value and indented, they took 100 MB.
    """
    yield json_text(_head(report)).removesuffix("\n}")
    for name, rows in _tables(report):
        yield f',\n  "{name}": ['
        lines = (json_text(row, indent=None) for row in rows)
        first = next(lines, None)
        if first is not None:
            yield f"\n    {first}"
            yield from (f",\n    {line}" for line in lines)
            yield "\n  "
        yield "]"
    yield "\n}\n"


def _head(report: Report) -> dict[str, Any]:
    """Return the document without its rows."""
    document = run_json(report.counts) | {"portal": report.portal, "origin": report.origin, "notes": list(report.notes)}
    if report.kind != "run":
        nothing = Status.IN_SYNC.value if report.kind == "plan" else "nothing_to_undo"
        document["status"] = "planned" if report.changes else nothing
        return document | {"digest": report.digest, "taken_at": report.started_at.isoformat()}
    return document | {
        "digest": report.digest or None,
        "command": report.command,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at.isoformat() if report.finished_at else None,
    }


def _tables(report: Report) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield the names of the lists that end the document, and their rows."""
    yield "people", ({slot: getattr(one, slot) for slot in one.__slots__} for one in balances(report))
    if report.kind == "run":
        rows = report.changes
        yield "changes", (_row_json(row) | {"result": row.result or None, "detail": row.detail} for row in rows)
    else:
        yield "changes", map(_row_json, report.changes)
        left = (_row_json(row) | {"reason": row.result, "detail": row.detail} for row in report.standing)
        yield ("skipped" if report.kind == "plan" else "left"), left


def _row_json(row: Row) -> dict[str, Any]:
    """Return a row; nothing of cause, rule and last edit where there is none, or nobody asked."""
    document = {slot: getattr(row, slot) for slot in _ALWAYS}
    if row.cause:
        document["cause"] = row.cause
    if row.rule:
        document |= {"rule": row.rule, "company_owner": row.company_owner, "company_owner_name": row.company_owner_name}
    if row.last_edited_at:
        document |= {
            "last_edited_by": row.last_edited_by,
            "last_edited_by_name": row.last_edited_by_name,
            "last_edited_at": row.last_edited_at.isoformat(),
        }
    return document


_ALWAYS = (
    "contact",
    "contact_name",
    "company",
    "company_name",
    "before",
    "before_name",
    "after",
    "after_name",
)


def json_text(document: Mapping[str, Any] | Sequence[Any], *, indent: int | None = 2) -> str:
    """Write JSON that is safe to print: letters of any alphabet stay readable, invisible characters are escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    # `json` itself has escaped all that ends a line, but for the ends of lines it made.
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else "".join(map(_escaped, line)) for line in lines)


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else "\\u007f" if letter == "\x7f" else json.dumps(letter)[1:-1]
