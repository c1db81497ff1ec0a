"""What a complete sweep leaves for the next one: roster, watermark, standing drift, and the evidence made of them."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_values import PORTAL, carry_out, change, mismatch, swept
from sqlalchemy import select

from reconciler.core.companies import Halfway, Strategy
from reconciler.core.model import Cause, Mismatch, Result, RunReport, Standing, Status
from reconciler.core.rules.follow_parent import Evidence
from reconciler.journal import companies as roster
from reconciler.journal import rows, tables
from reconciler.journal.records import StandingDrift, Sweep
from reconciler.journal.store import open_journal
from reconciler.journal.sweeps import WAITING

if TYPE_CHECKING:
    from reconciler.clock import VirtualClock
    from reconciler.journal.store import Journal

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)
_portal_numbers = count()
any_settings = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def companies(journal: Journal, portal: str = PORTAL) -> dict[int, Any]:
    """Return the rows of the roster by company."""
    query = select(tables.company).where(tables.company.c.portal_id == rows.KEY_OF_PORTAL)
    with journal._reading() as connection:
        return {row.company_id: row for row in connection.execute(query, {"portal": portal})}


def writes_of(journal: Journal) -> int:
    """Return how many rows were ever written through the journal's one connection."""
    with journal._reading() as connection:
        return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


# Watermark


def test_there_is_no_last_sweep_before_the_first(journal: Journal) -> None:
    """Of a portal that the journal does not know, or knows from runs only."""
    assert journal.sweeps.known(PORTAL).last is None
    journal.begin(portal=PORTAL, command="service")
    assert journal.sweeps.known(PORTAL).last is None
    assert journal.sweeps.evidence(PORTAL, [mismatch(1)]) == Evidence()


def test_the_last_sweep_is_that_of_the_portal_by_its_own_clock(journal: Journal) -> None:
    """Whatever time it is here."""
    journal.sweeps.remember(PORTAL, swept({1: 2, 2: 2}, NOON), [])
    journal.sweeps.remember("other", swept({}, NOON - TEN_MINUTES), [])
    journal.sweeps.remember(PORTAL, swept({1: 2}, NOON + TEN_MINUTES), [])
    assert journal.sweeps.known(PORTAL).last == Sweep(taken_at=NOON + TEN_MINUTES, companies=1)
    assert journal.sweeps.known("other").last == Sweep(taken_at=NOON - TEN_MINUTES, companies=0)
    assert journal.sweeps.evidence(PORTAL, []).last_sweep == NOON + TEN_MINUTES


# Roster


def test_a_company_that_changes_owner_keeps_the_earlier_ones_newest_first(journal: Journal) -> None:
    """Each once, and without the present one."""
    for minutes, owner in enumerate((1, 2, 3, 1, 4)):
        journal.sweeps.remember(PORTAL, swept({7: owner}, NOON + minutes * TEN_MINUTES), [])
    row = companies(journal)[7]
    assert (row.owner_id, row.previous_owner_id, row.older_owner_ids) == (4, 1, [3, 2])
    assert row.owner_changed_at == NOON + 4 * TEN_MINUTES


def test_only_so_many_earlier_owners_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company that goes round and round does not grow without end."""
    monkeypatch.setattr(roster, "_OLDER_KEPT", 2)
    for owner in range(1, 6):
        journal.sweeps.remember(PORTAL, swept({7: owner}, NOON), [])
    assert companies(journal)[7].older_owner_ids == [3, 2]


def test_many_hand_overs_at_once_are_followed_bit_by_bit(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, whatever the size of a bit."""
    monkeypatch.setattr(roster, "_MOVED_AT_ONCE", 3)
    journal.sweeps.remember(PORTAL, swept(dict.fromkeys(range(1, 11), 1), NOON), [])
    journal.sweeps.remember(PORTAL, swept(dict.fromkeys(range(1, 11), 2), NOON), [])
    assert {row.previous_owner_id for row in companies(journal).values()} == {1}


