"""Staying inside the portal's two meters: requests per second and seconds per method (F5, F15).

Both are kept here as the portal keeps them, with a margin, so that a request is held back before it would be
refused. Of what the portal reports and what was reckoned the higher counts.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.portal.dialect import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.clock import Clock
    from reconciler.portal.wire import Timing

#: Seconds over which the portal adds up a method's time (F5.2).
WINDOW = 600.0
#: The wait when the portal does not say how long: the ban of the newer limiter (F5.2).
UNKNOWN_WAIT = 300.0
#: A call of at most so many seconds is not counted by the portal (F5.2).
FLOOR = 0.1
#: Seconds of a method's budget that are never planned for (DESIGN 5).
RESERVE = 10.0
#: Cost of a command nobody has measured yet, in seconds: the tail of what updates really take (F16).
UNMEASURED = 1.0


class Throttle:
    """A leaky bucket like the portal's, somewhat smaller (F5.1).

    `burst` requests fit, `per_second` drain away; None for either: no limit (self-hosted).
    """

    def __init__(self, clock: Clock, *, burst: float | None, per_second: float | None, margin: float) -> None:
        self._clock = clock
        self._capacity = None if burst is None or per_second is None else max(2.0, burst * (1 - margin))
        self._full_rate = (per_second or 0.0) * (1 - margin)
        self._rate = self._full_rate
        self._level = 0.0
        self._updated = clock.monotonic()
        self._lock = threading.Lock()

    def delay(self, requests: int) -> float:
        """Return the seconds until so many requests (at most two) may leave back to back."""
        with self._lock:
            return self._delay(requests)

    def acquire(self) -> float:
        """Wait until the next request may leave; return the seconds waited."""
        with self._lock:
            wait = self._delay(1)
            self._level += 1
        if wait > 0:
            self._clock.sleep(wait)
        return wait

    def refused(self) -> None:
        """Take note that the portal's bucket was full: others fill it too. Half the rate from here on."""
        with self._lock:
            self._drain()
            self._rate = max(self._full_rate / 16, self._rate / 2)
            self._level = max(self._level, self._capacity or 0.0)

    def accepted(self) -> None:
        """Take note of a request that passed: the rate comes back by one part in twenty."""
        with self._lock:
            self._drain()
            self._rate = min(self._full_rate, self._rate * 1.05)

    def _delay(self, requests: int) -> float:
        if self._capacity is None:
            return 0.0
        self._drain()
        return max(0.0, (self._level + requests - self._capacity) / self._rate)

    def _drain(self) -> None:
        now = self._clock.monotonic()
        self._level = max(0.0, self._level - (now - self._updated) * self._rate)
        self._updated = now


@dataclass(slots=True)
class _Meter:
    """What is known of one method's seconds."""

    #: Counted calls of the last ten minutes: (end, seconds).
    spent: deque[tuple[float, float]] = field(default_factory=deque)
    #: The portal's own figure, until it begins to fall at `falls_at` (monotonic).
    reported: float = 0.0
    reported_at: float = 0.0
    falls_at: float = 0.0
    #: Mean seconds of a call in the last batch; None before the first.
    cost: float | None = None
    blocked_until: float = 0.0

    def used(self, now: float) -> float:
        """Return the seconds used in the window that ends now; any thread may ask."""
        spent = list(self.spent)
        own = sum(seconds for at, seconds in spent if at > now - WINDOW)
        if now >= self.falls_at:
            return own
        return max(own, self.reported + sum(seconds for at, seconds in spent if at > self.reported_at))


class Budget:
    """The seconds that each method may still use in the portal's ten-minute window (F5.2, F15).

    `limit` is in seconds per method; None: the portal has no such limit.
    """

    def __init__(self, clock: Clock, *, limit: float | None) -> None:
        self._clock = clock
        self._limit = limit
        self._meters: dict[str, _Meter] = {}

    def observe(self, method: str, timings: Iterable[Timing], portal_now: float) -> float:
        """Take note of the calls of one method in one answer; return the seconds the portal counted.

        Of the reported figures the highest counts: a zero in a later sub-result is no news (F15). `portal_now` is
        the portal's epoch second, to which its `operating_reset_at` belongs.
        """
        timings = list(timings)
        now = self._clock.monotonic()
        meter = self._meter(method)
        durations = [t.duration for t in timings if t.duration is not None]
        counted = sum(duration for duration in durations if duration > FLOOR)
        if counted:
            meter.spent.append((now, counted))
        if durations:
            meter.cost = sum(durations) / len(durations)
        latest = max(timings, key=lambda t: t.operating or 0.0, default=None)
        if latest is not None and latest.operating:
            meter.reported, meter.reported_at = latest.operating, now
            resets_in = WINDOW if latest.operating_reset_at is None else latest.operating_reset_at - portal_now
            meter.falls_at = now + max(0.0, min(WINDOW, resets_in))
        return counted

    def exhausted(self, method: str) -> None:
        """Take note that the portal refused the method: the limit is lower than thought (DESIGN 5)."""
        now = self._clock.monotonic()
        meter = self._meter(method)
        used = self._used(method)
        told = now < meter.falls_at  # only the portal's own figure is proof of what it allows
        if told and used > 2 * RESERVE and (self._limit is None or used < self._limit):
            self._limit = used
        meter.blocked_until = max(now + UNKNOWN_WAIT, meter.falls_at)

    def affordable(self, method: str) -> float:
        """Return how many calls of the method fit before the limit, in a batch; may be infinite, or below one."""
        if any(self._clock.monotonic() < self._meter(key).blocked_until for key in (method, BATCH)):
            return 0.0
        if self._limit is None:
            return float("inf")
        cost = self._meter(method).cost
        per_call = UNMEASURED if cost is None else cost * 1.5
        used = max(self._used(method), self._used(BATCH))
        left = self._limit - RESERVE - used
        if left > 0 and per_call <= FLOOR:  # not counted; yet over the limit the portal refuses such a call too
            return float("inf")
        fitting = max(0.0, left / max(per_call, FLOOR))
        return fitting if used else max(1.0, fitting)

    def cost(self, method: str) -> float:
        """Return the mean seconds of a call in the last batch; 0 where nothing is known."""
        return self._meter(method).cost or 0.0

    @property
    def limit(self) -> float | None:
        """The seconds that each method may use, as far as is known; None: no such limit."""
        return self._limit

    def used(self) -> dict[str, float]:
        """Return what each method has used of the window; changes nothing, so that any thread may ask."""
        now = self._clock.monotonic()
        return {method: meter.used(now) for method, meter in list(self._meters.items())}

    def wait(self, method: str) -> float:
        """Return the seconds until something of the method's window falls away."""
        now = self._clock.monotonic()
        meters = [self._meter(key) for key in (method, BATCH)]
        moments = [m.blocked_until for m in meters] + [m.falls_at for m in meters]
        moments += [m.spent[0][0] + WINDOW for m in meters if m.spent]
        return min((moment - now for moment in moments if moment > now), default=1.0)

    def _meter(self, method: str) -> _Meter:
        return self._meters.setdefault(method, _Meter())

    def _used(self, method: str) -> float:
        now = self._clock.monotonic()
        meter = self._meter(method)
        while meter.spent and meter.spent[0][0] <= now - WINDOW:
            meter.spent.popleft()
        return meter.used(now)
