"""The whole schema of the journal, drawn once for all that is planned.

No name of a contact or a company is stored, and never the webhook: only the portal's own identifiers, which mean
nothing outside it, and the names of users, which reports need. Columns that may be empty are filled by later features.

::

    portal ─┬─ run ─── change            what was done: intent before the request, outcome after
            ├─ company                   the roster
            ├─ sweep_progress            where a long read goes on, and the watermarks
            ├─ sighting                  the drift that a sweep under way has found so far
            ├─ approval                  refused plans, and who let them through
            ├─ approval_change           their sets of changes
            ├─ standing                  drift that is left alone: from when, until when
            ├─ exception                 contacts that are left alone: from when, until when
            └─ user                      names for reports

Whoever changes this file adds a revision under `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC: SQLite itself drops the time zone, and then orders by the local hour."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


#: Tables of a connection's own, in memory: what is to be compared with what is stored.
temporary = MetaData()
#: Constraints have names, so that a later revision can take one away.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _portal_id(*, primary_key: bool = False) -> Column[int]:
    return Column("portal_id", Integer, ForeignKey("portal.id"), primary_key=primary_key, nullable=False)


portal = Table(
    "portal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("first_seen_at", UtcDateTime, nullable=False),
    #: Host, and port where it has one of its own. Empty: a program of an older version wrote this row.
    Column("address", Text),
    #: {number: day of registration} of its first users, which tell it from another portal at the same address.
    #: Empty: they could not be read yet.
    Column("first_users", JSON(none_as_null=True)),
)

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    _portal_id(),
    Column("command", Text, nullable=False),
    #: Of this program, to read an old run by.
    Column("version", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("status", Text),
    Column("companies", Integer, nullable=False, server_default=text("0")),
    Column("contacts", Integer, nullable=False, server_default=text("0")),
    Column("drift", Integer, nullable=False, server_default=text("0")),
    Column("standing", Integer, nullable=False, server_default=text("0")),
    #: {reason: contacts} and {cause: contacts} of what was found. Outcomes are counted from `change`.
    #: Beside the reasons of standing drift, how many contacts were not compared at all.
    Column("reasons", JSON, nullable=False, server_default=text("'{}'")),
    Column("causes", JSON, nullable=False, server_default=text("'{}'")),
    Column("requests", Integer, nullable=False, server_default=text("0")),
    Column("commands", Integer, nullable=False, server_default=text("0")),
    Column("operating_seconds", Float, nullable=False, server_default=text("0")),
    Column("duration_seconds", Float, nullable=False, server_default=text("0")),
    Column("error", Text),
    #: The portal's own time when the sweep began.
    Column("snapshot_at", UtcDateTime),
    #: Of the plan.
    Column("digest", Text),
    #: The run that this one takes back.
    Column("undoes_run_id", Integer, ForeignKey("run.id", ondelete="SET NULL")),
    CheckConstraint("(finished_at IS NULL) = (status IS NULL)", name="finished_has_status"),
    CheckConstraint(
        "status IN ('in_sync', 'applied', 'partial', 'refused', 'incomplete', 'stopped', 'failed')", name="status"
    ),
    Index(None, "portal_id", "status", "finished_at"),
    Index("ix_run_unfinished", "portal_id", sqlite_where=text("finished_at IS NULL")),
    # This and the others of its kind: for each row that goes, what points to it is looked up.
    Index("ix_run_undoes", "undoes_run_id", sqlite_where=text("undoes_run_id IS NOT NULL")),
    # The number of a run that retention removed is never given out again: scripts and people keep it.
    sqlite_autoincrement=True,
)

change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("contact_id", Integer, nullable=False),
    Column("company_id", Integer, nullable=False),
    #: 0 for none.
    Column("owner_before", Integer, nullable=False),
    Column("owner_after", Integer, nullable=False),
    #: Values are not constrained: a later version may have causes of its own.
    Column("cause", Text, nullable=False, server_default=text("'unknown'")),
    #: The rule that chose the owner; empty: it is the company's owner.
    Column("rule", Text),
    #: The owner that the company had; 0: not asked (an undo does not look at it).
    Column("company_owner_id", Integer, nullable=False, server_default=text("0")),
    #: What let it through the guard.
    Column("approval_id", Integer, ForeignKey("approval.id", ondelete="SET NULL")),
    #: The change that this one takes back.
    Column("undoes_change_id", Integer, ForeignKey("change.id", ondelete="SET NULL")),
    #: When the first and the latest request were about to leave; empty when none did (a conflict, say).
    Column("intended_at", UtcDateTime),
    Column("attempted_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("settled_at", UtcDateTime),
    Column("result", Text),
    Column("detail", Text, nullable=False, server_default=text("''")),
    #: The contact's DATE_MODIFY in the row that the change rests on: unchanged, nothing was written.
    Column("modified_at", UtcDateTime),
    UniqueConstraint("run_id", "contact_id"),
    CheckConstraint("contact_id > 0 AND company_id > 0 AND owner_before >= 0 AND owner_after > 0", name="ids"),
    CheckConstraint("company_owner_id >= 0", name="company_owner"),
    CheckConstraint("owner_before <> owner_after", name="changes_something"),
    CheckConstraint("(result IS NULL) = (settled_at IS NULL)", name="settled_has_result"),
    CheckConstraint(
        "(intended_at IS NULL) = (attempts = 0) AND (intended_at IS NULL) = (attempted_at IS NULL)",
        name="intended_has_attempts",
    ),
    CheckConstraint("intended_at IS NOT NULL OR settled_at IS NOT NULL", name="intended_or_settled"),
    CheckConstraint(
        "result IN ('applied', 'already', 'conflict', 'gone', 'denied', 'failed', 'unknown')", name="result"
    ),
    Index(None, "run_id", "result"),
    # What did we last write to this contact? (changed back, flapping, undo of a contact or a company)
    Index(None, "contact_id", "settled_at"),
    Index(None, "company_id"),
    Index("ix_change_open", "run_id", sqlite_where=text("result IS NULL")),
    Index("ix_change_undoes", "undoes_change_id", sqlite_where=text("undoes_change_id IS NOT NULL")),
    Index("ix_change_approval", "approval_id", sqlite_where=text("approval_id IS NOT NULL")),
)

company = Table(
    "company",
    metadata,
    _portal_id(primary_key=True),
    Column("company_id", Integer, primary_key=True),
    #: 0 for none.
    Column("owner_id", Integer, nullable=False),
    Column("previous_owner_id", Integer),
    #: The owners before the previous one, newest first: a contact may lag behind by more than one hand-over.
    Column("older_owner_ids", JSON),
    #: When a sweep saw the new owner, by the portal's clock.
    Column("owner_changed_at", UtcDateTime),
    #: When a read found it as it is now, by the portal's clock. What stays the same is not written again.
    Column("seen_at", UtcDateTime, nullable=False),
    #: When a complete read of all companies did not return it, by the portal's clock.
    Column("vanished_at", UtcDateTime),
    CheckConstraint("company_id > 0 AND owner_id >= 0", name="ids"),
    CheckConstraint("(previous_owner_id IS NULL) = (owner_changed_at IS NULL)", name="changed_has_previous"),
    Index(None, "portal_id", "owner_id"),
    sqlite_with_rowid=False,
)

sweep_progress = Table(
    "sweep_progress",
    metadata,
    _portal_id(primary_key=True),
    #: What is read: all companies, what changed of them, contacts; or a sweep as a whole.
    Column("kind", Text, primary_key=True),
    #: The read under way: its begin by the portal's clock, and the ID up to which everything is read.
    Column("started_at", UtcDateTime),
    Column("read_up_to", Integer),
    #: What there is to know besides.
    Column("state", JSON),
    #: The latest complete read: its begin by the portal's clock (the watermark), and its rows (the guard compares).
    Column("complete_since", UtcDateTime),
    Column("complete_rows", Integer),
    CheckConstraint("(started_at IS NULL) = (read_up_to IS NULL)", name="under_way"),
    sqlite_with_rowid=False,
)

#: Drift that a sweep under way has found so far.
sighting = Table(
    "sighting",
    metadata,
    _portal_id(primary_key=True),
    Column("contact_id", Integer, primary_key=True),
    Column("company_id", Integer, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("company_owner_id", Integer, nullable=False),
    CheckConstraint("contact_id > 0 AND company_id > 0 AND owner_id >= 0 AND company_owner_id >= 0", name="ids"),
    sqlite_with_rowid=False,
)

approval = Table(
    "approval",
    metadata,
    Column("id", Integer, primary_key=True),
    _portal_id(),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("change_count", Integer, nullable=False),
    #: Numbers, limits, who would gain and lose: what the person saw.
    Column("numbers", JSON),
    Column("sentence", Text),
    Column("refused_by_run_id", Integer, ForeignKey("run.id", ondelete="SET NULL")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("approved_at", UtcDateTime),
    #: The account on this machine, and how: by command, by answer, by option.
    Column("approved_by", Text),
    Column("expires_at", UtcDateTime),
    Column("closed_at", UtcDateTime),
    CheckConstraint("length(digest) = 64", name="digest"),
    CheckConstraint("state IN ('waiting', 'approved', 'used', 'expired', 'withdrawn', 'superseded')", name="state"),
    CheckConstraint(
        "state <> 'approved' OR (approved_at IS NOT NULL AND expires_at IS NOT NULL)", name="approved_expires"
    ),
    CheckConstraint("(closed_at IS NULL) = (state IN ('waiting', 'approved'))", name="closed"),
    Index(
        "uq_approval_in_force",
        "portal_id",
        "digest",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
    ),
    Index("ix_approval_refused_by", "refused_by_run_id", sqlite_where=text("refused_by_run_id IS NOT NULL")),
    # `approval_change` counts on numbers that only grow.
    sqlite_autoincrement=True,
)

#: A change belongs to the set of each approval of this portal from `first_id` to `last_id`; empty: to the latest.
#: A refusal of 50,000 changes that repeats every ten minutes, a few changes apart, so adds those few, and all of the
#: sets stay known that somebody may have been shown.
approval_change = Table(
    "approval_change",
    metadata,
    _portal_id(primary_key=True),
    Column("contact_id", Integer, primary_key=True),
    # Not a foreign key: approvals that nobody gave go, and the ranges need only their order.
    Column("first_id", Integer, primary_key=True),
    Column("last_id", Integer),
    Column("company_id", Integer, nullable=False),
    #: 0 for none.
    Column("owner_before", Integer, nullable=False),
    Column("owner_after", Integer, nullable=False),
    CheckConstraint("contact_id > 0 AND company_id > 0 AND owner_before >= 0 AND owner_after > 0", name="ids"),
    CheckConstraint("last_id >= first_id", name="range"),
    sqlite_with_rowid=False,
)

standing = Table(
    "standing",
    metadata,
    Column("id", Integer, primary_key=True),
    _portal_id(),
    Column("contact_id", Integer, nullable=False),
    Column("company_id", Integer, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("company_owner_id", Integer, nullable=False),
    #: Values are not constrained: each policy adds some.
    Column("reason", Text, nullable=False),
    Column("cause", Text),
    Column("appeared_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("contact_id > 0 AND company_id > 0 AND owner_id >= 0 AND company_owner_id >= 0", name="ids"),
    Index("uq_standing_present", "portal_id", "contact_id", unique=True, sqlite_where=text("ended_at IS NULL")),
)

exception = Table(
    "exception",
    metadata,
    Column("id", Integer, primary_key=True),
    _portal_id(),
    Column("contact_id", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    #: The company and its owner at that time: most exceptions end when the company's owner changes.
    Column("company_id", Integer),
    Column("company_owner_id", Integer),
    #: The owner that is left in place.
    Column("owner_id", Integer),
    #: What led to it: the latest change of ours, and who edited the contact last (of anything) and when.
    Column("change_id", Integer, ForeignKey("change.id", ondelete="SET NULL")),
    Column("last_editor_id", Integer),
    Column("last_edited_at", UtcDateTime),
    Column("detail", Text, nullable=False, server_default=text("''")),
    #: The run that made it, if one did. No foreign key: the number stays when the run is removed.
    Column("run_id", Integer),
    Column("since", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("released_at", UtcDateTime),
    #: By command, by time, because the company's owner changed.
    Column("released_by", Text),
    CheckConstraint("contact_id > 0", name="ids"),
    CheckConstraint("kind IN ('kept', 'quarantined', 'respected', 'undone')", name="kind"),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released_by_something"),
    Index(
        "uq_exception_in_force",
        "portal_id",
        "contact_id",
        "kind",
        unique=True,
        sqlite_where=text("released_at IS NULL"),
    ),
    Index("ix_exception_change", "change_id", sqlite_where=text("change_id IS NOT NULL")),
    # Looked at before each chunk of an undo, and most exceptions never expire.
    Index(
        "ix_exception_expiring",
        "portal_id",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL AND released_at IS NULL"),
    ),
)

user = Table(
    "user",
    metadata,
    _portal_id(primary_key=True),
    Column("user_id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("employee", Boolean, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    CheckConstraint("user_id > 0", name="ids"),
    sqlite_with_rowid=False,
)
