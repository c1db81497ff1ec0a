"""Time as one object: everything that waits goes through a clock, so that ten hours pass in a second of test.

`SystemClock` is the real one. `VirtualClock` runs one thread at a time and wakes the sleeper with the lowest
(time, sequence), so that the same program gives the same trace on each run, parallel lanes included.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from reconciler.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Clock(Protocol):
    """What everything that reads the time or waits is given."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; raise `Stopped` at once when this clock was stopped, also for zero seconds."""
        ...

    def gather(self, calls: Sequence[Callable[[], T]], lanes: int) -> list[T]:
        """Run the calls in at most `lanes` threads and return their results in order.

        Each thread has the caller's context variables, so that its log lines carry the run's number, too.
        After a failure no further call is started; the failure with the lowest index is raised when all
        running ones have ended.
        """
        ...

    def stop(self) -> None:
        """Make every present and later `sleep` of this clock raise `Stopped`."""
        ...


class _Progress:
    """Hands out calls to lanes in order and keeps their results."""

    def __init__(self, calls: Sequence[Callable[[], T]]) -> None:
        self._calls = calls
        self._next = 0
        self._lock = threading.Lock()
        self._results: dict[int, object] = {}
        self._failures: dict[int, BaseException] = {}

    def work(self) -> None:
        while True:
            with self._lock:
                if self._failures or self._next == len(self._calls):
                    return
                index = self._next
                self._next += 1
            try:
                self._results[index] = self._calls[index]()
            except BaseException as failure:  # noqa: BLE001 - raised again in the thread that gathers
                self._failures[index] = failure

    def results(self) -> list[object]:
        if self._failures:
            raise self._failures[min(self._failures)]
        return [self._results[index] for index in range(len(self._calls))]


class SystemClock:
    """The real time."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._stopped.wait(max(0.0, seconds)):
            raise Stopped

    def gather(self, calls: Sequence[Callable[[], T]], lanes: int) -> list[T]:
        progress = _Progress(calls)
        if min(lanes, len(calls)) <= 1:
            progress.work()
        else:
            with ThreadPoolExecutor(max_workers=lanes) as pool:
                for _ in range(min(lanes, len(calls))):
                    pool.submit(copy_context().run, progress.work)
        return progress.results()  # type: ignore[return-value] # _Progress keeps the order, not the type

    def stop(self) -> None:
        self._stopped.set()


class _Sleeper:
    """A thread that waits for its turn; `baton` is locked until then."""

    __slots__ = ("baton", "clock", "order", "wake_at")

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.wake_at = 0.0
        self.order = 0
        self.clock = clock
        self.baton = threading.Lock()
        self.baton.acquire()

    def __lt__(self, other: _Sleeper) -> bool:
        return (self.wake_at, self.order) < (other.wake_at, other.order)


class Timeline:
    """Virtual seconds shared by the clocks of several parties; one thread runs, the others sleep in a queue."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.start = start
        self.elapsed = 0.0
        self._queue: list[_Sleeper] = []
        self._order = itertools.count()

    def enqueue(self, sleeper: _Sleeper, wake_at: float) -> None:
        """Give the sleeper its turn at `wake_at`, after those who asked for the same moment before."""
        sleeper.wake_at, sleeper.order = wake_at, next(self._order)
        heapq.heappush(self._queue, sleeper)

    def wait(self, wake_at: float, clock: VirtualClock) -> None:
        """Let others run until `wake_at`; the calling thread is the running one."""
        if not self._queue or wake_at < self._queue[0].wake_at:
            self.elapsed = max(self.elapsed, wake_at)
            return
        sleeper = _Sleeper(clock)
        self.enqueue(sleeper, wake_at)
        self.hand_over()
        sleeper.baton.acquire()

    def hand_over(self) -> None:
        """Wake the next sleeper; the caller then waits or ends."""
        if self._queue:
            sleeper = heapq.heappop(self._queue)
            self.elapsed = max(self.elapsed, sleeper.wake_at)
            sleeper.baton.release()

    def wake_all_of(self, clock: VirtualClock) -> None:
        """Move the sleepers of one clock to the present moment."""
        for sleeper in self._queue:
            if sleeper.clock is clock:
                sleeper.wake_at = min(sleeper.wake_at, self.elapsed)
        heapq.heapify(self._queue)

    def run_aside(self, wake_at: float, work: Callable[[], None]) -> None:
        """Start a thread that gets its turn at `wake_at`."""
        sleeper = _Sleeper()
        self.enqueue(sleeper, wake_at)

        def turn() -> None:
            sleeper.baton.acquire()
            try:
                work()
            finally:
                self.hand_over()

        threading.Thread(target=turn, daemon=True).start()


class VirtualClock:
    """Virtual time. Clocks on one `Timeline` share the time; each is stopped on its own."""

    def __init__(self, timeline: Timeline | None = None) -> None:
        self.timeline = timeline or Timeline()
        self._stopped = False

    def now(self) -> datetime:
        return self.timeline.start + timedelta(seconds=self.timeline.elapsed)

    def monotonic(self) -> float:
        return self.timeline.elapsed

    def sleep(self, seconds: float) -> None:
        if not self._stopped:
            self.timeline.wait(self.timeline.elapsed + max(0.0, seconds), self)
        if self._stopped:
            raise Stopped

    def gather(self, calls: Sequence[Callable[[], T]], lanes: int) -> list[T]:
        progress = _Progress(calls)
        lanes = min(lanes, len(calls))
        if lanes <= 1:
            progress.work()
            return progress.results()  # type: ignore[return-value] # as in SystemClock
        parent = _Sleeper(self)
        running = lanes

        def lane() -> None:
            nonlocal running
            progress.work()
            running -= 1
            if running == 0:
                self.timeline.enqueue(parent, self.timeline.elapsed)

        for _ in range(lanes):
            self.timeline.run_aside(self.timeline.elapsed, partial(copy_context().run, lane))
        self.timeline.hand_over()
        parent.baton.acquire()
        return progress.results()  # type: ignore[return-value] # as in SystemClock

    def stop(self) -> None:
        self._stopped = True
        self.timeline.wake_all_of(self)

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen at a moment of the future, whoever is running then (a person's edit, a signal)."""
        self.timeline.run_aside(self.timeline.elapsed + seconds, action)
