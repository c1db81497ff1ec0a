"""`crm.item.*` for contacts (3) and companies (4): all categories, always the newer code (F2, F4, F17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.descriptions import DESCRIPTIONS
from reconciler.simulator.entities import COMPANY, CONTACT
from reconciler.simulator.errors import INTRANET_ONLY, RestError, controller
from reconciler.simulator.examining import examined
from reconciler.simulator.filters import Moment, Sql
from reconciler.simulator.itemfields import ITEM_FIELDS, complete, described, upper, written
from reconciler.simulator.itemfilters import item_order, item_where
from reconciler.simulator.itemvalues import wish_of_item
from reconciler.simulator.php import PhpArray, intval, is_numeric, strval
from reconciler.simulator.writing import name_nameless, owner_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.entities import Entity
    from reconciler.simulator.itemfields import ItemField

PAGE = 50
_TYPES = {CONTACT.type_id: CONTACT, COMPANY.type_id: COMPANY}
#: What an item gets that does not say otherwise: the first entry of each directory.
_DEFAULTS: dict[str, dict[str, str]] = {
    CONTACT.name: {"opened": "Y", "export": "Y", "type_id": "CLIENT", "source_id": "CALL"},
    COMPANY.name: {
        "opened": "Y",
        "company_type": "CUSTOMER",
        "industry": "IT",
        "employees": "EMPLOYEES_1",
        "currency_id": "USD",
    },
}
#: Old invoices, which the real methods refuse by a code of their own.
_OLD_INVOICE = 5


def item_list(site: Site, call: Call) -> Result:
    """Return a page; unlike the older lists this one does not begin again after its end."""
    entity = _entity(call)
    conditions, directions = _array(call, "filter"), _array(call, "order")
    select = [upper(strval(name)) for name in _array(call, "select", default=PhpArray(["*"])).values()]
    where = item_where(entity, conditions, Moment(call.now, call.utc_offset), own=call.caller.owner_limit())
    sorting = item_order(entity, directions)
    everything = "*" in select
    fields = [field for field in ITEM_FIELDS[entity.name].values() if everything or field.upper in select]
    offset = max(call.start, 0) // PAGE * PAGE
    if not call.caller.may_read():
        return Result(value={"items": []}, total=0, rows=0)
    found = _items(site, call, entity, fields, where.sql, sorting=sorting, offset=offset, fm=everything)
    items, looked = list(found.values()), examined(site.database, entity.table, where, found, sorting)
    if not everything and "ENTITY_TYPE_ID" not in select:
        for item in items:
            del item["entityTypeId"]
    if call.start < 0:
        return Result(
            value={"items": items}, total=0, rows=len(items), examined_rows=looked.rows, walked_rows=looked.walked
        )
    count = f"SELECT COUNT(*) FROM {entity.table} WHERE {where.sql.text}"  # noqa: S608 - a table's name
    total, known = site.database.count(count, where.sql.values)
    following = offset + len(items)
    return Result(
        value={"items": items},
        total=total,
        next=following if following < total else None,
        rows=len(items),
        counted_rows=0 if known else total,
        examined_rows=looked.rows,
        walked_rows=looked.walked,
    )


def item_get(site: Site, call: Call) -> Result:
    """Return one item of any category."""
    record_id, entity = _int(call, "id"), _entity(call)
    owner = _existing(site, entity, record_id)
    if not call.caller.may_read_of(owner):
        raise controller("ACCESS_DENIED", "You do not have permission to view this item")
    return _one(site, call, entity, record_id)


def item_add(site: Site, call: Call) -> Result:
    """Create an item, of a category too."""
    entity, fields = _entity(call), _required_array(call, "fields")
    if not call.caller.may_edit():
        raise controller("ACCESS_DENIED", "Access denied")
    wish = wish_of_item(entity, fields, call)
    for column, value in _DEFAULTS[entity.name].items():
        wish.columns.setdefault(column, value)
    category = intval(fields.get("categoryId"))
    if category > 0:
        wish.columns["category_id"] = category
    record_id = site.edits.create(entity, wish, by=call.caller.user_id)
    name_nameless(site, entity, record_id, wish)
    return _one(site, call, entity, record_id)


def item_update(site: Site, call: Call) -> Result:
    """Change an item; without a difference nothing is saved, and a new owner always gets a notice."""
    entity, record_id, fields = _entity(call), _int(call, "id"), _required_array(call, "fields")
    owner = _existing(site, entity, record_id)
    if not call.caller.may_edit_of(owner):
        raise controller("ACCESS_DENIED", "Access denied")
    site.edits.through_rest(entity, record_id, wish_of_item(entity, fields, call), by=call.caller.user_id, item=True)
    return _one(site, call, entity, record_id)


def item_delete(site: Site, call: Call) -> Result:
    """Move an item to the recycle bin."""
    entity, record_id = _entity(call), _int(call, "id")
    owner = _existing(site, entity, record_id)
    if not call.caller.may_edit_of(owner):
        raise controller("ACCESS_DENIED", "Access denied")
    site.bin.delete(entity, record_id)
    return Result(value=PhpArray())


def item_fields(site: Site, call: Call) -> Result:
    """Describe the fields of a type."""
    del site
    entity = _entity(call)
    if not call.caller.may_read():
        raise controller("ACCESS_DENIED", "You do not have permission to view this item")
    known = {description.name: description for description in DESCRIPTIONS[entity.name]}
    shown = [field for field in ITEM_FIELDS[entity.name].values() if field.sql != "NULL"]  # no fields switched off
    fields = {field.name: described(field, known) for field in shown}
    return Result(value={"fields": fields}, rows=0)


def _int(call: Call, name: str) -> int:
    """Return a number that must be there; these methods know each name in one spelling only."""
    value = call.params.get(name)
    if value is None:
        raise controller("100", f"Could not find value for parameter {{{name}}}")
    if not is_numeric(value):
        shown = "Array" if isinstance(value, PhpArray) else strval(value)
        expected = "Should be value of type int."
        raise controller("100", f"Invalid value {{{shown}}} to match with parameter {{{name}}}. {expected}")
    return intval(value)


def _array(call: Call, name: str, default: PhpArray | None = None) -> PhpArray:
    value = call.params.get(name)
    if value is None:
        return default if default is not None else PhpArray()
    if not isinstance(value, PhpArray):
        expected = "Should be value of type array."
        raise controller("100", f"Invalid value {{{strval(value)}}} to match with parameter {{{name}}}. {expected}")
    return value


def _required_array(call: Call, name: str) -> PhpArray:
    if call.params.get(name) is None:
        raise controller("100", f"Could not find value for parameter {{{name}}}")
    return _array(call, name)


def _entity(call: Call) -> Entity:
    type_id = _int(call, "entityTypeId")
    if not call.caller.intranet:
        raise RestError(INTRANET_ONLY)
    if type_id == _OLD_INVOICE:
        raise controller("ENTITY_TYPE_NOT_SUPPORTED", "Entity type Invoice is not supported")
    entity = _TYPES.get(type_id)
    if entity is None:
        raise controller("NOT_FOUND", "Smart process not found")
    return entity


def _existing(site: Site, entity: Entity, record_id: int) -> int:
    owner = owner_of(site, entity, record_id)
    if owner is None:
        raise controller("NOT_FOUND", "Item not found")
    return owner


def _one(site: Site, call: Call, entity: Entity, record_id: int) -> Result:
    fields = list(ITEM_FIELDS[entity.name].values())
    return Result(value={"item": _items(site, call, entity, fields, Sql("id = ?", (record_id,)))[record_id]})


def _items(
    site: Site,
    call: Call,
    entity: Entity,
    fields: Sequence[ItemField],
    where: Sql,
    *,
    sorting: str = "",
    offset: int = 0,
    fm: bool = True,
) -> dict[int, dict[str, Any]]:
    columns = ", ".join(["id", *(field.sql for field in fields if field.sql)])
    order = f" ORDER BY {sorting}" if sorting else ""
    rows = site.database.rows(
        f"SELECT {columns} FROM {entity.table} WHERE {where.text}{order} LIMIT {PAGE} OFFSET {offset}",  # noqa: S608
        where.values,
    )
    items = written(entity, fields, rows, call.utc_offset)
    complete(site.database, entity, fields, items, fm=fm)
    return items
