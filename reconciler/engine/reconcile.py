"""One run, from the lease to the last outcome. This is the page to read first.

::

    lease -> settle what a crash left open -> sweep -> plan -> guard -> confirm -> apply -> remember -> finish

The service, `--once` and `undo` tell this same story; an undo plans from the journal instead of a sweep. A run of the
service writes for a slot: what is left then is planned anew by the next one, and what is fresh goes before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Outcome, Result, Rule, RunReport, Standing, Status, Usage
from reconciler.engine.approval import (
    Consent,
    Passage,
    Refusal,
    approve,
    believed,
    let_through,
    require_companies,
    review,
)
from reconciler.engine.planning import (
    NO_USER_SCOPE,
    Ground,
    Proposal,
    Rules,
    Undo,
    fresh_first,
    propose,
    propose_undo,
    undone,
)
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
from reconciler.portal.read.sweep import Reader, Scope, Tactics
from reconciler.portal.write.writer import SETTLED_SECONDS, ChunkLimits, Writer, settle_open
from reconciler.telemetry.logs import context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.core.guard import Verdict
    from reconciler.core.model import Cause, Mismatch
    from reconciler.journal.store import Journal
    from reconciler.portal.rest.client import Client

__all__ = ["Consent", "Finished", "Order", "Refusal", "Worker", "reconcile"]

log = structlog.get_logger("reconciler.run")

#: Results after which a run is not simply done (exit code 4).
_UNDONE = (Result.DENIED, Result.FAILED, Result.UNKNOWN)
#: Results after which nothing of a change is left to do.
_DONE = frozenset({Result.APPLIED, Result.ALREADY, Result.GONE})
#: Results after which a contact has the owner that was wanted.
_HELD = frozenset({Result.APPLIED, Result.ALREADY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a run needs: a portal, a journal, the rules and the time."""

    #: The portal's name in the journal (DESIGN 8).
    portal: str
    client: Client
    journal: Journal
    clock: Clock
    rules: Rules = field(default_factory=Rules)
    chunks: ChunkLimits = field(default_factory=ChunkLimits)
    tactics: Tactics = field(default_factory=Tactics)
    #: Compares the portal with the journal, also in the next request; True accepts what differs. PortalChangedError.
    recognise: Callable[[bool], None] = lambda _accept: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run shall do."""

    command: str
    scope: Scope = field(default_factory=Scope)
    #: Highest number of changes; None: all.
    limit: int | None = None
    #: Take something back instead of sweeping.
    undo: Undo | None = None
    #: Digest, or its beginning, of changes to let through; empty for none.
    approve: str = ""
    #: Go on where the portal's name in the journal stood for another address or portal until now.
    accept_portal: bool = False
    #: Seconds to wait for the lease.
    lease_wait: float = 60.0
    #: Length of the slot: after so many seconds the next chunk is left to the next run. None: all is written.
    seconds: float | None = None
    #: Asked before the first write: what of the proposal may be written. By default nobody is there to approve.
    confirm: Callable[[Proposal, Refusal | None], Consent] = lambda _proposal, _refusal: Consent.PASSING
    #: Told how far reading is: what, IDs covered, IDs in all.
    reading: Callable[[str, int, int], None] = lambda _noun, _done, _total: None
    #: Told how far writing is: changes settled, changes in all.
    writing: Callable[[int, int], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended, and what there is to say of it."""

    report: RunReport
    #: The error that ended it early.
    failure: ReconcilerError | None = None
    proposal: Proposal | None = None
    refusal: Refusal | None = None
    #: Changes that the guard or an approval let through.
    let_through: int = 0


