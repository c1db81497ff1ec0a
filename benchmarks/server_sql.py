"""The SQL that the server of a portal builds for a list call, and the tables that it asks (facts: F2, F14).

Of both tables the columns that a list of ours selects or filters by, some of those that make rows as long as they are,
and all indexes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reconciler.simulator.filters import parse_key
from reconciler.simulator.php import PhpArray, intval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.simulator.calls import Call

PAGE = 50
TABLES = """
CREATE TABLE b_crm_contact (
    ID INT UNSIGNED NOT NULL AUTO_INCREMENT, DATE_CREATE DATETIME NOT NULL, DATE_MODIFY DATETIME NOT NULL,
    CREATED_BY_ID INT UNSIGNED NOT NULL, MODIFY_BY_ID INT UNSIGNED, ASSIGNED_BY_ID INT UNSIGNED,
    OPENED CHAR(1) DEFAULT 'N', COMPANY_ID INT, LEAD_ID INT, SOURCE_ID VARCHAR(50), SOURCE_DESCRIPTION TEXT,
    FULL_NAME VARCHAR(100), NAME VARCHAR(50), LAST_NAME VARCHAR(50), SECOND_NAME VARCHAR(50), HONORIFIC VARCHAR(128),
    BIRTHDATE DATE, POST VARCHAR(255), TYPE_ID VARCHAR(50), COMMENTS TEXT, EXPORT CHAR(1) NOT NULL DEFAULT 'N',
    HAS_PHONE CHAR(1) DEFAULT 'N', HAS_EMAIL CHAR(1) DEFAULT 'N', HAS_IMOL CHAR(1) DEFAULT 'N', FACE_ID INT,
    SEARCH_CONTENT MEDIUMTEXT, CATEGORY_ID INT UNSIGNED NOT NULL DEFAULT 0, WEBFORM_ID INT,
    ORIGINATOR_ID VARCHAR(255), ORIGIN_ID VARCHAR(255), ORIGIN_VERSION VARCHAR(255), UF_CRM_OWNER_FIXED TEXT,
    LAST_ACTIVITY_TIME DATETIME, LAST_ACTIVITY_BY INT UNSIGNED, PRIMARY KEY (ID),
    INDEX IX_CRM_CONTACT_COMPANY_ID (COMPANY_ID), INDEX IX_CRM_CONTACT_CATEGORY_ID (CATEGORY_ID),
    INDEX IX_CRM_CONTACT_DATE_MODIFY (DATE_MODIFY), INDEX IX_CRM_CONTACT_FULL_NAME (FULL_NAME),
    INDEX IX_CRM_CONTACT_LAST_NAME (LAST_NAME, NAME), INDEX IX_CRM_CONTACT_ACTIVITY (LAST_ACTIVITY_TIME)
);
CREATE TABLE b_crm_company (
    ID INT UNSIGNED NOT NULL AUTO_INCREMENT, DATE_CREATE DATETIME NOT NULL, DATE_MODIFY DATETIME NOT NULL,
    CREATED_BY_ID INT UNSIGNED NOT NULL, MODIFY_BY_ID INT UNSIGNED, ASSIGNED_BY_ID INT UNSIGNED,
    OPENED CHAR(1) DEFAULT 'N', LEAD_ID INT, TITLE VARCHAR(255), ADDRESS TEXT, ADDRESS_LEGAL TEXT,
    BANKING_DETAILS TEXT, COMMENTS TEXT, COMPANY_TYPE VARCHAR(50), INDUSTRY VARCHAR(50), REVENUE DECIMAL(18,4),
    CURRENCY_ID VARCHAR(50), EMPLOYEES VARCHAR(50), HAS_PHONE CHAR(1) DEFAULT 'N', HAS_EMAIL CHAR(1) DEFAULT 'N',
    IS_MY_COMPANY CHAR(1) NOT NULL DEFAULT 'N', SEARCH_CONTENT MEDIUMTEXT, CATEGORY_ID INT UNSIGNED NOT NULL DEFAULT 0,
    ORIGINATOR_ID VARCHAR(255), ORIGIN_ID VARCHAR(255), ORIGIN_VERSION VARCHAR(255), UF_CRM_OWNER_FIXED TEXT,
    LAST_ACTIVITY_TIME DATETIME, LAST_ACTIVITY_BY INT UNSIGNED, PRIMARY KEY (ID),
    INDEX IX_CRM_COMPANY_TITLE (TITLE), INDEX IX_CRM_COMPANY_MY (IS_MY_COMPANY, CATEGORY_ID),
    INDEX IX_CRM_COMPANY_ACTIVITY (LAST_ACTIVITY_TIME)
);
CREATE TABLE b_crm_contact_company (
    CONTACT_ID INT UNSIGNED NOT NULL, COMPANY_ID INT UNSIGNED NOT NULL, SORT INT UNSIGNED NOT NULL DEFAULT 0,
    ROLE_ID INT UNSIGNED NOT NULL DEFAULT 0, IS_PRIMARY CHAR(1) NOT NULL DEFAULT 'N',
    PRIMARY KEY (CONTACT_ID, COMPANY_ID), INDEX IX_CRM_CONTACT_COMPANY_COMPANY (COMPANY_ID)
);
"""


def _moment(column: str) -> str:
    return f"datetime({column}, 'unixepoch')"


_SHARED = {
    "ID": "id",
    "DATE_CREATE": _moment("date_create"),
    "DATE_MODIFY": _moment("date_modify"),
    "LAST_ACTIVITY_TIME": _moment("date_modify"),
    **{name: name.lower() for name in ("CREATED_BY_ID", "MODIFY_BY_ID", "ASSIGNED_BY_ID", "OPENED", "CATEGORY_ID")},
}
#: Of each table: the embedded portal's that it is filled from, and for each column what is put into it.
SOURCES = {
    "b_crm_contact": (
        "contact",
        {
            **_SHARED,
            "FULL_NAME": "name || ' ' || last_name",
            **{name: name.lower() for name in ("COMPANY_ID", "SOURCE_ID", "NAME", "LAST_NAME", "TYPE_ID", "EXPORT")},
        },
    ),
    "b_crm_company": (
        "company",
        {**_SHARED, **{name: name.lower() for name in ("TITLE", "COMPANY_TYPE", "INDUSTRY", "IS_MY_COMPANY")}},
    ),
    "b_crm_contact_company": (
        "contact_company",
        {name: name.lower() for name in ("CONTACT_ID", "COMPANY_ID", "SORT", "ROLE_ID", "IS_PRIMARY")},
    ),
}
_LISTS = {"crm.contact.list": "b_crm_contact", "crm.company.list": "b_crm_company"}
#: Of records by the newer method: the same columns under other names, as far as ours asks for them.
_ITEM_FIELDS = {"id": "ID", "companyId": "COMPANY_ID", "assignedById": "ASSIGNED_BY_ID", "updatedTime": "DATE_MODIFY"}
_ITEM_TABLES = {3: "b_crm_contact", 4: "b_crm_company"}
_MOMENTS = frozenset({"DATE_CREATE", "DATE_MODIFY"})
_NUMBERS = frozenset({"ID", "COMPANY_ID", "ASSIGNED_BY_ID", "CREATED_BY_ID", "MODIFY_BY_ID"})
#: What the server adds to each filter.
CATEGORY = "L.CATEGORY_ID IN (0)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a call."""

    #: "page" or "count".
    what: str
    table: str
    sql: str


