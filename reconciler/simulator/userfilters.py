"""Filters and searches of `user.get` and `user.search` (F9): what is known narrows the list, what is not is ignored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler.simulator.dates import strtotime
from reconciler.simulator.filters import parse_key
from reconciler.simulator.php import PhpArray, intval, strval, truthy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from reconciler.simulator.calls import Call

    User = dict[str, Any]
    Test = Callable[[User], bool]

#: What `NAME_SEARCH` and `FIND` look into.
SEARCHED = ("NAME", "LAST_NAME", "SECOND_NAME", "WORK_POSITION", "UF_DEPARTMENT_NAME")
#: Filters that are no fields of an answer; a search takes no operator.
_SEARCHES = ("NAME_SEARCH", "FIND")
_ALWAYS = frozenset({"IS_ONLINE", "HAS_DEPARTAMENT", "NAME_SEARCH", "EXTERNAL_AUTH_ID"})
_OF_SEARCH = frozenset({"FIND", "UF_DEPARTMENT_NAME", "CONFIRM_CODE"})
_MOMENTS = frozenset({"DATE_REGISTER", "LAST_LOGIN", "TIMESTAMP_X", "LAST_ACTIVITY_DATE"})
_NUMBERS = frozenset({"ID", "UF_DEPARTMENT"})
_YES_NO = frozenset({"ACTIVE", "IS_ONLINE"})


def tests_of(query: PhpArray, fields: Collection[str], call: Call) -> list[Test]:
    """Return what a user must meet; `fields` are those that the caller's scope may filter by."""
    searching = call.method == "user.search"
    allowed = {*fields, *_ALWAYS, *(_OF_SEARCH if searching else ())}
    found = {}
    for key, value in query.items():
        condition = parse_key(str(key))
        if condition.field in allowed:
            found[condition.field if condition.field in _SEARCHES else str(key)] = value
    tests: list[Test] = []
    search = next((name for name in ("NAME_SEARCH", "FIND") if name in found), None)
    if search is not None:
        tests.append(_search(SEARCHED, strval(found[search])))
    elif searching:
        tests += [_search((name,), strval(found.pop(name))) for name in SEARCHED if name in found]
    tests += [_test(key, value, call) for key, value in found.items() if key not in _SEARCHES]
    return tests


def _search(names: tuple[str, ...], text: str) -> Test:
    """Each word that is looked for must begin one of the words there."""
    words = text.casefold().split()

    def met(user: User) -> bool:
        present = f" {' '.join(str(user[name]) for name in names)}".casefold()
        return all(f" {word}" in present for word in words)

    return met


def _test(key: str, value: Any, call: Call) -> Test:
    condition = parse_key(key)
    # Without an operator a text is compared by LIKE, so `%` and `_` in it are wildcards.
    bare = key.lstrip("!") == condition.field
    wanted = value.values() if isinstance(value, PhpArray) else [value]
    field, operation = condition.field, condition.operation
    meets: Test
    if field in _YES_NO:
        # Only '', 0, '0' and 'N' mean no: `ACTIVE=false` in a query string is true.
        yes = truthy(value) and value != "N"
        meets = lambda user: user[field] is yes  # noqa: E731
    elif field == "HAS_DEPARTAMENT":
        meets = lambda user: value != "Y" or bool(user["UF_DEPARTMENT"])  # noqa: E731
    elif field in _NUMBERS:
        # An empty array of ids is the id 0, which nobody has.
        numbers = [intval(item) for item in wanted] or [0]
        meets = lambda user: any(  # noqa: E731
            _compare(one, operation, number) for one in _listed(user[field]) for number in numbers
        )
    elif field in _MOMENTS:
        moment = strtotime(strval(value), call.now, call.utc_offset)
        meets = lambda user: (  # noqa: E731
            moment is not None and user[field] is not None and _compare(user[field], operation, moment)
        )
    else:
        like = bare and field != "USER_TYPE"
        texts = [strval(item) for item in wanted]
        meets = lambda user: any(_compare_text(str(user.get(field, "")), operation, text, like) for text in texts)  # noqa: E731
    return (lambda user: not meets(user)) if condition.negative else meets


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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


def _compare_text(own: str, operation: str, value: str, like: bool) -> bool:
    own, value = own.casefold(), value.casefold()
    if operation == "%":
        return value in own
    if like or operation in ("=%", "%="):
        pattern = re.escape(value).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, own, re.DOTALL) is not None
    return _compare(own, operation, value)
