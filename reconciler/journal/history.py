"""What the status page shows of a portal: its last runs, a month of drift, the latest changes. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from reconciler.core.model import Result, Status
from reconciler.journal import rows, tables
from reconciler.journal.records import ChangeRecord, Look, RunRecord

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.journal.database import Database

_run, _change = tables.run, tables.change
_DONE = (Result.APPLIED.value, Result.ALREADY.value)


class History:
    """The past, as far as the journal keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self, portal: str, limit: int) -> list[RunRecord]:
        """Return the portal's latest runs, newest first."""
        query = rows.RUNS.where(tables.portal.c.name == rows.PORTAL).order_by(_run.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            found = connection.execute(query, {"portal": portal}).all()
            outcomes = rows.count_outcomes(connection, [row.id for row in found])
        return [rows.run_record(row, outcomes[row.id]) for row in found]

    def looks(self, portal: str, since: datetime) -> list[Look]:
        """Return every finished run since then in short, oldest first; what takes something back is none."""
        ours = _run.c.portal_id == rows.KEY_OF_PORTAL
        query = (
            select(_run.c.id, _run.c.started_at, _run.c.status, _run.c.drift, _run.c.standing)
            .where(ours, _run.c.started_at >= since, _run.c.status.is_not(None), _run.c.command != "undo")
            .order_by(_run.c.id)
        )
        with self._database.reading() as connection:
            found = connection.execute(query, {"portal": portal}).all()
            if not found:
                return []
            done = (
                select(_change.c.run_id, func.count().label("changes"))
                .where(_change.c.run_id.between(found[0].id, found[-1].id), _change.c.result.in_(_DONE))
                .group_by(_change.c.run_id)
            )
            corrected = {row.run_id: row.changes for row in connection.execute(done)}
        return [
            Look(
                at=row.started_at,
                status=Status(row.status),
                drift=row.drift,
                standing=row.standing,
                corrected=corrected.get(row.id, 0),
            )
            for row in found
        ]

    def changes(self, portal: str, limit: int) -> list[ChangeRecord]:
        """Return the portal's latest changes, newest first."""
        # Not a join: SQLite would begin with the runs, and sort all of their changes.
        ours = exists().where(_run.c.id == _change.c.run_id, _run.c.portal_id == rows.KEY_OF_PORTAL)
        query = select(_change).where(ours).order_by(_change.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [rows.change_record(row) for row in connection.execute(query, {"portal": portal})]
