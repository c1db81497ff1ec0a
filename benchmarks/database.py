"""What the list queries of the worker cost a portal's database: `make benchdatabase`, some three minutes.

An embedded portal is filled, and its records are copied into a MariaDB with the tables and indexes of a real portal
(from Debian's package `mariadb-server`; the server is our own, and ends with us). Then the worker itself looks at the
portal, repairs it, and takes that back, in every way that it knows. Each list call that reaches the portal, its macros
replaced, is turned into the SQL that a real server would build for it, and a sample of each kind is run: rows read,
milliseconds, index. So a query that is new in the worker is measured without a change here.

The exit code is 1 where a query reads a quarter of its table or more, unless it is one of a few that a run asks a few
times; and where the worker uses a method of which nothing is known here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from mariadb import missing, running
from processes import run, without_settings
from server_sql import SOURCES, TABLES, statements
from tables import begin, end, has_marks, machine, replaced, table

from reconciler.simulator import methods
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.php import PhpArray, intval
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mariadb import MariaDb, Measured
    from server_sql import Statement

    from reconciler.simulator.calls import Call, Result, Site
    from reconciler.simulator.portal import Portal

README = Path(__file__).parent / "README.md"
COMMAND = "make benchdatabase"
#: Contacts; one company for five of them.
FULL, QUICK = (100_000, 1_000_000), (50_000,)
DRIFTED = 300
SCOPES = ("crm", "user", "department")
#: Room for all of both tables, as a portal's database has for what is used every minute.
SETTINGS = {"innodb-buffer-pool-size": "1G", "innodb-flush-log-at-trx-commit": "0"}
#: A query that reads so large a share of its table walks it.
WALK = 0.25
#: Calls of one kind that are run.
SAMPLES = 12
#: What no index answers, and how often a run may ask for it at most.
ONCE = {
    ("crm.company.list", "=IS_MY_COMPANY"): "how many companies there are, which shows that one was deleted",
    ("crm.company.list", ">=DATE_MODIFY"): "which companies were changed: their dates have no index",
    ("crm.contact.list", "!COMPANY_ID=0"): "how many contacts have a company, before all are read",
    ("crm.company.list", ""): "how many companies `check` can see",
    ("crm.company.list", "=ASSIGNED_BY_ID"): "what the webhook's own user owns, for `check`",
    ("crm.contact.list", "=ASSIGNED_BY_ID"): "what the webhook's own user owns, for `check`",
}
MOST_OFTEN = 4
#: What asks neither of the two large tables for a list.
OTHER = {
    "profile": "who the webhook belongs to",
    "scope": "no table",
    "server.time": "no table",
    "user.get": "people: some hundred rows",
    "department.get": "departments: some dozen rows",
    "crm.contact.update": "a write",
    "crm.contact.get": "one record by its number",
    "crm.contact.company.items.get": "the companies of one contact, by the key of their table",
}
HEAD = ["query", "statement", "times", "rows read", "of the table", "ms", "index"]
_WORDS = {HEAD[0], HEAD[1], HEAD[6]}


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls that differ in values only."""

    method: str
    #: Operators and fields; of a 0 the value, too, because it means "none".
    filter: str
    order: str

    def __str__(self) -> str:
        order = f", by {self.order}" if self.order else ""
        return f"`{self.method}` {self.filter or 'all'}{order}"


