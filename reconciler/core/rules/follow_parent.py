"""Why a contact drifted, as far as somebody who looks every ten minutes can know.

First match wins:

evidence                                                                        cause
==============================================================================  ======================
the journal: our last write to it met an edit of somebody else                  contact_changed
the journal: the last sweep left just this drift, same company, same owners     what we said then
the journal: we wrote this contact, and it holds something else now             changed_back
the roster: the contact holds an earlier owner of its company                   company_owner_changed
no complete sweep before this one, or its dates cannot be read                  unknown
created after the last complete sweep                                           contact_created
modified after it, not by our own write alone: somebody edited the owner,
  the link, or anything else                                                    contact_changed
not modified after it; the company had this owner already then, and neither
  what that sweep left nor our last write has this contact there: only a link
  moves no date                                                                 newly_linked
anything else: an undo that was released, a respected contact whose company
  changed hands, a company that came into view                                  unknown

An owner that the company had when we wrote, and the contact still holds, is no change back: the company moved on.
All times are the portal's. Its dates are whole seconds, so what carries the very second of the last sweep counts as
after it: to take a fresh edit for an old one would be the worse mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.core.model import Cause

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
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
    #: Contact -> companies at which the last sweep left it with drift, or we wrote it last.
    recorded_at: Mapping[int, frozenset[int]] = field(default_factory=dict)
    #: Companies of drifted contacts that have had their present owner since before the last sweep.
    unmoved: Collection[int] = frozenset()
    #: Contact whose last write of ours met somebody's edit -> when it was changed before that.
    in_conflict: Mapping[int, datetime] = field(default_factory=dict)
    #: In whose name we write; 0: not known.
    account: int = 0


def cause_of(mismatch: Mismatch, detail: ContactDetail | None, evidence: Evidence) -> Cause:
    """Decide by the table above. `detail` is None for a contact that vanished since the sweep."""
    before = evidence.in_conflict.get(mismatch.contact)
    if before and detail and detail.modified > before and detail.modified_by != evidence.account:
        return Cause.CONTACT_CHANGED
    if mismatch in evidence.known:
        return evidence.known[mismatch]
    written = evidence.written.get(mismatch.contact)
    if written is not None and written != mismatch.owner:
        return Cause.CHANGED_BACK
    if mismatch.owner in evidence.earlier_owners.get(mismatch.company, ()):
        return Cause.COMPANY_OWNER_CHANGED
    if evidence.last_sweep is None or detail is None or detail.doubt:
        return Cause.UNKNOWN
    return _since(evidence.last_sweep, mismatch, detail, evidence)


def _since(last_sweep: datetime, mismatch: Mismatch, detail: ContactDetail, evidence: Evidence) -> Cause:
    """Say what has happened since the last sweep, by the contact's dates and by what was on record then."""
    since = last_sweep.replace(microsecond=0)
    if detail.created >= since:
        return Cause.CONTACT_CREATED
    ours = evidence.written.get(mismatch.contact) == mismatch.owner and detail.modified_by == evidence.account
    if detail.modified >= since and not ours:
        return Cause.CONTACT_CHANGED
    was_there = mismatch.company in evidence.recorded_at.get(mismatch.contact, ())
    return Cause.NEWLY_LINKED if mismatch.company in evidence.unmoved and not was_there else Cause.UNKNOWN
