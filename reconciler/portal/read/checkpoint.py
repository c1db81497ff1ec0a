"""How long a sweep may take, and where it leaves what it has found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import PausedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.clock import Clock
    from reconciler.core.companies import Halfway

#: Seconds of reading after which what was found is kept.
KEEP_SECONDS = 60.0


class Slot:
    """The time of one run. A sweep that needs more is paused, and the next run goes on with it."""

    def __init__(self, clock: Clock, keep: Callable[[Halfway], None], until: float | None = None) -> None:
        """`keep` stores what was found; `until` is in monotonic seconds, None: as long as it takes."""
        self._clock = clock
        self._keep = keep
        self._until = until
        self._kept_at = clock.monotonic()

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._until is not None and self._clock.monotonic() >= self._until

    @property
    def due(self) -> bool:
        """Whether what was found should be kept now."""
        return self.over or self._clock.monotonic() - self._kept_at >= KEEP_SECONDS

    def keep(self, halfway: Halfway, share: float) -> None:
        """Keep what was found, `share` of the whole. Raises PausedError where the time is up."""
        self._keep(halfway)
        self._kept_at = self._clock.monotonic()
        if self.over:
            raise PausedError(
                f"the portal is so large that one run cannot read it all: {share:.0%} is read and kept, and the next "
                "run goes on from there"
            )
