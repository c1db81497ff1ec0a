import csv
import io
import re

import pytest
from hypothesis import given
from report_values import HOSTILE, NOON, ORIGIN, a_plan, a_run, names_of_strangers, row

from reconciler.core.model import Result
from reconciler.ops.display import display
from reconciler.ops.exports import cell, escaped
from reconciler.ops.report import Report, render


def rows_of(report: Report) -> list[dict[str, str]]:
    """Read the CSV back."""
    return list(csv.DictReader(io.StringIO(render(report, "csv"), newline="")))


def markdown(report: Report, **options: object) -> str:
    """Render in UTC."""
    return render(report, "markdown", zone=NOON.tzinfo, **options)


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


def test_the_markdown_of_a_plan_reads_as_a_page() -> None:
    """Head, notes as quotations, people, changes with links, what is left alone."""
    shown = markdown(a_plan(30))
    assert shown.startswith("# Plan for acme.bitrix24.com\n\n- **Taken**: 2026-03-04 12:00 UTC\n")
    assert "\n> Deals, activities and tasks stay" in shown
    assert "\n## Who gains and who loses\n\n| Person | Gains | Loses |\n| --- | ---: | ---: |\n" in shown
    contact, company = f"{ORIGIN}/crm/contact/details/1000/", f"{ORIGIN}/crm/company/details/1/"
    assert f"\n| [Contact 1000]({contact}) | [Company 1]({company}) | Person 2 | Person 3 |\n" in shown
    assert f"| 1 | the company has no owner | nobody | [Company 102]({ORIGIN}/crm/company/details/102/) |\n" in shown
    assert "Who gains" not in markdown(a_plan(20))


def test_the_markdown_of_a_run_shows_result_and_detail() -> None:
    """And the command to see the rest."""
    rows = [row(contact=k, result="applied") for k in range(3)] + [row(result="denied", detail="no right")]
    shown = markdown(a_run(*rows, row(contact=9)), most_rows=3)
    assert "\n## Changes (3 of 5)\n" in shown
    assert "| Hugo Castro | Ida Ito | denied: no right |\n" in shown
    assert "| Hugo Castro | Ida Ito | open |\n" in shown
    assert shown.endswith("… and 2 more; all: `reconciler show 12 --format csv --output run-12.csv`\n")


def test_markdown_without_an_origin_has_no_links() -> None:
    """A record without a name has its number, which must not become an issue's."""
    report = a_run(row(contact_name="", company_name="", result=Result.GONE))
    shown = markdown(Report(**{name: getattr(report, name) for name in Report.__slots__} | {"origin": ""}))
    assert "| \\#15 | \\#4 | Hugo Castro | Ida Ito | gone |" in shown
    assert "](" not in shown


def test_markdown_counts_the_companies_it_does_not_name() -> None:
    """Five are named."""
    report = a_plan(0)
    rows = tuple(row(company=k, result="company_has_no_owner") for k in range(1, 8))
    shown = markdown(Report(**{name: getattr(report, name) for name in Report.__slots__} | {"standing": rows}))
    assert " and 2 others |" in shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a|b`c`", "a\\|b\\`c\\`"),
        ("[x](http://evil.example)", "\\[x\\](http:<!-- -->//evil.example)"),
        ("![x]", "!\\[x\\]"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("www.evil.example", "www<!-- -->.evil.example"),
        ("WWW.evil.example", "WWW<!-- -->.evil.example"),
        ("bob@evil.example", "bob@<!-- -->evil.example"),
        ("- item", "\\- item"),
        ("1. item", "1<!-- -->. item"),
        ("#12 *a* _b_ ~c~ $d$", "\\#12 \\*a\\* \\_b\\_ \\~c\\~ \\$d\\$"),
        ("# head\n| x |", "\\# head \\| x \\|"),
        ("back\\slash", "back\\\\slash"),
        ("O'Brien & Sons, Inc. (5.0%)", "O'Brien &amp; Sons, Inc. (5.0%)"),
    ],
)
def test_markdown_shows_a_name_letter_by_letter(name: str, expected: str) -> None:
    """No link, picture, mention, head, list or HTML comes of a name."""
    assert escaped(name) == expected


@given(names_of_strangers)
def test_no_name_breaks_the_markdown_table(name: str) -> None:
    """Five cells stay five cells, and every link leads to the portal."""
    shown = markdown(a_run(row(contact_name=name, company_name=name, before_name=name, after_name=name)))
    (line,) = [line for line in shown.split("\n") if line.startswith("| [")]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 6
    assert re.findall(r"://", line.replace(ORIGIN, "")) == []
    assert "<" not in line.replace("<!-- -->", "")


def test_every_hostile_name_is_in_the_csv_of_its_run() -> None:
    """None is dropped."""
    assert len(rows_of(a_run(*[row(contact_name=name) for name in HOSTILE.values()]))) == len(HOSTILE)
