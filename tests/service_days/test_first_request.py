"""How much lies between the start of the service and its first request: in processor time, whatever else runs here."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command_line import PATIENCE, PROGRAM, SMALL, TOKEN, URL, at_rest

from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.simulator.http import Request, Response
    from reconciler.simulator.portal import Portal
    from reconciler.simulator.server import Address

#: Seconds; it takes 0.6 to 0.8. A container's first request is due two seconds after its start.
MOST = 1.5
#: A busy machine makes a processor slower, too: the least of so many starts counts.
STARTS = 3


def processor_seconds(process: int) -> float:
    """Return what a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Portal, Address]]:
    """Serve a small portal; give it with its address."""
    made = build(SMALL, limits="self-hosted", options=PortalOptions(token=TOKEN))
    with serve(made) as address:
        yield made, address


def until_the_first_request(folder: Path, portal: Portal, address: Address, monkeypatch: pytest.MonkeyPatch) -> float:
    """Start the service, and end it with its first request; return the processor seconds until then."""
    seen: list[float] = []
    arrived, started = threading.Event(), threading.Event()
    handle = portal.handle

    def handled(request: Request) -> Response:
        if not seen:
            assert started.wait(PATIENCE)
            seen.append(processor_seconds(process.pid))
            arrived.set()
        return handle(request)

    env = {URL: address.webhook_url, "PATH": os.environ["PATH"], "RECONCILER_WEB__PORT": "0"}
    with monkeypatch.context() as patched:
        patched.setattr(portal, "handle", handled)
        with subprocess.Popen(PROGRAM, cwd=folder, env=env, stderr=subprocess.DEVNULL) as process:
            started.set()
            try:
                assert arrived.wait(PATIENCE)
            finally:
                process.kill()
        at_rest(address)  # none of its requests is taken for one of the next process
    return seen[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="NO /proc HERE: a start is not measured")
@pytest.mark.parametrize("journal", ["new", "known"])
def test_the_first_request_follows_the_start_at_once(
    tmp_path: Path, served: tuple[Portal, Address], monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    """Nothing is loaded before it that can wait; neither a new journal nor one of this version needs a migration."""
    folders = [tmp_path / str(number) if journal == "new" else tmp_path / "one" for number in range(STARTS + 1)]
    for folder in set(folders):
        folder.mkdir()
    if journal == "known":
        until_the_first_request(folders[0], *served, monkeypatch)
    taken = [until_the_first_request(folder, *served, monkeypatch) for folder in folders[1:]]
    assert min(taken) < MOST, taken
