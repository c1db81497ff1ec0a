"""Drift that stands: noted when it appears and when it ends, not 144 times a day.

Its cause stays with it. What was created, linked or edited before the last sweep looks the same in the next one, and
without this record a backlog would turn into "newly linked" after ten minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, Table, Text, and_, bindparam, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Cause, Mismatch
from reconciler.journal import rows, tables
from reconciler.journal.records import StandingDrift

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_standing = tables.standing
_WHAT = ("contact_id", "company_id", "owner_id", "company_owner_id")
_COLUMNS = (*_WHAT, "reason", "cause")
_now = Table(
    "standing_now",
    tables.temporary,
    Column("contact_id", Integer, primary_key=True),
    Column("company_id", Integer, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("company_owner_id", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text, nullable=False),
    prefixes=["TEMPORARY"],
)

_unended = _standing.c.ended_at.is_(None)
_of_key = and_(_standing.c.portal_id == rows.KEY, _unended)
_of_portal = and_(_standing.c.portal_id == rows.KEY_OF_PORTAL, _unended)
_same = exists().where(*(_now.c[name] == _standing.c[name] for name in _COLUMNS))
_known = exists().where(_of_key, _standing.c.contact_id == _now.c.contact_id)
_END_OTHERS = update(_standing).where(_of_key, ~_same).values(ended_at=rows.NOW)
_APPEAR = insert(_standing).from_select(
    ["portal_id", *_COLUMNS, "appeared_at"],
    # Of what is still present no contact can have appeared.
    select(rows.KEY, *(_now.c[name] for name in _COLUMNS), rows.NOW).where(~_known),
)
_END = (
    update(_standing)
    .where(
        _standing.c.portal_id
        == select(tables.run.c.portal_id).where(tables.run.c.id == bindparam("run")).scalar_subquery(),
        _unended,
        _standing.c.contact_id.in_(rows.CHOSEN),
    )
    .values(ended_at=rows.NOW)
)
_CAUSES = select(*(_standing.c[name] for name in (*_WHAT, "cause"))).where(
    _of_portal, _standing.c.contact_id.in_(rows.CHOSEN)
)
_LEFT_FOR = select(*(_standing.c[name] for name in _WHAT)).where(_of_portal, _standing.c.reason == bindparam("why"))
_PRESENT = select(_standing).where(_of_portal).order_by(_standing.c.company_id, _standing.c.contact_id)


def remember(connection: Connection, key: int, left: Iterable[tuple[Mismatch, str, Cause]], taken_at: datetime) -> None:
    """Store what a complete sweep left as it is: (mismatch, reason, cause); what is not among it has ended."""
    with rows.staged(
        connection, _now, ((*_what(mismatch), str(reason), cause.value) for mismatch, reason, cause in left)
    ):
        connection.execute(_END_OTHERS, {"key": key, "now": taken_at})
        connection.execute(_APPEAR, {"key": key, "now": taken_at})


def end(connection: Connection, run: int, contacts: list[int], now: datetime) -> None:
    """Store that these contacts of the run's portal do not stand any more."""
    connection.execute(_END, {"run": run, "chosen": rows.as_set(contacts), "now": now})


def known(
    connection: Connection, portal: str, mismatches: Sequence[Mismatch]
) -> tuple[dict[Mismatch, Cause], dict[int, int]]:
    """Return which of these the last sweep left just as they are now, with their causes.

    And contact -> company of each that it left at all.
    """
    chosen = rows.as_set(mismatch.contact for mismatch in mismatches)
    found_causes = connection.execute(_CAUSES, {"portal": portal, "chosen": chosen})
    causes = {tuple(what): cause for *what, cause in found_causes}
    found = ((mismatch, causes.get(_what(mismatch))) for mismatch in mismatches)
    companies = {contact: company for contact, company, _, _ in causes}
    return {mismatch: Cause(cause) for mismatch, cause in found if cause is not None}, companies


def left_for(connection: Connection, portal: str, reason: str) -> frozenset[Mismatch]:
    """Return what the last complete sweep left for this reason."""
    return frozenset(
        Mismatch(contact=contact, company=company, owner=owner, company_owner=company_owner)
        for contact, company, owner, company_owner in connection.execute(_LEFT_FOR, {"portal": portal, "why": reason})
    )


def present(connection: Connection, portal: str) -> list[StandingDrift]:
    """Return what stands now, sorted by company, then contact."""
    return [
        StandingDrift(
            mismatch=Mismatch(
                contact=row.contact_id, company=row.company_id, owner=row.owner_id, company_owner=row.company_owner_id
            ),
            reason=row.reason,
            cause=Cause(row.cause),
            since=row.appeared_at,
        )
        for row in connection.execute(_PRESENT, {"portal": portal})
    ]


def _what(mismatch: Mismatch) -> tuple[int, int, int, int]:
    return mismatch.contact, mismatch.company, mismatch.owner, mismatch.company_owner
