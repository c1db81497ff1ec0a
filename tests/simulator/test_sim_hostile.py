"""Bad requests of any kind get an answer that F6 knows, and the portal stays up."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.portal_fixture import ANN, Office

from reconciler.simulator.methods import METHODS

ALL_SCOPES = ("bizproc", "crm", "department", "im", "user")
#: What a request may be answered with; 500 is what MySQL refuses, and nothing else.
STATUSES = {200, 400, 401, 403, 404, 413, 500}
JSON_TYPE = {"content-type": "application/json"}

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *("", "0", "-1", "1", "15", "Y", "true", "false", "null", "%", "%00", "\x00", "a'b", "^&^", "^%^"),
            *("2026-01-01", "2026-01-01T00:00:00+03:00", "9" * 30, "1e999", "$result[a][0][ID]", "$next[x]", "ASC"),
        ]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
names = st.one_of(
    texts,
    st.sampled_from(
        [
            *("id", "ID", "fields", "params", "filter", "order", "select", "start", "items", "entityTypeId", "cmd"),
            *("halt", "FILTER", "ASSIGNED_BY_ID", "assignedById", "COMPANY_ID", "COMPANY_IDS", "companyIds", "NAME"),
            *(">ID", "!@id", "@ID", "%NAME", "!=%name", "><id", ">=DATE_MODIFY", "updatedTime", "PHONE", "fm", "logic"),
            *("CONTACT_ID", "contactIds", "observers", "USER_ID", "MESSAGE", "TAG", "ATTACH", "auth", "ACCESS", "SORT"),
        ]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
methods = st.one_of(st.sampled_from([*METHODS, "batch"]), texts)


def small_office() -> Office:
    """Fill a portal with a little of everything."""
    office = Office(scopes=ALL_SCOPES)
    office.contact(1, company=office.company(10))
    office.contact(15, owner=ANN, company=office.company(20), name="Zoë")
    return office


def check(office: Office, **request: Any) -> None:
    """Send a request, and find an answer of a known kind and a portal that still works."""
    answer = office.send(**request)
    assert answer.status in STATUSES
    if answer.response.headers["Content-Type"].startswith("application/json"):
        body = answer.json
        assert "result" in body or set(body) - {"argument"} == {"error", "error_description"}
        assert answer.status != 500 or body["error"] in ("ERROR_CORE", "INTERNAL_WRONG_TRANSPORT")
    assert office.call("server.time").status == 200


@settings(max_examples=100)
@given(methods, st.dictionaries(names, values, max_size=6))
def test_any_parameters(method: str, params: dict[str, Any]) -> None:
    """F6: whatever the parameters are, the answer is one of the documented."""
    check(small_office(), method=quote(method), body=json.dumps(params).encode(), headers=JSON_TYPE)


@settings(max_examples=40)
@given(
    st.one_of(st.lists(st.one_of(texts, values), max_size=60), st.dictionaries(names, texts, max_size=8)),
    st.lists(st.tuples(st.sampled_from([*METHODS, "batch"]), names, texts), max_size=5),
    scalars,
)
def test_any_batch(junk: Any, commands: list[tuple[str, str, str]], halt: Any) -> None:
    """F1.3: whatever the commands are, a batch has its five maps, and an entry for each text of its first fifty."""
    cmd = {
        f"c{index}": f"{method}?{quote(name)}[]={quote(value)}" for index, (method, name, value) in enumerate(commands)
    }
    office = small_office()
    for batch in (junk, cmd):
        body = json.dumps({"cmd": batch, "halt": halt}).encode()
        answer = office.send("batch", body=body, headers=JSON_TYPE)
        assert answer.status == 200
        assert set(answer.result) == {"result", "result_error", "result_total", "result_next", "result_time"}


@settings(max_examples=60)
@given(
    st.sampled_from(["crm.contact.list", "crm.contact.update", "crm.item.list", "user.get", "batch", "methods"]),
    st.binary(max_size=200),
    st.sampled_from(
        [
            *("application/json", "text/plain", "", "multipart/form-data", "multipart/form-data; boundary=x", "a/b;c"),
            *('multipart/mixed; boundary="', "application/x-www-form-urlencoded"),
        ]
    ),
    st.text(alphabet="abcdeIDfilter[]=&%0123456789+.$", max_size=60),
    st.sampled_from(["GET", "POST", "PUT", "HEAD"]),
)
def test_any_bytes(method: str, body: bytes, content_type: str, query: str, verb: str) -> None:
    """F1.1: bodies of any bytes and any type; what cannot be read is no parameters."""
    check(small_office(), method=method, body=body, headers={"content-type": content_type}, query=query, verb=verb)


@settings(max_examples=40)
@given(st.text(alphabet="/restbatch.json%20\\?#1simulatedtoken0é", max_size=40))
def test_any_path(path: str) -> None:
    """F6: any path is an answer of REST, or a page that is not there."""
    answer = Office().send("", path="/" + quote(path, safe="/%?#"))
    assert answer.status in STATUSES


@pytest.mark.parametrize(
    ("method", "params"),
    [
        pytest.param("batch", {"cmd": "profile"}, id="commands-that-are-a-text"),
        pytest.param("batch", {"cmd": {"a": "batch?cmd[]=profile"}}, id="batch-in-a-batch"),
        pytest.param("batch", {"cmd": {"a": "crm.contact.get?id=$result[none][0]"}}, id="macro-to-nowhere"),
        pytest.param(
            "batch", {"cmd": {"a": "?", "b": "#", "c": "", "d": "profile?" + "a[" * 500}}, id="empty-commands"
        ),
        pytest.param("batch", {"cmd": [f"profile?a={n}" for n in range(51)]}, id="fifty-one"),
        pytest.param("crm.contact.list", {"filter": "x"}, id="a-filter-that-is-a-text"),
        pytest.param("crm.item.list", {"entityTypeId": {"a": 1}}, id="an-array-for-a-number"),
        pytest.param("crm.contact.add", {"fields": {"PHONE": "x", "COMPANY_IDS": {"a": {"b": 1}}}}, id="no-phones"),
        pytest.param("crm.contact.update", {"id": [1], "fields": {"NAME": {"a": 1}}}, id="an-array-for-a-text"),
    ],
)
def test_bad_requests_one_by_one(method: str, params: dict[str, Any]) -> None:
    """F1.3, F6: the ones that people really send."""
    check(small_office(), method=method, body=json.dumps(params).encode(), headers=JSON_TYPE)


def test_deep_filters() -> None:
    """F2: nesting is allowed without a limit; what SQL cannot take is its error, not a crash."""
    office = small_office()
    for depth, status in ((20, 200), (400, 500)):
        inner: dict[str, Any] = {"id": 15}
        for _ in range(depth):
            inner = {"logic": "OR", "0": inner, "1": {"id": 99}}
        answer = office.call("crm.item.list", entityTypeId=3, filter=inner)
        assert answer.status == status
        if status == 200:
            assert [item["id"] for item in answer.result["items"]] == [15]
