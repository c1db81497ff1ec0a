"""Kill a worker at each of its points: `make crashes`; with `--write` the page's table is written anew.

    python tests/crashes/kill_everywhere.py [--json] [STORY [POINT]]
    python tests/crashes/kill_everywhere.py --json --asked     each story whose name comes in

A story is told up to its moment once, and to its end by a worker that nobody kills. Then another worker goes on from
that moment, and at each of its points a fork of it is killed. What is left, the portal and the files of the journal, is
copied, and from the copy one more worker must bring everything to that same end.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import sqlite3
import sys
import traceback
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import structlog

sys.path.insert(0, str(Path(__file__).parent.parent))

from crashes.stories import MEMORY, STORIES, Story
from support.crashing import Death, Kind, ask, carry_out_late, intents, work
from support.snapshots import Snapshot, taken
from support.world import audit

from reconciler.journal.lease import hold_lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.trust import TrustWorld
    from support.world import Exchange

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
START, END = "<!-- crash points -->\n", "<!-- end of crash points -->\n"
_KILLED = -9
#: The story in which not only forks are killed.
THEMSELVES = "writes"
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


class Remains:
    """What killed processes of one story left behind, and what came of it."""

    def __init__(self, name: str, place: Path, moment: Snapshot, only: int | None) -> None:
        """`moment`: when the worker starts that is killed; `only`: the number of a point, None for all."""
        self._name = name
        self._story = STORIES[name]
        self._place = place
        self._only = only
        self._noop = moment.known["edits"]["noop"]
        #: Content of the database and its log -> of what is in it.
        self._journals: dict[bytes, str] = {}
        self.deaths: list[Death] = []
        self.states: set[str] = set()
        self.wrong: list[str] = []
        self._end: dict[str, Any] = {}
        wrong, self._end = self._to_the_end(moment, self._story.act)
        self.wrong += [f"{name}, nobody killed: {sentence}" for sentence in wrong]

    def look(self, death: Death) -> None:
        """Hold what must hold wherever a process is killed."""
        self.deaths.append(death)
        wrong = [] if death.ended == _KILLED else [f"a fork of the worker ended with {death.ended}"]
        state = f"{self.state(death.left, wrong)} {death.late is not None}"
        if state not in self.states and self._only in (None, len(self.deaths)):
            self.states.add(state)  # what follows depends on nothing but what was left behind
            late = death.late
            wrong += self._to_the_end(death.left, lambda world: late and carry_out_late(world, late))[0]
        self.wrong += [f"{self._name} {len(self.deaths)} ({death.kind}): {sentence}" for sentence in wrong]

    def state(self, left: Snapshot, wrong: list[str]) -> str:
        """Return all that the next worker finds: the journal in short, what was done to the portal, and the time."""
        history = [(edit.id, edit.at, edit.after) for edit in left.known["edits"]["history"]]
        return f"{self._journal(left, wrong)} {history} {left.seconds}"

    def _journal(self, left: Snapshot, wrong: list[str]) -> str:
        """Return the content of a journal, in short, and hold its file against SQLite's own checks."""
        files = {name: content for name, content in left.files.items() if name in ("journal.db", "journal.db-wal")}
        raw = hashlib.sha256(repr(sorted(files.items())).encode()).digest()
        if raw not in self._journals:
            with self.folder(left) as folder, closing(sqlite3.connect(folder / "journal.db")) as connection:
                for pragma in ("integrity_check", "foreign_key_check"):
                    wrong += [f"{pragma}: {row}" for row in connection.execute(f"PRAGMA {pragma}") if row != ("ok",)]
                content = "".join(connection.iterdump())
            self._journals[raw] = hashlib.sha256(content.encode()).hexdigest()
        return self._journals[raw]

    @contextmanager
    def folder(self, left: Snapshot) -> Iterator[Path]:
        """Lay out a journal's files as they were left."""
        with TemporaryDirectory(dir=self._place) as folder:
            left.put_files(Path(folder))
            yield Path(folder)

    def _to_the_end(self, left: Snapshot, act: Callable[[TrustWorld], object]) -> tuple[list[str], dict[str, Any]]:
        """Start a worker on what there is, act, and tell the story to its end; return what is wrong there, and all."""
        with self.folder(left) as folder, closing(self._story.resumed(folder, left)) as world:
            witnessed = Witnessed(world)
            try:
                act(world)
                self._story.then(world)
                audit(world)
            except Exception:  # noqa: BLE001 - told with the others
                return [traceback.format_exc()], {}
            end = told(self._story, world)
            wrong = witnessed.wrong + at_its_end(self._story, world, end, self._noop)
            for what, expected in self._end.items():
                if end[what] != expected and what not in self._story.differs:
                    wrong.append(f"{what} at the end are {end[what]} and not {expected}")
            return wrong, end


