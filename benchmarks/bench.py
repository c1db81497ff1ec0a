"""The worker beside other people's clients, at the same embedded portal: `make bench`.

Each contestant reads and repairs a portal of its own, which runs in another process, is seeded as that of the others,
and takes as long as a cloud portal. The portal's counters are the judge. Prints what everybody needed and whether what
was promised of this worker holds; the exit code is 1 where it does not. Other people's clients are in `.venv-bench`;
without it (`make bench` makes it) the worker is measured alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cases import CASES, measure
from checks import checks
from measuring import PEER_PYTHON, versions
from report import draw, figures, statements, verdicts
from tables import begin, end, has_marks, machine, replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
README = HERE / "README.md"
COMMAND = "make bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge, and write the tables where they are wanted."""
    options = _parser().parse_args(arguments)
    unknown = set(options.cases) - CASES.keys()
    if unknown:
        _parser().error(f"there is no case {', '.join(sorted(unknown))}; choose of {','.join(CASES)}")
    if options.write is not None and not has_marks(options.write, COMMAND):
        _parser().error(f"{options.write} needs the lines {begin(COMMAND)} and {end(COMMAND)}: tables go between them")
    # What we started must end with us, also when we are asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    peers = PEER_PYTHON.exists() and not options.without_peers
    load, began = os.getloadavg()[0], time.monotonic()
    results = measure(options.cases, options.scale, peers=peers)
    full = options.scale == 1
    judged = checks(results)
    about = f"Machine: {machine()}; load {load:.1f} at the start, {(time.monotonic() - began) / 60:.0f} minutes."
    about += f" Peers: {versions()}." if peers else " No peers."
    said = [] if options.cases == list(CASES) else [f"--cases {','.join(options.cases)}"]
    said += [] if full else [f"--scale {options.scale:g}"]
    said += ["--without-peers"] if options.without_peers else []
    repeat = "Repeat with `" + COMMAND + (f' BENCH="{" ".join(said)}"' if said else "") + "`."
    parts = [f"{about} {repeat}", verdicts(judged, full=full), *figures(results), *statements(results)]
    if options.write is not None and (picture := draw(results, options.write.with_name("cost.svg"))):
        parts.insert(2, picture)
    text = "\n\n".join(parts)
    print(text)
    if options.write is not None:
        options.write.write_text(replaced(options.write.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")
    failed = [check for check in judged if check.failed(full=full)]
    print(f"{len(failed)} of {len(judged)} promises do not hold" if failed else "as promised", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cases",
        type=lambda text: text.split(","),
        default=list(CASES),
        metavar="A,B",
        help="of these: " + "; ".join(f"{name} ({what})" for name, what in CASES.items()),
    )
    parser.add_argument("--scale", type=float, default=1.0, metavar="SHARE", help="smaller portals, for example 0.1")
    parser.add_argument("--without-peers", action="store_true", help="only the worker")
    parser.add_argument(
        "--write", nargs="?", const=README, type=Path, metavar="FILE", help="put the tables into README.md, or FILE"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
