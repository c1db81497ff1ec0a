"""Scripted faults: at a chosen request, method or contact, something goes wrong, and always in the same way.

Each fault is a plain dictionary, `{"kind": ..., selectors..., parameters...}`. Selectors, all of which must fit:

- `request`: the number of the request, from 1; `every`: each so many-th request
- `method`: of the request, or of a command inside its batch
- `contact`: the `id` of a `crm.contact.*` call, or of `crm.item.*` with entityTypeId 3; with `method` one of their
  lists, the only contact that its filter names
- `command`: in a batch the number of a command, from 1, or its key
- `times`: how often at most; without it, as often as the other selectors fit

========================  =============================================================================
kind                      what happens, and parameters (with their defaults)
========================  =============================================================================
`html_502`, `html_504`    HTML instead of an answer; `commit` (False): the request is carried out before
`internal_error`          500 INTERNAL_SERVER_ERROR; `commit`
`rate_limited`            503 QUERY_LIMIT_EXCEEDED
`refused`                 the answer of F6 to `code`, such as "OVERLOAD_LIMIT", with its text and its status
`error`                   an error envelope: `code`, `description` (""), `status` (400)
`cut_before`              the connection is cut, nothing is carried out
`lost_answer`             carried out, then the connection is cut before the first byte
`truncated_body`          carried out; only `bytes` (20) of the body arrive
`wrong_json`              carried out; the answer is valid JSON of the wrong shape
`empty_answer`            carried out; 200 with an empty body
`token_revoked`           from this request on the webhook is unknown
`human_edit`              somebody saves the card of `contact_id` or `company_id` with another `owner` or with
                          `comments`, or moves that contact to the company `move_to`, `by` (1); or user
                          `dismiss` leaves; `moment`: "before" (default) or "after" the request
`delete_contacts`         somebody deletes the contacts `ids`, or the `oldest` n; `moment`
`partial_batch`           only the first `commands` (1) of a batch are carried out and answered
`missing_result`          a command is carried out, but stands in none of the maps of the batch
`command_error`           a call is refused: `code` (""), `description` ("Access denied."), `status` (400)
`operation_limit`         a call is refused with OPERATION_TIME_LIMIT
`short_page`              the last `rows` (1) rows of a page are missing, total and next are not
`empty_page`              a page has no rows
`dropped_filter`          the filter on `field`, or the whole filter, is ignored
`human_edit_between`      as `human_edit`, right before a call: before the `command` n of a batch, or
                          before `crm.contact.update` of a `contact`, between its precondition and itself
`replica_lag`             a read shows contacts and companies as they were `seconds` (1) ago, until the
                          request has written that table
`slow`                    each call takes `seconds` (1) longer
========================  =============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from reconciler.simulator.errors import ANY_TIME
from reconciler.simulator.php import PhpArray, intval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.simulator.batch import Place

#: `entityTypeId` of contacts.
_CONTACT = 3
_MOMENT = {"moment": "before"}
_EDIT = {"contact_id": 0, "company_id": 0, "owner": 0, "comments": "", "move_to": 0, "dismiss": 0, "by": 1}
#: Parameters of each kind that happens to a whole request, with their defaults.
REQUEST_KINDS: dict[str, dict[str, Any]] = {
    "html_502": {"commit": False},
    "html_504": {"commit": False},
    "internal_error": {"commit": False},
    "rate_limited": {},
    "refused": {"code": "OVERLOAD_LIMIT"},
    "error": {"code": "", "description": "", "status": 400},
    "cut_before": {},
    "lost_answer": {},
    "truncated_body": {"bytes": 20},
    "wrong_json": {},
    "empty_answer": {},
    "token_revoked": {},
    "human_edit": _EDIT | _MOMENT,
    "delete_contacts": {"ids": [], "oldest": 0} | _MOMENT,
    "partial_batch": {"commands": 1},
}
#: The same for each kind that happens to one call, alone or inside a batch.
COMMAND_KINDS: dict[str, dict[str, Any]] = {
    "missing_result": {},
    "command_error": {"code": "", "description": "Access denied.", "status": 400},
    "operation_limit": {},
    "short_page": {"rows": 1},
    "empty_page": {},
    "dropped_filter": {"field": ""},
    "human_edit_between": _EDIT,
    "replica_lag": {"seconds": 1.0},
    "slow": {"seconds": 1.0},
}
_SELECTORS: dict[str, type | tuple[type, ...]] = {
    "request": int, "every": int, "method": str, "contact": int, "command": (int, str), "times": int
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted fault; see the module's table."""

    kind: str
    request: int | None = None
    every: int | None = None
    method: str | None = None
    contact: int | None = None
    command: int | str | None = None
    times: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = REQUEST_KINDS.get(self.kind, COMMAND_KINDS.get(self.kind))
        if known is None:
            kinds = ", ".join(sorted(REQUEST_KINDS | COMMAND_KINDS))
            raise ValueError(f"unknown kind of fault {self.kind!r}; the kinds are {kinds}")
        unknown = sorted(set(self.parameters) - set(known))
        if unknown:
            accepted = ", ".join([*_SELECTORS, *known])
            raise ValueError(f"a fault {self.kind!r} takes no {', '.join(unknown)}; it takes {accepted}")
        for name, value in self.parameters.items():
            wanted = type(known[name])
            if not isinstance(value, (int, float) if wanted is float else wanted):
                raise ValueError(f"{name} of a fault {self.kind!r} cannot be {value!r}")  # noqa: TRY004
        if self.kind == "refused" and self["code"] not in ANY_TIME:
            raise ValueError(f"no portal refuses with {self['code']!r}; the codes are {', '.join(sorted(ANY_TIME))}")
        if self.parameters.get("moment", "before") not in ("before", "after"):
            raise ValueError(f"the moment of a fault {self.kind!r} is 'before' or 'after'")

    def __getitem__(self, name: str) -> Any:
        """Return a parameter, or its default."""
        defaults = REQUEST_KINDS.get(self.kind, COMMAND_KINDS.get(self.kind, {}))
        return self.parameters.get(name, defaults[name])

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Fault:
        """Read one fault from JSON."""
        if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
            raise ValueError(f"a fault is an object with a kind, not {value!r}")  # noqa: TRY004 - wrong data, not code
        selectors = {name: value[name] for name in _SELECTORS if value.get(name) is not None}
        for name, selector in selectors.items():
            if not isinstance(selector, _SELECTORS[name]):
                raise ValueError(f"{name} of a fault {value['kind']!r} cannot be {selector!r}")  # noqa: TRY004
        rest = {name: item for name, item in value.items() if name not in (*_SELECTORS, "kind")}
        if "method" in selectors:
            selectors["method"] = selectors["method"].lower()
        return cls(kind=value["kind"], parameters=rest, **selectors)


