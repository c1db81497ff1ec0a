"""PHONE, EMAIL and their like: how calls write them (`crm.contact.update`, `crm.item.update`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.simulator.entities import MULTIFIELDS
from reconciler.simulator.errors import Refusal, RestError
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.database import Database
    from reconciler.simulator.entities import Entity

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value: a new one when `id` is 0; one without a value is deleted."""

    type_id: str
    id: int
    value: str
    value_type: str


def of_field(type_id: str, values: Any) -> list[Entry]:
    """Read `PHONE: [{"VALUE": ...}, {"ID": 15, "DELETE": "Y"}]` of the older methods."""
    entries = []
    for value in values.values() if isinstance(values, PhpArray) else []:
        if isinstance(value, PhpArray):
            deleted = strval(value.get("DELETE")).upper() == "Y"
            text = "" if deleted else strval(value.get("VALUE"))
            entries.append(_entry(type_id, intval(value.get("ID")), text, strval(value.get("VALUE_TYPE"))))
    return entries


def of_fm(values: Any) -> list[Entry]:
    """Read `fm: {"n0": {"typeId": "PHONE", ...}, "15": {...}}` of the newer methods; a numeric key is the id."""
    entries = []
    for key, value in values.items() if isinstance(values, PhpArray) else ():
        type_id = strval(value.get("typeId")).upper() if isinstance(value, PhpArray) else ""
        if type_id in MULTIFIELDS:
            number = key if isinstance(key, int) else 0
            entries.append(_entry(type_id, number, strval(value.get("value")), strval(value.get("valueType"))))
    return entries


def _entry(type_id: str, number: int, value: str, value_type: str) -> Entry:
    if type_id == "EMAIL" and value and not _EMAIL.fullmatch(value):
        # An exception of the application, not of the CRM: with a code of its own (F4, check 5).
        raise RestError(Refusal("ERROR_CORE", "The field 'Work e-mail' contains an invalid address.<br>"))
    return Entry(type_id, number, value, value_type or "WORK")


def save(database: Database, entity: Entity, record_id: int, entries: Sequence[Entry]) -> bool:
    """Add, change and delete values of a record; say whether anything is different now."""
    touched = 0
    for entry in entries:
        if entry.id <= 0:
            if entry.value:
                database.insert(
                    "multifield",
                    entity=entity.name,
                    entity_id=record_id,
                    type_id=entry.type_id,
                    value=entry.value,
                    value_type=entry.value_type,
                )
                touched += 1
            continue
        where, key = "id = ? AND entity = ? AND entity_id = ?", (entry.id, entity.name, record_id)
        if not entry.value:
            touched += database.write(f"DELETE FROM multifield WHERE {where}", key)  # noqa: S608 - no value in it
        else:
            touched += database.write(
                f"UPDATE multifield SET value = ?, value_type = ? WHERE {where} AND (value, value_type) <> (?, ?)",  # noqa: S608
                (entry.value, entry.value_type, *key, entry.value, entry.value_type),
            )
    return touched > 0
