"""What policies and reports need to know besides the owners: read in bulk, and for drifted contacts alone.

All questions of a sweep ride together, fifty IDs in a command and fifty commands in a request:

what                      method                        proof that nothing is missing
========================  ============================  ======================================================
contacts and companies    `crm.*.list`, `@ID`           the portal's count; a record that is gone is absent
  a field that is none                                  the record is left alone, with that as the reason
all links of a contact    `crm.item.list`, `@id`        the company that the sweep saw is among them; else the
                                                        contact is asked for alone, by its binding method
owners and successor      `user.get`, `@ID`             the portal's count
departments               `department.get`, page 1 - 4  the portal's count, also of further pages if there are any

Only the heads of departments need a request of their own, since who they are is known no sooner. The count of
`crm.item.list` proves nothing: newer portals take it from a cache (F2).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from reconciler.core.model import CompanyDetail, ContactDetail
from reconciler.core.policy import fit
from reconciler.errors import IncompleteReadError, NotFoundError, PortalError, RefusedError, UsageError
from reconciler.portal.entities import (
    COMPANY,
    COMPANY_LIST,
    CONTACT_ITEMS,
    CONTACT_LINKS,
    CONTACT_LIST,
    CREATED,
    EDITOR,
    ITEM_LIST,
    MODIFIED,
    OWN_COMPANY,
    OWNER,
)
from reconciler.portal.read.people import People, Structure, full_name
from reconciler.portal.rest.batch_codec import Command, identifier, label, readable_identifier, readable_moment
from reconciler.portal.rest.question import Question
from reconciler.portal.rest.questions import ask, by_id, give_up, groups, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.core.model import Department, Mismatch, User
    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client

log = structlog.get_logger("reconciler.portal")

#: What is asked of a contact and of a company.
CONTACT_FIELDS = (OWNER, "NAME", "LAST_NAME", CREATED, MODIFIED, EDITOR, "TYPE_ID")
COMPANY_FIELDS = (OWNER, "TITLE", "COMPANY_TYPE")
#: Pages of departments asked for at once: enough for 200, and cheaper than another request.
DEPARTMENT_PAGES = 4
#: A record without a date is older than everything.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_YES, _NO = frozenset({"Y", "1", "TRUE"}), frozenset({"N", "0", "FALSE", "", "NONE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailOptions:
    """What the policies in force ask for besides names, dates and owners."""

    #: A yes/no field of contacts, and one of companies (`UF_CRM_...`); empty for none.
    contact_field: str = ""
    company_field: str = ""
    #: All companies of each contact (`multi_company = "report"`).
    links: bool = False
    #: Departments and their heads (`dismissed_owner = "head"`).
    heads: bool = False
    #: Who gets the contacts of a dismissed owner's companies; 0 for nobody.
    successor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The parts of a snapshot that are read for drifted contacts only; see `Snapshot` for each."""

    contacts: Mapping[int, ContactDetail] = field(default_factory=dict)
    companies: Mapping[int, CompanyDetail] = field(default_factory=dict)
    users: Mapping[int, User] | None = None
    departments: Mapping[int, Department] = field(default_factory=dict)


def read_details(
    client: Client, mismatches: Sequence[Mismatch], wants: DetailOptions, known: Details | None = None
) -> Details:
    """Ask for all there is to know of drifted contacts, their companies, and the people concerned.

    `known` is what the sweep has come by already. Raises IncompleteReadError for answers that are not whole,
    MissingScopeError where departments may not be read, and UsageError for a yes/no field that the portal does not
    have.
    """
    inquiry = _Inquiry(client, mismatches, wants, known or Details())
    inquiry.ask()
    inquiry.ask_for_links_alone()
    inquiry.ask_for_heads()
    return inquiry.details()


def read_owners(client: Client, companies: Iterable[int]) -> dict[int, int]:
    """Return company -> owner for those that are neither gone nor one of our own. Raises IncompleteReadError."""
    owners: dict[int, int] = {}

    def keep(asked: Sequence[int], answer: Answer) -> None:
        owners.update({number: readable_identifier(row[OWNER]) or 0 for number, row in rows(answer, asked)})

    condition = {f"={OWN_COMPANY}": "N"}
    ask(
        client,
        [
            Question(by_id(COMPANY_LIST, group, [OWNER], **condition), partial(keep, group), "companies", give_up)
            for group in groups(companies)
        ],
    )
    return owners


