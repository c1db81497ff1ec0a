"""What an update came to: by its preconditions and by the read-back, and never by the words of an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from journal_values import change

from reconciler.core.check import ContactRow, Precondition
from reconciler.errors import (
    AuthorizationError,
    BadRequestError,
    DeniedError,
    NotFoundError,
    OperationTimeLimitError,
    RefusedError,
    ServerFaultError,
)
from reconciler.portal.rest.batch_codec import Answer
from reconciler.portal.write.conditional import Finding
from reconciler.portal.write.verdict import of_the_whole, verdict

THEN = datetime(2026, 1, 1, tzinfo=UTC)
CHANGE = replace(change(15), modified=THEN)
OLD, NEW, THIRD = (
    ContactRow(company=CHANGE.company, owner=owner, modified=THEN) for owner in (CHANGE.before, CHANGE.after, 99)
)
MISSING = NotFoundError("the record does not exist (the portal says: Not found)")
YES = Answer(result=True)


def met(answer: Any, **more: Any) -> Finding:
    """Return what is found of an update whose preconditions held."""
    return Finding(change=CHANGE, precondition=Precondition.MET, answer=answer, modified=THEN, **more)


def unmet(precondition: Precondition = Precondition.CONTACT, answer: Any = None, **more: Any) -> Finding:
    """Return what is found of an update that was refused for its precondition."""
    return Finding(change=CHANGE, precondition=precondition, answer=answer or BadRequestError("no id"), **more)


@pytest.mark.parametrize(
    ("answer", "row", "result", "detail"),
    [
        pytest.param(MISSING, None, "gone", "deleted or no longer visible", id="not-found-and-not-there"),
        pytest.param(MISSING, NEW, "applied", "", id="not-found-and-written"),
        pytest.param(MISSING, THIRD, "conflict", "owner is now 99", id="not-found-and-somebody-elses"),
        pytest.param(MISSING, OLD, "failed", "the portal says: Not found", id="not-found-and-as-before"),
        pytest.param(DeniedError("no"), NEW, "applied", "", id="denied-and-written"),
        pytest.param(DeniedError("no"), OLD, "denied", "no", id="denied"),
        pytest.param(RefusedError("no"), NEW, "applied", "", id="refused-and-written"),
        pytest.param(RefusedError("no"), OLD, "failed", "no", id="refused"),
        pytest.param(ServerFaultError("no"), None, "gone", "deleted or no longer visible", id="fault-and-not-there"),
        pytest.param(
            ServerFaultError("no"),
            replace(OLD, modified=THEN + timedelta(seconds=1)),
            "conflict",
            "whether it was written is not known",
            id="fault-and-changed-since",
        ),
        pytest.param(Answer(result=None), OLD, "failed", "neither yes nor an error", id="no-yes"),
        pytest.param(YES, OLD, "failed", "has its old owner", id="yes-and-put-back"),
    ],
)
def test_an_update_is_held_to_the_read_back(answer: Any, row: ContactRow | None, result: str, detail: str) -> None:
    """Nothing is told as gone that is there, and nothing as refused that was written."""
    outcome = verdict(met(answer), row)
    assert outcome is not None
    assert (outcome.result, detail in outcome.detail) == (result, True)


def test_a_fault_that_left_the_contact_as_it_was_is_sent_again() -> None:
    """What surely was not written, and may pass another time; also where a phone was edited before the precondition."""
    assert verdict(met(ServerFaultError("no")), OLD) is None
    edited = replace(CHANGE, modified=THEN - timedelta(days=1))
    assert verdict(replace(met(ServerFaultError("no")), change=edited), OLD) is None


@pytest.mark.parametrize(
    ("finding", "sent_before", "result", "detail"),
    [
        pytest.param(unmet(), False, "already", "", id="somebody-was-quicker"),
        pytest.param(unmet(), True, "applied", "an earlier attempt took effect late", id="our-own-earlier-attempt"),
        pytest.param(unmet(Precondition.UNKNOWN, YES), False, "applied", "", id="written-and-the-precondition-lost"),
    ],
)
def test_the_wanted_owner_is_there_already(finding: Finding, sent_before: bool, result: str, detail: str) -> None:
    """Whose doing it is, the answers tell."""
    outcome = verdict(finding, NEW, sent_before=sent_before)
    assert outcome is not None
    assert (outcome.result, outcome.detail) == (result, detail)


@pytest.mark.parametrize("error", [OperationTimeLimitError("full"), ServerFaultError("no"), DeniedError("no")])
def test_a_precondition_that_failed_is_tried_again(error: Exception) -> None:
    """It says nothing about the contact, and nothing was written."""
    assert verdict(unmet(Precondition.UNKNOWN, error=error), OLD) is None


def test_what_was_confirmed_is_not_sent_again() -> None:
    """Though its precondition cannot be read: a person may have put the old owner back, unless the row is unchanged."""
    finding = unmet(Precondition.UNKNOWN, YES, error=ServerFaultError("no"))
    outcome = verdict(finding, replace(OLD, modified=THEN + timedelta(seconds=1)))
    assert outcome is not None
    assert (outcome.result, "whether it was written is not known" in outcome.detail) == ("conflict", True)
    assert verdict(finding, OLD) is None


def test_what_is_about_the_webhook_is_raised() -> None:
    """The next chunk would fare no better."""
    with pytest.raises(AuthorizationError):
        verdict(met(AuthorizationError("out")), OLD)


def test_a_precondition_that_fails_for_the_webhook_as_a_whole_is_not_tried_again() -> None:
    """Its contact is told as what the read-back shows, or else as not written."""
    finding = unmet(Precondition.UNKNOWN, error=AuthorizationError("out"))
    outcome = verdict(finding, OLD)
    assert outcome is not None
    assert (outcome.result, outcome.detail) == ("failed", "not written: out")
    assert of_the_whole(finding) is finding.error
    assert of_the_whole(unmet(error=DeniedError("no"))) is None
