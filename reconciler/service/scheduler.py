"""The schedule: a sweep at once, then one every interval, never two at a time.

A run that comes late is made up for: one that falls due while another is under way begins when that one ends. A
failing run leaves the schedule as it is. The scheduler counts by the time of day: after a jump forward there is one
run, and the schedule starts again from it; a look at the monotonic clock makes sure that a clock that was set back does
not put the next run off. With each look the service's heart beats (`watch`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunContext, RunRequest
from reconciler.errors import LeaseHeldError, PortalChangedError, ReconcilerError, Stopped
from reconciler.service.health import Watch
from reconciler.telemetry.logs import context

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from reconciler.clock import Clock
    from reconciler.engine.run import RunResult

log = structlog.get_logger("reconciler.service")

#: After so many intervals without a start, the next run is started by hand.
OVERDUE = 1.5
#: Seconds between two looks at the monotonic clock, and between two heartbeats.
LOOK_EVERY = 5.0


class Schedule(IntervalTrigger):  # type: ignore[misc] # the library has no types
    """Every so many seconds; what was missed is one run, and the schedule starts again from it.

    The library would list each time that a clock which jumps from 1970 to now has skipped: millions, in minutes.
    """

    interval: timedelta

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time after `previous_fire_time`, or after `now` if that has passed, too."""
        following: datetime = super().get_next_fire_time(previous_fire_time, now)
        return following if previous_fire_time is None or following > now else now + self.interval


class Tally(Protocol):
    """Who counts runs."""

    def begun(self) -> None:
        """Count a run that begins."""
        ...

    def ended(self, finished: RunResult) -> None:
        """Count a run that could tell how it ended."""
        ...

    def failed(self, kind: str) -> None:
        """Count one that could not: `skipped`, `failed` or `crashed`."""
        ...


class Service:
    """Runs a worker on a schedule."""

    def __init__(
        self,
        worker: RunContext,
        hear: Callable[[RunResult], None],
        *,
        interval: float,
        watch: Watch | None = None,
        tally: Tally | None = None,
    ) -> None:
        """`hear` is told how each run ended; `interval` is in seconds, from start to start."""
        self._worker = worker
        self._hear = hear
        self._interval = interval
        self._tally = tally
        self.watch = watch or Watch(worker.clock, interval=interval)

    def tick(self) -> None:
        """Run once; the unit of scheduling. Whatever happens, the schedule goes on."""
        self.watch.begun()
        if self._tally:
            self._tally.begun()
        finished: RunResult | None = None
        failed = ""
        try:
            self._worker.clock.sleep(0)  # one that waited for its turn may come after the end was asked for
            finished = reconcile(self._worker, RunRequest(command="service", seconds=self._interval))
            self._take_in(finished)
        except Stopped:
            log.info("service.stopped_early")
        except LeaseHeldError as held:
            failed = "skipped"
            log.warning("service.skipped", reason=str(held))
        except ReconcilerError as failure:
            failed = "failed"
            self.watch.obstacle = str(failure)
            if isinstance(failure, PortalChangedError):  # it will not pass by itself
                self.watch.refused = str(failure)
            log.error("service.run_failed", error=str(failure))  # noqa: TRY400 - the sentence says it all
        except Exception:
            failed = "crashed"
            log.exception("service.run_crashed")
        finally:
            if self._tally and failed and finished is None:
                self._tally.failed(failed)
            self.watch.over()

    def _take_in(self, finished: RunResult) -> None:
        self.watch.ended(finished)
        with context(run=finished.report.run):
            if self._tally:
                self._tally.ended(finished)
            self._hear(finished)

    def run(self) -> None:
        """Keep to the schedule until the clock is stopped, then let a run in progress end."""
        clock: Clock = self._worker.clock
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
        job = scheduler.add_job(
            self.tick,
            Schedule(seconds=self._interval, timezone=UTC),
            name="sweep",
            next_run_time=datetime.now(UTC),
            misfire_grace_time=None,
            coalesce=True,
            # One at a time, because there is one thread; the second may wait for it, instead of being left out.
            max_instances=2,
        )
        log.info("service.started", portal=self._worker.portal, interval_seconds=self._interval)
        self.watch.beat()
        scheduler.start()
        try:
            while True:
                clock.sleep(min(LOOK_EVERY, self._interval))
                self.watch.beat()
                if self.overdue():
                    log.warning("service.overdue", reason="the time of day was set back; running now")
                    job.modify(next_run_time=datetime.now(UTC))
        except Stopped:
            log.info("service.stopping")
        finally:
            scheduler.shutdown(wait=True)
            self.watch.end()
            log.info("service.stopped")

    def overdue(self) -> bool:
        """Tell whether the last start is too long ago, by the clock that nobody can set."""
        return self.watch.idle > OVERDUE * self._interval
