"""What a poll has read is let go of when it ends: no circle keeps it until the garbage collector comes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.world import World

from reconciler.core.companies import Roster, Strategy
from reconciler.core.model import Status
from reconciler.core.snapshot import Snapshot
from reconciler.portal.read.companies import CompanyChangeReader
from reconciler.portal.read.comparing import Comparison
from reconciler.portal.read.drift import DriftQuery
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.read.windows import Listing, Queue, Window
from reconciler.portal.rest.batch_codec import Answer, Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What holds a poll's data, or refers to something that does.
HEAVY = (
    Answer, Command, Comparison, DriftQuery, Listing, CompanyChangeReader, Queue, Roster, Snapshot, Window,
    httpx.Request, httpx.Response,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _by_hand() -> Iterator[None]:
    """Collect only when a test says so."""
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def circles() -> list[Any]:
    """Return what of a poll only the garbage collector has found."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    return [found for found in gc.garbage if isinstance(found, HEAVY)]


def world(folder: Path, **options: Any) -> World:
    """Return a portal of 40 companies, ten of them with contacts of somebody else, that was read once."""
    made = World(folder, **options)
    made.in_one_thread = True
    made.drift(50)
    made.run()
    return made


@pytest.mark.parametrize("strategy", Strategy)
def test_a_quiet_poll_leaves_nothing_behind(tmp_path: Path, strategy: Strategy) -> None:
    """Companies, windows, commands, requests and answers go with the last reference to them."""
    made = world(tmp_path, tactics=SweepOptions(strategy=strategy))
    gc.collect()
    made.run()
    assert circles() == []
    made.close()


def test_a_poll_with_a_repeated_request_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error that was repeated is forgotten with its request."""
    made = world(tmp_path)
    made.faults({"kind": "html_502", "times": 1})
    gc.collect()
    made.run()
    assert circles() == []
    made.close()


def test_a_poll_that_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error that ends a run knows where it was raised, and those calls know all that was read."""
    made = world(tmp_path, attempts=2)
    made.faults({"kind": "html_502", "every": 1})
    gc.collect()
    status = made.run().report.status
    assert status is Status.FAILED
    assert circles() == []
    made.close()
