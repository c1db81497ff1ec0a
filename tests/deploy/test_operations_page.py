"""docs/operations.md tells of each event, metric and alert that there is, and of none that there is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from typer.main import get_command

from reconciler.cli.app import app
from reconciler.settings.model import Settings
from reconciler.telemetry.metrics import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")


def first_column(heading: str) -> set[str]:
    """Return what the tables below a heading tell of."""
    section = re.split(r"(?m)^## ", TEXT.split(f"\n## {heading}\n")[1])[0]
    return set(re.findall(r"(?m)^\| `([^`]+)` \|", section))


def logged() -> Iterator[tuple[str, str]]:
    """Yield each event that the program logs, with where it does so."""
    for path in (ROOT / "reconciler").rglob("*.py"):
        if "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of_log = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "log"
            # `write = log.info if ... else log.error` has the name of what it does.
            if (of_log and name in LEVELS) or name == "write":
                event = str(node.args[0].value)
                if EVENT.fullmatch(event):
                    yield event, f"{path.name}:{node.lineno}"


def test_each_event_is_explained() -> None:
    """Whoever adds one says here what it means and what to do."""
    events = dict(logged())
    assert len(events) > 30
    explained = first_column("Events")
    assert {event: place for event, place in events.items() if event not in explained} == {}
    assert explained - events.keys() == set()


def test_each_metric_is_explained() -> None:
    """By the name that Prometheus shows."""
    names = {f"{name}_total" if kind == "counter" else name for kind, name, _, _ in TABLE}
    assert first_column("Metrics") == names


def test_each_alert_is_explained() -> None:
    """And what to do has a word in each row."""
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    assert first_column("Alerts") == {rule["alert"] for group in groups for rule in group["rules"]}
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    assert [row for row in rows if "??" in row or not row.rstrip(" |").rpartition("|")[2].strip()] == []


def test_commands_and_settings_of_the_page_exist() -> None:
    """Each `reconciler <command>`, and each setting by its dotted name."""
    known = set(getattr(get_command(app), "commands", {}))
    named = set(re.findall(r"(?:`| )reconciler(?:ctl)? ([a-z]+)", TEXT)) - {"journalctl"}
    assert named & known >= {"approve", "backup", "check", "runs", "show", "undo"}
    typed = set(re.findall(r"`reconciler(?:ctl)? ([a-z]+)[^`]*`", TEXT))
    assert typed - known == set()
    events = {tuple(event.split(".")) for event, _ in logged()}
    for section, key in re.findall(r"`(portal|journal|guard|notify|service|web|policy)\.(\w+)`", TEXT):
        if (section, key) not in events:
            assert key in type(getattr(Settings(), section)).model_fields, f"{section}.{key}"
    for variable in re.findall(r"RECONCILER_(\w+?)__(\w+)", TEXT):
        section, key = (word.lower() for word in variable)
        assert key in type(getattr(Settings(), section)).model_fields, variable


def test_the_crontab_line_is_one() -> None:
    """Five fields, then the command, which asks nobody."""
    [line] = [line for line in TEXT.splitlines() if line.startswith("*/")]
    assert re.fullmatch(r"(\S+ ){5}(\w+=\S+ )*/opt/reconciler/bin/reconciler --once --yes .*", line)
