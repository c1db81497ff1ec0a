"""What the worker's client says to the embedded portal over HTTP, to be recorded and played back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import vcr
from contract.cassette_files import WEBHOOK_URL, load
from contract.replay import sent
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import client_on

from reconciler.clock import VirtualClock
from reconciler.portal.rest.batch_codec import Command
from reconciler.portal.rest.connection import http_client
from reconciler.simulator.meters import LeakyBucket, OperatingMeter, OperatingModel
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Headers that say something about the portal; the others are those of the moment.
_KEPT = ("content-type", "content-length")


def office(**options: Any) -> Office:
    """Return a portal with two companies and 60 contacts, three of which have another owner than their company."""
    made = Office(**options)
    made.company(10, owner=ANN, title='Ann & "Sons"')
    made.company(11, owner=BOB, title="Боб/Bob", is_my_company="Y")
    made.contacts(60, owner=ANN, company=10)
    for contact_id in (3, 30, 51):
        made.database.write("UPDATE contact SET assigned_by_id = ? WHERE id = ?", (BOB, contact_id))
    return made


def metered() -> Office:
    """Return the same portal with limits: three requests at once, and two seconds of a method in ten minutes."""
    clock = VirtualClock()
    bucket, meter = LeakyBucket(clock, 3, 2), OperatingMeter(clock, OperatingModel.DOCS, 2, ban=False)
    return office(clock=clock, bucket=bucket, meter=meter, faults=[{"kind": "slow", "method": "crm.contact.list"}])


@dataclass(frozen=True, kw_only=True)
class Session:
    """Batches, one after the other, and the portal to which they are sent."""

    name: str
    title: str
    batches: tuple[tuple[Command, ...], ...]
    office: Callable[[], Office] = field(default=office)


def _list(what: str, **params: Any) -> Command:
    return Command(f"crm.{what}.list", {"order": {"ID": "ASC"}, "start": -1, **params})


def _contact(*select: str) -> Mapping[str, Any]:
    return {"select": ["ID", *select]}


def _update(contact_id: int, owner: int) -> Command:
    fields = {"fields": {"ASSIGNED_BY_ID": owner}, "params": {"REGISTER_SONET_EVENT": "N"}}
    return Command("crm.contact.update", {"id": contact_id, **fields})


_LOOK = _list("contact", filter={"@ID": [3, 30]}, select=["ID", "COMPANY_ID", "ASSIGNED_BY_ID", "DATE_MODIFY"])
SESSIONS = (
    Session(
        name="sweep",
        title="windows of companies and contacts, the drift query, users, the portal's time",
        batches=(
            (
                Command("server.time", {}),
                Command("profile", {}),
                _list("company", filter={">ID": 0, "<=ID": 50}, select=["ID", "ASSIGNED_BY_ID", "TITLE"]),
                _list("contact", filter={">ID": 0, "<=ID": 50, "!COMPANY_ID": 0}, select=["ID", "ASSIGNED_BY_ID"]),
                _list("contact", filter={">ID": 50, "<=ID": 100}, select=["ID", "DATE_MODIFY"]),
                _list("contact", filter={">ID": 100}),
            ),
            (
                _list("contact", filter={"@COMPANY_ID": [10], "!ASSIGNED_BY_ID": ANN}, select=["ID", "ASSIGNED_BY_ID"]),
                _list("company", filter={">=DATE_MODIFY": "2026-01-01T00:00:00+03:00"}),
                Command("user.get", {"FILTER": {"ID": [ANN, BOB, 99]}}),
                Command("crm.contact.list", {"start": 0, "select": ["ID"]}),
            ),
        ),
    ),
    Session(
        name="write",
        title="a look, updates, and a look at what became of them; one contact is gone",
        batches=((_LOOK,), (_update(3, ANN), _update(30, ANN), _update(99, ANN), _LOOK)),
    ),
    Session(
        name="refused-commands",
        title="commands that are refused, beside one that is not",
        batches=(
            (
                Command("crm.contact.nothing", {}),
                Command("crm.contact.get", {"id": 99}),
                Command("department.get", {}),
                Command("batch", {}),
                Command("crm.contact.get", {"id": 3}),
            ),
        ),
    ),
    Session(
        name="limits",
        title="a method whose seconds are used up, then a full bucket",
        office=metered,
        batches=(
            tuple(_list("contact", filter={"ID": contact_id}, select=["ID"]) for contact_id in (1, 2, 3)),
            (_list("contact", select=["ID"]), Command("profile", {})),
            *((Command("server.time", {}),) for _ in range(3)),
        ),
    ),
    Session(
        name="deleted-webhook",
        title="a webhook that somebody deletes",
        office=lambda: office(faults=[{"kind": "token_revoked", "request": 2}]),
        batches=((Command("profile", {}),), (Command("profile", {}),)),
    ),
    Session(
        name="web-server",
        title="the web server answers instead of the portal",
        office=lambda: office(faults=[{"kind": "html_502", "request": 1}, {"kind": "empty_answer", "request": 2}]),
        batches=((Command("profile", {}),), (Command("profile", {}),), (Command("profile", {}),)),
    ),
)


def record(session: Session) -> list[dict[str, Any]]:
    """Let the worker's client send the session over HTTP, and return what was said, at the address of all cassettes."""
    portal = session.office().portal
    with TemporaryDirectory() as folder, serve(portal) as address:
        http = http_client(connect_timeout=5, read_timeout=5, transport=httpx.HTTPTransport())
        worker = client_on(http, VirtualClock(), webhook=address.webhook_url, attempts=1)
        tape = vcr.VCR(record_mode="all", cassette_library_dir=folder)
        with http, tape.use_cassette("session.yaml"):
            for commands in session.batches:
                sent(worker, commands)

        entries = load(Path(folder, "session.yaml"))["interactions"]
    for entry in entries:
        entry["request"]["uri"] = entry["request"]["uri"].replace(address.webhook_url, WEBHOOK_URL)
        entry["request"]["headers"] = {"Content-Type": ["application/json"]}
        headers = entry["response"]["headers"]
        entry["response"]["headers"] = {name: headers[name] for name in headers if name.lower() in _KEPT}
    return entries
