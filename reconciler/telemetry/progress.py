"""How far a run is: bars on a terminal, nothing elsewhere.

While bars are shown, log records for the same stream are printed above them: a line written straight to the terminal
would tear the bars apart.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: The speed is that of the last minutes: a batch of writes may take a quarter of one.
_SPEED_SECONDS = 120.0


class Meter(Protocol):
    """Where a run tells how far it is. A context manager: outside of it nothing is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def read(self, noun: str, done: int, total: int, /) -> None:
        """Tell how many IDs of the noun ("contacts") are covered; `total` may grow."""

    def write(self, done: int, total: int, /) -> None:
        """Tell how many contacts are settled."""

    def aside(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else for a while: a table, a question."""
        ...


class _Quiet:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def read(self, _noun: str, _done: int, _total: int, /) -> None:
        return

    def write(self, _done: int, _total: int, /) -> None:
        return

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


QUIET: Meter = _Quiet()


def meter(*, wanted: bool, stream: TextIO | None = None) -> Meter:
    """Return bars where they are wanted and the stream (default: standard error) is a terminal, else `QUIET`."""
    out = sys.stderr if stream is None else stream
    return Progress(out) if wanted and out.isatty() else QUIET


class Progress:
    """Bars with rate and time left, gone when the work is done. May be told from several threads."""

    def __init__(
        self, stream: TextIO, *, monotonic: Callable[[], float] = time.monotonic, width: int | None = None
    ) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich costs time, and only a terminal needs it

        self._stream = stream
        self._monotonic = monotonic
        self._console = Console(file=stream, force_terminal=True, width=width, markup=False, highlight=False)
        self._bars = self._new_bars()
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._moved: list[logging.StreamHandler[TextIO]] = []

    def _new_bars(self) -> Bars:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above
        from rich.progress import Progress as Bars  # noqa: PLC0415 - as above

        return Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TextColumn("{task.fields[shown]}", markup=False, justify="right"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            transient=True,
            expand=True,
            speed_estimate_period=_SPEED_SECONDS,
            get_time=self._monotonic,
            # Standard output belongs to the result, which may be on its way into a pipe.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        above = _Above(self._console)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream:
                handler.setStream(above)
                self._moved.append(handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._moved:
            self._moved.pop().setStream(self._stream)
        self._bars.stop()

    def read(self, noun: str, done: int, total: int) -> None:
        self._tell(f"Reading {noun}", "IDs", done, total)

    def write(self, done: int, total: int) -> None:
        self._tell("Correcting contacts", "contacts", done, total)

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._bars.stop()
        yield
        with self._lock:
            # New ones: the old still remember their height, and would erase as many lines of what was shown meanwhile.
            self._bars = self._new_bars()
            self._tasks.clear()
            self._bars.start()

    def _tell(self, what: str, unit: str, done: int, total: int) -> None:
        # A total of 0 would make an endless bar of it.
        whole = max(total, done, 1)
        with self._lock:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=whole, shown="")
            number = self._tasks[what]
            self._bars.update(number, completed=done if total else whole, total=whole)
            speed = next(task.finished_speed or task.speed for task in self._bars.tasks if task.id == number)
            rate = f", {speed:,.0f}/s" if speed and speed >= 1 else f", {speed * 60:,.0f}/min" if speed else ""
            self._bars.update(number, shown=f"{done:,} of {total:,} {unit}{rate}")


class _Above:
    """A stream that prints above the bars."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        from rich.text import Text  # noqa: PLC0415 - as above

        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        self._console.file.flush()
