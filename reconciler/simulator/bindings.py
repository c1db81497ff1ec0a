"""Links between contacts and companies: raw SQL that moves no DATE_MODIFY and leaves no trace (F3, F17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.database import Database


def companies_of(database: Database, contact_id: int) -> list[int]:
    """Return the ids of a contact's companies in the order of the card."""
    rows = database.rows(
        "SELECT company_id FROM contact_company WHERE contact_id = ? ORDER BY sort, company_id", (contact_id,)
    )
    return [row["company_id"] for row in rows]


def contacts_of(database: Database, company_id: int) -> list[int]:
    """Return the ids of all contacts linked to a company, primary or not."""
    rows = database.rows(
        "SELECT contact_id FROM contact_company WHERE company_id = ? ORDER BY contact_id", (company_id,)
    )
    return [row["contact_id"] for row in rows]


def set_companies(database: Database, contact_id: int, company_ids: Sequence[int]) -> None:
    """Replace all links of a contact; the first company becomes the primary one."""
    with database.lock:
        database.write("DELETE FROM contact_company WHERE contact_id = ?", (contact_id,))
        for position, company_id in enumerate(dict.fromkeys(company_ids)):
            _insert(database, contact_id, company_id, 10 * (position + 1), primary=position == 0)
        refresh_primary(database, contact_id)


def bind_from_contact(database: Database, contact_id: int, company_id: int, *, primary: bool = False) -> None:
    """Add a link on the contact's card; the first one is primary, a later one only when asked for."""
    with database.lock:
        present = companies_of(database, contact_id)
        if company_id in present:
            return
        first = primary or not present
        if first:
            database.write("UPDATE contact_company SET is_primary = 'N' WHERE contact_id = ?", (contact_id,))
        _insert(database, contact_id, company_id, 10 * (len(present) + 1), primary=first)
        refresh_primary(database, contact_id)


def bind_from_company(database: Database, company_id: int, contact_ids: Sequence[int]) -> None:
    """Add contacts on the company's card: the company steals "primary" from all others (F3)."""
    with database.lock:
        for contact_id in contact_ids:
            sort = 10 * (len(companies_of(database, contact_id)) + 1)
            database.write("UPDATE contact_company SET is_primary = 'N' WHERE contact_id = ?", (contact_id,))
            _insert(database, contact_id, company_id, sort, primary=True)
            refresh_primary(database, contact_id)


def unbind_from_contact(database: Database, contact_id: int, company_id: int) -> None:
    """Remove a link on the contact's card; the first company left becomes primary (F3)."""
    with database.lock:
        _delete(database, contact_id, company_id)
        left = companies_of(database, contact_id)
        primary = database.row("SELECT 1 FROM contact_company WHERE contact_id = ? AND is_primary = 'Y'", (contact_id,))
        if left and primary is None:
            database.write(
                "UPDATE contact_company SET is_primary = 'Y' WHERE contact_id = ? AND company_id = ?",
                (contact_id, left[0]),
            )
        refresh_primary(database, contact_id)


def unbind_from_company(database: Database, company_id: int, contact_ids: Sequence[int]) -> None:
    """Remove contacts on the company's card: COMPANY_ID becomes the smallest company left, primary or not (F17)."""
    with database.lock:
        for contact_id in contact_ids:
            _delete(database, contact_id, company_id)
            _smallest_left(database, contact_id)


def rebind(database: Database, from_company: int, to_company: int) -> None:
    """Move all contacts of one company to another, as a merge does (F17)."""
    with database.lock:
        contacts = contacts_of(database, from_company)
        database.write(
            "UPDATE OR IGNORE contact_company SET company_id = ? WHERE company_id = ?", (to_company, from_company)
        )
        database.write("DELETE FROM contact_company WHERE company_id = ?", (from_company,))
        for contact_id in contacts:
            _smallest_left(database, contact_id)


def refresh_primary(database: Database, contact_id: int) -> None:
    """Set a contact's own COMPANY_ID from its links, and nothing else."""
    database.write(
        "UPDATE contact SET company_id = (SELECT MIN(company_id) FROM contact_company"
        " WHERE contact_id = contact.id AND is_primary = 'Y') WHERE id = ?",
        (contact_id,),
    )


def _smallest_left(database: Database, contact_id: int) -> None:
    database.write(
        "UPDATE contact SET company_id = (SELECT MIN(company_id) FROM contact_company"
        " WHERE contact_id = contact.id) WHERE id = ?",
        (contact_id,),
    )


def _insert(database: Database, contact_id: int, company_id: int, sort: int, *, primary: bool) -> None:
    database.write(
        "INSERT INTO contact_company (contact_id, company_id, sort, is_primary) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (contact_id, company_id) DO UPDATE SET is_primary = excluded.is_primary",
        (contact_id, company_id, sort, "Y" if primary else "N"),
    )


def _delete(database: Database, contact_id: int, company_id: int) -> None:
    database.write("DELETE FROM contact_company WHERE contact_id = ? AND company_id = ?", (contact_id, company_id))
