"""The roster cut into groups, and the choice between the portal comparing and us."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.companies import GROUP, Roster, Strategy, cheaper, groups

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROSTERS = st.dictionaries(st.integers(1, 3000), st.integers(0, 4), max_size=60)


def roster(**more: object) -> Roster:
    """Return what is known of two companies."""
    return Roster(**{"owners": {1: 7, 2: 8}, "refreshed_at": NOON, "listed_at": NOON} | more)  # type: ignore[arg-type]


@given(owners=ROSTERS, only=st.none() | st.sets(st.integers(1, 3000)))
def test_groups_hold_each_company_once_under_its_owner(owners: dict[int, int], only: set[int] | None) -> None:
    """In the order of owners and companies, which is where a sweep that was broken off goes on."""
    cut = groups(owners, only)
    flat = [(group.owner, company) for group in cut for company in group.companies]
    wanted = {(owner, company) for company, owner in owners.items() if only is None or company in only}
    assert flat == sorted(wanted)
    assert [group.first for group in cut] == sorted(group.first for group in cut)
    assert all(group.first <= group.last for group in cut)


@pytest.mark.parametrize(
    ("companies", "sizes"), [(0, []), (1, [1]), (GROUP, [GROUP]), (GROUP + 1, [GROUP, 1]), (1200, [500, 500, 200])]
)
def test_a_group_is_at_most_500_companies(companies: int, sizes: list[int]) -> None:
    """F14: PHP takes a thousand variables of a command."""
    assert [len(group.companies) for group in groups(dict.fromkeys(range(companies), 7))] == sizes


@pytest.mark.parametrize(
    ("queries", "contacts", "known", "along", "strategy"),
    [
        pytest.param(60, 100_000, None, False, Strategy.DRIFT, id="first-sweep"),
        pytest.param(40, 200, None, False, Strategy.PAGES, id="first-sweep-as-many-owners-as-companies"),
        pytest.param(5, 200, roster(), True, Strategy.DRIFT, id="along-with-the-look"),
        pytest.param(5, 200, roster(), False, Strategy.DRIFT, id="in-a-request-of-its-own"),
        pytest.param(300, 5_000, roster(), False, Strategy.PAGES, id="many-owners"),
        pytest.param(60, 4_500, roster(drift=4_400), False, Strategy.PAGES, id="most-of-them-drifted"),
        pytest.param(60, 4_500, roster(drift=10), False, Strategy.DRIFT, id="few-of-them-drifted"),
        pytest.param(
            60, 100_000, roster(seconds={Strategy.DRIFT: 2.0, Strategy.PAGES: 0.01}), False, Strategy.PAGES, id="slow"
        ),
        pytest.param(0, 0, roster(), True, Strategy.DRIFT, id="nothing-there"),
    ],
)
def test_the_cheaper_strategy(
    queries: int, contacts: int, known: Roster | None, along: bool, strategy: Strategy
) -> None:
    """By commands, requests, and the seconds of either as measured last."""
    assert cheaper(queries, contacts, known, along=along) is strategy


@given(contacts=st.integers(0, 10**6), queries=st.integers(0, 10**4), more=st.integers(0, 10**6))
def test_more_contacts_never_make_pages_cheaper(contacts: int, queries: int, more: int) -> None:
    """With the drift as it is."""
    if cheaper(queries, contacts, roster(drift=10), along=False) is Strategy.DRIFT:
        assert cheaper(queries, contacts + more, roster(drift=10), along=False) is Strategy.DRIFT


def test_an_outdated_roster_is_due_at_once() -> None:
    """Whatever the time between two reads of all companies."""
    assert NOON - roster().outdated.listed_at > (NOON - datetime(1970, 1, 1, tzinfo=UTC))
    assert roster().outdated.owners == roster().owners
