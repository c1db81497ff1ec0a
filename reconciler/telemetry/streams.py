"""Standard output and error that write all they are given, and that never stop the work.

The streams that Python opens give up in the middle where another process has set a shared pipe to non-blocking (node,
ssh and asyncio do), and raise into the run where a disk is full or a terminal is gone. These wait until the reader has
room. What standard output loses is remembered, so that the command does not end with 0. What standard error loses is
lost: a log is never worth a run.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

#: Seconds that a log waits for a reader who has stopped reading a non-blocking pipe.
_LOG_SECONDS = 5.0


class _Raw(io.FileIO):
    """A file descriptor that is left open, and waited for where it is non-blocking."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def _write(self, data: ReadableBuffer, seconds: float | None) -> int:
        """Write something of the data. Raises OSError; a TimeoutError after `seconds` without room (None: never)."""
        while (written := super().write(data)) is None:
            room = select.poll()
            room.register(self.fileno(), select.POLLOUT)
            if not room.poll(None if seconds is None else seconds * 1_000):
                raise TimeoutError
        return written


class _Answer(_Raw):
    """Standard output: after the first loss nothing more is written, because a gap makes the rest worthless."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        if self.error is None:
            try:
                return self._write(data, None)
            except BrokenPipeError:
                raise  # the reader wants no more: the program ends at once and without a word
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


class _Log(_Raw):
    """Standard error: what cannot be written is dropped; the next write is tried again."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._seconds = _LOG_SECONDS

    def write(self, data: ReadableBuffer) -> int:
        try:
            written = self._write(data, self._seconds)
        except OSError as error:
            if isinstance(error, TimeoutError):
                self._seconds = 0.0  # the next record does not wait as well
            return memoryview(data).nbytes
        self._seconds = _LOG_SECONDS
        return written


def install() -> None:
    """Put these streams in the place of Python's; closed ones (`<&-`, `>&-`) lead nowhere from then on.

    Python has None for a closed one, and the next file that is opened, the journal, would become standard output.
    """
    # A terminal without Cyrillic shows question marks, and no traceback.
    sys.stdout = _over(sys.stdout, _Answer, "replace") if sys.stdout else _nowhere("w")
    sys.stderr = _over(sys.stderr, _Log, "backslashreplace") if sys.stderr else _nowhere("w")
    sys.stdin = sys.stdin or _nowhere("r")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # an answer with letters of another encoding is no yes


def _nowhere(mode: str) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[return-value] # text, by the mode


def _over(stream: TextIO, raw: type[_Answer | _Log], errors: str) -> TextIO:
    """Return a stream of ours to the same file; a stream that is no file stays as it is."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # a caller of ours catches what we print
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
        return stream
    buffer = io.BufferedWriter(raw(descriptor))
    terminal = stream.isatty()
    return io.TextIOWrapper(
        buffer, stream.encoding, errors, line_buffering=terminal or raw is _Log, write_through=raw is _Log
    )


def for_programs(stream: TextIO) -> None:
    """Write UTF-8 from here on, whatever the locale: JSON, CSV and pages are read by programs."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8")


def lost() -> OSError | None:
    """Return why standard output did not take all that was written to it; None: it did."""
    with suppress(ValueError):  # closed
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Answer) else None
