"""The stage of a chaos seed: one portal, several installations of the worker, and a record of all that happened to it.

The record is the portal's own: what each update found in the database when it was carried out, what its preconditions
found before, and what people did in between. The worker's journal is only compared with it.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from dataclasses import dataclass, field, fields
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import event
from support.portal_fixture import ANN, BOB, Office
from support.world import CLEO, COMPANY_LIST, CONTACT_LIST, CONTACT_UPDATE, share_statements, template

from reconciler.clock import Timeline, VirtualClock
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunContext, RunRequest, RunResult
from reconciler.errors import LeaseHeldError, ReconcilerError, Stopped
from reconciler.journal.store import Journal, open_journal
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.settings.address import parse_webhook
from reconciler.simulator.costs import CostModel
from reconciler.simulator.executor import Executor
from reconciler.simulator.faults import Faults
from reconciler.simulator.http import Response
from reconciler.simulator.meters import LeakyBucket, OperatingMeter
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from chaos.drawing import Setup

    from reconciler.simulator.edits import Edit
    from reconciler.simulator.faults import Fault, Target
    from reconciler.simulator.http import Request

#: The office: an administrator, three people who own things, one who owns nothing yet, a director, and three who may
#: own nothing: one dismissed, a bot, and one who is dismissed later.
DORA, DAN, GONE, BOT, LEAVER = 10, 11, 12, 13, 14
OWNERS = (ANN, BOB, CLEO, DORA, LEAVER)
#: So long that no text holds it by chance.
TOKEN = "chaos0webhook0token0that0must0never0show"
OLD_HOST, NEW_HOST = "portal.bitrix24.de", "renamed.bitrix24.de"
#: In a request that asks how many linked contacts there are, which goes with each read of all companies.
_HOW_MANY = b"crm.contact.list?order[ID]=DESC&filter[%21COMPANY_ID]=0&"

Key = tuple[int, int, int, int]


class Killed(BaseException):
    """The process ends here and now."""


@dataclass(kw_only=True, eq=False)
class Check:
    """What the preconditions of one write found in the database, each at the moment when it was read."""

    #: When the new owners were read, and when the contact was.
    began: float
    arrived: float
    #: The contact's company and owner; None: it was not there.
    contact: tuple[int, int] | None
    #: Company -> owner.
    owners: dict[int, int]


@dataclass(kw_only=True, eq=False)
class Exchange:
    """One request of an installation, and what its preconditions have read so far."""

    run: Run
    arrived: float
    #: Whether it carries updates.
    writes: bool = False
    owners: dict[int, int] = field(default_factory=dict)
    checks: dict[int, Check] = field(default_factory=dict)
    #: Repeats the reading of the command that is at work, after somebody else's edit.
    read: Callable[[], None] = lambda: None


@dataclass(kw_only=True, eq=False)
class Deed:
    """One update that the portal carried out: what it found, and what it made of it."""

    run: Run
    #: When its request arrived, and when the portal carried it out.
    sent: float
    at: float
    contact: int
    before: int
    after: int
    #: The contact's company and its owner at that moment; 0 for none.
    company: int
    company_owner: int
    #: Whether the new owner was an active employee then.
    fit: bool
    #: Whether the journal's file held the open intent at that moment.
    intended: bool
    #: Its preconditions.
    check: Check | None

    @property
    def noop(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, kw_only=True)
class Touch:
    """Something that somebody else did to a record."""

    at: float
    entity: str
    id: int
    what: str
    #: The value it got, where it is an owner.
    owner: int | None = None


@dataclass(kw_only=True, eq=False)
class Run:
    """One run of an installation."""

    home: Home
    number: int
    began: float
    ended: float = 0.0
    #: Takes something back.
    undo: bool = False
    #: Looks at a part of the portal only, against which its guard measures it.
    part: bool = False
    #: Changes that somebody has let through and that were not made since.
    approved: set[Key] = field(default_factory=set)
    #: Linked contacts when it began.
    contacts: int = 0
    #: Whether a complete sweep came before it.
    swept_before: bool = False
    finished: RunResult | None = None
    failure: BaseException | None = None
    deeds: list[Deed] = field(default_factory=list)


class Tape(list):  # type: ignore[type-arg]
    """The portal's history; each entry is also told to somebody at the moment it is made."""

    def __init__(self, told: Callable[[Edit], None]) -> None:
        super().__init__()
        self._told = told

    def append(self, edit: Edit) -> None:
        super().append(edit)
        self._told(edit)


