"""The page in a real browser: what a person sees, finds and prints. Needs Chromium on this machine.

Without one these tests are skipped, and the summary says so; with CI_BROWSER=1 in the environment they fail instead.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from report_values import HOSTILE, NOON, ORIGIN, a_plan, a_run, an_undo, but, row
from support import chromium

from reconciler.core.model import Cause
from reconciler.reporting.build import Report, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.chromium import Page

#: What a row of the table of changes reads, cell by cell.
_ROWS = "[...document.querySelectorAll('#{} tbody tr')].map(row => row.innerText)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Give one browser to all tests of this module."""
    program = chromium.find()
    if program is None:
        missing = "NO BROWSER: the page was not looked at; install chromium"
        if os.environ.get("CI_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium.browser(program, tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def show(browser: Page, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a document in the browser; whatever the page complains about, or asks from anywhere, fails the test."""
    file = tmp_path / "page.html"

    def open_(report: Report, **screen: object) -> Page:
        file.write_text(render(report, "html", zone=NOON.tzinfo), encoding="utf-8")
        browser.emulate(**screen)
        browser.open(file)
        return browser

    yield open_
    browser.evaluate("1")  # whatever is still on its way
    assert browser.complaints == []
    assert [address for address in browser.requests if address != file.as_uri()] == []


def found(page: Page, table: str = "changes") -> list[str]:
    """Return the rows that are seen."""
    return page.evaluate(_ROWS.format(table))


def search(page: Page, text: str) -> str:
    """Type into the search box, in place of what is there, and return what the page says."""
    page.evaluate("document.getElementById('q').select()")
    if text:
        page.type(text)
    else:
        page.press("Delete", 46)
    return page.evaluate("document.getElementById('found').textContent")


def thirty_thousand() -> Report:
    """Return a plan of a first run."""
    base = a_plan(1)
    rows = [
        row(contact=k, contact_name=f"Contact {k}", company=k % 4000 + 1, company_name=f"Company {k % 4000 + 1}")
        for k in range(1, 30_001)
    ]
    rows[29_998] = row(contact=29_999, contact_name="Zoë Ёлкина", rule="successor")
    counts = replace(base.counts, drift=30_003, contacts=100_000, causes={Cause.UNKNOWN: 30_003})
    return but(base, changes=tuple(rows), counts=counts)


def test_a_search_narrows_both_tables_and_says_how_much_it_found(show: Callable[..., Page]) -> None:
    """Words in any order, in any column; emptied, everything is back."""
    page = show(a_plan(40, causes=True))
    assert page.evaluate("document.getElementById('search').hidden") is False
    assert (len(found(page)), len(found(page, "left"))) == (40, 3)
    before = page.evaluate("document.querySelector('#changes').outerHTML")
    assert search(page, "handed #1001") == "1 of 40 changes, 0 of 3 left alone"
    assert found(page) == ["Contact 1001 #1001\tCompany 2 #2\tPerson 3\tPerson 4\thanded over"]
    assert page.evaluate("getComputedStyle(document.getElementById('left')).display") == "none"
    assert search(page, "DISMISSED") == "0 of 40 changes, 2 of 3 left alone"
    assert search(page, "") == ""
    assert page.evaluate("document.querySelector('#changes').outerHTML") == before


def test_rows_drawn_by_the_script_are_those_of_the_page(show: Callable[..., Page]) -> None:
    """Links, labels for a phone and roles for a screen reader included."""
    page = show(a_run(row(rule="successor", result="denied", detail="no right", company_name="")))
    first = page.evaluate("document.querySelector('#changes tbody').innerHTML")
    assert search(page, "anna") == "1 of 1 changes"
    drawn = page.evaluate("document.querySelector('#changes tbody').innerHTML")
    assert drawn.replace(">\n", ">").split() == first.replace(">\n", ">").split()
    assert f'href="{ORIGIN}/crm/contact/details/15/"' in drawn


def test_without_a_web_address_the_script_makes_no_links(show: Callable[..., Page]) -> None:
    """As the page itself."""
    page = show(but(a_plan(3), origin="javascript:alert(1)"))
    search(page, "contact")
    assert len(found(page)) == 3
    assert page.evaluate("document.querySelectorAll('a').length") == 0


def test_thirty_thousand_changes_open_and_are_searched(show: Callable[..., Page]) -> None:
    """The first thousand at once, the rest on demand, all of them found; accents do not matter."""
    page = show(thirty_thousand())
    assert len(found(page)) == 1000
    assert "… and 29,000 more" in page.evaluate("document.querySelector('[data-rest=changes]').innerText")
    assert search(page, "zoe елк successor") == "1 of 30,000 changes, 0 of 3 left alone"
    assert found(page)[0].startswith("Zoë Ёлкина #29999")
    assert search(page, "delta -") == "0 of 30,000 changes, 0 of 3 left alone"
    assert search(page, "#") == "30,000 of 30,000 changes, 3 of 3 left alone"
    assert len(found(page)) == 200
    search(page, "")
    page.evaluate("document.querySelector('#changes + button').focus()")
    page.press("Enter", 13, "\r")
    assert len(found(page)) == 2000
    assert "… and 28,000 more" in page.evaluate("document.querySelector('[data-rest=changes]').innerText")


def test_the_last_more_gives_the_focus_to_the_new_rows(show: Callable[..., Page]) -> None:
    """Whoever works with the keyboard goes on reading where the button was."""
    report = a_plan(1010)
    page = show(report)
    page.evaluate("document.querySelector('#changes + button').focus()")
    assert page.evaluate("document.activeElement.textContent") == "Show 10 more"
    page.press("Enter", 13, "\r")
    assert len(found(page)) == 1010
    assert page.evaluate("document.activeElement.textContent") == report.changes[1000].contact_name
    assert page.evaluate("document.querySelector('[data-rest=changes]').hidden") is True


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize(
    "report",
    [
        pytest.param(a_plan(30, causes=True), id="plan"),
        pytest.param(an_undo(3), id="undo"),
        pytest.param(a_run(*[row(contact_name=name, detail=name) for name in HOSTILE.values()]), id="hostile run"),
    ],
)
def test_nothing_is_wider_than_the_screen(show: Callable[..., Page], report: Report, width: int) -> None:
    """Nobody scrolls sideways, whatever the names."""
    page = show(report, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_stay_text(show: Callable[..., Page]) -> None:
    """Also where the script draws them."""
    page = show(a_run(*[row(contact_name=name, company_name=name) for name in HOSTILE.values()]))
    elements = page.evaluate("document.querySelectorAll('img, script').length")
    assert search(page, "alert") == "2 of 17 changes"
    assert "<script>alert(1)</script>" in found(page)[0]
    assert page.evaluate("document.querySelectorAll('img, script').length") == elements == 2


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_light(show: Callable[..., Page], scheme: str, dark: bool) -> None:
    """Ink on a light ground, or the other way round, readable either way."""
    page = show(a_plan(30, causes=True), scheme=scheme)
    luminance = """(name) => {
        const [r, g, b] = getComputedStyle(document.body)[name].match(/\\d+/g).map(v => v / 255)
            .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    }"""
    ground, ink = (page.evaluate(f"({luminance})('{name}')") for name in ("backgroundColor", "color"))
    assert (ground < ink) is dark
    assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 7


def test_paper_has_the_rows_and_not_the_box(show: Callable[..., Page]) -> None:
    """Printed from a dark screen it is still ink on white."""
    page = show(a_plan(30, causes=True), media="print", scheme="dark")
    assert page.evaluate("getComputedStyle(document.getElementById('q')).display") == "none"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 31, 36)"
    assert page.pdf().startswith(b"%PDF")


def test_the_bars_are_drawn(show: Callable[..., Page]) -> None:
    """As long as their numbers say: the largest fills its half."""
    page = show(a_plan(40, causes=True))
    width = "document.querySelector('{}').getBoundingClientRect().width"
    assert page.evaluate(width.format(".causes rect.changed")) > page.evaluate(width.format(".causes svg")) * 0.8
    assert page.evaluate(width.format("svg .gains")) > 20


def test_a_screen_reader_hears_tables_and_a_search(show: Callable[..., Page]) -> None:
    """On a phone too, where tables are drawn as lists."""
    page = show(a_plan(2), width=390)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    heard = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert ("searchbox", "Search all contacts") in heard
    assert ("table", "Changes (2)") in heard
    assert ("columnheader", "Company") in heard
    assert ("rowheader", "Contact 1000 #1000") in heard
    assert ("status", "") in heard
    assert ("list", "Before you act") in heard
