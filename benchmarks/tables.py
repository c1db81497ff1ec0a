"""Markdown tables, the places where commands write them, and the machine that the figures are of."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from reconciler import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


def begin(command: str) -> str:
    """Return the line before what a command writes."""
    return f"<!-- begin: written by `{command}` -->"


def end(command: str) -> str:
    """Return the line after it."""
    return f"<!-- end: written by `{command}` -->"


def table(head: Sequence[str], body: Sequence[Sequence[str]], words: Collection[str]) -> str:
    """Return a table; columns of `words` are set to the left, numbers to the right."""
    rows = [head, *body]
    left = [name in words for name in head]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *lines = ["| " + " | ".join(map(_aligned, row, widths, left)) + " |" for row in rows]
    rule = "|".join("-" * (w + 2) if is_text else "-" * (w + 1) + ":" for w, is_text in zip(widths, left, strict=True))
    return "\n".join([first, f"|{rule}|", *lines])


def _aligned(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def machine() -> str:
    """Return what the figures were measured on."""
    cores = os.cpu_count() or 0
    return (
        f"{cores} {platform.machine()} core{'s' if cores != 1 else ''}, {platform.system()}, "
        f"Python {platform.python_version()}, reconciler {__version__}"
    )


def replaced(page: str, command: str, text: str) -> str:
    """Put the text between the command's marks."""
    before, rest = page.split(begin(command))
    after = rest.split(end(command))[1]
    return f"{before}{begin(command)}\n\n{text}\n\n{end(command)}{after}"


def has_marks(file: Path, command: str) -> bool:
    """Whether there is one place in the file for what the command writes."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return False
    first, last = begin(command), end(command)
    return text.count(first) == text.count(last) == 1 and text.index(first) < text.index(last)
