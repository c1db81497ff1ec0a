"""Attack the worker over real sockets: `make attack ROUNDS=1000`, or one round again: `run.py --round 17`.

Worker, delaying proxy and embedded portal are connected on the loopback interface; the time-outs are short ones. Exit
code 1 where a decision of a person was overwritten; what fell between precondition and write is counted apart, with the
time between them at the portal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attack.round import Told, play

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- attack: written by `make attack WRITE=--write` -->", "<!-- end of attack -->"
#: Rounds at a time: most of each is waiting.
LANES = 12


def main(arguments: list[str]) -> int:
    """Play the rounds that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--write", action="store_true", help="put the summary into docs/reliability.md")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no round after so long")
    chosen = parser.parse_args(arguments)
    seeds = [chosen.round] if chosen.round is not None else range(chosen.first, chosen.first + chosen.rounds)
    until = time.monotonic() + chosen.seconds
    with ThreadPoolExecutor(max_workers=LANES) as pool:
        rounds = list(filter(None, pool.map(lambda seed: play(seed) if time.monotonic() < until else None, seeds)))
    for told in rounds:
        for sentence in told.violations:
            sys.stdout.write(f"tests/attack/run.py --round {told.seed}: {sentence}\n")
    sys.stdout.write(f"{summary(rounds)}\n")
    if chosen.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(
            f"{before}{BEGIN}\n\n`make attack ROUNDS={len(rounds)}`: {summary(rounds)}\n\n{END}{after}",
            encoding="utf-8",
        )
    if not took_place(rounds):
        sys.stdout.write("nobody edited a contact, so nothing was attacked\n")
        return 1
    return int(any(told.violations for told in rounds))


def took_place(rounds: list[Told]) -> bool:
    """Tell whether anybody got in the worker's way."""
    return any(told.counts["edits by a person"] for told in rounds)


def summary(rounds: list[Told]) -> str:
    """Say what came of the rounds."""
    counts: Counter[str] = sum((told.counts for told in rounds), Counter())
    ages = [age for told in rounds for age in told.ages]
    overwritten = sum(len(told.violations) for told in rounds)
    longest = f" (the longest {max(ages) * 1000:.0f} ms apart, by the portal)" if ages else ""
    first = (
        f"{len(rounds):,} rounds with {counts['writes']:,} writes and {counts['edits by a person']:,} edits by a "
        f"person, of which {overwritten:,} were overwritten, besides {len(ages):,} that fell between precondition and "
        f"write{longest}."
    )
    others = ", ".join(
        f"{name} {number:,}"
        for name, number in sorted(counts.items())
        if name not in {"writes", "edits by a person", "between precondition and write"}
    )
    return f"{first} Ways of attack, and ends of processes: {others}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
