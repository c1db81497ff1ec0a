"""The story of a backfill, for any size: `Story(world, backlog=30_000).run()`."""

from __future__ import annotations

from support.trust import ANN, BOB, CLEO, DORA, SLOT, TrustWorld

from reconciler.core.model import Cause, Result, Status
from reconciler.service.notifier import Notifier
from reconciler.settings.policy import Notify

#: Contacts of a company in the backlog.
EACH = 5


class Story:
    """People hand a company over, create a contact and link another one in each slot, while the backlog shrinks."""

    def __init__(self, world: TrustWorld, *, backlog: int, restart_at: int, slots: int = 40) -> None:
        self.world = world
        self.backlog = backlog
        self.restart_at = restart_at
        self.most_slots = slots
        #: Slots with writes.
        self.slots = 0
        #: Contact -> the slot in which it drifted; then how many slots it took.
        self.open: dict[int, int] = {}
        self.fixed_after: dict[int, int] = {}
        self.causes: dict[Cause, int] = {}
        world.population(backlog // EACH, EACH)
        # Companies that are in order, for people to act on.
        self.first = backlog + 1
        world.population(slots, 1, first=self.first)
        #: Contacts of Ann's without company, one to be linked in each slot.
        self.unlinked = self.first + slots
        world.portal.database.write("UPDATE contact SET assigned_by_id = ? WHERE id <= ?", (ANN, backlog))
        for slot in range(slots):
            world.office.contact(self.unlinked + slot, ANN)

    def run(self) -> None:
        """Tell it, and hold that nothing was lost, done twice, or told twice."""
        world = self.world
        herald = Notifier(world.worker, Notify(users=[1]), str)
        refused = world.quick_tick()
        herald.hear(refused)
        assert refused.report.status is Status.REFUSED
        assert refused.refusal is not None
        assert len(refused.refusal.verdict.held) == self.backlog
        assert world.written() == []
        world.approve(refused.refusal.digest)
        for slot in range(1, self.most_slots):
            self.people_act(slot)
            if slot == self.restart_at:
                world.restart()
                herald = Notifier(world.worker, Notify(users=[1]), str)
            began = world.clock.monotonic()
            finished = world.quick_tick()
            herald.hear(finished)
            # The slot is kept to, but for the request that was under way.
            assert finished.report.usage.duration_seconds < SLOT + 60
            assert world.clock.monotonic() - began < SLOT + 60
            assert finished.report.status is Status.APPLIED, finished.report
            for cause, count in finished.report.causes.items():
                self.causes[cause] = max(count, self.causes.get(cause, 0))
            self.slots += 1
            self.look(slot)
            if finished.let_through == finished.report.outcomes.get(Result.APPLIED, 0):
                break
        self.end()

    def people_act(self, slot: int) -> None:
        """Make three fresh mismatches: of the company, by creation, by a link."""
        world, company = self.world, self.first + slot
        world.hand_over(company, DORA)
        world.pass_time(2)
        created = world.portal.people.create_contact(CLEO, company + 1)
        world.portal.people.bind_from_company(self.first, self.unlinked + slot)
        for contact in (company, created, self.unlinked + slot):
            self.open[contact] = slot

    def look(self, slot: int) -> None:
        """Note which of the fresh mismatches are set right."""
        rows = self.world.portal.database.rows(
            "SELECT contact.id FROM contact JOIN company ON company.id = contact.company_id"
            " WHERE contact.assigned_by_id <> company.assigned_by_id"
        )
        drifted = {row["id"] for row in rows}
        for contact in [contact for contact in self.open if contact not in drifted]:
            self.fixed_after[contact] = slot - self.open.pop(contact) + 1

    def end(self) -> None:
        """All is done, once each, with causes, an approval used up, and two notices: refused, and done."""
        world = self.world
        assert world.portal.drift() == 0
        assert not self.open
        written = world.written()
        # A contact that a second hand-over reached was written for it, too.
        assert len({contact for contact, _ in written if contact <= self.backlog}) == self.backlog
        assert len([contact for contact, _ in written if contact <= self.backlog]) == self.backlog
        assert {owner for contact, owner in written if contact <= self.backlog} == {BOB}
        assert self.causes[Cause.UNKNOWN] == self.backlog
        assert self.causes.keys() >= {Cause.COMPANY_OWNER_CHANGED, Cause.CONTACT_CREATED, Cause.NEWLY_LINKED}
        assert world.query("SELECT state FROM approval") == [("used",)]
        assert world.query("SELECT count(*) FROM change WHERE result IS NOT 'applied'") == [(0,)]
        assert len(world.portal.bell.shown) == 2