def test_a_company_that_is_not_there_any_more_is_marked_and_comes_back(journal: Journal) -> None:
    """With the owner that it comes back with."""
    journal.sweeps.remember(PORTAL, swept({7: 1, 8: 1}, NOON), [])
    journal.sweeps.remember(PORTAL, swept({8: 1}, NOON + TEN_MINUTES), [])
    journal.sweeps.remember(PORTAL, swept({8: 1}, NOON + 2 * TEN_MINUTES), [])
    assert companies(journal)[7].vanished_at == NOON + TEN_MINUTES
    assert companies(journal)[8].vanished_at is None
    journal.sweeps.remember(PORTAL, swept({7: 2, 8: 1}, NOON + 3 * TEN_MINUTES), [])
    row = companies(journal)[7]
    assert (row.vanished_at, row.owner_id, row.previous_owner_id) == (None, 2, 1)


def test_a_sweep_that_finds_all_as_it_was_writes_almost_nothing(journal: Journal) -> None:
    """A handful of watermarks, and what passes through memory: a row counts when it comes and when it goes."""
    everybody = dict.fromkeys(range(1, 1001), 1)
    left = [(mismatch(contact), "excluded", Cause.UNKNOWN) for contact in range(1, 101)]
    journal.sweeps.remember(PORTAL, swept(everybody, NOON), left)
    before = writes_of(journal)
    journal.sweeps.remember(PORTAL, swept(everybody, NOON + TEN_MINUTES), left)
    assert writes_of(journal) - before <= 5 + 2 * (len(everybody) + len(left))
    assert {row.seen_at for row in companies(journal).values()} == {NOON}


