"""Answers that are none of the REST interface: what stands before the portal, in a sentence with the next step.

A web server, a firewall, a proxy, a login page or PHP itself may answer in the portal's place. None of it is taken for
an answer, not even one of the portal with a text before it: nothing says that the rest of it is what it should be.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from reconciler.errors import NotJsonError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The statuses with which a server refuses or fails.
ERRORS = range(400, 600)
#: Characters of a text that are repeated.
_LONGEST = 150
_TAG = re.compile(r"<[^>]{0,200}>")
#: Where an answer of the REST interface begins, behind a text.
_BEGIN = re.compile(rb'\{\s*"(?:result|error)"')

_PROXY_REFUSES = (
    "the proxy wants a name and a password (HTTP 407); write them into portal.proxy: http://name:password@host:port"
)
_BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: "the web server wants a name and a password of its own (HTTP 401) before the portal is "
    "asked; free the path /rest/ of that there",
    HTTPStatus.FORBIDDEN: "something before the portal, such as a firewall, forbids the request (HTTP 403); "
    "let the address of this machine through to /rest/ there",
    HTTPStatus.NOT_FOUND: "there is no REST interface at this address (HTTP 404); check portal.webhook_url",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: _PROXY_REFUSES,
    HTTPStatus.TOO_MANY_REQUESTS: "something before the portal gets too many requests from this address "
    "(HTTP 429); let more through to /rest/ there, or lower the rate in portal.limits",
    HTTPStatus.BAD_GATEWAY: "a server before the portal gets no answer from it (HTTP 502); is the portal up?",
    HTTPStatus.SERVICE_UNAVAILABLE: "the web server is overloaded or closed for maintenance (HTTP 503); "
    "does the portal open in a browser?",
    HTTPStatus.GATEWAY_TIMEOUT: "a server before the portal waited too long for it (HTTP 504); is it up?",
}


def no_answer(body: bytes, status: int, mask: Callable[[str], str]) -> NotJsonError:
    """Return the error for an answer that is no JSON, or JSON of somebody else; `mask` takes secrets out of a text."""
    return NotJsonError(_sentence(body, status, mask), status=status)


def _sentence(body: bytes, status: int, mask: Callable[[str], str]) -> str:
    if text := _text_before_json(body):
        return (
            f"a text stands before the portal's answer, so that it is not used: {_short(mask(text))}; "
            "see to its cause, and switch off display_errors in the portal's PHP"
        )
    if status in _BY_STATUS:
        return _BY_STATUS[HTTPStatus(status)]
    if not body.strip():
        return f"the answer is empty (HTTP {status}); look into the error log of the portal's web server"
    if body.lstrip().startswith(b"<"):
        return (
            f"a page for people answers, and not the REST interface (HTTP {status}): a login, a captcha, a page of the "
            "provider; check portal.webhook_url, and whether the portal opens in a browser from this machine"
        )
    return (
        f"something that is not the REST interface answers, or not to the end (HTTP {status}); "
        "check portal.webhook_url, and whether the portal opens in a browser"
    )


def _text_before_json(body: bytes) -> str:
    """Return the text before an answer of the portal; empty where there is none, or no such answer."""
    begin = _BEGIN.search(body)
    if begin is None or not body[: begin.start()].strip():
        return ""
    try:
        json.loads(body[begin.start() :])
    except (ValueError, RecursionError):
        return ""
    return body[: begin.start()].decode(errors="replace")


def _short(text: str) -> str:
    line = " ".join(_TAG.sub("", text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def proxy_refusal(said: str) -> str:
    """Return a sentence for a proxy that does not make the connection; `said` begins with its status."""
    status = said[:3]
    if status == str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value):
        return _PROXY_REFUSES
    with_status = f" (HTTP {status})" if status.isascii() and status.isdigit() else ""
    return (
        f"the proxy does not connect to the portal{with_status}; check portal.proxy, and let the portal through there"
    )
