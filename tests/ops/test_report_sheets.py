import csv
import io

import pytest
from hypothesis import given
from report_values import HOSTILE, ORIGIN, a_plan, a_run, an_undo, but, names_of_strangers, row

from reconciler.core.sanitize import display
from reconciler.reporting.build import Report, render
from reconciler.reporting.to_csv import cell, standing_csv


def rows_of(report: Report) -> list[dict[str, str]]:
    """Read the CSV back."""
    return list(csv.DictReader(io.StringIO(render(report, "csv"), newline="")))


def test_the_csv_of_a_plan_has_every_row() -> None:
    """Changes first, then what is left alone with its reason; numbers as numbers, cards as addresses."""
    rows = rows_of(a_plan(600))
    assert len(rows) == 603
    assert rows[0] == {
        "contact": "1000",
        "contact_name": "Contact 1000",
        "company": "1",
        "company_name": "Company 1",
        "before": "2",
        "before_name": "Person 2",
        "after": "3",
        "after_name": "Person 3",
        "result": "planned",
        "detail": "",
        "cause": "unknown",
        "rule": "company_owner",
        "company_owner": "3",
        "company_owner_name": "Person 3",
        "last_edited_by": "7",
        "last_edited_by_name": "Person 7",
        "last_edited_at_utc": "2026-03-02 12:00:00",
        "contact_card": f"{ORIGIN}/crm/contact/details/1000/",
        "company_card": f"{ORIGIN}/crm/company/details/1/",
    }
    assert rows[-1]["result"] == "company_has_no_owner"


def test_the_csv_of_a_run_keeps_the_order_and_names_what_is_open() -> None:
    """Sorting is the spreadsheet's business."""
    rows = rows_of(a_run(row(contact=1, result="applied"), row(contact=2), row(contact=3, result="denied")))
    assert [(one["contact"], one["result"]) for one in rows] == [("1", "applied"), ("2", "open"), ("3", "denied")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-2", "'-2"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("\u202e=1", "'=1"),
        ("＝1+1", "'＝1+1"),  # noqa: RUF001 - full-width on purpose
        ("Meyer; =1+1", "Meyer;' =1+1"),
        ("'=1", "''=1"),
        ("Meyer-Kim", "Meyer-Kim"),
        ("a = b; c", "a = b; c"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(name: str, expected: str) -> None:
    """An apostrophe makes text of it; other names stay as they are."""
    assert cell(name) == expected


@given(names_of_strangers)
def test_the_csv_reads_back_as_it_was_written(name: str) -> None:
    """Quotes, commas and semicolons survive; no part of a line starts a formula."""
    (read,) = rows_of(a_run(row(contact_name=name, company_name=name, detail=name)))
    assert read["contact_name"] == read["company_name"] == read["detail"] == cell(name)
    assert cell(name).replace("'", "") == display(name).replace("'", "")
    for part in read["contact_name"].split(";"):
        assert part.strip()[:1] not in {"=", "+", "-", "@"}


def test_every_hostile_name_is_in_the_csv_of_its_run() -> None:
    """None is dropped."""
    assert len(rows_of(a_run(*[row(contact_name=name) for name in HOSTILE.values()]))) == len(HOSTILE)


def test_the_csv_of_an_undo_has_what_stays_with_its_obstacle() -> None:
    """Sorting by `result` shows what needs a person."""
    rows = rows_of(an_undo())
    assert [one["result"] for one in rows] == [
        *("planned", "planned"),
        *("gone", "changed_since", "kept", "taken_back", "written_again", "no_owner_before", "old_owner_unfit"),
    ]
    assert rows[2]["detail"] == "the contact is deleted or no longer visible"


def test_the_work_list_is_in_the_order_of_the_work() -> None:
    """Dismissed owners first, each with their companies, each with its contacts; then what the settings leave alone."""
    dismissed = {"result": "company_owner_dismissed"}
    rows = (
        row(contact=9, result="excluded"),
        row(contact=8, result="a reason of tomorrow"),
        row(contact=7, result="company_has_no_owner", after=0, after_name="", before=0, before_name=""),
        row(contact=6, company=5, company_name="beta", **dismissed),
        row(contact=5, company=5, company_name="beta", **dismissed),
        row(contact=4, company=6, company_name="Alpha", **dismissed),
        row(contact=3, after=30, after_name="Aaron", **dismissed),
    )
    read = list(csv.DictReader(io.StringIO(standing_csv(but(a_plan(0), standing=rows)), newline="")))
    assert [one["contact_id"] for one in read] == ["3", "4", "5", "6", "7", "9", "8"]
    assert read[1] == {
        "reason": "the company's owner is dismissed",
        "company_owner": "Ida Ito",
        "company_owner_id": "3",
        "company": "Alpha",
        "company_id": "6",
        "contact": "Anna Meyer",
        "contact_id": "4",
        "contact_owner": "Hugo Castro",
        "contact_owner_id": "2",
        "cause": "not known",
        "last_edited_by": "",
        "last_edited_at_utc": "",
        "company_card": f"{ORIGIN}/crm/company/details/6/",
        "contact_card": f"{ORIGIN}/crm/contact/details/4/",
    }
    assert (read[4]["company_owner"], read[4]["company_owner_id"], read[4]["contact_owner"]) == ("nobody", "", "nobody")


def test_the_work_list_says_who_edited_last() -> None:
    """As a spreadsheet reads a time."""
    first = next(csv.DictReader(io.StringIO(standing_csv(a_plan(0)), newline="")))
    assert (first["last_edited_by"], first["last_edited_at_utc"]) == ("Person 7", "2026-03-02 12:00:00")


@given(names_of_strangers)
def test_no_name_in_the_work_list_is_a_formula(name: str) -> None:
    """Whoever opens it trusts it."""
    rows = (row(contact_name=name, company_name=name, before_name=name, after_name=name, result="excluded"),)
    (read,) = csv.DictReader(io.StringIO(standing_csv(but(a_plan(0), standing=rows)), newline=""))
    assert read["contact"] == read["company"] == cell(name)
