"""The client: what is repeated and what is not, for how long, how much at a time, and what no message tells."""

from __future__ import annotations

import gzip
import json
import ssl
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.portal_fixture import Office
from support.portal_line import BEGAN, HOST, TOKEN, Line, Script, batch_answer, client_on, error_answer

from reconciler import __version__, errors
from reconciler.clock import Timeline, VirtualClock
from reconciler.errors import (
    AuthorizationError,
    BlockedError,
    DeniedError,
    MissingScopeError,
    NotJsonError,
    OperationTimeLimitError,
    PortalError,
    RateLimitedError,
    RefusedError,
    ServerFaultError,
    Stopped,
    TooLargeError,
    UnreachableError,
    UsageError,
)
from reconciler.portal.rest import connection as line_module
from reconciler.portal.rest.batch_codec import Answer, Command, fresh_nonce
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.error_codes import LONGEST
from reconciler.portal.rest.question import Question
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.http import Request, Response
from reconciler.simulator.meters import LeakyBucket
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIME = Command("server.time", {})
PAGE = Command("crm.contact.list", {"order": {"ID": "ASC"}, "select": ["ID"], "start": -1})


def office(**options: Any) -> Office:
    """Return an empty office on a timeline of its own."""
    return Office(clock=VirtualClock(Timeline()), **options)


# What is sent -------------------------------------------------------------------------------------------------------


def test_the_request() -> None:
    """F1.1: POST to batch.json, JSON by its exact type, a real name, and nothing of the environment."""
    script = Script(batch_answer())
    script.client().read([TIME])
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("POST", f"https://{HOST}/rest/1/{TOKEN}/batch.json")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"] == f"reconciler/{__version__}"
    assert json.loads(request.content) == {"halt": 0, "cmd": {"c0": "server.time"}}


def test_the_keys_of_each_batch_are_its_own() -> None:
    """An answer that comes late, or that nobody asked for, is not taken for this one: its keys begin otherwise."""
    nonces = iter(["na", "nb", "nc"])
    late = batch_answer({"nac0": "late"})
    script = Script(late, late, batch_answer({"ncc0": "in time"}))
    client = script.client(nonce=lambda: next(nonces))
    assert [client.read([TIME])[0].result for _ in range(2)] == ["late", "in time"]
    keys = [list(json.loads(request.content)["cmd"]) for request in script.requests]
    assert keys == [["nac0"], ["nbc0"], ["ncc0"]]


