"""Look, then write: the way for a portal that does not fill in what one command takes from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.portal_fixture import ADMIN, ANN, BOB
from support.world import CLEO, _clients

from reconciler.core.model import Status
from reconciler.errors import BlockedError, RateLimitedError
from reconciler.portal.write.writer import ChunkLimits
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

LOOKING = ChunkLimits(conditional=False)


def test_a_portal_without_macros_is_not_written_blindly(make_world: Callable[..., World]) -> None:
    """The run ends with the setting that helps, and nothing is intended or written."""
    world = make_world(macros=False)
    world.drift(3)
    finished = world.run()
    assert isinstance(finished.failure, BlockedError)
    assert "write.conditional = false" in str(finished.failure)
    assert (world.portal.history, world.results()) == ([], {})


def test_each_contact_is_looked_at_before_it_is_written(make_world: Callable[..., World]) -> None:
    """In the request before; and read back."""
    world = make_world(macros=False, chunks=LOOKING)
    world.drift(30)
    assert world.run().report.status is Status.APPLIED
    assert (world.outcomes(), world.portal.drift()) == ({"applied": 30}, 0)
    assert [len(write.updates) for write in world.witness.writes] == [10, 20]


@pytest.mark.parametrize(
    ("act", "results"),
    [
        pytest.param(
            lambda w: w.portal.people.edit_contact(3, CLEO, assigned_by_id=CLEO), {3: "conflict"}, id="given-away"
        ),
        pytest.param(
            lambda w: w.portal.people.edit_company(101, ADMIN, assigned_by_id=CLEO),
            dict.fromkeys(range(1, 6), "conflict"),
            id="company",
        ),
        pytest.param(
            lambda w: w.portal.people.dismiss_user(BOB), dict.fromkeys(range(1, 11), "conflict"), id="dismissed"
        ),
        pytest.param(lambda w: w.portal.people.delete_contact(3), {3: "gone"}, id="deleted"),
    ],
)
def test_what_the_look_shows_is_not_written(
    make_world: Callable[..., World], act: Callable[[World], None], results: dict[int, str]
) -> None:
    """Contact, company and new owner: whatever moved since the plan."""
    world = make_world(macros=False, chunks=LOOKING)
    world.drift(10)

    def confirm(*_: object) -> bool:
        act(world)
        return True

    world.run(confirm=confirm)
    assert world.results() == dict.fromkeys(range(1, 11), "applied") | results


def test_a_look_that_took_too_long_is_taken_again(make_world: Callable[..., World]) -> None:
    """Its age counts from the departure of its request: an answer of three seconds is too old, and nothing is sent."""
    world = make_world(macros=False, chunks=LOOKING)
    world.drift(5)
    slow: list[int] = []

    def delay(exchange: Any) -> None:
        if exchange.commands == 3 and not exchange.updates and len(slow) < 2:
            slow.append(exchange.number)
            world.witness.clock.sleep(3.0)
            world.portal.people.edit_contact(2, CLEO, assigned_by_id=CLEO if len(slow) == 2 else ANN)

    def confirm(*_: object) -> bool:
        world.witness.before = delay
        return True

    world.run(confirm=confirm)
    assert len(slow) == 2
    assert len(world.witness.writes) == 1
    assert world.results()[2] == "conflict"
    assert world.owner_of(2) == CLEO


def test_a_portal_that_is_always_too_slow_is_not_written(make_world: Callable[..., World]) -> None:
    """After ten looks the chunk is given up, and after four chunks the run."""
    world = make_world(macros=False, chunks=LOOKING, profile=Profile(network=3.0))
    world.drift(5)
    finished = world.run()
    assert isinstance(finished.failure, RateLimitedError)
    assert "within 2 s" in str(finished.failure)
    assert world.portal.history == []


def test_a_look_in_an_unknown_shape_decides_nothing(make_world: Callable[..., World]) -> None:
    """It is taken for a lost answer: the contacts are read, and tried again."""
    world = make_world(macros=False, chunks=LOOKING)
    world.drift(5)

    def confirm(*_: object) -> bool:
        world.faults({"kind": "short_page", "method": "crm.company.list", "times": 1})
        return True

    world.run(confirm=confirm)
    assert world.outcomes() == {"applied": 5}


class Connecting(httpx.BaseTransport):
    """Takes a while to connect for a write, and then says, as httpcore does, that the bytes go out."""

    def __init__(self, end: httpx.BaseTransport, world: World) -> None:
        self._end = end
        self._world = world
        self.times = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if b"crm.contact.update" in request.content and self.times < 2:
            self.times += 1
            self._world.clock.sleep(6.5)
            self._world.portal.people.edit_contact(2, CLEO, assigned_by_id=CLEO)
        request.extensions["trace"]("http11.send_request_headers.started", {})
        return self._end.handle_request(request)


def test_a_write_that_takes_long_to_connect_is_not_sent(make_world: Callable[..., World]) -> None:
    """The look's age counts until the bytes of the write go out, and not until the connection was asked for."""
    world = make_world(macros=False, chunks=LOOKING)
    world.drift(5)
    _, line = _clients(75.0)
    line.end = connecting = Connecting(line.end, world)
    world.run()
    assert connecting.times == 2
    assert world.results() == dict.fromkeys(range(1, 6), "applied") | {2: "conflict"}
    assert len(world.witness.writes) == 1
    assert world.owner_of(2) == CLEO
