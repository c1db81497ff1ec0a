"""A witness that also writes down what was asked, what was answered, and what of it came back whole."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.world import CONTACT_LIST, Witness, World, _parsed

if TYPE_CHECKING:
    from reconciler.simulator.http import Request, Response

Question = tuple[str, dict[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its commands, and which owners of contacts its answer showed to the worker."""

    number: int
    commands: tuple[Question, ...]
    #: Contact -> owner, of all rows of lists of contacts.
    shown: dict[int, int] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.commands]


class Listener(Witness):
    """Keeps what passes in full."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[Asked] = []

    def handle(self, request: Request) -> Response:
        keys = json.loads(request.body)["cmd"]
        asked = Asked(len(self.asked) + 1, tuple(map(_parsed, keys.values())))
        self.asked.append(asked)
        response = super().handle(request)
        if response.status == 200 and response.cut_after is None:
            lists = [key for key, (method, _) in zip(keys, asked.commands, strict=True) if method == CONTACT_LIST]
            asked.shown.update(_shown(response.body, lists) if lists else {})
        return response


def _shown(body: bytes, keys: list[str]) -> dict[int, int]:
    """Return contact -> owner as these commands of a batch show them; nothing of what is no answer."""
    found: dict[int, int] = {}
    try:
        answers = json.loads(body)["result"]["result"]
    except (ValueError, TypeError, KeyError):
        return found
    for key in keys:
        with suppress(ValueError, TypeError, KeyError):
            found |= {int(row["ID"]): int(row["ASSIGNED_BY_ID"]) for row in answers[key]}
    return found


class FaultWorld(World):
    """A world with such a witness."""

    witness: Listener
    #: No fault here lasts as long as a time-out.
    in_one_thread = True

    def start(self) -> None:
        if not isinstance(self.witness, Listener):
            self.witness = Listener(self.portal)
        super().start()
