"""The two tables of `core.check`, row by row."""

from __future__ import annotations

import pytest

from reconciler.core.check import ContactRow, after_write, before_write
from reconciler.core.model import Change, Result

CHANGE = Change(contact=1, company=10, before=7, after=8)
PLANNED = ContactRow(company=10, owner=7)


@pytest.mark.parametrize(
    ("contact", "company_owner", "verdict", "detail"),
    [
        pytest.param(None, 8, Result.GONE, "deleted or no longer visible", id="contact-not-there"),
        pytest.param(ContactRow(company=11, owner=7), 8, Result.CONFLICT, "now of company 11", id="other-company"),
        pytest.param(ContactRow(company=0, owner=7), 8, Result.CONFLICT, "now of company none", id="no-company"),
        pytest.param(ContactRow(company=11, owner=8), 8, Result.CONFLICT, "now of company 11", id="moved-and-right"),
        pytest.param(PLANNED, None, Result.CONFLICT, "owner is now none", id="company-not-there"),
        pytest.param(PLANNED, 9, Result.CONFLICT, "company's owner is now 9", id="company-of-another"),
        pytest.param(PLANNED, 0, Result.CONFLICT, "company's owner is now none", id="company-of-nobody"),
        pytest.param(ContactRow(company=10, owner=8), 9, Result.CONFLICT, "owner is now 9", id="both-moved"),
        pytest.param(ContactRow(company=10, owner=8), 8, Result.ALREADY, "", id="wanted-owner-already"),
        pytest.param(ContactRow(company=10, owner=9), 8, Result.CONFLICT, "contact's owner is now 9", id="third-owner"),
        pytest.param(ContactRow(company=10, owner=0), 8, Result.CONFLICT, "owner is now none", id="no-owner"),
    ],
)
def test_before_a_write(contact: ContactRow | None, company_owner: int | None, verdict: Result, detail: str) -> None:
    """Anything that is not as planned forbids the write, and says how it stands."""
    outcome = before_write(CHANGE, contact, company_owner, fit=True)
    assert outcome is not None
    assert (outcome.change, outcome.result) == (CHANGE, verdict)
    assert detail in outcome.detail


def test_all_as_planned_may_be_written() -> None:
    """The last row of the first table."""
    assert before_write(CHANGE, PLANNED, 8, fit=True) is None


def test_nobody_gets_a_contact_who_was_dismissed_since_the_plan() -> None:
    """All is as planned, but the new owner."""
    outcome = before_write(CHANGE, PLANNED, 8, fit=False)
    assert outcome is not None
    assert (outcome.result, outcome.detail) == (Result.CONFLICT, "user 8 is no active employee any more")


@pytest.mark.parametrize(
    ("contact", "answered", "verdict", "detail"),
    [
        pytest.param(None, True, Result.UNKNOWN, "no longer sees the contact", id="not-there-answered"),
        pytest.param(None, False, Result.GONE, "deleted or no longer visible", id="not-there-unanswered"),
        pytest.param(ContactRow(company=10, owner=8), True, Result.APPLIED, "", id="wanted-answered"),
        pytest.param(ContactRow(company=10, owner=8), False, Result.APPLIED, "", id="wanted-unanswered"),
        pytest.param(ContactRow(company=11, owner=8), True, Result.APPLIED, "", id="wanted-and-moved"),
        pytest.param(PLANNED, True, Result.FAILED, "kept its owner", id="old-answered"),
        pytest.param(ContactRow(company=10, owner=9), True, Result.CONFLICT, "written, but", id="another-answered"),
        pytest.param(
            ContactRow(company=10, owner=9), False, Result.CONFLICT, "the contact's owner", id="another-unanswered"
        ),
        pytest.param(ContactRow(company=10, owner=0), True, Result.CONFLICT, "is now none", id="nobody-answered"),
    ],
)
def test_after_a_write(contact: ContactRow | None, answered: bool, verdict: Result, detail: str) -> None:
    """What is there counts for more than what was answered."""
    outcome = after_write(CHANGE, contact, answered=answered)
    assert outcome is not None
    assert (outcome.change, outcome.result) == (CHANGE, verdict)
    assert detail in outcome.detail


def test_the_old_owner_without_an_answer_is_no_write() -> None:
    """The change may be sent again."""
    assert after_write(CHANGE, PLANNED, answered=False) is None


def test_an_unanswered_write_is_not_called_written() -> None:
    """Somebody else's owner after a lost answer: whether we wrote before is not known, so it is not said."""
    outcome = after_write(CHANGE, ContactRow(company=10, owner=9), answered=False)
    assert outcome is not None
    assert "written" not in outcome.detail
