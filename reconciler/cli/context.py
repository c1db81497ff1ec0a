"""What all commands share: settings, logs, a worker to hand, words for people and exit codes.

`Shell.guard` is the one place where an error becomes a sentence. Importing this module is cheap: a mistyped
option is told before a library is loaded.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import traceback
from contextlib import ExitStack, contextmanager
from syslog import LOG_ERR, LOG_WARNING
from typing import TYPE_CHECKING, Any, Literal

from reconciler.clock import Clock, SystemClock
from reconciler.core.redaction import Redactor
from reconciler.core.sanitize import display
from reconciler.errors import ReconcilerError, Stopped, UsageError
from reconciler.reporting.to_json import json_text
from reconciler.telemetry.streams import for_programs
from reconciler.telemetry.systemd import is_journal, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    from reconciler.cli.options import Common, Format
    from reconciler.engine.run import RunContext
    from reconciler.portal.rest.client import Client
    from reconciler.reporting.build import Report
    from reconciler.settings.model import Settings
    from reconciler.telemetry.progress import Meter


#: A narrower terminal breaks lines, which is better than tables without numbers.
_NARROWEST = 70
#: Seconds between two looks at the keyboard.
_KEYBOARD_BEAT = 0.1


class Shell:
    """One start of the program."""

    def __init__(self, common: Common) -> None:
        #: Whether the answer is one JSON object on standard output.
        self.json = common.json
        #: The settings file that was named on the command line.
        self.config_file = common.config
        self.clock: Clock = SystemClock()
        self._common = common
        #: Whether somebody waits for the answer: all commands but the service.
        self._brief = True
        # Until the settings are read, the environment is where the token may stand.
        self._redact = Redactor([os.environ.get("RECONCILER_PORTAL__WEBHOOK_URL", "")])

    def guard(self, work: Callable[[Shell], int]) -> int:
        """Do the work; turn whatever it raises into a sentence and an exit code."""
        try:
            return work(self)
        except Stopped:
            return self.fail("stopped before the end", 1)
        except BrokenPipeError:
            raise  # whoever read our output has gone: the command line ends without a word
        except ReconcilerError as error:
            self._trace()
            return self.fail(str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001 - the last line of defence
            self._trace()
            way_out = "report it with the lines above" if self._common.verbose else "run it again with -v and report it"
            return self.fail(f"something unforeseen happened ({type(error).__name__}: {error}); {way_out}", 1)

    def settings(self, *, brief: bool = True, logs: bool = True) -> Settings:
        """Read the settings and set the logs up; not `brief` is the service, which logs as the settings say.

        Without `logs` they are set up with -v only: they take a third of the time of a command that has none.
        """
        from reconciler.settings.model import load_settings

        settings = load_settings(self._common.config)
        self._redact = Redactor(settings.portal.secrets())
        self._brief = brief
        if logs or self._common.verbose:
            self.log("warning" if brief else settings.log.level, settings.log.format)
        return settings

    def log(self, level: str, form: Literal["auto", "console", "json"] = "auto") -> None:
        """Set the logs up; the flags win."""
        import logging

        from reconciler.telemetry import logs

        chosen = self._common.log_format
        form = form if chosen is None else "json" if chosen.value == "json" else "console"
        logs.configure("debug" if self._common.verbose else level, form, self._redact)
        logs.install_hooks()
        # How a run ended is what a brief command answers: the same once more, as a log record, is noise.
        quiet = self._brief and not self._common.verbose
        for name in ("reconciler.run", "reconciler.gate"):
            logging.getLogger(name).setLevel(logging.CRITICAL if quiet else logging.NOTSET)

    def connect(self, settings: Settings) -> Client:
        """Make the client that the settings describe. Raises UsageError."""
        from reconciler.engine.wiring import connect

        # Whoever waits for an answer hears at once that there is no portal; the service has all night.
        return connect(settings, self.clock, patient=not self._brief)

    @contextmanager
    def worker(self, settings: Settings) -> Iterator[RunContext]:
        """Give the worker that the settings describe."""
        from reconciler.engine.planning import rules_of
        from reconciler.engine.recognition import Recognition
        from reconciler.engine.run import RunContext
        from reconciler.engine.wiring import chunk_limits, tactics
        from reconciler.journal.store import open_journal

        with ExitStack() as stack:
            # The client first: a wrong address is told before a database is made.
            client = stack.enter_context(self.connect(settings))
            journal = stack.enter_context(open_journal(settings.journal.url, self.clock))
            webhook = settings.portal.webhook()
            yield RunContext(
                portal=settings.portal.key,
                recognise=Recognition(
                    client, journal.portals, name=settings.portal.key, webhook=webhook, clock=self.clock
                ),
                client=client,
                journal=journal,
                clock=self.clock,
                rules=rules_of(settings),
                chunks=chunk_limits(settings),
                tactics=tactics(settings),
            )

    def progress(self) -> Meter:
        """Give bars on a terminal, and nothing elsewhere."""
        from reconciler.telemetry.progress import meter

        return meter(wanted=not self.json)

    def answer(self, document: Mapping[str, Any], text: Callable[[], str]) -> None:
        """Give the answer of a command: the document with --json, else the text."""
        if self.json:
            self.say_json(self._redact(document))
        else:
            self.say(self.redact(text()))

    def show(self, report: Report, shape: Format, output: Path | None, *, standing: bool = False) -> None:
        """Give a document as the answer, or write it to a file; the long ones piece by piece.

        `standing`: only the work list of what is left alone, as CSV.
        """
        from reconciler.reporting.build import render, write
        from reconciler.reporting.to_csv import standing_csv

        def put(file: TextIO) -> None:
            if standing:
                file.write(standing_csv(report))
            else:
                write(report, shape.value, file)

        if output is None and shape.value != "text":
            for_programs(sys.stdout)
        if output is None and shape.value in {"json", "csv"}:
            put(sys.stdout)
            sys.stdout.flush()
            return
        if output is None:
            self.say(render(report, shape.value, width=self.width, color=has_colors(sys.stdout)))
            return
        # Excel takes a file for UTF-8 only with the mark.
        encoding = "utf-8-sig" if shape.value == "csv" else "utf-8"
        try:
            with output.open("w", encoding=encoding, newline="") as file:
                put(file)
        except OSError as error:
            raise _not_writable(output, error.strerror) from error

    def say(self, text: str) -> None:
        """Print to standard output."""
        print(text.removesuffix("\n"), flush=True)  # noqa: T201 - the one place that answers

    def say_json(self, document: Mapping[str, Any], *, indent: int | None = 2) -> None:
        """Print a JSON object to standard output."""
        for_programs(sys.stdout)
        self.say(json_text(document, indent=indent))

    def tell(self, text: str, *, end: str = "\n", stream: TextIO | None = None) -> None:
        """Print to standard error, or to another stream for people."""
        print(self._redact(text), file=stream or sys.stderr, end=end, flush=True)

    def asking(self, why: str) -> TextIO:
        """Return where a question can be read and answered. Raises UsageError where nobody can be asked.

        `2>log` takes standard error away from somebody who is there all the same; with --json the answer alone goes to
        standard output.
        """
        streams = (sys.stderr,) if self.json else (sys.stderr, sys.stdout)
        stream = next((stream for stream in streams if stream.isatty()), None)
        if stream is None or not sys.stdin.isatty():
            raise UsageError(f"{why}, and there is no terminal to ask on; add --yes to write without a question")
        return stream

    def ask(self, question: str, stream: TextIO) -> bool:
        """Ask, in a way that a signal ends; anything but a yes is a no."""
        # What was typed while nobody had asked is no answer.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        self.tell(f"{question} [y/N] ", end="", stream=stream)
        while not select.select([sys.stdin], [], [], 0)[0]:
            self.clock.sleep(_KEYBOARD_BEAT)
        return sys.stdin.readline().strip().casefold() in {"y", "yes"}

    def redact(self, text: str) -> str:
        """Mask every secret in a text."""
        return self._redact.text(text)

    def fail(self, sentence: str, code: int) -> int:
        """Say what went wrong; return the exit code."""
        sentence = self._redact(sentence)
        if self.json:
            self.say_json({"schema": 1, "status": "failed", "error": sentence, "exit_code": code})
        elif self._logs_json:
            self._log_end(sentence, code)
        else:
            text = f"reconciler: {display(sentence)}"
            self.tell(marked(text, LOG_ERR if code else LOG_WARNING) if is_journal(sys.stderr) else text)
        return code

    @property
    def columns(self) -> int | None:
        """Columns of the terminal that shows the answer; None: it goes to a program or a file."""
        return self.width if sys.stdout.isatty() else None

    @property
    def width(self) -> int:
        """Columns of the terminal, or what is easy to read elsewhere; never so few that numbers would be cut."""
        return max(_NARROWEST, shutil.get_terminal_size((100, 24)).columns)

    @property
    def _logs_json(self) -> bool:
        """Whether a program reads standard error: then no sentence may stand between its lines."""
        return self._common.log_format is not None and self._common.log_format.value == "json"

    def _log_end(self, sentence: str, code: int) -> None:
        import structlog

        self.log("warning")
        log = structlog.get_logger("reconciler.command")
        write = log.error if code else log.warning
        write("command.ended", error=sentence, exit_code=code)

    def _trace(self) -> None:
        if self._common.verbose and self._logs_json:
            import structlog

            self.log("debug")
            log = structlog.get_logger("reconciler.command")
            log.debug("command.traceback", exc_info=sys.exc_info())
        elif self._common.verbose:
            self.tell("\n".join(display(line) for line in traceback.format_exc().splitlines()))


def has_colors(stream: TextIO) -> bool:
    """Tell whether colours are welcome there."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def require_writable(output: Path | None, journal_url: str) -> None:
    """Find out that a file cannot be written before the work is done whose result it is to hold. Raises UsageError."""
    if output is None:
        return
    from reconciler.settings.journal_url import is_part_of, locate

    try:
        if is_part_of(output, locate(journal_url)):
            raise _not_writable(output, "it is a part of the journal")
        if output.is_dir():
            raise _not_writable(output, "it is a directory")
        if not output.parent.is_dir():
            raise _not_writable(output, "there is no such directory")
        writable = os.access(output if output.exists() else output.parent, os.W_OK)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise _not_writable(output, error.strerror) from error
    if not writable:
        raise _not_writable(output, "no permission")


def _not_writable(output: Path, reason: str | None) -> UsageError:
    return UsageError(f"{output} cannot be written ({reason}); name another file with --output")
