"""Whoever listens to the client hears each request: its methods, what became of them, and every wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from support.portal_line import Script, batch_answer, client_on, error_answer
from support.world import CONTACT_UPDATE

from reconciler.errors import AuthorizationError, PortalError, UnreachableError
from reconciler.portal.rest.batch_codec import Command
from reconciler.portal.rest.limits import Budget
from reconciler.simulator.meters import OperatingModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.world import World

TIME = Command(method="server.time", params={})


class Ear:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.budget_waits: list[tuple[str, float]] = []
        self.answers: list[tuple[str, str]] = []
        self.failures: list[tuple[list[str], type[PortalError]]] = []

    def held_back(self, seconds: float) -> None:
        self.waits.append(seconds)

    def budget_waited(self, method: str, seconds: float) -> None:
        self.budget_waits.append((method, seconds))

    def ended(self, methods: Sequence[str], outcomes: Sequence[PortalError | None]) -> None:
        self.answers += [(m, "" if o is None else o.code) for m, o in zip(methods, outcomes, strict=True)]

    def failed(self, methods: Sequence[str], failure: PortalError) -> None:
        self.failures.append((list(methods), type(failure)))


def test_each_command_is_heard_with_what_became_of_it() -> None:
    """One was answered and one refused, in one request."""
    script = Script(batch_answer({"c0": True}, result_error={"c1": {"error": "ERROR_CORE", "error_description": "no"}}))
    client, ear = script.client(), Ear()
    client.listener = ear
    client.ask([TIME, Command(method="user.get", params={})])
    assert ear.answers == [("server.time", ""), ("user.get", "ERROR_CORE")]
    assert ear.failures == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [(error_answer(401, "NO_AUTH_FOUND"), AuthorizationError), (ConnectionError(), ConnectionError)],
    ids=["refused", "a mistake of ours"],
)
def test_a_request_that_fails_as_a_whole_is_heard(answer: object, error: type[Exception]) -> None:
    """With its methods; what is no error of the portal is none of the listener's business."""
    script = Script(answer)  # type: ignore[arg-type]
    client, ear = script.client(), Ear()
    client.listener = ear
    with pytest.raises(error):
        client.send([TIME])
    assert ear.failures == ([(["server.time"], AuthorizationError)] if error is AuthorizationError else [])
    assert ear.answers == []


def test_each_repetition_is_heard() -> None:
    """Two lost answers and a good one are three requests."""
    script = Script(httpx.ConnectError("refused"), httpx.ReadTimeout("late"), batch_answer())
    client, ear = script.client(), Ear()
    client.listener = ear
    client.read([TIME])
    assert [kind for _, kind in ear.failures] == [UnreachableError, UnreachableError]
    assert ear.answers == [("server.time", "")]


def test_waits_for_the_bucket_are_heard() -> None:
    """With their seconds, and only those requests that waited."""
    script = Script(batch_answer())
    client, ear = client_on(httpx.MockTransport(script), script.clock, burst=2, per_second=1), Ear()
    client.listener = ear
    for _ in range(4):
        client.read([TIME])
    assert len(ear.waits) == 2
    assert sum(ear.waits) == pytest.approx(script.clock.monotonic())


def test_waits_for_a_used_up_budget_are_heard(make_world: Callable[..., World]) -> None:
    """The method whose seconds are gone, and for how long nothing leaves; the meter tells how much is used."""
    world = make_world(profile="slow", model=OperatingModel.DOCS)
    world.drift(200, each=50)
    world.worker.client.budget = Budget(world.clock, limit=50)
    ear = Ear()
    world.worker.client.listener = ear
    world.run()
    budget = world.worker.client.budget
    assert {method for method, _ in ear.budget_waits} == {CONTACT_UPDATE}
    assert min(seconds for _, seconds in ear.budget_waits) > 0
    assert budget.limit == 50
    assert 0 < budget.used()[CONTACT_UPDATE] <= 50
    world.clock.sleep(600)
    assert budget.used()[CONTACT_UPDATE] == 0
