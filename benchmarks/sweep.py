"""One sweep and its plan, as the program makes them, without what showing it takes; prints figures as one JSON object.

`sweep.py default` plans by the rules of an installation without settings. `sweep.py all` plans with every policy
switched on and with what a journal knows. `sweep.py prepare`, run once before, makes that journal and those settings
in the working directory: of an earlier sweep of the same portal, some of whose companies had other owners then.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.context import Shell
from reconciler.cli.options import Common
from reconciler.core.companies import Refresh
from reconciler.core.model import Cause, Change, Outcome, Result, RunReport, Standing, Status
from reconciler.engine.planning import PlannedRun, PlanRequest, propose, rules_of
from reconciler.engine.wiring import connect
from reconciler.journal.records import NewException
from reconciler.journal.store import open_journal
from reconciler.journal.sweeps import WAITING
from reconciler.portal.read.sweep import Reader
from reconciler.reporting.build import run_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.snapshot import Snapshot
    from reconciler.journal.store import Journal
    from reconciler.settings.model import Settings

SETTINGS = Path("policies.toml")
JOURNAL = "sqlite:///earlier.sqlite3"
#: The earlier sweep, by the portal's clock.
EARLIER = timedelta(minutes=10)
#: One in so many companies had another owner then, one is outside the allow-list; one in so many drifted contacts
#: was not there yet, one was written by us since, one is an exception.
MOVED, OUTSIDE, NEW, WRITTEN, EXCEPTED = 5, 20, 2, 10, 50

ALL_POLICIES = """\
[journal]
url = "{journal}"

[policy]
scope = "empty-or-previous"
person_edit = "overwrite"
settle_minutes = 30
multi_company = "report"
dismissed_owner = "head"
leave_companies = {leave_companies}
leave_contacts = {leave_contacts}
leave_owners = [900001, 900002, 900003]
leave_departments = [901, 902, 903]
leave_company_types = ["PARTNER", "COMPETITOR"]
leave_contact_types = ["SUPPLIER", "PARTNER"]
leave_company_field = "UF_CRM_OWNER_FIXED"
leave_contact_field = "UF_CRM_OWNER_FIXED"
only_companies = {only_companies}
"""


def look(shell: Shell, settings: Settings, journal: Journal | None) -> tuple[PlannedRun, RunReport]:
    """Sweep the portal that the settings name, and plan."""
    with connect(settings, shell.clock) as client:
        ground = PlanRequest(portal=settings.portal.key, clock=shell.clock, rules=rules_of(settings))
        proposal = propose(Reader(client, lambda *_: None), journal, ground)
        plan, snapshot = proposal.plan, proposal.snapshot
        report = RunReport(
            run=None,
            status=Status.IN_SYNC,
            companies=len(snapshot.roster),
            contacts=snapshot.contacts,
            # What the sweep found: a policy may want the very owner that is there.
            drift=len(snapshot.mismatches),
            standing=len(plan.skips),
            reasons=plan.reasons,
            causes=plan.causes,
            usage=client.usage,
        )
        return proposal, report


def plan(shell: Shell) -> int:
    """Plan, and print what it took without the start of the program."""
    settings = shell.settings()
    with ExitStack() as stack:
        journal = None
        if settings.journal.path.exists():
            journal = stack.enter_context(open_journal(settings.journal.url, shell.clock, read_only=True))
        seconds, cpu_seconds = time.monotonic(), time.process_time()
        _, report = look(shell, settings, journal)
        took = {
            "planning_seconds": time.monotonic() - seconds,
            "planning_cpu_seconds": time.process_time() - cpu_seconds,
        }
    shell.answer({**run_json(report), **took}, str)
    return 0


def as_seen(snapshot: Snapshot, owners: Mapping[int, int], earlier: timedelta) -> Snapshot:
    """Return the snapshot of an earlier sweep, so long ago that all companies are due to be read anew."""
    at = snapshot.taken_at - earlier - timedelta(days=1)
    refresh = Refresh(owners=owners, seen=owners, at=at, complete=True, contacts=snapshot.contacts)
    return replace(snapshot, roster=owners, taken_at=at, refresh=refresh)


def prepare(shell: Shell) -> int:
    """Make the journal and the settings for `all`."""
    settings = shell.settings()
    proposal, report = look(shell, settings, None)
    snapshot, portal = proposal.snapshot, settings.portal.key
    companies, owners = list(snapshot.roster), sorted(set(snapshot.roster.values()))
    before = dict(snapshot.roster)
    for company in companies[::MOVED]:
        before[company] = owners[(owners.index(before[company]) + 1) % len(owners)]
    # Half of the drift has the owner from before, as after hand-overs: else the scope would leave alone all there is.
    before |= {m.company: m.owner for m in snapshot.mismatches[1::NEW]}
    with open_journal(JOURNAL, shell.clock) as journal:
        journal.sweeps.remember(portal, as_seen(snapshot, before, 2 * EARLIER), [])
        run = journal.begin(portal=portal, command="run")
        written = [
            Change(contact=m.contact, company=m.company, before=m.owner, after=m.company_owner)
            for m in snapshot.mismatches[::WRITTEN]
        ]
        journal.intend(run, written)
        journal.settle(run, [Outcome(change=change, result=Result.APPLIED) for change in written])
        journal.finish(replace(report, run=run, status=Status.APPLIED))
        excepted = [
            NewException(contact=m.contact, company=m.company, company_owner=m.company_owner, owner=m.owner, detail="")
            for m in snapshot.mismatches[1::EXCEPTED]
        ]
        journal.exceptions.add(portal, Standing.RESPECTED, excepted)
        left = [(m, WAITING, Cause.UNKNOWN) for m in snapshot.mismatches[::NEW]]
        journal.sweeps.remember(portal, as_seen(snapshot, snapshot.roster, EARLIER), left)
    allowed = [company for number, company in enumerate(companies) if number % OUTSIDE]
    SETTINGS.write_text(
        ALL_POLICIES.format(
            journal=JOURNAL,
            leave_companies=companies[::OUTSIDE][:1_000],
            leave_contacts=[m.contact for m in snapshot.mismatches[3::EXCEPTED]],
            only_companies=allowed,
        ),
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    what = sys.argv[1]
    shell = Shell(Common(json=True, config=SETTINGS if what == "all" else None))
    raise SystemExit(shell.guard(prepare if what == "prepare" else plan))
