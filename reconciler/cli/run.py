"""What each command does; each returns its exit code. Imports stand where they are needed: `runs` needs no HTTP."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from reconciler.cli.context import has_colors, require_writable
from reconciler.cli.signals import in_foreground
from reconciler.core.model import Names, Status
from reconciler.core.sanitize import display
from reconciler.errors import NoRunYetError, UsageError
from reconciler.reporting.build import (
    change_row,
    names_of,
    plan_report,
    render,
    run_json,
    run_report,
    summary_line,
    undo_report,
)
from reconciler.reporting.notes import left_lines
from reconciler.reporting.wording import counted, undo_line

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from reconciler.cli.context import Shell
    from reconciler.cli.options import Filters, Format
    from reconciler.core.model import Usage
    from reconciler.engine.planning import PlannedRun, Undo
    from reconciler.engine.run import Consent, Refusal, RunContext, RunRequest, RunResult
    from reconciler.journal.store import Journal
    from reconciler.reporting.build import Report
    from reconciler.settings.model import Settings

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


def once(shell: Shell, filters: Filters, *, yes: bool, approve: str, accept_portal: bool = False) -> int:
    """Sweep, ask where there is somebody to ask, fix, and say what came of it."""
    from reconciler.engine.run import RunRequest
    from reconciler.portal.read.sweep import Scope

    order = RunRequest(
        command="once",
        scope=Scope(companies=filters.companies, owners=filters.owners),
        limit=filters.limit,
        approve=approve,
        accept_portal=accept_portal,
    )
    return carry_out(shell, order, yes=yes)


def undo(shell: Shell, what: Undo, *, yes: bool, approve: str, accept_portal: bool = False) -> int:
    """Put back what a run changed, or what we changed of a contact or a company, where it still stands."""
    from reconciler.engine.run import RunRequest

    return carry_out(
        shell, RunRequest(command="undo", undo=what, approve=approve, accept_portal=accept_portal), yes=yes
    )


def carry_out(shell: Shell, order: RunRequest, *, yes: bool) -> int:
    """Run once by order, after a question or with `--yes`; return the exit code. Raises UsageError without either."""
    from reconciler.engine.reconcile import reconcile
    from reconciler.engine.run import Consent
    from reconciler.portal.read.sweep import Scope
    from reconciler.service.notifier import Notifier
    from reconciler.service.pruning import Upkeep

    stream = None if yes else shell.asking(f"{order.command if order.undo else '--once'} asks before it writes")
    settings = shell.settings()

    def work() -> RunResult:
        began = shell.clock.monotonic()
        with shell.worker(settings) as worker, shell.progress() as progress:

            def confirm(proposal: PlannedRun, refusal: Refusal | None) -> Consent:
                if stream is None:
                    return Consent.PASSING  # `--yes` does not lift the guard
                usage = replace(worker.client.usage, duration_seconds=shell.clock.monotonic() - began)
                with progress.aside():
                    report = _proposed(proposal, worker, usage)
                    return _confirm(shell, report, proposal, refusal, stream)

            herald = Notifier(worker, settings.notify, shell.redact)
            finished = reconcile(worker, replace(order, confirm=confirm, reading=progress.read, writing=progress.write))
            if order.undo is None and order.scope == Scope():
                herald.hear(finished)
                Upkeep(worker, settings.journal.keep_days).hear(finished)
            return finished

    finished = in_foreground(work, shell.clock)
    report, failure = finished.report, finished.failure
    if isinstance(failure, UsageError) and not shell.json:
        raise failure  # nothing was begun
    # What went wrong is told on standard error; what was done until then is the answer all the same.
    shell.answer(_ended_json(finished), lambda: _ended_text(finished, order))
    if failure is None:
        if finished.refusal is not None and not shell.json:
            shell.fail(finished.refusal.sentence, 0)
        return _EXIT_CODES[report.status]
    if shell.json:
        return failure.exit_code
    raise failure


def _ended_json(finished: RunResult) -> dict[str, Any]:
    """Return the run for scripts; with what was refused, so that they can approve it, and what an undo leaves."""
    from reconciler.reporting.refusal import refusal_json
    from reconciler.reporting.to_json import as_json

    document, refusal, proposal = run_json(finished.report), finished.refusal, finished.proposal
    if proposal is None:
        return document
    if refusal is not None:
        names = names_of(proposal.snapshot).users
        document["refusal"] = refusal_json(refusal.verdict, names, refusal.digest)
    if proposal.undo is not None:
        left = as_json(_undo_report(proposal, proposal.undo, origin="", usage=finished.report.usage))
        document["left"] = left["left"]
    return document


def _ended_text(finished: RunResult, order: RunRequest) -> str:
    """Return the run in a sentence; an undo also lists what it leaves as it is, and why."""
    report = replace(finished.report, error=None)
    if order.undo is None:
        return _sentence(summary_line(report))
    left = finished.proposal.left if finished.proposal else ()
    return "\n".join([_sentence(undo_line(report)), *left_lines(left)])


def _proposed(proposal: PlannedRun, worker: RunContext, usage: Usage) -> Report:
    """Return the document of what is proposed."""
    plan, snapshot, origin = proposal.plan, proposal.snapshot, worker.client.origin
    if proposal.undo is None:
        return plan_report(plan, snapshot=snapshot, origin=origin, usage=usage)
    return _undo_report(proposal, proposal.undo, origin=origin, usage=usage)


def _undo_report(proposal: PlannedRun, undo: Undo, *, origin: str, usage: Usage) -> Report:
    plan, snapshot = proposal.plan, proposal.snapshot
    return undo_report(
        plan.changes,
        proposal.left,
        portal=plan.portal,
        what=undo.words,
        digest=plan.digest,
        names=names_of(snapshot),
        origin=origin,
        usage=usage,
        taken_at=snapshot.taken_at,
    )


def _sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _confirm(shell: Shell, report: Report, proposal: PlannedRun, refusal: Refusal | None, stream: TextIO) -> Consent:
    """Show the plan, and what the guard says of it, and ask: first for what passes, then for what is held back."""
    from reconciler.engine.run import Consent
    from reconciler.reporting.refusal import refusal_text

    colors = has_colors(stream)
    shell.tell(render(report, "text", width=shell.width, color=colors, most_rows=_ROWS_TO_ASK), stream=stream)
    held = len(refusal.verdict.held) if refusal is not None else 0
    if refusal is not None:
        names = names_of(proposal.snapshot).users
        text = refusal_text(refusal.verdict, names, refusal.digest, width=shell.width, color=colors)
        shell.tell(text, stream=stream)
    passing = len(report.changes) - held
    if passing:
        question = f"Change the owner of {counted(passing, 'contact')} now?"
        if not shell.ask(question, stream):
            return Consent.NOTHING
        if not held:
            return Consent.PASSING
        agreed = shell.ask(f"Let the {held:,} that are held back through as well?", stream)
        return Consent.ALL if agreed else Consent.PASSING
    question = f"Let them through, and change the owner of {counted(held, 'contact')} now?"
    return Consent.ALL if shell.ask(question, stream) else Consent.NOTHING


def serve(shell: Shell) -> int:
    """Run the service until a signal comes."""
    from reconciler.service.health import Watch
    from reconciler.service.heartbeat import beat_file
    from reconciler.service.http import pages
    from reconciler.service.notifier import Notifier
    from reconciler.service.pruning import Upkeep
    from reconciler.service.scheduler import Service

    settings = shell.settings(brief=False)
    interval = settings.service.interval_minutes * 60

    def work() -> None:
        with shell.worker(settings) as worker:
            journal = worker.journal
            watch = Watch(
                worker.clock,
                interval=interval,
                beat_file=beat_file(journal.path),
                last_success=journal.last_success(worker.portal),
                last_attempt=journal.last_attempt(worker.portal),
            )
            herald = Notifier(worker, settings.notify, shell.redact)
            upkeep = Upkeep(worker, settings.journal.keep_days)

            def hear(finished: RunResult) -> None:
                herald.hear(finished)
                upkeep.hear(finished)

            with pages(settings, worker, watch, shell.redact) as tally:
                Service(worker, hear, interval=interval, watch=watch, tally=tally).run()

    in_foreground(work, shell.clock)
    return 0


def plan(shell: Shell, shape: Format, output: Path | None, filters: Filters, *, standing: bool) -> int:
    """Sweep and show the plan, and what the guard would say of it; write nothing. `standing`: its work list only."""
    from reconciler.cli.exclusion_checks import void_exclusions
    from reconciler.engine.approval import agreed_to_missing, require_companies
    from reconciler.engine.planning import PlanRequest, propose, rules_of
    from reconciler.engine.wiring import tactics
    from reconciler.journal.store import open_journal
    from reconciler.portal.read.sweep import Reader, Scope

    settings = shell.settings()
    require_writable(output, settings.journal.url)

    def work() -> Report:
        began = shell.clock.monotonic()
        with ExitStack() as stack:
            client = stack.enter_context(shell.connect(settings))
            progress = stack.enter_context(shell.progress())
            journal = None
            with suppress(NoRunYetError):
                journal = stack.enter_context(open_journal(settings.journal.url, shell.clock, read_only=True))
            ground = PlanRequest(
                portal=settings.portal.key,
                clock=shell.clock,
                rules=rules_of(settings),
                scope=Scope(companies=filters.companies, owners=filters.owners),
                limit=filters.limit,
            )
            proposal = propose(Reader(client, progress.read, tactics(settings)), journal, ground)
            if not proposal.plan.changes:
                agreed = journal is not None and agreed_to_missing(journal, settings.portal.key)
                require_companies(proposal.population, settings.guard.limits, agreed=agreed)
            roster = proposal.snapshot.roster.keys() if ground.scope == Scope() else None
            doubt = journal.portals.doubt(ground.portal, settings.portal.webhook().name, {}) if journal else ""
            notes = [
                *([f"A run would be refused: {doubt}."] if doubt else []),
                *void_exclusions(client, settings, roster),
                *_what_the_guard_says(proposal, journal, settings),
            ]
            usage = replace(client.usage, duration_seconds=shell.clock.monotonic() - began)
            return plan_report(
                proposal.plan, snapshot=proposal.snapshot, origin=client.origin, usage=usage, notes=notes
            )

    shell.show(in_foreground(work, shell.clock), shape, output, standing=standing)
    return 0


def _what_the_guard_says(proposal: PlannedRun, journal: Journal | None, settings: Settings) -> list[str]:
    from reconciler.core.plan import digest
    from reconciler.engine.approval import judge
    from reconciler.reporting.refusal import refusal_sentence

    portal = settings.portal.key
    _, verdict = judge(journal, portal, proposal, settings.guard.limits)
    if not verdict.held:
        return []
    names = names_of(proposal.snapshot).users
    said = refusal_sentence(verdict, names, digest(portal, [change.key for change in verdict.held]))
    # A plan is stored nowhere, so it cannot be approved before a run was refused, but together with one.
    said = said.replace(", none of it written", "").replace("reconciler approve", "reconciler --once --approve")
    # Nor does any of it wait yet.
    said = re.sub(r"(of them )waits?( for approval)", r"\1would wait\2", said, count=1)
    return [f"A run would be {said}." if verdict.breaches else f"A run would not write what was {said}."]


def runs(shell: Shell, last: int) -> int:
    """List the journal's runs."""
    from reconciler.journal.store import open_journal
    from reconciler.reporting.lists import runs_json, runs_text

    settings = shell.settings()
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        found = journal.runs(last)
    shell.answer(runs_json(found), lambda: runs_text(found, width=shell.width, color=has_colors(sys.stdout)))
    return 0


