"""A sweep that is not at its end keeps what it found; columns that nothing came to need go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sighting",
        sa.Column("portal_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("company_owner_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "contact_id > 0 AND company_id > 0 AND owner_id >= 0 AND company_owner_id >= 0",
            name=op.f("ck_sighting_ids"),
        ),
        sa.ForeignKeyConstraint(["portal_id"], ["portal.id"], name=op.f("fk_sighting_portal_id")),
        sa.PrimaryKeyConstraint("portal_id", "contact_id", name=op.f("pk_sighting")),
        sqlite_with_rowid=False,
    )
    for table, column in (
        ("company", "modified_at"),
        ("company", "outside"),
        ("sweep_progress", "last_id"),
        ("sweep_progress", "rows"),
    ):
        op.drop_column(table, column)
    op.execute("UPDATE sweep_progress SET kind = 'sweep' WHERE kind = 'pages'")
