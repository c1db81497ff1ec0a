"""Each setting of `[policy]` once, from the settings to the portal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.trust import ADMIN, ANN, BOB, CLEO, DIRECTOR, DORA, TrustWorld

from reconciler.core.model import Cause, Result, Rule, Standing, Status, Usage
from reconciler.journal.records import NewException, Selection
from reconciler.reporting.build import as_json, plan_report
from reconciler.reporting.notes import plan_notes

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import Exchange


def office(world: TrustWorld) -> None:
    """Fill a portal: companies 101 of Bob's and 102 of Cleo's, with contacts 1 and 2, and 3 and 4, of Ann's."""
    for company, owner in ((101, BOB), (102, CLEO)):
        world.office.company(company, owner)
    for contact in (1, 2, 3, 4):
        world.office.contact(contact, ANN, 101 if contact < 3 else 102)


@pytest.mark.parametrize(
    ("policy", "prepare", "left"),
    [
        pytest.param({}, None, {}, id="nothing-said"),
        pytest.param({"leave_contacts": [2, 3]}, None, {2: "excluded", 3: "excluded"}, id="leave-contacts"),
        pytest.param({"leave_companies": [101]}, None, {1: "excluded", 2: "excluded"}, id="leave-companies"),
        pytest.param({"only_companies": [102]}, None, {1: "excluded", 2: "excluded"}, id="only-companies"),
        pytest.param({"leave_owners": [CLEO]}, None, {3: "excluded", 4: "excluded"}, id="leave-owners"),
        pytest.param(
            {"leave_departments": [5]},
            "UPDATE user SET departments = '[5]' WHERE id = 8",
            {1: "excluded", 2: "excluded"},
            id="leave-departments",
        ),
        pytest.param(
            {"leave_company_types": ["PARTNER"]},
            "UPDATE company SET company_type = 'PARTNER' WHERE id = 101",
            {1: "excluded", 2: "excluded"},
            id="leave-company-types",
        ),
        pytest.param(
            {"leave_contact_types": ["SUPPLIER"]},
            "UPDATE contact SET type_id = 'SUPPLIER' WHERE id = 4",
            {4: "excluded"},
            id="leave-contact-types",
        ),
        pytest.param(
            {"leave_contact_field": "UF_CRM_OWNER_FIXED"},
            "UPDATE contact SET uf_crm_owner_fixed = '1' WHERE id = 1",
            {1: "excluded"},
            id="yes-no-field-of-a-contact",
        ),
        pytest.param(
            {"leave_company_field": "UF_CRM_OWNER_FIXED"},
            "UPDATE company SET uf_crm_owner_fixed = '1' WHERE id = 102",
            {3: "excluded", 4: "excluded"},
            id="yes-no-field-of-a-company",
        ),
        pytest.param(
            {"scope": "previous-owner"}, None, dict.fromkeys((1, 2, 3, 4), "out_of_scope"), id="scope-previous-owner"
        ),
        pytest.param(
            {"scope": "empty-or-previous"},
            "UPDATE contact SET assigned_by_id = 0 WHERE id = 4",
            dict.fromkeys((1, 2, 3), "out_of_scope"),
            id="scope-empty-or-previous",
        ),
        pytest.param(
            {},
            "INSERT INTO contact_company (contact_id, company_id) VALUES (1, 102)",
            {1: "several_companies"},
            id="several-companies-are-reported",
        ),
        pytest.param(
            {"multi_company": "primary"},
            "INSERT INTO contact_company (contact_id, company_id) VALUES (1, 102)",
            {},
            id="several-companies-follow-the-primary",
        ),
        pytest.param(
            {},
            "UPDATE user SET active = 0 WHERE id = 8",
            {1: "company_owner_dismissed", 2: "company_owner_dismissed"},
            id="dismissed-is-reported",
        ),
    ],
)
def test_what_is_left_alone(
    trust: Callable[..., TrustWorld], policy: dict[str, Any], prepare: str | None, left: dict[int, str]
) -> None:
    """The rest gets its company's owner; what is left is not written, and says why, in the journal too."""
    world = trust(settings={"policy": policy})
    office(world)
    if prepare:
        world.portal.database.write(prepare)
    before = world.owners(1, 2, 3, 4)
    for _ in range(2):
        finished = world.tick()
        assert world.reasons(finished) == left
    wanted = [BOB, BOB, CLEO, CLEO]
    assert world.owners(1, 2, 3, 4) == [before[n - 1] if n in left else wanted[n - 1] for n in (1, 2, 3, 4)]
    assert {d.mismatch.contact: d.reason for d in world.journal.sweeps.standing("portal")} == left
    assert (finished.report.drift, finished.report.standing) == (len(left), len(left))


def test_scope_previous_owner_follows_a_hand_over(trust: Callable[..., TrustWorld]) -> None:
    """Who held the company's earlier owner moves with it; who had a third one stays."""
    world = trust(settings={"policy": {"scope": "previous-owner"}})
    office(world)
    world.give(1, BOB)
    world.tick()
    world.hand_over(101, CLEO)
    world.tick()
    assert world.owners(1, 2) == [CLEO, ANN]


@pytest.mark.parametrize(
    ("policy", "owner", "rule"),
    [
        pytest.param({"dismissed_owner": "successor", "successor": DORA}, DORA, Rule.SUCCESSOR, id="successor"),
        pytest.param({"dismissed_owner": "head"}, DIRECTOR, Rule.HEAD, id="head-two-levels-up"),
    ],
)
def test_the_company_of_somebody_who_left(
    trust: Callable[..., TrustWorld], policy: dict[str, Any], owner: int, rule: Rule
) -> None:
    """Its contacts go to whom the settings name, and then there is nothing left to do."""
    world = trust(settings={"policy": policy})
    office(world)
    for number, parent, head in ((1, 0, DIRECTOR), (2, 1, BOB)):
        world.portal.database.insert("department", id=number, name="d", parent=parent or None, head=head)
    world.portal.database.write("UPDATE user SET departments = '[2]' WHERE id = 8")
    world.portal.people.dismiss_user(BOB)
    world.tick()
    assert world.owners(1, 2, 3, 4) == [owner, owner, CLEO, CLEO]
    assert [row.change.rule for row in world.journal.changes(1)] == [rule, rule, Rule.COMPANY_OWNER, Rule.COMPANY_OWNER]
    assert world.tick().report.status is Status.IN_SYNC


def test_a_successor_who_left_too(trust: Callable[..., TrustWorld]) -> None:
    """Nobody is written, and the report says why."""
    world = trust(settings={"policy": {"dismissed_owner": "successor", "successor": DORA}})
    office(world)
    world.portal.people.dismiss_user(BOB)
    world.portal.people.dismiss_user(DORA)
    assert world.reasons(world.tick()) == {1: "successor_unfit", 2: "successor_unfit"}
    assert world.owners(1, 2) == [ANN, ANN]


@pytest.mark.parametrize("back", [False, True], ids=["edited", "changed-back"])
def test_a_persons_choice_is_respected_until_the_company_changes_hands(
    trust: Callable[..., TrustWorld], *, back: bool
) -> None:
    """Also one that was made against our own write: a new owner of the company starts afresh."""
    world = trust(settings={"policy": {"person_edit": "respect"}})
    office(world)
    if not back:
        world.give(1, BOB)
        world.pass_time(60)
    world.tick()
    world.give(1, DORA)
    for _ in range(3):
        assert world.reasons(world.tick()) == {1: "respected"}
    assert world.owner_of(1) == DORA
    assert world.journal.exceptions.entries("portal", Selection(contacts=[1]))[0].entry.last_editor == CLEO
    world.hand_over(101, CLEO)
    world.tick()
    assert world.owners(1, 2) == [CLEO, CLEO]
    assert world.journal.exceptions.entries("portal") == []


def test_a_released_choice_is_written_and_a_later_one_respected(trust: Callable[..., TrustWorld]) -> None:
    """Whoever releases a contact means the edit that stands; the next edit is another choice."""
    world = trust(settings={"policy": {"person_edit": "respect"}})
    office(world)
    world.tick()
    world.give(1, DORA)
    assert world.reasons(world.tick()) == {1: "respected"}
    left_alone = world.journal.exceptions.entries("portal", Selection(contacts=[1]))
    world.journal.exceptions.release("portal", [entry.id for entry in left_alone], "anna")
    world.tick()
    assert world.owner_of(1) == BOB
    world.pass_time(60)
    world.give(1, DORA)
    for _ in range(2):
        assert world.reasons(world.tick()) == {1: "respected"}
    assert world.owner_of(1) == DORA


def test_a_respected_choice_outlives_the_setting(trust: Callable[..., TrustWorld]) -> None:
    """As `exceptions` and `check` say: until the company changes hands, or a person releases it."""
    world = trust(settings={"policy": {"person_edit": "respect"}})
    office(world)
    world.tick()
    for contact in (1, 3):
        world.give(contact, DORA)
    world.tick()
    world.configure(policy={"person_edit": "overwrite"})
    assert world.reasons(world.tick()) == {1: "respected", 3: "respected"}
    world.hand_over(101, CLEO)
    assert world.reasons(world.tick()) == {3: "respected"}
    assert world.owners(1, 3) == [CLEO, DORA]
    world.release()
    world.tick()
    assert world.owner_of(3) == CLEO


@pytest.mark.parametrize("end", ["time", "release"])
def test_a_quarantine_outlives_the_setting_and_then_the_choice_is_respected(
    trust: Callable[..., TrustWorld], end: str
) -> None:
    """As `exceptions` and `check` say."""
    world = trust()
    office(world)
    world.tick()
    for _ in range(4):
        world.give(1, DORA)
        world.tick()
    world.configure(policy={"person_edit": "respect"})
    assert world.reasons(world.tick()) == {1: "quarantined"}
    if end == "time":
        world.pass_time(7 * 86_400)
    else:
        world.release()
    for _ in range(2):
        assert world.reasons(world.tick()) == {1: "respected"}
    assert world.owner_of(1) == DORA


