"""Notices in Bitrix24: one for each matter, harmless whatever the names in it, and never the end of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from structlog.testing import capture_logs
from support.portal_fixture import ANN, BOB, Office
from support.portal_line import Line, Script, batch_answer

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.notifications import Kind, Notification
from reconciler.errors import Stopped
from reconciler.portal.notices import CLIENT_ID, LONGEST, bb_safe, notify
from reconciler.simulator.meters import LeakyBucket

SCOPES = ("crm", "user", "im")


def line(**options: Any) -> Line:
    """Return a line to an office whose webhook may send notices."""
    return Line(Office(clock=VirtualClock(Timeline()), **({"scopes": SCOPES} | options)))


def matter(kind: Kind = Kind.REFUSED, sentence: str = "1,200 changes wait", portal: str = "acme") -> Notification:
    """Make something to tell."""
    return Notification(
        kind=kind, portal=portal, at=datetime(2026, 1, 1, tzinfo=UTC), title="Approval", sentence=sentence
    )


def bells(office: Line) -> list[tuple[int, str]]:
    """Return whose bell shows what."""
    return [(notice.user_id, notice.message) for notice in office.office.portal.bell.shown]


def tags(office: Line) -> list[str]:
    """Return the tags of what stands in all bells, the oldest first; only a tag with a CLIENT_ID is one."""
    return [notice.tag for notice in office.office.portal.bell.shown]


def test_each_user_is_told() -> None:
    """A title in bold and a sentence; one request for all."""
    office = line()
    assert notify(office.client, [ANN, BOB], [matter()]) == {}
    message = "[B]Approval[/B][BR]1,200 changes wait"
    assert bells(office) == [(ANN, message), (BOB, message)]
    assert tags(office) == ["acme|refused"] * 2
    assert office.stats["requests"] == 1


def test_what_is_sent() -> None:
    """Other channels, such as e-mail, show codes as they are, so they get none."""
    script = Script(batch_answer({"c0": 15}))
    assert notify(script.client(), [ANN], [matter()]) == {}
    method, _, query = script.commands[0][0].partition("?")
    assert (method, parse_qs(query)) == (
        "im.notify.system.add",
        {
            "USER_ID": [str(ANN)],
            "MESSAGE": ["[B]Approval[/B][BR]1,200 changes wait"],
            "MESSAGE_OUT": ["Approval: 1,200 changes wait"],
            "TAG": ["acme|refused"],
            "CLIENT_ID": [CLIENT_ID],
        },
    )


def test_nothing_to_tell_and_nobody_to_tell() -> None:
    """No request is sent."""
    office = line()
    assert notify(office.client, [ANN], []) == notify(office.client, [], [matter()]) == {}
    assert office.stats["requests"] == 0


def test_one_notice_for_each_matter() -> None:
    """A later one takes the place of an earlier one of the same portal and kind."""
    office = line()
    notify(office.client, [ANN], [matter(sentence="old"), matter(Kind.QUARANTINED), matter(portal="other")])
    notify(office.client, [ANN], [matter(sentence="new")])
    assert tags(office) == ["acme|quarantined", "other|refused", "acme|refused"]
    assert "new" in bells(office)[-1][1]


def test_more_than_a_batch() -> None:
    """A hundred people are told in two requests."""
    office = line()
    people = range(100, 200)
    for number in people:
        office.office.user(number)
    assert notify(office.client, people, [matter()]) == {}
    assert [user for user, _ in bells(office)] == list(people)
    assert office.stats["requests"] == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Maier & Sons, 5 %", "Maier & Sons, 5 %", id="ordinary"),
        pytest.param("[URL=https://evil.example]pay[/URL]", "(URL=https://evil.example)pay(/URL)", id="link"),
        pytest.param("[send=/delete]OK[/send]", "(send=/delete)OK(/send)", id="button"),
        pytest.param("<img src=x onerror=y>", "‹img src=x onerror=y›", id="tag"),  # noqa: RUF001
        pytest.param("$result[c0][ID]", "$result(c0)(ID)", id="macro"),
        pytest.param("one\r\n two\u2028three\tfour", "one two three four", id="lines"),
        pytest.param("a\u202eb\x00c\x1b[0m", "abc(0m", id="invisible"),
        pytest.param("x" * 3_000, "x" * LONGEST + "…", id="long"),
    ],
)
def test_hostile_names(text: str, shown: str) -> None:
    """Names are typed by strangers: what would be a code is text."""
    office = line()
    assert bb_safe(text) == shown
    assert notify(office.client, [ANN], [matter(sentence=text)]) == {}
    assert bells(office) == [(ANN, f"[B]Approval[/B][BR]{shown}")]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param({"kind": "html_502"}, "gets no answer from it", id="html"),
        pytest.param({"kind": "rate_limited"}, "too many requests", id="rate-limited"),
        pytest.param({"kind": "token_revoked"}, "does not accept the webhook", id="revoked"),
        pytest.param({"kind": "cut_before"}, "cannot be reached", id="cut"),
        pytest.param({"kind": "command_error", "code": "ACCESS_DENIED"}, "no right to this", id="denied"),
        pytest.param({"kind": "operation_limit"}, "seconds in ten minutes are used up", id="operating"),
    ],
)
def test_a_portal_that_fails(fault: dict[str, Any], reason: str) -> None:
    """One attempt, a reason, a line in the log; nothing is raised."""
    office = line()
    office.office.portal.faults.load([fault])
    with capture_logs() as logs:
        failures = notify(office.client, [ANN], [matter()])
    assert list(failures) == ["acme|refused"]
    assert reason in failures["acme|refused"]
    assert [(entry["event"], entry["user"], entry["matter"]) for entry in logs if entry["log_level"] == "warning"] == [
        ("notice.failed", ANN, "refused")
    ]
    assert (office.stats["requests"], bells(office)) == (1, [])


def test_a_webhook_without_the_scope() -> None:
    """The reason says what to add."""
    assert "lacks the scope im" in notify(line(scopes=("crm",)).client, [ANN], [matter()])["acme|refused"]


def test_somebody_who_is_gone() -> None:
    """A matter counts as told when it reached one of those who should know."""
    office = line()
    with capture_logs() as logs:
        assert notify(office.client, [404, ANN], [matter()]) == {}
        assert "is this user still there" in notify(office.client, [404, 405], [matter()])["acme|refused"]
    assert [entry["user"] for entry in logs if entry["event"] == "notice.failed"] == [404, 404, 405]


def test_notices_wait_for_their_turn() -> None:
    """They leave through the same throttle as all requests, and a stop ends the wait."""
    clock = VirtualClock(Timeline())
    office = Line(Office(clock=clock, bucket=LeakyBucket(clock, 5, 1), scopes=SCOPES), burst=5, per_second=1)
    for _ in range(12):
        assert notify(office.client, [ANN], [matter()]) == {}
    assert office.stats["rejected"] == {}
    office.clock.stop()
    with pytest.raises(Stopped):
        notify(office.client, [ANN], [matter()])
