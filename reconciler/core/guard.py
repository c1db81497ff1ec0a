"""The guard: what is too large, or rests on a suspicious read, is not written without approval.

rule                                        counts                                          limit (default)
==========================================  ==============================================  ===============
too many changes in a run                   all changes                                     1,000
too large a share of the linked contacts    all changes; above a population of 500          10 %
somebody gains too many contacts            changes not caused by a change of company owner  500
somebody loses too many contacts            the same                                         500
companies are missing                       fewer than in the last complete sweep           20 %
another installation is at work             changes back by the webhook's own account       2

The last rule is for a second installation with a journal of its own, which no lease keeps out: what our
account wrote and our journal does not know, somebody else wrote with it.

That a person hands companies over is no accident, so what follows from it is not held against anybody. What was
approved is not counted: approval is of changes, not of a plan, and the rest is guarded as if it stood alone.

A plan that passes a limit is not stopped as a whole. The changes form groups, each of one cause and of one person who
gains or loses; the largest groups that broke a limit are held back until the rest passes (`hold_back`). The last two
rules doubt the plan itself, so they hold back all of it.

What is held back stays so until somebody approves it, or nobody wants it any more. Judged anew it would be smaller than
before, and each run would let another part of it through.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.core.model import Cause

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.core.model import Change


class Limit(StrEnum):
    """The rules of the guard."""

    CHANGES = "changes"
    SHARE = "share"
    GAINED = "gained"
    LOST = "lost"
    COMPANIES = "companies"
    RIVAL = "rival"


#: These doubt the plan itself: when the doubt is over, it is judged anew.
DOUBTS = frozenset({Limit.COMPANIES, Limit.RIVAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """How much passes without approval."""

    changes: int = 1_000
    #: Share of the linked contacts, 0 to 1; only above so many of them.
    share: float = 0.10
    share_from: int = 500
    gained: int = 500
    lost: int = 500
    #: Share of the companies that may be missing since the last complete sweep, 0 to 1.
    companies: float = 0.20
    rivals: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One limit that was passed."""

    limit: Limit
    number: float
    allowed: float
    #: Who would gain or lose; 0 where it is about nobody in particular.
    person: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What the numbers of a plan are measured against."""

    #: Linked contacts.
    contacts: int
    companies: int
    #: In the last complete sweep of the same scope; None: there was none.
    companies_before: int | None = None
    #: Contacts that the webhook's own account changed back, which the journal knows nothing of.
    rivals: frozenset[int] = frozenset()

    @property
    def missing(self) -> float:
        """Share of the companies known before that are not there any more; below 0 where there are more now."""
        return 1 - self.companies / self.companies_before if self.companies_before else 0.0


def breaches(changes: Sequence[Change], population: Population, limits: GuardLimits) -> tuple[Breach, ...]:
    """Return every limit that these changes pass, the whole-plan ones first. Empty: they may be carried out."""
    found: list[Breach] = []
    count = len(changes)
    if not count:
        return ()
    if count > limits.changes:
        found.append(Breach(limit=Limit.CHANGES, number=count, allowed=limits.changes))
    if population.contacts > limits.share_from:
        share = count / population.contacts
        if share > limits.share:
            found.append(Breach(limit=Limit.SHARE, number=share, allowed=limits.share))
    if population.missing > limits.companies:
        found.append(Breach(limit=Limit.COMPANIES, number=population.missing, allowed=limits.companies))
    rivals = sum(change.contact in population.rivals for change in changes)
    if rivals > limits.rivals:
        found.append(Breach(limit=Limit.RIVAL, number=rivals, allowed=limits.rivals))
    surprising = [change for change in changes if _is_surprising(change)]
    found += _people(Limit.GAINED, Counter(change.after for change in surprising), limits.gained)
    found += _people(Limit.LOST, Counter(change.before for change in surprising if change.before), limits.lost)
    return tuple(found)


def _people(limit: Limit, counts: Mapping[int, int], allowed: int) -> list[Breach]:
    return [
        Breach(limit=limit, number=number, allowed=allowed, person=person)
        for person, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if number > allowed
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Changes of one cause by which one person gains, or loses."""

    cause: Cause
    gains: bool
    person: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the guard says of changes that nobody has approved."""

    #: May be written without approval; in the order in which they were given, as the others are.
    passing: tuple[Change, ...]
    held: tuple[Change, ...] = ()
    #: The limits that all of them together pass.
    breaches: tuple[Breach, ...] = ()
    #: The groups that were held back just now, the one that broke a limit first before the others.
    groups: tuple[Group, ...] = ()

    @property
    def is_doubt(self) -> bool:
        """Whether all is held back because the plan itself is in doubt."""
        return any(breach.limit in DOUBTS for breach in self.breaches)


def hold_back(
    changes: Sequence[Change],
    population: Population,
    limits: GuardLimits,
    waiting: Collection[tuple[int, int, int, int]] = (),
) -> Verdict:
    """Divide changes into those that pass the limits, and the groups that broke them.

    `waiting` are the keys of changes that an earlier run held back. Shares are measured against the whole portal.
    """
    found = breaches(changes, population, limits)
    if any(breach.limit in DOUBTS for breach in found):
        return Verdict(passing=(), held=tuple(changes), breaches=found)
    new = [change for change in changes if change.key not in waiting]
    groups = _largest(new, population, limits) if found else ()
    passing = {change.key for change in _without(new, groups)}
    return Verdict(
        passing=tuple(change for change in changes if change.key in passing),
        held=tuple(change for change in changes if change.key not in passing),
        breaches=found,
        groups=groups,
    )


def _largest(changes: Sequence[Change], population: Population, limits: GuardLimits) -> tuple[Group, ...]:
    """Return the largest groups without which the rest passes; none of them could be left out."""
    taken: list[Group] = []
    rest = list(changes)
    while found := breaches(rest, population, limits):
        taken.append(_broke(rest, found))
        rest = _without(rest, taken[-1:])
    for group in reversed(taken):
        fewer = [one for one in taken if one != group]
        if not breaches(_without(changes, fewer), population, limits):
            taken = fewer
    return tuple(taken)


def _broke(changes: Sequence[Change], found: Sequence[Breach]) -> Group:
    """Return the largest group of those that a limit is about: of a person where one is, else of all."""
    about = next((breach for breach in found if breach.person), None)
    sizes: Counter[Group] = Counter()
    for change in changes:
        for gains, person in ((True, change.after), (False, change.before)):
            is_theirs = about and (person, gains) == (about.person, about.limit is Limit.GAINED)
            if about is None or (is_theirs and _is_surprising(change)):
                sizes[Group(cause=change.cause, gains=gains, person=person)] += 1
    return min(sizes, key=lambda group: (-sizes[group], not group.gains, group.person, group.cause))


def _without(changes: Sequence[Change], groups: Collection[Group]) -> list[Change]:
    return [
        change
        for change in changes
        if Group(cause=change.cause, gains=True, person=change.after) not in groups
        and Group(cause=change.cause, gains=False, person=change.before) not in groups
    ]


def _is_surprising(change: Change) -> bool:
    return change.cause is not Cause.COMPANY_OWNER_CHANGED


def split(
    changes: Sequence[Change], approved: Collection[tuple[int, int, int, int]]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Divide changes into those somebody was shown and let through, and the rest, which the guard judges alone."""
    through = tuple(change for change in changes if change.key in approved)
    return through, tuple(change for change in changes if change.key not in approved)
