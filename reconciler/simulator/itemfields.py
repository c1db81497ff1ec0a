"""The fields of `crm.item.*`: other names than those of the older methods, and numbers as numbers (F2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.simulator.dates import iso
from reconciler.simulator.descriptions import Description
from reconciler.simulator.entities import COMPANY, CONTACT, Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from reconciler.simulator.database import Database
    from reconciler.simulator.entities import Entity


@dataclass(frozen=True, slots=True)
class ItemField:
    """One field of an item; without `sql` it stands in another table, or is switched off and always null."""

    upper: str
    kind: Kind
    sql: str = ""
    #: What `crm.item.add` and `update` may set, empty for none.
    column: str = ""
    #: Where the field is read from: multifields of a type and value type, observers, the other records.
    source: str = ""

    @property
    def name(self) -> str:
        """The name in answers: `ASSIGNED_BY_ID` is `assignedById`."""
        return camel(self.upper)


def camel(upper: str) -> str:
    """Write a name as answers do."""
    first, *rest = upper.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


def upper(name: str) -> str:
    """Write a name as the tables do; one that is so already stays."""
    if name.upper() == name:
        return name
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)


_OFF = Kind.WRITE_ONLY
_PHONES = ("EMAIL_HOME", "EMAIL_WORK", "EMAIL_MAILING", "PHONE_MOBILE", "PHONE_WORK", "PHONE_MAILING", "IMOL")
_MULTIPLE = (*_PHONES, "EMAIL", "PHONE")


def _stored(names: str, kind: Kind, *, read_only: bool = False) -> list[ItemField]:
    columns = [name.lower() for name in names.split()]
    return [ItemField(column.upper(), kind, column, "" if read_only else column) for column in columns]


def _off(names: str) -> list[ItemField]:
    return [ItemField(name, _OFF, "NULL") for name in names.split()]


def _has(entity: Entity, name: str) -> ItemField:
    return ItemField(name, Kind.FLAG, entity.fields[name].sql)


def _fields(entity: Entity, own: Sequence[ItemField]) -> Mapping[str, ItemField]:
    links = "COMPANY_IDS" if entity is CONTACT else "CONTACT_IDS"
    fields = [
        ItemField("ID", Kind.INTEGER, "id"),
        ItemField("CREATED_TIME", Kind.MOMENT, "date_create"),
        *_off("DATE_CREATE_SHORT"),
        ItemField("UPDATED_TIME", Kind.MOMENT, "date_modify"),
        *_off("DATE_MODIFY_SHORT"),
        ItemField("CREATED_BY", Kind.REFERENCE, "created_by_id"),
        ItemField("UPDATED_BY", Kind.REFERENCE, "modify_by_id"),
        *_stored("ASSIGNED_BY_ID", Kind.REFERENCE),
        *_stored("OPENED", Kind.FLAG),
        *own,
        *_stored("COMMENTS", Kind.TEXT),
        *_stored("LEAD_ID", Kind.REFERENCE, read_only=True),
        *_off("WEBFORM_ID"),
        *_stored("ORIGINATOR_ID ORIGIN_ID ORIGIN_VERSION", Kind.TEXT),
        *(_has(entity, name) for name in ("HAS_PHONE", "HAS_EMAIL", "HAS_IMOL")),
        *_off("SEARCH_CONTENT"),
        *_stored("CATEGORY_ID", Kind.REFERENCE, read_only=True),
        ItemField("LAST_ACTIVITY_BY", Kind.REFERENCE, "created_by_id"),
        ItemField("LAST_ACTIVITY_TIME", Kind.MOMENT, "date_create"),
        *_off("ADDRESS LOGIN"),
        *(ItemField(name, Kind.MULTIPLE, source=name) for name in _MULTIPLE),
        *_stored("UTM_SOURCE UTM_MEDIUM UTM_CAMPAIGN UTM_CONTENT UTM_TERM", Kind.TEXT),
        ItemField("OBSERVERS", Kind.MULTIPLE, column="observers", source="observers"),
        ItemField(links, Kind.MULTIPLE, column="links", source="links"),
    ]
    return {field.upper: field for field in fields}


ITEM_FIELDS = {
    CONTACT.name: _fields(
        CONTACT,
        [
            ItemField("COMPANY_ID", Kind.REFERENCE, "company_id", "link"),
            *_stored("SOURCE_ID", Kind.STATUS),
            *_stored("SOURCE_DESCRIPTION NAME LAST_NAME SECOND_NAME", Kind.TEXT),
            *_off("SHORT_NAME PHOTO"),
            *_stored("POST", Kind.TEXT),
            *_stored("EXPORT", Kind.FLAG),
            *_stored("TYPE_ID HONORIFIC", Kind.STATUS),
            *_stored("BIRTHDATE", Kind.MOMENT),
        ],
    ),
    COMPANY.name: _fields(
        COMPANY,
        [
            *_stored("TITLE", Kind.TEXT),
            *_off("LOGO ADDRESS_LEGAL"),
            *_stored("BANKING_DETAILS", Kind.TEXT),
            ItemField("TYPE_ID", Kind.STATUS, "company_type", "company_type"),
            *_stored("INDUSTRY EMPLOYEES CURRENCY_ID", Kind.STATUS),
            *_stored("REVENUE", Kind.NUMBER),
            *_stored("IS_MY_COMPANY", Kind.FLAG),
        ],
    ),
}


def described(field: ItemField, known: Mapping[str, Description]) -> dict[str, Any]:
    """Describe a field as `crm.item.fields` does."""
    older = {"CREATED_TIME": "DATE_CREATE", "UPDATED_TIME": "DATE_MODIFY", "CREATED_BY": "CREATED_BY_ID"}
    older |= {"UPDATED_BY": "MODIFY_BY_ID", "CONTACT_IDS": "CONTACT_ID"}
    type_by_kind = {Kind.FLAG: "boolean", Kind.MOMENT: "datetime", Kind.REFERENCE: "integer"}
    found = known.get(older.get(field.upper, field.upper))
    kind = found.type if found is not None and found.type not in ("char", "crm_multifield") else ""
    description = Description(
        field.upper,
        "user" if field.upper == "OBSERVERS" else kind or type_by_kind.get(field.kind, "string"),
        found.title if found is not None else field.upper.replace("_", " ").capitalize(),
        read_only=not field.column,
        required=found is not None and found.required,
        multiple=field.source in ("observers", "links"),
        status=found.status if found is not None else "",
        parent=found.parent if found is not None else 0,
    )
    return {**description.written(), "upperName": field.upper}


def written(entity: Entity, fields: Sequence[ItemField], rows: Sequence[sqlite3.Row], offset: int) -> dict[int, Any]:
    """Write rows, whose first column is the id and whose others are those of `fields` with SQL, by their ids."""
    plain = [field for field in fields if field.sql]
    items: dict[int, Any] = {}
    for row in rows:
        values = {field.name: _json(value, field, offset) for field, value in zip(plain, row[1:], strict=True)}
        items[row[0]] = {field.name: values.get(field.name) for field in fields} | {"entityTypeId": entity.type_id}
    return items


def _json(value: Any, field: ItemField, offset: int) -> Any:
    if field.kind is Kind.MOMENT:
        return iso(value, offset) if value is not None else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def complete(
    database: Database, entity: Entity, fields: Sequence[ItemField], items: dict[int, Any], *, fm: bool
) -> None:
    """Add what stands in other tables: observers, links, phones."""
    if not items:
        return
    marks = f"({', '.join('?' * len(items))})"
    sources = {field.source: field.name for field in fields if field.source}
    if "observers" in sources:
        rows = database.rows(
            f"SELECT entity_id, user_id FROM observer WHERE entity = ? AND entity_id IN {marks} ORDER BY user_id",  # noqa: S608
            (entity.name, *items),
        )
        _collect(items, sources["observers"], rows)
    if "links" in sources:
        other = "company" if entity is CONTACT else "contact"
        rows = database.rows(
            f"SELECT {entity.name}_id, {other}_id FROM contact_company WHERE {entity.name}_id IN {marks}"  # noqa: S608
            f" ORDER BY {entity.name}_id, sort, {other}_id",
            tuple(items),
        )
        _collect(items, sources["links"], rows)
    if not fm and not any(name in _MULTIPLE for name in sources):
        return
    for item in items.values():
        item.update({sources[name]: "" for name in _MULTIPLE if name in sources}, **({"fm": []} if fm else {}))
    rows = database.rows(
        f"SELECT entity_id, id, type_id, value_type, value FROM multifield WHERE entity = ? AND entity_id IN {marks}"  # noqa: S608
        " ORDER BY id",
        (entity.name, *items),
    )
    for row in rows:
        item, type_id = items[row["entity_id"]], row["type_id"]
        names = (type_id, f"{type_id}_{row['value_type']}", "IMOL" if type_id == "IM" else "")
        for name in names:
            if name in _MULTIPLE and name in sources and not item[sources[name]]:
                item[sources[name]] = row["value"]
        if fm:
            entry = {"id": row["id"], "valueType": row["value_type"], "value": row["value"], "typeId": type_id}
            item["fm"].append(entry)


def _collect(items: dict[int, Any], name: str, rows: Sequence[sqlite3.Row]) -> None:
    for item in items.values():
        item[name] = []
    for row in rows:
        items[row[0]][name].append(row[1])
