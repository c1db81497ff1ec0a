"""The guard's limits, and what an approval lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.guard import Breach, GuardLimits, Limit, Population, breaches, split
from reconciler.core.model import Cause, Change

LIMITS = GuardLimits(changes=10, share=0.1, share_from=50, gained=5, lost=4, companies=0.2)
LARGE = Population(contacts=1_000, companies=100, companies_before=100)


def changes(count: int, *, before: int = 0, after: int = 9, cause: Cause = Cause.UNKNOWN) -> list[Change]:
    """Return changes of one person's contacts, or of nobody's, to one person."""
    return [Change(contact=n, company=n, before=before, after=after, cause=cause) for n in range(1, count + 1)]


def spread(count: int) -> list[Change]:
    """Return changes in which nobody gains or loses more than one contact."""
    return [Change(contact=n, company=n, before=2 * n, after=2 * n + 1) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("some", "population", "expected"),
    [
        pytest.param(spread(10), LARGE, [], id="at-the-limit"),
        pytest.param(spread(11), LARGE, [(Limit.CHANGES, 11, 0)], id="one-more"),
        pytest.param(spread(6), Population(contacts=51, companies=1), [(Limit.SHARE, 6 / 51, 0)], id="share"),
        pytest.param(spread(9), Population(contacts=50, companies=1), [], id="share-of-a-small-portal"),
        pytest.param(changes(6), LARGE, [(Limit.GAINED, 6, 9)], id="gained"),
        pytest.param(changes(5), LARGE, [], id="gained-at-the-limit"),
        pytest.param(changes(5, before=3), LARGE, [(Limit.LOST, 5, 3)], id="lost"),
        pytest.param(changes(10, before=3, cause=Cause.COMPANY_OWNER_CHANGED), LARGE, [], id="handed-over"),
        pytest.param(
            spread(1),
            Population(contacts=9, companies=79, companies_before=100),
            [(Limit.COMPANIES, 0.21, 0)],
            id="shrunk",
        ),
        pytest.param(spread(1), Population(contacts=9, companies=80, companies_before=100), [], id="shrunk-a-little"),
        pytest.param(spread(1), Population(contacts=9, companies=80, companies_before=0), [], id="grown-from-nothing"),
        pytest.param(spread(1), Population(contacts=9, companies=1), [], id="first-sweep"),
        pytest.param([], Population(contacts=9, companies=1, companies_before=9), [], id="nothing-to-write"),
        pytest.param(
            spread(4),
            Population(contacts=9, companies=1, rivals=frozenset({1, 2, 3, 99})),
            [(Limit.RIVAL, 3, 0)],
            id="another-installation",
        ),
        pytest.param(
            spread(4), Population(contacts=9, companies=1, rivals=frozenset({1, 2, 99})), [], id="a-slip-or-two"
        ),
    ],
)
def test_limits(some: list[Change], population: Population, expected: list[tuple[Limit, float, int]]) -> None:
    """Each row of the table, at its edge and beyond."""
    found = breaches(some, population, LIMITS)
    assert [(b.limit, pytest.approx(b.number), b.person) for b in found] == [
        (limit, pytest.approx(number), person) for limit, number, person in expected
    ]


def test_who_gains_most_comes_first() -> None:
    """So that a short message names the right people."""
    some = changes(6, after=1) + [Change(contact=n, company=n, before=0, after=2) for n in range(20, 28)]
    found = breaches(some, Population(contacts=10_000, companies=1), GuardLimits(gained=5))
    assert found == (
        Breach(limit=Limit.GAINED, number=8, allowed=5, person=2),
        Breach(limit=Limit.GAINED, number=6, allowed=5, person=1),
    )


PLANS = st.lists(
    st.builds(
        Change,
        contact=st.integers(1, 500),
        company=st.integers(1, 9),
        before=st.integers(0, 4),
        after=st.integers(5, 8),
        cause=st.sampled_from(Cause),
    ),
    max_size=40,
    unique_by=lambda change: change.contact,
)
POPULATIONS = st.builds(
    Population, contacts=st.integers(0, 400), companies=st.integers(0, 50), companies_before=st.integers(0, 50)
)


@given(some=PLANS, more=PLANS, population=POPULATIONS)
def test_a_guard_that_refuses_keeps_refusing_when_a_change_is_added(
    some: list[Change], more: list[Change], population: Population
) -> None:
    """A larger plan breaks at least the limits that a part of it breaks."""
    taken = {change.contact for change in some}
    larger = some + [change for change in more if change.contact not in taken]
    small, large = (breaches(plan, population, LIMITS) for plan in (some, larger))
    assert {(b.limit, b.person) for b in small} <= {(b.limit, b.person) for b in large}


@given(some=PLANS, approved=PLANS)
def test_only_what_was_shown_goes_through(some: list[Change], approved: list[Change]) -> None:
    """Everything is in one of the two parts; the first holds what was approved to the letter, cause apart."""
    keys = {change.key for change in approved}
    through, rest = split(some, keys)
    assert sorted(through + rest, key=lambda c: c.contact) == sorted(some, key=lambda c: c.contact)
    assert all(change.key in keys for change in through)
    assert not any(change.key in keys for change in rest)
