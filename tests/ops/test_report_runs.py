import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from report_values import NOON, counts

from reconciler.core.model import Result, RunReport, Status
from reconciler.reporting.build import json_text
from reconciler.reporting.lists import runs_json, runs_text


@dataclass(frozen=True)
class Record:
    """As the journal gives it."""

    report: RunReport
    portal: str = "acme"
    command: str = "--once"
    started_at: datetime = NOON
    finished_at: datetime | None = NOON + timedelta(seconds=4)


RUNS = [
    Record(counts(run=1)),
    Record(counts(Status.IN_SYNC, run=2, drift=0, standing=0, outcomes={}), started_at=NOON + timedelta(minutes=10)),
    Record(
        counts(Status.INCOMPLETE, run=3, outcomes={Result.APPLIED: 7}),
        command="[red]serve\x1b[0m",
        started_at=NOON + timedelta(minutes=20),
        finished_at=None,
    ),
]


def test_runs_stand_in_a_table_the_newest_first() -> None:
    """Outcomes in short, a run under way as such, nothing for what is not known."""
    lines = runs_text(RUNS, zone=UTC, width=100).splitlines()
    assert [line.split()[0] for line in lines] == ["Run", "─" * len(lines[1]), "3", "2", "1"]
    assert "2026-03-04 12:20  [red]serve[0m  not finished" in lines[2]
    assert "7 applied" in lines[2]
    assert lines[2].endswith(" ·")
    assert "in sync" in lines[3]
    assert "498 applied, 2 gone  4.1 s" in lines[4]
    assert "Companies" not in lines[0]
    assert "Portal" not in lines[0]


def test_a_wide_terminal_shows_the_size_of_the_portal() -> None:
    """And the portal's name where there are several."""
    shown = runs_text([*RUNS, Record(counts(run=None), portal="other")], zone=UTC, width=140)
    assert "Companies" in shown
    assert "10,000" in shown
    assert "other" in shown


def test_what_a_run_did_not_see_is_no_zero() -> None:
    """A run that failed before it saw the portal has no numbers; an undo does not look at the portal at all."""
    failed = Record(RunReport(run=4, status=Status.FAILED, error="no network"))
    undone = Record(RunReport(run=5, status=Status.APPLIED, drift=3, taken_at=NOON), command="undo")
    told = runs_text([failed, undone], zone=UTC, width=140).splitlines()[2:]
    assert [line.split()[4:] for line in told] == [
        ["applied", "·", "·", "3", "0", "·", "0.0", "s"],
        ["failed", "·", "·", "·", "·", "·", "0.0", "s"],
    ]


def test_a_narrow_terminal_cuts_no_number() -> None:
    """Outcomes fold instead."""
    shown = runs_text(RUNS, zone=UTC, width=70)
    assert max(len(line) for line in shown.splitlines()) <= 70
    assert "2026-03-04 12:00" in shown
    assert "503" in shown


def test_a_run_under_a_clock_that_was_ahead_does_not_stay_the_newest() -> None:
    """The numbers of the runs tell, in the table and for scripts."""
    ahead = [Record(counts(run=4), started_at=NOON + timedelta(days=1_000)), Record(counts(run=5))]
    assert [line.split()[0] for line in runs_text(ahead, zone=UTC).splitlines()[2:]] == ["5", "4"]
    assert [run["run"] for run in runs_json(ahead)["runs"]] == [5, 4]


def test_runs_are_colored_only_when_asked() -> None:
    """Green for applied."""
    assert "\x1b" not in runs_text(RUNS, zone=UTC)
    assert "\x1b[32mapplied" in runs_text(RUNS, zone=UTC, color=True)


def test_an_empty_journal_says_so() -> None:
    """An empty table would look like a mistake."""
    assert runs_text([]) == "No run yet.\n"


def test_runs_for_scripts() -> None:
    """The keys of a run, and where and when."""
    document = json.loads(json_text(runs_json(RUNS)))
    assert document["schema"] == 1
    assert [run["run"] for run in document["runs"]] == [3, 2, 1]
    assert document["runs"][0]["finished_at"] is None
    assert document["runs"][2]["finished_at"] == "2026-03-04T12:00:04+00:00"
    assert document["runs"][2]["applied"] == 498
