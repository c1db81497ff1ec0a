"""A portal, a worker and a journal on one virtual time, and a witness on the line between them."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
from support.portal_fixture import ANN, BOB, Office

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.model import Result
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunContext, RunRequest, RunResult
from reconciler.journal.store import Journal, open_journal
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.portal.write.writer import ChunkLimits
from reconciler.settings.address import parse_webhook
from reconciler.simulator.assembly import LIMITS
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.meters import LeakyBucket, OperatingMeter, OperatingModel
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.core.model import Change
    from reconciler.simulator.http import Request, Response
    from reconciler.simulator.portal import Portal

CLEO = 9
_COMPILED: dict[Any, Any] = {}
_DIALECT: dict[str, Any] = {}
#: Where a journal may be real and yet not wait for a disk with each write; None: where temporary files are kept.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - in a directory of its own there
CONTACT_UPDATE = "crm.contact.update"
CONTACT_LIST = "crm.contact.list"
COMPANY_LIST = "crm.company.list"
#: What a command takes from the answer to another one.
_REFERENCE = re.compile(r"0\$result\[(\w+)\]")


@dataclass(kw_only=True, eq=False)
class Exchange:
    """One request as it passed by: when, and what the portal's history held before and after it."""

    #: From 1, as the portal counts.
    number: int
    arrived: float
    left: float = 0.0
    edits_before: int
    edits_after: int = 0
    #: How many commands the request carries.
    commands: int = 0
    #: Contact -> owner, as the request wants it.
    updates: dict[int, int] = field(default_factory=dict)
    #: Whether it finds out if the portal carries out conditional updates, which comes before the first write.
    probes: bool = False
    #: Whether all companies are read after it.
    surveys: bool = False


