"""Looking at the contacts and companies of a chunk: before its write, and after it (DESIGN 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from reconciler.core.check import ContactRow
from reconciler.core.policy import fit
from reconciler.errors import NotJsonError
from reconciler.portal.dialect import COMPANY, COMPANY_LIST, CONTACT_LIST, ID, OWNER
from reconciler.portal.people import command_for, users_in
from reconciler.portal.wire import Answer, Command, identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.core.model import Change
    from reconciler.portal.client import Client

log = structlog.get_logger("reconciler.portal")

#: How often a look that makes no sense is taken before the run is given up.
READINGS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What contacts and companies looked like, and when the answer came (monotonic seconds)."""

    contacts: Mapping[int, ContactRow]
    #: Company -> owner; empty where companies were not asked for.
    owners: Mapping[int, int]
    #: Of the changes' new owners those who are active employees; empty where companies were not asked for.
    fit: frozenset[int]
    at: float


def look_at(client: Client, clock: Clock, chunk: Sequence[Change], *, companies: bool) -> Look:
    """Look in a request of its own, again where the answer makes no sense. Raises PortalError."""
    commands = commands_to_look(chunk, companies=companies)
    for _ in range(READINGS - 1):
        try:
            return looked(client.read_together(commands), chunk, clock.monotonic())
        except NotJsonError as doubt:
            log.warning("portal.look_again", error=str(doubt))
    return looked(client.read_together(commands), chunk, clock.monotonic())


def commands_to_look(chunk: Sequence[Change], *, companies: bool) -> list[Command]:
    """Ask for the contacts of a chunk and, where wanted, for its companies and the new owners.

    At most 25 of each, so one page.
    """
    contacts = _by_id(CONTACT_LIST, {change.contact for change in chunk}, [ID, COMPANY, OWNER])
    if not companies:
        return [contacts]
    owners = _by_id(COMPANY_LIST, {change.company for change in chunk}, [ID, OWNER])
    return [contacts, owners, command_for(_new_owners(chunk))]


def looked(answers: Sequence[Answer], chunk: Sequence[Change], at: float) -> Look:
    """Turn the answers to `commands_to_look` into a look. Raises NotJsonError where rows are foreign or missing."""
    try:
        contacts = {
            number: ContactRow(company=identifier(row[COMPANY]), owner=identifier(row[OWNER]))
            for number, row in _rows(answers[0], {change.contact for change in chunk})
        }
        owners = {
            number: identifier(row[OWNER])
            for answer in answers[1:2]
            for number, row in _rows(answer, {change.company for change in chunk})
        }
        people = [user for answer in answers[2:] for user in users_in(answer, _new_owners(chunk)).values()]
    except (ValueError, TypeError, AttributeError, KeyError) as doubt:
        raise NotJsonError(f"a check came back in an unknown shape ({doubt})") from doubt
    return Look(contacts=contacts, owners=owners, fit=frozenset(user.id for user in people if fit(user)), at=at)


def _new_owners(chunk: Sequence[Change]) -> list[int]:
    return sorted({change.after for change in chunk})


def _by_id(method: str, ids: set[int], select: list[str]) -> Command:
    # `start=0`: the portal's count proves that no row is missing.
    return Command(method, {"order": {ID: "ASC"}, "filter": {f"@{ID}": sorted(ids)}, "select": select, "start": 0})


def _rows(answer: Answer, asked: set[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a look by ID. Raises ValueError for a foreign row, or a page shorter than the count."""
    if not isinstance(answer.result, list) or len(answer.result) != (answer.total or 0):
        raise ValueError("a page came short")
    last = 0
    for row in answer.result:
        number = identifier(row.get(ID))
        if number not in asked or number <= last:
            raise ValueError(f"ID {number} was not asked for, or came out of place")
        yield number, row
        last = number
