"""Fill the embedded portal: companies, contacts and the people who own them, with drift that has a history.

Everything follows from `SeedSpec.seed`, so that two runs see the same portal. A million contacts and 200,000
companies take about seven seconds and 150 MB.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.simulator.population import Population, departments_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.simulator.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSpec:
    """What the portal holds. Shares are between 0 and 1, and met exactly, but for rounding, except that of gaps."""

    #: Standard companies: not own ones, category 0.
    companies: int = 200
    #: Contacts of category 0.
    contacts: int = 1_000
    #: Employees who own companies, the dismissed ones included.
    owners: int = 10
    #: Share of the companies that belongs to a fifth of the owners.
    skew: float = 0.8
    #: Share of IDs that are missing, because their records were deleted.
    gaps: float = 0.1
    #: Share of the linked contacts whose owner is not that of their primary company.
    drift: float = 0.05
    #: Where all random choices start.
    seed: int = 1
    #: Share of the contacts that have no company.
    without_company: float = 0.15
    #: Share of the linked contacts that have a second company.
    several_companies: float = 0.02
    #: How many of the owners have left; their companies still name them.
    dismissed_owners: int = 0
    #: One's own companies, `IS_MY_COMPANY=Y`, besides `companies`; nobody is linked to them.
    own_companies: int = 2
    #: Contacts of another category, each linked to a company whose owner it does not have, besides `contacts`; and
    #: as many companies. The list methods must not show either (F2).
    other_categories: int = 3

    def __post_init__(self) -> None:
        for name in ("companies", "contacts", "dismissed_owners", "own_companies", "other_categories"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative.")
        for name in ("skew", "gaps", "drift", "without_company", "several_companies"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share: between 0 and 1, for example 0.1.")
        if self.gaps > 0.95:  # noqa: PLR2004 - said in the sentence
            raise UsageError("gaps must be at most 0.95, or IDs grow out of bounds.")
        if self.owners < 1 or self.dismissed_owners >= self.owners:
            raise UsageError("There must be at least one owner who was not dismissed.")

    @property
    def linked(self) -> int:
        """How many contacts have a primary company."""
        return self.contacts - round(self.contacts * self.without_company) if self.companies else 0

    @property
    def drifted(self) -> int:
        """How many of these have another owner than it."""
        return round(self.linked * self.drift)


def describe(spec: SeedSpec) -> str:
    """Say in a few lines what a portal seeded this way holds."""
    several = round(spec.linked * spec.several_companies) if spec.companies > 1 else 0
    return f"""\
{spec.companies:,} companies and {spec.contacts:,} contacts; {spec.gaps:.0%} of the IDs are missing; seed {spec.seed}
{spec.owners:,} owners in {departments_of(spec):,} departments, {spec.dismissed_owners:,} of them dismissed; \
a fifth of the owners holds {spec.skew:.0%} of the companies
{spec.linked:,} contacts have a company, {several:,} of them a second one; {spec.contacts - spec.linked:,} have none
{spec.drifted:,} contacts have another owner than their company ({spec.drift:.1%} of the linked): half kept the owner \
from before their company was handed over, a quarter kept the person who created them, 15% were edited by somebody \
else, 10% were linked, which leaves no trace
besides: {spec.own_companies:,} own companies; {spec.other_categories:,} contacts and {spec.other_categories:,} \
companies of another category, which lists do not show"""


def seed(database: Database, spec: SeedSpec, now: int) -> None:
    """Empty the portal and fill it as the specification says; nothing is dated later than `now`, epoch seconds."""
    with database.lock:
        database.clear()
        with database.bulk() as connection:
            population = Population(spec, now)
            _insert(database, "department", "id, name, parent, head", population.departments())
            _insert(
                database,
                "user",
                "id, active, is_admin, name, last_name, email, work_position, departments, date_register",
                population.users(),
            )
            _insert(
                database,
                "contact",
                "id, name, last_name, company_id, assigned_by_id, created_by_id, modify_by_id, date_create,"
                " date_modify, category_id, type_id, source_id, opened, export",
                population.contacts(),
            )
            # After the contacts: a drifted contact moves the date on which its company was handed over.
            _insert(
                database,
                "company",
                "id, title, assigned_by_id, created_by_id, modify_by_id, date_create, date_modify, is_my_company,"
                " category_id, company_type, industry, opened",
                population.companies(),
            )
            connection.execute(
                "INSERT INTO contact_company (contact_id, company_id, sort, role_id, is_primary)"
                " SELECT id, company_id, 10, 0, 'Y' FROM contact WHERE company_id IS NOT NULL ORDER BY id"
            )
            _insert(database, "contact_company", "contact_id, company_id, sort", population.second_companies())
            connection.execute("CREATE TABLE IF NOT EXISTS seeded (spec TEXT NOT NULL, now INTEGER NOT NULL)")
            connection.execute("DELETE FROM seeded")
            connection.execute("INSERT INTO seeded VALUES (?, ?)", (json.dumps(asdict(spec)), now))


def reseed(database: Database) -> bool:
    """Put back what `seed` made; False, and nothing done, when the portal was filled in another way."""
    if database.row("SELECT 1 FROM sqlite_master WHERE name = 'seeded'") is None:
        return False
    row = database.row("SELECT spec, now FROM seeded")
    if row is None:
        return False
    seed(database, SeedSpec(**json.loads(row["spec"])), row["now"])
    return True


def _insert(database: Database, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(columns.split(",")))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names come from this module
    database.connection.executemany(statement, rows)
