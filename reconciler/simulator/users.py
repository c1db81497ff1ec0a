"""Users and departments (F9, F17), as far as one can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.dates import iso, strtotime
from reconciler.simulator.filters import parse_key
from reconciler.simulator.php import EmptyObject, PhpArray, intval, strval, truthy

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.filters import Condition

PAGE = 50
_ALL_FIELDS = (
    *("ID", "ACTIVE", "NAME", "LAST_NAME", "SECOND_NAME", "EMAIL", "LAST_LOGIN", "DATE_REGISTER", "TIME_ZONE"),
    *("IS_ONLINE", "TIMESTAMP_X", "LAST_ACTIVITY_DATE", "PERSONAL_GENDER", "PERSONAL_WWW", "PERSONAL_BIRTHDAY"),
    *("PERSONAL_MOBILE", "PERSONAL_CITY", "WORK_PHONE", "WORK_POSITION", "UF_EMPLOYMENT_DATE", "UF_DEPARTMENT"),
    "USER_TYPE",
)
#: What nobody here has filled in; like other empty fields of a user it is shown as empty text.
_EMPTY = (
    *("PERSONAL_GENDER", "PERSONAL_WWW", "PERSONAL_BIRTHDAY", "PERSONAL_MOBILE", "PERSONAL_CITY", "WORK_PHONE"),
    "UF_EMPLOYMENT_DATE",
)
_TITLES = {
    "ACTIVE": "Active",
    "NAME": "First name",
    "LAST_NAME": "Last name",
    "SECOND_NAME": "Middle name",
    "EMAIL": "E-mail",
    "LAST_LOGIN": "Last sign-in",
    "DATE_REGISTER": "Registered on",
    "WORK_POSITION": "Position",
    "UF_DEPARTMENT": "Departments",
}
# Fields per scope: only the full one tells the user type, and the briefest has no address (F17).
_FIELDS = {
    "user": frozenset(_ALL_FIELDS),
    "user_basic": frozenset(_ALL_FIELDS) - {"USER_TYPE", "LAST_LOGIN", "PERSONAL_WWW"},
    "user_brief": frozenset(_ALL_FIELDS)
    - {"USER_TYPE", "LAST_LOGIN", "PERSONAL_WWW", "EMAIL", "PERSONAL_MOBILE", "WORK_PHONE"},
}
# Never in any answer, so "not returned" does not mean "dismissed" (F9).
_HIDDEN_TYPES = ("bot", "email", "integrator")


def user_get(site: Site, call: Call) -> Result:
    """Return a page of the users that the caller can see."""
    query = call.params.upper_keys()
    sort, direction, select = query.get("SORT"), query.get("ORDER"), query.get("SELECT")
    admin_mode = truthy(query.get("ADMIN_MODE")) and call.caller.admin
    if isinstance(query.get("FILTER"), PhpArray):
        # A mistake kept for compatibility: the filter replaces every other parameter.
        query = query.get("FILTER").upper_keys()
    users = [_user(row, call) for row in site.database.rows("SELECT * FROM user ORDER BY id")]
    unrestricted = admin_mode or (call.caller.admin and "ID" in query)
    users = [user for user in users if _visible(user, unrestricted=unrestricted)]
    for key, value in query.items():
        condition = parse_key(str(key))
        if condition.field in _ALL_FIELDS:
            users = [user for user in users if _matches(user, condition, value, call)]
    if truthy(sort) and truthy(direction) and strval(sort).upper() in _ALL_FIELDS:
        by = strval(sort).upper()
        users.sort(key=lambda user: _sortable(user[by]), reverse=strval(direction).upper() == "DESC")
    return _answer(users, call.start, lambda user: _shown(user, _names(select, call)))


def user_search(site: Site, call: Call) -> Result:
    """Return the users that a word of the filter fits, by the beginnings of names; `FIND` looks in all of them."""
    query = call.params.upper_keys().get("FILTER")
    wanted = query.upper_keys() if isinstance(query, PhpArray) else call.params.upper_keys()
    departments = {row["id"]: row["name"] for row in site.database.rows("SELECT id, name FROM department")}
    users = []
    for row in site.database.rows("SELECT * FROM user WHERE active = 1 ORDER BY id"):
        user = _user(row, call)
        texts = {name: user[name] for name in ("NAME", "LAST_NAME", "WORK_POSITION", "USER_TYPE")}
        texts["UF_DEPARTMENT_NAME"] = " ".join(departments.get(number, "") for number in user["UF_DEPARTMENT"])
        asked = {name: strval(wanted.get(name)) for name in texts if name in wanted}
        if "FIND" in wanted:
            texts["FIND"], asked = " ".join(texts.values()), {"FIND": strval(wanted.get("FIND"))}
        found = all(f" {text}".casefold() in f" {texts[name]}".casefold() for name, text in asked.items())
        if found and _visible(user, unrestricted=False):
            users.append(user)
    select = call.params.upper_keys().get("SELECT")
    return _answer(users, call.start, lambda user: _shown(user, _names(select, call)))


def user_fields(site: Site, call: Call) -> Result:
    """Return the titles of the fields that the caller's scope shows."""
    del site
    return Result(value={name: _TITLES.get(name, name) for name in _names(None, call)}, rows=0)


