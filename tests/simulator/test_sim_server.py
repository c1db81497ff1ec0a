"""The embedded portal over real sockets: what other programs and other languages see."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler.clock import SystemClock, VirtualClock
from reconciler.errors import UsageError
from reconciler.simulator.assembly import build
from reconciler.simulator.http import Request, Response
from reconciler.simulator.moving_clock import MovingClock
from reconciler.simulator.portal import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.simulator.portal import Portal
    from reconciler.simulator.server import Address

SMALL = SeedSpec(companies=20, contacts=60, owners=5, drift=0.2)


@contextmanager
def served(portal: Portal | None = None, **how: Any) -> Iterator[tuple[Address, httpx.Client]]:
    """Serve a small portal and yield its address and a client of it."""
    with serve(portal or build(SMALL, limits="self-hosted"), **how) as address:
        verify = ssl.create_default_context(cafile=address.tls_certificate) if address.tls_certificate else False
        with httpx.Client(base_url=address.base_url, verify=verify, timeout=10) as client:
            yield address, client


def answering(handle: Callable[[Request], Response], **options: Any) -> Portal:
    """Return a portal that answers with this function instead."""
    portal = build(SeedSpec(companies=1, contacts=1), options=PortalOptions(**options))
    portal.handle = handle  # type: ignore[method-assign]
    return portal


def raw_exchange(address: Address, request: bytes) -> bytes:
    """Send bytes and return all that comes back until the portal closes the connection."""
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def test_a_client_reads_the_portal_through_its_webhook() -> None:
    """The whole way: address, list method, rows of the seed."""
    with served() as (address, client):
        answer = client.post(address.webhook_url + "crm.contact.list.json", json={"order": {"ID": "ASC"}})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json()["total"] == 60
    assert address.webhook_url == f"http://127.0.0.1:{address.port}/rest/1/simulatedtoken0/"
    assert address.stats_url == f"http://127.0.0.1:{address.port}/_sim/stats"
    assert address.tls_certificate is None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_a_request_reaches_the_portal_as_it_was_sent(method: str) -> None:
    """F1.1: any HTTP method; path, query and body are not decoded, headers are in lower case."""
    seen: list[Request] = []

    def handle(request: Request) -> Response:
        seen.append(request)
        return Response(status=418, body=b"{}", headers={"X-Portal": "yes"})

    with served(answering(handle)) as (_, client):
        answer = client.request(
            method, "/rest/1/t%C3%B6ken//crm.contact.List.json/?a=b+c&d=%2B&e[]=1", content=b"\x00\xff"
        )
    assert (answer.status_code, answer.headers["X-Portal"], "Content-Type" in answer.headers) == (418, "yes", False)
    request = seen[0]
    assert (request.method, request.body) == (method, b"\x00\xff")
    assert request.path == "/rest/1/t%C3%B6ken//crm.contact.List.json/"
    assert request.query.replace("[]", "%5B%5D") == "a=b+c&d=%2B&e%5B%5D=1"
    assert request.headers["user-agent"].startswith("python-httpx/")
    assert request.headers["x-forwarded-proto"] == "http"
    assert request.source == "127.0.0.1"


def test_paths_outside_rest_are_not_found() -> None:
    """Only the portal and its back door are served."""
    with served() as (_, client):
        assert client.get("/").status_code == 404
        assert client.get("/restaurant").status_code == 404


def test_a_connection_is_kept_for_the_next_request() -> None:
    """HTTP/1.1: two answers come over one connection, which closes when asked."""
    with served(answering(lambda _: Response(status=200, body=b"{}"))) as (address, _):
        first = b"GET /rest/x HTTP/1.1\r\nHost: portal\r\n\r\n"
        last = b"GET /rest/x HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n"
        received = raw_exchange(address, first + last)
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_a_cut_at_zero_sends_not_a_byte() -> None:
    """The connection ends where the status line would stand."""
    with served(answering(lambda _: Response(status=200, body=b"{}", cut_after=0))) as (address, client):
        assert raw_exchange(address, b"GET /rest/x HTTP/1.1\r\nHost: portal\r\n\r\n") == b""
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/rest/x")


def test_a_truncated_body_ends_after_its_bytes() -> None:
    """Headers promise ten bytes, four arrive, then the connection is gone."""
    with served(answering(lambda _: Response(status=200, body=b"0123456789", cut_after=4))) as (address, client):
        received = raw_exchange(address, b"GET /rest/x HTTP/1.1\r\nHost: portal\r\n\r\n")
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/rest/x")
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Length: 10" in head
    assert body == b"0123"


def test_the_portal_goes_on_after_a_cut() -> None:
    """A scripted fault hits its own request only."""
    with served() as (address, client):
        client.post("/_sim/faults", json=[{"kind": "lost_answer", "times": 1}])
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(address.webhook_url + "profile")
        assert client.get(address.webhook_url + "profile").status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["with-length", "chunked"])
def test_a_body_that_is_too_long_is_refused_and_not_kept(*, chunked: bool) -> None:
    """F17: the portal sees one byte more than it takes, answers 413, and the client gets to read that."""
    seen: list[int] = []
    portal = build(SMALL, options=PortalOptions(max_body=100_000))
    handle = portal.handle

    def watched(request: Request) -> Response:
        seen.append(len(request.body))
        return handle(request)

    portal.handle = watched  # type: ignore[method-assign]
    with served(portal) as (address, client):
        body = bytes(3_000_000)
        content = (body[start : start + 50_000] for start in range(0, len(body), 50_000)) if chunked else body
        assert client.post(address.webhook_url + "batch", content=content).status_code == 413
        assert client.post(address.webhook_url + "profile", content=bytes(100_000)).status_code == 200
    assert seen == [100_001, 100_000]


def test_as_many_requests_run_at_a_time_as_there_are_threads() -> None:
    """The others queue, as before a real portal."""
    together, running, most = threading.Barrier(2, timeout=10), [0], [0]
    lock = threading.Lock()

    def handle(_: Request) -> Response:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait()
        with lock:
            running[0] -= 1
        return Response(status=200, body=b"{}")

    with served(answering(handle), threads=2) as (_, client):
        statuses: list[int] = []
        callers = [
            threading.Thread(target=lambda: statuses.append(client.get("/rest/x").status_code)) for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(10)
    assert statuses == [200] * 4
    assert most == [2]


def test_leaving_the_block_cuts_requests_that_still_wait() -> None:
    """A portal that would take a minute does not keep its program from ending."""
    portal, entered, seen = build(SMALL), threading.Event(), list[str]()

    def handle(_: Request) -> Response:
        entered.set()
        portal.clock.sleep(60)
        return Response(status=200, body=b"{}")

    portal.handle = handle  # type: ignore[method-assign]

    def ask(url: str) -> None:
        try:
            httpx.get(url, timeout=30)
        except httpx.TransportError as error:
            seen.append(type(error).__name__)

    with serve(portal) as address:
        caller = threading.Thread(target=ask, args=(f"{address.base_url}/rest/x",))
        caller.start()
        assert entered.wait(10)
    caller.join(10)
    assert seen == ["RemoteProtocolError"]


def test_a_portal_can_be_served_again() -> None:
    """What ended with the first serving was the serving, not the portal."""
    portal = build(SMALL, profile="instant")
    for _ in range(2):
        with served(portal) as (address, client):
            assert client.get(address.webhook_url + "profile").status_code == 200
    portal.clock.stop()


def test_https_with_an_authority_of_its_own() -> None:
    """F1.1: webhooks want HTTPS; the file to trust is told, works, and is gone afterwards."""
    with served(build(SMALL, options=PortalOptions(https_required=True)), tls=True) as (address, client):
        assert address.webhook_url.startswith("https://127.0.0.1:")
        assert address.tls_certificate is not None
        assert address.tls_certificate.exists()
        assert client.get(address.webhook_url + "profile").status_code == 200
        assert client.get(address.webhook_url.replace("127.0.0.1", "localhost") + "profile").status_code == 200
    assert not address.tls_certificate.exists()


def test_https_without_trustme_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate maker is an extra."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(UsageError, match=r"reconciler\[simulator\]"), serve(build(SMALL), tls=True):
        pass


def test_a_port_that_is_taken_is_said() -> None:
    """One sentence with host and port."""
    with (
        served() as (address, _),
        pytest.raises(UsageError, match=f"port {address.port}"),
        serve(build(SMALL), port=address.port),
    ):
        pass


# --- the back door


def test_statistics_count_what_was_asked_for() -> None:
    """The keys that benchmarks read."""
    with served() as (address, client):
        client.post(address.webhook_url + "batch", json={"cmd": {"a": "crm.contact.list", "b": "crm.company.list"}})
        stats = client.get(address.stats_url).json()
    assert (stats["requests"], stats["batches"]) == (1, 1)
    assert stats["commands"] == {"crm.contact.list": 1, "crm.company.list": 1}
    assert stats["drift"] == SMALL.drifted
    assert stats["cpu_seconds"] >= 0
    assert {"server_seconds", "operating_seconds", "rejected", "updates_applied", "noop_updates", "notices"} < set(
        stats
    )


def test_what_statistics_cost_is_not_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting the drift is work for whoever asks, and none of the portal's."""
    portal = build(SMALL)
    stats = portal.stats

    def laborious() -> dict[str, Any]:
        began = time.thread_time()
        while time.thread_time() < began + 0.2:
            pass
        return stats()

    with served(portal) as (address, client):
        monkeypatch.setattr(portal, "stats", laborious)
        client.get(address.stats_url)
        assert client.get(address.stats_url).json()["cpu_seconds"] < 0.2


