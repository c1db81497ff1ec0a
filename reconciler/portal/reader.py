"""One sweep: the companies first, then the contacts, compared page by page; complete, or an error (DESIGN 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Mismatch, Snapshot
from reconciler.errors import IncompleteReadError, UsageError
from reconciler.portal.details import Wants, read_details, read_owners
from reconciler.portal.dialect import (
    COMPANY,
    COMPANY_LIST,
    CONTACT_LIST,
    ID,
    OWN_COMPANY,
    OWNER,
    SERVER_TIME,
)
from reconciler.portal.people import read_users
from reconciler.portal.windows import Listing, WindowReader
from reconciler.portal.wire import Answer, Command, Value, identifier, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from reconciler.core.model import User
    from reconciler.portal.client import Client

NOTHING_MORE = Wants()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which part of the portal a sweep looks at; None for all."""

    #: Only this company and its contacts.
    company: int | None = None
    #: Only companies of this owner.
    owner: int | None = None


class Reader:
    """Reads a portal."""

    def __init__(self, client: Client, progress: Callable[[str, int, int], None]) -> None:
        """`progress` is told what is read, how many IDs are covered, and how many there are."""
        self._client = client
        self._progress = progress
        self._windows = 0

    def sweep(self, scope: Scope, wants: Wants = NOTHING_MORE) -> Snapshot:
        """Look at the whole of a scope, and closer at what drifted there.

        Raises `IncompleteReadError` where anything may be missing, `UsageError` for a scope that matches nothing or
        a field that is not there, and `MissingScopeError` where `wants` asks for more than the webhook may.
        """
        self._windows = 0
        highest_company, highest_contact, taken_at = self._survey()
        roster = self._companies(scope, highest_company)
        contacts = 0
        outside = 0
        mismatches: list[Mismatch] = []
        for page in self._contacts(scope, highest_contact):
            contacts += len(page)
            for contact, company, owner in page:
                company_owner = roster.get(company)
                if company_owner is None:
                    outside += 1
                elif company_owner != owner:
                    mismatches.append(
                        Mismatch(contact=contact, company=company, owner=owner, company_owner=company_owner)
                    )
        details = read_details(self._client, mismatches, wants)
        if scope != Scope():
            # The owners of the contacts' other companies have a say too.
            linked = {company for detail in details.contacts.values() for company in detail.companies}
            roster |= read_owners(self._client, linked - roster.keys())
        return Snapshot(
            taken_at=taken_at,
            roster=roster,
            contacts=contacts,
            mismatches=tuple(mismatches),
            outside_roster=outside,
            users=details.users,
            contact_details=details.contacts,
            company_details=details.companies,
            departments=details.departments,
            windows=self._windows,
        )

    def users(self, ids: Iterable[int]) -> dict[int, User] | None:
        """Return the people among `ids`; None where the webhook may not ask. Raises IncompleteReadError."""
        return read_users(self._client, ids)

    def _survey(self) -> tuple[int, int, datetime]:
        """Ask for the highest ID of each list, which only plans the windows, and for the portal's clock."""

        def highest(method: str, condition: dict[str, Value]) -> Command:
            return Command(method, {"order": {ID: "DESC"}, "filter": condition, "select": [ID], "start": -1})

        companies, contacts, time = self._client.read(
            [
                highest(COMPANY_LIST, {f"={OWN_COMPANY}": "N"}),
                highest(CONTACT_LIST, {f"!{COMPANY}": 0}),
                Command(SERVER_TIME, {}),
            ]
        )
        try:
            return _first_id(companies), _first_id(contacts), moment(time.result)
        except (ValueError, TypeError, AttributeError, KeyError) as doubt:
            raise IncompleteReadError("the portal's answer has an unknown shape, so nothing was written") from doubt

    def _companies(self, scope: Scope, highest: int) -> dict[int, int]:
        condition: dict[str, Value] = {f"={OWN_COMPANY}": "N"}
        if scope.company is not None:
            condition[f"={ID}"] = scope.company
        if scope.owner is not None:
            condition[f"={OWNER}"] = scope.owner

        def parse(number: int, row: Mapping[str, Any]) -> tuple[int, int]:
            owner = identifier(row.get(OWNER))
            if row.get(OWN_COMPANY) != "N" or scope.company not in {None, number} or scope.owner not in {None, owner}:
                raise ValueError(f"company {number} does not match the filter that was sent")
            return number, owner

        listing = Listing(
            method=COMPANY_LIST, select=[ID, OWNER, OWN_COMPANY], filter=condition, parse=parse, noun="companies"
        )
        roster: dict[int, int] = {}
        for page in self._read(listing, highest if scope.company is None else None, highest):
            roster.update(page)
        if not roster and scope != Scope():
            raise UsageError(_matches_nothing(scope))
        return roster

    def _contacts(self, scope: Scope, highest: int) -> Iterable[list[tuple[int, int, int]]]:
        condition: dict[str, Value] = {f"!{COMPANY}": 0} if scope.company is None else {f"={COMPANY}": scope.company}

        def parse(number: int, row: Mapping[str, Any]) -> tuple[int, int, int]:
            company = identifier(row.get(COMPANY))
            if company == 0 or scope.company not in {None, company}:
                raise ValueError(f"contact {number} does not match the filter that was sent")
            return number, company, identifier(row.get(OWNER))

        listing = Listing(
            method=CONTACT_LIST, select=[ID, COMPANY, OWNER], filter=condition, parse=parse, noun="contacts"
        )
        return self._read(listing, highest if scope.company is None else None, highest)

    def _read(self, listing: Listing[Any], planned: int | None, highest: int) -> Iterable[list[Any]]:
        reader = WindowReader(self._client, listing, highest=planned)
        for page in reader.batches():
            yield page
            self._progress(listing.noun, reader.position, highest)
        self._windows += reader.windows


def _first_id(answer: Answer) -> int:
    return identifier(answer.result[0][ID]) if answer.result else 0


def _matches_nothing(scope: Scope) -> str:
    if scope.company is None:
        return f"no company with owner {scope.owner} is visible to the webhook; check --owner"
    owner = "" if scope.owner is None else f" with owner {scope.owner}"
    return f"no company {scope.company}{owner} is visible to the webhook, or it is one of your own; check --company"
