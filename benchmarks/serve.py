"""The embedded portal of a benchmark, no longer than whoever started it lives: it ends when its standard input does.

Two of its owners have left, and its webhook may read departments, so that every policy has something to decide.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading

from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

OWNERS, DISMISSED = 20, 2
SCOPES = ("crm", "user", "department")


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    parser = argparse.ArgumentParser()
    parser.add_argument("--companies", type=int)
    parser.add_argument("--contacts", type=int)
    parser.add_argument("--drift", type=float)
    wanted = parser.parse_args()
    spec = SeedSpec(owners=OWNERS, dismissed_owners=DISMISSED, **vars(wanted))
    portal = build(spec, limits="self-hosted", profile="instant", options=PortalOptions(scopes=SCOPES))
    with serve(portal) as address:
        print(json.dumps({"webhook_url": address.webhook_url, "stats_url": address.stats_url}), flush=True)
        threading.Event().wait()
