"""Each command as its users meet it: text and JSON, exit codes, options wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.command_line import RUN_KEYS, SMALL

from reconciler import __version__

if TYPE_CHECKING:
    from support.command_line import Desk, Served

COMMANDS = ("plan", "runs", "show", "approve", "undo", "exceptions", "check", "health", "demo", "simulate")
DRIFT = SMALL.drifted


# Help


def test_help_teaches_the_way_from_the_demo_to_the_service(desk: Desk) -> None:
    """The commands in the order in which one needs them, and what each exit code means."""
    shown = desk.run("--help")
    assert shown.code == 0
    steps = ["reconciler demo", "RECONCILER_PORTAL__WEBHOOK_URL=", "reconciler check", "reconciler plan", "--once "]
    assert sorted(steps, key=shown.out.index) == steps
    assert all(f"\n    {code}  " in shown.out for code in range(6))
    commands = shown.out[shown.out.index("\nCommands:") :]
    assert "..." not in commands
    assert all(f"\n  {command} " in commands for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_own_help(command: str, desk: Desk) -> None:
    """`-h` works, names every option that holds everywhere, and fits on a terminal of 100 columns."""
    shown = desk.run(command, "-h")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: reconciler {command} ")
    for option in ("--config", "--json", "--log-format console|json", "--verbose", "--help"):
        assert option in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= 100


def test_the_version_is_told(desk: Desk) -> None:
    """`--version` says name and version."""
    shown = desk.run("--version")
    assert (shown.code, shown.out) == (0, f"reconciler {__version__}\n")


# --once


def test_once_sets_every_owner_right(desk: Desk, portal: Served) -> None:
    """One sentence on standard output, nothing else where nobody looks on, and no drift left."""
    ended = desk.run("--once", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{DRIFT} of {DRIFT} contacts corrected; ")
    assert ended.out.count("\n") == 1
    assert portal.portal.drift() == 0
    assert desk.run("--once", "--yes").out.startswith("In sync: ")


def test_once_gives_the_run_as_json(desk: Desk) -> None:
    """The keys of the contract; the outcomes add up to drift minus standing."""
    run = desk.run("--once", "--yes", "--json").json
    assert run.keys() == RUN_KEYS
    assert (run["schema"], run["run"], run["status"]) == (1, 1, "applied")
    outcomes = ("applied", "already", "conflict", "gone", "denied", "failed", "unknown")
    assert sum(run[name] for name in outcomes) == run["drift"] - run["standing"] == DRIFT


def test_once_keeps_to_its_filters(desk: Desk, portal: Served) -> None:
    """`--company`, `--owner` and `--limit` bound what is written."""
    assert desk.run("--once", "--yes", "--limit", "2", "--json").json["applied"] == 2
    left = desk.run("plan", "--json").json["changes"]
    company, owner = left[0]["company"], left[-1]["after"]
    assert {row["company"] for row in desk.run("plan", "--json", "--company", str(company)).json["changes"]} == {
        company
    }
    assert {row["after"] for row in desk.run("plan", "--json", "--owner", str(owner)).json["changes"]} == {owner}
    assert desk.run("--once", "--yes", "--company", str(company), "--yes").code == 0
    assert portal.portal.drift() == len([row for row in left if row["company"] != company])


def test_once_tells_of_a_contact_that_was_denied(desk: Desk, portal: Served) -> None:
    """Exit code 4, and the rest is done."""
    portal.fail({"kind": "command_error", "method": "crm.contact.update", "times": 1})
    ended = desk.run("--once", "--yes", "--json")
    assert (ended.code, ended.json["status"], ended.json["denied"]) == (4, "partial", 1)
    assert ended.json["applied"] == DRIFT - 1


def test_once_gives_a_failed_run_as_json_too(desk: Desk, portal: Served) -> None:
    """The run's keys, the sentence in `error`, the exit code of the failure."""
    portal.set(scopes=("crm",))
    ended = desk.run("--once", "--yes", "--json")
    assert ended.code == 1
    assert ended.json.keys() == RUN_KEYS | {"error"}
    assert (ended.json["status"], ended.err) == ("failed", "")
    assert "user_basic" in ended.json["error"]


def test_an_incomplete_read_writes_nothing(desk: Desk, portal: Served) -> None:
    """An ignored filter ends in exit code 1."""
    desk.hurry()
    portal.fail({"kind": "dropped_filter", "method": "crm.contact.list"})
    ended = desk.run("--once", "--yes")
    assert (ended.code, ended.out.split(";")[0]) == (1, "Incomplete, nothing written")
    assert portal.portal.drift() == DRIFT


# plan


def test_a_plan_shows_names_links_and_what_it_costs(desk: Desk, portal: Served) -> None:
    """Nothing is written, neither to the portal nor to a journal."""
    ended = desk.run("plan")
    assert (ended.code, ended.err) == (0, "")
    rows = desk.run("plan", "--json").json["changes"]
    assert len(rows) == DRIFT
    assert all(row["contact_name"] in ended.out for row in rows)
    assert f"{portal.address.base_url}/crm/contact/details/" in ended.out
    assert portal.portal.drift() == DRIFT
    assert not desk.journal.exists()


