"""The page on the embedded portal: its commands and examples run, its tables are those of the tests."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
import yaml
from fact_coverage import PAGE, docstrings, facts, uncovered, written

from reconciler.cli.app import app
from reconciler.simulator.assembly import build
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from pathlib import Path

TEXT = PAGE.read_text(encoding="utf-8")
SMALL = SeedSpec(companies=20, contacts=100)


def blocks(language: str) -> list[str]:
    """Return the page's blocks in one language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", TEXT)


def lines(program: str) -> list[list[str]]:
    """Return the page's commands of one program, each split as a shell does."""
    found = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    return [words[1:] for words in found if words[0] == program]


def understood(words: list[str]) -> dict[str, Any]:
    """Return how `reconciler simulate` reads its options; refuses wrong ones."""
    command = typer.main.get_command(app).commands["simulate"]  # type: ignore[attr-defined]
    return command.make_context("simulate", words).params


def test_no_fact_is_in_want_of_a_test() -> None:
    """Each is cited by a test that exists, or has a reason in the page."""
    assert uncovered() == []


def test_a_fact_whose_test_is_gone_is_found() -> None:
    """The test above can fail: a missing test, one that cites nothing, and none at all are told apart."""
    held = next(fact for fact in facts() if fact.tests)
    known = docstrings()
    assert held.wrong(known) == ""
    assert "there is no" in held.wrong({})
    assert "does not cite" in held.wrong({test: ["Something."] for test in held.tests})
    without = next(fact for fact in facts() if not fact.tests)
    assert without.wrong(known) == ""


def test_the_pages_tables_are_up_to_date() -> None:
    """Methods, facts, faults and deviations: `make facts WRITE=--write` puts them there."""
    assert written(TEXT) == TEXT


def test_the_pages_commands_start_a_portal() -> None:
    """Each `reconciler simulate` of the page, and that of its compose file, is understood."""
    commands = [words[1:] for words in lines("reconciler")]
    services = [yaml.safe_load(block)["services"] for block in blocks("yaml")]
    commands += [service["portal"]["command"][1:] for service in services]
    assert len(commands) == 3
    for words in commands:
        assert understood(words)["companies"] in (20, 200, 500)


def test_the_pages_requests_are_answered() -> None:
    """Each curl command of the page, at the portal of its first command, with something in its answer."""
    with serve(build(SMALL)) as address, httpx.Client() as client:
        for words in lines("curl"):
            answer = curl(client, words, f"http://127.0.0.1:{address.port}")
            assert answer.status_code == 200, words
            assert answer.json()
            if "result" in answer.json():
                assert answer.json()["result"]
                assert "result_error" not in answer.json()["result"] or answer.json()["result"]["result_error"] == []
        check = yaml.safe_load(blocks("yaml")[0])["services"]["portal"]["healthcheck"]["test"]
        exec(check[-1].replace("127.0.0.1:8024", f"127.0.0.1:{address.port}"))  # noqa: S102 - the page's own words


def curl(client: httpx.Client, words: list[str], base: str) -> httpx.Response:
    """Send what this curl command would."""
    data, headers, verb, url = [], {"Content-Type": "application/x-www-form-urlencoded"}, "GET", ""
    rest = iter(words)
    for word in rest:
        if word == "-d":
            data.append(next(rest))
            verb = "POST"
        elif word == "-X":
            verb = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word != "-s":
            url = word.replace("http://127.0.0.1:8024", base)
    return client.request(verb, url, content="&".join(data).encode(), headers=headers)


def test_the_pages_python_examples_pass(tmp_path: Path) -> None:
    """Each is a file of tests, as it would stand beside somebody's own; warnings are errors."""
    examples = blocks("python")
    for example in examples:
        (tmp_path / example.split("\n")[0].removeprefix("# ")).write_text(example, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    # In this process: another one would take longer to start than all the examples run.
    seen = Seen()
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", str(tmp_path)], [seen])
    assert seen.failures == []
    assert seen.passed == sum(example.count("def test_") for example in examples)


class Seen:
    """A plugin that notes what became of each test."""

    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what passed, keep what did not."""
        if report.failed:
            self.failures.append(report.longreprtext)
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what could not even be read."""
        if report.failed:
            self.failures.append(report.longreprtext)


def test_the_pages_first_line_is_that_of_the_command() -> None:
    """The keys of the JSON line that other programs read."""
    (block,) = blocks("json")
    assert list(json.loads(block)) == ["schema", "webhook_url", "stats_url", "host", "port", "tls_certificate"]


def test_the_pages_tables_of_options_are_whole() -> None:
    """Each field of the seed stands in the table, and each option there is one of the command."""
    rows = re.findall(r"(?m)^\| (?:`(--[a-z]+) [A-Z]+`)? ?\| `(\w+)` \|", TEXT)
    assert {name for _, name in rows} == {field.name for field in fields(SeedSpec)}
    known = understood([])
    for option, name in rows:
        assert not option or (name.startswith(option[2:]) and option[2:] in known)


def test_what_the_page_says_people_do_can_be_done() -> None:
    """Names of acts, and keys of the statistics."""
    portal = build(SMALL)
    acts = TEXT.split("## People\n")[1].split("\n## ")[0]
    names = re.findall(r"`([a-z]+_[a-z_]+)`", acts)
    assert len(names) > 10
    assert [name for name in names if not hasattr(portal.people, name)] == []
    row = next(line for line in TEXT.splitlines() if line.startswith("| `GET /_sim/stats`"))
    told = set(re.findall(r"`(\w+)`", row)) - {"cpu_seconds"}
    assert told <= set(portal.stats())
