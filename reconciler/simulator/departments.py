"""The departments of the firm (F9), as far as one can read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.php import PhpArray, intval, strval, truthy
from reconciler.simulator.users import page_of

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site

PAGE = 50
_FIELDS = ("ID", "NAME", "SORT", "PARENT", "UF_HEAD")


def department_fields(site: Site, call: Call) -> Result:
    """Return the titles of a department's fields."""
    del site, call
    titles = {"ID": "ID", "NAME": "Department", "SORT": "Sorting", "PARENT": "Parent department", "UF_HEAD": "Head"}
    return Result(value=titles, rows=0)


def department_get(site: Site, call: Call) -> Result:
    """Return a page of departments; a key without a value is missing."""
    query = call.params.upper_keys()
    sort, direction = strval(query.pop("SORT")).upper(), strval(query.pop("ORDER"))
    conditions = query.get("FILTER")
    if isinstance(conditions, PhpArray):
        # As for users, the filter replaces every other parameter.
        query = conditions.upper_keys()
    departments = []
    for row in site.database.rows("SELECT id, name, sort, parent, head FROM department ORDER BY id"):
        department = {"ID": str(row["id"]), "NAME": row["name"], "SORT": row["sort"]}
        department |= {"PARENT": str(row["parent"])} if row["parent"] else {}
        department |= {"UF_HEAD": str(row["head"])} if row["head"] else {}
        departments.append(department)
    for name in _FIELDS:
        if name in query:
            value = query.get(name)
            wanted = [strval(item) for item in (value.values() if isinstance(value, PhpArray) else [value])]
            departments = [department for department in departments if str(department.get(name, "0")) in wanted]
    if sort in _FIELDS and truthy(direction):
        departments.sort(key=lambda department: _sortable(department, sort), reverse=direction.upper() == "DESC")
    return page_of(departments, max(call.start, 0) // PAGE * PAGE, dict, counted=call.start >= 0)


def _sortable(department: dict[str, Any], name: str) -> Any:
    return department["NAME"].casefold() if name == "NAME" else intval(department.get(name))
