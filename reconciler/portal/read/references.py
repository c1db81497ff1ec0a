"""Look up in the portal what the settings name: people, departments, records, their types and fields.

The portal is only read. Where it refuses an answer the refusal is kept, and the rest is looked up all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from reconciler.core.model import User
from reconciler.core.policy import head_of
from reconciler.portal.entities import (
    COMPANY_FIELD_LIST,
    COMPANY_LIST,
    CONTACT_FIELD_LIST,
    CONTACT_LIST,
    ID,
    PAGE,
    SCOPES,
    STATUS_LIST,
)
from reconciler.portal.read.details import DEPARTMENT_PAGES
from reconciler.portal.read.people import Structure, command_for, users_in
from reconciler.portal.rest.batch_codec import Command, text
from reconciler.portal.rest.question import Question
from reconciler.portal.rest.questions import ask, by_id, groups, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.core.model import Department
    from reconciler.errors import PortalError
    from reconciler.portal.rest.batch_codec import Answer, Value
    from reconciler.portal.rest.client import Client

#: Records that one command counts.
COUNTED = 500
#: Groups with something missing that are read row by row, so that a sentence can name some of it.
NAMED_GROUPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRecords:
    """What the settings name of companies, or of contacts; empty for what none of them names."""

    #: Setting -> numbers.
    ids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    #: Codes of types.
    types: frozenset[str] = frozenset()
    #: A yes/no field.
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the settings name."""

    users: frozenset[int] = frozenset()
    #: Whether any department is named, and whether the heads of all are needed.
    departments: bool = False
    heads: bool = False
    companies: NamedRecords = field(default_factory=NamedRecords)
    contacts: NamedRecords = field(default_factory=NamedRecords)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Numbers of a setting that the portal does not show."""

    count: int = 0
    #: Some of them, the lowest first.
    some: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class FoundRecords:
    """What the portal shows of companies, or of contacts."""

    #: By setting.
    missing: dict[str, Missing] = field(default_factory=dict)
    #: Code -> name of all types that there are.
    types: dict[str, str] = field(default_factory=dict)
    #: Code that a setting names -> how many records have it.
    of_type: dict[str, int] = field(default_factory=dict)
    #: Type of the yes/no field; empty: there is no such field.
    field_type: str = ""


@dataclass(slots=True, kw_only=True)
class Found:
    """What the portal shows of what the settings name."""

    scopes: frozenset[str] = frozenset()
    users: dict[int, User] = field(default_factory=dict)
    departments: Mapping[int, Department] = field(default_factory=dict)
    #: Departments for which nobody, there or above, is a head who may own records.
    without_head: tuple[int, ...] = ()
    companies: FoundRecords = field(default_factory=FoundRecords)
    contacts: FoundRecords = field(default_factory=FoundRecords)
    #: What could not be looked up ("users", "companies.types") -> why.
    refused: dict[str, PortalError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Where the portal keeps what there is to look up of a kind of records."""

    name: str
    list_method: str
    fields_method: str
    type_field: str
    #: Of `crm.status.list`.
    directory: str


_COMPANIES = _Kind(
    name="companies",
    list_method=COMPANY_LIST,
    fields_method=COMPANY_FIELD_LIST,
    type_field="COMPANY_TYPE",
    directory="COMPANY_TYPE",
)
_CONTACTS = _Kind(
    name="contacts",
    list_method=CONTACT_LIST,
    fields_method=CONTACT_FIELD_LIST,
    type_field="TYPE_ID",
    directory="CONTACT_TYPE",
)


def look_up(client: Client, named: Named) -> Found:
    """Return what the portal shows of all that is named. Raises PortalError, IncompleteReadError."""
    found = Found()
    companies = _Records(_COMPANIES, named.companies, found.companies, found.refused)
    contacts = _Records(_CONTACTS, named.contacts, found.contacts, found.refused)
    structure = Structure()
    pages = DEPARTMENT_PAGES if named.departments or named.heads else 0
    ask(
        client,
        [
            _scopes(found),
            *_users(named.users, found),
            *_departments(structure, 0, pages, found),
            *companies.questions(),
            *contacts.questions(),
        ],
    )
    ask(
        client,
        [
            *_departments(structure, DEPARTMENT_PAGES, structure.pages, found),
            *companies.further_questions(),
            *contacts.further_questions(),
        ],
    )
    if "departments" not in found.refused:
        found.departments = structure.departments()
    if named.heads:
        ask(client, _users(structure.heads_above(found.departments) - found.users.keys(), found))
        found.without_head = tuple(number for number in sorted(found.departments) if not _head(number, found))
    return found


