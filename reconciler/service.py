"""The schedule: a sweep at once, then one every interval, never two at a time.

A run that comes late is made up for: one that falls due while another is under way begins when that one ends. A failing
run leaves the schedule as it is. The scheduler counts by the time of day, so a look at the monotonic clock makes sure
that a clock that was set back does not put the next run off.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.errors import LeaseHeldError, ReconcilerError, Stopped
from reconciler.reconcile import Order, Worker, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.clock import Clock
    from reconciler.reconcile import Finished

log = structlog.get_logger("reconciler.service")

#: After so many intervals without a start, the next run is started by hand.
OVERDUE = 1.5
#: Seconds between two looks at the monotonic clock.
LOOK_EVERY = 10.0


class Service:
    """Runs a worker on a schedule."""

    def __init__(self, worker: Worker, hear: Callable[[Finished], None], *, interval: float) -> None:
        """`hear` is told how each run ended; `interval` is in seconds, from start to start."""
        self._worker = worker
        self._hear = hear
        self._interval = interval
        self._started_at = worker.clock.monotonic()
        self._running = False

    def tick(self) -> None:
        """Run once; the unit of scheduling. Whatever happens, the schedule goes on."""
        self._started_at = self._worker.clock.monotonic()
        self._running = True
        try:
            self._worker.clock.sleep(0)  # one that waited for its turn may come after the end was asked for
            self._hear(reconcile(self._worker, Order(command="service", seconds=self._interval)))
        except Stopped:
            log.info("service.stopped_early")
        except LeaseHeldError as held:
            log.warning("service.skipped", reason=str(held))
        except ReconcilerError as failure:
            log.error("service.run_failed", error=str(failure))  # noqa: TRY400 - the sentence says it all
        except Exception:
            log.exception("service.run_crashed")
        finally:
            self._running = False

    def run(self) -> None:
        """Keep to the schedule until the clock is stopped, then let a run in progress end."""
        clock: Clock = self._worker.clock
        scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})
        job = scheduler.add_job(
            self.tick,
            "interval",
            name="sweep",
            seconds=self._interval,
            next_run_time=datetime.now(UTC),
            misfire_grace_time=None,
            coalesce=True,
            # One at a time, because there is one thread; the second may wait for it, instead of being left out.
            max_instances=2,
        )
        log.info("service.started", portal=self._worker.portal, interval_seconds=self._interval)
        scheduler.start()
        try:
            while True:
                clock.sleep(min(LOOK_EVERY, self._interval))
                if self.overdue():
                    log.warning("service.overdue", reason="the time of day was set back; running now")
                    job.modify(next_run_time=datetime.now(UTC))
        except Stopped:
            log.info("service.stopping")
        finally:
            scheduler.shutdown(wait=True)
            log.info("service.stopped")

    def overdue(self) -> bool:
        """Tell whether the last start is too long ago, by the clock that nobody can set."""
        idle = self._worker.clock.monotonic() - self._started_at
        return not self._running and idle > OVERDUE * self._interval
