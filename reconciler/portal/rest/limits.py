"""Staying inside the portal's two meters: requests per second and seconds per method (F5, F15).

Both are kept here as the portal keeps them, with a margin, so that a request is held back before it would be
refused. Of what the portal reports and what was reckoned the higher counts.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.portal.entities import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.clock import Clock
    from reconciler.portal.rest.batch_codec import Timing

#: Seconds over which the portal adds up a method's time (F5.2).
WINDOW = 600.0
#: The portal forgets the oldest part of them minute by minute (F5.2).
MINUTE = 60.0
#: The wait when the portal does not say how long: the ban of the newer limiter (F5.2).
UNKNOWN_WAIT = 300.0
#: A call of at most so many seconds is not counted by the portal (F5.2).
FLOOR = 0.1
#: Seconds of a method's budget that are never planned for.
RESERVE = 10.0
#: How long a limit that a refusal taught is believed. To find out costs a refused request, so not often; a portal
#: whose tariff changed, or where another program ended, is used in full again after so long.
HOLD = 8 * 3600.0
#: Requests that must pass until a throttled rate is whole again, from nothing.
RECOVERY = 400
#: Requests per second at which a portal without a known limit is asked after it refused: what the cloud lets pass.
CAUTIOUS_RATE = 2.0
#: More than sums of seconds are wrong by.
_ROUNDING = 1e-6
#: Cost of a command nobody has measured yet, in seconds: the tail of what updates really take (F16).
UNMEASURED = 1.0


class Throttle:
    """A leaky bucket like the portal's, somewhat smaller (F5.1); safe to use from several threads.

    `burst` requests fit, `per_second` drain away; None for either: no limit (self-hosted), until a request is refused.
    """

    def __init__(self, clock: Clock, *, burst: float | None, per_second: float | None, margin: float) -> None:
        self._clock = clock
        self._unlimited = burst is None or per_second is None
        self._capacity = None if burst is None or per_second is None else max(2.0, burst * (1 - margin))
        self._full_rate = (CAUTIOUS_RATE if per_second is None else per_second) * (1 - margin)
        self._rate = self._full_rate
        self._level = 0.0
        self._updated = clock.monotonic()
        self._halved_at = -math.inf
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
        """Take note that the portal's bucket was full: others fill it too. Half the rate from here on.

        Requests that left side by side are refused side by side: that halves it once. A portal without a limit gets
        a bucket of the smallest size, until as many requests have passed as make the rate whole again.
        """
        with self._lock:
            self._drain()
            if self._capacity is None:
                self._capacity, self._level = 2.0, 0.0
            if self._updated - self._halved_at > 0.5 / self._rate:
                self._rate = max(self._full_rate / 16, self._rate / 2)
                self._halved_at = self._updated
                self._level = max(self._level, self._capacity)

    def accepted(self) -> None:
        """Take note of a request that passed: a small part of the rate comes back.

        So small that a bucket which others keep half full refuses less than one request in a hundred.
        """
        with self._lock:
            self._drain()
            self._rate = min(self._full_rate, self._rate + self._full_rate / RECOVERY)
            if self._unlimited and self._rate >= self._full_rate:
                self._capacity = None

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
    """What is known of one method's seconds. Moments are monotonic."""

    #: Our counted calls of the last ten minutes: (answered at, seconds). Of `batch` the lost ones only: of the others
    #: the portal itself says whether they are billed to it.
    spent: deque[tuple[float, float]] = field(default_factory=deque)
    #: The portal's own figure, when it came, and when it begins to fall.
    reported: float = 0.0
    reported_at: float = 0.0
    falls_at: float = 0.0
    #: By how much the figure was above what we had spent: an earlier process, another program.
    others: float = 0.0
    #: Mean seconds of a call in the last answer; None before the first.
    cost: float | None = None
    #: What is planned with: up at once when calls take longer, and down slowly, because their times vary much (F16).
    foretold: float = 0.0
    blocked_until: float = 0.0
    #: Calls that were sent and not answered yet.
    under_way: int = 0

    def own(self, at: float) -> float:
        """Return what of our own seconds is still in the window."""
        return sum(seconds for answered_at, seconds in self.spent if answered_at + WINDOW > at)

    def used(self, at: float) -> float:
        """Return the seconds in the window at a moment of the future, by what is known now."""
        # One of the `moments` may fall short of its minute by a rounding.
        gone = 0 if at < self.falls_at else 1 + (at - self.falls_at + _ROUNDING) // MINUTE
        return self.own(at) + self.others * max(0.0, 1 - gone / self._parts())

    def _parts(self) -> int:
        """Return how many minutes what others spent falls away in, a part with each, as the portal forgets (F5.2).

        When they spent it is not known: as evenly as could be.
        """
        return max(1, math.ceil((self.reported_at + WINDOW - self.falls_at) / MINUTE))

    def moments(self) -> Iterator[float]:
        """Yield when something of the window falls away."""
        yield self.blocked_until
        yield from (answered_at + WINDOW for answered_at, _ in self.spent)
        if self.others:
            yield from (self.falls_at + minute * MINUTE for minute in range(self._parts()))


