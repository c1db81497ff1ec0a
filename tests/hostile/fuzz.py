"""Hostile answers in great numbers: `make fuzz`, by default a million of them; `MINUTES=5` goes by time instead.

Two processes, each with a limit on its memory. What the program lets out other than a value or one of its own errors
ends the run, with the command that repeats the case.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.episodes import Broken, episode

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

#: Address space of a process, in bytes.
MEMORY = 1 << 30
#: An episode takes some milliseconds.
PATIENCE_SECONDS = 120
#: Episodes between two reports of a process.
BEAT = 20

#: Answers so far, megabytes at the peak, and what was found, if anything.
Report = tuple[int, int, str]


def peak() -> int:
    """Return the most memory that this process ever had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _too_long(*_: object) -> NoReturn:
    raise Broken(f"not done after {PATIENCE_SECONDS} s")


def hunt(first: int, step: int, reports: Queue[Report]) -> None:
    """Run episodes until something is found, or somebody ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    answers = 0
    for done, seed in enumerate(count(first, step), start=1):
        try:
            signal.alarm(PATIENCE_SECONDS)
            answers += episode(seed)
        except Exception:  # noqa: BLE001 - this is what is looked for
            found = f"{traceback.format_exc()}\nRepeat it with: make fuzz EPISODE={seed}"
            reports.put((answers, peak(), found))
            return
        finally:
            signal.alarm(0)
        if done % BEAT == 0:
            reports.put((answers, peak(), ""))
            answers = 0


def main() -> int:
    """Run; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episode", type=int, default=None)
    given = parser.parse_args()
    if given.episode is not None:
        print(f"episode {given.episode}: {episode(given.episode)} hostile answers, nothing found")  # noqa: T201
        return 0
    return run(given.answers, given.minutes * 60, given.seed)


def run(wanted: int, seconds: float, seed: int) -> int:
    """Let two processes hunt until there were so many answers, or for so many seconds where that is not 0."""
    reports: Queue[Report] = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=hunt, args=(seed + i, 2, reports), daemon=True) for i in range(2)]
    started, answers, highest, early, found = time.monotonic(), 0, 0, 0, ""
    for worker in workers:
        worker.start()
    while not found and (time.monotonic() - started < seconds if seconds else answers < wanted):
        more, megabytes, found = reports.get(timeout=2 * PATIENCE_SECONDS)
        answers, highest = answers + more, max(highest, megabytes)
        share = (time.monotonic() - started) / seconds if seconds else answers / wanted
        early = highest if share < 0.1 else early
    for worker in workers:
        worker.terminate()
        worker.join()
    print(  # noqa: T201
        f"{found}\n{answers:,} hostile answers in {time.monotonic() - started:.0f} s, "
        f"{'something' if found else 'nothing'} found; {highest} MB of memory at the peak of a process, "
        f"{early} MB of them within the first tenth"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