def test_what_a_person_keeps_stays_until_a_person_releases_it(trust: Callable[..., TrustWorld]) -> None:
    """Whatever becomes of its company; the others are looked after."""
    world = trust()
    office(world)
    world.tick()
    world.journal.exceptions.add("portal", Standing.KEPT, [NewException(contact=1, company=101)])
    world.give(1, DORA)
    world.hand_over(101, CLEO)
    assert world.reasons(world.tick()) == {1: "kept"}
    assert world.owners(1, 2) == [DORA, CLEO]
    world.pass_time(30 * 86_400)
    assert world.reasons(world.tick()) == {1: "kept"}
    world.release()
    world.tick()
    assert world.owner_of(1) == CLEO


def test_what_a_person_keeps_while_a_run_writes_is_not_written(trust: Callable[..., TrustWorld]) -> None:
    """Of a long backlog, what has not left yet: it is a conflict of this run, and left alone by the next."""
    world = trust()
    world.drift(40)

    def keep(exchange: Exchange) -> None:
        if exchange.updates:
            world.witness.after = lambda _: None
            last = max(contact for contact in range(1, 41) if world.owner_of(contact) == ANN)
            world.journal.exceptions.add("portal", Standing.KEPT, [NewException(contact=last)])

    world.witness.after = keep
    finished = world.tick()
    assert finished.report.outcomes == {Result.APPLIED: 39, Result.CONFLICT: 1}
    (contact,) = world.journal.exceptions.in_force("portal")
    assert world.owner_of(contact) == ANN
    assert world.results(1)[contact] == "conflict"
    assert world.reasons(world.tick()) == {contact: "kept"}


def test_what_a_person_keeps_of_a_whole_backlog_is_not_written(trust: Callable[..., TrustWorld]) -> None:
    """All that has not left after the first chunk: no request is made for it."""
    world = trust()
    world.drift(40)

    def keep(exchange: Exchange) -> None:
        if exchange.updates:
            world.witness.after = lambda _: None
            rest = [NewException(contact=contact) for contact in range(1, 41) if world.owner_of(contact) == ANN]
            world.journal.exceptions.add("portal", Standing.KEPT, rest)

    world.witness.after = keep
    finished = world.tick()
    written = sum(bool(exchange.updates) for exchange in world.witness.exchanges)
    kept = len(world.journal.exceptions.in_force("portal"))
    assert (written, finished.report.outcomes) == (1, {Result.APPLIED: 40 - kept, Result.CONFLICT: kept})


def test_settle_minutes(trust: Callable[..., TrustWorld]) -> None:
    """Somebody at work on a contact has half an hour to finish; a company's hand-over does not wait."""
    world = trust(settings={"policy": {"settle_minutes": 30}})
    office(world)
    world.tick()
    world.portal.people.edit_contact(1, CLEO, assigned_by_id=DORA)
    world.hand_over(102, DORA)
    assert world.reasons(world.tick()) == {1: "settling"}
    assert world.owners(1, 3) == [DORA, DORA]
    for _ in range(4):
        finished = world.tick()
    assert finished.report.status is Status.IN_SYNC
    assert world.owner_of(1) == BOB
    assert ADMIN not in world.owners(1, 2, 3, 4)


def test_one_contact_with_a_date_that_is_none_stops_no_other(trust: Callable[..., TrustWorld]) -> None:
    """It is left alone by number and field, and the others are written."""
    world = trust()
    world.drift(3)

    def reword(body: bytes) -> bytes:
        answer = json.loads(body)
        for rows in answer["result"]["result"].values():
            for row in rows if isinstance(rows, list) else ():
                if row.get("ID") == "2" and "DATE_MODIFY" in row and "COMPANY_ID" in row:
                    row["DATE_MODIFY"] = "-0001-11-30T00:00:00+02:30"
        return json.dumps(answer).encode()

    world.witness.reword = reword
    finished = world.tick()
    assert world.reasons(finished) == {2: "record_unreadable"}
    assert world.owners(1, 2, 3) == [BOB, ANN, BOB]
    assert finished.proposal is not None
    ((skip,), snapshot) = finished.proposal.plan.skips, finished.proposal.snapshot
    assert (skip.detail, skip.cause) == ("contact: DATE_MODIFY is no date", Cause.UNKNOWN)
    notes = list(plan_notes(finished.proposal.plan, snapshot))
    assert (
        "Contacts left alone because the portal's answer cannot be read: 2 (contact: DATE_MODIFY is no date)." in notes
    )
    document = as_json(plan_report(finished.proposal.plan, snapshot=snapshot, origin="", usage=Usage()))
    assert [(row["contact"], row["detail"]) for row in document["skipped"]] == [(2, "contact: DATE_MODIFY is no date")]
    assert "last_edited_at" not in document["skipped"][0]
    world.witness.reword = lambda body: body
    world.tick()
    assert world.owners(2) == [BOB]
