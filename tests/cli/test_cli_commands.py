"""Each command as its users meet it: text and JSON, exit codes, options wherever they stand."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import RUN_KEYS, SMALL, TOKEN, HurriedClock, Terminal, interrupt

from reconciler import __version__, demo, heartbeat
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.server import serve
from reconciler.simulator.workflows import ON_CREATE, ON_EDIT, Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command_line import Desk, Served

COMMANDS = ("plan", "runs", "show", "approve", "undo", "exceptions", "check", "health", "demo", "simulate")
DRIFT = SMALL.drifted


def state_of(document: dict[str, Any], subject: str) -> str:
    """Return the state of one line of `check`."""
    return str(next(check["state"] for check in document["checks"] if check["subject"] == subject))


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
    ended = desk.run("--once")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{DRIFT} of {DRIFT} contacts corrected; ")
    assert ended.out.count("\n") == 1
    assert portal.portal.drift() == 0
    assert desk.run("--once").out.startswith("In sync: ")


def test_once_gives_the_run_as_json(desk: Desk) -> None:
    """The keys of the contract; the outcomes add up to drift minus standing."""
    run = desk.run("--once", "--json").json
    assert run.keys() == RUN_KEYS
    assert (run["schema"], run["run"], run["status"]) == (1, 1, "applied")
    outcomes = ("applied", "already", "conflict", "gone", "denied", "failed", "unknown")
    assert sum(run[name] for name in outcomes) == run["drift"] - run["standing"] == DRIFT


def test_once_keeps_to_its_filters(desk: Desk, portal: Served) -> None:
    """`--company`, `--owner` and `--limit` bound what is written."""
    assert desk.run("--once", "--limit", "2", "--json").json["applied"] == 2
    left = desk.run("plan", "--json").json["changes"]
    company, owner = left[0]["company"], left[-1]["after"]
    assert {row["company"] for row in desk.run("plan", "--json", "--company", str(company)).json["changes"]} == {
        company
    }
    assert {row["after"] for row in desk.run("plan", "--json", "--owner", str(owner)).json["changes"]} == {owner}
    assert desk.run("--once", "--company", str(company), "--yes").code == 0
    assert portal.portal.drift() == len([row for row in left if row["company"] != company])


def test_once_tells_of_a_contact_that_was_denied(desk: Desk, portal: Served) -> None:
    """Exit code 4, and the rest is done."""
    portal.fail({"kind": "command_error", "method": "crm.contact.update", "times": 1})
    ended = desk.run("--once", "--json")
    assert (ended.code, ended.json["status"], ended.json["denied"]) == (4, "partial", 1)
    assert ended.json["applied"] == DRIFT - 1


def test_once_gives_a_failed_run_as_json_too(desk: Desk, portal: Served) -> None:
    """The run's keys, the sentence in `error`, the exit code of the failure."""
    portal.set(scopes=("crm",))
    ended = desk.run("--once", "--json")
    assert ended.code == 1
    assert ended.json.keys() == RUN_KEYS | {"error"}
    assert (ended.json["status"], ended.err) == ("failed", "")
    assert "user_basic" in ended.json["error"]


def test_an_incomplete_read_writes_nothing(desk: Desk, portal: Served) -> None:
    """An ignored filter ends in exit code 1."""
    desk.hurry()
    portal.fail({"kind": "dropped_filter", "method": "crm.contact.list"})
    ended = desk.run("--once")
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
    """The contract of DESIGN 10, and how long it took."""
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
        ("plan.html", ["--json"], "{"),
    ],
    ids=["html", "markdown", "json", "csv", "other", "format wins", "--json wins"],
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
    desk.run("--once")
    desk.run("--once")
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
    desk.run("--once")
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
    desk.run("--once")
    desk.env(PORTAL__WEBHOOK_URL=address)
    ended = desk.run("show", "latest")
    assert ended.code == 0
    assert "/details/" not in ended.out


# check


def test_check_has_a_line_for_each_thing(desk: Desk, portal: Served) -> None:
    """Settings, address, database, portal, clock, rights, side effects; exit code 0 with warnings."""
    ended = desk.run("check")
    assert (ended.code, ended.err) == (0, "")
    subjects = [line[9:33].strip() for line in ended.out.splitlines()]
    assert subjects[:4] == ["settings", "address", "database", "portal"]
    assert {"clock", "companies", "users", "account", "own records", "workflows", "notices"} <= {*subjects}
    assert f"{portal.address.base_url}, as user 1" in ended.out
    assert desk.run("check", "--json").json["status"] == "ok"


