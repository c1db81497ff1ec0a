"""The companies: all of them, or what changed since the last look.

A look costs three commands. It asks for companies modified since the last one, by the portal's own clock and with an
overlap, because a row becomes visible some time after its date (F11.14), and that clock may be set; for the newest
companies, with the count of all, which tells what moves no date: one that was deleted or merged, or came into view;
and for the count of linked contacts. Where the companies' count differs twice, all are read anew, as they are on a
slower beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from reconciler.core.companies import Refresh
from reconciler.errors import IncompleteReadError
from reconciler.portal.entities import COMPANY, COMPANY_LIST, CONTACT_LIST, ID, MODIFIED, OWN_COMPANY, OWNER, PAGE
from reconciler.portal.read.details import COMPANY_FIELDS, company_detail
from reconciler.portal.read.windows import DOUBTS, Listing, Page, Queue, Window, one_more
from reconciler.portal.rest.batch_codec import Command, identifier, moment, readable_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.core.companies import Roster
    from reconciler.core.model import CompanyDetail
    from reconciler.portal.rest.batch_codec import Answer, Value
    from reconciler.portal.rest.client import Client

log = structlog.get_logger("reconciler.portal")

#: How far before the last look the next one begins: more than an interval of the service, because dates may be older
#: than the last look by as much as the portal's clock was set back since. By more than has passed, it shows.
OVERLAP = timedelta(minutes=15)
#: When the portal's clock has lost more than this against ours since the last look, all companies are read anew: where
#: more time has passed than the overlap, what changed in it may carry a date before it. Less than the overlap by what
#: the measurement may be off, the time of an answer, and by the delay of a row.
SET_BACK = timedelta(minutes=10)
#: When more than this share of the companies were modified, it is cheaper to read all: each page of those that were
#: walks over every company, because their dates have no index (F14).
MANY = 0.25
#: All companies are read again so soon after some have vanished, because drift waits for it.
AFTER_LOSS = timedelta(hours=1)
_UNKNOWN_SHAPE = "the portal's answer has an unknown shape, so nothing was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How much there is to read; it plans the windows, and proves nothing."""

    #: The portal's clock.
    at: datetime
    highest_company: int
    companies: int
    highest_contact: int
    #: Linked contacts.
    contacts: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A company that changed."""

    number: int
    owner: int
    own: bool
    detail: CompanyDetail


#: Commands of a look at what changed.
LOOK_COMMANDS = 3
#: Method, condition and the field that shows whether a row meets it.
_COMPANIES: tuple[str, dict[str, Value], str] = (COMPANY_LIST, {f"={OWN_COMPANY}": "N"}, OWN_COMPANY)
_LINKED_CONTACTS: tuple[str, dict[str, Value], str] = (CONTACT_LIST, {f"!{COMPANY}": 0}, COMPANY)
_SURVEYED = (("companies", *_COMPANIES), ("contacts", *_LINKED_CONTACTS))


def survey(client: Client) -> Survey:
    """Ask for the highest ID and the count of both lists. Raises IncompleteReadError."""
    answers = client.read([_downwards(method, condition, field) for _, method, condition, field in _SURVEYED])
    try:
        _require_counts(client, answers)
        highest_company, companies = _first(answers[0], lambda row: row[OWN_COMPANY] == "N")
        # The guard measures a plan against this count: no filter may have been ignored (F2).
        highest_contact, contacts = _first(answers[1], _is_linked)
        return Survey(
            at=_began(answers[0]),
            highest_company=highest_company,
            companies=companies,
            highest_contact=highest_contact,
            contacts=contacts,
        )
    except (ValueError, TypeError, AttributeError, KeyError) as doubt:
        raise IncompleteReadError(_UNKNOWN_SHAPE) from doubt


def _downwards(method: str, condition: Mapping[str, Value], field: str) -> Command:
    return Command(method, {"order": {ID: "DESC"}, "filter": dict(condition), "select": [ID, field], "start": 0})


def _require_counts(client: Client, answers: Sequence[Answer]) -> None:
    """Make sure of counts that are just a page: is there nothing below it? Raises IncompleteReadError.

    Some portals and proxies count no further than a page. Then no list of theirs can be proven whole.
    """
    doubted = [
        (noun, _downwards(method, {**condition, f"<{ID}": identifier(answer.result[-1][ID])}, field))
        for (noun, method, condition, field), answer in zip(_SURVEYED, answers, strict=True)
        if answer.total == PAGE == len(answer.result)
    ]
    for (noun, _), answer in zip(doubted, client.read([command for _, command in doubted]), strict=True):
        if answer.result:
            raise IncompleteReadError(
                f"the portal counts {PAGE} {noun} where there are more: its counts stop at a page, so no list can be "
                "proven whole, and nothing was written; ask the administrator what changes `total`, a proxy perhaps"
            )


def listing(companies: Sequence[int] = (), owners: Sequence[int] = ()) -> Listing[tuple[int, int]]:
    """List company and owner of all companies but our own, or of those asked for."""
    condition: dict[str, Value] = {f"={OWN_COMPANY}": "N"}
    if companies:
        condition[f"@{ID}"] = [*companies]
    if owners:
        condition[f"@{OWNER}"] = [*owners]

    def parse(number: int, row: Mapping[str, Any]) -> tuple[int, int]:
        found = readable_identifier(row[OWNER]) or 0
        wanted = (not companies or number in companies) and (not owners or found in owners)
        if row.get(OWN_COMPANY) != "N" or not wanted:
            raise ValueError(f"company {number} does not match the filter that was sent")
        return number, found

    return Listing(
        method=COMPANY_LIST, select=[ID, OWNER, OWN_COMPANY], filter=condition, parse=parse, noun="companies"
    )


@dataclass(frozen=True, slots=True)
class _Newest:
    """The companies above an ID, among the newest fifty; with these the portal counts all companies.

    A page that comes short proves nothing here: the count then differs from what is known.
    """

    listing: Listing[_Row]
    after: int
    readings: int = 0

    def command(self) -> Command:
        """Return what to ask."""
        method, condition, _ = _COMPANIES
        select = list(self.listing.select)
        return Command(method, {"order": {ID: "DESC"}, "filter": condition, "select": select, "start": 0})

    def prove(self, answer: Answer) -> tuple[list[_Row], list[Page[_Row]]]:
        """Return the rows above the ID, and what is left to read where all fifty are. Raises IncompleteReadError."""
        try:
            rows = {identifier(row[ID]): row for row in answer.result}
            if [*rows] != sorted(rows, reverse=True) or any(row[OWN_COMPANY] != "N" for row in rows.values()):
                raise ValueError("companies came out of place")
            found = [self.listing.parse(number, row) for number, row in rows.items() if number > self.after]
        except DOUBTS as doubt:
            return [], [replace(self, readings=one_more(self.readings, self.listing.noun, doubt))]
        return found, [Window(self.listing, after=self.after)] if len(found) == PAGE else []


class CompanyChangeReader:
    """Looks at what changed since the roster was refreshed; other questions may travel along."""

    def __init__(self, client: Client, roster: Roster, *, relist: timedelta | None, field: str) -> None:
        """All companies are due to be read after `relist`; None: not while it can be helped, in a sweep that goes on.

        `field` is the yes/no field of companies, or empty.
        """
        self._client = client
        self._roster = roster
        self._relist = relist
        self._field = field
        #: Company -> owner, as far as it is known by now.
        self.owners = dict(roster.owners)
        self._details: dict[int, CompanyDetail] = {}

    def look(self, beside: Sequence[Command], take: Callable[[list[Answer]], None]) -> Refresh | None:
        """Return what changed; None: all companies must be read anew.

        `beside` travels in the same requests, and `take` is given its answers. Raises IncompleteReadError.
        """
        began: datetime | None = None
        ahead: float | None = None
        contacts = 0
        for commands in ([_downwards(*_LINKED_CONTACTS), *beside], ()):
            # Not kept in the object: their listings know it, and the garbage collector would have to part them.
            pages: list[Page[_Row]] = [
                _Newest(self._listing({}, None), after=max(self.owners, default=0)),
                Window(self._modified(self._roster.refreshed_at - OVERLAP)),
            ]
            answers = self._client.read([*(page.command() for page in pages), *commands])
            looked, further = answers[: len(pages)], answers[len(pages) :]
            try:
                # One of them may have been asked for again much later: the next look begins where the first was given.
                began = began or min(map(_began, looked))
                ahead = self._client.ahead if ahead is None else ahead
                count = _count(looked[0])
                contacts = _first(further[0], _is_linked)[1] if further else contacts
            except (ValueError, TypeError, AttributeError, KeyError) as doubt:
                raise IncompleteReadError(_UNKNOWN_SHAPE) from doubt
            if further[1:]:
                take(further[1:])
            if self._due(began) or not self._absorb(pages, looked):
                return None
            if count == len(self.owners):
                return self._refresh(began, ahead, contacts)
        log.info("portal.companies_differ", known=len(self.owners), counted=count)
        return None

    def _due(self, began: datetime) -> bool:
        """Tell whether it is time to read all companies, also because the portal's clock was set back."""
        roster, relist = self._roster, self._relist
        if relist is not None and roster.vanished:
            relist = min(relist, AFTER_LOSS)
        if began < roster.refreshed_at or self._set_back():
            return True
        return relist is not None and began - roster.listed_at >= relist

    def _set_back(self) -> bool:
        """Tell whether the portal's clock has lost so much since the last look that dates may be too old."""
        before, now = self._roster.ahead, self._client.ahead
        return before is not None and now is not None and before - now > SET_BACK.total_seconds()

    def _absorb(self, pages: Sequence[Page[_Row]], answers: Sequence[Answer]) -> bool:
        """Take in what changed; False: so much that it is better to read all."""
        many = (answers[-1].total or 0) > max(1000, MANY * len(self.owners))
        if many and self._relist is not None:
            return False
        queue: Queue[_Row] = Queue(self._client)
        found = queue.absorb(pages, answers)
        for more in queue.rounds():
            found += more
        for row in found:
            if row.own:
                self.owners.pop(row.number, None)
                self._details.pop(row.number, None)
            else:
                self.owners[row.number] = row.owner
                self._details[row.number] = row.detail
        return True

    def _refresh(self, at: datetime, ahead: float | None, contacts: int) -> Refresh:
        known, owners = self._roster.owners, self.owners
        seen = {number: owners[number] for number in self._details}
        return Refresh(
            owners=owners,
            seen=seen,
            moved=moved(known, seen),
            gone=gone(known, owners),
            at=at,
            ahead=ahead,
            complete=False,
            contacts=contacts,
            details=self._details,
        )

    def _modified(self, since: datetime) -> Listing[_Row]:
        return self._listing({f">={MODIFIED}": since.isoformat(timespec="seconds")}, since.replace(microsecond=0))

    def _listing(self, condition: dict[str, Value], since: datetime | None) -> Listing[_Row]:
        def parse(number: int, row: Mapping[str, Any]) -> _Row:
            if since is not None and not _is_since(row[MODIFIED], since):
                raise ValueError(f"company {number} does not match the filter that was sent")
            own = row[OWN_COMPANY]
            if own not in {"Y", "N"}:
                raise ValueError(f"company {number} is neither our own nor another's")
            owner = readable_identifier(row[OWNER]) or 0
            return _Row(number, owner, own == "Y", company_detail(row, self._field))

        select = [ID, OWN_COMPANY, MODIFIED, *COMPANY_FIELDS, *([self._field] if self._field else [])]
        return Listing(method=COMPANY_LIST, select=select, filter=condition, parse=parse, noun="companies")


