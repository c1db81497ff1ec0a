"""Names are asked for where they are shown, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_values import NOON, ORIGIN, USAGE

from reconciler.core.model import Mismatch, Names, Snapshot, User
from reconciler.core.plan import Plan, make_plan
from reconciler.ops.report import plan_report, render, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Owners 1 to 6 are there, 7 to 9 were dismissed, 0 is nobody.
PEOPLE = {number: User(id=number, name=f"Person {number}", active=number < 7, employee=True) for number in range(1, 10)}
#: The owner of company n is n modulo 10.
drift = st.lists(
    st.tuples(st.integers(1, 80), st.integers(1, 9)).filter(lambda pair: pair[0] % 10 != pair[1]), max_size=120
)


def snapshot_of(pairs: Sequence[tuple[int, int]]) -> Snapshot:
    """Return a sweep that found these (company, owner of the contact)."""
    return Snapshot(
        taken_at=NOON,
        roster={company: company % 10 for company in range(1, 81)},
        contacts=1_000,
        mismatches=tuple(
            Mismatch(contact=1_000 + number, company=company, owner=owner, company_owner=company % 10)
            for number, (company, owner) in enumerate(pairs)
        ),
        outside_roster=0,
        users=PEOPLE,
        windows=4,
    )


def names_of(asked: Sequence[Mismatch]) -> Names:
    """Return what a portal answers that is asked for these."""
    return Names(
        contacts={one.contact: f"Contact {one.contact}" for one in asked},
        companies={one.company: f"Company {one.company}" for one in asked},
    )


def document(plan: Plan, snapshot: Snapshot, names: Names, shape: str, most_rows: int | None) -> str:
    """Return the plan as a document of this shape."""
    report = plan_report(plan, snapshot=snapshot, names=names, origin=ORIGIN, usage=USAGE)
    return render(report, shape, most_rows=most_rows)


@pytest.mark.parametrize("shape", ["text", "markdown", "html", "json", "csv"])
@settings(max_examples=25)
@given(pairs=drift, most_rows=st.none() | st.integers(0, 20), limit=st.none() | st.integers(0, 20))
def test_no_name_is_missing(shape: str, pairs: list[tuple[int, int]], most_rows: int | None, limit: int | None) -> None:
    """A document made of what was asked for is the one that all names would make."""
    snapshot = snapshot_of(pairs)
    plan = make_plan(snapshot, portal="acme", limit=limit)
    asked = names_of(shown(plan, shape, most_rows))
    everything = names_of(snapshot.mismatches)
    assert document(plan, snapshot, asked, shape, most_rows) == document(plan, snapshot, everything, shape, most_rows)


@pytest.mark.parametrize(("shape", "asked"), [("text", 53), ("markdown", 503), ("json", 703), ("csv", 703)])
def test_what_is_not_shown_is_not_asked_for(shape: str, asked: int) -> None:
    """Of 700 changes and 3 that are left alone, a screen shows 50 and the companies of the three."""
    pairs = [(company, 9) for company in range(1, 71) if company % 10 in range(1, 7)]
    changes = [pairs[number % len(pairs)] for number in range(700)]
    snapshot = snapshot_of([*changes, (7, 1), (17, 1), (10, 1)])
    assert len(shown(make_plan(snapshot, portal="acme"), shape)) == asked


def test_the_company_with_most_contacts_is_named_first() -> None:
    """Where some companies of a group are named, it is those that matter."""
    snapshot = snapshot_of([(7, 1), (17, 1), (17, 2), (27, 1), (27, 2), (27, 3)])
    text = document(make_plan(snapshot, portal="acme"), snapshot, names_of(snapshot.mismatches), "text", None)
    assert "Company 27, Company 17, Company 7" in " ".join(text.split())
