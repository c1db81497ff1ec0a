"""People, sweeps, approvals, undos and releases in any order: what must never happen, does not."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.trust import ANN, BOB, CLEO, TrustWorld
from support.world import MEMORY

from reconciler.core.model import Result, Rule, Standing, Status
from reconciler.engine.planning import PlanRequest, propose
from reconciler.portal.read.sweep import Reader

if TYPE_CHECKING:
    from reconciler.core.plan import Plan
    from reconciler.engine.run import RunResult
    from reconciler.journal.records import ChangeRecord

GUARD = 3
EXCLUDED = 12
CONTACTS = st.integers(1, 12)
COMPANIES = st.integers(101, 104)
OWNERS = st.sampled_from([ANN, BOB, CLEO])
_UNWRITTEN = {Standing.RESPECTED, Standing.QUARANTINED, Standing.UNDONE}


class Portal(RuleBasedStateMachine):
    """Twelve contacts, four companies, three people, and one worker who may change three contacts unasked."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        #: Digests that somebody was shown.
        self.shown: list[str] = []

    @initialize(
        companies=st.lists(OWNERS, min_size=4, max_size=4),
        contacts=st.lists(st.tuples(COMPANIES, OWNERS), min_size=12, max_size=12),
        person_edit=st.sampled_from(["overwrite", "respect"]),
        times=st.integers(1, 3),
    )
    def begin(self, companies: list[int], contacts: list[tuple[int, int]], person_edit: str, times: int) -> None:
        policy = {"person_edit": person_edit, "leave_contacts": [EXCLUDED], "quarantine_times": times}
        self.world = TrustWorld(Path(self.folder.name), settings={"policy": policy, "guard": {"changes": GUARD}})
        for company, owner in zip(range(101, 105), companies, strict=True):
            self.world.office.company(company, owner)
        for number, (company, owner) in enumerate(contacts, 1):
            self.world.office.contact(number, owner, company)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
        self.folder.cleanup()

    # People

    @rule(contact=CONTACTS, owner=OWNERS)
    def give(self, contact: int, owner: int) -> None:
        self.world.give(contact, owner)
        self.world.pass_time(5)

    @rule(company=COMPANIES, owner=OWNERS)
    def hand_over(self, company: int, owner: int) -> None:
        self.world.hand_over(company, owner)
        self.world.pass_time(5)

    @rule(contact=CONTACTS, company=COMPANIES)
    def link(self, contact: int, company: int) -> None:
        self.world.portal.people.bind_from_company(company, contact)

    @precondition(lambda self: self.shown)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        self.world.approve(data.draw(st.sampled_from(self.shown)))

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        entries = self.world.journal.exceptions.entries("portal")
        if entries:
            self.world.journal.exceptions.release("portal", [data.draw(st.sampled_from(entries)).id], "Ada")

    @rule()
    def restart(self) -> None:
        self.world.restart()

    # The worker

    @rule()
    def sweep(self) -> None:
        """Nothing excepted is written, nothing unseen passes, and afterwards there is nothing left to plan."""
        world = self.world
        rows = world.portal.database.rows("SELECT id, assigned_by_id FROM company")
        exceptions = world.journal.exceptions.in_force("portal", {row["id"]: row["assigned_by_id"] for row in rows})
        approved = set(world.journal.approvals.in_force("portal"))
        before = len(world.written())
        finished = world.tick()
        written = {contact for contact, _ in world.written()[before:]}
        assert not written & {contact for contact, kind in exceptions.items() if kind in _UNWRITTEN}
        assert EXCLUDED not in written
        self.guarded(finished, written, approved)
        if finished.report.status in {Status.APPLIED, Status.IN_SYNC}:
            assert self.plan().changes == ()

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        """Put back what nobody touched since, and no later run wrote again; the rest stays as it is."""
        world = self.world
        runs = [run.report.run for run in world.journal.runs() if run.report.outcomes.get(Result.APPLIED)]
        if not runs:
            return
        run = data.draw(st.sampled_from(runs))
        untouched = [row for row in world.journal.changes(run or 0) if self.untouched(row)]
        approved = set(world.journal.approvals.in_force("portal"))
        before = {contact: world.owner_of(contact) for contact in range(1, 13)}
        finished = world.undo(run=run)
        assert finished.proposal is None or len(finished.proposal.plan.changes) >= len(untouched)
        written = {contact for contact in before if world.owner_of(contact) != before[contact]}
        self.guarded(finished, written, approved)
        if finished.refusal is None:
            for row in untouched:
                assert world.owner_of(row.change.contact) == row.change.before
                # What is put forward follows its company again, which may have got another owner meanwhile.
                company_owner = world.office.row("company", row.change.company)["assigned_by_id"]
                followed = row.change.rule is Rule.UNDO and row.change.before != company_owner
                assert followed or self.plan_leaves(row.change.contact)
            changed = {c.contact for c in finished.proposal.plan.changes} if finished.proposal else set()
            assert written == changed

    # Inside

    def guarded(self, finished: RunResult, written: set[int], approved: set[tuple[int, int, int, int]]) -> None:
        """Hold what was written against the guard and the approvals from before."""
        if finished.proposal is None:
            assert not written
            return
        changes = {change.contact: change for change in finished.proposal.plan.changes}
        assert written <= changes.keys()
        unseen = {contact for contact in written if changes[contact].key not in approved}
        assert len(unseen) <= GUARD
        if finished.refusal is not None:
            self.shown.append(finished.refusal.digest)
            assert not written & {change.contact for change in finished.refusal.verdict.held}

    def untouched(self, row: ChangeRecord) -> bool:
        """Tell whether a write still stands just as it was left: owner, company, and no later write."""
        contact = row.change.contact
        later = self.world.query(f"SELECT count(*) FROM change WHERE contact_id = {contact} AND id > {row.id}")  # noqa: S608
        company = self.world.office.row("contact", contact)["company_id"]
        stands = (self.world.owner_of(contact), company) == (row.change.after, row.change.company)
        return row.result is Result.APPLIED and stands and later == [(0,)]

    def plan(self) -> Plan:
        """Plan, as `reconciler plan` does."""
        world = self.world
        ground = PlanRequest(portal="portal", clock=world.clock, rules=world.worker.rules)
        return propose(Reader(world.worker.client, lambda *_: None), world.journal, ground).plan

    def plan_leaves(self, contact: int) -> bool:
        """Tell whether a contact whose undo stands, or was itself taken back, would be left as it is."""
        return contact not in {change.contact for change in self.plan().changes}


TestPortal = Portal.TestCase
TestPortal.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
