"""One episode: the program at work against a portal whose answers cannot be trusted, and what must hold then.

Between the client and the answers there is no HTTP, for speed; all else is the program as it is.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite
from random import Random
from typing import TYPE_CHECKING, Any

import structlog
from hostile.answers import FLAG, NEW, UPDATE, TinyPortal, honest, hostile

from reconciler.clock import VirtualClock
from reconciler.core.companies import Roster, Strategy
from reconciler.core.model import Change, Mismatch, Outcome, Result, Rule
from reconciler.core.notifications import Kind, Notification
from reconciler.core.plan import make_plan
from reconciler.core.policy import Case, DismissedOwner, MultiCompany, Policies
from reconciler.errors import PortalError, ReconcilerError
from reconciler.portal.diagnosis import diagnose
from reconciler.portal.entities import BATCH_COMMANDS
from reconciler.portal.notices import notify
from reconciler.portal.read.details import DetailOptions
from reconciler.portal.read.people import read_users
from reconciler.portal.read.sweep import Reader, Scope, SweepOptions
from reconciler.portal.rest.batch_codec import Found
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.portal.write.writer import ChunkLimits, Writer, settle_open
from reconciler.settings.address import parse_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.core.snapshot import Snapshot
    from reconciler.portal.rest.batch_codec import Answer, BatchAnswer, Command

WEBHOOK = parse_webhook("https://acme.bitrix24.ru/rest/1/simulatedtoken0/")
HTTP = http_client(connect_timeout=1, read_timeout=1)
#: The largest number that the journal can hold.
LARGEST = 2**63 - 1
_SILENT = {"REGISTER_SONET_EVENT": "N"}
#: More requests than this are an endless loop.
MOST_REQUESTS = 20_000
#: When each contact of the tiny portal was last changed.
MODIFIED = datetime.fromisoformat(NEW)


class Broken(AssertionError):  # noqa: N818 - a finding, not an error of the program
    """Something that must hold does not."""


class Line:
    """Where requests go: to a tiny portal, and something happens to some of its answers on the way back."""

    webhook = WEBHOOK

    def __init__(self, random: Random, clock: VirtualClock, depart: Callable[[], None]) -> None:
        self.random = random
        self.clock = clock
        self._depart = depart
        self.portal = TinyPortal(random)
        #: Share of answers that are tampered with.
        self.share = 0.0
        self.hostile = 0
        self.requests = 0
        self.commands: Sequence[Command] = ()
        #: Contact -> what the latest answer about it said, literally: its company and owner.
        self.contacts: dict[int, tuple[str, str] | None] = {}
        self.owners: dict[int, str | None] = {}
        #: Contact -> the change that may be written.
        self.planned: dict[int, Change] = {}

    def post(self, _body: bytes, _seconds: float | None = None) -> tuple[int, bytes]:
        self._depart()
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            raise Broken(f"{self.requests} requests, and no end")
        for index, command in enumerate(self.commands):
            if command.method == UPDATE:
                self._must_have_a_precondition(index)
        answer = honest(self.portal, self.commands)
        if self.random.random() >= self.share:
            status, body = 200, json.dumps(answer).encode()
        else:
            self.hostile += 1
            status, body = hostile(self.random, answer)
        self._note(body)
        return status, body

    def _must_have_a_precondition(self, index: int) -> None:
        """No row, no write: in front of an update stands what it was planned to overwrite, word for word."""
        params: Any = self.commands[index].params
        if params["id"] != Found(index - 1, (0, "ID")):
            raise Broken(f"{params} is written without a precondition")
        condition: Any = self.commands[index - 1].params["filter"]
        change = self.planned[condition["ID"]]
        owner = change.after if change.rule is Rule.COMPANY_OWNER else change.company_owner
        of_company: Any = self.commands[condition["=COMPANY_ID"].command].params["filter"]
        shown = (condition["COMPANY_ID"], condition["ASSIGNED_BY_ID"], of_company["ASSIGNED_BY_ID"])
        if shown != (change.company, change.before, owner) or change.company not in of_company["@ID"]:
            raise Broken(f"{change} is written on a precondition of {shown}")
        if change.rule is Rule.COMPANY_OWNER and params["fields"] != {"ASSIGNED_BY_ID": change.after}:
            raise Broken(f"{params} is no update of {change}")
        if params["params"] != _SILENT:
            raise Broken(f"{params} is no silent update")

    def _note(self, body: bytes) -> None:
        """Write down what an answer says of contacts and companies."""
        try:
            results = json.loads(body)["result"]["result"]
        except (ValueError, KeyError, TypeError, RecursionError):
            results = {}
        for index, command in enumerate(self.commands):
            rows = results.get(f"c{index}") if isinstance(results, dict) else None
            asked: Any = command.params.get("filter", {})
            if command.method not in {"crm.contact.list", "crm.company.list"} or "@ID" not in asked:
                continue
            by_id = {
                str(row.get("ID")): row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)
            }
            for number in asked["@ID"]:
                row = by_id.get(str(number))
                if command.method == "crm.company.list":
                    self.owners[number] = None if row is None else str(row.get("ASSIGNED_BY_ID"))
                else:
                    self.contacts[number] = row and (str(row.get("COMPANY_ID")), str(row.get("ASSIGNED_BY_ID") or 0))

    def hang_up(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """Nothing is open."""


class TamperedClient(Client):
    """The client, with such a line."""

    def __init__(self, random: Random, clock: VirtualClock) -> None:
        super().__init__(
            WEBHOOK,
            HTTP,
            clock=clock,
            throttle=Throttle(clock, burst=50, per_second=2, margin=0.2),
            budget=Budget(clock, limit=480),
            limits=Limits(attempts=random.choice((1, 2, 6)), lanes=1),
            random=Random(1),
            nonce=str,
        )
        self.line = Line(random, clock, self._depart)
        self._line = self.line  # type: ignore[assignment] # what goes out

    def send(self, commands: Sequence[Command]) -> BatchAnswer:
        self.line.commands = commands
        self._clock.sleep(0.05)
        return super().send(commands)


class HastyClient(TamperedClient):
    """The same without pacing and repetition, which say nothing about answers: ten times as many in the same time."""

    def ask(self, commands: Sequence[Command]) -> list[Answer | PortalError]:
        return [
            answer
            for start in range(0, len(commands), BATCH_COMMANDS)
            for answer in self.send(commands[start : start + BATCH_COMMANDS]).answers
        ]

    def read_together(self, commands: Sequence[Command]) -> list[Answer]:
        return self.read(commands)

    def send(self, commands: Sequence[Command]) -> BatchAnswer:
        self.line.commands = commands
        status, body = self.line.post(b"")
        return self._decode(body, status, len(commands), "")


def episode(seed: int) -> int:
    """Run an episode; return how many answers were tampered with. Raises what the program should not let out."""
    structlog.configure(processors=[_drop])
    random = Random(seed)
    clock = VirtualClock()
    hasty = seed % 8 > 0
    client = HastyClient(random, clock) if hasty else TamperedClient(random, clock)
    for _ in range(30 if hasty else 1):
        client.line.share = random.choice((0.1, 0.3, 0.5, 0.7, 1.0))
        random.choice(_ACTS)(random, client, clock)
    _sound(client.usage, "usage")
    if clock.monotonic() > 40 * 3600:
        raise Broken(f"{clock.monotonic():.0f} seconds went by")
    return client.line.hostile


def _sweeps(random: Random, client: TamperedClient, clock: VirtualClock) -> None:
    """Look at the portal, perhaps knowing it already; write what the look calls for."""
    wants = DetailOptions(
        contact_field=FLAG if random.random() < 0.3 else "",
        company_field=FLAG if random.random() < 0.3 else "",
        links=random.random() < 0.6,
        heads=random.random() < 0.4,
        successor=random.choice((0, 3)),
    )
    strategy = random.choice((None, None, Strategy.DRIFT, Strategy.PAGES))
    reader = Reader(
        client, lambda *_: None, SweepOptions(strategy=strategy, relist=timedelta(hours=random.choice((1, 6))))
    )
    scope = random.choice(
        (Scope(), Scope(), Scope(), Scope(companies=(5,)), Scope(owners=(2,)), Scope(companies=(5,), owners=(1,)))
    )
    roster = _known(random, client.line.portal) if random.random() < 0.5 else None
    try:
        snapshot = reader.sweep(scope, wants, roster)
    except ReconcilerError as error:
        _sayable(error)
        return
    _believable(snapshot)
    policies = Policies(
        multi_company=random.choice([*MultiCompany]),
        dismissed_owner=DismissedOwner.HEAD if wants.heads else DismissedOwner.REPORT,
    )
    plan = make_plan(Case(snapshot=snapshot, policies=policies), portal="acme", limit=None)
    _write(client, clock, plan.changes[:30])


def _known(random: Random, portal: TinyPortal) -> Roster:
    """Return a roster of an hour ago, with a company more or less."""
    owners = {company: owner for company, owner in portal.companies.items() if random.random() < 0.9}
    at = datetime(2025, 12, 31, 23, 59 - random.choice((0, 5)), tzinfo=UTC)
    return Roster(owners=owners, refreshed_at=at, listed_at=at, contacts=len(portal.contacts))


def _writes(random: Random, client: TamperedClient, clock: VirtualClock) -> None:
    """Carry out a plan that was right when it was made."""
    portal = client.line.portal
    changes = [
        Change(contact=contact, company=company, before=owner, after=portal.companies[company], modified=MODIFIED)
        for contact, (company, owner) in portal.contacts.items()
        if company in portal.companies and portal.companies[company] != owner
    ]
    random.shuffle(changes)
    _write(client, clock, changes[:40])


def _write(client: TamperedClient, clock: VirtualClock, changes: Sequence[Change]) -> None:
    """Write, and hold each outcome against what the portal last said."""

    def settle(outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            _sound(outcome, "outcome")
            seen = client.line.contacts.get(outcome.change.contact)
            done = outcome.result in {Result.APPLIED, Result.ALREADY}
            if done and (seen is None or seen[1] != str(outcome.change.after)):
                raise Broken(f"{outcome.change} is called {outcome.result}, and the portal said {seen}")

    client.line.planned = {change.contact: change for change in changes}
    writer = Writer(client, clock, ChunkLimits(), intend=lambda _: None, settle=settle)
    try:
        writer.apply(changes)
    except ReconcilerError as error:
        _sayable(error)


def _looks_back(random: Random, client: TamperedClient, _clock: VirtualClock) -> None:
    """Find out what became of writes that an earlier run left open; ask for people."""
    changes = [
        Change(contact=contact, company=company, before=owner or 1, after=(owner or 1) + 1)
        for contact, (company, owner) in client.line.portal.contacts.items()
    ]
    for act in (
        partial(settle_open, client, changes, most=random.choice((1, 25))),
        partial(read_users, client, random.sample(range(1, 90), 60)),
    ):
        try:
            _sound(act(), "answer")
        except ReconcilerError as error:
            _sayable(error)


def _checks(random: Random, client: TamperedClient, clock: VirtualClock) -> None:
    """Tell how the portal is, and tell people."""
    for finding in diagnose(client, clock.now()):
        _sound(finding, "finding")
        if len(finding.sentence) > 20_000:
            raise Broken("a finding of a whole page")
    matter = Notification(kind=next(iter(Kind)), portal="acme", at=clock.now(), title="T", sentence="S")
    _sound(notify(client, [1, random.randint(2, 9)], [matter]), "notices")


_ACTS = (_sweeps, _sweeps, _sweeps, _writes, _writes, _looks_back, _checks)


def _believable(snapshot: Snapshot) -> None:
    """Hold that a snapshot has what can be stored and shown, and mismatches that are some."""
    _sound(snapshot, "snapshot")
    for mismatch in snapshot.mismatches:
        if not isinstance(mismatch, Mismatch) or mismatch.owner == mismatch.company_owner or mismatch.contact < 1:
            raise Broken(f"{mismatch} is no mismatch")
        if snapshot.roster.get(mismatch.company) != mismatch.company_owner:
            raise Broken(f"{mismatch} is not of the roster")


def _sayable(error: ReconcilerError) -> None:
    """Hold that an error can be told: in a sentence, not a page, and without the token."""
    sentence = str(error)
    _sound(sentence, "sentence")
    if isinstance(error, PortalError):
        _sound(error.code, "code")
    if not sentence or len(sentence) > 20_000 or "simulatedtoken0" in sentence:
        raise Broken(f"not a sentence: {sentence[:200]!r}")


def _sound(value: Any, where: str) -> None:  # noqa: C901, PLR0912 - one branch for each kind
    """All the way down: numbers that a database takes, texts that can be written, moments that exist in UTC."""
    match value:
        case None | bool():
            return
        case int():
            if not -1 <= value <= LARGEST:
                raise Broken(f"{where}: a number of {len(str(value))} digits")
        case float():
            if not isfinite(value):
                raise Broken(f"{where}: {value}")
        case str():
            value.encode()
        case datetime():
            value.astimezone(UTC)
        case dict():
            for key, item in value.items():
                _sound(key, where)
                _sound(item, where)
        case list() | tuple() | frozenset() | set():
            for item in value:
                _sound(item, where)
        case _ if is_dataclass(value):
            for field in fields(value):
                _sound(getattr(value, field.name), f"{where}.{field.name}")


def _drop(_logger: object, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent
