"""Plans that are too large, or rest on a suspicious read, against a portal that really is so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.trust import ANN, BOB, CLEO, DIRECTOR, DORA
from support.world import change

from reconciler.core.guard import Limit
from reconciler.core.model import Cause, Status
from reconciler.errors import UsageError
from reconciler.journal.records import ApprovalState
from reconciler.portal.read.sweep import Scope
from reconciler.reporting.wording import summary_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.trust import TrustWorld
    from support.world import Exchange

    from reconciler.engine.run import RunResult


def hide(world: TrustWorld, share: float, *, hidden: bool = True) -> None:
    """Let the webhook's user lose sight of a share of the companies, or see them again."""
    numbers = [row["id"] for row in world.portal.database.rows("SELECT id FROM company ORDER BY id")]
    for number in numbers[: round(len(numbers) * share)]:
        world.portal.database.write("UPDATE company SET is_my_company = ? WHERE id = ?", ("NY"[hidden], number))


def readings(world: TrustWorld) -> int:
    """Count how often all companies were read."""
    return sum(exchange.surveys for exchange in world.witness.exchanges)


def refused(world: TrustWorld, finished: RunResult, *limits: Limit) -> None:
    """Hold that nothing was written, and that the refusal waits for approval with its numbers."""
    assert finished.report.status is Status.REFUSED
    assert finished.refusal is not None
    assert {breach.limit for breach in finished.refusal.verdict.breaches} == set(limits)
    assert world.written() == []
    (record,) = world.journal.approvals.open("portal")
    assert (record.state, record.digest) == (ApprovalState.WAITING, finished.refusal.digest)
    assert record.count == len(finished.refusal.verdict.held)
    assert f"reconciler approve {record.digest[:12]}" in record.sentence
    assert world.journal.runs(1)[0].report.error == record.sentence


def test_a_company_list_that_comes_back_shorter(trust: Callable[..., TrustWorld]) -> None:
    """It is read once more, and not believed then either: nothing is written, and the old count stays the measure."""
    world = trust()
    world.population(50, 2)
    assert world.tick().report.status is Status.IN_SYNC
    hide(world, 0.4)
    world.give(99, CLEO)
    before = readings(world)
    refused(world, world.tick(), Limit.COMPANIES)
    assert readings(world) == before + 2
    world.pass_time(3600)
    refused(world, world.tick(), Limit.COMPANIES)
    last = world.journal.sweeps.known("portal").last
    assert last is not None
    assert last.companies == 50
    hide(world, 0.4, hidden=False)
    assert world.tick().report.status is Status.APPLIED
    assert world.written() == [(99, BOB)]


def test_a_shorter_list_is_not_remembered_where_nothing_is_to_be_written(trust: Callable[..., TrustWorld]) -> None:
    """A sweep without drift is compared with the old count, too: else the next one would be believed."""
    world = trust()
    world.population(50, 2)
    world.tick()
    hide(world, 0.4)
    assert world.tick().report.status is Status.INCOMPLETE
    world.give(99, CLEO)
    refused(world, world.tick(), Limit.COMPANIES)


def test_a_portal_of_which_companies_are_missing_is_not_in_sync(trust: Callable[..., TrustWorld]) -> None:
    """Nothing is to be written, and it is not known what the contacts of 20 companies have come to."""
    world = trust()
    world.population(50, 2)
    world.tick()
    hide(world, 0.4)
    finished = world.tick()
    assert (finished.report.status, finished.report.not_compared, finished.report.compared) == (
        Status.INCOMPLETE,
        40,
        60,
    )
    assert "40.0% of the 50 companies of the last complete sweep are missing (limit 20%)" in (
        finished.report.error or ""
    )
    assert world.journal.runs(1)[0].report == finished.report
    world.configure(guard={"companies": 0.5})
    finished = world.tick()
    assert summary_line(finished.report).startswith(
        "in sync: 60 contacts of 30 companies; 40 contacts not compared (of companies that are one's own, "
    )
    world.configure()
    assert world.tick().report.status is Status.IN_SYNC


def test_a_list_that_is_whole_again_at_the_second_look(trust: Callable[..., TrustWorld]) -> None:
    """A hiccup of the portal costs one more look, and nothing else."""
    world = trust()
    world.population(50, 2)
    world.tick()
    hide(world, 0.4)
    world.give(99, CLEO)
    before = readings(world)

    def watch(_: Exchange) -> None:
        if readings(world) == before + 2:
            hide(world, 0.4, hidden=False)

    world.witness.before = watch
    assert world.tick().report.status is Status.APPLIED
    assert world.written() == [(99, BOB)]


def test_a_shorter_list_that_somebody_agreed_to(trust: Callable[..., TrustWorld]) -> None:
    """Approved with the number of missing companies before the eyes, it is the measure from then on."""
    world = trust()
    world.population(50, 2)
    world.tick()
    hide(world, 0.4)
    world.give(99, CLEO)
    finished = world.tick()
    assert finished.refusal is not None
    world.approve(finished.refusal.digest)
    assert world.tick().report.status is Status.APPLIED
    last = world.journal.sweeps.known("portal").last
    assert last is not None
    assert last.companies == 30


