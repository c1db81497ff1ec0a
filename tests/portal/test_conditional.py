"""Conditional updates: what a batch asks, and what becomes of changes whose company or new owner moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB
from support.world import CLEO, change

from reconciler.core.check import Precondition
from reconciler.core.model import Outcome, Rule
from reconciler.errors import BlockedError, NotJsonError, ServerFaultError
from reconciler.portal.rest.batch_codec import Answer, Timing
from reconciler.portal.write.conditional import compose, fitting
from reconciler.portal.write.writer import ChunkLimits, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

    from reconciler.core.model import Change

YES = Answer(result=True)


def plan(number: int, *, each: int = 1, owners: int = 1, **more: Any) -> list[Change]:
    """Return changes of contacts 1 and up, of companies 101 and up, to so many owners in turn."""
    return [
        change(contact, 101 + (contact - 1) // each, after=20 + (contact - 1) // each % owners)
        if not more
        else replace(change(contact, 101 + (contact - 1) // each, after=20 + (contact - 1) % owners), **more)
        for contact in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    ("changes", "most"),
    [
        pytest.param(plan(60), 23, id="one-owner"),
        pytest.param(plan(60, owners=2), 23, id="two-owners"),
        pytest.param(plan(60, owners=10), 19, id="ten-owners"),
        pytest.param(plan(60, rule=Rule.UNDO), 24, id="an-undo"),
        pytest.param(plan(60, rule=Rule.UNDO, owners=10), 19, id="an-undo-to-ten"),
        pytest.param(plan(60, rule=Rule.SUCCESSOR, company_owner=5), 23, id="a-successor"),
        pytest.param(plan(5), 5, id="few"),
        pytest.param([], 0, id="none"),
    ],
)
def test_so_many_fit_into_a_batch(changes: list[Change], most: int) -> None:
    """Fifty commands: preconditions, updates and the read-back."""
    assert fitting(changes) == most
    if changes:
        commands = compose(changes[:most]).commands
        assert len(commands) <= 50
        assert most == len(changes) or len(compose(changes[: most + 1]).commands) > 50


def test_the_answers_of_one_batch() -> None:
    """Each precondition is judged by its own answer, and never by the text of an error."""
    changes = [change(1, 101), change(2, 102), change(3, 103)]
    batch = compose(changes)
    assert [command.method.split(".", 1)[-1] for command in batch.commands] == [
        "get",
        "company.list",
        *["contact.list", "contact.update"] * 3,
        "contact.list",
    ]
    row = {"ID": "1", "DATE_MODIFY": "2026-01-01T00:00:00+00:00"}
    people, companies = Answer(result=[{"ID": "8"}], total=1), Answer(result=[{"ID": "101"}, {"ID": "103"}], total=2)
    held = Answer(result=[row], timing=Timing(start=5.0, finish=5.1))
    update = Answer(result=True, timing=Timing(start=5.2, finish=5.5))
    none = Answer(result=[])
    first, second, third = batch.findings([people, companies, held, update, none, YES, none, YES, none])
    assert (first.precondition, first.gap) == (Precondition.MET, 0.5)
    assert first.modified is not None
    assert second.precondition is Precondition.COMPANY
    assert (third.precondition, third.shifted) == (Precondition.UNKNOWN, True)


@pytest.mark.parametrize(
    ("place", "answer", "precondition", "error"),
    [
        pytest.param(0, Answer(result=[], total=None), Precondition.OWNER, None, id="nobody-is-active"),
        pytest.param(0, ServerFaultError("no"), Precondition.UNKNOWN, ServerFaultError, id="people-failed"),
        pytest.param(1, Answer(result=[{"ID": "101"}], total=2), Precondition.UNKNOWN, NotJsonError, id="a-row-short"),
        pytest.param(1, Answer(result={"x": 1}), Precondition.UNKNOWN, NotJsonError, id="no-list"),
        pytest.param(1, Answer(result=[{"ID": "7"}], total=1), Precondition.UNKNOWN, BlockedError, id="foreign"),
        pytest.param(2, Answer(result=[]), Precondition.CONTACT, None, id="contact-moved"),
        pytest.param(2, ServerFaultError("no"), Precondition.UNKNOWN, ServerFaultError, id="contact-failed"),
        pytest.param(2, Answer(result=[{"ID": "1"}]), Precondition.MET, None, id="no-date"),
        pytest.param(2, Answer(result=[{"ID": "1"}, {"ID": "1"}]), Precondition.UNKNOWN, NotJsonError, id="twice"),
    ],
)
def test_a_precondition_by_its_answer(place: int, answer: Any, precondition: Precondition, error: Any) -> None:
    """Failed, empty, foreign, short: nothing but the row that was asked for holds."""
    answers: list[Any] = [
        Answer(result=[{"ID": "8"}], total=1),
        Answer(result=[{"ID": "101"}], total=1),
        Answer(result=[{"ID": "1", "DATE_MODIFY": "2026-01-01T00:00:00+00:00"}]),
        YES,
        Answer(result=[]),
    ]
    answers[place] = answer
    (found,) = compose([change(1)]).findings(answers)
    assert (found.precondition, type(found.error)) == (precondition, error or type(None))
    assert found.gap is None


def write(world: World, changes: list[Change]) -> dict[int, str]:
    """Carry out changes; return what became of them."""
    outcomes: list[Outcome] = []
    Writer(world.worker.client, world.clock, ChunkLimits(), intend=lambda _: None, settle=outcomes.extend).apply(
        changes
    )
    return {outcome.change.contact: outcome.result.value for outcome in outcomes}


def test_positions_that_shift_are_tried_one_by_one(make_world: Callable[..., World]) -> None:
    """A company moved: nothing of those behind it is written beside it, and all of it alone."""
    world = make_world()
    world.drift(5, each=1)
    world.portal.people.edit_company(102, CLEO, assigned_by_id=CLEO)
    found = write(world, [change(contact, 100 + contact) for contact in range(1, 6)])
    assert found == {1: "applied", 2: "conflict", 3: "applied", 4: "applied", 5: "applied"}
    assert [sorted(exchange.updates) for exchange in world.witness.writes] == [[1, 2, 3, 4, 5], [3], [4], [5]]


@pytest.mark.parametrize("rule", [Rule.SUCCESSOR, Rule.HEAD, Rule.UNDO], ids=str)
def test_another_owner_than_the_companys(make_world: Callable[..., World], rule: Rule) -> None:
    """The company must still have its owner, but in an undo; the new one must be active."""
    world = make_world()
    world.drift(3, each=1)
    world.portal.people.edit_company(102, CLEO, assigned_by_id=CLEO)
    changes = [
        replace(change(contact, 100 + contact), after=CLEO, rule=rule, company_owner=0 if rule is Rule.UNDO else BOB)
        for contact in (1, 2)
    ]
    assert write(world, changes) == {1: "applied", 2: "applied" if rule is Rule.UNDO else "conflict"}
    assert world.owner_of(1) == CLEO


@pytest.mark.parametrize("rule", [Rule.SUCCESSOR, Rule.UNDO], ids=str)
def test_one_of_several_new_owners_was_dismissed(make_world: Callable[..., World], rule: Rule) -> None:
    """Nobody else gets the contact, whatever the positions of the others."""
    world = make_world()
    world.drift(3, each=1)
    world.portal.people.dismiss_user(BOB)
    company_owner = 0 if rule is Rule.UNDO else BOB
    changes = [
        replace(change(1, 101), before=ANN, after=BOB, rule=rule, company_owner=company_owner),
        replace(change(2, 102), before=ANN, after=CLEO, rule=rule, company_owner=company_owner),
    ]
    assert write(world, changes) == {1: "conflict", 2: "applied"}
    assert (world.owner_of(1), world.owner_of(2)) == (ANN, CLEO)
