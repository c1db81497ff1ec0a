"""What lets changes pass: approval, of what somebody was shown, and the guard, which judges the rest alone.

::

    plan -> approved before? -> written
               |
              rest -> within the limits ------------------> written, after a yes where somebody is asked
               |
              held back: the largest groups that broke a limit, and what waited before
                        -> approved now, where somebody is asked -> written
                        -> else it waits for approval
"""

from __future__ import annotations

import os
from getpass import getuser
from typing import TYPE_CHECKING

import structlog

from reconciler.core.guard import DOUBTS, Limit, Verdict, hold_back, split
from reconciler.core.model import Change
from reconciler.core.plan import digest as changes_digest
from reconciler.engine.run import Consent, Passage, Refusal
from reconciler.errors import IncompleteReadError, UsageError
from reconciler.journal.records import ApprovalState, NoApproval
from reconciler.reporting.refusal import UNDO, is_of_undo, refusal_json, refusal_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.guard import GuardLimits, Population
    from reconciler.engine.planning import PlannedRun
    from reconciler.engine.run import RunContext, RunRequest
    from reconciler.journal.store import Journal

log = structlog.get_logger("reconciler.gate")


def who() -> str:
    """Return the account that gives an approval on this machine; its number where it has no name, as in a container."""
    try:
        return getuser()
    except (KeyError, OSError):  # the first before Python 3.13
        return f"user {os.getuid()}"


def judge(
    journal: Journal | None, portal: str, proposal: PlannedRun, limits: GuardLimits
) -> tuple[Sequence[Change], Verdict]:
    """Return which changes were approved before, and what the guard says of the rest. `journal` None: there is none."""
    if journal is None:
        return (), hold_back(proposal.plan.changes, proposal.population, limits)
    approved, rest = split(proposal.plan.changes, journal.approvals.in_force(portal))
    held = journal.sweeps.held(portal)
    waiting = {change.key for change in rest if change.mismatch in held} | _waiting(journal, portal)
    return approved, hold_back(rest, proposal.population, limits, waiting)


def _waiting(journal: Journal, portal: str) -> set[tuple[int, int, int, int]]:
    """Return what waits for approval, unless the plan that it is of was in doubt."""
    for record in journal.approvals.open(portal):
        limits = {limit["limit"] for limit in record.numbers.get("limits", ())}
        if record.state is ApprovalState.WAITING and not limits & DOUBTS:
            return journal.approvals.waiting(portal)
    return set()


def let_through(worker: RunContext, order: RunRequest, run: int, proposal: PlannedRun) -> Passage:
    """Decide by the drawing above; what is held back is stored, so that it can be approved later."""
    journal, portal = worker.journal, worker.portal
    approved, verdict = judge(journal, portal, proposal, worker.rules.guard)
    refusal = _refuse(worker, order, run, proposal, verdict) if verdict.held else None
    consent = order.confirm(proposal, refusal)
    if refusal is not None and consent is Consent.ALL:
        approve(worker, refusal.digest, proposal, run)
        refusal = None
    if refusal is not None:
        log.warning("run.refused", digest=refusal.digest[:12], reason=refusal.without_names)
    if consent is Consent.NOTHING:
        return Passage(refusal=refusal)
    allowed = {change.key for change in (*approved, *verdict.passing)} if refusal is not None else None
    through = tuple(change for change in proposal.plan.changes if allowed is None or change.key in allowed)
    return Passage(through=through, refusal=refusal, approvals=journal.approvals.in_force(portal))


def approve(worker: RunContext, prefix: str, proposal: PlannedRun, run: int) -> None:
    """Let a set of changes through: one that was held back earlier, or of the present plan. Raises UsageError.

    Of the plan there are two: all of it, and what the guard would hold back.
    """

    def given() -> NoApproval | None:
        found = approvals.approve(worker.portal, prefix, by=who(), how="with the run", lasts=worker.rules.approval)
        return found if isinstance(found, NoApproval) else None

    approvals, begins = worker.journal.approvals, prefix.strip().lower()
    obstacle = given()
    if obstacle not in {None, NoApproval.AMBIGUOUS, NoApproval.TOO_SHORT}:
        _, verdict = judge(worker.journal, worker.portal, proposal, worker.rules.guard)
        for changes in (proposal.plan.changes, verdict.held):
            if changes and changes_digest(worker.portal, [change.key for change in changes]).startswith(begins):
                approvals.wait(worker.portal, changes, run=run, numbers={}, sentence="shown as a plan")
                obstacle = given()
                break
    if obstacle is not None:
        raise UsageError(f"{prefix} cannot be approved: {obstacle.sentence}")


def believed(worker: RunContext, proposal: PlannedRun) -> bool:
    """Tell whether the next sweep may be compared with this one: no companies are missing, or somebody agreed to it."""
    missing = proposal.population.missing > worker.rules.guard.companies
    return not missing or agreed_to_missing(worker.journal, worker.portal)


def agreed_to_missing(journal: Journal, portal: str) -> bool:
    """Tell whether somebody has approved changes that were refused because companies are missing."""
    return any(
        record.state is ApprovalState.APPROVED
        and any(limit["limit"] == Limit.COMPANIES.value for limit in record.numbers.get("limits", ()))
        for record in journal.approvals.open(portal)
    )


def require_companies(population: Population, limits: GuardLimits, *, agreed: bool) -> None:
    """Refuse to call a portal in sync of which companies are missing, unless somebody has `agreed` to it.

    Where there is something to write, the guard says so. Raises IncompleteReadError.
    """
    if agreed or population.missing <= limits.companies:
        return
    raise IncompleteReadError(
        f"{population.missing:.1%} of the {population.companies_before:,} companies of the last complete sweep are "
        f"missing (limit {limits.companies:.0%}), so it is not known whether their contacts are in order; let the "
        "webhook's user read all companies, or, if they were deleted, run `reconciler --once` with a higher "
        "guard.companies"
    )


def review(worker: RunContext, left: Sequence[Change]) -> None:
    """Close the approvals that are used up, or not wanted any more after a sweep of the whole portal.

    `left` are the changes of its plan that are not done.
    """
    approvals = worker.journal.approvals
    of_undos = [
        Change(contact=contact, company=company, before=before, after=after)
        for record in approvals.open(worker.portal)
        if is_of_undo(record.numbers)
        for contact, company, before, after in approvals.keys(record)
    ]
    approvals.review(worker.portal, [*left, *of_undos])


def _refuse(worker: RunContext, order: RunRequest, run: int, proposal: PlannedRun, verdict: Verdict) -> Refusal:
    """Store what is held back."""
    names = {user.id: user.name for user in (proposal.snapshot.users or {}).values()}
    digest = changes_digest(worker.portal, [change.key for change in verdict.held])
    numbers = refusal_json(verdict, names, digest)
    known = worker.journal.approvals.find(worker.portal, digest)
    if not verdict.breaches and not isinstance(known, NoApproval):
        numbers["limits"] = known.numbers.get("limits", [])  # those that were passed when it was held back
    if order.undo is not None:
        numbers[UNDO] = order.undo.words
    sentence = str(numbers["sentence"])
    worker.journal.approvals.wait(worker.portal, verdict.held, run=run, numbers=numbers, sentence=sentence)
    without_names = refusal_sentence(verdict, {}, digest)
    return Refusal(digest=digest, verdict=verdict, sentence=sentence, without_names=without_names)
