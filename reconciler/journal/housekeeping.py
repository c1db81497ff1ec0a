"""What the journal need not keep any more, and how large and old it is.

An old run goes as a whole, with its changes, so that the numbers of a run that is kept stay right. It stays when it

- has a change that is the last we wrote to its contact: what can be undone, and what "changed back" is told by;
- has a change that came after one that stays: an undo must not reach past a gap;
- has a change whose outcome is open, or that an exception in force rests on;
- was the last one to see the whole portal.

So what is kept for good is bounded by the contacts there are, and not by time. Of what has ended, standing drift goes;
exceptions, but not the latest that a person ended, by which a later edit is judged; and approvals that no change names
that is kept. The windows that look back (flapping, approvals) are shorter than the shortest retention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, event, exists, func, or_, select, update

from reconciler.core.model import Result, Standing
from reconciler.journal import rows, tables
from reconciler.journal.database import Database, make_engine
from reconciler.journal.exceptions import BY_COMPANY_OWNER, BY_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from sqlite3 import Connection as SqliteConnection

    from sqlalchemy import BindParameter, ColumnElement, Connection, FromClause, Select

    from reconciler.clock import Clock

#: Runs, and rows of what has ended, that go in one transaction: whoever else writes waits for no more.
_RUNS_AT_ONCE = 100
_ROWS_AT_ONCE = 5_000
#: Seconds after which the rest is left to the next time.
_LONG_ENOUGH = 20.0

_run, _change, _exception, _approval = tables.run, tables.change, tables.exception, tables.approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much went."""

    runs: int = 0
    changes: int = 0
    standing: int = 0
    exceptions: int = 0
    approvals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What there is."""

    #: Of the file and its write-ahead log.
    size: int
    runs: int
    changes: int
    #: When the oldest run began that is kept; None: there is none.
    oldest: datetime | None


class Housekeeping:
    """The journal's size and age; times are ours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def survey(self) -> Survey:
        """Return how large and how old the journal is."""
        path = self._database.path
        files = [path, path.with_name(f"{path.name}-wal")]
        with self._database.reading() as connection:
            runs, oldest = connection.execute(select(func.count(), func.min(_run.c.started_at))).one()
            changes = connection.execute(select(func.count()).select_from(_change)).scalar_one()
        size = sum(file.stat().st_size for file in files if file.exists())
        return Survey(size=size, runs=runs, changes=changes, oldest=oldest)

    def prune(self, keep: timedelta) -> Pruned:
        """Remove what is older than that and not needed; the caller holds the lease. Raises Stopped between two steps.

        The file does not get smaller: what becomes free in it is used again.
        """
        before = self._clock.now() - keep
        until = self._clock.monotonic() + _LONG_ENOUGH
        with self._database.reading() as connection:
            old = list(connection.execute(_removable(before)).scalars())
        pruned = Pruned()
        # Another engine: with foreign keys each row that goes would be looked for in the whole of each table that
        # could point to it. Here whatever points to nothing is blanked once for many rows.
        engine = make_engine(self._database.path, read_only=False)
        event.listen(engine, "connect", _without_foreign_keys)
        try:
            apart = Database(engine, self._database.path)
            while old and self._clock.monotonic() < until:
                self._clock.sleep(0)
                some, old = old[:_RUNS_AT_ONCE], old[_RUNS_AT_ONCE:]
                with apart.writing() as connection:
                    runs, changes = _remove(connection, some)
                pruned = replace(pruned, runs=pruned.runs + runs, changes=pruned.changes + changes)
            return replace(
                pruned,
                standing=self._sweep_out(apart, until, _ended_standing(before)),
                exceptions=self._sweep_out(apart, until, _ended_exceptions(before)),
                approvals=self._sweep_out(apart, until, _closed_approvals(before)),
            )
        finally:
            engine.dispose()

    def _sweep_out(self, apart: Database, until: float, chosen: Select[int]) -> int:
        table = chosen.selected_columns.id.table  # each chooses the key of its table
        statement = delete(table).where(table.c.id.in_(chosen.limit(_ROWS_AT_ONCE)))
        gone, some = 0, _ROWS_AT_ONCE
        while some == _ROWS_AT_ONCE and self._clock.monotonic() < until:
            self._clock.sleep(0)
            with apart.writing() as connection:
                some = connection.execute(statement).rowcount
            gone += some
        return gone


