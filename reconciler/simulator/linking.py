"""`crm.contact.company.*` and `crm.company.contact.*`: links by raw SQL, which move no date and fire nothing (F3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.simulator import bindings
from reconciler.simulator.bindings import Link, with_primary
from reconciler.simulator.calls import Result
from reconciler.simulator.entities import COMPANY, CONTACT
from reconciler.simulator.errors import ACCESS_DENIED, RestError, crm
from reconciler.simulator.php import PhpArray, intval, strval
from reconciler.simulator.writing import owner_of

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.entities import Entity


@dataclass(frozen=True, slots=True)
class Side:
    """The card on which one works, and what is linked there."""

    own: Entity
    other: Entity

    @property
    def key(self) -> str:
        """The field that names the other record."""
        return f"{self.other.name}_id".upper()


CONTACT_SIDE = Side(CONTACT, COMPANY)
COMPANY_SIDE = Side(COMPANY, CONTACT)


def links_get(site: Site, call: Call, side: Side) -> Result:
    """Return all links of a record, without pages, with numbers as numbers; none for a record that is not there."""
    record_id = _record_id(call)
    if not call.caller.may_read_of(owner_of(site, side.own, record_id)):
        raise RestError(ACCESS_DENIED)
    rows = [
        {side.key: link.id, "SORT": link.sort, "ROLE_ID": link.role, "IS_PRIMARY": link.primary}
        for link in bindings.links(site.database, side.own.name, record_id)
    ]
    return Result(value=PhpArray(rows), rows=len(rows))


def link_add(site: Site, call: Call, side: Side) -> Result:
    """Link one more; false when it is linked already."""
    record_id, other_id, fields = _one(site, call, side, "fields")
    present = bindings.links(site.database, side.own.name, record_id)
    if other_id in (link.id for link in present):
        return Result(value=False)
    wish = _link(other_id, fields)
    wanted = [*present, wish]
    if wish.primary == "Y" or all(link.primary != "Y" for link in present):
        wanted = with_primary(wanted, other_id)
    _save(site, side, record_id, present, wanted)
    return Result(value=True)


def link_delete(site: Site, call: Call, side: Side) -> Result:
    """Remove one link; false when there is none."""
    record_id, other_id, _ = _one(site, call, side, "item")
    if other_id not in (link.id for link in bindings.links(site.database, side.own.name, record_id)):
        return Result(value=False)
    if side is CONTACT_SIDE:
        bindings.unbind_from_contact(site.database, record_id, other_id)
    else:
        bindings.unbind_from_company(site.database, record_id, [other_id])
    return Result(value=True)


def links_set(site: Site, call: Call, side: Side) -> Result:
    """Replace all links; the first that says so is primary, or else simply the first."""
    record_id = _record_id(call)
    items = call.param("items")
    if not isinstance(items, PhpArray):
        raise crm("The parameter items must be array.")
    _must_edit(site, call, side, record_id)
    wishes: dict[int, Link] = {}
    for position, item in enumerate(items.values()):
        number = intval(item.get(side.key)) if isinstance(item, PhpArray) else 0
        if number > 0:
            wishes[number] = _link(number, item, 10 * (position + 1))
    _must_read(site, call, side, wishes)
    primary = next((link.id for link in wishes.values() if link.primary == "Y"), next(iter(wishes), None))
    present = bindings.links(site.database, side.own.name, record_id)
    _save(site, side, record_id, present, with_primary(wishes.values(), primary))
    return Result(value=True)


def links_delete(site: Site, call: Call, side: Side) -> Result:
    """Remove all links."""
    record_id = _record_id(call)
    if not call.caller.may_edit_of(owner_of(site, side.own, record_id)):
        raise RestError(ACCESS_DENIED)
    _save(site, side, record_id, bindings.links(site.database, side.own.name, record_id), [])
    return Result(value=True)


def _record_id(call: Call) -> int:
    record_id = call.record_id()
    if record_id <= 0:
        # Single links quote the name, sets of them do not.
        quote = "'" if call.method.endswith((".company.add", ".contact.add")) or _single_delete(call) else ""
        raise crm(f"The parameter {quote}ownerEntityID{quote} is invalid or not defined.")
    return record_id


def _single_delete(call: Call) -> bool:
    return call.method.endswith((".company.delete", ".contact.delete"))


def _one(site: Site, call: Call, side: Side, name: str) -> tuple[int, int, PhpArray]:
    """Check a call about one link, in the portal's order, and return both ids and its fields."""
    record_id = _record_id(call)
    fields: Any = call.param("fields")
    if not isinstance(fields, PhpArray):
        raise crm(f"The parameter '{name}' must be array.")
    _must_edit(site, call, side, record_id)
    other_id = intval(fields.get(side.key))
    if other_id <= 0:
        raise crm("The parameter 'fields' is not valid.")
    _must_read(site, call, side, (other_id,))
    return record_id, other_id, fields


def _must_edit(site: Site, call: Call, side: Side, record_id: int) -> None:
    owner = owner_of(site, side.own, record_id)
    if not call.caller.may_edit_of(owner):
        raise RestError(ACCESS_DENIED)
    if owner is None:
        raise crm("Not found.")


def _must_read(site: Site, call: Call, side: Side, other_ids: Any) -> None:
    for other_id in other_ids:
        if not call.caller.may_read_of(owner_of(site, side.other, other_id)):
            raise crm(f"[{side.other.title} #{other_id}] You do not have permission to view this item")


def _link(other_id: int, fields: PhpArray, sort: int = 0) -> Link:
    primary = "Y" if strval(fields.get("IS_PRIMARY")) == "Y" else "N"
    return Link(other_id, max(0, intval(fields.get("SORT"))) or sort, 0, primary)


def _save(site: Site, side: Side, record_id: int, present: list[Link], wanted: list[Link]) -> None:
    """Bring the links of a record to what is wanted; first those that go, then those that come or change."""
    written, removed = bindings.changes(present, wanted)
    if side is CONTACT_SIDE:
        bindings.unbind_companies(site.database, record_id, removed)
        bindings.bind_companies(site.database, record_id, written)
    else:
        bindings.unbind_from_company(site.database, record_id, [link.id for link in removed])
        bindings.bind_contacts(site.database, record_id, written)
