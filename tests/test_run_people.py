"""People act while a run is under way: what they decide stays, and what could not be seen is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.portal_fixture import ADMIN, ANN, BOB
from support.world import CLEO, CONTACT_UPDATE, audit

from reconciler.core.model import Standing, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange, World


def before_first(world: World, act: Callable[[], None]) -> None:
    """Let somebody act right before the portal gets the first request with updates."""

    def watch(exchange: Exchange) -> None:
        if exchange.updates:
            world.witness.before = lambda _: None
            act()

    world.witness.before = watch


def hand_over(world: World, company: int, owner: int) -> None:
    """Give a company to another owner."""
    world.portal.people.edit_company(company, ADMIN, assigned_by_id=owner)


def relink(world: World, contact: int, company: int) -> None:
    """Link a contact on another company's card."""
    world.portal.people.bind_from_company(company, contact)


@pytest.mark.parametrize(
    ("act", "results", "owner"),
    [
        pytest.param(
            lambda world: world.portal.people.edit_contact(3, CLEO, assigned_by_id=CLEO),
            {3: "conflict"},
            CLEO,
            id="contact-given-away",
        ),
        pytest.param(
            lambda world: world.portal.people.edit_contact(3, CLEO, assigned_by_id=BOB),
            {3: "already"},
            BOB,
            id="somebody-was-quicker",
        ),
        pytest.param(
            lambda world: hand_over(world, 101, CLEO),
            dict.fromkeys(range(1, 6), "conflict"),
            ANN,
            id="company-handed-over",
        ),
        pytest.param(
            lambda world: hand_over(world, 101, ANN),
            dict.fromkeys(range(1, 6), "conflict"),
            ANN,
            id="company-handed-to-the-contacts-owner",
        ),
        pytest.param(
            lambda world: world.portal.people.delete_company(101),
            dict.fromkeys(range(1, 6), "conflict"),
            ANN,
            id="company-deleted",
        ),
        pytest.param(lambda world: relink(world, 3, 102), {3: "conflict"}, ANN, id="relinked"),
        pytest.param(lambda world: world.portal.people.unbind(3, 101), {3: "conflict"}, ANN, id="unlinked"),
        pytest.param(lambda world: world.portal.people.delete_contact(3), {3: "gone"}, None, id="deleted"),
    ],
)
def test_between_plan_and_write(
    make_world: Callable[..., World], act: Callable[[World], None], results: dict[int, str], owner: int | None
) -> None:
    """The portal refuses it: the person's choice stays, the others are written, the next sweep does what is right."""
    world = make_world()
    world.drift(10)
    before_first(world, lambda: act(world))
    finished = world.run()
    assert world.results() == dict.fromkeys(range(1, 11), "applied") | results
    assert finished.report.status is Status.APPLIED
    if owner is not None:
        assert world.owner_of(3) == owner
    assert audit(world) == 0
    assert {edit.id for edit in world.portal.history if edit.source == "rest"}.isdisjoint(results)
    world.run()
    assert world.portal.drift() == 0


def test_who_is_dismissed_between_plan_and_write_gets_nothing(make_world: Callable[..., World]) -> None:
    """Of a long plan the last chunk leaves hours after the sweep: the new owner is looked at again, as the company."""
    world = make_world()
    world.drift(10)
    before_first(world, lambda: world.portal.people.dismiss_user(BOB))
    world.run()
    assert world.outcomes() == {"conflict": 10}
    assert world.owner_of(3) == ANN
    assert world.run().report.reasons == {Standing.OWNER_DISMISSED: 10}


def test_between_precondition_and_write(make_world: Callable[..., World]) -> None:
    """The milliseconds inside the portal that nobody can close: the write lands on the person's choice, on record."""
    world = make_world()
    world.drift(10)
    world.faults(
        {
            "kind": "human_edit_between",
            "method": CONTACT_UPDATE,
            "contact": 3,
            "contact_id": 3,
            "owner": CLEO,
            "by": CLEO,
        }
    )
    world.run()
    assert world.outcomes() == {"applied": 10}
    assert audit(world) == 1


@pytest.mark.parametrize(
    ("act", "result"),
    [
        pytest.param({"owner": CLEO}, "conflict", id="given-away"),
        pytest.param({"owner": ANN}, "failed", id="given-back"),
    ],
)
def test_between_write_and_read_back(make_world: Callable[..., World], act: dict[str, int], result: str) -> None:
    """A person acts between the update and its read-back: the outcome tells, the person's choice stays."""
    world = make_world()
    world.drift(10)

    def arm(exchange: Exchange) -> None:
        if exchange.updates:
            world.faults({"kind": "human_edit_between", "request": exchange.number, "method": CONTACT_UPDATE,
                          "contact": 4, "contact_id": 3, "by": CLEO, **act})  # fmt: skip

    world.witness.before = arm
    world.run()
    assert world.results() == dict.fromkeys(range(1, 11), "applied") | {3: result}
    assert world.owner_of(3) == act["owner"]


def test_a_company_handed_over_in_the_middle_of_a_run(make_world: Callable[..., World]) -> None:
    """Chunks before the hand-over are written, chunks after it are conflicts; the next run sets all of them right."""
    world = make_world()
    world.drift(60, each=60)

    def watch(_: Exchange) -> None:
        if len(world.witness.writes) == 3:
            world.witness.before = lambda _: None
            hand_over(world, 101, CLEO)

    world.witness.before = watch
    world.run()
    # Ten and twenty are written when it happens; the rest is refused.
    assert world.outcomes() == {"applied": 30, "conflict": 30}
    world.run()
    assert world.outcomes() == {"applied": 60}
    assert {world.owner_of(contact) for contact in range(1, 61)} == {CLEO}


def test_a_person_changes_back_what_a_run_wrote(make_world: Callable[..., World]) -> None:
    """The next sweep writes again (there is no memory of people's decisions yet), as a change of its own."""
    world = make_world()
    world.drift(3)
    world.run()
    world.portal.people.edit_contact(2, CLEO, assigned_by_id=CLEO)
    world.run()
    rows = world.journal.changes(2)
    assert [(row.change.contact, row.change.before, row.change.after) for row in rows] == [(2, CLEO, BOB)]
    assert world.portal.stats()["commands"][CONTACT_UPDATE] == 4
