"""Names of a CRM on a terminal: what could rewrite the screen or deceive the eye is gone, the rest stays."""

# ruff: noqa: RUF001 - other alphabets are the point
from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.sanitize import display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Acme Ltd.", "Acme Ltd."),
        ("ООО «Ромашка» № 5 – ёж", "ООО «Ромашка» № 5 – ёж"),
        ("株式会社 👨\u200d👩\u200d👧", "株式会社 👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]8;;https://evil\x07link\x9b2J", "]8;;https://evillink2J"),
        ("two\r\nlines\tand\u2028more\x85.", "two  lines and more ."),
        ("abc\u202etxt.exe\u2066\u2069\u200f", "abctxt.exe"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("lone \ud800 surrogate\x00\x7f", "lone  surrogate"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text: str, shown: str) -> None:
    """Escape codes, bidirectional marks and invisible characters go, line breaks become spaces."""
    assert display(text) == shown


@given(st.text())
def test_any_text_becomes_one_harmless_line(text: str) -> None:
    """Nothing unprintable is left, it can be encoded, and a second pass changes nothing."""
    shown = display(text)
    assert not {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode().decode() == shown
    assert display(shown) == shown
