"""What each command does; each returns its exit code. Imports stand where they are needed: `runs` needs no HTTP."""

from __future__ import annotations

import select
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from reconciler.core.model import Names, Status
from reconciler.errors import LeaseHeldError, ReconcilerError, Stopped, UsageError
from reconciler.foreground import in_foreground
from reconciler.ops.answers import json_text
from reconciler.ops.facts import counted
from reconciler.ops.report import change_row, plan_report, render, run_json, run_report, shown, summary_line
from reconciler.shell import has_colors, require_writable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from reconciler.config import Settings
    from reconciler.core.model import Snapshot
    from reconciler.core.plan import Plan
    from reconciler.ops.report import Report
    from reconciler.options import Filters, Format
    from reconciler.portal.diagnosis import Finding
    from reconciler.reconcile import Finished
    from reconciler.shell import Shell

_EXIT_CODES = {
    Status.IN_SYNC: 0,
    Status.APPLIED: 0,
    Status.PARTIAL: 4,
    Status.REFUSED: 3,
    Status.INCOMPLETE: 1,
    Status.STOPPED: 1,
    Status.FAILED: 1,
}
#: Rows of a plan shown before `--once` asks.
_ROWS_TO_ASK = 20
#: Seconds between two looks at the keyboard.
_KEYBOARD_BEAT = 0.1
#: A service that began no run for so many intervals is not alive.
_PATIENCE = 2.5


def once(shell: Shell, filters: Filters, *, yes: bool) -> int:
    """Sweep, ask where there is somebody to ask, fix, and say what came of it."""
    from reconciler.portal.reader import Reader, Scope
    from reconciler.reconcile import Order, reconcile

    settings = shell.settings()
    # Where the question can be read: `2>log` takes standard error away from somebody who is there all the same.
    ask = next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)
    if yes or shell.json or not sys.stdin.isatty():
        ask = None

    def work() -> Finished:
        began = shell.clock.monotonic()
        with shell.worker(settings) as worker, shell.progress() as progress:

            def confirm(plan: Plan, snapshot: Snapshot) -> bool:
                if ask is None:
                    return True
                with progress.aside():
                    rows = shown(plan, "text", _ROWS_TO_ASK)
                    names = Reader(worker.client, lambda *_: None).names(rows, snapshot.users)
                    usage = replace(worker.client.usage, duration_seconds=shell.clock.monotonic() - began)
                    origin = worker.client.origin
                    report = plan_report(plan, snapshot=snapshot, names=names, origin=origin, usage=usage)
                    return _confirm(shell, report, ask)

            order = Order(
                command="once",
                scope=Scope(company=filters.company, owner=filters.owner),
                limit=filters.limit,
                confirm=confirm,
                reading=progress.read,
                writing=progress.write,
            )
            return reconcile(worker, order)

    finished = in_foreground(work, shell.clock)
    report, failure = finished.report, finished.failure
    # What went wrong is told on standard error; what was done until then is the answer all the same.
    shell.answer(run_json(report), lambda: _sentence(summary_line(replace(report, error=None))))
    if failure is None:
        return _EXIT_CODES[report.status]
    if shell.json:
        return failure.exit_code
    raise failure


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _confirm(shell: Shell, report: Report, stream: TextIO) -> bool:
    """Show the plan and ask, in a way that a signal ends."""
    text = render(report, "text", width=shell.width, color=has_colors(stream), most_rows=_ROWS_TO_ASK)
    shell.tell(text, stream=stream)
    # What was typed while nobody had asked is no answer.
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    shell.tell(f"Change the owner of {counted(len(report.changes), 'contact')} now? [y/N] ", end="", stream=stream)
    while not select.select([sys.stdin], [], [], 0)[0]:
        shell.clock.sleep(_KEYBOARD_BEAT)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def serve(shell: Shell) -> int:
    """Run the service until a signal comes."""
    from reconciler.service import Service

    settings = shell.settings(brief=False)

    def work() -> None:
        with shell.worker(settings) as worker:
            Service(worker, interval=settings.service.interval_minutes * 60).run()

    in_foreground(work, shell.clock)
    return 0


def plan(shell: Shell, shape: Format, output: Path | None, filters: Filters) -> int:
    """Sweep and show the plan."""
    from reconciler.core.plan import make_plan
    from reconciler.portal.reader import Reader, Scope

    settings = shell.settings()
    require_writable(output)

    def work() -> Report:
        began = shell.clock.monotonic()
        with shell.connect(settings) as client, shell.progress() as progress:
            reader = Reader(client, progress.read)
            snapshot = reader.sweep(Scope(company=filters.company, owner=filters.owner))
            plan = make_plan(snapshot, portal=settings.portal.key, limit=filters.limit)
            names = reader.names(shown(plan, shape.value), snapshot.users)
            usage = replace(client.usage, duration_seconds=shell.clock.monotonic() - began)
            return plan_report(plan, snapshot=snapshot, names=names, origin=client.origin, usage=usage)

    shell.show(in_foreground(work, shell.clock), shape, output)
    return 0


def runs(shell: Shell, last: int) -> int:
    """List the journal's runs."""
    from reconciler.journal.store import open_journal
    from reconciler.ops.runs import runs_json, runs_text

    settings = shell.settings()
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        found = journal.runs(last)
    shell.answer(runs_json(found), lambda: runs_text(found, width=shell.width, color=has_colors(sys.stdout)))
    return 0


