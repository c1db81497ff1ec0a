"""Values that the tests of the journal share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.companies import Refresh
from reconciler.core.model import Change, Mismatch, Outcome, Result
from reconciler.core.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from reconciler.journal.store import Journal, Links

PORTAL = "example.bitrix24.com"


def change(contact: int, *, company: int = 7, before: int = 1, after: int = 2, **more: Any) -> Change:
    """Return the intended write of one contact."""
    return Change(contact=contact, company=company, before=before, after=after, **more)


def mismatch(contact: int, *, company: int = 7, owner: int = 1, company_owner: int = 2) -> Mismatch:
    """Return the drift that `change(contact)` would set right."""
    return Mismatch(contact=contact, company=company, owner=owner, company_owner=company_owner)


def swept(owners: Mapping[int, int], taken_at: datetime, **more: Any) -> Snapshot:
    """Return a sweep that read all companies."""
    refresh = Refresh(owners=owners, seen=owners, at=taken_at, complete=True, contacts=0)
    return Snapshot(
        taken_at=taken_at,
        roster=owners,
        **({"contacts": 0, "mismatches": (), "outside_roster": 0, "users": None, "refresh": refresh} | more),
    )


def outcome(contact: int, result: Result = Result.APPLIED, detail: str = "") -> Outcome:
    """Return what became of `change(contact)`."""
    return Outcome(change=change(contact), result=result, detail=detail)


def carry_out(
    journal: Journal, run: int, changes: Iterable[Change], links: Links | None = None, result: Result = Result.APPLIED
) -> None:
    """Write down that a run wrote these changes, and what came of them."""
    these = list(changes)
    more = () if links is None else (links,)
    journal.intend(run, these, *more)
    journal.settle(run, [Outcome(change=each, result=result) for each in these], *more)
