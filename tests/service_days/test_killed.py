"""The service in a process of its own is ended at some moment: the journal knows what left, the next start goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from support.command_line import PATIENCE, PROGRAM, TOKEN, URL, at_rest

from reconciler.portal.write.writer import SETTLED_SECONDS
from reconciler.simulator.assembly import build
from reconciler.simulator.costs import Profile
from reconciler.simulator.edits import Edit
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.simulator.http import Request, Response
    from reconciler.simulator.portal import Portal

#: Seconds that a stop may take at most; a request of this portal takes far less than one of a real one.
STOP_MAX = 80
#: An update takes a thirtieth of a second, so that a signal falls into the middle of a request.
SLOW = Profile(write_median=0.03)


class Happenings:
    """What the other process logs and does to the portal, as it comes about."""

    def __init__(self, portal: Portal) -> None:
        self.log: list[str] = []
        #: Requests that have arrived.
        self.requests = 0
        self._told = 0
        self._news = threading.Condition()
        handle, edits = portal.handle, portal._edits
        happenings = self

        class Told(list[Edit]):
            def append(self, edit: Edit) -> None:
                super().append(edit)
                happenings.tell()

        def handled(request: Request) -> Response:
            self.requests += 1
            self.tell()
            return handle(request)

        edits.history, portal.handle = Told(), handled  # type: ignore[method-assign]

    def tell(self, *lines: str) -> None:
        """Note that something has happened."""
        with self._news:
            self.log += lines
            self._told += 1
            self._news.notify_all()

    def logged(self, event: str) -> int:
        """Count the lines of an event."""
        return sum(f'"event": "{event}"' in line for line in self.log)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to come about in the other process, which shows in its log or at the portal.

        A start after a kill waits for as long as the portal may be at work on what was sent.
        """
        give_up, told = time.monotonic() + SETTLED_SECONDS + PATIENCE, self._told
        while not condition():  # without the lock: the portal tells while it holds its own, which a condition may want
            with self._news:
                left = give_up - time.monotonic()
                assert self._news.wait_for(lambda known=told: self._told > known, left), self.log
                told = self._told


@contextmanager
def service(folder: Path, url: str, happenings: Happenings, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Start the service; whatever the test finds, it does not outlive it."""
    env = {URL: url, "PATH": os.environ["PATH"], "RECONCILER_WEB__PORT": "0", **settings}
    command = [*PROGRAM, "--log-format", "json"]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:

        def listen() -> None:
            for line in process.stderr or ():
                happenings.tell(line)

        ear = threading.Thread(target=listen)
        ear.start()
        try:
            yield process
        finally:
            process.kill()
            ear.join()


def journalled(folder: Path) -> dict[int, str | None]:
    """Return contact -> outcome of what the journal knows as intended; None: open."""
    with closing(sqlite3.connect(folder / "reconciler.sqlite3")) as journal:
        rows = journal.execute("SELECT contact_id, result FROM change WHERE intended_at IS NOT NULL ORDER BY id")
        return dict(rows.fetchall())


def written(portal: Portal) -> list[int]:
    """Return the contacts that the worker has updated, each as often as it did."""
    return [edit.id for edit in portal.history if edit.source == "rest"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("updates", [0, 9, 10, 24])
def test_ended_after_so_many_updates(tmp_path: Path, number: signal.Signals, updates: int) -> None:
    """No update without an intent, none twice; what is open is settled by the next start, which does the rest."""
    portal = build(
        SeedSpec(companies=30, contacts=250, owners=6, drift=0.2),
        limits="self-hosted",
        profile=SLOW,
        options=PortalOptions(token=TOKEN),
    )
    happenings = Happenings(portal)
    with serve(portal) as address:
        with service(tmp_path, address.webhook_url, happenings) as process:
            happenings.until(lambda: happenings.requests > 0 and len(written(portal)) >= updates)
            asked = time.monotonic()
            process.send_signal(number)
            process.wait(STOP_MAX)
            took = time.monotonic() - asked
        assert process.returncode == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert took < STOP_MAX
        # A portal finishes the request that it has begun, whether or not somebody waits for the answer.
        at_rest(address)
        known = journalled(tmp_path)
        assert set(written(portal)) <= known.keys()
        if number == signal.SIGTERM:
            assert None not in known.values()
        ended = happenings.logged("run.finished")
        with service(tmp_path, address.webhook_url, happenings) as process:
            happenings.until(lambda: portal.drift() <= _left_alone(portal))
            happenings.until(lambda: happenings.logged("run.finished") > ended)
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_MAX) == 0
    assert None not in journalled(tmp_path).values()
    assert len(written(portal)) == len(set(written(portal)))
    assert portal.stats()["noop_updates"] == 0


def _left_alone(portal: Portal) -> int:
    """Count the contacts of several companies whose owners differ: they are reported, and not written."""
    return portal.database.count(
        "SELECT count(*) FROM contact c JOIN company k ON k.id = c.company_id WHERE c.category_id = 0"
        " AND c.assigned_by_id <> k.assigned_by_id"
        " AND (SELECT count(DISTINCT o.assigned_by_id) FROM contact_company l JOIN company o ON o.id = l.company_id"
        " WHERE l.contact_id = c.id) > 1"
    )[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of a few megabytes; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("NO RIGHT TO MOUNT HERE: a full disk is only simulated (test_bad_days)")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path) -> None:
    """The service stays up and writes nothing; with room again it does its work without a restart."""
    spec = SeedSpec(companies=40, contacts=400, owners=6)
    portal = build(spec, limits="self-hosted", options=PortalOptions(token=TOKEN))
    settings = {
        "RECONCILER_SERVICE__INTERVAL_MINUTES": "0.02",
        "RECONCILER_JOURNAL__URL": f"sqlite:///{small_disk}/j.db",
    }
    ballast, happenings = small_disk / "ballast", Happenings(portal)
    until, logged = happenings.until, happenings.logged
    with serve(portal) as address, service(tmp_path, address.webhook_url, happenings, **settings) as process:
        until(lambda: logged("run.finished") > 1)
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4_096):
                pass
        until(lambda: logged("service.run_failed") > 0)
        left, before = _left_alone(portal), len(written(portal))
        company = portal.database.rows(
            "SELECT company_id AS id FROM contact WHERE company_id > 0 AND category_id = 0 LIMIT 1"
        )[0]["id"]
        portal.people.edit_company(company, 1, assigned_by_id=1)
        until(lambda: logged("service.run_failed") > 2)
        assert process.poll() is None
        assert len(written(portal)) == before
        assert portal.drift() > left
        ballast.unlink()
        until(lambda: portal.drift() <= _left_alone(portal))
        assert len(written(portal)) > before
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_MAX) == 0
    assert "the disk is full: make room" in "".join(happenings.log)
    assert logged("service.run_crashed") == 0
