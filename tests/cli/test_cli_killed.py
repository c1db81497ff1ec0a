"""`reconciler --once --yes` in a process of its own is killed around its first write, and given once more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING

import pytest
from support.crashing import Kind, ask, intents

if TYPE_CHECKING:
    from support.command_line import Desk, Served
    from support.crashing import Kind as KindOfPoint

TESTS = Path(__file__).parent.parent
MORTAL = (
    f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    "from support.crashing import Kind, die_with_the_first_write\n"
    "die_with_the_first_write(Kind[sys.argv.pop(1)])\n"
    "from reconciler.cli.app import main; main()"
)
#: Where -> whether the intents are stored then, and whether the updates are carried out.
POINTS = {
    Kind.COMMIT: (False, False),
    Kind.COMMITTED: (True, False),
    Kind.REQUEST: (True, False),
    Kind.CARRIED_OUT: (True, True),
    Kind.ANSWERED: (True, True),
}


def written(portal: Served) -> list[int]:
    """Return the contacts that were updated, when the portal is no longer at work."""
    portal.at_rest()
    return [edit.id for edit in portal.portal.history]


@pytest.mark.parametrize("kind", POINTS, ids=lambda kind: kind.name.lower())
def test_killed_and_given_once_more(desk: Desk, portal: Served, kind: KindOfPoint) -> None:
    """What the dead one left open is settled, the rest is done, and nothing is done twice."""
    stored, carried_out = POINTS[kind]
    command = [sys.executable, "-c", MORTAL, kind.name, "--once", "--yes"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == -SIGKILL, ended.stderr
    first = written(portal)
    open_ = intents(desk.journal)
    assert (bool(open_), bool(first)) == (stored, carried_out)
    if carried_out:
        assert sorted(first) == sorted(open_)
    desk.hurry()
    assert desk.run("--once", "--yes").code == 0
    assert portal.portal.drift() == 0
    assert len(written(portal)) == len(set(written(portal)))
    assert portal.portal.stats()["noop_updates"] == 0
    assert intents(desk.journal) == {}
    applied = ask(desk.journal, "SELECT contact_id FROM change WHERE result = 'applied'")
    assert sorted(contact for (contact,) in applied) == sorted(written(portal))
    assert ask(desk.journal, "PRAGMA integrity_check") == [("ok",)]
