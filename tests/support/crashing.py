"""A worker that is really killed at one of its points, and the portal that outlives it in the process that started it.

The worker is a forked process. Its points are not listed anywhere: they are where SQLAlchemy says that a transaction
begins, is about to be committed, and has ended, and where a request leaves and an answer comes. The portal stays in the
parent, on the other end of a pipe; each message carries the sender's time, so both go by one virtual time.

A worker passes all its points in one life: at each one a fork of it is killed, with the journal open, and the files
are copied as they are then. What a killed process leaves in them is what was written before; a worker that is killed
itself, with the locks that a fork does not have, is held against the copy.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool
from support.snapshots import Snapshot, taken
from support.world import CONTACT_UPDATE, _clients

from reconciler.portal.rest.deadline import Transport
from reconciler.simulator.http import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection as Line
    from pathlib import Path

    from sqlalchemy import Connection
    from support.trust import TrustWorld
    from support.world import Exchange

    from reconciler.clock import VirtualClock

#: Seconds after which the portal carries out a request whose sender is dead: it may, for as long as it lets one run
#: (F5.3).
LATE = 50.0


class Kind(StrEnum):
    """Where a worker is killed."""

    BEGIN = "before the first transaction"
    COMMIT = "in a transaction, before its commit"
    COMMITTED = "after a commit, before what follows"
    REQUEST = "before a request"
    CARRIED_OUT = "request carried out, no answer yet"
    LATE = f"request carried out {LATE:.0f} s after the kill"
    ANSWERED = "after an answer, before what follows"


#: What directly follows one of these is the same point: nothing but computing lies between, which leaves no trace.
_AFTER = (Kind.COMMITTED, Kind.ANSWERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A process with the journal open was killed at a point: what it left behind."""

    kind: Kind
    #: How it ended, as `os.waitstatus_to_exitcode` has it.
    ended: int
    #: The journal's files as they were then, and the portal.
    left: Snapshot
    #: The request that the portal is still at work on.
    late: Request | None = None


class Points:
    """Tells of each point that this process passes."""

    def __init__(self, tell: Callable[[Kind], None]) -> None:
        self._tell = tell
        self._last: Kind | None = None

    def at(self, kind: Kind) -> None:
        """Come to a point."""
        last, self._last = self._last, kind
        if not (kind in {Kind.BEGIN, Kind.REQUEST} and last in _AFTER):
            self._tell(kind)

    def watch_journals(self) -> None:
        """Take the transactions of every database for points, but for those that only read."""
        committed: set[int] = set()

        @event.listens_for(Engine, "begin")
        def begin(connection: Connection) -> None:
            if connection.get_execution_options().get("writing"):
                self.at(Kind.BEGIN)

        @event.listens_for(Engine, "commit")
        def commit(connection: Connection) -> None:
            if connection.get_execution_options().get("writing"):
                self.at(Kind.COMMIT)
                committed.add(id(connection.connection.dbapi_connection))

        @event.listens_for(Pool, "checkin")
        def checkin(connection: object, _: object) -> None:
            if id(connection) in committed:
                committed.discard(id(connection))
                self.at(Kind.COMMITTED)


class _Leash(httpx.BaseTransport):
    """The worker's end of the pipe."""

    def __init__(self, line: Line, clock: VirtualClock, fatal: int) -> None:
        self._line = line
        self._clock = clock
        self._fatal = fatal
        self._passed = 0
        self.points = Points(self._die)

    def _die(self, kind: Kind) -> None:
        """Let a fork of this process be killed here, and wait until its remains are looked at.

        The fork has the journal's files open as this process has, and its transaction is as far as this one's.
        """
        self._passed += 1
        if self._fatal:
            if self._passed == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return
        process = os.fork()
        if process == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        self._line.send((self._clock.monotonic(), kind, os.waitstatus_to_exitcode(status)))
        self._line.recv()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        asked = Request(
            method=request.method,
            path=request.url.raw_path.decode("ascii"),
            headers=dict(request.headers.items()),
            body=body,
        )
        self.points.at(Kind.REQUEST)
        self._line.send((self._clock.monotonic(), asked))
        moment, response = self._line.recv()  # here, but nobody has looked at it
        self.points.at(Kind.CARRIED_OUT)
        if CONTACT_UPDATE.encode() in body:
            self.points.at(Kind.LATE)
        self._clock.sleep(moment - self._clock.monotonic())
        self.points.at(Kind.ANSWERED)
        return httpx.Response(response.status, headers=dict(response.headers), content=response.body)


