"""What can be taken back, and what cannot; and when a contact has been written often enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.check import ContactRow
from reconciler.core.flapping import FlapLimit, flaps
from reconciler.core.model import Change, Rule, User
from reconciler.core.rules.undo import Left, Obstacle, restore, unrestorable

WRITTEN = Change(contact=1, company=10, before=7, after=8)
USERS = {
    7: User(id=7, name="A", active=True, employee=True),
    6: User(id=6, name="B", active=False, employee=True),
    5: User(id=5, name="C", active=True, employee=False),
}


@pytest.mark.parametrize(
    ("change", "contact", "obstacle"),
    [
        pytest.param(WRITTEN, None, Obstacle.GONE, id="gone"),
        pytest.param(WRITTEN, ContactRow(company=10, owner=9), Obstacle.CHANGED_SINCE, id="another-owner"),
        pytest.param(WRITTEN, ContactRow(company=10, owner=7), Obstacle.CHANGED_SINCE, id="put-back-by-hand"),
        pytest.param(WRITTEN, ContactRow(company=11, owner=8), Obstacle.CHANGED_SINCE, id="another-company"),
        pytest.param(
            Change(contact=1, company=10, before=0, after=8),
            ContactRow(company=10, owner=8),
            Obstacle.NO_OWNER_BEFORE,
            id="no-owner-before",
        ),
        *(
            pytest.param(
                Change(contact=1, company=10, before=before, after=8),
                ContactRow(company=10, owner=8),
                Obstacle.OLD_OWNER_UNFIT,
                id=name,
            )
            for before, name in ((6, "dismissed"), (5, "no-employee"), (4, "unknown"))
        ),
    ],
)
def test_left(change: Change, contact: ContactRow | None, obstacle: Obstacle) -> None:
    """Each row of the table that is not put back."""
    contacts = {} if contact is None else {1: contact}
    assert restore([change], contacts, USERS) == ((), (Left(change=change, obstacle=obstacle),))
    assert obstacle.sentence


def test_put_back() -> None:
    """A contact that stands as we left it gets the owner it had."""
    back, left = restore([WRITTEN], {1: ContactRow(company=10, owner=8)}, USERS)
    assert back == (Change(contact=1, company=10, before=8, after=7, rule=Rule.UNDO),)
    assert left == ()
    assert unrestorable(WRITTEN, USERS) is None


def test_what_a_person_keeps_is_left() -> None:
    """Also where it stands as we left it; what somebody has changed is said to be so."""
    changes = [
        WRITTEN,
        Change(contact=2, company=10, before=7, after=8),
        Change(contact=3, company=10, before=7, after=8),
    ]
    contacts = {
        1: ContactRow(company=10, owner=8),
        2: ContactRow(company=10, owner=9),
        3: ContactRow(company=10, owner=8),
    }
    back, left = restore(changes, contacts, USERS, kept={1, 2})
    assert [change.contact for change in back] == [3]
    assert {one.change.contact: one.obstacle for one in left} == {1: Obstacle.KEPT, 2: Obstacle.CHANGED_SINCE}


@given(st.permutations([Change(contact=n, company=20 - n, before=7, after=8) for n in range(1, 9)]))
def test_order_never_matters(changes: list[Change]) -> None:
    """Sorted by company, then contact, as every plan is."""
    back, _ = restore(changes, {n: ContactRow(company=20 - n, owner=8) for n in range(1, 9)}, USERS)
    assert [change.company for change in back] == sorted(change.company for change in changes)


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        pytest.param([1, 2, 3], True, id="three-in-a-day"),
        pytest.param([1, 2], False, id="two"),
        pytest.param([1, 2, 25], False, id="one-too-old"),
        pytest.param([1, 2, 24], True, id="just-a-day"),
        pytest.param([], False, id="never-written"),
    ],
)
def test_flaps(hours: list[int], expected: bool) -> None:
    """Three of our writes within a day are enough."""
    assert flaps([NOW - timedelta(hours=h) for h in hours], NOW, FlapLimit()) is expected
