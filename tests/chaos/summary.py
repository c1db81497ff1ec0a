"""What a chaos run was: counts, the gap between precondition and write as a histogram, and the page's section."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.story import Told

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- chaos: written by `make chaos WRITE=--write` -->", "<!-- end of chaos -->"
#: Upper bounds of the histogram, in seconds.
BOUNDS = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 15.0, 60.0)
_EPSILON = 1e-6
#: What counts belong to which table, by the first word.
_RESULTS = "outcome "


@dataclass(kw_only=True)
class Summary:
    """Many seeds, as one."""

    seeds: int = 0
    #: Seconds of processor time.
    cpu: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    exposures: Counter[float] = field(default_factory=Counter)
    #: Seed -> what it broke.
    violations: dict[int, list[str]] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        """Add a seed."""
        self.seeds += 1
        self.counts += told.counts
        self.exposures.update(map(_bound, told.exposures))
        if told.violations:
            self.violations[told.seed] = told.violations

    def join(self, other: Summary) -> None:
        """Add what another process has found."""
        self.seeds += other.seeds
        self.cpu += other.cpu
        self.counts += other.counts
        self.exposures += other.exposures
        self.violations |= other.violations

    @property
    def milliseconds(self) -> float:
        """Processor time of a seed."""
        return self.cpu / max(1, self.seeds) * 1000

    @property
    def sentence(self) -> str:
        """The run in one line."""
        counts = self.counts
        return (
            f"{self.seeds:,} seeds, of which {len(self.violations)} broke a promise; {counts['write']:,} writes, "
            f"{self._sum('fault '):,} faults, {self._sum('act '):,} acts of people and other programs, "
            f"{counts['killed']:,} kills; {self.milliseconds:.0f} ms of processor time a seed"
        )

    def _sum(self, first: str) -> int:
        return sum(number for what, number in self.counts.items() if what.startswith(first))


def write(summary: Summary) -> None:
    """Put a run into the page."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    assert pattern.search(text), f"{PAGE} has no section for chaos"
    PAGE.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{markdown(summary)}\n{END}", text), encoding="utf-8")


def markdown(summary: Summary) -> str:
    """Return the section of the page."""
    counts = summary.counts
    stated = {
        "Writes": counts["write"],
        "Outcomes: conflict, left for the next sweep": counts["outcome conflict"],
        "Changes of a person overruled in the gap between precondition and write": counts["overruled in the gap"],
        "Contacts given to somebody who was dismissed in that gap": counts["dismissed in the gap"],
        "Needless updates, because somebody set the same owner in that gap": counts["needless by coincidence"],
        "Writes of another installation taken for the worker's own, being the very same": counts[
            "somebody else's write taken for ours"
        ],
        "Runs that passed the guard by an earlier count of the linked contacts": counts["share of an earlier count"],
        "Contacts put back by the undo at the end": counts["put back by the last undo"],
        "Requests and answers held up on their way": counts["held up on the way"],
        "Processes stopped for a while": counts["process stopped for a while"],
        "Processes killed": counts["killed"],
        "Runs that were asked to stop": counts["run stopped"],
        "Processes started anew": counts["restart"],
        "People's edits of an owner": counts["person's edit of an owner"],
        "Sets of changes approved": counts["approved"],
        "Requests redirected after the rename": counts["302 after the rename"],
        "Seeds in which the worker had the portal for itself": counts["seeds with the portal for itself"],
    }
    return "\n".join(
        [
            f"`make chaos SEEDS={summary.seeds}`: {summary.sentence}.",
            "",
            *_table("What happened", stated.items()),
            *_table("Runs that ended as", _named(counts, "run ")),
            *_table("Outcome of a change", _named(counts, _RESULTS)),
            *_table("Fault", _named(counts, "fault ")),
            *_table("What people and other programs did", _named(counts, "act ")),
            "| Seconds up to | From a precondition until its write, inside the portal |",
            "|---:|---:|",
            *(
                f"| {bound:g} | {summary.exposures[bound]:,} |"
                for bound in (*BOUNDS, float("inf"))
                if summary.exposures[bound]
            ),
            "",
        ]
    )


def _named(counts: Counter[str], first: str) -> list[tuple[str, int]]:
    found = [(what.removeprefix(first).replace("_", " "), number) for what, number in counts.items() if number]
    chosen = [(what, number) for what, number in found if f"{first}{what.replace(' ', '_')}" in counts]
    return sorted(chosen, key=lambda item: (-item[1], item[0]))


def _table(title: str, rows: object) -> list[str]:
    return [
        f"| {title} | Times |",
        "|---|---:|",
        *(f"| {what} | {number:,} |" for what, number in rows),  # type: ignore[attr-defined]
        "",
    ]


def _bound(seconds: float) -> float:
    return next((bound for bound in BOUNDS if seconds <= bound + _EPSILON), float("inf"))
