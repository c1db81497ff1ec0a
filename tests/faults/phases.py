"""Where it can go wrong: the requests of a run, found by running the same world once without a fault."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from faults.line import FaultWorld
from support.snapshots import Snapshot, taken
from support.world import COMPANY_LIST, CONTACT_LIST, CONTACT_UPDATE, MEMORY

from reconciler.core.companies import Strategy
from reconciler.engine.planning import Undo
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.write.writer import ChunkLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.line import Asked

ITEM_LIST = "crm.item.list"
LINKS = "crm.contact.company.items.get"
USER_LIST = "user.get"
CONTACTS, CHUNK = 6, 3


class Killed(BaseException):
    """Stands for a power failure: nothing in the program may handle it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phase:
    """A request of a run, and the command in it that a fault of one command happens to."""

    name: str
    #: What it is, for the page.
    title: str
    #: Brings a world to where the run in question begins.
    story: str
    #: Tells its request from the others.
    here: Callable[[Asked], bool]
    #: The first call of this method in that request.
    method: str
    #: In whose request it travels, where whole requests that fail are told there.
    within: str = ""
    #: What goes wrong beforehand, so that there is such a request at all.
    first: tuple[dict[str, Any], ...] = ()
    #: One fault of each family says enough: it is read as another phase is.
    as_another: bool = False


def _asks(asked: Asked, method: str, *, having: str, without: str = "\0") -> bool:
    """Tell whether a request has such a call, by a name in it."""
    return any(
        name == method
        and any(having in key or having in values for key, values in params.items())
        and not any(without in key or without in values for key, values in params.items())
        for name, params in asked.commands
    )


def _surveys(asked: Asked) -> bool:
    return _asks(asked, COMPANY_LIST, having="DESC")


def _lists_companies(asked: Asked) -> bool:
    return asked.methods == [COMPANY_LIST] * len(asked.commands) and _asks(asked, COMPANY_LIST, having="IS_MY_COMPANY")


def _looks(asked: Asked) -> bool:
    return _asks(asked, COMPANY_LIST, having="filter[>=DATE_MODIFY]")


def _drifts(asked: Asked) -> bool:
    return _asks(asked, CONTACT_LIST, having="filter[!ASSIGNED_BY_ID]")


def _pages(asked: Asked) -> bool:
    return _asks(asked, CONTACT_LIST, having="filter[!COMPANY_ID]", without="DESC")


def _counts(asked: Asked) -> bool:
    return _asks(asked, CONTACT_LIST, having="filter[@COMPANY_ID][]", without="order[ID]")


def _details(asked: Asked) -> bool:
    return ITEM_LIST in asked.methods


def _links(asked: Asked) -> bool:
    return LINKS in asked.methods


def _writes(asked: Asked) -> bool:
    return CONTACT_UPDATE in asked.methods


def _reads_back(asked: Asked) -> bool:
    return asked.methods == [CONTACT_LIST] and _asks(asked, CONTACT_LIST, having="filter[@ID][]")


def _users(asked: Asked) -> bool:
    return asked.methods == [USER_LIST]


_NO_BULK_LINKS = {"kind": "command_error", "method": ITEM_LIST, "code": "ERROR_METHOD_NOT_FOUND", "description": "no"}
_WRITE_LOST = {"kind": "lost_answer", "method": CONTACT_UPDATE, "times": 1}

