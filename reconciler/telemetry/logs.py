"""Logging: one pipeline for our own events and for every library's, with secrets masked at its end.

Masking comes after a traceback has become text and before anything is rendered, so that neither a value nor a
traceback nor a library's message can carry the token out. Tracebacks are plain: pretty ones show local variables,
and the token is one of them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.stdlib import LoggerFactory, ProcessorFormatter, add_logger_name

from reconciler.core.sanitize import display
from reconciler.telemetry.streams import for_programs
from reconciler.telemetry.systemd import is_journal, marked, priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from structlog.typing import EventDict, Processor, WrappedLogger

#: Libraries that tell at INFO what is our story to tell; httpx and httpcore would tell the webhook's address.
_QUIET = ("httpx", "httpcore", "apscheduler", "sqlalchemy", "alembic", "cheroot", "werkzeug", "asyncio")
_TEXT_BLOCKS = ("exception", "stack")


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the stream, and never falls back to printing a record that was not masked."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._journal = is_journal(stream)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return marked(text, priority(record.levelno)) if self._journal else text

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        # The standard library would print the message with its arguments, straight from the record.
        kind = sys.exc_info()[0]
        if kind is None or issubclass(kind, OSError):
            return  # the stream takes nothing: neither would it take a complaint
        with suppress(OSError, ValueError):
            sys.stderr.write(f"a log record of {record.name} could not be written ({kind.__name__})\n")


def configure(
    level: str,
    format: Literal["auto", "console", "json"],  # noqa: A002 - the setting's name
    redact: Callable[[Any], Any],
    stream: TextIO | None = None,
) -> None:
    """Send everything that is logged to `stream` (default: standard error), masked by `redact`.

    "auto" is "console" on a terminal and "json" elsewhere. May be called again: the last call holds.
    """
    out = sys.stderr if stream is None else stream
    threshold = logging.getLevelNamesMapping()[level.upper()]
    terminal = out.isatty()
    console = format == "console" or (format == "auto" and terminal)
    if not console:
        for_programs(out)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = _Handler(out)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[add_logger_name, _named, *before],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _masked(redact),
                _console(colors=terminal and "NO_COLOR" not in os.environ) if console else _json(),
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    structlog.configure(
        processors=[*before, ProcessorFormatter.wrap_for_formatter],
        logger_factory=LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,
    )


@contextmanager
def context(**values: Any) -> Iterator[None]:
    """Add the values (a run's number) to every event logged inside, and forget them at the end.

    Starts from nothing: a thread of a pool may still carry what an earlier job left there.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()


def install_hooks() -> None:
    """Let crashes and warnings take the same way: the interpreter would print them unmasked."""
    log = structlog.get_logger("reconciler")

    def crashed(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("process.crashed", exc_info=(kind, error, traceback))

    def thread_crashed(args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread else None
            log.critical("thread.crashed", thread=name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        log.error("process.unraisable", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook = crashed
    threading.excepthook = thread_crashed
    sys.unraisablehook = unraisable
    logging.captureWarnings(capture=True)


def _named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give a library's record a name; its sentence, which is another one each time, becomes the text."""
    event["text"] = event["event"]
    event["event"] = "python.warning" if event.get("logger") == "py.warnings" else "library.logged"
    return event


def _masked(redact: Callable[[Any], Any]) -> Processor:
    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        masked: EventDict = redact(event)
        return {key: _harmless(value, block=key in _TEXT_BLOCKS) for key, value in masked.items()}

    return processor


def _harmless(value: Any, *, block: bool = False) -> Any:
    """Take escape and bidirectional characters out of every text; a traceback keeps its lines."""
    match value:
        case str() if block:
            return "\n".join(display(line) for line in value.split("\n"))
        case str():
            return display(value)
        case dict():
            return {_harmless(key): _harmless(item) for key, item in value.items()}
        case list() | tuple():
            return [_harmless(item) for item in value]
    return value


def _json() -> Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=lambda value: display(repr(value)))


def _console(*, colors: bool) -> Processor:
    return ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)
