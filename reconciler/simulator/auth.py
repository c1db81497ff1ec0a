"""Who is calling: the webhook's address, and the checks before a method runs (F1.1, F6)."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import unquote

from reconciler.simulator.calls import Caller
from reconciler.simulator.errors import (
    EXPIRED_TOKEN,
    HTTPS_REQUIRED,
    INVALID_CREDENTIALS,
    NO_AUTH,
    OWNER_DISMISSED,
    RestError,
)
from reconciler.simulator.php import PhpArray, strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Role
    from reconciler.simulator.database import Database

_PREFIX = "/rest/"
_TRANSPORTS = ("json", "xml", "txt")
_WEBHOOK_PARTS = 3


@dataclass(frozen=True, slots=True)
class Address:
    """A REST address taken apart: `/rest/<user>/<code>/<method>[.json|.xml][/]`."""

    method: str
    transport: str = "json"
    user: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may call: the one webhook of the portal, and the one access token of a local application."""

    user_id: int
    webhook: str
    access_token: str
    #: Whether the access token is older than its hour.
    expired: bool
    scopes: frozenset[str]
    role: Role


def parse_address(path: str) -> Address | None:
    """Take a path apart, or return None for one that is not REST; the method is lower-cased (F1.1)."""
    if not path.startswith(_PREFIX):
        return None
    parts = [unquote(part) for part in path[len(_PREFIX) :].rstrip("/").split("/")]
    if len(parts) not in (1, _WEBHOOK_PARTS):
        return None
    method, dot, suffix = parts[-1].lower().rpartition(".")
    if not dot or suffix not in _TRANSPORTS:
        method, suffix = parts[-1].lower(), "json"
    user, code = parts[:2] if len(parts) == _WEBHOOK_PARTS else ("", "")
    return Address(method, suffix, user, code)


def authorize(database: Database, access: Access, address: Address, params: PhpArray, bearer: str | None) -> Caller:
    """Return the caller, or refuse; a webhook dies with its owner's account (F11.16)."""
    application = _by_token(access, params, bearer) if not address.code else False
    if not application:
        # Inside the portal a webhook is nothing but these two parameters.
        user = address.user or strval(params.pop("aplogin"))
        code = address.code or strval(params.pop("ap"))
        if not user or not code:
            raise RestError(NO_AUTH)
        if user != str(access.user_id) or not _same(code, access.webhook):
            raise RestError(INVALID_CREDENTIALS)
    owner = database.row("SELECT active, is_admin, user_type FROM user WHERE id = ?", (access.user_id,))
    if owner is not None and not owner["active"]:
        raise RestError(OWNER_DISMISSED)
    return Caller(
        user_id=access.user_id,
        # A portal without users in its database is a test's; its webhook belongs to an administrator.
        admin=owner is None or bool(owner["is_admin"]),
        role=access.role,
        scopes=access.scopes,
        application=application,
        intranet=owner is None or owner["user_type"] != "extranet",
    )


def _by_token(access: Access, params: PhpArray, bearer: str | None) -> bool:
    """Say whether an access token came along, in the header or else as a parameter (F1.1), and is a good one."""
    token = bearer
    for name in ("access_token", "auth"):
        value = params.get(name)
        if token is None and value is not None and not isinstance(value, PhpArray):
            token = strval(params.pop(name))
    if token is None:
        return False
    if not access.access_token or not _same(token, access.access_token):
        raise RestError(NO_AUTH)
    if access.expired:
        raise RestError(EXPIRED_TOKEN)
    return True


def _same(one: str, other: str) -> bool:
    return compare_digest(one.encode(errors="surrogateescape"), other.encode())


def require_https(scheme: str) -> None:
    """Refuse a webhook that is called without TLS."""
    if scheme != "https":
        raise RestError(HTTPS_REQUIRED)
