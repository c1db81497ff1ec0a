"""Whole runs, journal and all, against a portal that lies; and the long run of `make fuzz`, cut short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hostile.answers import hostile
from support.world import CLEO

from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

SCRIPT = Path(__file__).parent / "fuzz.py"


@pytest.mark.parametrize("seed", range(40))
def test_a_whole_run_against_a_portal_that_lies(make_world: Callable[..., World], seed: int) -> None:
    """A report comes of it, each write had its intent first, and the journal can be read afterwards."""
    random = Random(seed)
    world = make_world(attempts=2)
    world.drift(12, each=4)
    share = random.choice((0.1, 0.4, 0.8))

    def spoilt(body: bytes) -> bytes:
        return hostile(random, json.loads(body))[1] if random.random() < share else body

    world.run()
    world.office.database.write("UPDATE company SET assigned_by_id = ?", (CLEO,))
    world.witness.reword = spoilt
    for _ in range(3):
        finished = reconcile(world.worker, RunRequest(command="test", lease_wait=0.0))
        assert finished.report.run is not None
    kept = [row for record in world.journal.runs() for row in world.journal.changes(record.report.run or 0)]
    written = {(edit.id, edit.after) for edit in world.portal.history if edit.source == "rest"}
    assert written <= {(row.change.contact, row.change.after) for row in kept if row.intended_at}
    world.restart()
    assert len(world.journal.runs()) == 4


def test_the_long_run_tells_what_it_did() -> None:
    """`make fuzz`, cut short; and one episode again, as its sentence says."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--answers", "200"], check=False, capture_output=True, text=True, timeout=120
    )
    assert "nothing found" in done.stdout
    assert done.returncode == 0
