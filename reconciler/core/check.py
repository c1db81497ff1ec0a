"""The two looks at a contact around a write: may it be written, and was it.

Bitrix24 has no conditional update, so a person may still act in the gap of one request (DESIGN 6); what the looks
can see, they decide here.

before: contact and company as they stand      verdict (first match wins)
=============================================  ==========================
contact not there                              gone
contact of another company, or of none         conflict
company not there, or has another owner now    conflict
contact has the wanted owner already           already
contact has a third owner, or none             conflict
the wanted owner is no active employee         conflict
all as planned                                 go (None)

An undo puts back an older owner, whoever the company's is now: it does not look at the company. Who is to get a
contact may have been dismissed since the plan: the last chunk of a long one leaves hours after it.

after: contact as it stands   update answered  verdict
============================  ===============  =========================
not there                     yes              unknown
not there                     no answer        gone
the wanted owner              either           applied
the old owner                 yes              failed
the old owner                 no answer        not written (None)
another owner                 either           conflict
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.model import Change, Outcome, Result, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """What a look shows of a contact; 0 for none."""

    company: int
    owner: int


def before_write(  # noqa: PLR0911 - one return for each row of the table
    change: Change, contact: ContactRow | None, company_owner: int | None, *, fit: bool
) -> Outcome | None:
    """Decide by the first table; None: write.

    `company_owner` is None where the company is not there; `fit` tells whether the wanted owner may own records now.
    """
    if contact is None:
        return _outcome(change, Result.GONE, "the contact is deleted or no longer visible")
    if contact.company != change.company:
        return _outcome(change, Result.CONFLICT, f"now of company {contact.company or 'none'}")
    if change.rule is not Rule.UNDO and company_owner != _company_owner(change):
        return _outcome(change, Result.CONFLICT, f"the company's owner is now {company_owner or 'none'}")
    if contact.owner == change.after:
        return _outcome(change, Result.ALREADY, "")
    if contact.owner != change.before:
        return _outcome(change, Result.CONFLICT, f"the contact's owner is now {contact.owner or 'none'}")
    if not fit:
        return _outcome(change, Result.CONFLICT, f"user {change.after} is no active employee any more")
    return None


def _company_owner(change: Change) -> int:
    """Return the owner that the company had when the change was planned."""
    return change.after if change.rule is Rule.COMPANY_OWNER else change.company_owner


def after_write(change: Change, contact: ContactRow | None, *, answered: bool) -> Outcome | None:
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
        return _outcome(change, Result.FAILED, "the portal said yes, but the contact kept its owner")
    return None


def _outcome(change: Change, result: Result, detail: str) -> Outcome:
    return Outcome(change=change, result=result, detail=detail)
