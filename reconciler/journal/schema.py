"""Which schema a journal has, and how it gets the one this program knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import JournalError
from reconciler.journal.database import APPLICATION_ID
from reconciler.journal.tables import metadata

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

#: The latest revision under `migrations/versions`. Revisions are numbered, so that a later one is known as such
#: without Alembic, whose import costs more than a health check may.
HEAD = "0005"


def current_revision(connection: Connection, path: Path) -> str | None:
    """Return the revision of this database, None for an empty one.

    Raise `JournalError` when it belongs to a newer version of this program.
    """
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one() == 0:
        return None
    revision = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if revision > HEAD:
        raise JournalError(
            f"The journal {path} was written by a newer version of this program "
            f"(its schema is {revision}, this program knows {HEAD}): install the newer program, "
            "or set `journal.url` to another file."
        )
    return revision


def migrate(connection: Connection, path: Path) -> None:
    """Bring the database to `HEAD` within the caller's transaction; the caller holds the lease."""
    # Again: a newer program may have held the lease before us.
    if current_revision(connection, path) is None:
        _create(connection)
    else:
        upgrade(connection)


def _create(connection: Connection) -> None:
    """Make the tables of an empty database as they are now; a test holds the result to that of all revisions."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version"
        " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))


def upgrade(connection: Connection) -> None:
    """Carry out the revisions that are missing, within the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - a quarter of a second that only a migration needs to pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # From the package's resources: an installed program has no alembic.ini.
    config.set_main_option("script_location", "reconciler.journal:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
