"""From the fields of a REST call to what may be written; the rest is dropped without a word (F4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator import multifields
from reconciler.simulator.dates import strtotime
from reconciler.simulator.edits import Wish
from reconciler.simulator.entities import Kind
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.simulator.calls import Call
    from reconciler.simulator.entities import Entity

#: What only an import may set.
SYSTEM_FIELDS = ("DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID")
_DOUBLE_LIMIT = 1e15


def wish_of(entity: Entity, fields: PhpArray, call: Call, *, importing: bool = False) -> Wish:
    """Read the fields of `crm.contact.*` and `crm.company.*`."""
    columns: dict[str, Any] = {}
    links: list[int] | None = None
    entries = []
    for key, value in fields.items():
        field = entity.fields.get(str(key))
        if field is None:
            continue
        if field.kind is Kind.MULTIPLE:
            entries += multifields.of_field(field.name, value)
        elif field.name in ("COMPANY_IDS", "CONTACT_ID") and field.kind is Kind.WRITE_ONLY:
            links = ids(value)
        elif field.name == "ASSIGNED_BY_ID" and intval(value) <= 0:
            continue  # "succeeds" all the same
        elif field.column or (importing and field.name in SYSTEM_FIELDS):
            columns[field.column or field.sql] = stored(field.kind, value, call)
    single = links is None and "COMPANY_ID" in fields and "COMPANY_ID" in entity.fields
    if single:
        links = ids(fields.get("COMPANY_ID"))[:1]
    return Wish(columns=columns, links=links, single_link=single, multifields=entries)


def ids(value: Any) -> list[int]:
    """Read one number or many, each once."""
    values = value.values() if isinstance(value, PhpArray) else [value]
    return [number for number in dict.fromkeys(intval(item) for item in values) if number > 0]


def stored(kind: Kind, value: Any, call: Call) -> Any:
    """Cast a value as the tables hold it."""
    if kind is Kind.REFERENCE:
        return intval(value)
    if kind is Kind.FLAG:
        return "Y" if strval(value).upper() == "Y" else "N"
    if kind is Kind.MOMENT:
        return strtotime(strval(value), call.now, call.utc_offset)
    if kind is Kind.NUMBER:
        try:
            return max(-_DOUBLE_LIMIT, min(_DOUBLE_LIMIT, float(strval(value))))
        except ValueError:
            return 0.0
    return strval(value)


def columns_of(entity: Entity, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names a person's edit uses; they are the tables' own, in lower case."""
    known = {field.column for field in entity.fields.values() if field.column}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"a {entity.name} has no {', '.join(unknown)} to edit; use {', '.join(sorted(known))}")
    return dict(values)
