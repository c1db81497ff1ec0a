"""`crm.contact.list`, `crm.company.list` and their `get` (F2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.entities import Kind, record
from reconciler.simulator.errors import crm
from reconciler.simulator.filters import Moment, order, where
from reconciler.simulator.php import PhpArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.entities import Entity, Field
    from reconciler.simulator.filters import Sql, Where

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
        return Result(
            value=PhpArray(rows),
            total=0,
            rows=len(rows),
            examined_rows=_examined(site, entity, selection, len(rows), sorting=sorting),
        )
    total, counted, examined = _count(site, entity, selection)
    page = call.start // PAGE
    if page * PAGE >= total:
        page = 0  # beyond the last page stands the first one again
    rows = []
    if total:
        rows = _page(site, call, entity, fields, selection, sorting=sorting, offset=page * PAGE)
    following = (page + 1) * PAGE
    return Result(
        value=PhpArray(rows),
        total=total,
        next=following if following < total else None,
        rows=len(rows),
        counted_rows=counted,
        examined_rows=examined + _examined(site, entity, selection, len(rows), sorting=sorting),
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


def _count(site: Site, entity: Entity, selection: Where) -> tuple[int, int, int]:
    """Return how many rows match, and how many a real COUNT walks over, by the index of companies or otherwise (F14).

    Our own count of the same data is kept, which no real portal does: it is charged each time.
    """
    sql = f"SELECT COUNT(*) FROM {entity.table}"  # noqa: S608 - a table's name
    total = site.database.count(f"{sql} WHERE {selection.sql.text}", selection.sql.values)[0]
    if selection.companies:
        return total, 0, _of_companies(site, sql, selection.companies)
    return total, total if selection.indexed else site.database.count(sql)[0], 0


def _of_companies(site: Site, count: str, companies: Sql) -> int:
    return site.database.count(f"{count} WHERE {companies.text}", companies.values)[0]


def _examined(site: Site, entity: Entity, selection: Where, returned: int, *, sorting: str) -> int:
    """Estimate the rows looked at and not returned; it only feeds the cost model (F14).

    Contacts of companies are sorted before they are cut to a page; without an order a full page ends the search.
    """
    sql = f"SELECT COUNT(*) FROM {entity.table}"  # noqa: S608 - a table's name
    if selection.companies and (sorting or returned < PAGE):
        looked_at = _of_companies(site, sql, selection.companies)
    elif selection.indexed or returned == PAGE:
        return 0
    else:
        looked_at = site.database.count(sql)[0]
    return max(0, looked_at - returned)


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