CONDITIONAL = {
    "g": "crm.contact.list?filter[ID]=1&filter[ASSIGNED_BY_ID]=2&select[]=ID&start=-1",
    "u": "crm.contact.update?id=0$result[g][0][ID]&fields[ASSIGNED_BY_ID]=3",
}


def test_a_scripted_edit_between_precondition_and_write() -> None:
    """F1.4: over HTTP, too, an edit falls exactly before a command of a batch, and the list of writes shows it."""
    portal = build(SMALL, limits="self-hosted")
    portal.people.edit_contact(1, 1, assigned_by_id=2)
    edit = {"kind": "human_edit_between", "command": 2, "contact_id": 1, "owner": 4}
    with served(portal) as (address, client):
        assert client.post("/_sim/faults", json=[edit]).json() == {"loaded": 1}
        client.post(address.webhook_url + "batch", json={"cmd": CONDITIONAL})
        (write,) = client.get("/_sim/writes").json()
        assert client.get("/_sim/stats").json()["conditional"]["over_edits"] == 1
    assert [(change["field"], change["before"], change["after"]) for change in write["between"]] == [
        ("ASSIGNED_BY_ID", 2, 4)
    ]
    assert (write["entity"], write["id"], write["command"], write["conditional"]) == ("contact", 1, 2, True)
    assert 0 <= write["age"] < 10
    assert write["age"] == pytest.approx(write["at"] - write["read_at"])


