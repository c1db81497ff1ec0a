"""Another portal at the same address: nothing of it is written until somebody says that it is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from support.portal_fixture import ANN, BOB
from support.world import CLEO

from reconciler.core.model import Status
from reconciler.engine.planning import Undo
from reconciler.engine.recognition import COMPARED_FOR, Recognition
from reconciler.errors import PortalChangedError
from reconciler.journal import tables
from reconciler.service.health import Watch
from reconciler.service.scheduler import Service
from reconciler.settings.address import parse_webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

A_DAY = 86_400


def start(world: World, name: str = "portal", host: str = "portal.bitrix24.de") -> None:
    """Start a worker that knows portals again, as a new process would."""
    world.restart()
    webhook = parse_webhook(f"https://{host}{world.portal.webhook_path}")
    recognise = Recognition(world.worker.client, world.journal.portals, name=name, webhook=webhook, clock=world.clock)
    world.worker = replace(world.worker, portal=name, recognise=recognise)


def become_another_portal(world: World) -> None:
    """Put a copy of another portal back at this address: its users, and its companies' owners, are others."""
    with world.portal.database.lock:
        world.portal.database.connection.execute("UPDATE user SET date_register = date_register + ?", (A_DAY,))
        world.portal.database.connection.execute("UPDATE company SET assigned_by_id = ?", (CLEO,))


def kept(world: World) -> dict[str, str] | None:
    """Return what the journal keeps of the portal's first users."""
    with world.journal._reading() as connection:
        days: dict[str, str] | None = connection.execute(select(tables.portal.c.first_users)).scalar_one()
        return days


def companies(world: World) -> list[Any]:
    """Return what the journal keeps of companies and their owners."""
    with world.journal._reading() as connection:
        return list(connection.execute(select(tables.company)).all())


def require_refused(world: World, **order: Any) -> None:
    """Run, and see that it ends because the portal is another one; the journal has it as failed, with the reason."""
    with pytest.raises(PortalChangedError, match="--accept-portal") as refusal:
        world.run(**order)
    assert refusal.value.exit_code == 3
    (record,) = world.journal.runs(1)
    assert (record.report.status, record.report.error) == (Status.FAILED, str(refusal.value))
    assert record.report.outcomes == {}


@pytest.fixture
def known(make_world: Callable[..., World]) -> World:
    """Return a world whose portal the journal knows, with two contacts that drifted after that."""
    world = make_world()
    world.drift(2)
    start(world)
    assert world.run().report.status is Status.APPLIED
    world.portal.people.edit_company(101, ANN, assigned_by_id=ANN)
    return world


def test_another_portal_is_asked_about_before_anything_is_written(known: World) -> None:
    """Neither contact gets another owner; the sentence gives the option, and the exit code is 3."""
    become_another_portal(known)
    start(known)
    before = kept(known)
    for _ in range(2):  # the service asks again with each run
        require_refused(known)
    assert [known.owner_of(contact) for contact in (1, 2)] == [BOB, BOB]
    assert kept(known) == before
    assert known.run(accept_portal=True).report.status is Status.APPLIED
    assert [known.owner_of(contact) for contact in (1, 2)] == [CLEO, CLEO]
    assert kept(known) != before
    assert known.run().report.status is Status.IN_SYNC
    start(known)
    assert known.run().report.status is Status.IN_SYNC


def test_a_new_name_of_a_known_portal_is_asked_about(known: World) -> None:
    """What a person took back would be written again. Under its old name it is left alone."""
    known.run()
    known.run(command="undo", undo=Undo(run=1))
    before = [known.owner_of(contact) for contact in (1, 2)]
    start(known, "crm.example.com", "crm.example.com")
    for _ in range(2):
        require_refused(known)
    start(known, "portal", "crm.example.com")
    assert known.run(accept_portal=True).report.outcomes == {}
    assert [known.owner_of(contact) for contact in (1, 2)] == before


def test_a_copy_under_a_new_name_is_a_portal_of_its_own(known: World) -> None:
    """It has no exceptions, and is not asked about again."""
    known.run()
    start(known, "copy", "copy.example.com")
    require_refused(known)
    known.run(accept_portal=True)
    start(known, "copy", "copy.example.com")
    assert known.run().report.status is Status.IN_SYNC


