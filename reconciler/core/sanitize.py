"""Text of a CRM, made harmless for a terminal.

Names are typed by strangers (web forms, imports): an escape code in one may rewrite the screen, and a
bidirectional override may show another name than the one that is there.
"""

from __future__ import annotations

import textwrap
import unicodedata

#: Control, surrogate, invisible format, line and paragraph separator.
_UNWANTED = frozenset({"Cc", "Cs", "Cf", "Zl", "Zp"})
#: Joiners: invisible too, but Persian and Indic names and many emoji fall apart without them.
_JOINERS = "\u200c\u200d"


def display(text: str) -> str:
    """Return the text in one line, without control, escape, bidirectional and other invisible characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    if character in _JOINERS or unicodedata.category(character) not in _UNWANTED:
        return character
    return ""


def hanging(line: str, indent: int, columns: int | None) -> str:
    """Return the line for display; on a terminal of so many columns, what does not fit stands below, indented."""
    shown = display(line)
    if columns is None:
        return shown
    return textwrap.fill(shown, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