class _MeanwhileClock(VirtualClock):
    """A clock on which something happens each time the portal waits."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self._meanwhile()
        super().sleep(seconds)


def test_a_client_gets_in_between_two_commands_of_another_ones_batch() -> None:
    """F1.4: the portal answers others while a batch is under way, also between precondition and write."""

    def another_client_writes() -> None:
        update = {"id": 1, "fields": {"ASSIGNED_BY_ID": 4}}
        httpx.post(address.webhook_url + "crm.contact.update", json=update, timeout=10).raise_for_status()

    portal = build(SMALL, limits="self-hosted", clock=_MeanwhileClock(another_client_writes))
    portal.people.edit_contact(1, 1, assigned_by_id=2)
    portal.faults.load([{"kind": "slow", "command": "g", "seconds": 30.0}])
    with served(portal) as (address, client):
        client.post(address.webhook_url + "batch", json={"cmd": CONDITIONAL})
        other, write = client.get("/_sim/writes").json()
    assert (other["command"], write["command"], write["conditional"]) == (None, 2, True)
    assert [change["after"] for change in write["between"]] == [4]
    assert write["age"] >= 30


@pytest.mark.parametrize(("wish", "drift"), [(None, 10), ({"data": "reseed"}, 10), ({"data": "keep"}, 0)])
def test_reset_puts_back_the_data_unless_they_are_to_be_kept(wish: dict[str, str] | None, drift: int) -> None:
    """Statistics start again either way."""
    portal = build(SMALL)
    with served(portal) as (address, client):
        portal.database.write(
            "UPDATE contact SET assigned_by_id = (SELECT assigned_by_id FROM company WHERE company.id = company_id)"
            " WHERE company_id IS NOT NULL"
        )
        client.get(address.webhook_url + "profile")
        before = client.get(address.stats_url).json()
        after = client.post("/_sim/reset", json=wish).json()
    assert (before["requests"], before["drift"]) == (1, 0)
    assert (after["requests"], after["drift"]) == (0, drift)


def test_faults_are_loaded_and_a_wrong_one_is_explained() -> None:
    """F6: an HTML 502 instead of an answer, until the script is replaced."""
    with served() as (address, client):
        assert client.post("/_sim/faults", json=[{"kind": "html_502"}]).json() == {"loaded": 1}
        assert client.get(address.webhook_url + "profile").status_code == 502
        refused = client.post("/_sim/faults", json=[{"kind": "earthquake"}])
        assert (refused.status_code, "earthquake" in refused.json()["error"]) == (400, True)
        assert client.post("/_sim/faults", content=b"not json").status_code == 400
        assert client.post("/_sim/faults", json=[]).json() == {"loaded": 0}
        assert client.get(address.webhook_url + "profile").status_code == 200


@pytest.mark.parametrize("clock", [None, VirtualClock()], ids=["moving", "virtual"])
def test_the_clock_can_be_advanced(clock: VirtualClock | None) -> None:
    """F5.1: fifty requests fill the bucket of a cloud portal; a minute later it is empty."""
    with served(build(SMALL, limits="cloud", clock=clock)) as (address, client):
        statuses = [client.get(address.webhook_url + "profile").status_code for _ in range(60)]
        assert statuses[:50] == [200] * 50
        assert 503 in statuses
        assert "now" in client.post("/_sim/clock", json={"advance": 60}).json()
        assert client.get(address.webhook_url + "profile").status_code == 200


def test_the_portals_time_of_day_can_be_wrong() -> None:
    """F2: only the portal's own clock tells when something was modified there."""
    portal = build(SMALL)
    with served(portal) as (_, client):
        client.post("/_sim/clock", json={"offset": -3_600})
        assert portal.wall() - portal.clock.now().timestamp() == pytest.approx(-3_600, abs=1)
        client.post("/_sim/reset", json={"data": "keep"})
        assert portal.clock_offset == 0


