"""Signals: the first lets the request under way end, the second ends the program at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.signals import in_foreground
from reconciler.clock import SystemClock
from reconciler.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30

#: Says that it works and that it heard; what is under way then ends with a line on standard input.
PROGRAM = """
import sys
from reconciler.clock import SystemClock
from reconciler.errors import Stopped
from reconciler.cli.signals import in_foreground

clock = SystemClock()

def work():
    print("working", flush=True)
    try:
        clock.sleep(60)
    except Stopped:
        print("heard", flush=True)
    sys.stdin.readline()
    print("ended", flush=True)
    return 3

sys.exit(in_foreground(work, clock))
"""


class Program:
    """The program, started; its standard error may be a terminal."""

    def __init__(self, stderr: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        assert self.says() == "working"

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        """Let what is under way end; return the exit code, and what was said after that."""
        out, _ = self.process.communicate("\n", timeout=PATIENCE)
        return self.process.returncode, out.strip()


@pytest.fixture
def program() -> Iterator[Program]:
    """Start the program."""
    started = Program()
    with started.process as process:
        yield started
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_first_signal_lets_the_request_end(program: Program, number: signal.Signals) -> None:
    """The clock is stopped, what is under way ends, and the work's result is the program's."""
    program.process.send_signal(number)
    assert program.says() == "heard"
    assert program.end() == (3, "ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_second_signal_ends_at_once(program: Program, number: signal.Signals) -> None:
    """Whatever is under way: 128 plus the number of the signal."""
    program.process.send_signal(signal.SIGTERM)
    assert program.says() == "heard"
    program.process.send_signal(number)
    assert program.process.wait(PATIENCE) == 128 + number


def test_a_foreign_signal_of_the_kind_we_use_ourselves(program: Program) -> None:
    """SIGUSR1 from outside neither ends the work nor makes the program deaf to the others."""
    program.process.send_signal(signal.SIGUSR1)
    program.process.send_signal(signal.SIGTERM)
    assert program.says() == "heard"
    assert program.end() == (3, "ended")


@pytest.mark.parametrize("hung_up", [False, True], ids=["terminal", "hung-up"])
def test_a_terminal_is_told(*, hung_up: bool) -> None:
    """On a terminal a person reads that the signal was heard; one that is gone harms nobody."""
    ours, theirs = os.openpty()
    program = Program(theirs)
    os.close(theirs)
    if hung_up:
        os.close(ours)
    program.process.send_signal(signal.SIGTERM)
    assert program.says() == "heard"
    if not hung_up:
        assert b"once more to end at once" in os.read(ours, 1000)
        os.close(ours)
    assert program.end() == (3, "ended")


def test_results_and_failures_pass_through() -> None:
    """What the work returns is returned, what it raises is raised, here and with its own traceback."""
    clock = SystemClock()
    assert in_foreground(lambda: threading.current_thread().name, clock) == "work"
    with pytest.raises(ZeroDivisionError) as caught:
        in_foreground(lambda: 1 // 0, clock)
    assert caught.traceback[-1].name == "<lambda>"
    with pytest.raises(SystemExit):
        in_foreground(lambda: sys.exit(4), clock)


def test_the_signal_mask_is_as_before() -> None:
    """What was blocked stays blocked, what was not is let through again, also after a failure."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        in_foreground(lambda: None, SystemClock())
        with pytest.raises(ValueError, match="oops"):
            in_foreground(lambda: int("oops"), SystemClock())
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
        assert signal.SIGHUP in mask
        assert signal.SIGTERM not in mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_signal_in_this_process() -> None:
    """The first signal stops the clock that was given."""
    clock = SystemClock()

    def work() -> str:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)  # not ours: there is work left
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        try:
            clock.sleep(PATIENCE)
        except Stopped:
            return "stopped"
        return "not stopped"

    assert in_foreground(work, clock) == "stopped"


def test_the_second_signal_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the system for an end without any further ado."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    heard = [threading.Event(), threading.Event()]

    class Listening(SystemClock):
        def stop(self) -> None:
            heard[len(codes)].set()

    def work() -> None:
        for event in heard:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert event.wait(PATIENCE)

    in_foreground(work, Listening())
    assert codes == [128 + signal.SIGINT]
