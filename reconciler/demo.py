"""The whole story on an embedded portal, over real HTTP on this machine: no account needed.

A sweep finds the contacts with the wrong owner and sets them right. Then a manager hands a company over to somebody
else, the next sweep makes its contacts follow, and a last one finds nothing to do.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from reconciler.config import Settings
from reconciler.core.model import Names, Result, Status
from reconciler.journal.store import open_journal
from reconciler.ops.report import plan_report, render, run_json, summary_line
from reconciler.portal.reader import Reader
from reconciler.reconcile import Order, Worker, connect, reconcile
from reconciler.simulator.assembly import build
from reconciler.simulator.seed import SeedSpec, describe
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.clock import Clock
    from reconciler.core.model import RunReport, Snapshot
    from reconciler.core.plan import Plan
    from reconciler.ops.progress import Meter
    from reconciler.simulator.portal import Portal

#: Rows of a plan that are shown.
_ROWS = 8
_SUMMED = ("drift", "standing", "requests", "commands", "operating_seconds", "duration_seconds", *Result)


def tell(
    spec: dict[str, Any],
    profile: str,
    *,
    clock: Clock,
    say: Callable[[str], None],
    progress: Meter,
    width: int,
    color: bool,
) -> dict[str, Any]:
    """Play the story; `say` gets each paragraph. Return the totals of DESIGN 10."""
    seed = SeedSpec(**spec)
    say(f"A portal with\n{describe(seed)}\n")
    portal = build(seed, limits="cloud", profile=profile)
    with tempfile.TemporaryDirectory() as folder, serve(portal) as address:
        settings = Settings.model_validate(
            {
                "portal": {"webhook_url": address.webhook_url, "name": "demo"},
                "journal": {"url": f"sqlite:///{folder}/demo.sqlite3"},
            }
        )
        with connect(settings, clock) as client, open_journal(settings.journal.url, clock) as journal:
            worker = Worker(portal="demo", client=client, journal=journal, clock=clock)

            def sweep() -> RunReport:
                def confirm(plan: Plan, snapshot: Snapshot) -> bool:
                    names = Reader(client, lambda *_: None).names(snapshot.mismatches, snapshot.users)
                    with progress.aside():
                        say(_shown(plan, snapshot, names, worker, width=width, color=color))
                    return True

                order = Order(command="demo", confirm=confirm, reading=progress.read, writing=progress.write)
                finished = reconcile(worker, order)
                if finished.failure is not None:
                    raise finished.failure
                say(f"{summary_line(finished.report)}.\n")
                return finished.report

            say("First sweep: every contact whose owner is not its company's owner.\n")
            reports = [sweep()]
            handed_over = _hand_over(portal)
            if handed_over:
                say(f"{handed_over} Ten minutes later, the second sweep:\n")
                reports.append(sweep())
            say("And once more, to see that nothing is left:\n")
            reports.append(sweep())
    return _totals(reports, portal, say)


def _shown(plan: Plan, snapshot: Snapshot, names: Names, worker: Worker, *, width: int, color: bool) -> str:
    report = plan_report(plan, snapshot=snapshot, names=names, origin=worker.client.origin, usage=worker.client.usage)
    return render(report, "text", width=width, color=color, most_rows=_ROWS)


def _hand_over(portal: Portal) -> str:
    """Let a manager give a company with some contacts to somebody else; say so, or nothing where there is none."""
    company = portal.database.row(
        "SELECT company.id, company.title, assigned_by_id AS owner FROM company JOIN"
        " (SELECT company_id, COUNT(*) AS contacts FROM contact WHERE category_id = 0 GROUP BY company_id)"
        " ON company_id = company.id WHERE is_my_company = 'N' AND category_id = 0 AND contacts BETWEEN 3 AND 9"
        " ORDER BY contacts DESC, company.id LIMIT 1"
    )
    if company is None:
        return ""
    people = portal.database.rows(
        "SELECT id, name || ' ' || last_name AS name FROM user WHERE active = 1 AND departments <> '[]' AND id <> ?"
        " ORDER BY id DESC LIMIT 1",
        (company["owner"],),
    )
    if not people:
        return ""
    portal.people.edit_company(company["id"], by=1, assigned_by_id=people[0]["id"])
    return f"A manager hands {company['title']} over to {people[0]['name']}; nobody thinks of its contacts."


def _totals(reports: list[RunReport], portal: Portal, say: Callable[[str], None]) -> dict[str, Any]:
    """Sum the runs up, and let the portal itself say what is left."""
    runs = [run_json(report) for report in reports]
    stats = portal.stats()
    last = reports[-1]
    totals = {
        "schema": 1,
        "status": last.status if last.status is not Status.IN_SYNC else runs[0]["status"],
        "companies": last.companies,
        "contacts": last.contacts,
        **{key: round(sum(run[key] for run in runs), 3) for key in _SUMMED},
        "standing": last.standing,
        # Standing drift is left alone for a reason; what the portal counts beyond it should have been corrected.
        "remaining_drift": stats["drift"] - last.standing,
        "noop_updates": stats["noop_updates"],
        "rejected": stats["rejected"],
        "runs": runs,
    }
    say(
        f"The portal's own count: {totals['remaining_drift']} contacts with the wrong owner left, "
        f"{totals['noop_updates']} needless writes, {sum(stats['rejected'].values())} requests rejected."
    )
    return totals
