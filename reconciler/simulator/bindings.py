"""Links between contacts and companies: raw SQL that moves no DATE_MODIFY and leaves no trace (F3, F17)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.simulator.database import Database


@dataclass(frozen=True, slots=True)
class Link:
    """One link as seen from one of its ends: the other end, and what stands in the link itself."""

    id: int
    #: 0 for "at the end".
    sort: int = 0
    role: int = 0
    primary: str = "N"


def links(database: Database, own: str, record_id: int) -> list[Link]:
    """Return the links of a `contact` or a `company` in the order of its card."""
    other = "company" if own == "contact" else "contact"
    rows = database.rows(
        f"SELECT {other}_id, sort, role_id, is_primary FROM contact_company"  # noqa: S608 - names of the program
        f" WHERE {own}_id = ? ORDER BY sort, {other}_id",
        (record_id,),
    )
    return [Link(*row) for row in rows]


def companies_of(database: Database, contact_id: int) -> list[int]:
    """Return the ids of a contact's companies in the order of the card."""
    return [link.id for link in links(database, "contact", contact_id)]


def contacts_of(database: Database, company_id: int) -> list[int]:
    """Return the ids of all contacts linked to a company, primary or not."""
    rows = database.rows(
        "SELECT contact_id FROM contact_company WHERE company_id = ? ORDER BY contact_id", (company_id,)
    )
    return [row["contact_id"] for row in rows]


def with_primary(wanted: Iterable[Link], primary: int | None) -> list[Link]:
    """Mark one link as the primary one, and no other."""
    return [replace(link, primary="Y" if link.id == primary else "N") for link in wanted]


def changes(present: Sequence[Link], wanted: Sequence[Link]) -> tuple[list[Link], list[Link]]:
    """Return the links to write and those to remove.

    Written is what is new, has another place, or gives "primary" away or takes it; what stays is not touched.
    """
    before = {link.id: link for link in present}
    after = {link.id: link for link in wanted}
    removed = [link for link in present if link.id not in after]
    last = max((link.sort for link in present), default=0)
    added: dict[int, Link] = {}
    for link in after.values():
        if link.id in before:
            if link.sort != before[link.id].sort:
                added[link.id] = link
            continue
        if not link.sort:
            last += 10
            link = replace(link, sort=last)  # noqa: PLW2901 - the place at the end
        added[link.id] = link
    given = next((link.id for link in reversed(present) if link.primary == "Y"), None)
    taken = next((link.id for link in reversed(wanted) if link.primary == "Y"), None)
    if given != taken:
        for changed in (taken, given):
            if changed in after:
                added.setdefault(changed, after[changed])
    return list(added.values()), removed


def set_companies(database: Database, contact_id: int, company_ids: Sequence[int]) -> None:
    """Replace all links of a contact; the first company becomes the primary one."""
    with database.lock:
        database.write("DELETE FROM contact_company WHERE contact_id = ?", (contact_id,))
        chosen = [Link(company_id, 10 * (place + 1)) for place, company_id in enumerate(dict.fromkeys(company_ids))]
        bind_companies(database, contact_id, with_primary(chosen, chosen[0].id if chosen else None))
        if not chosen:
            refresh_primary(database, contact_id)


def bind_companies(database: Database, contact_id: int, written: Sequence[Link]) -> None:
    """Write links on the contact's card, with the marks they have."""
    with database.lock:
        for link in written:
            _write(database, contact_id, link.id, link)
        if written:
            refresh_primary(database, contact_id)


def bind_contacts(database: Database, company_id: int, written: Sequence[Link]) -> None:
    """Write links on the company's card: it steals "primary" from all others, whatever mark they have (F3)."""
    with database.lock:
        for link in written:
            database.write("UPDATE contact_company SET is_primary = 'N' WHERE contact_id = ?", (link.id,))
            _write(database, link.id, company_id, replace(link, primary="Y"))
            refresh_primary(database, link.id)


