"""The page of a set that the guard held back: what it lists, of what, and what it says where it cannot."""

from __future__ import annotations

import json
import re
import tracemalloc
from html import unescape
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.month import NOW, PORTAL, month, refuse

from reconciler.clock import Timeline, VirtualClock
from reconciler.core.model import Change, Outcome, Result
from reconciler.reporting.to_html import page_policy
from reconciler.service import http as pages
from reconciler.service.health import Watch
from reconciler.service.http import View
from reconciler.telemetry.metrics import Metrics
from reconciler.web.server import Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.journal.store import Journal

CLOCK = VirtualClock(Timeline(NOW))
WORKER = SimpleNamespace(portal=PORTAL, clock=CLOCK, client=SimpleNamespace(origin="https://portal.bitrix24.de"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a journal in which nothing waits."""
    with month(tmp_path / "journal.db", runs=2, changes=0) as journal:
        yield journal


@pytest.fixture
def view(journal: Journal) -> View:
    """Give what answers the pages' questions."""
    return View(cast("Any", WORKER), journal, Watch(CLOCK, interval=600), Metrics(), str)


def listed(view: View, digest: str) -> Page:
    """Return the page of a set as it is now, which there is."""
    CLOCK.sleep(3)
    page = view.held_back(digest)
    assert isinstance(page, Page)
    return page


def rows(page: Page) -> list[list[Any]]:
    """Return all rows that the page carries: contact, company, owner before, owner after."""
    data = json.loads(page.text.split('id="data">')[1].split("</script>")[0])
    words = data["words"]
    return [[row[0], row[2], words[row[4]], words[row[6]]] for row in data["rows"].get("changes", [])]


def seen(page: Page) -> str:
    """Return what a reader finds above the list."""
    text = page.text.split("<body>")[1].split('id="search"')[0].split("<script")[0]
    return " ".join(unescape(re.sub("<svg.*?</svg>|<[^>]*>", " ", text)).split())


def waiting(journal: Journal) -> str:
    """Return the digest of the latest set."""
    return journal.approvals.open(PORTAL)[-1].digest


def test_it_lists_each_change_with_the_command_to_give(view: View, journal: Journal) -> None:
    """As the journal has them; its policy allows its own style and script."""
    refuse(journal, 1_200)
    digest = waiting(journal)
    page = listed(view, digest[:12])
    keys = journal.approvals.keys(journal.approvals.open(PORTAL)[0])
    assert sorted(map(tuple, rows(page))) == [(k, c, "Clara Vogel", "<b>Mila</b> Vogel") for k, c, _, _ in keys]
    text = seen(page)
    assert (
        f"To let exactly these 1,200 changes through, where the service runs: reconciler approve {digest[:12]}" in text
    )
    assert "1,200 not written yet" in text
    assert "Clara Vogel #1 1,200 0 <b>Mila</b> Vogel #5 0 1,200" in text
    assert "This page lists" not in text
    assert page.policy == page_policy()
    assert page.policy.startswith("default-src 'none'; ")


def test_a_large_set_is_listed_in_part_and_says_so(
    view: View, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first by company; the numbers are of all, and the command that lists all is named."""
    run = journal.begin(portal=PORTAL, command="service")
    changes = [Change(contact=100 - k, company=k, before=1, after=2 + k % 2) for k in range(1, 31)]
    journal.approvals.wait(PORTAL, changes, run=run, numbers={}, sentence="too many")
    monkeypatch.setattr(pages, "MOST_LISTED", 8)
    page = listed(view, waiting(journal))
    assert [row[:2] for row in rows(page)] == [[100 - k, k] for k in range(1, 9)]
    text = seen(page)
    assert (
        "This page lists the first 8 of 30 changes, by company; its numbers, causes and people are of all. "
        f"All of them, where the service runs: reconciler show {run} --format csv --output run-{run}.csv" in text
    )
    assert "30 not written yet" in text
    assert "Clara Vogel #1 30 0 Agnès Kaya #2 0 15 António Becker #3 0 15" in text
    assert "Search the contacts listed here" in page.text
    assert "… and <b>22</b> more" in page.text


def test_what_became_of_a_set(view: View, journal: Journal) -> None:
    """Approved, it needs no command; withdrawn, nothing of it is called done."""
    refuse(journal, 3)
    digest = waiting(journal)
    journal.approvals.approve(PORTAL, digest, by="ann", how="by command")
    text = seen(listed(view, digest))
    assert "State approved Changes 3" in text
    assert "reconciler approve" not in text
    journal.approvals.withdraw(PORTAL, digest)
    text = seen(listed(view, digest))
    assert "3 held back" in text
    assert "State withdrawn Changes 3 Digest" in text
    assert "The journal does not keep these changes any more." in text
    assert "reconciler approve" not in text


def test_what_is_done_is_not_listed(view: View, journal: Journal) -> None:
    """Nobody agrees to it any more."""
    changes = [Change(contact=k, company=k, before=1, after=2) for k in (1, 2, 3)]
    journal.approvals.wait(PORTAL, changes, run=None, numbers={}, sentence="too many")
    write(journal, changes[:1])
    page = listed(view, waiting(journal))
    assert [row[0] for row in rows(page)] == [2, 3]
    assert "Changes 3: 2 not written yet, 1 done or already right" in seen(page)
    assert "To let exactly these 2 changes through" in seen(page)
    write(journal, changes[1:])
    text = seen(listed(view, waiting(journal)))
    assert "All of its changes are done." in text
    assert "reconciler approve" not in text


def write(journal: Journal, changes: list[Change]) -> None:
    """Carry these changes out in a run of their own."""
    run = journal.begin(portal=PORTAL, command="once")
    journal.intend(run, changes)
    journal.settle(run, [Outcome(change=change, result=Result.APPLIED) for change in changes])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("abcdefabcdef", "no changes with this digest were held back here; `reconciler approve` lists what waits"),
        ("abc", "a digest needs at least its first 6 characters; `reconciler approve` shows 12"),
        ("%%%%%%%", "no changes with this digest were held back here; `reconciler approve` lists what waits"),
    ],
)
def test_a_digest_that_is_none(asked: str, says: str, view: View, journal: Journal) -> None:
    """A sentence in the place of a page."""
    refuse(journal, 3)
    assert view.held_back(asked) == says


def test_who_asks_at_the_same_moment_gets_the_same_page(view: View, journal: Journal) -> None:
    """Of the same set; a little later it is made again."""
    refuse(journal, 3)
    digest = waiting(journal)
    page = listed(view, digest)
    assert view.held_back(digest) is page
    assert view.held_back(digest[:12]) is not page
    CLOCK.sleep(3)
    assert view.held_back(digest[:12]) is not view.held_back(digest)


def test_a_huge_set_takes_little_memory(view: View, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the rows of its page are never in memory."""
    most = 500
    monkeypatch.setattr(pages, "MOST_LISTED", most)
    refuse(journal, 3)
    listed(view, waiting(journal))  # compiles the queries and the template
    peaks = []
    for count in (most, 20 * most):
        refuse(journal, count)
        digest = waiting(journal)
        tracemalloc.start()
        try:
            assert len(rows(listed(view, digest))) == most
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
