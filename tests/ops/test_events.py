"""The `on_event` command: real programs, fed with JSON, kept from our secrets, ended in time, and never our end."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.core.notifications import Kind, Notification
from reconciler.core.redaction import Redactor
from reconciler.telemetry.event_command import event_of, run_on_event

TOKEN = "abcdef0123456789"
EVENT = {"schema": 1, "event": "refused", "title": "Approval of “Müller”"}


def python(program: str, *arguments: str) -> list[str]:
    """Return a command that runs a program; without `site`, which starts in half the time."""
    return [sys.executable, "-I", "-S", "-c", program, *arguments]


def run(command: list[str], event: dict[str, Any] | None = None, seconds: float = 10.0) -> str | None:
    """Run a command with an event."""
    return run_on_event(command, EVENT if event is None else event, seconds=seconds, redact=Redactor([TOKEN]).text)


def test_the_event_of_a_matter() -> None:
    """A flat object with the schema's number."""
    matter = Notification(
        kind=Kind.QUARANTINED,
        portal="acme",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        title="2 contacts",
        sentence="left alone",
        numbers={"contacts": 2},
        contacts=(3, 4),
    )
    assert event_of(matter) == {
        "schema": 1,
        "event": "quarantined",
        "portal": "acme",
        "at": "2026-01-01T00:00:00+00:00",
        "title": "2 contacts",
        "sentence": "left alone",
        "numbers": {"contacts": 2},
        "digest": "",
        "contacts": [3, 4],
    }


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(EVENT, id="small"),
        # More than a pipe holds, so that both sides have to keep going.
        pytest.param(EVENT | {"contacts": list(range(100_000))}, id="large"),
        pytest.param({"event": "refused", "title": "\ud800"}, id="broken-text"),
    ],
)
def test_it_reads_json_on_standard_input(tmp_path: Path, event: dict[str, Any]) -> None:
    """The whole event, and then the end of the file."""
    kept = tmp_path / "event.json"
    program = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    assert run(python(program, str(kept)), event) is None
    assert json.loads(kept.read_bytes()) == event


def test_there_is_no_shell(tmp_path: Path) -> None:
    """Arguments arrive as they stand in the settings."""
    kept = tmp_path / "arguments"
    wanted = ["$(touch x)", "; rm -rf *", "a b", ""]
    program = "import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))"
    assert run(python(program, str(kept), *wanted)) is None
    assert kept.read_text() == repr(wanted)


def test_our_secrets_are_not_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of our settings, and no variable that holds a secret of ours; the rest is as it was."""
    monkeypatch.setenv("RECONCILER_PORTAL__WEBHOOK_URL", f"https://acme.bitrix24.ru/rest/1/{TOKEN}/")
    monkeypatch.setenv("reconciler_log__level", "debug")
    monkeypatch.setenv("COPY_OF_TOKEN", f"prefix {TOKEN}")
    monkeypatch.setenv("ADDRESS", "https://other.bitrix24.ru/rest/1/anothertoken0000/")
    monkeypatch.setenv("HARMLESS", "kept")
    kept = tmp_path / "environment"
    assert run(python("import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)))", str(kept))) is None
    text = kept.read_text()
    assert "'HARMLESS': 'kept'" in text
    assert [word for word in (TOKEN, "RECONCILER", "reconciler_log", "anothertoken") if word in text] == []


def test_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output is nobody's; the end of standard error is logged for debugging, without secrets."""
    # The cut falls into one of the tokens.
    program = f"import sys; print('out'); sys.stderr.write('x' * 300000 + '{TOKEN}' * 200 + ' the end {TOKEN}')"
    with capture_logs() as logs:
        assert run(python(program)) is None
    said = [entry for entry in logs if entry["event"] == "on_event.said"]
    assert [entry["log_level"] for entry in said] == ["debug"]
    assert said[0]["text"] == "the end ***"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("", id="ends-at-once"),
        pytest.param("import os; os.close(0); os.close(2)", id="closes-all"),
        pytest.param("import sys; sys.stdin.readline()", id="reads-half"),
    ],
)
def test_it_need_not_listen(program: str) -> None:
    """What it does with the event is its own affair."""
    assert run(python(program), EVENT | {"contacts": list(range(100_000))}) is None


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        pytest.param(python("raise SystemExit(3)"), f"{Path(sys.executable).name} ended with code 3; see", id="code"),
        pytest.param(python("import os; os.kill(os.getpid(), 9)"), "was ended by signal 9", id="signal"),
        pytest.param(["/nowhere/tell"], "tell cannot be started (No such file", id="not-there"),
        pytest.param(["/"], "cannot be started (Permission denied)", id="not-executable"),
        pytest.param(["echo", "a\0b"], "echo cannot be started (embedded null", id="null-byte"),
    ],
)
def test_failures(command: list[str], sentence: str) -> None:
    """Told and logged, never raised."""
    with capture_logs() as logs:
        failure = run(command)
    assert failure is not None
    assert sentence in failure
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [(entry["event"], entry["event_name"], entry["error"]) for entry in warnings] == [
        ("on_event.failed", "refused", failure)
    ]


def test_its_time_is_limited(tmp_path: Path) -> None:
    """It and what it started are ended, also when both ignore requests to end."""
    kept = tmp_path / "pids"
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: open(sys.argv[1], 'w').write(f'{os.getpid()} {child}')\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    failure = run(python(program, str(kept)), seconds=0.6)
    assert failure is not None
    assert "took longer than 0.6 s and was ended" in failure
    assert time.monotonic() - began < 5
    parent, child = map(int, kept.read_text().split())
    with pytest.raises(ChildProcessError):  # not left behind as a zombie
        os.waitpid(parent, os.WNOHANG)
    assert ends(child)


def ends(pid: int) -> bool:
    """Say whether a process has ended, or does so in a moment."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5)[0])
    finally:
        os.close(handle)


def test_a_command_that_may_not_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It became another user (sudo): we go on without it."""
    pids: list[int] = []

    def refuse(pid: int, _signal: int) -> None:
        pids.append(pid)
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", refuse)
        failure = run(python("import time; time.sleep(60)"), seconds=0.1)
    assert failure is not None
    os.killpg(pids[0], signal.SIGKILL)
    os.waitpid(pids[0], 0)


def test_signals_are_its_own(tmp_path: Path) -> None:
    """Our threads have signals blocked; a script's `timeout` must work all the same."""
    kept = tmp_path / "mask"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        program = "import signal, sys; open(sys.argv[1], 'w').write(repr(signal.pthread_sigmask(0, ())))"
        assert run(python(program, str(kept))) is None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert kept.read_text() == "set()"


def test_no_pipe_is_left_open() -> None:
    """A service that tells something each day must not run out of them."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    for command in (python(""), python("raise SystemExit(1)"), ["/nowhere/tell"]):
        run(command)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
