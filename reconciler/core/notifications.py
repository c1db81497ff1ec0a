"""What only a person can mend, and when it is told: once for each matter, not 144 times a day.

matter                   told when                                              again
=======================  =====================================================  =====================================
refused                  the guard refused a plan                               another digest, and either a tenth more
                                                                                changes than told or a day later
incomplete_for_an_hour   no run read the portal as a whole for an hour          after a complete read
authorization_lost       the portal does not let us in, or not far enough;      after a complete read
                         where nobody could be told, when it does again
quarantined              contacts went into quarantine                          with each run that adds some
backfill_done            of at least 1,000 changes let through, none is left    after the next backfill

Where people work, the set that waits for approval is another one in each slot, and each of those that were shown can
be approved; that is why a refusal needs more than another digest. A lockout is not told a second time as an
incomplete read.

`hear` is a fold: the state after a restart is that of `replay` over the last day of runs in the journal. What waits
for delivery then was delivered before, or is told when it comes up again; a lockout, which the journal does not tell
from other failures, is told once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.errors import AuthorizationError, BlockedError, MovedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

#: How long reading may fail before that is told.
PATIENCE = timedelta(hours=1)
#: A refusal of another set is told again when it has grown by this factor, or after this time.
GROWN, REMIND = 1.1, timedelta(days=1)
#: So many changes let through are a backfill: no more pass a guard of the default size in one go.
BACKFILL = 1_000
#: Contacts named in a sentence.
_NAMED = 10


class Kind(StrEnum):
    """What it is about. The value is what an event and a tag show."""

    REFUSED = "refused"
    INCOMPLETE = "incomplete_for_an_hour"
    AUTHORIZATION_LOST = "authorization_lost"
    QUARANTINED = "quarantined"
    BACKFILL_DONE = "backfill_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something to tell a person."""

    kind: Kind
    portal: str
    at: datetime
    #: A few words.
    title: str
    #: What happened, and the next step.
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    #: Of the refused plan.
    digest: str = ""
    contacts: tuple[int, ...] = ()

    @property
    def tag(self) -> str:
        """What a later notice of the same matter replaces the earlier one by."""
        return f"{self.portal}|{self.kind.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A plan that the guard refused."""

    digest: str
    changes: int
    #: The numbers, the limits, who would gain and lose most, and the next step.
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run over the whole portal has to say. One that somebody stopped has nothing to say."""

    #: Whether it read the portal as a whole.
    complete: bool
    #: The sentence of the error that ended it; empty for none.
    failure: str = ""
    #: Whether that error is one of `locks_out`.
    locked_out: bool = False
    refusal: Refusal | None = None
    #: Contacts that went into quarantine in it.
    quarantined: tuple[int, ...] = ()
    #: Changes that the guard or an approval let through, those of later slots included.
    let_through: int = 0
    #: Of these: written by this run; tried and not written; left for the next.
    written: int = 0
    undone: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A refusal that somebody knows of."""

    digest: str
    changes: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A backlog under way."""

    since: datetime
    written: int = 0
    undone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known and told so far."""

    portal: str
    #: What nobody could be told yet; a later matter of a kind takes the place of the earlier one.
    waiting: Mapping[Kind, Notification] = field(default_factory=dict)
    #: When the first of the runs ended that could not read the portal; None: the last one could.
    failing_since: datetime | None = None
    failing_told: bool = False
    locked_out: bool = False
    refused: Told | None = None
    backfill: Backfill | None = None


def locks_out(failure: Exception | None) -> bool:
    """Tell whether an error means that the portal does not let us in, or not far enough, until a person acts."""
    return isinstance(failure, AuthorizationError | BlockedError | MovedError)


def hear(state: State, news: RunSummary, now: datetime) -> State:
    """Take in what a run had to say when it ended, `now`. What there is to tell stands in `waiting`."""
    for rule in (_lockout, _reading, _refusal, _quarantine, _backfill):
        state = rule(state, news, now)
    return state


def delivered(state: State, matter: Notification) -> State:
    """Note that somebody was told."""
    if state.waiting.get(matter.kind) != matter:
        return state
    return _without(state, matter.kind)


def replay(portal: str, runs: Iterable[tuple[RunSummary, datetime]]) -> State:
    """Return the state after these runs, the oldest first, with the time at which each ended."""
    state = State(portal=portal)
    for news, ended in runs:
        state = hear(state, news, ended)
    return replace(state, waiting={})


