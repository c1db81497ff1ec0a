"""One run, from the lease to the last outcome. This is the page to read first.

::

    lease -> settle what a crash left open -> sweep -> plan -> confirm -> apply -> finish

The service, `--once` and every later command that writes tell this same story, with another order.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Outcome, Result, RunReport, Snapshot, Status, Usage
from reconciler.core.plan import Plan, make_plan
from reconciler.errors import IncompleteReadError, MissingScopeError, ReconcilerError, Stopped
from reconciler.ops.logs import context
from reconciler.portal.client import Client, Limits, http_client
from reconciler.portal.pacing import Budget, Throttle
from reconciler.portal.reader import Reader, Scope
from reconciler.portal.writer import SETTLED_SECONDS, ChunkLimits, Writer, settle_open

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from reconciler.clock import Clock
    from reconciler.config import Settings
    from reconciler.journal.store import Journal

log = structlog.get_logger("reconciler.run")

#: Results after which a run is not simply done (exit code 4).
_UNDONE = (Result.DENIED, Result.FAILED, Result.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a run needs: a portal, a journal and the time."""

    #: The portal's name in the journal (DESIGN 8).
    portal: str
    client: Client
    journal: Journal
    clock: Clock
    chunks: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run shall do."""

    command: str
    scope: Scope = field(default_factory=Scope)
    #: Highest number of changes; None: all.
    limit: int | None = None
    #: Seconds to wait for the lease.
    lease_wait: float = 60.0
    #: Asked before the first write; False ends the run as refused.
    confirm: Callable[[Plan, Snapshot], bool] = lambda _plan, _snapshot: True
    #: Told how far reading is: what, IDs covered, IDs in all.
    reading: Callable[[str, int, int], None] = lambda _noun, _done, _total: None
    #: Told how far writing is: changes settled, changes in all.
    writing: Callable[[int, int], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended; `failure` is the error that ended it early."""

    report: RunReport
    failure: ReconcilerError | None = None


