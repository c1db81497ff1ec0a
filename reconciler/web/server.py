"""The pages of the service over HTTP: status, what is held back, health, readiness, metrics. They only show.

What is shown comes through callables, asked at each request. A page that a stranger's site opens in the browser of
somebody inside the network must not be readable by it: hence the look at `Host` (a name of theirs that leads to us),
and a policy that loads nothing and lets nobody frame it.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flask
import structlog
from werkzeug.exceptions import HTTPException, NotFound

from reconciler.core.sanitize import display
from reconciler.errors import ReconcilerError
from reconciler.web.connections import MOST_WAITING, PATIENCE, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

log = structlog.get_logger("reconciler.web")

#: What a page may load where it does not say otherwise.
_NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LOOPBACK_NAMES = frozenset({"localhost"})
_PATHS = "/, /healthz, /readyz, /metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An HTML page, and what it may load."""

    text: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What there is to show; called from several threads."""

    status: Callable[[], Page]
    #: The page of a set that the guard held back, by its digest; a sentence where there is none.
    held_back: Callable[[str], Page | str]
    #: Why the service is not alive; empty: it is.
    not_alive: Callable[[], str]
    #: Why it does not do its work, one sentence each.
    not_ready: Callable[[], Sequence[str]]
    metrics: Callable[[], bytes]
    metrics_type: str = "text/plain"


@contextmanager
def serve(
    site: Site,
    *,
    address: str,
    port: int,
    allowed_hosts: Collection[str] = (),
    patience: float = PATIENCE,
    most_waiting: int = MOST_WAITING,
) -> Iterator[int]:
    """Serve the pages until the block is left; yield the port. Raises UsageError where one cannot listen."""
    pages = application(site, address=address, allowed_hosts=allowed_hosts)
    with serving(pages, address=address, port=port, patience=patience, most_waiting=most_waiting) as taken:
        yield taken


def application(site: Site, *, address: str, allowed_hosts: Collection[str] = ()) -> flask.Flask:
    """Return the pages as a WSGI application."""
    app = flask.Flask("reconciler.web", static_folder=None)
    names = _LOOPBACK_NAMES | {name.lower().rstrip(".") for name in allowed_hosts}
    bound = ipaddress.ip_address(address)

    @app.before_request
    def refuse() -> flask.Response | None:
        if flask.request.method not in {"GET", "HEAD"}:
            return _text("these pages only show: GET and HEAD\n", 405, Allow="GET, HEAD")
        if not _is_ours(flask.request.headers.get("Host", ""), names, bound):
            return _text("this name is not one of ours; the setting web.allowed_hosts adds it\n", 421)
        return None

    @app.after_request
    def harden(response: flask.Response) -> flask.Response:
        response.headers.setdefault("Content-Security-Policy", _NOTHING)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    _add_pages(app, site)
    app.register_error_handler(Exception, _excused)
    return app


def _add_pages(app: flask.Flask, site: Site) -> None:
    @app.get("/")
    def status() -> flask.Response:
        return _html(site.status())

    @app.get("/held-back/<digest>")
    def held_back(digest: str) -> flask.Response:
        found = site.held_back(digest)
        return _text(f"{display(found)}\n", 404) if isinstance(found, str) else _html(found)

    @app.get("/healthz")
    def healthz() -> flask.Response:
        reason = site.not_alive()
        return _text(f"not alive: {display(reason)}\n" if reason else "alive\n", 503 if reason else 200)

    @app.get("/readyz")
    def readyz() -> flask.Response:
        reasons = site.not_ready()
        said = f"not ready: {display('; '.join(reasons))}\n" if reasons else "ready\n"
        return _text(said, 503 if reasons else 200)

    @app.get("/metrics")
    def metrics() -> flask.Response:
        return flask.Response(site.metrics(), content_type=site.metrics_type)


def _excused(error: Exception) -> flask.Response:
    """Answer in one line for whatever was raised."""
    if isinstance(error, NotFound):
        return _text(f"there is nothing here; there is {_PATHS}\n", 404)
    if isinstance(error, HTTPException):
        return _text(f"{error.name}\n", error.code or 500)
    if isinstance(error, ReconcilerError):
        return _text(f"{display(str(error))}\n", 503)
    log.error("web.failed", path=flask.request.path, exc_info=error)
    return _text("something unforeseen happened; the log tells more\n", 500)


def _html(page: Page) -> flask.Response:
    return flask.Response(page.text, headers={"Content-Security-Policy": page.policy}, mimetype="text/html")


def _text(text: str, status: int, **headers: str) -> flask.Response:
    return flask.Response(text, status, headers, mimetype="text/plain")


def _is_ours(host: str, names: Collection[str], bound: Any) -> bool:
    """Tell whether a `Host` means us: a name that was allowed, the address we listen on, or one of this machine.

    Bound to all addresses, any address is one of ours; a name never is, because anybody can have one lead to us.
    """
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    name = name.rstrip(".")
    try:
        asked = ipaddress.ip_address(name)
    except ValueError:
        return name in names
    return bound.is_unspecified or asked == bound or asked.is_loopback