class Line:
    """What stands before the portal for one installation, and kills where it is told to."""

    def __init__(self, scene: Scene, home: Home) -> None:
        self._scene = scene
        self._home = home
        self._random = Random(f"way of seed {scene.setup.seed} to {home.name}")

    @property
    def clock(self) -> VirtualClock:
        return self._scene.clock

    def handle(self, request: Request) -> Response:
        home, scene = self._home, self._scene
        assert home.current is not None
        run = home.current
        self._hold_up()
        exchange = Exchange(run=run, arrived=self.clock.monotonic(), writes=CONTACT_UPDATE.encode() in request.body)
        scene.at_work.exchange = exchange
        home.burn("request")
        if scene.renamed and request.headers.get("host") == OLD_HOST:
            scene.count["302 after the rename"] += 1
            return Response(status=302, body=b"", headers={"Location": f"https://{NEW_HOST}{request.path}"})
        home.counts = _HOW_MANY in request.body
        home.count_contacts()
        before = len(run.deeds)
        response = scene.portal.handle(request)
        self._put_back(run.deeds[before:])
        home.count_contacts()
        home.counts = False
        home.burn("request")
        self._hold_up()
        return response

    def _put_back(self, deeds: list[Deed]) -> None:
        """Let somebody put back what was just written, whether or not the worker ever learns that it was."""
        written = [deed for deed in deeds if not deed.noop]
        if self._scene.setup.reversals and not self._scene.calm and written and self._random.random() < 0.3:
            deed = self._random.choice(written)
            if self._scene.contact(deed.contact) == (deed.company, deed.after):
                self._scene.portal.people.edit_contact(deed.contact, CLEO, assigned_by_id=deed.before)
                self._scene.count["act put back at once"] += 1

    def _hold_up(self) -> None:
        if not self._scene.calm and (seconds := self._scene.setup.delay(self._random)):
            self._scene.count["held up on the way"] += 1
            self.clock.sleep(seconds)


class Stopping(httpx.BaseTransport):
    """Stops the worker's process for a while, before a request leaves and before its answer is read (SIGSTOP)."""

    def __init__(self, scene: Scene, home: Home) -> None:
        self._scene = scene
        self._far = InProcessTransport(Line(scene, home))
        self._random = Random(f"stops of seed {scene.setup.seed} in {home.name}")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._stop()
        response = self._far.handle_request(request)
        self._stop()
        return response

    def _stop(self) -> None:
        if not self._scene.calm and (seconds := self._scene.setup.stop(self._random)):
            self._scene.count["process stopped for a while"] += 1
            self._scene.clock.sleep(seconds)


