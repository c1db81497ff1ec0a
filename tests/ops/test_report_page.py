import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from report_values import HOSTILE, NOON, ORIGIN, a_plan, a_run, an_undo, but, names_of_strangers, row

from reconciler.core.model import Result, RunReport, Status
from reconciler.core.sanitize import display
from reconciler.reporting.build import Report, render, run_report

_VOID = {"meta", "link", "img", "br", "input", "hr"}
_ELEMENTS = {"html", "head", "meta", "title", "style", "body", "main", "h1", "ul", "li", "dl", "dt", "dd", "a", "small"}
_ELEMENTS |= {"script", "strong", "div", "svg", "rect", "i", "form", "label", "input", "b", "em"}
_ELEMENTS |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "span", "p", "code"}


class Reading(HTMLParser):
    """What a browser would find."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


def digest(text: str) -> str:
    """Return what a policy calls a text."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def data(shown: str) -> dict[str, object]:
    """Return the rows that the page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', shown, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def page(report: Report, **options: object) -> str:
    """Render in UTC."""
    return render(report, "html", zone=NOON.tzinfo, **options)


def test_the_page_of_a_plan_has_the_whole_story() -> None:
    """Notes, head, people, changes with links to both cards, what is left alone."""
    shown = page(a_plan(40))
    reading = Reading(shown)
    assert reading.open == []
    assert "Plan for acme.bitrix24.com" in reading.text
    assert "A bell may ring." in reading.text
    assert [text for text in reading.text if text.startswith(("Who", "By ", "Changes (", "Left alone"))] == [
        *("By cause", "Left alone", "Who gains and who loses"),
        *("Left alone (3)", "Changes (40)", "Left alone: every contact (3)"),
    ]
    hrefs = [link["href"] for link in reading.all("a")]
    assert hrefs[2:4] == [f"{ORIGIN}/crm/contact/details/1000/", f"{ORIGIN}/crm/company/details/1/"]


def test_tables_are_accessible() -> None:
    """A caption each, a scope for every head, roles that survive stacking on a phone."""
    reading = Reading(page(a_plan(40)))
    assert len(reading.all("caption")) == len(reading.all("table")) == 5
    assert all("scope" in head for head in reading.all("th"))
    stacked = [table for table in reading.all("table") if "stacked" in str(table["class"])]
    assert [table.get("role") for table in stacked] == ["table", "table", "table"]


def test_the_policy_allows_this_style_this_script_and_nothing_else() -> None:
    """No resource from anywhere; style and script by their hashes."""
    shown = page(a_plan(2))
    policy = next(m["content"] for m in Reading(shown).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", shown, re.DOTALL)
    assert style is not None
    assert script is not None
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest(style.group(1))}'; "
        f"script-src 'sha256-{digest(script.group(1))}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in style.group(1)
    assert "prefers-color-scheme: dark" in style.group(1)
    assert " style=" not in shown


def test_a_run_shows_results_and_what_does_not_fit() -> None:
    """What needs a person first, then the command to see the rest."""
    rows = [row(contact=k, result="applied") for k in range(9)] + [row(result="denied", detail="no right")]
    shown = page(a_run(*rows, row(contact=77)), most_rows=2)
    text = "".join(Reading(shown).text)
    assert "Changes (11)" in text
    assert "denied no right" in text
    assert "open" in text
    assert "… and 9 more; all: reconciler show 12 --format csv --output run-12.csv" in text
    assert "Who gained and who lost" in text


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        pytest.param(a_plan(0), "Nothing to change.", id="plan"),
        pytest.param(a_run(status=Status.IN_SYNC), "Nothing was changed.", id="run"),
    ],
)
def test_a_page_without_changes_says_so(report: Report, expected: str) -> None:
    """Silence would look like a mistake."""
    assert expected in Reading(page(report)).text


@pytest.mark.parametrize("origin", ["", "javascript:alert(1)"])
def test_without_a_web_address_there_are_no_links(origin: str) -> None:
    """Names stand alone then, and records without one have their number."""
    report = a_run(row(contact_name="", company_name="Delta"))
    reading = Reading(page(but(report, origin=origin)))
    assert reading.all("a") == []
    assert "#15" in reading.text
    assert "Delta" in "".join(reading.text)


def test_companies_beyond_the_first_are_counted() -> None:
    """Five are named and linked."""
    rows = tuple(row(company=k, company_name=f"C{k}", result="company_has_no_owner") for k in range(1, 8))
    assert "and 2 others" in "".join(Reading(page(but(a_plan(0), standing=rows))).text)


@given(names_of_strangers)
@settings(max_examples=60)
def test_no_name_becomes_a_part_of_the_page(name: str) -> None:
    """Only our elements, only our attributes, only the portal's links; the name is there as text, and as data."""
    hostile = row(contact_name=name, company_name=name, before_name=name, after_name=name, detail=name, result=name)
    shown = page(a_run(hostile, error=name))
    reading = Reading(shown)
    assert display(name) in data(shown)["words"]
    assert shown.count("</script>") == 2
    assert {tag for tag, _ in reading.elements} <= _ELEMENTS
    assert not [key for _, attributes in reading.elements for key in attributes if key.startswith("on") or key == "src"]
    assert all(str(link["href"]).startswith(f"{ORIGIN}/crm/") for link in reading.all("a"))
    assert reading.open == []
    assert display(name).strip() in "".join(reading.text)


