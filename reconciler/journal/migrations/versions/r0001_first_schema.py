"""The first schema: all tables.

Written out, and not made from `tables.py`: that file moves on, a revision never does.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # "BxOR": tells this database from those of other programs
    op.execute("PRAGMA application_id = 1115180882")
    op.create_table(
        "portal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal")),
        sa.UniqueConstraint("name", name=op.f("uq_portal_name")),
    )
    op.create_table(
        "company",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("previous_owner_id", sa.Integer(), nullable=True),
        sa.Column("older_owner_ids", sa.JSON(), nullable=True),
        sa.Column("owner_changed_at", sa.DateTime(), nullable=True),
        sa.Column("modified_at", sa.DateTime(), nullable=True),
        sa.Column("outside", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("vanished_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "(previous_owner_id IS NULL) = (owner_changed_at IS NULL)", name=op.f("ck_company_changed_has_previous")
        ),
        sa.CheckConstraint("company_id > 0 AND owner_id >= 0", name=op.f("ck_company_ids")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_company_portal_id")),
        sa.PrimaryKeyConstraint("portal_id", "company_id", name=op.f("pk_company")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_company_portal_id_owner_id"), "company", ["portal_id", "owner_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("companies", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("contacts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("drift", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("standing", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reasons", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("causes", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("commands", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("operating_seconds", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("duration_seconds", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("snapshot_at", sa.DateTime(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("undoes_run_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "status IN ('in_sync', 'applied', 'partial', 'refused', 'incomplete', 'stopped', 'failed')",
            name=op.f("ck_run_status"),
        ),
        sa.CheckConstraint("(finished_at IS NULL) = (status IS NULL)", name=op.f("ck_run_finished_has_status")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_run_portal_id")),
        sa.ForeignKeyConstraint(["undoes_run_id"], ["run.id"], name=op.f("fk_run_undoes_run_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_run_portal_id_status_finished_at"), "run", ["portal_id", "status", "finished_at"], unique=False
    )
    op.create_index(
        "ix_run_unfinished", "run", ["portal_id"], unique=False, sqlite_where=sa.text("finished_at IS NULL")
    )
    op.create_table(
        "standing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("company_owner_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("appeared_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "contact_id > 0 AND company_id > 0 AND owner_id >= 0 AND company_owner_id >= 0",
            name=op.f("ck_standing_ids"),
        ),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_standing_portal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing")),
    )
    op.create_index(
        "uq_standing_present",
        "standing",
        ["portal_id", "contact_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "sweep_progress",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("read_up_to", sa.Integer(), nullable=True),
        sa.Column("last_id", sa.Integer(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("state", sa.JSON(), nullable=True),
        sa.Column("complete_since", sa.DateTime(), nullable=True),
        sa.Column("complete_rows", sa.Integer(), nullable=True),
        sa.CheckConstraint("(started_at IS NULL) = (read_up_to IS NULL)", name=op.f("ck_sweep_progress_under_way")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_sweep_progress_portal_id")),
        sa.PrimaryKeyConstraint("portal_id", "kind", name=op.f("pk_sweep_progress")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "user",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("employee", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("user_id > 0", name=op.f("ck_user_ids")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_user_portal_id")),
        sa.PrimaryKeyConstraint("portal_id", "user_id", name=op.f("pk_user")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=True),
        sa.Column("refused_by_run_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("approved_at", sa.DateTime(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("(closed_at IS NULL) = (state IN ('waiting', 'approved'))", name=op.f("ck_approval_closed")),
        sa.CheckConstraint(
            "state <> 'approved' OR (approved_at IS NOT NULL AND expires_at IS NOT NULL)",
            name=op.f("ck_approval_approved_expires"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'used', 'expired', 'withdrawn', 'superseded')",
            name=op.f("ck_approval_state"),
        ),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_approval_digest")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_approval_portal_id")),
        sa.ForeignKeyConstraint(
            ["refused_by_run_id"], ["run.id"], name=op.f("fk_approval_refused_by_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_approval_in_force",
        "approval",
        ["portal_id", "digest"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "approval_change",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("owner_before", sa.Integer(), nullable=False),
        sa.Column("owner_after", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "contact_id > 0 AND company_id > 0 AND owner_before >= 0 AND owner_after > 0",
            name=op.f("ck_approval_change_ids"),
        ),
        sa.CheckConstraint("last_id >= first_id", name=op.f("ck_approval_change_range")),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_approval_change_portal_id")),
        sa.PrimaryKeyConstraint("portal_id", "contact_id", "first_id", name=op.f("pk_approval_change")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("owner_before", sa.Integer(), nullable=False),
        sa.Column("owner_after", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("company_owner_id", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("approval_id", sa.Integer(), nullable=True),
        sa.Column("undoes_change_id", sa.Integer(), nullable=True),
        sa.Column("intended_at", sa.DateTime(), nullable=True),
        sa.Column("attempted_at", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("modified_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "result IN ('applied', 'already', 'conflict', 'gone', 'denied', 'failed', 'unknown')",
            name=op.f("ck_change_result"),
        ),
        sa.CheckConstraint(
            "(intended_at IS NULL) = (attempts = 0) AND (intended_at IS NULL) = (attempted_at IS NULL)",
            name=op.f("ck_change_intended_has_attempts"),
        ),
        sa.CheckConstraint("(result IS NULL) = (settled_at IS NULL)", name=op.f("ck_change_settled_has_result")),
        sa.CheckConstraint(
            "contact_id > 0 AND company_id > 0 AND owner_before >= 0 AND owner_after > 0", name=op.f("ck_change_ids")
        ),
        sa.CheckConstraint(
            "intended_at IS NOT NULL OR settled_at IS NOT NULL", name=op.f("ck_change_intended_or_settled")
        ),
        sa.CheckConstraint("company_owner_id >= 0", name=op.f("ck_change_company_owner")),
        sa.CheckConstraint("owner_before <> owner_after", name=op.f("ck_change_changes_something")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval.id"], name=op.f("fk_change_approval_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_change_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["undoes_change_id"], ["change.id"], name=op.f("fk_change_undoes_change_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sa.UniqueConstraint("run_id", "contact_id", name=op.f("uq_change_run_id_contact_id")),
    )
    op.create_index(op.f("ix_change_company_id"), "change", ["company_id"], unique=False)
    op.create_index(op.f("ix_change_contact_id_settled_at"), "change", ["contact_id", "settled_at"], unique=False)
    op.create_index("ix_change_open", "change", ["run_id"], unique=False, sqlite_where=sa.text("result IS NULL"))
    op.create_index(op.f("ix_change_run_id_result"), "change", ["run_id", "result"], unique=False)
    op.create_table(
        "exception",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("company_owner_id", sa.Integer(), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("change_id", sa.Integer(), nullable=True),
        sa.Column("last_editor_id", sa.Integer(), nullable=True),
        sa.Column("last_edited_at", sa.DateTime(), nullable=True),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("released_at", sa.DateTime(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('excluded', 'quarantined', 'respected', 'undone')", name=op.f("ck_exception_kind")
        ),
        sa.CheckConstraint(
            "(released_at IS NULL) = (released_by IS NULL)", name=op.f("ck_exception_released_by_something")
        ),
        sa.CheckConstraint("contact_id > 0", name=op.f("ck_exception_ids")),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name=op.f("fk_exception_change_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_exception_portal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exception")),
    )
    op.create_index(
        "uq_exception_in_force",
        "exception",
        ["portal_id", "contact_id", "kind"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
    )
