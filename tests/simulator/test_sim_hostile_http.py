"""Bad requests over a real connection: the documented answer, and the portal stays up."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from reconciler.simulator.assembly import build
from reconciler.simulator.portal import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.simulator.server import Address

JSON_TYPE = {"content-type": "application/json"}
HUNDRED_MEGABYTES = 100 * 2**20


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """Serve a small portal."""
    with serve(build(SeedSpec(companies=5, contacts=60, owners=3), limits="self-hosted")) as address:
        yield address


@contextmanager
def client_of(address: Address) -> Iterator[httpx.Client]:
    """Talk to the portal, and at the end find it working."""
    with httpx.Client(base_url=address.webhook_url, timeout=30, verify=False) as client:  # noqa: S501 - plain HTTP
        yield client
        assert client.get("server.time").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        pytest.param("crm.contact.list", b'{"filter":', 200, None, id="broken-json-is-page-one"),
        pytest.param("crm.contact.list", b"[" * 500_000, 200, None, id="deep-nesting-is-page-one"),
        pytest.param("crm.contact.list", b'{"filter":"x"}', 400, "", id="a-text-for-an-array"),
        pytest.param("crm.nothing", b"{}", 404, "ERROR_METHOD_NOT_FOUND", id="unknown-method"),
        pytest.param("profile.txt", b"{}", 500, "INTERNAL_WRONG_TRANSPORT", id="unknown-suffix"),
        pytest.param("batch", b'{"cmd":"x"}', 200, None, id="no-commands"),
        pytest.param("crm.item.get", b'{"entityTypeId":3}', 400, "100", id="a-parameter-is-missing"),
        pytest.param("%F0%9F/%00", b"\xff\xfe", 404, None, id="a-path-that-is-no-text"),
    ],
)
def test_bad_requests(address: Address, path: str, body: bytes, status: int, error: str | None) -> None:
    """F1.1, F6: over HTTP as without it."""
    with client_of(address) as client:
        answer = client.post(path, content=body, headers=JSON_TYPE)
        assert answer.status_code == status
        if error is not None:
            assert answer.json()["error"] == error


def test_bad_batches(address: Address) -> None:
    """F1.3: one command too many, a batch in a batch and a macro to nowhere are each an entry of the answer."""
    cmd = {f"c{number:02}": "server.time" for number in range(51)}
    cmd |= {"c00": "batch?cmd[a]=profile", "c01": "crm.contact.get?id=$result[nope][0][ID]"}
    with client_of(address) as client:
        result = client.post("batch", json={"cmd": cmd}).json()["result"]
    assert {key: refusal["error"] for key, refusal in result["result_error"].items()} == {
        "c00": "ERROR_BATCH_METHOD_NOT_ALLOWED",
        "c50": "ERROR_BATCH_LENGTH_EXCEEDED",
    } | ({"c01": ""} if "c01" in result["result_error"] else {})
    assert len(result["result"]) + len(result["result_error"]) == 51


def test_a_hundred_megabytes(address: Address) -> None:
    """F17: 413 in HTML, read by the client; nothing of it is kept."""
    piece = b"x" * 2**20
    with client_of(address) as client:
        answer = client.post(
            "batch", content=(piece for _ in range(100)), headers={"content-length": str(HUNDRED_MEGABYTES)}
        )
        assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /rest/ HTTP/9.9\r\n\r\n",
        b"POST /rest/1/x/y HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"",
    ],
    ids=["no-http", "no-version", "no-length", "nothing"],
)
def test_what_is_no_request(address: Address, request_line: bytes) -> None:
    """A connection that speaks no HTTP is ended, and no other suffers."""
    with client_of(address), socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(100)
        assert not answer or b" 4" in answer or b" 5" in answer


def test_a_renamed_and_a_closed_portal() -> None:
    """F6: 302 to the same path of the new host, HTML 502 while the portal is being updated, over HTTP too."""
    for options, status in (
        (PortalOptions(moved_to="new.bitrix24.example"), 302),
        (PortalOptions(maintenance=True), 502),
    ):
        with serve(build(SeedSpec(companies=1, contacts=1), options=options)) as address:
            answer = httpx.post(f"{address.webhook_url}profile?a=b", verify=False)  # noqa: S501 - plain HTTP
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")
        expected = "https://new.bitrix24.example/rest/1/simulatedtoken0/profile?a=b" if status == 302 else None
        assert answer.headers.get("location") == expected
