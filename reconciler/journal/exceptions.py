"""Contacts that are left alone until somebody or something releases them.

released by          which
===================  ==============================================================================
a person             any; the only way for `kept`, which a person made
time                 those that have an `expires_at`
the company's owner  respected, undone, quarantined: when a complete sweep finds another owner of the
                     company than when the contact was excepted

An exception that ends this way is out of force at once, and is written down as released at the next occasion: a look
at the journal, or the sweep that found the new owner, must see it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from reconciler.core.model import Standing
from reconciler.journal import rows, tables
from reconciler.journal.records import ExceptionRecord, NewException, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Row, Select

    from reconciler.clock import Clock
    from reconciler.journal.database import Database

#: What `released_by` says where it was nobody.
BY_TIME = "time"
BY_COMPANY_OWNER = "company_owner_changed"

#: Each has its meaning only against the owner that the company had.
_UNTIL_OWNER_CHANGES = (Standing.RESPECTED, Standing.UNDONE, Standing.QUARANTINED)
#: The kinds, and of several in force for a contact the first is the reason that is told.
_KINDS = (Standing.QUARANTINED, Standing.UNDONE, Standing.RESPECTED, Standing.KEPT)

_exception = tables.exception
_company = tables.company
_change, _taken_back = tables.change, tables.change.alias()
_EVERY = Selection()


def _among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Compare with the set of this parameter, as `rows.as_set` makes it; NULL: any value will do."""
    among = bindparam(name, type_=Text())
    return or_(among.is_(None), column.in_(select(func.json_each(among).table_valued("value").c.value)))


_unreleased = _exception.c.released_at.is_(None)

_of_portal = _exception.c.portal_id == rows.KEY_OF_PORTAL
_in_force = and_(_of_portal, _unreleased, or_(_exception.c.expires_at.is_(None), _exception.c.expires_at > rows.NOW))
_REASONS = select(
    _exception.c.contact_id, _exception.c.kind, _exception.c.company_id, _exception.c.company_owner_id
).where(_in_force)
_RECORDS = select(_exception).order_by(_exception.c.since, _exception.c.id)
_of_taken_back_run = (
    select(_change.c.id)
    .join(_taken_back, _taken_back.c.id == _change.c.undoes_change_id)
    .where(_change.c.run_id == _exception.c.run_id, _change.c.contact_id == _exception.c.contact_id)
    .where(_among(_taken_back.c.run_id, "runs"))
    .exists()
)
_ENTRIES = _RECORDS.where(
    _in_force,
    _among(_exception.c.contact_id, "contacts"),
    _among(_exception.c.kind, "kinds"),
    _among(_exception.c.company_id, "companies"),
    or_(_among(_exception.c.run_id, "runs"), _of_taken_back_run),
)
_NUMBERED = _RECORDS.where(_of_portal, _exception.c.id == bindparam("number"))
_LATEST = select(_exception).where(_in_force).order_by(_exception.c.id.desc()).limit(bindparam("most"))
_COUNTS = select(_exception.c.kind, func.count().label("contacts")).where(_in_force).group_by(_exception.c.kind)
_FORGIVEN = _RECORDS.where(
    _of_portal,
    _exception.c.kind == Standing.RESPECTED.value,
    _exception.c.released_by.not_in([BY_TIME, BY_COMPANY_OWNER]),
)
_HELD = select(_exception.c.contact_id).where(
    _exception.c.portal_id == rows.KEY,
    _unreleased,
    _exception.c.kind == bindparam("of_kind"),
    _exception.c.contact_id.in_(rows.CHOSEN),
)

_KEPT = select(_exception.c.contact_id).where(
    _of_portal,
    _unreleased,
    _exception.c.kind == Standing.KEPT.value,
    _exception.c.contact_id.in_(rows.CHOSEN),
)

_release = (
    update(_exception)
    .where(_exception.c.portal_id == rows.KEY, _unreleased)
    .values(released_at=rows.NOW, released_by=bindparam("by"))
)
_RELEASE_CHOSEN = _release.where(_exception.c.id.in_(rows.CHOSEN))
_RELEASE_KIND = _release.where(_exception.c.kind == bindparam("of_kind"), _exception.c.contact_id.in_(rows.CHOSEN))
# Both conditions, for the index of those that expire.
_RELEASE_OVER = _release.where(_exception.c.expires_at.is_not(None), _exception.c.expires_at <= rows.NOW)
_RELEASE_OTHER_OWNERS = _release.where(
    _exception.c.kind == bindparam("of_kind"),
    _exception.c.contact_id == bindparam("contact"),
    _exception.c.company_owner_id != bindparam("owner"),
)
_owner_now = (
    select(_company.c.owner_id)
    .where(_company.c.portal_id == rows.KEY, _company.c.company_id == _exception.c.company_id)
    .where(_company.c.vanished_at.is_(None))
    .scalar_subquery()
)
_RELEASE_MOVED = _release.where(
    _exception.c.kind.in_([kind.value for kind in _UNTIL_OWNER_CHANGES]),
    _exception.c.company_owner_id != _owner_now,
)
_FILL_IN_OWNER = (
    update(_exception)
    .where(_exception.c.portal_id == rows.KEY, _unreleased, _exception.c.company_owner_id.is_(None))
    .values(company_owner_id=_owner_now)
)


