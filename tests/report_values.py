"""Plans, runs and names for the tests of rendering."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from reconciler.core.model import Mismatch, Names, Result, RunReport, Snapshot, Standing, Status, Usage, User
from reconciler.core.plan import make_plan
from reconciler.ops.report import Report, Row, plan_report, run_report

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ORIGIN = "https://acme.bitrix24.com"
USAGE = Usage(requests=9, commands=240, operating_seconds=33.2004, duration_seconds=4.12)

#: One of each kind of name that wants to be something else.
HOSTILE = {
    "terminal escape": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "bidi override": "Anna \u202egnp.exe",
    "rich markup": "[red]Anna[/red] :smile:",
    "script": "<script>alert(1)</script>",
    "image": '"><img src=//evil.example/x onerror=alert(1)>',
    "markdown link": "[x](http://evil.example) ![y](http://evil.example/z.png)",
    "markdown table": "a|b\\|c`d`\n# head\n| x |",
    "autolink": "www.evil.example https://evil.example bob@evil.example",
    "formula": '=HYPERLINK("http://evil.example";"x")',
    "formula after a semicolon": "Meyer; =1+1",
    "tab before a formula": "\t@SUM(1)",
    "jinja": "{{ 7 * 7 }}{% raw %}",
    "long": "x" * 300,
    "wide": "王小明 株式会社 👩\u200d🚀",
    "line separators": "a\u2028b\u0085c\x0bd",
    "surrogate": "a\ud800b",
    "tag characters": "a\U000e0041b\x7f",
}

names_of_strangers = st.text(max_size=40) | st.sampled_from(sorted(HOSTILE.values()))


def row(**values: object) -> Row:
    """Return a row with every name known."""
    defaults = {
        "contact": 15,
        "contact_name": "Anna Meyer",
        "company": 4,
        "company_name": "Delta Machines",
        "before": 2,
        "before_name": "Hugo Castro",
        "after": 3,
        "after_name": "Ida Ito",
    }
    return Row(**(defaults | values))


def a_plan(drifted: int = 3, *, users: bool = True, skips: bool = True, limit: int | None = None) -> Report:
    """Return the document of a plan: `drifted` changes, and three that are left alone."""
    people = {
        number: User(id=number, name=f"Person {number}", active=number != 9, employee=True) for number in range(1, 10)
    }
    roster = {company: company % 5 + 1 for company in range(1, 101)} | {101: 9, 102: 0}
    found = [
        Mismatch(contact=1000 + k, company=k % 100 + 1, owner=(k % 100) % 5 + 2, company_owner=k % 100 % 5 + 3)
        for k in range(drifted)
    ]
    if skips:
        found += [
            Mismatch(contact=3, company=101, owner=1, company_owner=9),
            Mismatch(contact=4, company=101, owner=2, company_owner=9),
            Mismatch(contact=5, company=102, owner=1, company_owner=0),
        ]
    snapshot = Snapshot(
        taken_at=NOON,
        roster=roster,
        contacts=10_000,
        mismatches=tuple(found),
        outside_roster=12 if skips else 0,
        users=people if users else None,
        windows=4,
    )
    names = Names(
        contacts={one.contact: f"Contact {one.contact}" for one in found},
        companies={number: f"Company {number}" for number in roster},
        users={1: "First Person"},
    )
    plan = make_plan(snapshot, portal="acme.bitrix24.com", limit=limit)
    return plan_report(plan, snapshot=snapshot, names=names, origin=ORIGIN, usage=USAGE, notes=["A bell may ring."])


def counts(status: Status = Status.APPLIED, **values: object) -> RunReport:
    """Return a run in numbers."""
    defaults = {
        "run": 12,
        "companies": 2_000,
        "contacts": 10_000,
        "drift": 503,
        "standing": 3,
        "reasons": {Standing.OWNER_DISMISSED: 3},
        "outcomes": {Result.APPLIED: 498, Result.GONE: 2},
        "usage": USAGE,
    }
    return RunReport(status=status, **(defaults | values))


def a_run(*rows: Row, finished: bool = True, **values: object) -> Report:
    """Return the document of a run with these changes."""
    outcomes = Counter(Result(one.result) for one in rows if one.result in set(Result))
    return run_report(
        counts(**({"status": Status.PARTIAL, "outcomes": outcomes} | values)),
        portal="acme.bitrix24.com",
        command="--once",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=4) if finished else None,
        rows=rows,
        origin=ORIGIN,
    )
