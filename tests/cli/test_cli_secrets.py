"""The token and the proxy's password appear nowhere, whatever goes wrong and however much is logged."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from support.command_line import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.command_line import Desk, Served

#: With characters that URLs and JSON write in several ways.
TOKEN = "t0ps-cret_T0KEN-value"
PASSWORD = "pr0xy/p&ss word"


def spellings(secret: str) -> set[str]:
    """Return the ways in which a secret may have been written down."""
    quoted = quote(secret, safe="")
    return {
        *(secret, quoted, quoted.lower(), quote(quoted, safe="")),
        *(secret.replace("/", "\\/"), json.dumps(secret)[1:-1], secret.replace(" ", "+")),
        *("".join(f"%{byte:02x}" for byte in secret.encode()), "".join(f"\\u{ord(letter):04x}" for letter in secret)),
        base64.b64encode(f"agent:{secret}".encode()).decode(),
    }


SECRETS = sorted(spellings(TOKEN) | spellings(PASSWORD))


class Echo(BaseHTTPRequestHandler):
    """A web server that repeats whatever it was asked, in each place that can be repeated."""

    protocol_version = "HTTP/1.0"
    answer: Callable[[str], tuple[int, dict[str, str], bytes]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, body = type(self).answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def echoing(answer: Callable[[str], tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """Serve such answers; yield the webhook address."""
    handler = type("OneEcho", (Echo,), {"answer": staticmethod(answer)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/rest/1/{TOKEN}/"
        finally:
            server.shutdown()
            thread.join()


def as_error(path: str) -> tuple[int, dict[str, str], bytes]:
    """Repeat the address in an error of the portal."""
    said = {"error": "", "error_description": f"no route for {path} and {quote(path, safe='')}"}
    return 400, {}, json.dumps(said).replace("/", "\\/").encode()


def as_page(path: str) -> tuple[int, dict[str, str], bytes]:
    """Repeat it in a page."""
    return 200, {}, f"<html>{path}</html>".encode()


def as_redirect(path: str) -> tuple[int, dict[str, str], bytes]:
    """Repeat it in a redirect."""
    return 302, {"Location": f"https://elsewhere.example{path}?from={path}"}, b""


def as_nonsense(path: str) -> tuple[int, dict[str, str], bytes]:
    """Repeat it in a header that nobody can decode a body by."""
    return 200, {"Content-Encoding": "gzip"}, path.encode()


def as_server_error(path: str) -> tuple[int, dict[str, str], bytes]:
    """Repeat it in an inner failure."""
    return 500, {}, json.dumps({"error": "INTERNAL_SERVER_ERROR", "error_description": path}).encode()


@pytest.fixture
def everything(desk: Desk, portal: Served) -> Callable[..., None]:
    """Give what runs commands and then looks into all that they wrote."""
    desk.hurry()
    portal.set(token=TOKEN)
    address = portal.url.rsplit("/", 2)[0] + f"/{TOKEN}/"
    desk.env(PORTAL__WEBHOOK_URL=address, LOG__LEVEL="debug", RETRY__ATTEMPTS="2")

    def run(*commands: str, fails: bool | None = True) -> None:
        codes = set()
        for command in commands:
            ended = desk.run(*command.split())
            codes.add(ended.code)
            nowhere(ended.out + ended.err)
        nowhere(
            "".join(file.read_bytes().decode("latin-1") for file in desk.folder.iterdir() if not holds_secrets(file))
        )
        assert fails is None or (codes != {0}) is fails

    return run


def holds_secrets(file: Path) -> bool:
    """Tell whether the test itself wrote a secret there."""
    return file.name in {"config.toml", "secrets"}


def nowhere(text: str) -> None:
    """Find no secret in the text, in any spelling, in any case."""
    folded = text.casefold()
    assert [secret for secret in SECRETS if secret.casefold() in folded] == []


ALL = ("-v --once --yes", "-v check --json", "-v --log-format json plan", "-v runs --json", "show latest")


@pytest.mark.parametrize("answer", [as_error, as_page, as_redirect, as_nonsense, as_server_error])
def test_an_answer_that_repeats_the_address(
    answer: Callable[[str], tuple[int, dict[str, str], bytes]], desk: Desk, everything: Callable[..., None]
) -> None:
    """A web server, a proxy or a portal may say what it was asked."""
    with echoing(answer) as address:
        desk.env(PORTAL__WEBHOOK_URL=address, PORTAL__NAME="acme")
        everything(*ALL)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "token_revoked"},
        {"kind": "html_502"},
        {"kind": "internal_error"},
        {"kind": "lost_answer"},
        {"kind": "lost_answer", "method": "crm.contact.update"},
        {"kind": "cut_before"},
        {"kind": "truncated_body"},
        {"kind": "wrong_json"},
        {"kind": "empty_answer"},
        {"kind": "command_error", "method": "crm.contact.update"},
        {"kind": "command_error", "code": "insufficient_scope"},
        {"kind": "error", "code": "OVERLOAD_LIMIT", "status": 401},
        {"kind": "dropped_filter"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_portal_that_fails(fault: dict[str, object], portal: Served, everything: Callable[..., None]) -> None:
    """Every class of error of the portal."""
    portal.fail(fault)
    everything("-v --once --yes", "-v runs --json", fails=None)  # a lost answer is no lost run


def unreachable(desk: Desk) -> None:
    """Let nobody listen."""
    desk.env(PORTAL__WEBHOOK_URL=f"https://127.0.0.1:{closed_port()}/rest/1/{TOKEN}/")


def through_a_proxy(desk: Desk) -> None:
    """Name a proxy with a password that is not there."""
    desk.env(PORTAL__PROXY=f"http://agent:{quote(PASSWORD, safe='')}@127.0.0.1:{closed_port()}")


def wrong_setting(desk: Desk) -> None:
    """Paste the address without its beginning."""
    desk.env(PORTAL__WEBHOOK_URL=f"acme.bitrix24.com/rest/1/{TOKEN}/")


def wrong_proxy(desk: Desk) -> None:
    """Name a proxy that is no address of one."""
    desk.env(PORTAL__PROXY=f"ftp://agent:{PASSWORD}@proxy")


def broken_file(desk: Desk) -> None:
    """Let a line of the settings file end in the middle."""
    desk.config(f'[portal]\nwebhook_url = "https://acme.bitrix24.com/rest/1/{TOKEN}/')


def address_as_key(desk: Desk) -> None:
    """Put the address where a name should be."""
    desk.config(f'[portal]\n"https://acme.bitrix24.com/rest/1/{TOKEN}/" = 1')


def bug(desk: Desk) -> None:
    """Do what nobody foresaw, with the address in the message."""
    desk.break_down(f"cannot do https://acme.bitrix24.com/rest/1/{TOKEN}/batch")


@pytest.mark.parametrize(
    "arrange", [unreachable, through_a_proxy, wrong_setting, wrong_proxy, broken_file, address_as_key, bug]
)
def test_what_goes_wrong_on_this_side(
    arrange: Callable[[Desk], None], desk: Desk, everything: Callable[..., None]
) -> None:
    """The way to the portal, the settings, the program itself."""
    arrange(desk)
    everything("-v --once --yes", "-v check --json", "--log-format json -v plan")


def test_a_certificate_that_is_not_trusted(desk: Desk, tls_server: Served, everything: Callable[..., None]) -> None:
    """The failure of TLS knows the address too."""
    desk.env(PORTAL__WEBHOOK_URL=f"{tls_server.address.base_url}/rest/1/{TOKEN}/")
    everything("-v --once --yes", "-v check")


@pytest.mark.parametrize("place", ["environment", "file", "secret"])
def test_a_run_that_goes_well(place: str, desk: Desk, everything: Callable[..., None]) -> None:
    """Wherever the token was given, and whatever is logged about the way."""
    address = desk.environment("PORTAL__WEBHOOK_URL")
    if place == "file":
        desk.config(f"[portal]\nwebhook_url = '{address}'")
    if place == "secret":
        (desk.folder / "secrets").mkdir()
        (desk.folder / "secrets" / "portal__webhook_url").write_text(f"{address}\n")
        desk.env(SECRETS_DIR=str(desk.folder / "secrets"))
    if place != "environment":
        desk.env(PORTAL__WEBHOOK_URL=None)
    everything(
        "-v --once --yes", "-v plan", "-v show latest --output run.json", "-v plan --output plan.html", fails=False
    )
