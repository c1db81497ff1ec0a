"""Why a contact drifted, over successive sweeps of one portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.trust import ANN, BOB, CLEO, DORA

from reconciler.core.model import Cause, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.trust import TrustWorld


def test_the_first_sweep_knows_nothing(trust: Callable[..., TrustWorld]) -> None:
    """Without a sweep before it there is no evidence, and the report, the journal and the rows say so."""
    world = trust()
    world.drift(5)
    finished = world.tick()
    assert finished.report.causes == {Cause.UNKNOWN: 5}
    assert world.journal.runs(1)[0].report.causes == {Cause.UNKNOWN: 5}
    assert {row.change.cause for row in world.journal.changes(1)} == {Cause.UNKNOWN}


def create(world: TrustWorld) -> None:
    """Add a contact to a company of Bob's."""
    assert world.portal.people.create_contact(CLEO, 101) == 11


def link(world: TrustWorld) -> None:
    """Link an old contact of Ann's, which has no company, on the company's card."""
    world.portal.people.bind_from_company(101, 10)


@pytest.mark.parametrize(
    ("act", "contact", "cause"),
    [
        pytest.param(lambda w: w.hand_over(101, DORA), 1, Cause.COMPANY_OWNER_CHANGED, id="company-handed-over"),
        pytest.param(create, 11, Cause.CONTACT_CREATED, id="created"),
        pytest.param(link, 10, Cause.NEWLY_LINKED, id="linked-which-moves-no-date"),
        pytest.param(lambda w: w.give(6, CLEO), 6, Cause.CONTACT_CHANGED, id="edited"),
        pytest.param(lambda w: w.give(1, CLEO), 1, Cause.CHANGED_BACK, id="changed-back-after-our-write"),
    ],
)
def test_since_the_last_sweep(
    trust: Callable[..., TrustWorld], act: Callable[[TrustWorld], None], contact: int, cause: Cause
) -> None:
    """What a person did shows in the plan, the counts and the journal."""
    world = trust()
    world.drift(5)
    for number in range(6, 10):
        world.office.contact(number, BOB, 101)
    world.office.contact(10, ANN)
    world.tick()
    world.pass_time(60)
    act(world)
    world.pass_time(60)
    finished = world.tick()
    assert world.causes(finished)[contact] is cause
    assert finished.report.causes[cause] == len(world.causes(finished))
    assert world.journal.runs(1)[0].report.causes == finished.report.causes
    assert {row.change.cause for row in world.journal.changes(2)} == {cause}
    assert world.portal.drift() == 0
    assert world.tick().report.status is Status.IN_SYNC


def test_a_contact_that_missed_two_hand_overs(trust: Callable[..., TrustWorld]) -> None:
    """It holds the owner before the one before: still the company's doing."""
    world = trust(settings={"policy": {"leave_contacts": [2]}})
    world.office.company(101, BOB)
    for contact in (1, 2):
        world.office.contact(contact, BOB, 101)
    world.tick()
    world.hand_over(101, CLEO)
    world.tick()
    world.hand_over(101, DORA)
    world.tick()
    world.configure()
    finished = world.tick()
    assert world.causes(finished) == {2: Cause.COMPANY_OWNER_CHANGED}
    assert world.owners(1, 2) == [DORA, DORA]


def test_a_refused_backlog_keeps_its_causes(trust: Callable[..., TrustWorld]) -> None:
    """What waits for approval does not turn into "newly linked" ten minutes later."""
    world = trust(settings={"guard": {"changes": 3}})
    world.drift(5)
    assert world.tick().report.status is Status.REFUSED
    created = world.portal.people.create_contact(CLEO, 101)
    for causes in ({Cause.UNKNOWN: 5, Cause.CONTACT_CREATED: 1}, {Cause.UNKNOWN: 5}, {Cause.UNKNOWN: 5}):
        finished = world.tick()
        assert finished.report.status is Status.REFUSED
        assert finished.report.causes == causes
    assert world.written() == [(created, BOB)]


def test_a_known_drift_that_moves_on_is_judged_anew(trust: Callable[..., TrustWorld]) -> None:
    """A waiting contact that somebody gives to a third person is an edit from then on."""
    world = trust(settings={"guard": {"changes": 1}})
    world.drift(2)
    world.tick()
    world.give(1, CLEO)
    assert world.causes(world.tick()) == {1: Cause.CONTACT_CHANGED, 2: Cause.UNKNOWN}


def test_an_undo_that_was_released_is_no_new_link(trust: Callable[..., TrustWorld]) -> None:
    """Nobody has linked anything: the contact stands where we wrote it, and holds what our undo put back."""
    world = trust()
    world.drift(3)
    world.tick()
    world.pass_time(60)
    world.undo(run=1)
    assert world.causes(world.tick()) == dict.fromkeys((1, 2, 3), Cause.UNKNOWN)
    world.release()
    assert world.causes(world.tick()) == dict.fromkeys((1, 2, 3), Cause.UNKNOWN)
    assert world.portal.drift() == 0


def test_a_respected_contact_whose_company_changed_hands_is_no_new_link(trust: Callable[..., TrustWorld]) -> None:
    """The sweep before has left it with another owner at this very company."""
    world = trust(settings={"policy": {"person_edit": "respect"}})
    world.office.company(101, BOB)
    world.office.contact(1, BOB, 101)
    world.tick()
    world.pass_time(60)
    world.give(1, CLEO)
    world.pass_time(60)
    assert world.causes(world.tick()) == {1: Cause.CONTACT_CHANGED}
    world.pass_time(60)
    world.hand_over(101, DORA)
    assert world.causes(world.tick()) == {1: Cause.UNKNOWN}
    assert world.owners(1) == [DORA]


def test_a_new_link_goes_before_what_is_not_known(trust: Callable[..., TrustWorld]) -> None:
    """What is not known may be old, so it does not jump the queue."""
    world = trust()
    world.drift(1)
    world.office.contact(10, ANN)
    world.tick()
    world.pass_time(60)
    world.undo(run=1)
    world.tick()
    world.release()
    link(world)
    world.pass_time(60)
    finished = world.tick()
    assert world.causes(finished) == {1: Cause.UNKNOWN, 10: Cause.NEWLY_LINKED}
    assert world.written()[-2:] == [(10, BOB), (1, BOB)]
