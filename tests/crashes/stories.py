"""What a worker is killed in: each story is told up to a moment, then by a process that dies, then to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from support.portal_fixture import BOB
from support.trust import CLEO, DORA, TrustWorld
from support.world import MEMORY

from reconciler.core.companies import Strategy
from reconciler.core.model import RunReport, Status
from reconciler.engine.run import Consent
from reconciler.journal.database import create_file, make_engine, open_file, transaction
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.write.writer import ChunkLimits
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.snapshots import Snapshot
    from support.world import Exchange

__all__ = ["MEMORY", "STORIES", "Story"]

DAY = 86_400.0
YEAR = timedelta(days=365)
GUARD = {"guard": {"changes": 4}}
#: Chunks of 3 and 4: several requests that write, and few contacts.
CHUNKS = ChunkLimits(start=3, most=4)


_OPTIONS: dict[str, Any] = {"chunks": CHUNKS, "limits": "self-hosted"}


class CrashWorld(TrustWorld):
    """A world whose process can be forked at any time, because nobody waits for a portal in a thread."""

    in_one_thread = True


@dataclass(frozen=True, kw_only=True)
class Story:
    """One way a worker may be at work when it is killed."""

    #: As the page calls it.
    title: str
    before: Callable[[TrustWorld], object]
    #: What the worker does that is killed.
    act: Callable[[TrustWorld], object]
    #: What happens next, to a worker that was started anew; by its end all must be as if nobody had been killed.
    then: Callable[[TrustWorld], object]
    options: dict[str, Any] = field(default_factory=dict)
    #: What of the journal must be as if nobody had been killed, besides what always must.
    also: Callable[[TrustWorld], object] = lambda _: None
    #: What of the end depends on when the worker was killed, because people were at work meanwhile.
    differs: frozenset[str] = frozenset()
    #: Contacts that people came to before anybody could see what had become of the dead worker's write.
    touched: frozenset[int] = frozenset()

    def world(self, folder: Path) -> CrashWorld:
        """Make the world up to the moment, with no journal open."""
        world = CrashWorld(folder, **(_OPTIONS | self.options))
        self.before(world)
        world.close()
        return world

    def resumed(self, folder: Path, snapshot: Snapshot) -> CrashWorld:
        """Start a worker anew, as it was then, with the journal that is in the folder."""
        world = CrashWorld(folder, timeline=snapshot.timeline(), **(_OPTIONS | self.options))
        snapshot.put_portal(world)
        return world


def _open(_: TrustWorld) -> None:
    """Do no more than every start does: open the journal."""


def _tick(world: TrustWorld) -> None:
    world.tick()


def _drift(contacts: int) -> Callable[[TrustWorld], None]:
    return lambda world: world.drift(contacts)


def _refused(world: TrustWorld) -> None:
    world.drift(6)
    world.population(2, 2, first=300)
    assert world.tick().report.status is Status.REFUSED


def _approved(world: TrustWorld) -> None:
    _refused(world)
    (waiting,) = world.journal.approvals.open("portal")
    world.approve(waiting.digest)


def _owners(number: int) -> Callable[[TrustWorld], None]:
    """Make so many owners, each of whom is a question, and three contacts that drift."""

    def before(world: TrustWorld) -> None:
        world.drift(3)
        for owner in range(1000, 1000 + number):
            world.office.user(owner)
            world.office.company(owner, owner)

    return before


#: Asked in two rounds, and where the portal is slow, they are more than a minute apart.
_slow_portal = _owners(55)
_SLOW: dict[str, Any] = {"profile": Profile(read=1.5), "tactics": SweepOptions(strategy=Strategy.DRIFT)}


def _sweep_slowly(world: TrustWorld) -> None:
    kept = []
    world.run(reading=lambda *_: kept.append(world.journal.sweeps.known("portal").halfway))
    assert any(halfway is not None for halfway in kept)


def _half_swept(world: TrustWorld) -> None:
    """Let an earlier worker have died in its first sweep, when the first part was kept."""
    _slow_portal(world)

    def die(_: Exchange) -> None:
        if world.journal.sweeps.known("portal").halfway is not None:
            raise _Dead

    world.witness.after = die
    try:
        world.tick()
    except _Dead:
        world.witness.after = lambda _: None
    assert world.journal.sweeps.known("portal").halfway is not None


#: Of the first chunk, and of the second.
_TOUCHED = frozenset({2, 5})


def _people_at_work(world: TrustWorld) -> None:
    """Let people come before the next worker does: to two contacts, and to a company."""
    for contact in _TOUCHED:
        world.give(contact, CLEO)
    world.hand_over(102, DORA)
    world.tick()
    assert world.owners(*range(1, 9)) == [BOB] * 5 + [DORA] * 3


def _fought_over(world: TrustWorld) -> None:
    """Contact 1 was changed back three times, and two more drift by now."""
    world.drift(3)

    def watch(exchange: Exchange) -> None:
        if 1 in exchange.updates:
            world.later(30, lambda: world.give(1, CLEO))

    world.witness.after = watch
    for _ in range(3):
        world.tick()
    world.witness.after = lambda _: None
    world.give(2, CLEO)
    world.give(3, CLEO)


def _chosen_by_people(world: TrustWorld) -> None:
    """Somebody chose two owners, and the company got another owner besides."""
    world.drift(6)
    world.tick()
    world.give(1, CLEO)
    world.give(2, DORA)
    world.hand_over(102, DORA)


def _written(world: TrustWorld) -> None:
    world.drift(5)
    world.tick()


def _put_back(world: TrustWorld) -> None:
    _written(world)
    world.undo(run=1)


def _taken_back(run: int) -> Callable[[TrustWorld], None]:
    def then(world: TrustWorld) -> None:
        world.tick()  # no sweep does again what was taken back
        world.undo(run=run)
        world.tick()

    return then


_THEN: dict[str, Any] = {"then": "2025-12-01 00:00:00.000000"}


class _Dead(BaseException):
    """A worker that ended in the middle."""


def _left_open(world: TrustWorld) -> None:
    """Let an earlier worker have died after its second chunk was carried out: what it did is not known."""
    world.drift(9)

    def die(exchange: Exchange) -> None:
        if len(world.witness.writes) == 2 and exchange.updates:
            raise _Dead

    world.witness.after = die
    try:
        world.tick()
    except _Dead:
        world.witness.after = lambda _: None


def _undo_left_open(world: TrustWorld) -> None:
    _written(world)
    writes = len(world.witness.writes)

    def die(exchange: Exchange) -> None:
        if len(world.witness.writes) == writes + 2 and exchange.updates:
            raise _Dead

    world.witness.after = die
    try:
        world.undo(run=1)
    except _Dead:
        world.witness.after = lambda _: None


def _no_journal(world: TrustWorld) -> None:
    world.drift(3)
    world.close()
    for file in world.journal.path.parent.iterdir():
        file.unlink()


def _first_schema(world: TrustWorld) -> None:
    """Let a program of the first schema have run, and have left a company and a sweep's place in its journal."""
    _no_journal(world)
    path = world.journal.path
    create_file(path)
    file = open_file(path, path)
    engine = make_engine(file, read_only=False)
    with transaction(engine, file, writing=True) as connection:
        _upgrade(connection, "0001")
        connection.execute(text("INSERT INTO portal (id, name, first_seen_at) VALUES (1, 'portal', :then)"), _THEN)
        connection.execute(text("INSERT INTO sweep_progress (portal_id, kind, last_id) VALUES (1, 'pages', 5)"))
        connection.execute(
            text("INSERT INTO company (portal_id, company_id, owner_id, seen_at) VALUES (1, 101, :owner, :then)"),
            _THEN | {"owner": BOB},
        )
    engine.dispose()


