"""Taking a run, a contact or a company back, through the same guarded path; and that no sweep does it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.trust import ANN, BOB, CLEO, DORA, TrustWorld

from reconciler.core.model import Result, Standing, Status
from reconciler.core.rules.undo import Obstacle
from reconciler.engine.planning import Undo
from reconciler.engine.run import Consent
from reconciler.errors import UsageError
from reconciler.journal.records import NewException, Selection
from reconciler.reporting.notes import unrestorable_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange

    from reconciler.engine.planning import PlannedRun
    from reconciler.engine.run import RunResult


def obstacles(finished: RunResult) -> dict[int, Obstacle]:
    """Return contact -> why it is not put back."""
    assert finished.proposal is not None
    return {left.change.contact: left.obstacle for left in finished.proposal.left}


def undone(world: TrustWorld) -> set[int]:
    """Return the contacts whose undo stands."""
    return {e.entry.contact for e in world.journal.exceptions.entries("portal") if e.kind is Standing.UNDONE}


def keep(world: TrustWorld, *contacts: int) -> None:
    """Leave these contacts alone, as `reconciler exceptions add` does."""
    entries = [NewException(contact=contact, detail="Ada") for contact in contacts]
    world.journal.exceptions.add("portal", Standing.KEPT, entries)


@pytest.mark.parametrize(
    ("what", "back"),
    [
        pytest.param({"run": 1}, {1, 2, 3, 4, 5, 6}, id="run"),
        pytest.param({"contact": 2}, {2}, id="contact"),
        pytest.param({"company": 102}, {6}, id="company"),
    ],
)
def test_it_is_put_back_and_stays_so(trust: Callable[..., TrustWorld], what: dict[str, int], back: set[int]) -> None:
    """The old owners are back, and the next sweeps leave them alone, saying why."""
    world = trust()
    world.drift(6)
    world.tick()
    finished = world.undo(**what)
    assert finished.report.status is Status.APPLIED
    assert finished.report.outcomes == {Result.APPLIED: len(back)}
    assert {contact for contact in range(1, 7) if world.owner_of(contact) == ANN} == back
    assert undone(world) == back
    for _ in range(2):
        finished = world.tick()
        assert finished.report.status is Status.IN_SYNC
        assert world.reasons(finished) == dict.fromkeys(back, "undone")
    assert {row.undoes for row in world.journal.changes(2)} <= set(range(1, 7))


def test_an_undo_costs_no_more_requests_than_the_run(trust: Callable[..., TrustWorld]) -> None:
    """Its plan reads in full batches, as a sweep does: `benchmarks/undo.py` measures it for 50,000."""
    world = trust()
    world.drift(200)
    forward = world.tick().report
    back = world.undo(run=forward.run).report
    assert forward.outcomes == back.outcomes == {Result.APPLIED: 200}
    assert back.usage.requests <= forward.usage.requests


def test_without_the_user_scope_nothing_is_called_unfit(trust: Callable[..., TrustWorld]) -> None:
    """The undo fails and says what to add, where it would else end as if nothing were left to take back."""
    world = trust()
    world.drift(3)
    world.tick()
    world.faults({"kind": "command_error", "code": "insufficient_scope", "method": "user.get"})
    finished = world.undo(run=1)
    assert finished.report.status is Status.FAILED
    assert "add the scope user_basic" in (finished.report.error or "")
    assert world.owners(1, 2, 3) == [BOB] * 3
    world.faults()
    assert world.undo(run=1).report.outcomes == {Result.APPLIED: 3}


def test_only_what_still_stands_as_we_left_it(trust: Callable[..., TrustWorld]) -> None:
    """The rest is listed, each with its reason, and stays as it is."""
    world = trust()
    world.drift(5)
    world.office.contact(6, DORA, 101)
    world.office.contact(7, 0, 101)
    finished = world.tick()
    assert finished.proposal is not None
    note = unrestorable_note(finished.proposal.plan, finished.proposal.snapshot.users or {})
    assert "1 " in note
    world.give(1, CLEO)
    world.portal.people.delete_contact(2)
    world.portal.people.unbind(3, 101)
    world.portal.people.dismiss_user(DORA)
    finished = world.undo(run=1)
    assert obstacles(finished) == {
        1: Obstacle.CHANGED_SINCE,
        2: Obstacle.GONE,
        3: Obstacle.CHANGED_SINCE,
        6: Obstacle.OLD_OWNER_UNFIT,
        7: Obstacle.NO_OWNER_BEFORE,
    }
    assert (finished.report.drift, finished.report.standing) == (7, 5)
    assert world.owners(1, 3, 4, 5, 6, 7) == [CLEO, BOB, ANN, ANN, BOB, BOB]


def test_what_a_person_keeps_is_not_put_back(trust: Callable[..., TrustWorld]) -> None:
    """Said before, as what stays; also where it is kept after the question."""
    world = trust()
    world.drift(4)
    world.tick()
    keep(world, 1)

    def agree(_proposal: PlannedRun, _refusal: object) -> Consent:
        keep(world, 2)
        return Consent.PASSING

    finished = world.run(command="undo", undo=Undo(run=1), confirm=agree)
    assert obstacles(finished) == {1: Obstacle.KEPT}
    assert finished.report.outcomes == {Result.APPLIED: 2, Result.CONFLICT: 1}
    assert world.owners(1, 2, 3, 4) == [BOB, BOB, ANN, ANN]


def test_what_a_later_run_wrote_again_is_listed(trust: Callable[..., TrustWorld]) -> None:
    """The older change does not stand any more; silence would look like an oversight."""
    world = trust()
    world.drift(2)
    world.tick()
    world.give(1, CLEO)
    world.tick()
    finished = world.undo(run=1)
    assert obstacles(finished) == {1: Obstacle.WRITTEN_AGAIN}
    assert world.owners(1, 2) == [BOB, ANN]


def test_a_second_undo_says_that_it_was_taken_back_already(trust: Callable[..., TrustWorld]) -> None:
    """And not that somebody has changed what we put back ourselves; also where the undo is what was taken back."""
    world = trust()
    world.drift(2)
    run = world.tick().report.run
    undo = world.undo(run=run).report.run
    assert obstacles(world.undo(run=run)) == dict.fromkeys((1, 2), Obstacle.TAKEN_BACK)
    assert world.undo(run=undo).report.outcomes == {Result.APPLIED: 2}
    assert obstacles(world.undo(run=undo)) == dict.fromkeys((1, 2), Obstacle.TAKEN_BACK)
    assert world.owners(1, 2) == [BOB, BOB]


def test_it_passes_the_guard(trust: Callable[..., TrustWorld]) -> None:
    """Too much at once is refused; its approval waits for the undo, whatever sweeps come between."""
    world = trust(settings={"guard": {"changes": 6}})
    world.drift(6)
    world.tick()
    world.configure(guard={"changes": 3})
    refused = world.undo(run=1)
    assert refused.refusal is not None
    assert world.portal.drift() == 0
    world.tick()
    world.approve(refused.refusal.digest)
    world.tick()
    assert world.undo(run=1).report.status is Status.APPLIED
    assert world.owners(*range(1, 7)) == [ANN] * 6


def test_undo_of_undo_puts_things_forward_again(trust: Callable[..., TrustWorld]) -> None:
    """All is as before the undo: no exception is left, so that the worker looks after the contacts again."""
    world = trust()
    world.drift(3)
    world.tick()
    run = world.undo(run=1).report.run
    assert world.undo(run=run).report.status is Status.APPLIED
    assert world.owners(1, 2, 3) == [BOB] * 3
    assert undone(world) == set()
    world.give(2, CLEO)
    world.tick()
    assert world.owner_of(2) == BOB


def test_a_new_owner_of_the_company_ends_it(trust: Callable[..., TrustWorld]) -> None:
    """What was taken back was meant against the owner of that time."""
    world = trust()
    world.drift(3)
    world.tick()
    world.undo(contact=1)
    world.tick()
    world.hand_over(101, CLEO)
    world.tick()
    assert world.owners(1, 2, 3) == [CLEO] * 3


def test_released_by_command(trust: Callable[..., TrustWorld]) -> None:
    """Then the next sweep sets the contact right again."""
    world = trust()
    world.drift(3)
    world.tick()
    world.undo(contact=1)
    world.tick()
    (entry,) = world.journal.exceptions.entries("portal", Selection(contacts=[1]))
    assert world.journal.exceptions.release("portal", [entry.id], "Ada") == 1
    world.tick()
    assert world.owner_of(1) == BOB


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("moment", ["before-the-request", "after-it"])
def test_a_crash_in_mid_undo_settles(trust: Callable[..., TrustWorld], moment: str) -> None:
    """The next start finds out by reading what was put back, and no sweep does that again."""
    world = trust()
    world.drift(40)
    world.tick()
    writes = len(world.witness.writes)

    def die(_: object) -> None:
        if len(world.witness.writes) == writes + 2:
            raise Killed

    setattr(world.witness, "before" if moment == "before-the-request" else "after", die)
    with pytest.raises(Killed):
        world.undo(run=1)
    world.witness.before = world.witness.after = lambda _: None
    back = {contact for contact in range(1, 41) if world.owner_of(contact) == ANN}
    assert len(back) == (10 if moment == "before-the-request" else 30)
    world.restart()
    finished = world.tick()
    assert finished.report.status is Status.IN_SYNC
    assert undone(world) == back
    # By the undo's number, and not by that of the run that found out.
    assert {e.run for e in world.journal.exceptions.entries("portal")} == {2}
    assert {contact for contact in range(1, 41) if world.owner_of(contact) == ANN} == back
    assert "open" not in world.results(2).values()
    assert world.undo(run=1).report.status is Status.APPLIED
    assert world.owners(*range(1, 41)) == [ANN] * 40


def test_a_crash_in_mid_undo_of_an_undo(trust: Callable[..., TrustWorld]) -> None:
    """What was put forward is looked after again, also where the next start is the one to find it out."""
    world = trust()
    world.drift(3)
    world.tick()
    world.undo(run=1)
    assert undone(world) == {1, 2, 3}

    def die(exchange: Exchange) -> None:
        if exchange.updates:
            raise Killed

    world.witness.after = die
    with pytest.raises(Killed):
        world.undo(run=2)
    world.witness.after = lambda _: None
    world.restart()
    world.tick()
    assert world.owners(1, 2, 3) == [BOB] * 3
    assert undone(world) == set()
    world.give(2, CLEO)
    world.tick()
    assert world.owner_of(2) == BOB


def test_undos_of_undos_take_turns(trust: Callable[..., TrustWorld]) -> None:
    """Each second one takes back, and its contacts are left alone, also where a kill came between."""
    world = trust()
    world.drift(3)
    world.tick()
    for run in range(1, 6):
        takes_back = run % 2 == 1
        assert world.undo(run=run).report.status is Status.APPLIED
        assert world.owners(1, 2, 3) == ([ANN] * 3 if takes_back else [BOB] * 3)
        assert undone(world) == ({1, 2, 3} if takes_back else set())

    def die(exchange: Exchange) -> None:
        if exchange.updates:
            raise Killed

    for run in (6, 7):
        world.witness.after = die
        with pytest.raises(Killed):
            world.undo(run=run)
        world.witness.after = lambda _: None
        world.restart()
        assert world.run(command="undo", undo=Undo(run=99)).failure is not None  # settles what the kill left open
        assert undone(world) == (set() if run == 6 else {1, 2, 3})


@pytest.mark.parametrize(
    ("what", "why"),
    [
        pytest.param({"run": 9}, "no such run", id="no-such-run"),
        pytest.param({"run": 2}, "no change of ours", id="wrote-nothing"),
        pytest.param({"contact": 99}, "no change of ours", id="never-written"),
        pytest.param({"run": 3}, "no such run", id="its-own-number"),
    ],
)
def test_there_is_nothing_to_take_back(trust: Callable[..., TrustWorld], what: dict[str, int], why: str) -> None:
    """One sentence, and nothing written."""
    world = trust()
    world.drift(3)
    world.tick()
    world.tick()
    finished = world.undo(**what)
    assert isinstance(finished.failure, UsageError)
    assert why in str(finished.failure)
    assert len(world.written()) == 3
