"""Who is told of each request, as it happens: for metrics. Told from whichever thread sends, so it must be quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.errors import PortalError


class Listener(Protocol):
    """Hears plain values only: no arguments of a call, and no record's number."""

    def held_back(self, seconds: float) -> None:
        """Hear that a request waited so many seconds for its turn (F5.1)."""
        ...

    def budget_waited(self, method: str, seconds: float) -> None:
        """Hear that nothing is sent for so long, because a method's seconds are used up (F5.2)."""
        ...

    def ended(self, methods: Sequence[str], outcomes: Sequence[PortalError | None]) -> None:
        """Hear that a request was answered, and what became of each of its commands; None is success."""
        ...

    def failed(self, methods: Sequence[str], failure: PortalError) -> None:
        """Hear that a request with commands of these methods failed as a whole."""
        ...


class NullListener:
    """Nobody listens."""

    def held_back(self, seconds: float) -> None: ...

    def budget_waited(self, method: str, seconds: float) -> None: ...

    def ended(self, methods: Sequence[str], outcomes: Sequence[PortalError | None]) -> None: ...

    def failed(self, methods: Sequence[str], failure: PortalError) -> None: ...
