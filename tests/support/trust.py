"""A world whose worker follows settings, and people who work in it between sweeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support.portal_fixture import ADMIN, ANN, BOB
from support.world import CLEO, World

from reconciler.engine.planning import Undo, rules_of
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import RunRequest
from reconciler.settings.model import Settings

if TYPE_CHECKING:
    from reconciler.core.model import Cause
    from reconciler.engine.run import RunResult
    from reconciler.journal.records import ApprovalRecord, NoApproval

#: An employee who owns nothing yet, and a director.
DORA, DIRECTOR = 10, 11
SLOT = 600.0


class TrustWorld(World):
    """A portal where contacts of Ann's and companies of Bob's meet a worker with policies."""

    def __init__(self, *args: Any, settings: dict[str, Any] | None = None, **options: Any) -> None:
        self.settings = Settings(**(settings or {}))
        super().__init__(*args, **({"scopes": ("crm", "user", "department", "im")} | options))
        self.office.user(DORA, name="Dora")
        self.office.user(DIRECTOR, name="Dan")

    def start(self) -> None:
        super().start()
        self.worker = replace(self.worker, rules=rules_of(self.settings))

    def configure(self, **sections: dict[str, Any]) -> None:
        """Go on with other settings."""
        self.settings = Settings(**sections)
        self.worker = replace(self.worker, rules=rules_of(self.settings))

    def tick(self, **order: Any) -> RunResult:
        """Run once, as the service does every ten minutes."""
        began = self.clock.monotonic()
        finished = self.run(**({"seconds": SLOT} | order))
        self.pass_time(began + SLOT - self.clock.monotonic())
        return finished

    def quick_tick(self, **order: Any) -> RunResult:
        """Run once without holding each write against the portal's record, which costs more than the run."""
        began = self.clock.monotonic()
        finished = reconcile(self.worker, RunRequest(**({"command": "service", "seconds": SLOT} | order)))
        self.pass_time(began + SLOT - self.clock.monotonic())
        return finished

    def pass_time(self, seconds: float) -> None:
        """Let people have a quiet time."""
        self.clock.sleep(max(0.0, seconds))

    def population(self, companies: int, each: int, owner: int = BOB, *, first: int = 1) -> None:
        """Add companies that are in order; contacts and companies are numbered from `first`."""
        contacts = [(first + number, owner, first + number // each, _OLD, _OLD) for number in range(companies * each)]
        rows = [(first + number, owner, _OLD, _OLD) for number in range(companies)]
        with self.portal.database.lock:
            connection = self.portal.database.connection
            connection.executemany(
                "INSERT INTO company (id, assigned_by_id, date_create, date_modify) VALUES (?, ?, ?, ?)", rows
            )
            connection.executemany(
                "INSERT INTO contact (id, assigned_by_id, company_id, date_create, date_modify) VALUES (?, ?, ?, ?, ?)",
                contacts,
            )
            connection.executemany(
                "INSERT INTO contact_company (contact_id, company_id, is_primary) VALUES (?, ?, 'Y')",
                [(contact, company) for contact, _, company, _, _ in contacts],
            )
        self.portal.database.write("UPDATE user SET name = name")  # so that counts in its cache are stale

    def hand_over(self, company: int, owner: int) -> None:
        """Give a company to another owner."""
        self.portal.people.edit_company(company, ADMIN, assigned_by_id=owner)

    def give(self, contact: int, owner: int, by: int = CLEO) -> None:
        """Give a contact to another owner."""
        self.portal.people.edit_contact(contact, by, assigned_by_id=owner)

    def approve(self, digest: str) -> ApprovalRecord | NoApproval:
        """Say yes, as `reconciler approve` does."""
        return self.journal.approvals.approve("portal", digest, by="Ada", how="on the command line")

    def undo(self, **what: Any) -> RunResult:
        """Take something back."""
        approve = what.pop("approve", "")
        return self.run(command="undo", undo=Undo(**what), approve=approve)

    def release(self) -> None:
        """End all exceptions, as `reconciler exceptions release` does."""
        entries = self.journal.exceptions.entries("portal")
        self.journal.exceptions.release("portal", [entry.id for entry in entries], "Ada")

    def causes(self, finished: RunResult) -> dict[int, Cause]:
        """Return contact -> cause, of what was planned and of what was left alone."""
        assert finished.proposal is not None
        plan = finished.proposal.plan
        return {change.contact: change.cause for change in plan.changes} | {
            skip.mismatch.contact: skip.cause for skip in plan.skips
        }

    def reasons(self, finished: RunResult) -> dict[int, str]:
        """Return contact -> why it was left alone."""
        assert finished.proposal is not None
        return {skip.mismatch.contact: skip.reason.value for skip in finished.proposal.plan.skips}

    def owners(self, *contacts: int) -> list[int]:
        """Return who owns these contacts."""
        return [self.owner_of(contact) for contact in contacts]

    def written(self) -> list[tuple[int, int]]:
        """Return (contact, owner) of what came through the webhook, in order."""
        return [(edit.id, edit.after) for edit in self.portal.history if edit.source == "rest"]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the journal's file itself."""
        with closing(sqlite3.connect(self.journal.path)) as connection:
            return connection.execute(statement).fetchall()


_OLD = 1_767_225_600 - 1_000

__all__ = ["ADMIN", "ANN", "BOB", "CLEO", "DIRECTOR", "DORA", "SLOT", "TrustWorld"]