def test_an_earlier_approval_says_nothing_of_missing_companies(trust: Callable[..., TrustWorld]) -> None:
    """What was approved before the list came back shorter is written; the list is still not believed."""
    world = trust(settings={"guard": {"changes": 1}})
    world.population(50, 2)
    world.tick()
    for contact in (97, 99):
        world.give(contact, CLEO)
    finished = world.tick()
    assert finished.refusal is not None
    world.approve(finished.refusal.digest)
    hide(world, 0.4)
    assert world.tick().report.status is Status.APPLIED
    last = world.journal.sweeps.known("portal").last
    assert last is not None
    assert last.companies == 50


def director(world: TrustWorld) -> None:
    """Let a director own 400 companies whose 2,000 contacts are Ann's."""
    world.population(400, 5, DIRECTOR)
    world.portal.database.write("UPDATE contact SET assigned_by_id = ?", (ANN,))


def many(world: TrustWorld) -> None:
    """Let 30 % of 600 contacts have another owner than their company."""
    world.population(120, 5)
    world.portal.database.write("UPDATE contact SET assigned_by_id = 7 + id % 2 * 2 WHERE id <= 180")


@pytest.mark.parametrize(
    ("fill", "guard", "limits"),
    [
        pytest.param(
            director, {}, {Limit.CHANGES, Limit.SHARE, Limit.GAINED, Limit.LOST}, id="a-director-would-gain-2000"
        ),
        pytest.param(director, {"changes": 9_999, "share": 1, "lost": 9_999}, {Limit.GAINED}, id="gain-alone"),
        pytest.param(many, {}, {Limit.SHARE}, id="thirty-percent"),
    ],
)
def test_too_much_at_once(
    trust: Callable[..., TrustWorld],
    fill: Callable[[TrustWorld], None],
    guard: dict[str, float],
    limits: set[Limit],
) -> None:
    """Nothing is written, slot after slot, and the service goes on saying so."""
    world = trust(settings={"guard": guard})
    fill(world)
    for _ in range(2):
        refused(world, world.tick(), *limits)


def test_a_director_who_owns_half_of_the_portal_gains_by_edits(trust: Callable[..., TrustWorld]) -> None:
    """After a sweep, too: what is no hand-over is held against the director."""
    world = trust(settings={"guard": {"gained": 100, "share": 1}})
    world.population(60, 2, DIRECTOR)
    world.tick()
    world.portal.database.write("UPDATE contact SET assigned_by_id = ?, date_modify = ?", (ANN, world.portal.wall()))
    finished = world.tick()
    refused(world, finished, Limit.GAINED)
    assert "Dan" in str(finished.report.error)


def test_a_person_who_hands_over_300_companies_is_followed(trust: Callable[..., TrustWorld]) -> None:
    """900 contacts move from one person to another without anybody being asked."""
    world = trust()
    world.population(300, 3, ANN)
    world.population(1_700, 5, BOB, first=10_001)
    assert world.quick_tick().report.status is Status.IN_SYNC
    for company in range(1, 301):
        world.hand_over(company, CLEO)
    finished = world.quick_tick()
    assert finished.report.status is Status.APPLIED
    assert finished.report.causes == {Cause.COMPANY_OWNER_CHANGED: 900}
    assert len(world.written()) == 900
    assert world.portal.drift() == 0


@pytest.mark.parametrize(("contacts", "stopped"), [(2, False), (3, True)])
def test_another_installation_under_the_same_account(
    trust: Callable[..., TrustWorld], contacts: int, stopped: bool
) -> None:
    """What the webhook's account changed back, and the journal does not know, another installation wrote."""
    world = trust()
    world.population(50, 2)
    for contact in range(1, 6):
        world.give(contact, CLEO)
    assert world.tick().report.status is Status.APPLIED
    for contact in range(1, contacts + 1):
        world.office.call("crm.contact.update", id=contact, fields={"ASSIGNED_BY_ID": CLEO})
    written = world.written()
    finished = world.tick()
    if not stopped:
        assert finished.report.status is Status.APPLIED
        return
    assert finished.refusal is not None
    assert {breach.limit for breach in finished.refusal.verdict.breaches} == {Limit.RIVAL}
    assert "another installation seems to work on this portal" in finished.refusal.sentence
    assert world.written() == written
    world.journal.approvals.approve("portal", finished.refusal.digest, by="me", how="test", lasts=timedelta(days=1))
    assert world.tick().report.status is Status.APPLIED


# What is held back, and what goes on --------------------------------------------------------------------------------


def two_groups(trust: Callable[..., TrustWorld], **guard: int) -> TrustWorld:
    """Make a world where five contacts should go to Bob, and three to Dora."""
    world = trust(settings={"guard": guard})
    world.office.company(101, BOB)
    world.office.company(102, DORA)
    for number in range(1, 6):
        world.office.contact(number, ANN, 101)
    for number in range(6, 9):
        world.office.contact(number, CLEO, 102)
    return world


