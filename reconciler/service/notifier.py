"""Telling people what only they can mend: by notices in the portal, and by a command of theirs.

`core.matters` decides what is told, and when again; a notice or a command that fails is tried with the next run, and
never stops one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reconciler.core import notifications as matters
from reconciler.core.model import Result, Status
from reconciler.errors import MissingScopeError
from reconciler.portal.notices import notify
from reconciler.service.health import COMPLETE
from reconciler.telemetry.event_command import event_of, run_on_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from reconciler.engine.run import RunContext, RunResult
    from reconciler.errors import ReconcilerError
    from reconciler.journal.records import RunRecord
    from reconciler.settings.policy import Notify

log = structlog.get_logger("reconciler.herald")

#: How far back a start looks for what was told already.
_MEMORY = timedelta(days=1)
_RUNS_A_DAY = 500


class Notifier:
    """Remembers what was told, and tells the rest."""

    def __init__(self, worker: RunContext, settings: Notify, redact: Callable[[str], str]) -> None:
        self._worker = worker
        self._settings = settings
        self._redact = redact
        since = worker.clock.now() - _MEMORY
        runs = [run for run in worker.journal.runs(_RUNS_A_DAY) if run.portal == worker.portal]
        self._state = matters.replay(worker.portal, _replayed(reversed(runs), since))
        #: The error of the last run before this start: what locked us out then was told then.
        self._told_before = next((run.report.error for run in runs if run.finished_at is not None), None)

    def hear(self, finished: RunResult) -> None:
        """Take in how a run over the whole portal ended, and tell what there is to tell."""
        if finished.report.status is not Status.STOPPED:
            news = _news(finished)
            if news.locked_out and news.failure == self._told_before:
                self._state = replace(self._state, locked_out=True)
            self._told_before = None
            self._state = matters.hear(self._state, news, self._worker.clock.now())
        waiting = list(self._state.waiting.values())
        if not waiting or not (self._settings.users or self._settings.on_event):
            return
        # A portal that has just turned the run away is not asked a second time: one probe in an interval is enough.
        users = () if _is_barred(finished.failure) else self._settings.users
        unreached = notify(self._worker.client, users, waiting) if users else {}
        for matter in waiting:
            reached = bool(users) and matter.tag not in unreached
            if self._settings.on_event:
                reason = run_on_event(
                    self._settings.on_event,
                    event_of(matter),
                    seconds=self._settings.on_event_seconds,
                    redact=self._redact,
                )
                reached = reached or reason is None
            if reached:
                log.info("matter.told", matter=matter.kind.value, title=matter.title)  # its sentence may name people
                self._state = matters.delivered(self._state, matter)


def _is_barred(failure: ReconcilerError | None) -> bool:
    """Tell whether no request at all would pass; without one scope, a notice may."""
    return matters.locks_out(failure) and not isinstance(failure, MissingScopeError)


def _news(finished: RunResult) -> matters.RunSummary:
    report, refusal = finished.report, finished.refusal
    undone = sum(report.outcomes.get(result, 0) for result in Result if result not in {Result.APPLIED, Result.ALREADY})
    settled = sum(report.outcomes.values())
    return matters.RunSummary(
        complete=report.status in COMPLETE,
        failure=str(finished.failure or ""),
        locked_out=matters.locks_out(finished.failure),
        refusal=None
        if refusal is None
        else matters.Refusal(digest=refusal.digest, changes=len(refusal.verdict.held), sentence=refusal.sentence),
        quarantined=finished.proposal.quarantined if finished.proposal else (),
        let_through=finished.let_through,
        written=report.outcomes.get(Result.APPLIED, 0),
        undone=undone,
        left=finished.let_through - settled,
    )


def _replayed(runs: Iterator[RunRecord], since: datetime) -> Iterator[tuple[matters.RunSummary, datetime]]:
    """Yield what the journal's runs had to say.

    Of a refusal it keeps the digest of the whole plan, which is another one where part of it was approved; then the
    refusal is known by its size.
    """
    for run in runs:
        report, ended = run.report, run.finished_at
        if ended is None or ended < since or report.status is Status.STOPPED or run.undoes is not None:
            continue
        complete, refused = report.status in COMPLETE, report.status is Status.REFUSED
        settled, planned = sum(report.outcomes.values()), report.drift - report.standing
        written = report.outcomes.get(Result.APPLIED, 0)
        yield (
            matters.RunSummary(
                complete=complete,
                failure="" if complete else report.error or "",
                refusal=matters.Refusal(digest=report.digest, changes=planned - settled, sentence=report.error or "")
                if refused and report.error
                else None,
                let_through=settled if refused else planned,
                written=written,
                undone=settled - written - report.outcomes.get(Result.ALREADY, 0),
                # Of a refused plan nobody can tell how much of it was approved.
                left=0 if refused and not settled else planned - settled,
            ),
            ended,
        )
