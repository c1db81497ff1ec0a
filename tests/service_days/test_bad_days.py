"""What goes wrong on a machine: nothing is written without a journal entry, and the service recovers by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.portal_fixture import ANN, BOB
from support.world import CLEO, audit

from reconciler.core.model import Status
from reconciler.service.scheduler import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from support.world import Exchange, World

INTERVAL = 600.0
HOUR = 6


def ticks(world: World, number: int) -> list[str]:
    """Let the service run so often, an interval apart; return how the runs of it that are in the journal ended."""
    before = {record.report.run for record in world.journal.runs(1_000)}
    service = Service(world.worker, lambda _: None, interval=INTERVAL)
    for _ in range(number):
        began = world.clock.monotonic()
        service.tick()
        world.clock.sleep(max(0.0, INTERVAL - (world.clock.monotonic() - began)))
    runs = [record for record in world.journal.runs(1_000) if record.report.run not in before]
    return [record.report.status.value for record in reversed(runs)]


def intended(world: World) -> set[int]:
    """Return the contacts that the journal says were about to be written, or were."""
    runs = [record.report.run or 0 for record in world.journal.runs(1_000)]
    return {row.change.contact for run in runs for row in world.journal.changes(run) if row.intended_at}


def written(world: World) -> set[int]:
    """Return the contacts that the portal has had written by the worker."""
    return {edit.id for edit in world.portal.history if edit.source == "rest"}


def hand_over(world: World) -> None:
    """Make new drift: a company gets another owner."""
    owner = world.office.row("company", 101)["assigned_by_id"]
    world.portal.people.edit_company(101, 1, assigned_by_id=CLEO if owner == BOB else BOB)


@pytest.mark.parametrize("kind", ["cut_before", "html_502"])
def test_the_network_is_gone_for_an_hour(make_world: Callable[..., World], kind: str) -> None:
    """Each run ends as failed, after a bounded number of requests; the first one after the hour sets all right."""
    world = make_world()
    world.drift(12)
    assert ticks(world, 2) == ["applied", "in_sync"]
    hand_over(world)
    world.faults({"kind": kind})
    before = len(world.witness.exchanges)
    assert ticks(world, HOUR) == ["failed"] * HOUR
    assert len(world.witness.exchanges) - before <= HOUR * 12
    assert world.portal.drift() == 5
    world.faults()
    assert ticks(world, 2) == ["applied", "in_sync"]
    assert world.portal.drift() == 0
    audit(world)


def test_the_network_goes_while_it_writes(make_world: Callable[..., World]) -> None:
    """Answers are lost from the first write on: what is open stays in the journal, and is settled by reading."""
    world = make_world(profile="cloud")
    world.drift(60)

    def cut(exchange: Exchange) -> None:
        if exchange.updates:
            world.faults({"kind": "lost_answer"})

    world.witness.before = cut
    assert set(ticks(world, HOUR)) == {"failed"}
    assert 0 < len(written(world)) < 60
    assert written(world) <= intended(world)
    world.witness.before = lambda _: None
    world.faults()
    assert ticks(world, 2) == ["applied", "in_sync"]
    assert world.portal.drift() == 0
    assert "open" not in {result for run in world.journal.runs(100) for result in world.outcomes(run.report.run)}
    audit(world)


def test_the_clock_is_set_back_an_hour(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-service: runs go on, drift is repaired, the last write of a contact is still the last one."""
    world = make_world()
    world.drift(12)
    assert ticks(world, 3) == ["applied", "in_sync", "in_sync"]
    now = type(world.clock).now

    def earlier(clock: object) -> datetime:
        return now(clock) - timedelta(hours=1)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.clock), "now", earlier)
    hand_over(world)
    assert ticks(world, 1) == ["applied"]
    assert world.portal.drift() == 0
    # Somebody changes one back: the journal knows what it wrote last, whatever the clock said.
    world.portal.people.edit_contact(1, CLEO, assigned_by_id=ANN)
    assert ticks(world, 1) == ["applied"]
    [change] = world.journal.changes(world.journal.runs(1)[0].report.run or 0)
    assert change.change.cause.value == "changed_back"
    assert ticks(world, HOUR + 1) == ["in_sync"] * (HOUR + 1)
    assert world.portal.stats()["noop_updates"] == 0


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Let another program hold the database."""
    with closing(sqlite3.connect(world.journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a moment for a lock, and not ten seconds."""
    monkeypatch.setattr("reconciler.journal.database.BUSY_TIMEOUT", 0.05)


