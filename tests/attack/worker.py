"""The worker as a process of its own, forked from one that has loaded the program: a start would take half a second."""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

#: Seconds that the worker waits for an answer, and that it takes a request to be over after; they stand for 75 and 65.
READ_SECONDS, SETTLED_SECONDS = 2.0, 3.5
#: Loaded once, and then forked.
_LOADED = [
    "attack.worker",
    "reconciler.cli.app",
    "reconciler.cli.run",
    "reconciler.engine.reconcile",
    "reconciler.portal.write.writer",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_LOADED)

SETTINGS = {
    "PORTAL__NAME": "attacked",
    "PORTAL__LIMITS": "self-hosted",
    "PORTAL__READ_TIMEOUT": str(READ_SECONDS),
    "PORTAL__CONNECT_TIMEOUT": str(READ_SECONDS),
    "RETRY__MAX_SECONDS": "1",
    "POLICY__PERSON_EDIT": "respect",
    "POLICY__QUARANTINE_TIMES": "100",
    "LOG__FORMAT": "json",
}


def start(arguments: Sequence[str], webhook_url: str, folder: Path) -> BaseProcess:
    """Start the worker in a folder, where its journal and its log are."""
    process = _context.Process(target=_work, args=(list(arguments), webhook_url, str(folder)), daemon=True)
    process.start()
    return process


def _work(arguments: list[str], webhook_url: str, folder: str) -> None:
    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    settings = SETTINGS | {"PORTAL__WEBHOOK_URL": webhook_url}
    for name in [name for name in os.environ if name.startswith("RECONCILER_")]:
        del os.environ[name]
    os.environ.update({f"RECONCILER_{name}": value for name, value in settings.items()})
    from reconciler.cli.app import main  # noqa: PLC0415
    from reconciler.engine import recovery  # noqa: PLC0415 - in the worker's process only
    from reconciler.portal.write import writer  # noqa: PLC0415

    for module in (recovery, writer):
        module.SETTLED_SECONDS = SETTLED_SECONDS
    sys.argv = ["reconciler", *arguments]
    main()
