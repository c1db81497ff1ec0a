"""The throttle: inside the portal's bucket in any window, with room for others, and back after a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import Stopped
from reconciler.portal.rest.limits import Throttle
from reconciler.simulator.meters import LeakyBucket


def throttle(
    clock: VirtualClock, burst: float | None = 50, per_second: float | None = 2, margin: float = 0.2
) -> Throttle:
    """Return a throttle for a cloud portal, unless told otherwise."""
    return Throttle(clock, burst=burst, per_second=per_second, margin=margin)


#: What happens between two requests: a pause, a refusal noticed, a success noticed.
events = st.lists(st.floats(0, 40) | st.sampled_from(["refused", "accepted"]) | st.just(0.0), max_size=80)


@settings(max_examples=150, deadline=None)
@given(
    events=events,
    burst=st.floats(2, 60),
    per_second=st.floats(0.2, 10),
    margin=st.floats(0.01, 0.9),
)
def test_no_window_holds_more_than_the_bucket(
    events: list[float | str], burst: float, per_second: float, margin: float
) -> None:
    """F5.1: the portal admits each request, and by arithmetic no window of any length holds more than it may."""
    clock = VirtualClock()
    paced, bucket = throttle(clock, burst, per_second, margin), LeakyBucket(clock, burst, per_second)
    left: list[float] = []
    for event in events:
        if event == "refused":
            paced.refused()
        elif event == "accepted":
            paced.accepted()
        else:
            clock.sleep(float(event))
            paced.acquire()
            left.append(clock.monotonic())
            assert bucket.admit("here")
    capacity, rate = max(2.0, burst * (1 - margin)), per_second * (1 - margin)
    for first in range(len(left)):
        for last in range(first, len(left)):
            assert last - first + 1 <= capacity + rate * (left[last] - left[first]) + 1e-6


@settings(max_examples=25, deadline=None)
@given(lanes=st.integers(2, 8), requests=st.integers(10, 60), margin=st.floats(0.01, 0.5))
def test_lanes_share_the_bucket(lanes: int, requests: int, margin: float) -> None:
    """Several threads wait in one queue; none slips through."""
    clock = VirtualClock()
    paced, bucket = throttle(clock, 10, 2, margin), LeakyBucket(clock, 10, 2)

    def call() -> bool:
        paced.acquire()
        return bucket.admit("here")

    assert all(clock.gather([call] * requests, lanes))


def test_a_burst_then_the_rate() -> None:
    """40 of 50 at once, then 1.6 of 2 a second: a fifth stays for others on the same address."""
    clock = VirtualClock()
    paced = throttle(clock)
    assert [paced.acquire() for _ in range(40)] == [0.0] * 40
    assert [paced.acquire() for _ in range(3)] == pytest.approx([1 / 1.6] * 3)
    clock.sleep(25)
    assert [paced.acquire() for _ in range(37)] == [0.0] * 37


def test_the_smallest_bucket_holds_a_check_and_its_write() -> None:
    """The margin never takes away the second of two requests that belong together."""
    clock = VirtualClock()
    paced = throttle(clock, burst=2, margin=0.9)
    assert paced.delay(2) == 0
    assert [paced.acquire(), paced.acquire()] == [0.0, 0.0]
    assert paced.delay(1) == pytest.approx(1 / 0.2)
    assert paced.delay(2) == pytest.approx(2 / 0.2)


def test_asking_for_the_delay_takes_nothing() -> None:
    """The writer plans with it."""
    paced = throttle(VirtualClock(), burst=2)
    assert [paced.delay(2) for _ in range(5)] == [0.0] * 5


@pytest.mark.parametrize(("burst", "per_second"), [(None, None), (None, 2.0), (50.0, None)])
def test_no_bucket_no_wait(burst: float | None, per_second: float | None) -> None:
    """F5.3: a self-hosted portal has none."""
    clock = VirtualClock()
    paced = throttle(clock, burst, per_second)
    for _ in range(500):
        paced.acquire()
    paced.accepted()
    assert paced.acquire() == 0
    assert paced.delay(2) == 0
    assert clock.monotonic() == 0


def test_a_refusal_without_a_bucket_slows_down_for_a_while() -> None:
    """A web server before a self-hosted portal refuses, too: half the cloud's rate, and without limit again in time."""
    clock = VirtualClock()
    paced = throttle(clock, None, None, margin=0)
    for _ in range(500):
        paced.acquire()
    waits = []
    for _ in range(3):
        paced.refused()
        waits.append(paced.acquire())
    assert waits == pytest.approx([1, 2, 4])
    passed = 0
    while paced.acquire():
        paced.accepted()
        passed += 1
    assert passed in {350, 351}
    assert [paced.acquire() for _ in range(100)] == [0.0] * 100


def test_each_refusal_halves_the_rate_down_to_a_sixteenth() -> None:
    """Others fill the bucket too; the first request after a refusal waits for a whole drop."""
    clock = VirtualClock()
    paced = throttle(clock, burst=50, per_second=2, margin=0)
    waits = []
    for _ in range(6):
        paced.refused()
        waits.append(paced.acquire())
    assert waits == pytest.approx([1, 2, 4, 8, 8, 8])


def test_the_rate_recovers_slowly_and_not_beyond() -> None:
    """A four-hundredth of the whole with each request that passes."""
    clock = VirtualClock()
    paced = throttle(clock, burst=50, per_second=2, margin=0)
    waits = []
    for _ in range(4):
        paced.refused()
        waits.append(paced.acquire())
    for _ in range(400):
        paced.accepted()
        waits.append(paced.acquire())
    assert waits[3] == pytest.approx(8)
    assert waits[3 + 25] == pytest.approx(4)
    assert waits[3 + 374] > 0.501
    assert waits[3 + 375 :] == pytest.approx([0.5] * 26)


def test_requests_that_are_refused_side_by_side_halve_the_rate_once() -> None:
    """They left before anybody could know."""
    clock = VirtualClock()
    paced = throttle(clock, burst=50, per_second=2, margin=0)
    for _ in range(3):
        paced.refused()
        clock.sleep(0.1)
    assert paced.acquire() == pytest.approx(0.7)


def test_others_fill_the_bucket_too() -> None:
    """F5.1: another program on this host takes half of it; of what is left most is used, with few refusals."""
    timeline = Timeline()
    clock, other = VirtualClock(timeline), VirtualClock(timeline)
    bucket, paced = LeakyBucket(clock, 50, 2), throttle(clock)
    stop = 3600.0

    def somebody_else() -> None:
        while timeline.elapsed < stop:
            bucket.admit("here")
            other.sleep(1)

    timeline.run_aside(0, somebody_else)
    refused = asked = 0
    while timeline.elapsed < stop:
        paced.acquire()
        asked += 1
        if bucket.admit("here"):
            paced.accepted()
        else:
            refused += 1
            paced.refused()
    assert asked > 0.9 * stop
    assert 0 < refused < 0.01 * asked


def test_a_stop_ends_the_wait() -> None:
    """Nobody waits for the throttle once the program was asked to end."""
    clock = VirtualClock()
    paced = throttle(clock, burst=2, per_second=0.01)
    paced.acquire()
    paced.acquire()
    clock.call_later(5, clock.stop)
    with pytest.raises(Stopped):
        paced.acquire()
    assert clock.monotonic() == 5
