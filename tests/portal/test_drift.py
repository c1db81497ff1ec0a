"""The drift query page by page, sorted by company: nothing is missed, whatever comes and goes between two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.portal_fixture import ANN, BOB
from support.portal_line import Line, Tampered, client_on
from support.sweeping import CLEO, office, truth

from reconciler.core.companies import groups
from reconciler.portal.read.drift import DriftQuery
from reconciler.portal.read.windows import Queue
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from random import Random

    from support.portal_fixture import Office

    from reconciler.core.model import Mismatch


def filled(sizes: list[int]) -> Line:
    """Return a portal where company 1, 2, ... of Ann has so many contacts of Bob, their numbers in no order."""
    made = office()
    for company, _ in enumerate(sizes, 1):
        made.company(company, ANN)
    slots = [company for company, size in enumerate(sizes, 1) for _ in range(size)]
    with made.database.bulk() as connection:
        connection.executemany(
            "INSERT INTO contact (id, company_id, assigned_by_id, date_create, date_modify) VALUES (?, ?, ?, 0, 0)",
            # Even numbers, neighbours of one company far apart: 7,919 and 100,003 are primes.
            [(2 + index * 7919 % 100_003 * 2, company, BOB) for index, company in enumerate(slots)],
        )
    return Line(made)


def queue(line: Line, companies: int) -> Queue[Any]:
    """Return the pages to read for Ann's companies."""
    owners = dict.fromkeys(range(1, companies + 1), ANN)
    return Queue(line.client, (DriftQuery(group, "") for group in groups(owners)))


def edit(of: Office, random: Random, companies: int) -> None:
    """Let contacts appear and vanish: created, deleted, given to Ann, given to Cleo, linked elsewhere."""
    people = of.portal.people
    for drifted in random.sample(sorted(truth(of), key=lambda m: m.contact), k=min(4, len(truth(of)))):
        match random.randrange(4):
            case 0:
                people.delete_contact(drifted.contact)
            case 1:
                people.edit_contact(drifted.contact, 1, assigned_by_id=ANN)
            case 2:
                people.edit_contact(drifted.contact, 1, assigned_by_id=CLEO)
            case _:
                people.bind(drifted.contact, random.randint(1, companies))
    for number in random.sample(range(1, 200_000, 2), k=random.randrange(40)):
        if not of.database.count("SELECT COUNT(*) FROM contact WHERE id = ?", (number,))[0]:
            of.contact(number, BOB, random.randint(1, companies))


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 4, 7, 49, 50, 51, 130]), min_size=1, max_size=30), random=st.randoms())
@example(sizes=[49, 1, 1], random=None)
@example(sizes=[50, 50, 50], random=None)
@example(sizes=[0, 400], random=None)
@example(sizes=[4] * 700, random=None)
def test_what_stays_is_found_and_nothing_else(sizes: list[int], random: Random | None) -> None:
    """Each contact that drifts from the first page to the last is found as it is; what was found had drifted."""
    line = filled(sizes)
    staying, ever = truth(line.office), truth(line.office)
    found: dict[int, Mismatch] = {}
    for rows in queue(line, len(sizes)).rounds():
        found.update({mismatch.contact: mismatch for mismatch, _ in rows})
        if random is not None:
            edit(line.office, random, len(sizes))
            staying &= truth(line.office)
            ever |= truth(line.office)
    assert staying <= set(found.values()) <= ever


@pytest.mark.parametrize(
    ("sizes", "commands", "requests"),
    [
        pytest.param([0] * 10, 1, 1, id="none"),
        pytest.param([5] * 10, 2, 2, id="a-page"),
        pytest.param([4] * 24, 2, 2, id="two-pages"),
        pytest.param([4] * 500, 46, 2, id="all-of-a-group"),
        pytest.param([2000], 51, 5, id="one-company"),
        pytest.param([1, 500, 3], 14, 5, id="one-large-company"),
    ],
)
def test_what_it_costs(sizes: list[int], commands: int, requests: int) -> None:
    """About a command for each fifty contacts, and few rounds of requests."""
    line = filled(sizes)
    found = [mismatch for rows in queue(line, len(sizes)).rounds() for mismatch, _ in rows]
    assert set(found) == truth(line.office)
    assert (line.client.usage.commands, line.client.usage.requests) == (commands, requests)


def test_it_is_sorted_by_company_and_then_by_number() -> None:
    """The database then keeps to the index of companies (F14), also within one company."""
    line, asked = filled([3, 60, 60]), list[str]()
    through = Tampered(InProcessTransport(line.office.portal), lambda command, *_: asked.append(command))
    line.client = client_on(through, line.clock)
    for _ in queue(line, 3).rounds():
        pass
    assert len(asked) > 2
    assert all("?order[COMPANY_ID]=ASC&order[ID]=ASC&filter" in command for command in asked)
