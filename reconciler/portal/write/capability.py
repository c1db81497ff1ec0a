"""Finding out whether a portal carries out conditional updates, without writing anything.

The same batch is sent with `crm.contact.get` in the update's place. A portal that ignores the conditions of a list
would find another contact, and have it written: that is found out before anything is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import BlockedError, DeniedError, PortalError, RefusedError
from reconciler.portal.entities import COMPANY, COMPANY_LIST, CONTACT_GET, CONTACT_LIST, ID, OWNER
from reconciler.portal.rest.batch_codec import Answer, Command, Found, Value, identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.model import Change
    from reconciler.portal.rest.client import Client

#: A precondition that fails.
_NO_METHOD = "reconciler.no.such.method"
#: Position of the list that finds a contact, and of the one that takes its number from there.
_FINDS, _TAKES = 0, 1


def takes_conditions(client: Client, changes: Sequence[Change]) -> bool:
    """Tell whether the portal fills in what one command takes from another. Raises PortalError.

    Raises BlockedError for a portal that ignores a condition which the preconditions of these changes rely on.
    """
    contacts, change = sorted({change.contact for change in changes}), changes[0]
    found: dict[str, Value] = {f"@{ID}": contacts}
    commands = [
        _list(CONTACT_LIST, found),
        Command(CONTACT_GET, {"id": Found(_FINDS, (0, ID))}),
        _list(CONTACT_LIST, {ID: change.contact, f"!{ID}": change.contact}),
        _list(CONTACT_LIST, found | {OWNER: change.before, f"!{OWNER}": change.before}),
        _list(CONTACT_LIST, found | {COMPANY: change.company, f"!{COMPANY}": change.company}),
        _list(COMPANY_LIST, {f"@{ID}": [change.company], OWNER: change.after, f"!{OWNER}": change.after}),
    ]
    try:
        answers = client.read_together(commands)
    except DeniedError:
        raise
    except RefusedError:  # the number was not filled in, unless there is none: then the writes will be refused, too
        return not client.read(commands[:_TAKES])[0].result
    if any(answer.result for answer in answers[_TAKES + 1 :]):
        raise BlockedError("the portal ignores the conditions of a list, so nothing can be written safely")
    return number_of(answers[_TAKES]) == number_of(answers[_FINDS])


def try_conditions(client: Client) -> bool | None:
    """Tell whether the portal takes conditional updates, without a plan; None: there is no contact to try it on.

    With a precondition that is found, one that is empty and one that fails. Raises PortalError.
    """
    lists = [
        _list(CONTACT_LIST, {f">{ID}": 0}),
        _list(CONTACT_LIST, {f">{ID}": 0, f"<={ID}": 0}),
        Command(_NO_METHOD, {}),
    ]
    takes = [Command(CONTACT_GET, {"id": Found(position, (0, ID))}) for position in range(len(lists))]
    found, empty, _, *taken = client.send([*lists, *takes]).answers
    for answer in (found, empty):
        if isinstance(answer, PortalError):
            raise answer
    if not isinstance(found, Answer) or not number_of(found):
        return None
    of_found, *of_none = taken
    same = isinstance(of_found, Answer) and number_of(of_found) == number_of(found)
    return same and all(isinstance(answer, RefusedError) for answer in of_none)


def number_of(answer: Answer) -> int:
    """Return the number of the record, or of the first one of a list; 0 where there is none."""
    row = answer.result[0] if isinstance(answer.result, list) and answer.result else answer.result
    try:
        return identifier(row[ID])
    except (ValueError, TypeError, KeyError, IndexError):
        return 0


def _list(method: str, condition: dict[str, Value]) -> Command:
    return Command(method, {"order": {ID: "ASC"}, "filter": condition, "select": [ID], "start": -1})
