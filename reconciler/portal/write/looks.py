"""Looking at contacts: to read back what was written, to find out what became of what an earlier run began, to undo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from reconciler.core.check import ContactRow
from reconciler.errors import NotJsonError
from reconciler.portal.entities import COMPANY, CONTACT_LIST, MODIFIED, OWNER
from reconciler.portal.rest.batch_codec import identifier, readable_moment
from reconciler.portal.rest.question import Question
from reconciler.portal.rest.questions import ask, by_id, give_up, groups, rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from reconciler.portal.rest.batch_codec import Answer, Command
    from reconciler.portal.rest.client import Client

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


def look_at_all(client: Client, contacts: Iterable[int]) -> dict[int, ContactRow]:
    """Read any number of contacts, side by side; one that is not there is left out. Raises IncompleteReadError."""
    found: dict[int, ContactRow] = {}

    def keep(asked: Sequence[int], answer: Answer) -> None:
        found.update(_rows(asked, answer))

    ask(
        client,
        [Question(command_to_look(group), partial(keep, group), "contacts", give_up) for group in groups(contacts)],
    )
    return found


def command_to_look(contacts: Iterable[int]) -> Command:
    """Ask for owner, company and date of change of at most a page of contacts."""
    return by_id(CONTACT_LIST, sorted(set(contacts)), [COMPANY, OWNER, MODIFIED])


def looked(answer: Answer, contacts: Collection[int]) -> dict[int, ContactRow]:
    """Turn the answer to `command_to_look` into rows. Raises NotJsonError where they are foreign or missing."""
    try:
        return _rows(list(contacts), answer)
    except (ValueError, TypeError, AttributeError, KeyError) as doubt:
        raise NotJsonError(f"a check came back in an unknown shape ({doubt})") from doubt


def _rows(asked: Sequence[int], answer: Answer) -> dict[int, ContactRow]:
    return {
        number: ContactRow(
            company=identifier(row[COMPANY]), owner=identifier(row[OWNER]), modified=readable_moment(row.get(MODIFIED))
        )
        for number, row in rows(answer, asked)
    }
