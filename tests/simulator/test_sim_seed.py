"""The seed of the embedded portal: exact, repeatable, plausible, and fast enough for a million contacts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import UsageError
from reconciler.simulator.database import Database
from reconciler.simulator.population import ADMIN, OTHER_CATEGORY
from reconciler.simulator.seed import SeedSpec, describe, reseed, seed

NOW = 1_795_000_000
TABLES = ("contact", "company", "contact_company", "user", "department")
DRIFTED = (
    "SELECT contact.* FROM contact JOIN company ON company.id = contact.company_id"
    " WHERE contact.assigned_by_id <> company.assigned_by_id AND contact.category_id = 0"
)

COMPANIES = "SELECT count(*) FROM company WHERE"


def seeded(**values: Any) -> Database:
    """Return a portal filled as these values say."""
    database = Database()
    seed(database, SeedSpec(**values), NOW)
    return database


def number(database: Database, sql: str) -> int:
    """Return the one number that the query gives."""
    row = database.row(sql)
    assert row is not None
    return int(row[0])


def content(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables."""
    return {table: [tuple(row) for row in database.rows(f"SELECT * FROM {table}")] for table in TABLES}  # noqa: S608


@settings(max_examples=25, deadline=None)
@given(
    spec=st.builds(
        SeedSpec,
        companies=st.integers(0, 30),
        contacts=st.integers(0, 120),
        owners=st.integers(1, 12),
        drift=st.floats(0, 1),
        without_company=st.floats(0, 1),
        several_companies=st.floats(0, 1),
        gaps=st.floats(0, 0.5),
        own_companies=st.integers(0, 3),
        other_categories=st.integers(0, 3),
        seed=st.integers(0, 99),
    )
)
def test_counts_are_exactly_as_specified(spec: SeedSpec) -> None:
    """Whatever is asked for, the numbers of records, links and drifted contacts are met."""
    database = Database()
    seed(database, spec, NOW)
    assert number(database, "SELECT count(*) FROM contact WHERE category_id = 0") == spec.contacts
    assert number(database, f"{COMPANIES} category_id = 0 AND is_my_company = 'N'") == spec.companies
    assert number(database, f"{COMPANIES} is_my_company = 'Y'") == spec.own_companies
    assert number(database, "SELECT count(*) FROM contact WHERE category_id <> 0") == spec.other_categories
    linked = number(database, "SELECT count(company_id) FROM contact WHERE category_id = 0")
    assert linked == spec.linked
    assert len(database.rows(DRIFTED)) == spec.drifted == round(linked * spec.drift)
    second = number(database, "SELECT count(*) FROM contact_company WHERE is_primary = 'N'")
    assert second == (round(linked * spec.several_companies) if spec.companies > 1 else 0)
    database.close()


def test_the_same_seed_gives_the_same_portal_and_another_another() -> None:
    """Every table, row by row."""
    assert content(seeded(seed=5)) == content(seeded(seed=5))
    assert content(seeded(seed=5)) != content(seeded(seed=6))


def test_links_agree_with_the_primary_company() -> None:
    """F3: a contact's COMPANY_ID is its only binding marked primary, and second bindings name another company."""
    database = seeded(several_companies=0.3)
    wrong = (
        "SELECT count(*) FROM contact LEFT JOIN contact_company AS link"
        " ON link.contact_id = contact.id AND link.is_primary = 'Y' WHERE contact.company_id IS NOT link.company_id"
    )
    assert number(database, wrong) == 0
    assert number(database, "SELECT count(*) FROM contact_company WHERE is_primary = 'N'") == 255
    unknown = "SELECT count(*) FROM contact_company WHERE company_id NOT IN (SELECT id FROM company)"
    assert number(database, unknown) == 0


def test_a_fifth_of_the_owners_holds_the_share_called_skew() -> None:
    """Eight in ten companies belong to two owners of ten."""
    database = seeded(companies=1_000, owners=10, skew=0.8)
    held = Counter(row[0] for row in database.rows("SELECT assigned_by_id FROM company WHERE is_my_company = 'N'"))
    assert sum(count for _, count in held.most_common(2)) == pytest.approx(800, abs=3)  # 3 of another category
    assert len(held) == 10


def test_the_share_of_missing_ids_is_about_that_of_gaps() -> None:
    """Three in ten IDs were deleted; without gaps IDs have none."""
    assert number(seeded(contacts=5_000, gaps=0.3), "SELECT max(id) FROM contact") == pytest.approx(
        5_003 / 0.7, rel=0.05
    )
    assert number(seeded(contacts=5_000, gaps=0), "SELECT max(id) FROM contact") == 5_003


