"""What a plan has found out about contacts is kept: which are left alone from now on, and which not any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.model import Standing

if TYPE_CHECKING:
    from reconciler.engine.planning import PlannedRun
    from reconciler.engine.run import RunContext


def keep_findings(worker: RunContext, proposal: PlannedRun, run: int) -> PlannedRun:
    """Add the exceptions that a plan asks for, and end those whose time is over; return the plan with the new ones."""
    now = proposal.judged_at
    if now is None:
        return proposal
    exceptions, portal = worker.journal.exceptions, worker.portal
    until = now + worker.rules.quarantine
    quarantined = exceptions.add(portal, Standing.QUARANTINED, proposal.flapping, until, run, at=now)
    if proposal.respected:
        exceptions.add(portal, Standing.RESPECTED, proposal.respected, run=run, at=now)
    return replace(proposal, quarantined=tuple(quarantined))
