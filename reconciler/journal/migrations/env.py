"""What Alembic runs to migrate: on the connection, and within the transaction, that it is handed."""

from __future__ import annotations

from alembic import context

from reconciler.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place; Alembic then copies the table.
    render_as_batch=True,
)
# No transaction of Alembic's own: schema and revision appear together, when the caller commits.
context.run_migrations()
