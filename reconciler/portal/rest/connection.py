"""The way to one portal: a request out, an answer back, and the portal's present address.

No error that leaves here has the webhook in its sentence.
"""

from __future__ import annotations

import http.cookiejar
import os
import re
import ssl
import sys
import threading
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import certifi
import httpx
import structlog

from reconciler import __version__
from reconciler.errors import MovedError, NotJsonError, TooLargeError, UnreachableError, UsageError
from reconciler.portal.entities import BATCH
from reconciler.portal.rest.deadline import WITHIN, Transport
from reconciler.portal.rest.pages import proxy_refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.settings.address import Webhook

log = structlog.get_logger("reconciler.portal")

#: How a cloud portal's host ends: a rename stays inside the family.
_CLOUD = re.compile(r"[a-z0-9-]+\.(?P<family>bitrix24\.[a-z]{2,3}(\.[a-z]{2})?)", re.IGNORECASE)


#: How an answer may be packed, in one layer: a piece of 64 kB becomes 66 MB at most, and is then measured. A second
#: layer would make that 66 GB before anybody could look.
ACCEPTED = "gzip, deflate"
#: How a default context verifies, which differs with the version of Python.
_VERIFY = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT if sys.version_info >= (3, 13) else ssl.VERIFY_DEFAULT
_UNPACKED = frozenset({*ACCEPTED.split(", "), "identity"})


class _Latest(threading.local):
    """The connection of each thread's latest answer; None before it, and where there is no network."""

    stream: Any = None