class Home:
    """One installation of the worker: a journal, and the process that runs beside it."""

    def __init__(self, scene: Scene, name: str, folder: Path, *, shares: Home | None = None) -> None:
        self.scene = scene
        self.name = name
        self.folder = folder
        if shares is None:
            shutil.copy(template(), folder / "journal.db")
        self._file = sqlite3.connect(folder / "journal.db", check_same_thread=False, isolation_level=None)
        #: All that one journal knows is known together.
        self.runs: list[Run] = shares.runs if shares else []
        self.approved: set[Key] = shares.approved if shares else set()
        #: Whether a request is under way that asks how many linked contacts there are.
        self.counts = False
        #: When they were counted, and how many there were.
        self.counted: list[tuple[float, int]] = shares.counted if shares else []
        self.current: Run | None = None
        #: What ends the process, and after how many more of it: requests (before, after) or transactions.
        self.fuse: tuple[str, int] | None = None
        self.dead = False
        self.restarts = -1
        self.start()

    def start(self) -> None:
        """Start a process."""
        scene, setup = self.scene, self.scene.setup
        self.dead, self.fuse, self.busy = False, None, False
        self.restarts += 1
        self.clock = VirtualClock(scene.clock.timeline)
        burst, per_second = setup.bucket or (None, None)
        client = Client(
            parse_webhook(f"https://{OLD_HOST}{scene.portal.webhook_path}", ()),
            http_client(
                connect_timeout=10,
                read_timeout=setup.read_timeout if setup.timeouts else None,  # type: ignore[arg-type] # as direct as can be
                transport=Stopping(scene, self),
            ),
            clock=self.clock,
            throttle=Throttle(self.clock, burst=burst, per_second=per_second, margin=0.2),
            budget=Budget(self.clock, limit=setup.operating),
            limits=Limits(lanes=setup.lanes, read_timeout=setup.read_timeout),
            random=Random(setup.seed),
        )
        self.journal: Journal = open_journal(f"sqlite:///{self.folder / 'journal.db'}", self.clock)
        share_statements(self.journal)
        # Once for each transaction. An event of the engine itself would make each of its statements dearer.
        event.listen(self.journal._database.engine.pool, "checkout", self._began)
        self.worker = RunContext(
            portal="portal",
            client=client,
            journal=self.journal,
            clock=self.clock,
            rules=setup.rules,
            chunks=setup.chunks,
            tactics=setup.tactics,
        )

    def restart(self) -> None:
        """End the process, if it has not ended, and start another one."""
        self.close()
        self.start()

    def close(self) -> None:
        """End the process."""
        # A killed one has let no connection go, and whoever listens to their pool would stay with them for ever.
        event.remove(self.journal._database.engine.pool, "checkout", self._began)
        self.journal.close()
        self.worker.client.__exit__()

    def forget(self) -> None:
        """Close what is open beside the process."""
        self.close()
        self._file.close()

    def burn(self, what: str) -> None:
        """Come nearer to the end of the process; `Killed` at it, and at whatever is done after it."""
        if self.busy and self.fuse is not None and self.fuse[0] == what:
            self.fuse = (what, self.fuse[1] - 1)
            self.dead = self.dead or self.fuse[1] < 0
        if self.dead:
            raise Killed

    def intends(self, run: int, contact: int) -> bool:
        """Ask the journal's file whether this change is about to be made."""
        asked = "SELECT count(*) FROM change WHERE run_id = ? AND contact_id = ? AND result IS NULL"
        return bool(self._file.execute(asked, (run, contact)).fetchone()[0])

    def _began(self, *_: object) -> None:
        self.burn("transaction")

    def work(self, **order: Any) -> Run | None:
        """Run once; None where another one holds the lease. A killed process is started anew."""
        if self.busy:  # a process does one thing at a time
            return None
        scene = self.scene
        swept_before = bool(self._file.execute("SELECT count(complete_since) FROM sweep_progress").fetchone()[0])
        run = Run(
            home=self,
            number=0,
            began=scene.clock.monotonic(),
            undo="undo" in order,
            part="scope" in order,
            approved=set(self.approved),
            contacts=scene.linked(),
            swept_before=swept_before,
        )
        begin = self.journal.begin

        def begins(**values: Any) -> int:
            run.number = begin(**values)
            self.runs.append(run)
            self.current = run
            return run.number

        self.busy = True
        self.journal.begin = begins  # type: ignore[method-assign] # to know when the lease is ours
        try:
            run.finished = reconcile(self.worker, RunRequest(**({"command": "chaos", "lease_wait": 0.0} | order)))
        except LeaseHeldError as error:
            scene.sentence(error)
            return None
        except Stopped:  # while it waited for the lease; no run has begun
            return None
        except (Killed, ReconcilerError) as end:
            run.failure = end
            if isinstance(end, ReconcilerError):
                scene.sentence(end)
        finally:
            self.busy, self.fuse = False, None
            run.ended = scene.clock.monotonic()
            self.journal.begin = begin  # type: ignore[method-assign]
        self._count(run)
        return run

    def _count(self, run: Run) -> None:
        """Note how a run ended, and which approvals it has used up."""
        count = self.scene.count
        if run.finished is not None:
            count[f"run {run.finished.report.status.value}"] += 1
            if run.finished.failure is not None:
                self.scene.sentence(run.finished.failure)
            for result, number in run.finished.report.outcomes.items():
                count[f"outcome {result.value}"] += number
        elif not self.dead:
            count["run could not begin"] += 1
        if self.dead:
            count["killed"] += 1
            self.restart()
        run.approved |= self.approved  # also what was approved while it waited for the lease, or read
        done = {(d.contact, d.after) for d in run.deeds}
        self.approved -= {key for key in self.approved if (key[0], key[3]) in done}

    def count_contacts(self) -> None:
        """Write down how many linked contacts there are now, where this installation is asking for it."""
        if self.counts:
            self.counted.append((self.scene.clock.monotonic(), self.scene.linked()))

    def approve(self, digest: str) -> None:
        """Say yes to a set of changes, as `reconciler approve` does."""
        record = self.journal.approvals.approve("portal", digest, by="Ada", how="on the command line")
        if hasattr(record, "digest"):
            self.approved.update(self.journal.approvals.keys(record))
            self.scene.count["approved"] += 1


