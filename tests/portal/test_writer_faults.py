"""Writing while the portal fails in every documented way: the state is right, and the journal says what happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.portal_fixture import ANN, BOB
from support.world import CLEO, CONTACT_UPDATE, total

from reconciler.core.model import Status
from reconciler.errors import (
    AuthorizationError,
    BlockedError,
    MissingScopeError,
    RateLimitedError,
    ServerFaultError,
    TooLargeError,
)
from reconciler.portal.write.writer import ChunkLimits
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

Make = "Callable[..., World]"

EACH_SECOND = Profile(write_median=1.0)


def of_update(kind: str, **parameters: Any) -> dict[str, Any]:
    """Describe a fault of requests that carry updates, or of the updates in them."""
    return {"kind": kind, "method": CONTACT_UPDATE, **parameters}


def meddle(world: World, contact: int, then: str) -> None:
    """Let the portal do something else right after each change of a contact's owner, as a handler of its own would."""
    world.office.database.write(
        f"CREATE TRIGGER after{contact} AFTER UPDATE OF assigned_by_id ON contact WHEN NEW.id = {contact}"  # noqa: S608
        f" BEGIN UPDATE contact SET {then} WHERE id = {contact}; END"
    )


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "rate_limited"}, id="rate-limited"),
        pytest.param({"kind": "error", "code": "OPERATION_TIME_LIMIT", "status": 429}, id="operation-limit"),
        pytest.param({"kind": "error", "code": "ERROR_CORE", "status": 500}, id="error-core-500"),
        pytest.param({"kind": "error", "code": "PORTAL_BUSY", "status": 503}, id="unknown-transient"),
        pytest.param({"kind": "error", "code": "TOO_MANY_REQUESTS", "status": 429}, id="unknown-429"),
        pytest.param({"kind": "internal_error"}, id="internal"),
        pytest.param({"kind": "internal_error", "commit": True}, id="internal-committed"),
        pytest.param({"kind": "html_502"}, id="html-502"),
        pytest.param({"kind": "html_502", "commit": True}, id="html-502-committed"),
        pytest.param({"kind": "html_504", "commit": True}, id="html-504-committed"),
        pytest.param({"kind": "lost_answer"}, id="lost-answer"),
        pytest.param({"kind": "cut_before"}, id="cut-before"),
        pytest.param({"kind": "truncated_body"}, id="truncated"),
        pytest.param({"kind": "wrong_json"}, id="wrong-json"),
        pytest.param({"kind": "empty_answer"}, id="empty"),
    ],
)
def test_a_request_that_fails_as_a_whole(make_world: Callable[..., World], fault: dict[str, Any], times: int) -> None:
    """Whatever became of the request, each contact is written once, and the journal says so."""
    world = make_world()
    world.drift(25)
    world.faults(fault | {"method": CONTACT_UPDATE, "times": times})
    finished = world.run()
    assert (finished.report.status, world.outcomes()) == (Status.APPLIED, {"applied": 25})
    assert (world.portal.drift(), world.portal.stats()["updates_applied"]) == (0, 25)


@pytest.mark.parametrize(
    ("fault", "result", "detail", "written"),
    [
        pytest.param(
            {"kind": "command_error", "description": "Not found"},
            "failed",
            "refused, though the contact is there with its old owner",
            False,
            id="not-found-and-there",
        ),
        pytest.param(
            {"kind": "command_error", "description": "Access denied."}, "denied", "no right", False, id="denied"
        ),
        pytest.param(
            {"kind": "command_error", "code": "ERROR_CORE", "description": "E-mail is wrong<br>"},
            "failed",
            "E-mail is wrong<br>",
            False,
            id="error-core",
        ),
        pytest.param(
            {"kind": "command_error", "code": "INTERNAL_SERVER_ERROR"}, "failed", "4 attempts", False, id="internal"
        ),
        pytest.param(
            {"kind": "command_error", "code": "INTERNAL_SERVER_ERROR", "times": 3},
            "applied",
            "",
            True,
            id="internal-in-passing",
        ),
        pytest.param({"kind": "missing_result"}, "applied", "", True, id="no-answer"),
        pytest.param({"kind": "operation_limit", "times": 1}, "applied", "", True, id="operation-limit"),
        pytest.param({"kind": "operation_limit"}, "failed", "4 attempts", False, id="operation-limit-for-ever"),
    ],
)
def test_one_command_that_fails(
    make_world: Callable[..., World], fault: dict[str, Any], result: str, detail: str, *, written: bool
) -> None:
    """Two contacts in trouble cost two outcomes; the rest of their batch is applied and journalled."""
    world = make_world()
    world.drift(12)
    world.faults(*(of_update(contact=contact, **fault) for contact in (3, 8)))
    finished = world.run()
    expected = dict.fromkeys(range(1, 13), "applied") | {3: result, 8: result}
    assert world.results() == expected
    assert world.portal.drift() == (0 if written else 2)
    details = {row.change.contact: row.detail for row in world.journal.changes(finished.report.run or 0)}
    assert detail in details[3]
    assert finished.report.status is (Status.PARTIAL if result in ("denied", "failed") else Status.APPLIED)
    assert total(finished) == finished.report.drift == 12