class Exceptions:
    """The exceptions of the journal; times are ours, except when a contact was last edited."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def in_force(
        self, portal: str, owners: Mapping[int, int] | None = None, *, at: datetime | None = None
    ) -> Mapping[int, Standing]:
        """Return contact -> why it is left alone, now or `at` a moment.

        `owners` are the companies' as a sweep just found them, which the journal does not know yet.
        """
        moved = owners or {}
        found: dict[int, Standing] = {}
        with self._database.reading() as connection:
            for row in connection.execute(_REASONS, self._now(portal) | ({"now": at} if at else {})):
                kind = Standing(row.kind)
                owner = moved.get(row.company_id, row.company_owner_id)
                if kind in _UNTIL_OWNER_CHANGES and row.company_owner_id not in {None, owner}:
                    continue
                found[row.contact_id] = min(kind, found.get(row.contact_id, kind), key=_KINDS.index)
        return found

    def add(
        self,
        portal: str,
        kind: Standing,
        entries: Iterable[NewException],
        expires_at: datetime | None = None,
        run: int | None = None,
        *,
        at: datetime | None = None,
    ) -> list[int]:
        """Leave these contacts alone; return those that were not yet, of this kind and under this company's owner.

        `run` is the run that makes the exceptions; None: a person does. Which exceptions are over by time, now or `at`
        a moment, is written down as well.
        """
        now = self._clock.now()
        wanted = {entry.contact: entry for entry in entries}
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            release_over(connection, key, at or now)
            if not wanted:
                return []
            if kind in _UNTIL_OWNER_CHANGES:
                # One that the company's new owner has ended must not stand in the way of its successor. An undo does
                # not look at the companies.
                these = {"key": key, "now": now, "by": BY_COMPANY_OWNER, "of_kind": kind.value}
                owners = {e.contact: e.company_owner for e in wanted.values() if e.company_owner is not None}
                if owners:
                    connection.execute(
                        _RELEASE_OTHER_OWNERS,
                        [{**these, "contact": contact, "owner": owner} for contact, owner in owners.items()],
                    )
            held = {"key": key, "of_kind": kind.value, "chosen": rows.as_set(wanted)}
            known = set(connection.execute(_HELD, held).scalars())
            new = [entry for contact, entry in wanted.items() if contact not in known]
            if new:
                shared = {"portal_id": key, "kind": kind.value, "run_id": run, "since": now, "expires_at": expires_at}
                values = [{**shared, **_columns(entry)} for entry in new]
                connection.execute(insert(_exception), values)
        return [entry.contact for entry in new]

    def release(self, portal: str, numbers: Iterable[int], by: str) -> int:
        """Release the exceptions of these numbers; return how many were in force."""
        now = self._clock.now()
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            release_over(connection, key, now)
            these = {"key": key, "now": now, "by": by, "chosen": rows.as_set(numbers)}
            return connection.execute(_RELEASE_CHOSEN, these).rowcount

    def release_kind(self, portal: str, kind: Standing, contacts: Iterable[int], by: str) -> int:
        """Release the exceptions of this kind of these contacts; return how many were in force."""
        now = self._clock.now()
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            release_over(connection, key, now)
            these = {"key": key, "now": now, "by": by, "of_kind": kind.value, "chosen": rows.as_set(contacts)}
            return connection.execute(_RELEASE_KIND, these).rowcount

    def find(self, portal: str, number: int) -> ExceptionRecord | None:
        """Return the exception of this number, in force or not; None: there is none."""
        found = self._records(_NUMBERED, {"portal": portal, "number": number})
        return found[0] if found else None

    def entries(self, portal: str, chosen: Selection = _EVERY) -> list[ExceptionRecord]:
        """Return what is in force and was chosen, the oldest first."""
        sets = {
            "contacts": chosen.contacts,
            "kinds": [kind.value for kind in chosen.kinds],
            "companies": chosen.companies,
            "runs": chosen.runs,
        }
        asked = {name: rows.as_set(values) if values else None for name, values in sets.items()}
        return self._records(_ENTRIES, self._now(portal) | asked)

    def kept(self, portal: str, contacts: Iterable[int]) -> set[int]:
        """Return those of these contacts that a person keeps as they are."""
        with self._database.reading() as connection:
            return set(connection.execute(_KEPT, {"portal": portal, "chosen": rows.as_set(contacts)}).scalars())

    def latest(self, portal: str, limit: int) -> list[ExceptionRecord]:
        """Return the latest that are in force, newest first."""
        return self._records(_LATEST, self._now(portal) | {"most": limit})

    def counts(self, portal: str) -> Mapping[str, int]:
        """Return how many are in force, by kind."""
        with self._database.reading() as connection:
            return {row.kind: row.contacts for row in connection.execute(_COUNTS, self._now(portal))}

    def forgiven(self, portal: str) -> Mapping[int, datetime]:
        """Return the contacts whose respected choice a person released -> when it was last edited then.

        By the portal's clock: only an edit after that is another choice.
        """
        released = self._records(_FORGIVEN, {"portal": portal})
        edited = {record.entry.contact: record.entry.last_edited_at for record in released}
        return {contact: moment for contact, moment in edited.items() if moment is not None}

    def _now(self, portal: str) -> dict[str, Any]:
        return {"portal": portal, "now": self._clock.now()}

    def _records(self, query: Select[Any], asked: Mapping[str, Any]) -> list[ExceptionRecord]:
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(query, asked)]


def release_over(connection: Connection, key: int, now: datetime) -> None:
    """Release what is over by time."""
    connection.execute(_RELEASE_OVER, {"key": key, "now": now, "by": BY_TIME})


def release_moved(connection: Connection, key: int, now: datetime) -> None:
    """Release what ends because the roster, which was just stored, has another owner of the company.

    An exception that was made without a look at the company is from now on one against its present owner.
    """
    connection.execute(_RELEASE_MOVED, {"key": key, "now": now, "by": BY_COMPANY_OWNER})
    connection.execute(_FILL_IN_OWNER, {"key": key})


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
        run=row.run_id,
    )
