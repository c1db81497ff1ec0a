"""The meters of the embedded portal: the leaky bucket and the operating counter in all its models."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clock import Timeline, VirtualClock
from reconciler.simulator.meters import LeakyBucket, OperatingMeter, OperatingModel

#: A full minute, so that buckets begin where the test begins.
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EPOCH = int(START.timestamp())
METHOD = "crm.contact.update"
MODELS = list(OperatingModel)


def clock_at_start() -> VirtualClock:
    """Return a virtual clock that stands at the beginning of a minute."""
    return VirtualClock(Timeline(START))


def meter_of(
    model: OperatingModel = OperatingModel.DOCS, *, limit: float | None = 480, ban: bool = False
) -> tuple[VirtualClock, OperatingMeter]:
    """Return a meter and its clock."""
    clock = clock_at_start()
    return clock, OperatingMeter(clock, model, limit, ban)


def bill_batch(meter: OperatingMeter, *seconds: float) -> list[dict[str, float | int]]:
    """Bill a batch of calls and return what sub-results and envelope report, the envelope last."""
    for one in seconds:
        meter.record(METHOD, one, in_batch=True)
    meter.record("batch", sum(seconds), in_batch=False)
    return [*(meter.fields(METHOD, index) for index in range(len(seconds))), meter.fields("batch", None)]


def operating(reports: list[dict[str, float | int]]) -> list[float | int]:
    """Return the `operating` values alone."""
    return [report["operating"] for report in reports]


# --- the leaky bucket


@pytest.mark.parametrize(("capacity", "rate"), [(50, 2), (250, 5)], ids=["cloud", "enterprise"])
def test_the_bucket_takes_a_burst_and_then_its_rate(capacity: int, rate: int) -> None:
    """F5.1: 50 requests at once and 2 a second afterwards; on Enterprise 250 and 5."""
    clock = clock_at_start()
    bucket = LeakyBucket(clock, capacity, rate)
    assert [bucket.admit("a") for _ in range(capacity + 3)].count(True) == capacity
    clock.sleep(1)
    assert [bucket.admit("a") for _ in range(rate + 3)] == [True] * rate + [False] * 3


def test_the_bucket_is_kept_per_source_address() -> None:
    """F5.1: one address that floods the portal does not shut out another."""
    bucket = LeakyBucket(clock_at_start(), 1, 1)
    assert bucket.admit("a")
    assert not bucket.admit("a")
    assert bucket.admit("b")


def test_rejected_requests_do_not_fill_the_bucket() -> None:
    """F5.1 leaves it open; here a client that keeps knocking gets in as soon as one that waits."""
    clock = clock_at_start()
    bucket = LeakyBucket(clock, 1, 1)
    assert bucket.admit("a")
    for _ in range(9):
        clock.sleep(0.1)
        bucket.admit("a")
    clock.sleep(0.11)
    assert bucket.admit("a")


def test_a_bucket_that_was_reset_is_empty() -> None:
    """After a reset the whole burst is there again."""
    bucket = LeakyBucket(clock_at_start(), 1, 1)
    assert bucket.admit("a")
    bucket.reset()
    assert bucket.admit("a")


@given(
    capacity=st.integers(1, 20),
    rate=st.floats(0.1, 10),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=80),
)
def test_no_window_ever_admits_more_than_capacity_and_rate(capacity: int, rate: float, gaps: list[float]) -> None:
    """F5.1: between any two moments at most `capacity + rate * t` requests were let in."""
    clock = clock_at_start()
    bucket = LeakyBucket(clock, capacity, rate)
    admitted = []
    for gap in gaps:
        clock.sleep(gap)
        if bucket.admit("a"):
            admitted.append(clock.monotonic())
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span = admitted[last] - admitted[first]
            assert last - first + 1 <= capacity + rate * span + 1e-6


@given(gaps=st.lists(st.floats(0.5, 5), max_size=50))
def test_a_client_at_the_rate_is_never_rejected(gaps: list[float]) -> None:
    """F5.1: who sends no faster than the bucket drains always gets in."""
    clock = clock_at_start()
    bucket = LeakyBucket(clock, 2, 2)
    for gap in gaps:
        clock.sleep(gap)
        assert bucket.admit("a")


def test_the_bucket_holds_against_many_threads() -> None:
    """Eight threads at once are admitted exactly as often as one would be."""
    bucket = LeakyBucket(clock_at_start(), 100, 1)
    admitted: list[bool] = []

    def knock() -> None:
        admitted.extend([bucket.admit("a") for _ in range(50)])

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert admitted.count(True) == 100


# --- the operating meter: who is billed, and who reports it


@pytest.mark.parametrize("model", MODELS)
def test_calls_at_the_floor_are_never_counted(model: OperatingModel) -> None:
    """F15: fifty calls of 45 ms in a batch stay at 0, one by one and not by their sum."""
    _, meter = meter_of(model)
    bill_batch(meter, *[0.045] * 50)
    meter.record(METHOD, 0.1, in_batch=False)
    assert meter.used() == {}


def test_docs_model_bills_each_nested_call_to_its_own_method() -> None:
    """F15, documentation: the method's sum after the calls, the envelope 0."""
    _, meter = meter_of()
    assert operating(bill_batch(meter, 0.702)) == [0.702, 0]
    meter.record(METHOD, 1.0, in_batch=False)
    assert meter.fields(METHOD, None)["operating"] == pytest.approx(1.702)
    assert meter.used() == {METHOD: pytest.approx(1.702)}