def test_a_large_roster_passes_in_bounded_memory(journal: Journal) -> None:
    """Rows are not gathered, neither those that come nor those that are there."""
    everybody = {number: number % 50 + 1 for number in range(1, 30_001)}
    tracemalloc.start()
    try:
        for moment in (NOON, NOON + TEN_MINUTES):
            journal.sweeps.remember(PORTAL, swept(everybody, moment), [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000


@any_settings
@given(
    sweeps=st.lists(st.dictionaries(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=6),
    ask=st.integers(0, 4),
)
def test_the_roster_follows_any_sweeps(quick: Journal, sweeps: list[dict[int, int]], ask: int) -> None:
    """A model of one list of owners per company says the same; and the evidence is all owners but the present."""
    portal = f"portal-{next(_portal_numbers)}"
    history: dict[int, list[int]] = {}
    changed: dict[int, datetime] = {}
    vanished: dict[int, datetime] = {}
    for number, owners in enumerate(sweeps):
        moment = NOON + number * TEN_MINUTES
        quick.sweeps.remember(portal, swept(owners, moment), [])
        for company, owner in owners.items():
            past = history.setdefault(company, [owner])
            if past[0] != owner:
                history[company] = [owner, *(each for each in past if each != owner)]
                changed[company] = moment
            vanished.pop(company, None)
        for company in history.keys() - owners:
            vanished.setdefault(company, moment)

    stored = companies(quick, portal)
    assert {number: row.owner_id for number, row in stored.items()} == {c: past[0] for c, past in history.items()}
    for company, row in stored.items():
        assert row.owner_changed_at == changed.get(company)
        assert row.vanished_at == vanished.get(company)
        assert [row.previous_owner_id, *(row.older_owner_ids or [])] == (history[company][1:] or [None])
    drifted = [Mismatch(contact=c, company=c, owner=9, company_owner=ask) for c in range(1, 6)]
    earlier = {company: frozenset(past) - {ask} for company, past in history.items()}
    assert quick.sweeps.evidence(portal, drifted).earlier_owners == {
        c: owners for c, owners in earlier.items() if owners
    }


# A sweep under way


def test_companies_read_halfway_go_with_those_of_the_roster(journal: Journal) -> None:
    """What was read replaces what was known up to there; what is above waits, and the roster is not a new one yet."""
    journal.sweeps.remember(PORTAL, swept({7: 1, 8: 1, 20: 1}, NOON), [])
    later = NOON + TEN_MINUTES
    journal.sweeps.keep(PORTAL, Halfway(began=later, owners={7: 2, 9: 3}, companies_up_to=10))
    assert journal.sweeps.known(PORTAL).halfway == Halfway(began=later, owners={7: 2, 9: 3}, companies_up_to=10)
    known = journal.sweeps.known(PORTAL).roster
    assert known is not None
    assert known.owners == {7: 2, 9: 3, 20: 1}
    assert (known.refreshed_at, known.listed_at, known.vanished) == (NOON, NOON, {8: 1})
    assert journal.sweeps.known(PORTAL).last == Sweep(taken_at=NOON, companies=3)
    assert journal.sweeps.known("other").halfway is None
    journal.sweeps.remember(PORTAL, swept({7: 2, 9: 3}, later), [])
    assert journal.sweeps.known(PORTAL).halfway is None
    known = journal.sweeps.known(PORTAL).roster
    assert known is not None
    assert known.vanished == {8: 1, 20: 1}


def test_a_comparison_halfway_is_kept_with_what_it_found(journal: Journal) -> None:
    """Each time anew, each portal its own; a complete sweep leaves nothing of it."""
    refresh = swept({7: 2, 8: 3}, NOON).refresh
    for found in ((mismatch(1), mismatch(2)), (mismatch(2), mismatch(3), mismatch(4, company=8, company_owner=3))):
        so_far = Halfway(
            began=NOON, owners={}, strategy=Strategy.DRIFT, position=(3, 8), found=found, outside=5, refresh=refresh
        )
        journal.sweeps.keep(PORTAL, so_far)
        journal.sweeps.keep("other", replace(so_far, found=()))
        assert journal.sweeps.known(PORTAL).halfway == replace(so_far, refresh=None)
    known = journal.sweeps.known(PORTAL).roster
    assert known is not None
    assert (known.owners, known.listed_at, known.outside) == ({7: 2, 8: 3}, NOON, 5)
    assert journal.sweeps.known(PORTAL).last is None
    journal.sweeps.remember(PORTAL, swept({7: 2, 8: 3}, NOON), [])
    assert journal.sweeps.known(PORTAL).halfway is None
    assert journal.sweeps.known("other").halfway is not None
    with journal._reading() as connection:
        assert connection.execute(select(tables.sighting)).all() == []


# Standing drift


def test_standing_drift_keeps_the_time_when_it_appeared(journal: Journal) -> None:
    """Until it ends, or stands for another reason."""
    first, other = mismatch(1, company=9), mismatch(2)
    dismissed = Standing.OWNER_DISMISSED
    both = [(first, dismissed, Cause.UNKNOWN), (other, WAITING, Cause.CONTACT_CREATED)]
    journal.sweeps.remember(PORTAL, swept({}, NOON), both)
    journal.sweeps.remember(PORTAL, swept({}, NOON + TEN_MINUTES), both)
    assert journal.sweeps.standing(PORTAL) == [
        StandingDrift(mismatch=other, reason="waiting", cause=Cause.CONTACT_CREATED, since=NOON),
        StandingDrift(mismatch=first, reason="company_owner_dismissed", cause=Cause.UNKNOWN, since=NOON),
    ]
    later = NOON + 2 * TEN_MINUTES
    journal.sweeps.remember(PORTAL, swept({}, later), [(other, Standing.QUARANTINED, Cause.CONTACT_CREATED)])
    assert journal.sweeps.standing(PORTAL) == [
        StandingDrift(mismatch=other, reason="quarantined", cause=Cause.CONTACT_CREATED, since=later)
    ]
    assert journal.sweeps.standing("other") == []
    with journal._reading() as connection:
        ended = connection.execute(select(tables.standing.c.contact_id, tables.standing.c.ended_at)).all()
    assert set(map(tuple, ended)) == {(1, later), (2, later), (2, None)}


@pytest.mark.parametrize("result", list(Result))
def test_drift_that_is_set_right_does_not_stand_any_more(journal: Journal, result: Result) -> None:
    """At once: if the program is killed, and a person sets the contact back, that is no old drift."""
    for portal in (PORTAL, "other"):
        left = [(mismatch(contact), WAITING, Cause.CONTACT_CREATED) for contact in (1, 2)]
        journal.sweeps.remember(portal, swept({}, NOON), left)
    carry_out(journal, journal.begin(portal=PORTAL, command="service"), [change(1)], result=result)
    standing = [each.mismatch.contact for each in journal.sweeps.standing(PORTAL)]
    assert standing == ([2] if result in {Result.APPLIED, Result.ALREADY} else [1, 2])
    assert len(journal.sweeps.standing("other")) == 2


def test_what_is_told_twice_is_refused_and_leaves_nothing(journal: Journal) -> None:
    """The roster moves on with the drift, or not at all."""
    twice = [(mismatch(1), WAITING, Cause.UNKNOWN)] * 2
    with pytest.raises(ValueError, match="rules forbid"):
        journal.sweeps.remember(PORTAL, swept({7: 2}, NOON), twice)
    assert journal.sweeps.known(PORTAL).last is None
    journal.sweeps.remember(PORTAL, swept({7: 2}, NOON), twice[:1])
    assert journal.sweeps.known(PORTAL).last is not None


# Evidence


@pytest.mark.parametrize(
    ("now", "known"),
    [
        (mismatch(1), True),
        (mismatch(2), False),
        (mismatch(1, company=8), False),
        (mismatch(1, owner=3), False),
        (mismatch(1, company_owner=3), False),
    ],
    ids=["the same", "another contact", "another company", "another owner", "another owner of the company"],
)
def test_only_the_very_same_drift_is_known(journal: Journal, now: Mismatch, known: bool) -> None:
    """And keeps its cause then; in another portal it is news."""
    journal.sweeps.remember(PORTAL, swept({7: 2}, NOON), [(mismatch(1), WAITING, Cause.CONTACT_CHANGED)])
    journal.sweeps.remember("other", swept({}, NOON), [])
    assert journal.sweeps.evidence(PORTAL, [now]).known == ({now: Cause.CONTACT_CHANGED} if known else {})
    assert journal.sweeps.evidence("other", [now]).known == {}


def test_the_earlier_owner_is_known_before_and_after_the_sweep_is_remembered(journal: Journal) -> None:
    """What the roster holds is the earlier owner, as long as it does not know of the change."""
    drifted = [mismatch(1, company=7, owner=1, company_owner=2), mismatch(2, company=8, owner=1, company_owner=2)]
    journal.sweeps.remember(PORTAL, swept({7: 1, 8: 2}, NOON), [])
    for _ in range(2):
        assert journal.sweeps.evidence(PORTAL, drifted).earlier_owners == {7: frozenset({1})}
        journal.sweeps.remember(PORTAL, swept({7: 2, 8: 2}, NOON), [])


def test_the_owner_we_last_wrote_is_that_of_the_latest_run(journal: Journal, clock: VirtualClock) -> None:
    """Only what was applied counts, also when the clock was set back in between, and on this portal only."""
    first = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, first, [change(1, after=5), change(2, after=5), change(3, after=5)])
    clock.timeline.elapsed -= 3600
    second = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, second, [change(1, after=6)])
    for contact, result in enumerate(set(Result) - {Result.APPLIED}, start=3):
        carry_out(journal, second, [change(contact, after=6)], result=result)
    journal.intend(second, [change(2, after=6)])
    other = journal.begin(portal="other", command="service")
    carry_out(journal, other, [change(1, after=7), change(30, after=7)])
    written = journal.sweeps.evidence(PORTAL, [mismatch(contact) for contact in range(1, 31)]).written
    assert written == {1: 6, 2: 5, 3: 5}


def test_a_plan_can_be_judged_by_a_journal_that_is_only_read(journal: Journal, url: str, clock: VirtualClock) -> None:
    """Looking needs no right to write."""
    journal.sweeps.remember(PORTAL, swept({7: 2}, NOON), [(mismatch(1), WAITING, Cause.NEWLY_LINKED)])
    with open_journal(url, clock, read_only=True) as reader:
        assert reader.sweeps.evidence(PORTAL, [mismatch(1)]) == Evidence(
            last_sweep=NOON,
            known={mismatch(1): Cause.NEWLY_LINKED},
            recorded_at={1: frozenset({7})},
            unmoved=frozenset({7}),
        )


def test_since_when_a_company_has_its_owner_and_where_a_contact_is_on_record(journal: Journal) -> None:
    """What tells a new link from anything else: an old owner, and no earlier drift or write of ours at this company."""
    later = NOON + TEN_MINUTES
    run = journal.begin(portal=PORTAL, command="service")
    carry_out(journal, run, [change(1, company=8), change(2, company=8)])
    journal.sweeps.remember(PORTAL, swept({7: 2, 8: 2, 9: 2}, NOON), [(mismatch(1), WAITING, Cause.UNKNOWN)])
    # A sweep that is under way has stored what it read of the companies, and has not ended yet.
    so_far = Halfway(began=later, owners={7: 2, 8: 3, 10: 2}, companies_up_to=10)
    journal.sweeps.keep(PORTAL, so_far)
    drifted = [mismatch(1), mismatch(2, company=8, company_owner=3), mismatch(3, company=9), mismatch(4, company=10)]
    evidence = journal.sweeps.evidence(PORTAL, drifted)
    assert evidence.unmoved == {7}
    assert evidence.recorded_at == {1: frozenset({7, 8}), 2: frozenset({8})}


def test_more_drift_than_sqlite_takes_parameters_is_looked_up_at_once(journal: Journal) -> None:
    """Thirty-three thousand contacts."""
    many = [mismatch(contact, company=contact, owner=3) for contact in range(1, 33_001)]
    journal.sweeps.remember(
        PORTAL, swept(dict.fromkeys(range(1, 33_001), 1), NOON), ((m, WAITING, Cause.UNKNOWN) for m in many)
    )
    evidence = journal.sweeps.evidence(PORTAL, many)
    assert len(evidence.known) == len(evidence.earlier_owners) == 33_000


_drifts = st.dictionaries(
    st.integers(1, 4),
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.sampled_from(["waiting", "excluded"])),
    max_size=4,
)