def test_an_operation_limit_inside_a_batch_is_waited_for(make_world: Callable[..., World]) -> None:
    """The rejected half is requeued, nothing more is tried for 300 seconds, then it is applied."""
    world = make_world()
    world.drift(30)
    world.faults(of_update("operation_limit", times=6))
    world.run()
    assert world.outcomes() == {"applied": 30}
    assert sum(len(write.updates) for write in world.witness.writes) == 36
    assert world.witness.writes[1].arrived >= 300
    assert world.portal.stats()["rejected"] == {"OPERATION_TIME_LIMIT": 6}


def test_an_answer_that_is_neither_yes_nor_an_error(make_world: Callable[..., World]) -> None:
    """Success is `true` and nothing else; what was written all the same is told as written."""
    world = make_world()
    world.drift(3)
    meddle(world, 1, f"assigned_by_id = {ANN}")

    def reword(body: bytes) -> bytes:
        answer = json.loads(body)
        results = answer["result"]["result"]
        first, second, *_ = [key for key, result in results.items() if result is True] or ("", "")
        results |= {first: False, second: None} if first else {}
        return json.dumps(answer).encode()

    world.witness.reword = reword
    world.run()
    assert world.results() == {1: "conflict", 2: "applied", 3: "applied"}
    assert "whether it was written is not known" in world.journal.changes(1)[0].detail


def test_a_batch_that_was_carried_out_in_part(make_world: Callable[..., World]) -> None:
    """A partial batch: what was not carried out is sent again, the rest is read back and believed."""
    world = make_world()
    world.drift(10)
    world.faults(of_update("partial_batch", commands=11, times=1))
    world.run()
    assert world.outcomes() == {"applied": 10}
    assert [len(write.updates) for write in world.witness.writes] == [10, 6]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "short_page"}, id="short"),
        pytest.param({"kind": "empty_page"}, id="empty"),
        pytest.param({"kind": "command_error", "code": "INTERNAL_SERVER_ERROR"}, id="error"),
        pytest.param({"kind": "command_error", "code": "", "description": "Access denied."}, id="denied"),
        pytest.param({"kind": "missing_result"}, id="missing"),
        pytest.param({"kind": "operation_limit"}, id="operation-limit"),
    ],
)
@pytest.mark.parametrize("method", ["crm.contact.list", "crm.company.list", "user.get"])
@pytest.mark.parametrize("times", [1, None], ids=["once", "all-of-them"])
def test_a_precondition_that_fails_writes_nothing(
    make_world: Callable[..., World], fault: dict[str, Any], method: str, times: int | None
) -> None:
    """Whatever its answer is, its write is refused by the portal, and tried again when all are whole."""
    world = make_world()
    world.drift(30)
    spoiled: list[Any] = []

    def spoil(exchange: Any) -> None:
        if exchange.updates and not spoiled:
            spoiled.append(exchange)
            world.faults({**fault, "method": method, "request": exchange.number} | ({"times": times} if times else {}))

    def look(exchange: Any) -> None:
        if exchange in spoiled and fault["kind"] != "short_page" and (times is None or method != "crm.contact.list"):
            assert exchange.edits_before == exchange.edits_after

    world.witness.before, world.witness.after = spoil, look
    world.run()
    assert spoiled
    assert world.outcomes() == {"applied": 30}
    assert world.portal.stats()["noop_updates"] == 0


def test_the_contact_with_number_one_is_never_written_by_chance(make_world: Callable[..., World]) -> None:
    """A bare macro of a failed precondition is an array, which PHP casts to 1: the 0 in front of it refuses."""
    world = make_world()
    world.drift(12)
    world.office.database.write("UPDATE contact SET company_id = NULL WHERE id = 1")

    def spoil(exchange: Any) -> None:
        if exchange.updates and len(world.witness.writes) == 1:
            world.faults({"kind": "operation_limit", "method": "crm.contact.list", "request": exchange.number})

    world.witness.before = spoil
    world.run()
    assert world.owner_of(1) == ANN
    assert world.outcomes() == {"applied": 11}