@pytest.mark.usefixtures("impatient")
def test_the_database_is_locked_by_another_program(make_world: Callable[..., World]) -> None:
    """No run can begin, so the portal is not even asked; the next one after it works."""
    world = make_world()
    world.drift(12)
    world.restart()
    with locked(world):
        assert ticks(world, 3) == []
    assert world.witness.exchanges == []
    assert ticks(world, 2) == ["applied", "in_sync"]
    assert world.portal.drift() == 0


def test_the_journal_is_moved_away_in_the_middle(make_world: Callable[..., World]) -> None:
    """Nothing is sent from then on, also not by the next runs; when the file is back, all is set right."""
    world = make_world()
    world.drift(40)
    path = world.journal.path
    away = path.with_name("away.db")

    def move(exchange: Exchange) -> None:
        if exchange.updates and path.exists():
            path.rename(away)

    world.witness.after = move
    ticks_without_journal = Service(world.worker, lambda _: None, interval=INTERVAL)
    for _ in range(3):
        ticks_without_journal.tick()
    written_then = world.portal.stats()["updates_applied"]
    assert 0 < written_then < 40
    assert not path.exists()
    away.rename(path)
    world.witness.after = lambda _: None
    world.clock.sleep(INTERVAL)
    assert ticks(world, 2)[-1] == "in_sync"
    assert world.portal.drift() == 0
    assert world.portal.stats()["updates_applied"] == 40
    assert written(world) <= intended(world)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", ["before the first intent", "before the outcome"])
def test_the_database_is_locked_in_the_middle(make_world: Callable[..., World], moment: str) -> None:
    """Before an intent: nothing is sent. Before an outcome: it stays open, and the next run finds out by reading."""
    world = make_world()
    world.drift(12)
    world.restart()
    holder: list[sqlite3.Connection] = []

    def lock() -> None:
        holder.append(sqlite3.connect(world.journal.path, isolation_level=None, check_same_thread=False))
        holder[0].execute("BEGIN IMMEDIATE")

    def before(exchange: Exchange) -> None:
        if moment == "before the first intent" and exchange.probes and not holder:
            lock()

    def after(exchange: Exchange) -> None:
        if moment == "before the outcome" and exchange.updates and not holder:
            lock()

    world.witness.before, world.witness.after = before, after
    ticks(world, 1)
    assert len(holder) == 1
    assert world.portal.stats()["updates_applied"] == (0 if moment == "before the first intent" else 10)
    holder[0].execute("ROLLBACK")
    holder[0].close()
    assert written(world) <= intended(world)
    assert ticks(world, 2)[0] in {"applied", "partial"}
    assert world.portal.drift() == 0
    assert world.portal.stats()["updates_applied"] == 12
    assert world.portal.stats()["noop_updates"] == 0
    audit(world)


def room(world: World, pages: int) -> None:
    """Let the database grow by so many pages of 4 kB; SQLite then says that the disk is full."""
    with world.journal._database.engine.connect() as connection:
        present = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {present + pages}")


@pytest.mark.parametrize("pages", range(6))
def test_the_disk_is_full(make_world: Callable[..., World], pages: int) -> None:
    """Wherever the room ends: no update without an intent, no crash, and with room again everything is set right."""
    world = make_world()
    world.drift(300)
    room(world, pages)
    statuses = ticks(world, 4)
    assert set(statuses) <= {"failed", "applied", "partial", "stopped", "in_sync"}
    assert written(world) <= intended(world)
    assert world.portal.drift() > 0
    room(world, 100_000)
    after = ticks(world, 3)
    assert (after[0], after[-1]) == ("applied", "in_sync")
    assert world.portal.drift() == 0
    assert world.portal.stats()["noop_updates"] == 0
    assert {record.report.status for record in world.journal.runs(100)} <= set(Status)
    audit(world)