@dataclass(frozen=True, slots=True)
class Target:
    """A call that a fault may be meant for: its method, and its `id` when that is a contact's."""

    method: str
    contact: int | None = None
    #: The contact that the filter of a list names, when it is only one.
    listed: int | None = None
    #: Its number in a batch, from 1, and its key there.
    commands: tuple[int | str, ...] = ()


def target(method: str, params: PhpArray, place: Place | None = None) -> Target:
    """Describe a call for the script of faults."""
    commands = (place.number, place.key) if place is not None else ()
    contacts = method.startswith("crm.contact.") or (method.startswith("crm.item.") and _type_of(params) == _CONTACT)
    if not contacts:
        return Target(method, commands=commands)
    conditions = params.get("filter")
    listed = conditions.get("ID", conditions.get("id")) if isinstance(conditions, PhpArray) else None
    return Target(
        method,
        intval(params.get("id", params.get("ID"))),
        None if listed is None or isinstance(listed, PhpArray) else intval(listed),
        commands,
    )


def _type_of(params: PhpArray) -> int:
    return intval(params.get("entityTypeId"))


class Faults:
    """The script: which faults there are, and how often each has happened."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._faults: tuple[Fault, ...] = ()
        self._happened: list[int] = []
        self.replace(faults)

    def load(self, values: Any) -> None:
        """Read a new script, which replaces the old one, from a JSON list; a ValueError says what is wrong with it."""
        if not isinstance(values, list):
            raise ValueError(f"faults are a list of objects, not {values!r}")  # noqa: TRY004
        self.replace([Fault.parse(value) for value in values])

    def replace(self, faults: Iterable[Fault] = ()) -> None:
        """Start with another script, or none."""
        with self._lock:
            self._faults = tuple(faults)
            self._happened = [0] * len(self._faults)

    def for_request(self, number: int, targets: Callable[[], Sequence[Target]]) -> list[Fault]:
        """Return the faults that happen to this request now; its calls are asked for only when needed."""
        return self._due(number, targets, REQUEST_KINDS)

    def for_call(self, number: int, target: Callable[[], Target], *, named: bool = False) -> list[Fault]:
        """Return the faults that happen to this one call now; `named` asks for those that name its method only."""
        return self._due(number, lambda: (target(),), COMMAND_KINDS, named=named)

    def _due(
        self,
        number: int,
        targets: Callable[[], Sequence[Target]],
        kinds: Mapping[str, Any],
        *,
        named: bool = False,
    ) -> list[Fault]:
        due = []
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.kind not in kinds or (named and fault.method is None) or not _fits(fault, number, targets):
                    continue
                if fault.times is None or self._happened[index] < fault.times:
                    self._happened[index] += 1
                    due.append(fault)
        return due


def _fits(fault: Fault, number: int, targets: Callable[[], Sequence[Target]]) -> bool:
    if fault.request not in (None, number) or (fault.every and number % fault.every):
        return False
    if fault.method is None and fault.contact is None and fault.command is None:
        return True
    return any(_meant(fault, target) for target in targets())


def _meant(fault: Fault, target: Target) -> bool:
    if fault.method not in (None, target.method) or not (fault.command is None or fault.command in target.commands):
        return False
    # A list is meant by a contact only where it is named itself: others look at it by its number, too.
    return fault.contact in (None, target.contact, target.listed if fault.method is not None else None)
