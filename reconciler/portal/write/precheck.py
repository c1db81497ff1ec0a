"""Look, then write: for a portal that does not fill in what one command of a batch takes from another.

Contacts, companies and new owners are read in one request, and written in the next. A person's edit in between can be
written over, so that time is kept short, and counted in full: from the departure of the look's request to the departure
of the write's bytes, when the connection stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.check import Precondition, rests_on
from reconciler.core.model import Change, Rule
from reconciler.errors import NotJsonError, PortalError, RateLimitedError, TooLateError
from reconciler.portal.entities import COMPANY_LIST, CONTACT_UPDATE, ID, OWNER, USER_LIST
from reconciler.portal.rest.batch_codec import Answer, Command, identifier
from reconciler.portal.rest.questions import by_id, rows
from reconciler.portal.write.conditional import Finding
from reconciler.portal.write.looks import command_to_look, looked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.core.check import ContactRow
    from reconciler.portal.rest.client import Client

#: A look is worth nothing when its write leaves later than so many seconds after it left itself.
LOOK_SECONDS = 2.0
#: How many looks in a row may come too late for their write before it is given up.
LOOKS = 10


def look_then_write(
    client: Client, clock: Clock, chunk: Sequence[Change]
) -> tuple[list[Finding], Answer | PortalError]:
    """Look at a chunk and write what is as planned; return what is found of each change, and the read-back.

    Raises what `Client.send` raises, and RateLimitedError where no write can follow its look soon enough.
    """
    for _ in range(LOOKS):
        clock.sleep(client.throttle.delay(2))
        contacts, preconditions = _look(client, chunk)
        looked_at = client.sent_at
        due = [change for change in chunk if preconditions[change] is Precondition.MET]
        try:
            batch = client.send(
                [*map(_update, due), command_to_look(c.contact for c in chunk)], looked_at + LOOK_SECONDS
            )
        except TooLateError:
            continue
        answers = dict(zip(due, batch.answers, strict=False))
        gap = client.sent_at - looked_at
        findings = [
            Finding(
                change=change,
                precondition=preconditions[change],
                answer=answers.get(change, Answer(result=None)),
                modified=contacts[change.contact].modified if change in answers else None,
                gap=gap if change in answers else None,
            )
            for change in chunk
        ]
        return findings, batch.answers[-1]
    raise RateLimitedError(f"the portal takes so long that no write can follow its look within {LOOK_SECONDS:.0f} s")


def _look(client: Client, chunk: Sequence[Change]) -> tuple[Mapping[int, ContactRow], dict[Change, Precondition]]:
    contacts = sorted({change.contact for change in chunk})
    companies = sorted({change.company for change in chunk})
    people = sorted({change.after for change in chunk})
    answers = client.read_together(
        [
            command_to_look(contacts),
            by_id(COMPANY_LIST, companies, [OWNER]),
            Command(USER_LIST, {"FILTER": {f"@{ID}": people, "ACTIVE": 1}, "start": 0}),
        ]
    )
    try:
        seen = looked(answers[0], contacts)
        owners = {number: identifier(row[OWNER]) for number, row in rows(answers[1], companies)}
        active = {number for number, _ in rows(answers[2], people)}
    except (ValueError, TypeError, AttributeError, KeyError) as doubt:
        raise NotJsonError(f"a look came back in an unknown shape ({doubt})") from doubt
    return seen, {change: _precondition(change, seen, owners, active) for change in chunk}


def _precondition(
    change: Change, contacts: Mapping[int, ContactRow], owners: Mapping[int, int], active: set[int]
) -> Precondition:
    contact = contacts.get(change.contact)
    if contact is None or (contact.company, contact.owner) != (change.company, change.before):
        return Precondition.CONTACT
    if change.rule is not Rule.UNDO and owners.get(change.company) != rests_on(change):
        return Precondition.COMPANY
    return Precondition.MET if change.after in active else Precondition.OWNER


def _update(change: Change) -> Command:
    """Write the owner and nothing else, as in a conditional update."""
    return Command(
        CONTACT_UPDATE,
        {"id": change.contact, "fields": {OWNER: change.after}, "params": {"REGISTER_SONET_EVENT": "N"}},
    )