def test_batch_model_bills_the_envelope_and_all_report_the_same() -> None:
    """F15, b24jssdk: billed to `batch`, all sub-results carry the cumulative value, calls under 0.1 s add nothing."""
    _, meter = meter_of(OperatingModel.BATCH)
    assert operating(bill_batch(meter, 1.0, 0.05, 2.0)) == [3.0, 3.0, 3.0, 3.0]
    assert operating(bill_batch(meter, 1.0)) == [4.0, 4.0]
    assert meter.fields(METHOD, None)["operating"] == 0
    assert meter.used() == {"batch": 4.0}


def test_first_model_reports_on_the_first_sub_result_and_the_envelope() -> None:
    """F15, recorded answers: 2.70, 0, 0 and the envelope 2.70."""
    _, meter = meter_of(OperatingModel.FIRST)
    assert operating(bill_batch(meter, 0.9, 0.9, 0.9)) == [2.7, 0, 0, 2.7]


def test_absent_model_counts_but_does_not_say() -> None:
    """F15: several recorded answers have no counter at all, yet the limit holds."""
    _, meter = meter_of(OperatingModel.ABSENT)
    assert bill_batch(meter, 300, 300) == [{}, {}, {}]
    assert meter.blocked(METHOD, in_batch=True)


def test_a_portal_without_limiter_blocks_nothing_and_reports_nothing() -> None:
    """F5.3: no operating keys when the limiter is off; the seconds are still known to the statistics."""
    _, meter = meter_of(limit=None)
    meter.record(METHOD, 9_999, in_batch=False)
    assert not meter.blocked(METHOD, in_batch=False)
    assert meter.fields(METHOD, None) == {}
    assert meter.used() == {METHOD: 9_999}


# --- the operating meter: the block and its end


def test_a_method_is_blocked_above_the_limit_and_others_go_on() -> None:
    """F5.2: 429 for this method only, alone or inside a batch, and only above the limit."""
    _, meter = meter_of(limit=480)
    meter.record(METHOD, 480, in_batch=True)
    assert not meter.blocked(METHOD, in_batch=True)
    meter.record(METHOD, 0.2, in_batch=True)
    assert meter.blocked(METHOD, in_batch=True)
    assert meter.blocked(METHOD, in_batch=False)
    assert not meter.blocked("crm.contact.list", in_batch=True)
    assert not meter.blocked("batch", in_batch=False)


@pytest.mark.parametrize("model", [OperatingModel.BATCH, OperatingModel.FIRST])
def test_where_batch_is_billed_batch_is_blocked(model: OperatingModel) -> None:
    """F15: nested methods have used nothing, so the envelope is refused, not the calls within."""
    _, meter = meter_of(model)
    bill_batch(meter, *[100] * 5)
    assert not meter.blocked(METHOD, in_batch=True)
    assert not meter.blocked(METHOD, in_batch=False)
    assert meter.blocked("batch", in_batch=False)


def test_reset_at_is_ten_minutes_after_the_first_call_of_the_oldest_bucket() -> None:
    """F5.2: the epoch second at which the oldest bucket that holds something expires."""
    clock, meter = meter_of()
    clock.sleep(10)
    meter.record(METHOD, 1, in_batch=False)
    clock.sleep(30)
    meter.record(METHOD, 1, in_batch=False)
    clock.sleep(60)
    meter.record(METHOD, 1, in_batch=False)
    assert meter.fields(METHOD, None) == {"operating": 3, "operating_reset_at": EPOCH + 610}


