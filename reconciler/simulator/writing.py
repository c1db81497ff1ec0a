"""`add`, `update` and `delete` of contacts and companies; the order of the checks is the portal's (F4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.entities import CONTACT
from reconciler.simulator.errors import Refusal, RestError, crm
from reconciler.simulator.php import PhpArray, strval, truthy
from reconciler.simulator.values import wish_of

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.edits import Wish
    from reconciler.simulator.entities import Entity


def add_record(site: Site, call: Call, entity: Entity) -> Result:
    """Create a record of category 0; what has no name gets one."""
    fields, params = _fields(call), call.array("params")
    if not call.caller.may_edit():
        raise crm("Access denied.")
    importing = truthy(params.get("IMPORT"))
    wish = wish_of(entity, fields, call, importing=importing)
    wish.columns.setdefault("opened", "Y")
    if entity is CONTACT:
        wish.columns.setdefault("export", "Y")
    record_id = site.edits.create(entity, wish, by=call.caller.user_id, silent=importing)
    name_nameless(site, entity, record_id, wish)
    return Result(value=record_id)


def update_record(site: Site, call: Call, entity: Entity) -> Result:
    """Change a record of any category."""
    record_id = call.record_id()
    if record_id <= 0:
        raise crm("ID is not defined or invalid.")
    fields, params = _fields(call), call.array("params")
    owner = owner_of(site, entity, record_id)
    # Rights come before existence, so that a person with few rights is "denied" for a missing record too.
    if not call.caller.may_edit_of(owner):
        raise crm("Access denied.")
    if owner is None:
        raise crm(f"{entity.title} is not found")
    # The flag is the text 'Y': JSON `true` arrives as "1" and counts as N.
    sonet = strval(params.get("REGISTER_SONET_EVENT", "N")).upper() == "Y"
    site.edits.through_rest(entity, record_id, wish_of(entity, fields, call), by=call.caller.user_id, sonet=sonet)
    return Result(value=True)


def delete_record(site: Site, call: Call, entity: Entity) -> Result:
    """Move a record to the recycle bin."""
    record_id = call.record_id()
    if record_id <= 0:
        raise crm("ID is not defined or invalid.")
    owner = owner_of(site, entity, record_id)
    if not call.caller.may_edit_of(owner):
        raise crm("Access denied.")
    if owner is None:
        # The documentation gives the two types different answers.
        missing = (
            Refusal("ERROR_CORE", "Element not found") if entity is CONTACT else Refusal("", "Company is not found")
        )
        raise RestError(missing)
    site.bin.delete(entity, record_id)
    return Result(value=True)


def owner_of(site: Site, entity: Entity, record_id: int) -> int | None:
    """Return a record's owner, None when there is no such record."""
    sql = f"SELECT assigned_by_id FROM {entity.table} WHERE id = ?"  # noqa: S608 - a table's name
    row = site.database.row(sql, (record_id,))
    return int(row["assigned_by_id"]) if row is not None else None


def name_nameless(site: Site, entity: Entity, record_id: int, wish: Wish) -> None:
    """Call a record without a name by its number, as the portal does."""
    names = ("name", "last_name") if entity is CONTACT else ("title",)
    if not any(str(wish.columns.get(name) or "").strip() for name in names):
        column, title = names[-1], f"{entity.title} #{record_id}"
        site.database.write(f"UPDATE {entity.table} SET {column} = ? WHERE id = ?", (title, record_id))  # noqa: S608


def _fields(call: Call) -> PhpArray:
    fields: Any = call.param("fields")
    if not isinstance(fields, PhpArray):
        raise crm("Parameter 'fields' must be array.")
    return fields
