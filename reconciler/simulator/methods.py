"""The methods of the embedded portal: name, scope, and what carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.simulator import users
from reconciler.simulator.calls import Call, Caller, Result, Site
from reconciler.simulator.dates import iso
from reconciler.simulator.entities import COMPANY, CONTACT
from reconciler.simulator.errors import INSUFFICIENT_SCOPE, METHOD_NOT_FOUND, Refusal, RestError
from reconciler.simulator.notices import system_add
from reconciler.simulator.php import PhpArray, truthy
from reconciler.simulator.reading import get_record, list_records
from reconciler.simulator.updates import update_record

if TYPE_CHECKING:
    from collections.abc import Callable

_USER_SCOPES = frozenset({"user", "user_basic", "user_brief"})


@dataclass(frozen=True, slots=True)
class Method:
    """One REST method; any of `scopes` is enough, and none is needed when there are none."""

    run: Callable[[Site, Call], Result]
    scopes: frozenset[str] = frozenset()


def scope(site: Site, call: Call) -> Result:
    """Return the webhook's scopes, or with `full` all that this portal knows."""
    known = site.all_scopes if truthy(call.params.upper_keys().get("FULL")) else sorted(call.caller.scopes)
    return Result(value=PhpArray(list(known)), rows=0)


def server_time(site: Site, call: Call) -> Result:
    """Return the portal's own clock."""
    del site
    return Result(value=iso(call.now, call.utc_offset), rows=0)


def contact_companies(site: Site, call: Call) -> Result:
    """Return all companies of a contact, here with numbers as numbers (F3)."""
    return _links(site, call, own="contact_id", other="company_id")


def company_contacts(site: Site, call: Call) -> Result:
    """Return all contacts of a company, without pages (F3)."""
    return _links(site, call, own="company_id", other="contact_id")


def _links(site: Site, call: Call, *, own: str, other: str) -> Result:
    owner_id = call.record_id()
    if owner_id <= 0:
        raise RestError(Refusal("", "The parameter 'ownerEntityID' is invalid or not defined."))
    if not call.caller.may_read():
        raise RestError(Refusal("ACCESS_DENIED", "Access denied!", 403))
    rows = site.database.rows(
        f"SELECT {other}, sort, role_id, is_primary FROM contact_company"  # noqa: S608 - names of the program
        f" WHERE {own} = ? ORDER BY sort, {other}",
        (owner_id,),
    )
    value: list[dict[str, Any]] = [
        {other.upper(): row[0], "SORT": row[1], "ROLE_ID": row[2], "IS_PRIMARY": row[3]} for row in rows
    ]
    return Result(value=PhpArray(value), rows=len(value))


def _crm(run: Callable[[Site, Call], Result]) -> Method:
    return Method(run, frozenset({"crm"}))


METHODS: dict[str, Method] = {
    "crm.contact.list": _crm(partial(list_records, entity=CONTACT)),
    "crm.contact.get": _crm(partial(get_record, entity=CONTACT)),
    "crm.contact.update": _crm(partial(update_record, entity=CONTACT)),
    "crm.contact.company.items.get": _crm(contact_companies),
    "crm.company.list": _crm(partial(list_records, entity=COMPANY)),
    "crm.company.get": _crm(partial(get_record, entity=COMPANY)),
    "crm.company.update": _crm(partial(update_record, entity=COMPANY)),
    "crm.company.contact.items.get": _crm(company_contacts),
    "user.get": Method(users.user_get, _USER_SCOPES),
    "user.current": Method(users.user_current, _USER_SCOPES),
    "department.get": Method(users.department_get, frozenset({"department"})),
    "im.notify.system.add": Method(system_add, frozenset({"im"})),
    "user.admin": Method(users.user_admin),
    "profile": Method(users.profile),
    "scope": Method(scope),
    "server.time": Method(server_time),
}


def find(name: str, caller: Caller, *, in_batch: bool) -> Method:
    """Return a method the caller may use; inside a batch a missing scope has no description (F1.3)."""
    method = METHODS.get(name)
    if method is None:
        raise RestError(METHOD_NOT_FOUND)
    if method.scopes and not method.scopes & caller.scopes:
        raise RestError(
            Refusal(INSUFFICIENT_SCOPE.code, "", INSUFFICIENT_SCOPE.status) if in_batch else INSUFFICIENT_SCOPE
        )
    return method
