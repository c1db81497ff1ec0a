"""`batch`: F1.3 on the embedded portal."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from support.portal_fixture import ANN, BOB, Office, command

MAPS = ["result", "result_error", "result_total", "result_next", "result_time"]
EMPTY: dict[str, list[object]] = {name: [] for name in MAPS}


@pytest.fixture
def office() -> Office:
    """Fill in 60 contacts of Ann's."""
    office = Office()
    office.contacts(60)
    return office


def page(after: object, **conditions: object) -> str:
    """Write a keyset page as a command."""
    pairs = {"order[ID]": "ASC", "filter[>ID]": after, "select[]": "ID", "start": -1}
    return command("crm.contact.list", pairs | conditions)


def ids(rows: list[dict[str, str]]) -> list[int]:
    """Return the ids of a page."""
    return [int(row["ID"]) for row in rows]


def test_maps(office: Office) -> None:
    """F1.3: five maps with the commands' keys; an error stands only in result_error."""
    maps = office.batch(
        {
            "whole": command("crm.contact.list"),
            "part": page(50),
            "gone": command("crm.contact.get", {"id": 99}),
            "write": command("crm.contact.update", {"id": 1, "fields[ASSIGNED_BY_ID]": BOB}),
        }
    )
    assert list(maps) == MAPS
    assert list(maps["result"]) == ["whole", "part", "write"]
    assert maps["result"]["write"] is True
    assert maps["result_error"] == {"gone": {"error": "", "error_description": "Not found"}}
    assert maps["result_total"] == {"whole": 60, "part": 0}
    assert maps["result_next"] == {"whole": 50}
    assert list(maps["result_time"]) == ["whole", "part", "write"]
    assert {"start", "finish", "duration", "processing", "date_start", "date_finish"} == set(
        maps["result_time"]["part"]
    )


@pytest.mark.parametrize("cmd", [None, {}, [], "crm.contact.list", 5], ids=str)
def test_empty_maps_are_lists(office: Office, cmd: Any) -> None:
    """F1.3: each map is `[]` when empty, also when there is no usable cmd."""
    assert office.batch(cmd) == EMPTY
    assert office.call("batch").result == EMPTY


def test_numeric_keys_become_lists_or_not(office: Office) -> None:
    """F1.3: keys 0..n-1 in order make a JSON list, one failure turns it into an object."""
    profile, missing = "profile", "crm.contact.get?id=99"
    assert isinstance(office.batch([profile, profile])["result"], list)
    assert isinstance(office.batch({"0": profile, "1": profile})["result"], list)
    maps = office.batch([missing, profile, profile])
    assert list(maps["result"]) == ["1", "2"]
    assert isinstance(maps["result_error"], list)
    assert list(office.batch({"1": profile, "0": profile})["result"]) == ["1", "0"]
    assert list(office.batch({"1": profile, "2": profile})["result"]) == ["1", "2"]
    listed = office.batch([missing, "crm.contact.list", "crm.contact.list"])
    assert listed["result_next"] == {"1": 50, "2": 50}
    assert office.batch(["crm.contact.list"])["result_next"] == [50]


def test_all_failing_is_still_http_200(office: Office) -> None:
    """F1.3: the outer status is 200 even if every command failed."""
    answer = office.call("batch", cmd={"a": "nope", "b": "crm.contact.get"})
    assert answer.status == 200
    assert answer.result["result_error"]["a"] == {
        "error": "ERROR_METHOD_NOT_FOUND",
        "error_description": "Method not found!",
    }
    assert office.portal.stats()["rejected"] == {"ERROR_METHOD_NOT_FOUND": 1, "ID is not defined or invalid.": 1}


def test_more_than_fifty(office: Office) -> None:
    """F1.3: the 51st and later commands fail one by one inside result_error; skipped entries count too."""
    cmd: dict[str, object] = {"text": 5, "nothing": None, "list": ["profile"]}
    cmd |= {f"c{number}": "profile" for number in range(50)}
    maps = office.batch(cmd)
    assert list(maps["result"]) == [f"c{number}" for number in range(47)]
    expected = {"error": "ERROR_BATCH_LENGTH_EXCEEDED", "error_description": "Max batch length exceeded"}
    assert maps["result_error"] == {f"c{number}": expected for number in (47, 48, 49)}


@pytest.mark.parametrize("method", ["batch", "download", "upload"])
def test_forbidden_methods(office: Office, method: str) -> None:
    """F1.3: batch, download and upload are not allowed inside, compared as written."""
    maps = office.batch({"a": f"{method}?cmd[a]=profile", "b": method.capitalize()})
    assert maps["result_error"]["a"] == {
        "error": "ERROR_BATCH_METHOD_NOT_ALLOWED",
        "error_description": "Method is not allowed for batch usage",
    }
    assert maps["result_error"]["b"]["error"] == "ERROR_METHOD_NOT_FOUND"


