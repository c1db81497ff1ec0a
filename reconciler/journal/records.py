"""What the journal gives back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from reconciler.core.companies import Halfway, Roster
    from reconciler.core.model import Cause, Change, Mismatch, Result, RunReport, Standing, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """A change whose request left, or was about to leave, and whose outcome nobody wrote down."""

    #: The run that intended it; its outcome is settled under this number, whichever run finds it out.
    run: int
    change: Change
    #: When its latest request was about to leave.
    attempted_at: datetime
    #: Whether it takes back what was itself taking something back.
    puts_forward: bool = False


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
    #: The run that this one takes back, if that is what it does.
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change as the journal knows it."""

    id: int
    run: int
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
    #: The approval that let it through the guard.
    approval: int | None = None
    #: The change that it takes back.
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A finished run in short: a point of a chart."""

    #: When it began, by our clock.
    at: datetime
    status: Status
    #: 0 where the portal was not seen as a whole.
    drift: int
    standing: int
    #: Contacts that have the wanted owner since.
    corrected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The last complete look at a whole portal."""

    #: When it began, by the portal's clock.
    taken_at: datetime
    companies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a sweep can build on."""

    #: The last complete sweep; None: there was none.
    last: Sweep | None = None
    #: The companies; None: they were never read to the end.
    roster: Roster | None = None
    #: How far a sweep has come that did not get to its end.
    halfway: Halfway | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingDrift:
    """Drift that the last complete sweep left as it is."""

    mismatch: Mismatch
    #: A value of `core.model.Standing`, or `sweeps.WAITING`, or `sweeps.HELD`.
    reason: str
    cause: Cause
    #: The sweep that first saw it so, by the portal's clock.
    since: datetime


class ApprovalState(StrEnum):
    """What became of a set of changes that the guard refused."""

    #: The latest refusal.
    WAITING = "waiting"
    APPROVED = "approved"
    USED = "used"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    #: A later refusal was of another set. Somebody may have been shown this one: it can still be approved.
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRecord:
    """A set of changes that the guard refused, and whether somebody let it through."""

    id: int
    digest: str
    state: ApprovalState
    #: How many changes it has, and how many of them are not written yet.
    count: int
    left: int
    #: What the person was shown.
    numbers: Mapping[str, Any]
    sentence: str
    #: The run that was refused. None: no run was (a plan was shown), or it is not kept any more.
    run: int | None
    created_at: datetime
    approved_at: datetime | None
    #: Who, and in brackets how.
    approved_by: str | None
    expires_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is left to be written of a set of changes."""

    #: How many changes.
    count: int
    #: How many of them each person gains and loses, by number; 0 is nobody.
    gains: Mapping[int, int]
    loses: Mapping[int, int]
    #: How many of them have which cause; None: the journal does not know it (any more).
    causes: Mapping[Cause | None, int]
    #: The first of them, by company, then contact: (contact, company, owner before, owner after), and the cause.
    changes: tuple[tuple[tuple[int, int, int, int], Cause | None], ...]


class NoApproval(StrEnum):
    """Why a digest cannot be approved, or not be withdrawn."""

    UNKNOWN = "unknown"
    TOO_SHORT = "too_short"
    AMBIGUOUS = "ambiguous"
    EXPIRED = "expired"
    USED = "used"
    WITHDRAWN = "withdrawn"

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return _NO_APPROVAL_SENTENCES[self]


_NO_APPROVAL_SENTENCES = {
    NoApproval.UNKNOWN: "no changes with this digest were held back here; `reconciler approve` lists what waits",
    NoApproval.TOO_SHORT: "a digest needs at least its first 6 characters; `reconciler approve` shows 12",
    NoApproval.AMBIGUOUS: "several digests begin like this: give more of it",
    NoApproval.EXPIRED: "it has expired; if its changes are still wanted, the next refusal shows a new digest",
    NoApproval.USED: "its changes are done, or not wanted any more",
    NoApproval.WITHDRAWN: "it was withdrawn; if its changes are still wanted, the next refusal shows them again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewException:
    """A contact that shall be left alone, and what led to it."""

    contact: int
    #: 0: none in particular, so that no change of owner releases it.
    company: int = 0
    #: Owner of the company, whose change releases it. None: whoever the next complete sweep finds.
    company_owner: int | None = None
    #: The owner that is left in place.
    owner: int | None = None
    #: The change of ours that came before.
    change: int | None = None
    #: Who last edited anything of the contact, and when; 0 for nobody.
    last_editor: int | None = None
    last_edited_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of the exceptions in force are meant: those that match each of these; an empty one matches all."""

    contacts: Collection[int] = ()
    kinds: Collection[Standing] = ()
    #: The contact's company when the exception was made.
    companies: Collection[int] = ()
    #: Runs that made the exception, or wrote the change whose undo made it.
    runs: Collection[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionRecord:
    """A contact that is left alone, or was."""

    id: int
    kind: Standing
    entry: NewException
    since: datetime
    #: None: until somebody or something releases it.
    expires_at: datetime | None
    released_at: datetime | None
    #: A person, or `exceptions.BY_TIME`, or `exceptions.BY_COMPANY_OWNER`.
    released_by: str | None
    #: The run that made it. None: a person did, or a program that did not keep the number.
    run: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OurWrites:
    """The writes that an undo is asked about."""

    #: The latest of each contact that still counts: nothing of ours came after it. Sorted by company, then contact.
    latest: tuple[ChangeRecord, ...]
    #: Of the run that was asked about: written again by a later one, or taken back already.
    superseded: tuple[ChangeRecord, ...]
    taken_back: tuple[ChangeRecord, ...]
    #: Contacts whose latest write took one of ours back: to undo it puts that forward again.
    takings_back: frozenset[int]


class NothingToUndo(StrEnum):
    """Why there is nothing to take back."""

    NO_SUCH_RUN = "no_such_run"
    PRUNED = "pruned"
    UNDER_WAY = "under_way"
    NOTHING_WRITTEN = "nothing_written"

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return _NOTHING_TO_UNDO_SENTENCES[self]


_NOTHING_TO_UNDO_SENTENCES = {
    NothingToUndo.NO_SUCH_RUN: "there is no such run of this portal",
    NothingToUndo.PRUNED: "the run is so old that the journal does not keep it any more",
    NothingToUndo.UNDER_WAY: "the run is still under way",
    NothingToUndo.NOTHING_WRITTEN: "the journal knows no change of ours there",
}