def test_no_two_batches_share_a_key() -> None:
    """And none is a number, which PHP would answer with a list."""
    nonces = {fresh_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(nonce.isalnum() and nonce.startswith("n") for nonce in nonces)


def test_cookies_are_not_kept() -> None:
    """F11.23: a session's cookie would make the webhook somebody else."""
    cookie = batch_answer()
    cookie.headers["Set-Cookie"] = "PHPSESSID=1; Path=/"
    script = Script(cookie)
    client = script.client()
    client.read([TIME])
    client.read([TIME])
    assert "cookie" not in script.requests[1].headers


def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy nor a password file; a proxy is a setting."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    script = Script(batch_answer())
    script.client().read([TIME])
    assert "authorization" not in script.requests[0].headers
    with http_client(connect_timeout=1, read_timeout=2) as http:
        assert not http.trust_env
        assert http._mounts == {}
        assert http.timeout == httpx.Timeout(connect=1, read=2, write=2, pool=2)


def test_a_proxy_is_a_setting() -> None:
    """It is asked instead of the portal: nobody listens there, and the sentence has no password in it."""
    http = http_client(connect_timeout=1, read_timeout=1, proxy="http://me:sesame@127.0.0.1:9")
    clock = VirtualClock()
    client = client_on(http, clock, attempts=1)
    with client, pytest.raises(UnreachableError, match="cannot be reached") as failure:
        client.read([TIME])
    assert "sesame" not in everything(failure.value)


def test_tls_is_verified_with_the_bundle_that_was_named(tmp_path: Path) -> None:
    """Always, and without a switch; a bundle that is none is a mistake in the settings."""
    for content in ("", "no certificate"):
        bundle = tmp_path / "ca.pem"
        bundle.write_text(content)
        with pytest.raises(UsageError, match=r"portal\.ca_bundle cannot be loaded"):
            http_client(connect_timeout=1, read_timeout=1, ca_bundle=bundle)
    with pytest.raises(UsageError, match=r"portal\.ca_bundle"):
        http_client(connect_timeout=1, read_timeout=1, ca_bundle=tmp_path / "missing.pem")
    trustme = pytest.importorskip("trustme")
    trustme.CA().cert_pem.write_to_path(str(bundle))
    http_client(connect_timeout=1, read_timeout=1, ca_bundle=bundle).close()
    for context in (line_module._tls(None), line_module._tls(bundle)):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_no_key_of_a_connection_is_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SSLKEYLOGFILE is not looked at: with the keys, and what passed on the wire, the token could be read."""
    trustme = pytest.importorskip("trustme")
    bundle, keys = tmp_path / "ca.pem", tmp_path / "keys"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    for place in (keys, tmp_path / "missing" / "keys"):
        monkeypatch.setenv("SSLKEYLOGFILE", str(place))
        for context in (line_module._tls(None), line_module._tls(bundle)):
            assert context.keylog_filename is None
        for proxy in ("http://proxy.example:3128", "https://proxy.example:3128"):
            http_client(connect_timeout=1, read_timeout=1, proxy=proxy).close()
    assert not keys.exists()


@pytest.mark.parametrize("inside", [{}, {"result_error": {"c0": {"error": "E", "error_description": "MANY TOKEN"}}}])
def test_no_part_of_the_token_is_left_where_a_message_is_cut(inside: dict[str, Any]) -> None:
    """It is masked before a long message is shortened: half a token would not be known as one."""
    said = "x" * (LONGEST - 8) + " " + TOKEN
    if inside:
        inside["result_error"]["c0"]["error_description"] = said
    script = Script(batch_answer({}, **inside) if inside else error_answer(400, "E", said))
    with pytest.raises(RefusedError) as refusal:
        script.client().read([TIME])
    assert "***" in str(refusal.value)
    assert TOKEN[:4] not in everything(refusal.value)


# What is repeated ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html_502"},
        {"kind": "html_504"},
        {"kind": "internal_error"},
        {"kind": "rate_limited"},
        {"kind": "error", "code": "PORTAL_BUSY", "status": 503},
        {"kind": "error", "code": "SOMETHING_NEW", "status": 429},
        {"kind": "cut_before"},
        {"kind": "lost_answer"},
        {"kind": "truncated_body"},
        {"kind": "wrong_json"},
        {"kind": "empty_answer"},
        {"kind": "error", "code": "CONNECTION_ERROR", "status": 401},
        {"kind": "error", "code": "ERROR_UNEXPECTED_ANSWER", "status": 500},
        {"kind": "partial_batch", "commands": 1},
        {"kind": "missing_result", "method": "server.time"},
        {"kind": "command_error", "method": "server.time", "code": "INTERNAL_SERVER_ERROR"},
        {"kind": "operation_limit", "method": "server.time"},
        {"kind": "operation_limit", "method": "batch"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_what_passes_is_repeated(fault: dict[str, Any]) -> None:
    """F6: the same request may succeed later; a read may always be repeated."""
    wire = Line(office(faults=[fault | {"times": 2}]))
    answers = wire.client.read([TIME, PAGE])
    assert isinstance(answers[0].result, str)
    assert answers[1].result == []
    assert wire.stats["requests"] > 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "INVALID_CREDENTIALS", AuthorizationError),
        (401, "NO_AUTH_FOUND", AuthorizationError),
        (401, "expired_token", AuthorizationError),
        (401, "authorization_error", AuthorizationError),
        (401, "insufficient_scope", MissingScopeError),
        (503, "OVERLOAD_LIMIT", BlockedError),
        (403, "PORTAL_DELETED", BlockedError),
        (400, "ERROR_ARGUMENT", errors.BadRequestError),
        (404, "ERROR_METHOD_NOT_FOUND", errors.BadRequestError),
        (403, "ACCESS_DENIED", DeniedError),
        (400, "", RefusedError),
    ],
)
def test_what_does_not_pass_is_not_repeated(status: int, code: str, kind: type[PortalError]) -> None:
    """Never an authorization or argument error, whatever its status."""
    wire = Line(office(faults=[{"kind": "error", "code": code, "status": status}]))
    with pytest.raises(kind):
        wire.client.read([TIME])
    assert wire.stats["requests"] == 1
    assert wire.clock.monotonic() == 0


@pytest.mark.parametrize(
    "answer",
    [
        error_answer(503, "PORTAL_BUSY"),
        httpx.Response(503, content=b"<html>503 Service Temporarily Unavailable"),
        httpx.Response(429, content=b"<html>429 Too Many Requests"),
        batch_answer({}, result_error={"c0": {"error": "QUERY_LIMIT_EXCEEDED"}}),
    ],
    ids=["unknown-code", "page-503", "page-429", "inside-a-batch"],
)
def test_who_is_too_busy_gets_fewer_requests(answer: httpx.Response) -> None:
    """Whatever says so, and also where the portal has no known limit: the requests after it leave apart."""
    script = Script(answer, batch_answer())
    client = script.client()
    client.read([TIME])
    at = script.clock.monotonic()
    for _ in range(4):
        client.read([TIME])
    assert script.clock.monotonic() - at > 3.5
    assert script.clock.monotonic() - at < 8


def test_a_batch_holds_no_more_than_fifty() -> None:
    """The portal would refuse the rest of them: that is a mistake of the caller, and nothing leaves."""
    script = Script(batch_answer())
    with pytest.raises(ValueError, match="51 commands are more than a batch holds"):
        script.client().send([TIME] * 51)
    assert script.requests == []


def test_a_question_travels_with_the_first_commands() -> None:
    """It makes no request of its own, is asked once, and waits where there is nothing to read or no answer."""
    script = Script(error_answer(500, "INTERNAL_SERVER_ERROR"), batch_answer({"c0": True, "c1": []}), batch_answer())
    client = script.client(attempts=1)
    kept: list[Answer | PortalError] = []
    client.beside.put(Question(PAGE, kept.append, "users", kept.append))
    assert client.read([]) == []
    with pytest.raises(ServerFaultError):
        client.read([TIME])
    assert (kept, len(script.requests)) == ([], 1)
    assert len(client.read([TIME])) == 1
    client.read([TIME])
    assert len(kept) == 1
    assert [len(json.loads(request.content)["cmd"]) for request in script.requests] == [2, 2, 1]


def test_a_question_that_is_refused_stops_nothing() -> None:
    """It is told the error; the other commands have their answers."""
    clock = VirtualClock(Timeline())
    client = client_on(InProcessTransport(Office(clock=clock, scopes=("crm",)).portal), clock)
    refused: list[PortalError] = []
    client.beside.put(Question(Command("user.get", {}), lambda _: None, "users", refused.append))
    assert client.read([PAGE])[0].result == []
    assert [type(error) for error in refused] == [MissingScopeError]


def test_a_silent_portal_is_asked_once_while_a_person_waits() -> None:
    """Seven commands in one request: none of it is asked again in smaller ones, each of which would be silent too."""

    def silent(_: httpx.Request) -> httpx.Response:
        script.clock.sleep(75)
        raise httpx.ReadTimeout("")

    script = Script(silent)
    with pytest.raises(UnreachableError):
        script.client(patient=False).ask([TIME] * 7)
    assert len(script.requests) == 1


def test_a_refused_command_does_not_hold_up_the_others() -> None:
    """`ask` gives each its answer or its error, `read` raises the first error; neither repeats it."""
    wire = Line(office(faults=[{"kind": "command_error", "method": "crm.contact.list"}]))
    first, second, third = wire.client.ask([TIME, PAGE, TIME])
    assert isinstance(first, Answer)
    assert isinstance(second, DeniedError)
    assert isinstance(third, Answer)
    with pytest.raises(DeniedError):
        wire.client.read([TIME, PAGE, TIME])
    assert wire.stats["requests"] == 2


def test_only_what_failed_is_asked_again() -> None:
    """Answers that came are kept; the order stays that of the commands."""
    wire = Line(office(faults=[{"kind": "missing_result", "method": "crm.contact.list", "times": 1}]))
    answers = wire.client.read([PAGE, TIME])
    assert answers[0].result == []
    assert wire.stats["commands"] == {"crm.contact.list": 2, "server.time": 1}


def test_what_belongs_together_is_asked_again_together() -> None:
    """All answers of one moment: a check of two moments would be none."""
    fault = {"kind": "missing_result", "method": "crm.contact.list", "times": 1}
    wire = Line(office(faults=[fault]))
    answers = wire.client.read_together([PAGE, TIME])
    assert [type(answer) for answer in answers] == [Answer, Answer]
    assert wire.stats["commands"] == {"crm.contact.list": 2, "server.time": 2}


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ({"kind": "command_error"}, DeniedError, 1),
        ({"kind": "command_error", "code": "insufficient_scope"}, MissingScopeError, 1),
        ({"kind": "missing_result"}, ServerFaultError, 3),
        ({"kind": "operation_limit"}, OperationTimeLimitError, 3),
    ],
    ids=str,
)
def test_what_belongs_together_fails_together(fault: dict[str, Any], kind: type[PortalError], requests: int) -> None:
    """The lasting error first; what may pass is repeated up to the limit."""
    wire = Line(office(faults=[fault | {"method": "crm.contact.list"}]), attempts=3)
    with pytest.raises(kind):
        wire.client.read_together([TIME, PAGE])
    assert wire.stats["requests"] == requests


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_the_cap_on_attempts(attempts: int) -> None:
    """Then the last error is raised as it was."""
    script = Script(httpx.Response(502, content=b"<html>"))
    with pytest.raises(NotJsonError, match="HTTP 502"):
        script.client(attempts=attempts).read([TIME])
    assert len(script.requests) == attempts


@pytest.mark.parametrize("attempts", [1, 3])
def test_the_cap_on_attempts_of_a_command(attempts: int) -> None:
    """The same for one that fails inside a batch that passes."""
    wire = Line(office(faults=[{"kind": "missing_result", "method": "server.time"}]), attempts=attempts)
    with pytest.raises(ServerFaultError, match="unanswered"):
        wire.client.read([TIME])
    assert wire.stats["requests"] == attempts


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), attempts=st.integers(2, 9))
def test_full_jitter(seed: int, attempts: int) -> None:
    """A random part of 2, 4, 8, … seconds, at most sixty: clients that failed together do not return together."""
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError):
        script.client(seed=seed, attempts=attempts, retry_seconds=10_000).read([TIME])
    pauses = [later - earlier for earlier, later in zip(script.at, script.at[1:], strict=False)]
    assert len(pauses) == attempts - 1
    assert all(0 <= pause <= min(60, 2**number) for number, pause in enumerate(pauses, start=1))
    assert len(set(pauses)) == len(pauses)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), seconds=st.integers(1, 100))
def test_the_cap_on_time(seed: int, seconds: int) -> None:
    """No pause is begun that would go beyond it."""
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError):
        script.client(seed=seed, attempts=50, retry_seconds=seconds).read([TIME])
    assert script.clock.monotonic() <= seconds
    assert 1 <= len(script.requests) < 50


def test_the_cap_on_time_counts_slow_failures() -> None:
    """Each read time-out takes 75 s: the fifth attempt would end beyond the five minutes."""
    wire = Line(office(costs=CostModel(Profile(network=1_000))), attempts=50)
    with pytest.raises(UnreachableError, match="did not answer in time"):
        wire.client.read([TIME])
    assert wire.stats["requests"] in {3, 4}
    assert wire.clock.monotonic() <= 375


def test_waiting_for_the_budget_is_no_attempt() -> None:
    """After ten minutes of waiting a request that fails is still repeated."""
    script = Script(
        error_answer(429, "OPERATION_TIME_LIMIT"),
        httpx.Response(502),
        httpx.Response(502),
        batch_answer({"c0": 7}),
    )
    (answer,) = script.client(retry_seconds=60).read([TIME])
    assert answer.result == 7
    assert script.clock.monotonic() > 300


def test_an_operation_limit_that_stays() -> None:
    """Of `batch` as a whole: waited for as often as there are attempts, then told."""
    script = Script(error_answer(429, "OPERATION_TIME_LIMIT"))
    with pytest.raises(OperationTimeLimitError):
        script.client(attempts=3).read([TIME])
    assert script.at == [0, 300, 600]


def test_an_operation_limit_of_one_method_stays() -> None:
    """The same for one command; no pause beside the wait."""
    wire = Line(office(faults=[{"kind": "operation_limit", "method": "server.time"}]), attempts=3)
    answer, other = wire.client.ask([TIME, PAGE])
    assert isinstance(answer, OperationTimeLimitError)
    assert isinstance(other, Answer)
    assert wire.clock.monotonic() == 600


def test_impatience_ends_with_the_first_answer() -> None:
    """A person waits: an address that never answered is told at once, one that did is given time."""
    silent = Script(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError):
        silent.client(patient=False).read([TIME])
    assert len(silent.requests) == 1
    for first in (batch_answer(), error_answer(503, "QUERY_LIMIT_EXCEEDED")):
        script = Script(first, httpx.ConnectError("refused"), batch_answer())
        client = script.client(patient=False)
        if first.status_code == 200:
            client.read([TIME])
        client.read([TIME])
        assert len(script.requests) == 3


def test_a_rate_limit_slows_down() -> None:
    """F5.1: the bucket is taken for full, the rate for half."""
    script = Script(error_answer(503, "QUERY_LIMIT_EXCEEDED"), batch_answer())
    client = script.client(burst=50, per_second=2)
    client.read([TIME])
    assert script.at[1] >= 1 / 0.8
    assert client.throttle.delay(1) > 0.5


# Stopping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "limits"),
    [
        pytest.param(httpx.ConnectError("refused"), {"seed": 3}, id="pause"),
        pytest.param(error_answer(429, "OPERATION_TIME_LIMIT"), {}, id="budget"),
        pytest.param(error_answer(503, "QUERY_LIMIT_EXCEEDED"), {"burst": 2, "per_second": 0.01}, id="throttle"),
    ],
)
def test_stopped_while_waiting(answer: Any, limits: dict[str, Any]) -> None:
    """No further request leaves, and the wait ends at once."""
    script = Script(answer)
    client = script.client(**limits)
    script.clock.call_later(0.25, script.clock.stop)
    with pytest.raises(Stopped):
        client.read([TIME])
    assert script.clock.monotonic() == 0.25
    assert len(script.requests) == 1


def test_stopped_between_two_batches() -> None:
    """A long read ends at the next request, not at its end."""
    script = Script(batch_answer({f"c{index}": 0 for index in range(50)}))
    client = script.client(burst=2, per_second=0.1)
    script.clock.call_later(20, script.clock.stop)
    with pytest.raises(Stopped):
        client.read([TIME] * 500)
    assert script.at == pytest.approx([0, 0, 12.5])


# Time-outs and odd answers ------------------------------------------------------------------------------------------


def test_a_read_time_out_in_virtual_time() -> None:
    """It is 75 s, beyond the portal's own 60; the sentence says what to look at."""
    wire = Line(office(costs=CostModel(Profile(network=200))), attempts=1)
    with pytest.raises(UnreachableError, match=f"{HOST} did not answer in time; is the portal up"):
        wire.client.read([TIME])
    assert wire.clock.monotonic() == 75


def test_a_request_that_the_portal_cuts_is_sent_in_parts() -> None:
    """F5.3: fifty commands of four seconds never end in sixty; smaller batches do."""
    wire = Line(office(faults=[{"kind": "slow", "seconds": 4, "method": "server.time"}]), attempts=2)
    assert len(wire.client.read([TIME] * 50)) == 50
    assert wire.stats["requests"] < 20


def test_one_command_that_never_ends_is_told() -> None:
    """Nothing can be made smaller than that."""
    wire = Line(office(faults=[{"kind": "slow", "seconds": 70, "method": "crm.contact.list"}]), attempts=2)
    with pytest.raises(NotJsonError, match="HTTP 504"):
        wire.client.read([TIME, PAGE])


class Body(httpx.SyncByteStream):
    """A body that comes in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.sent += 1
            yield piece


def streaming(body: Body, headers: dict[str, str] | None = None) -> Callable[[httpx.Request], httpx.Response]:
    """Answer with this body."""
    return lambda _: httpx.Response(200, headers=headers, stream=body)


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    """A page of the wrong server, or an attack: memory stays bounded."""
    body = Body([b" " * 1_000] * 1_000)
    with pytest.raises(NotJsonError, match=r"longer than 5000 bytes \(portal\.answer_limit\)"):
        Script(streaming(body)).client(attempts=1, answer_bytes=5_000).read([TIME])
    assert body.sent == 6


def test_an_answer_that_unpacks_to_too_much() -> None:
    """The limit counts what is unpacked: thirty kilobytes that become thirty megabytes."""
    packed = gzip.compress(b" " * 30_000_000)
    pieces = [packed[start : start + 1_000] for start in range(0, len(packed), 1_000)]
    body = Body(pieces)
    with pytest.raises(NotJsonError, match="longer than 2000000 bytes"):
        Script(streaming(body, {"Content-Encoding": "gzip"})).client(attempts=1, answer_bytes=2_000_000).read([TIME])
    assert body.sent < 5


def test_a_packed_answer() -> None:
    """Unpacked as usual."""
    packed = gzip.compress(batch_answer({"c0": 7}).content)
    script = Script(streaming(Body([packed]), {"Content-Encoding": "gzip"}))
    assert script.client().read([TIME])[0].result == 7


def test_an_answer_that_cannot_be_unpacked() -> None:
    """Something between here and the portal is broken; it may pass."""
    script = Script(streaming(Body([b"no gzip"]), {"Content-Encoding": "gzip"}), batch_answer())
    assert script.client().read([TIME])[0].result is True
    with pytest.raises(NotJsonError, match="cannot be read"):
        Script(streaming(Body([b"no gzip"]), {"Content-Encoding": "gzip"})).client(attempts=1).read([TIME])


# Too much at a time -------------------------------------------------------------------------------------------------


def test_fifty_commands_to_a_batch() -> None:
    """F1.3: the portal refuses those beyond; nothing is asked for nothing."""
    wire = Line(office())
    assert len(wire.client.read([TIME] * 120)) == 120
    assert wire.stats["batches"] == 3
    assert wire.client.read([]) == []
    assert wire.stats["batches"] == 3
    assert (wire.client.usage.requests, wire.client.usage.commands) == (3, 120)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 900), min_size=1, max_size=80), limit=st.integers(1_200, 5_000))
def test_no_body_is_longer_than_the_limit(sizes: list[int], limit: int) -> None:
    """F17: a stock web server takes one megabyte; ours is a setting, and holds to the byte."""
    wire = Line(office(max_body=limit), body_bytes=limit)
    commands = [Command("server.time", {"x": "y" * size}) for size in sizes]
    assert len(wire.client.read(commands)) == len(sizes)
    assert wire.stats["rejected"] == {}
    assert wire.stats["requests"] <= 2 * sum(sizes) // limit + len(sizes) // 10 + 2
    assert wire.stats["commands"] == {"server.time": len(sizes)}


class Narrow:
    """A web server that takes bodies up to a limit, in front of a portal."""

    def __init__(self, portal: Any, limit: int, status: int) -> None:
        self.portal, self.limit, self.status = portal, limit, status
        self.clock = portal.clock
        self.refused = 0

    def handle(self, request: Request) -> Response:
        if len(request.body) > self.limit:
            self.refused += 1
            return Response(status=self.status, body=b"<html>too large</html>")
        answer: Response = self.portal.handle(request)
        return answer


@pytest.mark.parametrize("status", [413, 414])
@pytest.mark.parametrize("limit", [900, 3_000, 8_000])
def test_a_body_that_is_refused_is_halved(status: int, limit: int) -> None:
    """All is asked in the end, in order, and what was learned is kept."""
    wire = Line(office())
    server = Narrow(wire.office.portal, limit, status)
    client = client_on(InProcessTransport(server), wire.clock)
    commands = [Command("crm.company.list", {"filter": {"TITLE": "x" * 100}, "start": number}) for number in range(100)]
    assert len(client.read(commands)) == 100
    assert wire.stats["commands"] == {"crm.company.list": 100}
    assert server.refused <= 5
    learned = server.refused
    client.read(commands)
    assert server.refused == learned


def test_one_command_that_is_too_long_is_told() -> None:
    """Nothing to halve: the setting is named."""
    wire = Line(office())
    client = client_on(InProcessTransport(Narrow(wire.office.portal, 20, 413)), wire.clock)
    with pytest.raises(TooLargeError, match=r"lower portal\.body_limit"):
        client.read([TIME, TIME])


# Send, once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.ReadTimeout("x"), UnreachableError),
        (httpx.Response(502), NotJsonError),
        (error_answer(500, "INTERNAL_SERVER_ERROR"), ServerFaultError),
        (error_answer(503, "QUERY_LIMIT_EXCEEDED"), RateLimitedError),
        (error_answer(429, "OPERATION_TIME_LIMIT"), OperationTimeLimitError),
        (error_answer(401, "INVALID_CREDENTIALS"), AuthorizationError),
        (httpx.Response(413), TooLargeError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_write_is_sent_once(answer: Any, kind: type[PortalError]) -> None:
    """Whoever writes must look before it tries again."""
    script = Script(answer)
    with pytest.raises(kind):
        script.client().send([TIME])
    assert len(script.requests) == 1


def test_the_moment_of_departure_is_behind_the_throttle() -> None:
    """The age of a check is taken when its write leaves, not when it began to wait."""
    script = Script(batch_answer())
    client = script.client(burst=2, per_second=1)
    for _ in range(3):
        client.send([TIME])
    assert script.at == [0, 0, 1.25]
    assert client.sent_at == 1.25


def test_the_clients_throttle_keeps_to_the_portals_bucket() -> None:
    """F5.1: two hundred requests, as fast as they may, and none refused."""
    clock = VirtualClock(Timeline())
    wire = Line(office_with_bucket(clock), burst=50, per_second=2)
    for _ in range(200):
        wire.client.read([TIME])
    assert wire.stats["rejected"] == {}
    assert 90 < clock.monotonic() < 110


def office_with_bucket(clock: VirtualClock) -> Office:
    """Return an office on the cloud."""
    return Office(clock=clock, bucket=LeakyBucket(clock, 50, 2))


# Secrets ------------------------------------------------------------------------------------------------------------


def everything(error: BaseException) -> str:
    """Return all that anybody could print of an error: message, `repr`, arguments, and the traceback with causes."""
    return "\n".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error)])


REDIRECTS = [
    f"https://evil.example/rest/1/{TOKEN}/batch.json",
    f"/rest/1/{TOKEN}/other",
    f"https://{HOST}:99999/rest/1/{TOKEN}/batch.json",
    "https://[::1/",
]


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(302, headers={"Location": location}) for location in REDIRECTS),
        *(failure("it failed") for failure in (httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError)),
        httpx.ConnectTimeout("x"),
        httpx.ProxyError("407"),
        httpx.UnsupportedProtocol("x"),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, json={"result": 1}),
        httpx.Response(413),
        lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body([b"x"])),
        error_answer(401, "INVALID_CREDENTIALS"),
        error_answer(500, ""),
        error_answer(429, "OPERATION_TIME_LIMIT"),
        batch_answer({}, result_error={"c0": {"error": ""}}),
        batch_answer({}),
    ],
)
def test_no_error_tells_the_token(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in a message, a `repr`, a traceback or a log line, whatever goes wrong."""
    script = Script(answer)
    client = script.client(attempts=2)
    with pytest.raises(PortalError) as failure:
        client.read([TIME])
    assert TOKEN not in everything(failure.value)
    assert TOKEN not in repr(client._line.webhook)
    captured = capsys.readouterr()
    assert TOKEN not in captured.out + captured.err


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectError("x"), "ConnectError"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError(), "OSError"),
        (ssl.SSLCertVerificationError("self-signed"), r"not trusted: .*; .* set portal\.ca_bundle"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_why_a_portal_cannot_be_reached(failure: Exception, reason: str) -> None:
    """In a word, from as deep as it is known."""

    def answer(_request: httpx.Request) -> httpx.Response:
        if isinstance(failure, httpx.HTTPError):
            raise failure
        try:
            try:
                raise failure
            except OSError as cause:
                raise RuntimeError("a layer between") from cause
        except RuntimeError:
            raise httpx.ConnectError("x")  # noqa: B904 - as httpx does it in places: context, and no cause

    with pytest.raises(UnreachableError, match=f"{HOST} cannot be reached .*{reason}.*; check portal.webhook_url"):
        Script(answer).client(attempts=1).read([TIME])


def test_the_portals_clock_is_decoded() -> None:
    """For watermarks, which compare with it only."""
    assert Script(batch_answer()).client().send([TIME]).began.isoformat() == BEGAN


def test_a_client_closes_its_line() -> None:
    """Used with `with`."""
    script = Script(batch_answer())
    with script.client() as client:
        assert (client.host, client.origin) == (HOST, f"https://{HOST}")
    with pytest.raises(RuntimeError, match="closed"):
        client.read([TIME])
