"""Between rows and values: the queries for runs, and how a change is written and read.

Here as in the other modules of the journal a statement is made once, when its module is loaded, and takes what changes
as parameters: to make one anew takes SQLAlchemy five times as long as to carry it out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, Text, and_, bindparam, delete, func, null, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateTable

from reconciler.core.model import Cause, Change, Result, Rule, RunReport, Standing, Status, Usage
from reconciler.journal import tables
from reconciler.journal.records import ChangeRecord, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Connection, Row, Table
    from sqlalchemy.dialects.sqlite import Insert

    from reconciler.core.model import Outcome

#: Ends that include a complete look at the portal; a refused plan waits for a person, not for another look.
SUCCESSES = (Status.IN_SYNC, Status.APPLIED, Status.PARTIAL, Status.REFUSED)
#: Rows that are made for one call of the driver.
_STAGED_AT_ONCE = 10_000
#: In a run's reasons: how many contacts were not compared.
_NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What the rows of changes point to, where they do."""

    #: Key of a change -> the approval that let it through.
    approvals: Mapping[tuple[int, int, int, int], int] = field(default_factory=dict)
    #: Contact -> the change that is taken back.
    undoes: Mapping[int, int] = field(default_factory=dict)


#: Parameters of many statements: a portal's name, its key, a time, and a set of numbers as `as_set` makes it.
PORTAL: BindParameter[str] = bindparam("portal", type_=Text())
KEY: BindParameter[int] = bindparam("key", type_=Integer())
NOW: BindParameter[datetime] = bindparam("now", type_=tables.UtcDateTime())
_CHOSEN: BindParameter[str] = bindparam("chosen", type_=Text())

_PORTAL = select(tables.portal.c.id).where(tables.portal.c.name == PORTAL)
_NEW_PORTAL = insert(tables.portal).returning(tables.portal.c.id)
#: The key of the portal named by `PORTAL`, to compare with in a query; of an unknown one there is nothing.
KEY_OF_PORTAL = _PORTAL.scalar_subquery()
#: The numbers of the set, as a query: SQLite takes 32,766 parameters, and a set of JSON is one.
CHOSEN = select(func.json_each(_CHOSEN).table_valued("value").c.value)
#: Every run with the name of its portal.
RUNS = select(tables.run, tables.portal.c.name.label("portal")).join(tables.portal)
_OUTCOMES = (
    select(tables.change.c.run_id, tables.change.c.result, func.count().label("changes"))
    # A range, and not a list: SQLite takes 32,766 parameters, and a year has more runs.
    .where(tables.change.c.run_id.between(bindparam("first"), bindparam("last")), tables.change.c.result.is_not(None))
    .group_by(tables.change.c.run_id, tables.change.c.result)
)


def portal_key(connection: Connection, name: str, now: datetime) -> int:
    """Return the key of this portal; a new one gets a row."""
    found = connection.execute(_PORTAL, {"portal": name}).scalar_one_or_none()
    if found is None:  # whoever writes is alone
        found = connection.execute(_NEW_PORTAL, {"name": name, "first_seen_at": now}).scalar_one()
    return int(found)


def as_set(numbers: Iterable[int | str]) -> str:
    """Return numbers, or words, as the parameter `chosen` of statements with `CHOSEN`."""
    return json.dumps(list(numbers))


@contextmanager
def staged(connection: Connection, table: Table, rows: Iterable[tuple[int | str, ...]]) -> Iterator[None]:
    """Lend a temporary table with these rows (columns in the table's order), for queries that compare all with all.

    The table stays with the connection, empty. A failure needs no cleaning up: what the table got goes with the
    transaction.
    """
    fill, empty = _staging(table)
    waiting = iter(rows)
    while some := list(islice(waiting, _STAGED_AT_ONCE)):
        connection.exec_driver_sql(fill, some)
    yield
    connection.exec_driver_sql(empty)


@cache
def _staging(table: Table) -> tuple[str, ...]:
    """Return the statements that fill a temporary table and empty it."""
    return tuple(_in_words(statement) for statement in (insert(table), delete(table)))


@cache
def make_temporary() -> tuple[str, ...]:
    """Return the statements that make all temporary tables; each connection that writes begins with them.

    SQLite prepares all statements anew after each table that is made, be it a temporary one.
    """
    return tuple(_in_words(CreateTable(table)) for table in tables.temporary.sorted_tables)


def _in_words(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=sqlite.dialect()))


def run_record(row: Row[Any], outcomes: Mapping[Result, int]) -> RunRecord:
    """Make the value of a row of `RUNS` and of its outcomes as counted from its changes."""
    report = RunReport(
        run=row.id,
        status=Status.INCOMPLETE if row.status is None else Status(row.status),
        companies=row.companies,
        contacts=row.contacts,
        drift=row.drift,
        standing=row.standing,
        not_compared=row.reasons.get(_NOT_COMPARED),
        reasons={Standing(reason): count for reason, count in row.reasons.items() if reason != _NOT_COMPARED},
        causes={Cause(cause): count for cause, count in row.causes.items()},
        digest=row.digest or "",
        taken_at=row.snapshot_at,
        outcomes=outcomes,
        usage=Usage(
            requests=row.requests,
            commands=row.commands,
            operating_seconds=row.operating_seconds,
            duration_seconds=row.duration_seconds,
        ),
        error=row.error,
    )
    return RunRecord(
        report=report,
        portal=row.portal,
        command=row.command,
        started_at=row.started_at,
        finished_at=row.finished_at,
        undoes=row.undoes_run_id,
    )


