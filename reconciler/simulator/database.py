"""The tables of the embedded portal: SQLite in memory, because the real portal turns filters into SQL too.

Ids are integers and never reused (F17: a restored record gets a new one), times are whole epoch seconds, flags of
the CRM are `'Y'` or `'N'` as on the portal, `NULL` is "empty".
"""

from __future__ import annotations

import sqlite3
import weakref
from array import array
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TABLES = """
CREATE TABLE contact (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT, second_name TEXT, last_name TEXT, honorific TEXT, birthdate INTEGER, post TEXT,
    company_id INTEGER,
    assigned_by_id INTEGER NOT NULL, created_by_id INTEGER NOT NULL DEFAULT 1, modify_by_id INTEGER NOT NULL DEFAULT 1,
    date_create INTEGER NOT NULL DEFAULT 0, date_modify INTEGER NOT NULL DEFAULT 0,
    category_id INTEGER NOT NULL DEFAULT 0,
    uf_crm_owner_fixed TEXT,   -- a yes/no field of the customer's own; TEXT, because portals write it in several ways
    type_id TEXT, source_id TEXT, source_description TEXT, comments TEXT,
    opened TEXT NOT NULL DEFAULT 'N', export TEXT NOT NULL DEFAULT 'N', lead_id INTEGER,
    originator_id TEXT, origin_id TEXT, origin_version TEXT,
    address TEXT, address_2 TEXT, address_city TEXT, address_postal_code TEXT, address_region TEXT,
    address_province TEXT, address_country TEXT, address_loc_addr_id TEXT,
    utm_source TEXT, utm_medium TEXT, utm_campaign TEXT, utm_content TEXT, utm_term TEXT
);
CREATE TABLE company (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL DEFAULT '',
    assigned_by_id INTEGER NOT NULL, created_by_id INTEGER NOT NULL DEFAULT 1, modify_by_id INTEGER NOT NULL DEFAULT 1,
    date_create INTEGER NOT NULL DEFAULT 0, date_modify INTEGER NOT NULL DEFAULT 0,
    is_my_company TEXT NOT NULL DEFAULT 'N', category_id INTEGER NOT NULL DEFAULT 0,
    uf_crm_owner_fixed TEXT,
    company_type TEXT, industry TEXT, employees TEXT, currency_id TEXT, revenue REAL NOT NULL DEFAULT 0,
    comments TEXT, banking_details TEXT, opened TEXT NOT NULL DEFAULT 'N', lead_id INTEGER,
    originator_id TEXT, origin_id TEXT, origin_version TEXT,
    address_country_code TEXT, address_legal TEXT, reg_address TEXT, reg_address_2 TEXT, reg_address_city TEXT,
    reg_address_postal_code TEXT, reg_address_region TEXT, reg_address_province TEXT, reg_address_country TEXT,
    reg_address_country_code TEXT, reg_address_loc_addr_id TEXT,
    address TEXT, address_2 TEXT, address_city TEXT, address_postal_code TEXT, address_region TEXT,
    address_province TEXT, address_country TEXT, address_loc_addr_id TEXT,
    utm_source TEXT, utm_medium TEXT, utm_campaign TEXT, utm_content TEXT, utm_term TEXT
);
CREATE TABLE contact_company (
    contact_id INTEGER NOT NULL, company_id INTEGER NOT NULL,
    sort INTEGER NOT NULL DEFAULT 10, role_id INTEGER NOT NULL DEFAULT 0, is_primary TEXT NOT NULL DEFAULT 'N',
    PRIMARY KEY (contact_id, company_id)
) WITHOUT ROWID;
CREATE TABLE multifield (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity TEXT NOT NULL,      -- 'contact' or 'company'
    entity_id INTEGER NOT NULL,
    type_id TEXT NOT NULL,     -- PHONE, EMAIL, WEB, IM, LINK
    value_type TEXT NOT NULL DEFAULT 'WORK',
    value TEXT NOT NULL
);
CREATE TABLE observer (
    entity TEXT NOT NULL, entity_id INTEGER NOT NULL, user_id INTEGER NOT NULL,
    PRIMARY KEY (entity, entity_id, user_id)
) WITHOUT ROWID;
CREATE TABLE user (
    id INTEGER PRIMARY KEY,
    active INTEGER NOT NULL DEFAULT 1, is_admin INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL DEFAULT '', last_name TEXT NOT NULL DEFAULT '', second_name TEXT NOT NULL DEFAULT '',
    email TEXT NOT NULL DEFAULT '', work_position TEXT NOT NULL DEFAULT '',
    departments TEXT NOT NULL DEFAULT '[]',        -- JSON list of department ids; employees have at least one
    user_type TEXT NOT NULL DEFAULT 'employee',    -- employee, extranet, bot, email, integrator
    xml_id TEXT NOT NULL DEFAULT '', phone_inner TEXT NOT NULL DEFAULT '',
    changed_at INTEGER,        -- when it was last changed; NULL: not since it was registered
    active_at INTEGER,         -- when last seen; NULL: never
    date_register INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE department (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, parent INTEGER, head INTEGER, sort INTEGER NOT NULL DEFAULT 500
);
CREATE INDEX multifield_entity ON multifield (entity, entity_id);
"""

