"""One run at a time against one journal, across processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal_values import PORTAL, change

from reconciler.errors import JournalError, LeaseHeldError, Stopped
from reconciler.journal.lease import hold_lease
from reconciler.journal.store import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal


@pytest.fixture
def other_process(journal: Journal) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lease until its standard input is closed."""
    script = f"""
import sys
from pathlib import Path
from reconciler.clock import SystemClock
from reconciler.journal.lease import hold_lease
with hold_lease(Path({str(journal.path)!r}), SystemClock(), 0):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def end(process: subprocess.Popen[str]) -> None:
    """Let the process end on its own, and wait until it has."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=20)


def test_the_refusal_says_who_holds_the_lease(journal: Journal, other_process: subprocess.Popen[str]) -> None:
    """With the process to look for and since when; exit code 5."""
    with pytest.raises(LeaseHeldError) as refusal, journal.lease(0):
        pytest.fail("two runs at a time")
    sentence = str(refusal.value)
    assert sentence.startswith(f"Process {other_process.pid} on ")
    assert " UTC, is running against the journal " in sentence
    assert f"{journal.path}: wait until it ends, or stop it." in sentence
    assert refusal.value.exit_code == 5


def test_a_run_waits_for_the_lease(journal: Journal, clock: VirtualClock, other_process: subprocess.Popen[str]) -> None:
    """And has it soon after the other process has ended."""
    clock.call_later(20, lambda: end(other_process))
    with journal.lease(60):
        assert 20 <= clock.monotonic() < 21


def test_waiting_ends_after_the_time_given(
    journal: Journal, clock: VirtualClock, other_process: subprocess.Popen[str]
) -> None:
    """Not earlier, and not later."""
    with pytest.raises(LeaseHeldError, match=str(other_process.pid)), journal.lease(1.7):
        pytest.fail("two runs at a time")
    assert clock.monotonic() == pytest.approx(1.7)


def test_waiting_ends_when_the_program_is_asked_to_stop(
    journal: Journal, clock: VirtualClock, other_process: subprocess.Popen[str]
) -> None:
    """Nobody waits a minute for a service to end."""
    assert other_process.poll() is None
    clock.call_later(3, clock.stop)
    with pytest.raises(Stopped), journal.lease(60):
        pytest.fail("two runs at a time")
    assert clock.monotonic() == 3


def test_a_killed_holder_holds_nothing(journal: Journal, other_process: subprocess.Popen[str]) -> None:
    """Its name is still in the file, and means nothing."""
    other_process.kill()
    other_process.wait(timeout=20)
    with journal.lease(0):
        holder = json.loads(journal.path.with_name("journal.db.lease").read_text())
        assert holder["process"] == os.getpid()
        assert holder["since"] == "2026-01-01 00:00:00 UTC"


def test_the_lease_ends_with_its_block_also_on_an_error(journal: Journal) -> None:
    """It is held per run, not per process."""
    with pytest.raises(ZeroDivisionError), journal.lease(0):
        raise ZeroDivisionError
    with journal.lease(0):
        pass
    assert journal.path.with_name("journal.db.lease").read_bytes() == b""


def test_the_lease_holds_within_one_process_too(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Two journals on one file, by whatever name, share one lease."""
    link = journal.path.with_name("link.db")
    link.symlink_to(journal.path)
    with (
        open_journal(f"sqlite:///{link}", clock) as other,
        journal.lease(0),
        pytest.raises(LeaseHeldError, match=f"Process {os.getpid()} "),
        other.lease(0),
    ):
        pytest.fail(f"two runs at a time on {url}")


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_run_whose_lease_was_removed_writes_nothing_more(
    journal: Journal, url: str, clock: VirtualClock, *, replaced: bool
) -> None:
    """Whoever takes the file for a left-over lets another run begin, and the two would write side by side."""
    lease = journal.path.with_name("journal.db.lease")
    with journal.lease(0):
        run = journal.begin(portal=PORTAL, command="service")
        journal.intend(run, [change(1)])
        lease.unlink()
        if replaced:
            with open_journal(url, clock) as other, other.lease(0):
                assert [intent.change.contact for intent in other.open_intents(PORTAL)] == [1]
        with pytest.raises(JournalError, match=r"lease .* was removed or replaced during this run"):
            journal.intend(run, [change(2)])
    assert [record.change.contact for record in journal.changes(run)] == [1]
    with journal.lease(0):
        journal.intend(run, [change(2)])
    assert len(journal.changes(run)) == 2


def test_a_lease_that_was_removed_while_a_run_waited_for_it_is_none(
    journal: Journal, clock: VirtualClock, other_process: subprocess.Popen[str]
) -> None:
    """The run that comes next would lock a file of its own."""
    lease = journal.path.with_name("journal.db.lease")

    def remove_and_end() -> None:
        lease.unlink()
        end(other_process)

    clock.call_later(20, remove_and_end)
    with journal.lease(60), pytest.raises(LeaseHeldError), hold_lease(journal.path, clock, 0):
        pytest.fail("two runs at a time")


def test_a_holder_who_has_not_signed_yet_is_another_process(journal: Journal, clock: VirtualClock) -> None:
    """Between the lock and the name there is a moment."""
    with journal.lease(0):
        journal.path.with_name("journal.db.lease").write_text('{"process": 1}')
        with pytest.raises(LeaseHeldError, match=r"^Another process is running"), hold_lease(journal.path, clock, 0):
            pytest.fail("two runs at a time")


def test_a_lease_that_cannot_be_opened_is_explained(unprivileged: Path, clock: VirtualClock) -> None:
    """With the setting that moves it."""
    unprivileged.chmod(0o500)
    with (
        pytest.raises(JournalError, match=r"Permission denied.*journal\.url"),
        hold_lease(unprivileged / "journal.db", clock, 0),
    ):
        pytest.fail("no file, no lease")


def test_a_file_system_without_locks_is_explained(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may be one."""

    def no_locks(_file: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.raises(JournalError, match=r"cannot lock files \(No locks available\): set `journal\.url`"),
        hold_lease(tmp_path / "journal.db", clock, 0),
    ):
        pytest.fail("no lock, no lease")


def test_the_lease_is_readable_by_this_user_only(journal: Journal) -> None:
    """Like the journal."""
    old = os.umask(0)
    try:
        with journal.lease(0):
            mode = Path(f"{journal.path}.lease").stat().st_mode
    finally:
        os.umask(old)
    assert mode & 0o777 == 0o600