def at_its_end(story: Story, world: TrustWorld, end: dict[str, Any], noop: int) -> list[str]:
    """Return what is wrong at the end of a story, whoever was killed in it."""
    wrong = []
    if world.journal.open_intents("portal"):
        wrong.append("intents are open")
    if world.portal.stats()["noop_updates"] != noop:
        wrong.append("an update changed nothing")
    writes, applied = (
        [row[:3] for row in end[what] if row[0] not in story.touched]  # of the others nobody can know
        for what in ("writes", "applied")
    )
    if applied != writes:
        wrong.append(f"the portal has {writes}, the journal {applied}")
    return wrong


def kill_everywhere(name: str, only: int | None = None) -> dict[str, Any]:
    """Tell a story with a kill at each of its points; return the points by kind, and what was wrong."""
    story = STORIES[name]
    began = sum(os.times()[:4])
    gc.collect()
    gc.disable()  # what a collector touches the forks no longer share
    with TemporaryDirectory(dir=MEMORY) as place:
        folder = Path(place) / "story"
        folder.mkdir()
        world = story.world(folder)
        moment = taken(world)
        remains = Remains(name, Path(place), moment, only)
        witnessed = Witnessed(world)
        ended = work(world, story.act, remains.look)
        wrong = [f"{name}, the worker that lives: {sentence}" for sentence in witnessed.wrong]
        wrong += remains.wrong
        if ended:
            wrong.append(f"{name}: the worker that lives ended with {ended}")
        if name == THEMSELVES and only is None:
            # Not where the portal is still at work: that is no other point of the worker.
            last = {death.kind: number for number, death in enumerate(remains.deaths, 1) if death.late is None}
            for number in last.values():
                wrong += killed_itself(world, moment, remains, number)
    gc.enable()
    kinds = Counter(death.kind.name for death in remains.deaths)
    seconds = sum(os.times()[:4]) - began
    return {"story": name, "points": kinds, "wrong": wrong, "states": len(remains.states), "seconds": seconds}


def killed_itself(world: TrustWorld, moment: Snapshot, remains: Remains, fatal: int) -> list[str]:
    """Kill the worker itself, with all its locks, at a point: it must leave what its killed fork left there."""
    fork = remains.deaths[fatal - 1]
    with remains.folder(moment) as folder:
        moment.put_portal(world)
        world._folder = folder
        ended = work(world, STORIES[THEMSELVES].act, lambda _: None, fatal)
        where = f"the worker itself, at {fatal} ({fork.kind})"
        wrong = [] if ended == _KILLED else [f"{where}, ended with {ended}"]
        left = taken(world)
        with hold_lease(folder / "journal.db", world.clock, 0):
            if remains.state(left, wrong) != remains.state(replace(fork.left, seconds=left.seconds), wrong):
                wrong.append(f"{where}, did not leave what its fork left")
    return wrong


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
    names, only = (words[:1], int(words[1])) if len(words) == 2 and words[1].isdigit() else (words or [*STORIES], None)
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