def moved(known: Mapping[int, int], owners: Mapping[int, int]) -> frozenset[int]:
    """Return the companies that are new to the roster, or have another owner than there."""
    return frozenset(company for company, owner in owners.items() if known.get(company) != owner)


def gone(known: Mapping[int, int], owners: Mapping[int, int]) -> dict[int, int]:
    """Return the companies of the roster that are not among those any more, with their last owners."""
    return {company: owner for company, owner in known.items() if company not in owners}


def _first(answer: Answer, belongs: Callable[[Mapping[str, Any]], bool]) -> tuple[int, int]:
    """Return the first ID and the count. Raises ValueError where a row does not match the filter that was sent."""
    total = _count(answer)
    if not all(map(belongs, answer.result)):
        raise ValueError("a row does not match the filter that was sent")
    return (identifier(answer.result[0][ID]) if answer.result else 0), total


def _is_linked(contact: Mapping[str, Any]) -> bool:
    return readable_identifier(contact[COMPANY]) != 0


def _count(answer: Answer) -> int:
    if answer.total is None:
        raise ValueError("a list without a count")
    return answer.total


def _is_since(value: Any, since: datetime) -> bool:
    """Tell whether a date is not before a moment; one that cannot be read is not."""
    try:
        return moment(value) >= since
    except (ValueError, TypeError):
        return False


def _began(answer: Answer) -> datetime:
    return moment(answer.timing.began)
