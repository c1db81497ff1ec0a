"""Names of methods and fields, in one place, so that `crm.item.*` can become a second dialect."""

from __future__ import annotations

BATCH = "batch"
COMPANY_LIST = "crm.company.list"
CONTACT_LIST = "crm.contact.list"
CONTACT_GET = "crm.contact.get"
CONTACT_UPDATE = "crm.contact.update"
CONTACT_LINKS = "crm.contact.company.items.get"
COMPANY_FIELD_LIST = "crm.company.fields"
CONTACT_FIELD_LIST = "crm.contact.fields"
STATUS_LIST = "crm.status.list"
ITEM_LIST = "crm.item.list"
USER_LIST = "user.get"
DEPARTMENT_LIST = "department.get"
NOTICE_ADD = "im.notify.system.add"
PROFILE = "profile"
SCOPES = "scope"
SERVER_TIME = "server.time"
WORKFLOW_TEMPLATES = "bizproc.workflow.template.list"

ID = "ID"
OWNER = "ASSIGNED_BY_ID"
COMPANY = "COMPANY_ID"
OWN_COMPANY = "IS_MY_COMPANY"
CREATED = "DATE_CREATE"
MODIFIED = "DATE_MODIFY"
EDITOR = "MODIFY_BY_ID"

#: Contacts among the types of `crm.item.*`.
CONTACT_ITEMS = 3

#: Rows on a page of every list method (F2).
PAGE = 50
#: Commands in a batch (F1.3).
BATCH_COMMANDS = 50
#: Seconds after which the portal ends a request, done or not (F5.3).
REQUEST_SECONDS = 60.0
