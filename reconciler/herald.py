"""Telling people what only they can mend: by notices in the portal, and by a command of theirs.

`core.matters` decides what is told, and when again; a notice or a command that fails is tried with the next run, and
never stops one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reconciler.core import matters
from reconciler.core.model import Result, Status
from reconciler.ops.events import event_of, run_on_event
from reconciler.portal.notices import notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from reconciler.journal.records import RunRecord
    from reconciler.reconcile import Finished, Worker
    from reconciler.rules import Notify

log = structlog.get_logger("reconciler.herald")

#: Runs that saw the whole portal.
_COMPLETE = frozenset({Status.IN_SYNC, Status.APPLIED, Status.PARTIAL, Status.REFUSED})
#: How far back a start looks for what was told already.
_MEMORY = timedelta(days=1)
_RUNS_A_DAY = 500


class Herald:
    """Remembers what was told, and tells the rest."""

    def __init__(self, worker: Worker, settings: Notify, redact: Callable[[str], str]) -> None:
        self._worker = worker
        self._settings = settings
        self._redact = redact
        since = worker.clock.now() - _MEMORY
        runs = [run for run in worker.journal.runs(_RUNS_A_DAY) if run.portal == worker.portal]
        self._state = matters.replay(worker.portal, _replayed(reversed(runs), since))

    def hear(self, finished: Finished) -> None:
        """Take in how a run over the whole portal ended, and tell what there is to tell."""
        if finished.report.status is not Status.STOPPED:
            self._state = matters.hear(self._state, _news(finished), self._worker.clock.now())
        waiting = list(self._state.waiting.values())
        if not waiting or not (self._settings.users or self._settings.on_event):
            return
        unreached = notify(self._worker.client, self._settings.users, waiting) if self._settings.users else {}
        for matter in waiting:
            reached = bool(self._settings.users) and matter.tag not in unreached
            if self._settings.on_event:
                reason = run_on_event(
                    self._settings.on_event,
                    event_of(matter),
                    seconds=self._settings.on_event_seconds,
                    redact=self._redact,
                )
                reached = reached or reason is None
            if reached:
                log.info("matter.told", matter=matter.kind.value, sentence=matter.sentence)
                self._state = matters.delivered(self._state, matter)


def _news(finished: Finished) -> matters.News:
    report, refusal = finished.report, finished.refusal
    undone = sum(report.outcomes.get(result, 0) for result in Result if result not in {Result.APPLIED, Result.ALREADY})
    settled = sum(report.outcomes.values())
    return matters.News(
        complete=report.status in _COMPLETE,
        failure=str(finished.failure or ""),
        locked_out=matters.locks_out(finished.failure),
        refusal=None
        if refusal is None
        else matters.Refusal(digest=refusal.digest, changes=len(refusal.changes), sentence=refusal.sentence),
        quarantined=finished.proposal.quarantined if finished.proposal else (),
        let_through=finished.let_through,
        written=report.outcomes.get(Result.APPLIED, 0),
        undone=undone,
        left=finished.let_through - settled,
    )


def _replayed(runs: Iterator[RunRecord], since: datetime) -> Iterator[tuple[matters.News, datetime]]:
    """Yield what the journal's runs had to say; a refusal is known by its sentence only, so it is told once more."""
    for run in runs:
        report, ended = run.report, run.finished_at
        if ended is not None and ended >= since and report.status is not Status.STOPPED:
            complete = report.status in _COMPLETE
            yield matters.News(complete=complete, failure="" if complete else report.error or ""), ended
