"""Contacts and companies: which fields REST shows, where each stands in the tables, and how a row is written (F2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from reconciler.simulator.dates import iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence


#: Kinds of PHONE and its like.
MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")


class Kind(Enum):
    """How a field's values are compared and written."""

    INTEGER = "integer"
    #: A number that names something: a user, a company. LIKE means `=`, but a range takes an array as it is.
    REFERENCE = "reference"
    TEXT = "text"
    #: An entry of a directory (crm_status): LIKE means `=`.
    STATUS = "status"
    FLAG = "flag"
    MOMENT = "moment"
    NUMBER = "number"
    #: PHONE, EMAIL, ...: rows of their own table.
    MULTIPLE = "multiple"
    #: Known to `*.fields`, unknown to the list's SQL: such a filter is dropped, nothing is listed.
    WRITE_ONLY = "write-only"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an entity; `sql` may be any expression over the entity's table."""

    name: str
    sql: str
    kind: Kind
    #: Column that `update` may set, empty for read-only fields.
    column: str = ""
    #: One can filter and order by it, and no answer shows it.
    hidden: bool = False

    @property
    def own(self) -> bool:
        """Whether the customer added it."""
        return self.name.startswith("UF_")


@dataclass(frozen=True, slots=True)
class Entity:
    """A CRM type with its table."""

    #: The number of the type in `crm.item.*`.
    type_id: int
    name: str
    title: str
    table: str
    fields: Mapping[str, Field]

    def columns(self, select: Sequence[str]) -> list[Field]:
        """Return the fields a `select` asks for: `*` means all but PHONE and its like, and the customer's own fields.

        `UF_*` means those, and nothing at all means both.

        Unknown names are ignored and ID always comes along (F2).
        """
        everything = not select or "*" in select
        if not everything and "UF_*" not in select:  # names only, as most ask
            named = {"ID", *select}
            return [
                f for f in self.fields.values() if f.name in named and f.kind is not Kind.WRITE_ONLY and not f.hidden
            ]
        return [
            field
            for field in self.fields.values()
            if field.kind is not Kind.WRITE_ONLY
            and not field.hidden
            and (
                field.name == "ID"
                or field.name in select
                or (everything and field.kind is not Kind.MULTIPLE and not field.own)
                or (field.own and (not select or "UF_*" in select))
            )
        ]


def written(value: Any, kind: Kind, utc_offset: int) -> str | None:
    """Write one value for JSON: all scalars are text, empty is null, an empty date is empty text (F2)."""
    if kind is Kind.MOMENT:
        return iso(value, utc_offset) if value is not None else ""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def record(row: sqlite3.Row, fields: Sequence[Field], utc_offset: int) -> dict[str, Any]:
    """Write one row, whose columns are in the order of `fields`."""
    return {field.name: written(value, field.kind, utc_offset) for field, value in zip(fields, row, strict=True)}


def _read_only(names: str, kind: Kind, sql: str = "NULL") -> list[Field]:
    return [Field(name, sql, kind) for name in names.split()]


def _columns(names: str, kind: Kind) -> list[Field]:
    return [Field(name, name.lower(), kind, name.lower()) for name in names.split()]


def _has(table: str, type_id: str) -> Field:
    sql = (
        f"CASE WHEN EXISTS (SELECT 1 FROM multifield WHERE entity = '{table}'"  # noqa: S608 - names of the program
        f" AND entity_id = {table}.id AND type_id = '{type_id}') THEN 'Y' ELSE 'N' END"
    )
    return Field(f"HAS_{'IMOL' if type_id == 'IM' else type_id}", sql, Kind.FLAG)


