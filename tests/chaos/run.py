"""Play many seeds: `make chaos SEEDS=300`, or one again: `.venv/bin/python tests/chaos/run.py --seed 17`.

Exit code 1 where a promise was broken, with the command that repeats each seed.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.invariants import nothing_grows
from chaos.scene import TOKEN
from chaos.story import Told, play
from chaos.summary import Summary, write
from support.world import MEMORY, template

from reconciler.core.redaction import Redactor
from reconciler.telemetry.logs import configure

_stream = io.StringIO()
_mask = Redactor([TOKEN])


def main(arguments: list[str]) -> int:
    """Play the seeds that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with all that was logged")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--chunk", type=int, default=25, help="seeds that a process plays before it tells")
    parser.add_argument("--warm", type=int, default=75, help="seeds of a process until all that is loaded once is")
    parser.add_argument("--write", action="store_true", help="put the summary into docs/reliability.md")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        told = one(chosen.seed)
        say(_stream.getvalue(), *told.violations)
        return bool(told.violations)
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    summary, growth = many(seeds, chosen.processes, chosen.chunk, chosen.warm)
    say(summary.sentence, *growth)
    if chosen.write:
        write(summary)
    return bool(summary.violations or growth)


def say(*lines: str) -> None:
    """Print lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def many(seeds: range, processes: int, chunk: int, warm: int) -> tuple[Summary, list[str]]:
    """Play seeds in several processes; return what they were, and what grew."""
    summary, samples = Summary(), dict[int, list[tuple[int, int, int]]]()
    chunks = [seeds[start : start + chunk] for start in range(0, len(seeds), chunk)]
    template()  # migrated once, and not by each process
    with ProcessPoolExecutor(max_workers=processes) as pool:
        for part, process, sample in pool.map(several, chunks):
            summary.join(part)
            for seed, breaches in part.violations.items():
                say(f".venv/bin/python tests/chaos/run.py --seed {seed}", *(f"  {breach}" for breach in breaches))
            samples.setdefault(process, []).append(sample)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{summary.seeds} seeds, {len(summary.violations)} broken ")
    growth = [sentence for found in samples.values() for sentence in nothing_grows(found[warm // chunk :])]
    return summary, growth


def several(seeds: range) -> tuple[Summary, int, tuple[int, int, int]]:
    """Play seeds one after the other; return what they were, the process, and how much it holds."""
    gc.disable()  # a collection in the middle of a seed may be most of its time; between seeds it is little,
    gc.freeze()  # when it looks at nothing that is loaded or compiled by now
    summary, began = Summary(), time.process_time()
    for seed in seeds:
        summary.add(one(seed))
        gc.collect()
    summary.cpu = time.process_time() - began
    return summary, os.getpid(), holding()


def one(seed: int) -> Told:
    """Play one seed in a folder of its own, its log at its most talkative."""
    _stream.seek(0)
    _stream.truncate()
    configure("debug", "json", _mask, _stream)
    with TemporaryDirectory(dir=MEMORY, prefix="chaos-") as folder:
        try:
            return play(seed, Path(folder), _stream.getvalue)
        except Exception as crash:  # noqa: BLE001 - the other seeds are played all the same
            sentence = "".join(traceback.format_exception(crash))
            return Told(seed=seed, violations=[sentence], counts=Counter(), exposures=[], trace="crashed")


def holding() -> tuple[int, int, int]:
    """Return what this process holds: resident kilobytes, open files, threads."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = int(status.partition("VmRSS:")[2].split()[0])
    return resident, len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
