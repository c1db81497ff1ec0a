"""The ways of PHP that reach a client: its arrays, its casts, `parse_str`, and how it reads JSON.

A PHP array is one ordered map for lists and dictionaries alike. `PhpArray` keeps that, so that the quirk of F1.3, a
map that turns into a JSON list when its keys happen to be 0..n-1, needs no special case anywhere.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_FIRST_OF_WHOLE = frozenset("-0123456789")
_LEADING_NUMBER = re.compile(r"[ \t\n\r\v\f]*([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+)")
_NESTING = 64
#: `json_decode` gives up on what is nested deeper.
_JSON_DEPTH = 512
#: PHP's whole numbers end at 64 bits; a text beyond is the last of them, a number in JSON becomes a float.
_MAX_INT = 2**63 - 1
_SAFE_DIGITS = 18


class PhpArray:
    """An ordered map with integer and text keys; the text "7" is the integer 7."""

    __slots__ = ("_next", "data")

    def __init__(self, values: dict[Any, Any] | list[Any] | None = None) -> None:
        self.data: dict[int | str, Any] = {}
        self._next = 0
        if isinstance(values, list):
            for value in values:
                self.append(value)
        elif values is not None:
            for key, value in values.items():
                self.put(key, value)

    def put(self, key: object, value: Any) -> None:
        """Set one key."""
        self.put_own(array_key(key), value)

    def put_own(self, key: int | str, value: Any) -> None:
        """Set one key that is `array_key`'s already."""
        self.data[key] = value
        if isinstance(key, int) and key >= self._next:
            self._next = key + 1

    def append(self, value: Any) -> None:
        """Set the next free integer key."""
        self.data[self._next] = value
        self._next += 1

    def get(self, key: object, default: Any = None) -> Any:
        return self.data.get(array_key(key), default)

    def pop(self, key: object, default: Any = None) -> Any:
        return self.data.pop(array_key(key), default)

    def items(self) -> Iterator[tuple[int | str, Any]]:
        return iter(self.data.items())

    def values(self) -> list[Any]:
        return list(self.data.values())

    def upper_keys(self) -> PhpArray:
        """Return a copy with upper-case keys, as `array_change_key_case` does; of two alike the last one stays."""
        return PhpArray({key.upper() if isinstance(key, str) else key: value for key, value in self.items()})

    def is_list(self) -> bool:
        """Say whether JSON shows this array as a list: keys 0..n-1 in order (F1.3)."""
        return all(key == position for position, key in enumerate(self.data))

    def __contains__(self, key: object) -> bool:
        return array_key(key) in self.data

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhpArray) and list(self.data.items()) == list(other.data.items())

    def __hash__(self) -> int:
        raise TypeError("a PhpArray can change")

    def __repr__(self) -> str:
        return f"PhpArray({self.data!r})"


class EmptyObject:
    """What PHP writes as `{}` even when empty: an object without public members."""


def array_key(key: object) -> int | str:
    """Return the key that PHP would use: canonical decimal text becomes an integer."""
    if isinstance(key, int):
        return int(key)
    text = str(key)
    # Most keys are names, which is seen at their first letter.
    return int(text) if text[:1] in _FIRST_OF_WHOLE and _WHOLE.fullmatch(text) else text


def from_python(value: Any, depth: int = 0) -> Any:
    """Turn lists and dictionaries into PHP arrays, all the way down; RecursionError where PHP gives up too."""
    if isinstance(value, str) or not isinstance(value, dict | PhpArray | list):
        return value
    if depth >= _JSON_DEPTH:
        raise RecursionError("deeper than PHP decodes")
    array = PhpArray()
    if isinstance(value, list):
        for item in value:
            array.append(from_python(item, depth + 1))
    else:
        for key, item in value.items():
            array.put(key, from_python(item, depth + 1))
    return array


