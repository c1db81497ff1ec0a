"""From the fields of `crm.item.add` and `update` to what may be written (F4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.edits import Wish
from reconciler.simulator.entities import Kind
from reconciler.simulator.errors import controller
from reconciler.simulator.itemfields import ITEM_FIELDS, upper
from reconciler.simulator.multifields import of_fm
from reconciler.simulator.php import PhpArray, intval
from reconciler.simulator.values import ids, stored

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call
    from reconciler.simulator.entities import Entity
    from reconciler.simulator.itemfields import ItemField

_TYPE_NAMES = {str: "string", int: "integer", float: "double", bool: "boolean"}


def wish_of_item(entity: Entity, fields: PhpArray, call: Call) -> Wish:
    """Read the fields of a call; unknown ones and those nobody may set are dropped, wrong ones are refused."""
    columns: dict[str, Any] = {}
    links: dict[str, list[int]] = {}
    for key, value in fields.items():
        field = ITEM_FIELDS[entity.name].get(upper(str(key)))
        if field is None or not field.column:
            continue
        if field.source:
            links[field.source] = _many(value)
        elif field.column == "link":
            links["link"] = ids(value)[:1]
        else:
            _put(columns, field, value, call)
    return Wish(
        columns=columns,
        links=links.get("links", links.get("link")),
        single_link="link" in links and "links" not in links,
        multifields=of_fm(fields.get("fm")),
        observers=links.get("observers"),
    )


def _put(columns: dict[str, Any], field: ItemField, value: Any, call: Call) -> None:
    if field.upper == "ASSIGNED_BY_ID":
        if isinstance(value, PhpArray) or intval(value) <= 0:
            raise controller("CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Invalid value for field "{field.name}"')
        columns[field.column] = intval(value)
    elif field.kind is Kind.FLAG:
        columns[field.column] = "Y" if value is True or value in ("true", "y", "Y") else "N"
    elif value in (None, "") and field.kind is not Kind.NUMBER:
        columns[field.column] = "" if field.upper == "TITLE" else None
    else:
        converted = stored(field.kind, value, call)
        if converted is not None:  # a date that is none changes nothing
            columns[field.column] = converted


def _many(value: Any) -> list[int]:
    if value is None:
        return []
    if not isinstance(value, PhpArray):
        kind = _TYPE_NAMES.get(type(value), "string")
        raise controller("100", f"Expected iterable value for multiple field, but got {kind} instead")
    return ids(value)
