"""What all policies add to planning, and how much memory the worker needs then: `make benchpolicies`.

For each size an embedded portal is started in a process of its own, on the `instant` profile with the limits of a
self-hosted one. Then workers look at it, one after the other, each in a process of its own: `default rules` and `all
policies` sweep, read the details of what drifted and judge it, in turn and more than once; `plan` is the command
`reconciler plan --json --output FILE`, which also writes the rows. The exit code is 1 where a worker needs more memory
than promised, finds another drift than the portal itself counts, or where all policies together make planning dearer
than promised: in processor time of worker and portal, since the time of day depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import run, serving, without_settings
from tables import begin, end, has_marks, machine, replaced, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processes import Ended, Served

HERE = Path(__file__).parent
README = HERE / "README.md"
COMMAND = "make benchpolicies"

#: Rows on a page of any list method.
PAGE = 50
#: Most resident memory of a worker at a million contacts, in MB (10^6 bytes).
MOST_MB = 150
#: Most that planning may cost with all policies, by what it costs without.
MOST_RATIO = 1.20
#: Contacts from which the ratio is judged: below, it measures milliseconds.
JUDGED_FROM = 10_000
#: What is compared, and how `sweep.py` calls it.
DEFAULT, ALL = "default rules", "all policies"
_WAYS = {DEFAULT: "default", ALL: "all"}
_FIGURES = (
    "import json, sys; document = json.load(sys.stdin);"
    "print(json.dumps({name: value for name, value in document.items() if not isinstance(value, list)}))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One portal."""

    companies: int
    contacts: int
    #: Share of the linked contacts with the wrong owner.
    drift: float
    #: How often each way of planning is measured; the best counts.
    rounds: int = 2

    def __str__(self) -> str:
        return f"{self.companies:,} / {self.contacts:,}, {self.drift:.1%}"