def parse_str(text: str, limit: int = 1000) -> PhpArray:
    """Parse a query string or form body; what is beyond `limit` (max_input_vars) is lost without a word (F14)."""
    result = target = PhpArray()
    before: tuple[int | str | None, ...] = ()
    for count, pair in enumerate(part for part in text.split("&") if part):
        if count >= limit:
            break
        name, _, value = pair.partition("=")
        path = _path(name)
        if path == before and path.count(None) == 1 and path[-1] is None:  # the next of an IN list
            target.append(_unquoted(value))
        elif path:
            target, before = _register(result, path, _unquoted(value)), path
    return result


def _unquoted(text: str) -> str:
    return unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text


def _register(target: PhpArray, path: tuple[int | str | None, ...], value: str) -> PhpArray:
    """Set what a path leads to; return the array that it ends in."""
    for key in path[:-1]:
        inner = target.data.get(key) if key is not None else None
        if not isinstance(inner, PhpArray):
            inner = PhpArray()
            _set(target, key, inner)
        target = inner
    _set(target, path[-1], value)
    return target


def _set(target: PhpArray, key: int | str | None, value: Any) -> None:
    if key is None:
        target.append(value)
    else:
        target.put_own(key, value)


@lru_cache(maxsize=1024)  # an IN list repeats its name for each of its values
def _path(encoded: str) -> tuple[int | str | None, ...]:
    """Split `a.b[c][]` into `a_b`, `c`, None; a bracket that is never closed becomes part of the name."""
    name = unquote_plus(encoded, errors="surrogateescape").lstrip(" ").split("\0", 1)[0]
    top, bracket, rest = name.partition("[")
    if not top:  # PHP turns a leading bracket into an underscore and takes the rest as it is
        return ("_" + rest,) if bracket else ()
    path: list[int | str | None] = [array_key(top.replace(".", "_").replace(" ", "_"))]
    while bracket and len(path) <= _NESTING:
        index, closed, tail = rest.partition("]")
        if not closed:
            return (f"{path[0]}_{rest}",) if len(path) == 1 else tuple(path)
        path.append(array_key(index) if index.strip() else None)
        bracket, rest = ("[" if tail.startswith("[") else ""), tail[1:]
    return tuple(path)


def intval(value: Any) -> int:
    """Cast to int as PHP does: leading digits of a text, 0 or 1 for an array."""
    if isinstance(value, PhpArray):
        return 1 if len(value) else 0
    if value is None:
        return 0
    if isinstance(value, str):
        if len(value) <= _SAFE_DIGITS and value.isdigit() and value.isascii():
            return int(value)
        match = _LEADING_NUMBER.match(value)
        value = float(match[1]) if match else 0
        if match and match[1].lstrip("+-").isdigit() and len(match[1]) <= _SAFE_DIGITS:
            return int(match[1])
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    return max(-_MAX_INT - 1, min(_MAX_INT, int(value)))


def is_numeric(value: Any) -> bool:
    """Tell whether a value is a number or a text that is nothing but one, with white space around it."""
    if isinstance(value, str):
        match = _LEADING_NUMBER.match(value)
        return match is not None and not value[match.end() :].strip(" \t\n\r\v\f")
    return isinstance(value, int | float) and not isinstance(value, bool)


def truthy(value: Any) -> bool:
    """Tell what PHP's `(bool)` gives; the text "false" is true (F1.3)."""
    if isinstance(value, PhpArray):
        return len(value) > 0
    return value not in (None, "", "0", 0, 0.0, False)


def strval(value: Any) -> str:
    """Cast to text as PHP does; JSON `true` becomes "1" (F4)."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if isinstance(value, PhpArray):
        return "Array"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NAN" if math.isnan(value) else "INF" if value > 0 else "-INF"
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def decode_json(body: bytes) -> PhpArray:
    """Decode a request's JSON; anything but an array or object is silently no parameters at all (F1.1)."""
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse, parse_int=_whole)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a letter is broken JSON too
        decoded = from_python(value)
    except (ValueError, RecursionError):
        return PhpArray()
    return decoded if isinstance(decoded, PhpArray) else PhpArray()


def _whole(digits: str) -> int | float:
    number = float(digits)
    return int(digits) if abs(number) < _MAX_INT else number


def _refuse(name: str) -> None:
    raise ValueError(name)
