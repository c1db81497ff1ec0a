"""Scripted faults: each kind, and when it happens."""

from __future__ import annotations

from typing import Any

import pytest
from support.portal_fixture import ANN, BOB, Office, command

from reconciler.simulator import faults
from reconciler.simulator.faults import COMMAND_KINDS, REQUEST_KINDS


def office_with(*script: dict[str, Any]) -> Office:
    """Return an office with 60 contacts of Ann's at company 10, and a script."""
    office = Office(faults=script)
    office.company(10)
    office.contacts(60, company=10)
    return office


def give_to_bob(office: Office, contact_id: int = 1) -> Any:
    """Update a contact through REST."""
    return office.call("crm.contact.update", id=contact_id, fields={"ASSIGNED_BY_ID": BOB})


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "html_502"}, 502, None),
        ({"kind": "html_504"}, 504, None),
        ({"kind": "internal_error"}, 500, "INTERNAL_SERVER_ERROR"),
        ({"kind": "rate_limited"}, 503, "QUERY_LIMIT_EXCEEDED"),
        ({"kind": "error", "code": "OVERLOAD_LIMIT", "status": 503}, 503, "OVERLOAD_LIMIT"),
        ({"kind": "operation_limit"}, 429, "OPERATION_TIME_LIMIT"),
        ({"kind": "command_error", "code": "ERROR_CORE", "description": "<b>no</b>"}, 400, "ERROR_CORE"),
        ({"kind": "command_error"}, 400, ""),
        ({"kind": "token_revoked"}, 401, "INVALID_CREDENTIALS"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_refusals(fault: dict[str, Any], status: int, code: str | None) -> None:
    """A request is refused and not carried out."""
    office = office_with(fault)
    answer = give_to_bob(office)
    assert answer.status == status
    assert office.owner_of(1) == ANN
    if code is None:
        assert answer.response.body.startswith(b"<html>")
    else:
        assert answer.error[0] == code
        assert office.portal.stats()["rejected"] == {code or "Access denied.": 1}


@pytest.mark.parametrize("kind", ["html_502", "html_504", "internal_error"])
def test_refused_after_the_work(kind: str) -> None:
    """With `commit` the work was done before the failure."""
    office = office_with({"kind": kind, "commit": True})
    assert give_to_bob(office).status >= 500
    assert office.owner_of(1) == BOB


def test_cut_before() -> None:
    """The connection is cut and nothing is carried out."""
    office = office_with({"kind": "cut_before"})
    assert give_to_bob(office).response.cut_after == 0
    assert office.owner_of(1) == ANN


@pytest.mark.parametrize(
    ("fault", "cut_after", "body"),
    [
        ({"kind": "lost_answer"}, 0, None),
        ({"kind": "truncated_body", "bytes": 7}, 7, None),
        ({"kind": "truncated_body"}, 20, None),
        ({"kind": "wrong_json"}, None, b'["unexpected"]'),
        ({"kind": "empty_answer"}, None, b""),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_spoilt_answers(fault: dict[str, Any], cut_after: int | None, body: bytes | None) -> None:
    """The work is done, the answer is not what it should be."""
    office = office_with(fault)
    response = give_to_bob(office).response
    assert response.cut_after == cut_after
    assert office.owner_of(1) == BOB
    if body is not None:
        assert (response.status, response.body) == (200, body)


def test_a_revoked_token_stays_revoked() -> None:
    """From its request on the webhook is unknown, batch and all."""
    office = office_with({"kind": "token_revoked", "request": 2})
    assert [office.call("profile").status for _ in range(3)] == [200, 401, 401]


@pytest.mark.parametrize(("moment", "seen"), [("before", BOB), ("after", ANN)])
def test_human_edit(moment: str, seen: int) -> None:
    """Somebody edits at a chosen request, with everything an edit does."""
    edit = {"kind": "human_edit", "request": 2, "contact_id": 1, "owner": BOB, "by": ANN, "moment": moment}
    office = office_with(edit, {"kind": "human_edit", "request": 3, "company_id": 10, "owner": BOB})
    assert office.call("crm.contact.get", id=1).result["ASSIGNED_BY_ID"] == str(ANN)
    assert office.call("crm.contact.get", id=1).result["ASSIGNED_BY_ID"] == str(seen)
    contact = office.call("crm.contact.get", id=1).result
    assert (contact["ASSIGNED_BY_ID"], contact["MODIFY_BY_ID"]) == (str(BOB), str(ANN))
    assert office.row("company", 10)["assigned_by_id"] == BOB


def test_human_edit_between_two_commands() -> None:
    """Somebody edits right before a certain command: after the check, before the write."""
    office = office_with(
        {"kind": "human_edit_between", "method": "crm.contact.update", "contact": 2, "contact_id": 2, "owner": 30}
    )
    maps = office.batch(
        {
            "check": "crm.contact.get?id=2",
            "write": f"crm.contact.update?id=2&fields[ASSIGNED_BY_ID]={BOB}",
            "look": "crm.contact.get?id=2",
        }
    )
    assert [maps["result"][key]["ASSIGNED_BY_ID"] for key in ("check", "look")] == [str(ANN), str(BOB)]
    assert [(edit.source, edit.after) for edit in office.portal.history] == [("person", 30), ("rest", BOB)]


def test_nobody_edits_what_is_gone() -> None:
    """A scripted edit of a deleted contact does not happen."""
    office = office_with({"kind": "human_edit", "contact_id": 99, "owner": BOB})
    assert office.call("profile").status == 200


def test_deletions() -> None:
    """Contacts vanish at a chosen request: these, and the oldest ones."""
    office = office_with({"kind": "delete_contacts", "request": 2, "ids": [60], "oldest": 3})
    assert office.list(start=0).json["total"] == 60
    assert office.list(start=0).json["total"] == 56
    assert office.list(start=-1).ids[0] == 4
    office = office_with({"kind": "delete_contacts", "oldest": 1, "moment": "after"})
    assert office.list(start=-1).ids[0] == 1
    assert office.list(start=-1).ids[0] == 2


def test_pages_that_are_too_short() -> None:
    """Rows are missing from a page, its total and next say nothing of it."""
    office = office_with({"kind": "short_page", "rows": 2, "request": 1}, {"kind": "empty_page", "request": 2})
    answer = office.list()
    assert (len(answer.ids), answer.json["total"], answer.json["next"]) == (48, 60, 50)
    answer = office.list()
    assert (answer.result, answer.json["total"]) == ([], 60)


@pytest.mark.parametrize(
    ("field", "number"),
    [("ASSIGNED_BY_ID", 10), ("ID", 0), ("", 50), ("NO_SUCH", 0)],
)
def test_dropped_filters(field: str, number: int) -> None:
    """One field of a filter, or all of it, is ignored, in either spelling of the parameter."""
    for name in ("filter", "FILTER"):
        office = office_with({"kind": "dropped_filter", "field": field})
        answer = office.call("crm.contact.list", **{name: {">ID": 50, "!ASSIGNED_BY_ID": ANN}}, start=-1)
        assert len(answer.ids) == number


def test_nothing_to_drop() -> None:
    """A call without a filter is what it is."""
    assert len(office_with({"kind": "dropped_filter"}).call("crm.contact.list").ids) == 50


def test_missing_result() -> None:
    """A command was carried out and stands in none of the maps."""
    office = office_with({"kind": "missing_result", "contact": 2})
    cmd = {f"u{number}": f"crm.contact.update?id={number}&fields[ASSIGNED_BY_ID]={BOB}" for number in (1, 2, 3)}
    maps = office.batch(cmd)
    assert list(maps["result"]) == list(maps["result_time"]) == ["u1", "u3"]
    assert maps["result_error"] == []
    assert office.owner_of(2) == BOB


def test_partial_batch() -> None:
    """Only the first commands of a batch are carried out and answered."""
    office = office_with({"kind": "partial_batch", "commands": 2, "times": 1})
    cmd = {f"u{number}": f"crm.contact.update?id={number}&fields[ASSIGNED_BY_ID]={BOB}" for number in (1, 2, 3)}
    assert list(office.batch(cmd)["result"]) == ["u1", "u2"]
    assert office.owner_of(3) == ANN
    assert list(office.batch(cmd)["result"]) == ["u1", "u2", "u3"]


def test_one_command_of_a_batch() -> None:
    """A refusal is for one method or one contact; the others go on."""
    office = office_with(
        {"kind": "command_error", "contact": 2, "code": "ERROR_CORE", "description": "<br>"},
        {"kind": "operation_limit", "method": "crm.company.list"},
    )
    maps = office.batch(
        {
            "one": command("crm.contact.get", {"id": 1}),
            "two": command("CRM.contact.get", {"ID": 2}),
            "list": "crm.company.list",
            "company": "crm.company.get?id=10",
        }
    )
    assert list(maps["result"]) == ["one", "company"]
    assert maps["result_error"]["two"] == {"error": "ERROR_CORE", "error_description": "<br>"}
    assert maps["result_error"]["list"]["error"] == "OPERATION_TIME_LIMIT"


def test_a_refused_batch() -> None:
    """A fault that names `batch` is for the envelope, others are not."""
    office = office_with({"kind": "operation_limit", "method": "batch", "times": 1}, {"kind": "command_error"})
    assert office.call("batch", cmd={"a": "profile"}).status == 429
    assert office.batch({"a": "profile"})["result_error"]["a"]["error_description"] == "Access denied."


def test_slow_calls() -> None:
    """Each call of a method takes longer, and shows it."""
    office = office_with({"kind": "slow", "method": "crm.contact.get", "seconds": 2.5})
    maps = office.batch({"a": "crm.contact.get?id=1", "b": "profile", "c": "crm.contact.get?id=2"})
    assert office.clock.monotonic() == 5
    assert [maps["result_time"][key]["duration"] for key in "abc"] == [2.5, 0, 2.5]


@pytest.mark.parametrize(
    ("selectors", "fails"),
    [
        pytest.param({}, [1, 2, 3, 4, 5, 6], id="always"),
        pytest.param({"request": 3}, [3], id="request"),
        pytest.param({"every": 2}, [2, 4, 6], id="every-second"),
        pytest.param({"every": 2, "times": 2}, [2, 4], id="twice"),
        pytest.param({"times": 1}, [1], id="once"),
        pytest.param({"method": "CRM.contact.get"}, [1, 3], id="method-also-in-a-batch"),
        pytest.param({"contact": 7}, [1, 3], id="contact-also-in-a-batch"),
        pytest.param({"contact": 7, "method": "crm.contact.update"}, [], id="both-must-fit"),
        pytest.param({"method": "batch"}, [3, 4], id="batch"),
    ],
)
def test_selectors(selectors: dict[str, Any], fails: list[int]) -> None:
    """When a fault of a request happens."""
    office = office_with({"kind": "internal_error", **selectors})
    statuses = [
        office.call("crm.contact.get", id=7).status,
        office.call("crm.company.get", id=10).status,
        office.call("batch", cmd={"a": "profile", "b": "crm.contact.get?id=7"}).status,
        office.call("batch", cmd={"a": "profile", "b": "crm.company.get?id=7"}).status,
        office.call("crm.contact.update", id=8, fields={}).status,
        office.send("", path="/elsewhere").status,
    ]
    assert [number for number, status in enumerate(statuses, 1) if status == 500] == fails


def test_pages_elsewhere_have_no_calls() -> None:
    """What is not REST has neither method nor contact."""
    office = office_with({"kind": "internal_error", "method": "profile"})
    assert office.send("", path="/elsewhere").status == 404


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param({"kind": "html_502"}, "a list of objects", id="no-list"),
        pytest.param(["html_502"], "an object with a kind", id="no-object"),
        pytest.param([{"request": 1}], "an object with a kind", id="no-kind"),
        pytest.param(
            [{"kind": "earthquake"}], "unknown kind of fault 'earthquake'; the kinds are .*html_502", id="unknown"
        ),
        pytest.param([{"kind": "slow", "minutes": 5}], "takes no minutes; it takes .*seconds", id="parameter"),
        pytest.param([{"kind": "slow", "seconds": "5"}], "seconds of a fault 'slow' cannot be '5'", id="type"),
        pytest.param([{"kind": "slow", "request": "5"}], "request of a fault 'slow' cannot be '5'", id="selector"),
        pytest.param([{"kind": "human_edit", "moment": "during"}], "is 'before' or 'after'", id="moment"),
    ],
)
def test_scripts_that_cannot_be_read(values: Any, problem: str) -> None:
    """A wrong script is refused with a sentence, and the old one stays."""
    office = office_with({"kind": "html_502"})
    with pytest.raises(ValueError, match=problem):
        office.portal.faults.load(values)
    assert office.call("profile").status == 502


def test_every_kind_is_explained() -> None:
    """The module's table names each kind and each parameter."""
    text = str(faults.__doc__)
    for kind, parameters in (REQUEST_KINDS | COMMAND_KINDS).items():
        assert f"`{kind}`" in text
        for name in parameters:
            assert f"`{name}`" in text


def test_the_same_script_gives_the_same_trace() -> None:
    """Faults are deterministic."""
    script = ({"kind": "html_502", "every": 3}, {"kind": "short_page", "method": "crm.contact.list", "times": 2})
    traces = []
    for _ in range(2):
        office = office_with(*script)
        traces.append([office.list().response for _ in range(7)])
    assert traces[0] == traces[1]


def test_faults_know_the_newer_methods() -> None:
    """`contact` means `crm.item.*` of type 3 too, and short pages are lists of items."""
    office = Office(
        faults=[
            {"kind": "command_error", "contact": 2, "code": "X"},
            {"kind": "short_page", "method": "crm.item.list"},
            {"kind": "empty_page", "method": "crm.item.list", "request": 5},
        ]
    )
    office.contacts(3)
    office.company(2)
    assert office.call("crm.item.get", entityTypeId=3, id=2).error[0] == "X"
    assert office.call("crm.item.get", entityTypeId=4, id=2).status == 200
    listed = [office.call("crm.item.list", entityTypeId=3, select=["id"]) for _ in range(2)]
    listed.append(office.call("crm.item.list", entityTypeId=3, select=["id"]))
    assert [len(answer.result["items"]) for answer in listed] == [2, 2, 0]
    assert [answer.json["total"] for answer in listed] == [3, 3, 3]
