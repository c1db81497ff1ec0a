"""Which portal a name in the journal stands for; indexes by which old rows go, and exceptions are found, quickly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("portal", sa.Column("address", sa.Text()))
    for index, table, columns, where in (
        ("ix_run_undoes", "run", ["undoes_run_id"], "undoes_run_id IS NOT NULL"),
        ("ix_change_undoes", "change", ["undoes_change_id"], "undoes_change_id IS NOT NULL"),
        ("ix_change_approval", "change", ["approval_id"], "approval_id IS NOT NULL"),
        ("ix_approval_refused_by", "approval", ["refused_by_run_id"], "refused_by_run_id IS NOT NULL"),
        ("ix_exception_change", "exception", ["change_id"], "change_id IS NOT NULL"),
        (
            "ix_exception_expiring",
            "exception",
            ["portal_id", "expires_at"],
            "expires_at IS NOT NULL AND released_at IS NULL",
        ),
    ):
        op.create_index(index, table, columns, unique=False, sqlite_where=sa.text(where))
