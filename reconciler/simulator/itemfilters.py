"""Filters and orders of `crm.item.list`: strict where the older methods are silent (F2)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.simulator.dates import strtotime
from reconciler.simulator.entities import CONTACT, Kind
from reconciler.simulator.errors import controller
from reconciler.simulator.filters import Sql, Where, both
from reconciler.simulator.itemfields import ITEM_FIELDS, upper
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from reconciler.simulator.entities import Entity
    from reconciler.simulator.filters import Moment
    from reconciler.simulator.itemfields import ItemField

_PREFIXES = ("!><", "!=%", "!%=", "><", ">=", "<=", "=%", "%=", "!@", "!=", "!%", ">", "<", "=", "%", "@", "!", "")
_WITH_ARRAYS = ("@", "!@", "!=", "=", "")
_KEY = re.compile(r"([=%><@!]*)(\w+)")
_LOGIC = ("logic", "LOGIC")
_RANGES = (">", "<", ">=", "<=")


def item_where(entity: Entity, conditions: PhpArray, moment: Moment, *, own: int | None) -> Where:
    """Translate a filter, of any depth; what is wrong with it is said, not dropped."""
    _validate(entity, conditions)
    part = _group(entity, conditions, moment)
    parts = [part] if part else []
    if own is not None:
        parts.append(Sql("assigned_by_id = ?", (own,)))
    text = " AND ".join(f"({part.text})" for part in parts) or "1"
    sql = Sql(text, tuple(value for part in parts for value in part.values))
    return _narrowed(entity, conditions, moment, sql)


def _narrowed(entity: Entity, conditions: PhpArray, moment: Moment, sql: Sql) -> Where:
    """Add what an index can do for the filter: by its outer conditions, unless any of them is enough."""
    where = Where(sql)
    if any(strval(conditions.get(name)).upper() == "OR" for name in _LOGIC):
        return where
    for key, value in conditions.items():
        prefix, name = _split(str(key)) or ("", "")
        if isinstance(key, int) or prefix not in ("", "=", "@", *_RANGES):
            continue
        exact = prefix in ("", "=", "@")
        if name == "ID":
            where = replace(where, indexed=True, numbered=where.numbered or exact)
        elif entity is CONTACT and name == "COMPANY_ID" and exact:
            part = _condition(entity, ITEM_FIELDS[entity.name][name], prefix, value, moment)
            where = replace(where, indexed=True, companies=both(where.companies, part))
        elif entity is CONTACT and name == "UPDATED_TIME":
            where = replace(where, indexed=True)
    return where


def item_order(entity: Entity, directions: PhpArray) -> str:
    """Translate an order; an unknown field or direction is refused."""
    terms = []
    for key, direction in directions.items():
        name, wanted = upper(str(key)), strval(direction).upper()
        field = ITEM_FIELDS[entity.name].get(name)
        if field is None:
            raise _wrong(f"Invalid order: field '{name}' is not allowed in order")
        if wanted not in ("ASC", "DESC"):
            got = f"But got '{wanted}' for field '{name}'"
            raise _wrong(f"Invalid order: allowed sort directions are ASC, DESC. {got}")
        if field.sql and field.sql != "NULL":
            terms.append(f"{field.sql} {wanted}")
    return ", ".join(terms)


def _wrong(description: str) -> Exception:
    return controller("INVALID_ARG_VALUE", description)


def _split(key: str) -> tuple[str, str] | None:
    """Split `!@assignedById` into prefix and name, or return None for what is no key."""
    match = _KEY.fullmatch(key)
    return (match[1], upper(match[2])) if match and match[1] in _PREFIXES else None


def _validate(entity: Entity, conditions: PhpArray) -> None:
    """Refuse the first thing that is wrong, from the inside out as the portal does."""
    for key, value in conditions.items():
        if isinstance(value, PhpArray):
            _validate(entity, value)
        if isinstance(key, int) or key in _LOGIC:
            continue
        split = _split(key)
        shown = f"{split[0]}{split[1]}" if split else upper(key)
        field = ITEM_FIELDS[entity.name].get(split[1]) if split else None
        # The real code knows how to filter by a company's contacts, and nothing of a contact's companies.
        if split is None or field is None or field.upper == "COMPANY_IDS":
            raise _wrong(f"Invalid filter: field '{shown}' is not allowed in filter")
        if isinstance(value, PhpArray) and split[0] not in _WITH_ARRAYS:
            raise _wrong(f"Invalid filter: field '{shown}' has invalid value")


def _group(entity: Entity, conditions: PhpArray, moment: Moment) -> Sql:
    glue, parts = " AND ", []
    for key, value in conditions.items():
        if key in _LOGIC:
            glue = " OR " if strval(value).upper() == "OR" else " AND "
        elif isinstance(key, int):
            if isinstance(value, PhpArray):
                parts.append(_group(entity, value, moment))
        else:
            prefix, name = _split(key) or ("", "")
            parts.append(_condition(entity, ITEM_FIELDS[entity.name][name], prefix, value, moment))
    parts = [part for part in parts if part]
    text = glue.join(f"({part.text})" for part in parts)
    return Sql(text, tuple(value for part in parts for value in part.values))


def _condition(entity: Entity, field: ItemField, prefix: str, value: Any, moment: Moment) -> Sql:
    negative = prefix.startswith("!")
    operation = prefix.removeprefix("!")
    values = value.values() if isinstance(value, PhpArray) else [value]
    if not field.sql:
        met = _elsewhere(entity, field, values)
        return Sql(f"NOT ({met.text})", met.values) if negative else met
    if operation in ("", "=", "@"):
        return _among(field, [_value(field, item, moment) for item in values], negative=negative)
    if operation in _RANGES:
        wanted = _value(field, values[0], moment)
        return Sql("0") if wanted is None else Sql(f"{field.sql} {operation} ?", (wanted,))
    # What is left is LIKE, and `><`, which takes two values while no array is let through.
    return _like(field, operation, strval(values[0]).casefold(), negative=negative) if "%" in operation else Sql("0")


def _like(field: ItemField, operation: str, pattern: str, *, negative: bool) -> Sql:
    like = f"fold({field.sql}) LIKE ?"
    if operation == "%":
        pattern, like = "%" + re.sub(r"([!%_])", r"!\1", pattern) + "%", f"{like} ESCAPE '!'"
    return Sql(f"{field.sql} IS NULL OR NOT ({like})" if negative else like, (pattern,))


def _among(field: ItemField, wanted: list[Any], *, negative: bool) -> Sql:
    """Compare with some values; of none, none is met. What is empty is unlike any value."""
    given = [value for value in wanted if value is not None]
    column = f"fold({field.sql})" if given and isinstance(given[0], str) else field.sql
    text = f"{column} IN ({', '.join('?' * len(given))})" if given else "0"
    if None in wanted:
        text = f"{field.sql} IS NULL OR {text}"
    elif negative:
        return Sql(f"{field.sql} IS NULL OR NOT ({text})", tuple(given))
    return Sql(f"NOT ({text})" if negative else text, tuple(given))


def _value(field: ItemField, value: Any, moment: Moment) -> Any:
    """Cast a value to what the column holds; None is nothing, and so is a date that is none."""
    if value is None or isinstance(value, PhpArray):
        return None
    if field.kind in (Kind.INTEGER, Kind.REFERENCE):
        return intval(value)
    if field.kind is Kind.MOMENT:
        return strtotime(strval(value), moment.now, moment.utc_offset)
    if field.kind is Kind.NUMBER:
        return float(intval(value))
    if field.kind is Kind.FLAG:
        return "y" if strval(value).upper() in ("Y", "1", "TRUE") else "n"
    return strval(value).casefold()


def _elsewhere(entity: Entity, field: ItemField, values: list[Any]) -> Sql:
    """Compare what stands in another table: some of it must be among the values."""
    if field.source not in ("observers", "links"):
        texts = tuple(strval(value) for value in values)
        type_id = field.upper.partition("_")[0]
        marks = ", ".join("?" * len(texts))
        found = f"SELECT 1 FROM multifield WHERE entity = '{entity.name}' AND entity_id = {entity.table}.id"  # noqa: S608
        return Sql(f"EXISTS ({found} AND type_id = '{type_id}' AND value IN ({marks}))", texts)
    numbers = tuple(intval(value) for value in values)
    marks = ", ".join("?" * len(numbers))
    if field.source == "observers":
        found = f"SELECT 1 FROM observer WHERE entity = '{entity.name}' AND entity_id = {entity.table}.id"  # noqa: S608
        return Sql(f"EXISTS ({found} AND user_id IN ({marks}))", numbers)
    other = "company" if entity is CONTACT else "contact"
    found = f"SELECT 1 FROM contact_company WHERE {entity.name}_id = {entity.table}.id"  # noqa: S608
    return Sql(f"EXISTS ({found} AND {other}_id IN ({marks}))", numbers)