class Witness:
    """Stands before the portal and writes down what passes; `before` and `after` may act on each exchange."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.exchanges: list[Exchange] = []
        self.before: Callable[[Exchange], None] = lambda _: None
        self.after: Callable[[Exchange], None] = lambda _: None
        #: May change an answer's body on its way back.
        self.reword: Callable[[bytes], bytes] = lambda body: body

    @property
    def clock(self) -> VirtualClock:
        clock = self._portal.clock
        assert isinstance(clock, VirtualClock)
        return clock

    def handle(self, request: Request) -> Response:
        exchange = Exchange(
            number=len(self.exchanges) + 1,
            arrived=self.clock.monotonic(),
            edits_before=len(self._portal.history),
        )
        commands = {key: _parsed(command) for key, command in json.loads(request.body)["cmd"].items()}
        exchange.updates = updates_of(commands)
        exchange.surveys = any(
            method == COMPANY_LIST and params.get("order[ID]") == ["DESC"] and "DATE_MODIFY" not in params["select[]"]
            for method, params in commands.values()
        )
        exchange.probes = any(method == "crm.contact.get" for method, _ in commands.values())
        exchange.commands = len(commands)
        self.exchanges.append(exchange)
        self.before(exchange)
        try:
            response = self._portal.handle(request)
            return replace(response, body=self.reword(response.body))
        finally:
            exchange.left = self.clock.monotonic()
            exchange.edits_after = len(self._portal.history)
            self.after(exchange)

    @property
    def writes(self) -> list[Exchange]:
        """The requests that carried updates."""
        return [exchange for exchange in self.exchanges if exchange.updates]


def updates_of(commands: Mapping[str, tuple[str, dict[str, list[str]]]]) -> dict[int, int]:
    """Return contact -> owner as the updates of a request want it, where their preconditions hold."""

    def number(value: str, name: str) -> int:
        reference = _REFERENCE.match(value)
        return int(commands[reference[1]][1][name][0] if reference else value)

    return {
        number(params["id"][0], "filter[ID]"): number(params["fields[ASSIGNED_BY_ID]"][0], "FILTER[@ID][]")
        for method, params in commands.values()
        if method == CONTACT_UPDATE
    }


@lru_cache(maxsize=4096)
def _parsed(command: str) -> tuple[str, dict[str, list[str]]]:
    method, _, query = command.partition("?")
    return method, parse_qs(query)


class World:
    """Everything that a run touches. Ann owns contacts, Bob owns companies, Cleo is the person who interferes."""

    #: Whether the portal answers in the thread that asks, so that nothing runs out of time; it spares a thread each.
    in_one_thread = False

    def __init__(
        self,
        folder: Path,
        *,
        limits: str = "cloud",
        model: OperatingModel = OperatingModel.DOCS,
        ban: bool = False,
        profile: Profile | str = "instant",
        read_timeout: float = 75.0,
        chunks: ChunkLimits | None = None,
        margin: float = 0.2,
        attempts: int = 6,
        lanes: int = 1,
        tactics: SweepOptions | None = None,
        timeline: Timeline | None = None,
        **options: Any,
    ) -> None:
        goes_on = timeline is not None  # a world of before, with the journal that it had
        timeline = timeline or Timeline()
        bucket, self.operating = LIMITS[limits]
        self.bucket = bucket
        clock = VirtualClock(timeline)
        self.office = Office(
            clock=clock,
            bucket=LeakyBucket(clock, *bucket) if bucket else None,
            meter=OperatingMeter(clock, model, self.operating, ban),
            costs=CostModel(profile),
            **options,
        )
        self.office.user(CLEO, name="Cleo")
        self.portal = self.office.portal
        self.witness = Witness(self.portal)
        self._folder = folder
        self._margin = margin
        self._limits = Limits(attempts=attempts, read_timeout=read_timeout, lanes=lanes)
        self._chunks = chunks or ChunkLimits()
        self._tactics = tactics or SweepOptions()
        if not goes_on:
            shutil.copy(template(), folder / "journal.db")
        self.start()

    def start(self) -> None:
        """Start the worker, as a new process would: only portal and journal stay."""
        self.clock = VirtualClock(self.witness.clock.timeline)
        burst, per_second = self.bucket or (None, None)
        transport: httpx.BaseTransport = InProcessTransport(self.witness)
        client = Client(
            parse_webhook(f"https://portal.bitrix24.de{self.portal.webhook_path}", ()),
            _http(_AtOnce(transport) if self.in_one_thread else transport, self._limits.read_timeout),
            clock=self.clock,
            throttle=Throttle(self.clock, burst=burst, per_second=per_second, margin=self._margin),
            budget=Budget(self.clock, limit=self.operating),
            limits=self._limits,
            random=Random(1),
        )
        self.journal: Journal = open_journal(f"sqlite:///{self._folder / 'journal.db'}", self.clock)
        share_statements(self.journal)
        self.worker = RunContext(
            portal="portal",
            client=client,
            journal=self.journal,
            clock=self.clock,
            chunks=self._chunks,
            tactics=self._tactics,
        )

    def restart(self) -> None:
        """End the worker and start another one."""
        self.close()
        self.start()

    def close(self) -> None:
        self.journal.close()

    def drift(self, contacts: int, *, each: int = 5) -> None:
        """Add companies of Bob's with `each` contacts of Ann's; contacts are numbered from 1, companies from 101."""
        for number in range(contacts):
            company = 101 + number // each
            if number % each == 0:
                self.office.company(company, BOB)
            self.office.contact(number + 1, ANN, company)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Let these things go wrong from now on."""
        self.portal.faults.load(list(faults))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen at a moment of the future."""
        self.witness.clock.call_later(seconds, action)

    def run(self, **order: Any) -> RunResult:
        """Run once, and hold the portal's own record against the journal."""
        finished = reconcile(self.worker, RunRequest(**({"command": "test", "lease_wait": 0.0} | order)))
        audit(self)
        return finished

    def results(self, run: int | None = None) -> dict[int, str]:
        """Return contact -> result as the journal has it; `open` for none."""
        number = run or self.journal.runs(1)[0].report.run
        assert number is not None
        return {row.change.contact: row.result.value if row.result else "open" for row in self.journal.changes(number)}

    def outcomes(self, run: int | None = None) -> dict[str, int]:
        """Return how many contacts have which result."""
        results = list(self.results(run).values())
        return {result: results.count(result) for result in sorted(set(results))}

    def owns(self, contact: int) -> bool:
        """Tell whether the portal has this contact."""
        return self.portal.database.row("SELECT 1 FROM contact WHERE id = ?", (contact,)) is not None

    def owner_of(self, contact: int) -> int:
        return self.office.owner_of(contact)