class _Progress:
    """What is known of a run so far; always enough for a report."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.proposal: Proposal | None = None
        self.passage = Passage()
        #: Contact -> what became of its change.
        self.settled: dict[int, Result] = {}

    @property
    def outcomes(self) -> Counter[Result]:
        return Counter(self.settled.values())


def reconcile(worker: Worker, order: Order) -> Finished:
    """Run once. Raises LeaseHeldError, PortalChangedError and JournalError; any other failure is in the result."""
    with worker.journal.lease(order.lease_wait):
        worker.recognise(order.accept_portal)
        order = _named(worker, order)
        undone_run = worker.journal.find_run(order.undo.run) if order.undo and order.undo.run else None
        undoes = undone_run.report.run if undone_run else None
        run = worker.journal.begin(portal=worker.portal, command=order.command, undoes=undoes)
        worker.client.usage = Usage()
        progress = _Progress(worker.clock.monotonic())
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
            report = _report(run, status, progress, failure, usage)
            worker.journal.finish(report)
            _log(report, progress.passage.refusal)
        forget_frames(failure)
        if isinstance(failure, PortalChangedError):
            raise failure  # nobody there is to be sent a notice about it
        return Finished(
            report=report,
            failure=failure,
            proposal=progress.proposal,
            refusal=progress.passage.refusal,
            let_through=len(progress.passage.through),
        )


def _named(worker: Worker, order: Order) -> Order:
    """Put its number in the place of `latest`: before this run begins, which would be the latest. Raises UsageError."""
    if order.undo is None or not order.undo.latest:
        return order
    latest = next(iter(worker.journal.history.runs(worker.portal, 1)), None)
    if latest is None or latest.report.run is None:
        raise UsageError(f"nothing can be taken back: there was no run of {worker.portal} yet")
    return replace(order, undo=replace(order.undo, run=latest.report.run, latest=False))


def _run(worker: Worker, order: Order, run: int, progress: _Progress) -> Status:
    _settle_open(worker, order.reading)
    progress.proposal = proposal = _propose(worker, order, run, progress.started)
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


def _propose(worker: Worker, order: Order, run: int, started: float) -> Proposal:
    if order.undo is not None:
        return propose_undo(
            worker.client, worker.journal, portal=worker.portal, undo=order.undo, run=run, clock=worker.clock
        )
    ground = Ground(portal=worker.portal, clock=worker.clock, rules=worker.rules, scope=order.scope, limit=order.limit)
    until = None if order.seconds is None else started + order.seconds
    slot = Slot(worker.clock, partial(worker.journal.sweeps.keep, worker.portal), until)
    return propose(Reader(worker.client, order.reading, worker.tactics, slot), worker.journal, ground, run=run)


def require_verified_owners(proposal: Proposal) -> None:
    """Refuse a plan whose new owners could not be looked up. Raises MissingScopeError."""
    if not proposal.plan.owners_verified:
        raise MissingScopeError(NO_USER_SCOPE)


def _apply(worker: Worker, order: Order, run: int, proposal: Proposal, progress: _Progress) -> None:
    """Write what was let through, fresh before old (DESIGN 5), until the slot is over."""
    through = progress.passage.through
    if not through:
        return
    links = replace(proposal.links, approvals=progress.passage.approvals)

    def settle(outcomes: Sequence[Outcome]) -> None:
        _keep_exceptions(worker, run, outcomes, proposal.put_forward)
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


def _remember(worker: Worker, order: Order, progress: _Progress) -> None:
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
    proposal: Proposal, settled: Mapping[int, Result], verdict: Verdict | None = None
) -> Iterator[tuple[Mismatch, str, Cause]]:
    """Yield the drift that is left, with the reason; `verdict` is the guard's."""
    held = {change.contact for change in verdict.held} if verdict and not verdict.is_doubt else set()
    for skip in proposal.plan.skips:
        yield skip.mismatch, skip.reason.value, skip.cause
    for change in proposal.plan.changes:
        if settled.get(change.contact) not in _DONE:
            yield change.mismatch, HELD if change.contact in held else WAITING, change.cause


def _settle_open(worker: Worker, told: Callable[[str, int, int], None]) -> None:
    """Find out, by reading, what became of the writes that an earlier run left open (DESIGN 6)."""
    intents = worker.journal.open_intents(worker.portal)
    if not intents:
        return
    # The portal may still be at work on the last request of that run, for as long as it lets one (F5.3). How long ago
    # that was, this host's time of day cannot say: somebody may have set it since.
    told(f"writes that an earlier run left open, after a wait of {SETTLED_SECONDS:.0f} s", 0, len(intents))
    worker.clock.sleep(SETTLED_SECONDS)
    for run, of_run in groupby(intents, key=lambda intent: intent.run):
        group = list(of_run)
        outcomes = settle_open(worker.client, [intent.change for intent in group], most=worker.chunks.most)
        _keep_exceptions(worker, run, outcomes, {intent.change.contact for intent in group if intent.puts_forward})
        worker.journal.settle(run, outcomes)
        log.info("run.settled", settled_run=run, **Counter(outcome.result.value for outcome in outcomes))


def _keep_exceptions(worker: Worker, run: int, outcomes: Iterable[Outcome], put_forward: Collection[int]) -> None:
    """Leave alone what was taken back, and no longer that whose undo was; `put_forward` are contacts of the latter.

    Before the outcomes are stored: after a crash in between, what is still open is settled, and this done again.
    """
    exceptions = worker.journal.exceptions
    held = [o.change for o in outcomes if o.change.rule is Rule.UNDO and o.result in _HELD]
    taken_back = [undone(change) for change in held if change.contact not in put_forward]
    forward = {change.contact for change in held} & set(put_forward)
    if taken_back:
        exceptions.add(worker.portal, Standing.UNDONE, taken_back, run=run)
    if forward:
        exceptions.release_kind(worker.portal, Standing.UNDONE, forward, "undo")


def _report(run: int, status: Status, progress: _Progress, failure: ReconcilerError | None, usage: Usage) -> RunReport:
    refusal = progress.passage.refusal
    error = str(failure) if failure is not None else refusal.sentence if refusal else None
    report = RunReport(run=run, status=status, outcomes=dict(progress.outcomes), usage=usage, error=error)
    proposal = progress.proposal
    if proposal is None:
        return report
    plan, snapshot = proposal.plan, proposal.snapshot
    return replace(
        report,
        companies=len(snapshot.roster),
        contacts=snapshot.contacts,
        not_compared=snapshot.outside_roster,
        drift=plan.drift + len(proposal.left),
        standing=len(plan.skips) + len(proposal.left),
        reasons=plan.reasons,
        causes=plan.causes,
        digest=plan.digest if plan.changes else "",
        taken_at=snapshot.taken_at,
    )


def _log(report: RunReport, refusal: Refusal | None) -> None:
    """Say in one line all there is to say of a run, without a name."""
    write = log.info if report.error is None else log.error
    error = report.error if refusal is None or report.error != refusal.sentence else refusal.without_names
    told = {
        "causes": {cause.value: count for cause, count in report.causes.items()},
        "reasons": {reason.value: count for reason, count in report.reasons.items()},
        "not_compared": report.not_compared,
        "digest": report.digest[:12],
        "error": error,
    }
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
        **{name: value for name, value in told.items() if value},
    )