def show(shell: Shell, which: int | Literal["latest"], shape: Format, output: Path | None) -> int:
    """Show one run, with what the guard held back in it."""
    from reconciler.cli.approvals import origin_of
    from reconciler.engine.held_back import rows_held_in
    from reconciler.journal.store import open_journal
    from reconciler.reporting.refusal import held_digest

    settings = shell.settings()
    require_writable(output, settings.journal.url)
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        record = journal.find_run(which)
        if record is None or record.report.run is None:
            wanted = "run" if which == "latest" else f"run {which}"
            raise UsageError(f"there is no {wanted} in {journal.path}; `reconciler runs` lists them")
        names = Names(users=journal.user_names(record.portal))
        changes = journal.changes(record.report.run)
        held = rows_held_in(journal, record.portal, record.report.error or "")
    lost = held_digest(record.report.error or "") and not held
    report = run_report(
        record.report,
        portal=record.portal,
        command=record.command,
        started_at=record.started_at,
        finished_at=record.finished_at,
        rows=[change_row(c.change, names, result=c.result or "", detail=c.detail) for c in changes] + held,
        origin=origin_of(settings, record.portal),
        notes=["The journal does not keep the changes any more that were held back in this run."] if lost else [],
    )
    shell.show(report, shape, output)
    return 0


def health(shell: Shell) -> int:
    """Tell by its heartbeat whether the service is alive."""
    from reconciler.service import heartbeat

    settings = shell.settings(logs=False)
    path, now = heartbeat.beat_file(settings.journal.path), shell.clock.monotonic()
    beat, wrong = heartbeat.verdict(path, now)
    document = {
        "schema": 1,
        "status": "failed" if wrong else "ok",
        "reason": wrong or None,
        "heartbeat_seconds": round(now - beat.at, 1) if beat else None,
        "last_attempt": beat.last_attempt if beat else None,
        "last_success": beat.last_success if beat else None,
    }
    shell.answer(document, lambda: display(f"not alive: {wrong}" if wrong else "alive"))
    return 1 if wrong else 0