def statements(call: Call) -> Iterator[Statement]:
    """Yield what the server asks its database for a list call: the count, unless `start` is negative, and the page."""
    if call.method == "crm.item.list":
        table = _ITEM_TABLES[int(call.params.get("entityTypeId"))]
        names = _ITEM_FIELDS
    else:
        table, names = _LISTS[call.method], {}
    conditions = [_condition(str(key), value, names) for key, value in call.array("filter").items()]
    where = " AND ".join(f"({condition})" for condition in [*conditions, CATEGORY])
    order = [
        f"L.{names.get(str(key), str(key))} {'ASC' if str(value).upper() == 'ASC' else 'DESC'}"
        for key, value in call.array("order").items()
    ]
    selected = [names.get(str(name), str(name)) for name in call.array("select").values()]
    columns = dict.fromkeys(["ID", *(name for name in selected if name != "companyIds")])
    if call.start >= 0 and call.method != "crm.item.list":
        yield Statement(what="count", table=table, sql=f"SELECT COUNT(L.ID) FROM {table} L WHERE {where}")  # noqa: S608
    page = f"SELECT {', '.join(f'L.{name}' for name in columns)} FROM {table} L WHERE {where}"  # noqa: S608
    page += f" ORDER BY {', '.join(order)}" if order else ""
    yield Statement(what="page", table=table, sql=f"{page} LIMIT {max(0, call.start)}, {PAGE}")


def _condition(key: str, value: Any, names: dict[str, str]) -> str:
    """Translate one key of a filter as the server's CSqlUtil does; what ours never sends is refused."""
    condition = parse_key(key)
    name = names.get(condition.field, condition.field)
    column, operation = f"L.{name}", condition.operation
    if operation == "@":
        listed = ", ".join(_literal(name, item) for item in _items(value))
        return f"{'NOT ' if condition.negative else ''}{column} IN ({listed})"
    if operation not in {"=", ">", "<", ">=", "<="} or condition.or_null:
        raise ValueError(f"no statement is known for the filter {key}")
    literal = _literal(name, value)
    if name in _NUMBERS and literal == "0" and "=" in operation:
        # No value counts as 0.
        empty = f"{column} IS NULL OR {column} {operation} 0"
        return f"{column} IS NOT NULL AND NOT {column} = 0" if condition.negative else empty
    compared = f"{column} {operation} {literal}"
    return f"{column} IS NULL OR NOT {compared}" if condition.negative else compared


def _items(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, PhpArray) else [value]


def _literal(name: str, value: Any) -> str:
    if name in _NUMBERS:
        return str(intval(value))
    if name in _MOMENTS:
        return f"'{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
    return "'" + str(value).replace("\\", "").replace("'", "''") + "'"
