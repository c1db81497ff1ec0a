"""The benchmarks at tiny sizes: that they measure, judge, and write tables; no speed is judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import Results
from checks import checks, most
from measuring import FAST, OURS, PEER_PYTHON, Contestant, Measured, Part, Size, drift_queries
from policies import ALL, DEFAULT, Comparison, Figures
from policies import Size as PlannedSize
from tables import begin, end

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
BENCH, POLICIES = "make bench", "make benchpolicies"
SIZE = Size(companies=20_000, contacts=100_000, drifted=200)


def _run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *options], capture_output=True, text=True, check=False
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _rows(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column is called so."""
    table = text.partition(f"| {first}")[2].partition("\n\n")[0]
    return [_cells(line) for line in table.splitlines()[2:]]


def _page(tmp_path: Path, command: str) -> Path:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{begin(command)}\nold\n{end(command)}\nafter\n")
    return page


@pytest.mark.parametrize(
    "peers",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                not PEER_PYTHON.exists(), reason="NO PEERS IN THE BENCHMARK: `make foreign` first"
            ),
        ),
    ],
    ids=["alone", "with other clients"],
)
def test_the_benchmark_measures_a_tiny_portal_and_puts_its_tables_into_the_file(tmp_path: Path, peers: bool) -> None:
    """Everybody repairs all drift, the portal's own counts are shown, and what surrounds the tables stays."""
    page = _page(tmp_path, BENCH)

    cases = ["--cases", "a"] if peers else ["--cases", "a,b,c", "--without-peers"]
    done = _run("bench.py", *cases, "--scale", "0.001", "--write", str(page))

    assert done.returncode == 0, done.stderr
    assert "as promised" in done.stderr
    assert page.read_text() == f"before\n{begin(BENCH)}\n\n{done.stdout}\n{end(BENCH)}\nafter\n"
    assert f'BENCH="--cases {cases[1]} --scale 0.001{"" if peers else " --without-peers"}"' in done.stdout
    verdicts = {(case, what): verdict for case, what, _, _, verdict in _rows(done.stdout, "case")}
    assert verdicts["all", "mismatches left"] == verdicts["all", "wrong or lost results"] == "pass"
    assert set(verdicts.values()) == {"pass", "not judged"}
    first = {row[0]: row for row in _rows(done.stdout.partition("**(a)")[2], "contestant")}
    assert len(first) == (4 if peers else 1)
    for who, row in first.items():
        refused, left, wrong_or_lost = row[-4:-1]
        assert (refused, left, wrong_or_lost) == ("0", "0", "0"), who
        assert float(row[-1].rstrip("%")) > 0


@pytest.mark.parametrize(("script", "command"), [("bench.py", BENCH), ("policies.py", POLICIES)])
def test_a_file_without_a_place_for_the_table_is_refused_before_anything_is_measured(
    tmp_path: Path, script: str, command: str
) -> None:
    """A mistake in `--write` costs no ten minutes."""
    done = _run(script, "--write", str(tmp_path / "missing.md"))

    assert done.returncode == 2
    assert begin(command) in done.stderr
    assert "measur" not in done.stderr


def test_an_unknown_case_is_refused_with_those_there_are() -> None:
    """Nobody has to read the source to find out."""
    done = _run("bench.py", "--cases", "a,z")

    assert done.returncode == 2
    assert "there is no case z; choose of a,b,c,d,owners,small,sizes,e" in done.stderr


def test_the_figures_that_are_kept_come_from_the_whole_benchmarks() -> None:
    """Nobody puts the tables of a smaller run into the repository."""
    page = (BENCHMARKS / "README.md").read_text()
    kept = {command: page.partition(begin(command))[2].partition(end(command))[0] for command in (BENCH, POLICIES)}

    assert kept[POLICIES].count("200,000 / 1,000,000, 5.0%") == len(["default rules", "all policies", "plan", "ratio"])
    assert not re.search(r"BENCH=|not judged", kept[BENCH] + kept[POLICIES])


