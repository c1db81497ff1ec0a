"""Refused sets of changes: kept without growing, approved by digest, each change let through once."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import PORTAL, carry_out, change, mismatch, outcome, swept
from sqlalchemy import func, select

from reconciler.core.model import Cause, Change, Result
from reconciler.core.plan import digest
from reconciler.journal import tables
from reconciler.journal.records import ApprovalRecord, ApprovalState, NoApproval
from reconciler.journal.store import Links, open_journal
from reconciler.journal.sweeps import HELD

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal

DAY = 86_400.0
_portal_numbers = count()


def refuse(journal: Journal, *changes: Change, portal: str = PORTAL) -> str:
    """Let a set of changes wait, and return its digest."""
    return journal.approvals.wait(portal, changes, numbers={"changes": len(changes)}, sentence="Too many.")


def approve(journal: Journal, prefix: str) -> ApprovalRecord | NoApproval:
    """Say yes."""
    return journal.approvals.approve(PORTAL, prefix, by="anna", how="command")


def approved(journal: Journal, *changes: Change) -> ApprovalRecord:
    """Refuse a set of changes and let it through."""
    found = approve(journal, refuse(journal, *changes))
    assert isinstance(found, ApprovalRecord)
    return found


def state(journal: Journal, prefix: str) -> ApprovalState:
    """Return what became of a set."""
    found = journal.approvals.find(PORTAL, prefix)
    assert isinstance(found, ApprovalRecord)
    return found.state


def use(journal: Journal, *changes: Change, result: Result = Result.APPLIED) -> None:
    """Carry these changes out in a run, under what is in force."""
    run = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, run, changes, Links(approvals=journal.approvals.in_force(PORTAL)), result)


def stored(journal: Journal) -> tuple[int, int]:
    """Return how many approvals and how many changes of sets are stored."""
    with journal._reading() as connection:
        first, second = (
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.approval, tables.approval_change)
        )
    return first, second


# Waiting


def test_a_refused_set_waits_with_what_the_person_was_told(journal: Journal, clock: VirtualClock) -> None:
    """Under the digest of its changes, whatever their order."""
    run = journal.begin(portal=PORTAL, command="service")
    changes = [change(2), change(1)]
    told = {"changes": 2, "gained": [[5, 600]]}
    found = journal.approvals.wait(PORTAL, changes, run=run, numbers=told, sentence="Too many.")
    assert found == digest(PORTAL, [each.key for each in changes])
    (record,) = journal.approvals.open(PORTAL)
    assert record == ApprovalRecord(
        id=1,
        digest=found,
        state=ApprovalState.WAITING,
        count=2,
        left=2,
        numbers=told,
        sentence="Too many.",
        run=run,
        created_at=clock.now(),
        approved_at=None,
        approved_by=None,
        expires_at=None,
        closed_at=None,
    )
    assert journal.approvals.keys(record) == [change(1).key, change(2).key]
    assert journal.approvals.in_force(PORTAL) == {}
    assert journal.approvals.open("other") == []


def test_the_same_refusal_again_is_the_same_row_with_the_latest_numbers(journal: Journal, clock: VirtualClock) -> None:
    """Also a month later: it is what the guard still says."""
    first = refuse(journal, change(1))
    clock.sleep(30 * DAY)
    run = journal.begin(portal=PORTAL, command="service")
    assert journal.approvals.wait(PORTAL, [change(1)], run=run, numbers={"gained": 3}, sentence="Still.") == first
    (record,) = journal.approvals.open(PORTAL)
    assert (record.numbers, record.sentence, record.run) == ({"gained": 3}, "Still.", run)
    assert record.created_at == clock.now() - timedelta(days=30)


def test_another_refusal_supersedes_the_one_before(journal: Journal) -> None:
    """One waits at a time, in each portal."""
    first, second = refuse(journal, change(1)), refuse(journal, change(1), change(2))
    refuse(journal, change(1), portal="other")
    assert [record.digest for record in journal.approvals.open(PORTAL)] == [second]
    assert state(journal, first) is ApprovalState.SUPERSEDED


def test_what_somebody_was_shown_can_be_approved_after_the_set_has_grown(journal: Journal) -> None:
    """On a portal where 500 people work it always has: what was shown goes through, the rest does not."""
    shown = refuse(journal, change(1), change(2))
    refuse(journal, change(2), change(3), change(1, before=3))
    latest = refuse(journal, change(4))
    found = approve(journal, shown[:12])
    assert isinstance(found, ApprovalRecord)
    assert set(journal.approvals.in_force(PORTAL)) == {change(1).key, change(2).key}
    assert [(record.digest, record.state) for record in journal.approvals.open(PORTAL)] == [
        (shown, ApprovalState.APPROVED),
        (latest, ApprovalState.WAITING),
    ]


def test_a_large_refusal_that_repeats_does_not_grow_the_journal(journal: Journal, clock: VirtualClock) -> None:
    """A day of refusals a few changes apart adds those few changes; a week later the sets are gone."""
    backlog = [change(contact) for contact in range(1, 1001)]
    shown = refuse(journal, *backlog)
    _, before = stored(journal)
    for slot in range(24):
        clock.sleep(3600)
        refuse(journal, *backlog, *(change(10_000 + slot + k) for k in range(3)))
    assert stored(journal) == (25, before + 24 + 2)
    assert set(map(tuple, journal.approvals.keys(journal.approvals.find(PORTAL, shown)))) == {c.key for c in backlog}
    clock.sleep(7 * DAY)
    latest = [*backlog, change(9_999)]
    refuse(journal, *latest)
    assert stored(journal) == (26, len(latest) + 3)
    clock.sleep(31 * DAY)
    refuse(journal, change(1))
    assert stored(journal) == (3, len(latest))


# Finding


def test_a_digest_is_found_by_its_beginning(journal: Journal) -> None:
    """As it is shown, in capitals too, and of its own portal."""
    whole = refuse(journal, change(1))
    for prefix in (whole, whole[:12], whole[:6].upper(), f" {whole[:12]}\n"):
        found = journal.approvals.find(PORTAL, prefix)
        assert isinstance(found, ApprovalRecord)
        assert found.digest == whole
    assert journal.approvals.find("other", whole) is NoApproval.UNKNOWN


@pytest.mark.parametrize("prefix", ["", "00", "%%%%%%", "______", "zzzzzz", "'; -- '"], ids=repr)
def test_what_is_no_digest_never_means_one(journal: Journal, prefix: str) -> None:
    """Also where there is just one."""
    refuse(journal, change(1))
    expected = NoApproval.TOO_SHORT if len(prefix) < 6 else NoApproval.UNKNOWN
    assert journal.approvals.find(PORTAL, prefix) is expected
    assert approve(journal, prefix) is expected
    assert expected.sentence


def test_the_beginning_of_two_digests_means_neither(journal: Journal) -> None:
    """More of it is asked for."""
    first, second = refuse(journal, change(1)), refuse(journal, change(2))
    with journal._writing() as connection:
        connection.exec_driver_sql("UPDATE approval SET digest = 'abcdef' || substr(digest, 7)")
    assert approve(journal, "abcdef") is NoApproval.AMBIGUOUS
    assert approve(journal, f"abcdef{first[6:12]}") != approve(journal, f"abcdef{second[6:12]}")


def test_of_one_digest_the_latest_refusal_counts(journal: Journal) -> None:
    """What was withdrawn, and is refused again, can be approved."""
    found = refuse(journal, change(1))
    journal.approvals.withdraw(PORTAL, found)
    assert approve(journal, found) is NoApproval.WITHDRAWN
    assert refuse(journal, change(1)) == found
    assert state(journal, found) is ApprovalState.WAITING
    assert isinstance(approve(journal, found), ApprovalRecord)


# Approving


def test_an_approval_says_who_how_and_until_when(journal: Journal, clock: VirtualClock) -> None:
    """To approve it again changes nothing."""
    record = approved(journal, change(1))
    assert (record.state, record.approved_by) == (ApprovalState.APPROVED, "anna (command)")
    assert (record.approved_at, record.expires_at) == (clock.now(), clock.now() + timedelta(days=7))
    clock.sleep(DAY)
    assert approve(journal, record.digest) == record


def test_an_approval_survives_a_restart(journal: Journal, url: str, clock: VirtualClock) -> None:
    """It is in the file."""
    record = approved(journal, change(1))
    journal.close()
    with open_journal(url, clock, read_only=True) as again:
        assert again.approvals.in_force(PORTAL) == {change(1).key: record.id}


def test_an_approval_expires(journal: Journal, clock: VirtualClock) -> None:
    """By the clock alone, and as soon as anybody looks."""
    record = approved(journal, change(1))
    clock.sleep(7 * DAY - 1)
    assert journal.approvals.in_force(PORTAL) == {change(1).key: record.id}
    clock.sleep(1)
    assert journal.approvals.in_force(PORTAL) == {}
    assert journal.approvals.open(PORTAL) == []
    assert state(journal, record.digest) is ApprovalState.EXPIRED
    assert approve(journal, record.digest) is NoApproval.EXPIRED
    assert state(journal, record.digest) is ApprovalState.EXPIRED


def test_a_superseded_set_expires_too(journal: Journal, clock: VirtualClock) -> None:
    """What somebody saw more than a week ago is not what they would say yes to now."""
    shown = refuse(journal, change(1))
    clock.sleep(20 * DAY)
    refuse(journal, change(2))
    clock.sleep(7 * DAY - 1)
    assert state(journal, shown) is ApprovalState.SUPERSEDED
    clock.sleep(1)
    assert state(journal, shown) is ApprovalState.EXPIRED
    assert approve(journal, shown) is NoApproval.EXPIRED
    assert journal.approvals.keys(journal.approvals.find(PORTAL, shown)) == []


@pytest.mark.parametrize("moment", ["waiting", "superseded", "approved"])
def test_it_can_be_withdrawn_at_any_moment(journal: Journal, moment: str) -> None:
    """And not twice."""
    found = approved(journal, change(1)).digest if moment == "approved" else refuse(journal, change(1))
    if moment == "superseded":
        refuse(journal, change(2))
    record = journal.approvals.withdraw(PORTAL, found[:12])
    assert isinstance(record, ApprovalRecord)
    assert record.state is ApprovalState.WITHDRAWN
    assert journal.approvals.in_force(PORTAL) == {}
    assert journal.approvals.withdraw(PORTAL, found) is NoApproval.WITHDRAWN
    assert approve(journal, found) is NoApproval.WITHDRAWN


# Using


@pytest.mark.parametrize("result", list(Result))
def test_a_change_is_used_up_when_it_is_done(journal: Journal, result: Result) -> None:
    """Not when it was only tried."""
    approved(journal, change(1), change(2))
    use(journal, change(1), result=result)
    done = result in {Result.APPLIED, Result.ALREADY}
    assert set(journal.approvals.in_force(PORTAL)) == ({change(2).key} if done else {change(1).key, change(2).key})


def test_a_change_that_needed_no_request_is_used_up_too(journal: Journal) -> None:
    """Somebody else had already set the owner: there is an outcome, and no intent."""
    record = approved(journal, change(1))
    run = journal.begin(portal=PORTAL, command="service")
    journal.settle(run, [outcome(1, Result.ALREADY)], Links(approvals=journal.approvals.in_force(PORTAL)))
    assert journal.approvals.in_force(PORTAL) == {}
    assert [each.approval for each in journal.changes(run)] == [record.id]


def test_what_an_attempt_was_approved_by_stays_with_the_next_one(journal: Journal) -> None:
    """Of a change that is intended again in its run."""
    record = approved(journal, change(1))
    run = journal.begin(portal=PORTAL, command="service")
    journal.intend(run, [change(1)], Links(approvals={change(1).key: record.id}))
    journal.intend(run, [change(1)])
    assert [each.approval for each in journal.changes(run)] == [record.id]


def test_a_change_without_approval_uses_nothing_up(journal: Journal) -> None:
    """Nor does one of another portal."""
    record = approved(journal, change(1))
    carry_out(journal, journal.begin(portal=PORTAL, command="service"), [change(1)])
    other = journal.approvals.approve("other", refuse(journal, change(1), portal="other"), by="anna", how="command")
    assert isinstance(other, ApprovalRecord)
    run = journal.begin(portal="other", command="service")
    carry_out(journal, run, [change(1)], Links(approvals={change(1).key: other.id}))
    assert journal.approvals.in_force(PORTAL) == {change(1).key: record.id}


def test_a_change_in_two_approvals_is_let_through_once(journal: Journal, clock: VirtualClock) -> None:
    """The person agreed to one write, and saw it twice; agreed to after the write, it is another one."""
    first, second = refuse(journal, change(1), change(2)), refuse(journal, change(1), change(3))
    for found in (second, first):
        assert isinstance(approve(journal, found), ApprovalRecord)
    assert set(journal.approvals.in_force(PORTAL).values()) == {1, 2}
    clock.sleep(60)
    use(journal, change(1))
    assert set(journal.approvals.in_force(PORTAL)) == {change(2).key, change(3).key}
    clock.sleep(60)
    record = approved(journal, change(1), change(4))
    assert journal.approvals.in_force(PORTAL)[change(1).key] == record.id


def test_just_what_was_used_up_can_be_refused_again(journal: Journal, clock: VirtualClock) -> None:
    """Somebody set them all back: the approval is over, and a new one is asked for."""
    first = approved(journal, change(1))
    clock.sleep(60)
    use(journal, change(1))
    assert refuse(journal, change(1)) == first.digest
    assert [(record.id, record.state) for record in journal.approvals.open(PORTAL)] == [(2, ApprovalState.WAITING)]


# Review


@pytest.mark.parametrize(
    ("wanted", "open_still"),
    [([1, 2, 3], True), ([2], True), ([1, 3], False), ([], False)],
    ids=["all drift", "the rest drifts", "the used one drifts again", "none drifts"],
)
def test_an_approval_is_over_when_nothing_of_it_is_left_to_do(
    journal: Journal, wanted: Collection[int], open_still: bool
) -> None:
    """Done, or not wanted any more after a complete look."""
    record = approved(journal, change(1), change(2))
    use(journal, change(1))
    journal.approvals.review(PORTAL, [change(contact) for contact in wanted])
    assert state(journal, record.digest) is (ApprovalState.APPROVED if open_still else ApprovalState.USED)
    if not open_still:
        assert approve(journal, record.digest) is NoApproval.USED
        assert stored(journal)[1] == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_a_refused_set_does_not_wait_when_nothing_of_it_is_wanted(journal: Journal, wanted: bool) -> None:
    """Yet who was shown it may still say yes."""
    found = refuse(journal, change(1), change(2))
    journal.approvals.review(PORTAL, [change(2 if wanted else 3)])
    assert len(journal.approvals.open(PORTAL)) == wanted
    assert isinstance(approve(journal, found), ApprovalRecord)


_KEYS = st.frozensets(st.integers(1, 5), min_size=1, max_size=5)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refuse"), _KEYS),
        st.tuples(st.just("approve"), st.integers(0, 3)),
        st.tuples(st.just("withdraw"), st.integers(0, 3)),
        st.tuples(st.just("run"), _KEYS, st.sampled_from([Result.APPLIED, Result.ALREADY, Result.CONFLICT])),
        st.tuples(st.just("review"), _KEYS),
        st.tuples(st.just("sleep"), st.sampled_from([600, 6 * 86_400])),
    ),
    max_size=9,
)


class Model:
    """What should be in force, as sets of contacts."""

    def __init__(self, journal: Journal, clock: VirtualClock) -> None:
        self.portal = f"portal-{next(_portal_numbers)}"
        self.journal, self.approvals, self.clock = journal, journal.approvals, clock
        #: Every set that was refused, with its digest; the latest last.
        self.shown: list[tuple[str, frozenset[int]]] = []
        #: Digest -> what is left of it, and when it expires.
        self.approved: dict[str, tuple[set[int], float]] = {}

    def refuse(self, contacts: frozenset[int]) -> None:
        found = refuse(self.journal, *map(change, sorted(contacts)), portal=self.portal)
        self.shown.append((found, contacts))
        if found in self.approved and not self.approved[found][0]:
            del self.approved[found]

    def approve(self, ago: int) -> None:
        for found, contacts in self.shown[-1 - ago : len(self.shown) - ago]:
            answer = self.approvals.approve(self.portal, found, by="anna", how="command")
            if isinstance(answer, ApprovalRecord):
                self.approved.setdefault(found, (set(contacts), self.clock.monotonic() + 7 * DAY))

    def withdraw(self, ago: int) -> None:
        for found, _ in self.shown[-1 - ago : len(self.shown) - ago]:
            if isinstance(self.approvals.withdraw(self.portal, found), ApprovalRecord):
                self.approved.pop(found, None)

    def run(self, contacts: frozenset[int], result: Result) -> None:
        links = Links(approvals=self.approvals.in_force(self.portal))
        through = [change(contact) for contact in contacts if change(contact).key in links.approvals]
        run = self.journal.begin(portal=self.portal, command="service")
        carry_out(self.journal, run, through, links, result)
        if result is not Result.CONFLICT:
            for left, _ in self.approved.values():
                left.difference_update(contacts)

    def review(self, contacts: frozenset[int]) -> None:
        self.approvals.review(self.portal, [change(contact) for contact in contacts])
        self.approved = {found: it for found, it in self.approved.items() if it[0] & contacts}

    def sleep(self, seconds: int) -> None:
        self.clock.sleep(seconds)

    def check(self) -> None:
        now = self.clock.monotonic()
        self.approved = {found: it for found, it in self.approved.items() if now < it[1]}
        expected = {change(contact).key for left, _ in self.approved.values() for contact in left}
        assert set(self.approvals.in_force(self.portal)) == expected
        for found, contacts in self.shown:
            record = self.approvals.find(self.portal, found)
            assert isinstance(record, ApprovalRecord)
            if record.state in {ApprovalState.WAITING, ApprovalState.SUPERSEDED, ApprovalState.APPROVED}:
                assert self.approvals.keys(record) == [change(contact).key for contact in sorted(contacts)]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=_STEPS)
def test_nothing_goes_through_that_was_not_shown_and_nothing_twice(
    quick: Journal, clock: VirtualClock, steps: list[tuple[Any, ...]]
) -> None:
    """What is in force was in a set that somebody approved, was not done since, and did not expire."""
    model = Model(quick, clock)
    for name, *values in steps:
        model.sleep(1)
        getattr(model, name)(*values)
        model.check()


def test_a_set_that_was_written_without_an_approval_does_not_wait(journal: Journal) -> None:
    """Part by part: what is left of it is counted, and of nothing nobody can approve anything."""
    found = refuse(journal, change(1), change(2))
    carry_out(journal, journal.begin(portal=PORTAL, command="once"), [change(1)])
    (record,) = journal.approvals.open(PORTAL)
    assert (record.count, record.left, journal.approvals.waiting(PORTAL)) == (2, 1, {change(2).key})
    carry_out(journal, journal.begin(portal=PORTAL, command="once"), [change(2)])
    (record,) = journal.approvals.open(PORTAL)
    assert (record.left, journal.approvals.waiting(PORTAL)) == (0, set())
    assert approve(journal, found) is NoApproval.USED


def test_what_is_left_of_a_set_is_summed_up(journal: Journal) -> None:
    """Numbers of all that is left, the first changes by company; what was written, and other sets, apart."""
    changes = [
        Change(contact=1, company=30, before=4, after=6),
        Change(contact=2, company=20, before=4, after=5),
        Change(contact=3, company=20, before=0, after=5),
        Change(contact=4, company=10, before=4, after=5),
    ]
    refuse(journal, changes[0])
    refuse(journal, *changes[:3])
    refuse(journal, *changes)
    refuse(journal, Change(contact=1, company=1, before=8, after=9), portal="other")
    carry_out(journal, journal.begin(portal=PORTAL, command="once"), changes[3:])
    (record,) = journal.approvals.open(PORTAL)
    found = journal.approvals.contents(record, PORTAL, 2)
    assert (found.count, found.gains, found.loses, found.causes) == (3, {5: 2, 6: 1}, {4: 2, 0: 1}, {None: 3})
    assert found.changes == ((changes[1].key, None), (changes[2].key, None))
    assert approve(journal, record.digest) == journal.approvals.find(PORTAL, record.digest)
    use(journal, changes[1])
    assert [key for key, _ in journal.approvals.contents(record, PORTAL, 9).changes] == [
        changes[2].key,
        changes[0].key,
    ]
    journal.approvals.withdraw(PORTAL, record.digest)
    assert journal.approvals.contents(record, PORTAL, 9).changes == ()


def test_the_causes_of_a_set_are_those_of_the_drift_that_stands(journal: Journal, clock: VirtualClock) -> None:
    """As long as it stands with the owner that was shown; of the same contact in another portal nothing."""
    refuse(journal, change(1), change(2), change(3))
    left = [
        (mismatch(1), HELD, Cause.CONTACT_CHANGED),
        (mismatch(2, owner=99), HELD, Cause.CONTACT_CREATED),
    ]
    journal.sweeps.remember(PORTAL, swept({7: 2}, clock.now()), left)
    journal.sweeps.remember("other", swept({7: 2}, clock.now()), [(mismatch(3), HELD, Cause.CONTACT_CREATED)])
    (record,) = journal.approvals.open(PORTAL)
    found = journal.approvals.contents(record, PORTAL, 9)
    assert found.causes == {Cause.CONTACT_CHANGED: 1, None: 2}
    assert dict(found.changes)[change(1).key] is Cause.CONTACT_CHANGED


def test_what_is_held_back_again_waits_again(journal: Journal) -> None:
    """It was written, drifted as before, and a later run held it back."""
    refuse(journal, change(1))
    carry_out(journal, journal.begin(portal=PORTAL, command="once"), [change(1)])
    run = journal.begin(portal=PORTAL, command="service")
    found = journal.approvals.wait(PORTAL, [change(1)], run=run, numbers={}, sentence="Again.")
    assert journal.approvals.waiting(PORTAL) == {change(1).key}
    assert isinstance(approve(journal, found), ApprovalRecord)
