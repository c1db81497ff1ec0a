"""The benchmark itself at a tiny size: that it measures, and that its table can be read; no figure is judged here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
BEGIN, END = "<!-- begin: written by `make bench` -->", "<!-- end -->"


def _bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench.py"), "--quick", *options], capture_output=True, text=True, check=False
    )


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("bench", BENCHMARKS / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench"] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_benchmark_measures_a_tiny_portal_and_puts_its_table_into_the_file(tmp_path):
    """`--quick --write` fills what stands between the marks, keeps the rest, and prints the same."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    done = _bench("--write", str(readme))

    assert done.returncode == 0, done.stderr
    assert readme.read_text() == f"before\n{BEGIN}\n\n{done.stdout}\n{END}\nafter\n"
    machine, _, head, rule, *rows, _, _, _, comparison, _, compared = done.stdout.splitlines()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in machine
    assert "make bench BENCH=--quick" in machine
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    table = [dict(zip(_cells(head), _cells(row), strict=True)) for row in rows]
    assert [row["what"] for row in table] == ["default rules", "all policies", "plan"]
    assert {row["drift found"] for row in table} == {"13 of 13"}
    for row in table:
        numbers = ("requests", "commands", "per 1,000 contacts", "of the floor", "seconds", "worker peak MB")
        assert all(float(row[name]) > 0 for name in numbers)
        assert int(row["requests"]) <= 10
        assert float(row["of the floor"]) < 3
    ratio = dict(zip(_cells(comparison), _cells(compared), strict=True))
    assert float(ratio["ratio"]) > 0
    assert ratio["left alone"] == "0 -> 9"


def test_a_file_without_a_place_for_the_table_is_refused_before_anything_is_measured(tmp_path):
    """A mistake in `--write` costs no five minutes."""
    done = _bench("--write", str(tmp_path / "missing.md"))

    assert done.returncode == 2
    assert BEGIN in done.stderr
    assert "measuring" not in done.stderr


def test_the_figures_that_are_kept_come_from_the_whole_benchmark():
    """Nobody puts the table of `--quick` into the repository."""
    kept = (BENCHMARKS / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]

    assert kept.count("200,000 / 1,000,000, 5.0%") == len(["default rules", "all policies", "plan", "ratio"])
    assert "BENCH=--quick" not in kept


@pytest.mark.parametrize(
    ("worker", "portal", "contacts", "complaints"),
    [(1.0, 1.375, 100_000, 0), (1.1, 1.4, 100_000, 1), (9.9, 9.9, 300, 0)],
    ids=["less than a fifth more is promised", "more than that is not", "too small to tell"],
)
def test_policies_that_make_planning_dearer_than_promised_are_complained_of(worker, portal, contacts, complaints):
    """It is the processor time of both sides that counts, not the time of day."""
    bench = _module()
    size = bench.Size(companies=60, contacts=contacts, drift=0.05)

    def figures(what: str, seconds: float, worker: float, portal: float) -> object:
        run = {"planning_seconds": seconds, "planning_cpu_seconds": worker}
        stats = {"cpu_seconds": portal}
        return bench.Figures(size=size, what=what, run=run, stats=stats, seconds=9, cpu_seconds=9, peak_mb=9)

    comparison = bench.Comparison(
        default=figures("default rules", 2.0, 1.0, 1.0), policies=figures("all policies", 9.0, worker, portal)
    )

    assert comparison.ratio == pytest.approx((worker + portal) / 2)
    assert len(comparison.complaints) == complaints
