"""Contacts that are left alone until somebody or something releases them.

released by          which
===================  ==============================================================================
a person             any
time                 those that have an `expires_at`
the company's owner  respected, undone, quarantined: when a complete sweep finds another owner of the
                     company than when the contact was excepted

An exception that ends this way is out of force at once, and is written down as released at the next occasion: a look
at the journal, or the sweep that found the new owner, must see it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Standing
from reconciler.journal import rows, tables
from reconciler.journal.records import ExceptionRecord, NewException

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Update

    from reconciler.clock import Clock
    from reconciler.journal.database import Database

#: What `released_by` says where it was nobody.
BY_TIME = "time"
BY_COMPANY_OWNER = "company_owner_changed"

#: Each has its meaning only against the owner that the company had.
_UNTIL_OWNER_CHANGES = (Standing.RESPECTED, Standing.UNDONE, Standing.QUARANTINED)
#: The kinds, and of several in force for a contact the first is the reason that is told.
_KINDS = (Standing.QUARANTINED, Standing.UNDONE, Standing.RESPECTED, Standing.EXCLUDED)

_exception = tables.exception
_company = tables.company
_unreleased = _exception.c.released_at.is_(None)


class Exceptions:
    """The exceptions of the journal; times are ours, except when a contact was last edited."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def in_force(self, portal: str, owners: Mapping[int, int] | None = None) -> Mapping[int, Standing]:
        """Return contact -> why it is left alone.

        `owners` are the companies' as a sweep just found them, which the journal does not know yet.
        """
        moved = owners or {}
        query = select(
            _exception.c.contact_id, _exception.c.kind, _exception.c.company_id, _exception.c.company_owner_id
        )
        found: dict[int, Standing] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.where(*self._in_force(portal))):
                kind = Standing(row.kind)
                owner = moved.get(row.company_id, row.company_owner_id)
                if kind in _UNTIL_OWNER_CHANGES and row.company_owner_id not in {None, owner}:
                    continue
                found[row.contact_id] = min(kind, found.get(row.contact_id, kind), key=_KINDS.index)
        return found

    def add(
        self, portal: str, kind: Standing, entries: Iterable[NewException], expires_at: datetime | None = None
    ) -> list[int]:
        """Leave these contacts alone; return those that were not yet, of this kind and under this company's owner."""
        now = self._clock.now()
        wanted = {entry.contact: entry for entry in entries}
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            release_over(connection, key, now)
            if wanted and kind in _UNTIL_OWNER_CHANGES:
                # One that the company's new owner has ended must not stand in the way of its successor.
                old = _release(key, now, BY_COMPANY_OWNER).where(
                    _exception.c.kind == kind.value,
                    _exception.c.contact_id == bindparam("contact"),
                    _exception.c.company_owner_id != bindparam("owner"),
                )
                connection.execute(old, [{"contact": e.contact, "owner": e.company_owner} for e in wanted.values()])
            there = select(_exception.c.contact_id).where(
                _exception.c.portal_id == key, _unreleased, _exception.c.kind == kind.value
            )
            known = set(connection.execute(there).scalars())
            new = [entry for contact, entry in wanted.items() if contact not in known]
            if new:
                times = {"since": now, "expires_at": expires_at}
                values = [{"portal_id": key, "kind": kind.value, **_columns(entry), **times} for entry in new]
                connection.execute(insert(_exception), values)
        return [entry.contact for entry in new]

    def release(self, portal: str, numbers: Iterable[int], by: str) -> int:
        """Release the exceptions of these numbers; return how many were in force."""
        now = self._clock.now()
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            release_over(connection, key, now)
            chosen = _exception.c.id.in_(rows.numbers(numbers))
            return connection.execute(_release(key, now, by).where(chosen)).rowcount

    def find(self, portal: str, number: int) -> ExceptionRecord | None:
        """Return the exception of this number, in force or not; None: there is none."""
        found = self._records(_exception.c.portal_id == rows.key_of(portal), _exception.c.id == number)
        return found[0] if found else None

    def entries(self, portal: str, contact: int | None = None) -> list[ExceptionRecord]:
        """Return what is in force, of one contact or of all, the oldest first."""
        of_contact = () if contact is None else (_exception.c.contact_id == contact,)
        return self._records(*self._in_force(portal), *of_contact)

    def latest(self, portal: str, limit: int) -> list[ExceptionRecord]:
        """Return the latest that are in force, newest first."""
        query = select(_exception).where(*self._in_force(portal)).order_by(_exception.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def counts(self, portal: str) -> Mapping[str, int]:
        """Return how many are in force, by kind."""
        kind = _exception.c.kind
        query = select(kind, func.count().label("contacts")).where(*self._in_force(portal)).group_by(kind)
        with self._database.reading() as connection:
            return {row.kind: row.contacts for row in connection.execute(query)}

    def forgiven(self, portal: str) -> Mapping[int, datetime]:
        """Return the contacts whose respected choice a person released -> when it was last edited then.

        By the portal's clock: only an edit after that is another choice.
        """
        released = self._records(
            _exception.c.portal_id == rows.key_of(portal),
            _exception.c.kind == Standing.RESPECTED.value,
            _exception.c.released_by.not_in([BY_TIME, BY_COMPANY_OWNER]),
        )
        edited = {record.entry.contact: record.entry.last_edited_at for record in released}
        return {contact: moment for contact, moment in edited.items() if moment is not None}

    def _in_force(self, portal: str) -> tuple[ColumnElement[bool], ...]:
        lasting = or_(_exception.c.expires_at.is_(None), _exception.c.expires_at > self._clock.now())
        return _exception.c.portal_id == rows.key_of(portal), _unreleased, lasting

    def _records(self, *conditions: ColumnElement[bool]) -> list[ExceptionRecord]:
        query = select(_exception).where(*conditions).order_by(_exception.c.since, _exception.c.id)
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query)]


