"""Questions in bulk, each asked again where its answer cannot be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.errors import IncompleteReadError, PortalError
from reconciler.portal.entities import ID, PAGE
from reconciler.portal.rest.batch_codec import Command, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client
    from reconciler.portal.rest.question import Question

#: How often an answer that cannot be believed is asked for before the sweep is given up.
READINGS = 3


def ask(client: Client, questions: Sequence[Question]) -> None:
    """Ask, so many at a time as are under way at once: decoded rows take ten times the room of what is kept of them."""
    for start in range(0, len(questions), client.at_once):
        waiting = list(questions[start : start + client.at_once])
        reading = 0
        while waiting:
            reading += 1
            doubted: list[Question] = []
            for question, answer in zip(waiting, client.ask([q.command for q in waiting]), strict=True):
                try:
                    question.take(answer)
                except (ValueError, TypeError, AttributeError, KeyError) as doubt:
                    if reading == READINGS:
                        raise IncompleteReadError(
                            f"the {question.noun} could not be read as a whole ({doubt}), so nothing was written; "
                            "the next sweep tries again"
                        ) from doubt
                    doubted.append(question)
            waiting = doubted


def give_up(error: PortalError) -> None:
    """Take a refusal as it is."""
    raise error


def by_id(method: str, group: list[int], fields: Sequence[str], **condition: str) -> Command:
    """Ask for a page of records; `start=0`, because the portal's count proves that no row is missing."""
    return Command(
        method, {"order": {ID: "ASC"}, "filter": {f"@{ID}": group, **condition}, "select": [ID, *fields], "start": 0}
    )


def groups(ids: Iterable[int]) -> list[list[int]]:
    """Cut IDs into pages."""
    ordered = sorted(ids)
    return [ordered[start : start + PAGE] for start in range(0, len(ordered), PAGE)]


def rows(answer: Answer, asked: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield rows by ID. Raises ValueError for a foreign row, and for a page shorter than the count.

    An empty answer of `user.get` has no total (F9).
    """
    if not isinstance(answer.result, list) or len(answer.result) != (answer.total or 0):
        raise ValueError("a page came short")
    left = set(asked)
    for row in answer.result:
        number = identifier(row.get(ID))
        if number not in left:
            raise ValueError(f"ID {number} was not asked for, or came twice")
        left.remove(number)
        yield number, row
