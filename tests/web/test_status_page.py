"""The status page: what it tells, and of whom it is not afraid."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from support.month import NOW, PORTAL, month, refuse

from reconciler.core.model import Change, Result, RunReport, Standing, Status, Usage
from reconciler.core.redaction import Redactor
from reconciler.journal.records import ApprovalRecord, ApprovalState, ChangeRecord, Look, RunRecord
from reconciler.web.chart import chart
from reconciler.web.status import (
    MONTH,
    MOST_CHANGES,
    MOST_EXCEPTIONS,
    MOST_LIMITS,
    MOST_MOVERS,
    MOST_RUNS,
    Present,
    backlog,
    status_page,
    time_left,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.journal.store import Journal

ORIGIN = "https://portal.bitrix24.de"
VOID = {"meta", "link", "br", "rect", "line", "path"}
#: The elements of the page; what a name brings along is none of them.
KNOWN = {"html", "head", "meta", "link", "title", "style", "body", "a", "header", "footer", "main", "section", "p", "i"}
KNOWN |= {"h1", "h2", "ul", "ol", "li", "dl", "dt", "dd", "strong", "span", "small", "code", "time", "b", "em", "div"}
KNOWN |= {"figure", "figcaption", "svg", "desc", "rect", "line", "path", "details", "summary"}
KNOWN |= {"table", "caption", "thead", "tbody", "tr", "th", "td"}


class Reading(HTMLParser):
    """What a browser would find; fails where elements do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in {"td", "th", "dt", "dd", "li"} else ""

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """Give the journal of two days."""
    with month(tmp_path_factory.mktemp("month") / "journal.db", runs=300, changes=5_000, waiting=1_700) as journal:
        yield journal


def read(journal: Journal, **changes: Any) -> Present:
    """Read what the page tells, as the service does."""
    return Present(
        **{
            "portal": PORTAL,
            "origin": ORIGIN,
            "now": NOW + timedelta(minutes=4),
            "interval": 600.0,
            "wrong": (),
            "running_since": None,
            "last_attempt": NOW - timedelta(seconds=40),
            "last_success": NOW,
            "runs": journal.history.runs(PORTAL, MOST_RUNS),
            "looks": journal.history.looks(PORTAL, NOW - MONTH),
            "approvals": journal.approvals.open(PORTAL),
            "changes": journal.history.changes(PORTAL, MOST_CHANGES),
            "exceptions": journal.exceptions.latest(PORTAL, MOST_EXCEPTIONS),
            "kinds": journal.exceptions.counts(PORTAL),
            "used": {"crm.contact.update": 412.0, "batch": 201.3},
            "granted": 480.0,
            "users": journal.user_names(PORTAL),
        }
        | changes
    )


def empty(**changes: Any) -> Present:
    """Make the state of a service that has just been started for the first time."""
    values = {
        "portal": PORTAL,
        "origin": "",
        "now": NOW,
        "interval": 600.0,
        "wrong": ("no sweep has been complete yet",),
        "running_since": NOW,
        "last_attempt": NOW,
        "last_success": None,
        "runs": (),
        "looks": (),
        "approvals": (),
        "changes": (),
    }
    return Present(**(values | changes))


def test_what_the_page_tells(journal: Journal) -> None:
    """State, numbers, the latest runs, changes and exceptions with names, and what waits with the command to give."""
    page = Reading(status_page(read(journal), UTC).text)
    text = " ".join(page.text.split())
    assert "The service does its work; some changes wait for a person." in text
    assert "1,700 changes wait for approval" in text
    digest = journal.approvals.open(PORTAL)[0].digest[:12]
    assert f"reconciler approve {digest}" in text
    assert text.count(f"reconciler approve {digest}") == 1
    assert "changes 1,700 1,000" in text
    assert "812,345 linked contacts of 20,000 companies" in text
    assert "Next sweep 2026-11-21 20:09 UTC" in text
    assert "#300" in text
    assert "crm.contact.update 412.0 s 480 s" in text
    assert "its companies have different owners 28" in text
    assert "in quarantine: somebody keeps changing it back 40" in text
    assert "Clara Vogel" in text
    links = {attributes["href"] for attributes in page.all("a")}
    assert f"{ORIGIN}/crm/contact/details/5000/" in links
    ours = {"#main", f"/held-back/{digest}", "/healthz", "/readyz", "/metrics"}
    assert {href for href in links if not str(href).startswith(ORIGIN)} == ours
    assert "By cause Cause Contacts not known 1,700" in text
    assert "By person Person Would gain Would lose Clara Vogel #1 · 1,700 <b>Mila</b> Vogel #5 1,700 ·" in text


