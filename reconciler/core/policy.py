"""What the owner of a drifted contact should be, and what to leave alone.

======================================  =========================================
the company's owner                     the contact
======================================  =========================================
none (0)                                left alone: ``company_has_no_owner``
not returned by ``user.get``            left alone: ``company_owner_no_employee``
returned, dismissed                     left alone: ``company_owner_dismissed``
returned, active, in no department      left alone: ``company_owner_no_employee``
returned, active, in a department       gets that owner
unknown: the webhook has no user scope  planned, but the plan may not be applied
======================================  =========================================

"Not returned" does not mean dismissed: bots, integrators and e-mail users are never returned (F9, F17).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.model import Change, Mismatch, Skip, Standing, User

if TYPE_CHECKING:
    from collections.abc import Mapping


def judge(mismatch: Mismatch, users: Mapping[int, User] | None) -> Change | Skip:
    """Decide one drifted contact by the table above."""
    reason = _objection(mismatch.company_owner, users)
    if reason is not None:
        return Skip(mismatch=mismatch, reason=reason)
    return Change(
        contact=mismatch.contact, company=mismatch.company, before=mismatch.owner, after=mismatch.company_owner
    )


def _objection(owner: int, users: Mapping[int, User] | None) -> Standing | None:
    if owner == 0:
        return Standing.OWNER_MISSING
    if users is None:
        return None
    user = users.get(owner)
    if user is None or (user.active and not user.employee):
        return Standing.OWNER_NOT_EMPLOYEE
    return None if user.active else Standing.OWNER_DISMISSED