class Scene:
    """A portal with people, faults and installations, all on one virtual time."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.folder = folder
        self.clock = VirtualClock(Timeline())
        self.office = Office(
            clock=self.clock,
            bucket=LeakyBucket(self.clock, *setup.bucket) if setup.bucket else None,
            meter=OperatingMeter(self.clock, setup.model, setup.operating, setup.ban),
            costs=CostModel(setup.profile, seed=setup.seed),
            token=TOKEN,
            scopes=("crm", "user", "department"),
            update_path=setup.update_path,
        )
        self.portal = self.office.portal
        self.portal.clock_offset = setup.clock_offset
        self.renamed = False
        #: Nothing goes wrong any more.
        self.calm = False
        #: Whether the bucket or the seconds were used by another program.
        self.others_at_work = False
        self.at_work = threading.local()
        self.count: dict[str, int] = Counts()
        self.deeds: list[Deed] = []
        self.touches: list[Touch] = []
        #: Contact -> when a person last saved its card with something else than an owner.
        self.edited: dict[int, float] = {}
        #: User -> when he or she was dismissed.
        self.dismissed: dict[int, float] = {GONE: 0.0}
        #: What was said in errors.
        self.said: list[str] = []
        #: What nobody expected: exceptions of runs beside the main one.
        self.escaped: list[BaseException] = []
        self._people()
        edits = self.portal._edits
        edits.history = Tape(self._edited)
        self._carry_out = edits.through_rest
        edits.through_rest = self._through_rest  # type: ignore[method-assign]
        self.portal.faults = _Faults(self)
        self.portal._executor = _watched(self.portal._executor, self)
        self.homes = [Home(self, "main", folder)]

    @property
    def main(self) -> Home:
        return self.homes[0]

    def _people(self) -> None:
        office = self.office
        for number, name in ((CLEO, "Cleo"), (DORA, "Dora"), (DAN, "Dan"), (LEAVER, "Lee")):
            office.user(number, name=name)
        office.user(GONE, name="Gil", active=0)
        office.user(BOT, name="Bot", departments="[]", user_type="bot")
        office.database.insert("department", id=1, name="All", head=DAN)

    def fit(self, user: int) -> bool:
        """Tell whether somebody may own records now."""
        row = self.portal.database.row("SELECT active, departments FROM user WHERE id = ?", (user,))
        return row is not None and bool(row["active"]) and row["departments"] != "[]"

    def contact(self, number: int) -> tuple[int, int] | None:
        """Return a contact's company and owner; None: it is not there."""
        row = self.portal.database.row("SELECT company_id, assigned_by_id FROM contact WHERE id = ?", (number,))
        return None if row is None else (row["company_id"] or 0, row["assigned_by_id"])

    def linked(self) -> int:
        """Return how many contacts have a company."""
        count = "SELECT count(*) FROM contact WHERE company_id > 0 AND category_id = 0"
        return int(self.portal.database.count(count)[0])

    def owner_of_company(self, number: int) -> int:
        """Return a company's owner; 0 for none, or no such company."""
        row = self.portal.database.row("SELECT assigned_by_id FROM company WHERE id = ?", (number,))
        return 0 if row is None else int(row["assigned_by_id"])

    def touch(self, entity: str, number: int, what: str, owner: int | None = None) -> None:
        """Write down what somebody did."""
        self.touches.append(Touch(at=self.clock.monotonic(), entity=entity, id=number, what=what, owner=owner))

    def sentence(self, error: BaseException) -> None:
        """Write down what a user would read."""
        self.said.append(str(error))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen at a moment of the future, whoever is at work then."""

        def act() -> None:
            try:
                action()
                for home in self.homes:  # the request under way may count before that, or after
                    home.count_contacts()
            except BaseException as failure:  # noqa: BLE001 - told at the end of the seed
                self.escaped.append(failure)

        self.clock.call_later(seconds, act)

    def load(self, faults: Iterable[dict[str, Any]]) -> None:
        """Let other things go wrong from now on; count what did so far."""
        script = self.portal.faults
        for fault, times in zip(script._faults, script._happened, strict=True):
            self.count[f"fault {fault.kind}"] += times
        script.load(list(faults))

    def close(self) -> None:
        for home in self.homes:
            home.forget()
        self.portal.database.close()

    # The record

    def _edited(self, edit: Edit) -> None:
        """Write down a person's edit of an owner; what installations write is in their deeds."""
        if edit.source == "person" and edit.field == "ASSIGNED_BY_ID":
            self.touch(edit.entity, edit.id, "owner", edit.after)
        elif edit.source == "person" and edit.entity == "contact":
            self.edited[edit.id] = self.clock.monotonic()

    def _through_rest(self, entity: Any, record_id: int, wish: Any, **how: Any) -> None:
        """Write down what an update finds, then let it be carried out."""
        exchange: Exchange = self.at_work.exchange
        found = self.contact(record_id) if entity.name == "contact" else None
        assert found is not None, f"an update of {entity.name} {record_id}, which nobody asked for"
        if not wish.columns:  # the new owner was dismissed since the plan, so the portal drops the number
            self.count["dismissed before the write"] += 1
            self._carry_out(entity, record_id, wish, **how)
            return
        assert set(wish.columns) == {"assigned_by_id"}, f"an update of {wish}"
        company, owner = found
        deed = Deed(
            run=exchange.run,
            sent=exchange.arrived,
            at=self.clock.monotonic(),
            contact=record_id,
            before=owner,
            after=wish.columns["assigned_by_id"],
            company=company,
            company_owner=self.owner_of_company(company),
            intended=exchange.run.home.intends(exchange.run.number, record_id),
            fit=self.fit(wish.columns["assigned_by_id"]),
            check=exchange.checks.get(record_id),
        )
        self.deeds.append(deed)
        exchange.run.deeds.append(deed)
        self._carry_out(entity, record_id, wish, **how)


