"""The table of `core.policy`, row by row."""

from __future__ import annotations

import pytest

from reconciler.core.model import Change, Mismatch, Skip, Standing, User
from reconciler.core.policy import judge


def user(*, active: bool, employee: bool) -> User:
    """Return the company's owner."""
    return User(id=8, name="Bob", active=active, employee=employee)


def mismatch(company_owner: int = 8) -> Mismatch:
    """Return a contact of user 7 at a company of user 8."""
    return Mismatch(contact=1, company=10, owner=7, company_owner=company_owner)


@pytest.mark.parametrize(
    ("company_owner", "users", "reason"),
    [
        pytest.param(0, {}, Standing.OWNER_MISSING, id="none"),
        pytest.param(0, None, Standing.OWNER_MISSING, id="none-and-no-scope"),
        pytest.param(8, {}, Standing.OWNER_NOT_EMPLOYEE, id="not-returned"),
        pytest.param(8, {8: user(active=False, employee=True)}, Standing.OWNER_DISMISSED, id="dismissed"),
        pytest.param(8, {8: user(active=False, employee=False)}, Standing.OWNER_DISMISSED, id="dismissed-no-employee"),
        pytest.param(8, {8: user(active=True, employee=False)}, Standing.OWNER_NOT_EMPLOYEE, id="in-no-department"),
    ],
)
def test_left_alone(company_owner: int, users: dict[int, User] | None, reason: Standing) -> None:
    """A contact whose company has nobody to take it over keeps its owner."""
    drifted = mismatch(company_owner)
    assert judge(drifted, users) == Skip(mismatch=drifted, reason=reason)


@pytest.mark.parametrize(
    "users",
    [
        pytest.param({8: user(active=True, employee=True)}, id="active-in-a-department"),
        pytest.param(None, id="no-user-scope"),
    ],
)
def test_gets_the_companys_owner(users: dict[int, User] | None) -> None:
    """An employee takes over; without the scope the plan says so too, and may not be applied."""
    assert judge(mismatch(), users) == Change(contact=1, company=10, before=7, after=8)


def test_a_contact_without_an_owner_gets_one() -> None:
    """Owner 0 of the contact is no objection."""
    orphan = Mismatch(contact=1, company=10, owner=0, company_owner=8)
    assert judge(orphan, None) == Change(contact=1, company=10, before=0, after=8)


@pytest.mark.parametrize("reason", Standing)
def test_each_reason_has_a_sentence(reason: Standing) -> None:
    """For people; the value is for scripts."""
    assert reason.sentence
    assert reason.sentence != reason.value
