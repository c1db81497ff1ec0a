"""Approval of changes, not of plans: it outlives slots, restarts and a set that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.trust import ANN, BOB, CLEO, TrustWorld

from reconciler.core.model import Status
from reconciler.engine.run import Consent
from reconciler.errors import UsageError
from reconciler.journal.records import ApprovalState, NoApproval

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.engine.run import RunResult

GUARD = {"guard": {"changes": 4}}


def state(world: TrustWorld, digest: str) -> ApprovalState:
    """Return what became of a set."""
    found = world.journal.approvals.find("portal", digest)
    assert not isinstance(found, NoApproval)
    return found.state


def refusal(finished: RunResult) -> str:
    """Return the digest of what was refused."""
    assert finished.report.status is Status.REFUSED
    assert finished.refusal is not None
    return finished.refusal.digest


def test_refused_approved_carried_through(trust: Callable[..., TrustWorld]) -> None:
    """A yes between two slots is enough; it is used up by what it let through."""
    world = trust(settings=GUARD)
    world.drift(6)
    digest = refusal(world.tick())
    assert world.written() == []
    world.approve(digest[:12])
    finished = world.tick()
    assert (finished.report.status, finished.let_through) == (Status.APPLIED, 6)
    assert world.portal.drift() == 0
    assert {row.approval for row in world.journal.changes(2)} == {1}
    assert state(world, digest) is ApprovalState.USED


def test_what_was_shown_goes_through_and_the_rest_is_guarded(trust: Callable[..., TrustWorld]) -> None:
    """The set has grown by more than passes unseen: the rest waits for a yes of its own."""
    world = trust(settings=GUARD)
    world.drift(6)
    digest = refusal(world.tick())
    for number in range(7, 12):
        world.office.contact(number, ANN, 101)
    world.approve(digest)
    finished = world.tick()
    rest = refusal(finished)
    assert rest != digest
    assert sorted(contact for contact, _ in world.written()) == [1, 2, 3, 4, 5, 6]
    assert finished.refusal is not None
    assert {change.contact for change in finished.refusal.verdict.held} == {7, 8, 9, 10, 11}
    assert (state(world, digest), state(world, rest)) == (ApprovalState.USED, ApprovalState.WAITING)
    assert refusal(world.tick()) == rest
    world.approve(rest)
    assert world.tick().report.status is Status.APPLIED
    assert world.portal.drift() == 0


def test_a_small_rest_passes_the_guard_as_usual(trust: Callable[..., TrustWorld]) -> None:
    """Two more than were shown are an ordinary day's work."""
    world = trust(settings=GUARD)
    world.drift(6)
    world.approve(refusal(world.tick()))
    for number in (7, 8):
        world.office.contact(number, ANN, 101)
    assert world.tick().report.status is Status.APPLIED
    assert world.portal.drift() == 0


def test_an_older_set_can_be_approved_after_a_newer_refusal(trust: Callable[..., TrustWorld]) -> None:
    """Who says yes to what the first notice showed gets just that."""
    world = trust(settings=GUARD)
    world.drift(6)
    first = refusal(world.tick())
    for number in range(7, 12):
        world.office.contact(number, ANN, 101)
    assert refusal(world.tick()) != first
    world.approve(first)
    refusal(world.tick())
    assert sorted(contact for contact, _ in world.written()) == [1, 2, 3, 4, 5, 6]


def test_it_outlives_a_restart(trust: Callable[..., TrustWorld]) -> None:
    """Refusal, yes and writing in three processes."""
    world = trust(settings=GUARD)
    world.drift(6)
    digest = refusal(world.tick())
    world.restart()
    world.approve(digest)
    world.restart()
    assert world.tick().report.status is Status.APPLIED
    assert world.portal.drift() == 0


@pytest.mark.parametrize("end", ["expires", "withdrawn"])
def test_it_ends(trust: Callable[..., TrustWorld], end: str) -> None:
    """After seven days, or when somebody takes it back, it lets nothing through."""
    world = trust(settings=GUARD)
    world.drift(6)
    digest = refusal(world.tick())
    world.approve(digest)
    if end == "expires":
        world.pass_time(7 * 86_400)
    else:
        world.journal.approvals.withdraw("portal", digest)
    assert refusal(world.tick()) == digest
    assert world.written() == []


