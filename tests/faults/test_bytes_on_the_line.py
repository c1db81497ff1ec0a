"""What no HTTP server says, byte by byte over a real connection: each is an error of the tree, and asked again once.

The client's waits are virtual; those of the sockets are real, and short.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trustme
from support.portal_line import TOKEN, WEBHOOK, batch_answer, client_on

from reconciler.clock import VirtualClock
from reconciler.errors import ForeignAnswerError, NotJsonError, TransientError, UnreachableError
from reconciler.portal.rest.batch_codec import Command
from reconciler.portal.rest.connection import Line, http_client
from reconciler.portal.rest.deadline import Transport
from reconciler.settings.address import parse_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.portal.rest.client import Client

#: Seconds without a byte after which an answer is given up here.
PATIENCE = 0.25
COMMAND = Command("crm.contact.list", {"select": ["ID"]})
BODY = batch_answer({"c0": []}).content
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def headed(*lines: bytes, body: bytes = BODY) -> bytes:
    """Write an answer with these lines above its body."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", body])


def _request(connection: socket.socket) -> None:
    """Read one request to its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        if not piece:
            return
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    length = 0 if head.startswith(b"CONNECT ") else int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece


def says(answer: bytes) -> Callable[[socket.socket], None]:
    """Read the request, say this, and hang up."""

    def act(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(answer)

    return act


def resets(answer: bytes) -> Callable[[socket.socket], None]:
    """Read the request, say this, and break the connection off."""

    def act(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(answer)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def resets_at_once(connection: socket.socket) -> None:
    """Break off before the request is read."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs_up_at_once(_: socket.socket) -> None:
    """Say nothing, read nothing."""


