"""From what the portal shows and the journal knows to a plan: of a sweep, or of taking something back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from reconciler.core.flapping import FlapLimit, flaps
from reconciler.core.guard import GuardLimits, Population
from reconciler.core.model import Cause, Change, Mismatch, Standing
from reconciler.core.plan import Plan, make_plan
from reconciler.core.policy import Case, DismissedOwner, MultiCompany, Policies, fit
from reconciler.core.rules.follow_parent import cause_of
from reconciler.core.rules.undo import Left, Obstacle, restore
from reconciler.core.snapshot import Snapshot
from reconciler.errors import MissingScopeError, UsageError
from reconciler.journal.records import Known, NewException, NothingToUndo, OurWrites
from reconciler.journal.rows import Links
from reconciler.portal.read.details import DetailOptions
from reconciler.portal.read.people import read_users
from reconciler.portal.read.sweep import Scope
from reconciler.portal.write.looks import look_at_all

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from reconciler.clock import Clock
    from reconciler.core.rules.follow_parent import Evidence
    from reconciler.journal.store import Journal
    from reconciler.portal.read.sweep import Reader
    from reconciler.portal.rest.client import Client
    from reconciler.settings.model import Settings

log = structlog.get_logger("reconciler.plan")

#: Contacts named in a line of the log.
_NAMED = 10
#: Causes that are written before a backlog.
_FRESH = frozenset({Cause.COMPANY_OWNER_CHANGED, Cause.CONTACT_CREATED, Cause.NEWLY_LINKED})


#: Why nothing is written where users cannot be looked up, and the next step.
NO_USER_SCOPE = (
    "the webhook has no user scope, so nobody can tell whether the new owners still work there, and nothing "
    "was written; add the scope user_basic (or user) to the webhook in the portal"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings decide about a plan."""

    policies: Policies = field(default_factory=Policies)
    guard: GuardLimits = field(default_factory=GuardLimits)
    patience: FlapLimit = field(default_factory=FlapLimit)
    #: How long a contact stays in quarantine.
    quarantine: timedelta = timedelta(days=7)
    #: How long an approval lasts.
    approval: timedelta = timedelta(days=7)
    #: Yes/no fields that except a record; empty for none.
    contact_field: str = ""
    company_field: str = ""

    @property
    def wants(self) -> DetailOptions:
        """What must be read of drifted contacts to judge by these rules."""
        return DetailOptions(
            contact_field=self.contact_field,
            company_field=self.company_field,
            links=self.policies.multi_company is MultiCompany.REPORT,
            heads=self.policies.dismissed_owner is DismissedOwner.HEAD,
            successor=self.policies.successor,
        )


