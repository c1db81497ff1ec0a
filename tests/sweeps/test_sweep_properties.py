"""However a portal is read, and whatever people and the network do: what is seen is the truth, or an error."""

from __future__ import annotations

from contextlib import ExitStack, closing
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.sweeping import Crowd, Watcher, companies_of, office, seen, truth

from reconciler.core.companies import Strategy
from reconciler.errors import ReconcilerError

#: Seconds between two sweeps: none at all, within the overlap, a slot, and more than the time of a roster.
PAUSES = st.sampled_from([0.0, 0.4, 30.0, 600.0, 7 * 3600.0])
LISTS = ["crm.company.list", "crm.contact.list"]
FIELDS = ["", "ID", "COMPANY_ID", "ASSIGNED_BY_ID", "IS_MY_COMPANY", "DATE_MODIFY"]
LOST_ANSWERS = ["html_502", "truncated_body", "wrong_json", "empty_answer", "cut_before", "lost_answer"]
FAULTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({
        "kind": st.sampled_from(["short_page", "empty_page", "missing_result"]),
        "method": st.sampled_from([*LISTS, "user.get", "crm.item.list"]),
        "times": st.integers(1, 4),
    }),
    st.fixed_dictionaries({
        "kind": st.just("dropped_filter"),
        "method": st.sampled_from(LISTS),
        "field": st.sampled_from(FIELDS),
        "times": st.integers(1, 4),
    }),
    st.fixed_dictionaries({
        "kind": st.sampled_from(LOST_ANSWERS),
        "request": st.integers(1, 40),
        "times": st.integers(1, 2),
    }),
    st.fixed_dictionaries({
        "kind": st.sampled_from(["partial_batch", "rate_limited", "internal_error"]),
        "every": st.integers(1, 3),
        "times": st.integers(1, 3),
    }),
    st.fixed_dictionaries({
        "kind": st.just("command_error"),
        "code": st.sampled_from(["INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER", ""]),
        "method": st.sampled_from(LISTS),
        "times": st.integers(1, 3),
    }),
    st.fixed_dictionaries({
        "kind": st.just("operation_limit"), "method": st.sampled_from(LISTS), "times": st.integers(1, 2),
    }),
)  # fmt: skip


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([(0, 0), (3, 8), (12, 60), (90, 250)]),
    sweeps=st.lists(st.tuples(st.integers(0, 12), PAUSES), min_size=1, max_size=6),
)
def test_all_ways_of_reading_see_the_same(seed: int, size: tuple[int, int], sweeps: list[tuple[int, float]]) -> None:
    """Compared by the portal or here, in one lane or three: the same changes, skips and companies."""
    portal = office()
    crowd = Crowd(portal, Random(seed))
    crowd.settle(*size)
    with ExitStack() as stack:
        watchers = [
            stack.enter_context(closing(Watcher(portal, strategy, lanes)))
            for strategy, lanes in (
                (Strategy.DRIFT, 1),
                (Strategy.DRIFT, 3),
                (Strategy.PAGES, 1),
                (Strategy.PAGES, 3),
                (None, 3),
            )
        ]
        for edits, pause in sweeps:
            found = [seen(watcher.look()) for watcher in watchers]
            assert found[0]["drift"] == truth(portal)
            assert found[0]["roster"] == companies_of(portal)
            assert all(each == found[0] for each in found)
            for watcher in watchers:
                assert watcher.roster.owners == companies_of(portal)
            crowd.work(edits)
            portal.clock.sleep(pause)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    strategy=st.sampled_from(Strategy),
    lanes=st.sampled_from([1, 3]),
    sweeps=st.lists(
        st.tuples(st.integers(0, 6), PAUSES, st.lists(FAULTS, min_size=1, max_size=3)), min_size=1, max_size=4
    ),
)
def test_a_sweep_in_bad_weather_is_right_or_none(
    seed: int, strategy: Strategy, lanes: int, sweeps: list[tuple[int, float, list[dict[str, Any]]]]
) -> None:
    """Pages that come short, filters that are ignored, answers that get lost: never a wrong plan, and it recovers."""
    portal = office()
    crowd = Crowd(portal, Random(seed))
    crowd.settle(12, 60)
    with closing(Watcher(portal, strategy, lanes)) as watcher:
        for edits, pause, faults in sweeps:
            portal.portal.faults.load(faults)
            try:
                found = watcher.look()
            except ReconcilerError:
                pass
            else:
                assert set(found.snapshot.mismatches) == truth(portal)
                assert watcher.roster.owners == companies_of(portal)
            crowd.work(edits)
            portal.clock.sleep(pause)
        portal.portal.faults.load([])
        assert set(watcher.look().snapshot.mismatches) == truth(portal)
        assert watcher.roster.owners == companies_of(portal)
