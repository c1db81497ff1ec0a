"""What tells a portal from another one at the same address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("portal", sa.Column("first_users", sa.JSON()))