def _measured(case: str, who: Contestant = OURS, **changed: Any) -> Measured:
    """Return a run in which all went well."""
    counts: dict[str, Any] = {
        "requests": 4,
        "commands": {"crm.contact.list": 75},
        "server_seconds": {"crm.contact.list": 2.5},
        "operating_seconds": {},
        "rejected": {},
        "updates_applied": 0,
        "noop_updates": 0,
        "drift": 0,
        "cpu_seconds": 0.1,
    }
    given: dict[str, Any] = {
        "size": SIZE,
        "seconds": 5.0,
        "peak_mb": 80.0,
        "drifted": 0,
        "applied": 0,
        "told_apart": True,
        "reading": Part(requests=4, commands=75, portal_seconds=2.5, seconds=5.0),
    }
    counts |= changed.pop("stats", {})
    return Measured(case=case, who=who, stats=counts, **(given | changed))


def _judged(*measured: Measured, **known: Any) -> dict[str, str]:
    floors = {"b": 73, "c": 73, "owners": 300}
    results = Results(measured=list(measured), floors=floors, **known)
    return {f"{check.case}: {check.what}": check.verdict(full=True) for check in checks(results)}


@pytest.mark.parametrize(
    ("commands", "portal_seconds", "seconds", "failed"),
    [(600, 20.0, 9.9, 0), (601, 20.0, 9.9, 1), (600, 20.1, 9.9, 1), (600, 20.0, 10.0, 1)],
    ids=["a quarter, and quicker", "more commands", "more portal seconds", "no quicker"],
)
def test_the_first_sweep_is_held_against_the_best_peer(
    commands: int, portal_seconds: float, seconds: float, failed: int
) -> None:
    """A quarter of its commands and of its portal seconds, and less time than any."""
    part = Part(requests=12, commands=commands, portal_seconds=portal_seconds, seconds=seconds)
    peer = Part(requests=50, commands=2_400, portal_seconds=80.0, seconds=10.0)

    judged = _judged(_measured("a", reading=part), _measured("a", FAST, reading=peer))

    assert [verdict for what, verdict in judged.items() if what.startswith("a:")].count("FAIL") == failed


def test_a_poll_is_held_against_the_drift_queries_that_the_portal_needs() -> None:
    """Three commands more are allowed, in four requests; after a hand-over one more for each page of drift."""
    more = {"commands": {"crm.contact.list": 77}}
    page = Part(requests=4, commands=77, portal_seconds=2.5, seconds=5.0)

    assert set(_judged(_measured("b"), _measured("c"), handed_over=42).values()) == {"pass"}
    judged = _judged(_measured("b", stats=more), _measured("c", reading=page), handed_over=42)
    assert judged["b: commands, for 73 drift queries"] == "FAIL"
    assert judged["c: reading: commands, for 73 drift queries and 42 drifted contacts"] == "pass"
    judged = _judged(_measured("c", reading=Part(requests=5, commands=78)), handed_over=42)
    assert [what for what, verdict in judged.items() if verdict == "FAIL"] == [
        "c: reading: commands, for 73 drift queries and 42 drifted contacts",
        "c: reading: HTTP requests",
    ]


@pytest.mark.parametrize(
    ("stats", "changed", "complaint"),
    [
        ({"rejected": {"QUERY_LIMIT_EXCEEDED": 1}}, {}, "refused requests"),
        ({"drift": 1}, {"drifted": 1}, "mismatches left"),
        ({"noop_updates": 1}, {}, "wrong or lost results"),
        ({"updates_applied": 1}, {"drifted": 1}, "wrong or lost results"),
        ({}, {"failure": "exit code 1: no"}, "runs of ours that did not end well"),
        ({"cpu_seconds": 0.3}, {}, "the embedded portal's CPU, by the time it plays (b, reconciler, 20,000 / 100,000)"),
    ],
    ids=["refused", "left", "wrong", "not told", "failed", "portal too slow"],
)
def test_what_must_hold_in_every_case(stats: dict[str, Any], changed: dict[str, Any], complaint: str) -> None:
    """One thing is wrong, and that one is named."""
    judged = _judged(_measured("b", stats=stats, **changed))

    assert [what for what, verdict in judged.items() if verdict == "FAIL"] == [f"all: {complaint}"]


