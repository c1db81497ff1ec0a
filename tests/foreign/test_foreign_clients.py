"""Clients that nobody here wrote, unchanged: each reads and repairs the embedded portal, over HTTP or HTTPS.

`make foreign` installs them into environments of their own and runs these tests. `make test` never needs them.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from reconciler.simulator.assembly import build
from reconciler.simulator.seed import SeedSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "foreign" / "clients"
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PORTAL = Path(sys.executable).with_name("reconciler")
#: b24jssdk asks for one page at a time, and for two a second when the portal's bucket is full: it gets a small portal.
LARGE, SMALL = SeedSpec(companies=2_000, contacts=10_000, owners=20), SeedSpec(companies=250, contacts=800, owners=10)

asked_for = os.environ.get("FOREIGN_CLIENTS") == "1"
pytestmark = pytest.mark.skipif(not asked_for, reason="OTHER PEOPLE'S CLIENTS NOT TRIED: `make foreign` does that")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A portal in a process of its own."""

    webhook_url: str
    stats_url: str
    tls_certificate: str | None

    def stats(self) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=self.tls_certificate) if self.tls_certificate else None
        with urlopen(self.stats_url, context=context, timeout=10) as answer:  # noqa: S310 - our own address
            return json.load(answer)


@contextmanager
def simulated(spec: SeedSpec, *options: str) -> Iterator[Served]:
    """Run `reconciler simulate` on a free port of this machine until the block is left."""
    data = ("--companies", str(spec.companies), "--contacts", str(spec.contacts), "--owners", str(spec.owners))
    command = [PORTAL, "simulate", "--json", "--port", "0", *data, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Served(**{name: told[name] for name in Served.__dataclass_fields__})
        finally:
            process.terminate()


def run_client(served: Served, *command: str | Path) -> dict[str, Any]:
    """Run a client with nothing but its own settings in its environment, and return what it says."""
    environment = {"PATH": os.environ["PATH"]}
    if served.tls_certificate:
        environment |= {"REQUESTS_CA_BUNDLE": served.tls_certificate, "NODE_EXTRA_CA_CERTS": served.tls_certificate}
    done = subprocess.run(
        [*command, served.webhook_url], capture_output=True, text=True, timeout=100, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def hold_to_the_truth(said: dict[str, Any], stats: dict[str, Any], spec: SeedSpec, capsys: Any) -> None:
    """Each way of listing showed every record of the standard category once, and no drift is left."""
    portal = build(spec)
    for way, read in said["read"].items():
        for table, plural in (("company", "companies"), ("contact", "contacts")):
            rows = portal.database.rows(f"SELECT id FROM {table} WHERE category_id = 0")  # noqa: S608 - a table's name
            assert sorted(read[plural]) == sorted(row["id"] for row in rows), (way, plural)
    assert (said["updates"], said["succeeded"]) == (spec.drifted, spec.drifted)
    assert (stats["updates_applied"], stats["noop_updates"], stats["drift"]) == (spec.drifted, 0, 0)
    with capsys.disabled():
        shown = {name: stats[name] for name in ("requests", "batches", "commands", "rejected", "drift")}
        sys.stdout.write(f"\n{', '.join(said['read'])}: {json.dumps(shown)}\n")


def test_fast_bitrix24_repairs_the_portal(capsys: pytest.CaptureFixture[str]) -> None:
    """Pages by offset, fifty to a batch and batches in parallel, then updates the same way: no drift is left."""
    with simulated(LARGE) as served:
        said = run_client(served, PYTHON, CLIENTS / "reconcile_with_fast_bitrix24.py")
        hold_to_the_truth(said, served.stats(), LARGE, capsys)


def test_b24pysdk_repairs_the_portal(capsys: pytest.CaptureFixture[str]) -> None:
    """Over HTTPS, by offset and by IDs chained with macros in batches with numeric keys: no drift is left."""
    with simulated(LARGE, "--tls") as served:
        said = run_client(served, PYTHON, CLIENTS / "reconcile_with_b24pysdk.py")
        hold_to_the_truth(said, served.stats(), LARGE, capsys)


@pytest.mark.skipif(shutil.which("node") is None, reason="B24JSSDK NOT TRIED: there is no Node on this machine")
def test_b24jssdk_repairs_the_portal(capsys: pytest.CaptureFixture[str]) -> None:
    """Over HTTPS, a page a request by ID, and updates in batches that are lists: no drift is left."""
    with simulated(SMALL, "--tls") as served:
        said = run_client(served, "node", CLIENTS / "reconcile_with_b24jssdk.mjs")
        hold_to_the_truth(said, served.stats(), SMALL, capsys)