def read_contacts(client: Client, contacts: Iterable[int], field: str) -> dict[int, tuple[int, int, ContactDetail]]:
    """Return contact -> company, owner and what else is known, for those that are there. Raises IncompleteReadError."""
    found: dict[int, tuple[int, int, ContactDetail]] = {}

    def keep(asked: Sequence[int], answer: Answer) -> None:
        for number, row in rows(answer, asked):
            company, owner = (readable_identifier(row.get(name)) or 0 for name in (COMPANY, OWNER))
            found[number] = company, owner, contact_detail(row, field)

    select = [COMPANY, *contact_fields(field)]
    ask(
        client,
        [
            Question(by_id(CONTACT_LIST, group, select), partial(keep, group), "contacts", give_up)
            for group in groups(contacts)
        ],
    )
    return found


def contact_fields(field: str) -> list[str]:
    """Return what to ask of a contact, its yes/no field included if there is one."""
    return [*CONTACT_FIELDS, *([field] if field else [])]


def contact_detail(row: Mapping[str, Any], field: str) -> ContactDetail:
    """Read the CONTACT_FIELDS of a row, and its yes/no field if there is one. Raises UsageError where it is none.

    What cannot be read is said in `doubt`, and stops no other contact.
    """
    doubts = [f"{name} is no number" for name in (OWNER, EDITOR) if readable_identifier(row.get(name)) is None]
    times = {name: _time(row[name]) for name in (CREATED, MODIFIED)}
    doubts += [f"{name} is no date" for name, time in times.items() if time is None]
    doubts += _no_text(row, "TYPE_ID")
    return ContactDetail(
        name=full_name(row),
        created=times[CREATED] or _LONG_AGO,
        modified=times[MODIFIED] or _LONG_AGO,
        modified_by=readable_identifier(row.get(EDITOR)) or 0,
        type=label(row.get("TYPE_ID") or ""),
        flagged=_is_set(row, field, "policy.leave_contact_field"),
        doubt=", ".join(doubts),
    )


def company_detail(row: Mapping[str, Any], field: str) -> CompanyDetail:
    """Do the same with the COMPANY_FIELDS."""
    doubts = [f"{name} is no number" for name in (OWNER,) if readable_identifier(row.get(name)) is None]
    doubts += _no_text(row, "COMPANY_TYPE")
    return CompanyDetail(
        name=label(row.get("TITLE") or ""),
        type=label(row.get("COMPANY_TYPE") or ""),
        flagged=_is_set(row, field, "policy.leave_company_field"),
        doubt=", ".join(doubts),
    )


