"""What the embedded portal itself costs, on the `instant` profile: `make portalspeed`.

Seeds a large portal and measures what it holds of memory, one window of contacts, one drift query of 500 companies,
one page by offset and one update, each by itself and without HTTP, then a window over HTTP, client included. All of it
is processor time of this process, which other programs on the machine do not change much: nothing here waits.
`--write` puts the figures into the page on the embedded portal.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.simulator.assembly import build
from reconciler.simulator.http import Request
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.simulator.portal import Portal

PAGE = Path(__file__).parents[1] / "docs" / "embedded-portal.md"
BEGIN, END = "<!-- speed -->\n", "\n<!-- end of speed -->"
SPEC = SeedSpec(companies=200_000, contacts=1_000_000, owners=50, drift=0.01)
REPEATS = 200
_JSON = {"content-type": "application/json"}


def median_ms(work: Callable[[int], object], repeats: int = REPEATS) -> str:
    """Return the median milliseconds of processor time of a call, as text."""
    spent = []
    for number in range(repeats):
        started = time.process_time()
        work(number)
        spent.append(time.process_time() - started)
    return f"{statistics.median(spent) * 1000:.2f} ms"


def asked(portal: Portal, method: str, params: dict[str, Any]) -> Any:
    """Call the portal in this process."""
    path = portal.webhook_path + method
    answer = portal.handle(Request(method="POST", path=path, headers=_JSON, body=json.dumps(params).encode()))
    if answer.status != 200:  # noqa: PLR2004 - HTTP's "all is well"
        raise RuntimeError(answer.body.decode())
    return json.loads(answer.body)


def window(number: int) -> dict[str, Any]:
    """Return the parameters of a window of contacts by ID."""
    low = 1 + number * 4_999
    limits = {">ID": low, "<=ID": low + 60}
    return {"order": {"ID": "ASC"}, "filter": limits, "select": ["ID", "ASSIGNED_BY_ID"], "start": -1}


def over_http(portal: Portal) -> str:
    """Return what a window costs over a kept connection."""
    with serve(portal) as address:
        connection = HTTPConnection(address.host, address.port)
        path = portal.webhook_path + "crm.contact.list"

        def ask(number: int) -> None:
            connection.request("POST", path, json.dumps(window(number)), {"Content-Type": "application/json"})
            connection.getresponse().read()

        spent = median_ms(ask)
        connection.close()
        return spent


def measured() -> list[tuple[str, str]]:
    """Measure everything, in the order of the table."""
    started = time.process_time()
    portal = build(SPEC, limits="self-hosted")
    seeding = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1_000_000 if sys.platform == "darwin" else 1_000)
    rows = portal.database.rows("SELECT id, assigned_by_id FROM company WHERE assigned_by_id = 2 LIMIT 500")
    drift_query = {
        "filter": {"@COMPANY_ID": [row["id"] for row in rows], "!ASSIGNED_BY_ID": 2},
        "order": {"ID": "ASC"},
        "select": ["ID", "ASSIGNED_BY_ID"],
        "start": -1,
    }
    page = {"order": {"ID": "ASC"}, "select": ["ID"], "start": 500_000}
    contacts = [row["id"] for row in portal.database.rows("SELECT id FROM contact LIMIT ?", (REPEATS,))]

    def update(number: int) -> None:
        asked(portal, "crm.contact.update", {"id": contacts[number], "fields": {"ASSIGNED_BY_ID": 51}})

    return [
        ("seeding", f"{seeding:.1f} s"),
        ("memory of the whole process, most", f"{memory:.0f} MB"),
        ("a window of contacts", median_ms(lambda number: asked(portal, "crm.contact.list", window(number)))),
        (
            f"a drift query of {len(rows)} companies",
            median_ms(lambda _: asked(portal, "crm.contact.list", drift_query)),
        ),
        ("a page at offset 500,000, counted", median_ms(lambda _: asked(portal, "crm.contact.list", page), 20)),
        ("an update", median_ms(update)),
        ("a window over HTTP, client included", over_http(portal)),
    ]


def main() -> None:
    """Print the table, and write it where asked to."""
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in measured())])
    sys.stdout.write(f"{table}\n")
    if "--write" in sys.argv:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + table + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
