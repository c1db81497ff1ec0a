"""Companies that are deleted or merged: what their contacts drift to waits until all companies are read again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB
from support.sweeping import companies_of, truth, waiting
from support.world import CLEO

from reconciler.core.companies import Strategy
from reconciler.core.model import Status
from reconciler.portal.read.sweep import SweepOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

    from reconciler.simulator.people import People

SLOT = 600.0


def delete(people: People) -> None:
    """Delete the company, and link its contacts with the other by hand."""
    people.delete_company(101)
    people.bind_from_company(102, 1, 2, 3)


@pytest.fixture(params=[Strategy.DRIFT, Strategy.PAGES], ids=["drift", "pages"])
def world(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> World:
    """Return a portal in order: three contacts of Ann's company 101, two of Bob's company 102; swept once."""
    made = make_world(tactics=SweepOptions(strategy=request.param, relist=timedelta(hours=1)))
    for company, owner in ((101, ANN), (102, BOB), (103, CLEO)):
        made.office.company(company, owner)
    for company in range(1, 11):  # so that the guard finds nothing in one that is missing
        made.office.company(company, BOB)
    for contact in range(1, 6):
        made.office.contact(contact, ANN if contact < 4 else BOB, 101 if contact < 4 else 102)
    assert made.run().report.status is Status.IN_SYNC
    made.clock.sleep(SLOT)
    return made


def later(world: World) -> Any:
    """Let a slot pass, and run again."""
    world.clock.sleep(SLOT)
    return world.run()


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(delete, id="deleted"),
        pytest.param(lambda people: people.merge_companies(101, 102), id="merged"),
        pytest.param(lambda people: people.edit_company(101, 1, is_my_company="Y") or delete(people), id="our-own"),
    ],
)
def test_contacts_of_a_vanished_company_wait(world: World, deed: Callable[[People], Any]) -> None:
    """For the next read of all companies, and no longer; the reason is shown."""
    deed(world.portal.people)
    finished = world.run()
    assert finished.report.status is Status.IN_SYNC
    assert waiting(finished.proposal) == {1, 2, 3}
    for _ in range(5):
        assert waiting(later(world).proposal) == {1, 2, 3}
    finished = later(world)
    assert (finished.report.status, waiting(finished.proposal)) == (Status.APPLIED, set())
    assert [world.owner_of(contact) for contact in (1, 2, 3)] == [BOB] * 3


def test_a_contact_that_a_person_gives_away_meanwhile_does_not_wait(world: World) -> None:
    """Only what follows from the deletion itself is held."""
    delete(world.portal.people)
    world.run()
    world.clock.sleep(SLOT)
    world.portal.people.edit_contact(1, CLEO, assigned_by_id=CLEO)
    assert waiting(world.run().proposal) == {2, 3}
    assert world.owner_of(1) == BOB


def test_contacts_of_another_owner_do_not_wait(world: World) -> None:
    """A link that no vanished company explains is followed at once."""
    delete(world.portal.people)
    world.portal.people.unbind(5, 102)
    world.portal.people.bind(5, 103)
    assert waiting(world.run().proposal) == {1, 2, 3}
    assert world.owner_of(5) == CLEO


def test_a_company_that_is_restored_ends_the_wait_of_its_contacts(world: World) -> None:
    """It comes back with a new number, and its contacts with it: nothing was written, nothing has to be."""
    world.portal.people.delete_company(101)
    world.portal.people.bind(1, 102)
    assert waiting(world.run().proposal) == {1}
    world.clock.sleep(SLOT)
    world.portal.people.unbind(1, 102)
    restored = world.portal.people.restore_company(101)
    finished = world.run()
    assert (finished.report.status, finished.report.drift) == (Status.IN_SYNC, 0)
    assert world.office.row("contact", 1)["company_id"] == restored
    assert truth(world.office) == set()
    roster = world.journal.sweeps.known("portal").roster
    assert roster is not None
    assert roster.owners == companies_of(world.office)


def test_the_wait_outlasts_a_restart(world: World) -> None:
    """The journal keeps which companies have vanished."""
    delete(world.portal.people)
    world.run()
    world.restart()
    assert waiting(later(world).proposal) == {1, 2, 3}
