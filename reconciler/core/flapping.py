"""Contacts that are changed away again and again: two automations that fight, or a person whom nobody asked.

A contact whose owner was changed back `times` times within `within` is put into quarantine: it is not written any
more until somebody releases it, the time is over, or its company gets another owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlapLimit:
    """How often we write a contact that somebody changes back."""

    times: int = 3
    within: timedelta = timedelta(days=1)


def flaps(moments: Sequence[datetime], now: datetime, patience: FlapLimit) -> bool:
    """Tell whether a contact that was changed back at these moments has had enough of it lately."""
    return sum(now - at <= patience.within for at in moments) >= patience.times