def test_a_promise_for_the_full_size_is_not_judged_on_a_smaller_portal() -> None:
    """A ratio of two tiny figures means nothing; a lost update does, at any size."""
    assert most("b", "commands", 80, 76).verdict(full=False) == "not judged"
    assert most("all", "mismatches left", 1, 0, everywhere=True).verdict(full=False) == "FAIL"


def test_a_scaled_peer_has_so_many_times_the_cost_and_says_so() -> None:
    """What was not measured is marked as such."""
    scaled = _measured("b", FAST).times(10, case="d", size=SIZE.times(10))

    assert (scaled.case, scaled.scaled, scaled.requests, scaled.reading.commands) == ("d", 10, 40, 750)
    assert scaled.portal_seconds == pytest.approx(25.0)


def test_drift_queries_hold_at_most_500_companies_of_one_owner() -> None:
    """What a poll cannot do without."""
    assert drift_queries({2: 500, 3: 501, 4: 1}) == 1 + 2 + 1


def test_the_benchmark_of_policies_measures_a_tiny_portal(tmp_path: Path) -> None:
    """`--quick --write` fills what stands between the marks, keeps the rest, and prints the same."""
    page = _page(tmp_path, POLICIES)

    done = _run("policies.py", "--quick", "--write", str(page))

    assert done.returncode == 0, done.stderr
    assert page.read_text() == f"before\n{begin(POLICIES)}\n\n{done.stdout}\n{end(POLICIES)}\nafter\n"
    machine, _, head, rule, *rows, _, _, _, comparison, _, compared = done.stdout.splitlines()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in machine
    assert "make benchpolicies BENCH=--quick" in machine
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


@pytest.mark.parametrize(
    ("worker", "portal", "contacts", "complaints"),
    [(1.0, 1.375, 100_000, 0), (1.1, 1.4, 100_000, 1), (9.9, 9.9, 300, 0)],
    ids=["less than a fifth more is promised", "more than that is not", "too small to tell"],
)
def test_policies_that_make_planning_dearer_than_promised_are_complained_of(
    worker: float, portal: float, contacts: int, complaints: int
) -> None:
    """It is the processor time of both sides that counts, not the time of day."""
    size = PlannedSize(companies=60, contacts=contacts, drift=0.05)

    def figures(what: str, seconds: float, worker: float, portal: float) -> Figures:
        run = {"planning_seconds": seconds, "planning_cpu_seconds": worker}
        stats = {"cpu_seconds": portal}
        return Figures(size=size, what=what, run=run, stats=stats, seconds=9, cpu_seconds=9, peak_mb=9)

    comparison = Comparison(default=figures(DEFAULT, 2.0, 1.0, 1.0), policies=figures(ALL, 9.0, worker, portal))

    assert comparison.ratio == pytest.approx((worker + portal) / 2)
    assert len(comparison.complaints) == complaints


def test_the_benchmark_of_the_service_measures_a_tiny_portal() -> None:
    """Polls of the service, each of them quiet, and the memory after the first and the last."""
    done = _run("service.py", "--companies", "50", "--contacts", "200", "--polls", "3")

    assert done.returncode == 0, done.stderr + done.stdout
    first, last, summary = done.stdout.splitlines()
    assert [line.split(":")[0].split() for line in (first, last)] == [["poll", "1"], ["poll", "3"]]
    assert "50 companies, 200 contacts, 3 polls" in summary
