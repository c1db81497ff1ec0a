"""What became of one update, by what the portal answered to it and what the read-back shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.check import after_write
from reconciler.core.model import Change, Outcome, Result
from reconciler.errors import (
    DeniedError,
    NotFoundError,
    OperationTimeLimitError,
    PortalError,
    RefusedError,
    TransientError,
)
from reconciler.portal.wire import Answer

if TYPE_CHECKING:
    from reconciler.core.check import ContactRow


def verdict(change: Change, answer: Answer | PortalError, row: ContactRow | None) -> Outcome | None:
    """Decide an answered update by what the portal said and what it shows; None: send it again.

    Raises the answer when it is about the webhook as a whole.
    """
    said_yes = isinstance(answer, Answer) and answer.result is True
    seen = after_write(change, row, answered=said_yes)
    if said_yes or (seen is not None and seen.result is Result.APPLIED):
        return seen  # an error does not mean that nothing was written (F11.25)
    match answer:
        case DeniedError():
            return Outcome(change=change, result=Result.DENIED, detail=str(answer))
        case NotFoundError():  # a handler of the portal may mean something else that it looked for (F4)
            return seen or failed(change, f"refused, though the contact is there with its old owner: {answer}")
        case RefusedError():
            return failed(change, str(answer))
        case OperationTimeLimitError() | TransientError():
            return seen
        case PortalError():
            raise answer
    return seen or failed(change, "the portal answered neither yes nor an error")


def failed(change: Change, detail: str) -> Outcome:
    """Make the outcome of a change that was not carried out for good."""
    return Outcome(change=change, result=Result.FAILED, detail=detail)
