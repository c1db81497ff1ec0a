"""The `on_event` command: what a person should know, as JSON on the standard input of a program of the user's own.

It gets no shell, none of our settings in its environment, and only so much time; then it and all that it started are
ended. Whatever it does, it stops no run.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.core.notifications import Notification

log = structlog.get_logger("reconciler.events")

#: Bytes of the first line of a script that the kernel reads.
_SHEBANG = 256
#: Our settings, the webhook's address among them.
_OURS = "RECONCILER_"
#: Bytes of its last words that are logged.
_TAIL = 2_000
#: Seconds between two looks at whether it has ended.
_LOOK = 0.02


def why_unusable(program: str) -> str:
    """Return why a program cannot be started, as the end of a sentence; empty: it can."""
    found = shutil.which(program)
    if found is None:
        there = Path(program).exists() if "/" in program else False
        return "is not executable" if there else "is not there"
    try:
        with Path(found).open("rb") as file:
            start = file.readline(_SHEBANG)
    except OSError:
        return ""  # it may be run and not read
    if start[:4] == b"\x7fELF":
        return ""
    if start[:2] != b"#!":
        return "is no program, and no script that begins with #!"
    interpreter = os.fsdecode(start[2:].strip().split(b" ")[0]) if start[2:].strip() else ""
    if start.rstrip(b"\n").endswith(b"\r"):
        return "has Windows line breaks, which its first line must not have"
    return "" if shutil.which(interpreter) else f"begins with #!{interpreter}, which is not there"


def event_of(matter: Notification) -> dict[str, Any]:
    """Return a matter as the JSON object that the command reads."""
    return {
        "schema": 1,
        "event": matter.kind.value,
        "portal": matter.portal,
        "at": matter.at.isoformat(),
        "title": matter.title,
        "sentence": matter.sentence,
        "numbers": dict(matter.numbers),
        "digest": matter.digest,
        "contacts": list(matter.contacts),
    }


def run_on_event(
    command: Sequence[str], event: Mapping[str, Any], *, seconds: float, redact: Callable[[str], str]
) -> str | None:
    """Run the command once and wait until it ends, at most `seconds`; return why it failed, None where it did not.

    `redact` masks our secrets: in what the command complains of, and by leaving out each variable that holds one.
    Failures are logged and never raised.
    """
    try:
        reason, complaint = _run(command, json.dumps(event).encode(), seconds, redact)
    except (OSError, ValueError) as error:  # not there, not executable; a null byte in an argument
        reason, complaint = f"cannot be started ({getattr(error, 'strerror', None) or error})", ""
    name = event.get("event")
    if complaint:
        log.debug("on_event.said", event_name=name, text=redact(complaint))
    if reason is None:
        log.info("on_event.done", event_name=name)
        return None
    sentence = f"{Path(command[0]).name or command[0]} {reason}; see notify.on_event"
    log.warning("on_event.failed", event_name=name, error=sentence)
    return sentence


def _run(command: Sequence[str], text: bytes, seconds: float, redact: Callable[[str], str]) -> tuple[str | None, str]:
    """Return why it failed, and the end of what it wrote to standard error."""
    deadline = time.monotonic() + seconds
    pipes = [*os.pipe(), *os.pipe()]
    its_input, our_output, our_input, its_output = pipes
    try:
        pid = _start(command, its_input, its_output, redact)
        for end in (its_input, its_output):
            os.close(end)
            pipes.remove(end)
        talk = _Talk(text, our_output, our_input, pipes)
        status = talk.until_end(pid, deadline)
        return _verdict(status, seconds), talk.complaint
    finally:
        for end in pipes:
            os.close(end)


def _start(command: Sequence[str], its_input: int, its_output: int, redact: Callable[[str], str]) -> int:
    """Start it in a session of its own, so that all it starts can be ended together.

    Not by `subprocess`: our threads have SIGTERM and SIGINT blocked, which it would inherit, and then `timeout` and
    the like would not work in a script; code of ours between fork and exec is not safe beside other threads.
    """
    return os.posix_spawnp(
        command[0],
        list(command),
        {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_OURS) and redact(value) == value
        },
        file_actions=[
            (os.POSIX_SPAWN_DUP2, its_input, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, its_output, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE,),
    )


class _Talk:
    """Feeds it the event and listens to its complaints, whether it listens and speaks or not."""

    def __init__(self, text: bytes, our_output: int, our_input: int, open_ends: list[int]) -> None:
        self._left = memoryview(text)
        self._open = open_ends
        self._selector = selectors.DefaultSelector()
        for end, events in ((our_output, selectors.EVENT_WRITE), (our_input, selectors.EVENT_READ)):
            os.set_blocking(end, False)
            self._selector.register(end, events)
        self._tail = b""
        self._heard = 0

    @property
    def complaint(self) -> str:
        """The end of what it wrote, from a whole word on: of half a secret nobody would know that it is one."""
        text = self._tail.decode("utf-8", "replace")
        return text if self._heard <= _TAIL else re.sub(r"^\S*\s*", "", text)

    def until_end(self, pid: int, deadline: float) -> int | None:
        """Return its wait status; None: it was ended because its time was over."""
        with self._selector:
            while True:
                ended, status = os.waitpid(pid, os.WNOHANG)
                over = time.monotonic() >= deadline
                if not ended and over:
                    with suppress(PermissionError):  # it became another user, whom we may not end nor wait for
                        os.killpg(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                self._exchange(0 if ended or over else _LOOK)
                if ended:
                    return status
                if over:
                    return None

    def _exchange(self, seconds: float) -> None:
        """Write and read what can be at this moment; wait for it, at most so long."""
        for key, _ in self._selector.select(seconds):
            if key.events & selectors.EVENT_READ:
                self._read(key.fd)
            else:
                self._write(key.fd)

    def _read(self, end: int) -> None:
        heard = os.read(end, 65_536)
        self._heard += len(heard)
        self._tail = (self._tail + heard)[-_TAIL:]
        if not heard:
            self._close(end)

    def _write(self, end: int) -> None:
        with suppress(BrokenPipeError):  # it does not want to know
            self._left = self._left[os.write(end, self._left) :]
            if self._left:
                return
        self._close(end)

    def _close(self, end: int) -> None:
        self._selector.unregister(end)
        self._open.remove(end)
        os.close(end)


def _verdict(status: int | None, seconds: float) -> str | None:
    if status is None:
        return f"took longer than {seconds:g} s and was ended"
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with code {code}" if code else None
