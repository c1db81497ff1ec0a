"""Kill a worker at each of its points: `make crashes`; with `--write` the page's table is written anew.

    python tests/crashes/kill_everywhere.py [--json] [STORY [POINT]]
    python tests/crashes/kill_everywhere.py --json --asked     each story whose name comes in

A server of forks: a story is told up to its moment once; for each point a fork of it has a portal of its own, starts
the worker that is killed, and then another one that must bring everything to the end it has where nobody is killed.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import shutil
import sqlite3
import sys
import time
import traceback
from collections import Counter
from contextlib import closing
from multiprocessing import Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import structlog

sys.path.insert(0, str(Path(__file__).parent.parent))

from crashes.stories import MEMORY, STORIES, Story
from support.crashing import Kind, ask, intents, run_and_kill
from support.world import audit

from reconciler.journal.lease import hold_lease

if TYPE_CHECKING:
    from collections.abc import Collection

    from support.trust import TrustWorld
    from support.world import Exchange

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
START, END = "<!-- crash points -->\n", "<!-- end of crash points -->\n"
_KILLED = -9
#: What must be the same whether or not a worker was killed: name -> question to the journal's file.
_SAME = {
    "exceptions": """
        SELECT contact_id, kind, owner_id, released_by, CASE WHEN released_at IS NULL THEN company_owner_id END
        FROM exception ORDER BY 1, 2, 3
    """,
    "approvals": "SELECT digest, state, change_count FROM approval ORDER BY id",
    "approved changes": "SELECT contact_id, owner_before, owner_after FROM approval_change ORDER BY 1",
    "standing drift": "SELECT contact_id, reason, cause FROM standing WHERE ended_at IS NULL ORDER BY 1",
    "companies": "SELECT company_id, owner_id, previous_owner_id, vanished_at FROM company ORDER BY 1",
    "users": "SELECT user_id, name, active FROM user ORDER BY 1",
    "half a sweep": "SELECT count(*) FROM sighting",
}
_APPLIED = """
    SELECT contact_id, owner_before, owner_after, rule, approval_id IS NULL, undoes_change_id IS NULL
    FROM change WHERE result = 'applied' ORDER BY 1, 2, 3
"""


def told(story: Story, world: TrustWorld) -> dict[str, Any]:
    """Return what there is at the end of a story: as the portal has it, and as the journal has it."""
    journal = world.journal.path
    history = [edit for edit in world.portal.history if edit.source == "rest"]
    return {
        "writes": sorted((edit.id, edit.before, edit.after) for edit in history),
        "owners": [list(row) for row in world.portal.database.rows("SELECT id, assigned_by_id FROM contact")],
        "drift": world.portal.drift(),
        "applied": ask(journal, _APPLIED),
        **{name: ask(journal, question) for name, question in _SAME.items()},
        "also": story.also(world),
    }


class Witnessed:
    """Holds each request that writes against the journal's file, at the moment when the portal gets it."""

    def __init__(self, world: TrustWorld) -> None:
        self._world = world
        self.wrong: list[str] = []
        world.witness.before = self._arrived

    def _arrived(self, exchange: Exchange) -> None:
        if not exchange.updates:
            return
        open_ = intents(self._world._folder / "journal.db")
        for contact, owner in exchange.updates.items():
            if (self._world.owner_of(contact), owner) not in open_.get(contact, []):
                self.wrong.append(f"contact {contact} is to be written, and no such intent was stored before")


def left_behind(world: TrustWorld) -> str:
    """Return all that a dead worker has left to the next one, in short: the journal, the portal and the time."""
    with closing(sqlite3.connect(world._folder / "journal.db")) as connection:
        journal = "".join(connection.iterdump())
    rest = [(edit.id, edit.at, edit.after) for edit in world.portal.history], world.witness.clock.monotonic()
    return hashlib.sha256(f"{journal}{rest}".encode()).hexdigest()


def one(story: Story, world: TrustWorld, fatal: int, known: Collection[str]) -> dict[str, Any]:
    """Kill a worker at a point, 0 for nowhere, and tell the story to its end; for a process of its own.

    What follows depends on nothing but what the dead worker left behind. Where that is `known` from another point, the
    end is, too.
    """
    folder = Path(shutil.copytree(world._folder, world._folder.with_name(f"point-{fatal}")))
    world._folder = folder
    witnessed = Witnessed(world)
    noop = world.portal.stats()["noop_updates"]
    points, ended, late = run_and_kill(world, story.act, fatal)
    wrong = witnessed.wrong
    if ended != (_KILLED if fatal else 0) or (fatal and len(points) != fatal):
        wrong.append(f"the worker ended with {ended} after {len(points)} points")
    left = f"{left_behind(world)} {late}"
    for pragma in ("integrity_check", "foreign_key_check"):
        wrong += [f"{pragma}: {row}" for row in ask(folder / "journal.db", f"PRAGMA {pragma}") if row != ("ok",)]
    with hold_lease(folder / "journal.db", world.clock, 0):
        pass
    end: dict[str, Any] = {}
    if left not in known:
        world.start()
        with closing(world):
            story.then(world)
            audit(world)
            end = told(story, world)
            wrong += at_its_end(world, end, noop)
    shutil.rmtree(folder)
    return {
        "points": [kind.name for kind in points],
        "wrong": wrong,
        "left": left,
        "end": json.loads(json.dumps(end)),
    }


