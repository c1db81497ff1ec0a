"""What tells a portal from another one at the same address: the days on which its first users were registered.

No portal changes them, and it keeps people who have left; each of the user scopes shows them. Copies of one portal have
them in common and cannot be told apart.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from reconciler.portal.entities import ID
from reconciler.portal.read.people import command_for
from reconciler.portal.rest.batch_codec import identifier

if TYPE_CHECKING:
    from reconciler.portal.rest.batch_codec import Answer

#: Several, because bots and integrators are not shown, and two portals may be of the same day.
QUESTION = command_for([*range(1, 11)])
#: Characters of a date; what follows depends on the time zone of the portal's server.
_DATE = len("2026-01-31")


def registered(answer: Answer) -> dict[int, date]:
    """Return user -> day of registration, by the portal's own calendar; without those that cannot be read."""
    found: dict[int, date] = {}
    for row in answer.result if isinstance(answer.result, list) else ():
        try:
            found[identifier(row[ID])] = date.fromisoformat(row["DATE_REGISTER"][:_DATE])
        except (ValueError, TypeError, KeyError):
            continue
    return found
