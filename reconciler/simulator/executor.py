"""Runs one call, alone or inside a batch: scope, limits, faults, the method itself, its cost and its `time`."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconciler.simulator import errors, methods
from reconciler.simulator.calls import Call
from reconciler.simulator.dates import iso
from reconciler.simulator.errors import Refusal, RestError
from reconciler.simulator.faults import target
from reconciler.simulator.filters import parse_key
from reconciler.simulator.incoming import take_start
from reconciler.simulator.meters import BATCH
from reconciler.simulator.php import PhpArray
from reconciler.simulator.writes import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.clock import Clock
    from reconciler.simulator.batch import Place
    from reconciler.simulator.calls import Caller, Result, Site
    from reconciler.simulator.costs import CostModel
    from reconciler.simulator.counters import Counters
    from reconciler.simulator.faults import Fault, Faults
    from reconciler.simulator.meters import OperatingMeter
    from reconciler.simulator.methods import Method


#: What SQLite will not take or Python cannot hand to it; MySQL refuses the same things in its own ways.
_SQL_FAILURES = (sqlite3.Error, UnicodeEncodeError, OverflowError, RecursionError)


class TimeUp(Exception):  # noqa: N818 - the web server's doing, not an answer of the portal
    """The request took longer than the web server lets it (F5.3); what was done stays done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One HTTP request on its way through the portal."""

    number: int
    caller: Caller
    #: On the clock's monotonic scale.
    deadline: float
    #: The tables that it has written so far.
    written: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A method's result with its `time`; a hidden one was carried out, but is not shown (a fault)."""

    result: Result
    time: dict[str, Any]
    moment: Moment
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """What is needed to run calls."""

    site: Site
    clock: Clock
    #: Seconds by which the portal's clock is ahead of the true time.
    ahead: Callable[[], float]
    utc_offset: int
    faults: Callable[[], Faults]
    counters: Counters
    meter: OperatingMeter | None
    costs: CostModel | None
    #: Lets somebody do what a fault says.
    happen: Callable[[Fault], None]

    def run(self, visit: Visit, method: str, params: PhpArray, place: Place | None = None) -> Answer:
        """Run one call; `place` is its place inside a batch, None outside.

        Raises `RestError` when it is refused, `TimeUp` when the web server gives up during it.
        """
        in_batch = place is not None
        implementation = methods.find(method, visit.caller, in_batch=in_batch)
        faults = self.faults().for_call(visit.number, lambda: target(method, params, place))
        if self.meter is not None and self.meter.blocked(method, in_batch):
            raise RestError(errors.OPERATION_TIME_LIMIT)
        self.counters.command(method)
        for edit in _of(faults, "human_edit_between"):
            self.happen(edit)
        refuse(faults)
        call = Call(
            method=method,
            start=take_start(params),
            params=_without_filter(params, faults),
            caller=visit.caller,
            now=int(self.wall()),
            utc_offset=self.utc_offset,
        )
        started, begun = self.wall(), self.clock.monotonic()
        try:
            with self.site.database.lock:
                moment = Moment(started, len(self.site.edits.history))
                result = self._carried_out(visit, implementation, call, faults)
                self._noted(visit, call, moment, place)
        except _SQL_FAILURES as failure:
            raise RestError(errors.SQL_ERROR) from failure
        slower = sum(fault["seconds"] for fault in _of(faults, "slow"))
        end = self._end(method, result, begun, slower)
        self._wait_until(min(end, visit.deadline))
        # In microseconds: a call of 0.1 s must not pass the meter's floor by a rounding error (F15).
        spent = round(min(end, visit.deadline) - begun, 6)
        self.bill(method, spent, in_batch=in_batch)
        if end > visit.deadline:
            raise TimeUp
        for fault in faults:
            result = _shortened(result, fault)
        return Answer(
            result=result,
            time=self.timing(method, started, spent, spent, place),
            moment=moment,
            hidden=bool(_of(faults, "missing_result")),
        )

    def _carried_out(self, visit: Visit, implementation: Method, call: Call, faults: Sequence[Fault]) -> Result:
        lag = max((fault["seconds"] for fault in _of(faults, "replica_lag")), default=0.0)
        edits = self.site.edits
        # A process that has written a table reads it where it wrote.
        with edits.as_before(call.now - lag, apart_from=visit.written) if lag else nullcontext():
            return implementation.run(self.site, call)

    def _noted(self, visit: Visit, call: Call, moment: Moment, place: Place | None) -> None:
        history, writes = self.site.edits.history, self.site.writes
        if len(history) > moment.edits:
            visit.written.update(edit.entity for edit in history[moment.edits :])
        if not call.method.endswith(".update"):
            writes.read(call, moment)
            return
        writes.written(
            call, moment, history, self.site.database, request=visit.number,
            command=place.number if place is not None else None,
            condition=place.condition if place is not None else None,
        )  # fmt: skip

    def bill(self, method: str, seconds: float, *, in_batch: bool) -> None:
        """Count the seconds of one call."""
        self.counters.spent(method, seconds)
        if self.meter is not None:
            self.meter.record(method, seconds, in_batch)

    def settle(self, times: PhpArray, seconds: float) -> None:
        """Count the seconds of a whole batch, and let its sub-results say what they may say only then (F15)."""
        if self.meter is None:
            return
        self.meter.record(BATCH, seconds, False)
        if self.meter.bills_to_batch:
            for position, time in enumerate(times.values()):
                time.update(self.meter.fields(BATCH, position, ahead=self.ahead()))

    def wall(self) -> float:
        """Return the portal's own time of day, in epoch seconds."""
        return self.clock.now().timestamp() + self.ahead()

    def timing(
        self, method: str, started: float, duration: float, processing: float, place: Place | None
    ) -> dict[str, Any]:
        """Build the `time` of an answer; a whole number is written as one (F1.2)."""
        return {
            "start": _number(started),
            "finish": _number(started + duration),
            "duration": _number(duration),
            "processing": _number(processing),
            "date_start": iso(started, self.utc_offset),
            "date_finish": iso(started + duration, self.utc_offset),
            **self._operating(method, None if place is None else place.succeeded),
        }

    def _operating(self, method: str, position: int | None) -> dict[str, float | int]:
        if self.meter is None or (position is not None and self.meter.bills_to_batch):
            return {}  # a batch that is billed as one is billed at its end: see `settle`
        return self.meter.fields(method, position, ahead=self.ahead())

    def _end(self, method: str, result: Result, begun: float, slower: float) -> float:
        """Return when the call is over: after the modelled seconds, or now if it really took longer."""
        if self.costs is not None:
            slower += self.costs.seconds(
                method,
                result.rows,
                result.counted_rows,
                examined_rows=result.examined_rows,
                walked_rows=result.walked_rows,
            )
        return max(begun + slower, self.clock.monotonic())

    def _wait_until(self, moment: float) -> None:
        """Wait outside any lock, so that a slow call does not keep others from the database."""
        left = moment - self.clock.monotonic()
        if left > 0:
            self.clock.sleep(left)