def test_what_waits_does_not_stop_the_rest(trust: Callable[..., TrustWorld]) -> None:
    """Ann would lose too many: those wait, what Cleo loses is written, and so is what comes up later."""
    world = two_groups(trust, lost=4)
    finished = world.tick()
    assert (finished.report.status, finished.let_through) == (Status.REFUSED, 3)
    assert world.owners(*range(1, 9)) == [ANN] * 5 + [DORA] * 3
    assert finished.refusal is not None
    assert [change.contact for change in finished.refusal.verdict.held] == [1, 2, 3, 4, 5]
    assert "8 contacts would get another owner, and 5 of them wait for approval; " in finished.refusal.sentence
    world.office.contact(9, CLEO, 102)
    assert world.tick().report.status is Status.REFUSED
    assert world.written() == [(6, DORA), (7, DORA), (8, DORA), (9, DORA)]
    world.approve(finished.refusal.digest)
    assert world.tick().report.status is Status.APPLIED
    assert world.portal.drift() == 0


@pytest.mark.parametrize("then", ["nothing", "withdrawn", "a part looked at", "restarted", "another refusal"])
def test_what_waits_is_not_let_through_in_parts(trust: Callable[..., TrustWorld], then: str) -> None:
    """Eight are too many, and five are, too: they stay as they are in each later run, until somebody says yes."""
    world = two_groups(trust, changes=4)
    finished = world.tick()
    assert finished.refusal is not None
    assert world.written() == [(6, DORA), (7, DORA), (8, DORA)]
    if then == "withdrawn":
        world.journal.approvals.withdraw("portal", finished.refusal.digest)
    elif then == "a part looked at":
        world.configure(guard={"changes": 2})
        world.run(scope=Scope(companies=(101,)))
        world.configure(guard={"changes": 4})
    elif then == "restarted":
        world.restart()
    elif then == "another refusal":
        world.journal.approvals.wait("portal", [change(77, 101)], numbers={}, sentence="another one")
    for _ in range(3):
        assert world.tick().report.status is Status.REFUSED
    assert world.owners(*range(1, 6)) == [ANN] * 5
    world.approve(finished.refusal.digest)
    if then == "withdrawn":
        (waiting,) = world.journal.approvals.open("portal")
        world.approve(waiting.digest)
    world.tick()
    assert world.portal.drift() == 0


def test_what_nobody_wants_any_more_does_not_wait(trust: Callable[..., TrustWorld]) -> None:
    """Somebody puts it right by hand: first a part, and the rest still waits; then all, and the run is in sync."""
    world = two_groups(trust, changes=4)
    world.tick()
    for contact in (1, 2):
        world.give(contact, BOB)
    finished = world.tick()
    assert finished.refusal is not None
    assert finished.refusal.sentence.startswith(
        "held back by the guard in an earlier run, none of it written: 3 contacts would get another owner; "
    )
    (record,) = world.journal.approvals.open("portal")
    assert (record.count, record.left, record.digest) == (3, 3, finished.refusal.digest)
    for contact in (3, 4, 5):
        world.give(contact, BOB)
    assert world.tick().report.status is Status.IN_SYNC
    assert world.journal.approvals.open("portal") == []


def test_an_undo_is_held_back_in_part(trust: Callable[..., TrustWorld]) -> None:
    """The smaller group is put back at once; the larger one waits, also when the undo is asked for again."""
    world = two_groups(trust)
    world.tick()
    world.configure(guard={"changes": 4})
    finished = world.undo(run=1)
    assert finished.refusal is not None
    assert (finished.report.status, finished.let_through) == (Status.REFUSED, 3)
    assert world.owners(*range(1, 9)) == [BOB] * 5 + [CLEO] * 3
    again = world.undo(run=1)
    assert (again.report.status, again.let_through) == (Status.REFUSED, 0)
    assert world.owners(*range(1, 6)) == [BOB] * 5
    assert world.undo(run=1, approve=finished.refusal.digest).report.status is Status.APPLIED
    assert world.owners(*range(1, 6)) == [ANN] * 5


def test_latest_is_the_run_before_the_undo(trust: Callable[..., TrustWorld]) -> None:
    """Its number is found when the undo begins, and the journal keeps which run it was."""
    world = two_groups(trust)
    world.tick()
    world.undo(latest=True)
    assert world.owners(*range(1, 9)) == [ANN] * 5 + [CLEO] * 3
    assert world.journal.runs(1)[0].undoes == 1
    world.undo(latest=True)
    assert world.owners(*range(1, 9)) == [BOB] * 5 + [DORA] * 3
    assert world.journal.runs(1)[0].undoes == 2


def test_there_is_no_latest_run_yet(trust: Callable[..., TrustWorld]) -> None:
    """Said so, and no run begins."""
    world = trust()
    with pytest.raises(UsageError, match="there was no run of portal yet"):
        world.undo(latest=True)
    assert world.journal.runs(1) == []
