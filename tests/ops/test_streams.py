"""Standard output and error: whole where the reader is slow, harmless where nobody reads."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import structlog
from support.command_line import PROGRAM

from reconciler.core.redaction import Redactor
from reconciler.telemetry import logs, streams

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More than a pipe holds.
LONG = "Ромашка & Söhne\n" * 20_000


@pytest.fixture(autouse=True)
def _streams_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave its streams to the next one."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give both ends of a pipe whose writing end another process has set to non-blocking."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, fcntl.fcntl(writing, fcntl.F_GETFL) | os.O_NONBLOCK)
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


def installed(monkeypatch: pytest.MonkeyPatch, name: str, descriptor: int, **how: str) -> io.TextIOWrapper:
    """Start the program's streams with this descriptor as standard output or error."""
    stream = io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), **({"encoding": "utf-8"} | how))
    monkeypatch.setattr(sys, name, stream)
    streams.install()
    found = getattr(sys, name)
    assert isinstance(found, io.TextIOWrapper)
    return found


def test_a_slow_reader_of_a_nonblocking_pipe_gets_everything(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe is full several times over; the program waits each time, and nothing is lost."""
    out = installed(monkeypatch, "stdout", pipe[1])
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(pipe[0], 4_096):
            received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    out.write(LONG)
    assert streams.lost() is None
    os.close(pipe[1])
    reader.join()
    assert b"".join(received).decode() == LONG


def test_a_full_disk_is_remembered_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on; what follows the gap is not written."""
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        out = installed(monkeypatch, "stdout", full.fileno())
        for _ in range(3):
            print(LONG, flush=True)  # noqa: T201 - as a command does
        loss = streams.lost()
        assert loss is not None
        assert loss.strerror == "No space left on device"
        out.detach()


def test_a_reader_that_has_gone_is_told_at_once(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """`reconciler plan | head` shall not compute for an hour."""
    out = installed(monkeypatch, "stdout", pipe[1])
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        print("one line", flush=True)  # noqa: T201 - as a command does
    out.buffer.raw.error = OSError()  # type: ignore[attr-defined] # so that the end of the test writes no more


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("broken", ["full disk", "reader gone", "reader asleep", "closed"])
def test_no_failure_of_the_log_reaches_the_work(
    broken: str, form: str, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC, EPIPE, EAGAIN, EBADF: the record is lost, and that is all."""
    monkeypatch.setattr(streams, "_LOG_SECONDS", 0.01)
    target = os.open("/dev/full", os.O_WRONLY) if broken == "full disk" else os.dup(pipe[1])
    if broken == "reader gone":
        os.close(pipe[0])
    err = installed(monkeypatch, "stderr", target)
    if broken == "closed":
        os.close(target)
    logs.configure("info", form, Redactor())  # type: ignore[arg-type] # one of two
    for _ in range(40):
        structlog.get_logger("reconciler").warning("portal.slow", text=LONG[:4_000])
        logging.getLogger("somebody").error("as well")
    print("a sentence", file=sys.stderr, flush=True)  # noqa: T201 - as a command does
    err.flush()


def test_a_log_goes_on_when_there_is_room_again(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader slept, then wakes: later records come, whole."""
    monkeypatch.setattr(streams, "_LOG_SECONDS", 0.01)
    installed(monkeypatch, "stderr", pipe[1])
    logs.configure("info", "json", Redactor())
    for _ in range(100):
        structlog.get_logger("reconciler").warning("portal.slow", text="x" * 2_000)
    while len(os.read(pipe[0], 1_000_000)) == 1_000_000:
        continue
    structlog.get_logger("reconciler").warning("portal.back")
    assert '"event": "portal.back"' in os.read(pipe[0], 10_000).decode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251"])
def test_logs_in_json_are_utf_8_in_every_locale(
    encoding: str, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector reads them, and knows no locale."""
    installed(monkeypatch, "stderr", pipe[1], encoding=encoding)
    logs.configure("info", "json", Redactor())
    structlog.get_logger("reconciler").warning("portal.slow", text="Ромашка é 😀")
    assert "Ромашка é 😀" in os.read(pipe[0], 10_000).decode("utf-8")


def test_a_closed_stream_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who closes standard output wants no answer, which is no loss."""
    monkeypatch.setattr(sys, "stdout", None)
    streams.install()
    print(LONG, flush=True)  # noqa: T201 - as a command does
    assert streams.lost() is None
    sys.stdout.close()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["plan", "--jsn", "--json"]])
def test_an_answer_that_is_not_whole_never_ends_with_0(arguments: list[str]) -> None:
    """On a full disk: a sentence on standard error, and an exit code; no traceback."""
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a device
        ended = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == (2 if "plan" in arguments else 1)
    assert ended.stderr.startswith("reconciler: the answer could not be written whole to standard output (No space")
    assert ended.stderr.count("\n") == 1


def test_what_is_typed_in_another_encoding_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no yes either."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8"))
    streams.install()
    assert sys.stdin.readline() == "�\n"