def waiting(**changes: Any) -> ApprovalRecord:
    """Make a set of three changes that waits for approval."""
    values = {
        "id": 1,
        "digest": "a1b2c3d4e5f60718",
        "state": ApprovalState.WAITING,
        "count": 3,
        "left": 3,
        "numbers": {},
        "sentence": "refused by the guard",
        "run": None,
        "created_at": NOW,
        "approved_at": None,
        "approved_by": None,
        "expires_at": None,
        "closed_at": None,
    }
    return ApprovalRecord(**(values | changes))


def told(**changes: Any) -> str:
    """Return what the page tells of such a set."""
    page = Reading(status_page(empty(approvals=[waiting(**changes)]), UTC).text)
    return " ".join(page.text.split()).partition(" waits for approval")[2].partition("still to correct")[0]


def mover(person: int, gains: int, loses: int) -> dict[str, Any]:
    """Make a person of a stored refusal."""
    return {"person": person, "name": f"Person {person}", "gains": gains, "loses": loses}


def test_of_many_people_the_first_are_shown() -> None:
    """The table says that there are more; the list has them all."""
    people = [mover(k, 0, 90 - k) for k in range(1, MOST_MOVERS + 2)]
    many, few = told(left=1, numbers={"people": people}), told(left=1, numbers={"people": people[:-1]})
    assert "By person: the 10 with the most contacts Person Would gain Would lose Person 1 #1 · 89 " in many
    assert f"Person {MOST_MOVERS} #" in many
    assert f"Person {MOST_MOVERS + 1} #" not in many
    assert "By person Person Would gain" in few
    assert f"Person {MOST_MOVERS} #" in few


def test_of_what_are_the_tables() -> None:
    """They are of all that was held back, and say so where some of it was written since."""
    numbers = {"causes": {"contact_changed": 1, "company_owner_changed": 2}, "people": [mover(4, 3, 0)]}
    sentence = "These tables are of all 3 changes that were held back."
    page = told(left=1, numbers=numbers)
    assert "By cause Cause Contacts handed over 2 edited 1 By person Person" in page
    assert sentence in page
    assert sentence not in status_page(empty(approvals=[waiting(numbers=numbers)]), UTC).text


def test_an_undo_has_no_causes() -> None:
    """It was not drift, so nothing is said of why it drifted."""
    page = told(left=1, numbers={"undo": "run 3", "causes": {"unknown": 3}, "people": [mover(4, 3, 0)]})
    assert "By cause" not in page
    assert "Person 4 #4 3 ·" in page


def test_names_of_strangers_are_text(journal: Journal) -> None:
    """No element, no control or bidirectional character of a name or an error gets into the page."""
    shown = status_page(read(journal, wrong=["the portal said <script>\u202e\x1b[1m"]), UTC)
    assert {tag for tag, _ in Reading(shown.text).elements} == KNOWN
    assert "&lt;b&gt;Mila&lt;/b&gt; Vogel" in shown.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", shown.text)