def _head(department: int, found: Found) -> int:
    """Return who would get the records of somebody in this department; 0: nobody."""
    member = User(id=0, name="", active=False, employee=True, departments=(department,))
    return head_of(member, found.departments, found.users)


def _scopes(found: Found) -> Question:
    def keep(answer: Answer) -> None:
        if not isinstance(answer.result, list):
            raise TypeError("no list")
        found.scopes = frozenset(map(text, answer.result))

    return Question(Command(SCOPES, {}), keep, "scopes", partial(found.refused.__setitem__, "scopes"))


def _users(ids: Iterable[int], found: Found) -> list[Question]:
    def keep(asked: Sequence[int], answer: Answer) -> None:
        found.users.update(users_in(answer, asked))

    refused = partial(found.refused.__setitem__, "users")
    return [Question(command_for(group), partial(keep, group), "users", refused) for group in groups(ids)]


def _departments(structure: Structure, first: int, end: int, found: Found) -> list[Question]:
    refused = partial(found.refused.__setitem__, "departments")
    return [replace(question, refused=refused) for question in structure.questions(first, end)]


class _Records:
    """Companies, or contacts: which numbers are missing, what types there are, and a field."""

    def __init__(self, kind: _Kind, named: NamedRecords, found: FoundRecords, refused: dict[str, PortalError]) -> None:
        self._kind = kind
        self._named = named
        self._found = found
        self._refused = refused
        self._short: dict[str, list[list[int]]] = {}
        self._types = 0

    def questions(self) -> list[Question]:
        """Count the numbers in large groups; ask for the types and for the field."""
        kind = self._kind
        questions = []
        for setting, ids in self._named.ids.items():
            ordered = sorted(ids)
            for start in range(0, len(ordered), COUNTED):
                group = ordered[start : start + COUNTED]
                command = Command(kind.list_method, {"filter": {f"@{ID}": group}, "select": [ID], "start": 0})
                questions.append(self._question("ids", command, partial(self._keep_count, setting, group)))
        if self._named.types:
            questions.append(self._types_from(0))
        for code in sorted(self._named.types - {""}):
            condition: dict[str, Value] = {f"={kind.type_field}": code}
            command = Command(kind.list_method, {"filter": condition, "select": [ID], "start": 0})
            questions.append(self._question("types", command, partial(self._keep_type_count, code)))
        if self._named.field:
            questions.append(self._question("field", Command(kind.fields_method, {}), self._keep_field))
        return questions

    def further_questions(self) -> list[Question]:
        """Ask for the rows of the first groups that came short, and for the other pages of types."""
        questions = [self._types_from(start) for start in range(PAGE, self._types, PAGE)]
        for setting, short in self._short.items():
            for group in (page for numbers in short[:NAMED_GROUPS] for page in groups(numbers)):
                command = by_id(self._kind.list_method, group, [])
                questions.append(self._question("ids", command, partial(self._keep_missing, setting, group)))
        return questions

    def _question(self, what: str, command: Command, keep: Callable[[Answer], None]) -> Question:
        refused = partial(self._refused.__setitem__, f"{self._kind.name}.{what}")
        return Question(command, keep, self._kind.name, refused)

    def _types_from(self, start: int) -> Question:
        command = Command(STATUS_LIST, {"filter": {"ENTITY_ID": self._kind.directory}, "start": start})
        return self._question("types", command, self._keep_types)

    def _keep_count(self, setting: str, group: list[int], answer: Answer) -> None:
        short = len(group) - (answer.total or 0)
        if short < 0:
            raise ValueError("more than were asked for")
        if short:
            before = self._found.missing.get(setting, Missing())
            self._found.missing[setting] = replace(before, count=before.count + short)
            self._short.setdefault(setting, []).append(group)

    def _keep_missing(self, setting: str, group: list[int], answer: Answer) -> None:
        there = {number for number, _ in rows(answer, group)}
        before = self._found.missing[setting]
        missing = tuple(number for number in group if number not in there)
        self._found.missing[setting] = replace(before, some=before.some + missing)

    def _keep_types(self, answer: Answer) -> None:
        # A portal that gives all at once has nothing further to ask for.
        self._types = 0 if len(answer.result) > PAGE else answer.total or 0
        self._found.types |= {text(row["STATUS_ID"]): text(row["NAME"]) for row in answer.result}

    def _keep_type_count(self, code: str, answer: Answer) -> None:
        self._found.of_type[code] = answer.total or 0

    def _keep_field(self, answer: Answer) -> None:
        described = answer.result.get(self._named.field)
        self._found.field_type = text(described["type"]) if described else ""
