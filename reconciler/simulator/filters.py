"""Filters and orders of the old list methods as SQL, with the silent droppings of the real ones (F2).

What the portal does not know it ignores: an unknown field, an empty IN list, a field that only `*.fields` knows.
The answer is then simply less filtered, which is the most dangerous habit of this interface.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reconciler.simulator.dates import strtotime
from reconciler.simulator.entities import Kind
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from reconciler.simulator.entities import Entity, Field

# `!` and `+` (or null) come first, then one operation; longer ones are tried before their beginnings.
_KEY = re.compile(
    r"(?P<negative>!?)(?P<or_null>\+?)(?P<operation>>=|>|<=|<|@|=%|%=|%|\?|\*=|\*%|\*|=|)(?P<field>.*)", re.DOTALL
)
_RANGES = {">", "<", ">=", "<="}
_LIKES = {"%", "%=", "=%"}
_NUMERIC = {Kind.INTEGER, Kind.REFERENCE, Kind.NUMBER}
# Two values that any filter understands as "empty" and "not empty".
_EMPTY, _NOT_EMPTY = "^&^", "^%^"
# SQLite takes 32,766 question marks in a statement; a JSON body can bring more numbers than that.
_MARKS = 10_000


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with the values of its question marks."""

    text: str
    values: tuple[object, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text)


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter key taken apart."""

    field: str
    operation: str
    negative: bool
    or_null: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """What a date without an offset, or a relative one, is measured against."""

    now: int
    utc_offset: int


@dataclass(frozen=True, slots=True)
class Where:
    """The WHERE of a list, and what the database has to look at for it."""

    sql: Sql
    #: Whether an index narrows it, as on the real portal (F14).
    indexed: bool = False
    #: The conditions on COMPANY_ID, if they do the narrowing: all contacts of those companies are looked at.
    companies: Sql = Sql("")
    #: Records are named by their IDs: nothing else is looked at.
    numbered: bool = False


@lru_cache(maxsize=1024)  # a client asks by the same few keys
def parse_key(key: str) -> Condition:
    """Split `!@ASSIGNED_BY_ID` into its parts."""
    match = _KEY.fullmatch(key)
    if match is None:  # pragma: no cover - the last group takes anything
        raise ValueError(key)
    return Condition(match["field"], match["operation"] or "=", bool(match["negative"]), bool(match["or_null"]))


def where(entity: Entity, conditions: PhpArray, moment: Moment, *, own: int | None) -> Where:
    """Translate a filter; category 0 is forced, and `own` limits it to the records of one owner (F2)."""
    parts = [Sql("category_id = 0")]
    indexed, numbered, companies = False, False, Sql("")
    if own is not None:
        parts.append(Sql("assigned_by_id = ?", (own,)))
    for key, value in conditions.items():
        condition = parse_key(str(key))
        field = entity.fields.get(condition.field)
        if field is None or field.kind is Kind.WRITE_ONLY:
            continue
        part = _condition(entity, field, condition, value, moment)
        if part:
            parts.append(part)
            if _narrows(entity, condition):
                indexed = True
                numbered = numbered or (condition.field == "ID" and condition.operation in {"=", "@"})
                if condition.field == "COMPANY_ID":
                    companies = both(companies, part)
    text = " AND ".join(f"({part.text})" for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return Where(Sql(text, values), indexed, companies, numbered)


def both(first: Sql, second: Sql) -> Sql:
    """Join two conditions, either of which may be missing."""
    if not first or not second:
        return first or second
    return Sql(f"({first.text}) AND ({second.text})", (*first.values, *second.values))


def order(entity: Entity, directions: PhpArray) -> str:
    """Translate an order: unknown fields are ignored, what is not ASC is DESC, nothing means no order at all (F2)."""
    terms: dict[str, str] = {}
    for key, direction in directions.items():
        field = entity.fields.get(str(key).upper())
        if field is not None and field.kind not in (Kind.WRITE_ONLY, Kind.MULTIPLE):
            terms.setdefault(field.sql, "ASC" if strval(direction).upper() == "ASC" else "DESC")
    return ", ".join(f"{sql} {direction}" for sql, direction in terms.items())


def _narrows(entity: Entity, condition: Condition) -> bool:
    indexed = {"ID", "COMPANY_ID", "DATE_MODIFY"} if entity.name == "contact" else {"ID"}
    return condition.field in indexed and not condition.negative and condition.operation in {"=", "@", *_RANGES}


def _condition(entity: Entity, field: Field, condition: Condition, value: Any, moment: Moment) -> Sql:
    if field.kind in (Kind.STATUS, Kind.REFERENCE) and condition.operation in _LIKES and not condition.negative:
        condition = replace(condition, operation="=")
    if field.kind is Kind.INTEGER and condition.operation in _RANGES and not condition.negative:
        # The cast that makes chained macros start again: an array of rows is 1, an empty one 0 (F1.3).
        value = intval(value)
    if field.kind is Kind.MOMENT:
        value = _moment(value, moment)
    values = value.values() if isinstance(value, PhpArray) else [value]
    if field.kind is Kind.MULTIPLE:
        return _any_of(condition, [_multiple(entity, field, condition, item) for item in values])
    if condition.operation == "@":
        return _or_null(field, condition, _in(field, condition, values))
    return _or_null(field, condition, _any_of(condition, [_single(field, condition, item) for item in values]))


def _any_of(condition: Condition, parts: list[Sql]) -> Sql:
    """Join the values of one key: OR, or AND of the negations; of no values there is no condition (F2)."""
    glue = " AND " if condition.negative else " OR "
    return Sql(glue.join(f"({part.text})" for part in parts), tuple(value for part in parts for value in part.values))


def _or_null(field: Field, condition: Condition, part: Sql) -> Sql:
    """Add "or nothing" for a key with `+`; nothing is NULL, zero and the empty text alike."""
    if not condition.or_null:
        return part
    nothing = _nothing(field)
    if condition.negative:
        nothing = f"NOT ({nothing})"
    glue = " AND " if condition.negative else " OR "
    return Sql(f"({part.text}){glue}({nothing})" if part else nothing, part.values)


def _nothing(field: Field) -> str:
    if field.kind is Kind.MOMENT:
        return f"{field.sql} IS NULL"
    return f"{field.sql} IS NULL OR {field.sql} = {0 if field.kind in _NUMERIC else repr('')}"


def _in(field: Field, condition: Condition, values: list[Any]) -> Sql:
    if not values:
        return Sql("")
    if field.kind in _NUMERIC:
        casts: list[object] = list(dict.fromkeys(intval(value) for value in values))
        text = f"{field.sql} IN ({', '.join('?' * len(casts))})"
        if len(casts) > _MARKS:
            text, casts = f"{field.sql} IN ({', '.join(map(str, casts))})", []
    else:
        casts = list(values) if field.kind is Kind.MOMENT else [strval(value).casefold() for value in values]
        column = field.sql if field.kind is Kind.MOMENT else f"fold({field.sql})"
        text = f"{column} IN ({', '.join('?' * len(casts))})"
    # Unlike `!FIELD`, a negated IN adds no "or null": rows without a value match neither.
    return Sql(f"NOT ({text})" if condition.negative else text, tuple(casts))


def _single(field: Field, condition: Condition, value: Any) -> Sql:
    if value in (_EMPTY, _NOT_EMPTY):
        negated = condition.negative != (value == _NOT_EMPTY)
        return Sql(f"NOT ({_nothing(field)})" if negated else _nothing(field))
    if field.kind in _NUMERIC:
        return _number(field, condition, value)
    if field.kind is Kind.MOMENT:
        return _date(field, condition, value)
    return _text(field, condition, strval(value))


def _number(field: Field, condition: Condition, value: Any) -> Sql:
    operation = condition.operation if condition.operation in _RANGES else "="
    number = intval(value) if field.kind is not Kind.NUMBER else _float(value)
    compared = f"{field.sql} {operation} ?"
    if number == 0 and "=" in operation:
        if condition.negative:
            return Sql(f"{field.sql} IS NOT NULL AND NOT ({compared})", (number,))
        return Sql(f"{field.sql} IS NULL OR {compared}", (number,))
    return Sql(f"{field.sql} IS NULL OR NOT ({compared})" if condition.negative else compared, (number,))


def _float(value: Any) -> float:
    match = re.match(r"\s*[+-]?\d+(?:\.\d*)?", strval(value).replace(",", "."))
    return float(match[0]) if match else 0.0


def _moment(value: Any, moment: Moment) -> int | PhpArray | None:
    if isinstance(value, PhpArray):
        # The real conversion takes one text; an array is none, and an empty one stays an empty condition.
        return None if len(value) else value
    return strtotime(strval(value), moment.now, moment.utc_offset)


def _date(field: Field, condition: Condition, value: int | None) -> Sql:
    if value is None:
        return Sql(f"{field.sql} IS NOT NULL" if condition.negative else f"{field.sql} IS NULL")
    operation = condition.operation if condition.operation in _RANGES else "="
    compared = f"{field.sql} {operation} ?"
    return Sql(f"{field.sql} IS NULL OR NOT ({compared})" if condition.negative else compared, (value,))


def _text(field: Field, condition: Condition, value: str) -> Sql:
    if condition.operation in _LIKES or condition.operation in {"?", "*", "*%"}:
        # A negated LIKE is not negated by the old list methods; they drop the `!`. Nothing to look for becomes the
        # bare column, which is true for no text that does not begin with a number.
        if not value:
            return Sql(field.sql)
        if condition.operation in {"=%", "%="}:
            return Sql(f"fold({field.sql}) LIKE ?", (value.casefold(),))
        literal = re.sub(r"([!%_])", r"!\1", value.casefold())
        return Sql(f"fold({field.sql}) LIKE ? ESCAPE '!'", (f"%{literal}%",))
    operation = condition.operation if condition.operation in _RANGES else "="
    compared = f"fold({field.sql}) {operation} ?"
    if not value and "=" in operation:
        # `>=` of nothing is true for any text, `=` only for the empty one.
        empty = f"{_nothing(field)} OR {compared}"
        return Sql(f"NOT ({empty})" if condition.negative else empty, (value,))
    text = f"{field.sql} IS NULL OR NOT ({compared})" if condition.negative else compared
    return Sql(text, (value.casefold(),))


def _multiple(entity: Entity, field: Field, condition: Condition, value: Any) -> Sql:
    """Compare a multifield: exactly, whatever the operation says, an address of e-mail in any letter case (F2)."""
    same = "fold(value) = ?" if field.name == "EMAIL" else "value = ?"
    text = strval(value).casefold() if field.name == "EMAIL" else strval(value)
    exists = (
        f"EXISTS (SELECT 1 FROM multifield WHERE entity = '{entity.name}' AND entity_id = {entity.table}.id"  # noqa: S608 - names of the program
        f" AND type_id = '{field.name}' AND {same})"
    )
    return Sql(f"NOT {exists}" if condition.negative else exists, (text,))
