"""The roster: company -> owner, with the owners that it had before; the watermarks, and a sweep under way.

A read of all companies brings thousands, of which a handful moved: the database compares, and what stays the same is
not written.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, Table, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.companies import Halfway, Roster, Strategy
from reconciler.core.model import Mismatch
from reconciler.journal import rows, tables
from reconciler.journal.records import Known, Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row, Update
    from sqlalchemy.dialects.sqlite import Insert

    from reconciler.core.companies import Refresh
    from reconciler.core.snapshot import Snapshot

#: Kinds of `sweep_progress`: a sweep of companies and contacts; a read of all companies; a look at what changed of
#: them; the comparison of contacts, while it is under way.
_SWEEP, _LISTED, _LOOKED, _COMPARING = "sweep", "roster", "look", "contacts"
#: Owners before the previous one that are kept: a contact may lag behind by some hand-overs, not by all there were.
_OLDER_KEPT = 20
#: Companies with a new owner that are in memory at once.
_MOVED_AT_ONCE = 20_000

_company = tables.company
_progress = tables.sweep_progress
_sighting = tables.sighting
_OWNERS = (_company.c.company_id, _company.c.owner_id, _company.c.previous_owner_id, _company.c.older_owner_ids)
_now = Table(
    "roster_now",
    tables.temporary,
    Column("company_id", Integer, primary_key=True),
    Column("owner_id", Integer, nullable=False),
    prefixes=["TEMPORARY"],
)

_here, _of_portal = _company.c.portal_id == rows.KEY, _company.c.portal_id == rows.KEY_OF_PORTAL
_PROGRESS = select(_progress).where(_progress.c.portal_id == rows.KEY_OF_PORTAL)
_SIGHTINGS = select(_sighting).where(_sighting.c.portal_id == rows.KEY_OF_PORTAL)
_PRESENT = select(_company.c.company_id, _company.c.owner_id).where(_of_portal, _company.c.vanished_at.is_(None))
_PRESENT_UP_TO = _PRESENT.where(_company.c.company_id <= bindparam("up_to"))
_VANISHED = select(_company.c.company_id, _company.c.owner_id).where(
    _of_portal, _company.c.vanished_at >= bindparam("since")
)
_EARLIER = select(*_OWNERS, _company.c.seen_at, _company.c.vanished_at).where(
    _of_portal, _company.c.company_id.in_(rows.CHOSEN)
)
_PROGRESS_HERE = select(_progress).where(_progress.c.portal_id == rows.KEY)
# The sweep under way.
_FORGET_SIGHTINGS = delete(_sighting).where(_sighting.c.portal_id == rows.KEY)
_FORGET_COMPARISON = delete(_progress).where(_progress.c.portal_id == rows.KEY, _progress.c.kind == _COMPARING)
_FORGET_LISTING = (
    update(_progress)
    .where(_progress.c.portal_id == rows.KEY, _progress.c.kind == _LISTED)
    .values(started_at=None, read_up_to=None)
)
# Companies, as they are now.
_MOVED = (
    select(*_OWNERS, _now.c.owner_id.label("new_owner_id"))
    .join_from(_company, _now, _company.c.company_id == _now.c.company_id)
    .where(_here, _company.c.owner_id != _now.c.owner_id)
    .limit(_MOVED_AT_ONCE)
)
_MOVE = (
    update(_company)
    .where(_here, _company.c.company_id == bindparam("number"))
    .values(owner_changed_at=rows.NOW, seen_at=rows.NOW)
)
_seen = _company.c.company_id.in_(select(_now.c.company_id))
_COME_BACK = (
    update(_company).where(_here, _seen, _company.c.vanished_at.is_not(None)).values(vanished_at=None, seen_at=rows.NOW)
)
_vanish = update(_company).where(_here, _company.c.vanished_at.is_(None)).values(vanished_at=rows.NOW)
_VANISH_CHOSEN = _vanish.where(_company.c.company_id.in_(rows.CHOSEN))
_VANISH_UNSEEN = _vanish.where(~_seen)
_VANISH_UNSEEN_UP_TO = _VANISH_UNSEEN.where(_company.c.company_id <= bindparam("up_to"))
_APPEAR = insert(_company).from_select(
    ["portal_id", "company_id", "owner_id", "seen_at"],
    select(rows.KEY, _now.c.company_id, _now.c.owner_id, rows.NOW).where(
        _now.c.company_id.not_in(select(_company.c.company_id).where(_here))
    ),
)


def known(connection: Connection, portal: str) -> Known:
    """Return what is known of this portal."""
    progress = _progress_of(connection, portal)
    return Known(
        last=_last(progress),
        roster=_roster(connection, portal, progress),
        halfway=_halfway(connection, portal, progress),
    )


def last_sweep(connection: Connection, portal: str) -> Sweep | None:
    """Return the last complete sweep of this portal."""
    return _last(_progress_of(connection, portal))


def _last(progress: Mapping[str, Row[Any]]) -> Sweep | None:
    found = progress.get(_SWEEP)
    return None if found is None else Sweep(taken_at=found.complete_since, companies=found.complete_rows)


def _roster(connection: Connection, portal: str, progress: Mapping[str, Row[Any]]) -> Roster | None:
    listed, sweep = progress.get(_LISTED), progress.get(_SWEEP)
    if listed is None or listed.complete_since is None:
        return None
    vanished = connection.execute(_VANISHED, {"portal": portal, "since": listed.complete_since})
    state = (sweep.state if sweep else None) or {}
    return Roster(
        owners=_owners(connection, portal),
        refreshed_at=progress[_LOOKED].complete_since,
        listed_at=listed.complete_since,
        ahead=(progress[_LOOKED].state or {}).get("ahead"),
        contacts=listed.state["contacts"],
        outside=listed.state["outside"],
        drift=state.get("drift", 0),
        vanished={row.company_id: row.owner_id for row in vanished},
        seconds={Strategy(name): seconds for name, seconds in state.get("seconds", {}).items()},
    )


def _halfway(connection: Connection, portal: str, progress: Mapping[str, Row[Any]]) -> Halfway | None:
    listed, comparing = progress.get(_LISTED), progress.get(_COMPARING)
    if listed is not None and listed.started_at is not None:
        owners = _owners(connection, portal, listed.read_up_to)
        return Halfway(began=listed.started_at, owners=owners, companies_up_to=listed.read_up_to)
    if comparing is None:
        return None
    return Halfway(
        began=comparing.started_at,
        owners={},
        strategy=Strategy(comparing.state["strategy"]),
        position=tuple(comparing.state["position"]),
        found=tuple(
            Mismatch(
                contact=row.contact_id, company=row.company_id, owner=row.owner_id, company_owner=row.company_owner_id
            )
            for row in connection.execute(_SIGHTINGS, {"portal": portal})
        ),
        outside=comparing.state["outside"],
    )


def _owners(connection: Connection, portal: str, up_to: int | None = None) -> dict[int, int]:
    query, asked = (_PRESENT, {}) if up_to is None else (_PRESENT_UP_TO, {"up_to": up_to})
    return {row.company_id: row.owner_id for row in connection.execute(query, {"portal": portal, **asked})}


def _progress_of(connection: Connection, portal: str) -> dict[str, Row[Any]]:
    return {row.kind: row for row in connection.execute(_PROGRESS, {"portal": portal})}


def owners_before(
    connection: Connection, portal: str, companies: Mapping[int, int], last: datetime | None
) -> tuple[dict[int, frozenset[int]], frozenset[int]]:
    """Compare the present owners of these companies, which are given, with what is known of them.

    Returns the owners that they had before, of those that ever had another one, and the companies that have had the
    present one since before the `last` sweep.
    """
    found: dict[int, frozenset[int]] = {}
    unmoved: set[int] = set()
    for row in connection.execute(_EARLIER, {"portal": portal, "chosen": rows.as_set(companies)}):
        # The roster may be from before the change that this sweep sees: then its owner is the earlier one.
        owners = {row.owner_id, *_before(row)} - {companies[row.company_id]}
        if owners:
            found[row.company_id] = frozenset(owners)
        seen_then = last is not None and row.vanished_at is None and row.seen_at <= last
        if seen_then and row.owner_id == companies[row.company_id]:
            unmoved.add(row.company_id)
    return found, frozenset(unmoved)


def save(connection: Connection, key: int, snapshot: Snapshot) -> None:
    """Store a complete sweep; what was kept of it on its way is not needed any more. `snapshot.refresh` is there."""
    refresh = snapshot.refresh
    assert refresh is not None  # noqa: S101 - a sweep of a part is not remembered
    _save_refresh(connection, key, refresh, snapshot.outside_roster)
    found = {row.kind: row for row in connection.execute(_PROGRESS_HERE, {"key": key})}
    # Most sweeps get to their end in one run.
    if any(row.started_at is not None for row in found.values()):
        _clear(connection, key)
    last, seconds = found.get(_SWEEP), {}
    # What was measured holds until all companies are read anew: the strategy that is not used is not measured again.
    if last is not None and found[_LISTED].complete_since <= last.complete_since:
        seconds = dict((last.state or {}).get("seconds", {}))
    if snapshot.strategy is not None and snapshot.seconds is not None:
        seconds[snapshot.strategy.value] = snapshot.seconds
    _watermark(
        connection,
        key,
        _SWEEP,
        complete_since=snapshot.taken_at,
        complete_rows=len(refresh.owners),
        state={"drift": len(snapshot.mismatches), "seconds": seconds},
    )


def keep(connection: Connection, key: int, so_far: Halfway) -> None:
    """Store how far a sweep has come."""
    if so_far.companies_up_to is not None:
        _save_companies(connection, key, so_far.owners, so_far.began, up_to=so_far.companies_up_to)
        _watermark(connection, key, _LISTED, started_at=so_far.began, read_up_to=so_far.companies_up_to)
        return
    _clear(connection, key)
    if so_far.refresh is not None:
        _save_refresh(connection, key, so_far.refresh, so_far.outside)
    state = {"strategy": so_far.strategy, "position": so_far.position, "outside": so_far.outside}
    _watermark(connection, key, _COMPARING, started_at=so_far.began, read_up_to=so_far.position[1], state=state)
    columns = (_sighting.c[name] for name in ("portal_id", "contact_id", "company_id", "owner_id", "company_owner_id"))
    names = [column.name for column in columns]
    found = [dict(zip(names, (key, m.contact, m.company, m.owner, m.company_owner), strict=True)) for m in so_far.found]
    if found:
        connection.execute(insert(_sighting), found)


def _clear(connection: Connection, key: int) -> None:
    """Forget the sweep under way."""
    for statement in (_FORGET_SIGHTINGS, _FORGET_COMPARISON, _FORGET_LISTING):
        connection.execute(statement, {"key": key})


def _save_refresh(connection: Connection, key: int, refresh: Refresh, outside: int) -> None:
    _save_companies(connection, key, refresh.seen, refresh.at, complete=refresh.complete, gone=refresh.gone)
    _watermark(connection, key, _LOOKED, complete_since=refresh.at, state={"ahead": refresh.ahead})
    if refresh.complete:
        state = {"contacts": refresh.contacts, "outside": outside}
        count = len(refresh.owners)
        _watermark(connection, key, _LISTED, complete_since=refresh.at, complete_rows=count, state=state)


def _watermark(connection: Connection, key: int, kind: str, **values: Any) -> None:
    connection.execute(_put_progress(*values), {"portal_id": key, "kind": kind, **values})


@cache
def _put_progress(*names: str) -> Insert:
    """Make the statement that stores these columns, and leaves the others of a row that is there as they are."""
    new = insert(_progress)
    return new.on_conflict_do_update(set_={name: new.excluded[name] for name in names})


def _save_companies(
    connection: Connection,
    key: int,
    owners: Mapping[int, int],
    taken_at: datetime,
    *,
    complete: bool = False,
    up_to: int | None = None,
    gone: Mapping[int, int] | None = None,
) -> None:
    """Store companies with their owners; of all, or of all up to an ID, those not among them have vanished."""
    with rows.staged(connection, _now, owners.items()):
        this = {"key": key, "now": taken_at}
        while moved := connection.execute(_MOVED, this).all():
            connection.execute(_MOVE, [{**this, **_new_owner(row)} for row in moved])
        connection.execute(_COME_BACK, this)
        missing: tuple[Update, dict[str, Any]] = (_VANISH_CHOSEN, {"chosen": rows.as_set(gone or ())})
        if up_to is not None:
            missing = (_VANISH_UNSEEN_UP_TO, {"up_to": up_to})
        elif complete:
            missing = (_VANISH_UNSEEN, {})
        vanish, which = missing
        connection.execute(vanish, {**this, **which})
        connection.execute(_APPEAR, this)


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