def _shared(table: str) -> list[Field]:
    return [
        Field("ID", "id", Kind.INTEGER),
        *_columns("COMMENTS ORIGINATOR_ID ORIGIN_ID ORIGIN_VERSION", Kind.TEXT),
        *_columns("OPENED", Kind.FLAG),
        *_columns("UF_CRM_OWNER_FIXED", Kind.TEXT),
        *_columns("ASSIGNED_BY_ID", Kind.REFERENCE),
        *_read_only("CREATED_BY_ID", Kind.REFERENCE, "created_by_id"),
        *_read_only("MODIFY_BY_ID", Kind.REFERENCE, "modify_by_id"),
        *_read_only("DATE_CREATE", Kind.MOMENT, "date_create"),
        *_read_only("DATE_MODIFY", Kind.MOMENT, "date_modify"),
        *_read_only("LEAD_ID", Kind.REFERENCE, "lead_id"),
        *_read_only("LAST_ACTIVITY_TIME", Kind.MOMENT, "date_create"),
        *_read_only("LAST_ACTIVITY_BY", Kind.REFERENCE, "created_by_id"),
        *_columns("ADDRESS ADDRESS_2 ADDRESS_CITY ADDRESS_POSTAL_CODE ADDRESS_REGION ADDRESS_PROVINCE", Kind.TEXT),
        *_columns("ADDRESS_COUNTRY ADDRESS_LOC_ADDR_ID", Kind.TEXT),
        *_columns("UTM_SOURCE UTM_MEDIUM UTM_CAMPAIGN UTM_CONTENT UTM_TERM", Kind.TEXT),
        *(_has(table, type_id) for type_id in ("PHONE", "EMAIL", "IM")),
        *_read_only(" ".join(MULTIFIELDS), Kind.MULTIPLE),
    ]


def _entity(type_id: int, title: str, own: Sequence[Field]) -> Entity:
    table = title.lower()
    fields = {field.name: field for field in (*_shared(table), *own)}
    return Entity(type_id=type_id, name=table, title=title, table=table, fields=fields)


# CATEGORY_ID and OBSERVERS are not among the fields: filters on them are unknown and thus dropped (F2).
CONTACT = _entity(
    3,
    "Contact",
    [
        *_columns("HONORIFIC TYPE_ID SOURCE_ID", Kind.STATUS),
        *_columns("NAME SECOND_NAME LAST_NAME SOURCE_DESCRIPTION POST", Kind.TEXT),
        *_columns("EXPORT", Kind.FLAG),
        *_columns("BIRTHDATE", Kind.MOMENT),
        # Not written like other columns: the link decides (F3).
        *_read_only("COMPANY_ID", Kind.REFERENCE, "company_id"),
        *_read_only("COMPANY_IDS ADDRESS_COUNTRY_CODE", Kind.WRITE_ONLY),
        *_read_only("PHOTO FACE_ID", Kind.TEXT),
        Field("FULL_NAME", "TRIM(COALESCE(name, '') || ' ' || COALESCE(last_name, ''))", Kind.TEXT, hidden=True),
    ],
)

COMPANY = _entity(
    4,
    "Company",
    [
        *_columns("TITLE BANKING_DETAILS", Kind.TEXT),
        *_columns("COMPANY_TYPE INDUSTRY EMPLOYEES CURRENCY_ID", Kind.STATUS),
        *_columns("REVENUE", Kind.NUMBER),
        *_columns("IS_MY_COMPANY", Kind.FLAG),
        *_read_only("CONTACT_ID", Kind.WRITE_ONLY),
        *_columns("ADDRESS_COUNTRY_CODE ADDRESS_LEGAL REG_ADDRESS REG_ADDRESS_2 REG_ADDRESS_CITY", Kind.TEXT),
        *_columns("REG_ADDRESS_POSTAL_CODE REG_ADDRESS_REGION REG_ADDRESS_PROVINCE REG_ADDRESS_COUNTRY", Kind.TEXT),
        *_columns("REG_ADDRESS_COUNTRY_CODE REG_ADDRESS_LOC_ADDR_ID", Kind.TEXT),
        *_read_only("LOGO LAST_COMMUNICATION_TIME", Kind.TEXT),
    ],
)

#: By their names, which are also those of their tables.
ENTITIES = {CONTACT.name: CONTACT, COMPANY.name: COMPANY}
