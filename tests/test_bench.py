"""The benchmark itself at a tiny size: that it measures, and that its table can be read; no figure is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
BEGIN, END = "<!-- begin: written by `make bench` -->", "<!-- end -->"


def _bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench.py"), "--quick", *options], capture_output=True, text=True, check=False
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_benchmark_measures_a_tiny_portal_and_puts_its_table_into_the_file(tmp_path):
    """`--quick --write` fills what stands between the marks, keeps the rest, and prints the same."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    done = _bench("--write", str(readme))

    assert done.returncode == 0, done.stderr
    assert readme.read_text() == f"before\n{BEGIN}\n\n{done.stdout}\n{END}\nafter\n"
    machine, _, head, rule, *rows = done.stdout.splitlines()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in machine
    assert "make bench BENCH=--quick" in machine
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    table = [dict(zip(_cells(head), _cells(row), strict=True)) for row in rows]
    assert [row["what"] for row in table] == ["sweep", "plan"]
    assert {row["drift found"] for row in table} == {"13 of 13"}
    for row in table:
        numbers = ("requests", "commands", "per 1,000 contacts", "of the floor", "seconds", "worker peak MB")
        assert all(float(row[name]) > 0 for name in numbers)
        assert int(row["requests"]) <= 10
        assert float(row["of the floor"]) < 3


def test_a_file_without_a_place_for_the_table_is_refused_before_anything_is_measured(tmp_path):
    """A mistake in `--write` costs no two minutes."""
    done = _bench("--write", str(tmp_path / "missing.md"))

    assert done.returncode == 2
    assert BEGIN in done.stderr
    assert "measuring" not in done.stderr


def test_the_figures_that_are_kept_come_from_the_whole_benchmark():
    """Nobody puts the table of `--quick` into the repository."""
    kept = (BENCHMARKS / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]

    assert "200,000 / 1,000,000, 5.0%" in kept
    assert "BENCH=--quick" not in kept
