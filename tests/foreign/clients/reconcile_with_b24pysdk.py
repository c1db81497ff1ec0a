"""The natural reconcile with b24pysdk: `as_list` (offsets) and `as_list_fast` (IDs chained by macros), `call_batches`.

Started with the webhook's address, which must be HTTPS; the certificate to trust is in REQUESTS_CA_BUNDLE. Runs in
an environment of its own, and imports nothing of the reconciler.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from b24pysdk import BitrixWebhook, Client


def main(webhook_url: str) -> None:
    """Give each contact the owner of its company, and say on one line what was read and written."""
    address = urlsplit(webhook_url)
    token = BitrixWebhook(domain=address.netloc, webhook_token=address.path.removeprefix("/rest/").strip("/"))
    crm = (client := Client(token)).crm
    company_fields, contact_fields = ["ID", "ASSIGNED_BY_ID"], ["ID", "COMPANY_ID", "ASSIGNED_BY_ID"]
    read = {}
    companies = list(crm.company.list(select=company_fields).as_list().result)
    contacts = list(crm.contact.list(select=contact_fields).as_list().result)
    read["as_list"] = _ids(companies, contacts)
    companies = list(crm.company.list(select=company_fields).as_list_fast().result)
    contacts = list(crm.contact.list(select=contact_fields).as_list_fast().result)
    read["as_list_fast"] = _ids(companies, contacts)
    owners = {company["ID"]: company["ASSIGNED_BY_ID"] for company in companies}
    updates = [
        crm.contact.update(bitrix_id=int(contact["ID"]), fields={"ASSIGNED_BY_ID": owners[contact["COMPANY_ID"]]})
        for contact in contacts
        if contact["COMPANY_ID"] in owners and owners[contact["COMPANY_ID"]] != contact["ASSIGNED_BY_ID"]
    ]
    answers = client.call_batches(updates).result.result
    answers = list(answers.values()) if isinstance(answers, dict) else answers
    succeeded = sum(answer is True for answer in answers)
    sys.stdout.write(json.dumps({"read": read, "updates": len(updates), "succeeded": succeeded}) + "\n")


def _ids(companies: list[dict[str, str]], contacts: list[dict[str, str]]) -> dict[str, list[int]]:
    return {"companies": [int(row["ID"]) for row in companies], "contacts": [int(row["ID"]) for row in contacts]}


main(sys.argv[1])
