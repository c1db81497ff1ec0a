"""Redaction: no secret survives in any spelling, and what is no secret stays as it was."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.portal.redaction import MASK, Redactor

TOKEN = 'k3y/k3y"k3y ключ'
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=20)
ENCODINGS = {
    "raw": lambda s: s,
    "percent": lambda s: quote(s, safe=""),
    "percent, lower case": lambda s: "".join(f"%{b:02x}" for b in s.encode()),
    "percent, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "plus for space": lambda s: quote(s, safe=" ").replace(" ", "+"),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON, not ASCII": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "repr": lambda s: repr(s)[1:-1] if s.isprintable() else s,
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
@given(secret=SECRETS, before=st.text("ab /", max_size=5), after=st.text("ab /", max_size=5))
def test_a_secret_is_masked_in_every_spelling(encode: Any, secret: str, before: str, after: str) -> None:
    """However URLs and JSON write it, nothing of it but the mask is left between its neighbours."""
    redacted = Redactor([secret]).text(f"<{before}|{encode(secret)}|{after}>")
    assert redacted.count(MASK) >= 1
    assert encode(secret) not in redacted


@given(st.text(max_size=200))
def test_redaction_is_idempotent(text: str) -> None:
    """Text that went through twice is the same as once."""
    redactor = Redactor(["secret-one", "secret-two"])
    assert redactor.text(redactor.text(text)) == redactor.text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("POST https://a.b/rest/1/abc123/batch 200", "POST https://a.b/rest/1/***/batch 200"),
        ("https://a.b/rest/1/abc123", "https://a.b/rest/1/***"),
        ("'/rest/22/abc123/'", "'/rest/22/***/'"),
        ("https://a.b/REST/1/abc%31%7e/x", "https://a.b/REST/1/***/x"),
        (r"https:\/\/a.b\/rest\/1\/abc\/batch", r"https:\/\/a.b\/rest\/1\/***\/batch"),
        ("u=https%3A%2F%2Fa.b%2frest%2F1%2Fabc%2Fbatch", "u=https%3A%2F%2Fa.b%2frest%2F1%2F***%2Fbatch"),
        ("%252Frest%252F1%252Fabc%252Fx", "%252Frest%252F1%252F***%252Fx"),
        (r"\u002frest\u002f1\u002fab\u0063\u002fx", r"\u002frest\u002f1\u002f***\u002fx"),
        ("https://a.b/rest/api/1/abc/x", "https://a.b/rest/api/1/***/x"),
        ("two: /rest/1/abc /rest/2/def?x", "two: /rest/1/*** /rest/2/***?x"),
        ("/rest/crm.contact.list", "/rest/crm.contact.list"),
        ("the rest/1/2 of it", "the rest/1/2 of it"),
        ("/rest/<user>/<code>/", "/rest/<user>/<code>/"),
    ],
)
def test_a_webhook_code_is_masked_by_its_shape(text: str, expected: str) -> None:
    """Without having been told the token: after /rest/<digits>/ in any spelling; other text is left alone."""
    assert Redactor().text(text) == expected


def test_the_longer_of_two_secrets_that_begin_alike_goes_whole() -> None:
    """No tail of the longer secret is left behind the mask of the shorter."""
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == f"{MASK} {MASK}"


def test_what_is_too_short_to_be_a_secret_is_left() -> None:
    """An empty or a very short secret does not blank out everything."""
    assert Redactor(["", "a"]).text("a banana") == "a banana"


def test_nested_values_are_masked_through_and_through() -> None:
    """Keys, lists, tuples, sets, bytes and exceptions; numbers and other values stay what they are."""
    redactor = Redactor([TOKEN])
    path = PurePosixPath("a")
    assert redactor(
        {
            TOKEN: [TOKEN, 1, 2.5, None, True],
            "t": (TOKEN, {"deep": TOKEN}),
            "s": {TOKEN},
            "f": frozenset(["x"]),
            "b": f"<{TOKEN}>".encode() + b"\xff",
            "e": ValueError(f"no {TOKEN}"),
            "p": path,
        }
    ) == {
        MASK: [MASK, 1, 2.5, None, True],
        "t": (MASK, {"deep": MASK}),
        "s": {MASK},
        "f": {"x"},
        "b": b"<***>\xff",
        "e": f"no {MASK}",
        "p": path,
    }


def test_an_object_that_would_tell_a_secret_becomes_text() -> None:
    """Loggers write unknown objects by their repr or str: a request shows its whole address there."""
    request = httpx.Request("POST", "https://a.b/rest/1/abc123/batch")
    assert Redactor()({"request": request, "url": request.url}) == {
        "request": "<Request('POST', 'https://a.b/rest/1/***/batch')>",
        "url": "URL('https://a.b/rest/1/***/batch')",
    }


def test_a_structure_that_contains_itself_ends() -> None:
    """A cycle becomes text at some depth, without its secret."""
    cycle: dict[str, Any] = {"token": "tokentoken"}
    cycle["self"] = cycle
    assert "tokentoken" not in str(Redactor(["tokentoken"])(cycle))
