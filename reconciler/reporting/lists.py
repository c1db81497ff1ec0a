"""The list of runs, for a terminal and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from reconciler.reporting.build import run_json
from reconciler.reporting.wording import lasting, outcome_words, saw, status_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from reconciler.core.model import RunReport

#: Where two more columns of numbers fit.
_WIDE = 110


class Run(Protocol):
    """What this list needs to know of a run; the journal's records are such."""

    @property
    def report(self) -> RunReport: ...

    @property
    def portal(self) -> str: ...

    @property
    def command(self) -> str: ...

    @property
    def started_at(self) -> datetime: ...

    @property
    def finished_at(self) -> datetime | None: ...


def runs_json(runs: Iterable[Run]) -> dict[str, Any]:
    """Return the runs for scripts, the newest first; `finished_at` is null while a run is under way."""
    return {
        "schema": 1,
        "runs": [
            run_json(run.report)
            | {
                "portal": run.portal,
                "command": run.command,
                "started_at": run.started_at.isoformat(),
                "finished_at": run.finished_at.isoformat() if run.finished_at else None,
            }
            for run in _newest_first(runs)
        ],
    }


def runs_text(runs: Iterable[Run], *, width: int = 100, color: bool = False, zone: tzinfo | None = None) -> str:
    """Return the runs as a table, the newest first; the portal only where there are several."""
    from rich.text import Text  # noqa: PLC0415 - rich costs time, and only text needs it

    from reconciler.reporting import to_text as tables  # noqa: PLC0415 - as above

    shown = _newest_first(runs)
    if not shown:
        return "No run yet.\n"
    several, wide = len({run.portal for run in shown}) > 1, width >= _WIDE
    columns: list[tuple[str, dict[str, object]]] = [("Run", tables.RIGHT), ("Started", tables.WHOLE)]
    columns += [("Portal", {})] if several else []
    columns += [("Command", {}), ("Status", tables.WHOLE)]
    columns += [("Companies", tables.RIGHT), ("Contacts", tables.RIGHT)] if wide else []
    columns += [("Drift", tables.RIGHT), ("Left", tables.RIGHT), ("Outcomes", tables.FOLD), ("Took", tables.RIGHT)]
    made = tables.table(*columns)
    for run in shown:
        counts = run.report
        status = _status(run)
        cells = [Text(str(counts.run or "")), Text(f"{run.started_at.astimezone(zone):%Y-%m-%d %H:%M}")]
        cells += [tables.name(run.portal)] if several else []
        cells += [tables.name(run.command), Text(status, style=tables.STATUS_COLORS.get(status, ""))]
        seen = saw(counts)
        # An undo looks at what we wrote, and no further.
        portal = [counts.companies, counts.compared] if seen and run.command != "undo" else [None, None]
        numbers = [*(portal if wide else []), *([counts.drift, counts.standing] if seen else [None, None])]
        cells += [Text("·" if number is None else f"{number:,}") for number in numbers]
        cells += [Text(outcome_words(counts.outcomes) or "·")]
        cells += [Text(lasting(counts.usage.duration_seconds) if run.finished_at else "·")]
        made.add_row(*cells)
    return tables.draw(made, width=width, color=color)


def _newest_first(runs: Iterable[Run]) -> Sequence[Run]:
    # By number: the time of day may have been set back in between.
    return sorted(runs, key=lambda run: run.report.run or 0, reverse=True)


def _status(run: Run) -> str:
    return status_words(run.report) if run.finished_at else "not finished"