def test_dates_lie_in_the_past_and_grow_with_the_id() -> None:
    """Nothing was changed before it was created, or after now."""
    database = seeded(drift=0.5)
    for table in ("contact", "company"):
        wrong = f"SELECT count(*) FROM {table} WHERE date_modify < date_create OR date_modify > {NOW}"  # noqa: S608
        assert number(database, wrong) == 0
        created = [row[0] for row in database.rows(f"SELECT date_create FROM {table} ORDER BY id")]  # noqa: S608
        assert created == sorted(created)


def test_drift_has_causes_that_its_dates_tell() -> None:
    """F3: some companies changed hands after the contact was touched, some contacts kept who created them."""
    database = seeded(contacts=4_000, drift=0.5)
    drifted = len(database.rows(DRIFTED))
    handed_over = len(database.rows(f"{DRIFTED} AND company.date_modify >= contact.date_modify"))
    kept_creator = len(database.rows(f"{DRIFTED} AND contact.created_by_id = contact.assigned_by_id"))
    assert handed_over >= 0.45 * drifted
    assert kept_creator >= 0.2 * drifted


def test_contacts_of_another_category_have_another_owner_than_their_company() -> None:
    """F2: the list methods do not show them, so a client that changes them reached too far."""
    database = seeded(other_categories=4)
    rows = database.rows(
        "SELECT 1 FROM contact JOIN company ON company.id = contact.company_id"
        " WHERE contact.category_id = ? AND contact.assigned_by_id <> company.assigned_by_id",
        (OTHER_CATEGORY,),
    )
    assert len(rows) == 4


def test_the_webhook_belongs_to_an_administrator_and_owners_are_employees() -> None:
    """F9: employees are told by their departments, whose heads are employees too."""
    database = seeded(owners=20, dismissed_owners=3)
    users = {row["id"]: row for row in database.rows("SELECT * FROM user")}
    departments = {row["id"] for row in database.rows("SELECT id FROM department")}
    assert users[ADMIN]["is_admin"] == 1
    assert len(users) == 21
    assert all(
        set(json.loads(user["departments"])) <= departments and user["departments"] != "[]" for user in users.values()
    )
    assert {row["head"] for row in database.rows("SELECT head FROM department")} <= set(users)
    assert {row[0] for row in database.rows("SELECT assigned_by_id FROM contact")} <= set(users)


def test_dismissed_owners_keep_their_companies() -> None:
    """Nobody has taken over what they had: standing drift, once contacts differ."""
    database = seeded(companies=500, owners=10, dismissed_owners=4)
    assert number(database, "SELECT count(*) FROM user WHERE active = 0") == 4
    kept = "SELECT count(DISTINCT assigned_by_id) FROM company JOIN user ON user.id = assigned_by_id WHERE active = 0"
    assert number(database, kept) == 4


def test_seeding_again_replaces_what_was_there() -> None:
    """A portal is emptied before it is filled."""
    database = seeded(contacts=50)
    seed(database, SeedSpec(contacts=20, other_categories=0), NOW)
    assert number(database, "SELECT count(*) FROM contact") == 20


def test_reseed_puts_back_the_first_day() -> None:
    """Whatever happened since, the portal is as the seed made it."""
    database = seeded(contacts=50, dismissed_owners=1)
    before = content(database)
    database.write("UPDATE contact SET assigned_by_id = 1")
    database.write("DELETE FROM company WHERE id > 10")
    assert reseed(database)
    assert content(database) == before


def test_a_portal_filled_by_hand_is_not_reseeded() -> None:
    """Its rows stay."""
    database = Database()
    database.insert("contact", assigned_by_id=1)
    assert not reseed(database)
    assert number(database, "SELECT count(*) FROM contact") == 1


def test_new_records_get_ids_above_the_seeded_ones() -> None:
    """F17: IDs are never used again."""
    database = seeded()
    highest = number(database, "SELECT max(id) FROM contact")
    database.write("DELETE FROM contact WHERE id = ?", (highest,))
    assert database.insert("contact", assigned_by_id=1) == highest + 1


def test_the_description_gives_the_numbers() -> None:
    """What is described is what was seeded."""
    text = describe(SeedSpec(companies=2_000, contacts=10_000, owners=40, dismissed_owners=2))
    for part in (
        "2,000 companies",
        "10,000 contacts",
        "40 owners in 5 departments, 2 of them",
        "8,500 contacts",
        "425",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"companies": -1}, "companies must not be negative"),
        ({"drift": 1.5}, "drift is a share"),
        ({"gaps": 0.99}, "gaps must be at most"),
        ({"owners": 0}, "at least one owner"),
        ({"owners": 2, "dismissed_owners": 2}, "at least one owner"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_impossible_portals_are_refused(values: dict[str, Any], sentence: str) -> None:
    """One sentence that names the setting."""
    with pytest.raises(UsageError, match=sentence):
        SeedSpec(**values)
