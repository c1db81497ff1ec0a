"""The status page in a real browser, as the service serves it: seen, tabbed through, read out, on a phone, at night.

Needs Chromium on this machine; without one these tests are skipped, or fail with CI_BROWSER=1.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import chromium
from support.month import NOW, PORTAL, month

from reconciler.engine.held_back import report_of_set
from reconciler.reporting.build import render
from reconciler.reporting.held_back import for_a_page
from reconciler.reporting.to_html import page_policy
from reconciler.web.server import Page, Site, serve
from reconciler.web.status import MONTH, MOST_CHANGES, MOST_EXCEPTIONS, MOST_RUNS, Present, status_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.chromium import Page as Tab

#: Where to keep pictures of it, for people; without it none are kept.
PICTURES = os.environ.get("PICTURES")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page of a service that has run for two days, with everything that it can show."""
    with ExitStack() as stack:
        path = tmp_path_factory.mktemp("journal") / "journal.db"
        journal = stack.enter_context(month(path, runs=300, changes=5_000, waiting=1_700))
        present = Present(
            portal=PORTAL,
            origin="https://portal.bitrix24.de",
            now=NOW,
            interval=600.0,
            wrong=("the last complete sweep ended 3 h 20 min ago (limit 25 min 00 s)", "<u>the</u> disk is full"),
            running_since=None,
            last_attempt=NOW,
            last_success=NOW,
            runs=journal.history.runs(PORTAL, MOST_RUNS),
            looks=journal.history.looks(PORTAL, NOW - MONTH),
            approvals=journal.approvals.open(PORTAL),
            changes=journal.history.changes(PORTAL, MOST_CHANGES),
            exceptions=journal.exceptions.latest(PORTAL, MOST_EXCEPTIONS),
            kinds=journal.exceptions.counts(PORTAL),
            used={"crm.contact.update": 412.0, "crm.contact.company.items.get": 201.3, "batch": 1.0},
            granted=480.0,
            users=journal.user_names(PORTAL),
        )
        held = report_of_set(journal, present.approvals[0], PORTAL, present.origin, most=1_500)
        site = Site(
            status=lambda: status_page(present, NOW.tzinfo),
            held_back=lambda _: Page(text=render(for_a_page(held), "html", zone=NOW.tzinfo), policy=page_policy()),
            not_alive=lambda: "",
            not_ready=lambda: (),
            metrics=lambda: b"",
        )
        port = stack.enter_context(serve(site, address="127.0.0.1", port=0))
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Give one browser to all tests of this module."""
    program = chromium.find()
    if program is None:
        missing = "NO BROWSER: the status page was not looked at; install chromium"
        if os.environ.get("CI_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium.browser(program, tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def show(browser: Tab, address: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Tab]]:
    """Open the page; whatever it complains about, or asks from anywhere else, fails the test."""
    asked = [""]

    def open_(path: str = "", **screen: object) -> Tab:
        asked[0] = address + path
        browser.emulate(**screen)
        browser.visit(address + path)
        if PICTURES:
            (Path(PICTURES) / f"{request.node.name}.png").write_bytes(browser.screenshot(whole=not path))
        return browser

    yield open_
    browser.evaluate("1")  # whatever is still on its way
    assert browser.complaints == []
    assert {request for request in browser.requests if not request.startswith("data:")} == set(asked)


#: The page of the service, and that of what is held back.
PAGES = pytest.mark.parametrize("path", ["", "held-back/a1b2c3"], ids=["status", "held back"])


@PAGES
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_every_width(path: str, width: int, show: Callable[..., Tab]) -> None:
    """Nothing has to be scrolled sideways, and no letter is smaller than can be read."""
    page = show(path, width=width, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('main *')].filter(e => e.innerText)"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 11
    wide = "[...document.querySelectorAll('tbody td, tbody th')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert page.evaluate(f"{wide}.map(e => e.innerText)") == []


def test_the_policy_lets_the_style_in_and_no_script(show: Callable[..., Tab]) -> None:
    """The style is there; a script that somebody smuggled in would not run."""
    page = show()
    assert page.evaluate("document.styleSheets.length") == 1
    assert page.evaluate("getComputedStyle(document.querySelector('.tiles')).display") == "flex"
    page.evaluate(
        "window.ran = 0; const s = document.createElement('script'); s.text = 'window.ran = 1';document.body.append(s)"
    )
    assert page.evaluate("window.ran") == 0
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    page.complaints.clear()


@PAGES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough(scheme: str, path: str, show: Callable[..., Tab]) -> None:
    """Every text against what is behind it: 4.5 to 1, as WCAG AA asks."""
    page = show(path, scheme=scheme)
    worst = page.evaluate(
        """(() => {
            const part = v => v <= 10 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
            const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
            const parse = text => text.match(/[\\d.]+/g).map(Number);
            const ground = e => {
                const c = parse(getComputedStyle(e).backgroundColor);
                return c.length < 4 || c[3] > 0 ? c.slice(0, 3) : ground(e.parentElement);
            };
            let worst = [99, ''];
            for (const e of document.querySelectorAll('body *')) {
                const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
                if (!own || e.closest('svg, style, .skip')) continue;
                const [a, b] = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(ground(e))];
                const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
                if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 80)];
            }
            return worst;
        })()"""
    )
    assert worst[0] >= 4.5, worst[1]


def test_the_dark_is_dark(show: Callable[..., Tab]) -> None:
    """And paper is white, whatever the screen was."""
    assert show(scheme="dark").evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    assert show(scheme="dark", media="print").evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


def test_the_keyboard_gets_everywhere(show: Callable[..., Tab]) -> None:
    """First to the link that skips the head; each stop is seen; the table behind the chart opens with Enter."""
    page = show()
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.press("Enter", 13, "\r")
    assert page.evaluate("location.hash") == "#main"
    stops: list[str] = []
    for _ in range(60):
        page.press("Tab", 9)
        stop = page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent")
        if stop.startswith("BODY"):
            break
        stops.append(stop)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", stop
        if stop.startswith("SUMMARY"):
            page.press("Enter", 13, "\r")
            assert page.evaluate("document.querySelector('details').open") is True
    assert "SUMMARY The same as a table, day by day" in stops
    assert stops[-1] == "A /metrics"
    assert len(stops) == 2 + 2 * MOST_CHANGES + MOST_EXCEPTIONS + 3 or len(stops) == 60


@pytest.mark.parametrize("width", [390, 1280])
def test_a_screen_reader_hears_it_all(width: int, show: Callable[..., Tab]) -> None:
    """Landmarks, headings, tables with their heads, also where they are drawn as lists; the chart in a sentence."""
    page = show(width=width)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    heard = [
        (node["role"]["value"], node.get("name", {}).get("value", ""), node.get("description", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    roles = [(role, name) for role, name, _ in heard]
    assert {"banner", "main", "contentinfo"} <= {role for role, _ in roles}
    regions = ["Drift over time", "The last runs", "The latest changes", "Left alone"]
    assert [name for role, name in roles if role == "region" and name in regions] == regions
    assert ("list", "What is wrong") in roles
    assert ("list", "Totals") in roles
    assert ("table", "The latest changes, newest first") in roles
    assert ("columnheader", "Cause") in roles
    assert ("rowheader", "#300") in roles
    (chart,) = [(name, said) for role, name, said in heard if role in {"image", "img"}]
    assert chart[0].startswith("Contacts with another owner than their company, over time")
    assert "300 sweeps since" in " ".join(chart)


def test_the_chart_is_drawn(show: Callable[..., Tab]) -> None:
    """Columns as high as their numbers on the scale, within the plot, and the line above the ground."""
    page = show()
    rect = "document.querySelector('{}').getBoundingClientRect().{}"
    plot = page.evaluate(rect.format("svg.drift", "height"))
    columns = page.evaluate(
        "[...document.querySelectorAll('svg.drift .gains')].map(r => r.getBoundingClientRect().height)"
    )
    assert len(columns) > 10
    assert plot * 0.6 < max(columns) <= plot + 1
    assert page.evaluate(rect.format("svg.drift .standing", "width")) > 500
    assert page.evaluate("document.querySelectorAll('.ticks li').length") >= 4


def test_names_of_strangers_are_seen_as_text(show: Callable[..., Tab]) -> None:
    """No element of theirs, and the command to copy is the true one."""
    page = show()
    assert (
        page.evaluate("document.querySelectorAll('main u, td > span > b:not([data-result]):not([data-status])').length")
        == 0
    )
    assert "<b>Mila</b> Vogel" in page.evaluate("document.querySelector('.changes').innerText")
    assert page.evaluate("document.querySelector('.command').innerText").startswith("reconciler approve ")


def test_the_list_of_what_is_held_back(show: Callable[..., Tab]) -> None:
    """The link leads to it; its script searches what is listed, and says that this is not all."""
    page = show()
    assert page.evaluate("document.querySelector('.waiting a').pathname").startswith("/held-back/")
    page = show("held-back/a1b2c3")
    assert page.evaluate("document.querySelectorAll('#changes tbody tr').length") == 1_000
    page.evaluate("q.value = '#201500'; q.dispatchEvent(new Event('input', { bubbles: true }))")
    assert page.evaluate("document.getElementById('found').textContent") == "1 of 1,500 changes"
    assert "lists the first 1,500 of 1,700 changes" in page.evaluate("document.querySelector('.notes').innerText")
    assert page.evaluate("document.querySelector('label').textContent") == "Search the contacts listed here"
