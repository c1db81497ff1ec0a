"""Addresses, bodies, envelopes and errors: F1.1, F1.2, F5.3 and F6 on the embedded portal."""

from __future__ import annotations

import pytest
from support.portal_fixture import START, Office

from reconciler.simulator.assembly import build
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.meters import LeakyBucket
from reconciler.simulator.seed import SeedSpec

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def office() -> Office:
    """Three contacts."""
    office = Office()
    office.contacts(3)
    return office


@pytest.mark.parametrize(
    "method",
    ["crm.contact.list", "crm.contact.List.json", "CRM.CONTACT.LIST", "crm.contact.list/", "crm.contact.list.JSON/"],
)
def test_method_names(office: Office, method: str) -> None:
    """F1.1: any case, an optional .json, a slash at the end."""
    assert office.call(method, start=-1).ids == [1, 2, 3]


@pytest.mark.parametrize(
    ("body", "headers", "query", "ids"),
    [
        pytest.param(b'{"filter":{"ID":2}}', JSON, "", [2], id="json"),
        pytest.param(
            b'{"filter":{"ID":2}}', {"content-type": "application/json; charset=utf-8"}, "", [2], id="charset"
        ),
        pytest.param(b"filter[ID]=2", FORM, "", [2], id="form"),
        pytest.param(b"filter[ID]=2", {}, "", [2], id="no-type-is-a-form"),
        pytest.param(b'{"filter":{"ID":2}}', {"content-type": "text/json"}, "", [1, 2, 3], id="other-json-type"),
        pytest.param(b'{"filter":{"ID":2}', JSON, "", [1, 2, 3], id="broken-json-is-unfiltered"),
        pytest.param(b'{"filter":{"ID":2}}', JSON, "filter[ID]=3", [2], id="body-over-query"),
        pytest.param(b"", {}, "filter[ID]=3", [3], id="query"),
        pytest.param(b"", {}, "FILTER[ID]=3", [3], id="upper-case"),
        pytest.param(b"", {}, "Filter[ID]=3", [3], id="capitalized"),
        pytest.param(b"", {}, "arFilter[ID]=3", [3], id="ar-prefix"),
        pytest.param(b"", {}, "fIlter[ID]=3", [1, 2, 3], id="other-case-is-unknown"),
    ],
)
def test_bodies(office: Office, body: bytes, headers: dict[str, str], query: str, ids: list[int]) -> None:
    """F1.1: JSON only with the exact type, anything else through parse_str, broken JSON silently nothing."""
    assert office.send("crm.contact.list", body=body, headers=headers, query=query).ids == ids


