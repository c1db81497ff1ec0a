"""A small embedded portal to talk to without HTTP: an office with two employees, and a line to its webhook."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from reconciler.clock import VirtualClock
from reconciler.simulator.database import Database
from reconciler.simulator.faults import Faults
from reconciler.simulator.http import Request, Response
from reconciler.simulator.portal import Portal, PortalOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.simulator.costs import CostModel
    from reconciler.simulator.meters import LeakyBucket, OperatingMeter

#: 2026-01-01T00:00:00Z, where a `VirtualClock` begins.
START = 1_767_225_600
ADMIN, ANN, BOB = 1, 7, 8


@dataclass
class Answer:
    """What came back, decoded where it is JSON."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def json(self) -> Any:
        return json.loads(self.response.body)

    @property
    def result(self) -> Any:
        assert self.status == 200, self.response.body
        return self.json["result"]

    @property
    def ids(self) -> list[int]:
        return [int(row["ID"]) for row in self.result]

    @property
    def error(self) -> tuple[str, str]:
        return self.json["error"], self.json["error_description"]


class Office:
    """A portal with people, and short ways to fill and to call it."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        bucket: LeakyBucket | None = None,
        meter: OperatingMeter | None = None,
        costs: CostModel | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.database = Database()
        self.portal = Portal(
            self.database, PortalOptions(**options), clock=self.clock, bucket=bucket, meter=meter, costs=costs
        )
        self.portal.faults = Faults()
        self.portal.faults.load(list(faults))
        self.user(ADMIN, is_admin=1, name="Ada")
        self.user(ANN, name="Ann")
        self.user(BOB, name="Bob")

    def user(self, user_id: int, **columns: Any) -> None:
        self.database.insert("user", id=user_id, **({"departments": "[1]"} | columns))

    def company(self, company_id: int, owner: int = ANN, **columns: Any) -> int:
        dates = {"date_create": START - 1000, "date_modify": START - 1000}
        return self.database.insert("company", id=company_id, assigned_by_id=owner, **(dates | columns))

    def contact(self, contact_id: int, owner: int = ANN, company: int | None = None, **columns: Any) -> int:
        dates = {"date_create": START - 1000, "date_modify": START - 1000}
        self.database.insert("contact", id=contact_id, assigned_by_id=owner, company_id=company, **(dates | columns))
        if company is not None:
            self.database.insert("contact_company", contact_id=contact_id, company_id=company, is_primary="Y")
        return contact_id

    def contacts(self, number: int, **columns: Any) -> None:
        for contact_id in range(1, number + 1):
            self.contact(contact_id, **columns)

    def row(self, table: str, record_id: int) -> dict[str, Any]:
        row = self.database.row(f"SELECT * FROM {table} WHERE id = ?", (record_id,))  # noqa: S608 - a test's words
        assert row is not None
        return dict(row)

    def owner_of(self, contact_id: int) -> int:
        return int(self.row("contact", contact_id)["assigned_by_id"])

    def call(self, method: str, **params: Any) -> Answer:
        """Call as JSON."""
        return self.send(method, body=json.dumps(params).encode(), headers={"content-type": "application/json"})

    def send(
        self,
        method: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        verb: str = "POST",
        path: str | None = None,
        source: str = "10.0.0.1",
    ) -> Answer:
        """Send any request."""
        request = Request(
            method=verb,
            path=path or f"{self.portal.webhook_path}{method}",
            query=query,
            headers=headers or {},
            body=body,
            source=source,
        )
        return Answer(self.portal.handle(request))

    def batch(self, cmd: Any, **params: Any) -> dict[str, Any]:
        """Call `batch` and return its five maps."""
        result = self.call("batch", cmd=cmd, **params).result
        assert isinstance(result, dict)
        return result

    def list(self, method: str = "crm.contact.list", **params: Any) -> Answer:
        """Call a list method with a plain order, ids only."""
        return self.call(method, **({"order": {"ID": "ASC"}, "select": ["ID"]} | params))


def command(method: str, pairs: Mapping[str, Any] | None = None) -> str:
    """Write one command of a batch, encoded once (F1.3)."""
    return f"{method}?{urlencode(pairs or {})}"