def work(
    world: TrustWorld, act: Callable[[TrustWorld], object], look: Callable[[Death], object], fatal: int = 0
) -> int:
    """Let a process of its own start a worker and act; be its portal, and look at what is left at each of its points.

    At each point a fork of the worker is killed; with `fatal`, from 1, only the worker itself is, at that point. Return
    how the worker ended, as `os.waitstatus_to_exitcode` has it. Whoever calls has no journal open: SQLite's connections
    do not survive a fork.
    """
    here, there = Pipe()
    process = os.fork()
    if process == 0:
        with suppress(BaseException):
            here.close()
            os._exit(_work(world, act, there, fatal))
        os._exit(2)
    there.close()
    with closing(here):
        _serve(world, here, look)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _work(world: TrustWorld, act: Callable[[TrustWorld], object], line: Line, fatal: int) -> int:
    try:
        leash = _Leash(line, world.witness.clock, fatal)
        leash.points.watch_journals()
        world.start()
        _clients(world._limits.read_timeout)[1].end = leash
        act(world)
    except BaseException:  # noqa: BLE001 - nobody else would tell
        traceback.print_exc()
        return 1
    return 0


def _serve(world: TrustWorld, line: Line, look: Callable[[Death], object]) -> None:
    clock, witness = world.witness.clock, world.witness
    request, before = None, None
    while True:
        try:
            moment, *told = line.recv()
        except (EOFError, ConnectionError):
            return
        clock.sleep(max(0.0, moment - clock.monotonic()))
        if len(told) == 1:
            (request,) = told
            before = taken(world) if CONTACT_UPDATE.encode() in request.body else None
            response = witness.handle(request)
            with suppress(ConnectionError):
                line.send((clock.monotonic(), response))
            continue
        kind, ended = told
        left = taken(world)
        if kind is Kind.LATE and before is not None:
            left = replace(before, files=left.files)
        look(Death(kind=kind, ended=ended, left=left, late=request if kind is Kind.LATE else None))
        line.send(None)


def carry_out_late(world: TrustWorld, request: Request) -> None:
    """Let the portal be at work on a request that it carries out only when `LATE` has passed."""
    number = len(world.witness.exchanges) + 1
    before = world.witness.before

    def wait(exchange: Exchange) -> None:
        before(exchange)
        if exchange.number == number:
            world.witness.clock.sleep(LATE)

    world.witness.before = wait
    clock = world.witness.clock
    clock.timeline.run_aside(clock.monotonic(), partial(world.witness.handle, request))
    clock.sleep(0)  # it has arrived


def die_with_the_first_write(kind: Kind) -> None:
    """Let this process, whose portal is at the end of a real connection, be killed there when it first writes."""
    writing = {"journal": False, "portal": False}

    def come_to(here: Kind, what: str) -> None:
        if here is kind and writing[what]:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "before_cursor_execute")
    def execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        writing["journal"] |= statement.startswith("INSERT INTO change ")

    event.listen(Engine, "commit", lambda _: come_to(Kind.COMMIT, "journal"))
    event.listen(Pool, "checkin", lambda *_: come_to(Kind.COMMITTED, "journal"))
    moments = {
        "http11.send_request_headers.started": Kind.REQUEST,
        "http11.send_request_body.complete": Kind.CARRIED_OUT,
        "http11.receive_response_body.complete": Kind.ANSWERED,
    }

    def trace(moment: str, _: object) -> None:
        if moment in moments:
            come_to(moments[moment], "portal")

    send = Transport.handle_request

    def handle_request(self: Transport, request: httpx.Request) -> httpx.Response:
        writing["portal"] = CONTACT_UPDATE.encode() in request.read()
        request.extensions["trace"] = trace
        return send(self, request)

    Transport.handle_request = handle_request  # type: ignore[method-assign]


def intents(journal: Path) -> dict[int, list[tuple[int, int]]]:
    """Return contact -> owners before and after, of what the file holds as intended and open, read from outside."""
    found: dict[int, list[tuple[int, int]]] = {}
    for contact, before, after in ask(
        journal,
        "SELECT contact_id, owner_before, owner_after FROM change WHERE intended_at IS NOT NULL AND result IS NULL",
    ):
        found.setdefault(contact, []).append((before, after))
    return found


def ask(journal: Path, statement: str) -> list[tuple[Any, ...]]:
    """Ask a journal's file without this program's own code."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()
