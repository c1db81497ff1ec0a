"""What was measured, as tables, sentences and a picture."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cases import CASES
from measuring import PEER_PYTHON
from tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cases import Results
    from checks import Check
    from measuring import Measured

_HEAD = (
    "contestant",
    "requests",
    "commands: reading",
    "writing",
    "portal s: reading",
    "writing",
    "operating s",
    "wall s: reading",
    "writing",
    "peak MB",
    "refused",
    "left",
    "wrong or lost",
    "portal CPU",
)
_CHECK_HEAD = ("case", "promised", "bound", "found", "verdict")
_TITLES = {
    "d": "(d) quiet poll",
    "d first": "(d) first sweep and fix",
    "e parallel": "(e) what parallel writing meets: more updates than the meter lets through, in real time",
}


def figures(results: Results) -> list[str]:
    """Return a table for each case and size."""
    texts = []
    for case in ("a", "b", "c", "d first", "d", "owners", "small", "sizes", "e parallel"):
        measured = [each for each in results.measured if each.case == case]
        for size in dict.fromkeys(each.size for each in measured):
            title = _TITLES.get(case, f"({case}) {CASES[case.partition(' ')[0]]}")
            drifted = max(each.drifted for each in measured if each.size == size)
            about = (
                f"{size.companies:,} companies, {size.contacts:,} contacts, {size.owners} owners, {drifted:,} drifted"
            )
            rows = [_cells(each) for each in measured if each.size == size]
            texts.append(f"**{title}**: {about}\n\n{table(_HEAD, rows, {'contestant'})}")
            texts += [f"{each.who.name} ended with {each.failure}" for each in measured if each.failure]
    if results.backfill:
        texts.append(f"**(e) {CASES['e']}**\n\n{results.backfill}")
    return texts


def _cells(measured: Measured) -> list[str]:
    reading, writing = measured.reading, measured.writing
    mark = "~" if measured.scaled else ""
    cells = [
        f"{measured.requests:,}",
        f"{reading.commands:,.0f}",
        f"{writing.commands:,.0f}",
        f"{reading.portal_seconds:.1f}",
        f"{writing.portal_seconds:.1f}",
        f"{measured.operating:.0f}",
        f"{reading.seconds:.1f}",
        f"{writing.seconds:.1f}" if measured.told_apart else "with it",
    ]
    rest = [
        f"{measured.peak_mb:.0f}",
        f"{measured.rejected}",
        f"{measured.left:,}",
        f"{measured.wrong_or_lost:,}",
        f"{measured.portal_share:.1%}",
    ]
    if measured.scaled:
        rest = ["-"] * len(rest)
    name = measured.who.name + (f", scaled by {measured.scaled:g}" if measured.scaled else "")
    return [name, *(mark + cell for cell in cells), *rest]


def verdicts(judged: Sequence[Check], *, full: bool) -> str:
    """Return what was promised, and whether it holds."""
    rows = [[check.case, check.what, check.bound, check.found, check.verdict(full=full)] for check in judged]
    return table(_CHECK_HEAD, rows, _CHECK_HEAD)


def statements(results: Results) -> list[str]:
    """Return what is said without being promised: how many times less, and how writing compares."""
    said = []
    for case, what in (("a", "The first look"), ("b", "A quiet poll")):
        ours, peers = results.ours(case), [peer for peer in results.peers(case) if not peer.failure]
        if ours is not None and peers:
            commands = min(peer.reading.commands for peer in peers) / ours.reading.commands
            seconds = min(peer.reading.portal_seconds for peer in peers) / ours.reading.portal_seconds
            said.append(
                f"{what} takes 1/{commands:.1f} of the best peer's commands and 1/{seconds:.1f} of its portal seconds."
            )
    ours = results.ours("a")
    if ours is not None and results.peers("a"):
        others = ", ".join(
            f"{peer.who.name} {peer.writing.seconds:.0f} s{'' if peer.who.sequential else ' (in parallel)'}"
            for peer in results.peers("a")
        )
        said.append(f"Writing {ours.drifted} changes took {ours.writing.seconds:.0f} s, checks included; {others}.")
    return ["\n".join(f"- {sentence}" for sentence in said)] if said else []


def draw(results: Results, picture: Path) -> str:
    """Draw what a poll costs by the size of the portal, and return how a page shows it; empty for only one size."""
    points = [
        {
            "who": each.who.name,
            "contacts": each.size.contacts,
            "commands": each.reading.commands,
            "portal_seconds": each.reading.portal_seconds,
            "scaled": bool(each.scaled),
        }
        for each in results.measured
        if each.case in {"b", "d", "sizes"} and not each.failure
    ]
    if not PEER_PYTHON.exists() or len({point["contacts"] for point in points}) <= 1:
        return ""
    chart = Path(__file__).with_name("chart.py")
    drawn = subprocess.run([PEER_PYTHON, str(chart), str(picture)], input=json.dumps(points), text=True, check=False)
    if drawn.returncode:
        return ""  # why, stands on standard error; what was measured is not lost for it
    return f"![Commands and portal seconds of a poll against the number of contacts]({picture.name})"
