"""The webhook address: a password in the shape of a URL.

Nothing here ever repeats the address it was given, not even in part: it may be the token that stands in the
wrong place.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHAPE = "it looks like https://<portal>/rest/<user>/<code>/ and stands in Developer resources > Inbound webhook"
#: What people, and the programs in which they keep an address, put around it.
_QUOTES = "\"'<>`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a"
_USER = re.compile(r"[1-9][0-9]{0,9}")
_CODE = re.compile(r"[A-Za-z0-9_-]+")
_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}")
_METHOD = re.compile(r"[A-Za-z0-9_.]+")
#: What a name server looks up: labels of at most 63 characters. An underscore is in no standard, and in many networks.
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_LONGEST_HOST = 253
#: A part of one in any script: nothing that would end it in a URL.
_IN_LABEL = re.compile(r"(?:[a-z0-9_-]|[^\x00-\x7f])+")
#: The ports that an address leaves out.
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A parsed webhook address. Its `repr` tells the host and the user, never the token."""

    #: What a method's name is appended to: `https://host[:port][/folder]/rest/<user>/<code>/`.
    base_url: str = field(repr=False)
    #: As `canonical_host` writes it, without a port; an IPv6 address without brackets.
    host: str
    #: The account under which the webhook acts.
    user_id: int
    token: str = field(repr=False)

    @property
    def origin(self) -> str:
        """The portal's pages, for links to cards: `https://host[:port][/folder]`."""
        return self.base_url.partition("/rest/")[0]

    @property
    def name(self) -> str:
        """One name for one portal, however its address was written: `host[:port][/folder]`, without a usual port."""
        return self.origin.partition("://")[2]

    def is_host(self, name: str) -> bool:
        """Whether this is the portal's host, in any spelling."""
        return canonical_host(name) == self.host


def parse_webhook(text: str, http_hosts: Iterable[str] = ()) -> Webhook:
    """Read a webhook address as people paste it: quoted, without the last slash, or with a method at its end.

    `http://` passes for loopback and for `http_hosts` only. Raises `UsageError`.
    """
    url = _split(text.strip().strip(_QUOTES).strip())
    host, authority = _host(url)
    if url.scheme == "http" and not _is_loopback(host) and host not in set(map(canonical_host, http_hosts)):
        raise _bad(
            "begins with http://, which sends the token readable for everyone on the way: write https://, or name "
            "the host in portal.http_hosts"
        )
    if url.query or url.fragment:
        raise _bad("goes on after the code with `?` or `#`: leave out that part")
    folder, user, code = _credentials(url.path)
    return Webhook(
        base_url=f"{url.scheme}://{authority}{folder}/rest/{user}/{code}/", host=host, user_id=int(user), token=code
    )


def _bad(what: str) -> UsageError:
    return UsageError(f"The webhook address (portal.webhook_url) {what}; {_SHAPE}.")


def _split(text: str) -> SplitResult:
    # `urlsplit` drops line breaks and tabs silently: another address than the one that was given.
    if not text.isprintable() or " " in text:
        raise _bad("has a space or an unprintable character inside: paste it again, in one line")
    if "://" not in text:
        raise _bad("has no https:// in front: copy it whole")
    try:
        url = urlsplit(text)
    except ValueError:
        # Its message may hold the address: neither told nor kept as the cause. Likewise below.
        raise _bad("has a host that is no host name") from None
    if url.scheme not in {"https", "http"}:
        raise _bad("does not begin with https://")
    return url


def _host(url: SplitResult) -> tuple[str, str]:
    """Return the host and what stands between `//` and the path, both in their canonical form."""
    if "@" in url.netloc:
        raise _bad("has a name or a password in front of the host: leave out everything up to the @")
    try:
        host, port = canonical_host(url.hostname or ""), url.port
    except ValueError:
        raise _bad("has a port that is no port number") from None
    if host is None:
        raise _bad("has a host that is no host name")
    # The zone of a link-local address stands in a URL with its percent sign encoded.
    literal = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return host, literal if port in {None, _PORTS[url.scheme]} else f"{literal}:{port}"


def canonical_host(host: str) -> str | None:
    """Return the one form of a host name or an IP address: A-labels, lower case, no final dot, no brackets.

    None: it is neither. An A-label stays as it is, also one that no encoder would write: name servers compare bytes.
    """
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host.strip("[]").replace("%25", "%", 1)))
        except ValueError:
            return None
    dotted = unicodedata.normalize("NFKC", host.lower()).replace("\u3002", ".").removesuffix(".")
    name = ".".join(map(_a_label, dotted.split(".")))
    return name if _HOST.fullmatch(name) and len(name) <= _LONGEST_HOST else None


def _a_label(label: str) -> str:
    """Return a part of a host name in ASCII, by IDNA 2008; what that refuses, an underscore for one, by Punycode."""
    if label.isascii() or not _IN_LABEL.fullmatch(label):
        return label
    import httpx  # noqa: PLC0415 - most hosts are ASCII, and the health check shall not load it

    try:
        return httpx.URL(f"//{label}").raw_host.decode()
    except (httpx.InvalidURL, UnicodeError):
        return "xn--" + label.encode("punycode").decode()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(path: str) -> tuple[str, str, str]:
    """Return the folder of a portal that is not at the root of its host, else "", the user and the code."""
    parts = path.strip("/").split("/")
    start = parts.index("rest") if "rest" in parts else 0
    folder = "".join(f"/{part}" for part in parts[:start])
    match parts[start:]:
        case ["rest", "api", *_]:
            raise _bad("is one of REST 3.0, which has no contacts: take the one without /api/")
        case ["rest", user, code, *method] if (
            _USER.fullmatch(user)
            and _CODE.fullmatch(code)
            and len(method) <= 1
            and all(map(_METHOD.fullmatch, method))
            and all(map(_FOLDER.fullmatch, parts[:start]))
        ):
            return folder, user, code
    raise _bad("is without /rest/<user>/<code>/: copy it whole")