PHASES = (
    Phase(
        as_another=True,
        name="survey",
        title="roster: how much there is",
        story="first",
        here=_surveys,
        method=COMPANY_LIST,
    ),
    Phase(name="companies", title="roster: all companies", story="first", here=_lists_companies, method=COMPANY_LIST),
    Phase(as_another=True, name="look", title="roster: what changed", story="look", here=_looks, method=COMPANY_LIST),
    Phase(name="drift", title="drift query", story="first", here=_drifts, method=CONTACT_LIST),
    Phase(name="pages", title="pages of contacts", story="pages", here=_pages, method=CONTACT_LIST),
    Phase(
        as_another=True,
        name="count",
        title="count of linked contacts",
        story="first",
        here=_counts,
        method=CONTACT_LIST,
    ),
    Phase(name="details", title="details: links in bulk", story="first", here=_details, method=ITEM_LIST),
    Phase(
        as_another=True,
        name="companies' details",
        title="details: companies",
        story="first",
        here=_details,
        method=COMPANY_LIST,
        within="details",
    ),
    Phase(name="users", title="details: users", story="first", here=_details, method=USER_LIST, within="details"),
    Phase(
        as_another=True,
        name="links",
        title="details: links, one by one",
        story="first",
        here=_links,
        method=LINKS,
        first=(_NO_BULK_LINKS,),
    ),
    Phase(name="write", title="write", story="first", here=_writes, method=CONTACT_UPDATE),
    Phase(
        name="precondition",
        title="write: precondition on the contact",
        story="first",
        here=_writes,
        method=CONTACT_LIST,
        within="write",
    ),
    Phase(
        name="company",
        title="write: precondition on the company",
        story="first",
        here=_writes,
        method=COMPANY_LIST,
        within="write",
    ),
    Phase(
        name="people",
        title="write: precondition on the new owner",
        story="first",
        here=_writes,
        method=USER_LIST,
        within="write",
    ),
    Phase(
        name="late read-back",
        title="read-back after a lost answer",
        story="first",
        here=_reads_back,
        method=CONTACT_LIST,
        first=(_WRITE_LOST,),
    ),
    Phase(
        as_another=True,
        name="settling",
        title="settling after a crash",
        story="killed",
        here=_reads_back,
        method=CONTACT_LIST,
    ),
    Phase(
        as_another=True,
        name="undo look",
        title="undo: what stands",
        story="undo",
        here=_reads_back,
        method=CONTACT_LIST,
    ),
    Phase(as_another=True, name="undo users", title="undo: users", story="undo", here=_users, method=USER_LIST),
    Phase(name="undo write", title="undo: write", story="undo", here=_writes, method=CONTACT_UPDATE),
)


def world_of(story: str, folder: Path) -> tuple[FaultWorld, dict[str, Any]]:
    """Return a world at the beginning of a story's last run, and what that run is ordered to do.

    The story is told once; each world goes on from a copy of what it led to, journal and portal, and shares nothing.
    """
    snapshot, order = world_after(story)
    snapshot.put_files(folder)
    world = _new(story, folder, timeline=snapshot.timeline())
    snapshot.put_portal(world)
    return world, order


def _new(story: str, folder: Path, **options: Any) -> FaultWorld:
    strategy = Strategy.PAGES if story == "pages" else Strategy.DRIFT
    chunks, tactics = ChunkLimits(start=CHUNK, most=CHUNK), SweepOptions(strategy=strategy)
    return FaultWorld(folder, chunks=chunks, tactics=tactics, **options)


@cache
def world_after(story: str) -> tuple[Snapshot, dict[str, Any]]:
    """Tell a story up to its last run; return what it led to, and that run's order."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        world = _new(story, Path(folder))
        world.drift(CONTACTS, each=2)
        order: dict[str, Any] = {}
        if story == "look":
            world.office.company(104, 7, is_my_company="Y")  # shows where the filter is ignored
            world.run()
            for company in (101, 102, 103):
                world.portal.people.edit_company(company, 1, assigned_by_id=7)
        if story == "killed":
            _die(world)
        if story == "undo":
            order = {"command": "undo", "undo": Undo(run=world.run().report.run)}
        world.close()
        return taken(world), order


def _die(world: FaultWorld) -> None:
    """Let the worker die when its first chunk is written and nobody knows."""

    def die(exchange: Any) -> None:
        if exchange.updates:
            raise Killed

    world.witness.after = die
    try:
        world.run()
    except Killed:
        world.witness.after = lambda _: None


@cache
def request_of(phase: Phase) -> int:
    """Return the number of a phase's request."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        world, order = world_of(phase.story, Path(folder))
        before = len(world.witness.asked)
        world.faults(*phase.first)
        world.run(**order)
        world.close()
        return next(asked.number for asked in world.witness.asked[before:] if phase.here(asked))