@any_settings
@given(sweeps=st.lists(_drifts, min_size=1, max_size=5), later=_drifts)
def test_known_is_what_the_last_sweep_left_with_the_cause_it_had_first(
    quick: Journal, sweeps: list[dict[int, tuple[int, int, str]]], later: dict[int, tuple[int, int, str]]
) -> None:
    """A model of one dictionary says the same, given that what is known keeps its cause."""
    portal = f"portal-{next(_portal_numbers)}"
    fresh = iter([cause for _ in range(24) for cause in Cause])
    model: dict[Mismatch, Cause] = {}
    for number, drift in enumerate(sweeps):
        found = {mismatch(c, company=company, owner=owner): why for c, (company, owner, why) in drift.items()}
        known = quick.sweeps.evidence(portal, list(found)).known
        assert known == {each: cause for each, cause in model.items() if each in found}
        model = {each: known.get(each) or next(fresh) for each in found}
        left = [(each, found[each], cause) for each, cause in model.items()]
        quick.sweeps.remember(portal, swept({}, NOON + number * TEN_MINUTES), left)
        assert {(each.mismatch, each.reason, each.cause) for each in quick.sweeps.standing(portal)} == set(left)
    asked = [mismatch(c, company=company, owner=owner) for c, (company, owner, _) in later.items()]
    assert quick.sweeps.evidence(portal, asked).known == {each: model[each] for each in asked if each in model}


# Runs and changes


def test_a_run_keeps_its_causes_digest_and_the_time_of_its_sweep(journal: Journal) -> None:
    """And the run that it takes back."""
    first = journal.begin(portal=PORTAL, command="service")
    told = RunReport(
        run=first,
        status=Status.REFUSED,
        drift=3,
        causes={Cause.CHANGED_BACK: 1, Cause.UNKNOWN: 2},
        digest="d" * 64,
        taken_at=NOON,
    )
    journal.finish(told)
    undo = journal.begin(portal=PORTAL, command="undo", undoes=first)
    by_number = {record.report.run: record for record in journal.runs()}
    assert by_number[first].report == told
    assert (by_number[first].undoes, by_number[undo].undoes) == (None, first)
