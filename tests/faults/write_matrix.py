"""Shows the fault matrix: `make matrix`; with `--write` the page's section is written anew."""

from __future__ import annotations

import sys
from pathlib import Path
from string import ascii_letters
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults.catalogue import FAULTS, Fault, Level
from faults.endings import cells, ending
from faults.phases import PHASES

if TYPE_CHECKING:
    from faults.told import Told

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
START, END = "<!-- fault matrix: written by `make matrix WRITE=--write` -->\n", "\n<!-- end of fault matrix -->"
_INTRODUCTION = (
    "Six contacts drift and are written in two chunks of three. {faults} faults happen to {phases} kinds of request in "
    "{cells} cells, and each ends as the tables say (`tests/faults/`). In every cell, too: nothing is written that the "
    "plan did not say, each write is in the journal with the owner before and after, nothing is told as applied that "
    "was not read back, no update changes nothing, the token is in no line of the log and in no error, and the next "
    "run without the fault leaves neither drift nor an open intent. All of it takes some 35 seconds of processor "
    "time: time itself is virtual, and the story before a run is told once and gone on with from copies."
)
_HEAD = "# Reliability\n\nWhat the worker was put through, and how it came out of it.\n\n"


def _words(told: Told) -> str:
    """Say an ending as a line of the legend."""
    outcomes = ", ".join(f"{count} {result}" for result, count in told.outcomes.items()) or "none"
    over = f", {told.overruled} of them over a person's change in the gap of one request" if told.overruled else ""
    return f"{told.status} | {outcomes} | {told.written}{over} | {told.then}"


def _row(fault: Fault) -> str:
    how = ", lasting" if fault.lasting else ""
    return f"{fault.family}{how} ({'whole request' if fault.level is Level.REQUEST else 'one call'})"


def section() -> str:
    """Return the section of the page."""
    letters: dict[str, str] = {}
    table: dict[str, dict[str, str]] = {}
    number = 0
    for phase, faults in cells():
        number += len(faults)
        found = dict.fromkeys(_words(ending(phase, fault)) for fault in faults)
        marks = [letters.setdefault(words, ascii_letters[len(letters)]) for words in found]
        table.setdefault(_row(faults[0]), {})[phase.name] = "/".join(marks)
    lines = [
        "## Fault matrix",
        "",
        _INTRODUCTION.format(faults=len(FAULTS), phases=len(PHASES), cells=number),
        "",
        "A lasting fault happens to every request from its first on, until the run is over.",
        "",
        "| | phase | requests tried |",
        "|---|---|---|",
    ]
    for index, phase in enumerate(PHASES, 1):
        tried = "one fault of each family" if phase.as_another else "every fault"
        if phase.within:
            tried = f"calls only: one request with {phase.within}"
        lines.append(f"| {index} | {phase.title} | {tried} |")
    lines += ["", "| fault | " + " | ".join(str(index) for index in range(1, len(PHASES) + 1)) + " |"]
    lines.append("|---" * (len(PHASES) + 1) + "|")
    for row, marks in table.items():
        lines.append(f"| {row} | " + " | ".join(marks.get(phase.name, "·") for phase in PHASES) + " |")
    lines += ["", "`·`: whole requests fail where the phase says they travel.", ""]
    lines += ["| | run ends | its changes | contacts written | next run |", "|---|---|---|---|---|"]
    lines += [f"| {letter} | {words} |" for words, letter in letters.items()]
    lines += ["", "| family | its faults |", "|---|---|"]
    families: dict[str, list[str]] = {}
    for fault in FAULTS:
        families.setdefault(_row(fault), []).append(fault.name.removesuffix(", lasting"))
    lines += [f"| {row} | {'; '.join(f'`{name}`' for name in names)} |" for row, names in families.items()]
    return "\n".join(lines)


def written(page: str) -> str:
    """Return the page with this section as it should be, at its end where there is none yet."""
    if START not in page:
        page = f"{page}{START}{END}\n"
    before, rest = page.split(START)
    return before + START + section() + END + rest.split(END)[1]


def main() -> int:
    """Print the section, or put it into the page."""
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8") if PAGE.exists() else _HEAD), encoding="utf-8")
    else:
        sys.stdout.write(section() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
