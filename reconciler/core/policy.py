"""What the owner of a drifted contact should be, and what to leave alone.

First match wins; each row is a setting of `[policy]` with an example in `config.example.toml`.

the contact or its company                                              verdict
======================================================================  ==========================================
the contact is an exception in force (quarantined, respected, undone,   left alone with that reason
  kept)
named in `leave_companies`, `leave_contacts`, `leave_owners`,           left alone: excluded
  `leave_departments`, a type, a yes/no field; or outside an allow-list
several companies whose owners differ, `multi_company = "report"`       left alone: several_companies
what the portal answers about the contact, its company or the           left alone: record_unreadable
  company's owner cannot be read (a date that is none)
the company has no owner                                                left alone: company_has_no_owner
the company's owner is active, in a department                          wants that owner
  … dismissed or no employee, `dismissed_owner = "report"`              left alone: company_owner_dismissed,
                                                                          company_owner_no_employee
  … the same, `"successor"`                                             wants the successor
  … the same, `"head"`                                                  wants the head of the department, upwards
  … and that person is missing, dismissed or no employee                left alone: successor_unfit
the contact has the wanted owner                                        no drift: neither written nor counted
`scope = "previous-owner"`, its owner is no earlier one                 left alone: out_of_scope
`scope = "empty-or-previous"`, it has another owner, no earlier one     left alone: out_of_scope
a person edited the contact, `person_edit = "respect"`                  left alone: respected, until released
a contact-side mismatch younger than `settle_minutes`                   left alone: settling
newly linked or not known, drifts since the last sweep, and its owner   left alone: company_vanished
  had a company that has just vanished
otherwise                                                               gets the wanted owner

"Not returned by user.get" does not mean dismissed: bots, integrators and e-mail users never are (F9, F17). Without a
user scope nobody can be judged: the company's owner is wanted, and the plan may not be applied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Change, Mismatch, Rule, Skip, Standing, User
from reconciler.core.rules.follow_parent import Evidence, cause_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from reconciler.core.model import Department
    from reconciler.core.snapshot import Snapshot

#: Causes that lie with the contact, not with its company.
CONTACT_SIDE = frozenset({Cause.CHANGED_BACK, Cause.CONTACT_CHANGED, Cause.CONTACT_CREATED})
#: Causes that are a person's edit of the contact.
PERSON_EDITS = frozenset({Cause.CHANGED_BACK, Cause.CONTACT_CHANGED})


class Scope(StrEnum):
    """Which drifted contacts are written at all."""

    ALL = "all"
    PREVIOUS_OWNER = "previous-owner"
    EMPTY_OR_PREVIOUS = "empty-or-previous"


class PersonEdit(StrEnum):
    """What becomes of a person's edit of a contact."""

    OVERWRITE = "overwrite"
    RESPECT = "respect"


class DismissedOwner(StrEnum):
    """Who gets the contacts of a company whose owner has left, or is no employee."""

    REPORT = "report"
    SUCCESSOR = "successor"
    HEAD = "head"


