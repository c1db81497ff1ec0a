"""Who is calling: the webhook's address, and the checks before a method runs (F1.1, F6)."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import unquote

from reconciler.simulator.calls import Caller
from reconciler.simulator.errors import HTTPS_REQUIRED, INVALID_CREDENTIALS, NO_AUTH, OWNER_DISMISSED, RestError
from reconciler.simulator.php import strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Role
    from reconciler.simulator.database import Database
    from reconciler.simulator.php import PhpArray

_PREFIX = "/rest/"
_TRANSPORTS = ("json", "xml", "txt")
_WEBHOOK_PARTS = 3


@dataclass(frozen=True, slots=True)
class Address:
    """A REST address taken apart: `/rest/<user>/<code>/<method>[.json][/]`."""

    method: str
    transport: str = "json"
    user: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """The one webhook of the portal."""

    user_id: int
    code: str
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


def authorize(database: Database, webhook: Webhook, address: Address, params: PhpArray) -> Caller:
    """Return the caller, or refuse; a webhook dies with its owner's account (F11.16)."""
    # Inside the portal a webhook is nothing but these two parameters.
    user = address.user or strval(params.pop("aplogin"))
    code = address.code or strval(params.pop("ap"))
    if not user or not code:
        raise RestError(NO_AUTH)
    if user != str(webhook.user_id) or not compare_digest(code.encode(), webhook.code.encode()):
        raise RestError(INVALID_CREDENTIALS)
    owner = database.row("SELECT active, is_admin FROM user WHERE id = ?", (webhook.user_id,))
    if owner is not None and not owner["active"]:
        raise RestError(OWNER_DISMISSED)
    # A portal without users in its database is a test's; its webhook belongs to an administrator.
    admin = owner is None or bool(owner["is_admin"])
    return Caller(user_id=webhook.user_id, admin=admin, role=webhook.role, scopes=webhook.scopes)


def require_https(scheme: str) -> None:
    """Refuse a webhook that is called without TLS."""
    if scheme != "https":
        raise RestError(HTTPS_REQUIRED)
