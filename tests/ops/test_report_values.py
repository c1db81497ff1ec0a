import json
import subprocess
import sys
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from report_values import HOSTILE, NOON, a_plan, a_run, an_undo, counts, names_of_strangers, row

from reconciler.core.model import Cause, Result, RunReport, Standing, Status, Usage
from reconciler.reporting import aggregates as sums
from reconciler.reporting import wording as facts
from reconciler.reporting.build import SIDE_EFFECTS, Report, as_json, json_text, render, run_json, summary_line

OUTCOMES = {result.value for result in Result}


def test_a_plan_becomes_rows_with_the_names_that_are_known() -> None:
    """A skip carries its reason and the sentence for it."""
    report = a_plan(3)
    first = report.changes[0]
    assert (first.contact, first.contact_name, first.company_name) == (1000, "Contact 1000", "Company 1")
    assert (first.before, first.before_name, first.after, first.after_name) == (2, "Person 2", 3, "Person 3")
    assert [(skip.contact, skip.result) for skip in report.standing] == [
        (3, "company_owner_dismissed"),
        (4, "company_owner_dismissed"),
        (5, "company_has_no_owner"),
    ]
    assert report.standing[0].before_name == "Person 1"
    assert (first.cause, first.rule, first.company_owner_name) == ("unknown", "company_owner", "Person 3")
    assert (first.last_edited_by, first.last_edited_by_name) == (7, "Person 7")
    assert (report.standing[0].rule, report.standing[2].last_edited_at) == ("", None)
    assert report.standing[0].detail == Standing.OWNER_DISMISSED.sentence


def test_a_plan_says_what_it_does_not_do() -> None:
    """The side effects head every plan that would change something, before the caller's notes."""
    assert a_plan(3).notes[0] == SIDE_EFFECTS
    assert a_plan(3).notes[-1] == "A bell may ring."
    assert "12 contacts" in a_plan(3).notes[1]
    assert a_plan(0, skips=False).notes == ("A bell may ring.",)


def test_a_plan_without_the_user_scope_says_so_first() -> None:
    """Nobody should approve a plan that may not be applied."""
    report = a_plan(3, users=False)
    assert "no user scope" in report.notes[0]
    assert report.changes[0].after_name == ""


def test_the_json_of_a_run_is_the_flat_object() -> None:
    """Every outcome has a count, the reasons their own table, and an error stands only where there is one."""
    document = run_json(counts())
    assert list(document)[:6] == ["schema", "run", "status", "companies", "contacts", "not_compared"]
    assert list(document)[6:8] == ["drift", "standing"]
    assert document["schema"] == 1
    assert {key: document[key] for key in OUTCOMES} == dict.fromkeys(OUTCOMES, 0) | {"applied": 498, "gone": 2}
    assert document["reasons"] == {"company_owner_dismissed": 3}
    assert list(document["causes"].items()) == [("contact_changed", 3), ("unknown", 500)]
    assert (document["requests"], document["commands"]) == (9, 240)
    assert (document["operating_seconds"], document["duration_seconds"]) == (33.2, 4.12)
    assert "error" not in document
    assert run_json(counts(Status.FAILED, error="the portal is away"))["error"] == "the portal is away"


def test_the_json_of_a_plan_has_its_digest_and_every_row() -> None:
    """Scripts read the digest they approve, and each drifted contact with its reason."""
    report = a_plan(3)
    document = json.loads(render(report, "json"))
    assert (document["status"], document["run"], document["portal"]) == ("planned", None, "acme.bitrix24.com")
    assert document["digest"] == report.digest
    assert len(document["digest"]) == 64
    assert document["taken_at"] == "2026-03-04T12:00:00+00:00"
    assert document["changes"][0] == {
        "contact": 1000,
        "contact_name": "Contact 1000",
        "company": 1,
        "company_name": "Company 1",
        "before": 2,
        "before_name": "Person 2",
        "after": 3,
        "after_name": "Person 3",
        "cause": "unknown",
        "rule": "company_owner",
        "company_owner": 3,
        "company_owner_name": "Person 3",
        "last_edited_by": 7,
        "last_edited_by_name": "Person 7",
        "last_edited_at": "2026-03-02T12:00:00+00:00",
    }
    assert [skip["reason"] for skip in document["skipped"]][-1] == "company_has_no_owner"
    assert document["causes"] == {"unknown": 6}
    assert document["people"][0] == {"person": 3, "name": "Person 3", "gains": 1, "loses": 1}
    assert document["drift"] == len(document["changes"]) + document["standing"] == 6


