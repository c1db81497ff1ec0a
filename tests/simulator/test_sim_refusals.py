"""Every error of F6: what it says, with which status, and how a test brings it about."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from support.portal_fixture import ANN, Office

from reconciler.simulator.errors import ANY_TIME

#: Code, status as measured or in the source, status in the documentation.
BY_FAULT = [
    ("QUERY_LIMIT_EXCEEDED", 503, 503),
    ("OPERATION_TIME_LIMIT", 429, 429),
    ("OVERLOAD_LIMIT", 401, 503),
    ("INTERNAL_SERVER_ERROR", 500, 500),
    ("ERROR_UNEXPECTED_ANSWER", 500, 500),
    ("ERROR_CORE", 500, 500),
    ("expired_token", 401, 401),
    ("invalid_token", 401, 401),
    ("NO_AUTH_FOUND", 401, 401),
    ("INVALID_CREDENTIALS", 401, 403),
    ("authorization_error", 401, 401),
    ("insufficient_scope", 401, 403),
    ("INVALID_REQUEST", 401, 400),
    ("ACCESS_DENIED", 401, 403),
    ("ERROR_ARGUMENT", 400, 400),
    ("ERROR_METHOD_NOT_FOUND", 404, 404),
    ("WRONG_AUTH_TYPE", 403, 403),
    ("user_access_error", 401, 403),
    ("APPLICATION_NOT_FOUND", 401, 401),
    ("CONNECTION_ERROR", 401, 401),
    ("METHOD_CONFIRM_WAITING", 401, 401),
    ("METHOD_CONFIRM_DENIED", 403, 403),
    ("PORTAL_DELETED", 403, 500),
    ("PAYMENT_REQUIRED", 401, 401),
    ("ERROR_MANIFEST_IS_NOT_AVAILABLE", 404, 404),
    ("INTERNAL_WRONG_TRANSPORT", 500, 500),
    ("INTERNAL_WRONG_HANDLER_CLASS", 500, 500),
    ("WRONG_ENCODING", 200, 200),
    ("allowed_only_intranet_user", 403, 403),
]


@pytest.mark.parametrize(("code", "measured", "documented"), BY_FAULT, ids=[row[0] for row in BY_FAULT])
def test_refused_by_a_fault(code: str, measured: int, documented: int) -> None:
    """F6: each error by its code, with the status of measured portals or that of the documentation."""
    for statuses, status in (("measured", measured), ("documented", documented)):
        office = Office(auth_statuses=statuses, faults=[{"kind": "refused", "code": code}])
        answer = office.call("profile")
        assert (answer.status, answer.error[0]) == (status, code)
        assert set(answer.json) - {"argument"} == {"error", "error_description"}
        assert office.portal.stats()["rejected"] == {code: 1}


def test_the_table_is_whole() -> None:
    """F6: no error can be asked for that no line above looks at."""
    assert sorted(ANY_TIME) == sorted(row[0] for row in BY_FAULT)
    with pytest.raises(ValueError, match="no portal refuses with 'NOPE'"):
        Office(faults=[{"kind": "refused", "code": "NOPE"}])


def test_an_error_that_names_its_argument() -> None:
    """F6: ERROR_ARGUMENT has a third key."""
    answer = Office(faults=[{"kind": "refused", "code": "ERROR_ARGUMENT"}]).call("profile")
    assert answer.json == {
        "error": "ERROR_ARGUMENT",
        "error_description": "Argument 'ID' is null or empty",
        "argument": "ID",
    }


@pytest.mark.parametrize("place", ["header", "access_token", "auth", "json"])
def test_an_access_token(place: str) -> None:
    """F1.1: an application's token as a header, as `access_token` or as `auth`, in query or body."""
    office = Office()
    headers, query, body = {}, "", b""
    if place == "header":
        headers = {"authorization": "bearer simulatedaccess0"}
    elif place == "json":
        headers, body = {"content-type": "application/json"}, json.dumps({"auth": "simulatedaccess0"}).encode()
    else:
        query = f"{place}=simulatedaccess0"
    assert office.send("", path="/rest/profile.json", headers=headers, query=query, body=body).result["ID"] == "1"


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        pytest.param({"authorization": "Bearer x"}, "auth=simulatedaccess0", "NO_AUTH_FOUND", id="the-header-is-first"),
        pytest.param({"authorization": "Basic x"}, "auth=simulatedaccess0", None, id="another-header-is-none"),
        pytest.param({}, "access_token=x&auth=simulatedaccess0", "NO_AUTH_FOUND", id="access_token-before-auth"),
        pytest.param({}, "auth[]=simulatedaccess0", "NO_AUTH_FOUND", id="an-array-is-none"),
        pytest.param({}, "auth=%FF", "NO_AUTH_FOUND", id="half-a-letter"),
        pytest.param({}, "aplogin=1&ap=%FF", "INVALID_CREDENTIALS", id="half-a-letter-in-a-webhook"),
    ],
)
def test_tokens_that_are_none(headers: dict[str, str], query: str, code: str | None) -> None:
    """F1.1, F6: the header is tried first; NO_AUTH_FOUND for a token that is unknown."""
    answer = Office().send("", path="/rest/profile", headers=headers, query=query)
    assert answer.json.get("error") == code


