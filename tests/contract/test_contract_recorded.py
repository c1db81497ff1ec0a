"""What the embedded portal once said over HTTP: the worker reads it again, and the portal still says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract.cassette_files import RECORDED, load, player
from contract.recorded_sessions import SESSIONS, Session, record
from contract.replay import client, sent
from contract.shapes import differences
from support.portal_line import Line


def named(session: Session) -> str:
    """Return the test's id."""
    return session.name


@pytest.mark.parametrize("session", SESSIONS, ids=named)
def test_the_worker_reads_the_recording_as_it_reads_the_portal(session: Session) -> None:
    """Results, totals, timings and errors are the same from the cassette and from the portal as it is now."""
    line, worker = Line(session.office(), attempts=1), client()
    with player().use_cassette(str(RECORDED / f"{session.name}.yaml")) as tape:
        for commands in session.batches:
            assert sent(worker, commands) == sent(line.client, commands)
    assert tape.all_played


@pytest.mark.parametrize("session", SESSIONS, ids=named)
def test_the_portal_still_answers_as_recorded(session: Session) -> None:
    """Each recorded request, posted once more: the same status, and the same answer in shape."""
    office = session.office()
    for entry in load(RECORDED / f"{session.name}.yaml")["interactions"]:
        method = entry["request"]["uri"].rpartition("/")[2]
        body = entry["request"]["body"].encode()
        answer = office.send(method, body=body, headers={"content-type": "application/json"})
        recorded = entry["response"]
        assert answer.status == recorded["status"]["code"]
        assert differences(decoded(recorded["body"]["string"]), decoded(answer.response.body)) == []


def decoded(text: str | bytes) -> Any:
    """Return what JSON says, or that it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return "no JSON"


def test_recording_again_gives_the_same_requests() -> None:
    """`make cassettes` over HTTP: dummy addresses only, and the worker sends what it sent."""
    session = SESSIONS[1]
    entries, kept = record(session), load(RECORDED / f"{session.name}.yaml")
    assert [entry["request"] for entry in entries] == [entry["request"] for entry in kept["interactions"]]
    assert kept["metadata"]["source"] == "embedded portal"


def test_each_recording_says_that_it_is_none_of_bitrix24() -> None:
    """At its head, in words."""
    assert {path.stem for path in RECORDED.glob("*.yaml")} == {session.name for session in SESSIONS}
    for path in RECORDED.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# Recorded from the embedded portal over HTTP, not from a portal of Bitrix24: ")
        assert "127.0.0.1" not in text
        assert "simulatedtoken" not in text
