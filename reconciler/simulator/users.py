"""Users (F9, F17), as far as one can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.dates import iso
from reconciler.simulator.php import EmptyObject, PhpArray, strval, truthy
from reconciler.simulator.userfilters import tests_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from reconciler.simulator.calls import Call, Site

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
# What answers do not show here, but a filter takes: nobody has any of it, but for the first two.
_BRIEF_ONLY_FILTERED = frozenset(
    {
        *("XML_ID", "UF_PHONE_INNER", "TITLE", "PERSONAL_PROFESSION", "PERSONAL_PHOTO", "PERSONAL_STATE"),
        *("PERSONAL_COUNTRY", "WORK_CITY", "WORK_STATE", "WORK_COUNTRY", "UF_TIMEMAN", "UF_SKILLS", "UF_INTERESTS"),
    }
)
_ONLY_FILTERED = _BRIEF_ONLY_FILTERED | {
    *("PERSONAL_PHONE", "PERSONAL_FAX", "PERSONAL_PAGER", "PERSONAL_STREET", "PERSONAL_MAILBOX", "PERSONAL_ZIP"),
    *("PERSONAL_NOTES", "PERSONAL_ICQ", "WORK_COMPANY", "WORK_DEPARTMENT", "WORK_WWW", "WORK_FAX", "WORK_PAGER"),
    *("WORK_STREET", "WORK_MAILBOX", "WORK_ZIP", "WORK_PROFILE", "WORK_LOGO", "WORK_NOTES", "UF_DISTRICT"),
    *("UF_SKYPE", "UF_SKYPE_LINK", "UF_ZOOM", "UF_TWITTER", "UF_FACEBOOK", "UF_LINKEDIN", "UF_XING", "UF_WEB_SITES"),
}
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
    """Return a page of the users that the caller can see; `user.search` is the same with a search by words."""
    query = call.params.upper_keys()
    sort, direction, select = query.get("SORT"), query.get("ORDER"), query.get("SELECT")
    admin_mode = truthy(query.get("ADMIN_MODE")) and call.caller.admin
    conditions = query.get("FILTER")
    if isinstance(conditions, PhpArray):
        # A mistake kept for compatibility: the filter replaces every other parameter.
        query = conditions.upper_keys()
    users = _users(site)
    unrestricted = admin_mode or (call.caller.admin and "ID" in query)
    users = [user for user in users if _visible(user, unrestricted=unrestricted)]
    for test in tests_of(query, _filterable(call), call):
        users = [user for user in users if test(user)]
    if truthy(sort) and truthy(direction) and strval(sort).upper() in _ALL_FIELDS:
        by = strval(sort).upper()
        users.sort(key=lambda user: _sortable(user[by]), reverse=strval(direction).upper() == "DESC")
    # Unlike the lists of the CRM these take `start` as it is.
    names = _names(select, call)
    return page_of(users, max(call.start, 0), lambda user: _shown(user, names, call), counted=call.start >= 0)


def user_fields(site: Site, call: Call) -> Result:
    """Return the titles of the fields that the caller's scope shows."""
    del site
    return Result(value={name: _TITLES.get(name, name) for name in _names(None, call)}, rows=0)


def user_current(site: Site, call: Call) -> Result:
    """Return the webhook's owner."""
    row = site.database.row("SELECT * FROM user WHERE id = ?", (call.caller.user_id,))
    if row is None:
        return Result(value={"ID": str(call.caller.user_id)})
    return Result(value=_shown(_user(row, {}), _names(None, call), call))


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


def page_of(
    rows: list[dict[str, Any]], offset: int, show: Callable[[dict[str, Any]], dict[str, Any]], *, counted: bool
) -> Result:
    """Cut a page out of all rows; an empty one has no total, and there is no way back to page one (F9)."""
    page = rows[offset : offset + PAGE]
    if not page:
        return Result(value=PhpArray(), rows=0)
    value = PhpArray([show(row) for row in page])
    if not counted:
        return Result(value=value, total=0, rows=len(page))
    following = offset + PAGE if offset + PAGE < len(rows) else None
    return Result(value=value, total=len(rows), next=following, rows=len(page))


def _users(site: Site) -> list[dict[str, Any]]:
    departments = {row["id"]: row["name"] for row in site.database.rows("SELECT id, name FROM department")}
    return [_user(row, departments) for row in site.database.rows("SELECT * FROM user ORDER BY id")]


def _user(row: sqlite3.Row, departments: dict[int, str]) -> dict[str, Any]:
    """Return a user with values that can be compared; dates are epoch seconds."""
    member_of = json.loads(row["departments"])
    return {
        **dict.fromkeys(_EMPTY, ""),
        "ID": int(row["id"]),
        "XML_ID": row["xml_id"],
        "ACTIVE": bool(row["active"]),
        "NAME": row["name"],
        "LAST_NAME": row["last_name"],
        "SECOND_NAME": row["second_name"],
        "EMAIL": row["email"],
        # Nobody came back since the first day.
        "LAST_LOGIN": row["date_register"],
        "DATE_REGISTER": row["date_register"],
        "TIMESTAMP_X": row["changed_at"] or row["date_register"],
        "LAST_ACTIVITY_DATE": row["active_at"],
        "TIME_ZONE": "",
        "IS_ONLINE": False,
        "WORK_POSITION": row["work_position"],
        "UF_PHONE_INNER": row["phone_inner"],
        "UF_DEPARTMENT": member_of,
        "UF_DEPARTMENT_NAME": " ".join(departments.get(number, "") for number in member_of),
        "USER_TYPE": row["user_type"],
    }


def _visible(user: dict[str, Any], *, unrestricted: bool) -> bool:
    return user["USER_TYPE"] not in _HIDDEN_TYPES and (unrestricted or bool(user["UF_DEPARTMENT"]))


def _names(select: Any, call: Call) -> list[str]:
    allowed = [name for name in _ALL_FIELDS if name in _FIELDS[_scope(call)]]
    wanted = select.values() if isinstance(select, PhpArray) else []
    if not wanted or "*" in wanted:
        return allowed
    return [name for name in allowed if name in wanted or ("UF_*" in wanted and name.startswith("UF_"))]


def _shown(user: dict[str, Any], names: list[str], call: Call) -> dict[str, Any]:
    shown = {
        "ID": str(user["ID"]),
        "IS_ONLINE": "N",
        # These two are objects that JSON cannot write (F9).
        "TIMESTAMP_X": EmptyObject(),
        "LAST_ACTIVITY_DATE": EmptyObject(),
        "LAST_LOGIN": iso(user["LAST_LOGIN"], call.utc_offset),
        "DATE_REGISTER": iso(user["DATE_REGISTER"], call.utc_offset),
    }
    return {name: shown.get(name, user[name]) for name in names}


def _filterable(call: Call) -> set[str]:
    """Return the fields by which a caller may filter: those of its scope, shown or not."""
    scope = _scope(call)
    return {*_FIELDS[scope], *(_BRIEF_ONLY_FILTERED if scope == "user_brief" else _ONLY_FILTERED)}


def _scope(call: Call) -> str:
    return next((scope for scope in ("user", "user_basic", "user_brief") if scope in call.caller.scopes), "user")


def _sortable(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)
