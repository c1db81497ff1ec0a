"""What runs until somebody ends it, `demo`, `simulate` and the service; and what any command makes of odd streams."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.command_line import RUN_KEYS, TOKEN, HurriedClock, Terminal, interrupt

from reconciler.cli import demo
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions

if TYPE_CHECKING:
    from support.command_line import Desk, Served

    from reconciler.simulator.portal import Portal


def test_the_demo_tells_its_story(desk: Desk) -> None:
    """A sweep, a company handed over, its contacts following, and nothing left; in that order."""
    ended = desk.run("demo", "--companies", "40", "--contacts", "150", "--drift", "0.2")
    assert (ended.code, ended.err) == (0, "")
    story = ["A portal with", "First sweep", "Plan for demo", "contacts corrected", "A manager hands", "second sweep"]
    story += ["once more", "In sync", "The portal's own count: 0 contacts with another owner than their company, "]
    assert sorted(story, key=ended.out.index) == story
    assert "\n\n\n" not in ended.out
    # Nothing that the reader could not follow: the portal is gone.
    assert "http://" not in ended.out
    assert "--output" not in ended.out
    assert TOKEN not in ended.out


def test_the_demo_of_full_size_gives_totals(desk: Desk) -> None:
    """2,000 companies and 10,000 contacts: what is left has its reason, no needless write, no request rejected."""
    ended = desk.run("demo", "--json")
    totals = ended.json
    assert (ended.code, totals["noop_updates"], totals["rejected"]) == (0, 0, {})
    assert totals["remaining_drift"] == totals["standing"] > 0
    assert totals.keys() == RUN_KEYS | {"remaining_drift", "noop_updates", "rejected", "runs"}
    assert [run["status"] for run in totals["runs"]] == ["applied", "applied", "in_sync"]
    assert all(run.keys() == RUN_KEYS for run in totals["runs"])
    corrected = totals["drift"] - totals["standing"]
    assert totals["applied"] == corrected == sum(run["applied"] for run in totals["runs"]) > 425
    assert totals["reasons"] == {"several_companies": totals["standing"]}
    assert sum(totals["causes"].values()) == totals["drift"]
    assert totals["status"] == "applied"


def the_line(out: str) -> str:
    """Return what the demo says at its end of the portal's count."""
    return next(line for line in out.splitlines() if line.startswith("The portal's own count: "))


def test_the_last_line_of_the_demo_is_the_portals_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the worker believes: somebody edits after its last look, and a request was turned away."""

    def hand_over(portal: Portal) -> str:
        portal._counters.rejected("QUERY_LIMIT_EXCEEDED")
        return told(portal)

    told, summed = demo._hand_over, demo._totals

    def totals(sweeps: Any, portal: Portal, say: Any) -> dict[str, Any]:
        rows = portal.database.rows(
            "SELECT contact.id FROM contact JOIN company ON company.id = company_id"
            " WHERE contact.assigned_by_id <> 3 AND company.assigned_by_id <> 3 AND is_my_company = 'N'"
            " AND contact.assigned_by_id = company.assigned_by_id AND contact.category_id = 0 LIMIT 2"
        )
        for row in rows:
            portal.people.edit_contact(row["id"], 1, assigned_by_id=3)
        assert portal.drift() == 2
        return summed(sweeps, portal, say)

    monkeypatch.setattr(demo, "_hand_over", hand_over)
    monkeypatch.setattr(demo, "_totals", totals)
    ended = desk.run("demo", "--companies", "20", "--contacts", "100")
    assert (ended.code, ended.err) == (1, "")
    assert the_line(ended.out) == (
        "The portal's own count: 2 contacts with another owner than their company, 0 needless writes, 1 request "
        "rejected. The portal should count 0 contacts."
    )


def test_what_the_demo_leaves_alone_is_no_secret(desk: Desk) -> None:
    """It is in the portal's count, and the reason stands beside it; exit code 0."""
    ended = desk.run("demo", "--companies", "200", "--contacts", "1000", "--seed", "2")
    assert ended.code == 0
    assert the_line(ended.out) == (
        "The portal's own count: 1 contact with another owner than its company, 0 needless writes, 0 requests "
        "rejected. The worker left 1 contact alone (its companies have different owners)."
    )


@pytest.mark.parametrize(
    "size",
    [
        ("--companies", "0", "--contacts", "5"),
        ("--companies", "9", "--contacts", "0"),
        ("--companies", "5", "--contacts", "40", "--owners", "1", "--drift", "0"),
    ],
    ids=["no companies", "no contacts", "one owner"],
)
def test_a_demo_without_much_to_tell_ends_well(size: tuple[str, ...], desk: Desk) -> None:
    """Nothing to correct, or nothing to hand over: exit code 0 all the same."""
    ended = desk.run("demo", *size, "--json")
    assert (ended.code, ended.json["remaining_drift"]) == (0, 0)


