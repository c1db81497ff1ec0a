"""The table of `core.policy`, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.model import (
    Cause,
    Change,
    CompanyDetail,
    ContactDetail,
    Department,
    Mismatch,
    Rule,
    Skip,
    Standing,
    User,
)
from reconciler.core.policy import (
    Case,
    DismissedOwner,
    MultiCompany,
    PersonEdit,
    Policies,
    Scope,
    fit,
    head_of,
    judge,
)
from reconciler.core.rules.follow_parent import Evidence
from reconciler.core.snapshot import Snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAST_SWEEP = NOW - timedelta(minutes=10)
OLD = NOW - timedelta(days=30)
#: A contact of user 7 at a company of user 8.
DRIFTED = Mismatch(contact=1, company=10, owner=7, company_owner=8)
WRITTEN = Change(contact=1, company=10, before=7, after=8, company_owner=8, cause=Cause.NEWLY_LINKED)


def user(number: int = 8, *, active: bool = True, employee: bool = True, departments: tuple[int, ...] = (1,)) -> User:
    """Return somebody who may own records, unless it is said otherwise."""
    return User(id=number, name=f"U{number}", active=active, employee=employee, departments=departments)


def contact(**values: Any) -> ContactDetail:
    """Return what is known of the contact: old, unless it is said otherwise."""
    return ContactDetail(**({"name": "C", "created": OLD, "modified": OLD, "modified_by": 3} | values))


def case(policies: Policies | None = None, **values: Any) -> Case:
    """Return a sweep with one drifted contact; the values are those of the snapshot, or evidence and exceptions."""
    known = {name: values.pop(name) for name in ("evidence", "exceptions") if name in values}
    snapshot: dict[str, Any] = {
        "taken_at": NOW,
        "roster": {10: 8},
        "contacts": 1,
        "mismatches": (DRIFTED,),
        "outside_roster": 0,
        "users": {8: user(), 7: user(7)},
        "contact_details": {1: contact()},
        "company_details": {10: CompanyDetail(name="Co")},
    }
    evidence = {"evidence": Evidence(last_sweep=LAST_SWEEP, unmoved={10})}
    return Case(snapshot=Snapshot(**(snapshot | values)), policies=policies or Policies(), **(evidence | known))


def verdict(given: Case, mismatch: Mismatch = DRIFTED) -> Standing | Change | None:
    """Return the change, the reason why not, or nothing."""
    found = judge(mismatch, given)
    return found.reason if isinstance(found, Skip) else found


def test_by_default_the_contact_gets_its_companys_owner() -> None:
    """The last row of the table."""
    assert judge(DRIFTED, case()) == WRITTEN


def test_a_contact_without_an_owner_gets_one() -> None:
    """Owner 0 of the contact is no objection."""
    orphan = replace(DRIFTED, owner=0)
    assert verdict(case(), orphan) == replace(WRITTEN, before=0)


def test_without_the_user_scope_the_companys_owner_is_wanted() -> None:
    """Nobody can be judged then; the plan says that it may not be applied."""
    assert verdict(case(users=None)) == WRITTEN


@pytest.mark.parametrize(
    ("company_owner", "users", "reason"),
    [
        pytest.param(0, {}, Standing.OWNER_MISSING, id="none"),
        pytest.param(0, None, Standing.OWNER_MISSING, id="none-and-no-scope"),
        pytest.param(8, {}, Standing.OWNER_NOT_EMPLOYEE, id="not-returned"),
        pytest.param(8, {8: user(active=False)}, Standing.OWNER_DISMISSED, id="dismissed"),
        pytest.param(8, {8: user(active=False, employee=False)}, Standing.OWNER_DISMISSED, id="dismissed-no-employee"),
        pytest.param(8, {8: user(employee=False)}, Standing.OWNER_NOT_EMPLOYEE, id="in-no-department"),
    ],
)
def test_a_company_owner_who_may_own_nothing_is_reported(
    company_owner: int, users: dict[int, User] | None, reason: Standing
) -> None:
    """A contact whose company has nobody to take it over keeps its owner."""
    assert verdict(case(users=users), replace(DRIFTED, company_owner=company_owner)) == reason


@pytest.mark.parametrize(
    ("policies", "values"),
    [
        pytest.param(Policies(leave_contacts=frozenset({1})), {}, id="contact"),
        pytest.param(Policies(leave_companies=frozenset({10})), {}, id="company"),
        pytest.param(Policies(only_companies=frozenset({11})), {}, id="outside-allow-list"),
        pytest.param(Policies(leave_owners=frozenset({7})), {}, id="owner-of-contact"),
        pytest.param(Policies(leave_owners=frozenset({8})), {}, id="owner-of-company"),
        pytest.param(Policies(leave_departments=frozenset({1, 4})), {}, id="department"),
        pytest.param(
            Policies(leave_contact_types=frozenset({"PARTNER"})),
            {"contact_details": {1: contact(type="PARTNER")}},
            id="contact-type",
        ),
        pytest.param(
            Policies(leave_company_types=frozenset({"PARTNER"})),
            {"company_details": {10: CompanyDetail(name="Co", type="PARTNER")}},
            id="company-type",
        ),
        pytest.param(Policies(), {"contact_details": {1: contact(flagged=True)}}, id="contact-field"),
        pytest.param(Policies(), {"company_details": {10: CompanyDetail(name="Co", flagged=True)}}, id="company-field"),
    ],
)
def test_what_the_settings_name_is_left_alone(policies: Policies, values: dict[str, Any]) -> None:
    """Each of the lists, and each of the fields."""
    assert verdict(case(policies, **values)) == Standing.EXCLUDED


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param(Policies(leave_contacts=frozenset({2}), leave_companies=frozenset({11})), id="others-named"),
        pytest.param(Policies(only_companies=frozenset({10})), id="inside-allow-list"),
        pytest.param(Policies(leave_departments=frozenset({9}), leave_owners=frozenset({9})), id="other-people"),
        pytest.param(
            Policies(leave_contact_types=frozenset({"X"}), leave_company_types=frozenset({"X"})), id="other-types"
        ),
    ],
)
def test_what_the_settings_do_not_name_is_written(policies: Policies) -> None:
    """A list takes out what stands in it, and no more."""
    assert verdict(case(policies)) == WRITTEN


def test_without_details_only_numbers_count() -> None:
    """A contact that vanished since the sweep has none; the check before the write will find that out."""
    policies = Policies(leave_contact_types=frozenset({"X"}), leave_company_types=frozenset({"X"}))
    found = verdict(case(policies, contact_details={}, company_details={}, users=None))
    assert found == replace(WRITTEN, cause=Cause.UNKNOWN)


@pytest.mark.parametrize(
    ("companies", "rule", "expected"),
    [
        pytest.param((10, 11), MultiCompany.REPORT, Standing.SEVERAL_COMPANIES, id="owners-differ"),
        pytest.param((10, 11), MultiCompany.PRIMARY, WRITTEN, id="owners-differ-primary"),
        pytest.param((10, 12), MultiCompany.REPORT, WRITTEN, id="owners-agree"),
        pytest.param((10, 99), MultiCompany.REPORT, WRITTEN, id="own-company-has-no-say"),
        pytest.param((), MultiCompany.REPORT, WRITTEN, id="not-asked"),
    ],
)
def test_several_companies(companies: tuple[int, ...], rule: MultiCompany, expected: Standing | Change) -> None:
    """Linking from a company's card steals "primary" (F3), so disagreement is shown, not settled."""
    given = case(
        Policies(multi_company=rule),
        roster={10: 8, 11: 9, 12: 8},
        contact_details={1: contact(companies=companies)},
    )
    assert verdict(given) == expected


