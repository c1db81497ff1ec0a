"""Signals: the work runs in a thread, the main thread waits for what the outside says.

The first SIGTERM or SIGINT stops the clock: the request under way ends, then the run. The second ends the process at
once; intents that are open then are settled by the next start.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.clock import Clock

T = TypeVar("T")

_ENDING = {signal.SIGTERM, signal.SIGINT}
#: Sent by the work's thread to the main one when it has ended.
_DONE = signal.SIGUSR1


def in_foreground(work: Callable[[], T], clock: Clock) -> T:
    """Do the work in a thread of its own while this one waits for signals; return or raise what the work does.

    Only for the main thread: the signals are blocked before the thread starts, so that none reaches it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING | {_DONE})
    main = threading.get_ident()
    results: list[T] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def body() -> None:
        try:
            results.append(work())
        except BaseException as failure:  # noqa: BLE001 - raised again in the main thread
            failures.append(failure)
        finally:
            ended.set()
            signal.pthread_kill(main, _DONE)

    try:
        thread = threading.Thread(target=body, name="work")
        thread.start()
        signals = 0
        while (caught := signal.sigwait(_ENDING | {_DONE})) != _DONE or not ended.is_set():
            if caught == _DONE:
                continue  # somebody else's
            signals += 1
            if signals > 1:
                os._exit(128 + caught)
            clock.stop()
            _tell_stopping()
        thread.join()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if failures:
        raise failures[0]
    return results[0]


def _tell_stopping() -> None:
    """Tell a person that the signal was heard; where nobody looks on, standard error belongs to the logs."""
    with suppress(OSError):  # the terminal may be gone, and that was the reason
        if sys.stderr.isatty():
            # Below the ^C that the terminal shows, and below a question.
            print("\nstopping after the request under way; once more to end at once", file=sys.stderr)  # noqa: T201
