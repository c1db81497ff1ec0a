"""What a person is told, and how often: the table of the module, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.notifications import (
    Kind,
    Notification,
    Refusal,
    RunSummary,
    State,
    delivered,
    hear,
    locks_out,
    replay,
)
from reconciler.errors import (
    AuthorizationError,
    BlockedError,
    IncompleteReadError,
    MissingScopeError,
    MovedError,
    UnreachableError,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
FINE = RunSummary(complete=True)
BROKEN = RunSummary(complete=False, failure="the portal did not answer in time")
LOCKED = RunSummary(complete=False, failure="the portal does not know this webhook", locked_out=True)


def refused(digest: str = "a", changes: int = 2_000, **more: Any) -> RunSummary:
    """Make a run whose plan was refused."""
    sentence = f"{changes} changes are more than 1000; reconciler approve {digest}"
    return RunSummary(complete=True, refusal=Refusal(digest=digest, changes=changes, sentence=sentence, **more))


def told(*runs: RunSummary | tuple[RunSummary, float], minutes: float = 10) -> list[list[str]]:
    """Return what is told after each run; they end ten minutes apart unless they say how long after the one before."""
    state = State(portal="acme")
    now = START
    kinds = []
    for run in runs:
        news, pause = run if isinstance(run, tuple) else (run, minutes)
        now += timedelta(minutes=pause)
        state = hear(state, news, now)
        kinds.append(sorted(kind.value for kind in state.waiting))
        for matter in state.waiting.values():
            state = delivered(state, matter)
    return kinds


NOTHING: list[str] = []
REFUSED, INCOMPLETE, LOST = ["refused"], ["incomplete_for_an_hour"], ["authorization_lost"]
QUARANTINED, DONE = ["quarantined"], ["backfill_done"]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([FINE, FINE], [NOTHING] * 2, id="all-is-well"),
        pytest.param([refused(), refused(), refused()], [REFUSED, NOTHING, NOTHING], id="once-per-digest"),
        pytest.param([refused(), (refused(), 10_000)], [REFUSED, NOTHING], id="the-same-never-again"),
        pytest.param(
            [refused(), refused("b", 2_100), refused("c", 2_200)], [REFUSED, NOTHING, NOTHING], id="grown-a-little"
        ),
        pytest.param([refused(), refused("b", 2_201)], [REFUSED, REFUSED], id="grown-by-a-tenth"),
        pytest.param(
            [refused(), refused("b", 2_100), refused("c", 2_300), refused("d", 2_500)],
            [REFUSED, NOTHING, REFUSED, NOTHING],
            id="grown-since-told",
        ),
        pytest.param([refused(), refused("b", 1_500)], [REFUSED, NOTHING], id="shrunk"),
        pytest.param([refused(), (refused("b"), 1_439)], [REFUSED, NOTHING], id="another-within-a-day"),
        pytest.param([refused(), (refused("b"), 1_440)], [REFUSED, REFUSED], id="another-after-a-day"),
        pytest.param([refused(), FINE, refused()], [REFUSED, NOTHING, REFUSED], id="refused-anew"),
        pytest.param([refused(), BROKEN, refused()], [REFUSED, NOTHING, NOTHING], id="a-failure-in-between"),
    ],
)
def test_refusals(runs: list[Any], expected: list[list[str]]) -> None:
    """A plan that waits is told once, another one only when it matters."""
    assert told(*runs) == expected


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([BROKEN] * 6, [NOTHING] * 6, id="fifty-minutes"),
        pytest.param([BROKEN] * 9, [*[NOTHING] * 6, INCOMPLETE, NOTHING, NOTHING], id="an-hour"),
        pytest.param([BROKEN, BROKEN, FINE, *[BROKEN] * 6], [NOTHING] * 9, id="recovered-in-time"),
        pytest.param(
            [*[BROKEN] * 7, FINE, *[BROKEN] * 7],
            [*[NOTHING] * 6, INCOMPLETE, *[NOTHING] * 7, INCOMPLETE],
            id="again-after-recovery",
        ),
        pytest.param([BROKEN, (BROKEN, 200)], [NOTHING, INCOMPLETE], id="slow-runs"),
        pytest.param([LOCKED, LOCKED, LOCKED], [LOST, NOTHING, NOTHING], id="locked-out"),
        pytest.param([LOCKED, *[BROKEN] * 9], [LOST, *[NOTHING] * 9], id="locked-out-is-not-told-twice"),
        pytest.param([LOCKED, FINE, LOCKED], [LOST, NOTHING, LOST], id="locked-out-again"),
        pytest.param([replace(LOCKED, complete=True)] * 3, [LOST, NOTHING, NOTHING], id="no-scope-to-go-on"),
        pytest.param([*[BROKEN] * 7, LOCKED], [*[NOTHING] * 6, INCOMPLETE, LOST], id="locked-out-later"),
    ],
)
def test_reading(runs: list[Any], expected: list[list[str]]) -> None:
    """An hour of failures, or a lockout, is told once until the portal was read again."""
    assert told(*runs) == expected


def flapped(*contacts: int) -> RunSummary:
    """Make a run that put contacts into quarantine."""
    return RunSummary(complete=True, quarantined=contacts)


def slot(through: int, left: int, *, complete: bool = True, undone: int = 0) -> RunSummary:
    """Make a run that carried out a part of what was let through."""
    return RunSummary(complete=complete, let_through=through, written=through - left - undone, undone=undone, left=left)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([flapped(1), FINE, flapped(2)], [QUARANTINED, NOTHING, QUARANTINED], id="quarantine"),
        pytest.param([slot(999, 0)], [NOTHING], id="an-ordinary-run"),
        pytest.param([slot(1_000, 0)], [DONE], id="in-one-run"),
        pytest.param([slot(3_000, 2_000), slot(2_000, 500), slot(500, 0)], [NOTHING, NOTHING, DONE], id="in-slots"),
        pytest.param([slot(3_000, 10), slot(10, 0, complete=False), FINE], [NOTHING, NOTHING, DONE], id="cut-short"),
        pytest.param([slot(1_000, 0), FINE, slot(1_000, 0)], [DONE, NOTHING, DONE], id="another"),
    ],
)
def test_quarantine_and_backfill(runs: list[Any], expected: list[list[str]]) -> None:
    """Both are told when they happen."""
    assert told(*runs) == expected


def after(*runs: RunSummary) -> State:
    """Return the state when nobody could be told."""
    state = State(portal="acme")
    for number, run in enumerate(runs):
        state = hear(state, run, START + timedelta(minutes=10 * number))
    return state


def test_a_refusal_in_words() -> None:
    """The guard's own sentence, its numbers and the digest to approve; one tag for each portal and kind."""
    matter = after(refused(numbers={"limit": 1_000})).waiting[Kind.REFUSED]
    assert matter == Notification(
        kind=Kind.REFUSED,
        portal="acme",
        at=START,
        title="2,000 changes of owners wait for approval",
        sentence="2000 changes are more than 1000; reconciler approve a",
        numbers={"changes": 2_000, "limit": 1_000},
        digest="a",
    )
    assert matter.tag == "acme|refused"
    assert after(refused(changes=1)).waiting[Kind.REFUSED].title == "1 change of owners waits for approval"


