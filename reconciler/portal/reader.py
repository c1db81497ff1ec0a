"""One sweep: the companies first, then the contacts, compared page by page; complete, or an error (DESIGN 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Mismatch, Names, Snapshot, User
from reconciler.errors import IncompleteReadError, MissingScopeError, NotJsonError, UsageError
from reconciler.portal.dialect import (
    BATCH_COMMANDS,
    COMPANY,
    COMPANY_LIST,
    CONTACT_LIST,
    ID,
    OWN_COMPANY,
    OWNER,
    PAGE,
    SERVER_TIME,
    USER_LIST,
)
from reconciler.portal.windows import Listing, WindowReader
from reconciler.portal.wire import Answer, Command, Value, identifier, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from reconciler.portal.client import Client


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

    def sweep(self, scope: Scope) -> Snapshot:
        """Look at the whole of a scope.

        Raises `IncompleteReadError` where anything may be missing, and `UsageError` for a scope that matches nothing.
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
        return Snapshot(
            taken_at=taken_at,
            roster=roster,
            contacts=contacts,
            mismatches=tuple(mismatches),
            outside_roster=outside,
            users=self._owners({owner for m in mismatches for owner in (m.owner, m.company_owner)} - {0}),
            windows=self._windows,
        )

    def names(self, mismatches: Sequence[Mismatch], users: Mapping[int, User] | None) -> Names:
        """Ask what the drifted contacts and their companies are called; the owners are known from the sweep."""
        contacts: dict[int, str] = {}
        companies: dict[int, str] = {}
        questions = [
            (called, _by_id(method, group, fields))
            for called, method, fields, ids in (
                (contacts, CONTACT_LIST, ["NAME", "LAST_NAME"], {mismatch.contact for mismatch in mismatches}),
                (companies, COMPANY_LIST, ["TITLE"], {mismatch.company for mismatch in mismatches}),
            )
            for group in _groups(ids)
        ]
        # A batch at a time: decoded rows take ten times the room of the names in them.
        for start in range(0, len(questions), BATCH_COMMANDS):
            batch = questions[start : start + BATCH_COMMANDS]
            answers = self._client.read([command for _, command in batch])
            try:
                for (called, _), answer in zip(batch, answers, strict=True):
                    called.update((identifier(row.get(ID)), _full_name(row)) for row in answer.result)
            except (ValueError, TypeError, AttributeError) as doubt:
                raise NotJsonError("the names came back in an unknown shape") from doubt
        people = {user.id: user.name for user in (users or {}).values()}
        return Names(contacts=contacts, companies=companies, users=people)

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

    def _owners(self, ids: set[int]) -> dict[int, User] | None:
        """Ask who the wanted owners are; None where the webhook may not ask."""
        try:
            return self._users(ids)
        except MissingScopeError:
            return None

    def _users(self, ids: set[int]) -> dict[int, User]:
        """Return the people among `ids`; bots, integrators and e-mail users are never returned (F9)."""
        commands = [Command(USER_LIST, {"FILTER": {f"@{ID}": group}, "start": 0}) for group in _groups(ids)]
        try:
            users = [_user(row, ids) for answer in self._client.read(commands) for row in _whole(answer)]
        except (ValueError, TypeError, AttributeError) as doubt:
            raise IncompleteReadError(f"the users could not be read ({doubt}), so nothing was written") from doubt
        return {user.id: user for user in users}


def _by_id(method: str, group: list[int], fields: Sequence[str]) -> Command:
    select = [ID, *fields]
    return Command(method, {"order": {ID: "ASC"}, "filter": {f"@{ID}": group}, "select": select, "start": -1})


def _first_id(answer: Answer) -> int:
    return identifier(answer.result[0][ID]) if answer.result else 0


def _groups(ids: Iterable[int]) -> list[list[int]]:
    ordered = sorted(ids)
    return [ordered[start : start + PAGE] for start in range(0, len(ordered), PAGE)]


def _whole(answer: Answer) -> list[Any]:
    """Return the rows of a page that must hold them all; an empty answer of `user.get` has no total (F9)."""
    rows: list[Any] = answer.result
    if not isinstance(rows, list) or len(rows) != (answer.total or 0):
        raise ValueError("a page of users came short")
    return rows


def _user(row: Mapping[str, Any], asked: set[int]) -> User:
    number = identifier(row.get(ID))
    active = row.get("ACTIVE")
    if number not in asked or not isinstance(active, bool):
        raise ValueError(f"user {number} does not match what was asked")
    name = _full_name(row) or f"user {number}"
    return User(id=number, name=name, active=active, employee=bool(row.get("UF_DEPARTMENT")))


def _full_name(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[field]) for field in ("NAME", "LAST_NAME", "TITLE") if row.get(field))


def _matches_nothing(scope: Scope) -> str:
    if scope.company is None:
        return f"no company with owner {scope.owner} is visible to the webhook; check --owner"
    owner = "" if scope.owner is None else f" with owner {scope.owner}"
    return f"no company {scope.company}{owner} is visible to the webhook, or it is one of your own; check --company"
