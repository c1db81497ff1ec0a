"""A worker that is really killed at one of its points, and the portal that outlives it in the process that started it.

The worker is a forked process. Its points are not listed anywhere: they are where SQLAlchemy says that a transaction
begins, is about to be committed, and has ended, and where a request leaves and an answer comes. The portal stays in the
parent, on the other end of a pipe; each message carries the sender's time, so both go by one virtual time.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import traceback
from contextlib import closing, suppress
from enum import StrEnum
from functools import partial
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool
from support.world import CONTACT_UPDATE, _clients

from reconciler.portal.deadline import Transport
from reconciler.simulator.http import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection as Line
    from pathlib import Path

    from sqlalchemy import Connection
    from support.trust import TrustWorld
    from support.world import Exchange

#: Seconds after which the portal carries out a request whose sender is dead: it may, for as long as it lets one run
#: (F5.3).
LATE = 50.0


class Kind(StrEnum):
    """Where a worker is killed."""

    BEGIN = "before the first transaction"
    COMMIT = "in a transaction, before its commit"
    COMMITTED = "after a commit, before what follows"
    REQUEST = "before the first request"
    CARRIED_OUT = "request carried out, no answer yet"
    LATE = f"request carried out {LATE:.0f} s after the kill"
    ANSWERED = "after an answer, before what follows"


#: What directly follows one of these is the same point: nothing but computing lies between, which leaves no trace.
_AFTER = (Kind.COMMITTED, Kind.ANSWERED)


class Points:
    """Counts the points that this process passes, tells of each, and ends the process at the fatal one."""

    def __init__(self, fatal: int, tell: Callable[[Kind], None]) -> None:
        """`fatal`: from 1; 0 for a worker that lives."""
        self._fatal = fatal
        self._tell = tell
        self._passed = 0
        self._last: Kind | None = None

    def at(self, kind: Kind) -> None:
        """Come to a point."""
        last, self._last = self._last, kind
        if kind in {Kind.BEGIN, Kind.REQUEST} and last in _AFTER:
            return
        self._passed += 1
        self._tell(kind)
        if self._passed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def left(self) -> int:
        """Return how many points further the fatal one is; 0 or less: there is none."""
        return self._fatal - self._passed

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

    def __init__(self, line: Line, points: Points, world: TrustWorld) -> None:
        self._line = line
        self._points = points
        self._clock = world.clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        asked = Request(
            method=request.method,
            path=request.url.raw_path.decode("ascii"),
            headers=dict(request.headers.items()),
            body=body,
        )
        writes = CONTACT_UPDATE.encode() in body
        self._points.at(Kind.REQUEST)
        late = writes and self._points.left() == 2  # the second point from here
        self._line.send((self._clock.monotonic(), late, asked))
        self._points.at(Kind.CARRIED_OUT)
        if writes:
            self._points.at(Kind.LATE)
        moment, response = self._line.recv()
        self._clock.sleep(moment - self._clock.monotonic())
        self._points.at(Kind.ANSWERED)
        return httpx.Response(response.status, headers=dict(response.headers), content=response.body)


def run_and_kill(world: TrustWorld, act: Callable[[TrustWorld], object], fatal: int) -> tuple[list[Kind], int, bool]:
    """Let a process of its own start a worker and act, and be killed at a point.

    Return the points that it passed, how it ended, as `os.waitstatus_to_exitcode` has it, and whether the portal is
    still at work for it. Whoever calls has no journal open: SQLite's connections do not survive a fork.
    """
    here, there = Pipe()
    seen, tell = os.pipe()
    process = os.fork()
    if process == 0:
        with suppress(BaseException):
            here.close()
            os._exit(_work(world, act, there, Points(fatal, lambda kind: _tell(tell, kind))))
        os._exit(2)
    there.close()
    os.close(tell)
    late = _serve(world, here)
    _, status = os.waitpid(process, 0)
    with os.fdopen(seen, encoding="ascii") as stream:
        passed = [Kind(line.rstrip("\n")) for line in stream]
    return passed, os.waitstatus_to_exitcode(status), late


def _tell(pipe: int, kind: Kind) -> None:
    os.write(pipe, f"{kind}\n".encode("ascii"))


def _work(world: TrustWorld, act: Callable[[TrustWorld], object], line: Line, points: Points) -> int:
    try:
        points.watch_journals()
        world.start()
        _clients(world._limits.read_timeout)[1].end = _Leash(line, points, world)
        act(world)
    except BaseException:  # noqa: BLE001 - nobody else would tell
        traceback.print_exc()
        return 1
    return 0


def _serve(world: TrustWorld, line: Line) -> bool:
    """Be the portal until the worker is gone; tell whether it is still at work then."""
    clock, witness = world.witness.clock, world.witness
    at_work = False
    while True:
        try:
            moment, late, request = line.recv()
        except (EOFError, ConnectionError):
            return at_work
        clock.sleep(moment - clock.monotonic())
        if late:
            clock.timeline.run_aside(clock.monotonic(), partial(_at_leisure, world, request))
            clock.sleep(0)  # it has arrived, and the portal is at work on it
            at_work = True
            continue
        response = witness.handle(request)
        with suppress(ConnectionError):
            line.send((clock.monotonic(), response))


def _at_leisure(world: TrustWorld, request: Request) -> None:
    number = len(world.witness.exchanges) + 1
    before = world.witness.before

    def wait(exchange: Exchange) -> None:
        before(exchange)
        if exchange.number == number:
            world.witness.clock.sleep(LATE)

    world.witness.before = wait
    world.witness.handle(request)


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
