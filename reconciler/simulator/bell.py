"""The notifications of the portal's users, where a newer one replaces those with the same tag (F10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One bell."""

    id: int
    user_id: int
    #: The sender of a personal one, None for the system.
    by: int | None
    message: str
    tag: str
    sub_tag: str


@dataclass(slots=True)
class Bell:
    """The notifications that people see now."""

    shown: list[Notification] = field(default_factory=list)
    _last: int = 0

    def ring(self, **what: Any) -> int:
        """Show a notification in place of those with the same tag to the same person, and return its id."""
        self._last += 1
        new = Notification(id=self._last, **what)
        self.shown = [old for old in self.shown if not new.tag or (old.tag, old.user_id) != (new.tag, new.user_id)] + [
            new
        ]
        return self._last
