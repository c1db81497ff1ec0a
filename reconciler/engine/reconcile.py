"""One run, from the lease to the last outcome. This is the page to read first.

::

    lease -> settle what a crash left open -> sweep -> plan -> guard -> confirm -> apply -> remember -> finish

The service, `--once` and `undo` tell this same story; an undo plans from the journal instead of a sweep. A run of the
service writes for a slot: what is left then is planned anew by the next one, and what is fresh goes before it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Outcome, Result, Status, Usage
from reconciler.engine.approval import approve, believed, let_through, require_companies, review
from reconciler.engine.planning import (
    NO_USER_SCOPE,
    PlannedRun,
    PlanRequest,
    fresh_first,
    propose,
    propose_undo,
)
from reconciler.engine.quarantine import keep_findings
from reconciler.engine.recovery import keep_exceptions, settle_open_writes
from reconciler.engine.run import RunContext, RunRequest, RunResult
from reconciler.engine.summary import Progress, log_end, report_of
from reconciler.errors import (
    IncompleteReadError,
    MissingScopeError,
    PortalChangedError,
    ReconcilerError,
    Stopped,
    UsageError,
    forget_frames,
)
from reconciler.journal.sweeps import HELD, WAITING
from reconciler.portal.read.checkpoint import Slot
from reconciler.portal.read.sweep import Reader, Scope
from reconciler.portal.write.writer import Writer
from reconciler.telemetry.logs import context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.core.guard import Verdict
    from reconciler.core.model import Cause, Mismatch

log = structlog.get_logger("reconciler.run")

#: Results after which a run is not simply done (exit code 4).
_UNDONE = (Result.DENIED, Result.FAILED, Result.UNKNOWN)
#: Results after which nothing of a change is left to do.
_DONE = frozenset({Result.APPLIED, Result.ALREADY, Result.GONE})


def reconcile(worker: RunContext, order: RunRequest) -> RunResult:
    """Run once. Raises LeaseHeldError, PortalChangedError and JournalError; any other failure is in the result."""
    with worker.journal.lease(order.lease_wait):
        worker.recognise(order.accept_portal)
        order = _named(worker, order)
        undone_run = worker.journal.find_run(order.undo.run) if order.undo and order.undo.run else None
        undoes = undone_run.report.run if undone_run else None
        run = worker.journal.begin(portal=worker.portal, command=order.command, undoes=undoes)
        worker.client.usage = Usage()
        progress = Progress(worker.clock.monotonic())
        failure: ReconcilerError | None = None
        with context(run=run):
            try:
                status = _run(worker, order, run, progress)
            except Stopped:
                status = Status.STOPPED
            except ReconcilerError as error:
                status = Status.INCOMPLETE if isinstance(error, IncompleteReadError) else Status.FAILED
                failure = error
            usage = replace(worker.client.usage, duration_seconds=worker.clock.monotonic() - progress.started)
            report = report_of(run, status, progress, failure, usage)
            worker.journal.finish(report)
            log_end(report, progress.passage.refusal)
        forget_frames(failure)
        if isinstance(failure, PortalChangedError):
            raise failure  # nobody there is to be sent a notice about it
        return RunResult(
            report=report,
            failure=failure,
            proposal=progress.proposal,
            refusal=progress.passage.refusal,
            let_through=len(progress.passage.through),
        )


def _named(worker: RunContext, order: RunRequest) -> RunRequest:
    """Put its number in the place of `latest`: before this run begins, which would be the latest. Raises UsageError."""
    if order.undo is None or not order.undo.latest:
        return order
    latest = next(iter(worker.journal.history.runs(worker.portal, 1)), None)
    if latest is None or latest.report.run is None:
        raise UsageError(f"nothing can be taken back: there was no run of {worker.portal} yet")
    return replace(order, undo=replace(order.undo, run=latest.report.run, latest=False))


def _run(worker: RunContext, order: RunRequest, run: int, progress: Progress) -> Status:
    settle_open_writes(worker, order.reading)
    proposal = keep_findings(worker, _propose(worker, order, run, progress.started), run)
    progress.proposal = proposal
    worker.journal.remember_users(worker.portal, (proposal.snapshot.users or {}).values())
    try:
        if order.approve:
            approve(worker, order.approve, proposal, run)
        if not proposal.plan.changes:
            require_companies(proposal.population, worker.rules.guard, agreed=believed(worker, proposal))
            return Status.IN_SYNC
        require_verified_owners(proposal)
        progress.passage = let_through(worker, order, run, proposal)
        _apply(worker, order, run, proposal, progress)
    finally:
        _remember(worker, order, progress)
    if progress.passage.refusal is not None or not progress.passage.through:
        return Status.REFUSED
    return Status.PARTIAL if any(progress.outcomes[result] for result in _UNDONE) else Status.APPLIED


def _propose(worker: RunContext, order: RunRequest, run: int, started: float) -> PlannedRun:
    if order.undo is not None:
        return propose_undo(
            worker.client, worker.journal, portal=worker.portal, undo=order.undo, run=run, clock=worker.clock
        )
    ground = PlanRequest(
        portal=worker.portal, clock=worker.clock, rules=worker.rules, scope=order.scope, limit=order.limit
    )
    until = None if order.seconds is None else started + order.seconds
    slot = Slot(worker.clock, partial(worker.journal.sweeps.keep, worker.portal), until)
    return propose(Reader(worker.client, order.reading, worker.tactics, slot), worker.journal, ground, resume=True)


def require_verified_owners(proposal: PlannedRun) -> None:
    """Refuse a plan whose new owners could not be looked up. Raises MissingScopeError."""
    if not proposal.plan.owners_verified:
        raise MissingScopeError(NO_USER_SCOPE)


def _apply(worker: RunContext, order: RunRequest, run: int, proposal: PlannedRun, progress: Progress) -> None:
    """Write what was let through, fresh before old, until the slot is over."""
    through = progress.passage.through
    if not through:
        return
    links = replace(proposal.links, approvals=progress.passage.approvals)

    def settle(outcomes: Sequence[Outcome]) -> None:
        keep_exceptions(worker, run, outcomes, proposal.put_forward)
        worker.journal.settle(run, outcomes, links)
        progress.settled.update({outcome.change.contact: outcome.result for outcome in outcomes})
        order.writing(len(progress.settled), len(through))

    writer = Writer(
        worker.client,
        worker.clock,
        worker.chunks,
        intend=lambda changes: worker.journal.intend(run, changes, links),
        settle=settle,
        kept=partial(worker.journal.exceptions.kept, worker.portal),
    )
    until = None
    if order.seconds is not None:
        # However long the reading took: a slot that writes nothing would never get through a backlog.
        until = max(progress.started + order.seconds, worker.clock.monotonic() + order.seconds / 2)
    order.writing(0, len(through))
    writer.apply(fresh_first(through, proposal.backlog), until)
    log.info("run.gap", longest_seconds_between_precondition_and_write=round(writer.longest_gap, 3))


def _remember(worker: RunContext, order: RunRequest, progress: Progress) -> None:
    """Keep what a complete sweep of the whole portal has found, for the next one to judge by."""
    proposal = progress.proposal
    if proposal is None or order.undo is not None or order.scope != Scope() or order.limit is not None:
        return
    if believed(worker, proposal):
        refusal = progress.passage.refusal
        left = _left(proposal, progress.settled, refusal.verdict if refusal else None)
        worker.journal.sweeps.remember(worker.portal, proposal.snapshot, left)
        review(worker, [c for c in proposal.plan.changes if progress.settled.get(c.contact) not in _DONE])


def _left(
    proposal: PlannedRun, settled: Mapping[int, Result], verdict: Verdict | None = None
) -> Iterator[tuple[Mismatch, str, Cause]]:
    """Yield the drift that is left, with the reason; `verdict` is the guard's."""
    held = {change.contact for change in verdict.held} if verdict and not verdict.is_doubt else set()
    for skip in proposal.plan.skips:
        yield skip.mismatch, skip.reason.value, skip.cause
    for change in proposal.plan.changes:
        if settled.get(change.contact) not in _DONE:
            yield change.mismatch, HELD if change.contact in held else WAITING, change.cause