def test_a_precondition_that_always_fails_gives_the_contacts_up(make_world: Callable[..., World]) -> None:
    """After four attempts each contact is told as failed, and nothing was written."""
    world = make_world()
    world.drift(5)

    def spoil(exchange: Any) -> None:
        if exchange.updates:
            world.faults({"kind": "empty_page", "method": "crm.company.list"})

    world.witness.before = spoil
    finished = world.run()
    assert finished.report.status is Status.PARTIAL
    assert world.outcomes() == {"failed": 5}
    assert len(world.witness.writes) == 4
    assert world.portal.history == []


def test_preconditions_that_fail_in_every_request_end_the_run(make_world: Callable[..., World]) -> None:
    """A portal that answers none of them is left alone after 25 requests."""
    world = make_world(chunks=ChunkLimits(start=1, most=1))
    world.drift(30)

    def spoil(exchange: Any) -> None:
        if exchange.updates:
            world.faults({"kind": "command_error", "code": "INTERNAL_SERVER_ERROR", "method": "crm.company.list"})

    world.witness.before = spoil
    finished = world.run()
    assert isinstance(finished.failure, ServerFaultError)
    assert len(world.witness.writes) == 25
    assert world.portal.history == []


@pytest.mark.parametrize("shown", [[], [{"ID": "nothing"}], None], ids=["short", "foreign", "missing"])
def test_a_read_back_that_makes_no_sense_is_taken_again(make_world: Callable[..., World], shown: Any) -> None:
    """It decides nothing: the contacts are read in a request of its own."""
    world = make_world()
    world.drift(1)
    answers: list[bytes] = []

    def reword(body: bytes) -> bytes:
        answer = json.loads(body)
        results = answer["result"]["result"]
        if True in results.values() and not answers:
            answers.append(body)
            last = list(results)[-1]
            if shown is None:
                del results[last]
            else:
                results[last] = shown
        return json.dumps(answer).encode()

    world.witness.reword = reword
    world.run()
    assert answers
    assert world.outcomes() == {"applied": 1}
    assert len(world.witness.writes) == 1


def test_a_portal_that_ignores_the_conditions_of_a_list_is_written_no_more(make_world: Callable[..., World]) -> None:
    """What was not asked for came back: no precondition can be believed, and the run ends."""
    world = make_world()
    world.drift(30)
    for company in range(201, 260):
        world.office.company(company, BOB)

    def spoil(exchange: Any) -> None:
        if exchange.updates:
            world.faults({"kind": "dropped_filter", "method": "crm.company.list", "request": exchange.number})

    world.witness.before = spoil
    finished = world.run()
    assert isinstance(finished.failure, BlockedError)
    assert "ignores the conditions" in str(finished.failure)
    assert len(world.witness.writes) == 1


def test_a_read_time_out_while_the_portal_goes_on(make_world: Callable[..., World]) -> None:
    """The portal finishes ten slow updates after we hung up: they are waited for, and nothing is written twice."""
    world = make_world(profile=EACH_SECOND, read_timeout=5.0)
    world.drift(25)
    world.run()
    assert world.outcomes() == {"applied": 25}
    sizes = [len(write.updates) for write in world.witness.writes]
    assert sizes[:2] == [10, 5]
    assert sum(sizes) == 25
    assert world.witness.writes[1].arrived >= 60


def test_the_portals_cut_in_the_middle_of_a_batch(make_world: Callable[..., World]) -> None:
    """Ten updates of eight seconds each are cut after seven: the rest follows in smaller chunks."""
    world = make_world(profile=Profile(write_median=8.0))
    world.drift(20)
    world.run()
    assert world.outcomes() == {"applied": 20}
    sizes = [len(write.updates) for write in world.witness.writes]
    assert sizes[:2] == [10, 5]
    assert max(sizes[1:]) <= 5
    assert world.portal.stats()["updates_applied"] == 20


def test_a_write_that_takes_effect_after_we_gave_up_waiting(make_world: Callable[..., World]) -> None:
    """A portal commits after more than a minute: our own write is not taken for somebody else's, nor sent again."""
    world = make_world()
    world.drift(4)
    world.faults(of_update("cut_before", times=1))

    def commit_late(exchange: Any) -> None:
        if exchange.updates and len(world.witness.writes) == 3:
            world.office.database.write("UPDATE contact SET assigned_by_id = ? WHERE id = 4", (BOB,))

    world.witness.before = commit_late
    world.run()
    assert world.outcomes() == {"applied": 4}
    assert [sorted(write.updates) for write in world.witness.writes] == [[1, 2, 3, 4], [1, 2], [3, 4]]
    assert world.portal.stats()["updates_applied"] == 3
    details = {row.change.contact: row.detail for row in world.journal.changes(1)}
    assert details[4] == "an earlier attempt took effect late"