def edit_owner(portal: Served) -> None:
    """Let the webhook's user own a company."""
    portal.portal.people.edit_company(2, by=1, assigned_by_id=1)


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda p: p.portal.database.connection.execute("UPDATE user SET is_admin = 0"), ("account", "warning", 0)),
        (edit_owner, ("own records", "warning", 0)),
        (lambda _: None, ("workflows", "warning", 0)),
        (lambda _: None, ("notices", "warning", 0)),
        (lambda p: setattr(p.portal, "clock_offset", 300.0), ("clock", "warning", 0)),
        (lambda p: p.set(scopes=("crm",)), ("users", "failed", 1)),
        (lambda p: p.set(scopes=("user",)), ("companies", "failed", 1)),
        (lambda p: p.set(token="another0another0"), ("portal", "failed", 1)),
        (lambda p: p.set(maintenance=True), ("portal", "failed", 1)),
    ],
    ids=["no administrator", "owns records", "workflows", "notices", "clock", "user", "crm", "token", "HTML"],
)
def test_check_says_what_is_not_right(
    arrange: Callable[[Served], object], expected: tuple[str, str, int], desk: Desk, portal: Served
) -> None:
    """A warning leaves the exit code at 0, a failure makes it 1."""
    subject, state, code = expected
    arrange(portal)
    ended = desk.run("check", "--json")
    assert (ended.code, state_of(ended.json, subject)) == (code, state)
    assert ended.json["status"] == ("failed" if code else "ok")


@pytest.mark.parametrize(
    ("starts", "state", "sentence"),
    [(ON_EDIT, "warning", "each change starts 1 on edit: Greeting"), (ON_CREATE, "ok", "none starts")],
    ids=["on edit", "when created"],
)
def test_check_names_the_workflows_that_each_write_starts(starts: int, state: str, sentence: str, desk: Desk) -> None:
    """A portal with the scope bizproc tells them."""
    templates = (Template(id=3, name="Greeting", auto_execute=starts),)
    options = PortalOptions(scopes=("crm", "user", "bizproc"), workflow_templates=templates)
    with serve(build(SMALL, limits="self-hosted", options=options)) as address:
        desk.env(PORTAL__WEBHOOK_URL=address.webhook_url)
        checks = desk.run("check", "--json").json["checks"]
    found = next(check for check in checks if check["subject"] == "workflows")
    assert found["state"] == state
    assert sentence in found["sentence"]


def test_check_goes_on_without_a_database(desk: Desk) -> None:
    """What is wrong here does not hide what is wrong there."""
    desk.journal.mkdir()
    ended = desk.run("check", "--json")
    assert (ended.code, state_of(ended.json, "database"), state_of(ended.json, "portal")) == (1, "failed", "ok")


# health


def beat(desk: Desk, **changes: Any) -> None:
    """Write a heartbeat, as a service would just now but for the changes."""
    values = {"process": 7, "boot": heartbeat.this_boot(), "at": time.monotonic()} | changes
    heartbeat.write(heartbeat.beat_file(desk.journal), heartbeat.Beat(**values))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "alive"),
        ({"at": time.monotonic() - 1_000}, "not alive: the last heartbeat of process 7 is "),
        ({"at": time.monotonic() + 1_000_000}, "not alive: the service has not been started since the machine was"),
        ({"boot": "another"}, "not alive: the service has not been started since the machine was"),
        ({"wrong": "no run has begun for 3 h 00 min"}, "not alive: no run has begun for 3 h 00 min"),
        ({"wrong": "x" * 5_000}, "not alive: something is wrong"),
    ],
    ids=["now", "frozen", "of the future", "before a reboot", "says so itself", "too long a story"],
)
def test_health_goes_by_the_heartbeat(changes: dict[str, Any], says: str, desk: Desk) -> None:
    """By the monotonic clock; an address of a portal is not needed."""
    desk.env(PORTAL__WEBHOOK_URL=None)
    beat(desk, **changes)
    ended = desk.run("health")
    assert ended.out.startswith(says)
    assert ended.code == (0 if says == "alive" else 1)