def test_the_policy_allows_the_one_style_and_nothing_else(journal: Journal) -> None:
    """No script, no inline style, no resource from anywhere."""
    page = status_page(read(journal), UTC)
    style = page.text.split("<style>")[1].split("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page.policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    found = Reading(page.text)
    assert all("style" not in attributes for _, attributes in found.elements)
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert [a for tag, a in found.elements if "src" in a] == []
    assert found.all("link") == [{"rel": "icon", "href": "data:,"}]
    assert "url(" not in style
    assert "@import" not in style


def test_a_screen_reader_finds_its_way(journal: Journal) -> None:
    """One h1, sections with headings, tables with captions and scopes, and the chart as words and as a table."""
    page = Reading(status_page(read(journal), UTC).text)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert [len(page.all(tag)) for tag in ("header", "main", "footer")] == [1, 1, 1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [name for _, attributes in page.elements for name in str(attributes.get("aria-labelledby") or "").split()]
    assert set(named) <= set(ids)
    assert len(page.all("section")) == len(page.all("h2")) == 6
    assert len(page.all("caption")) == len(page.all("table")) == 10
    assert all(attributes.get("scope") in {"row", "col"} for attributes in page.all("th"))
    (drawing,) = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    assert drawing["aria-labelledby"] == "chart-title chart-said"


def test_the_page_of_a_service_that_has_just_been_started() -> None:
    """Everything is empty, and says so; the error of what is wrong stands at the top."""
    text = " ".join(Reading(status_page(empty(), UTC).text).text.split())
    assert "The service does not do its work. No sweep has been complete yet." in text
    assert "Last complete sweep none yet Sweep under way since 2026-11-21 20:00 UTC, 0.0 s ago" in text
    for sentence in ("No sweep has ended yet.", "No run yet.", "Nothing has been changed yet."):
        assert sentence in text
    assert "No request since the start." in text
    assert "No contact is left alone." in text


def record(status: Status = Status.APPLIED, **report: Any) -> RunRecord:
    """Make a run that saw the portal as a whole."""
    values = {"run": 7, "status": status, "companies": 5, "contacts": 50, "taken_at": NOW} | report
    return RunRecord(report=RunReport(**values), portal=PORTAL, command="service", started_at=NOW, finished_at=NOW)


@pytest.mark.parametrize(
    ("run", "left", "seconds", "says"),
    [
        (None, 0, None, "0 still to correct"),
        (record(Status.IN_SYNC, drift=3, standing=3), 0, None, "0 still to correct"),
        (
            record(drift=10_000, outcomes={Result.APPLIED: 900, Result.GONE: 100}, usage=Usage(duration_seconds=590.0)),
            9_000,
            5_400.0,
            "9,000 still to correct about 1 h 30 min left",
        ),
        (record(drift=5, outcomes={Result.CONFLICT: 5}), 5, None, "5 still to correct they come up again"),
        (record(Status.REFUSED, drift=5), 5, None, "5 still to correct they come up again in the next sweep"),
    ],
    ids=["no run", "in sync", "a backfill", "conflicts", "a no to the question"],
)
def test_the_backlog_and_the_time_left(run: RunRecord | None, left: int, seconds: float | None, says: str) -> None:
    """At the pace of the last run; without one they come up again: only what waits for approval is called so."""
    assert backlog(run) == left
    assert time_left(run, 600.0) == (None if seconds is None else pytest.approx(seconds))
    shown = status_page(empty(runs=[run] if run else []), UTC)
    assert says in " ".join(Reading(shown.text).text.split())


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ([("waiting", 5)], "waiting for approval"),
        ([("waiting", 3)], "3 of them wait for approval"),
        ([("approved", 5)], "they come up again in the next sweep"),
    ],
    ids=["all", "some", "approved since"],
)
def test_what_waits_is_told_from_what_is_left(sets: list[tuple[str, int]], says: str) -> None:
    """By the sets in the journal: a run that held changes back may have left others, or somebody has approved them."""
    approvals = [
        waiting(state=ApprovalState(state), count=9, left=left, approved_by="ann", approved_at=NOW, expires_at=NOW)
        for state, left in sets
    ]
    run = record(Status.REFUSED, drift=7, outcomes={Result.APPLIED: 2})
    text = " ".join(Reading(status_page(empty(runs=[run], approvals=approvals), UTC).text).text.split())
    assert f"5 still to correct {says} " in text


def test_a_set_that_was_held_back_again() -> None:
    """Since when it waits, and which run held it back last, are two facts; what the sentence knew, it says."""
    page = told(left=1, run=5, sentence="held back in part by the guard: 9 contacts; to let these 3 through: x")
    assert "When it was held back: held back in part by the guard: 9 contacts. " in page
    assert "Since 2026-11-21 20:00; last in run 5." in page


def test_of_many_limits_the_first_are_shown() -> None:
    """And the table says of how many."""
    limits = [{"limit": "gained", "number": 600, "allowed": 500, "person": k} for k in range(1, MOST_LIMITS + 2)]
    assert f"Over the limits of the guard: the first {MOST_LIMITS} of 9 What" in told(
        left=1, numbers={"limits": limits}
    )
    few = told(left=1, numbers={"limits": limits[:-1]})
    assert "Over the limits of the guard What" in few


