"""The journal's upkeep happens once a day, after a run, and never stops the schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from reconciler.journal.store import open_journal
from reconciler.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Return a world with a run in its journal."""
    world = make_world()
    world.run()
    return world


def told(world: World, upkeep: Upkeep) -> list[str]:
    """Let a run be heard of; return what was logged of the upkeep."""
    with capture_logs() as logs:
        upkeep.hear(world.run())
    return [entry["event"] for entry in logs if entry["event"].startswith("journal.")]


def test_once_a_day(world: World) -> None:
    """After the first run of a start, and then not before a day is over."""
    upkeep = Upkeep(world.worker, 365)
    assert told(world, upkeep) == ["journal.pruned"]
    world.clock.sleep(86_000)
    assert told(world, upkeep) == []
    world.clock.sleep(400)
    assert told(world, upkeep) == ["journal.pruned"]


def test_not_beside_another_run(world: World) -> None:
    """It waits for the next run, without a word."""
    upkeep = Upkeep(world.worker, 365)
    finished = world.run()
    with world.journal.lease(0), capture_logs() as logs:
        upkeep.hear(finished)
    assert logs == []
    assert told(world, upkeep) == ["journal.pruned"]


def test_a_journal_that_cannot_be_used(world: World) -> None:
    """Is told in one event."""
    broken = open_journal(f"sqlite:///{world.journal.path}", world.clock)
    broken.close()
    broken.path = world.journal.path / "nowhere"
    upkeep = Upkeep(replace(world.worker, journal=broken), 365)
    assert told(world, upkeep) == ["journal.not_pruned"]