def test_the_json_of_a_plan_that_changes_nothing_is_in_sync() -> None:
    """Standing drift alone is nothing to do."""
    assert as_json(a_plan(0))["status"] == "in_sync"


def test_the_json_of_a_run_shows_its_changes() -> None:
    """An open change has no result; a run under way has no end."""
    rows = [row(result="gone", detail="deleted"), row(contact=16)]
    document = as_json(a_run(*rows, finished=False))
    assert [(change["result"], change["detail"]) for change in document["changes"]] == [("gone", "deleted"), (None, "")]
    assert (document["command"], document["finished_at"]) == ("--once", None)
    assert [change["cause"] for change in document["changes"]] == ["unknown", "unknown"]
    assert document["digest"] is None
    assert as_json(a_run(digest="ab"))["digest"] == "ab"
    assert as_json(a_run())["finished_at"] == "2026-03-04T12:00:04+00:00"


def test_the_json_of_an_undo_points_from_ours_to_the_old_owner() -> None:
    """What stays has its obstacle; nothing to put back is a status of its own."""
    document = as_json(an_undo())
    assert (document["status"], document["digest"], document["drift"], document["standing"]) == (
        "planned",
        "ab" * 32,
        9,
        7,
    )
    assert [(change["before"], change["after"]) for change in document["changes"]] == [(3, 2), (3, 2)]
    assert [(one["before"], one["after"], one["reason"]) for one in document["left"]] == [
        (3, 2, "gone"),
        (3, 2, "changed_since"),
        (3, 2, "kept"),
        (3, 2, "taken_back"),
        (3, 2, "written_again"),
        (3, 2, "no_owner_before"),
        (3, 2, "old_owner_unfit"),
    ]
    assert "cause" not in document["changes"][0]
    assert document["changes"][0]["rule"] == "undo"
    nothing = as_json(an_undo(0))
    assert (nothing["status"], nothing["digest"]) == ("nothing_to_undo", "")


def test_a_run_sums_up_what_was_written_and_nothing_else() -> None:
    """A denied change moved nobody."""
    people = sums.balances(a_run(row(result="applied"), row(contact=16, result="denied"), row(contact=17)))
    assert [(one.name, one.gains, one.loses) for one in people] == [("Hugo Castro", 0, 1), ("Ida Ito", 1, 0)]


def test_causes_are_counted_with_what_is_left_alone() -> None:
    """The journal knows the causes of both; the rows only those of the changes."""
    first, second = sums.by_cause(counts_and_rows())
    assert (first.cause, first.changes, first.left_alone, first.contacts) == ("unknown", 2, 498, 500)
    assert (second.cause, second.changes, second.left_alone) == ("contact_changed", 1, 2)


def counts_and_rows() -> Report:
    """Return a run of three changes among 503 contacts."""
    return a_run(row(), row(contact=16), row(contact=17, cause="contact_changed"), causes=counts().causes)


