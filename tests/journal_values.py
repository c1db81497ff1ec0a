"""Values that the tests of the journal share."""

from __future__ import annotations

from reconciler.core.model import Change, Outcome, Result

PORTAL = "example.bitrix24.com"


def change(contact: int, *, company: int = 7, before: int = 1, after: int = 2) -> Change:
    """Return the intended write of one contact."""
    return Change(contact=contact, company=company, before=before, after=after)


def outcome(contact: int, result: Result = Result.APPLIED, detail: str = "") -> Outcome:
    """Return what became of `change(contact)`."""
    return Outcome(change=change(contact), result=result, detail=detail)
