"""Operating seconds and the sixty-second cut: F5.2, F5.3 and F15 as the portal applies them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.portal_fixture import ANN, BOB, START, Office, command

from reconciler.clock import SystemClock, VirtualClock
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.meters import OperatingMeter, OperatingModel


def office_with(
    model: OperatingModel = OperatingModel.DOCS,
    *,
    limit: float | None = 480,
    ban: bool = False,
    read: float = 0.0,
    write: float = 0.0,
) -> Office:
    """Return an office that takes so many seconds a call, with a meter on the same clock."""
    clock = VirtualClock()
    costs = CostModel(Profile(read=read, write_median=write))
    office = Office(clock=clock, costs=costs, meter=OperatingMeter(clock, model, limit, ban))
    office.contacts(60)
    return office


def test_operating_of_a_call() -> None:
    """F5.2: the sum after this call, and when its oldest bucket expires."""
    office = office_with(read=1)
    time = office.call("crm.contact.list").json["time"]
    assert (time["operating"], time["operating_reset_at"]) == (1, START + 601)
    assert office.call("crm.contact.list").json["time"]["operating"] == 2
    assert office.portal.stats()["operating_seconds"] == {"crm.contact.list": 2}


def test_fast_calls_are_not_counted() -> None:
    """F15: calls of at most 0.1 s add nothing, one by one."""
    office = office_with(read=0.1)
    times = office.batch({f"c{number}": "crm.contact.list" for number in range(50)})["result_time"]
    assert {time["operating"] for time in times.values()} == {0}


def test_operating_stands_with_each_command() -> None:
    """F5.2: in a batch per command in result_time, not in errors."""
    office = office_with(read=1)
    answer = office.call("batch", cmd={"a": "crm.contact.list", "b": "crm.contact.get?id=99", "c": "crm.contact.list"})
    times = answer.result["result_time"]
    assert [times[key]["operating"] for key in ("a", "c")] == [1, 2]
    assert answer.result["result_error"] == {"b": {"error": "", "error_description": "Not found"}}
    assert answer.json["time"]["operating"] == 0


@pytest.mark.parametrize(
    ("model", "told"),
    [
        pytest.param(OperatingModel.BATCH, [2.7, 2.7, 2.7], id="all-say-the-sum"),
        pytest.param(OperatingModel.FIRST, [2.7, 0, 0], id="only-the-first-says-it"),
    ],
)
def test_a_batch_that_is_billed_as_one_is_billed_at_its_end(model: OperatingModel, told: list[float]) -> None:
    """F15: as recorded: no sub-result says less than the envelope, whichever call it was; a failed one says nothing."""
    office = office_with(model, write=0.9)
    cmd = {"gone": "crm.contact.update?id=99&fields[A]=1"}
    answer = office.call("batch", cmd=cmd | {f"u{i}": f"crm.contact.update?id={i}&fields[A]=1" for i in (1, 2, 3)})
    assert [time["operating"] for time in answer.result["result_time"].values()] == told
    assert answer.json["time"]["operating"] == 2.7


def test_the_reset_is_on_the_portals_own_clock() -> None:
    """F5.2: operating_reset_at is measured by the clock that wrote the answer, however wrong it goes."""
    office = office_with(read=1)
    office.portal.clock_offset = 90.5
    time = office.call("crm.contact.list").json["time"]
    assert time["operating_reset_at"] == START + 601 + 90
    assert time["operating_reset_at"] - time["finish"] == pytest.approx(600, abs=1)


def test_no_counters_at_all() -> None:
    """F15: counters may be absent; F5.3: they are when the limiter is off."""
    for office in (office_with(OperatingModel.ABSENT, read=1), office_with(limit=None, read=1)):
        assert "operating" not in office.call("crm.contact.list").json["time"]


def test_a_blocked_method() -> None:
    """F5.2: HTTP 429 before execution, without time; other methods go on."""
    office = office_with(limit=2, read=3)
    assert office.call("crm.contact.list").status == 200
    answer = office.call("crm.contact.list")
    assert answer.status == 429
    assert answer.json == {
        "error": "OPERATION_TIME_LIMIT",
        "error_description": "Method is blocked due to operation time limit.",
    }
    assert office.call("crm.contact.get", id=1).status == 200
    assert office.portal.stats()["commands"] == {"crm.contact.get": 1, "crm.contact.list": 1}


def test_a_blocked_method_inside_a_batch() -> None:
    """F5.2: HTTP 200, result_error for each command of the method, others run."""
    office = office_with(limit=2, write=1.5)
    cmd = {f"u{number}": f"crm.contact.update?id={number}&fields[ASSIGNED_BY_ID]={BOB}" for number in range(1, 5)}
    maps = office.batch(cmd | {"read": "crm.contact.list"})
    assert list(maps["result"]) == ["u1", "u2", "read"]
    assert {error["error"] for error in maps["result_error"].values()} == {"OPERATION_TIME_LIMIT"}
    assert [office.owner_of(number) for number in range(1, 5)] == [BOB, BOB, ANN, ANN]
    assert office.portal.stats()["rejected"] == {"OPERATION_TIME_LIMIT": 2}


def test_a_blocked_batch() -> None:
    """F5.2, F15: where `batch` itself is billed, it is `batch` that is refused."""
    office = office_with(OperatingModel.BATCH, limit=2, ban=True, read=6)
    assert office.call("batch", cmd={"a": "crm.contact.list"}).status == 200
    answer = office.call("batch", cmd={"a": "crm.contact.list"})
    assert (answer.status, answer.error[0]) == (429, "OPERATION_TIME_LIMIT")
    office.clock.sleep(300)
    assert office.call("batch", cmd={"a": "profile"}).status == 200


def test_the_cut_in_mid_batch() -> None:
    """F5.3, F11.18: after sixty seconds the answer is HTML 504; what was carried out stays, the rest never is."""
    office = office_with(write=25)
    cmd = {f"u{number}": f"crm.contact.update?id={number}&fields[ASSIGNED_BY_ID]={BOB}" for number in range(1, 6)}
    answer = office.call("batch", cmd=cmd)
    assert answer.status == 504
    assert answer.response.headers["Content-Type"] == "text/html"
    assert office.clock.monotonic() == 60
    assert [office.owner_of(number) for number in range(1, 6)] == [BOB, BOB, BOB, ANN, ANN]
    assert office.portal.stats()["commands"] == {"crm.contact.update": 3}
    # The envelope is not counted again, so that the sum over methods is the time spent.
    assert office.portal.stats()["server_seconds"] == {"crm.contact.update": 60}


def test_the_cut_of_a_single_call() -> None:
    """F5.3: a single call too; the update was carried out all the same."""
    office = Office(costs=CostModel(Profile(write_median=10)), request_seconds=5)
    office.contact(1)
    assert office.call("crm.contact.update", id=1, fields={"ASSIGNED_BY_ID": BOB}).status == 504
    assert office.clock.monotonic() == 5
    assert office.owner_of(1) == BOB


def test_a_person_edits_in_the_meantime() -> None:
    """The portal waits outside its locks, so others get at the data between two commands."""
    office = office_with(read=10)
    seen = []
    office.clock.call_later(15, lambda: office.portal.people.edit_contact(1, ANN, assigned_by_id=BOB))
    look = command("crm.contact.get", {"id": 1})
    maps = office.batch({"a": look, "b": look, "c": look})
    seen = [maps["result"][key]["ASSIGNED_BY_ID"] for key in "abc"]
    assert seen == [str(ANN), str(ANN), str(BOB)]


def test_reset() -> None:
    """Counters, history, limits and faults start again; the data stay."""
    office = office_with(limit=2, read=3)
    office.call("crm.contact.list")
    office.portal.people.edit_contact(1, ANN, assigned_by_id=BOB)
    office.portal.faults.load([{"kind": "html_502"}])
    office.portal.reset()
    assert office.portal.history == []
    stats = office.portal.stats()
    assert (stats["requests"], stats["commands"], stats["operating_seconds"]) == (0, {}, {})
    assert office.call("crm.contact.list").status == 200
    assert office.owner_of(1) == BOB
    bare = Office()
    bare.portal.reset()
    assert bare.portal.stats()["requests"] == 0


def test_eight_workers() -> None:
    """Eight threads at once, readers and writers, and nothing is lost."""
    office = Office(clock=SystemClock())
    office.contacts(40)

    def work(contact_id: int) -> int:
        cmd = {"write": f"crm.contact.update?id={contact_id}&fields[ASSIGNED_BY_ID]={BOB}", "read": "crm.contact.list"}
        return len(office.batch(cmd)["result"]["read"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(1, 41))) == {40}
    stats = office.portal.stats()
    assert (stats["requests"], stats["updates_applied"]) == (40, 40)
    assert {office.owner_of(contact_id) for contact_id in range(1, 41)} == {BOB}


@pytest.mark.parametrize("key", ["requests", "batches", "commands", "server_seconds", "operating_seconds", "rejected"])
def test_statistics_have_all_keys(key: str) -> None:
    """The keys of /_sim/stats are there from the start."""
    stats = Office().portal.stats()
    assert key in stats
    assert {"updates_applied", "noop_updates", "notices", "drift"} <= set(stats)