def user_current(site: Site, call: Call) -> Result:
    """Return the webhook's owner."""
    row = site.database.row("SELECT * FROM user WHERE id = ?", (call.caller.user_id,))
    user = _user(row, call) if row is not None else {"ID": call.caller.user_id}
    return Result(value=_shown(user, _names(None, call)))


def user_access(site: Site, call: Call) -> Result:
    """Tell whether the caller has any of the codes; an administrator always has."""
    del site
    asked = call.params.upper_keys().get("ACCESS")
    codes = {strval(code) for code in asked.values()} if isinstance(asked, PhpArray) else set()
    return Result(value=call.caller.admin or bool(codes & {"AU", "G2", f"U{call.caller.user_id}"}), rows=0)


def user_admin(site: Site, call: Call) -> Result:
    """Tell whether the webhook's owner is an administrator."""
    del site
    return Result(value=call.caller.admin)


def profile(site: Site, call: Call) -> Result:
    """Return the owner's name and whether he or she is an administrator; needs no scope."""
    row = site.database.row("SELECT name, last_name FROM user WHERE id = ?", (call.caller.user_id,))
    return Result(
        value={
            "ID": str(call.caller.user_id),
            "ADMIN": call.caller.admin,
            "NAME": row["name"] if row is not None else "",
            "LAST_NAME": row["last_name"] if row is not None else "",
            "PERSONAL_GENDER": "",
            "TIME_ZONE": "",
        }
    )


def department_fields(site: Site, call: Call) -> Result:
    """Return the titles of a department's fields."""
    del site, call
    titles = {"ID": "ID", "NAME": "Department", "SORT": "Sorting", "PARENT": "Parent department", "UF_HEAD": "Head"}
    return Result(value=titles, rows=0)


def department_get(site: Site, call: Call) -> Result:
    """Return a page of departments; a key without a value is missing (F9)."""
    query = call.params.upper_keys()
    departments = []
    for row in site.database.rows("SELECT id, name, sort, parent, head FROM department ORDER BY id"):
        department = {"ID": str(row["id"]), "NAME": row["name"], "SORT": row["sort"]}
        department |= {"PARENT": str(row["parent"])} if row["parent"] else {}
        department |= {"UF_HEAD": str(row["head"])} if row["head"] else {}
        departments.append(department)
    for name in ("ID", "NAME", "PARENT", "UF_HEAD"):
        if name in query:
            value = query.get(name)
            wanted = [strval(item) for item in (value.values() if isinstance(value, PhpArray) else [value])]
            departments = [department for department in departments if department.get(name, "0") in wanted]
    return _answer(departments, call.start, dict)