def test_methods_inside(office: Office) -> None:
    """F1.1: any case; but no suffix and no slash, which belong to addresses."""
    maps = office.batch({"a": "CRM.contact.LIST?start=-1", "b": "profile.json", "c": "profile/"})
    assert list(maps["result"]) == ["a"]
    assert list(maps["result_error"]) == ["b", "c"]


def test_scope_is_checked_for_each_command() -> None:
    """F1.3: insufficient_scope stands inside, with an empty description."""
    maps = Office(scopes=("user",)).batch({"a": "crm.contact.list", "b": "user.current"})
    assert maps["result_error"] == {"a": {"error": "insufficient_scope", "error_description": ""}}
    assert list(maps["result"]) == ["b"]


@pytest.mark.parametrize(
    ("halt", "goes_on"),
    [(0, True), ("0", True), (False, True), ("", True), (None, True), (1, False), ("1", False), ("false", False)],
    ids=repr,
)
def test_halt(office: Office, halt: object, goes_on: bool) -> None:
    """F1.3: halt is PHP's truth; the text "false" is ON. It stops at the first error, empty codes too."""
    maps = office.batch({"a": "profile", "b": "crm.contact.get?id=99", "c": "profile"}, halt=halt)
    assert list(maps["result"]) == (["a", "c"] if goes_on else ["a"])


def test_commands_are_carried_out_in_order_and_stay(office: Office) -> None:
    """F1.3: strictly sequential, and nothing is rolled back when a later command fails."""
    maps = office.batch(
        {
            "one": command("crm.contact.update", {"id": 1, "fields[ASSIGNED_BY_ID]": BOB}),
            "look": command("crm.contact.get", {"id": 1}),
            "bad": command("crm.contact.update", {"id": 99, "fields[ASSIGNED_BY_ID]": BOB}),
        },
        halt=1,
    )
    assert maps["result"]["look"]["ASSIGNED_BY_ID"] == str(BOB)
    assert office.owner_of(1) == BOB


@pytest.mark.parametrize("spelling", ["cmd", "CMD", "Cmd"])
def test_keys_in_any_case(office: Office, spelling: str) -> None:
    """F1.1: batch upper-cases its parameters' names."""
    assert list(office.call("batch", **{spelling: {"a": "profile"}}).result["result"]) == ["a"]


def test_form_transport_needs_two_encodings(office: Office) -> None:
    """F1.3: in a form the command is encoded once more than in JSON."""
    body = urlencode({"cmd[a]": command("crm.contact.list", {"filter[ID]": 7, "select[]": "ID"})}).encode()
    maps = office.send("batch", body=body, headers={"content-type": "application/x-www-form-urlencoded"}).result
    assert ids(maps["result"]["a"]) == [7]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("crm.contact.list?filter[%3E%3DDATE_MODIFY]=2020-01-01T00%3A00%3A00%2B03%3A00", 50, id="encoded"),
        pytest.param("crm.contact.list?filter[%3E%3DDATE_MODIFY]=2020-01-01T00:00:00+03:00", 0, id="plus-is-a-space"),
        pytest.param("crm.contact.list?filter[ID]=7#&filter[ID]=8", 1, id="hash-ends-the-command"),
        pytest.param("crm.contact.list?filter[NAME]=a&b=c", 0, id="ampersand-splits"),
    ],
)
def test_values_are_decoded_once_more(office: Office, text: str, found: int) -> None:
    """F1.3: even in a JSON body the command string goes through parse_str."""
    assert len(office.batch({"a": text})["result"]["a"]) == found


def test_a_long_in_list_loses_its_end(office: Office) -> None:
    """F14: more than 1000 variables in a command are dropped silently: the answer is too short."""
    listed = "&".join(f"filter[@ID][]={contact_id}" for contact_id in [*range(1000, 2000), 5])
    assert office.batch({"a": f"crm.contact.list?{listed}"})["result"]["a"] == []


def test_macros(office: Office) -> None:
    """F1.3: values of earlier commands: results, totals, nexts, times and errors, whole or inside a text."""
    office.company(5, owner=BOB, title="one 60 two 7 three")
    maps = office.batch(
        {
            "all": "crm.contact.list?select[]=ID&order[ID]=ASC",
            "same": "crm.contact.get?id=$result[all][49][ID]",
            "total": "crm.contact.get?id=$total[all]",
            "next": "crm.contact.get?id=$next[all]",
            "text": "crm.company.list?filter[TITLE]=one $total[all] two $result[all][6][ID] three",
            "gone": "crm.contact.get?id=99",
            "about": "crm.company.list?filter[TITLE]=$error[gone][error_description]",
        }
    )
    assert [maps["result"][key]["ID"] for key in ("same", "total", "next")] == ["50", "60", "50"]
    assert ids(maps["result"]["text"]) == [5]
    assert maps["result"]["about"] == []
    assert list(maps["result_error"]) == ["gone"]


