"""The sets of changes behind approvals, each stored as its difference to the one before (see `approval_change`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, Table, and_, delete, exists, func, literal, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Result
from reconciler.journal import rows, tables
from reconciler.journal.records import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from reconciler.core.model import Change

    Key = tuple[int, int, int, int]

_approval = tables.approval
_change = tables.approval_change
_COLUMNS = ("contact_id", "company_id", "owner_before", "owner_after")
_now = Table(
    "refused_now",
    MetaData(),
    Column("contact_id", Integer, primary_key=True),
    *(Column(name, Integer, nullable=False) for name in _COLUMNS[1:]),
    prefixes=["TEMPORARY"],
)


def keep(connection: Connection, key: int, number: int, changes: Sequence[Change]) -> None:
    """Store the set of the latest approval as what has changed since the one before."""
    present = and_(_change.c.portal_id == key, _change.c.last_id.is_(None))
    same = exists().where(*(_now.c[name] == _change.c[name] for name in _COLUMNS))
    known = exists().where(present, _change.c.contact_id == _now.c.contact_id)
    with rows.staged(connection, _now, (change.key for change in changes)):
        connection.execute(update(_change).where(present, ~same).values(last_id=number - 1))
        # Of what is still present each contact has the same change.
        new = select(literal(key), literal(number), *(_now.c[name] for name in _COLUMNS)).where(~known)
        connection.execute(insert(_change).from_select(["portal_id", "first_id", *_COLUMNS], new))


def forget(connection: Connection, key: int) -> None:
    """Remove the changes of which no set is left that is, or could be, approved."""
    needed = exists().where(_belongs(), _is_kept())
    connection.execute(delete(_change).where(_change.c.portal_id == key, ~needed))


def keys(connection: Connection, approval: int) -> list[Key]:
    """Return the set of an approval, sorted by contact; empty when it cannot be approved any more."""
    query = (
        select(*(_change.c[name] for name in _COLUMNS))
        .join_from(_approval, _change, _belongs())
        .where(_approval.c.id == approval, _is_kept())
        .order_by(_change.c.contact_id)
    )
    return [_key(row) for row in connection.execute(query)]


def left(
    connection: Connection, portal: str, states: Collection[ApprovalState], *conditions: ColumnElement[bool]
) -> Iterator[tuple[Key, int]]:
    """Return the changes of sets in these states that are not used up, each with its approval, the oldest last."""
    done = tables.change.alias()
    ours = select(_approval.c.id).where(_approval.c.portal_id == rows.key_of(portal))
    used = exists().where(
        *(done.c[name] == _change.c[name] for name in _COLUMNS),
        done.c.result.in_([Result.APPLIED.value, Result.ALREADY.value]),
        # Contacts of another portal in this journal may have the same numbers.
        done.c.approval_id.in_(ours),
        or_(done.c.approval_id == _approval.c.id, done.c.settled_at >= _approval.c.approved_at),
    )
    query = (
        select(_approval.c.id, *(_change.c[name] for name in _COLUMNS))
        .join_from(_approval, _change, _belongs())
        .where(_approval.c.portal_id == rows.key_of(portal), _approval.c.state.in_([state.value for state in states]))
        .where(~used, *conditions)
        .order_by(_approval.c.id.desc())
    )
    return ((_key(row), row.id) for row in connection.execute(query))


def _belongs() -> ColumnElement[bool]:
    """Join each approval to its changes."""
    return and_(
        _change.c.portal_id == _approval.c.portal_id,
        _approval.c.id.between(_change.c.first_id, func.coalesce(_change.c.last_id, _approval.c.id)),
    )


def _is_kept() -> ColumnElement[bool]:
    kept = (ApprovalState.WAITING, ApprovalState.SUPERSEDED, ApprovalState.APPROVED)
    return _approval.c.state.in_([state.value for state in kept])


def _key(row: Row[Any]) -> Key:
    return row.contact_id, row.company_id, row.owner_before, row.owner_after
