"""Random portals, faults and people: nothing lost, invented or overwritten, and in the end no drift to correct."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.portal_fixture import ANN, BOB
from support.world import CLEO, CONTACT_UPDATE, MEMORY, World, total

from reconciler.core.model import Result, Standing, Status
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

CONTACTS = 24
OWNERS = st.sampled_from([ANN, BOB, CLEO])
COMPANIES = st.integers(101, 104)
METHODS = st.sampled_from([None, CONTACT_UPDATE, "crm.contact.list", "crm.company.list", "user.get"])


def fault(**parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Describe a fault that happens a few times."""
    selectors = {"method": METHODS, "times": st.integers(1, 3), "every": st.integers(1, 4)}
    return st.fixed_dictionaries(selectors | parameters)


FAULTS = st.one_of(
    fault(kind=st.sampled_from(["html_502", "html_504", "internal_error"]), commit=st.booleans()),
    fault(kind=st.sampled_from(["rate_limited", "cut_before", "lost_answer", "truncated_body", "wrong_json"])),
    fault(kind=st.sampled_from(["missing_result", "operation_limit", "empty_page", "short_page", "dropped_filter"])),
    fault(kind=st.just("slow"), seconds=st.sampled_from([1.0, 9.0])),
    fault(
        kind=st.just("command_error"),
        code=st.sampled_from(["", "ERROR_CORE", "INTERNAL_SERVER_ERROR"]),
        description=st.sampled_from(["Access denied.", "Not found", "oops"]),
    ),
    fault(kind=st.just("partial_batch"), commands=st.integers(0, 12)),
)
ACTS: st.SearchStrategy[Callable[[World], object]] = st.one_of(
    st.tuples(st.integers(1, CONTACTS), OWNERS).map(
        lambda a: lambda world: world.owns(a[0]) and world.portal.people.edit_contact(a[0], CLEO, assigned_by_id=a[1])
    ),
    st.tuples(COMPANIES, OWNERS).map(
        lambda a: lambda world: world.portal.people.edit_company(a[0], CLEO, assigned_by_id=a[1])
    ),
    st.tuples(COMPANIES, st.integers(1, CONTACTS)).map(
        lambda a: lambda world: world.owns(a[1]) and world.portal.people.bind_from_company(*a)
    ),
    st.integers(1, CONTACTS).map(lambda contact: lambda world: world.portal.people.delete_contact(contact)),
)


@given(
    owners=st.lists(OWNERS, min_size=4, max_size=4),
    contacts=st.lists(st.tuples(COMPANIES, OWNERS), min_size=CONTACTS, max_size=CONTACTS),
    faults=st.lists(FAULTS, max_size=4),
    acts=st.lists(st.tuples(st.floats(0, 60), ACTS), max_size=6),
    slow=st.booleans(),
)
@settings(max_examples=15)
def test_whatever_happens(
    owners: list[int],
    contacts: list[tuple[int, int]],
    faults: list[dict[str, Any]],
    acts: list[tuple[float, Callable[[World], object]]],
    *,
    slow: bool,
) -> None:
    """Each run is held against the portal's record by `World.run`; what is left after the last fault is left alone."""
    profile = Profile(write_median=0.5, network=0.1) if slow else "instant"
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, closing(World(Path(folder), profile=profile)) as world:
        for company, owner in zip(range(101, 105), owners, strict=True):
            world.office.company(company, owner)
        for number, (company, owner) in enumerate(contacts, 1):
            world.office.contact(number, owner, company)
        for moment, act in acts:
            world.later(moment, lambda act=act: act(world))  # type: ignore[misc] # a lambda with a default
        world.faults(*faults)
        for _ in range(2):
            finished = world.run()
            if finished.report.status in (Status.APPLIED, Status.PARTIAL):
                assert total(finished) == finished.report.drift - finished.report.standing
            if not acts:  # else a contact may be deleted between its write and its read-back
                assert finished.report.outcomes.get(Result.UNKNOWN, 0) == 0
        world.faults()
        world.clock.sleep(60)
        world.restart()
        last = [world.run().report for _ in range(3)][-1]
        assert last.status is Status.IN_SYNC
        # A contact that somebody linked to a second company, or has set back after each of our writes.
        assert last.reasons.keys() <= {Standing.SEVERAL_COMPANIES, Standing.QUARANTINED}
        assert world.portal.drift() == last.standing == sum(last.reasons.values())
        assert "open" not in {row for record in world.journal.runs() for row in world.outcomes(record.report.run)}