def test_a_person_acts_while_a_lost_answer_is_looked_into(make_world: Callable[..., World]) -> None:
    """After a lost answer a person gives a contact away, another is deleted: both are told, neither is written."""
    world = make_world()
    world.drift(10)
    world.faults(of_update("cut_before", times=1))

    def interfere(_: Any) -> None:
        if len(world.witness.writes) == 1 and not world.witness.exchanges[-1].updates:
            world.portal.people.edit_contact(3, CLEO, assigned_by_id=CLEO)
            world.portal.people.delete_contact(4)

    world.witness.before = interfere
    world.run()
    assert world.results() == dict.fromkeys(range(1, 11), "applied") | {3: "conflict", 4: "gone"}
    assert world.owner_of(3) == CLEO


def test_a_request_that_is_too_long_is_halved(make_world: Callable[..., World]) -> None:
    """A stingy web server costs smaller chunks, not the run."""
    world = make_world(max_body=1500)
    world.drift(30)
    world.run()
    assert world.outcomes() == {"applied": 30}
    sizes = [len(write.updates) for write in world.witness.writes]
    assert sizes[:6] == [10, 5, 2, 4, 2, 3]
    assert set(sizes[6:]) <= {1, 2}  # what was too long is not tried again


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"kind": "rate_limited"}, RateLimitedError, id="rate-limited"),
        pytest.param({"kind": "error", "status": 413, "code": "x"}, TooLargeError, id="too-large"),
        pytest.param({"kind": "error", "status": 401, "code": "expired_token"}, AuthorizationError, id="auth"),
    ],
)
def test_a_request_that_is_never_let_through_fails_the_run(
    make_world: Callable[..., World], fault: dict[str, Any], error: type[Exception]
) -> None:
    """Refusals of whole requests end the run; what was intended stays open, and the next run settles it."""
    world = make_world()
    world.drift(3)
    world.faults(fault | {"method": CONTACT_UPDATE})
    finished = world.run()
    assert isinstance(finished.failure, error)
    assert (finished.report.status, world.outcomes()) == (Status.FAILED, {"open": 3})
    assert world.portal.history == []
    world.faults()
    assert world.run().report.status is Status.APPLIED
    assert world.outcomes(1) == {"failed": 3}
    assert world.outcomes(2) == {"applied": 3}


def test_answers_that_are_always_lost_end_the_run_in_time(make_world: Callable[..., World]) -> None:
    """Each loss costs a minute: after 25 in a row the portal is left alone until the next sweep."""
    world = make_world()
    world.drift(200)
    world.faults(of_update("internal_error"))
    finished = world.run()
    assert isinstance(finished.failure, ServerFaultError)
    assert len(world.witness.writes) == 25
    assert 24 * 60 < finished.report.usage.duration_seconds < 31 * 60
    assert set(world.outcomes()) == {"failed", "open"}
    world.faults()
    world.run()
    assert world.portal.drift() == 0


def test_one_contact_that_breaks_its_request_costs_one_contact(make_world: Callable[..., World]) -> None:
    """A contact whose update ends the portal's process is given up after four attempts; the rest is applied."""
    world = make_world()
    world.drift(20)

    def break_it(exchange: Any) -> None:
        if 5 in exchange.updates:
            world.faults({"kind": "html_502", "request": exchange.number})

    world.witness.before = break_it
    world.run()
    results = world.results()
    assert (results.pop(5), set(results.values())) == ("failed", {"applied"})


def test_a_webhook_that_loses_its_rights_in_the_middle(make_world: Callable[..., World]) -> None:
    """The answer to one update says that the scope is gone: the others are settled, then the run ends."""
    world = make_world()
    world.drift(10)
    world.faults(of_update("command_error", code="insufficient_scope", description="", contact=6))
    finished = world.run()
    assert isinstance(finished.failure, MissingScopeError)
    assert world.results() == dict.fromkeys(range(1, 11), "applied") | {6: "open"}


def test_an_error_for_an_update_that_was_made(make_world: Callable[..., World]) -> None:
    """F11.25: a third party's handler turns a written update into an error; the read-back knows better."""
    world = make_world()
    world.drift(3)
    world.faults(
        of_update("human_edit_between", contact=2, contact_id=2, owner=BOB),
        of_update("command_error", code="ERROR_CORE", description="handler", contact=2),
    )
    world.run()
    assert world.results() == {1: "applied", 2: "applied", 3: "applied"}


def test_an_update_that_is_confirmed_and_not_made(make_world: Callable[..., World]) -> None:
    """The portal says yes, but the contact keeps its owner, or is out of sight, or a person was quicker."""
    world = make_world()
    world.drift(4)
    for contact, then in ((1, f"assigned_by_id = {ANN}"), (2, "category_id = 5"), (3, f"assigned_by_id = {CLEO}")):
        meddle(world, contact, then)
    finished = world.run()
    assert world.results() == {1: "failed", 2: "unknown", 3: "conflict", 4: "applied"}
    assert finished.report.status is Status.PARTIAL
