"""What Prometheus reads. `TABLE` has every name; docs, alerts and the dashboard are held to it by a test.

Labels are words of this program, methods and error codes of the portal, never a record's number or a name.
"""

from __future__ import annotations

import platform
import re
import threading
from collections import Counter as Count
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

import reconciler
from reconciler.core.model import Cause, Result, Standing, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.model import RunReport
    from reconciler.errors import PortalError

#: What the answer is, as Prometheus wants to be told.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Counter, gauge or histogram; name without the counter's `_total`; labels; what it is.
TABLE: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("gauge", "reconciler_build_info", ("version", "python"), "Always 1; the labels say what is running."),
    ("gauge", "reconciler_alive", (), "1 while the process and its schedule are alive (/healthz)."),
    ("gauge", "reconciler_ready", (), "1 while the service does its work (/readyz)."),
    ("gauge", "reconciler_authorized", (), "0 from a refusal of the webhook until the next complete sweep."),
    ("gauge", "reconciler_interval_seconds", (), "From the start of one sweep to the start of the next."),
    ("gauge", "reconciler_last_attempt_timestamp_seconds", (), "When a sweep last began; NaN: never."),
    ("gauge", "reconciler_last_success_timestamp_seconds", (), "When a complete sweep last ended; NaN: never."),
    ("gauge", "reconciler_last_success_age_seconds", (), "The same as an age, by a clock that nobody sets."),
    ("counter", "reconciler_sweeps_started", (), "Sweeps that began."),
    (
        "counter",
        "reconciler_sweeps",
        ("result",),
        "Sweeps that ended, by status; skipped: another run held the lease; failed, crashed: see the log.",
    ),
    ("histogram", "reconciler_sweep_duration_seconds", (), "From the lease to the last outcome."),
    ("gauge", "reconciler_companies", (), "Companies in the last complete sweep."),
    ("gauge", "reconciler_contacts", (), "Linked contacts in the last complete sweep."),
    ("gauge", "reconciler_not_compared_contacts", (), "Those of companies that it did not see, or that are one's own."),
    (
        "gauge",
        "reconciler_drift_contacts",
        ("state", "cause"),
        "Contacts with another owner than their company in the last complete sweep; actionable: would be written.",
    ),
    ("gauge", "reconciler_standing_contacts", ("reason",), "Those that were left alone, by reason."),
    ("gauge", "reconciler_backlog_contacts", (), "Contacts that should have been written by now and are not."),
    ("counter", "reconciler_outcomes", ("result",), "What became of changes."),
    ("counter", "reconciler_guard_refusals", (), "Sweeps of which the guard refused changes."),
    ("gauge", "reconciler_approval_waiting_changes", (), "Changes that wait for `reconciler approve`."),
    ("gauge", "reconciler_exceptions", ("kind",), "Contacts that are left alone until released, by kind."),
    ("counter", "reconciler_requests", ("method", "code"), "HTTP requests; code: ok, or why it failed as a whole."),
    ("counter", "reconciler_commands", ("method", "code"), "REST commands in answered requests."),
    ("counter", "reconciler_throttle_waits", (), "Requests that waited for their turn in the portal's bucket."),
    ("counter", "reconciler_throttle_wait_seconds", (), "How long they waited, in all."),
    ("counter", "reconciler_budget_waits", ("method",), "Pauses because a method's seconds were used up."),
    ("counter", "reconciler_budget_wait_seconds", ("method",), "How long they took, in all."),
    ("gauge", "reconciler_operating_used_seconds", ("method",), "The portal's seconds used in its ten-minute window."),
    ("gauge", "reconciler_operating_granted_seconds", ("method",), "Those that it grants; missing: no limit."),
    ("gauge", "reconciler_journal_bytes", (), "The journal with its write-ahead log."),
    ("gauge", "reconciler_journal_free_bytes", (), "Room left where the journal is."),
)
#: Sweeps of a million contacts included.
_BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600)
_KINDS = (Standing.QUARANTINED, Standing.RESPECTED, Standing.UNDONE, Standing.KEPT)
_DONE = (Result.APPLIED, Result.ALREADY, Result.GONE)
#: What an error code looks like; whatever else a portal says must not become a label, nor without end.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")
_MOST_CODES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What is not counted but read, at the moment it is asked for. Times in seconds."""

    alive: bool
    ready: bool
    authorized: bool
    interval: float
    #: Epoch seconds; None: never.
    last_attempt: float | None
    last_success: float | None
    success_age: float | None
    #: By method.
    used: Mapping[str, float] = field(default_factory=dict)
    #: Of each method; None: no limit.
    granted: float | None = None
    waiting: int = 0
    exceptions: Mapping[str, int] = field(default_factory=dict)
    journal_bytes: int = 0
    free_bytes: int = 0


class Metrics:
    """Counts for one service. Any thread may count, and listens to the client as a `portal.listener.Listener`."""

    def __init__(self, methods: Sequence[str] = ()) -> None:
        """Show these methods from the start, before they are called."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own, for the whole process
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._all: dict[str, Any] = {}
        for kind, name, labels, says in TABLE:
            match kind:
                case "counter":
                    self._all[name] = Counter(name, says, labels, registry=self._registry)
                case "gauge":
                    self._all[name] = Gauge(name, says, labels, registry=self._registry)
                case _:
                    self._all[name] = Histogram(name, says, labels, registry=self._registry, buckets=_BUCKETS)
        self._codes: set[str] = set()
        self._rendering = threading.Lock()
        self._start(methods)

    def _start(self, methods: Sequence[str]) -> None:
        """Show at once what can be counted, so that a rate over the first one is not missed."""
        self._labelled("reconciler_build_info", reconciler.__version__, platform.python_version()).set(1)
        for status in (*Status, "skipped", "crashed"):
            self._labelled("reconciler_sweeps", str(status))
        for result in Result:
            self._labelled("reconciler_outcomes", result.value)
        self._drift({}, {})
        self._labelled("reconciler_requests", "batch", "ok")
        for method in methods:
            self._labelled("reconciler_commands", method, "ok")
            self._labelled("reconciler_budget_waits", method)
            self._labelled("reconciler_budget_wait_seconds", method)

    def _labelled(self, name: str, *labels: str) -> Any:
        return self._all[name].labels(*labels)

    # Runs

    def run_began(self) -> None:
        """Count a sweep that begins."""
        self._all["reconciler_sweeps_started"].inc()

    def run_failed(self, kind: str) -> None:
        """Count one that could not tell how it ended: skipped, failed, crashed."""
        self._labelled("reconciler_sweeps", kind).inc()

    def run_ended(self, report: RunReport, drift: Mapping[tuple[str, Cause], int] | None, *, refused: bool) -> None:
        """Count one that ended.

        `drift` is (actionable or standing, cause) -> contacts; None: the portal was not seen as a whole, so that what
        the last complete sweep found stays.
        """
        self._labelled("reconciler_sweeps", report.status.value).inc()
        self._all["reconciler_sweep_duration_seconds"].observe(report.usage.duration_seconds)
        for result, count in report.outcomes.items():
            self._labelled("reconciler_outcomes", result.value).inc(count)
        if refused:
            self._all["reconciler_guard_refusals"].inc()
        if drift is None:
            return
        self._all["reconciler_companies"].set(report.companies)
        self._all["reconciler_contacts"].set(report.contacts)
        self._all["reconciler_not_compared_contacts"].set(report.not_compared or 0)
        self._drift(drift, report.reasons)
        done = sum(report.outcomes.get(result, 0) for result in _DONE)
        self._all["reconciler_backlog_contacts"].set(max(0, report.drift - report.standing - done))

    def _drift(self, drift: Mapping[tuple[str, Cause], int], reasons: Mapping[Standing, int]) -> None:
        for state in ("actionable", "standing"):
            for cause in Cause:
                gauge = self._labelled("reconciler_drift_contacts", state, cause.value)
                gauge.set(drift.get((state, cause), 0))
        for reason in Standing:
            self._labelled("reconciler_standing_contacts", reason.value).set(reasons.get(reason, 0))

    # The client

    def held_back(self, seconds: float) -> None:
        """Count a wait for the bucket."""
        self._all["reconciler_throttle_waits"].inc()
        self._all["reconciler_throttle_wait_seconds"].inc(seconds)

    def budget_waited(self, method: str, seconds: float) -> None:
        """Count a wait for a method's seconds."""
        self._labelled("reconciler_budget_waits", method).inc()
        self._labelled("reconciler_budget_wait_seconds", method).inc(seconds)

    def ended(self, methods: Sequence[str], outcomes: Sequence[PortalError | None]) -> None:
        """Count an answered request and its commands."""
        self._labelled("reconciler_requests", "batch", "ok").inc()
        codes = [self._code(outcome) for outcome in outcomes]
        for (method, code), count in Count(zip(methods, codes, strict=True)).items():
            self._labelled("reconciler_commands", method, code).inc(count)

    def failed(self, methods: Sequence[str], failure: PortalError) -> None:  # noqa: ARG002 - none of them was answered
        """Count a request that failed as a whole."""
        self._labelled("reconciler_requests", "batch", self._code(failure)).inc()

    def _code(self, failure: PortalError | None) -> str:
        """Return what to call an error; one without a code goes by its kind, an odd one is `other`."""
        if failure is None:
            return "ok"
        code = failure.code or type(failure).__name__.removesuffix("Error").lower()
        if not _CODE.fullmatch(code) or (code not in self._codes and len(self._codes) >= _MOST_CODES):
            return "other"
        self._codes.add(code)
        return code

    # For Prometheus

    def text(self, readings: Readings) -> bytes:
        """Return everything in the text format."""
        with self._rendering:
            self._take_in(readings)
            return generate_latest(self._registry)

    def _take_in(self, readings: Readings) -> None:
        for name, value in (
            ("alive", readings.alive),
            ("ready", readings.ready),
            ("authorized", readings.authorized),
            ("interval_seconds", readings.interval),
            ("last_attempt_timestamp_seconds", readings.last_attempt),
            ("last_success_timestamp_seconds", readings.last_success),
            ("last_success_age_seconds", readings.success_age),
            ("approval_waiting_changes", readings.waiting),
            ("journal_bytes", readings.journal_bytes),
            ("journal_free_bytes", readings.free_bytes),
        ):
            self._all[f"reconciler_{name}"].set(nan if value is None else value)
        for kind in _KINDS:
            self._labelled("reconciler_exceptions", kind.value).set(readings.exceptions.get(kind.value, 0))
        for method, seconds in readings.used.items():
            self._labelled("reconciler_operating_used_seconds", method).set(seconds)
            if readings.granted is not None:
                self._labelled("reconciler_operating_granted_seconds", method).set(readings.granted)
