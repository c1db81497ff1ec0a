"""How many companies each owner of a seeded portal has, as one JSON object: what the bounds are made of.

In a process of its own, because it seeds the portal once more.
"""

from __future__ import annotations

import argparse
import json

from reconciler.simulator.assembly import build
from reconciler.simulator.seed import SeedSpec

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for number in ("companies", "contacts", "owners"):
        parser.add_argument(f"--{number}", type=int)
    portal = build(SeedSpec(**vars(parser.parse_args())))
    sql = "SELECT assigned_by_id AS owner, COUNT(*) AS companies FROM company"
    rows = portal.database.rows(f"{sql} WHERE is_my_company = 'N' AND category_id = 0 GROUP BY 1")
    print(json.dumps({row["owner"]: row["companies"] for row in rows}))
