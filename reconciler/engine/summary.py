"""A run in numbers: what is known of it so far, the report in the journal, the line in the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Result, RunReport, Status, Usage
from reconciler.engine.run import Passage

if TYPE_CHECKING:
    from reconciler.engine.planning import PlannedRun
    from reconciler.engine.run import Refusal
    from reconciler.errors import ReconcilerError

log = structlog.get_logger("reconciler.run")


class Progress:
    """What is known of a run so far; always enough for a report."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.proposal: PlannedRun | None = None
        self.passage = Passage()
        #: Contact -> what became of its change.
        self.settled: dict[int, Result] = {}

    @property
    def outcomes(self) -> Counter[Result]:
        return Counter(self.settled.values())


def report_of(run: int, status: Status, progress: Progress, failure: ReconcilerError | None, usage: Usage) -> RunReport:
    """Return the report of a run that has just ended; `failure` is the error that ended it early."""
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


def log_end(report: RunReport, refusal: Refusal | None) -> None:
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