def count_outcomes(connection: Connection, runs: Sequence[int]) -> Mapping[int, Mapping[Result, int]]:
    """Return the settled changes of these runs by result; a result that did not occur is left out."""
    counts: dict[int, dict[Result, int]] = defaultdict(dict)
    if not runs:
        return counts
    for row in connection.execute(_OUTCOMES, {"first": min(runs), "last": max(runs)}):
        counts[row.run_id][Result(row.result)] = row.changes
    return counts


def run_columns(report: RunReport, finished_at: datetime) -> dict[str, Any]:
    """Return what a report says about its run. Its outcomes are not among it: they are counted from the changes."""
    return {
        "finished_at": finished_at,
        "status": report.status.value,
        "companies": report.companies,
        "contacts": report.contacts,
        "drift": report.drift,
        "standing": report.standing,
        "reasons": {
            **{reason.value: count for reason, count in report.reasons.items()},
            **({} if report.not_compared is None else {_NOT_COMPARED: report.not_compared}),
        },
        "causes": {cause.value: count for cause, count in report.causes.items()},
        "digest": report.digest or None,
        "snapshot_at": report.taken_at,
        "requests": report.usage.requests,
        "commands": report.usage.commands,
        "operating_seconds": report.usage.operating_seconds,
        "duration_seconds": report.usage.duration_seconds,
        "error": report.error,
    }


def change_of(row: Row[Any]) -> Change:
    """Make the value of a row of `change`. Raises ValueError for one that this program did not write."""
    numbers = (row.contact_id, row.company_id, row.owner_before, row.owner_after, row.company_owner_id)
    if not all(isinstance(number, int) for number in numbers):  # SQLite keeps a text in any column
        raise ValueError(f"a change of contact {row.contact_id!r} with a text for a number")
    return Change(
        contact=row.contact_id,
        company=row.company_id,
        before=row.owner_before,
        after=row.owner_after,
        rule=Rule(row.rule or Rule.COMPANY_OWNER),
        company_owner=row.company_owner_id,
        cause=Cause(row.cause),
        modified=row.modified_at,
    )


def change_record(row: Row[Any]) -> ChangeRecord:
    """Make the value of a row of `change`, with its history."""
    return ChangeRecord(
        id=row.id,
        run=row.run_id,
        change=change_of(row),
        result=None if row.result is None else Result(row.result),
        detail=row.detail,
        intended_at=row.intended_at,
        attempted_at=row.attempted_at,
        attempts=row.attempts,
        settled_at=row.settled_at,
        approval=row.approval_id,
        undoes=row.undoes_change_id,
    )


def intent_columns(run: int, change: Change, links: Links, now: datetime) -> dict[str, Any]:
    """Return the row of a change that is about to be sent."""
    return {**_change_columns(run, change, links), "intended_at": now, "attempted_at": now, "attempts": 1}


def outcome_columns(run: int, outcome: Outcome, links: Links, now: datetime) -> dict[str, Any]:
    """Return the row of a change of which only the outcome is known."""
    settled = {"result": outcome.result.value, "detail": outcome.detail, "settled_at": now}
    return {**_change_columns(run, outcome.change, links), **settled}


def _change_columns(run: int, change: Change, links: Links) -> dict[str, Any]:
    return {
        "run_id": run,
        "contact_id": change.contact,
        "company_id": change.company,
        "owner_before": change.before,
        "owner_after": change.after,
        "cause": change.cause.value,
        "rule": None if change.rule is Rule.COMPANY_OWNER else change.rule.value,
        "company_owner_id": change.company_owner,
        "modified_at": change.modified,
        "approval_id": links.approvals.get(change.key),
        "undoes_change_id": links.undoes.get(change.contact),
    }


def _insert_intent() -> Insert:
    new = insert(tables.change)
    known = tables.change.c
    return new.on_conflict_do_update(
        index_elements=[known.run_id, known.contact_id],
        set_={
            "intended_at": func.coalesce(known.intended_at, new.excluded.intended_at),
            "attempted_at": new.excluded.attempted_at,
            "attempts": known.attempts + 1,
            "settled_at": null(),
            "result": null(),
            "detail": "",
            "modified_at": new.excluded.modified_at,
            "approval_id": func.coalesce(known.approval_id, new.excluded.approval_id),
        },
        where=_same_change(new),
    )


def _insert_outcome() -> Insert:
    new = insert(tables.change)
    return new.on_conflict_do_update(
        index_elements=[tables.change.c.run_id, tables.change.c.contact_id],
        set_={name: new.excluded[name] for name in ("result", "detail", "settled_at")},
        where=_same_change(new),
    )


def _same_change(new: Insert) -> ColumnElement[bool]:
    names = ("company_id", "owner_before", "owner_after")
    return and_(*(tables.change.c[name] == new.excluded[name] for name in names))


#: Insert an intent; if the run has the very same change already, count one more attempt and open it again.
INSERT_INTENT = _insert_intent()
#: Insert an outcome; if the run has the very same change already, give it this outcome.
INSERT_OUTCOME = _insert_outcome()