def _upgrade(connection: Any, revision: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "reconciler.journal:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _old_runs(world: TrustWorld) -> None:
    """Three hundred runs of a year ago, an approval and exceptions that ended then, and writes that undo needs."""
    _approved(world)
    world.tick()
    world.undo(contact=1)
    for entry in world.journal.exceptions.entries("portal"):
        world.journal.exceptions.release("portal", [entry.id], "time")
    for number in range(250):
        run = world.journal.begin(portal="portal", command="service")
        world.journal.finish(RunReport(run=run, status=Status.IN_SYNC if number % 2 else Status.FAILED))
    world.pass_time(370 * DAY)
    world.tick()


def _prune(world: TrustWorld) -> None:
    world.journal.housekeeping.prune(YEAR, world.clock.now(), partial(world.journal.lease, 0))


def _prune_and_sweep(world: TrustWorld) -> None:
    _prune(world)
    world.tick()


def _kept_runs(world: TrustWorld) -> list[tuple[Any, ...]]:
    return world.query("SELECT id, command, status, undoes_run_id FROM run ORDER BY id")


def _yes(world: TrustWorld) -> None:
    """Answer a refused plan with yes, as at a terminal."""
    world.run(confirm=lambda *_: Consent.ALL)


STORIES = {
    "writes": Story(title="a run of several chunks", before=_drift(8), act=_tick, then=_tick),
    "refused": Story(
        title="a run that the guard refuses",
        before=lambda world: (world.drift(6), world.population(2, 2, first=300)),
        act=_tick,
        then=_tick,
        options={"settings": GUARD},
    ),
    "approved": Story(
        title="a run that goes on with an approval",
        before=_approved,
        act=_tick,
        then=_tick,
        options={"settings": GUARD},
    ),
    "yes": Story(
        title="a run approved at the terminal",
        before=lambda world: (world.drift(6), world.population(2, 2, first=300)),
        act=_yes,
        then=_yes,
        options={"settings": GUARD},
    ),
    "undo": Story(title="an undo", before=_written, act=lambda world: world.undo(run=1), then=_taken_back(1)),
    "undo-of-undo": Story(
        title="an undo of an undo", before=_put_back, act=lambda world: world.undo(run=2), then=_taken_back(2)
    ),
    "settling": Story(title="a run that settles what a killed one left open", before=_left_open, act=_tick, then=_tick),
    "settling-undo": Story(
        title="a run that settles a killed undo", before=_undo_left_open, act=_tick, then=_taken_back(1)
    ),
    "slow-sweep": Story(
        title="a first sweep of a slow portal, kept on the way",
        before=_slow_portal,
        act=_sweep_slowly,
        then=_tick,
        options=_SLOW,
    ),
    "half-swept": Story(
        title="a first sweep that goes on where a killed one was",
        before=_half_swept,
        act=_tick,
        then=_tick,
        options=_SLOW,
    ),
    "lanes": Story(
        title="a sweep that reads in three lanes",
        before=_owners(105),
        act=_tick,
        then=_tick,
        options=_SLOW | {"lanes": 3},
    ),
    "people": Story(
        title="a run after whose end people were at work first",
        before=_drift(8),
        act=_tick,
        then=_people_at_work,
        differs=frozenset({"writes", "applied", "companies"}),
        touched=_TOUCHED,
    ),
    "quarantine": Story(title="a run that puts a contact in quarantine", before=_fought_over, act=_tick, then=_tick),
    "respected": Story(
        title="a run that respects what people chose",
        before=_chosen_by_people,
        act=_tick,
        then=_tick,
        options={"settings": {"policy": {"person_edit": "respect"}}},
    ),
    "new-journal": Story(title="the first start, without a journal", before=_no_journal, act=_open, then=_tick),
    "old-journal": Story(
        title="the first start after an upgrade (schema 0001)", before=_first_schema, act=_open, then=_tick
    ),
    "retention": Story(
        title="retention",
        before=_old_runs,
        act=_prune,
        then=_prune_and_sweep,
        options={"settings": GUARD},
        also=_kept_runs,
    ),
}
