"""Whether the service lives, and whether it does its work: for `reconciler health`, the pages and the metrics.

By the monotonic clock throughout: the time of day may be set back while the service runs. The service's threads write,
those of the pages read; each value is replaced as a whole.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Status
from reconciler.core.notifications import locks_out
from reconciler.portal.rest.listener import NullListener
from reconciler.reporting.wording import lasting
from reconciler.service import heartbeat
from reconciler.telemetry.systemd import notify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from reconciler.clock import Clock
    from reconciler.engine.run import RunResult
    from reconciler.errors import PortalError
    from reconciler.portal.rest.listener import Listener

log = structlog.get_logger("reconciler.service")

#: Intervals without a complete sweep after which the service is not ready, without any start: not alive.
PATIENCE = 2.5
#: Seconds without an answer after which a run under way is stuck. Longer than any wait for the portal's limits (F5.2),
#: a command of `notify.on_event`, or a lease.
STUCK = 1_800.0
#: Runs that saw the whole portal; a refused plan waits for a person, not for another look.
COMPLETE = frozenset({Status.IN_SYNC, Status.APPLIED, Status.PARTIAL, Status.REFUSED})


class Watch:
    """What is known of the service while it runs."""

    def __init__(
        self,
        clock: Clock,
        *,
        interval: float,
        beat_file: Path | None = None,
        last_success: datetime | None = None,
        last_attempt: datetime | None = None,
    ) -> None:
        """`interval` is in seconds; the two times are the journal's."""
        self._clock = clock
        #: Seconds from start to start.
        self.interval = interval
        self._beat_file = beat_file
        now = clock.monotonic()
        self._beat_at = self._moved_at = now
        #: Start of the latest run, of the end of one, both monotonic.
        self.started_at = now
        self._ended_at = now
        #: Whether a run is under way.
        self.running = False
        #: By our clock, for people; judged by the monotonic ones.
        self.last_attempt, self.last_success = last_attempt, last_success
        self._success_at = (
            None if last_success is None else now - max(0.0, (clock.now() - last_success).total_seconds())
        )
        #: Why the portal does not let us in; empty: it does.
        self.locked_out = ""
        #: Why each run is refused until somebody says that this portal is meant; empty: none is.
        self.refused = ""
        #: What kept the last run from seeing the portal as a whole, if it told; empty: nothing.
        self.obstacle = ""
        self._was_ready: bool | None = None
        self._beat_failed = False

    # Told by the service

    def begun(self) -> None:
        """Note that a run begins."""
        self.started_at, self.last_attempt = self._clock.monotonic(), self._clock.now()
        self.running = True

    def ended(self, finished: RunResult) -> None:
        """Note how a run ended."""
        if finished.report.status in COMPLETE:
            self._success_at, self.last_success = self._clock.monotonic(), self._clock.now()
            self.locked_out = self.obstacle = self.refused = ""
            return
        self.obstacle = finished.report.error or ""
        if locks_out(finished.failure):
            self.locked_out = str(finished.failure)

    def moved(self) -> None:
        """Note that the run under way gets on."""
        self._moved_at = self._clock.monotonic()

    def over(self) -> None:
        """Note that no run is under way."""
        self._ended_at, self.running = self._clock.monotonic(), False

    def beat(self) -> None:
        """Note that the service's loop turns, and tell other processes; say once when readiness goes or comes."""
        self._beat_at = self._clock.monotonic()
        self._tell_readiness()
        if not self.not_alive():  # systemd starts a service anew that it hears nothing of
            notify("READY=1", "WATCHDOG=1", f"STATUS={self._state()}")
        if self._beat_file is None:
            return
        beat = heartbeat.Beat(
            process=os.getpid(),
            boot=heartbeat.this_boot(),
            at=self._beat_at,
            wrong=self.not_alive(),
            last_attempt=self.last_attempt.isoformat() if self.last_attempt else None,
            last_success=self.last_success.isoformat() if self.last_success else None,
        )
        try:
            heartbeat.write(self._beat_file, beat)
        except OSError as error:
            if not self._beat_failed:
                reason = error.strerror or type(error).__name__
                log.warning("service.beat_failed", path=str(self._beat_file), error=reason)
            self._beat_failed = True
        else:
            self._beat_failed = False

    def end(self) -> None:
        """Take the heartbeat away: the service ends."""
        if self._beat_file is not None:
            heartbeat.remove(self._beat_file)

    # Asked by whoever wants to know

    @property
    def idle(self) -> float:
        """Seconds since the last start, while no run is under way; else 0."""
        return 0.0 if self.running else self._clock.monotonic() - self.started_at

    @property
    def success_age(self) -> float | None:
        """Seconds since the last complete sweep; None: there was none."""
        return None if self._success_at is None else self._clock.monotonic() - self._success_at

    def not_alive(self) -> str:
        """Say why the process, or its schedule, is not alive; empty: it is."""
        now = self._clock.monotonic()
        if (still := now - self._beat_at) > heartbeat.STALE:
            return f"the service's loop has stood still for {lasting(still)}"
        if self.running:
            still = now - max(self.started_at, self._moved_at)
            return f"the run under way has heard nothing for {lasting(still)}" if still > STUCK else ""
        still = now - max(self.started_at, self._ended_at)
        limit = max(PATIENCE * self.interval, heartbeat.STALE)
        return f"no run has begun for {lasting(still)} (limit {lasting(limit)})" if still > limit else ""

    def not_ready(self) -> list[str]:
        """Say why the service does not do its work, one sentence each; the journal is asked by whoever asks here."""
        reasons = [reason] if (reason := self.not_alive()) else []
        age, limit = self.success_age, PATIENCE * self.interval
        # Said once, below, where it is the same.
        why = f": {self.obstacle}" if self.obstacle and self.obstacle not in {self.locked_out, self.refused} else ""
        if age is None:
            reasons.append(f"no sweep has been complete yet{why}")
        elif age > limit:
            reasons.append(f"the last complete sweep ended {lasting(age)} ago (limit {lasting(limit)}){why}")
        if self.locked_out:
            reasons.append(f"the portal does not let the worker in: {self.locked_out}")
        if self.refused:
            reasons.append(self.refused)
        return reasons

    def _state(self) -> str:
        """Say for `systemctl status` how it goes; without reasons, which the log masks."""
        if self.last_success is None:
            return "No sweep has been complete yet."
        last = f"the last complete sweep ended {self.last_success:%Y-%m-%d %H:%M} UTC"
        return f"Ready; {last}." if self._was_ready else f"Not ready: {last}; the log says why."

    def _tell_readiness(self) -> None:
        reasons = self.not_ready()
        ready = not reasons
        if self._was_ready is True and not ready:
            log.warning("service.not_ready", reason="; ".join(reasons))
        elif self._was_ready is False and ready:
            log.info("service.ready")
        self._was_ready = ready


class LivenessListener:
    """Listens to the client for the watch: by its requests a run that works is told from one that hangs."""

    def __init__(self, watch: Watch, other: Listener | None = None) -> None:
        """`other` hears the same."""
        self._watch = watch
        self._other = other or NullListener()

    def held_back(self, seconds: float) -> None:
        self._watch.moved()
        self._other.held_back(seconds)

    def budget_waited(self, method: str, seconds: float) -> None:
        self._watch.moved()
        self._other.budget_waited(method, seconds)

    def ended(self, methods: Sequence[str], outcomes: Sequence[PortalError | None]) -> None:
        self._watch.moved()
        self._other.ended(methods, outcomes)

    def failed(self, methods: Sequence[str], failure: PortalError) -> None:
        self._watch.moved()
        self._other.failed(methods, failure)
