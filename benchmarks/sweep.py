"""One sweep and its plan, without what showing it takes; prints its figures as one JSON object."""

from __future__ import annotations

from reconciler.core.model import RunReport, Status
from reconciler.core.plan import make_plan
from reconciler.ops.report import run_json
from reconciler.options import Common
from reconciler.portal.reader import Reader, Scope
from reconciler.reconcile import connect
from reconciler.shell import Shell


def sweep(shell: Shell) -> int:
    """Look at the portal that the settings name."""
    settings = shell.settings()
    with connect(settings, shell.clock) as client:
        snapshot = Reader(client, lambda *_: None).sweep(Scope())
        plan = make_plan(snapshot, portal=settings.portal.key)
        report = RunReport(
            run=None,
            status=Status.IN_SYNC,
            companies=len(snapshot.roster),
            contacts=snapshot.contacts,
            drift=plan.drift,
            standing=len(plan.skips),
            usage=client.usage,
        )
    shell.answer(run_json(report), str)
    return 0


if __name__ == "__main__":
    shell = Shell(Common(json=True))
    raise SystemExit(shell.guard(sweep))
