"""What lists cost a real database: by which index they are read (F14)."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office

from reconciler.simulator.costs import PROFILES, CostModel, Profile

#: A hundredth of a second for each row that is walked over, a thousandth for each that an index gives in vain.
MODEL = Profile(walked_row=0.01, examined_row=0.001)
IDS, COMPANIES = {"ID": "ASC"}, {"COMPANY_ID": "ASC", "ID": "ASC"}


def office(companies: int) -> Office:
    """Five contacts of Ann's in each company, in turn."""
    office = Office(costs=CostModel(MODEL))
    for company in range(1, companies + 1):
        office.company(company)
    for contact in range(1, 5 * companies + 1):
        office.contact(contact, company=1 + contact % companies)
    return office


def cost(office: Office, method: str = "crm.contact.list", **params: Any) -> float:
    """Return the portal's seconds for a call."""
    time = office.call(method, start=-1, **params).json["time"]
    return float(time["processing"])


def drifted(companies: int, owner: int = ANN) -> dict[str, Any]:
    """Return the filter for contacts of these companies that are somebody else's."""
    return {"@COMPANY_ID": list(range(1, companies + 1)), "!ASSIGNED_BY_ID": owner}


@pytest.mark.parametrize(
    ("order", "seconds"),
    [
        pytest.param(IDS, 10.0, id="by ID: a walk over the table"),
        pytest.param(COMPANIES, 0.25, id="by company, then ID: by the index"),
        pytest.param({}, 0.25, id="without an order: by the index"),
    ],
)
def test_the_drift_query(order: dict[str, str], seconds: float) -> None:
    """F14: in the order of IDs the server walks over all contacts in search of a page that is never full."""
    assert cost(office(200), filter=drifted(50), order=order) == seconds


@pytest.mark.parametrize(("companies", "walked"), [(100, 500), (1000, 5000)])
def test_a_walk_grows_with_the_table(companies: int, walked: int) -> None:
    """F14: 231 ms at 100,000 contacts, 2,370 ms at a million."""
    assert cost(office(companies), filter=drifted(100), order=IDS) == walked / 100
    assert CostModel("cloud").seconds("crm.contact.list", 0, 0, walked_rows=1_000_000) == pytest.approx(0.025 + 2.37)
    assert PROFILES["slow"].walked_row == pytest.approx(5 * PROFILES["cloud"].walked_row)


def test_few_companies_are_read_by_their_index() -> None:
    """F14: where few contacts match, the server expects a long walk and sorts what the index gives."""
    assert cost(office(1000), filter=drifted(5), order=IDS) == 0.025


def test_a_full_page_ends_the_walk() -> None:
    """F14: by ID after as many rows as it takes, by company at once."""
    full = office(200)
    assert cost(full, filter=drifted(100, BOB), order=IDS) == 0.49
    assert cost(full, filter=drifted(100, BOB), order=COMPANIES) == 0


def test_a_precondition_looks_at_nothing_else() -> None:
    """F14: a record that its ID names is found by it, whatever else the filter says."""
    conditions = {"ID": 42, "ASSIGNED_BY_ID": ANN, "COMPANY_ID": 43, "=COMPANY_ID": 43}
    assert cost(office(200), filter=conditions, order=IDS) == 0


def test_two_conditions_on_the_company_narrow_together() -> None:
    """F14: the index gives the contacts that meet both."""
    conditions = {"COMPANY_ID": 7, "<=COMPANY_ID": 0, "!ASSIGNED_BY_ID": ANN}
    assert cost(office(200), filter=conditions) == 0
    assert cost(office(200), filter={"COMPANY_ID": 7, "!ASSIGNED_BY_ID": ANN}) == 0.005


def item_cost(office: Office, conditions: dict[str, Any], order: dict[str, str] | None = None) -> float:
    """Return the portal's seconds for contacts as items."""
    return cost(office, "crm.item.list", entityTypeId=3, filter=conditions, order=order or {}, select=["id"])


def test_items_are_read_by_the_same_indexes() -> None:
    """F14: `crm.item.list` asks the same table."""
    items = office(200)
    companies = list(range(1, 51))
    foreign = {"@companyId": companies, "!assignedById": ANN}
    assert item_cost(items, foreign, {"id": "ASC"}) == 10
    assert item_cost(items, foreign, {"companyId": "ASC", "id": "ASC"}) == 0.25
    assert item_cost(items, {"companyId": 7, "=companyId": 8}) == 0
    assert item_cost(items, {"@id": [1, 2], "companyId": 7}) == 0
    assert item_cost(items, {">id": 999, "!assignedById": ANN}) == 0
    assert item_cost(items, {">updatedTime": "2026-02-01", "!assignedById": ANN}) == 0
    assert item_cost(items, {"assignedById": BOB}) == 1.0
    assert item_cost(items, {"logic": "OR", "id": 1, "assignedById": BOB}) == 0.999
    assert item_cost(items, {"0": {"id": 1}, "!companyId": 7, "assignedById": BOB}) == 1.0