def test_an_expired_token() -> None:
    """F6, F7: expired_token 401 for an access token older than an hour; the webhook goes on."""
    office = Office(access_token_expired=True)
    answer = office.send("", path="/rest/profile", query="auth=simulatedaccess0")
    assert (answer.status, answer.error) == (401, ("expired_token", "The access token provided has expired"))
    assert office.call("profile").status == 200
    assert Office(access_token="").send("", path="/rest/profile", query="auth=").error[0] == "NO_AUTH_FOUND"


def test_xml() -> None:
    """F1.1: an address that ends in .xml is answered in XML; an error too."""
    office = Office()
    office.contact(1, name="A & <B>")
    answer = office.call("crm.contact.list.xml", select=["ID", "NAME"])
    assert answer.response.headers["Content-Type"] == "text/xml; charset=utf-8"
    root = ET.fromstring(answer.response.body)  # noqa: S314 - our own answer
    assert root.tag == "response"
    assert root.findtext("result/item/NAME") == "A & <B>"
    refused = office.call("nope.xml")
    assert (refused.status, ET.fromstring(refused.response.body).findtext("error")) == (404, "ERROR_METHOD_NOT_FOUND")  # noqa: S314


@pytest.mark.parametrize(
    ("method", "params"),
    [
        pytest.param("crm.contact.list", {"filter": {"ID": 1e300}}, id="a-number-beyond-64-bits-is-cut"),
        pytest.param("crm.contact.list", {"filter": {"ID": "9" * 5000}}, id="five-thousand-digits"),
        pytest.param("crm.contact.list", {"start": 1e300}, id="start"),
        pytest.param("crm.contact.list", {"filter": {"@ID": list(range(1, 40_000))}}, id="forty-thousand-ids"),
        pytest.param("crm.contact.list", {"filter": {"NAME": "%" * 60_000}}, id="a-long-text"),
    ],
)
def test_what_mysql_would_take(method: str, params: dict[str, object]) -> None:
    """F6: large is not wrong: PHP cuts numbers at 64 bits, and long lists are long lists."""
    assert Office().call(method, **params).status == 200


def test_what_no_database_takes() -> None:
    """F6: ERROR_CORE 500 "SQL query error!" where SQL itself fails: bytes that are no letters, a pattern too long."""
    office = Office()
    office.contacts(1, name="x")
    for query in ("filter[NAME]=%FF", f"filter[%25NAME]={'%25' * 60_000}"):
        answer = office.send("crm.contact.list", body=query.encode())
        assert (answer.status, answer.error) == (500, ("ERROR_CORE", "SQL query error!"))


def test_deep_json_is_no_parameters() -> None:
    """F1.1: what json_decode gives up on, 512 levels or half a letter, is silently no parameters."""
    office = Office()
    office.contacts(2)
    headers = {"content-type": "application/json"}
    for inner in ('{"a":' * 600 + "1" + "}" * 600, "[" * 100_000, '"\\ud83d"'):
        body = f'{{"filter":{{"ID":1}},"x":{inner}}}'.encode()
        assert office.send("crm.contact.list", body=body, headers=headers).ids == [1, 2]
    assert office.send("crm.contact.list", body=b'{"filter":{"ID":1},"x":"\\ud83d\\ude00"}', headers=headers).ids == [1]


def test_an_answer_that_cannot_be_written() -> None:
    """F6: WRONG_ENCODING instead of an answer with half a letter in it, with the status of that answer."""
    office = Office()
    answer = office.send("crm.item.list", query="entityTypeId=3&filter[%FF]=1")
    assert (answer.status, answer.error) == (400, ("WRONG_ENCODING", "Wrong request encoding"))


def test_an_error_with_the_status_of_a_success() -> None:
    """F1.2: some methods answer an error with HTTP 200 and without `time`."""
    office = Office(faults=[{"kind": "error", "code": "X", "description": "y", "status": 200}])
    answer = office.call("profile")
    assert (answer.status, answer.json) == (200, {"error": "X", "error_description": "y"})


def test_lists_and_empty_objects_in_xml() -> None:
    """F1.1: rows are tags named `item`; what JSON writes as `{}` is an empty tag."""
    office = Office(scopes=("user",))
    root = ET.fromstring(office.call("user.get.xml", ID=ANN).response.body)  # noqa: S314 - our own answer
    assert root.findtext("result/item/UF_DEPARTMENT/item") == "1"
    assert root.findtext("result/item/TIMESTAMP_X") == ""
    assert root.findtext("result/item/ACTIVE") == "1"


def test_the_header_of_an_application() -> None:
    """F5.3: X-Bitrix-Rest-Application names the application, if there is one."""
    office = Office()
    assert "X-Bitrix-Rest-Application" not in office.call("profile").response.headers
    answer = office.send("", path="/rest/profile", query="auth=simulatedaccess0")
    assert answer.response.headers["X-Bitrix-Rest-Application"] == "local.simulated"
