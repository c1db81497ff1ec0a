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

from reconciler.core.redaction import MASK, Redactor

TOKEN = 'k3y/k3y"k3y ключ'
#: Four letters, and then anything: a secret of which a reader sees less than four characters is none.
SECRETS = st.builds(
    "{}{}".format,
    st.text("abcdXYZ", min_size=4, max_size=6),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), max_size=16),
)
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


CODE = "k3yk3yk3yk3yk3y0"


def units(character: str) -> list[bytes]:
    """Return the UTF-16 units of a character."""
    encoded = character.encode("utf-16-be", "surrogatepass")
    return [encoded[start : start + 2] for start in range(0, len(encoded), 2)]


#: Ways to write a character that a browser, a terminal or a decoder makes the same of.
WRITTEN = {
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "hex entity": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "entity with zeros": lambda text: "".join(f"&#000{ord(c)};" for c in text),
    "entity without end": lambda text: "".join(f"&#x{ord(c):x}" + (";" if c.isalnum() else "") for c in text),
    "JSON": lambda text: "".join(f"\\u{unit[0]:02x}{unit[1]:02x}" for c in text for unit in units(c)),
    "repr": lambda text: "".join(f"\\U{ord(c):08x}" for c in text),
    "percent sign": lambda text: text.replace("%", "%25").replace("&", "%26").replace("\\", "%5C"),
    "ampersand": lambda text: text.replace("&", "&amp;").replace("%", "&percnt;").replace("\\", "&bsol;"),
    "quoted": lambda text: json.dumps(text)[1:-1],
}
#: What is not seen on a screen, or only as a mark on the character before it.
UNSEEN = "\u200b\u00ad\u2060\ufeff\u202e\u0301\u0489\ufe0f\x00\x1b\x7f\n\u2028\u3164\U000e0061\u180e"


@given(
    breaks=st.lists(st.tuples(st.integers(1, 15), st.sampled_from(UNSEEN)), max_size=6),
    layers=st.lists(st.sampled_from(sorted(WRITTEN)), max_size=4),
    clear=st.booleans(),
)
def test_a_secret_is_masked_with_invisible_characters_inside(
    breaks: list[tuple[int, str]], layers: list[str], clear: bool
) -> None:
    """In any place and number, written in any nesting of escapes; what stands beside it stays."""
    text = CODE
    for place, unseen in sorted(breaks, reverse=True):
        text = text[:place] + unseen + text[place:]
    for layer in layers:
        text = WRITTEN[layer](text) if clear or len(text) < 2_000 else text
    assert Redactor([CODE]).text(f"the code {text}, and more") == f"the code {MASK}, and more"


@pytest.mark.parametrize(
    "text",
    [
        "k3yk3yk3&ZeroWidthSpace;yk3yk3y0",
        "k3yk3yk3&shy;yk3yk3y0",
        "k3yk3yk3%C2%ADyk3yk3y0",
        "k3yk3yk3\\u00adyk3yk3y0",
        "k3yk3yk3&amp;#8203;yk3yk3y0",
        "k3yk3yk3&#x25;C2&#x25;ADyk3yk3y0",
        "k3yk3yk3%26shy%3Byk3yk3y0",
        "&#x6B;3yk3yk3yk3yk3y0",
        "&#107;3yk3yk3yk3yk3y0",
        "k3\u0079\u0308k3yk3yk3yk3y0",
        "k3\u00ffk3yk3yk3yk3y0",
        "K3YK3YK3\u200dYK3YK3Y0",
        "\uff4b3yk3yk3yk3yk3y0",
    ],
    ids=ascii,
)
def test_a_spelling_of_the_secret(text: str) -> None:
    """By value, and by shape where the value is not known."""
    assert Redactor([CODE]).text(f"<{text}>") == f"<{MASK}>"
    assert Redactor().text(f"https://a.b/rest/1/{text}/batch?x") == f"https://a.b/rest/1/{MASK}/batch?x"


def test_a_text_in_too_many_layers_is_masked_whole() -> None:
    """What it stands for is not worked out; a secret may be in it."""
    text = "a"
    for _ in range(40):
        text = text.replace("%", "%25").replace("a", "%61")
    assert Redactor([CODE]).text(f"see {text}") == MASK
    assert Redactor([text]).text("see it") == "see it"


def test_what_is_no_escape_stays() -> None:
    """A number that is no character, an entity that is none, and what only looks like a code of a character."""
    for text in (r"\Uffffffff", "&nothing;", "100 %", "a & b", "\\", "Ива\u0301н", "%zz", "%ff%fe", "&#xFFFFFFF;"):
        assert Redactor([CODE]).text(text) == text


@pytest.mark.parametrize("secret", ["p&#97;ss", "p%61ss", r"p\x61ss", "p\u0301\u00adss-1"])
def test_a_secret_that_looks_escaped(secret: str) -> None:
    """It is masked as it is, and as what it would stand for."""
    assert Redactor([secret]).text(f"<{secret}>") == f"<{MASK}>"
    assert Redactor([secret]).text(f"<{json.dumps(secret)[1:-1]}>") == f"<{MASK}>"


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
