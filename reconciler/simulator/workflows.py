"""Workflows that start by themselves (F4, F17), and `bizproc.workflow.template.list`, which shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.errors import ACCESS_DENIED, RestError
from reconciler.simulator.filters import parse_key
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.simulator.calls import Call, Site

PAGE = 50
#: Bits of AUTO_EXECUTE.
ON_CREATE, ON_EDIT = 1, 2
_FIELDS = (
    *("ID", "MODULE_ID", "ENTITY", "DOCUMENT_TYPE", "AUTO_EXECUTE", "NAME", "DESCRIPTION", "TEMPLATE", "PARAMETERS"),
    *("VARIABLES", "CONSTANTS", "MODIFIED", "IS_MODIFIED", "USER_ID", "SYSTEM_CODE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One workflow of contacts or of companies."""

    id: int
    name: str = "Workflow"
    #: `contact` or `company`.
    entity: str = "contact"
    #: 0 by hand, 1 when created, 2 when edited, 3 both.
    auto_execute: int = 0

    def fields(self) -> dict[str, Any]:
        """Write the template as the list shows it."""
        empty: dict[str, Any] = dict.fromkeys(_FIELDS)
        return empty | {
            "ID": str(self.id),
            "MODULE_ID": "crm",
            "ENTITY": f"CCrmDocument{self.entity.capitalize()}",
            "DOCUMENT_TYPE": self.entity.upper(),
            "AUTO_EXECUTE": str(self.auto_execute),
            "NAME": self.name,
            **dict.fromkeys(("TEMPLATE", "PARAMETERS", "VARIABLES", "CONSTANTS"), PhpArray()),
            "IS_MODIFIED": "N",
            "USER_ID": "1",
        }


def started(templates: Iterable[Template], entity: str, event: int) -> int:
    """Return how many workflows an event starts."""
    return sum(1 for template in templates if template.entity == entity and template.auto_execute & event)


def template_list(site: Site, call: Call) -> Result:
    """Return a page of templates, for administrators only; by default nothing but their ids."""
    if not call.caller.admin:
        raise RestError(ACCESS_DENIED)
    query = call.params.upper_keys()
    rows = [template.fields() for template in site.templates]
    for key, value in _pairs(query.get("FILTER")):
        condition = parse_key(key)
        name = condition.field.upper()
        if name in _FIELDS:
            rows = [row for row in rows if _meets(row[name], condition.operation, value) != condition.negative]
    for key, direction in reversed(_pairs(query.get("ORDER"))):
        if key.upper() in _FIELDS:
            rows.sort(key=lambda row: _sortable(row[key.upper()]), reverse=strval(direction).upper() == "DESC")
    wanted = query.get("SELECT")
    names = [strval(name).upper() for name in wanted.values()] if isinstance(wanted, PhpArray) else []
    offset = max(call.start, 0)
    page = [{name: row[name] for name in _FIELDS if name in (names or ["ID"])} for row in rows[offset : offset + PAGE]]
    total = len(rows) if call.start >= 0 else 0
    following = offset + len(page)
    return Result(value=PhpArray(page), total=total, next=following if following < total else None, rows=len(page))


def _pairs(value: Any) -> list[tuple[str, Any]]:
    return [(str(key), inner) for key, inner in value.items()] if isinstance(value, PhpArray) else []


def _meets(own: Any, operation: str, value: Any) -> bool:
    wanted = value.values() if isinstance(value, PhpArray) else [value]
    if operation in (">", ">=", "<", "<="):
        difference = intval(own) - intval(wanted[0] if wanted else None)
        return {">": difference > 0, ">=": difference >= 0, "<": difference < 0, "<=": difference <= 0}[operation]
    return strval(own) in [strval(item) for item in wanted]


def _sortable(value: Any) -> tuple[int, str]:
    text = strval(value)
    return (int(text), "") if text.isdigit() else (0, text)
