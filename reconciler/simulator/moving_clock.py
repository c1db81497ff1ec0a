"""A real clock that can be moved from outside, so that a client of the served portal need not wait ten minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.clock import SystemClock

if TYPE_CHECKING:
    from datetime import datetime


class MovingClock(SystemClock):
    """Real time, plus what it was moved by: meters drain and blocks end as if one had waited.

    Who sleeps meanwhile sleeps on as long as it meant to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._advanced = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._advanced)

    def monotonic(self) -> float:
        return super().monotonic() + self._advanced

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        if seconds < 0:
            raise ValueError("time cannot go backwards; an offset makes the portal's time of day slow")
        self._advanced += seconds

    def resume(self) -> None:
        """Let sleeps wait again after a stop."""
        self._stopped.clear()
