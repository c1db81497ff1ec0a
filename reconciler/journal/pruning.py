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

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select

from reconciler.core.model import Result, Standing
from reconciler.journal import rows, tables
from reconciler.journal.exceptions import BY_COMPANY_OWNER, BY_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from sqlalchemy import BindParameter, ColumnElement, Connection, FromClause, Select

    from reconciler.clock import Clock
    from reconciler.journal.database import Database

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
    #: Whether all went that may go; else the rest goes the next time.
    finished: bool = True


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

    def prune(self, keep: timedelta, now: datetime, lease: Callable[[], AbstractContextManager[None]]) -> Pruned:
        """Remove what is older than that and not needed, in steps that each hold the `lease` for a moment.

        `now` is the portal's time. What goes must be old by it and by our own clock, so that one that is ahead removes
        nothing. Raises LeaseHeldError and Stopped between two steps; what is gone by then is gone as a whole. The file
        does not get smaller: what becomes free in it is used again.
        """
        before = min(self._clock.now(), now) - keep
        # The search takes longest, and needs no lease: each step looks again whether its runs may still go.
        with self._database.reading() as connection:
            old = _without_gaps(connection, list(connection.execute(_removable(before)).scalars()))
        until = self._clock.monotonic() + _LONG_ENOUGH
        pruned = Pruned()
        while old and self._clock.monotonic() < until:
            some, old = old[:_RUNS_AT_ONCE], old[_RUNS_AT_ONCE:]
            with self._step(lease) as connection:
                still = connection.execute(_unneeded(before).where(_run.c.id.between(some[0], some[-1]))).scalars()
                runs, changes = _remove(connection, sorted(set(some) & set(still)))
            pruned = replace(pruned, runs=pruned.runs + runs, changes=pruned.changes + changes)
        return replace(
            pruned,
            standing=self._sweep_out(lease, until, _ended_standing(before)),
            exceptions=self._sweep_out(lease, until, _ended_exceptions(before)),
            approvals=self._sweep_out(lease, until, _closed_approvals(before)),
            finished=self._clock.monotonic() < until,
        )

    @contextmanager
    def _step(self, lease: Callable[[], AbstractContextManager[None]]) -> Iterator[Connection]:
        self._clock.sleep(0)  # where a stop was asked for, it ends here
        with lease(), self._database.writing() as connection:
            yield connection

    def _sweep_out(self, lease: Callable[[], AbstractContextManager[None]], until: float, chosen: Select[int]) -> int:
        table = chosen.selected_columns.id.table  # each chooses the key of its table
        statement = delete(table).where(table.c.id.in_(chosen.limit(_ROWS_AT_ONCE)))
        gone, some = 0, _ROWS_AT_ONCE
        while some == _ROWS_AT_ONCE and self._clock.monotonic() < until:
            with self._step(lease) as connection:
                some = connection.execute(statement).rowcount
            gone += some
        return gone


def _without_gaps(connection: Connection, runs: Sequence[int]) -> list[int]:
    """Return those of the runs, the oldest first, that have no change after one that stays."""
    if not runs:
        return []
    may_go = set(runs)
    #: Contacts, by portal, with a change that stays.
    kept: set[tuple[int, int]] = set()
    changes = connection.execute(
        select(_change.c.run_id, _run.c.portal_id, _change.c.contact_id)
        .join_from(_run, _change)
        .where(_run.c.id <= runs[-1], _change.c.result == Result.APPLIED.value)
        .order_by(_run.c.id)
    )
    for run, found in groupby(changes, key=itemgetter(0)):
        written = {(portal, contact) for _, portal, contact in found}
        if run not in may_go or not kept.isdisjoint(written):
            kept |= written
            may_go.discard(run)
    return sorted(may_go)


def _removable(before: datetime) -> Select[int]:
    """Choose the old runs that hold nothing that is needed, the oldest first, but the latest complete one."""
    complete = _run.alias()
    # SQLite takes the other columns from the row that has the maximum.
    last_complete = (
        select(complete.c.id, func.max(complete.c.finished_at))
        .where(complete.c.status.in_(rows.SUCCESSES))
        .group_by(complete.c.portal_id)
        .subquery()
    )
    return _unneeded(before).where(_run.c.id.not_in(select(last_complete.c.id)))


def _unneeded(before: datetime) -> Select[int]:
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
    return (
        select(_run.c.id)
        .where(
            _run.c.finished_at < before,
            # By the portal's clock, where the run heard it: ours may have been behind then.
            or_(_run.c.snapshot_at.is_(None), _run.c.snapshot_at < before),
            ~needed,
            ~excepted,
        )
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
    return select(tables.standing.c.id).where(
        tables.standing.c.ended_at < before, tables.standing.c.appeared_at < before
    )


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
    return select(_exception.c.id).where(
        _exception.c.released_at < before, _exception.c.since < before, ~and_(forgiven(_exception), newest)
    )


def _closed_approvals(before: datetime) -> Select[int]:
    named = select(_change.c.approval_id).where(_change.c.approval_id.is_not(None))
    return select(_approval.c.id).where(
        _approval.c.closed_at < before, _approval.c.created_at < before, _approval.c.id.not_in(named)
    )