# F14. There is no index on ASSIGNED_BY_ID anywhere, nor on a company's DATE_MODIFY, as on the real portal. The real
# one has an index on CATEGORY_ID; here it would only mislead SQLite, which knows no share of values without ANALYZE
# and would prefer "category 0", nearly every row, to an IN list of companies. What stands behind COMPANY_ID here saves
# our own processor time and changes no plan: a drift query passes over thousands of contacts to show a few.
_INDEXES = {
    "contact_company_id": "contact (company_id, category_id, assigned_by_id)",
    "contact_date_modify": "contact (date_modify)",
    "company_my": "company (is_my_company, category_id)",
    "contact_company_company": "contact_company (company_id)",
}


#: Lists of IDs of which pages are being read: of companies and of contacts, by two clients.
_KEPT_LISTS = 4


def _fold(text: str | None) -> str | None:
    return text if text is None else str(text).casefold()


class Database:
    """One in-memory database, one connection; whoever uses the connection holds `lock`."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, cached_statements=256
        )
        # A connection that nobody closed is a ResourceWarning from Python 3.13 on.
        weakref.finalize(self, self.connection.close)
        self.connection.row_factory = sqlite3.Row
        # The portal's collation ignores case in every alphabet, SQLite's only in ASCII.
        self.connection.create_function("fold", 1, _fold, deterministic=True)
        self.lock = RLock()
        #: Grows with each change of data; counts and lists of IDs are cached for one version.
        self.version = 0
        self._counts: dict[tuple[str, tuple[object, ...]], int] = {}
        self._ids: dict[tuple[str, tuple[object, ...]], array[int]] = {}
        self.connection.executescript(_TABLES)
        self._create_indexes()

    def changed(self) -> None:
        """Say that data changed, so that what is cached is forgotten."""
        self.version += 1
        self._counts.clear()
        self._ids.clear()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self.lock:
            return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Row | None:
        """Return the first row of a query."""
        with self.lock:
            row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
            return row

    def write(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Carry out one change and return how many rows it touched."""
        with self.lock:
            touched = self.connection.execute(sql, parameters).rowcount
            self.changed()
            return touched

    def insert(self, table: str, **columns: object) -> int:
        """Add a row and return its id."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self.lock:
            cursor = self.connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names come from the program
                tuple(columns.values()),
            )
            self.changed()
            return cursor.lastrowid or 0

    def count(self, sql: str, parameters: Sequence[object] = ()) -> tuple[int, bool]:
        """Return the number that a COUNT query gives, and whether it was still known from before."""
        key = (sql, tuple(parameters))
        with self.lock:
            known = self._counts.get(key)
            if known is not None:
                return known, True
            number = int(self.connection.execute(sql, parameters).fetchone()[0])
            self._counts[key] = number
            return number, False

    def ids(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[int]:
        """Return the numbers in the only column of a query; the last few lists are kept until something changes.

        A client that goes through a list by offset asks for it page by page, and each page would walk over all before.
        """
        key = (sql, tuple(parameters))
        with self.lock:
            known = self._ids.get(key)
            if known is None:
                known = array("q", (row[0] for row in self.connection.execute(sql, parameters)))
                if len(self._ids) == _KEPT_LISTS:
                    del self._ids[next(iter(self._ids))]
                self._ids[key] = known
            return known

    @contextmanager
    def bulk(self) -> Iterator[sqlite3.Connection]:
        """Fill tables in one transaction without indexes, which are made again at the end."""
        with self.lock:
            for name in _INDEXES:
                self.connection.execute(f"DROP INDEX {name}")
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            else:
                self.connection.execute("COMMIT")
            finally:
                self._create_indexes()
                self.changed()

    def clear(self) -> None:
        """Empty every table; ids start again."""
        with self.bulk() as connection:
            for table in ("contact", "company", "contact_company", "multifield", "observer", "user", "department"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names come from the program
            connection.execute("DELETE FROM sqlite_sequence")

    def close(self) -> None:
        with self.lock:
            self.connection.close()

    def _create_indexes(self) -> None:
        for name, columns in _INDEXES.items():
            self.connection.execute(f"CREATE INDEX {name} ON {columns}")
