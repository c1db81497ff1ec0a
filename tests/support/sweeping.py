"""Watchers, who look at a portal without writing to it, and a crowd of people who are at work in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from support.portal_fixture import ANN, BOB, START, Office
from support.portal_line import Line
from support.world import CLEO, MEMORY, template

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.model import Mismatch, Standing
from reconciler.engine.planning import PlanRequest, Rules, propose
from reconciler.engine.reconcile import _left
from reconciler.journal.store import open_journal
from reconciler.portal.read.sweep import Reader, SweepOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from reconciler.core.companies import Roster, Strategy
    from reconciler.core.snapshot import Snapshot
    from reconciler.engine.planning import PlannedRun
    from reconciler.portal.read.sweep import Scope

#: Eve was dismissed; nobody has the number 99.
EVE = 20
OWNERS = (0, ANN, BOB, CLEO, EVE, 99)
_TRUTH = """
    SELECT contact.id, company.id, contact.assigned_by_id, company.assigned_by_id
    FROM contact JOIN company ON company.id = contact.company_id
    WHERE contact.category_id = 0 AND company.category_id = 0 AND company.is_my_company = 'N'
      AND contact.assigned_by_id != company.assigned_by_id
"""


def office(**options: Any) -> Office:
    """Return a portal with people, one of them dismissed, and no companies."""
    made = Office(clock=VirtualClock(Timeline()), **options)
    made.user(CLEO, name="Cleo")
    made.user(EVE, name="Eve", active=0)
    return made


def truth(of: Office) -> set[Mismatch]:
    """Return all drift there is, from the portal's own tables."""
    return {
        Mismatch(contact=contact, company=company, owner=owner, company_owner=wanted)
        for contact, company, owner, wanted in of.database.rows(_TRUTH)
    }


def companies_of(of: Office) -> dict[int, int]:
    """Return company -> owner as the portal has them."""
    rows = of.database.rows("SELECT id, assigned_by_id FROM company WHERE category_id = 0 AND is_my_company = 'N'")
    return {row["id"]: row["assigned_by_id"] for row in rows}


class Watcher:
    """Sweeps a portal with a journal of its own, and remembers what it saw."""

    def __init__(self, of: Office, strategy: Strategy | None = None, lanes: int = 1, **tactics: Any) -> None:
        self.line = Line(of, lanes=lanes, attempts=3)
        self.rules = Rules()
        self._tactics = SweepOptions(strategy=strategy, **tactics)
        self._folder = TemporaryDirectory(dir=MEMORY)
        file = shutil.copy(template(), Path(self._folder.name) / "journal.db")
        self.journal = open_journal(f"sqlite:///{file}", self.line.clock)

    def look(self) -> PlannedRun:
        """Sweep, plan and remember."""
        ground = PlanRequest(portal="portal", clock=self.line.clock, rules=self.rules)
        reader = Reader(self.line.client, lambda *_: None, self._tactics)
        proposal = propose(reader, self.journal, ground)
        self.journal.sweeps.remember("portal", proposal.snapshot, _left(proposal, {}))
        return proposal

    def part(self, scope: Scope) -> Snapshot:
        """Look at a part of the portal."""
        return Reader(self.line.client, lambda *_: None, self._tactics).sweep(scope, self.rules.wants)

    @property
    def roster(self) -> Roster:
        """What it knows of the companies."""
        roster = self.journal.sweeps.known("portal").roster
        assert roster is not None
        return roster

    def cost(self) -> dict[str, int]:
        """Return the requests and the commands of one more look."""
        before = self.line.client.usage
        self.look()
        after = self.line.client.usage
        return {"requests": after.requests - before.requests, "commands": after.commands - before.commands}

    def close(self) -> None:
        self.journal.close()
        self._folder.cleanup()


def seen(proposal: PlannedRun) -> dict[str, Any]:
    """Return what must not depend on how the portal was read."""
    plan = proposal.plan
    return {
        "changes": plan.changes,
        "skips": {(skip.mismatch, skip.reason, skip.cause) for skip in plan.skips},
        "roster": dict(proposal.snapshot.roster),
        "drift": set(proposal.snapshot.mismatches),
    }


