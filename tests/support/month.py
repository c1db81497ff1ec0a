"""A month of a service's life, put into a journal without living it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import insert

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.guard import Breach, Limit, Verdict
from reconciler.core.model import Cause, Change, Standing, User
from reconciler.core.plan import digest
from reconciler.journal import tables
from reconciler.journal.records import NewException
from reconciler.journal.store import open_journal
from reconciler.reporting.refusal import refusal_json

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.journal.store import Journal

PORTAL = "portal.bitrix24.de"
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
#: Names as strangers type them.
NAMES = ("Clara Vogel", "Agnès Kaya", "António Becker", "Дмитрий Suzuki", "<b>Mila</b> \u202eVogel", "x" * 90)
_USERS = tuple(User(id=k, name=name, active=True, employee=True) for k, name in enumerate(NAMES, 1))


def month(path: Path, *, runs: int = 4_300, changes: int = 100_000, waiting: int = 0) -> Journal:
    """Return the open journal of a service that began with a backfill, ten minutes a run, the last one ended at NOW."""
    clock = VirtualClock(Timeline(NOW))
    journal = open_journal(f"sqlite:///{path}", clock)
    journal.remember_users(PORTAL, _USERS)
    random = Random(1)
    backfill = changes * 3 // 4000  # runs of a thousand each
    first = NOW - timedelta(minutes=10) * (runs - 1)
    stored_runs, stored_changes = [], []
    left = changes - backfill * 1_000
    for number in range(1, runs + 1):
        began = first + timedelta(minutes=10) * (number - 1) - timedelta(seconds=40)
        failed = number != runs and random.random() < 0.01
        count = 1_000 if number <= backfill else min(left, random.choice((0, 0, 0, 2, 9, 25)))
        if number > backfill:
            count = 0 if failed else left if number == runs - 1 else count
            left -= count
        drift = 0 if failed else max(0, backfill - number) * 1_000 + count + 40
        stored_runs.append(_run(number, began, failed=failed and number > backfill, count=count, drift=drift))
        for _ in range(count):
            contact = len(stored_changes) + 1
            stored_changes.append(_change(number, contact, began, random))
    with journal._database.writing() as connection:
        connection.execute(insert(tables.run), stored_runs)
        if stored_changes:
            connection.execute(insert(tables.change), stored_changes)
    for kind in (Standing.QUARANTINED, Standing.RESPECTED, Standing.UNDONE):
        entries = [
            NewException(
                contact=900_000 + k, company=k, company_owner=1, owner=2, last_editor=5, detail="changed back 3 times"
            )
            for k in range(1, 41)
        ]
        journal.exceptions.add(PORTAL, kind, entries)
    if waiting:
        refuse(journal, waiting)
    return journal


def refuse(journal: Journal, count: int) -> None:
    """Let changes wait for approval."""
    changes = [Change(contact=k, company=k // 3 + 1, before=1, after=5) for k in range(200_001, 200_001 + count)]
    breaches = (
        Breach(limit=Limit.CHANGES, number=count, allowed=1_000),
        Breach(limit=Limit.GAINED, number=count, allowed=500, person=5),
    )
    names = {user.id: user.name for user in _USERS}
    numbers = refusal_json(
        Verdict(passing=(), held=tuple(changes), breaches=breaches),
        names,
        digest(PORTAL, [change.key for change in changes]),
    )
    journal.approvals.wait(PORTAL, changes, run=None, numbers=numbers, sentence=numbers["sentence"])


def _run(number: int, began: datetime, *, failed: bool, count: int, drift: int) -> dict[str, object]:
    return {
        "id": number,
        "portal_id": 1,
        "command": "service",
        "version": "0",
        "started_at": began,
        "finished_at": began + timedelta(seconds=40),
        "status": "failed" if failed else "applied" if count else "in_sync",
        "companies": 0 if failed else 20_000,
        "contacts": 0 if failed else 812_345,
        "drift": drift,
        "standing": 0 if failed else 40,
        "reasons": {} if failed else {"several_companies": 28, "company_owner_dismissed": 12},
        "requests": 12,
        "commands": 300,
        "operating_seconds": 20.0,
        "duration_seconds": 38.2,
        "error": "<i>portal</i> cannot be reached (ConnectError)" if failed else None,
        "snapshot_at": None if failed else began,
    }


def _change(run: int, contact: int, began: datetime, random: Random) -> dict[str, object]:
    before = random.randrange(1, 7)
    return {
        "run_id": run,
        "contact_id": contact,
        "company_id": contact // 5 + 1,
        "owner_before": before,
        "owner_after": before % 6 + 1,
        "company_owner_id": before % 6 + 1,
        "cause": random.choice(list(Cause)).value,
        "intended_at": began,
        "attempted_at": began,
        "attempts": 1,
        "settled_at": began + timedelta(seconds=20),
        "result": random.choices(("applied", "conflict", "denied"), (95, 3, 2))[0],
    }
