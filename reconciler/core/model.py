"""The values the program speaks in, frozen and free of any library.

Identifiers are the portal's own positive integers; times are aware and come from the portal's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Standing(StrEnum):
    """Why a drifted contact is left alone. The value is what JSON and the journal show."""

    OWNER_MISSING = "company_has_no_owner"
    OWNER_DISMISSED = "company_owner_dismissed"
    OWNER_NOT_EMPLOYEE = "company_owner_no_employee"
    SUCCESSOR_UNFIT = "successor_unfit"
    EXCLUDED = "excluded"
    QUARANTINED = "quarantined"
    RESPECTED = "respected"
    UNDONE = "undone"
    KEPT = "kept"
    SEVERAL_COMPANIES = "several_companies"
    OUT_OF_SCOPE = "out_of_scope"
    SETTLING = "settling"
    COMPANY_VANISHED = "company_vanished"
    UNREADABLE = "record_unreadable"
    OVER_LIMIT = "over_the_limit"

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return _STANDING_SENTENCES[self]


_STANDING_SENTENCES = {
    Standing.OWNER_MISSING: "the company has no owner",
    Standing.OWNER_DISMISSED: "the company's owner is dismissed",
    Standing.OWNER_NOT_EMPLOYEE: "the company's owner is no employee's account",
    Standing.SUCCESSOR_UNFIT: "nobody is there to succeed the company's owner",
    Standing.EXCLUDED: "left alone by the settings",
    Standing.QUARANTINED: "in quarantine: somebody keeps changing it back",
    Standing.RESPECTED: "a person chose this owner",
    Standing.UNDONE: "our change was taken back",
    Standing.KEPT: "kept as it is by a person",
    Standing.SEVERAL_COMPANIES: "its companies have different owners",
    Standing.OUT_OF_SCOPE: "its owner is no earlier owner of the company (policy.scope)",
    Standing.SETTLING: "changed a moment ago (policy.settle_minutes)",
    Standing.COMPANY_VANISHED: "a company of its owner has just vanished; waits for the next read of all companies",
    Standing.UNREADABLE: "the portal's answer about it cannot be read",
    Standing.OVER_LIMIT: "beyond --limit",
}


class Cause(StrEnum):
    """Why a contact drifted, as far as a poller can know."""

    CHANGED_BACK = "changed_back"
    COMPANY_OWNER_CHANGED = "company_owner_changed"
    CONTACT_CREATED = "contact_created"
    NEWLY_LINKED = "newly_linked"
    CONTACT_CHANGED = "contact_changed"
    UNKNOWN = "unknown"


class Rule(StrEnum):
    """What chose the owner that a change writes."""

    COMPANY_OWNER = "company_owner"
    SUCCESSOR = "successor"
    HEAD = "head_of_department"
    UNDO = "undo"


class Result(StrEnum):
    """What became of a change."""

    #: Written by us and read back.
    APPLIED = "applied"
    #: Somebody else had already set the owner we wanted.
    ALREADY = "already"
    #: Contact or company moved since the plan; left for the next sweep.
    CONFLICT = "conflict"
    #: The contact is deleted, or no longer visible to the webhook's user.
    GONE = "gone"
    #: The webhook's user may not change this contact.
    DENIED = "denied"
    #: The portal refused this one for another reason, or accepted it and changed nothing.
    FAILED = "failed"
    #: The answer was lost and the contact could not be read back.
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How a run ended."""

    IN_SYNC = "in_sync"
    APPLIED = "applied"
    PARTIAL = "partial"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may own records."""

    id: int
    name: str
    active: bool
    #: In a department: how an employee is told from an integrator or a bot under the limited scopes (F17).
    employee: bool
    departments: tuple[int, ...] = ()
    #: What of the portal's answer about the person cannot be read; empty: nothing.
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A contact whose owner is not its company's owner, as one sweep saw it."""

    contact: int
    company: int
    #: Owner of the contact; 0 for none.
    owner: int
    #: Owner of the company; 0 for none.
    company_owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactDetail:
    """What policies and reports need to know of a drifted contact; read for drifted contacts only."""

    name: str
    created: datetime
    modified: datetime
    #: The last editor of anything, not necessarily of the owner; 0 for none.
    modified_by: int
    type: str = ""
    #: Whether its yes/no field that the settings name is set.
    flagged: bool = False
    #: All its companies, the primary one included; empty where it was not asked.
    companies: tuple[int, ...] = ()
    #: What of the portal's answer about the contact cannot be read; empty: nothing.
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyDetail:
    """The same of a drifted contact's company."""

    name: str
    type: str = ""
    flagged: bool = False
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """A part of the firm, and who leads it."""

    id: int
    #: 0 at the top.
    parent: int
    #: 0 for nobody.
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One intended write: this contact, as long as it belongs to this company and this owner, gets that owner."""

    contact: int
    company: int
    before: int
    after: int
    rule: Rule = Rule.COMPANY_OWNER
    #: The owner that the company must still have, where the rule chose another one to write.
    company_owner: int = 0
    cause: Cause = Cause.UNKNOWN
    #: When the contact was last changed, by the portal's clock, in the row that this rests on; None: not known.
    modified: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What a digest and an approval are made of: no cause, no time."""
        return self.contact, self.company, self.before, self.after

    @property
    def mismatch(self) -> Mismatch:
        """What it puts right, as the sweep found it."""
        return Mismatch(contact=self.contact, company=self.company, owner=self.before, company_owner=self.company_owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A drifted contact that is left alone, and why."""

    mismatch: Mismatch
    reason: Standing
    cause: Cause = Cause.UNKNOWN
    #: What cannot be read, where that is the reason.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one change."""

    change: Change
    result: Result
    #: One sentence where the result does not say it all.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What people call the records; for tables only, never for a decision."""

    contacts: Mapping[int, str] = field(default_factory=dict)
    companies: Mapping[int, str] = field(default_factory=dict)
    users: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run cost."""

    #: HTTP requests sent.
    requests: int = 0
    #: REST commands in them.
    commands: int = 0
    #: Seconds the portal's meter counted.
    operating_seconds: float = 0.0
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run in numbers: a row of the journal, a line of the log, an answer for scripts."""

    run: int | None
    status: Status
    #: Companies in the roster.
    companies: int = 0
    #: Linked contacts, and those of them that were not compared, because their company is not in the roster: one's own,
    #: of another category, or not visible to the webhook. None: not known.
    contacts: int = 0
    not_compared: int | None = None
    drift: int = 0
    standing: int = 0
    #: Standing drift by reason.
    reasons: Mapping[Standing, int] = field(default_factory=dict)
    #: Drift by cause, actionable and standing.
    causes: Mapping[Cause, int] = field(default_factory=dict)
    #: Digest of the changes that were planned; empty where there were none.
    digest: str = ""
    #: When the sweep began, by the portal's clock; None: there was no complete one.
    taken_at: datetime | None = None
    #: Outcomes by result; in a run that ended by itself, unrefused and within its slot, their sum is drift
    #: minus standing.
    outcomes: Mapping[Result, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    #: The sentence of the error that ended the run.
    error: str | None = None

    @property
    def compared(self) -> int:
        """Linked contacts that were compared with their company."""
        return max(0, self.contacts - (self.not_compared or 0))
