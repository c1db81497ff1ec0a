"""What a user of fast_bitrix24 would write: two lists, a comparison, and one call with all updates.

Started with the webhook's address. Prints a line when all is read, and one at the end.
"""

from __future__ import annotations

import json
import sys

from fast_bitrix24 import Bitrix


def main(webhook_url: str) -> None:
    """Give each contact the owner of its company."""
    portal = Bitrix(webhook_url, verbose=False)
    companies = portal.get_all("crm.company.list", {"select": ["ID", "ASSIGNED_BY_ID"]})
    contacts = portal.get_all("crm.contact.list", {"select": ["ID", "COMPANY_ID", "ASSIGNED_BY_ID"]})
    owners = {company["ID"]: company["ASSIGNED_BY_ID"] for company in companies}
    updates = [
        {"id": contact["ID"], "fields": {"ASSIGNED_BY_ID": owners[contact["COMPANY_ID"]]}}
        for contact in contacts
        if contact["COMPANY_ID"] in owners and owners[contact["COMPANY_ID"]] != contact["ASSIGNED_BY_ID"]
    ]
    print(json.dumps({"companies": len(companies), "contacts": len(contacts), "drift": len(updates)}), flush=True)
    answers = portal.call("crm.contact.update", updates) if updates else []
    # The answer to a list of one is no list.
    answers = [answers] if isinstance(answers, bool) else answers
    print(json.dumps({"applied": sum(answer is True for answer in answers)}))


main(sys.argv[1])