class Line:
    """Posts batches, and follows a renamed portal once."""

    def __init__(
        self,
        webhook: Webhook,
        http: httpx.Client,
        *,
        answer_bytes: int,
        depart: Callable[[], None],
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        """`depart` is called before each request, and may wait; `leave` when the connection stands and bytes go out.

        Either may raise, and nothing is sent.
        """
        #: Where the portal answers now.
        self.webhook = webhook
        self._http = http
        self._answer_bytes = answer_bytes
        self._depart = depart
        self._leave = leave
        self._moved = False
        self._lock = threading.Lock()
        self._latest = _Latest()

    def hang_up(self) -> None:
        """Close the connection on which this thread's latest answer came, so that nobody else is answered on it."""
        if self._latest.stream is not None:
            self._latest.stream.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(self, body: bytes, seconds: float | None = None) -> tuple[int, bytes]:
        """Send a batch's body; return the status and the body of the answer.

        `seconds`: how long an exchange may take at most, where that is less than otherwise.
        Raises UnreachableError, NotJsonError, TooLargeError, MovedError.
        """
        webhook = self.webhook
        status, target, content = self._exchange(body, seconds)
        if target is not None:
            with self._lock:
                if self.webhook is webhook:  # else another lane has followed meanwhile
                    self._follow(target)
            status, target, content = self._exchange(body, seconds)
            if target is not None:
                raise MovedError(self._dead_end(target))
        if status in {413, 414}:
            raise TooLargeError("the web server finds the request too long; lower portal.body_limit")
        return status, content

    def _exchange(self, body: bytes, seconds: float | None) -> tuple[int, httpx.URL | None, bytes]:
        """POST once; return status, where a redirect leads, and the body."""
        self._depart()
        content = bytearray()
        try:
            url, host = _batch_url(self.webhook.base_url)
            extensions: dict[str, Any] = {"trace": self._trace}
            if seconds is not None:
                extensions[WITHIN] = seconds
            with self._http.stream(
                "POST", url, headers={"Host": host}, content=body, extensions=extensions
            ) as response:
                self._latest.stream = response.extensions.get("network_stream")
                codings = response.headers.get_list("content-encoding", split_commas=True)
                if len(codings) > 1 or not _UNPACKED.issuperset(map(str.lower, codings)):
                    _give_up(
                        f"the answer is packed as {_name(codings)}, which was not asked for ({ACCEPTED}, in one layer);"
                        " switch that off for /rest/ in the web server, or in what stands before it"
                    )
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > self._answer_bytes:
                        _give_up(f"the answer is longer than {self._answer_bytes} bytes (portal.answer_limit)")
                target = response.next_request.url if response.next_request else None
            # httpx ties the answer and its stream to each other: together they would keep the request's body until the
            # garbage collector comes, which for a poll of a large portal is tens of megabytes.
            response.stream = httpx.ByteStream(b"")
            return response.status_code, target, bytes(content)
        except httpx.TimeoutException as cause:
            raise UnreachableError(f"{self.webhook.host} did not answer in time; is the portal up?") from cause
        except httpx.ProxyError as cause:
            raise UnreachableError(proxy_refusal(str(cause))) from cause
        except httpx.TransportError as cause:
            sentence = (
                f"{self.webhook.host} cannot be reached ({_reason(cause)}); "
                f"check portal.webhook_url, portal.proxy{_unused_proxy()}, and the network"
            )
            raise UnreachableError(sentence) from cause
        # It cannot be unpacked, or leads to no address.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as cause:
            raise NotJsonError(f"{self.webhook.host} sent an answer that cannot be read") from cause

    def _trace(self, event: str, _: object) -> None:
        if event.endswith("send_request_headers.started"):
            self._leave()

    def _dead_end(self, new: httpx.URL) -> str:
        """Say where a redirect leads that is not followed; not its path, which may hold the token."""
        old, here = self.webhook.host, _batch_url(self.webhook.base_url)[0]
        if (new.scheme, new.netloc) != (here.scheme, here.netloc):
            origin = f"{new.scheme}://{new.netloc.decode()}"
            way_out = "if that is your portal, put its address into portal.webhook_url"
            return f"{old} redirects to {origin}, which is not followed; {way_out}"
        if new.path != here.path:
            way_out = "free the path /rest/ of that there, or check portal.webhook_url"
            return f"{old} redirects to another page of its own, such as a login; {way_out}"
        way_out = "let this machine through to /rest/ there"
        return f"{old} redirects to the same address again and again, as a firewall does that wants a cookie; {way_out}"

    def _follow(self, new: httpx.URL) -> None:
        """Take over the portal's new address, for the same path inside the cloud's family only (F6).

        The path tells a rename from a page for people, such as the one where a closed portal's visitors are sent.
        """
        host = new.raw_host.decode("ascii")
        old, name = _CLOUD.fullmatch(self.webhook.host), _CLOUD.fullmatch(host)
        same_family = old and name and old["family"].casefold() == name["family"].casefold()
        same_path = new.path == _batch_url(self.webhook.base_url)[0].path
        if self._moved or not (same_family and same_path and new.scheme == "https" and new.port is None):
            raise MovedError(self._dead_end(new))
        log.warning("portal.moved", old=self.webhook.host, new=host)
        base_url = f"https://{host}/rest/{self.webhook.user_id}/{self.webhook.token}/"
        self.webhook = replace(self.webhook, host=host, base_url=base_url)
        self._moved = True


def _give_up(sentence: str) -> NoReturn:
    raise NotJsonError(sentence)


def _reason(failure: httpx.TransportError) -> str:
    """Say in a word what went wrong below HTTP, without an address."""
    root: BaseException = failure
    while root.__cause__ is not None or root.__context__ is not None:
        root = root.__cause__ or root.__context__ or root
    if isinstance(root, ssl.SSLCertVerificationError):
        words = getattr(root, "verify_message", "") or "unknown reason"
        return f"its certificate is not trusted: {words}; for one of your own authority set portal.ca_bundle"
    return type(failure).__name__ if not isinstance(root, OSError) else (root.strerror or type(root).__name__)


def _unused_proxy() -> str:
    """Say that a proxy of the environment is not used, which many other programs do use."""
    found = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    return f" ({found[0]} in the environment is not used)" if found else " where one is set"


def _name(codings: list[str]) -> str:
    """Return how an answer is packed, as far as it is a word."""
    return ", ".join(coding for coding in codings if re.fullmatch(r"[a-zA-Z0-9-]{1,20}", coding)) or "something"


class _NoCookies(http.cookiejar.CookieJar):
    """Keeps nothing. A policy that allows nothing would do, too, but has each answer's headers parsed once more."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave an answer's cookies where they are."""


@lru_cache(maxsize=2)  # to parse an address takes as long as to send a small request
def _batch_url(base_url: str) -> tuple[httpx.URL, str]:
    """Return a batch's address and its `Host` header, which httpx would write by decoding the host's A-labels.

    That fails for a label that no encoder would write, though name servers and browsers take it. The zone of a
    link-local address is this machine's own business.
    """
    url = httpx.URL(f"{base_url}{BATCH}.json")
    return url, re.sub(r"%25[^\]]*", "", url.netloc.decode())


def http_client(
    *,
    connect_timeout: float,
    read_timeout: float,
    proxy: str | None = None,
    ca_bundle: Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Make the HTTP client: nothing from the environment, no cookies (F11.23), no redirect followed, TLS verified.

    An exchange may take `connect_timeout` and twice `read_timeout` as a whole: an answer that comes at the last moment,
    and trickles in. `transport` replaces the network. Raises UsageError for a bundle that cannot be loaded.
    """
    if transport is None:
        transport = Transport(connect_timeout + 2 * read_timeout, tls=_tls(ca_bundle), proxy=proxy)
    return httpx.Client(
        transport=transport,
        cookies=_NoCookies(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(connect=connect_timeout, read=read_timeout, write=read_timeout, pool=read_timeout),
        headers={
            "User-Agent": f"reconciler/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "Content-Type": "application/json",
        },
    )


def _tls(ca_bundle: Path | None) -> ssl.SSLContext:
    """Return a context that verifies. Unlike the library's default one it never writes the keys of a connection down.

    That one looks at SSLKEYLOGFILE: whoever can set a variable, and read a file, could read the token then.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= _VERIFY
    try:
        context.load_verify_locations(cafile=certifi.where() if ca_bundle is None else ca_bundle)
    except OSError as cause:  # an SSLError is one
        raise UsageError("portal.ca_bundle cannot be loaded; it must be a file of PEM certificates") from cause
    return context
