"""Looking at contacts: to read back what was written, and to find out what became of what an earlier run began."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from reconciler.core.check import ContactRow
from reconciler.errors import NotJsonError
from reconciler.portal.dialect import COMPANY, CONTACT_LIST, MODIFIED, OWNER
from reconciler.portal.questions import by_id, rows
from reconciler.portal.wire import identifier, moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from reconciler.portal.client import Client
    from reconciler.portal.wire import Answer, Command

log = structlog.get_logger("reconciler.portal")

#: How often a look that makes no sense is taken before the run is given up.
READINGS = 3


def look_at(client: Client, contacts: Collection[int]) -> dict[int, ContactRow]:
    """Read at most a page of contacts in a request of its own, again where the answer makes no sense.

    A contact that is not there is left out. Raises PortalError.
    """
    command = command_to_look(contacts)
    for _ in range(READINGS - 1):
        try:
            return looked(client.read([command])[0], contacts)
        except NotJsonError as doubt:
            log.warning("portal.look_again", error=str(doubt))
    return looked(client.read([command])[0], contacts)


def command_to_look(contacts: Iterable[int]) -> Command:
    """Ask for owner, company and date of change of at most a page of contacts."""
    return by_id(CONTACT_LIST, sorted(set(contacts)), [COMPANY, OWNER, MODIFIED])


def looked(answer: Answer, contacts: Collection[int]) -> dict[int, ContactRow]:
    """Turn the answer to `command_to_look` into rows. Raises NotJsonError where they are foreign or missing."""
    try:
        return {
            number: ContactRow(
                company=identifier(row[COMPANY]), owner=identifier(row[OWNER]), modified=moment(row[MODIFIED])
            )
            for number, row in rows(answer, list(contacts))
        }
    except (ValueError, TypeError, AttributeError, KeyError) as doubt:
        raise NotJsonError(f"a check came back in an unknown shape ({doubt})") from doubt