class MultiCompany(StrEnum):
    """What becomes of a contact of several companies."""

    REPORT = "report"
    PRIMARY = "primary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The rules in force, by default those of the settings' defaults."""

    scope: Scope = Scope.ALL
    person_edit: PersonEdit = PersonEdit.OVERWRITE
    settle: timedelta = timedelta(0)
    leave_companies: frozenset[int] = frozenset()
    leave_contacts: frozenset[int] = frozenset()
    #: Owners of companies, or of contacts, whose records are left alone.
    leave_owners: frozenset[int] = frozenset()
    #: Departments of the company's owner.
    leave_departments: frozenset[int] = frozenset()
    leave_company_types: frozenset[str] = frozenset()
    leave_contact_types: frozenset[str] = frozenset()
    #: Empty: all companies.
    only_companies: AbstractSet[int] = frozenset()
    dismissed_owner: DismissedOwner = DismissedOwner.REPORT
    #: With `dismissed_owner = "successor"`.
    successor: int = 0
    multi_company: MultiCompany = MultiCompany.REPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All there is to judge by: the sweep, what the journal knows, and the rules."""

    snapshot: Snapshot
    evidence: Evidence = field(default_factory=Evidence)
    #: Contact -> why it is left alone until somebody or something releases it.
    exceptions: Mapping[int, Standing] = field(default_factory=dict)
    #: Contact -> when it was last edited at the time a person released the choice that was respected: that edit counts
    #: no more, a later one does.
    forgiven: Mapping[int, datetime] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)


def judge(mismatch: Mismatch, case: Case) -> Change | Skip | None:
    """Decide one drifted contact by the table above; None: by the policies it is no drift."""
    cause = cause_of(mismatch, case.snapshot.contact_details.get(mismatch.contact), case.evidence)
    reason = case.exceptions.get(mismatch.contact) or _left_alone(mismatch, case)
    if reason is None and (doubt := _doubt(mismatch, case.snapshot)):
        return Skip(mismatch=mismatch, reason=Standing.UNREADABLE, cause=cause, detail=doubt)
    if reason is None:
        found = _wanted(mismatch.company_owner, case)
        if isinstance(found, Standing):
            reason = found
        else:
            owner, rule = found
            if owner == mismatch.owner:
                return None
            reason = _held_back(mismatch, cause, case)
            if reason is None:
                detail = case.snapshot.contact_details.get(mismatch.contact)
                return Change(
                    contact=mismatch.contact,
                    company=mismatch.company,
                    before=mismatch.owner,
                    after=owner,
                    rule=rule,
                    company_owner=mismatch.company_owner,
                    cause=cause,
                    modified=detail.modified if detail else None,
                )
    return Skip(mismatch=mismatch, reason=reason, cause=cause)


def _left_alone(mismatch: Mismatch, case: Case) -> Standing | None:
    """Apply the lists, and the rule for several companies."""
    policies, snapshot = case.policies, case.snapshot
    contact = snapshot.contact_details.get(mismatch.contact)
    company = snapshot.company_details.get(mismatch.company)
    owner = (snapshot.users or {}).get(mismatch.company_owner)
    excluded = (
        mismatch.contact in policies.leave_contacts
        or mismatch.company in policies.leave_companies
        or (policies.only_companies and mismatch.company not in policies.only_companies)
        or not policies.leave_owners.isdisjoint({mismatch.owner, mismatch.company_owner})
        or (owner is not None and not policies.leave_departments.isdisjoint(owner.departments))
        or (contact is not None and (contact.flagged or contact.type in policies.leave_contact_types))
        or (company is not None and (company.flagged or company.type in policies.leave_company_types))
    )
    if excluded:
        return Standing.EXCLUDED
    if policies.multi_company is MultiCompany.REPORT and contact is not None:
        # A company that the roster does not know is one of our own, or of another category: it has no say.
        known = snapshot.company_owners
        owners = {known[number] for number in contact.companies if number in known}
        if len(owners | {mismatch.company_owner}) > 1:
            return Standing.SEVERAL_COMPANIES
    return None


def _doubt(mismatch: Mismatch, snapshot: Snapshot) -> str:
    """Say what cannot be read of the records that decide; empty: nothing."""
    contact = snapshot.contact_details.get(mismatch.contact)
    company = snapshot.company_details.get(mismatch.company)
    owner = (snapshot.users or {}).get(mismatch.company_owner)
    found = (("contact", contact), ("company", company), ("the company's owner", owner))
    return "; ".join(f"{what}: {record.doubt}" for what, record in found if record is not None and record.doubt)


def _wanted(company_owner: int, case: Case) -> tuple[int, Rule] | Standing:
    """Return who should own the contacts of a company, and by which rule."""
    users = case.snapshot.users
    if company_owner == 0:
        return Standing.OWNER_MISSING
    if users is None or fit(users.get(company_owner)):
        return company_owner, Rule.COMPANY_OWNER
    user = users.get(company_owner)
    match case.policies.dismissed_owner:
        case DismissedOwner.SUCCESSOR:
            successor = case.policies.successor
            return (successor, Rule.SUCCESSOR) if fit(users.get(successor)) else Standing.SUCCESSOR_UNFIT
        case DismissedOwner.HEAD:
            head = head_of(user, case.snapshot.departments, users)
            return (head, Rule.HEAD) if head else Standing.SUCCESSOR_UNFIT
    return Standing.OWNER_NOT_EMPLOYEE if user is None or user.active else Standing.OWNER_DISMISSED


def fit(user: User | None) -> bool:
    """Tell whether this is somebody who may own records: active, in a department, and nothing of it in doubt."""
    return user is not None and user.active and user.employee and not user.doubt


def head_of(user: User | None, departments: Mapping[int, Department], users: Mapping[int, User]) -> int:
    """Return the first fit head from the user's departments upwards, or 0; a loop of departments ends it (F9)."""
    if user is None:
        return 0
    seen: set[int] = set()
    waiting = sorted(user.departments)
    while waiting:
        number = waiting.pop(0)
        department = departments.get(number)
        if number in seen or department is None:
            continue
        seen.add(number)
        head = users.get(department.head)
        if head is not None and head.doubt:
            return 0  # perhaps it is this one: nobody above may take the place
        if department.head != user.id and fit(head):
            return department.head
        waiting.append(department.parent)
    return 0


def _held_back(mismatch: Mismatch, cause: Cause, case: Case) -> Standing | None:
    """Apply the scope, the respect for people's edits, and the time they have to finish."""
    policies = case.policies
    earlier = mismatch.owner in case.evidence.earlier_owners.get(mismatch.company, ())
    if policies.scope is Scope.PREVIOUS_OWNER and not earlier:
        return Standing.OUT_OF_SCOPE
    if policies.scope is Scope.EMPTY_OR_PREVIOUS and not earlier and mismatch.owner != 0:
        return Standing.OUT_OF_SCOPE
    detail = case.snapshot.contact_details.get(mismatch.contact)
    forgiven = case.forgiven.get(mismatch.contact)
    edited_since = forgiven is None or (detail is not None and detail.modified > forgiven)
    if policies.person_edit is PersonEdit.RESPECT and cause in PERSON_EDITS and edited_since:
        return Standing.RESPECTED
    now = case.snapshot.ended_at or case.snapshot.taken_at
    # A card saved since then settles too; a date far ahead is of a portal's clock that was set back.
    if cause in CONTACT_SIDE and detail is not None and abs(now - detail.modified) < policies.settle:
        return Standing.SETTLING
    # A link that an earlier sweep has seen is still a new one; of what is not known only what has just come up counts.
    fresh = cause is Cause.UNKNOWN and mismatch not in case.evidence.known
    if (fresh or cause is Cause.NEWLY_LINKED) and mismatch.owner in case.snapshot.vanished_owners:
        # Deleted or merged by mistake, perhaps: what becomes of its contacts waits for one more look.
        return Standing.COMPANY_VANISHED
    return None
