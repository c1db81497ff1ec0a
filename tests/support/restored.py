"""What is global to a process and must be after a test what it was before it."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from reconciler.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Whose levels the program sets.
_LOGGERS = (
    *("httpx", "httpcore", "apscheduler", "sqlalchemy", "alembic", "cheroot", "werkzeug", "asyncio"),
    *("reconciler.run", "reconciler.gate"),
)


@contextmanager
def logging_restored() -> Iterator[None]:
    """Leave logging, structlog and the hooks as they were."""
    loggers = [logging.getLogger(), *map(logging.getLogger, _LOGGERS)]
    levels = [logger.level for logger in loggers]
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning)
    yield
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        for handler in [*logger.handlers]:
            if type(handler).__module__ == logs.__name__:
                logger.removeHandler(handler)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
