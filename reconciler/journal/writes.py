"""What we wrote to contacts, over all runs: the owner last written, how often, and what an undo can be asked about.

Runs follow each other under the lease, so the order of a contact's writes is the order of their rows; the time of day
may have been set back in between.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, or_, select, text

from reconciler.core.model import Result, Rule, Standing
from reconciler.journal import rows, tables
from reconciler.journal.records import ChangeRecord, NothingToUndo, OurWrites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from reconciler.core.model import Cause
    from reconciler.journal.database import Database

_change = tables.change

#: A write of ours on this portal, worded so that the search begins with the contacts.
_written = and_(
    _change.c.result == Result.APPLIED.value,
    select(tables.run.c.id)
    .where(tables.run.c.id == _change.c.run_id, tables.run.c.portal_id == rows.KEY_OF_PORTAL)
    .exists(),
)
#: Also of one that is over by time, whether a run has written that down or not.
_quarantine_ended = (
    select(func.max(func.coalesce(tables.exception.c.released_at, tables.exception.c.expires_at)))
    .where(
        tables.exception.c.portal_id == rows.KEY_OF_PORTAL,
        tables.exception.c.contact_id == _change.c.contact_id,
        tables.exception.c.kind == Standing.QUARANTINED.value,
        or_(tables.exception.c.released_at.is_not(None), tables.exception.c.expires_at <= rows.NOW),
    )
    .scalar_subquery()
)
_SINCE = (
    select(_change.c.contact_id, _change.c.settled_at)
    .where(_written, _change.c.contact_id.in_(rows.CHOSEN), _change.c.settled_at >= bindparam("moment"))
    .where(or_(_quarantine_ended.is_(None), _change.c.settled_at > _quarantine_ended))
    .order_by(_change.c.settled_at)
)
_SINCE_BY_CAUSE = _SINCE.where(_change.c.cause == bindparam("cause"))
_LAST_WRITTEN = (
    # SQLite takes the other columns from the row that has the maximum.
    select(_change.c.contact_id, _change.c.company_id, _change.c.owner_after, func.max(_change.c.id))
    .where(_written, _change.c.contact_id.in_(rows.CHOSEN))
    .group_by(_change.c.contact_id)
)
_LAST_SENT = (
    # As above.
    select(_change.c.contact_id, _change.c.result, _change.c.modified_at, func.max(_change.c.id))
    .where(
        _change.c.intended_at.is_not(None),
        _change.c.contact_id.in_(rows.CHOSEN),
        select(tables.run.c.id)
        .where(tables.run.c.id == _change.c.run_id, tables.run.c.portal_id == rows.KEY_OF_PORTAL)
        .exists(),
    )
    .group_by(_change.c.contact_id)
)
_RULES = select(_change.c.id, _change.c.rule, _change.c.undoes_change_id).where(_change.c.id.in_(rows.CHOSEN))


class Writes:
    """Our writes: only what was read back as applied."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(
        self, portal: str, contacts: Iterable[int], moment: datetime, cause: Cause | None = None, *, now: datetime
    ) -> Mapping[int, list[datetime]]:
        """Return when we wrote these contacts, from `moment` on (by our clock), oldest first; for one cause, or any.

        What led to a quarantine that is over `now` does not count again: it would be back after the next write.
        """
        query, which = (_SINCE, {}) if cause is None else (_SINCE_BY_CAUSE, {"cause": cause.value})
        asked = {"portal": portal, "chosen": rows.as_set(contacts), "moment": moment, "now": now, **which}
        moments: dict[int, list[datetime]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(query, asked):
                moments[row.contact_id].append(row.settled_at)
        return dict(moments)

    def to_undo(
        self, portal: str, *, run: int | None = None, contact: int | None = None, company: int | None = None
    ) -> OurWrites | NothingToUndo:
        """Return the writes of a run, to a contact, or to the contacts of a company (all that are given hold).

        What was taken back does not count, nor does the taking back, except in the run that it made up: so a second
        undo of a contact reaches the write before, and the undo of an undo puts things forward again.
        """
        asked = {"run_id": run, "contact_id": contact, "company_id": company}
        chosen = {name: value for name, value in asked.items() if value is not None}
        with self._database.reading() as connection:
            obstacle = None if run is None else _obstacle(connection, portal, run)
            if obstacle is not None:
                return obstacle
            latest: list[Row[Any]] = []
            superseded: list[Row[Any]] = []
            taken_back: list[Row[Any]] = []
            for history in _histories(connection, portal, chosen, run):
                top, undone = _top(history, run)
                if top is not None and (run in {None, top.run_id}) and (company in {None, top.company_id}):
                    latest.append(top)
                elif run is not None:
                    for write in history:
                        if write.run_id == run:
                            (taken_back if write.id in undone else superseded).append(write)
            if not latest and not superseded and not taken_back:
                return NothingToUndo.NOTHING_WRITTEN
            return OurWrites(
                latest=_sorted(latest),
                superseded=_sorted(superseded),
                taken_back=_sorted(taken_back),
                takings_back=takings_back(connection, {write.contact_id: write.id for write in latest}),
            )


def takings_back(connection: Connection, writes: Mapping[int, int]) -> frozenset[int]:
    """Return the keys of the writes, given by their IDs, that are undos and took something back.

    The undo of such a one puts it forward again, the undo of that takes it back again, and so on.
    """
    found: set[int] = set()
    while writes:
        known = {row.id: row for row in connection.execute(_RULES, {"chosen": rows.as_set(writes.values())})}
        undos = {key: known[one] for key, one in writes.items() if one in known and known[one].rule == Rule.UNDO.value}
        found ^= undos.keys()
        writes = {key: undo.undoes_change_id for key, undo in undos.items() if undo.undoes_change_id is not None}
    return frozenset(found)


def last_written(connection: Connection, portal: str, contacts: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Return contact -> the owner that we wrote last and the company then, of those that we ever wrote."""
    found = connection.execute(_LAST_WRITTEN, {"portal": portal, "chosen": rows.as_set(contacts)})
    return {row.contact_id: (row.owner_after, row.company_id) for row in found}


def last_in_conflict(connection: Connection, portal: str, contacts: Iterable[int]) -> dict[int, datetime]:
    """Return those of these contacts whose last write met somebody's edit -> when they were changed before it."""
    found = connection.execute(_LAST_SENT, {"portal": portal, "chosen": rows.as_set(contacts)})
    return {row.contact_id: row.modified_at for row in found if row.result == Result.CONFLICT.value and row.modified_at}


def _obstacle(connection: Connection, portal: str, run: int) -> NothingToUndo | None:
    query = select(tables.run.c.finished_at, tables.run.c.portal_id == rows.KEY_OF_PORTAL)
    found = connection.execute(query.where(tables.run.c.id == run), {"portal": portal}).first()
    if found is None:
        highest = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'run'")).scalar()
        return NothingToUndo.PRUNED if 0 < run <= (highest or 0) else NothingToUndo.NO_SUCH_RUN
    finished_at, of_portal = found
    if not of_portal:
        return NothingToUndo.NO_SUCH_RUN
    return NothingToUndo.UNDER_WAY if finished_at is None else None


def _histories(
    connection: Connection, portal: str, chosen: Mapping[str, int], run: int | None
) -> Iterator[list[Row[Any]]]:
    """Return for each contact that was written as chosen what we ever wrote to it (since `run`), the latest first."""
    # Made anew: an undo is asked for by hand, and in eight ways.
    contacts = select(_change.c.contact_id).where(_written, *(_change.c[name] == chosen[name] for name in chosen))
    query = (
        select(_change)
        .where(_change.c.contact_id.in_(contacts), _written)
        .where(_change.c.run_id >= (run or 0))
        .order_by(_change.c.contact_id, _change.c.id.desc())
    )
    for _, found in groupby(connection.execute(query, {"portal": portal}), key=lambda row: row.contact_id):
        yield list(found)


def _top(history: list[Row[Any]], run: int | None) -> tuple[Row[Any] | None, set[int]]:
    """Return the write that stands on top of those to one contact, the latest first, and what was taken back above."""
    taken_back: set[int] = set()
    for write in history:
        if write.id in taken_back:
            continue
        if write.rule != Rule.UNDO.value or write.run_id == run:
            return write, taken_back
        # Empty: what it took back is not kept, nor is anything before that (see `housekeeping`).
        taken_back.add(write.undoes_change_id)
    return None, taken_back


def _sorted(writes: list[Row[Any]]) -> tuple[ChangeRecord, ...]:
    by_company = sorted(writes, key=lambda write: (write.company_id, write.contact_id))
    return tuple(rows.change_record(write) for write in by_company)
