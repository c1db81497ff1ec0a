"""What the journal gives back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.core.model import Change, Result, RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """A change whose request left, or was about to leave, and whose outcome nobody wrote down."""

    #: The run that intended it; its outcome is settled under this number, whichever run finds it out.
    run: int
    change: Change
    #: When its latest request was about to leave.
    attempted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as the journal knows it.

    The outcomes in its report are counted from its changes at the time of reading, so they are right also after a
    later run has settled what this one left open.
    """

    #: While the run is under way its counts are 0, except the outcomes, and its status is `incomplete`.
    report: RunReport
    portal: str
    command: str
    started_at: datetime
    #: None: under way, or ended without a word; the next run of this portal tells.
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change as the journal knows it."""

    change: Change
    #: None: open.
    result: Result | None
    detail: str
    #: When the first request for it was about to leave. None: none ever was (a conflict found by the check, say).
    intended_at: datetime | None
    #: When the latest one was.
    attempted_at: datetime | None
    attempts: int
    settled_at: datetime | None
