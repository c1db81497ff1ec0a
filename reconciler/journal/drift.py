"""Drift that stands: noted when it appears and when it ends, not 144 times a day (DESIGN 7).

Its cause stays with it. What was created, linked or edited before the last sweep looks the same in the next one, and
without this record a backlog would turn into "newly linked" after ten minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, MetaData, Table, Text, and_, exists, literal, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Cause, Mismatch
from reconciler.journal import rows, tables
from reconciler.journal.records import StandingDrift

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

_standing = tables.standing
_WHAT = ("contact_id", "company_id", "owner_id", "company_owner_id")
_COLUMNS = (*_WHAT, "reason", "cause")
_now = Table(
    "standing_now",
    MetaData(),
    Column("contact_id", Integer, primary_key=True),
    Column("company_id", Integer, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("company_owner_id", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text, nullable=False),
    prefixes=["TEMPORARY"],
)


def remember(connection: Connection, key: int, left: Iterable[tuple[Mismatch, str, Cause]], taken_at: datetime) -> None:
    """Store what a complete sweep left as it is: (mismatch, reason, cause); what is not among it has ended."""
    present = and_(_standing.c.portal_id == key, _standing.c.ended_at.is_(None))
    same = exists().where(*(_now.c[name] == _standing.c[name] for name in _COLUMNS))
    known = exists().where(present, _standing.c.contact_id == _now.c.contact_id)
    with rows.staged(
        connection, _now, ((*_what(mismatch), str(reason), cause.value) for mismatch, reason, cause in left)
    ):
        connection.execute(update(_standing).where(present, ~same).values(ended_at=taken_at))
        # Of what is still present no contact can have appeared.
        new = select(
            literal(key), *(_now.c[name] for name in _COLUMNS), literal(taken_at, type_=_standing.c.appeared_at.type)
        ).where(~known)
        connection.execute(insert(_standing).from_select(["portal_id", *_COLUMNS, "appeared_at"], new))


def end(connection: Connection, run: int, contacts: list[int], now: datetime) -> None:
    """Store that these contacts of the run's portal do not stand any more."""
    portal = select(tables.run.c.portal_id).where(tables.run.c.id == run).scalar_subquery()
    chosen = update(_standing).where(_standing.c.portal_id == portal, _standing.c.ended_at.is_(None))
    connection.execute(chosen.where(_standing.c.contact_id.in_(rows.numbers(contacts))).values(ended_at=now))


def known(connection: Connection, portal: str, mismatches: Sequence[Mismatch]) -> dict[Mismatch, Cause]:
    """Return which of these the last sweep left just as they are now, with their causes."""
    query = (
        select(*(_standing.c[name] for name in (*_WHAT, "cause")))
        .where(*_is_present(portal))
        .where(_standing.c.contact_id.in_(rows.numbers(mismatch.contact for mismatch in mismatches)))
    )
    causes = {tuple(what): cause for *what, cause in connection.execute(query)}
    found = ((mismatch, causes.get(_what(mismatch))) for mismatch in mismatches)
    return {mismatch: Cause(cause) for mismatch, cause in found if cause is not None}


def present(connection: Connection, portal: str) -> list[StandingDrift]:
    """Return what stands now, sorted by company, then contact."""
    query = select(_standing).where(*_is_present(portal))
    return [
        StandingDrift(
            mismatch=Mismatch(
                contact=row.contact_id, company=row.company_id, owner=row.owner_id, company_owner=row.company_owner_id
            ),
            reason=row.reason,
            cause=Cause(row.cause),
            since=row.appeared_at,
        )
        for row in connection.execute(query.order_by(_standing.c.company_id, _standing.c.contact_id))
    ]


def _is_present(portal: str) -> tuple[ColumnElement[bool], ...]:
    return _standing.c.portal_id == rows.key_of(portal), _standing.c.ended_at.is_(None)


def _what(mismatch: Mismatch) -> tuple[int, int, int, int]:
    return mismatch.contact, mismatch.company, mismatch.owner, mismatch.company_owner
