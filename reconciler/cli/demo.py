"""The whole story on an embedded portal, over real HTTP on this machine: no account needed.

A sweep finds the contacts with the wrong owner and sets them right. Then a manager hands a company over to somebody
else, the next sweep makes its contacts follow, and a last one finds nothing to do.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Cause, Result, Status
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import Consent, RunContext, RunRequest
from reconciler.engine.wiring import connect
from reconciler.errors import Stopped
from reconciler.journal.store import open_journal
from reconciler.reporting.build import plan_report, render, run_json, summary_line
from reconciler.reporting.wording import counted, reason_words, rest_hint
from reconciler.settings.model import Settings
from reconciler.simulator.assembly import build
from reconciler.simulator.moving_clock import MovingClock
from reconciler.simulator.seed import SeedSpec, describe
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.clock import Clock
    from reconciler.core.model import RunReport
    from reconciler.engine.planning import PlannedRun
    from reconciler.engine.run import Refusal, RunResult
    from reconciler.reporting.build import Report
    from reconciler.simulator.portal import Portal
    from reconciler.telemetry.progress import Meter

#: Rows of a plan that are shown.
_ROWS = 6
_SUMMED = (*Result, "requests", "commands", "operating_seconds", "duration_seconds")
#: The status of all runs together is the last of these that one of them has.
_TELLING = (Status.IN_SYNC, Status.APPLIED, Status.PARTIAL)


#: What passes between two sweeps, the service's interval, goes by at once: the portal's meters drain, and the worker
#: has new ones for each sweep.
_SECONDS_BETWEEN = 600.0


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
    """Play the story; `say` gets each paragraph. Return the totals, as `demo --json` shows them."""
    seed = SeedSpec(**spec)
    say(f"A portal with\n\n{_listed(describe(seed), width)}")
    time = MovingClock()
    warned = False
    portal = build(seed, limits="cloud", profile=profile, clock=time)
    with tempfile.TemporaryDirectory() as folder, serve(portal) as address:
        settings = Settings.model_validate(
            {
                "portal": {"webhook_url": address.webhook_url, "name": "demo"},
                "journal": {"url": f"sqlite:///{folder}/demo.sqlite3"},
            }
        )

        def sweep() -> RunResult:
            began = clock.monotonic()
            with connect(settings, clock) as client, open_journal(settings.journal.url, clock) as journal:

                def confirm(proposal: PlannedRun, refusal: Refusal | None) -> Consent:
                    nonlocal warned
                    usage = replace(client.usage, duration_seconds=clock.monotonic() - began)
                    # Without links to cards: the portal is gone before anybody could open one.
                    report = plan_report(proposal.plan, snapshot=proposal.snapshot, origin="", usage=usage)
                    # What stands at the head of each plan is said once.
                    say(_shown(replace(report, notes=()) if warned else report))
                    warned = True
                    if refusal is not None:
                        say(f"{_sentence(refusal.sentence)}\n\nThe administrator of this story says yes.")
                    return Consent.ALL

                worker = RunContext(portal="demo", client=client, journal=journal, clock=clock)
                order = RunRequest(command="demo", confirm=confirm, reading=progress.read, writing=progress.write)
                finished = reconcile(worker, order)
            if finished.failure is not None:
                raise finished.failure
            if finished.report.status is Status.STOPPED:
                raise Stopped
            say(_sentence(summary_line(finished.report)))
            return finished

        def _shown(report: Report) -> str:
            text = render(report, "text", width=width, color=color, most_rows=_ROWS)
            # Likewise nobody could ask it for the rest.
            hidden = len(report.changes) - _ROWS
            return text.replace(rest_hint(report, hidden), f"… and {hidden:,} more")

        say("First sweep: every contact whose owner is not its company's owner.")
        sweeps = [sweep()]
        if handed_over := _hand_over(portal):
            time.advance(_SECONDS_BETWEEN)
            say(f"{handed_over}\n\nTen minutes later, the second sweep:")
            sweeps.append(sweep())
        time.advance(_SECONDS_BETWEEN)
        say("Ten minutes later, once more, to see that nothing is left:")
        sweeps.append(sweep())
    return _totals(sweeps, portal, say)


def _listed(lines: str, width: int) -> str:
    fit = partial(textwrap.fill, width=width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(map(fit, lines.splitlines()))


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _hand_over(portal: Portal) -> str:
    """Let a manager give a company with some contacts to somebody else; say so, or nothing where there is none."""
    found = portal.database.row(
        "SELECT company.id, company.title, user.id AS person, user.name || ' ' || user.last_name AS name FROM company"
        " JOIN (SELECT company_id, COUNT(*) AS contacts FROM contact WHERE category_id = 0 GROUP BY company_id)"
        " ON company_id = company.id"
        " JOIN user ON user.active = 1 AND user.departments <> '[]' AND user.id <> company.assigned_by_id"
        " WHERE is_my_company = 'N' AND category_id = 0 AND contacts < 10"
        " ORDER BY contacts DESC, company.id, user.id DESC LIMIT 1"
    )
    if found is None:
        return ""
    portal.people.edit_company(found["id"], by=1, assigned_by_id=found["person"])
    return f"A manager hands {found['title']} over to {found['name']}; nobody thinks of its contacts."


def _totals(sweeps: list[RunResult], portal: Portal, say: Callable[[str], None]) -> dict[str, Any]:
    """Sum the runs up, and let the portal itself say what is left."""
    reports = [sweep.report for sweep in sweeps]
    plans = [sweep.proposal.plan for sweep in sweeps if sweep.proposal is not None]
    causes = Counter(change.cause for plan in plans for change in plan.changes)
    causes.update(skip.cause for skip in plans[-1].skips)
    runs = [run_json(report) for report in reports]
    stats = portal.stats()
    last = reports[-1]
    summed = {key: round(sum(run[key] for run in runs), 3) for key in _SUMMED}
    totals = {
        "schema": 1,
        "run": None,
        "status": max((report.status for report in reports), key=_TELLING.index).value,
        "companies": last.companies,
        "contacts": last.contacts,
        "not_compared": last.not_compared,
        # Standing drift is met again in each sweep, and is the same.
        "drift": sum(run["drift"] - run["standing"] for run in runs) + last.standing,
        "standing": last.standing,
        **summed,
        "reasons": runs[-1]["reasons"],
        "causes": {cause.value: causes[cause] for cause in Cause if causes[cause]},
        # Counted by the portal, what the worker left alone for a reason included.
        "remaining_drift": stats["drift"],
        "noop_updates": stats["noop_updates"],
        "rejected": stats["rejected"],
        "runs": runs,
    }
    say(_counted_by_the_portal(stats, last))
    say("For your own portal: `reconciler -h`.")
    return totals


def _counted_by_the_portal(stats: Mapping[str, Any], last: RunReport) -> str:
    """Say what the portal counts, and beside it what the worker left alone."""
    left, needless, rejected = stats["drift"], stats["noop_updates"], sum(stats["rejected"].values())
    said = (
        f"The portal's own count: {counted(left, 'contact')} with another owner than {'its' if left == 1 else 'their'} "
        f"company, {counted(needless, 'needless write')}, {counted(rejected, 'request')} rejected."
    )
    if last.standing:
        said += f" The worker left {counted(last.standing, 'contact')} alone ({reason_words(last.reasons)})."
    return said if left == last.standing else f"{said} The portal should count {counted(last.standing, 'contact')}."