def test_a_run_that_wrote_a_part_is_not_called_refused() -> None:
    """It held back the rest."""
    for outcomes, says in (({}, "refused 7"), ({Result.APPLIED: 2}, "held back in part 7")):
        run = record(Status.REFUSED, drift=7, outcomes=outcomes)
        assert says in " ".join(Reading(status_page(empty(runs=[run]), UTC).text).text.split())


def test_what_goes_on_failing_is_told_once() -> None:
    """The sentence stands at the newest run of several that ended alike; none of them knows of any drift."""
    dead, closed = "the webhook is dead", "the portal is closed"
    runs = [
        record(Status.FAILED, run=9 - k, error=error, taken_at=None, companies=0)
        for k, error in enumerate([dead, dead, closed])
    ]
    text = " ".join(Reading(status_page(empty(runs=runs), UTC).text).text.split())
    assert re.findall(r"failed (.+?) · · · 0 0.0 s", text) == [dead, "as above", closed]


@pytest.mark.parametrize(
    ("waiting", "wrong", "says"),
    [(0, (), "in order"), (1_200, (), "waits for approval"), (1_200, ("the disk is full",), "not in order")],
    ids=["good", "waiting", "bad"],
)
def test_the_title_says_how_it_goes(waiting: int, wrong: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """A tab in the background is all that somebody may see of it."""
    with month(tmp_path / "journal.db", runs=2, changes=0) as journal:
        if waiting:
            refuse(journal, waiting)
        shown = status_page(read(journal, wrong=wrong), UTC).text
    assert f"<title>{PORTAL}: {says} " in shown


def test_an_approval_in_force_is_shown(tmp_path: Path) -> None:
    """With who gave it and how long it lasts, and no command any more."""
    with month(tmp_path / "journal.db", runs=2, changes=0) as journal:
        refuse(journal, 1_200)
        digest = journal.approvals.open(PORTAL)[0].digest
        journal.approvals.approve(PORTAL, digest, by="<ann>", how="by command")
        text = " ".join(Reading(status_page(read(journal), UTC).text).text.split())
    assert "1,200 changes approved by <ann> (by command) on 2026-11-21 20:00, until 2026-11-28 20:00;" in text
    assert "reconciler approve" not in text


def test_a_change_on_its_way_and_without_names() -> None:
    """No outcome yet; nobody knows the people; no address for links; a self-hosted portal without limits."""
    change = ChangeRecord(
        id=1,
        run=3,
        change=Change(contact=8, company=9, before=0, after=4),
        result=None,
        detail="",
        intended_at=NOW,
        attempted_at=NOW,
        attempts=1,
        settled_at=None,
    )
    shown = Reading(status_page(empty(changes=[change], used={"batch": 3.0}), UTC).text)
    text = " ".join(shown.text.split())
    assert "#8 #9 nobody #4 not known on its way 2026-11-21 20:00 run 3" in text
    assert "batch 3.0 s no limit" in text
    assert len(shown.all("a")) == 4


# The chart


def look(hours_ago: float, drift: int = 0, standing: int = 0, status: Status = Status.IN_SYNC) -> Look:
    """Make a run in short."""
    return Look(
        at=NOW - timedelta(hours=hours_ago), status=status, drift=drift, standing=standing, corrected=drift - standing
    )


def test_nothing_to_draw() -> None:
    """No run, only runs that are too old, or of the future of a clock that was set back."""
    assert chart([], NOW, UTC, longest=MONTH) is None
    assert chart([look(24 * 31), look(-1)], NOW, UTC, longest=MONTH) is None


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(0, (10, 1, 0)), (1, (10, 1, 0)), (10, (10, 1, 0)), (11, (100, 10, 1, 0)), (1_000, (1000, 100, 10, 1, 0))],
)
def test_the_scale(highest: int, ticks: tuple[int, ...]) -> None:
    """Powers of ten, the highest just above what is there, nought below them."""
    drawn = chart([look(1, highest)], NOW, UTC, longest=MONTH)
    assert drawn is not None
    assert drawn.ticks == ticks
    assert max(column.found for column in drawn.columns) <= 100


