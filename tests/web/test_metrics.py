"""What is counted, and what a portal's words cannot do to it."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from reconciler.errors import BadRequestError, UnreachableError
from reconciler.telemetry.metrics import Metrics, Readings

NOTHING = Readings(
    alive=True,
    ready=False,
    authorized=True,
    interval=600.0,
    last_attempt=None,
    last_success=None,
    success_age=None,
)


def codes(metrics: Metrics, name: str = "reconciler_commands_total") -> dict[str, float]:
    """Return the counts by error code."""
    families = text_string_to_metric_families(metrics.text(NOTHING).decode())
    return {s.labels["code"]: s.value for family in families for s in family.samples if s.name == name}


def test_error_codes_stay_words_and_few() -> None:
    """A number, a sentence or the five-hundredth code of a portal gone mad is `other`."""
    metrics = Metrics()
    odd = ["", "17", "ID 4711 <b>", "x" * 60, "ERROR_CORE", *(f"CODE_{k}" for k in range(500))]
    metrics.ended(["user.get"] * len(odd), [BadRequestError("no", code=code) for code in odd])
    found = codes(metrics)
    assert len(found) == 51
    assert (found["badrequest"], found["ERROR_CORE"]) == (1, 1)
    assert found["other"] == len(odd) - 50
    metrics.failed(["user.get"], UnreachableError("no answer"))
    assert codes(metrics, "reconciler_requests_total")["other"] == 1


def test_waits_are_counted_with_their_seconds() -> None:
    """For the bucket, and for a method's budget."""
    metrics = Metrics(["user.get"])
    metrics.held_back(1.5)
    metrics.held_back(0.5)
    metrics.budget_waited("user.get", 300.0)
    text = metrics.text(NOTHING).decode()
    for line in (
        "reconciler_throttle_waits_total 2.0",
        "reconciler_throttle_wait_seconds_total 2.0",
        'reconciler_budget_waits_total{method="user.get"} 1.0',
        'reconciler_budget_wait_seconds_total{method="user.get"} 300.0',
        "reconciler_last_success_age_seconds NaN",
    ):
        assert f"\n{line}\n" in text


def test_a_portal_without_limits_grants_nothing_in_numbers() -> None:
    """What is used is shown; a limit that is not there is not."""
    metrics = Metrics()
    text = metrics.text(replace(NOTHING, used={"batch": 3.0}))
    assert b'reconciler_operating_used_seconds{method="batch"} 3.0' in text
    assert b"reconciler_operating_granted_seconds{" not in text
