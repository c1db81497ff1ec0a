"""A question, and one that travels with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import PortalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.portal.rest.batch_codec import Answer, Command


@dataclass(frozen=True, slots=True)
class Question:
    """A command, and what becomes of its answer."""

    command: Command
    #: Raises ValueError, or one of its kin, for an answer that cannot be believed: it is then asked for again.
    keep: Callable[[Answer], None]
    noun: str
    #: Raises, or makes do without.
    refused: Callable[[PortalError], None]

    def take(self, answer: Answer | PortalError) -> None:
        """Give an answer, or an error in its place, to the one of both that it is for."""
        if isinstance(answer, PortalError):
            self.refused(answer)
        else:
            self.keep(answer)


class Beside:
    """At most one question that travels with the next commands that are read, and is over once it was answered."""

    def __init__(self) -> None:
        self._question: Question | None = None
        self._can_wait = self._waits = False

    def put(self, question: Question, *, can_wait: bool = False) -> None:
        """Let a question travel; one that can wait is needed only where something is found that it matters for."""
        self._question, self._can_wait, self._waits = question, can_wait, False

    def let_wait(self) -> None:
        """Keep a question that can wait, until `wait_no_longer`."""
        self._waits = self._can_wait

    def wait_no_longer(self) -> None:
        """Let it travel after all."""
        self._waits = False

    @property
    def due(self) -> Question | None:
        """The question, where it is to travel now."""
        return None if self._waits else self._question

    def is_over(self) -> None:
        """Forget the question: it was answered."""
        self._question = None
