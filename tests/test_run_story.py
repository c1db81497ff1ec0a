"""Whole runs on the embedded portal: from drift to none, or to an honest word about why not."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB
from support.world import CLEO, CONTACT_UPDATE, change, total

from reconciler.core.model import Cause, Result, RunReport, Standing, Status
from reconciler.core.plan import digest
from reconciler.engine.reconcile import reconcile
from reconciler.engine.run import Consent, RunContext
from reconciler.engine.run import RunRequest as RunOrder
from reconciler.engine.wiring import chunk_limits, connect
from reconciler.errors import IncompleteReadError, MissingScopeError, PortalError, UsageError
from reconciler.portal.read.sweep import Scope
from reconciler.portal.write.writer import ChunkLimits
from reconciler.settings.model import Settings
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

    from reconciler.engine.planning import PlannedRun


def test_a_complete_run(make_world: Callable[..., World]) -> None:
    """All drift is gone, nothing was rejected or written in vain, and a second sweep plans nothing."""
    world = make_world(profile="cloud")
    world.drift(60)
    world.office.company(501, CLEO)
    finished = world.run()
    report = finished.report
    stats = world.portal.stats()
    assert finished.failure is None
    assert report == RunReport(
        run=1,
        status=Status.APPLIED,
        companies=13,
        contacts=60,
        not_compared=0,
        drift=60,
        causes={Cause.UNKNOWN: 60},
        digest=digest("portal", [change(number, 101 + (number - 1) // 5).key for number in range(1, 61)]),
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        outcomes={Result.APPLIED: 60},
        usage=report.usage,
    )
    assert (stats["drift"], stats["noop_updates"], stats["updates_applied"], stats["rejected"]) == (0, 0, 60, {})
    assert report.usage.requests == stats["requests"]
    assert report.usage.commands == sum(stats["commands"].values())
    assert report.usage.operating_seconds == pytest.approx(sum(stats["operating_seconds"].values()))
    assert report.usage.duration_seconds == world.clock.monotonic()
    second = world.run().report
    assert (second.run, second.status, second.drift, second.outcomes) == (2, Status.IN_SYNC, 0, {})
    assert world.portal.stats()["commands"][CONTACT_UPDATE] == 60


def test_the_journal_of_a_complete_run(make_world: Callable[..., World]) -> None:
    """Each write has a row with owners and times that fit the portal's own record."""
    world = make_world(profile="cloud")
    world.drift(20)
    world.run()
    edits = {edit.id: edit for edit in world.portal.history}
    rows = world.journal.changes(1)
    assert len(rows) == len(edits) == 20
    for row in rows:
        edit = edits[row.change.contact]
        assert (row.change.before, row.change.after) == (edit.before, edit.after) == (ANN, BOB)
        assert row.change.company == 101 + (row.change.contact - 1) // 5
        assert row.intended_at == row.attempted_at
        assert row.intended_at is not None
        assert row.settled_at is not None
        assert row.intended_at.timestamp() < edit.at + 1 <= row.settled_at.timestamp() + 1
        assert (row.result, row.detail, row.attempts) == (Result.APPLIED, "", 1)
    record = world.journal.runs()[0]
    assert (record.portal, record.command, record.report.status) == ("portal", "test", Status.APPLIED)
    assert record.finished_at == datetime(2026, 1, 1, tzinfo=UTC) + (record.finished_at - record.started_at)
    assert {7: "Ann", 8: "Bob"}.items() <= world.journal.user_names("portal").items()


def test_drift_of_every_kind(make_world: Callable[..., World]) -> None:
    """What has a good owner is written, what has not stands with its reason; the sums are right."""
    world = make_world()
    world.drift(10)
    world.office.user(20, name="Gone", active=0)
    world.office.user(21, name="Bot", departments="[]")
    for company, owner in ((301, 20), (302, 21), (303, 999), (304, 0)):
        world.office.company(company, owner)
        world.office.contact(company, ANN, company)
    finished = world.run()
    assert finished.report.status is Status.APPLIED
    assert finished.report.reasons == {
        Standing.OWNER_DISMISSED: 1,
        Standing.OWNER_NOT_EMPLOYEE: 2,
        Standing.OWNER_MISSING: 1,
    }
    assert (finished.report.drift, finished.report.standing, total(finished)) == (14, 4, 10)
    assert world.run().report.status is Status.IN_SYNC
    assert world.portal.drift() == 4


