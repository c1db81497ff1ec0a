"""`event.*`: which handlers an application has bound to which events (F8). Nothing is ever sent to them from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reconciler.simulator.calls import Result
from reconciler.simulator.errors import ACCESS_DENIED, APPLICATION_ONLY, Refusal, RestError
from reconciler.simulator.php import PhpArray, intval, strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site

EVENTS = tuple(f"ONCRM{entity}{what}" for entity in ("CONTACT", "COMPANY") for what in ("ADD", "UPDATE", "DELETE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One handler, or the queue of an offline event."""

    event: str
    #: Empty for an offline event.
    url: str
    #: The user it acts as; 0 for the one who sets the event off.
    user: int = 0
    connector: str = ""
    offline: bool = False

    def shown(self) -> dict[str, Any]:
        if self.offline:
            return {"event": self.event, "connector_id": self.connector, "offline": 1}
        return {"event": self.event, "handler": self.url, "auth_type": str(self.user), "offline": 0}


def events_list(site: Site, call: Call) -> Result:
    """Return the events there are."""
    del site
    _require_application(call)
    return Result(value=PhpArray(list(EVENTS)), rows=0)


def event_bind(site: Site, call: Call) -> Result:
    """Bind a handler to an event, once."""
    _require_application(call)
    handler = _handler(call)
    if handler.event not in EVENTS:
        raise RestError(Refusal("ERROR_EVENT_NOT_FOUND", "Event not found"))
    if not call.caller.admin and (handler.offline or handler.user not in (0, call.caller.user_id)):
        raise RestError(ACCESS_DENIED)
    if not handler.offline:
        address = urlsplit(handler.url)
        if address.scheme not in ("http", "https"):
            raise RestError(Refusal("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol"))
        if "." not in (address.hostname or ""):
            raise RestError(Refusal("ERROR_WRONG_HANDLER_URL", "Wrong handler URL"))
    if handler in site.handlers:
        raise RestError(Refusal("ERROR_CORE", "Unable to set event handler: Handler already binded"))
    site.handlers.append(handler)
    return Result(value=True)


def event_get(site: Site, call: Call) -> Result:
    """Return what is bound."""
    _require_application(call)
    return Result(value=PhpArray([handler.shown() for handler in site.handlers]), rows=0)


def event_unbind(site: Site, call: Call) -> Result:
    """Remove what is bound to an event, all of it or what the other parameters name."""
    _require_application(call)
    named = _handler(call)
    query = call.params.upper_keys()
    gone = [
        handler
        for handler in site.handlers
        if (handler.event, handler.offline) == (named.event, named.offline)
        and (named.offline or handler.url == named.url)
        and ("AUTH_TYPE" not in query or handler.user == named.user)
    ]
    site.handlers[:] = [handler for handler in site.handlers if handler not in gone]
    return Result(value={"count": len(gone)})


def application_only(site: Site, call: Call) -> Result:
    """Refuse a webhook, and an application too: what these would give does not exist here."""
    del site, call
    raise RestError(APPLICATION_ONLY)


def _require_application(call: Call) -> None:
    if not call.caller.application:
        raise RestError(APPLICATION_ONLY)


def _handler(call: Call) -> Handler:
    query = call.params.upper_keys()
    offline = strval(query.get("EVENT_TYPE")).lower() == "offline"
    required = ("EVENT",) if offline else ("EVENT", "HANDLER")
    for name in required:
        if not strval(query.get(name)):
            raise RestError(Refusal("ERROR_ARGUMENT", f"Argument '{name}' is null or empty", argument=name))
    return Handler(
        event=strval(query.get("EVENT")).upper(),
        url="" if offline else strval(query.get("HANDLER")),
        user=0 if offline else intval(query.get("AUTH_TYPE")),
        connector=strval(query.get("AUTH_CONNECTOR")) if offline else "",
        offline=offline,
    )