def test_hostile_names_stand_on_the_page_as_they_are() -> None:
    """Escaped once, not twice, and no template."""
    text = "".join(Reading(page(a_run(*[row(contact_name=name) for name in HOSTILE.values()]))).text)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }}{% raw %}" in text


def test_the_page_carries_every_row_once_and_shows_the_first() -> None:
    """Thirty thousand changes still open on a phone: what is not shown is data for the search."""
    shown = page(a_plan(1500))
    reading = Reading(shown)
    assert len(reading.all("tr")) < 1100
    carried = data(shown)
    assert [len(carried["rows"][key]) for key in ("changes", "left")] == [1500, 3]
    assert carried["totals"] == {"changes": 1500, "left": 3}
    assert carried["origin"] == ORIGIN
    contact, name, company, of, before, _, after, _, cause, note = carried["rows"]["changes"][1499]
    words = carried["words"]
    assert (contact, company) == (2499, 100)
    assert [words[k] for k in (name, of, before, after, cause, note)] == [
        *("Contact 2499", "Company 100", "Person 6", "Person 7", "not known", "")
    ]
    assert len(words) == len(set(words))


def test_a_page_says_who_edited_last_where_that_is_the_story() -> None:
    """Last edited, never changed: the portal does not say what was edited."""
    text = "".join(Reading(page(a_plan(6, causes=True))).text)
    assert text.count("last edited by Person 7, 2026-03-02 12:00 UTC") >= 3
    assert "changed by" not in text
    edit = {"cause": "contact_changed", "last_edited_at": NOON}
    assert "last edited, 2026-03-04" in page(a_run(row(**edit)))


def test_the_charts_tell_in_numbers_what_they_draw() -> None:
    """The bars are decoration to a screen reader: the numbers stand beside them."""
    reading = Reading(page(a_plan(40, causes=True)))
    assert all(image["aria-hidden"] == "true" for image in reading.all("svg"))
    bars = [bar for bar in reading.all("rect") if bar["class"] == "changed"]
    assert [bar["width"] for bar in bars] == ["87.5", "87.5", "87.5", "87.5", "75.0", "75.0"]
    assert {bar["class"] for bar in reading.all("rect")} == {"changed", "alone", "gains", "loses", "axis"}


def test_the_page_of_an_undo_says_what_stays_and_why() -> None:
    """In the words of an undo, without causes."""
    shown = page(an_undo(3), most_rows=2)
    text = Reading(shown).text
    assert {"To put back (3)", "Not put back (7)", "Not put back: every contact (7)", "Back to", "Old owner"} <= set(
        text
    )
    assert "Cause" not in text
    assert "… and 1 more" in "".join(text)
    assert data(shown)["heads"]["left"] == ["From", "Back to", "Why"]
    assert "Nothing can be put back." in Reading(page(an_undo(0))).text


def test_a_page_without_rows_has_no_script_to_search_them() -> None:
    """Nor a box that would find nothing."""
    reading = Reading(page(a_plan(0, skips=False)))
    assert reading.all("script") == reading.all("form") == []


@pytest.mark.parametrize(
    ("report", "command", "told"),
    [
        pytest.param(RunReport(run=4, status=Status.FAILED, error="no network"), "once", "", id="failed"),
        pytest.param(
            RunReport(run=4, status=Status.APPLIED, drift=3, taken_at=NOON, outcomes={Result.APPLIED: 3}),
            "undo",
            "3 applied 0 left alone",
            id="undone",
        ),
    ],
)
def test_what_a_run_did_not_look_at_is_no_zero(report: RunReport, command: str, told: str) -> None:
    """Neither in the tiles nor in the head."""
    document = run_report(report, portal="acme", command=command, started_at=NOON, finished_at=NOON, rows=[], origin="")
    text = " ".join("".join(Reading(page(document)).text).split())
    assert ("Looked at" in text, "linked contacts" in text, "Drift" in text) == (False, False, bool(told))
    assert told in text


def test_a_run_that_wrote_nothing_starts_with_what_it_meant_to() -> None:
    """A refused run has no outcomes."""
    text = "".join(Reading(page(a_run(status=Status.REFUSED, outcomes={}))).text)
    assert "500 to change" in text