def audit(world: World) -> int:
    """Hold every write of the portal's history against the journal; return the writes over a person's change.

    Of those only such are let through as fell between a precondition and its write, in one request.
    """
    history = world.portal.history
    assert world.portal.stats()["noop_updates"] <= _coincidences(world)
    rows = [row for record in world.journal.runs(1000) for row in world.journal.changes(record.report.run or 0)]
    overruled = 0
    for write in world.witness.writes:
        for index in range(write.edits_before, write.edits_after):
            edit = history[index]
            if edit.source != "rest":
                continue
            assert (edit.entity, edit.field) == ("contact", "ASSIGNED_BY_ID")
            assert write.updates[edit.id] == edit.after
            mine = [
                row
                for row in rows
                if row.change.contact == edit.id
                and row.change.after == edit.after
                and row.intended_at
                and row.intended_at.timestamp() < edit.at + 1
            ]
            assert mine, f"contact {edit.id} was written without an intent"
            if not any(row.change.before == edit.before for row in mine):
                between = history[write.edits_before : index]
                assert any(e.id == edit.id and e.source == "person" for e in between), f"{edit} overruled a person"
                overruled += 1
    return overruled


def _coincidences(world: World) -> int:
    """Count the updates whose very value a person set in the same request: nobody can see those coming."""
    history = world.portal.history
    return sum(
        any(
            edit.source == "person" and (edit.entity, edit.id, edit.after) == ("contact", contact, owner)
            for edit in history[write.edits_before : write.edits_after]
        )
        for write in world.witness.writes
        for contact, owner in write.updates.items()
    )


def share_statements(journal: Journal) -> None:
    """Let a journal use the statements that earlier ones have compiled, which costs more than to execute them.

    The dialect is part of what they are kept by, and each engine has its own.
    """
    engine = journal._database.engine
    engine.update_execution_options(compiled_cache=_COMPILED)
    engine.dialect = _DIALECT.setdefault("sqlite", engine.dialect)


def change(contact: int, company: int = 101, before: int = ANN, after: int = BOB) -> Change:
    """Make a change as the plan of a `drift` has it."""
    from reconciler.core.model import Change  # noqa: PLC0415

    return Change(contact=contact, company=company, before=before, after=after)


def total(finished: RunResult) -> int:
    """Add the outcomes of a run up."""
    return sum(finished.report.outcomes.get(result, 0) for result in Result)


@cache
def template() -> Path:
    """Make an empty journal with the latest schema, to be copied."""
    folder = tempfile.mkdtemp(prefix="reconciler-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "journal.db"
    open_journal(f"sqlite:///{path}", VirtualClock()).close()
    return path


class _Line(httpx.BaseTransport):
    """A transport whose far end can be changed: to make an HTTP client costs more than a whole small run."""

    end: httpx.BaseTransport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.end.handle_request(request)


class _AtOnce(httpx.BaseTransport):
    """Takes the time-out away, for whose sake a portal works in a thread of its own."""

    def __init__(self, end: httpx.BaseTransport) -> None:
        self._end = end

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {key: value for key, value in request.extensions.items() if key != "timeout"}
        return self._end.handle_request(request)


@cache
def _clients(read_timeout: float) -> tuple[httpx.Client, _Line]:
    line = _Line()
    return http_client(connect_timeout=10, read_timeout=read_timeout, transport=line), line


def _http(transport: httpx.BaseTransport, read_timeout: float) -> httpx.Client:
    client, line = _clients(read_timeout)
    line.end = transport
    return client
