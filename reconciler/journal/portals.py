"""Which rows are about which portal.

A portal is known by its name: the setting `portal.name`, or its address. The address is kept beside the name, so that

- a portal that gets a name, or another one, keeps its history: its writes that are open are settled;
- rows of a program that knew no ports, or took two spellings of a host for two portals, come together;
- a name that comes to stand for another address, or an address for another portal, is asked about: undo and exceptions
  of one portal mean other people's contacts on another;
- a new name for a portal that seems to be in the journal under another one is asked about, too: its exceptions would be
  forgotten, and what people decided overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete, func, insert, literal, select, update

from reconciler.errors import PortalChangedError
from reconciler.journal import tables
from reconciler.journal.exceptions import BY_TIME
from reconciler.journal.rows import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection, Row

    from reconciler.clock import Clock
    from reconciler.journal.database import Database

log = structlog.get_logger("reconciler.journal")

_portal, _run, _exception = tables.portal, tables.run, tables.exception
_in_force = _exception.c.released_at.is_(None)
_ADDRESS = select(_portal.c.address).where(_portal.c.name == PORTAL)
#: Users whose day of registration two portals must have in common to seem the same: of one it may be chance.
_ENOUGH_USERS = 2
_FIRST_USERS = select(_portal.c.first_users).where(_portal.c.name == PORTAL)


class Portals:
    """The portals of the journal."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def address(self, name: str) -> str | None:
        """Return where the portal of this name was at the last run; None: it is not known."""
        with self._database.reading() as connection:
            found: str | None = connection.execute(_ADDRESS, {"portal": name}).scalar_one_or_none()
        return found

    def knows_users(self, name: str) -> bool:
        """Tell whether days of registration are kept of the portal's first users."""
        with self._database.reading() as connection:
            return bool(connection.execute(_FIRST_USERS, {"portal": name}).scalar_one_or_none())

    def recognise(self, name: str, address: str, is_host: Callable[[str], bool], accept: bool) -> None:
        """Make `name` the one row of the portal at this address; the caller holds the lease.

        `is_host` tells whether an old name is a spelling of the address's host. Raise `PortalChangedError` when the
        name stood for another address until now, unless that is to be accepted, or when the address is that of another
        portal of the journal.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            rows = list(connection.execute(select(_portal).order_by(_portal.c.id)))
            named = next((row for row in rows if row.name == name), None)
            if named is not None and not accept and (moved := _moved(named, address)):
                raise PortalChangedError(moved)
            if named is not None and (other := _other_at(rows, named, address)):
                raise PortalChangedError(other)  # accepted or not: nobody could take their histories apart again
            # Rows without an address are of an older version, whose names of hosts had no port.
            ours = [
                row
                for row in rows
                if row is named or row.address == address or (row.address is None and is_host(row.name))
            ]
            if not ours:
                # Before the first run makes a row without an address, which any other address would pass for.
                new = insert(_portal).values(name=name, address=address, first_seen_at=now)
                connection.execute(new)
                return
            kept = named or max(ours, key=lambda row: _latest_run(connection, row.id))
            for row in ours:
                if row is not kept:
                    _merge(connection, row.id, kept.id, now)
                    log.warning("journal.portals_merged", portal=name, former=row.name)
            if kept.name != name:
                log.warning("journal.portal_renamed", portal=name, former=kept.name)
            connection.execute(update(_portal).where(_portal.c.id == kept.id).values(name=name, address=address))
            if accept:  # it may be a copy with other companies: all of them are read again
                _forget_what_was_read(connection, kept.id)
            former = next(
                (row.name for row in ours if row.address is None and address.startswith(f"{row.name}:")), None
            )
            if former is not None:
                _keep_for_the_host(connection, kept.id, former, now)

    def compare_users(self, name: str, registered: Mapping[int, date], accept: bool) -> None:
        """Compare the days on which the portal's first users were registered with those that are kept; keep them.

        What is empty tells nothing. Raise `PortalChangedError` when another portal answers than before, or when a name
        without history has the users of a known portal, unless that is to be accepted.
        """
        now = _days(registered)
        if not now:
            return
        with self._database.writing() as connection:
            row = connection.execute(select(_portal).where(_portal.c.name == name)).one()
            before: dict[str, str] = row.first_users or {}
            another = _another(row, now)
            doubt = another or _known_by_another_name(connection, name, now)
            if doubt and not accept:
                raise PortalChangedError(doubt)
            kept = now if another else before | now
            if kept != before:
                connection.execute(update(_portal).where(_portal.c.id == row.id).values(first_users=kept))

    def doubt(self, name: str, address: str, registered: Mapping[int, date]) -> str:
        """Say why a run would be refused that finds this address and these first users; empty: it would not be."""
        with self._database.reading() as connection:
            row = connection.execute(select(_portal).where(_portal.c.name == name)).one_or_none()
            now = _days(registered)
            known = "" if row is None else _moved(row, address) or _another(row, now)
            return known or _known_by_another_name(connection, name, now)


def _days(registered: Mapping[int, date]) -> dict[str, str]:
    """Return days as they are kept."""
    return {str(number): day.isoformat() for number, day in registered.items()}


def _moved(known: Row[Any], address: str) -> str:
    """Say that a portal has another address than before; empty: it has not."""
    if known.address in {None, address}:
        return ""
    return (
        f"{known.name} is at {address} now, and was at {known.address} in the journal: if it is the same portal, give "
        "--accept-portal once (`reconciler --once --accept-portal`); if it is another one, give it another "
        "`portal.name`"
    )


def _other_at(rows: Sequence[Row[Any]], named: Row[Any], address: str) -> str:
    """Say which other portal of the journal is at this address; empty: none is, or it may be the same one."""
    there = [row for row in rows if row is not named and row.address == address]
    other = next((row.name for row in there if _another(named, row.first_users or {})), None)
    if other is None:
        return ""
    return (
        f"{address} is where the journal has {other}, which is another portal than {named.name}, because their first "
        f"users were registered on other days: set `portal.name` to {other}"
    )


def _another(known: Row[Any], now: Mapping[str, str]) -> str:
    """Say that the first users of a portal are others than before; empty: none is."""
    before: dict[str, str] = known.first_users or {}
    differing = next((user for user in now if now[user] != before.get(user, now[user])), None)
    if differing is None:
        return ""
    return (
        f"another portal than before seems to answer at {known.address or known.name}: its user {differing} was "
        f"registered on {now[differing]}, and by the journal on {before[differing]}; if the journal's runs and "
        "exceptions are about this portal, give --accept-portal once (`reconciler --once --accept-portal`); if they "
        "are not, give it another `portal.name`"
    )


def _known_by_another_name(connection: Connection, name: str, now: Mapping[str, str]) -> str:
    """Say which portal a name without history seems to stand for; empty: for none that the journal knows."""
    rows = list(connection.execute(select(_portal).order_by(_portal.c.id)))
    if any(row.name == name and row.first_users for row in rows):
        return ""
    same = next((row.name for row in rows if row.name != name and _same_users(row.first_users or {}, now)), None)
    if same is None:
        return ""
    return (
        f"{name} is new in the journal and seems to be {same}, because their first users were registered on the same "
        f"days: if it is the same portal, set `portal.name` to {same}, so that what people decided there still counts; "
        "if it is another one, such as a copy, give --accept-portal once (`reconciler --once --accept-portal`)"
    )


def _same_users(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    both = before.keys() & now.keys()
    return len(both) >= _ENOUGH_USERS and all(before[user] == now[user] for user in both)


def _latest_run(connection: Connection, portal: int) -> int:
    return connection.execute(select(func.max(_run.c.id)).where(_run.c.portal_id == portal)).scalar_one() or 0


def _keep_for_the_host(connection: Connection, portal: int, host: str, now: datetime) -> None:
    """Leave the exceptions to the portal on the host's usual port, too: an older version mixed those of both."""
    new = insert(_portal).values(name=host, address=host, first_seen_at=now).returning(_portal.c.id)
    other = connection.execute(new).scalar_one()
    columns = [column for column in _exception.columns if column.name not in {"id", "portal_id"}]
    in_force = select(literal(other), *columns).where(_exception.c.portal_id == portal, _in_force)
    connection.execute(insert(_exception).from_select(["portal_id", *(column.name for column in columns)], in_force))