@pytest.mark.parametrize(
    ("runs", "kind", "title", "sentence"),
    [
        pytest.param(
            [BROKEN] * 7,
            Kind.INCOMPLETE,
            "Owners are not kept in order",
            "since 2026-01-01 00:00 UTC: the portal did not answer in time",
            id="incomplete",
        ),
        pytest.param(
            [LOCKED], Kind.AUTHORIZATION_LOST, "does not let the worker in", "does not know this webhook", id="lost"
        ),
        pytest.param([flapped(3)], Kind.QUARANTINED, "1 contact is changed back", "for now: 3;", id="one-contact"),
        pytest.param(
            [flapped(*range(1, 13))],
            Kind.QUARANTINED,
            "12 contacts are changed back",
            "for now: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …;",
            id="twelve-contacts",
        ),
        pytest.param([slot(1_000, 0)], Kind.BACKFILL_DONE, "is done", "1,000 contacts got the owner", id="backfill"),
        pytest.param(
            [slot(3_000, 2_000, undone=3), slot(2_000, 0, undone=1)],
            Kind.BACKFILL_DONE,
            "is done",
            "2,996 contacts got the owner of their company; 4 could not be written",
            id="backfill-with-losses",
        ),
    ],
)
def test_words(runs: list[RunSummary], kind: Kind, title: str, sentence: str) -> None:
    """A title of a few words, and a sentence with the numbers."""
    matter = after(*runs).waiting[kind]
    assert title in matter.title
    assert sentence in matter.sentence


def test_what_reached_nobody_waits() -> None:
    """It is told by the next run, unless it is over by then; contacts in quarantine add up."""
    assert set(after(refused(), BROKEN).waiting) == {Kind.REFUSED}
    assert set(after(refused(), FINE).waiting) == set()
    assert set(after(LOCKED, BROKEN).waiting) == {Kind.AUTHORIZATION_LOST}
    assert set(after(*[BROKEN] * 7, FINE).waiting) == set()
    assert after(flapped(9, 2), FINE, flapped(4)).waiting[Kind.QUARANTINED].contacts == (2, 4, 9)


def test_a_lockout_of_which_nobody_could_be_told_is_told_when_it_is_over() -> None:
    """With its beginning and its end, by the first sweep after it, and by no later one."""
    over = after(LOCKED, LOCKED, FINE)
    (matter,) = over.waiting.values()
    assert matter.title == "The portal did not let the worker in"
    assert matter.sentence.endswith("UTC, and does again: the portal does not know this webhook")
    assert not over.locked_out
    assert set(after(LOCKED, FINE, FINE).waiting) == set()


def test_delivery_of_what_was_overtaken() -> None:
    """A matter that changed while the older one was told still waits."""
    older, newer = after(flapped(1)), after(flapped(1), flapped(2))
    assert delivered(newer, older.waiting[Kind.QUARANTINED]) == newer
    assert delivered(newer, newer.waiting[Kind.QUARANTINED]).waiting == {}


def test_after_a_restart() -> None:
    """The journal's runs tell what was told: nothing waits, nothing is told again, a backlog goes on."""
    runs = [slot(3_000, 2_000), refused(), *[BROKEN] * 7]
    ends = [START + timedelta(minutes=10 * number) for number in range(len(runs))]
    state = replay("acme", zip(runs, ends, strict=True))
    assert state == replace(after(*runs), waiting={})
    later = ends[-1] + timedelta(minutes=10)
    assert hear(state, BROKEN, later).waiting == {}
    assert hear(state, refused(), later).waiting == {}
    assert set(hear(state, slot(2_000, 0), later).waiting) == {Kind.BACKFILL_DONE}


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        pytest.param(AuthorizationError("no"), True, id="authorization"),
        pytest.param(MissingScopeError("no"), True, id="scope"),
        pytest.param(BlockedError("no"), True, id="blocked"),
        pytest.param(MovedError("no"), True, id="moved"),
        pytest.param(UnreachableError("no"), False, id="unreachable"),
        pytest.param(IncompleteReadError("no"), False, id="incomplete"),
        pytest.param(None, False, id="none"),
    ],
)
def test_lockouts(failure: Exception | None, expected: bool) -> None:
    """Those that only a person can end."""
    assert locks_out(failure) is expected
