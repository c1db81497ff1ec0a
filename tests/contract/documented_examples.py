"""Which example answers of the official documentation there are, and the portal in which each would be given.

`make cassettes` takes the answers out of the documentation; requests are the pages' own where nothing else stands here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.portal_fixture import Answer, Office

from reconciler.simulator.dates import strtotime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTACTS, COMPANIES = "api-reference/crm/contacts", "api-reference/crm/companies"
SYSTEM, USERS = "api-reference/common/system", "api-reference/common/users"
ITEMS = "api-reference/crm/universal"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One documented answer."""

    method: str
    #: Path of the page in the documentation's repository.
    page: str
    #: An error answer instead of a result.
    refused: bool = False
    #: Which of the page's answers, from 0.
    number: int = 0
    #: The request's parameters, where the page's own do not lead to its answer; else they are the page's.
    request: Mapping[str, Any] | None = None
    #: Why the request is not the page's own.
    because: str = ""
    #: Fills the portal so that it has what the answer shows.
    given: Callable[[Office, Any], None] = lambda _office, _documented: None
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Asked by an application with its access token, not by a webhook.
    by_application: bool = False

    @property
    def name(self) -> str:
        number = f"-{self.number + 1}" if self.number else ""
        return f"{self.method}{'-refused' if self.refused else ''}{number}"


