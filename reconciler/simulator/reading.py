"""`crm.contact.list`, `crm.company.list` and their `get` (F2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.entities import Kind, record
from reconciler.simulator.errors import crm
from reconciler.simulator.examining import counted, examined
from reconciler.simulator.filters import Moment, order, where
from reconciler.simulator.php import PhpArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.entities import Entity, Field
    from reconciler.simulator.filters import Where

PAGE = 50


def list_records(site: Site, call: Call, entity: Entity) -> Result:
    """Return one page; see F2 for each oddity."""
    directions, conditions = call.array("order"), call.array("filter")
    select = [name for name in call.array("select").values() if isinstance(name, str)]
    if not call.caller.may_read():
        raise crm("Access denied.")
    selection = where(entity, conditions, Moment(call.now, call.utc_offset), own=call.caller.owner_limit())
    fields = entity.columns(select)
    sorting = order(entity, directions)
    if call.start < 0:
        # No COUNT: the total is 0 and there is never a `next`.
        rows = _page(site, call, entity, fields, selection, sorting=sorting)
        looked = examined(site.database, entity.table, selection, _numbers(rows), sorting)
        return Result(
            value=PhpArray(rows), total=0, rows=len(rows), examined_rows=looked.rows, walked_rows=looked.walked
        )
    total, walked_by_count, looked_at_by_count = counted(site.database, entity.table, selection)
    page = call.start // PAGE
    if page * PAGE >= total:
        page = 0  # beyond the last page stands the first one again
    rows = []
    if total:
        rows = _page(site, call, entity, fields, selection, sorting=sorting, offset=page * PAGE)
    looked = examined(site.database, entity.table, selection, _numbers(rows), sorting)
    following = (page + 1) * PAGE
    return Result(
        value=PhpArray(rows),
        total=total,
        next=following if following < total else None,
        rows=len(rows),
        counted_rows=walked_by_count,
        examined_rows=looked_at_by_count + looked.rows,
        walked_rows=looked.walked,
    )


def get_record(site: Site, call: Call, entity: Entity) -> Result:
    """Return one record with all its fields, or refuse in the portal's order of checks."""
    record_id = call.record_id()
    if record_id <= 0:
        raise crm("ID is not defined or invalid.")
    fields = entity.columns([])
    row = site.database.row(f"{_select(entity, fields)} WHERE id = ? AND category_id = 0", (record_id,))
    value = record(row, fields, call.utc_offset) if row is not None else None
    limit = call.caller.owner_limit()
    foreign = limit is not None and (value is None or value["ASSIGNED_BY_ID"] != str(limit))
    if foreign or not call.caller.may_read():
        raise crm("Access denied.")
    if value is None:
        raise crm("Not found")
    multiple = [field for field in entity.fields.values() if field.kind is Kind.MULTIPLE]
    _add_multifields(site, entity, multiple, {record_id: value})
    return Result(value=value)


def _numbers(rows: Sequence[dict[str, Any]]) -> list[int]:
    return [int(row["ID"]) for row in rows]


def _select(entity: Entity, fields: Sequence[Field]) -> str:
    return f"SELECT {', '.join(field.sql for field in fields)} FROM {entity.table}"  # noqa: S608 - names of the program


def _page(
    site: Site,
    call: Call,
    entity: Entity,
    fields: Sequence[Field],
    selection: Where,
    *,
    sorting: str,
    offset: int = 0,
) -> list[dict[str, Any]]:
    single = [field for field in fields if field.kind is not Kind.MULTIPLE]
    condition = f" WHERE {selection.sql.text}"
    # Without an order a table comes as it lies, and what an index narrows as that index has it.
    sorting = sorting or ("" if selection.indexed else "id ASC")
    if offset and sorting == "id ASC":
        ids = site.database.ids(f"SELECT id FROM {entity.table}{condition} ORDER BY id", selection.sql.values)  # noqa: S608
        page = tuple(ids[offset : offset + PAGE])
        marks = ", ".join("?" * len(page))
        rows = site.database.rows(f"{_select(entity, single)} WHERE id IN ({marks}) ORDER BY id", page)
    else:
        sql = _select(entity, single) + condition + (f" ORDER BY {sorting}" if sorting else "")
        rows = site.database.rows(f"{sql} LIMIT {PAGE} OFFSET {offset}", selection.sql.values)
    # ID is always among the fields, and always the first (entities._shared).
    records = {int(row[0]): record(row, single, call.utc_offset) for row in rows}
    _add_multifields(site, entity, [field for field in fields if field.kind is Kind.MULTIPLE], records)
    return list(records.values())


def _add_multifields(site: Site, entity: Entity, fields: Sequence[Field], records: dict[int, dict[str, Any]]) -> None:
    """Add PHONE and its like, for those records that have any."""
    if not fields or not records:
        return
    types = [field.name for field in fields]
    rows = site.database.rows(
        "SELECT entity_id, type_id, id, value_type, value FROM multifield WHERE entity = ?"  # noqa: S608 - marks only
        f" AND entity_id IN ({', '.join('?' * len(records))}) AND type_id IN ({', '.join('?' * len(types))})"
        " ORDER BY id",
        (entity.name, *records, *types),
    )
    for row in rows:
        entry = {"ID": str(row["id"]), "VALUE_TYPE": row["value_type"], "VALUE": row["value"]}
        values = records[row["entity_id"]].setdefault(row["type_id"], [])
        values.append({**entry, "TYPE_ID": row["type_id"]})
