"""Exceptions that a person made, and the run that made the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite changes no constraint of a table: the rows go into another one.
    for index in ("uq_exception_in_force", "ix_exception_change", "ix_exception_expiring"):
        op.drop_index(index, "exception")
    op.rename_table("exception", "exception_before")
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
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("released_at", sa.DateTime(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.CheckConstraint("contact_id > 0", name=op.f("ck_exception_ids")),
        sa.CheckConstraint("kind IN ('kept', 'quarantined', 'respected', 'undone')", name=op.f("ck_exception_kind")),
        sa.CheckConstraint(
            "(released_at IS NULL) = (released_by IS NULL)", name=op.f("ck_exception_released_by_something")
        ),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name=op.f("fk_exception_change_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_exception_portal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exception")),
    )
    # No program wrote the kind "excluded"; a row of it can only be a person's.
    op.execute(
        "INSERT INTO exception (id, portal_id, contact_id, kind, company_id, company_owner_id, owner_id, change_id,"
        " last_editor_id, last_edited_at, detail, since, expires_at, released_at, released_by)"
        " SELECT id, portal_id, contact_id, CASE kind WHEN 'excluded' THEN 'kept' ELSE kind END, company_id,"
        " company_owner_id, owner_id, change_id, last_editor_id, last_edited_at, detail, since, expires_at,"
        " released_at, released_by FROM exception_before"
    )
    op.drop_table("exception_before")
    for index, columns, where, unique in (
        ("uq_exception_in_force", ["portal_id", "contact_id", "kind"], "released_at IS NULL", True),
        ("ix_exception_change", ["change_id"], "change_id IS NOT NULL", False),
        ("ix_exception_expiring", ["portal_id", "expires_at"], "expires_at IS NOT NULL AND released_at IS NULL", False),
    ):
        op.create_index(index, "exception", columns, unique=unique, sqlite_where=sa.text(where))
    # Of an undo the run is known: the latest that took something of this contact back until then.
    op.execute(
        "UPDATE exception SET run_id = (SELECT max(change.run_id) FROM change JOIN run ON run.id = change.run_id"
        " WHERE run.portal_id = exception.portal_id AND change.contact_id = exception.contact_id"
        " AND change.rule = 'undo' AND coalesce(change.attempted_at, change.settled_at) <= exception.since)"
        " WHERE kind = 'undone' AND released_at IS NULL"
    )
