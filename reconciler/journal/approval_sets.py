"""The sets of changes behind approvals, each stored as its difference to the one before (see `approval_change`)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    Integer,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Cause, Result
from reconciler.journal import rows, tables
from reconciler.journal.records import ApprovalState, Contents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from reconciler.core.model import Change

    Key = tuple[int, int, int, int]

_approval = tables.approval
_change = tables.approval_change
_COLUMNS = ("contact_id", "company_id", "owner_before", "owner_after")
_now = Table(
    "refused_now",
    tables.temporary,
    Column("contact_id", Integer, primary_key=True),
    *(Column(name, Integer, nullable=False) for name in _COLUMNS[1:]),
    prefixes=["TEMPORARY"],
)

_CAN_BE_APPROVED = (ApprovalState.WAITING, ApprovalState.SUPERSEDED, ApprovalState.APPROVED)
_is_kept = _approval.c.state.in_([state.value for state in _CAN_BE_APPROVED])
#: Joins each approval to its changes.
_belongs = and_(
    _change.c.portal_id == _approval.c.portal_id,
    _approval.c.id.between(_change.c.first_id, func.coalesce(_change.c.last_id, _approval.c.id)),
)
# The set of the latest approval.
_present = and_(_change.c.portal_id == rows.KEY, _change.c.last_id.is_(None))
_same = exists().where(*(_now.c[name] == _change.c[name] for name in _COLUMNS))
_known = exists().where(_present, _change.c.contact_id == _now.c.contact_id)
_END_OTHERS = update(_change).where(_present, ~_same).values(last_id=bindparam("number", type_=Integer) - 1)
_APPEAR = insert(_change).from_select(
    ["portal_id", "first_id", *_COLUMNS],
    # Of what is still present each contact has the same change.
    select(rows.KEY, bindparam("number", type_=Integer), *(_now.c[name] for name in _COLUMNS)).where(~_known),
)
_FORGET = delete(_change).where(_change.c.portal_id == rows.KEY, ~exists().where(_belongs, _is_kept))
_KEYS = (
    select(*(_change.c[name] for name in _COLUMNS))
    .join_from(_approval, _change, _belongs)
    .where(_approval.c.id == bindparam("number"), _is_kept)
    .order_by(_change.c.contact_id)
)
# What is not used up.
_done = tables.change.alias()
_ours = select(_approval.c.id).where(_approval.c.portal_id == rows.KEY_OF_PORTAL)
_used = exists().where(
    *(_done.c[name] == _change.c[name] for name in _COLUMNS),
    _done.c.result.in_([Result.APPLIED.value, Result.ALREADY.value]),
    # Contacts of another portal in this journal may have the same numbers.
    _done.c.approval_id.in_(_ours),
    or_(_done.c.approval_id == _approval.c.id, _done.c.settled_at >= _approval.c.approved_at),
)
_LEFT = (
    select(_approval.c.id, *(_change.c[name] for name in _COLUMNS))
    .join_from(_approval, _change, _belongs)
    .where(_approval.c.portal_id == rows.KEY_OF_PORTAL, ~_used)
    .where(_approval.c.state.in_(bindparam("states", expanding=True)))
    .order_by(_approval.c.id.desc())
)
_written = exists().where(
    *(_done.c[name] == _change.c[name] for name in _COLUMNS),
    _done.c.result.in_([Result.APPLIED.value, Result.ALREADY.value]),
    _done.c.settled_at >= _approval.c.created_at,
    # A run that held them back again has found that they are wanted again.
    _done.c.run_id > func.coalesce(_approval.c.refused_by_run_id, 0),
    tables.run.c.id == _done.c.run_id,
    tables.run.c.portal_id == _approval.c.portal_id,
)
_is_left = or_(
    and_(_approval.c.state == ApprovalState.APPROVED.value, ~_used, ~_written),
    and_(_approval.c.state != ApprovalState.APPROVED.value, ~_written),
)
_WAITING = (
    select(*(_change.c[name] for name in _COLUMNS))
    .join_from(_approval, _change, _belongs)
    .where(_approval.c.portal_id == rows.KEY_OF_PORTAL, _approval.c.state == ApprovalState.WAITING.value, ~_written)
)
_COUNT_LEFT = (
    select(func.count())
    .select_from(_approval)
    .join(_change, _belongs)
    # Whose an approval is, `_used` asks by the portal's name.
    .where(_approval.c.id == bindparam("number"), _is_kept, _is_left)
)
_LEFT_LASTING = _LEFT.where(_approval.c.expires_at > rows.NOW)
# What is left of a set, with the cause of each change as long as the drift stands.
_stands = tables.standing
_caused = and_(
    _stands.c.portal_id == _approval.c.portal_id,
    _stands.c.ended_at.is_(None),
    _stands.c.contact_id == _change.c.contact_id,
    _stands.c.company_id == _change.c.company_id,
    _stands.c.owner_id == _change.c.owner_before,
)
_contents = (
    select()
    .select_from(_approval)
    .join(_change, _belongs)
    .outerjoin(_stands, _caused)
    .where(_approval.c.portal_id == rows.KEY_OF_PORTAL, _approval.c.id == bindparam("number"), _is_kept, _is_left)
)
_FIRST = (
    _contents.add_columns(*(_change.c[name] for name in _COLUMNS), _stands.c.cause)
    .order_by(_change.c.company_id, _change.c.contact_id)
    .limit(bindparam("most", type_=Integer))
)
_summed = (_change.c.owner_before, _change.c.owner_after, _stands.c.cause)
_SUMS = _contents.add_columns(*_summed, func.count().label("changes")).group_by(*_summed)


def keep(connection: Connection, key: int, number: int, changes: Sequence[Change]) -> None:
    """Store the set of the latest approval as what has changed since the one before."""
    this = {"key": key, "number": number}
    with rows.staged(connection, _now, (change.key for change in changes)):
        connection.execute(_END_OTHERS, this)
        connection.execute(_APPEAR, this)


def forget(connection: Connection, key: int) -> None:
    """Remove the changes of which no set is left that is, or could be, approved."""
    connection.execute(_FORGET, {"key": key})


def keys(connection: Connection, approval: int) -> list[Key]:
    """Return the set of an approval, sorted by contact; empty when it cannot be approved any more."""
    return [_key(row) for row in connection.execute(_KEYS, {"number": approval})]


def left(
    connection: Connection, portal: str, states: Collection[ApprovalState], *, lasting_at: datetime | None = None
) -> Iterator[tuple[Key, int]]:
    """Return the changes of sets in these states that are not used up, each with its approval, the oldest last.

    With a time, only of those that expire after it.
    """
    query, which = (_LEFT, {}) if lasting_at is None else (_LEFT_LASTING, {"now": lasting_at})
    asked = {"portal": portal, "states": [state.value for state in states], **which}
    return ((_key(row), row.id) for row in connection.execute(query, asked))


def waiting(connection: Connection, portal: str) -> Iterator[Key]:
    """Return the changes that wait for approval, those apart that were written since."""
    return (_key(row) for row in connection.execute(_WAITING, {"portal": portal}))


def count_left(connection: Connection, portal: str, approval: int) -> int:
    """Return how many changes of a set are neither used up nor, before it is approved, written without it."""
    return int(connection.execute(_COUNT_LEFT, {"portal": portal, "number": approval}).scalar_one())


def contents(connection: Connection, portal: str, approval: int, most: int) -> Contents:
    """Return what is left of a set, with its first `most` changes by company, then contact."""
    gains: Counter[int] = Counter()
    loses: Counter[int] = Counter()
    causes: Counter[Cause | None] = Counter()
    this = {"portal": portal, "number": approval}
    for row in connection.execute(_SUMS, this):
        gains[row.owner_after] += row.changes
        loses[row.owner_before] += row.changes
        causes[_cause(row)] += row.changes
    first = connection.execute(_FIRST, {**this, "most": most})
    changes = tuple((_key(row), _cause(row)) for row in first)
    return Contents(count=causes.total(), gains=gains, loses=loses, causes=causes, changes=changes)


def _cause(row: Row[Any]) -> Cause | None:
    return None if row.cause is None else Cause(row.cause)


def _key(row: Row[Any]) -> Key:
    return row.contact_id, row.company_id, row.owner_before, row.owner_after
