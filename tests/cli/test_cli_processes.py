"""The program in a process of its own: signals, pipes, what it imports."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from support.command_line import PROGRAM, TOKEN, URL

from reconciler.service import heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command_line import Desk, Served

PATIENCE = 20


@contextmanager
def started(*arguments: str, **how: object) -> Iterator[subprocess.Popen[str]]:
    """Start the program; whatever the test finds, it does not outlive it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    with subprocess.Popen([*PROGRAM, *arguments], text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


pytestmark = pytest.mark.usefixtures("desk")


def test_the_embedded_portal_serves_other_programs_over_https() -> None:
    """One line of JSON, then HTTPS under the certificate it names, until SIGTERM ends it with exit code 0."""
    with started("simulate", "--json", "--tls", "--port", "0", "--companies", "9", "--contacts", "30") as process:
        assert process.stdout
        where = json.loads(process.stdout.readline())
        assert where.keys() == {"schema", "webhook_url", "stats_url", "host", "port", "tls_certificate"}
        context = ssl.create_default_context(cafile=where["tls_certificate"])
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.post(f"{where['webhook_url']}server.time.json").status_code == 200
            assert client.get(where["stats_url"]).json()["requests"] == 1
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_service_ends_at_sigterm_within_seconds(portal: Served, tmp_path: Path) -> None:
    """Exit code 0; nothing but JSON in the log; the token in none of what others can see of the process."""
    with started() as process:
        assert process.stderr
        lines = []
        while "run.finished" not in "".join(lines):
            lines.append(process.stderr.readline())
        seen = [Path(f"/proc/{process.pid}/{name}") for name in ("cmdline", "comm")]
        # The journal, its write-ahead log and the lease.
        files = [file for file in tmp_path.iterdir() if file.name.startswith("reconciler.sqlite3")]
        assert {file.suffix for file in files} >= {".sqlite3", ".sqlite3-wal", ".lease"}
        assert [file for file in [*seen, *files] if TOKEN.encode() in file.read_bytes()] == []
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, portal.portal.drift()) == (0, "", 0)
    events = [json.loads(line)["event"] for line in [*lines, *rest.splitlines()]]
    assert events[-1] == "service.stopped"
    assert TOKEN not in "".join(lines) + rest


def test_a_second_ctrl_c_ends_at_once(desk: Desk) -> None:
    """The first waits for the request under way, here one that is never answered; the second does not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        desk.env(PORTAL__WEBHOOK_URL=f"http://127.0.0.1:{server.getsockname()[1]}/rest/1/{TOKEN}/")
        child, terminal = pty.fork()
        if child == 0:
            os.execv(PROGRAM[0], [*PROGRAM, "plan"])  # noqa: S606 - our own program
        connection, _ = server.accept()
        os.write(terminal, b"\x03")
        shown = b""
        while b"once more to end at once" not in shown:
            shown += os.read(terminal, 65_536)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        connection.close()
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    """`reconciler plan | head`: no traceback, no "Exception ignored"."""
    with started("plan", "--format", "json") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "heavy"),
    [
        (["--help"], 0, "sqlalchemy alembic httpx rich flask cheroot pydantic apscheduler structlog tenacity trustme"),
        (["plan", "--jsn"], 2, "sqlalchemy alembic httpx rich flask cheroot apscheduler structlog tenacity"),
        (
            ["health"],
            0,
            "sqlalchemy alembic httpx rich flask cheroot apscheduler structlog tenacity jinja2 prometheus_client",
        ),
    ],
    ids=["help", "mistyped", "health"],
)
def test_what_is_asked_often_imports_little(arguments: list[str], code: int, heavy: str, desk: Desk) -> None:
    """Help, a slip and the health check of a container do not pay for the whole program."""
    beat = heartbeat.Beat(process=1, boot=heartbeat.this_boot(), at=time.monotonic())
    heartbeat.write(heartbeat.beat_file(desk.journal), beat)
    script = (
        "import sys, atexit\n"
        "from reconciler.cli.app import main\n"
        "atexit.register(lambda: print(*sorted(m for m in sys.modules if '.' not in m), file=sys.stderr))\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert set(heavy.split()) & set(ended.stderr.splitlines()[-1].split()) == set()


def test_the_environment_is_enough(tmp_path: Path) -> None:
    """A start without HOME, PATH and terminal: as a container or cron has it."""
    env = {URL: os.environ[URL], "PATH": ""}
    ended = subprocess.run(
        [*PROGRAM, "--once", "--yes", "--json"], capture_output=True, text=True, check=False, cwd=tmp_path, env=env
    )
    assert (ended.returncode, ended.stderr, json.loads(ended.stdout)["status"]) == (0, "", "applied")


def test_a_log_on_a_full_disk_stops_nothing(portal: Served) -> None:
    """A run that logs all there is writes what is to be written, and answers; exit code 0."""
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [*PROGRAM, "--once", "--yes", "-v", "--json"], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (ended.returncode, json.loads(ended.stdout)["status"]) == (0, "applied")
    assert portal.portal.drift() == 0


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_slow_reader_gets_the_whole_answer(
    unbuffered: bool, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also through a pipe that another process has set to non-blocking, and which holds less than the answer."""
    if unbuffered:
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    assert desk.run("--once", "--yes").code == 0
    assert portal.portal.drift() == 0
    show = ["show", "1", "--format", "html"]
    whole = subprocess.run([*PROGRAM, *show], capture_output=True, check=True).stdout
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)
    with started(*show, stdout=writing) as process:
        os.close(writing)
        received = b"".join(iter(lambda: os.read(reading, 4_096), b""))
        assert process.wait(PATIENCE) == 0
    os.close(reading)
    assert len(received) > 4 * 4_096
    assert received == whole