def test_a_demo_is_ended_by_a_signal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence and exit code 1, not a story about nothing."""
    monkeypatch.setattr("reconciler.cli.demo._hand_over", lambda _: interrupt() or "")
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


def test_the_embedded_portal_can_be_another_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other scopes, an owner who has left, the newer way to update, which notifies of each new owner."""
    terminal = Terminal(monkeypatch, "stdout")
    seen: dict[str, Any] = {}

    def look() -> None:
        (address,) = re.findall(r"http://127\S+/rest/1/\w+/", terminal.shown)
        seen["scope"] = httpx.post(f"{address}scope").json()["result"]
        left = httpx.post(f"{address}user.get", json={"FILTER": {"ACTIVE": "N"}}).json()["result"]
        seen["left"] = len(left)
        httpx.post(f"{address}crm.contact.update", json={"id": 1, "fields": {"ASSIGNED_BY_ID": 1}})
        seen["notices"] = httpx.get(f"{address.split('/rest')[0]}/_sim/stats").json()["notices"]
        interrupt()

    options = ["--scopes", "user, crm", "--dismissed", "1", "--update-path", "factory"]
    with terminal.person(("Serving; Ctrl-C ends it.", look)):
        ended = desk.run("simulate", "--port", "0", "--companies", "9", "--contacts", "30", "--gaps", "0", *options)
    assert (ended.code, seen) == (0, {"scope": ["crm", "user"], "left": 1, "notices": 1})


def test_a_scope_that_does_not_exist(desk: Desk) -> None:
    """Exit code 2 and the names there are."""
    ended = desk.run("simulate", "--port", "0", "--scopes", "crm,people")
    assert ended.code == 2
    assert ended.err.startswith("reconciler: There is no scope people; choose from: appform, ")


def test_the_service_logs_json_and_ends_at_a_signal(
    desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sweeps at once, and a signal ends it with exit code 0; standard error is JSON, line by line."""
    from reconciler.service.scheduler import Service  # noqa: PLC0415 - it costs a scheduler

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


@pytest.mark.parametrize(
    ("arguments", "events", "code"),
    [
        pytest.param("show 99", ["command.ended"], 2, id="wrong-use"),
        pytest.param("show 99 -v", ["command.traceback", "command.ended"], 2, id="with-its-traceback"),
        pytest.param("--once --yes", ["command.ended"], 3, id="held-back"),
        pytest.param("plan --limit none", ["command.ended"], 2, id="misspelt"),
    ],
)
def test_logs_for_programs_hold_no_sentences(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: str, events: list[str], code: int
) -> None:
    """With `--log-format json` each line of standard error is an object, the one with which a command ends too."""
    desk.run("--once", "--yes", "--limit", "1")
    monkeypatch.setenv("RECONCILER_GUARD__CHANGES", "1")
    ended = desk.run(*arguments.split(), "--log-format", "json")
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert [line["event"] for line in lines if line["event"].startswith("command.")] == events
    assert (ended.code, "`" in lines[-1]["error"] or "approve" in lines[-1]["error"]) == (code, True)


def test_something_unforeseen_is_told_in_a_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1; the traceback with -v only, and nowhere the token."""

    def break_down(*_: object) -> None:
        raise RuntimeError(f"no idea about https://acme.bitrix24.com/rest/1/{TOKEN}/\x1b[2J")

    monkeypatch.setattr("reconciler.cli.check.check", break_down)
    brief = desk.run("check")
    assert (brief.code, brief.err.count("\n")) == (1, 1)
    assert "run it again with -v" in brief.err
    wordy = desk.run("check", "-v")
    assert "Traceback" in wordy.err
    assert "with the lines above" in wordy.err
    assert TOKEN not in brief.err + wordy.err
    assert "\x1b" not in brief.err + wordy.err


def test_a_plan_is_not_written_over_the_journal(desk: Desk) -> None:
    """Its history, and each undo, would be gone."""
    assert desk.run("--once", "--yes").code == 0
    for name in (desk.journal.name, f"{desk.journal.name}-wal"):
        for command in ("plan", "show latest"):
            ended = desk.run(*command.split(), "--format", "csv", "--output", name)
            assert (ended.code, "it is a part of the journal" in ended.err) == (2, True)
    assert desk.run("show", "latest").code == 0


@pytest.mark.parametrize("exists", [False, True], ids=["directory", "file"])
def test_a_file_without_permission_is_told_before_the_work(
    exists: bool, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads a portal for an hour to learn that the result has no place."""
    if exists:
        desk.config("", "plan.html")
    monkeypatch.setattr("reconciler.cli.context.os.access", lambda *_: False)
    ended = desk.run("plan", "--output", "plan.html")
    assert ended.code == 2
    assert "(no permission)" in ended.err
    assert portal.portal.stats()["requests"] == 0


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_leads_nowhere(stream: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reconciler --once <&-`: some launchers close what they do not use."""
    monkeypatch.setattr(sys, stream, None)
    assert desk.run("--once", "--yes", "--limit", "1").code == 0
    getattr(sys, stream).close()


def test_a_narrow_terminal_cuts_no_numbers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines break rather than columns vanish."""
    desk.run("--once", "--yes")
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
    monkeypatch.setattr("reconciler.cli.context.SystemClock", HurriedClock)
    ended = desk.run("plan")
    assert ended.code == 0
    assert "?" in ended.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251"])
@pytest.mark.parametrize("form", [["--json"], ["--format", "html"], ["--format", "csv"], ["--format", "markdown"]])
def test_what_programs_read_is_utf_8_in_every_locale(
    form: list[str], encoding: str, desk: Desk, portal: Served
) -> None:
    """Each letter of a name is there, whatever the locale of the machine can show."""
    company = portal.portal.database.row("SELECT company_id FROM contact WHERE company_id IS NOT NULL LIMIT 1")
    assert company is not None
    portal.portal.database.connection.execute(
        "UPDATE company SET title = 'Ромашка é 😀', assigned_by_id = 6 WHERE id = ?", (company["company_id"],)
    )
    sys.stdout.reconfigure(encoding=encoding)  # type: ignore[union-attr]
    ended = desk.run("plan", "--company", str(company["company_id"]), *form)
    assert ended.code == 0
    assert "Ромашка é 😀" in ended.out
