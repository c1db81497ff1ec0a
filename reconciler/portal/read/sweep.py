"""One sweep: the companies first, then the contacts compared with them; complete, or an error.

::

    known roster ── look at what changed ──┬─ compare contacts ── details of those that drifted ── snapshot
    none, or old ── read all companies ────┘

A sweep of a very large portal takes longer than a slot. It then keeps what it has found, and the next one goes on
from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.core.companies import Halfway, Refresh, Roster, Strategy, cheaper, groups
from reconciler.core.snapshot import Snapshot
from reconciler.errors import UsageError
from reconciler.portal.entities import BATCH_COMMANDS
from reconciler.portal.read.companies import LOOK_COMMANDS, CompanyChangeReader, gone, listing, moved, survey
from reconciler.portal.read.comparing import Comparison, count_contacts
from reconciler.portal.read.details import DetailOptions, Details, read_details, read_owners
from reconciler.portal.read.windows import WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from reconciler.core.companies import Group
    from reconciler.portal.read.checkpoint import Slot
    from reconciler.portal.read.companies import Survey
    from reconciler.portal.rest.client import Client

NOTHING_MORE = DetailOptions()
#: A sweep that was broken off so long ago is begun anew.
STALE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which part of the portal a sweep looks at; empty for all."""

    #: Only these companies and their contacts.
    companies: tuple[int, ...] = ()
    #: Only companies of these owners.
    owners: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """How a sweep reads."""

    #: None: the cheaper one.
    strategy: Strategy | None = None
    #: All companies are read anew after this time.
    relist: timedelta = timedelta(hours=6)