def falls_silent(answer: bytes) -> Callable[[socket.socket], None]:
    """Say this, and then nothing until the client hangs up."""

    def act(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(answer)
        with suppress(OSError):
            connection.recv(1)

    return act


@contextmanager
def serving(*acts: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Treat each connection so, the last way for ever; yield the webhook's address."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        number = 0
        while True:
            connection, _ = listener.accept()
            if over.is_set():
                connection.close()
                return
            connection.settimeout(5)
            act = acts[min(number, len(acts) - 1)]
            number += 1
            with suppress(OSError):
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                act(connection)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/rest/1/{TOKEN}/"
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


BAD = [
    pytest.param(hangs_up_at_once, UnreachableError, id="hangs-up-at-once"),
    pytest.param(resets_at_once, UnreachableError, id="reset-at-once"),
    pytest.param(says(b""), UnreachableError, id="no-byte"),
    pytest.param(resets(b""), UnreachableError, id="reset-before-the-answer"),
    pytest.param(says(b"HTTP/1."), UnreachableError, id="half-a-status-line"),
    pytest.param(says(b"HTTP/1.1 200 OK\r\nConte"), UnreachableError, id="half-a-header"),
    pytest.param(resets(b"HTTP/1.1 200 OK\r\nConte"), UnreachableError, id="reset-in-the-header"),
    pytest.param(says(GOOD[:-1]), UnreachableError, id="a-byte-short"),
    pytest.param(says(GOOD[: -len(BODY)]), UnreachableError, id="no-body"),
    pytest.param(resets(GOOD[:-5]), UnreachableError, id="reset-in-the-body"),
    pytest.param(falls_silent(b""), UnreachableError, id="silent"),
    pytest.param(falls_silent(b"HTTP/1.1 200"), UnreachableError, id="silent-in-the-status-line"),
    pytest.param(falls_silent(GOOD[:60]), UnreachableError, id="silent-in-the-header"),
    pytest.param(falls_silent(GOOD[:-1]), UnreachableError, id="silent-in-the-body"),
    pytest.param(says(headed(b"Content-Length: 5")), NotJsonError, id="length-too-short"),
    pytest.param(says(headed(b"Content-Length: 9999")), UnreachableError, id="length-too-long"),
    pytest.param(says(headed(b"Content-Length: -1")), UnreachableError, id="length-below-zero"),
    pytest.param(says(headed(b"Content-Length: many")), UnreachableError, id="length-in-words"),
    pytest.param(says(headed(b"Content-Length: 3", b"Content-Length: 4")), UnreachableError, id="two-lengths"),
    pytest.param(says(headed(b"Content-Length: " + b"9" * 30)), UnreachableError, id="length-without-end"),
    pytest.param(says(CHUNKED + b"zz\r\n" + BODY), UnreachableError, id="chunk-size-in-words"),
    pytest.param(says(CHUNKED + b"-5\r\n" + BODY), UnreachableError, id="chunk-size-below-zero"),
    pytest.param(says(CHUNKED + b"%x\r\n%s" % (len(BODY), BODY)), UnreachableError, id="no-last-chunk"),
    pytest.param(says(CHUNKED + b"%x\r\n%sXX0\r\n\r\n" % (len(BODY), BODY)), UnreachableError, id="chunk-too-long"),
    pytest.param(says(CHUNKED + b"f" * 40 + b"\r\n"), UnreachableError, id="chunk-size-without-end"),
    pytest.param(says(headed(b"Transfer-Encoding: rot13")), UnreachableError, id="unknown-transfer-encoding"),
    pytest.param(says(BODY), UnreachableError, id="http-0.9"),
    pytest.param(says(b"<html>hello</html>"), UnreachableError, id="http-0.9-page"),
    pytest.param(says(b"HTTP/9.9 200 OK\r\n\r\n"), NotJsonError, id="http-9.9"),
    pytest.param(says(b"HTTP/1.1 20 OK\r\n\r\n"), UnreachableError, id="two-digits"),
    pytest.param(says(b"HTTP/1.1 OK\r\n\r\n"), UnreachableError, id="no-status"),
    pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n"), UnreachableError, id="ssh"),
    pytest.param(says(b"\x15\x03\x01\x00\x02\x02\x46"), UnreachableError, id="a-tls-alert"),
    pytest.param(says(bytes(range(256)) * 8), UnreachableError, id="all-bytes"),
    pytest.param(says(headed(b"X: a\x00b")), UnreachableError, id="a-null-in-a-header"),
    pytest.param(says(headed(b"no colon")), UnreachableError, id="a-header-without-a-colon"),
    pytest.param(says(headed(b"X: " + b"y" * 300_000)), UnreachableError, id="a-header-of-300-kB"),
    pytest.param(says(headed(*[b"X: y"] * 50_000)), UnreachableError, id="headers-without-end"),
    pytest.param(says(b"HTTP/1.1 100 Continue\r\n\r\n"), UnreachableError, id="continue-and-no-more"),
    pytest.param(
        says(headed(b"Content-Encoding: gzip", b"Content-Length: 4", body=b"abcd")), NotJsonError, id="no-gzip"
    ),
    pytest.param(says(b"HTTP/1.1 204 No Content\r\n\r\n"), NotJsonError, id="no-content"),
    pytest.param(says(headed(b"Content-Length: 2", body=b"\xff\xfe")), NotJsonError, id="no-text"),
]


@pytest.mark.parametrize(("act", "error"), BAD)
def test_bytes_that_are_no_answer(act: Callable[[socket.socket], None], error: type[TransientError]) -> None:
    """F6: the error says what to look at and nothing of the token; a read is asked again, and then answered."""
    with serving(act) as address, http(address) as client:
        with pytest.raises(error) as caught:
            client.send([COMMAND])
        assert TOKEN not in str(caught.value)
    with serving(act, says(GOOD)) as address, http(address) as client:
        assert [answer.result for answer in client.read([COMMAND])] == [[]]
        assert client.usage.requests == 2


def http(address: str, proxy: str | None = None, **options: Any) -> Client:
    """Return a client on a real connection."""
    plain = http_client(connect_timeout=2 * PATIENCE, read_timeout=PATIENCE, proxy=proxy)
    return client_on(plain, VirtualClock(), webhook=address, read_timeout=PATIENCE, **options)


def slowly(connection: socket.socket, pieces: Iterable[bytes], last: bytes = b"") -> None:
    """Say one piece after the other for ten seconds, never silent for long, and then the last one."""
    pause = threading.Event()
    for piece in itertools.islice(pieces, 400):
        connection.sendall(piece)
        pause.wait(PATIENCE / 10)
    connection.sendall(last)


def trickles(answer: bytes, *pieces: bytes, last: bytes = b"") -> Callable[[socket.socket], None]:
    """Read the request, say this, then these pieces over and over, and at last the end of a good answer."""

    def act(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(answer)
        slowly(connection, itertools.cycle(pieces), last)

    return act


def trickles_before_the_request(connection: socket.socket) -> None:
    """Begin a TLS record of the longest kind, and fill it byte by byte."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    slowly(connection, itertools.repeat(b"\x00"))


HEAD, COLON = b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d" % len(BODY)
END = COLON + b"\r\n\r\n" + BODY
SLOW = [
    pytest.param(trickles(b"HTTP/1.1 200 ", b"x", last=b"\r\n" + END), id="status-line"),
    pytest.param(trickles(HEAD + b"X: ", b"y", last=b"\r\n" + END), id="header"),
    pytest.param(trickles(HEAD, b"X: y\r\n", last=END), id="headers"),
    pytest.param(trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n", last=HEAD + END), id="continue"),
    pytest.param(trickles(b"", b"HTTP/1.1 102 Processing\r\n\r\n", last=HEAD + END), id="processing"),
    pytest.param(
        trickles(HEAD + b"Content-Length: %d\r\n\r\n" % (400 + len(BODY)), b" ", last=BODY),
        id="body",
    ),
    pytest.param(trickles(CHUNKED, b"1\r\n \r\n", last=b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)), id="chunks"),
    pytest.param(
        trickles(CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY), b"X: y\r\n", last=b"\r\n"), id="trailers"
    ),
]


@pytest.mark.parametrize("act", SLOW)
def test_an_answer_that_trickles(act: Callable[[socket.socket], None]) -> None:
    """One piece at a time never falls silent: the exchange as a whole has an end, wherever it is by then."""
    with (
        serving(act) as address,
        http(address, attempts=1) as client,
        pytest.raises(UnreachableError, match="did not answer in time"),
    ):
        client.send([COMMAND])


@pytest.mark.parametrize("ask", ["https", "proxy"])
def test_a_way_that_trickles(ask: str) -> None:
    """Before the portal has been asked at all: in the TLS handshake, and in a proxy's consent."""
    act = trickles_before_the_request if ask == "https" else trickles(HEAD, b"X: y\r\n", last=b"\r\n")
    with serving(act) as address:
        proxy = address.partition("/rest/")[0] if ask == "proxy" else None
        target = WEBHOOK if proxy else address.replace("http:", "https:")
        with http(target, proxy) as client, pytest.raises(UnreachableError, match="did not answer in time"):
            client.send([COMMAND])


def counting() -> Callable[[], float]:
    """Return a clock on which each look at it takes a second."""
    return itertools.count(1.0).__next__


@pytest.mark.parametrize(
    ("size", "error"), [(1_000, None), (200_000, httpx.WriteTimeout)], ids=["in-time", "out-of-time"]
)
def test_a_request_that_leaves_slowly(size: int, error: type[httpx.HTTPError] | None) -> None:
    """A long body leaves in pieces, and there is a look at the deadline before each."""
    with serving(says(GOOD)) as address, on_time(6, counting()) as plain:
        if error is None:
            assert plain.post(address, content=b"x" * size).content == BODY
        else:
            with pytest.raises(error):
                plain.post(address, content=b"x" * size)


def test_an_answer_that_never_falls_silent() -> None:
    """Where the next bytes are always there already, the deadline holds nevertheless."""

    def floods(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 40_000 + GOOD)

    with serving(floods) as address, on_time(6, counting()) as plain, pytest.raises(httpx.ReadTimeout):
        plain.post(address, content=b"x")


def test_a_handshake_for_which_no_time_is_left() -> None:
    """It is begun, so that the connection is closed, and given up."""
    with (
        serving(falls_silent(b"")) as address,
        on_time(1, counting()) as plain,
        pytest.raises(httpx.ConnectTimeout),
    ):
        plain.post(address.replace("http:", "https:"), content=b"x")


def test_each_exchange_has_a_deadline_of_its_own() -> None:
    """A connection that is kept may be used for longer than one exchange may take."""

    def answers_twice(connection: socket.socket) -> None:
        for _ in range(2):
            _request(connection)
            connection.sendall(GOOD)

    clock = VirtualClock()
    with serving(answers_twice, hangs_up_at_once) as address, on_time(5, clock.monotonic) as plain:
        for _ in range(2):
            assert plain.post(address, content=b"x").content == BODY
            clock.sleep(100)


def on_time(seconds: float, now: Callable[[], float]) -> httpx.Client:
    """Return an HTTP client whose exchanges may take so long on this clock; its sockets wait in real time."""
    return httpx.Client(transport=Transport(seconds, tls=ssl.create_default_context(), now=now), timeout=5)


def test_an_answer_that_is_longer_than_any() -> None:
    """It is given up while it is read, whatever its length says."""
    with (
        serving(says(CHUNKED + b"10000\r\n" + b" " * 65536 + b"\r\n")) as address,
        http(address, answer_bytes=1000) as client,
        pytest.raises(TransientError, match="longer than 1000 bytes"),
    ):
        client.send([COMMAND])


@pytest.mark.parametrize("act", [hangs_up_at_once, says(GOOD), says(b"\x16\x03\x01")], ids=["hangs-up", "http", "half"])
def test_a_server_that_speaks_no_tls(act: Callable[[socket.socket], None]) -> None:
    """The handshake fails, and the request with the token in it never leaves."""
    with serving(act) as address, http(address.replace("http:", "https:")) as client:
        with pytest.raises(UnreachableError) as caught:
            client.send([COMMAND])
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"], ids=["unknown-authority", "another-name"])
def test_a_certificate_that_cannot_be_trusted(name: str) -> None:
    """TLS is verified, and there is no way around it."""
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(name).configure_cert(context)
    with (
        serving(lambda connection: heard.append(connection.recv(10)), tls=context) as address,
        http(address) as client,
        pytest.raises(UnreachableError, match="certificate") as caught,
    ):
        client.send([COMMAND])
    assert TOKEN not in str(caught.value)
    assert heard in ([], [b""])


def test_a_portal_that_never_answers_is_given_up_in_time() -> None:
    """A person waits: the first answer has a limit of its own, and a batch that was cut is not cut in parts."""
    with serving(falls_silent(b"")) as address:
        plain = http_client(connect_timeout=30, read_timeout=60)
        with client_on(plain, VirtualClock(), webhook=address, patient=False) as client:
            client.first_answer_seconds = PATIENCE
            with pytest.raises(UnreachableError, match="did not answer in time"):
                client.ask([COMMAND] * 7)
            assert client.usage.requests == 1


def test_nobody_listens() -> None:
    """A closed port is told as such."""
    with serving(hangs_up_at_once) as address:
        pass
    with http(address) as client, pytest.raises(UnreachableError, match="cannot be reached"):
        client.send([COMMAND])


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("xn---7sbexample1g.bitrix24.ru", b"xn---7sbexample1g.bitrix24.ru"),
        ("my_portal.intra.", b"my_portal.intra"),
        ("пор_тал.рф:8080", b"xn--_-8sb7ajehp.xn--p1ai:8080"),
        ("[fe80::1%25eth0]", b"[fe80::1]"),
    ],
    ids=["no-encoder-writes-it", "underscore-and-dot", "cyrillic-underscore", "zone"],
)
def test_every_host_is_asked(host: str, header: bytes) -> None:
    """A host that curl reaches is reached: here by way of a proxy, which sees what was asked for."""
    heard: list[bytes] = []

    def answers(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(GOOD)

    with serving(answers) as address:
        plain = http_client(connect_timeout=1, read_timeout=1, proxy=address.partition("/rest/")[0])
        hosts = [host.partition(":")[0], "fe80::1%eth0"]
        webhook = parse_webhook(f"http://{host}/rest/1/{TOKEN}/", hosts)
        line = Line(webhook, plain, answer_bytes=1000, depart=lambda: None)
        assert line.post(b"{}") == (200, BODY)
        line.close()
    assert f"\r\nHost: {header.decode()}\r\n".encode() in heard[0]


def test_the_zone_of_an_address_reaches_the_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The percent sign that a URL writes as `%25` is one again where the connection is made."""
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int, *_: Any, **__: Any) -> Any:
        asked.append((host, port))
        raise OSError("no such zone")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    webhook = parse_webhook(f"http://[fe80::1%25eth9]:81/rest/1/{TOKEN}/", ["fe80::1%eth9"])
    line = Line(webhook, http_client(connect_timeout=1, read_timeout=1), answer_bytes=1000, depart=lambda: None)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        line.post(b"{}")
    assert asked == [("fe80::1%eth9", 81)]


def batch(keys: list[str]) -> bytes:
    """Write the whole answer to a batch with these keys."""
    body = batch_answer({key: [] for key in keys}).content
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def fresh() -> Callable[[], str]:
    """Return nonces that a test can foretell: n1, n2, n3."""
    numbers = itertools.count(1)
    return lambda: f"n{next(numbers)}"


@pytest.mark.parametrize("together", [True, False], ids=["with-the-answer", "after-it"])
def test_an_answer_that_nobody_asked_for(together: bool) -> None:
    """Whether it came in one piece with the answer before or later: the connection is closed, and a new one asked."""
    said = threading.Event()

    def answers_twice(connection: socket.socket) -> None:
        _request(connection)
        if together:
            connection.sendall(GOOD + GOOD)
        else:
            connection.sendall(GOOD)
            said.wait(5)
            connection.sendall(GOOD)
        said.set()
        with suppress(OSError):
            while connection.recv(65536):
                pass

    other = GOOD.replace(BODY, BODY.replace(b"[]", b"{}", 1))
    with serving(answers_twice, says(other)) as address, on_time(5, VirtualClock().monotonic) as plain:
        assert plain.post(address, content=b"1").content == BODY
        if together:
            with pytest.raises(httpx.RemoteProtocolError, match="nobody asked for"):
                plain.post(address, content=b"2")
        else:
            said.set()
            threading.Event().wait(0.05)
        assert plain.post(address, content=b"3").content == BODY.replace(b"[]", b"{}", 1)


def test_the_answer_to_another_request() -> None:
    """Its keys tell it apart; the connection is closed, since all that follows on it would be one answer late."""
    connections: list[int] = []

    def one_late(connection: socket.socket) -> None:
        connections.append(1)
        _request(connection)
        connection.sendall(batch(["n0c0"]))
        with suppress(OSError):
            _request(connection)
            connection.sendall(batch(["n1c0"]))

    def in_time(connection: socket.socket) -> None:
        connections.append(2)
        _request(connection)
        connection.sendall(batch(["n2c0"]))

    with serving(one_late, in_time) as address, http(address, nonce=fresh()) as client:
        with pytest.raises(ForeignAnswerError):
            client.send([COMMAND])
        assert [answer.result for answer in client.read([COMMAND])] == [[]]
    assert connections == [1, 2]
