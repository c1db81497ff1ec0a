"""Comparing contacts with the roster: the portal does it, or we do (`core.roster` has both in a table)."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from reconciler.core.model import Mismatch
from reconciler.portal.entities import COMPANY, CONTACT_LIST, ID, OWNER
from reconciler.portal.read.details import read_contacts
from reconciler.portal.read.drift import DriftQuery
from reconciler.portal.read.windows import Listing, Queue, WindowReader
from reconciler.portal.rest.batch_codec import Command, Value, readable_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.core.companies import Group, Halfway
    from reconciler.core.model import ContactDetail
    from reconciler.portal.read.checkpoint import Slot
    from reconciler.portal.read.companies import Survey
    from reconciler.portal.read.drift import Drifted
    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client

#: A contact, its company, its owner.
Linked = tuple[int, int, int]
#: Companies in one command that counts; PHP takes a thousand variables (F14), and a wrong count would do no harm.
_COUNTED = 900


class Comparison:
    """What drifted, as far as contacts are compared.

    A contact that was seen twice, because its company changed meanwhile, counts as it was seen last.
    """

    def __init__(
        self, client: Client, field: str, progress: Callable[[str, int, int], None], halfway: Halfway | None = None
    ) -> None:
        """`field` is the yes/no field of contacts, or empty; `halfway` a comparison to go on with."""
        self._client = client
        self._field = field
        self._progress = progress
        self._earlier = [mismatch.contact for mismatch in halfway.found] if halfway else []
        self._found: dict[int, Mismatch] = {}
        self._early: Queue[Drifted] = Queue(client)
        self._first: list[DriftQuery] = []
        self._seconds = 0.0
        self._commands = 0
        #: Of the drifted contacts, as far as the comparison has come by it.
        self.details: dict[int, ContactDetail] = {}
        #: Contacts of companies outside the roster, where all were read.
        self.outside = halfway.outside if halfway else 0

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        return tuple(self._found.values())

    @property
    def seconds(self) -> float | None:
        """Seconds that a command took the portal; None: there was none, or it did not say."""
        return self._seconds / self._commands if self._commands and self._seconds else None

    def review(self, owners: Mapping[int, int]) -> None:
        """Forget what was compared with an owner that the company does not have any more.

        What an earlier run has found is looked at again: since then a person may have set it right, or that run did.
        """
        for mismatch in self.mismatches:
            if owners.get(mismatch.company) != mismatch.company_owner:
                del self._found[mismatch.contact]

        for contact, (company, owner, detail) in read_contacts(self._client, self._earlier, self._field).items():
            wanted = owners.get(company)
            if wanted is not None and wanted != owner:
                mismatch = Mismatch(contact=contact, company=company, owner=owner, company_owner=wanted)
                self._add([(mismatch, detail)])

    def along(self, todo: Sequence[Group]) -> list[Command]:
        """Return drift queries that travel with other commands; `take` wants their answers."""
        self._first = [DriftQuery(group, self._field) for group in todo]
        return [query.command() for query in self._first]

    def take(self, answers: Sequence[Answer]) -> None:
        """Take in the answers to `along`, and read on where a page did not suffice."""
        self._add(self._early.absorb(self._first, answers))
        for rows in self._early.rounds():
            self._add(rows)
        self._account(self._early)

    def drift(
        self, todo: Sequence[Group], slot: Slot | None = None, kept: Callable[[tuple[int, int]], Halfway] | None = None
    ) -> None:
        """Let the portal compare the contacts of these groups. `kept` tells what to keep at a position."""
        queue: Queue[Drifted] = Queue(self._client, (DriftQuery(group, self._field) for group in todo))
        covered = [0, *accumulate(len(group.companies) for group in todo)]
        for rows in queue.rounds():
            self._add(rows)
            self._progress("contacts by company", covered[queue.taken], covered[-1])
            if slot is not None and kept is not None and slot.due and queue.taken < len(todo):
                for rest in queue.finish():
                    self._add(rest)
                slot.keep(kept(todo[queue.taken].first), 0.5 + queue.taken / len(todo) / 2)
        self._account(queue)

    def pages(
        self,
        owners: Mapping[int, int],
        seen: Survey,
        after: int,
        slot: Slot | None,
        kept: Callable[[tuple[int, int]], Halfway],
    ) -> None:
        """Read all linked contacts above an ID, and compare them here."""
        highest = seen.highest_contact
        reader = WindowReader(self._client, _linked_contacts(), highest=highest, after=after, rows=seen.contacts)
        for rows in reader.batches():
            self._compare(rows, owners)
            self._progress("contacts", reader.position, highest)
            if slot is not None and slot.due and not reader.finished:
                for rest in reader.queue.finish():
                    self._compare(rest, owners)
                slot.keep(kept((0, reader.position)), 0.5 + reader.position / highest / 2)
        self._account(reader.queue)

    def _add(self, rows: Iterable[Drifted]) -> None:
        for mismatch, detail in rows:
            self._found[mismatch.contact] = mismatch
            self.details[mismatch.contact] = detail

    def _compare(self, rows: Iterable[Linked], owners: Mapping[int, int]) -> None:
        for contact, company, owner in rows:
            wanted = owners.get(company)
            if wanted is None:
                self.outside += 1
            elif wanted != owner:
                self._found[contact] = Mismatch(contact=contact, company=company, owner=owner, company_owner=wanted)

    def _account(self, queue: Queue[Any]) -> None:
        self._seconds += queue.seconds
        self._commands += queue.commands


def count_contacts(client: Client, companies: Iterable[int]) -> int:
    """Return how many contacts these companies have. Raises the first error of the portal.

    Only the counts are wanted, so the rows may come in any order: sorting would make the portal look at all of them
    once more.
    """
    ordered = sorted(companies)
    groups = [ordered[start : start + _COUNTED] for start in range(0, len(ordered), _COUNTED)]
    answers = client.read(
        [Command(CONTACT_LIST, {"filter": {f"@{COMPANY}": group}, "select": [ID], "start": 0}) for group in groups]
    )
    return sum(answer.total or 0 for answer in answers)


def _linked_contacts() -> Listing[Linked]:
    """List every contact that has a company."""
    condition: dict[str, Value] = {f"!{COMPANY}": 0}

    def parse(number: int, row: Mapping[str, Any]) -> Linked:
        company = readable_identifier(row[COMPANY])
        if company == 0:
            raise ValueError(f"contact {number} does not match the filter that was sent")
        # A company that cannot be read is in no roster: the contact counts among those that are not compared.
        return number, -1 if company is None else company, readable_identifier(row[OWNER]) or 0

    return Listing(method=CONTACT_LIST, select=[ID, COMPANY, OWNER], filter=condition, parse=parse, noun="contacts")
