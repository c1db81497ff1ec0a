"""What a user of b24pysdk would write: two lists, a comparison, and batches of updates.

Started with the way of listing, `as_list` (by offset) or `as_list_fast` (by ID), and the webhook's address. The
certificate to trust is in REQUESTS_CA_BUNDLE. Prints a line when all is read, and one at the end.
"""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from b24pysdk import BitrixWebhook, Client

#: Updates in a batch: ten seconds after a request the client gives up, and does not ask again.
CHUNK = 5


def main(way: str, webhook_url: str) -> None:
    """Give each contact the owner of its company."""
    address = urlsplit(webhook_url)
    token = BitrixWebhook(domain=address.netloc, webhook_token=address.path.removeprefix("/rest/").strip("/"))
    crm = (client := Client(token)).crm
    companies = list(getattr(crm.company.list(select=["ID", "ASSIGNED_BY_ID"]), way)().result)
    contacts = list(getattr(crm.contact.list(select=["ID", "COMPANY_ID", "ASSIGNED_BY_ID"]), way)().result)
    owners = {company["ID"]: company["ASSIGNED_BY_ID"] for company in companies}
    updates = [
        crm.contact.update(bitrix_id=int(contact["ID"]), fields={"ASSIGNED_BY_ID": owners[contact["COMPANY_ID"]]})
        for contact in contacts
        if contact["COMPANY_ID"] in owners and owners[contact["COMPANY_ID"]] != contact["ASSIGNED_BY_ID"]
    ]
    print(json.dumps({"companies": len(companies), "contacts": len(contacts), "drift": len(updates)}), flush=True)
    applied = 0
    for start in range(0, len(updates), CHUNK):
        answers = client.call_batches(updates[start : start + CHUNK]).result.result
        applied += sum(answer is True for answer in (answers.values() if isinstance(answers, dict) else answers))
    print(json.dumps({"applied": applied}))


main(sys.argv[1], sys.argv[2])