def test_reasons_that_lie_with_nobody_in_particular_are_one_group() -> None:
    """Fifty owners of companies do not make fifty lines of "left alone by the settings"."""
    rows = [row(contact=k, after=k % 3, after_name="", result="excluded") for k in range(5)]
    rows += [row(contact=k, after=k % 2, result="company_owner_dismissed") for k in range(3)]
    found = sums.groups(rows)
    assert [(one.reason, one.whose, one.contacts) for one in found] == [
        ("excluded", "3 people", 5),
        ("company_owner_dismissed", "Ida Ito", 2),
        ("company_owner_dismissed", "Ida Ito", 1),
    ]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_word_and_a_sentence(cause: Cause) -> None:
    """Short enough for a cell, and honest: nobody is said to have changed what he only edited."""
    assert 0 < len(facts.cause_word(cause)) <= 14
    assert facts.cause_sentence(cause)
    assert "changed by" not in facts.cause_sentence(cause)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("company_owner", ""), ("undo", ""), ("successor", "successor"), ("head_of_department", "head of department")],
)
def test_a_rule_is_named_where_it_is_not_the_usual_one(rule: str, expected: str) -> None:
    """A word that stands in every row says nothing."""
    assert facts.rule_word(rule) == expected


def test_words_of_a_later_version_are_shown_as_they_are() -> None:
    """An older program may read a newer journal."""
    assert (facts.cause_word("moved_by_import"), facts.rule_word("rota")) == ("moved_by_import", "rota")
    assert facts.reason_sentence("gone") == "the contact is deleted or no longer visible"


@given(names_of_strangers)
def test_json_text_gives_back_what_went_in_and_shows_nothing_invisible(name: str) -> None:
    """Escaping is lossless, and what is printed cannot move a cursor."""
    text = json_text({"name": name, name: [1]})
    assert json.loads(text) == {"name": name, name: [1]}
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_json_text_keeps_letters_readable() -> None:
    """Cyrillic stays Cyrillic."""
    assert json_text({"name": "Сергей"}, indent=None) == '{"name": "Сергей"}'


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        pytest.param(
            counts(),
            "498 of 500 contacts corrected, 2 gone; 3 left alone (the company's owner is dismissed); 9 requests, 4.1 s",
            id="applied",
        ),
        pytest.param(
            counts(
                Status.PARTIAL,
                drift=4,
                standing=3,
                outcomes={Result.DENIED: 1},
                reasons={Standing.OWNER_MISSING: 1, Standing.OVER_LIMIT: 2},
            ),
            "0 of 1 contact corrected, 1 denied; 3 left alone (1: the company has no owner, 2: beyond --limit); "
            "9 requests, 4.1 s",
            id="two reasons",
        ),
        pytest.param(
            counts(standing=0, outcomes={Result.APPLIED: 500, Result.ALREADY: 2, Result.CONFLICT: 1}),
            "500 of 503 contacts corrected, 2 already right, 1 in conflict; 9 requests, 4.1 s",
            id="spoken outcomes",
        ),
        pytest.param(
            counts(Status.IN_SYNC, drift=0, standing=0, outcomes={}),
            "in sync: 10,000 contacts of 2,000 companies; 9 requests, 4.1 s",
            id="in sync",
        ),
        pytest.param(
            counts(Status.IN_SYNC, drift=0, standing=0, outcomes={}, not_compared=28),
            "in sync: 9,972 contacts of 2,000 companies; 28 contacts not compared (of companies that are one's own, of "
            "another category, or not visible to the webhook); 9 requests, 4.1 s",
            id="not all compared",
        ),
        pytest.param(
            counts(Status.IN_SYNC, drift=1, standing=1, outcomes={}, reasons={}, companies=1, contacts=1),
            "nothing to correct among 1 contact of 1 company; 1 left alone (standing drift); 9 requests, 4.1 s",
            id="standing drift only",
        ),
        pytest.param(
            counts(Status.REFUSED, standing=0, outcomes={}),
            "refused, nothing written: 503 contacts would change; 9 requests, 4.1 s",
            id="refused",
        ),
        pytest.param(
            counts(Status.INCOMPLETE, drift=0, standing=0, outcomes={}, error="a page is missing"),
            "incomplete, nothing written; 9 requests, 4.1 s: a page is missing",
            id="incomplete",
        ),
        pytest.param(
            counts(Status.STOPPED, standing=0, outcomes={Result.APPLIED: 120}),
            "stopped: 120 of 503 contacts corrected; 9 requests, 4.1 s",
            id="stopped in the middle",
        ),
        pytest.param(
            RunReport(run=1, status=Status.FAILED, usage=Usage(requests=1)),
            "failed, nothing written; 1 request, 0.0 s",
            id="failed at once",
        ),
    ],
)
def test_a_run_in_one_sentence(report: RunReport, expected: str) -> None:
    """The sentence gives the numbers, what is left and what it cost."""
    assert summary_line(report) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (99.94, "99.9 s"), (99.96, "1 min 40 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_are_read_at_a_glance(seconds: float, expected: str) -> None:
    """Seconds, then minutes, then hours; no 60 in the smaller unit."""
    assert facts.lasting(seconds) == expected


def test_moments_stand_in_the_zone_that_is_asked_for() -> None:
    """A document that travels names its zone."""
    assert facts.moment(NOON, UTC) == "2026-03-04 12:00 UTC"
    assert facts.moment(NOON, timezone(timedelta(hours=5), "TST")) == "2026-03-04 17:00 TST"
    assert facts.moment(NOON, None).startswith("2026-03-0")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//evil.example",
        "https://",
        "https://user:password@acme.example",
        "https://acme.example/path",
        "https://acme.example?x",
        'https://acme.example"onclick=x',
        "https://acme.example)](x",
        "https://[::1",
        "https://" + "a" * 300,
    ],
)
def test_no_link_without_a_plain_web_address(origin: str) -> None:
    """Whatever else the origin is, it is no link."""
    assert facts.card(origin, "contact", 15) == ""


