"""What the service holds of memory over a day of quiet polls: `make benchservice`.

The service runs in a process of its own, as `reconciler` starts it, with its pages and its journal; an embedded portal
runs in another. Only the waiting is left out: each poll begins when the one before has ended, and the portal's clock is
moved by ten minutes in between, so that all companies are read as often as on a real day. Prints the resident memory
after chosen polls (elsewhere than on Linux the largest until then); the exit code is 1 where it was above the limit
after any of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from processes import RSS_UNIT, serving, without_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processes import Served

PROGRAM = Path(sys.executable).with_name("reconciler")
#: Polls after which the memory is printed, and the most that it may be, in MB (10^6 bytes).
SHOWN = (1, 12, 48, 144)
LIMIT_MB = 150.0
#: Seconds between two polls.
INTERVAL = 600


def serve(polls: int, clock_url: str) -> None:
    """Be the service for so many polls, and print one JSON object for each."""
    from reconciler.cli import app as cli  # noqa: PLC0415 - whoever measures must stay a small process
    from reconciler.service import scheduler as service  # noqa: PLC0415 - whoever measures must stay a small process

    class Hurried(service.Service):
        """Begins each poll when the one before has ended."""

        def run(self) -> None:
            with ThreadPoolExecutor(1) as pool:
                for poll in range(1, polls + 1):
                    began = time.monotonic()
                    pool.submit(self.tick).result()
                    seconds = time.monotonic() - began
                    print(json.dumps({"poll": poll, "resident_mb": _resident_mb(), "seconds": seconds}), flush=True)
                    _let_pass(clock_url)

    service.Service = Hurried  # type: ignore[misc]
    sys.argv[1:] = []
    cli.main()


def _resident_mb() -> float:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e6
    return int(statm.read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


def _let_pass(clock_url: str) -> None:
    body = json.dumps({"advance": INTERVAL}).encode()
    with urlopen(Request(clock_url, body, {"Content-Type": "application/json"})) as answer:  # noqa: S310 - our own
        answer.read()


def measure(portal: Served, polls: int, lanes: int) -> Iterator[dict[str, Any]]:
    """Run the service beside a portal; yield what it says of each poll."""
    environment = {
        **without_settings(),
        "RECONCILER_PORTAL__WEBHOOK_URL": portal.webhook_url,
        "RECONCILER_PORTAL__LIMITS": "self-hosted",
        "RECONCILER_SWEEP__LANES": str(lanes),
        "RECONCILER_WEB__PORT": str(_free_port()),
    }
    clock_url = portal.stats_url.removesuffix("stats") + "clock"
    command = [sys.executable, __file__, "--be-the-service", clock_url, "--polls", str(polls)]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=log) as process:
            yield from map(json.loads, process.stdout or ())
        log.seek(0)
        lines = log.read().splitlines()
        ended = [json.loads(line)["status"] for line in lines if '"run.finished"' in line]
        if process.returncode or ended != ["in_sync"] * polls:
            raise SystemExit("\n".join(["these were no quiet polls:", *lines[-3:]]))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and judge."""
    options = _parser().parse_args(arguments)
    if options.be_the_service:
        serve(options.polls, options.be_the_service)
        return 0
    size = ["--companies", str(options.companies), "--contacts", str(options.contacts), "--drift", "0"]
    limits = ["--profile", "instant", "--limits", "self-hosted"]
    largest, began = 0.0, time.monotonic()
    with serving([PROGRAM, "simulate", "--json", "--port", "0", *limits, *size]) as portal:
        for said in measure(portal, options.polls, options.lanes):
            largest = max(largest, said["resident_mb"])
            if said["poll"] in {*SHOWN, options.polls}:
                print(f"poll {said['poll']:>4}: {said['resident_mb']:4.0f} MB resident", flush=True)
    print(
        f"{options.companies:,} companies, {options.contacts:,} contacts, {options.polls} polls, "
        f"{time.monotonic() - began:.0f} s: at most {largest:.0f} MB, {LIMIT_MB:.0f} are allowed"
    )
    return int(largest > LIMIT_MB)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--companies", type=int, default=200_000)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--polls", type=int, default=SHOWN[-1])
    parser.add_argument("--lanes", type=int, default=2, help="sweep.lanes")
    parser.add_argument("--be-the-service", metavar="URL", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
