"""The plan as a value: its order, its digest, its limit, and that nothing is left once it is applied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.model import Cause, Change, Mismatch, Standing, User
from reconciler.core.plan import Plan, make_plan
from reconciler.core.policy import Case, DismissedOwner, Policies
from reconciler.core.snapshot import Snapshot

USERS = {number: User(id=number, name=f"U{number}", active=number != 5, employee=number != 6) for number in range(1, 8)}


def snapshot(*mismatches: Mismatch, users: dict[int, User] | None = USERS) -> Snapshot:
    """Return what a sweep saw."""
    return Snapshot(
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        roster={m.company: m.company_owner for m in mismatches},
        contacts=len(mismatches),
        mismatches=mismatches,
        outside_roster=0,
        users=users,
    )


def case(*mismatches: Mismatch, users: dict[int, User] | None = USERS) -> Case:
    """Return a sweep to be judged by the default rules."""
    return Case(snapshot=snapshot(*mismatches, users=users))


def drifted(contact: int, company: int = 10, owner: int = 1, company_owner: int = 2) -> Mismatch:
    """Return one drifted contact."""
    return Mismatch(contact=contact, company=company, owner=owner, company_owner=company_owner)


@st.composite
def sweeps(draw: st.DrawFn) -> list[Mismatch]:
    """Draw mismatching contacts whose companies agree about their owners."""
    owners = draw(st.dictionaries(st.integers(1, 6), st.integers(0, 9), min_size=1))
    contacts = draw(st.lists(st.integers(1, 60), unique=True))
    rows = []
    for contact in contacts:
        company = draw(st.sampled_from(sorted(owners)))
        owner = draw(st.integers(0, 9).filter(lambda o, own=owners[company]: o != own))
        rows.append(drifted(contact, company, owner, owners[company]))
    return rows


def test_sorted_by_company_then_contact() -> None:
    """Changes and skips each, so that a reader sees a company's contacts together."""
    rows = [drifted(3, 20), drifted(1, 20), drifted(9, 10), drifted(4, 30, company_owner=0), drifted(2, 30, 1, 0)]
    plan = make_plan(case(*rows), portal="p")
    assert [(c.company, c.contact) for c in plan.changes] == [(10, 9), (20, 1), (20, 3)]
    assert [s.mismatch.contact for s in plan.skips] == [2, 4]


@settings(max_examples=60, deadline=None)
@given(rows=sweeps(), limit=st.none() | st.integers(0, 20), order=st.randoms(use_true_random=False))
def test_the_order_of_input_never_matters(rows: list[Mismatch], limit: int | None, order: object) -> None:
    """The same sweep in any order is the same plan, with the same digest."""
    mixed = list(rows)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    plan, again = (make_plan(case(*some), portal="p", limit=limit) for some in (rows, mixed))
    assert plan == again
    assert plan.digest == again.digest
    assert replace(plan, changes=tuple(reversed(plan.changes))).digest == plan.digest


@settings(max_examples=60, deadline=None)
@given(rows=sweeps(), limit=st.none() | st.integers(0, 20))
def test_every_drifted_contact_is_changed_or_skipped(rows: list[Mismatch], limit: int | None) -> None:
    """Nothing gets lost, nothing comes twice, and the numbers add up."""
    plan = make_plan(case(*rows), portal="p", limit=limit)
    seen = [c.contact for c in plan.changes] + [s.mismatch.contact for s in plan.skips]
    assert sorted(seen) == sorted(m.contact for m in rows)
    assert plan.drift == len(rows)
    assert sum(plan.reasons.values()) == len(plan.skips)
    assert limit is None or len(plan.changes) <= limit


@settings(max_examples=60, deadline=None)
@given(rows=sweeps())
def test_planning_after_applying_is_empty(rows: list[Mismatch]) -> None:
    """Once each contact has the owner of its change, the next sweep finds only what was left alone."""
    plan = make_plan(case(*rows), portal="p")
    after = {change.contact: change.after for change in plan.changes}
    rows_after = [replace(m, owner=after.get(m.contact, m.owner)) for m in rows]
    again = make_plan(case(*(m for m in rows_after if m.owner != m.company_owner)), portal="p")
    assert again.changes == ()
    assert again.skips == plan.skips


@settings(max_examples=60, deadline=None)
@given(rows=sweeps())
def test_no_change_is_a_no_op_or_gives_to_somebody_who_may_not_have_it(rows: list[Mismatch]) -> None:
    """Never an owner who is not an active employee, never the owner who is there."""
    for change in make_plan(case(*rows), portal="p").changes:
        assert change.before != change.after
        assert USERS[change.after].active
        assert USERS[change.after].employee


@pytest.mark.parametrize(
    ("limit", "changed", "over"),
    [pytest.param(None, [1, 2, 3], 0, id="none"), (0, [], 3), (2, [1, 2], 1), (3, [1, 2, 3], 0), (9, [1, 2, 3], 0)],
)
def test_limit(limit: int | None, changed: list[int], over: int) -> None:
    """`--limit` cuts the changes; what lies beyond is standing drift for that reason, other skips do not count."""
    rows = [drifted(1), drifted(2), drifted(3), drifted(4, 9, company_owner=0)]
    plan = make_plan(case(*rows), portal="p", limit=limit)
    assert [c.contact for c in plan.changes] == changed
    assert plan.reasons.get(Standing.OVER_LIMIT, 0) == over
    assert plan.reasons[Standing.OWNER_MISSING] == 1


def test_digest_is_the_documented_one() -> None:
    """Canonical JSON of portal and rows; a script in another language must find the same."""
    change = Change(contact=1, company=10, before=7, after=8)
    plan = Plan(portal="p", changes=(change,), skips=())
    # printf '["p",[[1,10,7,8]]]' | sha256sum
    assert plan.digest == "0e215bb940a969288344b8d74027fe1c4c9cc8a67da7c3ba6ebe78e8671b661d"
    assert replace(plan, portal="q").digest != plan.digest
    for other in (replace(change, contact=2), replace(change, before=1), replace(change, after=9)):
        assert replace(plan, changes=(other,)).digest != plan.digest


def test_digest_does_not_depend_on_what_is_left_alone() -> None:
    """Approval is of changes: an owner who was dismissed meanwhile takes none of it back."""
    few, more = snapshot(drifted(1)), snapshot(drifted(1), drifted(2, 11, company_owner=5))
    assert make_plan(Case(snapshot=few), portal="p").digest == make_plan(Case(snapshot=more), portal="p").digest


@pytest.mark.parametrize(("users", "verified"), [(USERS, True), ({}, True), (None, False)])
def test_owners_verified(users: dict[int, User] | None, verified: bool) -> None:
    """Without the user scope the plan is shown, and marked as one that may not be applied."""
    assert make_plan(case(drifted(1), users=users), portal="p").owners_verified is verified


def test_causes_and_what_is_no_drift_by_the_policies() -> None:
    """Causes count what is changed and what is left alone; a contact that has the wanted owner is neither."""
    policies = Policies(dismissed_owner=DismissedOwner.SUCCESSOR, successor=3)
    rows = [drifted(1), drifted(2, 11, 1, 5), drifted(3, 11, 3, 5), drifted(4, 12, 1, 0)]
    plan = make_plan(Case(snapshot=snapshot(*rows), policies=policies), portal="p")
    assert [(c.contact, c.after) for c in plan.changes] == [(1, 2), (2, 3)]
    assert plan.drift == 3
    assert plan.causes == {Cause.UNKNOWN: 3}