def test_health_for_scripts(desk: Desk) -> None:
    """The age of the heartbeat, and when runs began and ended as the service knows it."""
    beat(desk, last_attempt="2026-11-21T20:53:00+00:00")
    document = desk.run("health", "--json").json
    assert 0 <= document.pop("heartbeat_seconds") < 20
    assert document == {
        "schema": 1,
        "status": "ok",
        "reason": None,
        "last_attempt": "2026-11-21T20:53:00+00:00",
        "last_success": None,
    }


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "no JSON"])
def test_health_without_a_service(content: str | None, desk: Desk) -> None:
    """Nobody is at work on this journal, or what is there is no heartbeat: not alive, in one sentence."""
    path = heartbeat.beat_file(desk.journal)
    if content is not None:
        path.write_text(content)
    ended = desk.run("health")
    assert ended.code == 1
    assert ended.out == f"not alive: no service is at work on this journal ({path} holds no heartbeat)\n"


# demo, simulate, the service


def test_the_demo_tells_its_story(desk: Desk) -> None:
    """A sweep, a company handed over, its contacts following, and nothing left; in that order."""
    ended = desk.run("demo", "--companies", "40", "--contacts", "150", "--drift", "0.2")
    assert (ended.code, ended.err) == (0, "")
    story = ["A portal with", "First sweep", "Plan for demo", "contacts corrected", "A manager hands", "second sweep"]
    story += ["once more", "In sync", "The portal's own count: 0 contacts with the wrong owner left, 0 needless writes"]
    assert sorted(story, key=ended.out.index) == story
    assert "\n\n\n" not in ended.out
    # Nothing that the reader could not follow: the portal is gone.
    assert "http://" not in ended.out
    assert "--output" not in ended.out
    assert TOKEN not in ended.out


def test_the_demo_of_full_size_gives_totals(desk: Desk) -> None:
    """2,000 companies and 10,000 contacts: no drift left to correct, no needless write, no request rejected."""
    ended = desk.run("demo", "--json")
    totals = ended.json
    assert (ended.code, totals["remaining_drift"], totals["noop_updates"], totals["rejected"]) == (0, 0, 0, {})
    assert totals.keys() == RUN_KEYS | {"remaining_drift", "noop_updates", "rejected", "runs"}
    assert [run["status"] for run in totals["runs"]] == ["applied", "applied", "in_sync"]
    assert all(run.keys() == RUN_KEYS for run in totals["runs"])
    corrected = totals["drift"] - totals["standing"]
    assert totals["applied"] == corrected == sum(run["applied"] for run in totals["runs"]) > 425
    assert totals["reasons"] == {"several_companies": totals["standing"]}
    assert sum(totals["causes"].values()) == totals["drift"]
    assert totals["status"] == "applied"


@pytest.mark.parametrize(
    "size",
    [
        ("--companies", "0", "--contacts", "5"),
        ("--contacts", "0"),
        ("--companies", "5", "--owners", "1", "--drift", "0"),
    ],
    ids=["no companies", "no contacts", "one owner"],
)
def test_a_demo_without_much_to_tell_ends_well(size: tuple[str, ...], desk: Desk) -> None:
    """Nothing to correct, or nothing to hand over: exit code 0 all the same."""
    ended = desk.run("demo", "--companies", "9", "--contacts", "40", *size, "--json")
    assert (ended.code, ended.json["remaining_drift"]) == (0, 0)


def test_a_demo_is_ended_by_a_signal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence and exit code 1, not a story about nothing."""
    monkeypatch.setattr("reconciler.demo._hand_over", lambda _: interrupt() or "")
    ended = desk.run("demo", "--companies", "20", "--contacts", "60")
    assert (ended.code, ended.err) == (1, "reconciler: stopped before the end\n")


def test_a_demo_that_fails_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and no story that goes on."""
    monkeypatch.setattr(demo, "build", lambda *spec, **how: build(*spec, **how, options=PortalOptions(scopes=("crm",))))
    ended = desk.run("demo", "--companies", "20", "--contacts", "60")
    assert ended.code == 1
    assert ended.err.startswith("reconciler: the webhook has no user scope")
    assert "once more" not in ended.out