def columns_of(office: Office, table: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a documented record into the columns that the embedded portal has for it."""
    known = {row["name"] for row in office.database.rows(f"PRAGMA table_info({table})")}
    columns = {}
    for name, value in record.items():
        column = name.lower() if name.isupper() else re.sub("([A-Z])", r"_\1", name).lower()
        if column in known - {"id"} and value is not None:
            moment = strtotime(value, 0, 0) if isinstance(value, str) and "T" in value and ":" in value else None
            columns[column] = value if moment is None else moment
    return columns


def put(office: Office, table: str, record_id: int, record: Mapping[str, Any], **more: Any) -> None:
    """Put a documented record into the portal, with its telephone numbers and its like."""
    columns = {"assigned_by_id": 1} | columns_of(office, table, record) | more
    office.database.insert(table, id=record_id, **columns)
    for name in ("PHONE", "EMAIL", "WEB", "IM"):
        for entry in record.get(name, []):
            value = {"type_id": name, "value_type": entry["VALUE_TYPE"], "value": entry["VALUE"]}
            office.database.insert("multifield", entity=table, entity_id=record_id, **value)


def record(table: str, record_id: int, **more: Any) -> Callable[[Office, Any], None]:
    """Say: there is this record, with the documented values where the answer shows one."""

    def given(office: Office, documented: Any) -> None:
        put(office, table, record_id, documented if isinstance(documented, dict) else {}, **more)

    return given


def item(record_id: int) -> Callable[[Office, Any], None]:
    """Say: there is this contact, with the values of the documented item where a contact has them."""

    def given(office: Office, documented: Any) -> None:
        put(office, "contact", record_id, documented["item"])

    return given


def items(office: Office, documented: Any) -> None:
    """Say: there are contacts with the documented values."""
    for row in documented["items"]:
        put(office, "contact", row["id"], row)


def listed(table: str, **more: Any) -> Callable[[Office, Any], None]:
    """Say: there are the documented rows."""

    def given(office: Office, documented: Any) -> None:
        for row in documented:
            put(office, table, int(row["ID"]), row, **more)

    return given


def links(contact_ids: list[int], company_ids: list[int]) -> Callable[[Office, Any], None]:
    """Say: these contacts and companies are there, and each contact is linked to each company."""

    def given(office: Office, documented: Any) -> None:
        unlinked(contact_ids, company_ids)(office, documented)
        for contact_id in contact_ids:
            for number, company_id in enumerate(company_ids):
                primary = "N" if number else "Y"
                office.database.insert(
                    "contact_company", contact_id=contact_id, company_id=company_id, is_primary=primary
                )

    return given


def unlinked(contact_ids: list[int], company_ids: list[int]) -> Callable[[Office, Any], None]:
    """Say: these contacts and companies are there."""

    def given(office: Office, _documented: Any) -> None:
        for contact_id in contact_ids:
            office.contact(contact_id)
        for company_id in company_ids:
            office.company(company_id)

    return given


def users(office: Office, documented: Any) -> None:
    """Say: the documented users work here."""
    for user in [documented] if isinstance(documented, dict) else documented:
        columns = columns_of(office, "user", user) | {"departments": json.dumps(user["UF_DEPARTMENT"])}
        if office.database.row("SELECT 1 FROM user WHERE id = ?", (int(user["ID"]),)) is None:
            office.user(int(user["ID"]), **columns)


def departments(office: Office, documented: Any) -> None:
    """Say: the documented departments are there."""
    for row in documented:
        parent = int(row["PARENT"]) if "PARENT" in row else None
        office.database.insert("department", id=int(row["ID"]), name=row["NAME"], sort=row["SORT"], parent=parent)


def batch_users(office: Office, documented: Any) -> None:
    """Say: the documented user and the department are there."""
    departments(office, documented["result"]["get_department"])


def ask(example: Example, documented: Any, request: Mapping[str, Any]) -> Answer:
    """Send the documented request to a portal that holds what its answer shows."""
    office = office_for(example, documented)
    if not example.by_application:
        return office.call(example.method, **request)
    headers = {"authorization": f"Bearer {office.portal.options.access_token}"}
    return office.send(example.method, path=f"/rest/{example.method}", headers=headers)


def office_for(example: Example, documented: Any) -> Office:
    """Return a portal that holds what the example's answer shows."""
    office = Office(**({"utc_offset": 2} | dict(example.options)))
    example.given(office, documented)
    return office


NO_FILTER = "the page filters by dates and names that its own rows do not have"
MISSING = "the page does not say with which request"
START = "the page's `start` of 10 is meant as 0, as its own total shows"
ITEM = "the page's example is about another type"

EXAMPLES = (
    Example(
        method="crm.contact.list",
        page=f"{CONTACTS}/crm-contact-list.md",
        request={
            "FILTER": {
                "SOURCE_ID": "CRM_FORM",
                "!=NAME": "",
                "EMAIL": "special-for@example.com",
                "@ASSIGNED_BY_ID": [1, 6],
            },
            "ORDER": {"LAST_NAME": "ASC", "NAME": "ASC"},
            "SELECT": ["ID", "NAME", "LAST_NAME", "EMAIL", "EXPORT", "ASSIGNED_BY_ID", "DATE_CREATE"],
        },
        because=NO_FILTER,
        given=listed("contact", source_id="CRM_FORM"),
    ),
    Example(
        method="crm.contact.list",
        page=f"{CONTACTS}/crm-contact-list.md",
        refused=True,
        request={},
        because=MISSING,
        options={"user_id": 7, "role": "none"},
    ),
    Example(
        method="crm.contact.get",
        page=f"{CONTACTS}/crm-contact-get.md",
        request={"ID": 43},
        because="the page asks for 23 and shows 43",
        given=record("contact", 43),
    ),
    Example(
        method="crm.contact.get",
        page=f"{CONTACTS}/crm-contact-get.md",
        refused=True,
        request={"ID": 0},
        because=MISSING,
    ),
    Example(
        method="crm.contact.update",
        page=f"{CONTACTS}/crm-contact-update.md",
        given=unlinked([43], [12, 13, 15]),
    ),
    Example(
        method="crm.contact.update",
        page=f"{CONTACTS}/crm-contact-update.md",
        refused=True,
        request={"ID": 43, "FIELDS": {"ASSIGNED_BY_ID": 1}},
        because=MISSING,
    ),
    Example(method="crm.contact.add", page=f"{CONTACTS}/crm-contact-add.md"),
    Example(
        method="crm.contact.add",
        page=f"{CONTACTS}/crm-contact-add.md",
        refused=True,
        request={"fields": "John"},
        because=MISSING,
    ),
    Example(method="crm.contact.delete", page=f"{CONTACTS}/crm-contact-delete.md", given=unlinked([50], [])),
    Example(
        method="crm.contact.delete",
        page=f"{CONTACTS}/crm-contact-delete.md",
        refused=True,
        request={"ID": 0},
        because=MISSING,
    ),
    Example(method="crm.contact.fields", page=f"{CONTACTS}/crm-contact-fields.md"),
    Example(
        method="crm.company.list",
        page=f"{COMPANIES}/crm-company-list.md",
        given=listed("company", company_type="CUSTOMER", date_create=1_767_225_600),
    ),
    Example(
        method="crm.company.list",
        page=f"{COMPANIES}/crm-company-list.md",
        refused=True,
        request={},
        because=MISSING,
        options={"user_id": 7, "role": "none"},
    ),
    Example(method="crm.company.get", page=f"{COMPANIES}/crm-company-get.md", given=record("company", 12)),
    Example(
        method="crm.company.get",
        page=f"{COMPANIES}/crm-company-get.md",
        refused=True,
    ),
    Example(method="crm.company.update", page=f"{COMPANIES}/crm-company-update.md", given=record("company", 43)),
    Example(method="crm.company.update", page=f"{COMPANIES}/crm-company-update.md", refused=True),
    Example(method="crm.company.add", page=f"{COMPANIES}/crm-company-add.md"),
    Example(
        method="crm.company.add",
        page=f"{COMPANIES}/crm-company-add.md",
        refused=True,
        request={"fields": "John"},
        because=MISSING,
    ),
    Example(method="crm.company.delete", page=f"{COMPANIES}/crm-company-delete.md", given=record("company", 50)),
    Example(
        method="crm.company.delete",
        page=f"{COMPANIES}/crm-company-delete.md",
        refused=True,
        given=record("company", 50),
        options={"user_id": 7, "role": "none"},
    ),
    Example(method="crm.company.fields", page=f"{COMPANIES}/crm-company-fields.md"),
    Example(
        method="crm.company.fields",
        page=f"{COMPANIES}/crm-company-fields.md",
        refused=True,
        options={"user_id": 7, "role": "none"},
    ),
    *(
        Example(
            method=f"crm.{own}.{other}.{verb}", page=f"{page}/crm-{own}-{other}-{verb.replace('.', '-')}.md", **more
        )
        for own, other, page in (
            ("contact", "company", f"{CONTACTS}/company"),
            ("company", "contact", f"{COMPANIES}/contacts"),
        )
        for verb, more in (
            ("add", {"given": unlinked([54], [32])}),
            ("add", {"refused": True, "request": {"fields": {"SORT": 10}}, "because": MISSING}),
            ("delete", {"given": links([54], [32])}),
            ("delete", {"refused": True, "request": {"fields": {"SORT": 10}}, "because": MISSING}),
            ("fields", {}),
            ("items.get", {"given": links([54], [32])}),
            ("items.get", {"refused": True, "request": {}, "because": MISSING}),
            ("items.set", {"given": unlinked([82, *((8, 9, 10) if own == "company" else ())], [32, 8, 9, 10])}),
            ("items.set", {"refused": True, "request": {"id": 32, "items": "8"}, "because": MISSING}),
            ("items.delete", {"given": links([54], [32])}),
            ("items.delete", {"refused": True, "request": {}, "because": MISSING}),
        )
    ),
    Example(
        method="crm.item.list",
        page=f"{ITEMS}/crm-item-list.md",
        request={
            "entityTypeId": 3,
            "select": ["id", "assignedById", "sourceId", "name", "lastName"],
            "order": {"id": "ASC"},
        },
        because=ITEM,
        given=items,
    ),
    Example(
        method="crm.item.list",
        page=f"{ITEMS}/crm-item-list.md",
        refused=True,
        request={"entityTypeId": 3, "filter": {"FIELD": 1}},
        because=MISSING,
    ),
    Example(
        method="crm.item.get",
        page=f"{ITEMS}/crm-item-get.md",
        request={"entityTypeId": 3, "id": 250},
        because=ITEM,
        given=item(250),
    ),
    Example(
        method="crm.item.get",
        page=f"{ITEMS}/crm-item-get.md",
        refused=True,
        request={"entityTypeId": 3, "id": 250},
        because=ITEM,
    ),
    Example(
        method="crm.item.add",
        page=f"{ITEMS}/crm-item-add.md",
        request={
            "entityTypeId": 3,
            "fields": {
                "name": "John",
                "assignedById": 7,
                "companyId": 10,
                "typeId": "CLIENT",
                "comments": "New",
                "sourceId": "WEB",
                "sourceDescription": "A form",
                "utmSource": "google",
                "utmMedium": "CPC",
            },
        },
        because=ITEM,
        given=unlinked([], [10]),
    ),
    Example(
        method="crm.item.update",
        page=f"{ITEMS}/crm-item-update.md",
        request={"entityTypeId": 3, "id": 351, "fields": {"assignedById": 7}},
        because=ITEM,
        given=item(351),
    ),
    Example(
        method="crm.item.delete",
        page=f"{ITEMS}/crm-item-delete.md",
        request={"entityTypeId": 3, "id": 1},
        because=ITEM,
        given=unlinked([1], []),
    ),
    Example(
        method="crm.item.delete",
        page=f"{ITEMS}/crm-item-delete.md",
        refused=True,
        request={"entityTypeId": 3, "id": 1},
        because=ITEM,
    ),
    Example(method="crm.item.fields", page=f"{ITEMS}/crm-item-fields.md", request={"entityTypeId": 3}, because=ITEM),
    Example(method="crm.item.fields", page=f"{ITEMS}/crm-item-fields.md", refused=True, request={"entityTypeId": 1268}),
    Example(
        method="crm.status.list",
        page="api-reference/crm/status/crm-status-list.md",
        request={"filter": {"ENTITY_ID": "COMPANY_TYPE"}},
        because="the page's example is about stages",
    ),
    Example(
        method="user.get",
        page="api-reference/user/user-get.md",
        request={"UF_DEPARTMENT": 1, "SORT": "ID", "ORDER": "asc"},
        because=START,
        given=users,
    ),
    Example(method="user.current", page="api-reference/user/user-current.md", given=users, options={"user_id": 3}),
    Example(method="user.admin", page=f"{USERS}/user-admin.md"),
    Example(method="profile", page=f"{USERS}/profile.md"),
    Example(
        method="department.get",
        page="api-reference/departments/department-get.md",
        request={"PARENT": 1},
        because="the page shows no request for its answer",
        given=departments,
        options={"scopes": ("department",)},
    ),
    Example(method="scope", page=f"{SYSTEM}/scope.md"),
    Example(method="server.time", page=f"{SYSTEM}/server-time.md"),
    Example(method="methods", page=f"{SYSTEM}/methods.md"),
    Example(method="method.get", page=f"{SYSTEM}/method-get.md"),
    Example(method="app.info", page=f"{SYSTEM}/app-info.md", by_application=True),
    Example(method="user.fields", page="api-reference/user/user-fields.md"),
    Example(
        method="user.search",
        page="api-reference/user/user-search.md",
        request={"UF_DEPARTMENT": 1, "SORT": "ID", "ORDER": "asc"},
        because=START,
        given=users,
    ),
    Example(method="user.access", page=f"{USERS}/user-access.md"),
    Example(
        method="department.fields",
        page="api-reference/departments/department-fields.md",
        request={},
        because="the page has no request by webhook",
        options={"scopes": ("department",)},
    ),
    Example(method="feature.get", page=f"{SYSTEM}/feature-get.md"),
    Example(method="feature.get", page=f"{SYSTEM}/feature-get.md", refused=True, request={}, because=MISSING),
    Example(method="access.name", page=f"{SYSTEM}/access-name.md"),
    *(
        Example(
            method=f"im.notify.{kind}.add",
            page=f"api-reference/chats/notifications/im-notify-{kind}-add.md",
            request={"USER_ID": 7, "MESSAGE": "Hello"},
            because="the page's request has attachments and an application's identity",
            options={"scopes": ("im",)},
        )
        for kind in ("personal", "system")
    ),
    Example(
        method="bizproc.workflow.template.list",
        page="api-reference/bizproc/template/bizproc-workflow-template-list.md",
        options={"scopes": ("bizproc",)},
    ),
    Example(
        method="batch",
        page="settings/how-to-call-rest-api/batch.md",
        request={
            "halt": 0,
            "cmd": {
                "get_user": "user.current",
                "get_department": "department.get?ID=$result[get_user][UF_DEPARTMENT][0]",
            },
        },
        because="the page's first request asks for a third command, its answer has two",
        given=batch_users,
        options={"scopes": ("user", "department")},
    ),
    *(
        Example(
            method="batch",
            page="settings/how-to-call-rest-api/batch.md",
            number=number,
            request={"halt": halt, "cmd": {"get_user": "user.current", "get_department": "department.get"}},
            because=MISSING,
            options={"scopes": ()},
        )
        for number, halt in ((1, 0), (2, 1))
    ),
)

#: Documented with another status than the source and measured portals have, see the page on the embedded portal.
OTHER_STATUS = {
    "crm.contact.company.items.get-refused": "the page heads its error with 200",
}

#: Methods without a documented answer that a webhook can get: it is told that they are for applications.
WITHOUT_EXAMPLE = frozenset(
    f"event{name}"
    for name in (
        "s",
        ".bind",
        ".unbind",
        ".get",
        ".test",
        *(f".offline.{verb}" for verb in ("get", "clear", "error", "list")),
    )
)
