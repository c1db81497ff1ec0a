"""The recycle bin: what is deleted can come back, as a new record with a new id (F17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator import bindings
from reconciler.simulator.entities import CONTACT

if TYPE_CHECKING:
    from reconciler.simulator.database import Database
    from reconciler.simulator.entities import Entity


class RecycleBin:
    """Deleted contacts and companies with their links."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._deleted: dict[tuple[str, int], tuple[dict[str, Any], list[int]]] = {}

    def delete(self, entity: Entity, record_id: int) -> None:
        """Move a record here, with its links; no date of another record moves."""
        database = self._database
        with database.lock:
            row = database.row(f"SELECT * FROM {entity.table} WHERE id = ?", (record_id,))  # noqa: S608 - a table's name
            if row is None:
                return
            if entity is CONTACT:
                linked = bindings.companies_of(database, record_id)
                database.write("DELETE FROM contact_company WHERE contact_id = ?", (record_id,))
            else:
                linked = bindings.contacts_of(database, record_id)
                bindings.unbind_from_company(database, record_id, linked)
            self._deleted[entity.name, record_id] = (dict(row), linked)
            database.write(f"DELETE FROM {entity.table} WHERE id = ?", (record_id,))  # noqa: S608

    def restore(self, entity: Entity, record_id: int) -> int:
        """Take a record out again and return its new id; it is linked with what still exists."""
        database = self._database
        with database.lock:
            columns, linked = self._deleted.pop((entity.name, record_id))
            restored = database.insert(entity.table, **{name: columns[name] for name in columns if name != "id"})
            if entity is CONTACT:
                bindings.set_companies(database, restored, _existing(database, "company", linked))
            else:
                for contact_id in _existing(database, "contact", linked):
                    bindings.bind_from_contact(database, contact_id, restored)
            return restored


def _existing(database: Database, table: str, record_ids: list[int]) -> list[int]:
    sql = f"SELECT 1 FROM {table} WHERE id = ?"  # noqa: S608 - a table's name
    return [record_id for record_id in record_ids if database.row(sql, (record_id,)) is not None]
