"""Case (e) of the benchmark, smaller: several windows of ten minutes under every limiter a portal may have."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "backfill.py"
#: Three windows at 0.3 s an update.
UPDATES = 4_600


@cache
def backfill() -> Any:
    """Return the benchmark as a module."""
    spec = importlib.util.spec_from_file_location("backfill", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["backfill"] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", backfill().CASES, ids=lambda case: case.name)
def test_a_backfill_keeps_its_promises(case: Any) -> None:
    """Nothing is lost, as good as nothing refused, and hardly more time taken than the portal allows at all."""
    measured = backfill().measure(case, UPDATES)

    assert measured.complaints == []
    assert measured.lost == 0
    assert measured.longest_gap <= (case.later_seconds or case.update_seconds) + 0.1
    # A request for each chunk of at most 23, and those that chunks had to be smaller for.
    assert measured.requests < 1.25 * UPDATES / (23 if case.later_seconds is None else 7)


def test_a_backfill_keeps_to_its_bound_for_hours() -> None:
    """The same wait in each window, however many there are: nine here."""
    case = backfill().CASES[0]

    measured = backfill().measure(case, 14_000)

    assert measured.refused == measured.lost == 0
    assert 1.0 < measured.ratio <= 1.05


@pytest.mark.parametrize(
    ("median", "slowest_tenth"), [(0.25, 1.0), (0.12, 2.0)], ids=["as in the profile", "as in the documentation"]
)
def test_updates_of_all_lengths_meet_no_limit(median: float, slowest_tenth: float) -> None:
    """F16: most take a quarter of a second and some take many; the last ones foretell the next ones badly."""
    module = backfill()
    case = module.Case(name="log-normal", update_seconds=median, slowest_tenth=slowest_tenth)

    measured = module.measure(case, 5_000)

    assert (measured.refused, measured.lost) == (0, 0)


def test_what_is_broken_is_complained_of() -> None:
    """A table that finds no fault with anything would be worth nothing."""
    module = backfill()
    good = module.measure(module.CASES[0], 100)
    assert good.complaints == []

    bad = replace(good, lost=2, refused=1, wall_seconds=2 * 100 * 0.3 * 600 / 480, longest_request=61.0)

    assert [complaint.partition(": ")[2] for complaint in bad.complaints] == [
        "2 updates lost",
        "1 requests refused",
        "2.000 times the bound",
        "a request of 61 s",
    ]


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each case that was asked for."""
    assert backfill().main(["--updates", "100", "--only", "480 s, ban"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4
    assert len({len(line) for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        f"480 s, ban, {model}" for model in ("docs", "batch", "first", "absent")
    ]