def test_an_undo_of_one_portal_changes_nothing_in_another(known: World) -> None:
    """A contact of the same number there is another person."""
    become_another_portal(known)
    start(known)
    require_refused(known, command="undo", undo=Undo(run=1))
    assert [known.owner_of(contact) for contact in (1, 2)] == [BOB, BOB]


def test_open_writes_are_not_settled_by_another_portal(known: World) -> None:
    """What became of them only the portal that they were sent to can tell."""
    run = known.journal.begin(portal="portal", command="test")
    (record,) = [row for row in known.journal.changes(1) if row.change.contact == 1]
    known.journal.intend(run, [record.change])
    become_another_portal(known)
    start(known)
    require_refused(known)
    assert [intent.change.contact for intent in known.journal.open_intents("portal")] == [1]


def test_the_service_says_why_it_does_nothing(known: World) -> None:
    """Monitoring is told the sentence at once, and nobody in the other portal is sent a notice."""
    become_another_portal(known)
    start(known)
    heard: list[object] = []
    watch = Watch(known.clock, interval=600.0, last_success=known.clock.now())
    service = Service(known.worker, heard.append, interval=600.0, watch=watch)
    service.tick()
    (reason,) = watch.not_ready()
    assert reason.startswith("another portal than before seems to answer")
    assert heard == []
    known.run(accept_portal=True)
    service.tick()
    assert watch.not_ready() == []


def asked(world: World) -> int:
    """Return how often the first users were asked for."""
    questions = world.portal.stats()["commands"].get("user.get", 0)
    assert isinstance(questions, int)
    return questions


def test_the_question_costs_a_command_an_hour_and_no_request(known: World) -> None:
    """It travels with what else is asked for, and only where something has changed."""
    known.run()
    start(known)
    before = asked(known)
    assert [known.run().report.usage.requests for _ in range(2)] == [1, 1]
    assert asked(known) == before
    for pause, questions in ((0.0, 1), (60.0, 0), (COMPARED_FOR, 1)):
        known.clock.sleep(pause)
        before = asked(known)
        known.portal.people.create_company(ANN, assigned_by_id=ANN)
        assert known.run().report.usage.requests == 2  # the look, and the contacts of the new company
        assert asked(known) == before + questions


def test_what_a_look_finds_in_another_portal_is_not_kept(known: World) -> None:
    """No contact drifts there, but a company has another owner: that, too, is asked about first."""
    known.run()
    before = companies(known)
    known.portal.people.edit_company(101, ANN, assigned_by_id=BOB)
    with known.portal.database.lock:
        known.portal.database.connection.execute("UPDATE user SET date_register = date_register + ?", (A_DAY,))
        known.portal.database.connection.execute("UPDATE contact SET assigned_by_id = ?", (BOB,))
    start(known)
    require_refused(known)
    assert companies(known) == before


def test_another_portal_that_is_put_back_under_a_running_service_is_found_out(known: World) -> None:
    """Within an hour."""
    known.clock.sleep(COMPARED_FOR)
    become_another_portal(known)
    require_refused(known)
    assert [known.owner_of(contact) for contact in (1, 2)] == [BOB, BOB]


def test_a_company_that_has_gone_is_asked_about_alone(known: World) -> None:
    """There is nothing else to read then, and what is remembered of companies is not changed by another portal."""
    number = known.portal.people.create_company(ANN, assigned_by_id=ANN)
    known.run()
    before = companies(known)
    known.portal.people.edit_company(number, ANN, is_my_company="Y")
    with known.portal.database.lock:
        known.portal.database.connection.execute("UPDATE user SET date_register = date_register + ?", (A_DAY,))
    start(known)
    require_refused(known)
    assert companies(known) == before


def test_new_users_and_users_who_were_removed_change_nothing(known: World) -> None:
    """A portal is the same as long as no user that both know differs."""
    known.office.user(2, name="Dora", date_register=99 * A_DAY)
    with known.portal.database.lock:
        known.portal.database.connection.execute("DELETE FROM user WHERE id = 1")
    start(known)
    assert known.run().report.status is Status.APPLIED
    assert set(kept(known) or {}) >= {"1", "2"}


def test_a_portal_whose_users_cannot_be_seen_is_not_stopped(make_world: Callable[..., World]) -> None:
    """Nothing is kept of it. A plan that writes is refused anyway, for want of the scope."""
    world = make_world(scopes=("crm",))
    start(world)
    assert world.run().report.status is Status.IN_SYNC
    assert kept(world) is None
