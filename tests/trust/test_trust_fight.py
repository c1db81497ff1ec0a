"""Another automation that sets a contact back after each fix: three writes, then peace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.trust import ANN, BOB, CLEO, DORA, TrustWorld

from reconciler.core.model import Standing
from reconciler.journal.records import Selection
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange


def fight(world: TrustWorld, contact: int = 1, owner: int = CLEO) -> None:
    """Let an automation set a contact to an owner half a minute after each of our writes."""

    def watch(exchange: Exchange) -> None:
        if contact in exchange.updates:
            world.later(30, lambda: world.give(contact, owner))

    world.witness.after = watch


def quarantined(world: TrustWorld) -> bool:
    """Tell whether contact 1 is in quarantine."""
    return world.journal.exceptions.in_force("portal").get(1) is Standing.QUARANTINED


@pytest.mark.parametrize("owner", [ANN, CLEO], ids=["the-old-owner", "a-third-person"])
def test_at_most_three_writes_then_quarantine(trust: Callable[..., TrustWorld], owner: int) -> None:
    """The contact is left to the other side, with its last editor on record, and everybody else is served."""
    world = trust()
    world.drift(3)
    fight(world, owner=owner)
    quarantine = [world.tick().proposal.quarantined for _ in range(8)]  # type: ignore[union-attr]
    assert quarantine == [(), (), (), (1,), (), (), (), ()]
    assert [write for write in world.written() if write[0] == 1] == [(1, BOB)] * 3
    (entry,) = world.journal.exceptions.entries("portal", Selection(contacts=[1]))
    assert (entry.entry.last_editor, entry.entry.owner) == (CLEO, owner)
    assert entry.entry.last_edited_at is not None
    world.give(2, CLEO)
    finished = world.tick()
    assert world.owner_of(2) == BOB
    assert world.reasons(finished) == {1: "quarantined"}


@pytest.mark.parametrize("end", ["command", "time", "company-owner"])
def test_released(trust: Callable[..., TrustWorld], end: str) -> None:
    """Each way out leads to writes again, and a fight that goes on to another quarantine after three of them."""
    # Half a day, so that the writes from before are still within the day that counts.
    world = trust(profile=Profile(network=0.1), settings={"policy": {"quarantine_days": 0.5}})
    world.drift(3)
    fight(world)
    for _ in range(5):
        world.tick()
    assert quarantined(world)
    wanted = BOB
    if end == "command":
        world.release()
    elif end == "time":
        world.pass_time(43_200)
    else:
        wanted = DORA
        world.hand_over(101, DORA)
    for _ in range(6):
        world.tick()
    writes = [write for write in world.written() if write[0] == 1]
    assert writes[:3] == [(1, BOB)] * 3
    # Where the change back was there at the release, it counts as the first of three.
    assert writes[3:] == [(1, wanted)] * (3 if end == "company-owner" else 2)
    assert quarantined(world)


def test_a_clock_that_is_ahead_ends_no_quarantine(trust: Callable[..., TrustWorld]) -> None:
    """It is not over by the portal's time, neither for the run under that clock nor for the next one."""
    world = trust()
    world.drift(1)
    fight(world)
    for _ in range(4):
        world.tick()
    years = timedelta(days=1_500)
    for ahead in (years, -years):
        world.clock.timeline.start += ahead
        world.portal.clock_offset -= ahead.total_seconds()
        assert world.reasons(world.tick()) == {1: "quarantined"}
    assert quarantined(world)
    assert len(world.written()) == 3


def test_peace_after_the_release(trust: Callable[..., TrustWorld]) -> None:
    """Released, and nobody sets it back: in order, and no exception is left."""
    world = trust()
    world.drift(1)
    fight(world)
    for _ in range(4):
        world.tick()
    world.witness.after = lambda _: None
    world.hand_over(101, DORA)
    world.tick()
    assert world.owner_of(1) == DORA
    assert world.journal.exceptions.entries("portal") == []


def test_two_changes_a_day_are_no_fight(trust: Callable[..., TrustWorld]) -> None:
    """A person who tries twice a day is overruled each time, as the settings say."""
    world = trust()
    world.drift(1)
    world.tick()
    for _ in range(6):
        world.pass_time(43_201)
        world.give(1, CLEO)
        world.tick()
    assert len(world.written()) == 7
    assert not quarantined(world)