def waiting(proposal: PlannedRun) -> set[int]:
    """Return the contacts that wait, because a company has vanished."""
    return {skip.mismatch.contact for skip in proposal.plan.skips if skip.reason is Standing.COMPANY_VANISHED}


class Crowd:
    """People who do anything, by chance."""

    def __init__(self, of: Office, random: Random) -> None:
        self._office = of
        self._people = of.portal.people
        self._random = random
        self._deleted: dict[str, list[int]] = {"company": [], "contact": []}

    def settle(self, companies: int, contacts: int) -> None:
        """Fill the portal: own companies, other categories, contacts of none, of one, of several companies."""
        pick, number = self._random, 1
        for _ in range(companies):
            number += pick.choice([1, 1, 1, 7, 60])
            own, category = pick.choices([("N", 0), ("Y", 0), ("N", 3)], [12, 1, 1])[0]
            self._office.company(number, pick.choice(OWNERS), is_my_company=own, category_id=category)
        number = 1
        for _ in range(contacts):
            number += pick.choice([1, 1, 1, 9, 80])
            company = pick.choice([None, *self._ids("company")])
            self._office.contact(number, pick.choice(OWNERS), company, category_id=pick.choices([0, 3], [12, 1])[0])

    def work(self, edits: int) -> None:
        """Do so many things."""
        deeds: list[Callable[[], None]] = [
            *[self._hand_over] * 3, *[self._give] * 3, *[self._link] * 2, self._unlink, self._own, self._delete_company,
            self._restore_company, self._delete_contact, self._restore_contact, self._merge, self._found, self._import,
            self._create,
        ]  # fmt: skip
        for _ in range(edits):
            self._random.choice(deeds)()

    def _ids(self, table: str) -> list[int]:
        rows = self._office.database.rows(f"SELECT id FROM {table} ORDER BY id")  # noqa: S608 - a test's words
        return [row["id"] for row in rows]

    def _any(self, table: str) -> int | None:
        return self._random.choice([*self._ids(table)] or [None])

    def _owner(self) -> int:
        return self._random.choice(OWNERS)

    def _hand_over(self) -> None:
        if company := self._any("company"):
            self._people.edit_company(company, 1, assigned_by_id=self._owner())

    def _give(self) -> None:
        if contact := self._any("contact"):
            self._people.edit_contact(contact, CLEO, assigned_by_id=self._owner())

    def _link(self) -> None:
        company, contact = self._any("company"), self._any("contact")
        if company and contact:
            if self._random.random() < 0.5:
                self._people.bind_from_company(company, contact)
            else:
                self._people.bind(contact, company, primary=self._random.random() < 0.5)

    def _unlink(self) -> None:
        rows = self._office.database.rows("SELECT contact_id, company_id FROM contact_company")
        if rows:
            self._people.unbind(*self._random.choice([tuple(row) for row in rows]))

    def _own(self) -> None:
        if company := self._any("company"):
            self._people.edit_company(company, 1, is_my_company=self._random.choice("YNN"))

    def _delete_company(self) -> None:
        if company := self._any("company"):
            self._people.delete_company(company)
            self._deleted["company"].append(company)

    def _restore_company(self) -> None:
        if self._deleted["company"]:
            self._people.restore_company(self._deleted["company"].pop())

    def _delete_contact(self) -> None:
        if contact := self._any("contact"):
            self._people.delete_contact(contact)
            self._deleted["contact"].append(contact)

    def _restore_contact(self) -> None:
        if self._deleted["contact"]:
            self._people.restore_contact(self._deleted["contact"].pop())

    def _merge(self) -> None:
        duplicate, survivor = self._any("company"), self._any("company")
        if duplicate and survivor and duplicate != survivor:
            self._people.merge_companies(duplicate, survivor)

    def _found(self) -> None:
        self._people.create_company(1, assigned_by_id=self._owner())

    def _import(self) -> None:
        self._people.create_company(1, assigned_by_id=self._owner(), date_create=START - 9999, date_modify=START - 9999)

    def _create(self) -> None:
        self._people.create_contact(CLEO, self._any("company"), assigned_by_id=self._owner())