def test_a_whole_list_as_a_value(office: Office) -> None:
    """F1.3: a value that is exactly a macro becomes the raw value, arrays included."""
    office.contact(100, company=office.company(1), owner=ANN)
    maps = office.batch(
        {
            "companies": "crm.company.list?select[]=ID",
            "row": "crm.contact.list?filter[COMPANY_ID]=$result[companies][0][ID]&select[]=ID",
            # Rows are arrays, and an array is the number 1: the company with id 1, by chance.
            "rows": "crm.contact.list?filter[@COMPANY_ID]=$result[companies]&select[]=ID",
        }
    )
    assert ids(maps["result"]["row"]) == [100]
    assert ids(maps["result"]["rows"]) == [100]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("$result", "$result", id="no-brackets"),
        pytest.param("$result x", "$result x", id="no-brackets-in-a-text"),
        pytest.param("$other[a]", "$other[a]", id="no-macro"),
        pytest.param("a $result[all][0] b", "a $result[all][0] b", id="array-in-a-text-stays"),
        pytest.param("a $result[write] b", "a $result[write] b", id="boolean-in-a-text-stays"),
        pytest.param("a $RESULT[all][0][ID] b", "a $RESULT[all][0][ID] b", id="upper-case-in-a-text-stays"),
        pytest.param("$result[all][0][ID]and-more", "1", id="the-tail-is-part-of-it"),
        pytest.param("<$result[all][0][ID] >", "<1 >", id="inside-a-text"),
        pytest.param("$RESULT[all][0][ID]", "", id="upper-case-is-nothing"),
        pytest.param("$result[all][0][ID][0]", "1", id="into-a-text"),
    ],
)
def test_odd_macros(office: Office, text: str, value: str) -> None:
    """F1.3, F1.4: what counts as a macro, and what stays as it is written."""
    cmd = {
        "all": "crm.contact.list?select[]=ID&order[ID]=ASC",
        "write": "crm.contact.update?id=2&fields[OPENED]=Y",
        "set": command("crm.contact.update", {"id": 1, "fields[COMMENTS]": text}),
    }
    office.batch(cmd)
    assert office.row("contact", 1)["comments"] == value


def test_macros_are_not_for_keys(office: Office) -> None:
    """F1.3: brackets in a parameter's key belong to parse_str."""
    maps = office.batch({"all": "crm.contact.list?select[]=ID", "a": "crm.contact.list?filter[$result[all][0][ID]]=5"})
    assert len(maps["result"]["a"]) == 50


def test_a_missing_path_gives_its_parent(office: Office) -> None:
    """F1.3: `$result[p1][49][ID]` of a short page is the page itself; under `>ID` that is 1: page one again."""
    maps = office.batch(
        {
            "p0": page(0),
            "p1": page("$result[p0][49][ID]"),
            "p2": page("$result[p1][49][ID]"),
            "none": page(1000),
            "after_none": page("$result[none][49][ID]"),
            "bad": "crm.contact.get?id=99",
            "after_bad": page("$result[bad][49][ID]"),
        }
    )
    assert ids(maps["result"]["p1"]) == list(range(51, 61))
    assert ids(maps["result"]["p2"]) == list(range(2, 52))
    assert ids(maps["result"]["after_none"]) == list(range(1, 51))
    assert ids(maps["result"]["after_bad"]) == list(range(2, 52))


def test_null_counts_as_missing(office: Office) -> None:
    """F1.3: a null value ends the walk too; here an update writes to the contact that the fallback means."""
    office.contact(100)
    maps = office.batch(
        {
            "contact": "crm.contact.get?id=100",
            # COMPANY_ID is null: the whole contact is substituted, an array, and the id is 1.
            "write": f"crm.contact.update?id=$result[contact][COMPANY_ID]&fields[ASSIGNED_BY_ID]={BOB}",
        }
    )
    assert maps["result"]["write"] is True
    assert office.owner_of(1) == BOB


def test_outer_refusals_replace_everything(office: Office) -> None:
    """F1.3: errors of the call itself are an envelope with a real status."""
    answer = office.send("", path="/rest/1/wrong/batch", body=json.dumps({"cmd": {"a": "profile"}}).encode())
    assert (answer.status, answer.error[0]) == (401, "INVALID_CREDENTIALS")


def test_batches_are_counted(office: Office) -> None:
    """A batch is one request with several commands."""
    office.batch({"a": "profile", "b": "profile", "c": "crm.contact.list"})
    stats = office.portal.stats()
    assert (stats["requests"], stats["batches"]) == (1, 1)
    assert stats["commands"] == {"crm.contact.list": 1, "profile": 2}
