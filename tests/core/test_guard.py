"""The guard's limits, and what an approval lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.guard import Breach, Group, GuardLimits, Limit, Population, Verdict, breaches, hold_back, split
from reconciler.core.model import Cause, Change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

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


# Holding back -------------------------------------------------------------------------------------------------------


def told(verdict: Verdict) -> tuple[list[int], list[int]]:
    """Return the contacts that pass, and those that are held back."""
    return [change.contact for change in verdict.passing], [change.contact for change in verdict.held]


def between(first: int, last: int, before: int, after: int, cause: Cause = Cause.CONTACT_CHANGED) -> list[Change]:
    """Return changes of these contacts from one person to another."""
    return [Change(contact=n, company=n, before=before, after=after, cause=cause) for n in range(first, last + 1)]


def test_what_broke_a_limit_is_held_back_and_the_rest_goes() -> None:
    """Somebody loses too many: those wait, and what others lose does not."""
    verdict = hold_back(between(1, 5, 3, 20) + between(6, 9, 4, 21), LARGE, LIMITS)
    assert told(verdict) == ([6, 7, 8, 9], [1, 2, 3, 4, 5])
    assert [(breach.limit, breach.person) for breach in verdict.breaches] == [(Limit.LOST, 3)]


def test_of_too_many_changes_the_largest_groups_are_held_back() -> None:
    """A group has one cause and one person: the largest go first, until the rest passes."""
    handed_over = between(1, 8, 3, 20, Cause.COMPANY_OWNER_CHANGED)
    edited = between(11, 13, 4, 21)
    verdict = hold_back([*edited, *handed_over], LARGE, LIMITS)
    assert told(verdict) == ([11, 12, 13], [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_share_is_measured_against_the_whole_portal() -> None:
    """Also what passes: six of 51 are too many, and four are not."""
    population = Population(contacts=51, companies=9)
    verdict = hold_back(between(1, 2, 3, 20) + between(3, 6, 4, 21), population, LIMITS)
    assert told(verdict) == ([1, 2], [3, 4, 5, 6])


@pytest.mark.parametrize(
    "population",
    [
        Population(contacts=1_000, companies=10, companies_before=100),
        Population(contacts=1_000, companies=10, rivals=frozenset({1, 2, 3})),
    ],
    ids=["companies missing", "another installation"],
)
def test_a_plan_that_cannot_be_trusted_is_held_back_as_a_whole(population: Population) -> None:
    """A suspicious read is not right in parts."""
    verdict = hold_back(between(1, 4, 3, 20), population, LIMITS)
    assert told(verdict) == ([], [1, 2, 3, 4])


def test_what_waits_goes_on_waiting_and_what_is_new_is_judged_alone() -> None:
    """Otherwise each run would let another part through until all is written."""
    waiting = between(1, 12, 3, 20)
    new = between(21, 24, 4, 21)
    verdict = hold_back(waiting + new, LARGE, LIMITS, {change.key for change in waiting})
    assert told(verdict) == ([21, 22, 23, 24], [*range(1, 13)])


def test_what_waits_goes_on_waiting_where_it_passes_no_limit_by_itself() -> None:
    """The others of its run were written: what was too much together would else go in two halves."""
    waiting = between(1, 2, 3, 20)
    verdict = hold_back(waiting + between(3, 4, 4, 21), LARGE, LIMITS, {change.key for change in waiting})
    assert told(verdict) == ([3, 4], [1, 2])
    assert verdict.breaches == ()


def keys(changes: Sequence[Change]) -> set[tuple[int, int, int, int]]:
    """Return what identifies these changes."""
    return {change.key for change in changes}


def groups_of(changes: Sequence[Change]) -> set[Group]:
    """Return the groups that these changes are in."""
    gaining = {Group(cause=change.cause, gains=True, person=change.after) for change in changes}
    return gaining | {Group(cause=change.cause, gains=False, person=change.before) for change in changes}


@given(some=PLANS, waiting=st.sets(st.integers(1, 500)), population=POPULATIONS)
def test_the_rest_passes_the_guard(some: list[Change], waiting: set[int], population: Population) -> None:
    """Nothing is lost, nothing is in both parts, and something is held back only where a limit is passed."""
    earlier = {change.key for change in some if change.contact in waiting}
    verdict = hold_back(some, population, LIMITS, earlier)
    assert breaches(verdict.passing, population, LIMITS) == ()
    assert verdict.breaches == breaches(some, population, LIMITS)
    assert bool(verdict.held) == bool(verdict.breaches or earlier)
    assert keys(verdict.passing) | keys(verdict.held) == keys(some)
    assert len(verdict.passing) + len(verdict.held) == len(some)


@given(some=PLANS, contacts=st.integers(0, 400))
def test_no_group_is_held_back_in_vain(some: list[Change], contacts: int) -> None:
    """What is held back is whole groups, and with any one of them more the rest would not pass."""
    population = Population(contacts=contacts, companies=9)
    verdict = hold_back(some, population, LIMITS)
    if not verdict.held:
        return
    held = {*verdict.groups}
    assert len(held) == len(verdict.groups)
    assert all(held & groups_of([change]) for change in verdict.held)
    assert not held & groups_of(verdict.passing)
    for group in held:
        back = [change for change in verdict.held if not groups_of([change]) & (held - {group})]
        assert breaches([*verdict.passing, *back], population, LIMITS)


@given(some=PLANS, more=PLANS, population=POPULATIONS)
def test_a_guard_that_holds_back_keeps_holding_back_when_a_change_is_added(
    some: list[Change], more: list[Change], population: Population
) -> None:
    """A larger plan is not let through where a part of it was not; and what waited goes on waiting."""
    small = hold_back(some, population, LIMITS)
    taken = {change.contact for change in some}
    larger = some + [change for change in more if change.contact not in taken]
    large = hold_back(larger, population, LIMITS, keys(small.held))
    assert keys(small.held) <= keys(large.held)


@given(some=PLANS, waiting=st.sets(st.integers(1, 500)), population=POPULATIONS, random=st.randoms())
def test_the_order_of_the_changes_never_matters(
    some: list[Change], waiting: set[int], population: Population, random: Random
) -> None:
    """The same changes are held back, whatever order they come in."""
    earlier = {change.key for change in some if change.contact in waiting}
    shuffled = some.copy()
    random.shuffle(shuffled)
    one, other = (hold_back(plan, population, LIMITS, earlier) for plan in (some, shuffled))
    assert keys(one.held) == keys(other.held)
    assert one.breaches == other.breaches
