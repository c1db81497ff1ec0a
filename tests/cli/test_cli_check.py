"""`check` and `health`: what is right, what is not, and the next step."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import SMALL

from reconciler.service import heartbeat
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.server import serve
from reconciler.simulator.workflows import ON_CREATE, ON_EDIT, Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command_line import Desk, Served


def state_of(document: dict[str, Any], subject: str) -> str:
    """Return the state of one line of `check`."""
    return str(next(check["state"] for check in document["checks"] if check["subject"] == subject))


def test_check_has_a_line_for_each_thing(desk: Desk, portal: Served) -> None:
    """Settings, address, database, portal, clock, rights, side effects; exit code 0 with warnings."""
    ended = desk.run("check")
    assert (ended.code, ended.err) == (0, "")
    subjects = [line[9:33].strip() for line in ended.out.splitlines()]
    assert subjects[:4] == ["settings", "address", "database", "portal"]
    assert {"clock", "companies", "users", "account", "own records", "workflows", "notices"} <= {*subjects}
    assert f"{portal.address.base_url}, as user 1" in ended.out
    assert desk.run("check", "--json").json["status"] == "ok"


def test_check_repeats_no_token(desk: Desk, portal: Served) -> None:
    """Not even as the name of a person in the portal, and with a soft hyphen and a mark inside."""
    token = portal.address.webhook_url.split("/")[-2]
    name = f"{token[:5]}\u00ad{token[5:8]}\u0301{token[8:]}"
    portal.portal.database.connection.execute("UPDATE user SET name = ? WHERE id = 1", (name,))
    for ended in (desk.run("check"), desk.run("check", "--json")):
        assert "user 1 (***" in ended.out
        assert token[:5] not in ended.out


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


def test_check_and_plan_say_that_a_run_would_be_refused(desk: Desk, portal: Served) -> None:
    """Because another portal answers at the address, or the name stood for another address; a run is refused then.

    A plan knows of another address, and asks nothing more than it needs.
    """
    desk.env(PORTAL__NAME="office")
    assert desk.run("--once", "--yes").code == 0
    assert "same portal" not in desk.run("check").out
    assert "would be refused" not in desk.run("plan").out
    portal.portal.database.connection.execute("UPDATE user SET date_register = date_register + 86400")
    assert desk.run("--once", "--yes").out.startswith("In sync")  # there was nothing to write, nor to remember
    assert "would be refused" not in desk.run("plan").out
    with portal.portal.database.lock:
        [linked] = portal.portal.database.rows("SELECT MIN(id) AS id FROM contact WHERE company_id IS NOT NULL")
    portal.portal.people.edit_contact(linked["id"], 1, assigned_by_id=1)
    desk.env(PORTAL__HTTP_HOSTS="localhost")
    for url, words in [
        (portal.url, "another portal than before seems to answer at 127.0.0.1"),
        (portal.url.replace("127.0.0.1", "localhost"), "office is at localhost"),
    ]:
        desk.env(PORTAL__WEBHOOK_URL=url)
        checked = desk.run("check", "--json")
        assert (checked.code, state_of(checked.json, "same portal")) == (1, "failed")
        (sentence,) = (one["sentence"] for one in checked.json["checks"] if one["subject"] == "same portal")
        notes = [one for one in desk.run("plan", "--json").json["notes"] if "would be refused" in one]
        refused = desk.run("--once", "--yes")
        assert (refused.code, sentence.startswith(words)) == (3, True)
        assert notes == ([] if url == portal.url else [f"A run would be refused: {sentence}."])
        assert refused.err == f"reconciler: {sentence}\n"


def lines_of(document: dict[str, Any], subject: str) -> list[tuple[str, str]]:
    """Return state and sentence of each line of one subject."""
    return [(one["state"], one["sentence"]) for one in document["checks"] if one["subject"] == subject]


def test_check_fails_for_a_setting_that_cannot_work(desk: Desk, portal: Served) -> None:
    """With the line that says so; what only matches nothing is a warning; the portal is only read."""
    desk.env(POLICY__LEAVE_COMPANIES="2,4242")
    ended = desk.run("check", "--json")
    assert (ended.code, state_of(ended.json, "leave_companies")) == (0, "warning")
    desk.env(POLICY__DISMISSED_OWNER="successor", POLICY__SUCCESSOR="999")
    ended = desk.run("check")
    assert ended.code == 1
    assert (
        "failed   successor               the portal shows no user 999, so what dismissed owners had is left"
        in ended.out
    )
    assert portal.portal.stats()["updates_applied"] == 0
    assert portal.portal.bell.shown == []


def test_a_setting_that_names_nothing_costs_nothing(desk: Desk, portal: Served) -> None:
    """`check` on the defaults looks nothing up for them."""
    desk.run("check")
    asked = portal.portal.stats()["requests"]
    desk.env(POLICY__LEAVE_COMPANIES="2")
    desk.run("check")
    assert portal.portal.stats()["requests"] == 2 * asked + 1


def test_check_goes_on_where_settings_cannot_be_looked_up(desk: Desk, portal: Served) -> None:
    """An answer that cannot be believed is one failed line, and the rest stands."""
    desk.env(POLICY__LEAVE_COMPANIES="4242")
    portal.fail({"kind": "dropped_filter", "method": "crm.company.list"})
    ended = desk.run("check", "--json")
    assert (ended.code, state_of(ended.json, "portal")) == (1, "ok")
    assert lines_of(ended.json, "settings in the portal") == [
        ("failed", "what they name could not be looked up (more than were asked for); check again later")
    ]


def test_check_says_where_the_settings_come_from(desk: Desk) -> None:
    """The file, the secret files and the variables that count."""
    desk.config('[log]\nlevel = "error"')
    assert lines_of(desk.run("check", "--json").json, "settings") == [
        ("ok", "read from config.toml, 2 variables of the environment")
    ]
    secrets = desk.folder / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "portal__webhook_url").write_text(desk.environment("PORTAL__WEBHOOK_URL"))
    (secrets / "somebody-else-s").write_text("x")
    desk.env(PORTAL__WEBHOOK_URL=None, SECRETS_DIR=str(secrets))
    document = desk.run("check", "--json").json
    assert lines_of(document, "settings") == [
        ("ok", f"read from config.toml, 1 secret file in {secrets}, 1 variable of the environment")
    ]
    assert lines_of(document, "secret files") == [
        ("warning", f"no setting is called as these in {secrets}: somebody-else-s; they are not read")
    ]


def test_check_looks_at_the_rights_of_files(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who else may read a secret, write the settings, or open the journal."""
    desk.run("check")
    address = desk.environment("PORTAL__WEBHOOK_URL")
    desk.config(f'[portal]\nwebhook_url = "{address}"').chmod(0o646)
    desk.journal.chmod(0o644)
    secrets = desk.folder / "secrets"
    secrets.mkdir()
    (secrets / "portal__proxy").write_text("http://agent:pr0xypass@127.0.0.1:9")
    desk.env(SECRETS_DIR=str(secrets), PORTAL__WEBHOOK_URL=None)
    for folder in (desk.folder, *desk.folder.parents):
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o001)
    document = desk.run("check", "--json").json
    assert [sentence for _, sentence in lines_of(document, "settings file")] == [
        "every user of this machine may write config.toml, and so decide what is written; chmod o-w it",
        "every user of this machine may read config.toml, which holds portal.webhook_url; chmod 600 it",
    ]
    ((_, sentence),) = lines_of(document, "secret files")
    assert sentence == f"every user of this machine may read {secrets / 'portal__proxy'}; chmod 700 the folder"
    ((_, sentence),) = lines_of(document, "journal file")
    assert sentence == f"every user of this machine may open {desk.journal}, which holds names; chmod 600 it"
    secrets.chmod(0o700)
    assert lines_of(desk.run("check", "--json").json, "secret files") == []
    program = desk.config("#!/bin/sh\n", "tell")
    program.chmod(0o707)
    desk.env(NOTIFY__ON_EVENT=str(program))
    assert lines_of(desk.run("check", "--json").json, "notify.on_event") == [
        ("warning", f"every user of this machine may change {program}, which the worker runs; chmod o-w it")
    ]
    desk.folder.chmod(0o700)
    document = desk.run("check", "--json").json
    for subject in ("settings file", "secret files", "journal file"):
        assert lines_of(document, subject) == []
    assert state_of(document, "notify.on_event") == "ok"
    monkeypatch.setattr("reconciler.cli.machine_checks.os.access", lambda path, _: path != desk.folder)
    monkeypatch.setattr("reconciler.cli.machine_checks.shutil.disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    states = lines_of(desk.run("check", "--json").json, "journal folder")
    assert [state for state, _ in states] == ["failed", "warning"]
    assert "may not be written by the worker's user" in states[0][1]
    assert states[1][1].startswith(f"7.0 MB are free in {desk.folder}, where the journal grows")


def test_a_plan_names_exclusions_that_match_nothing(desk: Desk, portal: Served) -> None:
    """As a note; an own company is no company of the roster, and there all the same."""
    portal.portal.database.connection.execute("UPDATE company SET is_my_company = 'Y' WHERE id = 2")
    desk.env(POLICY__LEAVE_COMPANIES="2,3,4242", POLICY__LEAVE_COMPANY_TYPES="partner", POLICY__LEAVE_OWNERS="2")
    types = (
        "policy.leave_company_types: no type of a company has the code partner, so none is left alone by it; "
        "write PARTNER, the code of the type Partner."
    )
    numbers = "policy.leave_companies: the portal does not show 1 of 3 companies (4242); correct or remove the numbers."
    notes = desk.run("plan", "--json").json["notes"]
    assert [note for note in notes if note.startswith("policy.")] == [numbers, types]
    part = desk.run("plan", "--company", "3", "--json").json["notes"]
    assert [note for note in part if note.startswith("policy.")] == [types]


def test_check_goes_on_without_a_database(desk: Desk) -> None:
    """What is wrong here does not hide what is wrong there."""
    desk.journal.mkdir()
    ended = desk.run("check", "--json")
    assert (ended.code, state_of(ended.json, "database"), state_of(ended.json, "portal")) == (1, "failed", "ok")


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