def at_its_end(world: TrustWorld, end: dict[str, Any], noop: int) -> list[str]:
    """Return what is wrong at the end of a story, whoever was killed in it."""
    wrong = []
    if world.journal.open_intents("portal"):
        wrong.append("intents are open")
    if world.portal.stats()["noop_updates"] != noop:
        wrong.append("an update changed nothing")
    applied = [row[:3] for row in end["applied"]]
    if applied != end["writes"]:
        wrong.append(f"the portal has {end['writes']}, the journal {applied}")
    return wrong


def forked(story: Story, world: TrustWorld, fatal: int, known: Collection[str]) -> dict[str, Any]:
    """Do `one` in a fork, so that the next point finds the story as it was."""
    here, there = Pipe(duplex=False)
    process = os.fork()
    if process == 0:
        try:
            there.send(one(story, world, fatal, known))
        except BaseException:  # noqa: BLE001 - told by the parent
            there.send({"points": [], "wrong": [traceback.format_exc()], "left": "", "end": {}})
        os._exit(0)
    there.close()
    try:
        found: dict[str, Any] = here.recv()
    finally:
        os.waitpid(process, 0)
        here.close()
    return found


def rehearse(story: Story, folder: Path) -> None:
    """Tell the story once in this process: what is imported and compiled now, no fork has to."""
    world = story.world(folder)
    world.start()
    story.act(world)
    story.then(world)
    told(story, world)
    world.close()


def kill_everywhere(name: str, only: int | None = None) -> dict[str, Any]:
    """Tell a story with a kill at each of its points; return the points by kind, and what was wrong."""
    story = STORIES[name]
    began = time.process_time() + sum(os.times()[2:4])
    with TemporaryDirectory(dir=MEMORY) as place:
        rehearsal, folder = Path(place) / "rehearsal", Path(place) / "story"
        rehearsal.mkdir()
        rehearse(story, rehearsal)
        folder.mkdir()
        world = story.world(folder)
        gc.collect()
        gc.freeze()
        gc.disable()  # pages that no collector touches are shared by the forks
        whole = forked(story, world, 0, ())
        known: set[str] = set()
        wrong = [f"{name}, nobody killed: {sentence}" for sentence in whole["wrong"]]
        points = whole["points"]
        for fatal in range(1, len(points) + 1) if only is None else [only]:
            found = forked(story, world, fatal, known)
            known.add(found["left"])
            where = f"{name} {fatal} ({Kind[points[fatal - 1]]})"
            wrong += [f"{where}: {sentence}" for sentence in found["wrong"]]
            wrong += [
                f"{where}: {what} at the end are {found['end'].get(what)} and not {expected}"
                for what, expected in whole["end"].items()
                if found["end"] and found["end"].get(what) != expected
            ]
        gc.enable()
        gc.unfreeze()
    seconds = time.process_time() + sum(os.times()[2:4]) - began
    return {"story": name, "points": Counter(points), "wrong": wrong, "states": len(known), "seconds": seconds}


def table(found: list[dict[str, Any]]) -> str:
    """Return the page's table of points."""
    sums = {kind: sum(each["points"].get(kind.name, 0) for each in found) for kind in Kind}
    kinds = [kind for kind in Kind if sums[kind]]
    lines = ["| killed in | " + " | ".join(kinds) + " | all |", "|---|" + "---:|" * (len(kinds) + 1)]
    for each in found:
        counts = [each["points"].get(kind.name, 0) for kind in kinds]
        row = [STORIES[each["story"]].title, *(str(count or "") for count in counts), str(sum(counts))]
        lines.append(f"| {' | '.join(row)} |")
    lines.append(f"| all | {' | '.join(str(sums[kind]) for kind in kinds)} | {sum(sums.values())} |")
    return "".join(f"{line}\n" for line in lines)


def show(found: dict[str, Any]) -> None:
    """Print what came of a story."""
    points = sum(found["points"].values())
    told = f"{found['story']}: {points} points, {found['states']} states left behind, {found['seconds']:.1f} s"
    lines = [json.dumps(found)] if "--json" in sys.argv else [*found["wrong"], told]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main() -> int:
    """Kill; 1 if anything was wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    names, only = (words[:1], int(words[1])) if len(words) == 2 else (words or [*STORIES], None)
    found = []
    for name in map(str.strip, sys.stdin) if "--asked" in sys.argv else names:
        found.append(kill_everywhere(name, only))
        show(found[-1])
    if "--write" in sys.argv:
        before, rest = PAGE.read_text(encoding="utf-8").split(START)
        PAGE.write_text(before + START + "\n" + table(found) + "\n" + END + rest.split(END)[1], encoding="utf-8")
    return int(any(each["wrong"] for each in found))


if __name__ == "__main__":
    sys.exit(main())
