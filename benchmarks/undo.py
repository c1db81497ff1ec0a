"""An undo beside the run that it takes back: requests, and processor time of the worker without the portal's.

`python benchmarks/undo.py` writes 49,000 of 50,000 contacts and takes that back, with a journal on a disk;
`--contacts N` takes fewer. Time is virtual but for the processor's, and the portal has no limits. Exit code 1: the undo
needed more than 1.3 times the requests or the processor time of the run, or something is left.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from reconciler.clock import VirtualClock
from reconciler.core.guard import GuardLimits
from reconciler.core.model import Result
from reconciler.engine.planning import Rules, Undo
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunContext, RunRequest
from reconciler.journal.store import open_journal
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.settings.address import parse_webhook
from reconciler.simulator.database import Database
from reconciler.simulator.portal import Portal
from reconciler.simulator.seed import SeedSpec, seed
from reconciler.simulator.transport import InProcessTransport

#: How much more than the run an undo may need.
MOST = 1.3
_ALL = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run needed."""

    applied: int
    requests: int
    #: Of the worker: reading, planning, journal, writing.
    cpu_seconds: float


class _Line(httpx.BaseTransport):
    """Measures the portal's share of the processor time."""

    def __init__(self, portal: Portal) -> None:
        self._inner = InProcessTransport(portal)
        self.portal_seconds = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        began = time.process_time()
        response = self._inner.handle_request(request)
        self.portal_seconds += time.process_time() - began
        return response


def measure(contacts: int, folder: Path) -> tuple[Measured, Measured]:
    """Write so many contacts, and take that back; return what each needed."""
    clock, database = VirtualClock(), Database()
    spec = SeedSpec(companies=max(1, contacts // 5), contacts=contacts, owners=50, drift=1.0, without_company=0.0)
    seed(database, spec, int(clock.now().timestamp()))
    portal = Portal(database, clock=clock)
    line = _Line(portal)
    client = Client(
        parse_webhook(f"https://portal.bitrix24.com{portal.webhook_path}", ()),
        http_client(connect_timeout=10.0, read_timeout=75.0, transport=line),
        clock=clock,
        throttle=Throttle(clock, burst=None, per_second=None, margin=0.0),
        budget=Budget(clock, limit=None),
        limits=Limits(),
        random=random.Random(1),
    )
    everything = GuardLimits(changes=_ALL, share=1.0, gained=_ALL, lost=_ALL)
    with client, open_journal(f"sqlite:///{folder}/journal.sqlite3", clock) as journal:
        worker = RunContext(portal="portal", client=client, journal=journal, clock=clock, rules=Rules(guard=everything))

        def run(order: RunRequest) -> Measured:
            began = time.process_time() - line.portal_seconds
            report = reconcile(worker, order).report
            return Measured(
                applied=report.outcomes.get(Result.APPLIED, 0),
                requests=report.usage.requests,
                cpu_seconds=time.process_time() - line.portal_seconds - began,
            )

        forward = run(RunRequest(command="once"))
        return forward, run(RunRequest(command="undo", undo=Undo(run=1)))


def complaints(forward: Measured, back: Measured) -> list[str]:
    """Return what is not as promised, in words."""
    broken = {
        f"{back.applied} of {forward.applied} contacts put back": back.applied != forward.applied,
        f"{back.requests / forward.requests:.2f} times the requests": back.requests > MOST * forward.requests,
        f"{back.cpu_seconds / forward.cpu_seconds:.2f} times the CPU": back.cpu_seconds > MOST * forward.cpu_seconds,
    }
    return [what for what, so in broken.items() if so]


def main() -> int:
    """Measure, print both rows, and say what is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=50_000)
    contacts = parser.parse_args().contacts
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as folder:
        forward, back = measure(contacts, Path(folder))
    for name, measured in (("run", forward), ("undo", back)):
        print(
            f"{name:<6}{measured.applied:>8,} applied{measured.requests:>8,} requests{measured.cpu_seconds:>8.1f} s CPU"
        )
    found = complaints(forward, back)
    print("\n".join(found) or "as promised")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