SUCCESSOR = Policies(dismissed_owner=DismissedOwner.SUCCESSOR, successor=9)
HEAD = Policies(dismissed_owner=DismissedOwner.HEAD)
GONE = user(active=False)


@pytest.mark.parametrize(
    ("policies", "users", "expected"),
    [
        pytest.param(SUCCESSOR, {8: GONE, 9: user(9)}, (9, Rule.SUCCESSOR), id="successor"),
        pytest.param(SUCCESSOR, {9: user(9)}, (9, Rule.SUCCESSOR), id="successor-of-no-employee"),
        pytest.param(
            SUCCESSOR, {8: GONE, 9: user(9, active=False)}, Standing.SUCCESSOR_UNFIT, id="successor-dismissed"
        ),
        pytest.param(SUCCESSOR, {8: GONE}, Standing.SUCCESSOR_UNFIT, id="successor-unknown"),
        pytest.param(SUCCESSOR, {8: user(), 9: user(9)}, (8, Rule.COMPANY_OWNER), id="nobody-left"),
        pytest.param(HEAD, {8: GONE, 5: user(5)}, (5, Rule.HEAD), id="head"),
        pytest.param(HEAD, {8: GONE, 5: user(5, active=False)}, Standing.SUCCESSOR_UNFIT, id="head-dismissed"),
        pytest.param(HEAD, {}, Standing.SUCCESSOR_UNFIT, id="head-of-nobody"),
    ],
)
def test_who_takes_over(policies: Policies, users: dict[int, User], expected: Standing | tuple[int, Rule]) -> None:
    """A company's owner who has left is followed by whom the settings name; the change says by which rule."""
    found = verdict(case(policies, users=users, departments={1: Department(id=1, parent=0, head=5)}))
    if isinstance(found, Change):
        assert (
            (found.after, found.rule, found.company_owner) == (*expected, 8) if isinstance(expected, tuple) else False
        )
    else:
        assert found == expected