class Counts(dict):  # type: ignore[type-arg]
    """How often each thing happened."""

    def __missing__(self, _what: str) -> int:
        return 0


class _Faults(Faults):
    """Leaves the conditions of a list alone that stands in front of a write.

    No portal is known to ignore a condition on these fields, and one that does fails each sweep before it plans.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    def for_call(self, number: int, target: Target, *, named: bool = False) -> list[Fault]:
        due = super().for_call(number, target, named=named)
        exchange: Exchange | None = getattr(self._scene.at_work, "exchange", None)
        writes = exchange is not None and exchange.writes
        return [fault for fault in due if not (writes and fault.kind == "dropped_filter")]


def _watched(executor: Executor, scene: Scene) -> Executor:
    """Let an executor write down what the preconditions of writes find at the moment when they are read."""

    def happen(fault: Fault) -> None:
        executor.happen(fault)
        scene.at_work.exchange.read()

    class Watched(Executor):
        def run(self, visit: Any, method: str, params: Any, position: int | None = None) -> Any:
            exchange: Exchange = scene.at_work.exchange
            exchange.read = partial(_read, scene, exchange, method, params) if exchange.writes else lambda: None
            exchange.read()
            try:
                return super().run(visit, method, params, position)
            finally:
                exchange.read = lambda: None

    return Watched(**{f.name: getattr(executor, f.name) for f in fields(executor)} | {"happen": happen})


def _read(scene: Scene, exchange: Exchange, method: str, params: Any) -> None:
    """Note what a precondition finds: the owners of companies, or one contact."""
    condition = params.get("filter")
    if method == COMPANY_LIST:
        companies = [int(number) for number in condition.get("@ID").values()]
        exchange.owners |= {number: scene.owner_of_company(number) for number in companies}
    elif method == CONTACT_LIST and condition.get("ID") is not None:
        number = int(condition.get("ID"))
        exchange.checks[number] = Check(
            began=exchange.arrived,
            arrived=scene.clock.monotonic(),
            contact=scene.contact(number),
            owners=dict(exchange.owners),
        )
