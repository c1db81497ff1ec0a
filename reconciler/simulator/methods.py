"""The methods of the embedded portal: name, scope, and what carries it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from reconciler.simulator import departments, handlers, introspection, items, linking, users
from reconciler.simulator.descriptions import binding_fields, record_fields
from reconciler.simulator.entities import ENTITIES
from reconciler.simulator.errors import INSUFFICIENT_SCOPE, METHOD_NOT_FOUND, RestError
from reconciler.simulator.linking import COMPANY_SIDE, CONTACT_SIDE
from reconciler.simulator.notifications import notify
from reconciler.simulator.reading import get_record, list_records
from reconciler.simulator.statuses import status_list
from reconciler.simulator.workflows import template_list
from reconciler.simulator.writing import add_record, delete_record, update_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.simulator.calls import Call, Caller, Result, Site
    from reconciler.simulator.entities import Entity
    from reconciler.simulator.linking import Side

_USER_SCOPES = frozenset({"user", "user_basic", "user_brief"})


@dataclass(frozen=True, slots=True)
class Method:
    """One REST method; any of `scopes` is enough, and none is needed when there are none."""

    run: Callable[[Site, Call], Result]
    scopes: frozenset[str] = frozenset()


def _crm(run: Callable[[Site, Call], Result]) -> Method:
    return Method(run, frozenset({"crm"}))


def _records(entity: Entity) -> dict[str, Method]:
    """Return `crm.contact.*` or `crm.company.*`."""
    runs = {
        "fields": record_fields,
        "list": list_records,
        "get": get_record,
        "add": add_record,
        "update": update_record,
        "delete": delete_record,
    }
    return {f"crm.{entity.name}.{name}": _crm(partial(run, entity=entity)) for name, run in runs.items()}


def _links(side: Side) -> dict[str, Method]:
    """Return `crm.contact.company.*` or `crm.company.contact.*`."""
    runs = {
        "add": linking.link_add,
        "delete": linking.link_delete,
        "items.get": linking.links_get,
        "items.set": linking.links_set,
        "items.delete": linking.links_delete,
    }
    prefix = f"crm.{side.own.name}.{side.other.name}"
    fields = _crm(partial(binding_fields, other=f"{side.other.name}_id"))
    return {f"{prefix}.fields": fields} | {
        f"{prefix}.{name}": _crm(partial(run, side=side)) for name, run in runs.items()
    }


METHODS: dict[str, Method] = {
    **_records(ENTITIES["contact"]),
    **_links(CONTACT_SIDE),
    **_records(ENTITIES["company"]),
    **_links(COMPANY_SIDE),
    "crm.status.list": _crm(status_list),
    "crm.item.fields": _crm(items.item_fields),
    "crm.item.list": _crm(items.item_list),
    "crm.item.get": _crm(items.item_get),
    "crm.item.add": _crm(items.item_add),
    "crm.item.update": _crm(items.item_update),
    "crm.item.delete": _crm(items.item_delete),
    "bizproc.workflow.template.list": Method(template_list, frozenset({"bizproc"})),
    "im.notify.personal.add": Method(partial(notify, personal=True), frozenset({"im"})),
    "im.notify.system.add": Method(partial(notify, personal=False), frozenset({"im"})),
    "user.fields": Method(users.user_fields, _USER_SCOPES),
    "user.get": Method(users.user_get, _USER_SCOPES),
    "user.search": Method(users.user_get, _USER_SCOPES),
    "user.current": Method(users.user_current, _USER_SCOPES),
    "department.fields": Method(departments.department_fields, frozenset({"department"})),
    "department.get": Method(departments.department_get, frozenset({"department"})),
    "user.admin": Method(users.user_admin),
    "user.access": Method(users.user_access),
    "profile": Method(users.profile),
    "scope": Method(introspection.scope),
    "methods": Method(introspection.methods_list),
    "method.get": Method(introspection.method_get),
    "server.time": Method(introspection.server_time),
    "app.info": Method(introspection.app_info),
    "feature.get": Method(introspection.feature_get),
    "access.name": Method(introspection.access_name),
    "events": Method(handlers.events_list),
    "event.bind": Method(handlers.event_bind),
    "event.unbind": Method(handlers.event_unbind),
    "event.get": Method(handlers.event_get),
    **{
        name: Method(handlers.application_only)
        for name in (
            "event.test",
            *("event.offline.get", "event.offline.clear", "event.offline.error", "event.offline.list"),
        )
    },
}
#: What a caller can learn of the methods; `batch` is one, though nothing here carries it out.
CATALOGUE = {"batch": frozenset[str]()} | {name: method.scopes for name, method in METHODS.items()}


def find(name: str, caller: Caller, *, in_batch: bool) -> Method:
    """Return a method the caller may use; inside a batch a missing scope has no description (F1.3)."""
    method = METHODS.get(name)
    if method is None:
        raise RestError(METHOD_NOT_FOUND)
    if method.scopes and not method.scopes & caller.scopes:
        by = "access" if caller.application else "webhook"
        description = "" if in_batch else INSUFFICIENT_SCOPE.description.replace("webhook", by)
        raise RestError(replace(INSUFFICIENT_SCOPE, description=description))
    return method
