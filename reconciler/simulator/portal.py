"""The embedded portal: a request in, an answer out, with everything between as F says.

`Portal.handle` tells the story in the portal's own order: the edge (rename, rate, body), the address and the method,
then who is calling, then the limits, then the call or the batch. People act through `Portal.people`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reconciler.simulator import batch, errors
from reconciler.simulator.answers import as_html, as_rest, cut, of_own_server, preflight, spoilt
from reconciler.simulator.auth import Access, authorize, require_https
from reconciler.simulator.bell import Bell
from reconciler.simulator.calls import Site
from reconciler.simulator.counters import Counters
from reconciler.simulator.edits import Edits
from reconciler.simulator.errors import RestError
from reconciler.simulator.executor import Executor, TimeUp, Visit, refuse
from reconciler.simulator.faults import Faults, Target
from reconciler.simulator.incoming import Incoming
from reconciler.simulator.introspection import APPLICATION
from reconciler.simulator.methods import CATALOGUE, METHODS
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.people import People
from reconciler.simulator.recycling import RecycleBin
from reconciler.simulator.script import answer_instead, script_for

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.simulator.costs import CostModel
    from reconciler.simulator.database import Database
    from reconciler.simulator.edits import Edit
    from reconciler.simulator.errors import Refusal
    from reconciler.simulator.faults import Fault
    from reconciler.simulator.http import Request, Response
    from reconciler.simulator.meters import LeakyBucket, OperatingMeter
    from reconciler.simulator.php import PhpArray
    from reconciler.simulator.script import Script
    from reconciler.simulator.writes import Write

__all__ = ["Portal", "PortalOptions"]


class Portal:
    """One portal, safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        options: PortalOptions | None = None,
        *,
        clock: Clock,
        bucket: LeakyBucket | None = None,
        meter: OperatingMeter | None = None,
        costs: CostModel | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.database = database
        self.options = options or PortalOptions()
        self.clock = clock
        self.bucket = bucket
        self.faults = faults or Faults()
        #: Seconds by which the portal's clock is ahead of the true time.
        self.clock_offset = 0.0
        #: Whether the webhook was deleted.
        self.revoked = False
        self._utc_offset = round(self.options.utc_offset * 3600)
        self._counters = Counters()
        templates = self.options.workflow_templates
        self._edits = Edits(database, lambda: int(self.wall()), self.options.update_path, templates)
        recycle_bin = RecycleBin(database)
        #: The notifications that people see.
        self.bell = Bell()
        self._executor = Executor(
            site=Site(
                database=database,
                edits=self._edits,
                bin=recycle_bin,
                templates=templates,
                methods=CATALOGUE,
                bell=self.bell,
            ),
            clock=clock,
            ahead=lambda: self.clock_offset,
            utc_offset=self._utc_offset,
            faults=lambda: self.faults,
            counters=self._counters,
            meter=meter,
            costs=costs,
            happen=self._happen,
        )
        #: The people who work in this portal, and what they do there.
        self.people = People(database, self._edits, recycle_bin)

    @property
    def meter(self) -> OperatingMeter | None:
        """The operating meter this portal was built with."""
        return self._executor.meter

    @property
    def costs(self) -> CostModel | None:
        """The cost model this portal was built with."""
        return self._executor.costs

    def wall(self) -> float:
        """Return the portal's own time of day, in epoch seconds."""
        return self.clock.now().timestamp() + self.clock_offset

    @property
    def webhook_path(self) -> str:
        """The path of the webhook, with a slash at its end."""
        return f"/rest/{self.options.user_id}/{self.options.token}/"

    @property
    def history(self) -> list[Edit]:
        """Every change of a field, in order, through REST or by a person."""
        with self.database.lock:
            return list(self._edits.history)

    @property
    def writes(self) -> list[Write]:
        """Every update through REST, with the moment when the record had been read and what others did since."""
        with self.database.lock:
            return list(self._executor.site.writes.list)

    def stats(self) -> dict[str, Any]:
        """Return what the portal counted, and how much drift there is now."""
        with self.database.lock:
            edits = self._edits
            done = {
                "updates_applied": edits.applied,
                "noop_updates": edits.noop,
                "notices": edits.notices,
                "workflows_started": edits.workflows,
                "conditional": self._executor.site.writes.gap(),
            }
        return {
            **self._counters.snapshot(),
            "operating_seconds": self.meter.used() if self.meter is not None else {},
            **done,
            "drift": self.drift(),
        }

    def drift(self) -> int:
        """Count the standard contacts whose primary company, not one of our own, has another owner."""
        return self.database.count(
            "SELECT COUNT(*) FROM contact JOIN company ON company.id = contact.company_id"
            " WHERE contact.category_id = 0 AND company.is_my_company = 'N'"
            " AND contact.assigned_by_id <> company.assigned_by_id"
        )[0]

    def reset(self) -> None:
        """Start counters, history, faults and limits again; the data stay."""
        self._counters.forget()
        self._edits.forget()
        self._executor.site.writes.forget()
        self._executor.site.handlers.clear()
        self.bell.shown.clear()
        self.faults.replace()
        self.revoked = False
        if self.bucket is not None:
            self.bucket.reset()
        if self.meter is not None:
            self.meter.reset()

    def handle(self, request: Request) -> Response:
        """Answer one HTTP request."""
        number = self._counters.request()
        incoming = Incoming(request, self.options.max_input_vars)
        self._travel()
        script = script_for(self.faults, number, incoming)
        for fault in script.before:
            self._happen(fault)
        # A request that a fault keeps from being carried out has no answer of its own; the fault's follows.
        response = cut() if script.skips() else self._answer(number, incoming, script)
        if script.instead is not None:
            response, error = answer_instead(script.instead, self.options.auth_statuses)
            if error is not None:
                self._counters.rejected(error)
        for fault in script.after:
            self._happen(fault)
        self._travel()
        if self.options.self_hosted:
            response = of_own_server(response)
        return spoilt(response, script.spoils)

    def _travel(self) -> None:
        """Spend half of the way there and back."""
        if self.costs is not None and self.costs.network:
            self.clock.sleep(self.costs.network / 2)

    def _answer(self, number: int, incoming: Incoming, script: Script) -> Response:
        """Go from the edge to the portal's code."""
        try:
            return self._at_the_edge(incoming) or self._call(number, incoming, script)
        except RestError as error:
            return self._refused(error.refusal, incoming)
        except TimeUp:
            return as_html(504, "Gateway Time-out")

    def _at_the_edge(self, incoming: Incoming) -> Response | None:
        """Answer what never reaches the portal's code: the web server before it does."""
        options, request = self.options, incoming.request
        if options.moved_to is not None:
            query = f"?{request.query}" if request.query else ""
            return as_html(302, "Moved", {"Location": f"https://{options.moved_to}{request.path}{query}"})
        if options.maintenance:
            return as_html(502, "Bad Gateway")
        if self.bucket is not None and not self.bucket.admit(request.source):
            raise RestError(errors.QUERY_LIMIT)
        if len(request.body) > options.max_body:
            return as_html(413, "Request Entity Too Large")
        if incoming.address is None:
            return as_html(404, "Not Found")
        return preflight() if request.method == "OPTIONS" else None

    def _call(self, number: int, incoming: Incoming, script: Script) -> Response:
        """Check who calls what, in the portal's order, and carry it out."""
        started, begun = self.wall(), self.clock.monotonic()
        address = incoming.address
        if address is None or address.transport not in ("json", "xml"):
            raise RestError(errors.WRONG_TRANSPORT)
        method = address.method
        # Before any authorization: a wrong method on a wrong webhook is an unknown method (F6).
        if method != batch.NAME and method not in METHODS:
            raise RestError(errors.METHOD_NOT_FOUND)
        if self.options.https_required:
            require_https(incoming.scheme)
        caller = authorize(self.database, self._access(), address, incoming.params, incoming.bearer)
        visit = Visit(number=number, caller=caller, deadline=begun + self.options.request_seconds)
        if self.costs is not None and self.costs.request_overhead:
            self.clock.sleep(self.costs.request_overhead)
        working = self.clock.monotonic()
        if method == batch.NAME:
            body: dict[str, Any] = {"result": self._batch(visit, incoming.params, script)}
        else:
            answer = self._executor.run(visit, method, incoming.params)
            body = {"result": answer.result.value}
            if answer.result.next is not None:
                body["next"] = answer.result.next
            if answer.result.total is not None:
                body["total"] = answer.result.total
        now = self.clock.monotonic()
        if method == batch.NAME:
            self._executor.settle(body["result"]["result_time"], now - working)
        body["time"] = self._executor.timing(method, started, now - begun, now - working, None)
        application = APPLICATION if caller.application else ""
        return as_rest(200, body, seconds=now - begun, xml=incoming.xml, application=application)

    def _batch(self, visit: Visit, params: PhpArray, script: Script) -> dict[str, PhpArray]:
        if self.meter is not None and self.meter.blocked(batch.NAME, in_batch=False):
            raise RestError(errors.OPERATION_TIME_LIMIT)
        refuse(self.faults.for_call(visit.number, lambda: Target(batch.NAME), named=True))
        self._counters.batch()
        return batch.run_batch(
            params,
            lambda method, inner, place: self._executor.run(visit, method, inner, place),
            max_input_vars=self.options.max_input_vars,
            macros=self.options.macros,
            rejected=lambda refusal: self._counters.rejected(refusal.name),
            only_first=script.only_first,
        )

    def _access(self) -> Access:
        options = self.options
        return Access(
            user_id=options.user_id,
            webhook="" if self.revoked else options.token,
            access_token=options.access_token,
            expired=options.access_token_expired,
            scopes=frozenset(options.scopes),
            role=options.role,
        )

    def _refused(self, refusal: Refusal, incoming: Incoming) -> Response:
        self._counters.rejected(refusal.name)
        return as_rest(refusal.status_as(self.options.auth_statuses), refusal.body(), xml=incoming.xml)

    def _edit(self, fault: Fault) -> None:
        """Let somebody save cards as a fault says."""
        people, by = self.people, fault["by"]
        columns = {"assigned_by_id": fault["owner"]} if fault["owner"] else {}
        columns |= {"comments": fault["comments"]} if fault["comments"] else {}
        if fault["dismiss"]:
            people.dismiss_user(fault["dismiss"])
        if fault["company_id"]:
            people.edit_company(fault["company_id"], by, **columns)
        if fault["contact_id"]:
            people.edit_contact(fault["contact_id"], by, **columns)
            if fault["move_to"]:
                people.move_contact(fault["contact_id"], fault["move_to"], by)

    def _happen(self, fault: Fault) -> None:
        """Let somebody do something."""
        if fault.kind == "token_revoked":
            self.revoked = True
        elif fault.kind in ("human_edit", "human_edit_between"):
            with suppress(LookupError):  # nobody can save a card that was deleted
                self._edit(fault)
        else:
            for contact_id in fault["ids"]:
                self.people.delete_contact(contact_id)
            self.people.delete_oldest_contacts(fault["oldest"])