class _Progress:
    """What is known of a run so far; always enough for a report."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.plan: Plan | None = None
        self.outcomes: Counter[Result] = Counter()


def reconcile(worker: Worker, order: Order) -> Finished:
    """Run once. Raises LeaseHeldError and JournalError; any other failure is told in what is returned."""
    with worker.journal.lease(order.lease_wait):
        run = worker.journal.begin(portal=worker.portal, command=order.command)
        started = worker.clock.monotonic()
        worker.client.usage = Usage()
        progress = _Progress()
        failure: ReconcilerError | None = None
        with context(run=run):
            try:
                status = _run(worker, order, run, progress)
            except Stopped:
                status = Status.STOPPED
            except ReconcilerError as error:
                status = Status.INCOMPLETE if isinstance(error, IncompleteReadError) else Status.FAILED
                failure = error
            usage = replace(worker.client.usage, duration_seconds=worker.clock.monotonic() - started)
            report = _report(run, status, progress, failure, usage)
            worker.journal.finish(report)
            _log(report)
        return Finished(report=report, failure=failure)


def _run(worker: Worker, order: Order, run: int, progress: _Progress) -> Status:
    _settle_open(worker)
    reader = Reader(worker.client, order.reading)
    progress.snapshot = snapshot = reader.sweep(order.scope)
    worker.journal.remember_users(worker.portal, (snapshot.users or {}).values())
    progress.plan = plan = make_plan(snapshot, portal=worker.portal, limit=order.limit)
    if not plan.changes:
        return Status.IN_SYNC
    require_verified_owners(plan)
    if not order.confirm(plan, snapshot):
        return Status.REFUSED

    def settle(outcomes: Sequence[Outcome]) -> None:
        worker.journal.settle(run, outcomes)
        progress.outcomes.update(outcome.result for outcome in outcomes)
        order.writing(progress.outcomes.total(), len(plan.changes))

    writer = Writer(
        worker.client,
        worker.clock,
        worker.chunks,
        intend=lambda changes: worker.journal.intend(run, changes),
        settle=settle,
    )
    order.writing(0, len(plan.changes))
    writer.apply(plan.changes)
    log.info("run.gap", longest_seconds_between_check_and_write=round(writer.longest_gap, 3))
    return Status.PARTIAL if any(progress.outcomes[result] for result in _UNDONE) else Status.APPLIED


def require_verified_owners(plan: Plan) -> None:
    """Refuse a plan whose new owners could not be looked up. Raises MissingScopeError."""
    if not plan.owners_verified:
        raise MissingScopeError(
            "the webhook has no user scope, so nobody can tell whether the new owners still work there, and nothing "
            "was written; add the scope user_basic (or user) to the webhook in the portal"
        )


def _settle_open(worker: Worker) -> None:
    """Find out, by reading, what became of the writes that an earlier run left open (DESIGN 6)."""
    intents = worker.journal.open_intents(worker.portal)
    if not intents:
        return
    # The portal may still be at work on the last request of that run, for as long as it lets one (F5.3). By the time
    # of day, which somebody may have set back since.
    latest = max(intent.attempted_at for intent in intents)
    worker.clock.sleep(SETTLED_SECONDS - max(0.0, (worker.clock.now() - latest).total_seconds()))
    for run, group in groupby(intents, key=lambda intent: intent.run):
        changes = [intent.change for intent in group]
        outcomes = settle_open(worker.client, worker.clock, changes, most=worker.chunks.most)
        worker.journal.settle(run, outcomes)
        log.info("run.settled", settled_run=run, **Counter(outcome.result.value for outcome in outcomes))


def _report(run: int, status: Status, progress: _Progress, failure: ReconcilerError | None, usage: Usage) -> RunReport:
    snapshot, plan = progress.snapshot, progress.plan
    return RunReport(
        run=run,
        status=status,
        companies=len(snapshot.roster) if snapshot else 0,
        contacts=snapshot.contacts if snapshot else 0,
        drift=plan.drift if plan else 0,
        standing=len(plan.skips) if plan else 0,
        reasons=plan.reasons if plan else {},
        outcomes=dict(progress.outcomes),
        usage=usage,
        error=None if failure is None else str(failure),
    )


def _log(report: RunReport) -> None:
    """Say in one line all there is to say of a run."""
    write = log.info if report.error is None else log.error
    write(
        "run.finished",
        status=report.status.value,
        companies=report.companies,
        contacts=report.contacts,
        drift=report.drift,
        standing=report.standing,
        **{result.value: count for result, count in report.outcomes.items()},
        requests=report.usage.requests,
        commands=report.usage.commands,
        operating_seconds=round(report.usage.operating_seconds, 1),
        duration_seconds=round(report.usage.duration_seconds, 1),
        **({} if report.error is None else {"error": report.error}),
    )


def connect(
    settings: Settings, clock: Clock, transport: httpx.BaseTransport | None = None, *, patient: bool = True
) -> Client:
    """Make the client that the settings describe; `transport` replaces the network. Raises UsageError.

    Not `patient`: a portal that does not answer the very first request is not asked again.
    """
    portal, limits = settings.portal, settings.portal.resolved_limits
    http = http_client(
        connect_timeout=portal.connect_timeout,
        read_timeout=portal.read_timeout,
        proxy=portal.proxy.get_secret_value() if portal.proxy else None,
        ca_bundle=portal.ca_bundle,
        transport=transport,
    )
    return Client(
        portal.webhook(),
        http,
        clock=clock,
        throttle=Throttle(clock, burst=limits.burst, per_second=limits.per_second, margin=portal.margin),
        budget=Budget(clock, limit=limits.operating_seconds),
        limits=Limits(
            attempts=settings.retry.attempts,
            retry_seconds=settings.retry.max_seconds,
            read_timeout=portal.read_timeout,
            body_bytes=portal.body_limit,
            answer_bytes=portal.answer_limit,
            patient=patient,
        ),
        random=random.Random(),
    )


def chunk_limits(settings: Settings) -> ChunkLimits:
    """Return how many updates may travel in a request."""
    write = settings.write
    return ChunkLimits(start=write.batch_start, most=write.batch_max, target_seconds=write.target_seconds)