def test_reset_at_of_an_unused_method_is_ten_minutes_from_now() -> None:
    """F5.2: now + 600 when nothing is saved."""
    clock, meter = meter_of()
    clock.sleep(7)
    assert meter.fields(METHOD, None) == {"operating": 0, "operating_reset_at": EPOCH + 607}


def test_minutes_leave_the_window_one_by_one() -> None:
    """F5.2, rolling: each one-minute bucket is forgotten ten minutes after it began."""
    clock, meter = meter_of(limit=480)
    for _ in range(10):
        meter.record(METHOD, 50, in_batch=False)
        clock.sleep(60)
    assert meter.used() == {METHOD: 450}  # the first minute has just left
    clock.sleep(60 * 8)
    assert meter.used() == {METHOD: 50}
    clock.sleep(60)
    assert meter.used() == {}


def test_a_rolling_block_ends_by_the_announced_second() -> None:
    """F5.2: a client that waits until `operating_reset_at` is let in."""
    clock, meter = meter_of(limit=480)
    clock.sleep(42)
    meter.record(METHOD, 500, in_batch=False)
    clock.sleep(100)
    assert meter.blocked(METHOD, in_batch=False)
    clock.sleep(meter.fields(METHOD, None)["operating_reset_at"] - clock.now().timestamp())
    assert not meter.blocked(METHOD, in_batch=False)


def test_a_ban_lasts_300_seconds_and_starts_from_nothing() -> None:
    """F5.2, newer limiter: fixed ban from the first refusal, buckets cleared, reset_at is the end of the ban."""
    clock, meter = meter_of(limit=480, ban=True)
    meter.record(METHOD, 500, in_batch=False)
    clock.sleep(100)
    assert meter.blocked(METHOD, in_batch=False)
    assert meter.fields(METHOD, None) == {"operating": 0, "operating_reset_at": EPOCH + 400}
    clock.sleep(299)
    assert meter.blocked(METHOD, in_batch=True)
    clock.sleep(1)
    assert not meter.blocked(METHOD, in_batch=False)
    assert meter.used() == {}


def test_the_newer_limiter_counts_batch_at_half_its_time() -> None:
    """F5.2, newer limiter: `batch` has an account of its own at weight 0.5, beside those of the nested methods."""
    _, meter = meter_of(limit=480, ban=True)
    bill_batch(meter, 10, 10)
    assert meter.used() == {METHOD: 20, "batch": 10}


def test_a_batch_below_the_floor_after_weighting_is_not_counted() -> None:
    """F5.2, newer limiter: the half of 0.16 s is under 0.1 s."""
    _, meter = meter_of(limit=480, ban=True)
    meter.record("batch", 0.16, in_batch=False)
    assert meter.used() == {}


def test_where_nested_calls_are_billed_to_batch_the_weight_applies_to_them() -> None:
    """F5.2 and F15 together: half of each nested call, and nothing twice."""
    _, meter = meter_of(OperatingModel.BATCH, ban=True)
    assert operating(bill_batch(meter, 10, 10)) == [10, 10, 10]


def test_a_meter_that_was_reset_has_forgotten_all() -> None:
    """After a reset neither seconds nor a ban are left."""
    _, meter = meter_of(limit=1, ban=True)
    meter.record(METHOD, 5, in_batch=False)
    assert meter.blocked(METHOD, in_batch=False)
    meter.reset()
    assert not meter.blocked(METHOD, in_batch=False)


@given(calls=st.lists(st.tuples(st.floats(0, 200), st.floats(0, 30)), max_size=40))
def test_the_window_never_holds_more_than_the_last_ten_minutes(calls: list[tuple[float, float]]) -> None:
    """F5.2: nothing older than ten minutes is counted, and nothing younger than nine is lost."""
    clock, meter = meter_of()
    made: list[tuple[float, float]] = []
    for gap, seconds in calls:
        clock.sleep(gap)
        meter.record(METHOD, seconds, in_batch=False)
        made.append((clock.monotonic(), seconds))
    counted = meter.used().get(METHOD, 0.0)
    upper = sum(seconds for at, seconds in made if seconds > 0.1 and clock.monotonic() - at < 600)
    lower = sum(seconds for at, seconds in made if seconds > 0.1 and clock.monotonic() - at < 540)
    assert lower - 1e-6 <= counted <= upper + 1e-6
