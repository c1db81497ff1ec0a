"""The clocks: virtual time is deterministic, lanes included, and stops when asked."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.clock import SystemClock, Timeline, VirtualClock
from reconciler.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable


def test_sleep_moves_virtual_time_only() -> None:
    """Ten hours pass at once, and the time of day follows."""
    clock = VirtualClock()
    before = clock.now()
    clock.sleep(36_000)
    assert clock.monotonic() == 36_000
    assert clock.now() - before == timedelta(hours=10)


def sleeper(clock: VirtualClock, trace: list[str], name: str, *naps: float) -> Callable[[], str]:
    """Make a call that naps and writes down when it woke."""

    def call() -> str:
        for nap in naps:
            clock.sleep(nap)
            trace.append(f"{name}@{clock.monotonic():g}")
        return name

    return call


def test_lanes_interleave_by_time_and_sequence() -> None:
    """Two lanes over three calls wake in the order of their times, and results keep the order of the calls."""
    clock, trace = VirtualClock(), list[str]()
    calls = [sleeper(clock, trace, "a", 3, 1), sleeper(clock, trace, "b", 2, 2), sleeper(clock, trace, "c", 1)]
    assert clock.gather(calls, 2) == ["a", "b", "c"]
    assert trace == ["b@2", "a@3", "b@4", "a@4", "c@5"]


def test_the_same_program_gives_the_same_trace() -> None:
    """A hundred naps in four lanes, twice."""

    def run() -> list[str]:
        clock, trace = VirtualClock(), list[str]()
        clock.gather([sleeper(clock, trace, str(i), i % 7, (i * 5) % 3, i % 2) for i in range(100)], 4)
        return trace

    assert run() == run()


@pytest.mark.parametrize("make", [VirtualClock, SystemClock], ids=["virtual", "system"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_gather_raises_the_first_failure_and_starts_no_more(make: Callable[[], VirtualClock], lanes: int) -> None:
    """A failing call ends the gathering; the ones not yet started never run."""
    started: list[int] = []
    gate = threading.Barrier(lanes) if make is SystemClock and lanes > 1 else None

    def call(index: int) -> Callable[[], None]:
        def work() -> None:
            started.append(index)
            if gate and index < lanes:
                gate.wait(10)
            raise ValueError(index)

        return work

    with pytest.raises(ValueError, match="0"):
        make().gather([call(i) for i in range(10)], lanes)
    assert len(started) <= lanes


@pytest.mark.parametrize("make", [VirtualClock, SystemClock], ids=["virtual", "system"])
def test_a_stopped_clock_raises_also_for_zero_seconds(make: Callable[[], VirtualClock]) -> None:
    """After stop, whoever would wait ends instead."""
    clock = make()
    clock.sleep(0)
    clock.stop()
    with pytest.raises(Stopped):
        clock.sleep(0)


def test_stop_wakes_a_virtual_sleeper_at_once_but_not_another_party() -> None:
    """The worker's clock is stopped at second 5; the portal on the same timeline sleeps on."""
    timeline = Timeline()
    worker, portal = VirtualClock(timeline), VirtualClock(timeline)
    trace: list[str] = []

    def work() -> None:
        try:
            worker.sleep(100)
        except Stopped:
            trace.append(f"stopped@{worker.monotonic():g}")

    def serve() -> None:
        portal.sleep(50)
        trace.append(f"served@{portal.monotonic():g}")

    portal.call_later(5, worker.stop)
    portal.gather([work, serve], 2)
    assert trace == ["stopped@5", "served@50"]


def test_stop_wakes_a_real_sleeper() -> None:
    """A thread that sleeps for a minute ends when the clock is stopped."""
    clock, ended = SystemClock(), threading.Event()

    def work() -> None:
        with pytest.raises(Stopped):
            clock.sleep(60)
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    clock.stop()
    thread.join(10)
    assert ended.is_set()


def test_call_later_happens_between_the_moments_around_it() -> None:
    """An action set for second 5 is seen by a sleeper that wakes at 6, not by one that wakes at 4."""
    clock, seen = VirtualClock(), list[str]()
    clock.call_later(5, lambda: seen.append("edit"))
    clock.sleep(4)
    assert seen == []
    clock.sleep(2)
    assert seen == ["edit"]


def test_system_clock_reads_utc_and_gathers_in_order() -> None:
    """The real clock is aware of its zone; lanes keep the order of results."""
    clock = SystemClock()
    offset = clock.now().utcoffset()
    assert offset == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()
    assert clock.gather([lambda i=i: i * i for i in range(20)], 4) == [i * i for i in range(20)]
