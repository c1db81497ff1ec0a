"""The roster: company -> owner, with the owners that it had before; and when a complete sweep last saw it.

A sweep brings all companies, of which a handful moved: the database compares, and what stays the same is not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, Table, bindparam, literal, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.journal import rows, tables
from reconciler.journal.records import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

#: In `sweep_progress`: a sweep that read every company and every linked contact.
_KIND = "pages"
#: Owners before the previous one that are kept: a contact may lag behind by some hand-overs, not by all there were.
_OLDER_KEPT = 20
#: Companies with a new owner that are in memory at once.
_MOVED_AT_ONCE = 20_000

_company = tables.company
_progress = tables.sweep_progress
_OWNERS = (_company.c.company_id, _company.c.owner_id, _company.c.previous_owner_id, _company.c.older_owner_ids)
_now = Table(
    "roster_now",
    MetaData(),
    Column("company_id", Integer, primary_key=True),
    Column("owner_id", Integer, nullable=False),
    prefixes=["TEMPORARY"],
)


def last_sweep(connection: Connection, portal: str) -> Sweep | None:
    """Return the last complete sweep of this portal."""
    query = select(_progress.c.complete_since, _progress.c.complete_rows).where(
        _progress.c.portal_id == rows.key_of(portal), _progress.c.kind == _KIND, _progress.c.complete_since.is_not(None)
    )
    found = connection.execute(query).first()
    return None if found is None else Sweep(taken_at=found.complete_since, companies=found.complete_rows)


def earlier_owners(connection: Connection, portal: str, companies: Mapping[int, int]) -> dict[int, frozenset[int]]:
    """Return the owners that these companies had before the present ones, which are given; most never had another."""
    query = select(*_OWNERS).where(
        _company.c.portal_id == rows.key_of(portal), _company.c.company_id.in_(rows.numbers(companies))
    )
    found: dict[int, frozenset[int]] = {}
    for row in connection.execute(query):
        # The roster may be from before the change that this sweep sees: then its owner is the earlier one.
        owners = {row.owner_id, *_before(row)} - {companies[row.company_id]}
        if owners:
            found[row.company_id] = frozenset(owners)
    return found


def save(connection: Connection, key: int, roster: Mapping[int, int], taken_at: datetime) -> None:
    """Store all companies as a complete sweep saw them, and when."""
    with rows.staged(connection, _now, roster.items()):
        _save_new_owners(connection, key, taken_at)
        here, known = _company.c.portal_id == key, select(_company.c.company_id).where(_company.c.portal_id == key)
        seen = _company.c.company_id.in_(select(_now.c.company_id))
        back = update(_company).where(here, seen, _company.c.vanished_at.is_not(None))
        connection.execute(back.values(vanished_at=None, seen_at=taken_at))
        gone = update(_company).where(here, ~seen, _company.c.vanished_at.is_(None))
        connection.execute(gone.values(vanished_at=taken_at))
        new = select(
            literal(key), _now.c.company_id, _now.c.owner_id, literal(taken_at, type_=_company.c.seen_at.type)
        ).where(_now.c.company_id.not_in(known))
        connection.execute(insert(_company).from_select(["portal_id", "company_id", "owner_id", "seen_at"], new))
    watermark = {"complete_since": taken_at, "complete_rows": len(roster)}
    progress = insert(_progress).values(portal_id=key, kind=_KIND, **watermark)
    connection.execute(progress.on_conflict_do_update(set_=watermark))


def _save_new_owners(connection: Connection, key: int, taken_at: datetime) -> None:
    query = (
        select(*_OWNERS, _now.c.owner_id.label("new_owner_id"))
        .join_from(_company, _now, _company.c.company_id == _now.c.company_id)
        .where(_company.c.portal_id == key, _company.c.owner_id != _now.c.owner_id)
        .limit(_MOVED_AT_ONCE)
    )
    statement = (
        update(_company)
        .where(_company.c.portal_id == key, _company.c.company_id == bindparam("number"))
        .values(owner_changed_at=taken_at, seen_at=taken_at)
    )
    while moved := connection.execute(query).all():
        connection.execute(statement, [_new_owner(row) for row in moved])


def _new_owner(row: Any) -> dict[str, Any]:
    older = [owner for owner in _before(row) if owner not in {row.owner_id, row.new_owner_id}]
    return {
        "number": row.company_id,
        "owner_id": row.new_owner_id,
        "previous_owner_id": row.owner_id,
        "older_owner_ids": older[:_OLDER_KEPT],
    }


def _before(row: Any) -> list[int]:
    """Return the owners before the one in the row, newest first."""
    return [] if row.previous_owner_id is None else [row.previous_owner_id, *row.older_owner_ids]