def rules_of(settings: Settings) -> Rules:
    """Return the rules that the settings describe."""
    policy = settings.policy
    return Rules(
        policies=policy.policies,
        guard=settings.guard.limits,
        patience=policy.patience,
        quarantine=timedelta(days=policy.quarantine_days),
        approval=timedelta(days=settings.guard.approval_days),
        contact_field=policy.leave_contact_field or "",
        company_field=policy.leave_company_field or "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What to take back: the writes that fit all that is given."""

    run: int | None = None
    #: Of the latest run; its number is found when the undo begins.
    latest: bool = False
    contact: int | None = None
    company: int | None = None

    @property
    def words(self) -> str:
        """What is taken back, in words."""
        given = {"run": self.run, "contact": self.contact, "company": self.company}
        return ", ".join(f"{name} {number}" for name, number in given.items() if number is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a plan is about, and what decides it."""

    #: The portal's name in the journal.
    portal: str
    clock: Clock
    rules: Rules = field(default_factory=Rules)
    scope: Scope = field(default_factory=Scope)
    #: Highest number of changes; None: all.
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A plan, and what the guard and the journal need besides."""

    plan: Plan
    population: Population
    snapshot: Snapshot
    #: Contacts that somebody changed back too often, and those whose owner a person chose: left alone from now on.
    flapping: tuple[NewException, ...] = ()
    respected: tuple[NewException, ...] = ()
    #: When it was judged which exceptions are in force, by the portal's clock or ours, the earlier; None: of an undo.
    judged_at: datetime | None = None
    #: Contacts that went into quarantine just now.
    quarantined: tuple[int, ...] = ()
    #: Contacts whose drift the last sweep left just as it is.
    backlog: frozenset[int] = frozenset()
    #: What is taken back; None: nothing is.
    undo: Undo | None = None
    #: Of an undo: contact -> the change that is taken back, and what is left as it is.
    undoes: Mapping[int, int] = field(default_factory=dict)
    left: tuple[Left, ...] = ()
    #: Contacts whose earlier undo it takes back.
    put_forward: frozenset[int] = frozenset()

    @property
    def links(self) -> Links:
        """What the rows of the changes point to, approvals apart."""
        return Links(undoes=self.undoes)


def propose(reader: Reader, journal: Journal | None, ground: PlanRequest, *, resume: bool = False) -> PlannedRun:
    """Sweep, and plan by all that is known. `journal` None: there is none yet, so nothing is known.

    Nothing is written to the journal. `resume`: go on with a sweep that was broken off.
    """
    rules, portal = ground.rules, ground.portal
    known = journal.sweeps.known(portal) if journal is not None and ground.scope == Scope() else Known()
    roster = known.roster
    before = known.last.companies if known.last is not None else None
    halfway = known.halfway if resume else None
    snapshot = reader.sweep(ground.scope, rules.wants, roster, halfway)
    population = _population(snapshot, before)
    _log_reading(snapshot)
    if population.missing > rules.guard.companies and halfway is None:
        log.warning("plan.suspicious", companies=population.companies, companies_before=before)
        # Once more in full, before it is believed; but where that takes several runs, it would never end.
        snapshot = reader.sweep(ground.scope, rules.wants, roster and roster.outdated)
        population = _population(snapshot, before)
    case = Case(snapshot=snapshot, policies=rules.policies)
    # One run under a clock that is ahead ends no quarantine.
    now = min(ground.clock.now(), snapshot.taken_at)
    flapping: list[NewException] = []
    if journal is not None:
        exceptions = dict(journal.exceptions.in_force(portal, snapshot.company_owners, at=now))
        over = journal.exceptions.in_force(portal, at=now).keys() - exceptions.keys()
        evidence = replace(journal.sweeps.evidence(portal, snapshot.mismatches), account=reader.account)
        evidence = _start_afresh(_without_unfit(evidence, snapshot), over)
        case = replace(case, evidence=evidence, exceptions=exceptions, forgiven=journal.exceptions.forgiven(portal))
        flapping = _flapping(case, journal, ground)
        exceptions.update({entry.contact: Standing.QUARANTINED for entry in flapping})
    plan = make_plan(case, portal=portal, limit=ground.limit)
    _log_unreadable(plan)
    return PlannedRun(
        plan=plan,
        population=replace(population, rivals=_rivals(plan, snapshot, reader.account)),
        snapshot=snapshot,
        flapping=tuple(flapping),
        respected=tuple(_respected(plan, case)),
        judged_at=now,
        backlog=frozenset(mismatch.contact for mismatch in case.evidence.known),
    )


def _log_reading(snapshot: Snapshot) -> None:
    """Say how the whole portal was read."""
    refresh = snapshot.refresh
    if refresh is not None:
        log.info(
            "plan.swept",
            companies="all" if refresh.complete else "what changed",
            companies_read=len(refresh.seen),
            strategy=snapshot.strategy.value if snapshot.strategy else None,
            seconds_per_command=round(snapshot.seconds, 4) if snapshot.seconds is not None else None,
        )


def _log_unreadable(plan: Plan) -> None:
    """Say which contacts are left alone because something of them cannot be read."""
    found = [skip for skip in plan.skips if skip.reason is Standing.UNREADABLE]
    if found:
        named = {skip.mismatch.contact: skip.detail for skip in found[:_NAMED]}
        log.warning("plan.unreadable", contacts=len(found), first=named)


def fresh_first(changes: Sequence[Change], backlog: Collection[int]) -> list[Change]:
    """Return the changes in the order of writing: what came up just now waits for no backlog.

    By owner otherwise: the changes of a request that need the same owner share their preconditions.
    """
    return sorted(
        changes,
        key=lambda c: (c.cause not in _FRESH, c.contact in backlog, c.after, c.company_owner, c.company, c.contact),
    )


def propose_undo(client: Client, journal: Journal, *, portal: str, undo: Undo, run: int, clock: Clock) -> PlannedRun:
    """Plan to put back, in this `run`, what stands as we left it.

    Raises UsageError where there is nothing, and MissingScopeError where nobody can tell who still works there: to call
    the old owners unfit then would end the undo as if nothing were left to do.
    """
    writes: OurWrites | NothingToUndo = NothingToUndo.NO_SUCH_RUN
    if undo.run != run:  # whose number was guessed, it is the present one
        writes = journal.writes.to_undo(portal, run=undo.run, contact=undo.contact, company=undo.company)
    if isinstance(writes, NothingToUndo):
        raise UsageError(
            f"nothing of {undo.words} can be taken back: {writes.sentence}; `reconciler runs` lists the runs"
        )
    applied = [record.change for record in writes.latest]
    contacts = look_at_all(client, {change.contact for change in applied})
    users = read_users(client, {o for c in applied for o in (c.before, c.after)})
    if users is None:
        raise MissingScopeError(NO_USER_SCOPE)
    changes, left = restore(applied, contacts, users, journal.exceptions.kept(portal, contacts))
    snapshot = Snapshot(taken_at=clock.now(), roster={}, contacts=0, mismatches=(), outside_roster=0, users=users)
    return PlannedRun(
        plan=Plan(portal=portal, changes=changes, skips=()),
        population=Population(contacts=0, companies=0),
        snapshot=snapshot,
        undo=undo,
        undoes={record.change.contact: record.id for record in writes.latest},
        left=left
        + tuple(Left(change=record.change, obstacle=Obstacle.TAKEN_BACK) for record in writes.taken_back)
        + tuple(Left(change=record.change, obstacle=Obstacle.WRITTEN_AGAIN) for record in writes.superseded),
        put_forward=writes.takings_back,
    )


def undone(change: Change) -> NewException:
    """Return the exception that keeps the next sweep from doing again what was taken back."""
    return NewException(contact=change.contact, company=change.company, owner=change.after)


def _start_afresh(evidence: Evidence, contacts: Collection[int]) -> Evidence:
    """Forget what we wrote to contacts whose exception the company's new owner has just ended.

    Who changed them back did so against the owner before; held against the new one, the exception would never end.
    """
    if not contacts:
        return evidence
    written = {contact: owner for contact, owner in evidence.written.items() if contact not in contacts}
    return replace(evidence, written=written)


def _without_unfit(evidence: Evidence, snapshot: Snapshot) -> Evidence:
    """Take companies whose owner may own no records for moved: which owner was wanted there depends on the settings.

    So a contact with another owner may have been there all along, and in order by the settings of then.
    """
    users = snapshot.users
    if users is None:
        return evidence
    owners = {mismatch.company: mismatch.company_owner for mismatch in snapshot.mismatches}
    return replace(evidence, unmoved=frozenset(c for c in evidence.unmoved if fit(users.get(owners[c]))))


def _population(snapshot: Snapshot, before: int | None) -> Population:
    of_portal = snapshot.contacts_of_portal
    return Population(
        contacts=snapshot.contacts if of_portal is None else of_portal,
        companies=len(snapshot.roster),
        companies_before=before,
    )


def _rivals(plan: Plan, snapshot: Snapshot, account: int) -> frozenset[int]:
    """Return the contacts whose change back nobody but our own account can have made, unknown to our journal."""
    details = snapshot.contact_details
    return frozenset(
        change.contact
        for change in plan.changes
        if change.cause is Cause.CHANGED_BACK
        and (detail := details.get(change.contact)) is not None
        and detail.modified_by == account
    )


def _flapping(case: Case, journal: Journal, ground: PlanRequest) -> list[NewException]:
    """Return the contacts that somebody has changed back often enough."""
    details = case.snapshot.contact_details
    back = {
        m.contact: m
        for m in case.snapshot.mismatches
        if m.contact not in case.exceptions and cause_of(m, details.get(m.contact), case.evidence) is Cause.CHANGED_BACK
    }
    if not back:
        return []
    now, patience = ground.clock.now(), ground.rules.patience
    # Our answers to earlier changes back; hand-overs that we followed, and undos, are no fight.
    answers = journal.writes.since(ground.portal, back, now - patience.within, Cause.CHANGED_BACK, now=now)
    times = {contact: [*answers.get(contact, ()), now] for contact in sorted(back)}
    return [
        _except(back[contact], case, f"changed back {len(moments)} times")
        for contact, moments in times.items()
        if flaps(moments, now, patience)
    ]


def _respected(plan: Plan, case: Case) -> list[NewException]:
    """Return the contacts whose owner a person chose, which is respected from now on."""
    return [
        _except(skip.mismatch, case, "a person edited the contact")
        for skip in plan.skips
        if skip.reason is Standing.RESPECTED and skip.mismatch.contact not in case.exceptions
    ]


def _except(mismatch: Mismatch, case: Case, why: str) -> NewException:
    detail = case.snapshot.contact_details.get(mismatch.contact)
    return NewException(
        contact=mismatch.contact,
        company=mismatch.company,
        company_owner=mismatch.company_owner,
        owner=mismatch.owner,
        last_editor=detail.modified_by if detail else None,
        last_edited_at=detail.modified if detail else None,
        detail=why,
    )