def _answer(rows: list[dict[str, Any]], start: int, show: Callable[[dict[str, Any]], dict[str, Any]]) -> Result:
    """Cut a page out of all rows; an empty one has no total, and there is no way back to page one (F9)."""
    offset = max(start, 0) // PAGE * PAGE
    page = rows[offset : offset + PAGE]
    if not page:
        return Result(value=PhpArray(), rows=0)
    value = PhpArray([show(row) for row in page])
    if start < 0:
        return Result(value=value, total=0, rows=len(page))
    following = offset + PAGE if offset + PAGE < len(rows) else None
    return Result(value=value, total=len(rows), next=following, rows=len(page))


def _user(row: sqlite3.Row, call: Call) -> dict[str, Any]:
    return {
        "ID": int(row["id"]),
        "ACTIVE": bool(row["active"]),
        "NAME": row["name"],
        "LAST_NAME": row["last_name"],
        "SECOND_NAME": row["second_name"],
        "EMAIL": row["email"],
        # Nobody came back since the first day.
        "LAST_LOGIN": iso(row["date_register"], call.utc_offset),
        "DATE_REGISTER": iso(row["date_register"], call.utc_offset),
        "TIME_ZONE": "",
        "IS_ONLINE": "N",
        # Some dates are objects that JSON cannot write (F9).
        "TIMESTAMP_X": EmptyObject(),
        "LAST_ACTIVITY_DATE": EmptyObject(),
        **dict.fromkeys(_EMPTY, ""),
        "WORK_POSITION": row["work_position"],
        "UF_DEPARTMENT": json.loads(row["departments"]),
        "USER_TYPE": row["user_type"],
    }


def _visible(user: dict[str, Any], *, unrestricted: bool) -> bool:
    return user["USER_TYPE"] not in _HIDDEN_TYPES and (unrestricted or bool(user["UF_DEPARTMENT"]))


def _names(select: Any, call: Call) -> list[str]:
    scope = next((scope for scope in ("user", "user_basic", "user_brief") if scope in call.caller.scopes), "user")
    allowed = [name for name in _ALL_FIELDS if name in _FIELDS[scope]]
    wanted = select.values() if isinstance(select, PhpArray) else []
    if not wanted or "*" in wanted:
        return allowed
    return [name for name in allowed if name in wanted or ("UF_*" in wanted and name.startswith("UF_"))]


def _shown(user: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: str(user[name]) if name == "ID" else user[name] for name in names if name in user}


def _sortable(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)


def _matches(user: dict[str, Any], condition: Condition, value: Any, call: Call) -> bool:
    own = user[condition.field]
    wanted = value.values() if isinstance(value, PhpArray) else [value]
    if condition.field == "ACTIVE":
        # Only '', 0, '0' and 'N' mean inactive: `ACTIVE=false` in a query string is true (F9).
        met = own is (truthy(value) and value != "N")
    elif condition.field in ("ID", "UF_DEPARTMENT"):
        # An empty array of ids is the id 0, which nobody has.
        numbers = [intval(item) for item in wanted] or [0]
        owns = own if isinstance(own, list) else [own]
        met = any(_compare(one, condition.operation, number) for one in owns for number in numbers)
    elif condition.field == "DATE_REGISTER":
        moment = strtotime(strval(value), call.now, call.utc_offset)
        registered = strtotime(own, call.now, call.utc_offset)
        met = moment is not None and _compare(registered, condition.operation, moment)
    else:
        met = any(_compare_text(str(own), condition.operation, strval(item)) for item in wanted)
    return met != condition.negative


def _compare(own: Any, operation: str, value: Any) -> bool:
    if operation == ">":
        return bool(own > value)
    if operation == ">=":
        return bool(own >= value)
    if operation == "<":
        return bool(own < value)
    if operation == "<=":
        return bool(own <= value)
    return bool(own == value)


def _compare_text(own: str, operation: str, value: str) -> bool:
    own, value = own.casefold(), value.casefold()
    if operation == "%":
        return value in own
    if operation in ("=%", "%="):
        head, tail = value.startswith("%"), value.endswith("%")
        core = value.strip("%")
        if head and tail:
            return core in own
        return own.endswith(core) if head else own.startswith(core) if tail else own == core
    return _compare(own, operation, value)