def _lockout(state: State, news: RunSummary, now: datetime) -> State:
    if news.locked_out and not state.locked_out:
        state = _tell(state, Kind.AUTHORIZATION_LOST, now, "The portal does not let the worker in", news.failure)
        return replace(state, locked_out=True)
    if news.complete and not news.locked_out:
        late = state.waiting.get(Kind.AUTHORIZATION_LOST)
        if late is None or not state.locked_out:
            return replace(_without(state, Kind.AUTHORIZATION_LOST), locked_out=False)
        # A bell cannot ring in a portal that lets nobody in: it is told with the first sweep that it does.
        over = replace(
            late,
            title="The portal did not let the worker in",
            sentence=f"from {late.at:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC, and does again: {late.sentence}",
        )
        return replace(state, waiting={**state.waiting, over.kind: over}, locked_out=False)
    return state


def _reading(state: State, news: RunSummary, now: datetime) -> State:
    if news.complete:
        return replace(_without(state, Kind.INCOMPLETE), failing_since=None, failing_told=False)
    since = state.failing_since or now
    state = replace(state, failing_since=since)
    if now - since < PATIENCE or state.failing_told or state.locked_out:
        return state
    sentence = f"no run could read all contacts and companies since {since:%Y-%m-%d %H:%M} UTC: {news.failure}"
    minutes = int((now - since).total_seconds() // 60)
    told = _tell(state, Kind.INCOMPLETE, now, "Owners are not kept in order", sentence, numbers={"minutes": minutes})
    return replace(told, failing_told=True)


def _refusal(state: State, news: RunSummary, now: datetime) -> State:
    refusal, told = news.refusal, state.refused
    if refusal is None:
        return replace(_without(state, Kind.REFUSED), refused=None) if news.complete else state
    if told is not None and (
        refusal.digest == told.digest or (refusal.changes <= told.changes * GROWN and now - told.at < REMIND)
    ):
        return state
    state = _tell(
        state,
        Kind.REFUSED,
        now,
        f"{_count(refusal.changes, 'change')} of owners {_verb(refusal.changes, 'waits', 'wait')} for approval",
        refusal.sentence,
        numbers={"changes": refusal.changes, **refusal.numbers},
        digest=refusal.digest,
    )
    return replace(state, refused=Told(digest=refusal.digest, changes=refusal.changes, at=now))


def _quarantine(state: State, news: RunSummary, now: datetime) -> State:
    if not news.quarantined:
        return state
    waiting = state.waiting.get(Kind.QUARANTINED)
    contacts = tuple(sorted({*news.quarantined, *(waiting.contacts if waiting else ())}))
    count = len(contacts)
    named = ", ".join(map(str, contacts[:_NAMED])) + (", …" if count > _NAMED else "")
    return _tell(
        state,
        Kind.QUARANTINED,
        now,
        f"{_count(count, 'contact')} {_verb(count, 'is', 'are')} changed back again and again",
        f"somebody, or another program, keeps setting another owner than the company's, so these contacts are left "
        f"alone for now: {named}; `reconciler exceptions` shows who edited them last",
        numbers={"contacts": count},
        contacts=contacts,
    )


def _backfill(state: State, news: RunSummary, now: datetime) -> State:
    backfill = state.backfill
    if backfill is None and news.let_through >= BACKFILL:
        backfill = Backfill(since=now)
    if backfill is None:
        return state
    backfill = replace(backfill, written=backfill.written + news.written, undone=backfill.undone + news.undone)
    if news.left or not news.complete:
        return replace(state, backfill=backfill)
    rest = f"; {backfill.undone:,} could not be written, `reconciler runs` shows why" if backfill.undone else ""
    sentence = f"{_count(backfill.written, 'contact')} got the owner of their company{rest}"
    numbers = {"written": backfill.written, "undone": backfill.undone}
    told = _tell(state, Kind.BACKFILL_DONE, now, "The backlog of owners is done", sentence, numbers=numbers)
    return replace(told, backfill=None)


def _tell(
    state: State,
    kind: Kind,
    now: datetime,
    title: str,
    sentence: str,
    *,
    numbers: Mapping[str, float] | None = None,
    digest: str = "",
    contacts: tuple[int, ...] = (),
) -> State:
    matter = Notification(
        kind=kind,
        portal=state.portal,
        at=now,
        title=title,
        sentence=sentence,
        numbers=numbers or {},
        digest=digest,
        contacts=contacts,
    )
    return replace(state, waiting={**state.waiting, kind: matter})


def _without(state: State, kind: Kind) -> State:
    return replace(state, waiting={known: matter for known, matter in state.waiting.items() if known is not kind})


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
