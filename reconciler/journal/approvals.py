"""Refused sets of changes, and those that somebody let through.

::

    refused ──> waiting ──> superseded ──> expired ──> deleted      shown, and nobody said yes
                   └────┬────────┘
                    approved ──> used | expired | withdrawn

Approval is of changes: a later refusal of another set takes nothing away from what somebody was shown before, so a
superseded set can still be approved. A change that was let through is let through once. It counts as used when it was
done under any approval, after this one was given: who has seen it twice has not agreed to it twice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, func, null, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.plan import digest
from reconciler.journal import approval_sets, rows, tables
from reconciler.journal.records import ApprovalRecord, ApprovalState, NoApproval

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from reconciler.clock import Clock
    from reconciler.core.model import Change
    from reconciler.journal.approval_sets import Key
    from reconciler.journal.database import Database
    from reconciler.journal.records import Contents

#: How long an approval is good for.
LASTS = timedelta(days=7)
#: How long a set can be approved that is not the latest any more, and how long it is still known to have expired.
_SUPERSEDED_LASTS = timedelta(days=7)
_EXPIRED_KNOWN = timedelta(days=30)
#: Of a digest; whoever gives less cannot mean just this one.
_SHORTEST_PREFIX = 6

_approval = tables.approval
_state, _of_key = _approval.c.state, _approval.c.portal_id == rows.KEY
_waiting, _approved = _state == ApprovalState.WAITING.value, _state == ApprovalState.APPROVED.value
_same = and_(_of_key, _approval.c.digest == bindparam("same"))
_REFUSE_AGAIN = update(_approval).where(_same, _waiting)
_GIVEN = select(_approval.c.id).where(_same, _approved)
_REFUSE = insert(_approval).returning(_approval.c.id)
_OPEN = (
    select(_approval)
    .where(_approval.c.portal_id == rows.KEY_OF_PORTAL, _approval.c.closed_at.is_(None))
    .order_by(_approval.c.id)
)
_NUMBERED = select(_approval).where(_approval.c.id == bindparam("number"))
_DECIDE = update(_approval).where(_approval.c.id == bindparam("number"))
_close = update(_approval).where(_of_key).values(state=bindparam("then"), closed_at=rows.NOW)
_SUPERSEDE = _close.where(_waiting)
_USE_UP = _close.where(_same, _approved)
_CLOSE_IDLE = _close.where(_state == bindparam("before"), _approval.c.id.not_in(rows.CHOSEN))
_EXPIRE = _close.where(
    or_(
        and_(_approved, _approval.c.expires_at <= rows.NOW),
        and_(_state == ApprovalState.SUPERSEDED.value, _approval.c.closed_at <= bindparam("stale")),
    )
)
_FORGET_EXPIRED = delete(_approval).where(
    _of_key,
    _state == ApprovalState.EXPIRED.value,
    _approval.c.approved_at.is_(None),
    _approval.c.closed_at <= bindparam("forgotten"),
)
_NOT_IN_FORCE = {
    ApprovalState.EXPIRED: NoApproval.EXPIRED,
    ApprovalState.USED: NoApproval.USED,
    ApprovalState.WITHDRAWN: NoApproval.WITHDRAWN,
}


class Approvals:
    """The approvals of the journal; times are ours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def wait(
        self,
        portal: str,
        changes: Sequence[Change],
        *,
        run: int | None = None,
        numbers: Mapping[str, Any],
        sentence: str,
    ) -> str:
        """Store a set of changes that was refused, or shown, so that it can be approved; return its digest.

        `numbers` and `sentence` are what the person sees. The same set again only gets the latest of them.
        """
        found = digest(portal, [change.key for change in changes])
        now = self._clock.now()
        told = {"numbers": dict(numbers), "sentence": sentence, "refused_by_run_id": run}
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            _expire(connection, key, now)
            this = {"key": key, "same": found}
            if connection.execute(_REFUSE_AGAIN, this | told).rowcount:
                return found
            given = connection.execute(_GIVEN, this).scalar_one_or_none()
            states = (ApprovalState.APPROVED,)
            if given is not None and any(
                number == given for _, number in approval_sets.left(connection, portal, states)
            ):
                return found  # somebody has said yes already, and not all of it is done
            connection.execute(_SUPERSEDE, {"key": key, "then": ApprovalState.SUPERSEDED.value, "now": now})
            connection.execute(_USE_UP, {**this, "then": ApprovalState.USED.value, "now": now})
            new = {
                "portal_id": key,
                "digest": found,
                "state": ApprovalState.WAITING.value,
                "change_count": len(changes),
                "created_at": now,
                **told,
            }
            number = int(connection.execute(_REFUSE, new).scalar_one())
            approval_sets.keep(connection, key, number, changes)
            approval_sets.forget(connection, key)
        return found

    def find(self, portal: str, prefix: str) -> ApprovalRecord | NoApproval:
        """Return the latest set whose digest begins so, whatever became of it."""
        with self._database.reading() as connection:
            return _find(connection, portal, prefix, self._clock.now())

    def approve(
        self, portal: str, prefix: str, *, by: str, how: str, lasts: timedelta = LASTS
    ) -> ApprovalRecord | NoApproval:
        """Let a set of changes through; one that already is stays as it is."""
        now = self._clock.now()
        given = {
            "state": ApprovalState.APPROVED.value,
            "approved_at": now,
            "approved_by": f"{by} ({how})",
            "expires_at": now + lasts,
            "closed_at": null(),
        }
        return self._decide(portal, prefix, now, given, (ApprovalState.WAITING, ApprovalState.SUPERSEDED))

    def withdraw(self, portal: str, prefix: str) -> ApprovalRecord | NoApproval:
        """Take an approval back, or turn down what waits for one. What is done stays done."""
        now = self._clock.now()
        closed = {"state": ApprovalState.WITHDRAWN.value, "closed_at": now}
        return self._decide(portal, prefix, now, closed, tuple(ApprovalState))

    def open(self, portal: str) -> list[ApprovalRecord]:
        """Return what waits and what is in force, the oldest first."""
        now = self._clock.now()
        with self._database.reading() as connection:
            found = connection.execute(_OPEN, {"portal": portal}).all()
            records = [_record(connection, portal, row, now) for row in found]
        return [record for record in records if record.closed_at is None]

    def keys(self, approval: ApprovalRecord) -> list[Key]:
        """Return the changes of a set, sorted by contact; none of one that cannot be approved any more."""
        with self._database.reading() as connection:
            return approval_sets.keys(connection, approval.id)

    def contents(self, approval: ApprovalRecord, portal: str, most: int) -> Contents:
        """Return what is left of a set, with at most so many of its changes; nothing of one that is over."""
        with self._database.reading() as connection:
            return approval_sets.contents(connection, portal, approval.id, most)

    def in_force(self, portal: str) -> Mapping[Key, int]:
        """Return which changes are let through and not used yet, each with its approval; of several the oldest."""
        now = self._clock.now()
        with self._database.reading() as connection:
            return dict(approval_sets.left(connection, portal, (ApprovalState.APPROVED,), lasting_at=now))

    def waiting(self, portal: str) -> set[Key]:
        """Return the changes that the latest refusal held back, those apart that were written since."""
        with self._database.reading() as connection:
            return set(approval_sets.waiting(connection, portal))

    def review(self, portal: str, changes: Collection[Change]) -> None:
        """Close what is over, after a complete run over the whole portal that left these changes to be done.

        An approval is used up when nothing of it is left, or what is left is not wanted any more; a refused set is
        superseded when nothing of it is wanted.
        """
        now = self._clock.now()
        wanted = {change.key for change in changes}
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            _expire(connection, key, now)
            pending = approval_sets.left(connection, portal, (ApprovalState.APPROVED, ApprovalState.WAITING))
            needed = {number for left, number in pending if left in wanted}
            this = {"key": key, "now": now, "chosen": rows.as_set(needed)}
            ends = (
                (ApprovalState.APPROVED, ApprovalState.USED),
                (ApprovalState.WAITING, ApprovalState.SUPERSEDED),
            )
            closing = [{**this, "before": before.value, "then": after.value} for before, after in ends]
            connection.execute(_CLOSE_IDLE, closing)
            approval_sets.forget(connection, key)

    def _decide(
        self, portal: str, prefix: str, now: datetime, values: Mapping[str, Any], from_: Collection[ApprovalState]
    ) -> ApprovalRecord | NoApproval:
        with self._database.writing() as connection:
            _expire(connection, rows.portal_key(connection, portal, now), now)
            found = _find(connection, portal, prefix, now)
            if isinstance(found, NoApproval):
                return found
            if found.state in _NOT_IN_FORCE:
                return _NOT_IN_FORCE[found.state]
            if not found.left:
                return NoApproval.USED
            if found.state in from_:
                connection.execute(_DECIDE.values(values), {"number": found.id})
            return _record(connection, portal, connection.execute(_NUMBERED, {"number": found.id}).one(), now)


