"""Telling people what only they can mend: once for each matter, in the bell and to a command (F10, issue 4.4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.trust import ADMIN, ANN, BOB, CLEO, SLOT, TrustWorld

from reconciler.core import notifications as matters
from reconciler.core.model import Status
from reconciler.service.notifier import Notifier
from reconciler.settings.policy import Notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.engine.run import RunResult


class Office:
    """A service with a herald; it can be started again."""

    def __init__(self, world: TrustWorld, **notify: Any) -> None:
        self.world = world
        self.notify = Notify(**({"users": [ADMIN]} | notify))
        self.herald = Notifier(world.worker, self.notify, str)

    def restart(self) -> None:
        """End the process and start another one."""
        self.world.restart()
        self.herald = Notifier(self.world.worker, self.notify, str)

    def tick(self, times: int = 1) -> RunResult:
        """Sweep, and tell what there is to tell."""
        for _ in range(times):
            finished = self.world.quick_tick()
            self.herald.hear(finished)
        return finished

    @property
    def told(self) -> list[str]:
        """The kinds of matters in the bell, in order; each carries its tag."""
        return [bell.tag.rpartition("|")[2] for bell in self.world.portal.bell.shown]

    @property
    def rings(self) -> int:
        """How often a bell was rung at all, those included that a later one replaced."""
        return self.world.portal.bell._last


def events(path: Path) -> list[dict[str, Any]]:
    """Return what the command was given."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def listener(tmp_path: Path) -> tuple[list[str], Path]:
    """Return an `on_event` command that keeps what it reads, and where."""
    path = tmp_path / "events"
    return ["sh", "-c", f'cat >> "{path}"; echo >> "{path}"'], path


def test_a_refusal_is_told_once(trust: Callable[..., TrustWorld]) -> None:
    """Not in each slot, not after a restart, not for a set of much the same size; again when it has grown."""
    office = Office(trust(settings={"guard": {"changes": 5}}))
    world = office.world
    world.drift(20)
    office.tick(3)
    assert (office.told, office.rings) == (["refused"], 1)
    assert "reconciler approve" in world.portal.bell.shown[0].message
    office.restart()
    world.office.contact(21, ANN, 101)
    office.tick(2)
    assert office.rings == 1
    for number in range(22, 30):
        world.office.contact(number, ANN, 101)
    office.tick(2)
    assert (office.told, office.rings) == (["refused"], 2)


def test_an_incomplete_read_is_told_after_an_hour(trust: Callable[..., TrustWorld]) -> None:
    """Before, it may pass by itself; afterwards it is told once, also over a restart, and anew the next time."""
    office = Office(trust())
    office.world.drift(1)
    office.world.faults({"kind": "short_page", "method": "crm.contact.list"})
    assert office.tick(6).report.status is Status.INCOMPLETE
    assert office.rings == 0
    office.tick(2)
    assert office.told == ["incomplete_for_an_hour"]
    office.restart()
    office.tick(4)
    assert office.rings == 1
    office.world.faults()
    assert office.tick().report.status is Status.APPLIED
    office.world.faults({"kind": "dropped_filter", "method": "crm.contact.list"})
    office.tick(8)
    assert office.rings == 2


def test_a_lockout_and_the_way_back(trust: Callable[..., TrustWorld], tmp_path: Path) -> None:
    """The portal cannot be told of it, so the command is; once, also over a restart, and anew after a recovery."""
    command, path = listener(tmp_path)
    office = Office(trust(), users=[], on_event=command)
    office.world.portal.revoked = True
    assert office.tick(3).report.status is Status.FAILED
    office.restart()
    office.tick(8)
    assert [event["event"] for event in events(path)] == ["authorization_lost"]
    office.world.portal.revoked = False
    assert office.tick().report.status is Status.IN_SYNC
    office.world.portal.revoked = True
    office.tick(2)
    assert [event["event"] for event in events(path)] == ["authorization_lost"] * 2


def test_a_quarantine_rings_once_and_sends_one_event(trust: Callable[..., TrustWorld], tmp_path: Path) -> None:
    """One notice to each of the users, one event, whatever number of slots and starts follows."""
    command, path = listener(tmp_path)
    office = Office(trust(), users=[ADMIN, BOB], on_event=command)
    office.world.drift(1)
    for _ in range(6):
        office.tick()
        office.world.give(1, CLEO)
    office.restart()
    office.tick(2)
    assert office.told == ["quarantined"] * 2
    assert office.rings == 2
    (event,) = events(path)
    assert (event["event"], event["contacts"], event["schema"]) == ("quarantined", [1], 1)


def test_the_end_of_a_backfill(trust: Callable[..., TrustWorld], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told when nothing is left, with what was written."""
    monkeypatch.setattr(matters, "BACKFILL", 30)
    office = Office(trust())
    office.world.drift(40)
    office.tick(3)
    assert (office.told, office.rings) == (["backfill_done"], 1)
    assert "40 contacts" in office.world.portal.bell.shown[0].message


@pytest.mark.parametrize(
    ("fault", "command"),
    [
        pytest.param({"kind": "command_error", "method": "im.notify.system.add"}, [], id="refused"),
        pytest.param({"kind": "cut_before", "method": "im.notify.system.add"}, [], id="cut"),
        pytest.param({"kind": "wrong_json", "method": "im.notify.system.add"}, [], id="nonsense"),
        pytest.param({"kind": "missing_result", "method": "im.notify.system.add"}, [], id="no-result"),
        pytest.param({"kind": "html_502", "method": "im.notify.system.add"}, ["/nowhere/at-all"], id="no-such-program"),
        pytest.param({"kind": "html_502", "method": "im.notify.system.add"}, ["false"], id="program-fails"),
    ],
)
def test_a_failing_notice_stops_nothing(
    trust: Callable[..., TrustWorld], fault: dict[str, Any], command: list[str]
) -> None:
    """The sweeps go on, and the next one tells what could not be told."""
    office = Office(trust(settings={"guard": {"changes": 1}}), on_event=command)
    office.world.drift(3)
    office.world.faults(fault)
    assert office.tick(2).report.status is Status.REFUSED
    # Rung, but we do not hear of it: told once more, in place of the first.
    assert office.told == (["refused"] if fault["kind"] in {"wrong_json", "missing_result"} else [])
    office.world.faults()
    office.tick()
    assert office.told == ["refused"]


def test_a_portal_without_the_scope_for_notices(trust: Callable[..., TrustWorld]) -> None:
    """Nobody is told there, and the contacts are set right all the same."""
    office = Office(trust(scopes=("crm", "user"), settings={"guard": {"changes": 1}}))
    office.world.drift(2)
    refusal = office.tick(2).refusal
    assert refusal
    assert office.rings == 0
    office.world.approve(refusal.digest)
    assert office.tick().report.status is Status.APPLIED


def test_what_happened_while_nobody_could_be_told_is_told_later(trust: Callable[..., TrustWorld]) -> None:
    """The user's account comes back a slot later."""
    office = Office(trust(settings={"guard": {"changes": 1}}), users=[77])
    office.world.drift(2)
    office.tick()
    assert office.rings == 0
    office.world.office.user(77, name="Eve")
    office.world.pass_time(SLOT)
    office.tick()
    assert office.told == ["refused"]