def bind_from_contact(database: Database, contact_id: int, company_id: int, *, primary: bool = False) -> None:
    """Add a link on the contact's card; the first one is primary, a later one only when asked for."""
    with database.lock:
        present = links(database, "contact", contact_id)
        wanted = [*present, Link(company_id)]
        if company_id in (link.id for link in present):
            return
        if primary or all(link.primary != "Y" for link in present):
            wanted = with_primary(wanted, company_id)
        bind_companies(database, contact_id, changes(present, wanted)[0])


def bind_from_company(database: Database, company_id: int, contact_ids: Sequence[int]) -> None:
    """Add contacts on the company's card."""
    with database.lock:
        present = links(database, "company", company_id)
        new = [Link(contact_id) for contact_id in dict.fromkeys(contact_ids)]
        written, _ = changes(present, [*present, *new])
        again = [link for link in present if link.id in set(contact_ids)]
        bind_contacts(database, company_id, [*written, *again])


def unbind_from_contact(database: Database, contact_id: int, company_id: int) -> None:
    """Remove a link on the contact's card; after the primary one the first that is left becomes primary (F3)."""
    with database.lock:
        present = links(database, "contact", contact_id)
        left = [link for link in present if link.id != company_id]
        if left and any(link.primary == "Y" for link in present if link.id == company_id):
            left = with_primary(left, left[0].id)
        written, removed = changes(present, left)
        bind_companies(database, contact_id, written)
        unbind_companies(database, contact_id, removed)


def unbind_companies(database: Database, contact_id: int, removed: Sequence[Link]) -> None:
    """Remove links on the contact's card, and leave the marks of the others as they are."""
    with database.lock:
        for link in removed:
            _delete(database, contact_id, link.id)
        refresh_primary(database, contact_id)


def unbind_from_company(database: Database, company_id: int, contact_ids: Iterable[int]) -> None:
    """Remove contacts on the company's card: COMPANY_ID becomes the smallest company left, primary or not (F17)."""
    with database.lock:
        for contact_id in contact_ids:
            _delete(database, contact_id, company_id)
            _smallest_left(database, contact_id, company_id)


def rebind(database: Database, from_company: int, to_company: int) -> None:
    """Bind all contacts of both companies to one, as a merge does: it becomes primary for each of them (F17)."""
    with database.lock:
        contacts = dict.fromkeys([*contacts_of(database, from_company), *contacts_of(database, to_company)])
        bind_contacts(database, to_company, [Link(number, 10 * (place + 1)) for place, number in enumerate(contacts)])
        database.write("DELETE FROM contact_company WHERE company_id = ?", (from_company,))


def refresh_primary(database: Database, contact_id: int) -> None:
    """Set a contact's own COMPANY_ID from its links, and nothing else."""
    database.write(
        "UPDATE contact SET company_id = (SELECT MIN(company_id) FROM contact_company"
        " WHERE contact_id = contact.id AND is_primary = 'Y') WHERE id = ?",
        (contact_id,),
    )


def _smallest_left(database: Database, contact_id: int, company_id: int) -> None:
    """Give a contact that lost its own company the smallest of the others."""
    database.write(
        "UPDATE contact SET company_id = (SELECT MIN(company_id) FROM contact_company"
        " WHERE contact_id = contact.id) WHERE id = ? AND company_id = ?",
        (contact_id, company_id),
    )


def _write(database: Database, contact_id: int, company_id: int, link: Link) -> None:
    database.write(
        "INSERT INTO contact_company (contact_id, company_id, sort, role_id, is_primary) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (contact_id, company_id) DO UPDATE"
        " SET sort = excluded.sort, role_id = excluded.role_id, is_primary = excluded.is_primary",
        (contact_id, company_id, link.sort, link.role, link.primary),
    )


def _delete(database: Database, contact_id: int, company_id: int) -> None:
    database.write("DELETE FROM contact_company WHERE contact_id = ? AND company_id = ?", (contact_id, company_id))
