"""The roster, and the two ways to compare a portal with it.

strategy  asks                                                         costs
========  ===========================================================  =============================================
drift     for each owner, which contacts of 500 of their companies     a command for each 500 companies of an owner,
          have another owner; the portal compares                      and one for each 50 drifted contacts
pages     for all linked contacts; the worker compares                 a command for each 50 linked contacts
========  ===========================================================  =============================================

Both find the same. The cheaper one is chosen by the commands that it will take, and by the seconds that such a
command took the last time since all companies were read: who was slow once gets another try after that.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from reconciler.core.model import CompanyDetail, Mismatch

#: Companies in one drift query: each ID is a variable to PHP, which takes a thousand (F14).
GROUP = 500
#: Rows of a page, of which a window of IDs is planned to hold nine in ten.
_PAGE, _FILLED = 50, 0.9
#: Commands in a request, and the seconds that a request costs besides them (F16).
_BATCH, _REQUEST_SECONDS = 50, 0.1
#: Share of contacts that are taken for drifted before the first sweep has counted them.
_FIRST_DRIFT = 0.05


class Strategy(StrEnum):
    """How contacts are compared with the roster."""

    DRIFT = "drift"
    PAGES = "pages"


#: Seconds of a command before any was measured (F14, F16).
FIRST_SECONDS: Mapping[Strategy, float] = {Strategy.DRIFT: 0.042, Strategy.PAGES: 0.026}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """What is known of the companies from earlier sweeps; times are the portal's."""

    #: Company -> owner; own companies, other categories and what has vanished left out.
    owners: Mapping[int, int]
    #: When the latest look at what changed began, and the latest read of all companies.
    refreshed_at: datetime
    listed_at: datetime
    #: Seconds by which the portal's clock was ahead of ours at that look; None: unknown.
    ahead: float | None = None
    #: Linked contacts, and those of companies outside the roster, as counted with that read.
    contacts: int = 0
    outside: int = 0
    #: Drifted contacts that the last sweep found.
    drift: int = 0
    #: Company -> its last owner, of those that the latest read of all companies did not find any more.
    vanished: Mapping[int, int] = field(default_factory=dict)
    #: Seconds of a command of each strategy, as measured last.
    seconds: Mapping[Strategy, float] = field(default_factory=dict)

    @property
    def outdated(self) -> Roster:
        """The same, with all companies due to be read anew."""
        return replace(self, listed_at=datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What one sweep read of the companies."""

    #: Company -> owner, all of them.
    owners: Mapping[int, int]
    #: Those that this sweep read.
    seen: Mapping[int, int]
    #: Those that are new, or have another owner than in the roster.
    moved: frozenset[int] = frozenset()
    #: Company -> its last owner, of those in the roster that are in no list any more.
    gone: Mapping[int, int] = field(default_factory=dict)
    #: The portal's clock when it began.
    at: datetime
    #: Seconds by which that clock was ahead of ours; None: unknown.
    ahead: float | None = None
    #: Whether all companies were read.
    complete: bool
    #: Linked contacts: counted in a complete read, else as known.
    contacts: int
    #: What is known besides of companies that changed.
    details: Mapping[int, CompanyDetail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halfway:
    """How far a sweep has come that is not at its end: a restart goes on from there."""

    #: The portal's clock when it began.
    began: datetime
    #: Company -> owner, as far as they are read.
    owners: Mapping[int, int]
    #: Companies up to this ID are read; None: all are, and contacts are being compared.
    companies_up_to: int | None = None
    #: What was read of the companies; None: not all of them yet, or it is kept already.
    refresh: Refresh | None = None
    strategy: Strategy | None = None
    #: Where to go on: the owner and the company of the next drift query; or 0 and the ID up to which contacts are read.
    position: tuple[int, int] = (0, 0)
    found: tuple[Mismatch, ...] = ()
    #: Contacts of companies outside the roster among those read page by page.
    outside: int = 0


class Group(NamedTuple):
    """Companies of one owner, for one drift query."""

    owner: int
    companies: tuple[int, ...]

    @property
    def first(self) -> tuple[int, int]:
        """Where it begins, in the order of owners and companies."""
        return self.owner, self.companies[0]

    @property
    def last(self) -> tuple[int, int]:
        """Where it ends."""
        return self.owner, self.companies[-1]


def groups(owners: Mapping[int, int], only: Container[int] | None = None) -> list[Group]:
    """Cut the companies, or `only` some of them, into groups of one owner, in the order of owners and companies."""
    by_owner: dict[int, list[int]] = defaultdict(list)
    for company, owner in owners.items():
        if only is None or company in only:
            by_owner[owner].append(company)
    return [
        Group(owner, tuple(companies[start : start + GROUP]))
        for owner, companies in sorted((owner, sorted(companies)) for owner, companies in by_owner.items())
        for start in range(0, len(companies), GROUP)
    ]


def cheaper(queries: int, contacts: int, roster: Roster | None, *, along: bool) -> Strategy:
    """Return the strategy that will take fewer seconds of the portal.

    `queries` is how many drift queries cover the roster; `along`: they travel with the look at the companies, and
    need no request of their own.
    """
    known = roster.seconds if roster else {}
    drifted = roster.drift if roster else contacts * _FIRST_DRIFT
    commands = {
        Strategy.DRIFT: queries + drifted / _PAGE,
        Strategy.PAGES: contacts / (_PAGE * _FILLED) + 1,
    }
    requests = {
        Strategy.DRIFT: 0.0 if along else queries / _BATCH,
        Strategy.PAGES: commands[Strategy.PAGES] / _BATCH + 1,
    }
    return min(
        Strategy,
        key=lambda s: commands[s] * known.get(s, FIRST_SECONDS[s]) + requests[s] * _REQUEST_SECONDS,
    )
