"""What all commands share: settings, logs, a worker to hand, words for people and exit codes.

`Shell.guard` is the one place where an error becomes a sentence (DESIGN 10).
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from reconciler.clock import Clock, SystemClock
from reconciler.config import Settings, load_settings
from reconciler.errors import ReconcilerError, Stopped, UsageError
from reconciler.ops import logs
from reconciler.ops.display import display
from reconciler.ops.report import json_text, render
from reconciler.portal.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from reconciler.cli import Common, Format
    from reconciler.ops.progress import Meter
    from reconciler.ops.report import Report
    from reconciler.reconcile import Worker


class Shell:
    """One start of the program."""

    def __init__(self, common: Common) -> None:
        #: Whether the answer is one JSON object on standard output.
        self.json = common.json
        self.clock: Clock = SystemClock()
        self._common = common
        # Until the settings are read, the environment is where the token may stand.
        self._redact = Redactor([os.environ.get("RECONCILER_PORTAL__WEBHOOK_URL", "")])

    def guard(self, work: Callable[[Shell], int]) -> int:
        """Do the work; turn whatever it raises into a sentence and an exit code."""
        try:
            return work(self)
        except Stopped:
            return self._fail("stopped before the end", 1)
        except BrokenPipeError:
            # Whoever read our output has gone; the interpreter must not try to flush what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except ReconcilerError as error:
            self._trace()
            return self._fail(str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001 - the last line of defence
            self._trace()
            what = f"something unforeseen happened ({type(error).__name__}: {error})"
            return self._fail(f"{what}; run it again with -v and report it", 1)

    def settings(self, *, level: str | None = "warning") -> Settings:
        """Read the settings and set the logs up; `level` None: the one that is set, not that of a short command."""
        settings = load_settings(self._common.config)
        self._redact = Redactor(settings.portal.secrets())
        self.log(level or settings.log.level, settings.log.format)
        return settings

    def log(self, level: str, form: Literal["auto", "console", "json"] = "auto") -> None:
        """Set the logs up; the flags win."""
        chosen = self._common.log_format
        form = form if chosen is None else "json" if chosen.value == "json" else "console"
        logs.configure("debug" if self._common.verbose else level, form, self._redact)
        logs.install_hooks()

    @contextmanager
    def worker(self, settings: Settings) -> Iterator[Worker]:
        """Give the worker that the settings describe."""
        from reconciler.journal.store import open_journal
        from reconciler.reconcile import Worker, chunk_limits, connect

        with ExitStack() as stack:
            # The client first: a wrong address is told before a database is made.
            client = stack.enter_context(connect(settings, self.clock))
            journal = stack.enter_context(open_journal(settings.journal.url, self.clock))
            yield Worker(
                portal=settings.portal.key,
                client=client,
                journal=journal,
                clock=self.clock,
                chunks=chunk_limits(settings),
            )

    def progress(self) -> Meter:
        """Give bars on a terminal, and nothing elsewhere."""
        from reconciler.ops.progress import meter

        return meter(wanted=not self.json)

    def answer(self, document: Mapping[str, Any], text: Callable[[], str]) -> None:
        """Give the answer of a command: the document with --json, else the text."""
        self.say(json_text(document) if self.json else text())

    def show(self, report: Report, shape: Format, output: Path | None) -> None:
        """Give a document as the answer, or write it to a file."""
        if output is None:
            self.say(render(report, shape.value, width=self.width, color=self.colors))
            return
        try:
            # Excel takes a file for UTF-8 only with the mark.
            encoding = "utf-8-sig" if shape.value == "csv" else "utf-8"
            output.write_text(render(report, shape.value), encoding=encoding, newline="")
        except OSError as error:
            sentence = f"{output} cannot be written ({error.strerror}); name another file with --output"
            raise UsageError(sentence) from error

    def say(self, text: str) -> None:
        """Print to standard output."""
        print(text.removesuffix("\n"), flush=True)  # noqa: T201 - the one place that answers

    def tell(self, text: str, *, end: str = "\n") -> None:
        """Print to standard error."""
        print(self._redact(text), file=sys.stderr, end=end, flush=True)  # noqa: T201 - the one place that tells

    @property
    def width(self) -> int:
        """Columns of the terminal, or what is easy to read elsewhere."""
        return shutil.get_terminal_size((100, 24)).columns

    @property
    def colors(self) -> bool:
        """Whether standard output takes colours."""
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def _fail(self, sentence: str, code: int) -> int:
        sentence = self._redact(sentence)
        if self.json:
            self.say(json_text({"schema": 1, "status": "failed", "error": sentence, "exit_code": code}))
        else:
            self.tell(f"reconciler: {display(sentence)}")
        return code

    def _trace(self) -> None:
        if self._common.verbose:
            self.tell(traceback.format_exc())