@pytest.mark.parametrize("origin", ["https://acme.bitrix24.com/", "http://127.0.0.1:8080", "https://[::1]:8443"])
def test_a_card_is_an_address_of_the_portal(origin: str) -> None:
    """Cloud, embedded and self-hosted portals have cards at the same paths."""
    assert facts.card(origin, "contact", 15) == origin.rstrip("/") + "/crm/contact/details/15/"


def test_people_are_called_something() -> None:
    """A name, else a number, else nobody."""
    assert [facts.person(3, "Ida"), facts.person(3, ""), facts.person(0, "")] == ["Ida", "#3", "nobody"]


def test_standing_drift_is_gathered_by_reason_and_owner() -> None:
    """The largest group first, each with its companies."""
    first, second = sums.groups(a_plan(0).standing)
    assert (first.contacts, first.whose, first.companies) == (2, "Person 9", ((101, "Company 101"),))
    assert (second.contacts, second.whose, second.reason) == (1, "nobody", "company_has_no_owner")
    assert facts.reason_sentence("undone last week") == "undone last week"


def test_what_needs_a_person_comes_first() -> None:
    """Also a result that this program does not know yet; the order is kept otherwise."""
    rows = [row(contact=k, result=result) for k, result in enumerate(["applied", "", "denied", "applied", "new"])]
    assert [one.contact for one in sums.urgent_first(rows)] == [4, 2, 1, 0, 3]


def test_a_run_without_a_number_has_a_title_and_a_way_to_its_rows() -> None:
    """Before the journal gave it one, a run is the latest."""
    report = a_run(row(), run=None)
    assert report.title == "Run of acme.bitrix24.com"
    assert "`reconciler show latest --format csv --output run-latest.csv`" in facts.rest_hint(report, 3)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("format_", ["text", "markdown", "csv", "html", "json"])
def test_no_format_prints_a_control_character(format_: str, name: str) -> None:
    """Whatever a stranger typed, nothing printed moves a cursor, turns a line round or hides."""
    hostile = row(contact_name=name, company_name=name, before_name=name, after_name=name, detail=name, result="failed")
    report = a_run(hostile, error=name)
    text = render(report, format_, width=400)
    allowed = "\n\u200c\u200d"
    assert not [letter for letter in text if not letter.isprintable() and letter not in allowed]


@pytest.mark.parametrize("module", ["rich", "jinja2", "flask", "sqlalchemy", "httpx"])
def test_importing_the_report_imports_nothing_heavy(module: str) -> None:
    """`reconciler --help` must not pay for a page."""
    program = (
        f"import sys, reconciler.reporting.build, reconciler.telemetry.progress; sys.exit({module!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