def _find(connection: Connection, portal: str, prefix: str, now: datetime) -> ApprovalRecord | NoApproval:
    begins = prefix.strip().lower()
    if len(begins) < _SHORTEST_PREFIX:
        return NoApproval.TOO_SHORT
    query = (
        # SQLite takes the other columns from the row that has the maximum: the latest of each digest.
        select(_approval, func.max(_approval.c.id))
        .where(_approval.c.portal_id == rows.KEY_OF_PORTAL, _approval.c.digest.startswith(begins, autoescape=True))
        .group_by(_approval.c.digest)
        .limit(2)
    )
    found = connection.execute(query, {"portal": portal}).all()
    if not found:
        return NoApproval.UNKNOWN
    return _record(connection, portal, found[0], now) if len(found) == 1 else NoApproval.AMBIGUOUS


def _expire(connection: Connection, key: int, now: datetime) -> None:
    expired = {"then": ApprovalState.EXPIRED.value, "stale": now - _SUPERSEDED_LASTS}
    connection.execute(_EXPIRE, {"key": key, "now": now, **expired})
    connection.execute(_FORGET_EXPIRED, {"key": key, "forgotten": now - _EXPIRED_KNOWN})


def _record(connection: Connection, portal: str, row: Row[Any], now: datetime) -> ApprovalRecord:
    state, closed_at = ApprovalState(row.state), row.closed_at
    # What is over by time may not have been written down yet.
    if state is ApprovalState.APPROVED and row.expires_at <= now:
        state, closed_at = ApprovalState.EXPIRED, row.expires_at
    elif state is ApprovalState.SUPERSEDED and closed_at <= now - _SUPERSEDED_LASTS:
        state = ApprovalState.EXPIRED
    return ApprovalRecord(
        id=row.id,
        digest=row.digest,
        state=state,
        count=row.change_count,
        left=approval_sets.count_left(connection, portal, row.id),
        numbers=row.numbers,
        sentence=row.sentence,
        run=row.refused_by_run_id,
        created_at=row.created_at,
        approved_at=row.approved_at,
        approved_by=row.approved_by,
        expires_at=row.expires_at,
        closed_at=closed_at,
    )
