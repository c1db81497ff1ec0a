"""The pages over HTTP: what is asked for, by whom, and what a browser may do with it."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from reconciler.errors import JournalError, UsageError
from reconciler.web.server import Page, Site, application, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask.testing import FlaskClient

POLICY = "default-src 'none'; style-src 'sha256-x'"
SET = "/held-back/a1b2c3"
PATHS = ("/", SET, "/healthz", "/readyz", "/metrics")


def site(
    *, not_alive: str = "", not_ready: Sequence[str] = (), status: Callable[[], Page] | None = None, text: str = "<p>x"
) -> Site:
    """Make pages that say so."""
    return Site(
        status=status or (lambda: Page(text=text, policy=POLICY)),
        held_back=held_back,
        not_alive=lambda: not_alive,
        not_ready=lambda: not_ready,
        metrics=lambda: b"reconciler_alive 1\n",
        metrics_type="text/plain; version=0.0.4; charset=utf-8",
    )


def held_back(digest: str) -> Page | str:
    """Know one set."""
    return Page(text="<p>y", policy=POLICY) if digest == "a1b2c3" else f"there is no {digest}"


def browser(shown: Site, address: str = "127.0.0.1", hosts: tuple[str, ...] = ()) -> FlaskClient:
    """Give somebody who asks without a network."""
    return application(shown, address=address, allowed_hosts=hosts).test_client()


def test_what_each_page_says() -> None:
    """One line each; the metrics under the type that Prometheus wants."""
    found = {path: browser(site()).get(path) for path in PATHS}
    assert {path: answer.status_code for path, answer in found.items()} == dict.fromkeys(PATHS, 200)
    assert {path: answer.text for path, answer in found.items()} == {
        "/": "<p>x",
        SET: "<p>y",
        "/healthz": "alive\n",
        "/readyz": "ready\n",
        "/metrics": "reconciler_alive 1\n",
    }
    assert found["/metrics"].content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert found["/"].content_type == found[SET].content_type == "text/html; charset=utf-8"


def test_what_fails_is_told_in_one_line() -> None:
    """With status 503, and no character of a stranger's that breaks the line."""
    ill = browser(site(not_alive="the loop\nstands \x1b[1mstill", not_ready=["no sweep yet", "the disk is full"]))
    health, ready = ill.get("/healthz"), ill.get("/readyz")
    assert (health.status_code, health.text) == (503, "not alive: the loop stands [1mstill\n")
    assert (ready.status_code, ready.text) == (503, "not ready: no sweep yet; the disk is full\n")


@pytest.mark.parametrize("path", [*PATHS, "/held-back/f", "/nowhere"])
def test_every_answer_is_hardened(path: str) -> None:
    """Nothing is loaded, framed, sniffed or kept, and no other site's page may read it."""
    headers = browser(site()).get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy == POLICY if path in {"/", SET} else policy.startswith("default-src 'none'; frame-ancestors 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Set-Cookie" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_the_pages_only_show(method: str) -> None:
    """There is no action, on no path."""
    for path in (*PATHS, "/nowhere"):
        answer = browser(site()).open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_head_tells_the_same_without_the_body() -> None:
    """A monitor may ask so."""
    answer = browser(site(not_ready=["no"])).head("/readyz")
    assert (answer.status_code, answer.data) == (503, b"")


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST:9464", "127.0.0.1", True),
        ("localhost.", "127.0.0.1", True),
        ("127.0.0.1:9464", "127.0.0.1", True),
        ("[::1]:9464", "127.0.0.1", True),
        ("reconciler:9464", "127.0.0.1", True),
        ("Status.Example", "127.0.0.1", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "0.0.0.0", True),
        ("[fd00::1]:80", "::", True),
        ("10.1.2.4", "10.1.2.3", False),
        ("10.1.2.3", "127.0.0.1", False),
        ("evil.example", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("localhost.evil.example", "0.0.0.0", False),
        ("127.0.0.1.evil.example", "0.0.0.0", False),
        ("", "0.0.0.0", False),
        ("reconciler@evil.example", "0.0.0.0", False),
        ("evil.example:80:reconciler", "0.0.0.0", False),
    ],
)
def test_only_names_of_ours_are_answered(host: str, address: str, allowed: bool) -> None:
    """A name of a stranger that leads to this machine gets nothing: his page could read ours."""
    client = browser(site(), address, ("reconciler", "status.example."))
    for path, says in (("/metrics", "reconciler_alive"), (SET, "<p>y")):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == (200 if allowed else 421)
        assert (says in answer.text) is allowed


@pytest.mark.parametrize("asked", ["f", "%3Cb%3E%0A%1B[1m", "x" * 300])
def test_a_set_that_is_not_known_is_one_sentence(asked: str) -> None:
    """As text, in one line, and with status 404."""
    answer = browser(site()).get(f"/held-back/{asked}")
    assert (answer.status_code, answer.content_type) == (404, "text/plain; charset=utf-8")
    assert answer.text.startswith("there is no ")
    assert answer.text.removesuffix("\n").isprintable()


