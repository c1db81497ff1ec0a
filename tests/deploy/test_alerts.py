"""Alerts come when they should and not before, as Prometheus itself reckons; needs its `promtool` on this machine.

An expression whose two sides carry different labels finds nothing, and never says so. Without `promtool` these tests
are skipped; with CI_PROMTOOL=1 in the environment they fail instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yml"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
#: What Prometheus adds to each series of a target.
TARGET = {"job": "reconciler", "instance": "here"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A situation: series without the prefix `reconciler_`, in promtool's notation, a value a minute."""

    series: dict[str, str]
    #: The alert that must come, and its labels besides those of the target and of the rule; None: no alert comes.
    alert: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    #: Minutes: until then nothing may come; then just this must be there.
    quiet: int = 0
    firing: int = 0


CASES = {
    "all is well": Case(
        series={
            "alive": "1x180",
            "authorized": "1x180",
            "interval_seconds": "600x180",
            "last_success_age_seconds": "590x180",
            "last_success_timestamp_seconds": "1700000000x180",
            "sweeps_started_total": "0+0.1x180",
            'sweeps_total{result="in_sync"}': "0+0.1x180",
            'sweeps_total{result="crashed"}': "2x180",
            "approval_waiting_changes": "0x180",
            "backlog_contacts": "0x180",
            'outcomes_total{result="applied"}': "0x180",
            'outcomes_total{result="denied"}': "0+0.1x180",
            'requests_total{method="batch",code="ok"}': "0+9x180",
            'requests_total{method="batch",code="network"}': "0+1x180",
            'operating_used_seconds{method="crm.contact.list"}': "300x180",
            'operating_granted_seconds{method="crm.contact.list"}': "480x180",
            'exceptions{kind="quarantined"}': "10x180",
            'exceptions{kind="respected"}': "500x180",
            "journal_bytes": "100000000x180",
            "journal_free_bytes": "600000000x180",
        },
        quiet=170,
    ),
    "nobody answers": Case(series={"up": "1 0x30"}, alert="ReconcilerDown", quiet=5, firing=7),
    "the schedule stands still": Case(series={"alive": "1 0x30"}, alert="ReconcilerNotAlive", quiet=2, firing=4),
    "the webhook is revoked": Case(series={"authorized": "1 0x30"}, alert="ReconcilerUnauthorized", firing=1),
    "sweeps fail since a while": Case(
        series={"interval_seconds": "600x90", "last_success_age_seconds": "0+60x90"},
        alert="ReconcilerNoCompleteSweep",
        quiet=30,
        firing=32,
    ),
    "no sweep was ever complete": Case(
        series={
            "interval_seconds": "600x90",
            "sweeps_started_total": "0+0.1x90",
            "last_success_timestamp_seconds": "NaN+0x90",
            "last_success_age_seconds": "NaN+0x90",
        },
        alert="ReconcilerNeverCompleted",
        quiet=44,
        firing=50,
    ),
    "a plan waits": Case(
        series={"approval_waiting_changes": "300x90"}, alert="ReconcilerApprovalWaiting", quiet=59, firing=61
    ),
    "a backlog that nobody works off": Case(
        series={
            "backlog_contacts": "12x180",
            "approval_waiting_changes": "0x180",
            'outcomes_total{result="applied"}': "7x180",
            'outcomes_total{result="conflict"}': "0+1x180",
        },
        alert="ReconcilerBacklogStuck",
        quiet=59,
        firing=65,
    ),
    "a backlog that is worked off": Case(
        series={
            "backlog_contacts": "9000-30x180",
            "approval_waiting_changes": "0x180",
            'outcomes_total{result="applied"}': "0+30x180",
        },
        quiet=170,
    ),
    "changes are denied and fail": Case(
        series={
            'outcomes_total{result="denied"}': "0+0.3x90",
            'outcomes_total{result="failed"}': "0+0.3x90",
            'outcomes_total{result="applied"}': "0+9x90",
        },
        alert="ReconcilerOutcomesFailing",
        quiet=30,
        firing=60,
    ),
    "the way to the portal is ill": Case(
        series={
            'requests_total{method="batch",code="ok"}': "0+3x90",
            'requests_total{method="batch",code="network"}': "0+0.5x90",
            'requests_total{method="batch",code="gateway"}': "0+0.5x90",
        },
        alert="ReconcilerRequestsFailing",
        quiet=30,
        firing=35,
    ),
    "the seconds of one method are used up": Case(
        series={
            'operating_used_seconds{method="crm.contact.update"}': "470x90",
            'operating_granted_seconds{method="crm.contact.update"}': "480x90",
            'operating_used_seconds{method="crm.contact.list"}': "12x90",
            'operating_granted_seconds{method="crm.contact.list"}': "480x90",
        },
        alert="ReconcilerBudgetExhausted",
        labels={"method": "crm.contact.update"},
        quiet=59,
        firing=61,
    ),
    "many contacts are fought over": Case(
        series={'exceptions{kind="quarantined"}': "11x90"},
        alert="ReconcilerQuarantine",
        labels={"kind": "quarantined"},
        quiet=59,
        firing=61,
    ),
    "a bug": Case(
        series={'sweeps_total{result="crashed"}': "0x9 1x60"},
        alert="ReconcilerCrashing",
        labels={"result": "crashed"},
        quiet=9,
        firing=11,
    ),
    "the disk fills up": Case(
        series={"journal_bytes": "100000000x60", "journal_free_bytes": "400000000x60"},
        alert="ReconcilerDiskAlmostFull",
        quiet=14,
        firing=16,
    ),
}


