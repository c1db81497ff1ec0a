"""Conditional updates: a list command, and a write whose `id` comes from its row, side by side in a batch."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office, command

from reconciler.clock import VirtualClock
from reconciler.simulator.costs import CostModel

INVALID = {"error": "", "error_description": "ID is not defined or invalid."}
LIMIT = {"kind": "operation_limit", "method": "crm.contact.list"}


@pytest.fixture
def office() -> Office:
    """Ann's contacts 1 to 60 at Bob's company 7, one of nobody's, and Ann's company 8."""
    return filled(Office())


def filled(office: Office) -> Office:
    """Fill an office."""
    office.company(7, owner=BOB)
    office.company(8)
    office.contacts(60, company=7)
    office.contact(70)
    return office


def look(contact: int, owner: int = ANN, **conditions: Any) -> str:
    """Write a precondition: the contact still has this owner and is at company 7."""
    pairs = {"filter[ID]": contact, "filter[ASSIGNED_BY_ID]": owner, "filter[=COMPANY_ID]": 7} | conditions
    return command("crm.contact.list", pairs | {"select[]": "ID", "start": -1})


def give(contact_id: str, owner: object = BOB) -> str:
    """Write an update of the contact that a macro means."""
    return command("crm.contact.update", {"id": contact_id, "fields[ASSIGNED_BY_ID]": owner})


def test_an_update_rests_on_its_precondition(office: Office) -> None:
    """F1.4: the update is carried out only where the list command found the row."""
    office.portal.people.edit_contact(43, BOB, assigned_by_id=30)
    first = {"g42": look(42), "u42": give("0$result[g42][0][ID]")}
    maps = office.batch(first | {"g43": look(43), "u43": give("0$result[g43][0][ID]")})
    assert (maps["result"]["g42"], maps["result"]["u42"], maps["result"]["g43"]) == ([{"ID": "42"}], True, [])
    assert maps["result_error"] == {"u43": INVALID}
    assert (office.owner_of(42), office.owner_of(43), office.owner_of(1)) == (BOB, 30, ANN)


@pytest.mark.parametrize(
    ("macro", "faults", "written"),
    [
        pytest.param("$result[g][0][ID]", [], set(), id="bare, and nothing was found"),
        pytest.param("0$result[g][0][ID]", [], set(), id="after a 0, and nothing was found"),
        pytest.param("$result[g][0][ID]", [LIMIT], {1}, id="bare, and the precondition failed"),
        pytest.param("0$result[g][0][ID]", [LIMIT], set(), id="after a 0, and the precondition failed"),
    ],
)
def test_a_bare_macro_writes_contact_1_where_its_precondition_failed(
    macro: str, faults: list[dict[str, Any]], written: set[int]
) -> None:
    """F1.4: an empty array is the number 0; the map of all results, which stands for a failed command, is 1."""
    office = filled(Office(faults=faults))
    office.batch({"s": "profile", "g": look(42, owner=30), "u": give(macro)})
    assert {number for number in range(1, 61) if office.owner_of(number) == BOB} == written


def test_a_failed_precondition_before_any_result_is_an_empty_array() -> None:
    """F1.4: the map of all results is empty as long as no command has succeeded."""
    office = filled(Office(faults=[LIMIT]))
    maps = office.batch({"g": look(42), "u": give("$result[g][0][ID]")})
    assert maps["result_error"]["u"] == INVALID
    assert maps["result_error"]["g"]["error"] == "OPERATION_TIME_LIMIT"
    assert office.owner_of(1) == ANN


@pytest.mark.parametrize("text", ["042", "00042", "42"])
def test_leading_zeros_do_not_matter(office: Office, text: str) -> None:
    """F1.4: `042` is 42."""
    office.batch({"u": give(text)})
    assert office.owner_of(42) == BOB


@pytest.mark.parametrize(
    ("macro", "owner", "code"),
    [
        pytest.param("0$result[g][items][0][id]", BOB, None, id="after a 0"),
        pytest.param("$result[g][items][0][id]", BOB, None, id="bare"),
        pytest.param("$result[g][items]", ANN, "100", id="an array"),
        pytest.param("0$result[g][items][7][id]", ANN, "100", id="a macro that stays text"),
        pytest.param("0", ANN, "NOT_FOUND", id="0"),
    ],
)
def test_an_item_wants_a_number(office: Office, macro: str, owner: int, code: str | None) -> None:
    """F1.4: `crm.item.update` takes a numeric text, and refuses an array and any other text."""
    pairs: dict[str, Any] = {"entityTypeId": 3, "filter[id]": 42, "filter[assignedById]": ANN, "select[]": "id"}
    fields = {"entityTypeId": 3, "id": macro, "fields[assignedById]": BOB}
    maps = office.batch({"g": command("crm.item.list", pairs), "u": command("crm.item.update", fields)})
    assert (office.owner_of(42), office.owner_of(1)) == (owner, ANN)
    errors = maps["result_error"]
    assert (errors["u"]["error"] if errors else None) == code


@pytest.mark.parametrize(
    ("value", "taken"),
    [("42", True), ("042", True), (42, True), (" 42 ", True), ("4.2e1", True), ("+42", True), ("42a", False),
     ("--42", False), ("", False), (True, False), ([42], False)],
    ids=repr,
)  # fmt: skip
def test_what_a_number_is(office: Office, value: object, taken: bool) -> None:
    """F1.4: a typed parameter takes what PHP's `is_numeric` does."""
    answer = office.call("crm.item.get", entityTypeId=3, id=value)
    assert (answer.status == 200) == taken
    assert not taken or answer.result["item"]["id"] == 42