FULL = [
    Size(companies=c, contacts=k, drift=d) for c, k in ((20_000, 100_000), (200_000, 1_000_000)) for d in (0.001, 0.05)
]
QUICK = [Size(companies=60, contacts=300, drift=0.05, rounds=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one worker took, and what the portal says of it."""

    size: Size
    what: str
    #: The worker's own counts, by the names in its JSON.
    run: dict[str, Any]
    stats: dict[str, Any]
    #: From the start of the process to its end.
    seconds: float
    cpu_seconds: float
    #: Largest resident memory, in MB.
    peak_mb: float

    @property
    def planning(self) -> tuple[float, float, float]:
        """Seconds of planning, and the processor seconds that it took of the worker and of the portal."""
        return self.run["planning_seconds"], self.run["planning_cpu_seconds"], self.stats["cpu_seconds"]

    @property
    def floor(self) -> int:
        """The list pages that hold all companies and all linked contacts, were there no gaps."""
        return sum(math.ceil(int(self.run[records]) / PAGE) for records in ("companies", "contacts"))

    @property
    def complaints(self) -> list[str]:
        """What is not as promised."""
        found = []
        if self.peak_mb > MOST_MB:
            found.append(f"{self.what} at {self.size}: {self.peak_mb:.0f} MB, more than {MOST_MB}")
        if self.run["drift"] != self.stats["drift"]:
            found.append(f"{self.what} at {self.size}: {self.run['drift']} found, {self.stats['drift']} there")
        if self.stats["rejected"]:
            found.append(f"{self.what} at {self.size}: the portal refused {self.stats['rejected']}")
        return found

    def cells(self) -> list[str]:
        """Return a row of the table."""
        thousands = self.size.contacts / 1000
        commands = self.run["commands"]
        return [
            str(self.size),
            self.what,
            f"{self.run['requests']:,}",
            f"{commands:,}",
            f"{commands / thousands:.1f}",
            f"{commands / self.floor:.2f}",
            f"{self.seconds:.1f}",
            f"{self.seconds * 1000 / thousands:.0f}",
            f"{self.peak_mb:.0f}",
            f"{self.cpu_seconds:.1f}",
            f"{self.stats['cpu_seconds']:.1f}",
            f"{_server_seconds(self.stats):.1f}",
            f"{self.run['drift']:,} of {self.stats['drift']:,}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What all policies add to planning."""

    default: Figures
    policies: Figures

    @property
    def ratio(self) -> float:
        """Processor time of worker and portal."""
        return sum(self.policies.planning[1:]) / sum(self.default.planning[1:])

    @property
    def complaints(self) -> list[str]:
        """What is not as promised."""
        size = self.default.size
        if size.contacts < JUDGED_FROM or self.ratio <= MOST_RATIO:
            return []
        return [f"{ALL} at {size}: planning takes {self.ratio:.2f} times as long, more than {MOST_RATIO:.2f}"]

    def cells(self) -> list[str]:
        """Return a row of the table."""
        sides = (self.default, self.policies)
        pairs = [
            " -> ".join(f"{figure:.1f}" for figure in figures)
            for figures in zip(*((*s.planning, sum(s.planning[1:])) for s in sides), strict=True)
        ]
        requests, standing = (" -> ".join(f"{s.run[name]:,}" for s in sides) for name in ("requests", "standing"))
        return [str(self.default.size), standing, requests, *pairs, f"{self.ratio:.2f}"]


COMPARISON_HEAD = [
    "companies / contacts, drift",
    "left alone",
    "requests",
    "seconds",
    "worker CPU s",
    "portal CPU s",
    "CPU s together",
    "ratio",
]
HEAD = [
    "companies / contacts, drift",
    "what",
    "requests",
    "commands",
    "per 1,000 contacts",
    "of the floor",
    "seconds",
    "ms per 1,000 contacts",
    "worker peak MB",
    "worker CPU s",
    "portal CPU s",
    "portal server s",
    "drift found",
]
#: Words stand on the left of their column, numbers on the right.
_WORDS = {HEAD[0], HEAD[1]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where it is wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one tiny portal, to see that all of this works")
    parser.add_argument(
        "--write", nargs="?", const=README, type=Path, metavar="FILE", help="put the table into README.md, or FILE"
    )
    options = parser.parse_args(arguments)
    if options.write is not None and not has_marks(options.write, COMMAND):
        parser.error(
            f"{options.write} needs the lines {begin(COMMAND)} and {end(COMMAND)}: the table goes between them"
        )
    # What we started must end with us, also when we are asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    measured: list[Figures] = []
    compared: list[Comparison] = []
    for size in QUICK if options.quick else FULL:
        print(f"measuring {size}", file=sys.stderr, flush=True)
        figures = {each.what: each for each in _measure(size)}
        measured.extend(figures.values())
        compared.append(Comparison(default=figures[DEFAULT], policies=figures[ALL]))
    text = document(measured, compared, quick=options.quick)
    print(text)
    if options.write is not None:
        options.write.write_text(replaced(options.write.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")
    complaints = [complaint for figures in measured for complaint in figures.complaints]
    complaints += [complaint for comparison in compared for complaint in comparison.complaints]
    print("\n".join(complaints) if complaints else "as promised", file=sys.stderr)
    return 1 if complaints else 0


def document(measured: Sequence[Figures], compared: Sequence[Comparison], *, quick: bool) -> str:
    """Return the tables in Markdown, with the machine and the command that repeats them."""
    command = COMMAND + (" BENCH=--quick" if quick else "")
    costs = table(HEAD, [figures.cells() for figures in measured], _WORDS)
    policies = table(COMPARISON_HEAD, [comparison.cells() for comparison in compared], _WORDS)
    return (
        f"Machine: {machine()}. Repeat with `{command}`.\n\n{costs}\n\n"
        f"Planning, {DEFAULT} -> {ALL}; promised: a ratio of at most {MOST_RATIO:.2f}.\n\n{policies}"
    )


def _measure(size: Size) -> Iterator[Figures]:
    serve = [sys.executable, str(HERE / "serve.py"), "--companies", str(size.companies)]
    serve += ["--contacts", str(size.contacts), "--drift", str(size.drift)]
    with tempfile.TemporaryDirectory() as folder, serving(serve) as portal:
        sweep = str(HERE / "sweep.py")
        _work([sweep, "prepare"], portal, folder)
        runs: dict[str, list[Figures]] = {what: [] for what in _WAYS}
        for turn in range(size.rounds):
            # In turn, and the other way round the next time: what else the machine does must not hit only one.
            for what in list(_WAYS)[:: -1 if turn % 2 else 1]:
                runs[what].append(_measured(size, what, [sweep, _WAYS[what]], portal, folder))
        for tries in runs.values():
            best = min(tries, key=lambda figures: sum(figures.planning[1:]))
            yield replace(best, peak_mb=max(figures.peak_mb for figures in tries))
        command = ["-c", "from reconciler.cli.app import main; main()", "plan", "--json", "--output"]
        command += [str(Path(folder, "plan.json"))]
        yield _measured(size, "plan", command, portal, folder)


def _measured(size: Size, what: str, command: list[str], portal: Served, folder: str) -> Figures:
    """Let one worker work; its figures are its answer, or in the file that it was told to write."""
    portal.forget()
    ended = _work(command, portal, folder)
    return Figures(
        size=size,
        what=what,
        run=json.loads(ended.output) if ended.output else _figures(Path(command[-1])),
        stats=portal.stats(),
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        peak_mb=ended.peak_mb,
    )


def _work(command: list[str], portal: Served, folder: str) -> Ended:
    """Run a worker to its end."""
    environment = {
        **without_settings(),
        "RECONCILER_PORTAL__WEBHOOK_URL": portal.webhook_url,
        "RECONCILER_PORTAL__LIMITS": "self-hosted",
    }
    ended = run([sys.executable, *command], environment, folder)
    if ended.exit_code:
        raise SystemExit(f"the worker ended with exit code {ended.exit_code}: {ended.output or ended.errors}")
    return ended


def _figures(plan: Path) -> dict[str, Any]:
    """Return a plan without its rows; they are decoded elsewhere, for the sake of our own size."""
    with plan.open("rb") as file:
        told = subprocess.run([sys.executable, "-c", _FIGURES], stdin=file, capture_output=True, check=True)
    figures: dict[str, Any] = json.loads(told.stdout)
    return figures


def _server_seconds(stats: dict[str, Any]) -> float:
    """Return the time truly spent on commands; an envelope's time is theirs once more."""
    return sum(float(seconds) for method, seconds in stats["server_seconds"].items() if method != "batch")


if __name__ == "__main__":
    raise SystemExit(main())
