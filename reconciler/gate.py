"""What lets changes pass (DESIGN 7): approval, of what somebody was shown, and the guard, which judges the rest alone.

::

    plan -> approved before? -> through
               |
              rest -> guard passes it -> confirm -> through
                        |                  └> no: nothing is written
                     refusal -> confirm -> approved now -> through
                                  └> no: waits for approval; only what was approved before is written
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from getpass import getuser
from typing import TYPE_CHECKING

import structlog

from reconciler.core.guard import Limit, breaches, split
from reconciler.core.model import Change
from reconciler.core.plan import digest as changes_digest
from reconciler.errors import UsageError
from reconciler.journal.records import ApprovalState, NoApproval
from reconciler.ops.refusal import refusal_json, refusal_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.guard import Breach
    from reconciler.planning import Proposal
    from reconciler.reconcile import Order, Worker

log = structlog.get_logger("reconciler.gate")

#: In what is stored of a refusal: it was of an undo, so that no sweep can tell whether it is still wanted.
_UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the guard does not let changes through, and what there is to approve."""

    digest: str
    changes: tuple[Change, ...]
    breaches: tuple[Breach, ...]
    sentence: str
    #: The same with people's numbers in the place of their names: for logs.
    without_names: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What may be written, and what not."""

    through: tuple[Change, ...] = ()
    refusal: Refusal | None = None
    #: Key of a change -> the approval that lets it through.
    approvals: Mapping[tuple[int, int, int, int], int] = field(default_factory=dict)


def who() -> str:
    """Return the account that gives an approval on this machine; its number where it has no name, as in a container."""
    try:
        return getuser()
    except (KeyError, OSError):  # the first before Python 3.13
        return f"user {os.getuid()}"


def let_through(worker: Worker, order: Order, run: int, proposal: Proposal) -> Passage:
    """Decide by the drawing above; a refusal is stored, so that it can be approved later."""
    changes, approvals = proposal.plan.changes, worker.journal.approvals
    approved = approvals.in_force(worker.portal)
    through, rest = split(changes, approved)
    found = breaches(rest, proposal.population, worker.rules.guard)
    refusal = _refuse(worker, order, run, proposal, rest, found) if found else None
    if order.confirm(proposal, refusal):
        if refusal is not None:
            approve(worker, refusal.digest, rest, run)
        return Passage(through=changes, approvals=approvals.in_force(worker.portal))
    if refusal is None:
        return Passage()
    log.warning("run.refused", digest=refusal.digest[:12], reason=refusal.without_names)
    return Passage(through=through, refusal=refusal, approvals=approved)


def approve(worker: Worker, prefix: str, changes: Sequence[Change], run: int) -> None:
    """Let a set of changes through: one that was refused earlier, or that of the present plan. Raises UsageError."""

    def given() -> NoApproval | None:
        found = approvals.approve(worker.portal, prefix, by=who(), how="with the run", lasts=worker.rules.approval)
        return found if isinstance(found, NoApproval) else None

    approvals = worker.journal.approvals
    obstacle = given()
    present = changes_digest(worker.portal, [change.key for change in changes])
    if obstacle not in {None, NoApproval.AMBIGUOUS} and changes and present.startswith(prefix.strip().lower()):
        approvals.wait(worker.portal, changes, run=run, numbers={}, sentence="shown as a plan")
        obstacle = given()
    if obstacle is not None:
        raise UsageError(f"{prefix} cannot be approved: {obstacle.sentence}")


def believed(worker: Worker, proposal: Proposal) -> bool:
    """Tell whether the next sweep may be compared with this one: no companies are missing, or somebody agreed to it."""
    if proposal.population.missing <= worker.rules.guard.companies:
        return True
    return any(
        record.state is ApprovalState.APPROVED
        and any(limit["limit"] == Limit.COMPANIES.value for limit in record.numbers.get("limits", ()))
        for record in worker.journal.approvals.open(worker.portal)
    )


def review(worker: Worker, proposal: Proposal) -> None:
    """Close the approvals that are used up, or not wanted any more after a sweep of the whole portal."""
    approvals = worker.journal.approvals
    of_undos = [
        Change(contact=contact, company=company, before=before, after=after)
        for record in approvals.open(worker.portal)
        if _UNDO in record.numbers
        for contact, company, before, after in approvals.keys(record)
    ]
    approvals.review(worker.portal, [*proposal.plan.changes, *of_undos])


def _refuse(  # noqa: PLR0917 - all that a refusal is about
    worker: Worker,
    order: Order,
    run: int,
    proposal: Proposal,
    changes: tuple[Change, ...],
    found: tuple[Breach, ...],
) -> Refusal:
    """Store what was refused."""
    names = {user.id: user.name for user in (proposal.snapshot.users or {}).values()}
    digest = changes_digest(worker.portal, [change.key for change in changes])
    numbers = refusal_json(found, changes, names, digest)
    if order.undo is not None:
        numbers[_UNDO] = order.undo.words
    sentence = str(numbers["sentence"])
    worker.journal.approvals.wait(worker.portal, changes, run=run, numbers=numbers, sentence=sentence)
    without_names = refusal_sentence(found, changes, {}, digest)
    return Refusal(digest=digest, changes=changes, breaches=found, sentence=sentence, without_names=without_names)