@dataclass(slots=True)
class Recorded:
    """The list calls that reached a portal: how many of each kind, and some of them."""

    #: Calls of each kind in the run that asked most of them.
    most: Counter[Kind] = field(default_factory=Counter)
    samples: dict[Kind, list[Call]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    _now: Counter[Kind] = field(default_factory=Counter)
    _random: Random = field(default_factory=lambda: Random(1))

    def take(self, call: Call) -> None:
        """Record a call."""
        if not call.method.endswith(".list") or not call.method.startswith("crm."):
            self.unknown |= {call.method} - OTHER.keys()
            return
        kind = kind_of(call)
        self._now[kind] += 1
        kept = self.samples.setdefault(kind, [])
        if len(kept) < SAMPLES:
            kept.append(call)
        elif (place := self._random.randrange(self._now[kind])) < SAMPLES:
            kept[place] = call

    def end_run(self) -> None:
        """Say that the next calls are of another run."""
        self.most |= self._now
        self._now = Counter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One statement of one kind of call."""

    kind: Kind
    statement: str
    table: str
    times: int
    #: The sample that reads most.
    measured: Measured
    share: float

    @property
    def complaint(self) -> str | None:
        """What is wrong with it."""
        if self.share < WALK:
            return None
        allowed = (self.kind.method, self.kind.filter) in ONCE and self.times <= MOST_OFTEN
        return None if allowed else f"{self.kind}: the {self.statement} reads {self.share:.0%} of {self.table}"

    def cells(self) -> list[str]:
        """Return a row of the table."""
        m = self.measured
        figures = [f"{self.times:,}", f"{m.examined:,}", f"{self.share:.1%}", f"{m.milliseconds:.1f}"]
        return [str(self.kind), self.statement, *figures, m.index or "-"]


def kind_of(call: Call) -> Kind:
    """Return what kind of query a call is."""
    conditions = [
        f"{key}=0" if not isinstance(value, PhpArray) and intval(value) == 0 and str(value).isdigit() else str(key)
        for key, value in call.array("filter").items()
    ]
    order = ", ".join(f"{key} {value}".removesuffix(" ASC") for key, value in call.array("order").items())
    return Kind(call.method, " ".join(sorted(conditions)), order)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and write them where it is wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK[0]:,} contacts only")
    parser.add_argument(
        "--write", nargs="?", const=README, type=Path, metavar="FILE", help="put the tables into README.md, or FILE"
    )
    options = parser.parse_args(arguments)
    if options.write is not None and not has_marks(options.write, COMMAND):
        parser.error(f"{options.write} needs the lines {begin(COMMAND)} and {end(COMMAND)}")
    if absent := missing():
        print(f"NO MARIADB HERE ({', '.join(absent)}): install the package mariadb-server", file=sys.stderr)
        return 2
    sections: list[str] = []
    complaints: list[str] = []
    for contacts in QUICK if options.quick else FULL:
        text, found = measured(contacts)
        sections.append(text)
        complaints += found
    command = COMMAND + (" BENCH=--quick" if options.quick else "")
    text = "\n\n".join([f"Machine: {machine()}. Repeat with `{command}`.", *sections])
    print(text)
    if options.write is not None:
        options.write.write_text(replaced(options.write.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")
    print("\n".join(complaints) if complaints else "no query walks a table", file=sys.stderr)
    return 1 if complaints else 0


def measured(contacts: int) -> tuple[str, list[str]]:
    """Return the tables of one portal, and what is wrong."""
    print(f"measuring {contacts:,} contacts", file=sys.stderr, flush=True)
    spec = SeedSpec(
        companies=contacts // 5, contacts=contacts, owners=50, dismissed_owners=2, drift=DRIFTED / contacts / 0.85
    )
    portal = build(spec, limits="self-hosted", options=PortalOptions(scopes=SCOPES))
    with running(TABLES, SETTINGS) as (database, folder):
        for name, (source, columns) in SOURCES.items():
            sql = f"SELECT {', '.join(columns.values())} FROM {source} ORDER BY 1, 2"  # noqa: S608 - names of ours
            # A cursor: a million rows are not held at once.
            database.fill(name, columns, map(tuple, portal.database.connection.execute(sql)), folder)
        recorded = let_the_worker_work(portal)
        rows = list(judged(database, recorded))
        heading = f"**{contacts:,} contacts of {spec.companies:,} companies**, MariaDB {database.version}"
        compared = table(HEAD, [row.cells() for row in orders(database, recorded)], _WORDS)
    complaints = [complaint for row in rows if (complaint := row.complaint)]
    complaints += [f"{method}: nothing is known of what it asks the database" for method in sorted(recorded.unknown)]
    text = f"{heading}\n\n{table(HEAD, [row.cells() for row in rows], _WORDS)}\n\n"
    return f"{text}The drift query in both orders, and without what the server adds:\n\n{compared}", complaints


def let_the_worker_work(portal: Portal) -> Recorded:
    """Let the worker do all that reads, and record the calls."""
    recorded = Recorded()
    originals = dict(methods.METHODS)
    for name, method in originals.items():
        methods.METHODS[name] = replace(method, run=partial(_recorded, recorded, method.run))
    try:
        with tempfile.TemporaryDirectory() as folder, serve(portal) as address:
            for prepare, command, settings in runs(portal):
                prepare()
                _work(address.webhook_url, command, settings, folder)
                recorded.end_run()
    finally:
        methods.METHODS.update(originals)
    return recorded


def runs(portal: Portal) -> Iterator[tuple[Callable[[], object], list[str], dict[str, str]]]:
    """Yield what happens on the portal first, the worker's command, and its settings."""
    owner, company = portal.database.rows(
        "SELECT assigned_by_id, company_id FROM contact WHERE company_id IS NOT NULL ORDER BY id LIMIT 1"
    )[0]
    several = portal.database.ids("SELECT id FROM company WHERE category_id = 0 AND is_my_company = 'N' LIMIT 10")
    policies = {"POLICY__MULTI_COMPANY": "report", "POLICY__DISMISSED_OWNER": "head"}

    def nothing() -> None:
        """Leave the portal as it is."""

    def hand_over() -> None:
        for number in several:
            portal.people.edit_company(number, by=1, assigned_by_id=int(owner))

    def lose_an_answer() -> None:
        for number in several:
            portal.people.edit_company(number, by=1, assigned_by_id=int(owner) + 1)
        portal.faults.load([{"kind": "lost_answer", "method": "crm.contact.update", "times": 1}])

    yield nothing, ["check"], {}
    yield nothing, ["plan"], {"SWEEP__STRATEGY": "pages", **policies}
    yield nothing, ["--once", "--yes"], policies
    yield hand_over, ["--once", "--yes"], {}
    yield nothing, ["--once", "--yes"], {}
    yield lose_an_answer, ["--once", "--yes"], {"PORTAL__READ_TIMEOUT": "1"}
    yield nothing, ["undo", "--company", str(several[0]), "--yes"], {}
    yield nothing, ["--once", "--yes", "--company", str(company)], {}
    yield nothing, ["--once", "--yes", "--owner", str(owner)], {}


def _recorded(recorded: Recorded, carry_out: Callable[[Site, Call], Result], site: Site, call: Call) -> Result:
    recorded.take(call)
    return carry_out(site, call)


def _work(webhook_url: str, command: Sequence[str], settings: dict[str, str], folder: str) -> None:
    names = {"PORTAL__WEBHOOK_URL": webhook_url, "PORTAL__LIMITS": "self-hosted", **settings}
    environment = {**without_settings(), **{f"RECONCILER_{name}": value for name, value in names.items()}}
    ended = run([sys.executable, "-c", "from reconciler.cli.app import main; main()", *command], environment, folder)
    if ended.exit_code:
        raise SystemExit(
            f"`{' '.join(command)}` ended with exit code {ended.exit_code}: {ended.output}{ended.errors[-2000:]}"
        )


def judged(database: MariaDb, recorded: Recorded) -> Iterator[Row]:
    """Yield a row for each statement of each kind of call."""
    for kind, times in sorted(recorded.most.items(), key=lambda each: str(each[0])):
        by_what: dict[str, list[Statement]] = {}
        for call in recorded.samples[kind]:
            for statement in statements(call):
                by_what.setdefault(statement.what, []).append(statement)
        for samples in by_what.values():
            yield _row(database, kind, times, samples)


def orders(database: MariaDb, recorded: Recorded) -> Iterator[Row]:
    """Yield the drift query in both orders, with and without the category that the server adds."""
    kind = next(each for each in recorded.samples if each.filter == "!ASSIGNED_BY_ID @COMPANY_ID")
    pages = [s for call in recorded.samples[kind] for s in statements(call) if s.what == "page"]
    for order in ("ID", "COMPANY_ID, ID"):
        terms = ", ".join(f"L.{name} ASC" for name in order.split(", "))
        for category in (" AND (L.CATEGORY_ID IN (0))", ""):
            changed = [
                replace(page, sql=_ordered(page.sql, terms).replace(" AND (L.CATEGORY_ID IN (0))", category))
                for page in pages
            ]
            shown = replace(kind, order=order if category else f"{order}, without the category")
            yield _row(database, shown, recorded.most[kind], changed)


def _ordered(sql: str, terms: str) -> str:
    before, _, rest = sql.partition(" ORDER BY ")
    return f"{before} ORDER BY {terms} LIMIT{rest.partition(' LIMIT')[2]}"


def _row(database: MariaDb, kind: Kind, times: int, samples: Sequence[Statement]) -> Row:
    figures = database.measure([sample.sql for sample in samples])
    dearest = max(figures, key=lambda each: each.examined)
    size = int(database.run(f"SELECT COUNT(*) FROM {samples[0].table};")[0])  # noqa: S608 - a table of ours
    return Row(
        kind=kind,
        statement=samples[0].what,
        table=samples[0].table,
        times=times,
        measured=dearest,
        share=dearest.examined / size,
    )


if __name__ == "__main__":
    raise SystemExit(main())