def _of(faults: Sequence[Fault], kind: str) -> list[Fault]:
    return [fault for fault in faults if fault.kind == kind]


def refuse(faults: Sequence[Fault]) -> None:
    """Raise the refusal that is scripted for a call, if there is one."""
    for fault in faults:
        if fault.kind == "operation_limit":
            raise RestError(errors.OPERATION_TIME_LIMIT)
        if fault.kind == "command_error":
            raise RestError(Refusal(fault["code"], fault["description"], fault["status"]))


def _without_filter(params: PhpArray, faults: Sequence[Fault]) -> PhpArray:
    for fault in _of(faults, "dropped_filter"):
        name = next((name for name in ("filter", "FILTER") if name in params), None)
        conditions = params.get(name)
        if name is None or not isinstance(conditions, PhpArray):
            continue
        kept = {
            key: value
            for key, value in conditions.items()
            if fault["field"] and parse_key(str(key)).field != fault["field"]
        }
        params.put(name, PhpArray(kept))
    return params


def _shortened(result: Result, fault: Fault) -> Result:
    page = result.value
    newer = isinstance(page, dict) and isinstance(page.get("items"), list)
    if fault.kind not in ("short_page", "empty_page") or not (newer or isinstance(page, PhpArray)):
        return result
    rows = page["items"] if newer else page.values()
    kept = rows[: max(0, len(rows) - fault["rows"])] if fault.kind == "short_page" else []
    return replace(result, value={"items": kept} if newer else PhpArray(kept))


def _number(value: float) -> float | int:
    value = round(value, 6)
    return int(value) if value.is_integer() else value
