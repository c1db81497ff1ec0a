"""What became of a change: judged by the answers in front of its write and by how the contact is read back.

The portal itself refuses a write whose precondition does not hold, so nothing is decided between reading and writing.
What is said of a change that was not written is what the read-back shows.

precondition, by its answers          contact as read back        verdict (first match wins)
====================================  ==========================  ==========================
any but met                           not there                   gone
any but met                           of another company or none  conflict
any but met                           the wanted owner            already
any but met                           a third owner, or none      conflict
company gone, or of another owner     as planned                  conflict
wanted owner not active any more      as planned                  conflict
not known, or not met by the contact  as planned                  not written (None)
met                                   any                         by the second table

An undo puts back an older owner, whoever the company's is now: it has no precondition on the company. "Not met by the
contact" and yet as planned a moment later: somebody changed it and took that back, or the portal reads from a copy that
lags behind. Nothing was overwritten, and the next attempt has its own precondition.

written: contact as read back  update answered  verdict
=============================  ===============  =========================
not there                      yes              unknown
not there                      no answer        gone
the wanted owner               either           applied
the old owner                  yes              failed
the old owner, row unchanged   no answer        not written (None)
the old owner, row changed     no answer        conflict
another owner                  either           conflict

Without an answer the old owner alone proves nothing: our write may have taken effect, and a person put the old owner
back. The row's date of change tells. Unchanged since the row that the change rests on, nothing was written; changed, it
is left to the next sweep, also where only a phone was edited, or where the date was never known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from reconciler.core.model import Change, Outcome, Result, Rule

if TYPE_CHECKING:
    from datetime import datetime


class Precondition(Enum):
    """What the answers in front of a write say."""

    MET = auto()
    #: The contact was not as planned when its turn came.
    CONTACT = auto()
    #: The company is not there, or does not have the owner that the change rests on.
    COMPANY = auto()
    #: The wanted owner is no active user.
    OWNER = auto()
    #: One of them failed, or was not whole.
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """What a read shows of a contact; 0 for none."""

    company: int
    owner: int
    #: When it was last changed, by the portal's clock; None: not read.
    modified: datetime | None = None


def not_written(  # noqa: PLR0911 - one return for each row of the table
    change: Change, precondition: Precondition, contact: ContactRow | None
) -> Outcome | None:
    """Decide by the first table, for a precondition that is not met; None: it may be tried again."""
    if contact is None:
        return _outcome(change, Result.GONE, "the contact is deleted or no longer visible")
    if contact.company != change.company:
        return _outcome(change, Result.CONFLICT, f"now of company {contact.company or 'none'}")
    if contact.owner == change.after:
        return _outcome(change, Result.ALREADY, "")
    if contact.owner != change.before:
        return _outcome(change, Result.CONFLICT, f"the contact's owner is now {contact.owner or 'none'}")
    if precondition is Precondition.COMPANY:
        detail = f"company {change.company} is gone, or its owner is no longer {rests_on(change)}"
        return _outcome(change, Result.CONFLICT, detail)
    if precondition is Precondition.OWNER:
        return _outcome(change, Result.CONFLICT, f"user {change.after} is no active employee any more")
    return None


def rests_on(change: Change) -> int:
    """Return the owner that the company had when the change was planned."""
    return change.after if change.rule is Rule.COMPANY_OWNER else change.company_owner


def after_write(  # noqa: PLR0911 - one return for each row of the table
    change: Change, contact: ContactRow | None, *, answered: bool
) -> Outcome | None:
    """Decide by the second table; None: the write did not happen."""
    if contact is None and answered:
        return _outcome(change, Result.UNKNOWN, "written, but the webhook's user no longer sees the contact")
    if contact is None:
        return _outcome(change, Result.GONE, "the contact is deleted or no longer visible")
    if contact.owner == change.after:
        return _outcome(change, Result.APPLIED, "")
    if contact.owner != change.before:
        detail = f"the contact's owner is now {contact.owner or 'none'}"
        return _outcome(change, Result.CONFLICT, f"written, but {detail}" if answered else detail)
    if answered:
        return _outcome(change, Result.FAILED, "the portal said yes, but the contact has its old owner")
    if contact.modified is None or contact.modified != change.modified:
        detail = "whether it was written is not known: the contact has its old owner, but was changed since it was read"
        return _outcome(change, Result.CONFLICT, detail)
    return None


def resting_on(change: Change, contact: ContactRow | None) -> Change:
    """Return the change as one that rests on a newer row of its contact."""
    return change if contact is None else replace(change, modified=contact.modified)


def _outcome(change: Change, result: Result, detail: str) -> Outcome:
    return Outcome(change=change, result=result, detail=detail)