@pytest.mark.parametrize(
    ("company", "found"),
    [
        pytest.param({"filter[=COMPANY_ID]": 7, "filter[<=COMPANY_ID]": "0$result[k][0][ID]"}, [42], id="the company"),
        pytest.param({"filter[=COMPANY_ID]": 7, "filter[<=COMPANY_ID]": "0$result[n][0][ID]"}, [], id="no company"),
        pytest.param({"filter[COMPANY_ID]": 7, "filter[=COMPANY_ID]": "0$result[k][0][ID]"}, [42], id="equality"),
        pytest.param({"filter[COMPANY_ID]": 7, "filter[=COMPANY_ID]": "0$result[n][0][ID]"}, [], id="no equality"),
        pytest.param({"filter[=ASSIGNED_BY_ID]": "0$result[k][0][ASSIGNED_BY_ID]"}, [], id="another owner"),
        pytest.param({"filter[=ASSIGNED_BY_ID]": "0$result[n][0][ID]"}, [], id="no owner"),
    ],
)
def test_a_precondition_on_the_company(office: Office, company: dict[str, Any], found: list[int]) -> None:
    """F1.4: two conditions on COMPANY_ID both count; a macro that stays text is 0 there, which no company is."""
    pairs = {"filter[ID]": 42, "filter[ASSIGNED_BY_ID]": ANN, "select[]": "ID", "start": -1} | company
    selected = {"select[0]": "ID", "select[1]": "ASSIGNED_BY_ID", "start": -1}
    maps = office.batch(
        {
            "k": command("crm.company.list", {"filter[ID]": 7, "filter[ASSIGNED_BY_ID]": BOB} | selected),
            "n": command("crm.company.list", {"filter[ID]": 7, "filter[ASSIGNED_BY_ID]": ANN} | selected),
            "g": command("crm.contact.list", pairs),
        }
    )
    assert [int(row["ID"]) for row in maps["result"]["g"]] == found


def test_0_also_means_no_company(office: Office) -> None:
    """F1.4: alone, a condition of 0 finds the contacts without a company, hence the second one."""
    pairs = {"filter[<=COMPANY_ID]": "0$result[n][0][ID]", "select[]": "ID", "start": -1}
    maps = office.batch({"n": command("crm.company.list", {"filter[ID]": 99}), "g": command("crm.contact.list", pairs)})
    assert maps["result"]["g"] == [{"ID": "70"}]


