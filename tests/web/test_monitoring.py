"""Alerts, dashboard and the table of metrics are held to what a running service really shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.command_line import SMALL, TOKEN

from reconciler.telemetry.metrics import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from support.command_line import Desk, Ended, Served

ROOT = Path(__file__).parents[2]
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text(encoding="utf-8"))
#: What Prometheus itself adds to each series.
TARGET = {"instance", "job"}
#: Metric -> its samples' labels, at the endpoint.
Samples = dict[str, list[dict[str, str]]]


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the queries of the dashboard, each with its panel's title."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target


def expressions() -> list[tuple[str, str, str]]:
    """Return every query: where it stands, what it asks, and the text that shows labels."""
    alerts = [(rule["alert"], rule["expr"], json.dumps(rule["annotations"])) for rule in ALERTS]
    return alerts + [(title, target["expr"], target["legendFormat"]) for title, target in targets()]


@pytest.fixture
def samples(serve: Callable[[Callable[[httpx.Client], object]], Ended], desk: Desk) -> Samples:
    """Return what a service shows after a sweep of the embedded portal."""
    found: Samples = {}

    def look(client: httpx.Client) -> None:
        answer = client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.labels | {"value": str(sample.value)})

    desk.env(PORTAL__LIMITS="cloud")
    ended = serve(look)
    assert ended.code == 0, ended.err
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the value of one sample."""
    (found,) = [one for one in samples[name] if labels.items() <= one.items()]
    return float(found["value"])


def test_each_query_finds_its_metric_and_its_labels(samples: Samples) -> None:
    """A name that is renamed here and not there shows an empty panel, and an alert that never comes."""
    asked = 0
    for place, expression, legend in expressions():
        labels: set[str] = set()
        for name, selector in re.findall(r"\b((?:reconciler|process)_\w+)(?:\{([^}]*)\})?", expression):
            assert name in samples, f"{place}: {name}"
            labels |= {label for one in samples[name] for label in one}
            for label, operator, wanted in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector):
                if label in TARGET:
                    continue
                assert all(label in one for one in samples[name]), f"{place}: {name} has no label {label}"
                if operator in {"=", "=~"}:
                    assert any(re.fullmatch(wanted, one[label]) for one in samples[name]), f"{place}: {wanted}"
            asked += 1
        grouped = re.findall(r"(?:by|without)\s*\(([^)]*)\)", expression)
        shown = re.findall(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}", legend)
        used = {label.strip() for group in grouped for label in group.split(",")} | set(shown)
        assert labels or place == "ReconcilerDown"
        assert used <= labels | TARGET, f"{place}: {used - labels}"
    assert asked > 40


def test_every_metric_of_the_table_is_shown_and_every_shown_one_is_in_the_table(samples: Samples) -> None:
    """With just its labels; besides, what the library tells of the process."""
    expected: dict[str, set[str]] = {}
    for kind, name, labels, says in TABLE:
        assert says.endswith(".")
        match kind:
            case "counter":
                expected[f"{name}_total"] = set(labels)
            case "histogram":
                expected |= {f"{name}_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()}
            case _:
                expected[name] = set(labels)
    shown = {name: set(ones[0]) - {"value"} for name, ones in samples.items() if name.startswith("reconciler_")}
    assert shown == expected
    assert {name.split("_")[0] for name in samples} == {"reconciler", "process"}


def test_every_metric_is_looked_at_by_somebody() -> None:
    """On the dashboard or in an alert; the rest would be a cost that nobody reads."""
    asked = " ".join(expression for _, expression, _ in expressions())
    unread = {name for _, name, _, _ in TABLE if name not in asked}
    assert unread == set()


def test_the_numbers_are_those_of_the_sweep(samples: Samples, portal: Served) -> None:
    """A first sweep of a small portal, counted by the portal as well."""
    assert value(samples, "reconciler_sweeps_started_total") == 1
    assert value(samples, "reconciler_sweeps_total", result="applied") == 1
    assert value(samples, "reconciler_sweep_duration_seconds_count") == 1
    assert value(samples, "reconciler_companies") == SMALL.companies
    assert value(samples, "reconciler_drift_contacts", state="actionable", cause="unknown") == SMALL.drifted
    assert value(samples, "reconciler_outcomes_total", result="applied") == SMALL.drifted
    assert value(samples, "reconciler_backlog_contacts") == 0
    stats = portal.portal.stats()
    assert value(samples, "reconciler_requests_total", code="ok") == stats["requests"]
    commands = sum(float(one["value"]) for one in samples["reconciler_commands_total"])
    assert commands == sum(stats["commands"].values())
    assert value(samples, "reconciler_commands_total", method="crm.contact.update", code="ok") == SMALL.drifted
    assert (value(samples, "reconciler_alive"), value(samples, "reconciler_ready")) == (1, 1)
    assert value(samples, "reconciler_operating_granted_seconds", method="crm.contact.list") == 480
    assert 0 <= value(samples, "reconciler_last_success_age_seconds") < 60
    assert value(samples, "reconciler_journal_bytes") > 10_000
    assert value(samples, "reconciler_interval_seconds") == 600


def test_no_number_of_a_record_is_a_label(samples: Samples) -> None:
    """Nor the webhook's token: labels are words, so that their number has an end."""
    for name, ones in samples.items():
        for one in ones:
            words = {label: text for label, text in one.items() if label not in {"value", "le", "version", "python"}}
            assert all(re.fullmatch(r"[A-Za-z_.]+", text) for text in words.values()), (name, one)
            assert TOKEN not in str(one)
    assert sum(map(len, samples.values())) < 200


def test_each_alert_says_what_to_do() -> None:
    """A summary, a description and a severity; no two of one name."""
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")


def test_the_dashboard_overlaps_nowhere() -> None:
    """Each panel has a place of its own within the 24 columns, and an ID."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
