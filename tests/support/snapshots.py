"""A world as it stood at a moment, to be gone on with as often as one likes, each time from the very same state."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.clock import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.world import World

#: What a portal knows besides its database: part -> its attributes. Faults are none of it, nor who listens.
_KNOWN = {
    "counters": ("_requests", "_batches", "_commands", "_rejected", "_seconds"),
    "edits": ("history", "applied", "noop", "notices", "workflows"),
    "bin": ("_deleted",),
    "bell": ("shown", "_last"),
    "bucket": ("_levels",),
    "portal": ("revoked", "clock_offset"),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The portal, the time, and the files of the journal: name -> content."""

    #: Of virtual time.
    seconds: float
    tables: bytes
    known: dict[str, dict[str, Any]]
    accounts: dict[str, Any]
    #: What the witness wrote down.
    passed: dict[str, list[Any]]
    files: dict[str, bytes]

    def timeline(self) -> Timeline:
        """Return a time that goes on from that moment."""
        timeline = Timeline()
        timeline.elapsed = self.seconds
        return timeline

    def put_files(self, folder: Path) -> None:
        """Give a world that is not made yet its journal."""
        for name, content in self.files.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)

    def put_portal(self, world: World) -> None:
        """Let a world's portal, made with the same options, be as that one was."""
        world.witness.clock.timeline.elapsed = self.seconds
        database = world.portal.database
        database.connection.deserialize(self.tables)
        database.changed()
        for name, part in _parts(world):
            for attribute, value in self.known[name].items():
                setattr(part, attribute, copy(value))
        if world.portal.meter is not None:
            world.portal.meter._accounts = deepcopy(self.accounts)
        for attribute, passed in self.passed.items():
            setattr(world.witness, attribute, [*passed])


def taken(world: World) -> Snapshot:
    """Return the snapshot of a world on which nobody works: no request is on its way, and nothing is to happen later.

    The files are as they are, so that a journal may be open.
    """
    meter = world.portal.meter
    return Snapshot(
        seconds=world.witness.clock.monotonic(),
        tables=world.portal.database.connection.serialize(),
        known={name: {key: copy(getattr(part, key)) for key in _KNOWN[name]} for name, part in _parts(world)},
        accounts=deepcopy(meter._accounts) if meter is not None else {},
        passed={key: [*value] for key, value in vars(world.witness).items() if isinstance(value, list)},
        files={path.name: path.read_bytes() for path in sorted(world._folder.iterdir()) if path.is_file()},
    )


def _parts(world: World) -> Iterator[tuple[str, Any]]:
    portal = world.portal
    yield "counters", portal._counters
    yield "edits", portal._edits
    yield "bin", portal.people._bin
    yield "bell", portal.bell
    yield "portal", portal
    if portal.bucket is not None:
        yield "bucket", portal.bucket