@pytest.mark.parametrize("owner", [BOB, ANN])
def test_companies_by_position(office: Office, owner: int) -> None:
    """F1.4: one command for the companies of a batch, by ID; where one is missing, the others match nothing."""
    office.company(9, owner=BOB)
    office.contact(90, company=9)
    office.database.write("UPDATE company SET assigned_by_id = ? WHERE id = 7", (owner,))
    found = {"order[ID]": "ASC", "select[]": "ID", "start": -1}
    pairs = {"filter[@ID][0]": 7, "filter[@ID][1]": 9, "filter[ASSIGNED_BY_ID]": BOB} | found
    cmd = {"k": command("crm.company.list", pairs)}
    for position, (contact, company) in enumerate(((1, 7), (90, 9))):
        place = {"filter[COMPANY_ID]": company, "filter[=COMPANY_ID]": f"0$result[k][{position}][ID]"}
        cmd[f"g{contact}"] = look(contact, **place)
    maps = office.batch(cmd)["result"]
    assert (maps["g1"], maps["g90"]) == (([{"ID": "1"}], [{"ID": "90"}]) if owner == BOB else ([], []))


def test_people_as_a_precondition(office: Office) -> None:
    """F1.4: `user.get` by ID shows the active ones; an owner 0 is dropped by the server, and the update succeeds."""
    office.user(20, active=0)
    people = "user.get?FILTER[@ID][]=8&FILTER[@ID][]=20&FILTER[ACTIVE]=1"
    company = {"filter[ID]": 7, "filter[ASSIGNED_BY_ID]": BOB, "filter[=ASSIGNED_BY_ID]": "0$result[s][0][ID]"}
    maps = office.batch(
        {
            "s": people,
            "k": command("crm.company.list", company | {"select[]": "ID", "start": -1}),
            "u1": give("1", "0$result[s][0][ID]"),
            "u2": give("2", "0$result[s][1][ID]"),
        }
    )["result"]
    assert ([user["ID"] for user in maps["s"]], maps["k"]) == (["8"], [{"ID": "7"}])
    assert (maps["u1"], maps["u2"]) == (True, True)
    assert (office.owner_of(1), office.owner_of(2)) == (BOB, ANN)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("0$result[a][ID]", "01", id="at its end"),
        pytest.param("0$RESULT[a][ID]", "0$RESULT[a][ID]", id="in upper case"),
        pytest.param("$RESULT[a][ID]", "", id="nothing but one in upper case"),
        pytest.param("0$ result[a][ID]", "0$ result[a][ID]", id="with a space after the sign"),
        pytest.param("0$result[a][ID], and on", "01 and on", id="as far as the next white space"),
        pytest.param("0$result[a][ID]$result[a][NAME]", "01", id="two in one"),
        pytest.param("0$result[a]", "0$result[a]", id="an array"),
        pytest.param("0$result[a][ADMIN]", "0$result[a][ADMIN]", id="true"),
        pytest.param("0$result[no][ID]", "0$result[no][ID]", id="of no command"),
        pytest.param("0$time[a][processing]", "00", id="a number"),
    ],
)
def test_macros_in_any_text(office: Office, text: str, value: str) -> None:
    """F1.4: macros are replaced in every value, whoever wrote it, and there is no escape but a space."""
    fields = {"id": 1, "fields[COMMENTS]": text}
    office.batch({"a": "profile", "u": command("crm.contact.update", fields)})
    assert office.row("contact", 1)["comments"] == value


@pytest.mark.parametrize("macro", ["$result[g][0][ID]", "0$result[g][0][ID]"])
def test_a_portal_without_macros(macro: str) -> None:
    """F1.4: where macros are left as text, a conditional update is refused, found or not."""
    office = filled(Office(macros=False))
    maps = office.batch({"g": look(42), "u": give(macro), "c": command("crm.contact.get", {"id": macro})})
    assert maps["result"] == {"g": [{"ID": "42"}]}
    assert maps["result_error"] == {"u": INVALID, "c": INVALID}


