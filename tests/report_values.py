"""Plans, runs and names for the tests of rendering."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from reconciler.core.model import (
    Cause,
    Change,
    CompanyDetail,
    ContactDetail,
    Mismatch,
    Names,
    Result,
    Rule,
    RunReport,
    Standing,
    Status,
    Usage,
    User,
)
from reconciler.core.plan import make_plan
from reconciler.core.policy import Case
from reconciler.core.rules.follow_parent import Evidence
from reconciler.core.rules.undo import Left, Obstacle
from reconciler.core.snapshot import Snapshot
from reconciler.reporting.build import Report, Row, plan_report, run_report, undo_report

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
        "cause": "unknown",
        "rule": "company_owner",
        "company_owner": 3,
        "company_owner_name": "Ida Ito",
    }
    return Row(**(defaults | values))


def a_snapshot(drifted: int = 3, *, users: bool = True, skips: bool = True) -> Snapshot:
    """Return a sweep: `drifted` contacts to change, and three that are left alone."""
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
    return Snapshot(
        taken_at=NOON,
        roster=roster,
        contacts=10_000,
        mismatches=tuple(found),
        outside_roster=12 if skips else 0,
        users=people if users else None,
        contact_details={
            one.contact: ContactDetail(
                name=f"Contact {one.contact}", created=NOON, modified=NOON - timedelta(days=2), modified_by=7
            )
            for one in found
            if one.contact != 5
        },
        company_details={number: CompanyDetail(name=f"Company {number}") for number in roster},
    )


def a_plan(drifted: int = 3, *, causes: bool = False, limit: int | None = None, **options: bool) -> Report:
    """Return the document of a plan: `drifted` changes, and three that are left alone; `causes`: of more than one."""
    snapshot = a_snapshot(drifted, **options)
    known = {one: list(Cause)[k % 6] for k, one in enumerate(snapshot.mismatches)} if causes else {}
    plan = make_plan(Case(snapshot=snapshot, evidence=Evidence(known=known)), portal="acme.bitrix24.com", limit=limit)
    return plan_report(plan, snapshot=snapshot, origin=ORIGIN, usage=USAGE, notes=["A bell may ring."])


def an_undo(back: int = 2, **names: dict[int, str]) -> Report:
    """Return the document of an undo: changes that are put back, and one for each obstacle."""
    done = [
        Change(contact=k, company=4, before=2, after=3, rule=Rule.COMPANY_OWNER) for k in range(1, len(Obstacle) + 1)
    ]
    defaults = {"users": {2: "Hugo Castro", 3: "Ida Ito"}, "companies": {4: "Delta Machines"}}
    return undo_report(
        [Change(contact=100 + k, company=4, before=3, after=2, rule=Rule.UNDO) for k in range(back)],
        [Left(change=change, obstacle=obstacle) for change, obstacle in zip(done, Obstacle, strict=True)],
        portal="acme.bitrix24.com",
        what="run 12",
        digest="ab" * 32,
        names=Names(**(defaults | names)),
        origin=ORIGIN,
        usage=USAGE,
        taken_at=NOON,
    )


def but(report: Report, **values: object) -> Report:
    """Return the document with other values."""
    return replace(report, **values)


def counts(status: Status = Status.APPLIED, **values: object) -> RunReport:
    """Return a run in numbers."""
    defaults = {
        "run": 12,
        "companies": 2_000,
        "contacts": 10_000,
        "drift": 503,
        "standing": 3,
        "reasons": {Standing.OWNER_DISMISSED: 3},
        "causes": {Cause.UNKNOWN: 500, Cause.CONTACT_CHANGED: 3},
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
