"""Once a day, what the journal need not keep goes from it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from reconciler.errors import JournalError, LeaseHeldError, Stopped

if TYPE_CHECKING:
    from reconciler.engine.run import RunContext, RunResult

log = structlog.get_logger("reconciler.upkeep")

#: Seconds between two times.
_DAY = 86_400.0


class Upkeep:
    """Prunes a worker's journal after its first run, and then once a day."""

    def __init__(self, worker: RunContext, keep_days: float) -> None:
        self._worker = worker
        self._keep = timedelta(days=keep_days)
        self._next = worker.clock.monotonic()

    def hear(self, finished: RunResult) -> None:
        """Prune when it is time. Whatever comes of it, the schedule goes on, and the run keeps its own exit code.

        Only after a run that heard the portal's time: our clock alone may be years ahead, and what is gone is gone.
        """
        now, journal = finished.report.taken_at, self._worker.journal
        if self._worker.clock.monotonic() < self._next or now is None:
            return
        try:
            pruned = journal.housekeeping.prune(self._keep, now, partial(journal.lease, 0))
        except (LeaseHeldError, Stopped):
            return  # another run is at work, or we are asked to end: the rest goes after the next run
        except JournalError as failure:
            log.warning("journal.not_pruned", error=str(failure))
            return
        if pruned.finished:
            self._next = self._worker.clock.monotonic() + _DAY
        log.info("journal.pruned", keep_days=self._keep.days, **asdict(pruned))