class Reader:
    """Reads a portal."""

    def __init__(
        self,
        client: Client,
        progress: Callable[[str, int, int], None],
        tactics: SweepOptions | None = None,
        slot: Slot | None = None,
    ) -> None:
        """`progress` is told what is read, how many are covered, and how many there are.

        Without a `slot` a sweep takes as long as it takes, and keeps nothing before its end.
        """
        self._client = client
        self._progress = progress
        self._tactics = tactics or SweepOptions()
        self._slot = slot

    @property
    def account(self) -> int:
        """Whose webhook it is, and in whose name the portal takes what we write."""
        return self._client.account

    def sweep(
        self,
        scope: Scope,
        wants: DetailOptions = NOTHING_MORE,
        roster: Roster | None = None,
        halfway: Halfway | None = None,
    ) -> Snapshot:
        """Look at the whole of a scope, and closer at what drifted there.

        `roster` is what is known from before, `halfway` a sweep to go on with. Raises `IncompleteReadError` where
        anything may be missing, `PausedError` where the slot is over, `UsageError` for a scope that matches nothing
        or a field that is not there, and `MissingScopeError` where `wants` asks for more than the webhook may.
        """
        if scope != Scope():
            return self._part(scope, wants)
        comparing = halfway if halfway is not None and halfway.companies_up_to is None else None
        comparison = Comparison(self._client, wants.contact_field, self._progress, comparing)
        refresh, seen, early = None, None, []
        if roster is not None and (halfway is None or comparing is not None):
            # A sweep that goes on over hours would else read all companies again and again.
            relist = None if comparing else self._tactics.relist
            early = [] if comparing else self._early(roster)
            looking = CompanyChangeReader(self._client, roster, relist=relist, field=wants.company_field)
            self._client.beside.let_wait()
            refresh = looking.look(comparison.along(early), comparison.take)
        if refresh is None:
            self._client.beside.wait_no_longer()
            seen = survey(self._client)
            refresh = self._all_companies(seen, roster, halfway)
        elif refresh.moved or refresh.gone:
            self._client.beside.wait_no_longer()
        if comparing is not None and not _goes_on(comparing, refresh.at):
            comparing, comparison = None, Comparison(self._client, wants.contact_field, self._progress)
        comparison.review(refresh.owners)
        strategy = Strategy.DRIFT
        if early or comparing:  # what was compared before some companies changed
            comparison.drift(groups(refresh.owners, refresh.moved))
        if not early:
            strategy = self._compare(refresh, roster, comparing, comparison, seen)
        # A read of all companies ends the wait, but not one that has marked some as vanished on its way.
        waiting = {} if roster is None or (refresh.complete and halfway is None) else roster.vanished
        vanished = {**waiting, **refresh.gone}
        if comparison.mismatches:
            self._client.beside.wait_no_longer()
        details = self._details(comparison, wants, refresh)
        self._client.ask_beside()
        return Snapshot(
            taken_at=comparing.began if comparing else refresh.at,
            ended_at=self._client.heard_at,
            roster=refresh.owners,
            contacts=refresh.contacts,
            mismatches=comparison.mismatches,
            outside_roster=self._outside(refresh, roster, strategy, comparison),
            users=details.users,
            contact_details=details.contacts,
            company_details=details.companies,
            departments=details.departments,
            vanished_owners=frozenset(vanished.values()),
            refresh=refresh,
            strategy=strategy,
            seconds=comparison.seconds,
        )

    def _part(self, scope: Scope, wants: DetailOptions) -> Snapshot:
        """Sweep some companies alone: they are read anew, and the roster is neither asked nor told."""
        seen = survey(self._client)
        highest = None if scope.companies else seen.highest_company
        reader = WindowReader(self._client, listing(scope.companies, scope.owners), highest=highest)
        owners: dict[int, int] = {}
        for page in reader.batches():
            owners.update(page)
            self._progress("companies", reader.position, seen.highest_company)
        if missing := _missing(scope, owners):
            raise UsageError(missing)
        comparison = Comparison(self._client, wants.contact_field, self._progress)
        comparison.drift(groups(owners))
        details = self._details(comparison, wants)
        # The owners of the contacts' other companies have a say too, but were not looked at.
        linked = {company for detail in details.contacts.values() for company in detail.companies}
        return Snapshot(
            taken_at=seen.at,
            ended_at=self._client.heard_at,
            roster=owners,
            other_companies=read_owners(self._client, linked - owners.keys()),
            contacts=count_contacts(self._client, owners),
            contacts_of_portal=seen.contacts,
            mismatches=comparison.mismatches,
            outside_roster=0,
            users=details.users,
            contact_details=details.contacts,
            company_details=details.companies,
            departments=details.departments,
        )

    def _early(self, roster: Roster) -> list[Group]:
        """Return the drift queries that travel with the look at the companies: all, where all of them fit in."""
        todo = groups(roster.owners)
        along = len(todo) + LOOK_COMMANDS <= BATCH_COMMANDS
        return todo if along and self._choose(todo, roster.contacts, roster, along=True) is Strategy.DRIFT else []

    def _all_companies(self, seen: Survey, roster: Roster | None, halfway: Halfway | None) -> Refresh:
        """Read all companies, or those that a sweep which was broken off has left."""
        began, after, ahead = seen.at, 0, self._client.ahead
        owners: dict[int, int] = {}
        if halfway is not None and halfway.companies_up_to is not None and _goes_on(halfway, seen.at):
            # How far its clock was ahead of ours then is not kept.
            began, after, owners, ahead = halfway.began, halfway.companies_up_to, dict(halfway.owners), None
        highest = seen.highest_company
        reader = WindowReader(self._client, listing(), highest=highest, after=after, rows=seen.companies)
        for page in reader.batches():
            owners.update(page)
            self._progress("companies", reader.position, highest)
            if self._slot is not None and self._slot.due and not reader.finished:
                for rest in reader.queue.finish():
                    owners.update(rest)
                so_far = Halfway(began=began, owners=owners, companies_up_to=reader.position)
                self._slot.keep(so_far, reader.position / highest / 2)
        if after:  # what an earlier run has read may have changed since; which are gone, the next look will tell
            so_far_known = Roster(owners=owners, refreshed_at=began, listed_at=seen.at)
            looking = CompanyChangeReader(self._client, so_far_known, relist=None, field="")
            looking.look((), lambda _: None)
            owners = looking.owners
        known = roster.owners if roster else {}
        return Refresh(
            owners=owners,
            seen=owners,
            moved=moved(known, owners) if known else frozenset(),
            gone=gone(known, owners),
            at=began,
            ahead=ahead,
            complete=True,
            contacts=seen.contacts,
        )

    def _compare(
        self,
        refresh: Refresh,
        roster: Roster | None,
        comparing: Halfway | None,
        comparison: Comparison,
        seen: Survey | None,
    ) -> Strategy:
        """Compare the contacts by the cheaper strategy, from where an earlier sweep was broken off."""
        todo, after = groups(refresh.owners), (0, 0)
        strategy = self._choose(todo, refresh.contacts, roster, along=False)
        if comparing is not None and comparing.strategy is not None:
            strategy, after = comparing.strategy, comparing.position

        def kept(position: tuple[int, int]) -> Halfway:
            return Halfway(
                began=comparing.began if comparing else refresh.at,
                owners=refresh.owners,
                refresh=refresh,
                strategy=strategy,
                position=position,
                found=comparison.mismatches,
                outside=comparison.outside,
            )

        if strategy is Strategy.DRIFT:
            comparison.drift([group for group in todo if group.last >= after], self._slot, kept)
        else:
            comparison.pages(refresh.owners, seen or survey(self._client), after[1], self._slot, kept)
        return strategy

    def _choose(self, todo: list[Group], contacts: int, roster: Roster | None, *, along: bool) -> Strategy:
        return self._tactics.strategy or cheaper(len(todo), contacts, roster, along=along)

    def _outside(self, refresh: Refresh, roster: Roster | None, strategy: Strategy, comparison: Comparison) -> int:
        """Return how many linked contacts belong to companies that are not in the roster."""
        if strategy is Strategy.PAGES:
            return comparison.outside
        if not refresh.complete and roster is not None:
            return roster.outside
        return max(0, refresh.contacts - count_contacts(self._client, refresh.owners))

    def _details(self, comparison: Comparison, wants: DetailOptions, refresh: Refresh | None = None) -> Details:
        """Look closer at what drifted, as far as that is not known yet."""
        known = Details(contacts=comparison.details, companies=refresh.details if refresh else {})
        return read_details(self._client, comparison.mismatches, wants, known)


def _goes_on(halfway: Halfway, now: datetime) -> bool:
    """Tell whether a sweep is worth going on with; not one that began in the future, before a clock was set back."""
    return timedelta(0) <= now - halfway.began <= STALE


def _missing(scope: Scope, owners: Mapping[int, int]) -> str:
    """Say which of the companies and owners that were asked for matches nothing; empty: each matches something."""
    company = next((number for number in scope.companies if number not in owners), None)
    if company is not None:
        owner = f" with owner {_either(scope.owners)}" if scope.owners else ""
        return f"no company {company}{owner} is visible to the webhook, or it is one of your own; check --company"
    found = set(owners.values())
    person = next((number for number in scope.owners if number not in found), None)
    return "" if person is None else f"no company with owner {person} is visible to the webhook; check --owner"


def _either(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