@pytest.mark.parametrize("wish", [{"advance": -5}, {"backwards": 5}, {"advance": "soon"}, [1]], ids=str)
def test_a_clock_that_cannot_be_moved_so_says_why(wish: object) -> None:
    """400 and a sentence."""
    with served() as (_, client):
        answer = client.post("/_sim/clock", json=wish)
    assert answer.status_code == 400
    assert "clock" in answer.json()["error"]


# --- assembly


@pytest.mark.parametrize(
    ("limits", "bucket", "operating"), [("cloud", 50, 480), ("enterprise", 250, 480), ("self-hosted", None, None)]
)
def test_limits_are_those_of_the_plan(limits: Any, bucket: int | None, operating: int | None) -> None:
    """F5.1 and F5.2: 50, 250 or any number of requests at once; 480 seconds of a method, or no counter at all."""
    portal = build(SMALL, limits=limits, clock=VirtualClock())
    path = portal.webhook_path + "profile"
    answers = [portal.handle(Request(method="GET", path=path)) for _ in range(260)]
    assert [answer.status for answer in answers].count(200) == (bucket or 260)
    assert (b'"operating"' in answers[0].body) == (operating is not None)


def test_unknown_limits_are_refused() -> None:
    """The sentence says what to choose from."""
    with pytest.raises(UsageError, match="cloud, enterprise, self-hosted"):
        build(SMALL, limits="unlimited")  # type: ignore[arg-type]


def test_the_system_clock_is_replaced_by_one_that_can_be_moved() -> None:
    """So that the portal's end, and its moved time, are its own affair."""
    clock = SystemClock()
    portal = build(SMALL, clock=clock)
    assert isinstance(portal.clock, MovingClock)
    before = portal.clock.monotonic()
    portal.clock.advance(600)
    assert 600 <= portal.clock.monotonic() - before < 660
    assert 599 <= portal.clock.now().timestamp() - clock.now().timestamp() < 660
