"""PHP's arrays, casts, parse_str and JSON, as far as a client can see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.simulator.encoding import encode_json
from reconciler.simulator.php import (
    EmptyObject,
    PhpArray,
    decode_json,
    from_python,
    intval,
    parse_str,
    strval,
    truthy,
)


def plain(value: Any) -> Any:
    """Turn PHP arrays into dictionaries, whatever their keys."""
    return {key: plain(inner) for key, inner in value.items()} if isinstance(value, PhpArray) else value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a=1&b=2", {"a": "1", "b": "2"}, id="pairs"),
        pytest.param("a=1&a=2", {"a": "2"}, id="the-last-wins"),
        pytest.param("a&b=&&c=x=y", {"a": "", "b": "", "c": "x=y"}, id="no-value"),
        pytest.param("=x&%00=y", {}, id="no-name"),
        pytest.param("a[b][c]=1", {"a": {"b": {"c": "1"}}}, id="nested"),
        pytest.param("a%5Bb%5D%5B%5D=1&a%5Bb%5D%5B%5D=2", {"a": {"b": {0: "1", 1: "2"}}}, id="encoded-brackets"),
        pytest.param("a[]=1&a[7]=2&a[]=3", {"a": {0: "1", 7: "2", 8: "3"}}, id="append-after-a-key"),
        pytest.param("7[]=1&7[]=2", {7: {0: "1", 1: "2"}}, id="a-number-for-a-name"),
        pytest.param("a[][]=1&a[][]=2", {"a": {0: {0: "1"}, 1: {0: "2"}}}, id="a-list-of-lists"),
        pytest.param("a[05]=1&a[-3]=2", {"a": {"05": "1", -3: "2"}}, id="canonical-numbers-only"),
        pytest.param("a.b c=1&x[d.e f]=2", {"a_b_c": "1", "x": {"d.e f": "2"}}, id="dots-at-the-top-only"),
        pytest.param("a[b=1", {"a_b": "1"}, id="never-closed"),
        pytest.param("a[b][c=1", {"a": {"b": "1"}}, id="second-never-closed"),
        pytest.param("a[b]c=1", {"a": {"b": "1"}}, id="rest-after-bracket-lost"),
        pytest.param("[a]=1", {"_a]": "1"}, id="leading-bracket"),
        pytest.param("a=1&a[b]=2", {"a": {"b": "2"}}, id="text-becomes-array"),
        pytest.param("a=1+2%2B3", {"a": "1 2+3"}, id="plus-is-a-space"),
        pytest.param("filter[%3E%3DDATE_MODIFY]=x", {"filter": {">=DATE_MODIFY": "x"}}, id="operator-in-brackets"),
        pytest.param("filter[>=ID]=5", {"filter_>": "ID]=5"}, id="bare-equals-sign-breaks-it"),
    ],
)
def test_parse_str(text: str, expected: dict[str, Any]) -> None:
    """F1.3: each command string and each form body goes through PHP's parse_str."""
    assert plain(parse_str(text)) == expected


def test_parse_str_drops_what_is_too_much() -> None:
    """F1.3, F14: beyond max_input_vars the surplus is dropped silently."""
    ids = parse_str("&".join(f"ids[]={number}" for number in range(1200))).get("ids")
    assert len(ids) == 1000
    assert len(parse_str("a=1&b=2&c=3", limit=2)) == 2


def test_parse_str_stops_nesting_somewhere() -> None:
    """A name of a thousand brackets is no way to exhaust the stack."""
    depth, value = 0, parse_str("a" + "[b]" * 1000 + "=1").get("a")
    while isinstance(value, PhpArray):
        depth, value = depth + 1, value.get("b")
    assert depth == 64


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("15", 15), (" 15", 15), ("15abc", 15), ("abc", 0), ("", 0), ("-3", -3), ("+3", 3), ("1.9", 1), ("1e3", 1000),
        ("1999-11", 1999), (".5", 0), (None, 0), (True, 1), (False, 0), (7.9, 7), (PhpArray(), 0), (PhpArray([5]), 1),
    ],
    ids=str,
)  # fmt: skip
def test_intval(value: object, number: int) -> None:
    """F2: ids and `start` are cast, never refused."""
    assert intval(value) == number


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ("false", True), ("0", False), ("", False), (0, False), (0.0, False), (None, False), (False, False),
        ("0.0", True), ("N", True), (PhpArray(), False), (PhpArray([0]), True), (-1, True),
    ],
    ids=str,
)  # fmt: skip
def test_truthy(value: object, truth: bool) -> None:
    """F1.3: the text "false" is true, "0" is not."""
    assert truthy(value) is truth


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (False, ""), (True, "1"), (5, "5"), (5.0, "5"), (5.5, "5.5"), ("x", "x"), (PhpArray(), "Array")],
    ids=str,
)
def test_strval(value: object, text: str) -> None:
    """F4: JSON true arrives as "1"."""
    assert strval(value) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        pytest.param(PhpArray(), "[]", id="empty"),
        pytest.param(PhpArray({0: "a", 1: "b"}), '["a","b"]', id="list"),
        pytest.param(PhpArray({"0": "a", "1": "b"}), '["a","b"]', id="numeric-text-keys"),
        pytest.param(PhpArray({1: "b"}), '{"1":"b"}', id="gap"),
        pytest.param(PhpArray({1: "b", 0: "a"}), '{"1":"b","0":"a"}', id="wrong-order"),
        pytest.param(PhpArray({"c0": "a"}), '{"c0":"a"}', id="names"),
        pytest.param(PhpArray({"x": PhpArray()}), '{"x":[]}', id="nested"),
        pytest.param(PhpArray({"x": EmptyObject()}), '{"x":{}}', id="object"),
    ],
)
def test_lists_and_objects(array: PhpArray, text: str) -> None:
    """F1.3: a map is a list when its keys are 0..n-1 in order, also when it is empty."""
    assert encode_json(array) == text.encode()


def test_json_escapes() -> None:
    r"""F1.2: quotes are \u0022 and slashes \/, and it is still JSON for the same text."""
    text = 'Ünï "x"\\" </b> & \' \u2028 a/b'
    encoded = encode_json({"k/": text})
    assert b'"k\\/":' in encoded
    assert b"\\u0022x\\u0022\\\\\\u0022" in encoded
    assert "Ünï".encode() in encoded
    assert json.loads(encoded) == {"k/": text}


def test_json_of_unknown_things_is_a_mistake() -> None:
    """The portal never writes what it does not know."""
    with pytest.raises(TypeError):
        encode_json({"x": object()})


@pytest.mark.parametrize("body", [b"{broken", b"", b'"text"', b"5", b"null", b"NaN", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_no_parameters(body: bytes) -> None:
    """F1.1: broken JSON is silently treated as no params."""
    assert len(decode_json(body)) == 0


def test_arrays_behave_as_in_php() -> None:
    """One kind of array: numeric text is a number, order counts, and it cannot be a key."""
    array = from_python({"5": [1], "a": {"b": 2}})
    array.append("next")
    assert list(array.data) == [5, "a", 6]
    assert array.get("5") == PhpArray([1])
    assert "6" in array
    assert array.pop("6") == "next"
    assert PhpArray({"a": 1, "b": 2}) != PhpArray({"b": 2, "a": 1})
    assert from_python(PhpArray([[1]])).get(0) == PhpArray([1])
    assert PhpArray({"cmd": 1, 3: 2}).upper_keys() == PhpArray({"CMD": 1, 3: 2})
    assert repr(PhpArray([1])) == "PhpArray({0: 1})"
    with pytest.raises(TypeError):
        hash(array)
