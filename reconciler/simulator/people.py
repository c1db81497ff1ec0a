"""What people do in the user interface, for tests and for scripted faults: edits, links, deletions, dismissals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator import bindings
from reconciler.simulator.edits import Wish
from reconciler.simulator.entities import COMPANY, CONTACT
from reconciler.simulator.values import columns_of

if TYPE_CHECKING:
    from reconciler.simulator.database import Database
    from reconciler.simulator.edits import Edits
    from reconciler.simulator.recycling import RecycleBin


class People:
    """Everybody who works in the portal, except the worker under test."""

    def __init__(self, database: Database, edits: Edits, recycle_bin: RecycleBin) -> None:
        self._database = database
        self._edits = edits
        self._bin = recycle_bin

    def edit_contact(self, contact_id: int, by: int, **columns: Any) -> None:
        """Save a contact's card with other values, named as in the tables: `assigned_by_id=7`."""
        self._edits.by_person(CONTACT, contact_id, columns_of(CONTACT, columns), by=by)

    def edit_company(self, company_id: int, by: int, **columns: Any) -> None:
        """Save a company's card; no contact of it is touched (F3)."""
        self._edits.by_person(COMPANY, company_id, columns_of(COMPANY, columns), by=by)

    def move_contact(self, contact_id: int, company_id: int, by: int) -> None:
        """Save a contact's card with another company in the place of those it had."""
        self._edits.moved_by_person(contact_id, company_id, by=by)

    def create_contact(self, by: int, company_id: int | None = None, **columns: Any) -> int:
        """Add a contact, linked to a company or not, and return its id."""
        links = None if company_id is None else [company_id]
        return self._edits.create(CONTACT, Wish(columns=columns, links=links), by=by)

    def create_company(self, by: int, **columns: Any) -> int:
        """Add a company and return its id."""
        return self._edits.create(COMPANY, Wish(columns=columns), by=by)

    def bind(self, contact_id: int, company_id: int, *, primary: bool = False) -> None:
        """Link on the contact's card: no date moves (F3)."""
        bindings.bind_from_contact(self._database, contact_id, company_id, primary=primary)

    def bind_from_company(self, company_id: int, *contact_ids: int) -> None:
        """Link on the company's card: the company becomes primary for all of them, and no date moves (F3)."""
        bindings.bind_from_company(self._database, company_id, contact_ids)

    def unbind(self, contact_id: int, company_id: int) -> None:
        """Remove a link on the contact's card: no date moves (F3)."""
        bindings.unbind_from_contact(self._database, contact_id, company_id)

    def unbind_from_company(self, company_id: int, *contact_ids: int) -> None:
        """Remove links on the company's card (F17)."""
        bindings.unbind_from_company(self._database, company_id, contact_ids)

    def delete_contact(self, contact_id: int) -> None:
        """Move a contact to the recycle bin."""
        self._bin.delete(CONTACT, contact_id)

    def restore_contact(self, contact_id: int) -> int:
        """Take a contact out of the recycle bin: it comes back as a new record with a new id (F17)."""
        return self._bin.restore(CONTACT, contact_id)

    def delete_oldest_contacts(self, number: int) -> None:
        """Delete the contacts with the lowest ids."""
        for row in self._database.rows("SELECT id FROM contact ORDER BY id LIMIT ?", (number,)):
            self.delete_contact(row["id"])

    def delete_company(self, company_id: int) -> None:
        """Delete a company: its contacts get the smallest company that is left to them, and no date moves (F17)."""
        self._bin.delete(COMPANY, company_id)

    def restore_company(self, company_id: int) -> int:
        """Take a company out of the recycle bin, with a new id, and link it with its contacts again."""
        return self._bin.restore(COMPANY, company_id)

    def merge_companies(self, duplicate: int, survivor: int) -> None:
        """Merge two companies: all contacts of both belong to the survivor, and no date moves (F17)."""
        with self._database.lock:
            bindings.rebind(self._database, duplicate, survivor)
            self._database.write("DELETE FROM company WHERE id = ?", (duplicate,))

    def dismiss_user(self, user_id: int) -> None:
        """Take away an employee's account; what he or she owns stays as it is."""
        self._database.write("UPDATE user SET active = 0 WHERE id = ?", (user_id,))
