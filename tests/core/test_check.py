"""The two tables of `core.check`, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.check import ContactRow, Precondition, after_write, not_written, resting_on, rests_on
from reconciler.core.model import Change, Result, Rule

THEN = datetime(2026, 1, 1, tzinfo=UTC)
CHANGE = Change(contact=1, company=10, before=7, after=8, modified=THEN)
PLANNED = ContactRow(company=10, owner=7, modified=THEN)
UNMET = [precondition for precondition in Precondition if precondition is not Precondition.MET]


@pytest.mark.parametrize("precondition", UNMET, ids=lambda precondition: precondition.name)
@pytest.mark.parametrize(
    ("contact", "verdict", "detail"),
    [
        pytest.param(None, Result.GONE, "deleted or no longer visible", id="contact-not-there"),
        pytest.param(ContactRow(company=11, owner=7), Result.CONFLICT, "now of company 11", id="other-company"),
        pytest.param(ContactRow(company=0, owner=7), Result.CONFLICT, "now of company none", id="no-company"),
        pytest.param(ContactRow(company=11, owner=8), Result.CONFLICT, "now of company 11", id="moved-and-right"),
        pytest.param(ContactRow(company=10, owner=8), Result.ALREADY, "", id="wanted-owner-already"),
        pytest.param(ContactRow(company=10, owner=9), Result.CONFLICT, "contact's owner is now 9", id="third-owner"),
        pytest.param(ContactRow(company=10, owner=0), Result.CONFLICT, "owner is now none", id="no-owner"),
    ],
)
def test_what_the_read_back_shows_is_said(
    precondition: Precondition, contact: ContactRow | None, verdict: Result, detail: str
) -> None:
    """A write that was refused, whichever precondition did it: what stands now is the reason."""
    outcome = not_written(CHANGE, precondition, contact)
    assert outcome is not None
    assert (outcome.change, outcome.result) == (CHANGE, verdict)
    assert detail in outcome.detail


@pytest.mark.parametrize(
    ("precondition", "detail"),
    [
        pytest.param(Precondition.COMPANY, "company 10 is gone, or its owner is no longer 8", id="company"),
        pytest.param(Precondition.OWNER, "user 8 is no active employee any more", id="new-owner"),
    ],
)
def test_a_contact_as_planned_whose_company_or_new_owner_moved(precondition: Precondition, detail: str) -> None:
    """The contact itself says nothing then; the answer in front of its write does."""
    outcome = not_written(CHANGE, precondition, PLANNED)
    assert outcome is not None
    assert (outcome.result, outcome.detail) == (Result.CONFLICT, detail)


@pytest.mark.parametrize("precondition", [Precondition.CONTACT, Precondition.UNKNOWN], ids=["contact", "unknown"])
def test_a_contact_as_planned_may_be_tried_again(precondition: Precondition) -> None:
    """Nothing was written, and nothing stands against it."""
    assert not_written(CHANGE, precondition, PLANNED) is None


@pytest.mark.parametrize(
    ("contact", "answered", "verdict", "detail"),
    [
        pytest.param(None, True, Result.UNKNOWN, "no longer sees the contact", id="not-there-answered"),
        pytest.param(None, False, Result.GONE, "deleted or no longer visible", id="not-there-unanswered"),
        pytest.param(ContactRow(company=10, owner=8), True, Result.APPLIED, "", id="wanted-answered"),
        pytest.param(ContactRow(company=10, owner=8), False, Result.APPLIED, "", id="wanted-unanswered"),
        pytest.param(ContactRow(company=11, owner=8), True, Result.APPLIED, "", id="wanted-and-moved"),
        pytest.param(PLANNED, True, Result.FAILED, "has its old owner", id="old-answered"),
        pytest.param(ContactRow(company=10, owner=9), True, Result.CONFLICT, "written, but", id="another-answered"),
        pytest.param(
            ContactRow(company=10, owner=9), False, Result.CONFLICT, "the contact's owner", id="another-unanswered"
        ),
        pytest.param(ContactRow(company=10, owner=0), True, Result.CONFLICT, "is now none", id="nobody-answered"),
        pytest.param(
            ContactRow(company=10, owner=7, modified=THEN + timedelta(seconds=1)),
            False,
            Result.CONFLICT,
            "whether it was written is not known",
            id="old-and-changed-since",
        ),
        pytest.param(
            ContactRow(company=10, owner=7), False, Result.CONFLICT, "was changed since", id="old-and-no-date"
        ),
    ],
)
def test_after_a_write(contact: ContactRow | None, answered: bool, verdict: Result, detail: str) -> None:
    """What is there counts for more than what was answered."""
    outcome = after_write(CHANGE, contact, answered=answered)
    assert outcome is not None
    assert (outcome.change, outcome.result) == (CHANGE, verdict)
    assert detail in outcome.detail


def test_the_old_owner_of_an_unchanged_row_is_no_write() -> None:
    """The change may be sent again."""
    assert after_write(CHANGE, PLANNED, answered=False) is None


def test_a_change_whose_row_was_never_dated_is_not_tried_again() -> None:
    """An intent of an older version of this program: nobody can tell a write from a reversal, so a sweep judges."""
    undated = Change(contact=1, company=10, before=7, after=8)
    outcome = after_write(undated, PLANNED, answered=False)
    assert outcome is not None
    assert outcome.result is Result.CONFLICT


def test_an_unanswered_write_is_not_called_written() -> None:
    """Somebody else's owner after a lost answer: whether we wrote before is not known, so it is not said."""
    outcome = after_write(CHANGE, ContactRow(company=10, owner=9), answered=False)
    assert outcome is not None
    assert "written" not in outcome.detail


def test_a_change_that_is_tried_again_rests_on_the_newest_row() -> None:
    """Somebody edited a phone meanwhile: the next lost answer is held against that row."""
    later = ContactRow(company=10, owner=7, modified=THEN + timedelta(minutes=1))
    assert resting_on(CHANGE, later).modified == later.modified
    assert resting_on(CHANGE, None) == CHANGE


@pytest.mark.parametrize(("rule", "owner"), [(Rule.COMPANY_OWNER, 8), (Rule.SUCCESSOR, 5), (Rule.HEAD, 5)], ids=str)
def test_the_owner_that_a_change_rests_on(rule: Rule, owner: int) -> None:
    """The new one where the company is followed; else the one that the company must still have."""
    assert rests_on(Change(contact=1, company=10, before=7, after=8, rule=rule, company_owner=5)) == owner
