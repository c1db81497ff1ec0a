"""Whatever the order of intents, outcomes and runs: the sums are right, and nothing is forgotten."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import change, outcome

from reconciler.core.model import Result, RunReport, Status

if TYPE_CHECKING:
    from reconciler.journal.store import Journal

_CONTACTS = st.lists(st.integers(1, 6), max_size=4, unique=True)
_RUN = st.integers(0, 2)  # how many runs ago, as far as there are that many
_STEPS = st.lists(
    st.one_of(
        st.just(("begin",)),
        st.just(("finish",)),
        st.tuples(st.just("intend"), _RUN, _CONTACTS),
        st.tuples(st.just("settle"), _RUN, _CONTACTS, st.sampled_from(Result)),
    ),
    max_size=12,
)
_portal_numbers = count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_counts_and_open_intents_follow_any_interleaving(journal: Journal, steps: list[tuple[object, ...]]) -> None:
    """A model of two dictionaries says the same as the journal; each example has a portal of its own."""
    portal = f"portal-{next(_portal_numbers)}"
    runs = [journal.begin(portal=portal, command="service")]
    results: dict[tuple[int, int], Result | None] = {}
    attempts: Counter[tuple[int, int]] = Counter()
    for step in steps:
        match step:
            case ("begin",):
                runs.insert(0, journal.begin(portal=portal, command="service"))
            case ("finish",):
                journal.finish(RunReport(run=runs[0], status=Status.APPLIED))
            case ("intend", int(ago), list(contacts)):
                run = runs[min(ago, len(runs) - 1)]
                journal.intend(run, [change(contact) for contact in contacts])
                results.update({(run, contact): None for contact in contacts})
                attempts.update((run, contact) for contact in contacts)
            case ("settle", int(ago), list(contacts), Result() as result):
                run = runs[min(ago, len(runs) - 1)]
                journal.settle(run, [outcome(contact, result) for contact in contacts])
                results.update({(run, contact): result for contact in contacts})

    opened = [(intent.run, intent.change.contact) for intent in journal.open_intents(portal)]
    assert opened == sorted(key for key, result in results.items() if result is None)
    for run in runs:
        record = journal.find_run(run)
        assert record is not None
        counted = Counter(result for (its_run, _), result in results.items() if its_run == run and result is not None)
        assert record.report.outcomes == counted
        stored = {(run, each.change.contact): (each.result, each.attempts) for each in journal.changes(run)}
        assert stored == {key: (result, attempts[key]) for key, result in results.items() if key[0] == run}
