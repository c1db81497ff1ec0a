"""What a run writes into the log: one line that says it all, its number on every line, and nobody's name."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from support.portal_fixture import ADMIN, ANN, BOB

from reconciler.clock import SystemClock, VirtualClock
from reconciler.core.redaction import Redactor
from reconciler.service.notifier import Notifier
from reconciler.service.scheduler import Service
from reconciler.settings.policy import Notify
from reconciler.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

    from reconciler.clock import Clock

NAMES = ("Ottilie Grün", "Bartholomäus", "Firma Zwickel", "0151-555", "kunde@zwickel.example")


@pytest.fixture
def log() -> io.StringIO:
    """Return what the program logs at its default level."""
    stream = io.StringIO()
    logs.configure("info", "json", Redactor(["simulatedtoken0"]), stream)
    return stream


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines, and begin anew."""
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    log.seek(0)
    log.truncate()
    return found


def service_of(world: World) -> Service:
    """Make a service that tells an administrator."""
    herald = Notifier(world.worker, Notify(users=[ADMIN]), str)
    return Service(world.worker, herald.hear, interval=600)


def test_a_sweep_is_one_line_that_says_it_all(make_world: Callable[..., World], log: io.StringIO) -> None:
    """Status, numbers, causes, reasons, outcomes, cost; and nothing a second time."""
    world = make_world()
    world.drift(7)
    world.office.user(BOB + 50, name="Gone", active=False)
    world.office.company(500, BOB + 50)
    world.office.contact(900, ANN, 500)
    service_of(world).tick()
    (line,) = [line for line in lines(log) if line["event"] == "run.finished"]
    duration = line.pop("duration_seconds")
    assert duration >= 0
    assert line.pop("timestamp").endswith("Z")
    assert len(line.pop("digest")) == 12
    assert line == {
        "event": "run.finished",
        "level": "info",
        "run": 1,
        "status": "applied",
        "companies": 3,
        "contacts": 8,
        "drift": 8,
        "standing": 1,
        "applied": 7,
        "causes": {"unknown": 8},
        "reasons": {"company_owner_dismissed": 1},
        "requests": line["requests"],
        "commands": line["commands"],
        "operating_seconds": 0.0,
    }


def test_every_line_of_a_run_has_its_number_and_none_a_name(make_world: Callable[..., World], log: io.StringIO) -> None:
    """Applied, refused with a notice, disturbed, failed, in conflict, settled: whatever happens in it."""
    world = make_world(scopes=("crm", "user", "im"), attempts=2)
    for number, name in ((ANN, NAMES[0]), (BOB, NAMES[1])):
        world.portal.database.write("UPDATE user SET name = ? WHERE id = ?", (name, number))
    world.drift(1_100)
    world.portal.database.write("UPDATE contact SET name = ?, last_name = ?", (NAMES[2], NAMES[3]))
    world.portal.database.write("UPDATE company SET title = ?", (NAMES[2],))
    service = service_of(world)
    service.tick()
    seen = lines(log)
    assert {"run.refused", "run.finished", "matter.told"} <= {line["event"] for line in seen}
    assert "run.gap" not in {line["event"] for line in seen}  # nothing was written
    world.journal.approvals.approve("portal", world.journal.approvals.open("portal")[0].digest, by="me", how="here")
    world.faults(
        {"kind": "cut_before", "every": 3}, {"kind": "lost_answer", "method": "crm.contact.update", "times": 1}
    )
    for _ in range(4):
        service.tick()
    world.portal.revoked = True
    service.tick()
    seen += lines(log)
    assert {"portal.retry", "writer.answer_lost"} <= {line["event"] for line in seen}
    assert {line["status"] for line in seen if line["event"] == "run.finished"} >= {"refused", "failed"}
    assert [line for line in seen if "run" not in line] == []
    text = json.dumps(seen, ensure_ascii=False)
    assert [name for name in (*NAMES, "simulatedtoken0") if name in text] == []


@pytest.mark.parametrize("clock", [SystemClock(), VirtualClock()], ids=["real", "virtual"])
def test_lanes_carry_the_number_of_their_run(clock: Clock, log: io.StringIO) -> None:
    """A thread of a lane is not the one that began the run, and its lines belong to it all the same."""
    log_of_lane = structlog.get_logger("reconciler.lane")
    with logs.context(run=17):
        clock.gather([lambda k=k: log_of_lane.info("lane.seen", lane=k) for k in range(6)], 3)
    found = lines(log)
    assert sorted(line["lane"] for line in found) == list(range(6))
    assert {line["run"] for line in found} == {17}


def test_libraries_take_the_same_way_within_a_run(log: io.StringIO) -> None:
    """With the run's number, as JSON, masked; and not at INFO, where an HTTP client would tell the address."""
    with logs.context(run=17):
        logging.getLogger("apscheduler.scheduler").warning("job %s missed at simulatedtoken0", "sweep")
        logging.getLogger("httpx").info("HTTP Request: POST https://x/rest/1/simulatedtoken0/batch.json")
    (line,) = lines(log)
    assert (line["run"], line["level"], line["logger"]) == (17, "warning", "apscheduler.scheduler")
    assert (line["event"], "simulatedtoken0" in line["text"]) == ("library.logged", False)