def test_it_is_used_up_once(trust: Callable[..., TrustWorld]) -> None:
    """What was let through and comes back as it was is refused again, with the same digest."""
    world = trust(settings=GUARD)
    world.drift(6)
    digest = refusal(world.tick())
    world.approve(digest)
    world.tick()
    for contact in range(1, 7):
        world.give(contact, ANN)
    assert refusal(world.tick()) == digest
    assert len(world.written()) == 6


def test_a_part_that_was_let_through_is_not_let_through_twice(trust: Callable[..., TrustWorld]) -> None:
    """One contact is done, comes back, and is guarded; the part that is left still goes through."""
    world = trust(settings={"guard": {"changes": 1}})
    world.drift(3)
    world.approve(refusal(world.tick()))
    world.faults({"kind": "command_error", "method": "crm.contact.update", "contact": 3})
    assert world.tick().report.status is Status.PARTIAL
    for contact in (1, 2):
        world.give(contact, ANN)
    world.faults()
    refusal(world.tick())
    assert world.owners(1, 2, 3) == [ANN, ANN, BOB]


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        pytest.param("abcdef123456", "no changes with this digest", id="unknown"),
        pytest.param("used", "its changes are done, or not wanted any more", id="used-up"),
        pytest.param("expired", "it has expired", id="expired"),
        pytest.param("withdrawn", "it was withdrawn", id="withdrawn"),
        pytest.param("abc", "at least its first 6 characters", id="too-short"),
    ],
)
@pytest.mark.parametrize("planned", [True, False], ids=["something-to-do", "in-sync"])
def test_a_digest_that_cannot_be_approved(
    trust: Callable[..., TrustWorld], digest: str, why: str, *, planned: bool
) -> None:
    """`--once --approve` says why in one sentence, and nothing is written."""
    world = trust(settings=GUARD)
    world.drift(6)
    shown = refusal(world.tick())
    if digest == "withdrawn":
        world.journal.approvals.withdraw("portal", shown)
    elif digest == "expired":
        world.approve(shown)
        world.pass_time(8 * 86_400)
    elif digest == "used":
        world.approve(shown)
        world.tick()
    for contact in range(1, 7):
        if not planned and world.owner_of(contact) != BOB:
            world.give(contact, BOB)
        if planned and digest in {"used", "expired", "withdrawn"}:
            world.give(contact, CLEO)
    before = len(world.written())
    finished = world.run(approve=shown[:12] if digest in {"used", "expired", "withdrawn"} else digest)
    assert isinstance(finished.failure, UsageError)
    assert why in str(finished.failure)
    assert finished.report.status is Status.FAILED
    assert len(world.written()) == before


def test_the_digest_of_a_plan_that_was_shown(trust: Callable[..., TrustWorld]) -> None:
    """`plan` stores nothing; its digest still lets through just what it showed."""
    world = trust(settings=GUARD)
    world.drift(6)
    world.tick(approve=(digest := _digest_of(world)))
    assert world.portal.drift() == 0
    assert state(world, digest) is ApprovalState.USED


def test_a_no_at_the_terminal_writes_nothing(trust: Callable[..., TrustWorld]) -> None:
    """Not even what was approved before."""
    world = trust(settings=GUARD)
    world.drift(6)
    world.approve(refusal(world.tick()))
    assert world.run(confirm=lambda *_: Consent.NOTHING).report.status is Status.REFUSED
    assert world.written() == []


def test_a_yes_at_the_terminal_lets_a_refused_plan_through(trust: Callable[..., TrustWorld]) -> None:
    """It is an approval like any other, with a name and a run."""
    world = trust(settings=GUARD)
    world.drift(6)
    assert world.run(confirm=lambda *_: Consent.ALL).report.status is Status.APPLIED
    assert world.query("SELECT state, change_count, refused_by_run_id FROM approval") == [("used", 6, 1)]


def _digest_of(world: TrustWorld) -> str:
    from reconciler.engine.planning import PlanRequest, propose  # noqa: PLC0415
    from reconciler.portal.read.sweep import Reader  # noqa: PLC0415

    ground = PlanRequest(portal="portal", clock=world.clock, rules=world.worker.rules)
    return propose(Reader(world.worker.client, lambda *_: None), None, ground).plan.digest