def test_who_may_see_less_is_refused(office: Office) -> None:
    """F1.4: a webhook whose user does not see the contact finds nothing, and its update is refused."""
    office = filled(Office(user_id=BOB, role="own_only"))
    maps = office.batch({"g": look(42), "u": give("0$result[g][0][ID]")})
    assert (maps["result"], maps["result_error"]) == ({"g": []}, {"u": INVALID})


CASES = [
    pytest.param({"command": 1}, (30, False), id="before the precondition"),
    pytest.param({"command": "g"}, (30, False), id="before the precondition by its key"),
    pytest.param({"method": "crm.contact.list", "contact": 42}, (30, False), id="before the contact's precondition"),
    pytest.param({"command": 2}, (BOB, True), id="between the two"),
    pytest.param({"method": "crm.contact.update", "contact": 42}, (BOB, True), id="before the contact's update"),
    pytest.param({"command": 3}, (30, False), id="after both"),
]


@pytest.mark.parametrize(("where", "expected"), CASES)
def test_an_edit_at_any_place(where: dict[str, Any], expected: tuple[int, bool]) -> None:
    """F1.4: somebody saves the card between any two commands; only right before the update it goes over the edit."""
    office = filled(Office(faults=[{"kind": "human_edit_between", "contact_id": 42, "owner": 30, **where}]))
    office.batch({"g": look(42), "u": give("0$result[g][0][ID]"), "r": look(42, owner=BOB)})
    owner, in_between = expected
    assert office.owner_of(42) == owner
    (write,) = [write for write in office.portal.writes if write.id == 42] or [None]
    assert (write is not None and bool(write.between)) == in_between
    assert office.portal.stats()["conditional"]["over_edits"] == in_between


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"contact_id": 42, "comments": "call on Monday"}, "COMMENTS"),
        ({"contact_id": 42, "move_to": 8}, "COMPANY_ID"),
        ({"company_id": 7, "owner": ANN}, "ASSIGNED_BY_ID"),
    ],
    ids=str,
)
def test_edits_in_the_gap_are_listed(edit: dict[str, Any], field: str) -> None:
    """F1.4: whatever befalls the contact or its company between precondition and write is listed with the write."""
    office = filled(Office(faults=[{"kind": "human_edit_between", "command": "u", "by": BOB, **edit}]))
    office.batch({"g": look(42), "u": give("0$result[g][0][ID]")})
    (write,) = office.portal.writes
    # A contact that was moved is at another company now; the move itself is what is listed.
    assert [(found.field, found.by, found.source) for found in write.between] == [(field, BOB, "person")]
    assert [(found.field, found.after) for found in write.changed] == [("ASSIGNED_BY_ID", BOB)]


def test_a_new_owner_leaves_between_two_commands() -> None:
    """F1.4: the person may be dismissed in the gap, too."""
    office = filled(Office(faults=[{"kind": "human_edit_between", "command": "u", "dismiss": BOB}]))
    office.batch({"s": "user.get?ID=8", "u": give("42", "0$result[s][0][ID]")})
    assert (office.row("user", BOB)["active"], office.owner_of(42)) == (0, BOB)


