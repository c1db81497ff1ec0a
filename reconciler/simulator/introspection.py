"""Methods about the interface itself: scopes, methods, the clock, the application, the plan (F11.24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.dates import iso
from reconciler.simulator.errors import Refusal, RestError
from reconciler.simulator.php import PhpArray, strval, truthy

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site

#: The code of the one application that has an access token.
APPLICATION = "local.simulated"
_LICENSE = "de_ent250"
#: Groups that exist on every portal.
_ACCESS_NAMES = {"G2": "All visitors", "AU": "All authorized users"}


def scope(site: Site, call: Call) -> Result:
    """Return the webhook's scopes, or with `full` all that this portal knows."""
    known = site.all_scopes if truthy(call.params.upper_keys().get("FULL")) else sorted(call.caller.scopes)
    return Result(value=PhpArray(list(known)), rows=0)


def methods_list(site: Site, call: Call) -> Result:
    """Return the methods of the caller's scopes and those that need none; of one `scope`; or with `full` all."""
    query = call.params.upper_keys()
    wanted: frozenset[str] | None = call.caller.scopes
    if "SCOPE" in query:
        name = strval(query.get("SCOPE"))
        wanted = frozenset({name}) if name else frozenset()
        free = not name
    else:
        free = True
        if truthy(query.get("FULL")):
            wanted = None
    names = [
        name
        for name, scopes in site.methods.items()
        if (free and not scopes) or (scopes and (wanted is None or scopes & wanted))
    ]
    return Result(value=PhpArray(names), rows=0)


def method_get(site: Site, call: Call) -> Result:
    """Tell whether a method exists, and whether the caller may use it; its name counts as written."""
    scopes = site.methods.get(strval(call.params.get("name")))
    available = scopes is not None and (not scopes or bool(scopes & call.caller.scopes))
    return Result(value={"isExisting": scopes is not None, "isAvailable": available}, rows=0)


def server_time(site: Site, call: Call) -> Result:
    """Return the portal's own clock."""
    del site
    return Result(value=iso(call.now, call.utc_offset), rows=0)


def app_info(site: Site, call: Call) -> Result:
    """Describe the application, or to a webhook what it may do and the plan."""
    del site
    if not call.caller.application:
        return Result(value={"SCOPE": PhpArray(sorted(call.caller.scopes)), "LICENSE": _LICENSE}, rows=0)
    value = {
        "ID": 1,
        "CODE": APPLICATION,
        "VERSION": 1,
        "STATUS": "L",
        "INSTALLED": True,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": "en",
        "LICENSE": _LICENSE,
        "LICENSE_TYPE": "ent250",
        "LICENSE_FAMILY": "ent",
    }
    return Result(value=value, rows=0)


def feature_get(site: Site, call: Call) -> Result:
    """Tell whether the plan has a feature; this one has all."""
    del site
    if not truthy(call.params.upper_keys().get("CODE")):
        raise RestError(Refusal("CODE_EMPTY", "CODE can't be empty"))
    return Result(value={"value": "Y"}, rows=0)


def access_name(site: Site, call: Call) -> Result:
    """Return the names of permission codes: groups, and `U7` for a user."""
    asked = call.params.upper_keys().get("ACCESS")
    found: dict[str, Any] = {}
    for code in map(strval, asked.values() if isinstance(asked, PhpArray) else []):
        if code in _ACCESS_NAMES:
            found[code] = {"provider": "", "name": _ACCESS_NAMES[code], "provider_id": "other"}
        elif code[:1] == "U" and code[1:].isdigit():
            row = site.database.row("SELECT name, last_name FROM user WHERE id = ?", (int(code[1:19]),))
            if row is not None:
                name = f"{row['name']} {row['last_name']}".strip()
                found[code] = {"provider": "User", "name": name, "provider_id": "user"}
    return Result(value=PhpArray(found), rows=0)