def test_elsewhere_there_is_nothing() -> None:
    """And it says where there is."""
    answer = browser(site()).get("/favicon.ico")
    assert answer.status_code == 404
    assert answer.text == "there is nothing here; there is /, /healthz, /readyz, /metrics\n"


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (JournalError("The journal is locked."), 503, "The journal is locked.\n"),
        (ZeroDivisionError("at secret"), 500, "something unforeseen happened; the log tells more\n"),
    ],
)
def test_a_page_that_cannot_be_made(error: Exception, status: int, says: str) -> None:
    """One sentence where there is one; of a bug of ours nothing but that it is one."""

    def failing() -> Page:
        raise error

    answer = browser(site(status=failing)).get("/")
    assert (answer.status_code, answer.text) == (status, says)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    """With the settings that help, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says = rf"127\.0\.0\.1, port {port} \(.*in use\): set web\.port"
        with pytest.raises(UsageError, match=says) as refusal, serve(site(), address="127.0.0.1", port=port):
            pytest.fail("two listen on one port")
    assert refusal.value.exit_code == 2


def test_over_a_real_line() -> None:
    """Keep-alive, HEAD, a body that nobody asked for; and the end leaves no thread behind."""
    before = threading.active_count()
    with serve(site(), address="127.0.0.1", port=0) as port, httpx.Client(trust_env=False) as client:
        address = f"http://127.0.0.1:{port}"
        assert [client.get(address + path).status_code for path in PATHS] == [200] * len(PATHS)
        assert client.head(address).headers["server"] == "reconciler"
        assert client.post(address, content=b"x" * 100).status_code == 405
        assert client.post(address, content=b"x" * 100_000).status_code == 413
    assert threading.active_count() == before


def test_a_client_that_dawdles_does_not_hold_up_the_end() -> None:
    """One that has sent half a request is left, within the seconds of a farewell."""
    before = threading.active_count()
    with serve(site(), address="127.0.0.1", port=0) as port:
        dawdler = socket.create_connection(("127.0.0.1", port))
        dawdler.sendall(b"GET / HTTP/1.1\r\nHost: local")
    dawdler.close()
    assert threading.active_count() == before


def test_long_headers_are_refused() -> None:
    """They would fill the memory."""
    with serve(site(), address="127.0.0.1", port=0) as port, httpx.Client(trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{port}/", headers={"X-Long": "x" * 20_000})
        assert answer.status_code == 413
        assert client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200


def connected(port: int) -> socket.socket:
    """Open a connection that gives up after ten seconds."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def alive(port: int) -> str:
    """Ask as a monitoring system does, which gives up soon."""
    return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=8, trust_env=False).text


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "], ids=["nothing", "half a header"]
)
def test_connections_that_wait_hold_no_thread(sent: bytes) -> None:
    """Forty that send nothing, or half a request: the next one is answered at once."""
    with serve(site(), address="127.0.0.1", port=0) as port, ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connected(port)).sendall(sent)
        assert alive(port) == "alive\n"


def test_a_header_may_come_in_pieces() -> None:
    """Each byte alone, and the answer is whole; so is the next one on the same connection."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serve(site(), address="127.0.0.1", port=0) as port, connected(port) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for number in range(len(request)):
                line.sendall(request[number : number + 1])
            assert read_until(line, b"alive\n").startswith(b"HTTP/1.1 200 OK")


def read_until(line: socket.socket, end: bytes) -> bytes:
    """Return what comes, up to these bytes or the end of the connection."""
    received = b""
    while not received.endswith(end) and (chunk := line.recv(65_536)):
        received += chunk
    return received


def test_a_byte_now_and_then_is_no_reason_to_wait_longer() -> None:
    """The whole header has one deadline; a client that goes on sending is cut off."""
    with serve(site(), address="127.0.0.1", port=0, patience=0.3) as port, connected(port) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        closed: list[socket.socket] = []
        while not closed:
            with suppress(ConnectionError):
                line.sendall(b"x")
            closed, _, _ = select.select([line], [], [], 0.02)
        with suppress(ConnectionError):
            assert line.recv(1) == b""


def test_a_body_that_does_not_come_has_a_deadline() -> None:
    """As many as there are threads send none: they are let go of, and the others are answered."""
    with serve(site(), address="127.0.0.1", port=0, patience=0.3) as port, ExitStack() as stack:
        lines = [stack.enter_context(connected(port)) for _ in range(12)]
        for line in lines:
            line.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        assert alive(port) == "alive\n"
        assert [read_until(line, b"no such end") for line in lines]


def test_an_answer_that_nobody_takes_has_a_deadline() -> None:
    """As many as there are threads ask for a large page and read none of it."""
    with serve(site(text="x" * 12_000_000), address="127.0.0.1", port=0, patience=1.5) as port, ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connected(port)).sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert alive(port) == "alive\n"


def test_of_many_connections_that_wait_the_oldest_goes() -> None:
    """There are never more than a limit, and a new one is always let in."""
    with serve(site(), address="127.0.0.1", port=0, most_waiting=3) as port, ExitStack() as stack:
        lines = [stack.enter_context(connected(port)) for _ in range(8)]
        assert [line.recv(1) for line in lines[:5]] == [b""] * 5
        assert alive(port) == "alive\n"
        lines[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_until(lines[-1], b"alive\n").startswith(b"HTTP/1.1 200 OK")
