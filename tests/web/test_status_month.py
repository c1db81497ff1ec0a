"""The pages over a month of history: how long they take, and what they weigh."""

from __future__ import annotations

import gc
import time
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.month import NOW, PORTAL, month

from reconciler.clock import Timeline, VirtualClock
from reconciler.service.health import Watch
from reconciler.service.http import View
from reconciler.telemetry.metrics import Metrics
from reconciler.web.status import MONTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.journal.store import Journal


CLOCK = VirtualClock(Timeline(NOW))
#: As much of a worker as the pages ask.
BUDGET = SimpleNamespace(limit=480.0, used=lambda: {"crm.contact.update": 412.0, "batch": 201.3})
CLIENT = SimpleNamespace(origin="https://portal.bitrix24.de", budget=BUDGET)
WORKER = SimpleNamespace(portal=PORTAL, clock=CLOCK, client=CLIENT)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """Give the journal of a month: 4,300 runs, 100,000 changes."""
    with month(tmp_path_factory.mktemp("month") / "journal.db", waiting=1_700) as journal:
        yield journal


@pytest.fixture
def view(journal: Journal) -> View:
    """Give what answers the pages' questions."""
    watch = Watch(CLOCK, interval=600, last_success=NOW, last_attempt=NOW)
    return View(cast("Any", WORKER), journal, watch, Metrics(), str)


def test_the_status_page_takes_less_than_a_third_of_a_second(view: View, journal: Journal) -> None:
    """Read and drawn, by the processor's time: other programs run here too."""
    assert len(journal.history.looks(PORTAL, NOW - MONTH * 2)) == 4_300
    view.status()  # compiles the queries and the template
    took = []
    for _ in range(5):
        CLOCK.sleep(3)
        began = time.thread_time()
        page = view.status()
        took.append(time.thread_time() - began)
    assert min(took) < 0.3
    assert len(page.text) < 120_000
    assert view.status() is page  # whoever asks at the same moment gets the same


def test_the_metrics_are_small_and_quick(view: View) -> None:
    """Less than 20 kB, in a fiftieth of a second."""
    view.metrics()
    took = []
    for _ in range(5):
        began = time.thread_time()
        text = view.metrics()
        took.append(time.thread_time() - began)
    assert min(took) < 0.02
    assert len(text) < 20_000


def test_the_pages_keep_nothing_of_what_they_read(view: View) -> None:
    """Asked again and again, they hold the latest page and no more."""

    def held() -> int:
        for _ in range(3):
            CLOCK.sleep(3)
            view.status()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = held()
        assert held() - first < 100_000
        assert first < 3_000_000
    finally:
        tracemalloc.stop()
