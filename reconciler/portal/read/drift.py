"""The drift query: which contacts of a group of companies have another owner than their company.

The server adds `CATEGORY_ID IN (0)` to each list of contacts. Sorted by ID alone, the portal's database then leaves the
index of companies and walks over all contacts: 2,370 ms instead of 14 at a million (F14). Sorted by company, then ID,
it keeps that index. A full page is therefore continued by companies, and by IDs only within one company::

    rows of the page    1 1 1 4 4 9 9 9 │ ...          the portal counts more than these
    companies left                9 ─────────────────  12, 15, 20, ...
                                  │                    └─ asked for next
                                  └─ from its first contact on where that still fits into a page, else above the last ID
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reconciler.core.model import ContactDetail, Mismatch
from reconciler.portal.entities import COMPANY, CONTACT_LIST, ID, OWNER, PAGE
from reconciler.portal.read.details import contact_detail, contact_fields
from reconciler.portal.read.windows import DOUBTS, Listing, Page, Window, counted, one_more
from reconciler.portal.rest.batch_codec import Command, identifier, readable_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.companies import Group
    from reconciler.portal.rest.batch_codec import Answer, Value

#: A drifted contact, with all there is to know of it but its links.
Drifted = tuple[Mismatch, ContactDetail]

_ORDER = (COMPANY, ID)
#: Contacts that a further query is planned to return: fewer than a page, because companies differ in size.
_PLANNED = 44


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """The contacts of some companies of one owner that have another owner, or none: `!` includes those (F2)."""

    group: Group
    #: The yes/no field of contacts, or empty.
    field: str
    readings: int = 0

    def command(self) -> Command:
        """Return what to ask."""
        return Command(
            CONTACT_LIST,
            {
                "order": dict.fromkeys(_ORDER, "ASC"),
                "filter": self._filter(),
                "select": self._select(),
                "start": 0,
            },
        )

    def prove(self, answer: Answer) -> tuple[list[Drifted], list[Page[Drifted]]]:
        """Return the rows and what is left to read. Raises IncompleteReadError.

        A contact of the last company may be among the rows of a further page again.
        """
        try:
            rows = self._rows(answer)
        except DOUBTS as doubt:
            return [], [replace(self, readings=one_more(self.readings, "contacts", doubt))]
        left = (answer.total or 0) - len(rows)
        # A full page is not believed to be the last one: a count may stop at a page.
        return rows, self._rest([mismatch for mismatch, _ in rows], max(left, int(len(rows) == PAGE)))

    def above(self, contact: int) -> Window[Drifted]:
        """Return the same query of one company as a window of IDs."""
        listing = Listing(
            method=CONTACT_LIST,
            select=self._select(),
            filter=self._filter(),
            parse=self._parse,
            noun="contacts",
            order=_ORDER,
        )
        return Window(listing, after=contact)

    def _rows(self, answer: Answer) -> list[Drifted]:
        found: list[Drifted] = []
        last = (0, 0)
        for row in counted(answer):
            number = identifier(row.get(ID))
            mismatch, detail = self._parse(number, row)
            if number == 0 or (mismatch.company, number) <= last:
                raise ValueError(f"ID {number} came out of place")
            last = mismatch.company, number
            found.append((mismatch, detail))
        return found

    def _parse(self, number: int, row: Mapping[str, Any]) -> Drifted:
        company, owner = readable_identifier(row[COMPANY]), readable_identifier(row[OWNER])
        if company is None or company not in self.group.companies or owner == self.group.owner:
            raise ValueError(f"contact {number} does not match the filter that was sent")
        mismatch = Mismatch(contact=number, company=company, owner=owner or 0, company_owner=self.group.owner)
        return mismatch, contact_detail(row, self.field)

    def _rest(self, page: list[Mismatch], left: int) -> list[Page[Drifted]]:
        """Return what to ask after this page, where the portal counts so many more contacts."""
        if left <= 0:
            return []
        last = page[-1]
        companies = self.group.companies[self.group.companies.index(last.company) :]
        of_last = sum(mismatch.company == last.company for mismatch in page)
        if len(companies) == 1 or of_last == PAGE or of_last + left > PAGE >= left:
            return [self._of((last.company,)).above(last.contact), *self._pieces(companies[1:], left)]
        return self._pieces(companies, of_last + left)

    def _pieces(self, companies: tuple[int, ...], contacts: int) -> list[Page[Drifted]]:
        """Return queries of about as many companies each, to be asked side by side."""
        count = min(len(companies), 1 if contacts <= PAGE else math.ceil(contacts / _PLANNED))
        ends = [len(companies) * piece // count for piece in range(1, count + 1)]
        return [self._of(companies[start:end]) for start, end in pairwise([0, *ends])]

    def _of(self, companies: tuple[int, ...]) -> DriftQuery:
        return DriftQuery(self.group._replace(companies=companies), self.field)

    def _filter(self) -> dict[str, Value]:
        return {f"@{COMPANY}": list(self.group.companies), f"!{OWNER}": self.group.owner}

    def _select(self) -> list[str]:
        return [ID, COMPANY, *contact_fields(self.field)]
