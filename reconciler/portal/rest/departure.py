"""When each thread's latest request left, and until when its next one may."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.errors import TooLateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.clock import Clock


class Departure(threading.local):
    """What each thread knows of its own requests."""

    #: When the latest one left (monotonic seconds).
    sent_at = 0.0
    _not_after = math.inf

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextmanager
    def no_later_than(self, moment: float | None) -> Iterator[None]:
        """Send what is sent meanwhile by this moment or not at all; None: whenever."""
        self._not_after = math.inf if moment is None else moment
        try:
            yield
        finally:
            self._not_after = math.inf

    def leave(self) -> None:
        """Take note that a request leaves now. Raises TooLateError."""
        self.sent_at = self._clock.monotonic()
        if self.sent_at > self._not_after:
            raise TooLateError("the request would have left too late")
