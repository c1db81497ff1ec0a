"""Who works there, and who leads whom: users by ID, and all departments (F9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Department, User
from reconciler.errors import IncompleteReadError, MissingScopeError, PortalError
from reconciler.portal.entities import DEPARTMENT_LIST, ID, PAGE, USER_LIST
from reconciler.portal.rest.batch_codec import Command, identifier, label, readable_identifier
from reconciler.portal.rest.question import Question
from reconciler.portal.rest.questions import ask, groups, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client

#: No firm has more; each fifty of them would be a question.
MOST_DEPARTMENTS = 50_000


def read_users(client: Client, ids: Iterable[int]) -> dict[int, User] | None:
    """Return the people among `ids`; None where the webhook may not ask.

    Bots, integrators and e-mail users are never returned (F9). Raises IncompleteReadError.
    """
    people = People()
    ask(client, people.questions(set(ids) - {0}))
    return people.users


def command_for(ids: list[int]) -> Command:
    """Ask for a page of users."""
    return Command(USER_LIST, {"FILTER": {f"@{ID}": ids}, "start": 0})


def users_in(answer: Answer, asked: Sequence[int]) -> dict[int, User]:
    """Return the users of a page. Raises ValueError, or one of its kin, where it cannot be believed."""
    return {number: _user(number, row) for number, row in rows(answer, asked)}


class People:
    """Users, as far as they were asked for."""

    def __init__(self) -> None:
        self._found: dict[int, User] = {}
        self._allowed = True

    @property
    def users(self) -> dict[int, User] | None:
        """None: the webhook may not ask."""
        return self._found if self._allowed else None

    def questions(self, ids: Iterable[int]) -> list[Question]:
        return [
            Question(
                command_for(group),
                partial(self._keep, group),
                "users",
                self._refused,
            )
            for group in groups(ids)
        ]

    def _keep(self, asked: Sequence[int], answer: Answer) -> None:
        self._found.update(users_in(answer, asked))

    def _refused(self, error: PortalError) -> None:
        if not isinstance(error, MissingScopeError):
            raise error
        self._allowed = False


class Structure:
    """The departments of the firm."""

    def __init__(self) -> None:
        self._pages: dict[int, dict[int, Department]] = {}
        self._total = 0
        #: Departments on pages beyond the last one by the count.
        self._beyond: set[int] = set()

    @property
    def pages(self) -> int:
        """How many pages there are, as far as one has said."""
        return -(-self._total // PAGE)

    def questions(self, first: int, end: int) -> list[Question]:
        """Ask for the pages from `first` up to, not including, `end`."""
        return [
            Question(
                # In an order that holds between pages.
                Command(DEPARTMENT_LIST, {"sort": ID, "order": "ASC", "start": page * PAGE}),
                partial(self._keep, page),
                "departments",
                _departments_refused,
            )
            for page in range(first, end)
        ]

    def forget(self) -> None:
        """Let go of what nobody needs."""
        self._pages.clear()
        self._beyond.clear()
        self._total = 0

    def departments(self) -> dict[int, Department]:
        """Return all departments. Raises IncompleteReadError where the pages do not add up to the count."""
        found = {number: department for page in self._pages.values() for number, department in page.items()}
        if len(found) != self._total or not self._beyond <= found.keys():
            came = len(found.keys() | self._beyond)
            raise IncompleteReadError(
                f"{came} departments came where the portal counts {self._total}, so nothing was written; "
                "the next sweep tries again"
            )
        return found

    def heads_above(self, starts: Iterable[int]) -> set[int]:
        """Return who leads these departments and those above them; a loop of departments ends it (F9)."""
        departments = self.departments()
        heads: set[int] = set()
        seen: set[int] = set()
        waiting = list(starts)
        while waiting:
            number = waiting.pop()
            department = departments.get(number)
            if number not in seen and department is not None:
                seen.add(number)
                heads.add(department.head)
                waiting.append(department.parent)
        return heads - {0}

    def _keep(self, page: int, answer: Answer) -> None:
        """Keep a page; one beyond the last is empty, or the first again (F2), and is left out."""
        if page == 0:
            if (answer.total or 0) > MOST_DEPARTMENTS:
                raise ValueError(f"{answer.total} departments")
            self._total = answer.total or 0
        if page * PAGE >= self._total:
            self._beyond.update(identifier(row.get(ID)) for row in answer.result)
            return
        if not isinstance(answer.result, list) or len(answer.result) != min(PAGE, self._total - page * PAGE):
            raise ValueError("a page came short")
        found = [_department(row) for row in answer.result]
        self._pages[page] = {department.id: department for department in found}


def _department(row: Mapping[str, Any]) -> Department:
    """Read a department. Where its head cannot be read, nobody leads it, nor does anybody above in that place."""
    parent, head = readable_identifier(row.get("PARENT")), readable_identifier(row.get("UF_HEAD"))
    return Department(id=identifier(row.get(ID)), parent=0 if head is None else parent or 0, head=head or 0)


def _departments_refused(error: PortalError) -> None:
    if isinstance(error, MissingScopeError):
        raise MissingScopeError(
            'the webhook lacks the scope department, which policy.dismissed_owner = "head" needs, so nothing was '
            "written; add it to the webhook in the portal",
            code=error.code,
            status=error.status,
        ) from error
    raise error


def _user(number: int, row: Mapping[str, Any]) -> User:
    active, departments = row.get("ACTIVE"), _departments(row.get("UF_DEPARTMENT"))
    doubts = [] if isinstance(active, bool) else ["ACTIVE is neither true nor false"]
    doubts += ["UF_DEPARTMENT is no list of numbers"] if None in departments else []
    return User(
        id=number,
        name=full_name(row) or f"user {number}",
        active=active is True,
        employee=any(departments),
        departments=tuple(department for department in departments if department),
        doubt=", ".join(doubts),
    )


def _departments(value: Any) -> list[int | None]:
    """Return the departments of a user; PHP writes none as `[]`, `false` or null, and some lists as objects."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value or 0]
    return [readable_identifier(one) for one in values]


def full_name(row: Mapping[str, Any]) -> str:
    """Return how a contact or a user is called; empty where nobody said."""
    return " ".join(filter(None, (label(row.get(field)) for field in ("NAME", "LAST_NAME"))))