def show(shell: Shell, which: int | Literal["latest"], shape: Format, output: Path | None) -> int:
    """Show one run."""
    from reconciler.journal.store import open_journal

    settings = shell.settings()
    require_writable(output)
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        record = journal.find_run(which)
        if record is None or record.report.run is None:
            wanted = "run" if which == "latest" else f"run {which}"
            raise UsageError(f"there is no {wanted} in {journal.path}; `reconciler runs` lists them")
        names = Names(users=journal.user_names(record.portal))
        changes = journal.changes(record.report.run)
    report = run_report(
        record.report,
        portal=record.portal,
        command=record.command,
        started_at=record.started_at,
        finished_at=record.finished_at,
        rows=[change_row(c.change, names, result=c.result or "", detail=c.detail) for c in changes],
        origin=_origin(settings, record.portal),
    )
    shell.show(report, shape, output)
    return 0


def _origin(settings: Settings, portal: str) -> str:
    """Return where the cards of this portal are; nothing where the settings name another one, or none."""
    if settings.portal.webhook_url is None or settings.portal.key != portal:
        return ""
    return settings.portal.webhook().origin


def check(shell: Shell) -> int:
    """Look at everything that must be right, and say what is not."""
    from reconciler.journal.store import open_journal
    from reconciler.ops.display import display
    from reconciler.portal.diagnosis import Finding, State, diagnose

    settings = shell.settings()

    def work() -> list[Finding]:
        webhook = settings.portal.webhook()
        findings = [
            Finding(subject="settings", state=State.OK, sentence="complete"),
            Finding(subject="address", state=State.OK, sentence=f"{webhook.origin}, as user {webhook.user_id}"),
        ]
        try:
            with open_journal(settings.journal.url, shell.clock) as journal:
                findings.append(Finding(subject="database", state=State.OK, sentence=str(journal.path)))
        except ReconcilerError as error:
            findings.append(Finding(subject="database", state=State.FAILED, sentence=str(error)))
        with shell.connect(settings) as client:
            findings.extend(diagnose(client, shell.clock.now()))
        return findings

    findings = in_foreground(work, shell.clock)
    failed = any(finding.state is State.FAILED for finding in findings)
    document = {
        "schema": 1,
        "status": "failed" if failed else "ok",
        "checks": [{"subject": f.subject, "state": f.state, "sentence": f.sentence} for f in findings],
    }
    shell.answer(document, lambda: "\n".join(display(f"{f.state:<9}{f.subject:<24}{f.sentence}") for f in findings))
    return 1 if failed else 0


def health(shell: Shell) -> int:
    """Tell whether a run began lately, or is under way."""
    from reconciler.journal.store import open_journal

    settings = shell.settings(logs=False)
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        attempt, success = journal.last_attempt(portal), journal.last_success(portal)
        idle = (shell.clock.now() - attempt).total_seconds() if attempt else None
        alive = idle is not None and idle <= _PATIENCE * settings.service.interval_minutes * 60
        if not alive:
            try:
                with journal.lease(0):
                    pass
            except LeaseHeldError:
                alive = True  # a long run is a living one
    document = {
        "schema": 1,
        "status": "ok" if alive else "failed",
        "last_attempt": attempt.isoformat() if attempt else None,
        "last_success": success.isoformat() if success else None,
    }
    when = "no run yet" if idle is None else f"the last run began {idle:.0f} s ago"
    shell.answer(document, lambda: f"{'alive' if alive else 'not alive'}: {when}")
    return 0 if alive else 1


def demo(shell: Shell, spec: dict[str, Any], profile: str) -> int:
    """Tell the story on an embedded portal."""
    from reconciler.demo import tell

    shell.log("error")

    said = False

    def say(paragraph: str) -> None:
        nonlocal said
        with progress.aside():
            shell.say(("\n" if said else "") + paragraph.strip("\n"))
        said = True

    progress = shell.progress()

    def work() -> dict[str, Any]:
        with progress:
            return tell(
                spec,
                profile,
                clock=shell.clock,
                say=_nothing if shell.json else say,
                progress=progress,
                width=shell.width,
                color=has_colors(sys.stdout),
            )

    totals = in_foreground(work, shell.clock)
    if shell.json:
        shell.answer(totals, str)
    return 0 if totals["remaining_drift"] == 0 else 1


def _nothing(_text: str) -> None:
    """Say nothing."""


def simulate(shell: Shell, spec: dict[str, Any], profile: str, *, limits: Any, host: str, port: int, tls: bool) -> int:
    """Serve the embedded portal until a signal comes."""
    from reconciler.simulator.assembly import build
    from reconciler.simulator.seed import SeedSpec, describe
    from reconciler.simulator.server import serve as serve_portal

    shell.log("warning")
    seed = SeedSpec(**spec)

    def work() -> None:
        portal = build(seed, limits=limits, profile=profile)
        with serve_portal(portal, host=host, port=port, tls=tls) as address:
            certificate = str(address.tls_certificate) if address.tls_certificate else None
            if shell.json:
                document = {
                    "schema": 1,
                    "webhook_url": address.webhook_url,
                    "stats_url": address.stats_url,
                    "host": address.host,
                    "port": address.port,
                    "tls_certificate": certificate,
                }
                shell.say(json_text(document, indent=None))  # one line: whoever started us reads until its end
            else:
                lines = [describe(seed), "", f"webhook address  {address.webhook_url}"]
                lines.append(f"statistics       {address.stats_url}")
                lines += [f"certificate      {certificate}"] if certificate else []
                shell.say("\n".join([*lines, "", "Serving; Ctrl-C ends it."]))
            while True:
                shell.clock.sleep(3600)

    with suppress(Stopped):
        in_foreground(work, shell.clock)
    return 0
