"""What contacts and companies are called, for lists whose numbers come from the journal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from reconciler.core.model import Names
from reconciler.portal.entities import COMPANY_LIST, CONTACT_LIST
from reconciler.portal.read.people import full_name
from reconciler.portal.rest.batch_codec import label
from reconciler.portal.rest.question import Question
from reconciler.portal.rest.questions import ask, by_id, give_up, groups, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client


def read_names(client: Client, contacts: Iterable[int], companies: Iterable[int]) -> Names:
    """Return the names of those that the portal shows. Raises PortalError, IncompleteReadError."""
    people: dict[int, str] = {}
    firms: dict[int, str] = {}

    def keep_contacts(asked: Sequence[int], answer: Answer) -> None:
        people.update({number: full_name(row) for number, row in rows(answer, asked)})

    def keep_companies(asked: Sequence[int], answer: Answer) -> None:
        firms.update({number: label(row.get("TITLE") or "") for number, row in rows(answer, asked)})

    ask(
        client,
        [
            *(
                Question(
                    by_id(CONTACT_LIST, group, ["NAME", "LAST_NAME"]), partial(keep_contacts, group), "names", give_up
                )
                for group in groups(contacts)
            ),
            *(
                Question(by_id(COMPANY_LIST, group, ["TITLE"]), partial(keep_companies, group), "names", give_up)
                for group in groups(companies)
            ),
        ],
    )
    return Names(contacts=people, companies=firms)
