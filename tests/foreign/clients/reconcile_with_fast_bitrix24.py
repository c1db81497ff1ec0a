"""The natural reconcile with fast_bitrix24: `get_all` (pages by offset, fifty a batch, in parallel), then `call`.

Started with the webhook's address; runs in an environment of its own, and imports nothing of the reconciler.
"""

from __future__ import annotations

import json
import sys

from fast_bitrix24 import Bitrix


def main(webhook_url: str) -> None:
    """Give each contact the owner of its company, and say on one line what was read and written."""
    portal = Bitrix(webhook_url, verbose=False)
    companies = portal.get_all("crm.company.list", {"select": ["ID", "ASSIGNED_BY_ID"]})
    contacts = portal.get_all("crm.contact.list", {"select": ["ID", "COMPANY_ID", "ASSIGNED_BY_ID"]})
    owners = {company["ID"]: company["ASSIGNED_BY_ID"] for company in companies}
    updates = [
        {"id": contact["ID"], "fields": {"ASSIGNED_BY_ID": owners[contact["COMPANY_ID"]]}}
        for contact in contacts
        if contact["COMPANY_ID"] in owners and owners[contact["COMPANY_ID"]] != contact["ASSIGNED_BY_ID"]
    ]
    answers = portal.call("crm.contact.update", updates)
    read = {"companies": [int(row["ID"]) for row in companies], "contacts": [int(row["ID"]) for row in contacts]}
    document = {"read": {"get_all": read}, "updates": len(updates), "succeeded": sum(a is True for a in answers)}
    sys.stdout.write(json.dumps(document) + "\n")


main(sys.argv[1])
