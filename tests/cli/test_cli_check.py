"""`check` and `health`: what is right, what is not, and the way out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import SMALL

from reconciler import heartbeat
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
