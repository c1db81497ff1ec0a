"""How many updates travel at once, and when: the portal's meters are never overrun, and nothing is written blindly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.portal_fixture import BOB, START
from support.world import CLEO, change

from reconciler.core.model import Outcome, Result
from reconciler.engine.run import Consent
from reconciler.errors import MissingScopeError
from reconciler.portal.entities import REQUEST_SECONDS
from reconciler.portal.rest.limits import Budget
from reconciler.portal.write.writer import ChunkLimits, Writer
from reconciler.simulator.costs import Profile
from reconciler.simulator.meters import OperatingModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.world import Exchange, World

    from reconciler.core.model import Change


def sizes(world: World) -> list[int]:
    """Return how many updates each request carried."""
    return [len(write.updates) for write in world.witness.writes]


def approved(*_: object) -> Consent:
    """Let a plan through that is too large for the guard."""
    return Consent.ALL


def every(seconds: float) -> Profile:
    """Make a portal whose updates all take the same time."""
    return Profile(write_median=seconds)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param(ChunkLimits(), [10, 20, 23, 23, 23, 21], id="default"),
        pytest.param(ChunkLimits(start=1, most=25), [1, 2, 4, 8, 16, 23, 23, 23, 20], id="from-one"),
        pytest.param(ChunkLimits(start=4, most=4), [4] * 30, id="fixed"),
    ],
)
def test_chunks_grow_to_twice(make_world: Callable[..., World], chunks: ChunkLimits, expected: list[int]) -> None:
    """10, 20 and then as many as fit into a batch of fifty beside their preconditions; a request each."""
    world = make_world(chunks=chunks)
    world.drift(120)
    world.run()
    assert sizes(world) == expected
    assert max(write.commands for write in world.witness.writes) <= 50
    assert world.witness.exchanges[-len(expected) :] == world.witness.writes


def test_a_request_has_room_for_what_goes_with_its_updates(make_world: Callable[..., World]) -> None:
    """However many updates are allowed: with preconditions and read-back there are fifty commands at most."""
    world = make_world(chunks=ChunkLimits(start=50, most=50, target_seconds=1000))
    world.drift(120)
    world.run()
    assert world.outcomes() == {"applied": 120}
    assert sizes(world) == [23, 23, 23, 23, 23, 5]
    assert max(write.commands for write in world.witness.writes) <= 50


@pytest.mark.parametrize("slow", [1.0, 2.0, 2.3], ids=lambda seconds: f"{seconds:g}s")
def test_updates_that_get_slow_at_once_do_not_meet_the_cut(make_world: Callable[..., World], slow: float) -> None:
    """A step from 0.1 to 2 seconds an update stays below 60 seconds a request; the next chunk is smaller already."""
    world = make_world(profile=every(0.1))
    world.drift(150)

    def step(exchange: Exchange) -> None:
        if len(world.witness.writes) == 5 and exchange.updates:
            world.portal.costs.profile = every(slow)  # type: ignore[union-attr] # it was given one

    world.witness.before = step
    world.run()
    assert world.outcomes() == {"applied": 150}
    assert max(write.left - write.arrived for write in world.witness.writes) < 60
    assert sizes(world)[4] == 23
    assert max(sizes(world)[5:]) <= 15 / slow


def test_chunks_grow_back_when_updates_get_fast(make_world: Callable[..., World]) -> None:
    """The target is fifteen seconds a request, in both directions."""
    world = make_world(profile=every(3.0))
    world.drift(60)

    def step(exchange: Exchange) -> None:
        if len(world.witness.writes) == 3 and exchange.updates:
            world.portal.costs.profile = every(0.1)  # type: ignore[union-attr] # it was given one

    world.witness.before = step
    world.run()
    assert sizes(world) == [10, 5, 5, 10, 20, 10]


@pytest.mark.parametrize("ban", [False, True], ids=["window", "ban"])
@pytest.mark.parametrize("model", OperatingModel)
def test_a_backfill_stays_within_the_budget(
    make_world: Callable[..., World], model: OperatingModel, *, ban: bool
) -> None:
    """800 seconds of updates under 480 in ten minutes: nothing is rejected, and little time is wasted."""
    world = make_world(profile=every(5.0), model=model, ban=ban)
    world.drift(160, each=50)
    finished = world.run()
    assert world.outcomes() == {"applied": 160}
    assert world.portal.stats()["rejected"] == {}
    assert finished.report.usage.duration_seconds < 800 * 600 / 480
    assert max(write.left - write.arrived for write in world.witness.writes) < 60


@pytest.mark.parametrize("ban", [False, True], ids=["window", "ban"])
@pytest.mark.parametrize("model", OperatingModel)
def test_a_limit_that_the_settings_do_not_know(
    make_world: Callable[..., World], model: OperatingModel, *, ban: bool
) -> None:
    """One request is refused, in whole or in part; what it held is written later, and the limit is kept."""
    world = make_world(profile=every(1.0), model=model, ban=ban)
    world.worker.client.budget = Budget(world.clock, limit=560)
    world.drift(1_200, each=50)
    refused: list[int] = []

    def note(body: bytes) -> bytes:
        if b"OPERATION_TIME_LIMIT" in body:
            refused.append(len(world.witness.exchanges))
        return body

    world.witness.reword = note
    finished = world.run(confirm=approved)
    assert world.outcomes() == {"applied": 1_200}
    assert len(refused) <= 1
    # The wait after the refusal is a large part of a story as short as this.
    assert finished.report.usage.duration_seconds < 1.15 * 1_200 * 600 / 480


def test_at_the_edge_of_the_budget_most_of_a_chunk_is_waited_for(make_world: Callable[..., World]) -> None:
    """What trickles back into the window is not sent update by update, each in a request of its own."""
    world = make_world(profile=every(0.6))
    world.drift(1_600, each=50)
    world.run(confirm=approved)
    assert world.outcomes() == {"applied": 1_600}
    assert sizes(world)[:3] == [10, 20, 23]
    assert min(sizes(world)[3:-1]) >= 16
    first = world.witness.writes[0].number
    assert world.witness.exchanges[first - 1 :] == world.witness.writes


def test_a_chunk_that_no_window_has_room_for_is_cut_smaller(make_world: Callable[..., World]) -> None:
    """A limit of 25 seconds leaves 15, of which half as much again is planned: ten updates of a second, not fifteen."""
    world = make_world(profile=every(1.0))
    world.worker.client.budget = Budget(world.clock, limit=25)
    world.drift(40)
    world.run()
    assert world.outcomes() == {"applied": 40}
    assert sizes(world) == [10] * 4


def test_updates_that_get_slow_do_not_overrun_the_budget(make_world: Callable[..., World]) -> None:
    """What was taken when updates were fast is put back when they are slow and the window is nearly full."""
    world = make_world(profile=every(2.0))
    world.drift(250, each=50)

    def step(_: Exchange) -> None:
        if world.portal.stats()["operating_seconds"].get("crm.contact.update", 0) > 400:
            world.portal.costs.profile = every(4.0)  # type: ignore[union-attr] # it was given one

    world.witness.before = step
    world.run()
    assert world.outcomes() == {"applied": 250}
    assert world.portal.stats()["rejected"] == {}


def test_nothing_to_do(make_world: Callable[..., World]) -> None:
    """An empty plan asks the portal nothing."""
    world = make_world()
    Writer(world.worker.client, world.clock, ChunkLimits(), intend=print, settle=print).apply([])
    assert world.witness.exchanges == []


def test_an_owner_who_is_dismissed_during_a_backfill_gets_nothing_more(make_world: Callable[..., World]) -> None:
    """Never an owner who is not active: a precondition of each request, however long it all takes."""
    world = make_world(profile=every(5.0))
    world.drift(200, each=50)
    world.office.database.write("UPDATE company SET assigned_by_id = ? WHERE id = 104", (CLEO,))
    world.later(550.0, lambda: world.portal.people.dismiss_user(BOB))
    finished = world.run()
    written = {edit.id: edit for edit in world.portal.history if edit.source == "rest"}
    too_late = [edit for edit in written.values() if edit.after == BOB and edit.at > START + 550 + REQUEST_SECONDS]
    assert too_late == []
    results = world.results()
    assert {results[number] for number in range(151, 201)} == {"applied"}
    assert sorted(set(results.values())) == ["applied", "conflict"]
    assert all((results[number] == "applied") == (number in written) for number in results)
    assert finished.failure is None


def test_a_webhook_that_loses_its_user_scope_during_a_backfill_writes_no_more(make_world: Callable[..., World]) -> None:
    """Nobody can tell then whether the new owners still work there."""
    world = make_world(profile=every(5.0))
    world.drift(200, each=50)

    def narrow() -> None:
        world.portal.options = replace(world.portal.options, scopes=("crm",))

    world.later(300.0, narrow)
    finished = world.run()
    assert isinstance(finished.failure, MissingScopeError)
    outcomes = world.outcomes()
    assert outcomes.pop("applied") == world.portal.stats()["updates_applied"]
    assert set(outcomes) == {"failed"}


@pytest.mark.parametrize(
    ("seconds", "until", "written"),
    [
        pytest.param(1.0, 15.0, 25, id="the-time-is-over"),
        pytest.param(5.0, 590.0, 91, id="the-budget-is-back-too-late"),
        pytest.param(1.0, None, 120, id="all-the-time-there-is"),
    ],
)
def test_a_slot(make_world: Callable[..., World], seconds: float, until: float | None, written: int) -> None:
    """What cannot be begun before the end of the slot is left to the next one: neither written nor intended."""
    world = make_world(profile=every(seconds))
    world.drift(120)
    outcomes: list[Outcome] = []
    intended: list[Change] = []
    run = world.journal.begin(portal="portal", command="test")

    def intend(changes: Sequence[Change]) -> None:
        world.journal.intend(run, changes)
        intended.extend(changes)

    writer = Writer(world.worker.client, world.clock, ChunkLimits(), intend=intend, settle=outcomes.extend)
    writer.apply([change(number, 101 + (number - 1) // 5) for number in range(1, 121)], until)
    assert {outcome.result for outcome in outcomes} == {Result.APPLIED}
    assert len(intended) == len(outcomes) == world.portal.stats()["updates_applied"] == written