def test_a_contact_that_has_the_wanted_owner_already_is_no_drift() -> None:
    """The successor owns it: nothing to write, nothing to count."""
    given = case(SUCCESSOR, users={8: GONE, 9: user(9)})
    assert judge(replace(DRIFTED, owner=9), given) is None


def department(number: int, parent: int = 0, head: int = 0) -> Department:
    """Return a department."""
    return Department(id=number, parent=parent, head=head)


@pytest.mark.parametrize(
    ("departments", "head"),
    [
        pytest.param([department(1, head=5)], 5, id="own-department"),
        pytest.param([department(1, parent=2, head=8), department(2, head=5)], 5, id="heads-it-himself"),
        pytest.param([department(1, parent=2, head=6), department(2, head=5)], 5, id="head-dismissed"),
        pytest.param([department(1, parent=2), department(2, parent=3), department(3, head=5)], 5, id="two-up"),
        pytest.param([department(1, parent=2), department(2, parent=1)], 0, id="a-loop"),
        pytest.param([department(1, parent=9)], 0, id="parent-unknown"),
        pytest.param([], 0, id="no-departments"),
    ],
)
def test_the_head_is_looked_for_upwards(departments: list[Department], head: int) -> None:
    """F9: the head of the department, unless that is the person himself or unfit, then the one above."""
    users = {5: user(5), 6: user(6, active=False)}
    assert head_of(GONE, {d.id: d for d in departments}, users) == head


PREVIOUS, EMPTY = Policies(scope=Scope.PREVIOUS_OWNER), Policies(scope=Scope.EMPTY_OR_PREVIOUS)


@pytest.mark.parametrize(
    ("policies", "owner", "written"),
    [
        pytest.param(PREVIOUS, 7, True, id="previous-owner"),
        pytest.param(PREVIOUS, 6, False, id="somebody-else"),
        pytest.param(PREVIOUS, 0, False, id="nobody"),
        pytest.param(EMPTY, 7, True, id="empty-or-previous-previous"),
        pytest.param(EMPTY, 6, False, id="empty-or-previous-somebody-else"),
        pytest.param(EMPTY, 0, True, id="empty-or-previous-nobody"),
    ],
)
def test_scope(policies: Policies, owner: int, written: bool) -> None:
    """User 7 had the company before user 8."""
    evidence = Evidence(last_sweep=LAST_SWEEP, unmoved={10}, earlier_owners={10: frozenset({7})})
    found = verdict(case(policies, evidence=evidence), replace(DRIFTED, owner=owner))
    assert isinstance(found, Change) if written else found == Standing.OUT_OF_SCOPE


