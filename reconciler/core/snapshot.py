"""What one complete look at the portal has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from reconciler.core.companies import Refresh, Strategy
    from reconciler.core.model import CompanyDetail, ContactDetail, Department, Mismatch, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The result of one complete sweep. An incomplete one is an error, never a snapshot."""

    #: The portal's own clock when the sweep began.
    taken_at: datetime
    #: The same when it ended, hours later where it took several runs; None: at once.
    ended_at: datetime | None = None
    #: Company -> owner, of all companies that were looked at; own companies left out.
    roster: Mapping[int, int]
    #: Linked contacts of the portal, as counted with this sweep; of a part, those of its companies.
    contacts: int
    mismatches: tuple[Mismatch, ...]
    #: Contacts of companies that are not in the roster (own, of another category, created during the sweep), as counted
    #: with the latest read of all companies.
    outside_roster: int
    #: The owners on both sides of the mismatches, as far as they are people. None: the webhook may not ask.
    users: Mapping[int, User] | None
    #: Of every drifted contact, and of its company.
    contact_details: Mapping[int, ContactDetail] = field(default_factory=dict)
    company_details: Mapping[int, CompanyDetail] = field(default_factory=dict)
    #: Read where a policy asks for them.
    departments: Mapping[int, Department] = field(default_factory=dict)
    #: The last owners of companies that have just vanished (deleted, merged): what their contacts drift to, waits.
    vanished_owners: frozenset[int] = frozenset()
    #: What was read of the companies; None: only a part of the portal was looked at.
    refresh: Refresh | None = None
    #: Of a part of the portal: the owners of further companies of its contacts, and the linked contacts of the whole.
    other_companies: Mapping[int, int] = field(default_factory=dict)
    contacts_of_portal: int | None = None
    #: How contacts were compared, and the seconds that a command took the portal.
    strategy: Strategy | None = None
    seconds: float | None = None

    @property
    def company_owners(self) -> Mapping[int, int]:
        """All companies whose owner is known, those outside the part that was looked at included."""
        return {**self.other_companies, **self.roster} if self.other_companies else self.roster
