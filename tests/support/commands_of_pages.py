"""The commands that a page tells people to type, and the exit codes that it promises."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command of a page."""

    text: str
    words: tuple[str, ...]
    #: As its comment says (`# exit code 3`).
    code: int


def lines(page: Path) -> list[Line]:
    """Return the commands of a page in their order; a backslash at its end continues one."""
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```", page.read_text(encoding="utf-8"))
    found = [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]
    return [_line(text) for text in found]


def _line(text: str) -> Line:
    promised = re.search(r"# exit code (\d)$", text)
    return Line(text=text, words=tuple(shlex.split(text, comments=True)), code=int(promised[1]) if promised else 0)
