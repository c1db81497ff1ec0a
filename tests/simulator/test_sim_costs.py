"""The cost model of the embedded portal: calibrated, named, repeatable."""

from __future__ import annotations

from dataclasses import replace
from statistics import median, quantiles

import pytest

from reconciler.errors import UsageError
from reconciler.simulator.costs import PROFILES, CostModel


def updates(profile: str, seed: int = 0, count: int = 4_000) -> list[float]:
    """Draw the durations of so many updates."""
    model = CostModel(profile, seed=seed)
    return [model.seconds("crm.contact.update", 0, 0) for _ in range(count)]


def test_the_instant_profile_costs_nothing() -> None:
    """F16: nothing waits, so that tests are fast."""
    model = CostModel("instant")
    assert model.seconds("crm.contact.list", 50, 1_000_000) == 0
    assert model.seconds("crm.contact.update", 1, 0) == 0
    assert (model.request_overhead, model.network) == (0, 0)


def test_a_cloud_page_costs_25_ms_and_its_rows() -> None:
    """F16 and F14: 25 ms of PHP and half a millisecond of SQL for a page of 50 by ID."""
    assert CostModel("cloud").seconds("crm.contact.list", 50, 0) == pytest.approx(0.0254)


def test_a_count_over_a_million_contacts_costs_94_ms() -> None:
    """F14: what `start >= 0` adds to a page."""
    model = CostModel("cloud")
    counted = model.seconds("crm.contact.list", 50, 1_000_000)
    assert counted - model.seconds("crm.contact.list", 50, 0) == pytest.approx(0.094)


def test_the_drift_query_pays_for_the_contacts_it_looks_at() -> None:
    """F14: 500 companies with four contacts each cost 8.4 ms of SQL, even when none is returned."""
    cost = CostModel("cloud").seconds("crm.contact.list", 0, 0, examined_rows=2_000)
    assert cost == pytest.approx(0.025 + 0.0084)


def test_cloud_updates_are_log_normal() -> None:
    """F16: median 0.25 s and nine in ten below 1.0 s."""
    drawn = updates("cloud")
    assert median(drawn) == pytest.approx(0.25, rel=0.08)
    assert quantiles(drawn, n=10)[8] == pytest.approx(1.0, rel=0.12)


def test_overhead_and_network_are_charged_per_request() -> None:
    """F16: 60 ms per request and 40 ms of network; `batch` adds nothing to its calls."""
    model = CostModel("cloud")
    assert (model.request_overhead, model.network) == (0.06, 0.04)
    assert model.seconds("batch", 0, 0) == 0


def test_the_slow_profile_is_five_times_the_cloud() -> None:
    """F16: everything, network included."""
    cloud, slow = CostModel("cloud"), CostModel("slow")
    assert slow.seconds("crm.company.list", 50, 200_000) == pytest.approx(
        5 * cloud.seconds("crm.company.list", 50, 200_000)
    )
    assert slow.network == pytest.approx(5 * cloud.network)
    assert updates("slow", count=50) == pytest.approx([5 * seconds for seconds in updates("cloud", count=50)])


def test_the_same_seed_draws_the_same_durations() -> None:
    """A run can be repeated, and another seed gives another one."""
    assert updates("cloud", seed=7, count=50) == updates("cloud", seed=7, count=50)
    assert updates("cloud", seed=7, count=50) != updates("cloud", seed=8, count=50)


@pytest.mark.parametrize("method", ["CRM.Contact.UPDATE", "crm.company.contact.items.set", "crm.contact.delete"])
def test_methods_that_write_are_known_by_their_last_word(method: str) -> None:
    """F1.1: names come in any case."""
    model = CostModel(replace(PROFILES["cloud"], write_p90=0))
    assert model.seconds(method, 0, 0) == pytest.approx(0.25)


def test_an_unknown_profile_is_refused_with_the_names_there_are() -> None:
    """The sentence says what to choose from."""
    with pytest.raises(UsageError, match="instant, cloud, slow"):
        CostModel("fast")
