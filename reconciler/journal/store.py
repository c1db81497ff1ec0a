"""The journal: what runs intended and what came of it, durable before and after each request.

A `Journal` is used from one thread at a time; other processes may read at the same time (write-ahead log).
The file and its lease belong on a local disk: on a network file system neither SQLite's nor our locks exclude anybody.

Outcomes are stored once, in the row of their change, and counted whenever a run is read. So a change that a crash left
open, and that a later run settles, is counted where it belongs: in the run that intended it. Nothing else of a finished
run ever moves.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

import reconciler
from reconciler.core.model import Result, Status
from reconciler.errors import JournalError, NoRunYetError
from reconciler.journal import database, drift, rows, schema, tables
from reconciler.journal.approvals import Approvals
from reconciler.journal.backup import back_up_before_migration
from reconciler.journal.exceptions import Exceptions
from reconciler.journal.history import History
from reconciler.journal.lease import hold_lease
from reconciler.journal.portals import Portals
from reconciler.journal.pruning import Housekeeping
from reconciler.journal.records import ChangeRecord, OpenIntent, RunRecord
from reconciler.journal.rows import Links
from reconciler.journal.sweeps import Sweeps
from reconciler.journal.writes import Writes, takings_back
from reconciler.settings.journal_url import locate, named_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection, Engine, Select
    from sqlalchemy.dialects.sqlite import Insert

    from reconciler.clock import Clock
    from reconciler.core.model import Change, Outcome, RunReport, User

__all__ = ["ChangeRecord", "Journal", "Links", "OpenIntent", "RunRecord", "open_journal"]

log = structlog.get_logger("reconciler.journal")

#: Seconds to wait for the lease before a migration.
_MIGRATION_WAIT = 60.0
#: Results after which a contact has the owner that was wanted.
_DONE = (Result.APPLIED, Result.ALREADY)
_NO_LINKS = Links()
_ABANDONED = "The program ended in the middle of this run; the next one settles what it left open."

_run, _change, _user = tables.run, tables.change, tables.user
_of_portal = tables.portal.c.name == rows.PORTAL
_ABANDON = (
    update(_run)
    .where(_run.c.portal_id == rows.KEY, _run.c.finished_at.is_(None))
    .values(finished_at=rows.NOW, status=Status.FAILED.value, error=_ABANDONED)
)
_BEGIN = insert(_run).returning(_run.c.id)
_FINISH = update(_run).where(_run.c.id == bindparam("number"))
_RUN = rows.RUNS.where(_run.c.id == bindparam("number"))
_LATEST_RUNS = rows.RUNS.order_by(_run.c.id.desc()).limit(bindparam("most"))
_LAST_ATTEMPT = select(func.max(_run.c.started_at)).join_from(_run, tables.portal).where(_of_portal)
_LAST_SUCCESS = (
    select(func.max(_run.c.finished_at))
    .join_from(_run, tables.portal)
    .where(_of_portal, _run.c.status.in_(rows.SUCCESSES))
)
_CHANGES = (
    select(_change).where(_change.c.run_id == bindparam("number")).order_by(_change.c.company_id, _change.c.contact_id)
)
_OPEN_INTENTS = (
    select(_change)
    .select_from(_change.join(_run).join(tables.portal))
    .where(_of_portal, _change.c.result.is_(None))
    .order_by(_change.c.run_id, _change.c.contact_id)
)
_new_user = insert(_user)
_PUT_USER = _new_user.on_conflict_do_update(
    set_={name: _new_user.excluded[name] for name in ("name", "active", "employee", "seen_at")}
)
_USER_NAMES = select(_user.c.user_id, _user.c.name).join_from(_user, tables.portal).where(_of_portal)


def open_journal(url: str, clock: Clock, *, read_only: bool = False) -> Journal:
    """Open the journal that `url` (setting `journal.url`) names, and bring its schema up to date.

    A new file is readable by this user only. With `read_only` nothing is created or migrated.
    Raise `UsageError` for anything but a SQLite file, `JournalError` when it cannot be used or is of a newer program,
    `LeaseHeldError` when it needs a migration and a run of the older program does not end within a minute.
    """
    path = locate(url)
    if not read_only:
        database.create_file(path)
    elif not database.is_there(path):
        raise _no_run_yet(path)
    file = database.open_file(named_path(url), path)
    engine = database.make_engine(file, read_only=read_only, first=() if read_only else rows.make_temporary())
    try:
        _check_schema(engine, file, clock, read_only=read_only)
        if read_only:
            return Journal(database.Database(engine, file), clock)
        held = engine.connect()
        return Journal(database.Database(engine, file.with_log(), held), clock)
    except BaseException:
        engine.dispose()
        raise


def _check_schema(engine: Engine, file: database.OpenFile, clock: Clock, *, read_only: bool) -> None:
    path = file.path
    with database.transaction(engine, file, writing=not read_only) as connection:
        revision = schema.current_revision(connection, path)
        if revision == schema.HEAD and not read_only:
            # What cannot be written is found out now, and not when the portal has been read.
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
    if revision == schema.HEAD:
        return
    if read_only:
        raise _no_run_yet(path) if revision is None else _of_older_program(path)
    with hold_lease(path, clock, _MIGRATION_WAIT):
        if revision is not None:
            copy = back_up_before_migration(file, revision, clock)
            log.info("journal.upgraded", schema=schema.HEAD, before=revision, copy=str(copy))
        with database.transaction(engine, file, writing=True) as connection:
            schema.migrate(connection, path)


def _no_run_yet(path: Path) -> NoRunYetError:
    return NoRunYetError(f"There was no run yet: the first one makes the journal {path} (setting `journal.url`).")


def _of_older_program(path: Path) -> JournalError:
    return JournalError(
        f"The journal {path} is of an older version of this program: the next run brings it up to date."
    )


class Journal:
    """The open journal; also a context manager that closes it.

    Each method is one transaction and raises `JournalError` when the database fails.
    """

    def __init__(self, opened: database.Database, clock: Clock) -> None:
        #: The database file, absolute.
        self.path = opened.path
        self._database = opened
        self._clock = clock
        #: What complete sweeps left behind: the roster, the watermark, the drift that stands.
        self.sweeps = Sweeps(self._database, clock)
        self.approvals = Approvals(self._database, clock)
        self.exceptions = Exceptions(self._database, clock)
        #: What we wrote to contacts, over all runs.
        self.writes = Writes(self._database)
        self.portals = Portals(self._database, clock)
        self.housekeeping = Housekeeping(self._database, clock)
        #: For the status page.
        self.history = History(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the lease is not touched."""
        self._database.close()

    @contextmanager
    def lease(self, wait: float) -> Iterator[None]:
        """Hold the right to run against this journal; wait up to `wait` seconds, then raise `LeaseHeldError`.

        Raise `JournalError` if the file is not in its place any more, or has got a second name. If the lease is taken
        away meanwhile, nothing more is written here.
        """
        with hold_lease(self.path, self._clock, wait) as lease:
            file = self._database.file
            file.require_same()
            database.open_file(file.named, file.path)
            self._database.lease = lease
            try:
                yield
            finally:
                self._database.lease = None

    def require_writable(self) -> None:
        """Find out whether the journal can be written, by writing nothing new. Raises JournalError."""
        with self._writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")

    # Runs

    def begin(self, *, portal: str, command: str, undoes: int | None = None) -> int:
        """Begin a run and return its number; the caller holds the lease. `undoes` is the run that it takes back.

        A run of this portal that never finished can then only be a dead one: it is closed as failed.
        """
        now = self._clock.now()
        with self._writing() as connection:
            key = rows.portal_key(connection, portal, now)
            connection.execute(_ABANDON, {"key": key, "now": now})
            row = {
                "portal_id": key,
                "command": command,
                "version": reconciler.__version__,
                "started_at": now,
                "undoes_run_id": undoes,
            }
            return int(connection.execute(_BEGIN, row).scalar_one())

    def finish(self, report: RunReport) -> None:
        """Store how a run ended. Its outcomes are not taken from the report: `settle` has written them."""
        with self._writing() as connection:
            columns = rows.run_columns(report, self._clock.now())
            stored = connection.execute(_FINISH, {"number": report.run, **columns})
            if stored.rowcount != 1:
                raise database.ForbiddenError(f"there is no run {report.run} to finish")

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """Return the latest runs, newest first."""
        return self._records(_LATEST_RUNS, {"most": limit})

    def find_run(self, which: int | Literal["latest"]) -> RunRecord | None:
        """Return the run of this number, or the latest one; None if there is none."""
        found = self.runs(1) if which == "latest" else self._records(_RUN, {"number": which})
        return found[0] if found else None

    def last_success(self, portal: str) -> datetime | None:
        """Return when a run that saw the whole portal last finished."""
        return self._latest(_LAST_SUCCESS, portal)

    def last_attempt(self, portal: str) -> datetime | None:
        """Return when a run last began."""
        return self._latest(_LAST_ATTEMPT, portal)

    # Changes

    def intend(self, run: int, changes: Sequence[Change], links: Links = _NO_LINKS) -> None:
        """Write down, before the request leaves, that these changes are about to be sent.

        The same change may be intended again in a run, before another attempt: it is open again then. A run has one
        change for a contact: `ValueError` for another one, and nothing is written. An approval that the run already
        knows for a change stays.
        """
        now = self._clock.now()
        with self._writing() as connection:
            _write_changes(
                connection, rows.INSERT_INTENT, [rows.intent_columns(run, change, links, now) for change in changes]
            )

    def settle(self, run: int, outcomes: Sequence[Outcome], links: Links = _NO_LINKS) -> None:
        """Write down what became of these changes, `run` being the one that intended them.

        A change that was never intended (the check found a conflict) is stored with its outcome alone.
        The latest outcome of a change counts. Drift that is set right does not stand any more.
        """
        now = self._clock.now()
        with self._writing() as connection:
            _write_changes(
                connection,
                rows.INSERT_OUTCOME,
                [rows.outcome_columns(run, outcome, links, now) for outcome in outcomes],
            )
            # Not left to the end of the run, which may be killed: what comes back then is news, and no old drift.
            drift.end(connection, run, [outcome.change.contact for outcome in outcomes if outcome.result in _DONE], now)

    def open_intents(self, portal: str) -> list[OpenIntent]:
        """Return the changes of any run whose outcome is not known, oldest run first."""
        with self._reading() as connection:
            found = connection.execute(_OPEN_INTENTS, {"portal": portal}).all()
            forward = takings_back(connection, {row.id: row.undoes_change_id for row in found if row.undoes_change_id})
            return [
                OpenIntent(
                    run=row.run_id,
                    change=rows.change_of(row),
                    attempted_at=row.attempted_at,
                    puts_forward=row.id in forward,
                )
                for row in found
            ]

    def changes(self, run: int) -> list[ChangeRecord]:
        """Return the changes of a run, sorted by company, then contact."""
        with self._reading() as connection:
            return [rows.change_record(row) for row in connection.execute(_CHANGES, {"number": run})]

    # Users

    def remember_users(self, portal: str, users: Iterable[User]) -> None:
        """Keep the names of these users for reports."""
        now = self._clock.now()
        with self._writing() as connection:
            key = rows.portal_key(connection, portal, now)
            seen = [
                {
                    "portal_id": key,
                    "user_id": user.id,
                    "name": user.name,
                    "active": user.active,
                    "employee": user.employee,
                    "seen_at": now,
                }
                for user in users
            ]
            if seen:
                connection.execute(_PUT_USER, seen)

    def user_names(self, portal: str) -> dict[int, str]:
        """Return the names of the users ever seen on this portal, by ID."""
        with self._reading() as connection:
            return {row.user_id: row.name for row in connection.execute(_USER_NAMES, {"portal": portal})}

    # Inside

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._database.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._database.writing()

    def _records(self, query: Select[Any], asked: dict[str, int]) -> list[RunRecord]:
        with self._reading() as connection:
            found = connection.execute(query, asked).all()
            outcomes = rows.count_outcomes(connection, [row.id for row in found])
            return [rows.run_record(row, outcomes[row.id]) for row in found]

    def _latest(self, query: Select[Any], portal: str) -> datetime | None:
        with self._reading() as connection:
            latest: datetime | None = connection.execute(query, {"portal": portal}).scalar_one()
        return latest


def _write_changes(connection: Connection, statement: Insert, changes: list[dict[str, Any]]) -> None:
    if changes and connection.execute(statement, changes).rowcount != len(changes):
        # Written over, the first change could no longer be undone.
        raise database.ForbiddenError("a run has one change for a contact, and it is another one")