class _Inquiry:
    """Gathers the answers."""

    def __init__(self, client: Client, mismatches: Sequence[Mismatch], wants: DetailOptions, known: Details) -> None:
        self._client = client
        self._wants = wants
        self._company_of = {mismatch.contact: mismatch.company for mismatch in mismatches}
        self._company_owners = {mismatch.company_owner for mismatch in mismatches}
        self._owners = self._company_owners | {mismatch.owner for mismatch in mismatches}
        companies = set(self._company_of.values())
        self._contacts = {number: known.contacts[number] for number in self._company_of.keys() & known.contacts.keys()}
        self._companies = {number: known.companies[number] for number in companies & known.companies.keys()}
        self._links: dict[int, tuple[int, ...]] = {}
        self._no_bulk_links: PortalError | None = None
        self._people = People()
        self._structure = Structure()

    def ask(self) -> None:
        """Ask for everything that can be asked at once."""
        if self._company_of:
            questions = [*self._records(), *self._people.questions((self._owners | {self._wants.successor}) - {0})]
            if self._wants.heads:
                questions += self._structure.questions(0, DEPARTMENT_PAGES)
            ask(self._client, questions)

    def ask_for_links_alone(self) -> None:
        """Ask for the links of each contact for which the bulk answer was refused, or cannot be right."""
        if not self._wants.links:
            return
        doubted = [n for n in self._contacts if self._company_of[n] not in self._links.get(n, ())]
        if doubted:
            log.info("portal.links_one_by_one", contacts=len(doubted), error=str(self._no_bulk_links or "") or None)
        ask(
            self._client,
            [
                Question(
                    Command(CONTACT_LINKS, {"id": number}),
                    partial(self._keep_links, number),
                    "companies of a contact",
                    _links_refused,
                )
                for number in doubted
            ],
        )

    def ask_for_heads(self) -> None:
        """Ask who leads the departments of company owners that may own no records, and those above."""
        users = self._people.users or {}
        unfit = [users[number] for number in self._company_owners & users.keys() if not fit(users[number])]
        departments = {department for user in unfit for department in user.departments}
        if not (self._wants.heads and departments):
            self._structure.forget()
            return
        ask(self._client, self._structure.questions(DEPARTMENT_PAGES, self._structure.pages))
        heads = self._structure.heads_above(departments) - users.keys()
        ask(self._client, self._people.questions(heads))

    def details(self) -> Details:
        linked = {
            number: replace(detail, companies=self._links[number]) if number in self._links else detail
            for number, detail in self._contacts.items()
        }
        return Details(
            contacts=linked,
            companies=self._companies,
            users=self._people.users,
            departments=self._structure.departments(),
        )

    def _records(self) -> Iterator[Question]:
        for group in groups(self._company_of.keys() - self._contacts.keys()):
            command = by_id(CONTACT_LIST, group, contact_fields(self._wants.contact_field))
            yield Question(command, partial(self._keep_contacts, group), "contacts", give_up)
        if self._wants.links:
            for group in groups(self._company_of):
                command = Command(
                    ITEM_LIST,
                    {
                        "entityTypeId": CONTACT_ITEMS,
                        "select": ["id", "companyIds"],
                        "filter": {"@id": group},
                        "order": {"id": "ASC"},
                        "start": -1,
                    },
                )
                yield Question(command, partial(self._keep_items, group), "links", self._make_do)
        company_fields = [*COMPANY_FIELDS, *([self._wants.company_field] if self._wants.company_field else [])]
        for group in groups(set(self._company_of.values()) - self._companies.keys()):
            command = by_id(COMPANY_LIST, group, company_fields)
            yield Question(command, partial(self._keep_companies, group), "companies", give_up)

    def _keep_contacts(self, asked: Sequence[int], answer: Answer) -> None:
        field = self._wants.contact_field
        self._contacts.update({number: contact_detail(row, field) for number, row in rows(answer, asked)})

    def _keep_companies(self, asked: Sequence[int], answer: Answer) -> None:
        field = self._wants.company_field
        self._companies.update({number: company_detail(row, field) for number, row in rows(answer, asked)})

    def _keep_items(self, asked: Sequence[int], answer: Answer) -> None:
        """Keep the links of as many contacts as a bulk answer tells; the others are asked for alone."""
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            for item in answer.result["items"]:
                number, companies = identifier(item["id"]), item["companyIds"]
                if number in asked and isinstance(companies, list):
                    self._links[number] = _numbers(companies)

    def _make_do(self, error: PortalError) -> None:
        """Go on without: each contact is asked for alone, and what ails the portal shows there."""
        self._no_bulk_links = error

    def _keep_links(self, number: int, answer: Answer) -> None:
        if not isinstance(answer.result, list):
            raise TypeError("links without rows")
        self._links[number] = _numbers([row.get(COMPANY) for row in answer.result])


def _links_refused(error: PortalError) -> None:
    """Pass over a contact that is gone; anything else could hide a second company."""
    if not isinstance(error, RefusedError):
        raise error
    if not isinstance(error, NotFoundError):
        raise IncompleteReadError(
            f"the companies of a contact could not be read ({error}), so nothing was written; "
            'policy.multi_company = "primary" does without them'
        ) from error


def _numbers(values: list[Any]) -> tuple[int, ...]:
    return tuple(sorted(set(map(identifier, values)) - {0}))


def _no_text(row: Mapping[str, Any], name: str) -> list[str]:
    return [f"{name} is no text"] if isinstance(row.get(name), list | dict) else []


def _time(value: Any) -> datetime | None:
    time = readable_moment(value) if value else _LONG_AGO
    return time and time.astimezone(UTC)


def _is_set(row: Mapping[str, Any], field: str, setting: str) -> bool:
    """Read a yes/no field. Raises UsageError where there is none: the portal drops unknown names silently (F2)."""
    if not field:
        return False
    if field not in row:
        raise UsageError(f"the portal has no field {field}; check {setting}")
    value = row[field]
    word = "a list" if isinstance(value, list | dict) else str(value).upper()
    if word not in _YES | _NO:
        raise UsageError(f"{field} is no yes/no field; check {setting}")
    return word in _YES
