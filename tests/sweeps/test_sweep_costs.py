"""What a sweep costs: in proportion to companies and drift, not to contacts."""

from __future__ import annotations

from contextlib import closing
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB, Office
from support.sweeping import EVE, Watcher, office, truth

from reconciler.core.companies import Strategy
from reconciler.core.model import Status
from reconciler.portal.read.sweep import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.world import World


def filled(companies: Sequence[int], contacts: int, made: Office | None = None) -> Office:
    """Return a portal in order: an owner has so many companies each, and contacts go round all of them."""
    made = made or office()
    number = 0
    for index, owned in enumerate(companies):
        made.user(100 + index)
        for _ in range(owned):
            number += 1
            made.company(number, 100 + index)
    owners = {row["id"]: row["assigned_by_id"] for row in made.database.rows("SELECT id, assigned_by_id FROM company")}
    for contact in range(1, contacts + 1):
        company = contact % number + 1
        made.contact(contact, owners[company], company)
    return made


def test_a_quiet_poll_of_a_small_portal_is_one_request() -> None:
    """50 companies, 200 contacts, 5 owners: a look of three commands, and a drift query for each owner."""
    with closing(Watcher(filled([10] * 5, 200))) as watcher:
        watcher.look()
        assert [watcher.cost() for _ in range(3)] == [{"requests": 1, "commands": 8}] * 3


@pytest.mark.parametrize(
    ("companies", "contacts"),
    [
        pytest.param([500, 501, 1200, 3], 4000, id="skewed"),
        pytest.param([20] * 60, 6000, id="more-owners-than-fit-into-a-request"),
        pytest.param([7] * 47, 3000, id="as-many-as-fit"),
    ],
)
def test_a_quiet_poll_costs_a_command_for_each_500_companies_of_an_owner(companies: list[int], contacts: int) -> None:
    """And three besides; with twice the contacts it costs the same."""
    costs = []
    for factor in (1, 2):
        with closing(Watcher(filled(companies, contacts * factor), Strategy.DRIFT, lanes=3)) as watcher:
            watcher.look()
            costs.append(watcher.cost())
    assert costs[0] == costs[1]
    assert costs[0]["commands"] == sum(ceil(owned / 500) for owned in companies) + 3
    assert costs[0]["requests"] <= 3


@pytest.mark.parametrize("drifted", [0, 1, 20])
def test_standing_drift_costs_what_its_report_needs(drifted: int) -> None:
    """Contacts that are left alone are looked at closer with each sweep: their links, names of companies, people."""
    made = filled([10] * 5, 200)
    made.company(1000, EVE)
    for contact in range(1001, 1001 + drifted):
        made.contact(contact, ANN, 1000)
    with closing(Watcher(made, Strategy.DRIFT)) as watcher:
        watcher.look()
        assert watcher.cost() == {"requests": 2 if drifted else 1, "commands": 9 + (3 if drifted else 0)}


@pytest.mark.parametrize("each", [3, 30])
def test_a_poll_after_ten_companies_changed_owner(make_world: Callable[..., World], each: int) -> None:
    """The same, one query anew for the new owner, a page and the links of each fifty contacts, people, the writes."""
    world = make_world()
    filled([20] * 5, 100 * each, world.office)
    world.run()
    for company in range(1, 11):
        world.portal.people.edit_company(company, 1, assigned_by_id=104)
    world.clock.sleep(600)
    quiet, drifted = 5 + 3, 10 * each
    updates = world.portal.stats()["commands"].get("crm.contact.update", 0)
    finished = world.run()
    updates = world.portal.stats()["commands"]["crm.contact.update"] - updates
    assert (finished.report.status, updates) == (Status.APPLIED, drifted)
    reading = finished.report.usage.commands - _writing(world)
    # The new owner; where that page is full, at most one query a company; links for each fifty; the people.
    assert reading <= quiet + 1 + (10 if drifted > 50 else 1) + ceil(drifted / 50) + 1
    assert truth(world.office) == set()


def _writing(world: World) -> int:
    """Return the commands of the latest run that belong to its writes."""
    return sum(exchange.commands for exchange in world.witness.exchanges if exchange.updates or exchange.probes)


def test_one_company_costs_a_few_requests() -> None:
    """`--company`: whatever the portal's size."""
    made = filled([100] * 5, 5000)
    with closing(Watcher(made, lanes=3)) as watcher:
        made.portal.people.edit_company(7, 1, assigned_by_id=BOB)
        before = watcher.line.client.usage.requests
        found = watcher.part(Scope(companies=(7,)))
        assert {m.contact for m in found.mismatches} == {m.contact for m in truth(made)}
        assert watcher.line.client.usage.requests - before <= 6


@pytest.mark.parametrize(
    ("companies", "contacts", "strategy"),
    [
        pytest.param([1] * 40, 200, Strategy.PAGES, id="as-many-owners-as-companies"),
        pytest.param([8] * 5, 200, Strategy.DRIFT, id="few-owners"),
        pytest.param([1] * 200, 20_000, Strategy.DRIFT, id="many-contacts"),
    ],
)
def test_the_cheaper_strategy_is_chosen(companies: list[int], contacts: int, strategy: Strategy) -> None:
    """By commands, and by seconds where they were measured."""
    with closing(Watcher(filled(companies, contacts))) as watcher:
        assert [watcher.look().snapshot.strategy for _ in range(2)] == [strategy] * 2


def test_the_seconds_that_a_command_took_decide_the_next_time() -> None:
    """A portal whose comparison is slow is read page by page from then on, and the figure is kept."""
    from reconciler.simulator.costs import CostModel, Profile  # noqa: PLC0415

    slow = CostModel(Profile(read=0.01, examined_row=0.05))
    with closing(Watcher(filled([8] * 5, 200, office(costs=slow)))) as watcher:
        assert [watcher.look().snapshot.strategy for _ in range(3)] == [Strategy.DRIFT, Strategy.PAGES, Strategy.PAGES]
        assert watcher.roster.seconds[Strategy.DRIFT] > watcher.roster.seconds[Strategy.PAGES]


def test_a_portal_that_was_slow_for_a_while_is_not_held_to_it() -> None:
    """The figure of the strategy that is not used gets no younger: it is forgotten when all companies are read anew."""
    from reconciler.simulator.costs import CostModel, Profile  # noqa: PLC0415

    made = filled([8] * 5, 200, office(costs=CostModel(Profile(read=0.025))))
    with closing(Watcher(made)) as watcher:
        made.portal.faults.load([{"kind": "slow", "method": "crm.contact.list", "seconds": 1.0}])
        assert watcher.look().snapshot.strategy is Strategy.DRIFT
        made.portal.faults.load([])
        assert [watcher.look().snapshot.strategy for _ in range(3)] == [Strategy.PAGES] * 3
        watcher.line.clock.sleep(6 * 3600)
        watcher.look()
        assert [watcher.look().snapshot.strategy for _ in range(3)] == [Strategy.DRIFT] * 3


def test_all_companies_read_anew_do_not_compare_the_contacts_twice() -> None:
    """After a deletion: the queries that went with the look still hold."""
    made = filled([10] * 5, 200)
    with closing(Watcher(made, Strategy.DRIFT)) as watcher:
        watcher.look()
        made.portal.people.delete_company(7)
        before: Any = made.portal.stats()["commands"]["crm.contact.list"]
        watcher.look()
        # A query for each owner, and counts of linked contacts: by the look, by the read of all companies that
        # follows it, and of those in the roster.
        assert made.portal.stats()["commands"]["crm.contact.list"] - before == 5 + 3