def test_a_limit(make_world: Callable[..., World]) -> None:
    """So many changes and no more; the rest stands, and the next run goes on."""
    world = make_world()
    world.drift(12)
    reports = [world.run(limit=5).report for _ in range(4)]
    assert [(r.status, r.drift, r.standing, r.outcomes.get(Result.APPLIED, 0)) for r in reports] == [
        (Status.APPLIED, 12, 7, 5),
        (Status.APPLIED, 7, 2, 5),
        (Status.APPLIED, 2, 0, 2),
        (Status.IN_SYNC, 0, 0, 0),
    ]


def test_one_company_only(make_world: Callable[..., World]) -> None:
    """A scope leaves the rest of the portal alone."""
    world = make_world()
    world.drift(12)
    world.run(scope=Scope(companies=(102,)))
    assert set(world.results()) == {6, 7, 8, 9, 10}


def test_a_refused_plan(make_world: Callable[..., World]) -> None:
    """Whoever is asked sees plan and snapshot, and that the guard has nothing against it; a no writes nothing."""
    world = make_world()
    world.drift(12)
    shown: list[tuple[int, int, object]] = []

    def confirm(proposal: PlannedRun, refusal: object) -> Consent:
        shown.append((len(proposal.plan.changes), proposal.snapshot.contacts, refusal))
        return Consent.NOTHING

    finished = world.run(confirm=confirm)
    assert (finished.report.status, shown, world.results()) == (Status.REFUSED, [(12, 12, None)], {})
    assert (finished.report.drift, total(finished)) == (12, 0)
    assert world.portal.history == []


def test_progress_is_told(make_world: Callable[..., World]) -> None:
    """Reading tells companies covered, writing tells changes settled; both end at the whole."""
    world = make_world()
    world.drift(30)
    reading: list[tuple[str, int, int]] = []
    writing: list[tuple[int, int]] = []
    world.run(
        reading=lambda noun, done, total: reading.append((noun, done, total)),
        writing=lambda done, total: writing.append((done, total)),
    )
    assert {noun for noun, _, _ in reading} == {"companies", "contacts by company"}
    assert reading[-1] == ("contacts by company", 6, 6)
    assert writing == [(0, 30), (10, 30), (30, 30)]


def test_without_a_user_scope_nothing_is_written(make_world: Callable[..., World]) -> None:
    """Owners that cannot be looked up are not written; the sentence names the next step."""
    world = make_world(scopes=("crm",))
    world.drift(3)
    finished = world.run()
    assert isinstance(finished.failure, MissingScopeError)
    assert finished.failure.exit_code == 1
    assert (finished.report.status, finished.report.drift) == (Status.FAILED, 3)
    assert "user_basic" in (finished.report.error or "")
    assert (world.portal.history, world.results()) == ([], {})


def test_a_scope_that_matches_nothing(make_world: Callable[..., World]) -> None:
    """A company nobody can see is a mistake on the command line."""
    world = make_world()
    world.drift(3)
    finished = world.run(scope=Scope(companies=(999,)))
    assert isinstance(finished.failure, UsageError)
    assert finished.failure.exit_code == 2
    assert world.journal.runs()[0].report.status is Status.FAILED


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([{"kind": "short_page", "method": "crm.contact.list"}], id="a-page-comes-short"),
        pytest.param([{"kind": "empty_page", "method": "crm.contact.list"}], id="a-page-is-dropped"),
        pytest.param([{"kind": "empty_page", "method": "crm.company.list"}], id="companies-are-dropped"),
        pytest.param([{"kind": "dropped_filter", "method": "crm.contact.list"}], id="filter-ignored"),
        pytest.param(
            [{"kind": "dropped_filter", "field": "COMPANY_ID", "method": "crm.contact.list"}], id="one-ignored"
        ),
        pytest.param([{"kind": "dropped_filter", "method": "crm.company.list"}], id="company-filter-ignored"),
        pytest.param([{"kind": "empty_page", "method": "user.get"}], id="users-are-dropped"),
        pytest.param(
            [{"kind": "command_error", "code": "INTERNAL_SERVER_ERROR", "method": "crm.contact.list"}], id="one-command"
        ),
        pytest.param([{"kind": "missing_result", "method": "crm.contact.list"}], id="no-answer-to-one"),
        pytest.param([{"kind": "html_502", "method": "crm.contact.list"}], id="html"),
        pytest.param([{"kind": "truncated_body", "method": "crm.contact.list"}], id="truncated"),
    ],
)
@pytest.mark.parametrize("passing", [True, False], ids=["once", "always"])
def test_a_read_that_is_not_whole_never_becomes_a_write(
    make_world: Callable[..., World], faults: list[dict[str, Any]], *, passing: bool
) -> None:
    """In passing it is read again, and complete; else it is "incomplete" or failed, and nothing is written."""
    world = make_world(attempts=3)
    world.drift(120)
    world.office.company(400, BOB, is_my_company="Y")
    for contact in range(121, 140):
        world.office.contact(contact, ANN)
    # The second request is the first that reads; the first only plans. People are asked for once, whenever that is.
    if passing and faults[0]["method"] == "user.get":
        world.faults({**faults[0], "times": 1})
    else:
        passing_by = [{"request": number} for number in (2, 4, 6)] if passing else [{}]
        world.faults(*(fault | when for fault in faults for when in passing_by))
    finished = world.run()
    assert world.portal.stats()["noop_updates"] == 0
    if passing:
        assert (finished.report.status, finished.report.drift, world.portal.drift()) == (Status.APPLIED, 120, 0)
    else:
        assert finished.report.status in (Status.INCOMPLETE, Status.FAILED)
        assert isinstance(finished.failure, (IncompleteReadError, PortalError))
        assert finished.failure.exit_code == 1
        assert world.portal.history == []
        assert world.journal.changes(1) == []


