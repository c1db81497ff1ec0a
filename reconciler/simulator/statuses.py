"""`crm.status.list`: the directories that hold the types of companies and of contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.errors import crm
from reconciler.simulator.php import PhpArray, strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site

#: Directory -> code and name of each entry, in its order.
_DIRECTORIES = {
    "COMPANY_TYPE": {
        "CUSTOMER": "Client",
        "SUPPLIER": "Supplier",
        "COMPETITOR": "Competitor",
        "PARTNER": "Partner",
        "OTHER": "Other",
    },
    "CONTACT_TYPE": {"CLIENT": "Clients", "SUPPLIER": "Suppliers", "PARTNER": "Partners", "OTHER": "Other"},
}
_FIELDS = ("ID", "ENTITY_ID", "STATUS_ID", "NAME")


def status_list(site: Site, call: Call) -> Result:
    """Return all entries that meet the filter, in one page; of an unknown directory none."""
    del site
    if not call.caller.may_read():
        raise crm("Access denied.")
    rows = _rows()
    for name, value in call.array("filter").upper_keys().items():
        if name in _FIELDS:
            rows = [row for row in rows if row[str(name)] == strval(value)]
    return Result(value=PhpArray(rows), total=len(rows), rows=len(rows))


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for directory, entries in _DIRECTORIES.items():
        for place, (code, name) in enumerate(entries.items(), 1):
            rows.append(
                {
                    "ID": str(100 + len(rows)),
                    "ENTITY_ID": directory,
                    "STATUS_ID": code,
                    "NAME": name,
                    "NAME_INIT": "",
                    "SORT": str(place * 10),
                    "SYSTEM": "N",
                    "CATEGORY_ID": None,
                    "COLOR": "",
                    "SEMANTICS": None,
                }
            )
    return rows
