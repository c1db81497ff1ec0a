"""How many rows a real database looks at for a page (F14). It only feeds the cost model.

Measured on MariaDB 10.11: contacts of companies are read by the index on COMPANY_ID, unless they are wanted in the
order of their IDs and many match. Then the server expects to fill a page soon by walking over the contacts of the
category in that order, and if few of those that it meets fit the rest of the filter, it walks over the whole table.
Ordered by COMPANY_ID, then ID, it never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.simulator.database import Database
    from reconciler.simulator.filters import Where

PAGE = 50
#: The server walks where it expects to meet at most so many rows for each that the index would give it: of 100,000
#: contacts it walks for 500 in 100 companies, and not for 250 in 50.
_RELUCTANCE = 40


@dataclass(frozen=True, slots=True)
class Examined:
    """What a page costs besides the rows that it shows."""

    #: Found by an index, and not shown.
    rows: int = 0
    #: Walked over in the order of the table.
    walked: int = 0


def examined(database: Database, table: str, where: Where, returned: Collection[int], sorting: str) -> Examined:
    """Estimate the rows that are looked at for a page with these IDs; `sorting` is its ORDER BY, or nothing."""
    if where.numbered:
        return Examined()
    full = len(returned) == PAGE
    count = f"SELECT COUNT(*) FROM {table}"  # noqa: S608 - a table's name
    if where.companies:
        if full and (not sorting or sorting.startswith("company_id ")):
            return Examined()  # in the order of the index: a full page ends the search
        found = database.count(f"{count} WHERE {where.companies.text}", where.companies.values)[0]
        everything = database.count(count)[0]
        if sorting.startswith("id ") and everything * PAGE <= _RELUCTANCE * found * found:
            return Examined(walked=_walked(database, table, everything, returned if full else ()))
        return Examined(rows=max(0, found - len(returned)))
    if where.indexed or full:
        return Examined()
    return Examined(rows=max(0, database.count(count)[0] - len(returned)))


def counted(database: Database, table: str, where: Where) -> tuple[int, int, int]:
    """Return how many rows match, and how many a COUNT walks over, or looks at by the index of companies.

    Our own count of the same data is kept, which no real portal does: it is charged each time.
    """
    count = f"SELECT COUNT(*) FROM {table}"  # noqa: S608 - a table's name
    total = database.count(f"{count} WHERE {where.sql.text}", where.sql.values)[0]
    if where.companies:
        return total, 0, database.count(f"{count} WHERE {where.companies.text}", where.companies.values)[0]
    return total, total if where.indexed else database.count(count)[0], 0


def _walked(database: Database, table: str, everything: int, last: Collection[int]) -> int:
    """Return how many rows lie before the last of a page, by its place among all IDs; without one, all."""
    ends = database.row(f"SELECT MIN(id), MAX(id) FROM {table}")  # noqa: S608 - a table's name
    if not last or ends is None or ends[0] == ends[1]:
        return everything
    lowest, highest = int(ends[0]), int(ends[1])
    return round(everything * (max(last) - lowest) / (highest - lowest))