@pytest.mark.parametrize("hours", [0.1, 5, 24, 24 * 7, 24 * 30])
def test_the_columns_fit_and_lose_nothing(hours: float) -> None:
    """From a first hour to a month: never more than an eye, or a phone, can tell apart; each peak is seen."""
    looks = [look(hours - k * hours / 1_000, 100 if k == 500 else 1) for k in range(1_000)]
    drawn = chart(looks, NOW, UTC, longest=MONTH)
    assert drawn is not None
    assert 1 <= len(drawn.columns) <= 125
    assert max(column.found for column in drawn.columns) == pytest.approx(100)
    assert all(0 <= column.x <= column.x + column.width <= 100.001 for column in drawn.columns)
    assert [column.x for column in drawn.columns] == sorted(column.x for column in drawn.columns)


def test_what_was_not_seen_is_a_gap_and_a_mark() -> None:
    """A failed run says nothing of the drift: the line breaks off, and the table has a dot."""
    looks = [look(72, 12, 2), *[look(71 - k, status=Status.FAILED) for k in range(48)], look(1, 5, 5)]
    drawn = chart(looks, NOW, UTC, longest=MONTH)
    assert drawn is not None
    assert drawn.standing_path.count("M") == 2
    assert any(column.failed for column in drawn.columns)
    assert "48 of them did not see the portal as a whole" in drawn.sentence
    assert "most contacts to correct: 10, on 2026-11-18 20:00 UTC" in drawn.sentence
    assert sum(day.failed for day in drawn.days) == 48
    assert None in {day.standing for day in drawn.days}
    assert [day.day for day in drawn.days] == sorted((day.day for day in drawn.days), reverse=True)


def test_only_failures_are_a_chart_too() -> None:
    """It says how many, and nothing that nobody knows."""
    drawn = chart([look(1, status=Status.FAILED)], NOW, UTC, longest=MONTH)
    assert drawn is not None
    assert drawn.sentence.endswith("; 1 of them did not see the portal as a whole")
    assert drawn.standing_path == ""


# The journal's past


def test_the_past_of_one_portal_only(tmp_path: Path) -> None:
    """Another portal in the same journal shows nothing of it; an undo is no look at the portal."""
    with month(tmp_path / "journal.db", runs=30, changes=60) as journal:
        assert len(journal.history.runs(PORTAL, 100)) == 30
        assert [run.report.run for run in journal.history.runs(PORTAL, 2)] == [30, 29]
        assert sum(one.corrected for one in journal.history.looks(PORTAL, NOW - MONTH)) > 0
        latest = journal.history.changes(PORTAL, 5)
        assert [one.id for one in latest] == sorted((one.id for one in latest), reverse=True)
        undo = journal.begin(portal=PORTAL, command="undo")
        journal.finish(RunReport(run=undo, status=Status.APPLIED))
        journal.begin(portal=PORTAL, command="service")
        assert len(journal.history.looks(PORTAL, NOW - MONTH)) == 30
        for nothing in (
            journal.history.runs("other", 9),
            journal.history.looks("other", datetime(2000, 1, 1, tzinfo=UTC)),
            journal.history.changes("other", 9),
            journal.exceptions.latest("other", 9),
            journal.exceptions.counts("other"),
        ):
            assert not nothing


def test_exceptions_are_counted_while_they_last(tmp_path: Path) -> None:
    """Released ones, and those that are over by time, do not count."""
    with month(tmp_path / "journal.db", runs=2, changes=0) as journal:
        assert journal.exceptions.counts(PORTAL) == dict.fromkeys(("quarantined", "respected", "undone"), 40)
        first = journal.exceptions.latest(PORTAL, 1)[0]
        assert first.kind is Standing.UNDONE
        journal.exceptions.release(PORTAL, [first.id], "ann")
        assert journal.exceptions.counts(PORTAL)["undone"] == 39


def test_what_is_not_ready_is_redacted() -> None:
    """The page gets no secret to show: the shell masks what it hands over."""
    redact = Redactor(["simulatedtoken0"]).text
    shown = status_page(replace(empty(), wrong=[redact("at https://x/rest/1/simulatedtoken0/")]), UTC)
    assert "simulatedtoken0" not in shown.text