def test_sixty_contacts_deleted_in_mid_read(make_world: Callable[..., World]) -> None:
    """The sixty lowest vanish after a page of fifty: no other contact is missed, and the fifty are gone."""
    world = make_world()
    world.office.company(101, BOB)
    for number in range(1, 101):
        world.office.contact(number * 40, ANN, 101)
    world.faults({"kind": "delete_contacts", "oldest": 60, "request": 3, "moment": "after"})
    finished = world.run()
    assert finished.report.status is Status.APPLIED
    assert finished.report.contacts == 100
    assert world.outcomes() == {"applied": 40, "gone": 50}
    assert world.portal.drift() == 0


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param({"kind": "token_revoked"}, Status.FAILED, id="revoked"),
        pytest.param({"kind": "html_502"}, Status.FAILED, id="down"),
        pytest.param(
            {"kind": "error", "code": "ACCESS_DENIED", "description": "by subscription"}, Status.FAILED, id="plan"
        ),
        pytest.param({"kind": "short_page", "method": "crm.company.list"}, Status.INCOMPLETE, id="incomplete"),
    ],
)
def test_how_a_run_fails(make_world: Callable[..., World], fault: dict[str, Any], status: Status) -> None:
    """What is returned, what the journal keeps and the exit code agree; the token is in none of them."""
    world = make_world()
    world.drift(3)
    world.faults(fault)
    finished = world.run()
    record = world.journal.runs()[0]
    assert finished.failure is not None
    assert finished.failure.exit_code == 1
    assert finished.report.status is record.report.status is status
    assert finished.report.error == record.report.error == str(finished.failure)
    assert world.portal.options.token not in str(finished.failure)
    assert record.finished_at is not None


def test_the_worker_that_settings_describe(make_world: Callable[..., World]) -> None:
    """`connect` and `chunk_limits` carry every setting over; a run on them works."""
    world = make_world()
    world.drift(3)
    address = f"https://portal.bitrix24.de{world.portal.webhook_path}"
    settings = Settings.model_validate(
        {
            "portal": {"webhook_url": address, "limits": "enterprise", "proxy": "http://proxy.example:3128"},
            "write": {"batch_start": 3, "batch_max": 7, "target_seconds": 5},
        }
    )
    assert chunk_limits(settings) == ChunkLimits(start=3, most=7, target_seconds=5)
    with connect(settings, world.clock, InProcessTransport(world.witness)) as client:
        worker = RunContext(portal="portal", client=client, journal=world.journal, clock=world.clock)
        assert reconcile(worker, RunOrder(command="test")).report.status is Status.APPLIED
        assert client.throttle.delay(2) == 0
        assert client.budget.affordable(CONTACT_UPDATE) > 25


def test_a_long_history_of_random_days(make_world: Callable[..., World]) -> None:
    """Half a day of hourly polls while people work: after each poll nothing is left to do."""
    world = make_world()
    world.drift(30)
    random = Random(7)
    for _ in range(12):
        world.run()
        assert world.portal.drift() == 0
        for _ in range(random.randrange(3)):
            world.portal.people.edit_company(
                random.randrange(101, 107), 1, assigned_by_id=random.choice([ANN, BOB, CLEO])
            )
        world.clock.sleep(3600)
