"""What the portal itself knows: its tables, its history of edits, and its own counts of requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.simulator.edits import Edit
    from reconciler.simulator.portal import Portal

DISMISSED = "the company's owner is dismissed"
SEVERAL = "its companies have different owners"
#: Which companies are compared with their contacts.
COMPARED = "company.is_my_company = 'N' AND company.category_id = 0"
_ROWS = """
SELECT contact.id, contact.assigned_by_id AS owner, contact.date_create, company.id AS company, company.title,
       company.assigned_by_id AS company_owner,
       (SELECT COUNT(DISTINCT other.assigned_by_id) FROM contact_company JOIN company AS other
        ON other.id = contact_company.company_id WHERE contact_company.contact_id = contact.id) AS owners
FROM contact JOIN company ON company.id = contact.company_id
WHERE contact.category_id = 0 AND {compared} AND contact.assigned_by_id <> company.assigned_by_id
ORDER BY company.id, contact.id
"""


@dataclass(frozen=True)
class Drift:
    """A contact that has another owner than its company, and why, by the portal."""

    contact: int
    company: int
    owner: int
    company_owner: int
    cause: str
    #: Why it is left alone; empty: it is to be corrected.
    left: str


@dataclass
class Truth:
    """What the portal itself knows."""

    portal: Portal
    #: Which companies; all that are compared, by default.
    only: str = "TRUE"
    #: When the last sweep began, by the portal; None: there was none.
    swept: float | None = None
    #: Where its history and its counts stood before the command.
    edits: int = 0
    cost: tuple[int, int] = (0, 0)
    #: What the last sweep left as it is, and the cause that it had then.
    known: dict[tuple[int, int, int, int], str] = field(default_factory=dict)
    #: The company of each linked contact at that sweep.
    links: dict[int, int] = field(default_factory=dict)

    def count(self, what: str) -> int:
        """Count rows."""
        [(number,)] = self.portal.database.rows(f"SELECT COUNT(*) FROM {what}")  # noqa: S608 - what this module says
        return int(number)

    @property
    def companies(self) -> int:
        return self.count(f"company WHERE {self._compared}")

    @property
    def linked(self) -> int:
        return self.count("contact WHERE company_id IS NOT NULL AND category_id = 0")

    @property
    def compared(self) -> int:
        joined = "contact JOIN company ON company.id = company_id"
        return self.count(f"{joined} WHERE contact.category_id = 0 AND {self._compared}")

    @property
    def _compared(self) -> str:
        return f"{COMPARED} AND {self.only}"

    def drift(self) -> list[Drift]:
        """List the contacts with another owner than their company."""
        dismissed, found = self._dismissed(), []
        for row in self.portal.database.rows(_ROWS.format(compared=self._compared)):
            left = SEVERAL if row["owners"] > 1 else DISMISSED if row["company_owner"] in dismissed else ""
            key = (row["id"], row["company"], row["owner"], row["company_owner"])
            found.append(Drift(*key, self.known.get(key) or self._cause(row), left))
        return found

    def _dismissed(self) -> set[int]:
        return {row["id"] for row in self.portal.database.rows("SELECT id FROM user WHERE active = 0")}

    def _cause(self, row: Any) -> str:
        if self.swept is None:
            return "not known"
        history = self.portal.history
        ours = [edit for edit in history if edit.source == "rest" and (edit.entity, edit.id) == ("contact", row["id"])]
        since = [edit for edit in history if edit.at >= self.swept and edit.source == "person"]
        if ours and row["owner"] != ours[-1].after:
            return "changed back"
        handed = [edit.before for edit in history if (edit.entity, edit.id) == ("company", row["company"])]
        if row["owner"] in handed:
            return "handed over"
        if row["date_create"] >= self.swept:
            return "newly created"
        if any((edit.entity, edit.id) == ("contact", row["id"]) for edit in since):
            return "edited"
        # Where the company's owner has left, the link and the leaving look alike.
        known_link = self.links.get(row["id"]) != row["company"] and row["company_owner"] not in self._dismissed()
        return "newly linked" if known_link else "not known"

    def name(self, person: int) -> str:
        [(name,)] = self.portal.database.rows("SELECT trim(name || ' ' || last_name) FROM user WHERE id = ?", (person,))
        return str(name)

    def begin(self) -> None:
        """Note where the portal stands before a command."""
        self.edits = len(self.portal.history)
        stats = self.portal.stats()
        self.cost = (stats["requests"], sum(stats["commands"].values()))

    @property
    def spent(self) -> str:
        """What the command has cost the portal, by its own counts."""
        stats = self.portal.stats()
        requests, commands = (stats["requests"] - self.cost[0], sum(stats["commands"].values()) - self.cost[1])
        return f"{requests} request{'' if requests == 1 else 's'} ({commands} commands)"

    @property
    def requests(self) -> str:
        return self.spent.partition(" (")[0]

    def written(self) -> list[Edit]:
        """List what the command has changed."""
        return [edit for edit in self.portal.history[self.edits :] if edit.source == "rest"]

    def to_change(self) -> list[Drift]:
        """List what is to be corrected."""
        return [one for one in self.drift() if not one.left]

    def left(self) -> list[Drift]:
        """List what is left alone."""
        return [one for one in self.drift() if one.left]

    def end_sweep(self, began: float) -> None:
        """Remember what a complete sweep has seen, which began then."""
        self.known = {(one.contact, one.company, one.owner, one.company_owner): one.cause for one in self.drift()}
        linked = self.portal.database.rows("SELECT id, company_id FROM contact WHERE company_id IS NOT NULL")
        self.links = {row["id"]: row["company_id"] for row in linked}
        self.swept = began