def release_over(connection: Connection, key: int, now: datetime) -> None:
    """Release what is over by time."""
    connection.execute(_release(key, now, BY_TIME).where(_exception.c.expires_at <= now))


def release_moved(connection: Connection, key: int, now: datetime) -> None:
    """Release what ends because the roster, which was just stored, has another owner of the company.

    An exception that was made without a look at the company is from now on one against its present owner.
    """
    present = (
        select(_company.c.owner_id)
        .where(_company.c.portal_id == key, _company.c.company_id == _exception.c.company_id)
        .where(_company.c.vanished_at.is_(None))
        .scalar_subquery()
    )
    ending = and_(
        _exception.c.kind.in_([kind.value for kind in _UNTIL_OWNER_CHANGES]),
        _exception.c.company_owner_id != present,
    )
    connection.execute(_release(key, now, BY_COMPANY_OWNER).where(ending))
    blank = update(_exception).where(
        _exception.c.portal_id == key, _unreleased, _exception.c.company_owner_id.is_(None)
    )
    connection.execute(blank.values(company_owner_id=present))


def _release(key: int, now: datetime, by: str) -> Update:
    unreleased = update(_exception).where(_exception.c.portal_id == key, _unreleased)
    return unreleased.values(released_at=now, released_by=by)


def _columns(entry: NewException) -> dict[str, Any]:
    return {
        "contact_id": entry.contact,
        "company_id": entry.company,
        "company_owner_id": entry.company_owner,
        "owner_id": entry.owner,
        "change_id": entry.change,
        "last_editor_id": entry.last_editor,
        "last_edited_at": entry.last_edited_at,
        "detail": entry.detail,
    }


def _record(row: Row[Any]) -> ExceptionRecord:
    return ExceptionRecord(
        id=row.id,
        kind=Standing(row.kind),
        entry=NewException(
            contact=row.contact_id,
            company=row.company_id,
            company_owner=row.company_owner_id,
            owner=row.owner_id,
            change=row.change_id,
            last_editor=row.last_editor_id,
            last_edited_at=row.last_edited_at,
            detail=row.detail,
        ),
        since=row.since,
        expires_at=row.expires_at,
        released_at=row.released_at,
        released_by=row.released_by,
    )