def _merge(connection: Connection, source: int, target: int, now: datetime) -> None:
    """Give all that is about one portal to another row of it, which wins where both know something."""
    same = _exception.alias()
    both = (
        select(same.c.id)
        .where(
            same.c.portal_id == target,
            same.c.released_at.is_(None),
            same.c.contact_id == _exception.c.contact_id,
            same.c.kind == _exception.c.kind,
        )
        .exists()
    )
    connection.execute(
        # Not as if a person had released it: that would count as leave to write.
        update(_exception)
        .where(_exception.c.portal_id == source, _in_force, both)
        .values(released_at=now, released_by=BY_TIME)
    )
    standing, approval = tables.standing, tables.approval
    connection.execute(
        update(standing).where(standing.c.portal_id == source, standing.c.ended_at.is_(None)).values(ended_at=now)
    )
    connection.execute(
        update(approval)
        .where(approval.c.portal_id == source, approval.c.closed_at.is_(None))
        .values(state="superseded", closed_at=now)
    )
    for table in (_run, _exception, standing, approval, tables.approval_change):
        connection.execute(update(table).where(table.c.portal_id == source).values(portal_id=target))
    _forget_what_was_read(connection, source)
    connection.execute(delete(_portal).where(_portal.c.id == source))


def _forget_what_was_read(connection: Connection, portal: int) -> None:
    """Forget companies and users; the next sweep reads them all."""
    for table in (tables.company, tables.sweep_progress, tables.sighting, tables.user):
        connection.execute(delete(table).where(table.c.portal_id == portal))