def _without_foreign_keys(connection: SqliteConnection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _removable(before: datetime) -> Select[int]:
    """Choose the old runs that hold nothing that is needed, the oldest first."""
    later, later_run = _change.alias(), _run.alias()
    mine = _change.c.run_id == _run.c.id
    # Contacts of another portal in this journal may have the same numbers. Worded so that the search begins with the
    # contact: SQLite would take all runs of the portal first.
    of_portal = exists().where(later_run.c.id == later.c.run_id, later_run.c.portal_id == _run.c.portal_id)
    written_again = (
        exists()
        .where(
            later.c.contact_id == _change.c.contact_id,
            later.c.id > _change.c.id,
            later.c.result == Result.APPLIED.value,
            of_portal.correlate(later, _run),
        )
        .correlate(_change, _run)
    )
    needed = exists().where(
        mine, or_(_change.c.result.is_(None), and_(_change.c.result == Result.APPLIED.value, ~written_again))
    )
    excepted = exists().where(mine, _exception.c.change_id == _change.c.id, _exception.c.released_at.is_(None))
    complete = _run.alias()
    # SQLite takes the other columns from the row that has the maximum.
    last_complete = (
        select(complete.c.id, func.max(complete.c.finished_at))
        .where(complete.c.status.in_(rows.SUCCESSES))
        .group_by(complete.c.portal_id)
        .subquery()
    )
    return (
        select(_run.c.id)
        .where(_run.c.finished_at < before, _run.c.id.not_in(select(last_complete.c.id)), ~needed, ~excepted)
        .order_by(_run.c.id)
    )


def _remove(connection: Connection, runs: Sequence[int]) -> tuple[int, int]:
    """Remove these runs, the oldest first, but those with a change after one that stays; return runs and changes."""
    gone = changes = 0
    # Made once: to make a statement takes longer than to carry it out.
    number: BindParameter[int] = bindparam("number")
    stays = select(_follows_one_that_stays(number))
    its_changes, itself = delete(_change).where(_change.c.run_id == number), delete(_run).where(_run.c.id == number)
    for run in runs:
        this = {"number": run}
        if not connection.execute(stays, this).scalar_one():
            changes += connection.execute(its_changes, this).rowcount
            gone += connection.execute(itself, this).rowcount
    for column, key in (
        (_run.c.undoes_run_id, _run.c.id),
        (_approval.c.refused_by_run_id, _run.c.id),
        *(((_change.c.undoes_change_id, _change.c.id), (_exception.c.change_id, _change.c.id)) if changes else ()),
    ):
        lost = update(column.table).where(column.is_not(None), column.not_in(select(key.table.alias().c.id)))
        connection.execute(lost.values({column.name: None}))
    return gone, changes


def _follows_one_that_stays(run: BindParameter[int]) -> ColumnElement[bool]:
    earlier, earlier_run = _change.alias(), _run.alias()
    applied = Result.APPLIED.value
    portal = select(_run.c.portal_id).where(_run.c.id == run).scalar_subquery()
    of_portal = exists().where(earlier_run.c.id == earlier.c.run_id, earlier_run.c.portal_id == portal)
    before = exists().where(
        earlier.c.contact_id == _change.c.contact_id,
        earlier.c.id < _change.c.id,
        earlier.c.result == applied,
        of_portal.correlate(earlier),
    )
    return exists().where(_change.c.run_id == run, _change.c.result == applied, before.correlate(_change))


def _ended_standing(before: datetime) -> Select[int]:
    return select(tables.standing.c.id).where(tables.standing.c.ended_at < before)


def _ended_exceptions(before: datetime) -> Select[int]:
    """Choose the old exceptions, but of those that a person ended the latest of each contact: see `forgiven`."""
    later = _exception.alias()

    def forgiven(of: FromClause) -> ColumnElement[bool]:
        return and_(of.c.kind == Standing.RESPECTED.value, of.c.released_by.not_in([BY_TIME, BY_COMPANY_OWNER]))

    newest = ~exists().where(
        later.c.portal_id == _exception.c.portal_id,
        later.c.contact_id == _exception.c.contact_id,
        forgiven(later),
        or_(
            later.c.since > _exception.c.since, and_(later.c.since == _exception.c.since, later.c.id > _exception.c.id)
        ),
    )
    return select(_exception.c.id).where(_exception.c.released_at < before, ~and_(forgiven(_exception), newest))


def _closed_approvals(before: datetime) -> Select[int]:
    named = select(_change.c.approval_id).where(_change.c.approval_id.is_not(None))
    return select(_approval.c.id).where(_approval.c.closed_at < before, _approval.c.id.not_in(named))
