"""What became of one update, by what the portal answered and what the read-back shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.check import Precondition, after_write, not_written
from reconciler.core.model import Change, Outcome, Result
from reconciler.errors import (
    DeniedError,
    NotFoundError,
    OperationTimeLimitError,
    PortalError,
    RefusedError,
    TransientError,
)
from reconciler.portal.rest.batch_codec import Answer

if TYPE_CHECKING:
    from reconciler.core.check import ContactRow
    from reconciler.portal.write.conditional import Finding

#: Errors of one command that say nothing about the webhook as a whole.
_OF_ONE_COMMAND = (RefusedError, OperationTimeLimitError, TransientError)


def verdict(finding: Finding, row: ContactRow | None, *, sent_before: bool = False) -> Outcome | None:
    """Decide what became of a change; None: it was not written, and may be tried again.

    `sent_before`: an earlier attempt had no answer. Raises what the update was answered, where that is about the
    webhook as a whole; of a precondition see `of_the_whole`.
    """
    said_yes = isinstance(finding.answer, Answer) and finding.answer.result is True
    if finding.precondition is Precondition.MET:
        return _tried(finding, row, said_yes=said_yes)
    if finding.precondition is Precondition.UNKNOWN and said_yes:
        # It may have been written, though the answer to a precondition cannot be read, and a person may have put the
        # old owner back since. A new owner who could not be looked up was left out of the update by the portal.
        outcome = after_write(finding.change, row, answered=False)
    else:
        outcome = not_written(finding.change, finding.precondition, row)
    if outcome is None and (error := of_the_whole(finding)):
        return failed(finding.change, f"not written: {error}")
    if outcome is not None and outcome.result is Result.ALREADY and sent_before:
        return replace(outcome, result=Result.APPLIED, detail="an earlier attempt took effect late")
    return outcome


def _tried(finding: Finding, row: ContactRow | None, *, said_yes: bool) -> Outcome | None:
    """Decide an update that was tried: its precondition was met."""
    change, answer = finding.change, finding.answer
    seen = after_write(replace(change, modified=finding.modified or change.modified), row, answered=said_yes)
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


def of_the_whole(finding: Finding) -> PortalError | None:
    """Return what a precondition failed with, where that is about the webhook or the portal as a whole."""
    return None if isinstance(finding.error, _OF_ONE_COMMAND) else finding.error


def failed(change: Change, detail: str) -> Outcome:
    """Make the outcome of a change that was not carried out for good."""
    return Outcome(change=change, result=Result.FAILED, detail=detail)
