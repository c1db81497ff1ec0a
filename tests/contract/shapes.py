"""The shape of an answer: keys, types, nulls, list or object; and where two shapes differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
#: A portal that meters says so, one that does not does not: neither is a deviation (F5.2, F15).
METER = frozenset({"operating", "operating_reset_at"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in an answer where the documentation and the embedded portal differ."""

    #: `result[].ID`: the ID of any row.
    path: str
    documented: str
    portal: str


def kind(value: Any) -> str:
    """Name the type of a JSON value; times with a zone are texts of their own kind, all numbers are one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "moment" if _MOMENT.fullmatch(value) else "text"
    return "list" if isinstance(value, list) else "object"


def differences(documented: Any, portal: Any, path: str = "") -> list[Difference]:
    """Compare two values; rows of a list are taken together, as one row with all their keys."""
    return list(_compare([documented], [portal], path))


def _compare(documented: list[Any], portal: list[Any], path: str) -> Iterator[Difference]:
    kinds, others = _kinds(documented), _kinds(portal)
    if kinds != others:
        yield Difference(path, kinds, others)
    rows, other_rows = _all(documented, list), _all(portal, list)
    if rows and other_rows:
        yield from _compare(rows, other_rows, f"{path}[]")
    objects, other_objects = _all(documented, dict), _all(portal, dict)
    names = [name for value in [*objects, *other_objects] for name in value]
    if objects and other_objects:
        for name in dict.fromkeys(names):
            inner = [value[name] for value in objects if name in value]
            other_inner = [value[name] for value in other_objects if name in value]
            below = f"{path}.{name}" if path else name
            if name in METER and (not inner or not other_inner):
                continue
            yield from _compare(inner, other_inner, below)


def _kinds(values: list[Any]) -> str:
    return " or ".join(sorted({kind(value) for value in values})) or "absent"


def _all(values: list[Any], wanted: type) -> list[Any]:
    """Return the objects, or the items of the lists, among the values."""
    found = [value for value in values if isinstance(value, wanted)]
    return found if wanted is dict else [item for value in found for item in value]