def test_get_and_multipart(office: Office) -> None:
    """F1.1: GET and multipart are accepted too; a GET's body is not read."""
    assert office.send("crm.contact.list", verb="GET", query="filter[ID]=3", body=b"filter[ID]=1").ids == [3]
    multipart = (
        b'--x\r\nContent-Disposition: form-data; name="filter[@ID][]"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="filter[@ID][]"\r\n\r\n3\r\n'
        b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n"
    )
    answer = office.send(
        "crm.contact.list", body=multipart, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.ids == [1, 3]


def test_ids_are_cast(office: Office) -> None:
    """F1.1, F4: `id` or `ID`, a text is cast."""
    assert office.call("crm.contact.get", ID="2").result["ID"] == "2"
    assert office.call("crm.contact.get", id="2x").result["ID"] == "2"
    assert office.call("crm.contact.get", Id=2).error[1] == "ID is not defined or invalid."


def test_state_never_reaches_a_method(office: Office) -> None:
    """F1.1: the parameter `state` is eaten by the server."""
    assert office.send("user.get", query="state=x&ID=1").ids == [1]


def test_envelope(office: Office) -> None:
    """F1.2: result, total and time; whole numbers of the time are ints; no operating without a limiter."""
    answer = office.call("crm.contact.list").json
    assert list(answer) == ["result", "total", "time"]
    assert answer["time"] == {
        "start": START,
        "finish": START,
        "duration": 0,
        "processing": 0,
        "date_start": "2026-01-01T03:00:00+03:00",
        "date_finish": "2026-01-01T03:00:00+03:00",
    }
    assert isinstance(answer["time"]["start"], int)


def test_the_portals_clock_may_be_off() -> None:
    """F2: dates come from the portal's own clock and zone."""
    office = Office(utc_offset=-5.5)
    office.portal.clock_offset = 90.5
    assert office.call("server.time").result == "2025-12-31T18:31:30-05:30"
    assert office.call("server.time").json["time"]["start"] == START + 90.5


def test_headers(office: Office) -> None:
    """F5.3: the headers of an answer, and of a refusal."""
    for method in ("crm.contact.list", "nope"):
        headers = office.call(method).response.headers
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert {"X-Bitrix-Rest-Time", "X-Bitrix-Rest-User-Time", "X-Bitrix-Rest-System-Time"} < set(headers)


def test_headers_of_a_portal_on_its_own_server() -> None:
    """F5.3: the headers with measurements come from the cloud only."""
    office = Office(self_hosted=True)
    for method in ("crm.contact.list", "nope"):
        headers = office.call(method).response.headers
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert not [name for name in headers if name.startswith("X-Bitrix")]
    assert build(SeedSpec(companies=1, contacts=1), limits="self-hosted").options.self_hosted
    assert not build(SeedSpec(companies=1, contacts=1), limits="cloud").options.self_hosted


def test_a_question_of_a_browser_does_nothing(office: Office) -> None:
    """F1.1: OPTIONS names the headers that a page may send, and carries nothing out, whoever asks."""
    query = "id=1&fields[ASSIGNED_BY_ID]=8"
    for path in (None, "/rest/1/wrong/crm.contact.update"):
        answer = office.send("crm.contact.update", verb="OPTIONS", query=query, path=path)
        assert (answer.status, answer.response.body) == (200, b"")
        assert answer.response.headers["Access-Control-Allow-Headers"] == "origin, content-type, accept"
        assert answer.response.headers["Access-Control-Allow-Origin"] == "*"
    assert office.portal.stats()["commands"] == {}
    assert office.send("crm.contact.update", verb="GET", query=query).result is True


def test_errors_have_no_time(office: Office) -> None:
    """F1.2: `{"error", "error_description"}` and nothing else; the code may be empty."""
    answer = office.call("crm.contact.get", id=99)
    assert answer.status == 400
    assert answer.json == {"error": "", "error_description": "Not found"}


def test_unknown_method_comes_before_authorization(office: Office) -> None:
    """F6: ERROR_METHOD_NOT_FOUND (404) is checked before auth."""
    answer = office.send("", path="/rest/1/wrong/crm.nothing")
    assert (answer.status, answer.error) == (404, ("ERROR_METHOD_NOT_FOUND", "Method not found!"))


@pytest.mark.parametrize("statuses", ["measured", "documented"])
@pytest.mark.parametrize(
    ("path", "code", "documented"),
    [
        ("/rest/1/wrong/profile", "INVALID_CREDENTIALS", 403),
        ("/rest/2/simulatedtoken0/profile", "INVALID_CREDENTIALS", 403),
        ("/rest/profile", "NO_AUTH_FOUND", 401),
        ("/rest/1/simulatedtoken0/department.get", "insufficient_scope", 403),
    ],
)
def test_refused_webhooks(path: str, code: str, documented: int, statuses: str) -> None:
    """F6: measured portals answer 401 to every failed authorization, the documentation gives other statuses."""
    answer = Office(auth_statuses=statuses).send("", path=path)
    assert answer.status == (401 if statuses == "measured" else documented)
    assert answer.error[0] == code


def test_webhook_in_parameters(office: Office) -> None:
    """F1.1: inside the portal a webhook is the parameters aplogin and ap."""
    answer = office.send("", path="/rest/profile", query="aplogin=1&ap=simulatedtoken0")
    assert answer.result["ID"] == "1"


def test_https_required() -> None:
    """F6: INVALID_REQUEST "Https required." when the webhook is called without TLS."""
    office = Office(https_required=True)
    assert (office.call("profile").status, office.call("profile").error) == (
        401,
        ("INVALID_REQUEST", "Https required."),
    )
    assert office.send("profile", headers={"x-forwarded-proto": "https"}).status == 200
    assert Office(https_required=True, auth_statuses="documented").call("profile").status == 400


def test_a_dismissed_owner_ends_the_webhook(office: Office) -> None:
    """F11.16, F6: authorization_error when the webhook's owner is dismissed."""
    office.portal.people.dismiss_user(1)
    answer = office.call("profile")
    assert (answer.status, answer.error) == (401, ("authorization_error", "Unable to authorize user"))


def test_health_checks_need_no_scope() -> None:
    """F11.24: server.time, profile, scope and user.admin need no scope; scope lists what there is."""
    office = Office(scopes=("crm",))
    assert office.call("profile").result["ADMIN"] is True
    assert office.call("user.admin").result is True
    assert office.call("scope").result == ["crm"]
    assert "department" in office.call("scope", full=True).result
    assert office.call("server.time").result == "2026-01-01T03:00:00+03:00"
    assert office.call("user.get").error[0] == "insufficient_scope"


def test_rate_limit_at_the_edge() -> None:
    """F5.1: 503 QUERY_LIMIT_EXCEEDED per source address, before anything is looked at, without time."""
    office = Office()
    office.portal.bucket = LeakyBucket(office.clock, 2, 2)
    statuses = [office.call("nope").status for _ in range(3)]
    answer = office.call("profile")
    assert statuses == [404, 404, 503]
    assert answer.json == {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
    assert office.send("profile", source="10.0.0.2").status == 200
    office.clock.sleep(1)
    assert office.call("profile").status == 200
    assert office.portal.stats()["rejected"] == {"ERROR_METHOD_NOT_FOUND": 2, "QUERY_LIMIT_EXCEEDED": 2}


def test_body_limit() -> None:
    """F17: a stock web server refuses bodies above a megabyte with 413, in HTML."""
    office = Office(max_body=100)
    assert office.send("profile", body=b"x" * 100).status == 200
    answer = office.send("profile", body=b"x" * 101)
    assert answer.status == 413
    assert answer.response.headers["Content-Type"] == "text/html"


def test_form_variables_beyond_the_limit_are_lost() -> None:
    """F1.3: max_input_vars applies to form bodies; the rest of an IN list is dropped without a word."""
    office = Office(max_input_vars=2)
    office.contacts(3)
    body = b"filter[@ID][]=1&filter[@ID][]=2&filter[@ID][]=3"
    assert office.send("crm.contact.list", body=body, headers=FORM).ids == [1, 2]


def test_renamed_portal() -> None:
    """F6: after a rename the old address answers 302 to the same path elsewhere, query included."""
    answer = Office(moved_to="new.bitrix24.example").send("profile", query="a=b")
    assert answer.status == 302
    expected = "https://new.bitrix24.example/rest/1/simulatedtoken0/profile?a=b"
    assert answer.response.headers["Location"] == expected
    assert "?" not in Office(moved_to="new.example").call("profile").response.headers["Location"]


def test_maintenance() -> None:
    """F6: HTML 502 while the portal is being updated."""
    answer = Office(maintenance=True).call("profile")
    assert (answer.status, answer.response.body[:6]) == (502, b"<html>")


@pytest.mark.parametrize("path", ["/", "/rest/1/2/3/profile", "/company/personal/", "/rest/1/profile"])
def test_other_pages(office: Office, path: str) -> None:
    """Whatever is not REST is a page that does not exist here."""
    assert office.send("", path=path).status == 404


def test_wrong_transport(office: Office) -> None:
    """F6: INTERNAL_WRONG_TRANSPORT 500 for another suffix."""
    answer = office.call("profile.txt")
    assert (answer.status, answer.error[0]) == (500, "INTERNAL_WRONG_TRANSPORT")


def test_costs_are_waited_for() -> None:
    """F16: a call takes what the model says; network is on the way, not in the portal's own time."""
    costs = CostModel(Profile(read=0.2, request_overhead=0.1, network=0.4))
    office = Office(costs=costs)
    office.contacts(1)
    time = office.call("crm.contact.list").json["time"]
    assert office.clock.monotonic() == pytest.approx(0.7)
    assert time["duration"] == pytest.approx(0.3)
    assert time["processing"] == pytest.approx(0.2)
    assert time["start"] == START + 0.2
    assert time["finish"] == START + 0.5
    assert office.portal.stats()["server_seconds"] == {"crm.contact.list": 0.2}


def test_counting_costs_each_time() -> None:
    """F14: `start >= 0` adds a COUNT over the table to every page; a window is cheap."""
    office = Office(costs=CostModel(Profile(counted_row=1.0)))
    office.contacts(10)
    durations = [
        office.list(start=0).json["time"]["duration"],
        office.list(start=0).json["time"]["duration"],
        office.list(start=-1).json["time"]["duration"],
        office.list(filter={">ID": 3, "<=ID": 5}).json["time"]["duration"],
    ]
    assert durations == [10, 10, 0, 2]


def test_examined_rows_cost_too() -> None:
    """F14: a drift query looks at all contacts of its companies, a company list by date at every company."""
    office = Office(costs=CostModel(Profile(examined_row=1.0)))
    for company_id in (1, 2, 3):
        office.company(company_id)
    for contact_id in range(1, 9):
        office.contact(contact_id, company=contact_id % 2 + 1)
    by_company = {"order": {"COMPANY_ID": "ASC", "ID": "ASC"}}
    drift = office.list(filter={"@COMPANY_ID": [1], "!ASSIGNED_BY_ID": 8}, start=-1, **by_company)
    assert (len(drift.ids), drift.json["time"]["duration"]) == (4, 0)
    drift = office.list(filter={"@COMPANY_ID": [1], "!ASSIGNED_BY_ID": 7}, start=-1, **by_company)
    assert (len(drift.ids), drift.json["time"]["duration"]) == (0, 4)
    drift = office.list(filter={"@COMPANY_ID": [1], "!ASSIGNED_BY_ID": 7}, start=0, **by_company)
    assert (len(drift.ids), drift.json["time"]["duration"]) == (0, 8), "a COUNT looks at them once more"
    for contact_id in range(9, 65):
        office.contact(contact_id, company=1)
    page = {"filter": {"@COMPANY_ID": [1]}, "start": -1}
    by_date = {"order": {"DATE_CREATE": "ASC"}}
    assert office.list(**page, **by_date).json["time"]["duration"] == 60 - 50, "to sort them it looks at all"
    assert office.list(**page, **by_company).json["time"]["duration"] == 0, "the index has them in this order"
    assert office.call("crm.contact.list", **page).json["time"]["duration"] == 0, "without an order a page is enough"
    companies = office.list("crm.company.list", filter={">=DATE_MODIFY": "2030-01-01"}, start=-1)
    assert companies.json["time"]["duration"] == 3
