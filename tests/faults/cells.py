"""One cell: a fault in a phase, the run that it happens to, and the next run, without it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from faults.catalogue import Fault, Level
from faults.phases import CONTACTS, Phase, request_of, world_of
from faults.told import Told
from structlog.testing import capture_logs
from support.crashing import ask
from support.portal_fixture import ANN
from support.world import MEMORY, audit

from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest
from reconciler.journal.tables import metadata

if TYPE_CHECKING:
    from faults.line import FaultWorld

    from reconciler.engine.run import RunResult

#: Written nowhere: the webhook is a password.
TOKEN = "simulatedtoken0"
#: Seconds from the one run to the next.
SLOT = 600.0
_APPLIED = "SELECT contact_id, owner_after FROM change WHERE result = 'applied'"


def play(phase: Phase, fault: Fault, ends: dict[str, str]) -> Told:
    """Let it happen, hold what must hold in every cell, and tell the rest.

    `ends` keeps the status of the next run by all that it begins with: from the same it goes the same way, so it is
    played once. Nothing else is shared by cells.
    """
    request_of(phase)  # in a world of its own, and worlds share their line
    with TemporaryDirectory(dir=MEMORY) as folder, capture_logs() as logs:
        world, order = world_of(phase.story, Path(folder))
        try:
            told = _play(world, order, phase, fault, ends)
        finally:
            world.close()
    assert TOKEN not in repr(logs)
    return told


def _play(world: FaultWorld, order: dict[str, Any], phase: Phase, fault: Fault, ends: dict[str, str]) -> Told:
    _arm(world, phase, fault)
    before = len(world.portal.history)
    finished = _run(world, order)
    assert len(world.witness.asked) >= request_of(phase)
    assert phase.here(world.witness.asked[request_of(phase) - 1])
    written = [edit for edit in world.portal.history[before:] if edit.source == "rest"]
    _planned(finished, written)
    outcomes = world.outcomes(finished.report.run)
    assert Counter({str(k): v for k, v in finished.report.outcomes.items()}) <= Counter(outcomes)
    _quiet(finished)

    _seen(world)
    overruled = audit(world)
    begins = f"{phase.story} {_state(world)}"
    if begins not in ends:
        ends[begins] = _next_run(world, order)
    return Told(
        status=finished.report.status.value,
        outcomes=outcomes,
        written=len(written),
        then=ends[begins],
        overruled=overruled,
    )


def _run(world: FaultWorld, order: dict[str, Any]) -> RunResult:
    """Run, and leave it to the caller to hold the portal's own record against the journal."""
    return reconcile(world.worker, RunRequest(**({"command": "test", "lease_wait": 0.0} | order)))


def _next_run(world: FaultWorld, order: dict[str, Any]) -> str:
    """Run without the fault: nothing is left open, no drift, and an undo has put back what nobody else touched."""
    world.witness.clock.sleep(SLOT)  # the portal's meters have forgotten the run before
    world.faults()
    world.witness.before = lambda _: None
    world.portal.revoked = False
    world.restart()
    following = _run(world, order)
    audit(world)
    _seen(world)
    assert world.journal.open_intents("portal") == []
    assert world.portal.stats()["noop_updates"] == 0
    if order:
        touched = {edit.id for edit in world.portal.history if edit.source == "person" and edit.entity == "contact"}
        left = [n for n in range(1, CONTACTS + 1) if n not in touched and world.owns(n) and world.owner_of(n) != ANN]
        assert left == []
    else:
        assert world.portal.drift() == 0
    return following.report.status.value


def _state(world: FaultWorld) -> str:
    """Return all that the next run begins with: the portal's records, the journal, and the time.

    But for what the journal keeps for reports alone: what a run took, and the sentences that tell a failure.
    """
    with closing(sqlite3.connect(world.journal.path)) as connection:
        journal = [connection.execute(question).fetchall() for question in _questions()]
    rows = world.portal.database.rows
    records = [
        [tuple(row) for row in rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]  # noqa: S608 - names of the schema
        for table in ("contact", "company", "contact_company", "user")
    ]
    return repr((journal, records, world.clock.monotonic()))


@cache
def _questions() -> list[str]:
    """Return what asks for all that is in a journal."""
    for_reports = {
        "run": {"error", "requests", "commands", "operating_seconds", "duration_seconds"},
        "change": {"detail"},
    }
    asked = {
        table.name: ", ".join(
            column.name for column in table.columns if column.name not in for_reports.get(table.name, ())
        )
        for table in metadata.sorted_tables
    }
    return [f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3" for table, columns in asked.items()]  # noqa: S608


def _arm(world: FaultWorld, phase: Phase, fault: Fault) -> None:
    """Set the fault up for the request of its phase, or from there on."""
    number = request_of(phase)
    what = {"kind": fault.kind, **fault.parameters}
    if fault.level is Level.COMMAND:
        what["method"] = phase.method
    if not fault.lasting:
        once = {} if fault.kind == "partial_batch" else {"times": 1}
        world.faults(*phase.first, what | {"request": number} | once)
        return
    lasting_first = [first for first in phase.first if "times" not in first]
    world.faults(*phase.first)

    def begin(exchange: Any) -> None:
        if exchange.number == number:
            world.faults(*lasting_first, what)

    world.witness.before = begin


def _planned(finished: RunResult, written: list[Any]) -> None:
    """Nothing is written that the plan did not say."""
    if finished.proposal is None:
        assert written == []
        return
    plan = {(change.contact, change.after) for change in finished.proposal.plan.changes}
    assert {(edit.id, edit.after) for edit in written} <= plan


def _seen(world: FaultWorld) -> None:
    """Hold the journal against the answers: none is told as applied that no answer has shown to the worker."""
    for contact, after in ask(world.journal.path, _APPLIED):
        first = next(w.number for w in world.witness.writes if contact in w.updates)
        shown = [asked.shown.get(contact) for asked in world.witness.asked[first - 1 :]]
        assert after in shown, f"contact {contact} was never read back"


def _quiet(finished: RunResult) -> None:
    assert TOKEN not in repr(finished)
    assert TOKEN not in str(finished.failure)