class Budget:
    """The seconds that each method may still use in the portal's ten-minute window (F5.2, F15).

    What a method has used is what its calls took here, and what the portal reported above that. A portal may bill all
    to `batch`, and says so by reporting it: then that is every method's. `limit` is in seconds per method; None: the
    portal has no such limit. Where the portal refuses below it, the limit is taken to be lower for `HOLD` seconds.
    Safe to use from several threads.
    """

    def __init__(self, clock: Clock, *, limit: float | None) -> None:
        self._clock = clock
        self._set_limit = limit
        self._learned_limit: float | None = None
        self._learned_until = 0.0
        self._watched_since = clock.monotonic()
        self._meters: defaultdict[str, _Meter] = defaultdict(_Meter)
        self._lock = threading.Lock()

    @contextmanager
    def sending(self, calls: Mapping[str, int]) -> Iterator[None]:
        """Plan for so many calls of each method until they are answered, or not."""
        with self._lock:
            for method, count in calls.items():
                self._meters[method].under_way += count
        try:
            yield
        finally:
            with self._lock:
                for method, count in calls.items():
                    self._meters[method].under_way -= count

    def observe(self, method: str, timings: Iterable[Timing], portal_now: float) -> float:
        """Take note of the calls of one method in one answer; return the seconds the portal counted.

        Of the reported figures the highest counts: a zero in a later sub-result is no news (F15). `portal_now` is
        the portal's epoch second, to which its `operating_reset_at` belongs. The envelope is a call of `batch`.
        """
        timings = list(timings)
        durations = [t.duration for t in timings if t.duration is not None]
        counted = sum(duration for duration in durations if duration > FLOOR)
        with self._lock:
            now = self._clock.monotonic()
            meter = self._meters[method]
            while meter.spent and meter.spent[0][0] + WINDOW <= now:
                meter.spent.popleft()
            if counted and method != BATCH:  # whose time is that of its commands
                meter.spent.append((now, counted))
            if durations:
                meter.cost = mean = sum(durations) / len(durations)
                meter.foretold = max(mean, (3 * meter.foretold + mean) / 4)
            latest = max(timings, key=lambda t: t.operating or 0.0, default=None)
            if latest is not None and latest.operating:
                meter.reported, meter.reported_at = latest.operating, now
                resets_in = WINDOW if latest.operating_reset_at is None else latest.operating_reset_at - portal_now
                meter.falls_at = now + max(0.0, min(WINDOW, resets_in))
                meter.others = max(0.0, latest.operating - meter.own(now))
        return counted

    def unanswered(self, calls: Mapping[str, int], seconds: float) -> None:
        """Take note of a request whose answer was lost after so many seconds: as if its calls had taken them all.

        No error tells how long anything took (F1.2), so each has its part by what it was planned to take. Nor does
        it tell whom the portal billed: all of it to `batch`, maybe (F15).
        """
        with self._lock:
            now = self._clock.monotonic()
            expected = {method: _expected(self._meters[method]) or FLOOR for method in calls}
            share = seconds / sum(expected[method] * count for method, count in calls.items())
            for method, count in calls.items():
                each, meter = share * expected[method], self._meters[method]
                if each > FLOOR:
                    meter.spent.append((now, each * count))
                    self._meters[BATCH].spent.append((now, each * count))
                    meter.cost = max(meter.cost or 0.0, each)
                    meter.foretold = max(meter.foretold, each)

    def exhausted(self, method: str) -> None:
        """Take note that the portal refused the method; if that is a surprise, its limit is lower than thought.

        The last call was still let through.
        """
        with self._lock:
            now = self._clock.monotonic()
            meter, limit = self._meters[method], self._limit(now)
            used = self._proven(meter, now)
            allowed = used - (meter.cost or 0.0)
            if allowed > 2 * RESERVE and (limit is None or used < limit):  # less is too low to be true
                self._learned_limit, self._learned_until = allowed, now + HOLD
            meter.blocked_until = max(now + UNKNOWN_WAIT, meter.falls_at)

    def _proven(self, meter: _Meter, now: float) -> float:
        """Return what has surely been used and no more; 0 where that cannot be known.

        The portal's figure, while it is fresh: others may have gone on since. Where the portal gives none, our own
        reckoning, once it covers a whole window, or where it comes so near the limit that no earlier process can
        have spent much; for `batch` there is none, as its lost answers may have been billed to their methods.
        """
        if meter.reported:
            return meter.reported if now - meter.reported_at < MINUTE else 0.0
        if meter is self._meters[BATCH]:
            return 0.0
        own, limit = meter.own(now), self._limit(now)
        watched = now - self._watched_since >= WINDOW
        return own if watched or (limit is not None and own > 0.75 * limit) else 0.0

    def affordable(self, method: str) -> float:
        """Return how many calls of the method fit before the limit, in a batch; may be infinite, or below one."""
        with self._lock:
            return self._affordable(method, self._clock.monotonic())

    def cost(self, method: str) -> float:
        """Return the mean seconds of a call in the last answer; 0 where nothing is known."""
        with self._lock:
            return self._meters[method].cost or 0.0

    @property
    def limit(self) -> float | None:
        """The seconds that each method may use, as far as is known; None: no such limit."""
        with self._lock:
            return self._limit(self._clock.monotonic())

    def used(self) -> dict[str, float]:
        """Return what each method has used of the window."""
        with self._lock:
            now = self._clock.monotonic()
            return {method: meter.used(now) for method, meter in self._meters.items()}

    def wait(self, method: str, calls: float = 1) -> float:
        """Return the seconds until so many calls are affordable, or as many as ever; 0: they are now."""
        with self._lock:
            now = moment = self._clock.monotonic()
            coming = {later for key in (method, BATCH) for later in self._meters[key].moments() if later > now}
            for moment in (now, *sorted(coming)):
                if self._affordable(method, moment) >= calls:
                    return moment - now
            # All that could be afforded is planned for by requests that are under way: one of them ends soon.
            return 1.0 if self._affordable(method, moment) < 1 else moment - now

    def _limit(self, at: float) -> float | None:
        return self._learned_limit if at < self._learned_until else self._set_limit

    def _affordable(self, method: str, at: float) -> float:
        meter, batch, limit = self._meters[method], self._meters[BATCH], self._limit(at)
        if at < max(meter.blocked_until, batch.blocked_until):
            return 0.0
        if limit is None:
            return math.inf
        under_way = {key: other.under_way * _expected(other) for key, other in self._meters.items()}
        used = max(meter.used(at) + under_way[method], batch.used(at) + sum(under_way.values()))
        left = limit - RESERVE - used
        each = _expected(meter)
        if left > 0 and each <= FLOOR:  # not counted; yet over the limit the portal refuses such a call too
            return math.inf
        fitting = max(0.0, left / max(each, FLOOR))
        return fitting if used else max(1.0, fitting)


def _expected(meter: _Meter) -> float:
    """Return what a call is planned to take: half as much again as foretold."""
    return UNMEASURED if meter.cost is None else meter.foretold * 1.5