@pytest.mark.parametrize("tls", [False, True], ids=["HTTP", "HTTPS"])
def test_the_embedded_portal_says_where_it_is(tls: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents, address, statistics, certificate; Ctrl-C ends it with exit code 0."""
    terminal = Terminal(monkeypatch, "stdout")
    with terminal.person(("Serving; Ctrl-C ends it.", interrupt)):
        ended = desk.run("simulate", "--port", "0", "--companies", "9", "--contacts", "30", *(["--tls"] if tls else []))
    assert ended.code == 0
    assert "9 companies and 30 contacts" in terminal.shown
    assert f"webhook address  http{'s' if tls else ''}://127.0.0.1:" in terminal.shown
    assert ("certificate      /" in terminal.shown) is tls


def test_the_service_logs_json_and_ends_at_a_signal(
    desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sweeps at once, and a signal ends it with exit code 0; standard error is JSON, line by line."""
    from reconciler.service import Service  # noqa: PLC0415 - it costs a scheduler

    tick = Service.tick

    def tick_once(service: Service) -> None:
        tick(service)
        interrupt()

    monkeypatch.setattr(Service, "tick", tick_once)
    ended = desk.run()
    assert (ended.code, ended.out, portal.portal.drift()) == (0, "", 0)
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert [name for name in ("service.started", "run.finished", "service.stopped") if name not in events] == []


def test_a_short_command_is_told_what_the_service_would_retry(desk: Desk, portal: Served) -> None:
    """After the first answer patience begins: a page lost in mid-read is read again."""
    desk.hurry()
    portal.fail({"kind": "html_502", "request": 2})
    ended = desk.run("plan", "--json", "--log-format", "json")
    assert ended.json["status"] == "planned"
    assert json.loads(ended.err)["event"] == "portal.retry"


def test_something_unforeseen_is_told_in_a_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1; the traceback with -v only, and nowhere the token."""

    def break_down(*_: object) -> None:
        raise RuntimeError(f"no idea about https://acme.bitrix24.com/rest/1/{TOKEN}/\x1b[2J")

    monkeypatch.setattr("reconciler.commands.check", break_down)
    brief = desk.run("check")
    assert (brief.code, brief.err.count("\n")) == (1, 1)
    assert "run it again with -v" in brief.err
    wordy = desk.run("check", "-v")
    assert "Traceback" in wordy.err
    assert "with the lines above" in wordy.err
    assert TOKEN not in brief.err + wordy.err
    assert "\x1b" not in brief.err + wordy.err


@pytest.mark.parametrize("exists", [False, True], ids=["directory", "file"])
def test_a_file_without_permission_is_told_before_the_work(
    exists: bool, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads a portal for an hour to learn that the result has no place."""
    if exists:
        desk.config("", "plan.html")
    monkeypatch.setattr("reconciler.shell.os.access", lambda *_: False)
    ended = desk.run("plan", "--output", "plan.html")
    assert ended.code == 2
    assert "(no permission)" in ended.err
    assert portal.portal.stats()["requests"] == 0


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_leads_nowhere(stream: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reconciler --once <&-`: some launchers close what they do not use."""
    monkeypatch.setattr(sys, stream, None)
    assert desk.run("--once", "--limit", "1").code == 0
    getattr(sys, stream).close()


def test_a_narrow_terminal_cuts_no_numbers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines break rather than columns vanish."""
    desk.run("--once")
    monkeypatch.setenv("COLUMNS", "20")
    heads = desk.run("runs").out.splitlines()[0].split()
    assert heads == ["Run", "Started", "Command", "Status", "Drift", "Left", "Outcomes", "Took"]


def test_a_stream_that_is_no_file_will_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that calls this one may catch what it says."""
    caught = io.StringIO()
    monkeypatch.setattr(sys, "stdout", caught)
    assert desk.run("--version").code == 0
    assert caught.getvalue().startswith("reconciler ")


def test_letters_that_the_terminal_does_not_know_become_question_marks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old locale costs letters, not the plan."""
    sys.stdout.reconfigure(encoding="ascii")  # type: ignore[union-attr]
    monkeypatch.setattr("reconciler.shell.SystemClock", HurriedClock)
    ended = desk.run("plan")
    assert ended.code == 0
    assert "?" in ended.out
