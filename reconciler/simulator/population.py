"""The rows of a seeded portal, generated one after the other while SQLite takes them in.

What must be remembered between two tables stays in arrays of numbers, so that a million contacts need no million
objects.
"""

from __future__ import annotations

from array import array
from random import Random
from typing import TYPE_CHECKING

from reconciler.simulator import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.simulator.seed import SeedSpec

#: The administrator to whom the webhook belongs.
ADMIN = 1
#: A category besides the standard one, invisible to the list methods (F2).
OTHER_CATEGORY = 1
_DAY = 86_400
#: How far back the oldest record was created.
_HISTORY = 5 * 365 * _DAY
#: Users were registered so long ago, in epoch seconds, and some days later by the seed: the day tells one portal from
#: another, so it is the same whenever a portal of the same seed starts.
_FOUNDED, _FOUNDING_DAYS = 1_388_534_400, 1000
_OWNERS_PER_DEPARTMENT = 8
#: How a drifted contact came to be, cumulative shares: the company was handed over, the contact was created by
#: somebody else, the contact was edited, and the rest was linked, which leaves no trace (F3).
_HANDED_OVER, _CREATED, _EDITED = 0.50, 0.75, 0.90


def departments_of(spec: SeedSpec) -> int:
    """Return how many departments the owners need, the whole company not counted."""
    return -(-spec.owners // _OWNERS_PER_DEPARTMENT)


def _chosen(random: Random, total: int, wanted: int) -> Iterator[bool]:
    """Yield True exactly `wanted` times among `total`, each place as likely as any other."""
    draw = random.random
    for left in range(total, 0, -1):
        taken = draw() * left < wanted
        wanted -= taken
        yield taken


class Population:
    """The rows of one portal; each method is gone through once, in the order of `seed`."""

    def __init__(self, spec: SeedSpec, now: int) -> None:
        self._spec = spec
        self._now = now
        self._random = Random(spec.seed)
        self._owners = range(ADMIN + 1, ADMIN + 1 + spec.owners)
        self._first_day = now - _HISTORY
        self._registered = min(self._first_day, _FOUNDED + spec.seed % _FOUNDING_DAYS * _DAY)
        ids = self._ids()
        self._own = [next(ids) for _ in range(spec.own_companies)]
        self._company_ids = array("q", (next(ids) for _ in range(spec.companies)))
        self._other = [next(ids) for _ in range(spec.other_categories)]
        #: Indices into the owners, and the latest change, of each standard company.
        self._company_owner = array("l", self._shares_of_owners())
        self._company_modified = array(
            "q", (self._dates(number, spec.companies)[1] for number in range(spec.companies))
        )
        self._second = array("q")

    def departments(self) -> Iterator[tuple[object, ...]]:
        """Yield the whole company and its departments, each headed by the first owner in it."""
        yield 1, "All", None, ADMIN
        for number in range(departments_of(self._spec)):
            name = f"{names.DEPARTMENT[number % len(names.DEPARTMENT)]} {number // len(names.DEPARTMENT) + 1}"
            yield number + 2, name, 1, ADMIN + 1 + number * _OWNERS_PER_DEPARTMENT

    def users(self) -> Iterator[tuple[object, ...]]:
        spec = self._spec
        yield ADMIN, 1, 1, "Alex", "Admin", "admin@example.com", "Administrator", "[1]", self._registered
        for number, identifier in enumerate(self._owners):
            first, last = self._pick(names.FIRST), self._pick(names.LAST)
            # The owners of most companies stay: a portal whose main people have all left is another story.
            active = number < spec.owners - spec.dismissed_owners
            department = f"[{number // _OWNERS_PER_DEPARTMENT + 2}]"
            email = f"user{identifier}@example.com"
            yield identifier, int(active), 0, first, last, email, "Account manager", department, self._registered

    def contacts(self) -> Iterator[tuple[object, ...]]:
        spec, draw, owners = self._spec, self._random.random, self._owners
        linked = _chosen(self._random, spec.contacts, spec.linked)
        drifted = _chosen(self._random, spec.linked, spec.drifted)
        several = _chosen(self._random, spec.linked, round(spec.linked * spec.several_companies))
        first_names, last_names, sources = names.FIRST, names.LAST, ("CALL", "WEB", "EMAIL", "TRADE_SHOW")
        company: int | None
        identifier = 0
        ids = self._ids()
        for number in range(spec.contacts):
            identifier = next(ids)
            created, modified = self._dates(number, spec.contacts)
            creator = owner = editor = owners[int(draw() * spec.owners)]
            company = None
            if next(linked):
                index = int(draw() * spec.companies)
                company = self._company_ids[index]
                owner = owners[self._company_owner[index]]
                if next(drifted):
                    owner, creator, editor, modified = self._drift(index, creator, created, modified)
                if next(several) and spec.companies > 1:
                    other = (index + 1 + int(draw() * (spec.companies - 1))) % spec.companies
                    self._second.extend((identifier, self._company_ids[other]))
            first, last = first_names[int(draw() * len(first_names))], last_names[int(draw() * len(last_names))]
            source = sources[number & 3]
            yield (
                *(identifier, first, last, company, owner, creator, editor, created, modified),
                *(0, "CLIENT", source, "Y", "Y"),
            )
        for _ in range(spec.other_categories):
            identifier = next(ids)
            company, owner = None, ADMIN
            if spec.companies:
                index = int(draw() * spec.companies)
                company, owner = self._company_ids[index], self._wrong_owner(index)
            first, last, now = self._pick(names.FIRST), self._pick(names.LAST), self._now
            yield (
                *(identifier, first, last, company, owner, owner, owner, now, now),
                *(OTHER_CATEGORY, "SUPPLIER", None, "Y", "N"),
            )

    def companies(self) -> Iterator[tuple[object, ...]]:
        spec, owners = self._spec, self._owners
        for number, identifier in enumerate(self._own):
            title = f"{names.COMPANY[number % len(names.COMPANY)]} Holding"
            yield identifier, title, ADMIN, ADMIN, ADMIN, self._first_day, self._first_day, "Y", 0, None, None, "Y"
        for number, identifier in enumerate(self._company_ids):
            created, _ = self._dates(number, spec.companies)
            modified = max(created, self._company_modified[number])
            title = f"{self._pick(names.COMPANY)} {self._pick(names.TRADE)} {identifier}"
            owner = owners[self._company_owner[number]]
            yield identifier, title, owner, ADMIN, owner, created, modified, "N", 0, "CUSTOMER", "OTHER", "Y"
        for identifier in self._other:
            title = f"{self._pick(names.COMPANY)} {self._pick(names.TRADE)} {identifier}"
            now = self._now
            yield identifier, title, owners[0], ADMIN, ADMIN, now, now, "N", OTHER_CATEGORY, "SUPPLIER", None, "Y"

    def second_companies(self) -> Iterator[tuple[object, ...]]:
        pairs = iter(self._second)
        for contact, company in zip(pairs, pairs, strict=True):
            yield contact, company, 20

    def _ids(self) -> Iterator[int]:
        draw, gaps, identifier = self._random.random, self._spec.gaps, 0
        while True:
            identifier += 1
            while draw() < gaps:
                identifier += 1
            yield identifier

    def _shares_of_owners(self) -> Iterator[int]:
        """Yield the owner's index of each company, most of them among the first fifth."""
        spec, draw = self._spec, self._random.random
        top = -(-spec.owners // 5)
        for favoured in _chosen(self._random, spec.companies, round(spec.companies * spec.skew)):
            if favoured or top == spec.owners:
                yield int(draw() * top)
            else:
                yield top + int(draw() * (spec.owners - top))

    def _dates(self, number: int, total: int) -> tuple[int, int]:
        """Return when record `number` was created, later than the one before, and last modified: mostly soon after."""
        created = self._first_day + (_HISTORY - _DAY) * number // total
        return created, created + int((self._now - created) * self._random.random() ** 4)

    def _wrong_owner(self, index: int) -> int:
        """Return the earlier owner of a company, always the same one; the administrator if there is only one owner."""
        spec = self._spec
        if spec.owners == 1:
            return ADMIN
        return self._owners[(self._company_owner[index] + 1 + index % (spec.owners - 1)) % spec.owners]

    def _drift(self, index: int, creator: int, created: int, modified: int) -> tuple[int, int, int, int]:
        """Return owner, creator, editor and time of change of a contact that drifted from its company."""
        cause, wrong = self._random.random(), self._wrong_owner(index)
        if cause < _HANDED_OVER:
            # The company changed hands after the contact was last touched.
            handed_over = modified + int((self._now - modified) * self._random.random())
            self._company_modified[index] = max(self._company_modified[index], handed_over)
            return wrong, creator, wrong, modified
        if cause < _CREATED:
            return wrong, wrong, wrong, created
        if cause < _EDITED:
            return wrong, creator, wrong, modified
        return wrong, creator, creator, modified

    def _pick(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._random.random() * len(choices))]