def test_a_plan_is_an_object_with_the_run_s_keys(desk: Desk) -> None:
    """The contract with scripts, and how long it took."""
    document = desk.run("--json", "plan").json
    assert document.keys() >= RUN_KEYS | {"digest", "changes", "skipped"}
    assert (document["schema"], document["run"], document["status"]) == (1, None, "planned")
    assert document["duration_seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        (["--format", "json"], "{"),
        (["--format", "markdown"], "# Plan for "),
        (["--format", "csv"], "contact"),
        (["--format", "html"], "<!doctype html>"),
        (["--format", "text"], "Plan for "),
    ],
    ids=["json", "markdown", "csv", "html", "text"],
)
def test_a_plan_comes_in_many_formats(arguments: list[str], beginning: str, desk: Desk) -> None:
    """`--format` decides."""
    shown = desk.run("plan", *arguments).out
    assert shown.casefold().startswith(beginning.casefold())


@pytest.mark.parametrize(
    ("name", "arguments", "beginning"),
    [
        ("plan.html", [], "<!doctype html>"),
        ("plan.MD", [], "# plan"),
        ("plan.json", [], "{"),
        ("plan.csv", [], "\ufeff"),
        ("plan.txt", [], "plan for"),
        ("plan", ["--format", "html"], "<!doctype html>"),
        ("plan.xlsx", ["--format", "csv"], "\ufeff"),
        ("plan.html", ["--json"], "{"),
    ],
    ids=["html", "markdown", "json", "csv", "text", "format of none", "format wins", "--json wins"],
)
def test_a_file_is_written_as_its_name_ends(name: str, arguments: list[str], beginning: str, desk: Desk) -> None:
    """`--output` leaves standard output empty; without --format the ending decides."""
    ended = desk.run("plan", "--output", name, *arguments)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert (desk.folder / name).read_text(encoding="utf-8").casefold().startswith(beginning)


def test_options_stand_before_or_after_the_command(desk: Desk, portal: Served) -> None:
    """--config and --json hold in both places; after wins."""
    desk.env(PORTAL__WEBHOOK_URL=None)
    one = str(desk.config(f'[portal]\nname = "one"\nwebhook_url = "{portal.url}"', "one.toml"))
    two = str(desk.config(f'[portal]\nname = "two"\nwebhook_url = "{portal.url}"', "two.toml"))
    assert desk.run("--config", one, "--json", "plan").json["portal"] == "one"
    assert desk.run("plan", "--config", one, "--json").json["portal"] == "one"
    assert desk.run("--config", one, "plan", "--config", two, "--json").json["portal"] == "two"


def test_trust_comes_from_the_bundle(desk: Desk, tls_server: Served) -> None:
    """A portal with a certificate of its own authority is read when the settings name it."""
    desk.env(PORTAL__WEBHOOK_URL=tls_server.url, PORTAL__CA_BUNDLE=str(tls_server.address.tls_certificate))
    assert desk.run("plan", "--json").json["status"] == "planned"


# runs, show


def test_runs_are_listed_newest_first(desk: Desk) -> None:
    """As a table and as JSON; `--last` bounds them."""
    desk.run("--once", "--yes")
    desk.run("--once", "--yes")
    shown = desk.run("runs")
    assert (shown.code, shown.err) == (0, "")
    assert "once" in shown.out
    listed = desk.run("runs", "--json").json
    assert listed["schema"] == 1
    assert [(run["run"], run["status"]) for run in listed["runs"]] == [(2, "in_sync"), (1, "applied")]
    assert all(run.keys() >= RUN_KEYS for run in listed["runs"])
    assert [run["run"] for run in desk.run("runs", "--last", "1", "--json").json["runs"]] == [2]


def test_a_run_is_shown_with_its_changes(desk: Desk, portal: Served) -> None:
    """By number or as the latest; with the names of the people and links to the cards."""
    desk.run("--once", "--yes")
    shown = desk.run("show", "latest")
    assert shown.out.startswith("Run 1 of 127.0.0.1")
    assert f"{portal.address.base_url}/crm/contact/details/" in shown.out
    document = desk.run("show", "1", "--json").json
    assert document.keys() >= RUN_KEYS
    assert len(document["changes"]) == DRIFT
    assert all(row["result"] == "applied" and row["after_name"] for row in document["changes"])
    assert desk.run("show", "1", "--output", "run.csv").code == 0
    assert len((desk.folder / "run.csv").read_text(encoding="utf-8-sig").splitlines()) == DRIFT + 1


@pytest.mark.parametrize("address", ["", "https://other.bitrix24.com/rest/1/k3yk3yk3yk3y/"], ids=["none", "another"])
def test_a_run_of_another_portal_has_no_links(address: str, desk: Desk) -> None:
    """The journal outlives an address; links to the cards of another portal would mislead."""
    desk.run("--once", "--yes")
    desk.env(PORTAL__WEBHOOK_URL=address)
    ended = desk.run("show", "latest")
    assert ended.code == 0
    assert "/details/" not in ended.out