def written(labels: dict[str, str]) -> str:
    """Return labels as Prometheus writes them."""
    return ",".join(f'{name}="{text}"' for name, text in labels.items())


def selector(name: str) -> str:
    """Return the series' full name with the target's labels."""
    metric, _, own = name.rstrip("}").partition("{")
    prefix = "" if metric == "up" else "reconciler_"
    return f"{prefix}{metric}{{{own}{',' if own else ''}{written(TARGET)}}}"


def firing(case: Case) -> list[dict[str, object]]:
    """Return what must be there in the end, as promtool expects it."""
    assert case.alert is not None
    labels = TARGET | case.labels | RULES[case.alert]["labels"] | {"alertname": case.alert, "alertstate": "firing"}
    return [{"labels": f"ALERTS{{{written(labels)}}}", "value": 1}]


def test_each_alert_has_a_case() -> None:
    """A new one needs one, too."""
    assert {case.alert for case in CASES.values() if case.alert} == RULES.keys()


@pytest.fixture
def promtool(tmp_path: Path) -> Callable[[str, dict[str, object]], None]:
    """Return what gives promtool a file to check or to test."""
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("CI_PROMTOOL") == "1":
            pytest.fail("no promtool on this machine: install Debian's package `prometheus`")
        pytest.skip("NO PROMTOOL ON THIS MACHINE: no alert was tried")

    def run(verb: str, content: dict[str, object]) -> None:
        file = tmp_path / "rules.yml"
        file.write_text(json.dumps(content), encoding="utf-8")
        ended = subprocess.run([program, verb, "rules", file], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return run


def test_each_query_of_the_dashboard_can_be_asked(promtool: Callable[[str, dict[str, object]], None]) -> None:
    """As a rule that records it."""
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [{"record": f"query_{index}", "expr": query} for index, query in enumerate(queries)]
    promtool("check", {"groups": [{"name": "dashboard", "rules": rules}]})


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_alert_comes_in_time_and_alone(case: Case, promtool: Callable[[str, dict[str, object]], None]) -> None:
    """All alerts are asked at both moments."""
    asked = 'ALERTS{alertstate="firing"}'
    moments: list[dict[str, object]] = [{"expr": asked, "eval_time": f"{case.quiet}m", "exp_samples": []}]
    if case.alert:
        moments.append({"expr": asked, "eval_time": f"{case.firing}m", "exp_samples": firing(case)})
    series = [{"series": selector(name), "values": values} for name, values in ({"up": "1x180"} | case.series).items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": moments}
    promtool("test", {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]})
