"""Why a contact drifted, as far as somebody who looks every ten minutes can know (DESIGN 2).

First match wins:

evidence                                                                        cause
==============================================================================  ======================
the journal: the last sweep left just this drift, same company, same owners     what we said then
the journal: we wrote this contact, and it holds something else now             changed_back
the roster: the contact holds an earlier owner of its company                   company_owner_changed
no complete sweep before this one                                               unknown
created after the last complete sweep                                           contact_created
not modified after it, or by our own write alone, company's owner unchanged:
  only a link moves no date                                                     newly_linked
modified after it: somebody edited the owner, the link, or anything else        contact_changed

An owner that the company had when we wrote, and the contact still holds, is no change back: the company moved on.
All times are the portal's. Its dates are whole seconds, so what carries the very second of the last sweep counts as
after it: to take a fresh edit for an old one would be the worse mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.model import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reconciler.core.model import ContactDetail, Mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the journal knows from before this sweep."""

    #: When the last complete sweep of the whole portal began, by the portal's clock; None: there was none.
    last_sweep: datetime | None = None
    #: Company -> owners before the present one, for companies of drifted contacts whose owner ever changed.
    earlier_owners: Mapping[int, frozenset[int]] = field(default_factory=dict)
    #: Drift that the last sweep left as it is now -> its cause then: a backlog does not become "newly linked".
    known: Mapping[Mismatch, Cause] = field(default_factory=dict)
    #: Contact -> the owner that we wrote last, for drifted contacts that we ever wrote.
    written: Mapping[int, int] = field(default_factory=dict)
    #: In whose name we write; 0: not known.
    account: int = 0


def cause_of(mismatch: Mismatch, detail: ContactDetail | None, evidence: Evidence) -> Cause:
    """Decide by the table above. `detail` is None for a contact that vanished since the sweep."""
    if mismatch in evidence.known:
        return evidence.known[mismatch]
    written = evidence.written.get(mismatch.contact)
    if written is not None and written != mismatch.owner:
        return Cause.CHANGED_BACK
    if mismatch.owner in evidence.earlier_owners.get(mismatch.company, ()):
        return Cause.COMPANY_OWNER_CHANGED
    if evidence.last_sweep is None or detail is None:
        return Cause.UNKNOWN
    since = evidence.last_sweep.replace(microsecond=0)
    if detail.created >= since:
        return Cause.CONTACT_CREATED
    ours = written == mismatch.owner and detail.modified_by == evidence.account
    return Cause.CONTACT_CHANGED if detail.modified >= since and not ours else Cause.NEWLY_LINKED