def test_the_age_of_a_precondition_is_measured_in_the_portal() -> None:
    """F1.4: from the moment of the list command to that of the update, by the portal's own clock."""
    office = filled(Office(faults=[{"kind": "slow", "command": "x", "seconds": 3.0}]))
    office.batch({"g": look(42), "x": "profile", "u": give("0$result[g][0][ID]"), "v": give("43")})
    conditional, other = office.portal.writes
    assert (conditional.conditional, conditional.age, conditional.request, conditional.command) == (True, 3.0, 1, 3)
    assert (other.conditional, other.age) == (False, None)
    gap = {"updates": 1, "over_edits": 0, "longest_seconds": 3.0}
    assert office.portal.stats()["conditional"] == gap
    office.portal.reset()
    assert office.portal.writes == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("crm.contact.get", {"id": 42}),
        ("crm.contact.list", {"filter": {"@ID": [41, 42]}}),
        ("crm.item.list", {"entityTypeId": 3, "filter": {"@id": [41, 42]}, "select": ["id"]}),
        ("crm.item.get", {"entityTypeId": 3, "id": 42}),
    ],
    ids=str,
)
def test_the_age_of_a_look_in_another_request(office: Office, method: str, params: dict[str, Any]) -> None:
    """F4: without a condition the last look by number counts; a list of all contacts is no look at one."""
    office.call("crm.contact.list", filter={">ID": 0})
    office.call(method, **params)
    office.clock.sleep(5)
    office.portal.people.edit_contact(42, BOB, assigned_by_id=30)
    office.call("crm.contact.update", id=42, fields={"ASSIGNED_BY_ID": BOB})
    office.call("crm.contact.update", id=50, fields={"ASSIGNED_BY_ID": BOB})
    (write, unseen) = office.portal.writes
    assert (write.conditional, write.age, [edit.after for edit in write.between]) == (False, 5.0, [30])
    assert (unseen.age, unseen.between) == (None, ())


def test_other_clients_get_in_between_two_commands() -> None:
    """F1.4: while a command takes its time another client's request is carried out."""
    clock = VirtualClock()
    office = filled(Office(clock=clock, costs=CostModel("cloud"), faults=[{"kind": "slow", "command": "g"}]))

    def conditional() -> None:
        office.batch({"g": look(42), "u": give("0$result[g][0][ID]")})

    def other() -> None:
        clock.sleep(0.5)
        office.call("crm.contact.update", id=42, fields={"ASSIGNED_BY_ID": 30})

    clock.gather([conditional, other], lanes=2)
    written = next(write for write in office.portal.writes if write.conditional)
    assert [(edit.after, edit.source) for edit in written.between] == [(30, "rest")]
    assert office.owner_of(42) == BOB


def test_a_lost_answer_of_a_conditional_update() -> None:
    """A fault for a contact finds the update whose precondition names it."""
    office = filled(Office(faults=[{"kind": "lost_answer", "method": "crm.contact.update", "contact": 42}]))
    answers = [
        office.call("batch", cmd={"g": look(contact), "u": give("0$result[g][0][ID]")}).response for contact in (41, 42)
    ]
    assert [answer.cut_after for answer in answers] == [None, 0]
    assert (office.owner_of(41), office.owner_of(42)) == (BOB, BOB)


def shown(office: Office) -> tuple[str, str]:
    """Return the owner and the date of contact 42."""
    row = office.call("crm.contact.get", id=42).result
    return row["ASSIGNED_BY_ID"], row["DATE_MODIFY"]


def test_a_replica_that_lags(office: Office) -> None:
    """F1.4: until a process has written a table it may read an old state of it: the precondition is as old."""
    office.portal.faults.load([{"kind": "replica_lag", "seconds": 10.0}])
    before = shown(office)
    office.clock.sleep(60)
    office.portal.people.edit_contact(42, BOB, assigned_by_id=30)
    office.portal.people.edit_contact(43, BOB, assigned_by_id=30)
    assert (before, shown(office)) == ((str(ANN), "2026-01-01T02:43:20+03:00"), before)
    found = office.batch(
        {
            "g42": look(42),
            "u1": give("1"),
            # The first write of the table ends it for this request.
            "g43": look(43),
            "u43": give("0$result[g43][0][ID]"),
        }
    )
    assert (found["result"]["g42"], found["result"]["g43"]) == ([{"ID": "42"}], [])
    assert (office.owner_of(42), office.owner_of(43)) == (30, 30)
    office.clock.sleep(11)
    assert shown(office) == ("30", "2026-01-01T03:01:00+03:00")
