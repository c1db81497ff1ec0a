"""The two meters of the portal: requests per second (F5.1) and seconds per method in ten minutes (F5.2, F15).

Both read the clock they are given and hold a lock of their own, because a server calls them from many threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.clock import Clock

#: The window of the operating meter: ten buckets of one minute.
BUCKET_SECONDS = 60
BUCKETS = 10
WINDOW_SECONDS = BUCKETS * BUCKET_SECONDS
#: A call of so many seconds or less is not counted, however many of them there are (F15).
FLOOR_SECONDS = 0.1
#: The newer limiter bans for a fixed time, and counts `batch` at half its time (F5.2, "DISAGREE").
BAN_SECONDS = 300
BATCH_WEIGHT = 0.5
#: The envelope's own name among the methods.
BATCH = "batch"


class LeakyBucket:
    """A counter per source address: each admitted request adds one, `rate` drain away each second (F5.1).

    Whether rejected requests fill the bucket too is not known; here they do not, so that a client which waits
    `1 / rate` seconds always gets through.
    """

    def __init__(self, clock: Clock, capacity: float, rate: float) -> None:
        self._clock = clock
        self._capacity = capacity
        self._rate = rate
        self._lock = Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def admit(self, source: str) -> bool:
        """Count a request of this source, or say that there is no room for it."""
        with self._lock:
            now = self._clock.monotonic()
            level, since = self._levels.get(source, (0.0, now))
            level = max(0.0, level - self._rate * (now - since)) + 1
            if level > self._capacity:
                return False
            self._levels[source] = level, now
            return True

    def reset(self) -> None:
        """Empty the bucket of every source."""
        with self._lock:
            self._levels.clear()


class OperatingModel(StrEnum):
    """Whom the seconds of a batch are billed to, and which answers say so; portals differ (F15)."""

    #: The documentation: each nested call is billed to its own method and reports that method's sum.
    DOCS = "docs"
    #: Measured by the makers of b24jssdk: nested calls are billed to `batch`, and all report the sum of `batch`.
    BATCH = "batch"
    #: Recorded 2022 to 2025: as `batch`, but only the first sub-result and the envelope report it, the others 0.
    FIRST = "first"
    #: Billed as in the documentation, and no answer says anything.
    ABSENT = "absent"


#: The models that bill nested calls to `batch`.
_TO_BATCH = {OperatingModel.BATCH, OperatingModel.FIRST}


@dataclass(slots=True)
class _Bucket:
    """One minute of one method."""

    #: The first call's end, in epoch seconds: what `operating_reset_at` counts from.
    first: float
    seconds: float = 0.0


@dataclass(slots=True)
class _Account:
    """One method: its buckets by minute number, in order, and the end of its ban."""

    buckets: dict[int, _Bucket] = field(default_factory=dict)
    banned_until: float = 0.0

    def forget_before(self, now: float) -> None:
        """Drop the buckets that left the window.

        As on the portal a bucket leaves with its minute, while `operating_reset_at` speaks of its first call: the
        method may be free up to a minute earlier than announced, and never later.
        """
        oldest = int(now // BUCKET_SECONDS) - BUCKETS + 1
        for minute in [minute for minute in self.buckets if minute < oldest]:
            del self.buckets[minute]

    def add(self, now: float, seconds: float) -> None:
        bucket = self.buckets.setdefault(int(now // BUCKET_SECONDS), _Bucket(now))
        bucket.seconds += seconds

    def total(self) -> float:
        return sum(bucket.seconds for bucket in self.buckets.values())

    def reset_at(self, now: float) -> float:
        """Return when the oldest bucket expires, or the ban ends, or the window from now on (F5.2)."""
        if self.banned_until > now:
            return self.banned_until
        return next((bucket.first for bucket in self.buckets.values()), now) + WINDOW_SECONDS


class OperatingMeter:
    """Seconds of execution per method in the last ten minutes, and the block of a method that used too many.

    `limit` is in seconds, None for a portal whose limiter is off: seconds are still counted, for statistics, but
    nothing is blocked and no answer carries them (F5.3). Without `ban` a method is free again as its buckets leave
    the window; with it the method is refused for 300 seconds, and starts from nothing (F5.2).
    """

    def __init__(self, clock: Clock, model: OperatingModel, limit: float | None, ban: bool) -> None:
        self._clock = clock
        self._model = model
        self._limit = limit
        self._ban = ban
        self._lock = Lock()
        self._accounts: dict[str, _Account] = {}

    def blocked(self, method: str, in_batch: bool) -> bool:
        """Say whether the method may not be executed now; asked before each call and each nested call."""
        if self._limit is None or (in_batch and self._model in _TO_BATCH):
            return False
        with self._lock:
            now, account = self._account(method)
            if account.banned_until > now:
                return True
            if account.total() <= self._limit:
                return False
            if self._ban:
                # The real limiter bans when it is next asked, not when the sum passes the limit.
                account.banned_until = now + BAN_SECONDS
                account.buckets.clear()
            return True

    def record(self, method: str, seconds: float, in_batch: bool) -> None:
        """Bill an executed call; for a batch its nested calls first, then the envelope as `batch`."""
        weight = 1.0
        if in_batch and self._model in _TO_BATCH:
            method, weight = BATCH, BATCH_WEIGHT if self._ban else 1.0
        elif method == BATCH:
            if self._model in _TO_BATCH or not self._ban:
                return  # its nested calls are billed already, to `batch` or to their own methods
            seconds *= BATCH_WEIGHT
        if seconds > FLOOR_SECONDS:
            with self._lock:
                now, account = self._account(method)
                account.add(now, seconds * weight)

    @property
    def bills_to_batch(self) -> bool:
        """Whether the calls of a batch are billed as one, so that none of them knows the sum before its end (F15)."""
        return self._model in _TO_BATCH

    def fields(self, method: str, position: int | None, *, ahead: float = 0.0) -> dict[str, float | int]:
        """Return what the answer's `time` says of the method.

        `position` is the index of a sub-result within its batch, None for a single call or the envelope; `ahead` says
        by how many seconds the portal's clock, on which `operating_reset_at` is, is ahead of the meter's.
        """
        if self._limit is None or self._model is OperatingModel.ABSENT:
            return {}
        if position is not None and self._model in _TO_BATCH:
            method = BATCH
        with self._lock:
            now, account = self._account(method)
            silent = self._model is OperatingModel.FIRST and bool(position)
            used = 0.0 if silent else account.total()
            return {"operating_reset_at": int(account.reset_at(now) + ahead), "operating": round(used, 6) or 0}

    def used(self) -> dict[str, float]:
        """Return the seconds in the window now, by method; methods at zero are left out."""
        with self._lock:
            totals = {method: self._account(method)[1].total() for method in sorted(self._accounts)}
        return {method: total for method, total in totals.items() if total}

    def reset(self) -> None:
        """Forget all seconds and bans."""
        with self._lock:
            self._accounts.clear()

    def _account(self, method: str) -> tuple[float, _Account]:
        now = self._clock.now().timestamp()
        account = self._accounts.setdefault(method, _Account())
        account.forget_before(now)
        return now, account