EDITED = {"contact_details": {1: contact(modified=NOW - timedelta(minutes=3))}}
RESPECT, SETTLE = Policies(person_edit=PersonEdit.RESPECT), Policies(settle=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("policies", "values", "expected"),
    [
        pytest.param(RESPECT, EDITED, Standing.RESPECTED, id="respect-edit"),
        pytest.param(RESPECT, {}, Cause.NEWLY_LINKED, id="respect-does-not-keep-links"),
        pytest.param(
            RESPECT,
            {"evidence": Evidence(last_sweep=LAST_SWEEP, written={1: 8})},
            Standing.RESPECTED,
            id="respect-changed-back",
        ),
        pytest.param(SETTLE, EDITED, Standing.SETTLING, id="settling"),
        pytest.param(
            SETTLE,
            {"contact_details": {1: contact(modified=NOW - timedelta(minutes=6))}},
            Cause.CONTACT_CHANGED,
            id="settled",
        ),
        pytest.param(
            SETTLE,
            {"contact_details": {1: contact(modified=NOW + timedelta(seconds=2))}},
            Standing.SETTLING,
            id="saved-since-the-sweep-began",
        ),
        pytest.param(
            SETTLE,
            {"contact_details": {1: contact(modified=NOW + timedelta(hours=7))}},
            Cause.CONTACT_CHANGED,
            id="the-portals-clock-was-set-back",
        ),
        pytest.param(
            SETTLE,
            {
                "contact_details": {1: contact(modified=NOW + timedelta(minutes=117))},
                "ended_at": NOW + timedelta(hours=2),
            },
            Standing.SETTLING,
            id="saved-before-the-end-of-a-long-sweep",
        ),
        pytest.param(
            Policies(),
            {"contact_details": {1: contact(modified=NOW + timedelta(seconds=2))}},
            Cause.CONTACT_CHANGED,
            id="nothing-settles-unasked",
        ),
        pytest.param(SETTLE, {}, Cause.NEWLY_LINKED, id="a-link-has-no-age"),
        pytest.param(
            SETTLE,
            {"evidence": Evidence(last_sweep=LAST_SWEEP, written={1: 8}), "contact_details": {}},
            Cause.CHANGED_BACK,
            id="no-age-known",
        ),
    ],
)
def test_peoples_edits(policies: Policies, values: dict[str, Any], expected: Standing | Cause) -> None:
    """Respected for good, or given time to finish; what is the company's doing is written at once."""
    found = verdict(case(policies, **values))
    assert found.cause == expected if isinstance(found, Change) else found == expected


@pytest.mark.parametrize("reason", [Standing.QUARANTINED, Standing.RESPECTED, Standing.UNDONE])
def test_an_exception_in_force_comes_first(reason: Standing) -> None:
    """Whatever else would be said of the contact."""
    policies = Policies(leave_contacts=frozenset({1}))
    assert verdict(case(policies, exceptions={1: reason})) == reason


def test_fit() -> None:
    """Active, and in a department."""
    assert [fit(u) for u in (user(), user(active=False), user(employee=False), None)] == [True, False, False, False]


@pytest.mark.parametrize("reason", Standing)
def test_each_reason_has_a_sentence(reason: Standing) -> None:
    """For people; the value is for scripts."""
    assert reason.sentence
    assert reason.sentence != reason.value


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        pytest.param(
            {"contact_details": {1: contact(doubt="DATE_MODIFY is no date")}},
            "contact: DATE_MODIFY is no date",
            id="contact",
        ),
        pytest.param(
            {"company_details": {10: CompanyDetail(name="Co", doubt="ASSIGNED_BY_ID is no number")}},
            "company: ASSIGNED_BY_ID is no number",
            id="company",
        ),
        pytest.param(
            {"users": {8: replace(user(), doubt="ACTIVE is neither true nor false")}},
            "the company's owner: ACTIVE is neither true nor false",
            id="owner",
        ),
    ],
)
def test_what_cannot_be_read_is_left_alone(values: dict[str, Any], detail: str) -> None:
    """With what cannot be read; an exclusion that is known all the same is said first."""
    found = judge(DRIFTED, case(**values))
    assert isinstance(found, Skip)
    assert (found.reason, found.detail) == (Standing.UNREADABLE, detail)
    assert verdict(case(Policies(leave_contacts=frozenset({1})), **values)) is Standing.EXCLUDED


def test_nobody_above_takes_the_place_of_a_head_who_cannot_be_read() -> None:
    """Perhaps it is this one: to ask further up could choose the wrong person."""
    departments = {1: Department(id=1, parent=2, head=5), 2: Department(id=2, parent=0, head=6)}
    users = {8: user(active=False), 5: replace(user(5), doubt="ACTIVE is neither true nor false"), 6: user(6)}
    given = case(Policies(dismissed_owner=DismissedOwner.HEAD), users=users, departments=departments)
    assert verdict(given) is Standing.SUCCESSOR_UNFIT


def test_the_cause_of_what_cannot_be_read_is_not_known() -> None:
    """Its dates are no evidence."""
    given = case(contact_details={1: contact(doubt="DATE_CREATE is no date")})
    found = judge(DRIFTED, given)
    assert isinstance(found, Skip)
    assert found.cause is Cause.UNKNOWN
