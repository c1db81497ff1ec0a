import re

import pytest
from hypothesis import given
from report_values import NOON, ORIGIN, a_plan, a_run, an_undo, but, names_of_strangers, row

from reconciler.core.model import Result
from reconciler.reporting.build import Report, render
from reconciler.reporting.to_markdown import escaped


def markdown(report: Report, **options: object) -> str:
    """Render in UTC."""
    return render(report, "markdown", zone=NOON.tzinfo, **options)


def test_the_markdown_of_a_plan_reads_as_a_page() -> None:
    """Head, notes as quotations, people, changes with links, what is left alone."""
    shown = markdown(a_plan(30))
    assert shown.startswith("# Plan for acme.bitrix24.com\n\n- **Taken**: 2026-03-04 12:00 UTC\n")
    assert "\n> Deals, activities and tasks stay" in shown
    assert "\n## Who gains and who loses\n\n| Person | Gains | Loses |\n| --- | ---: | ---: |\n" in shown
    contact, company = f"{ORIGIN}/crm/contact/details/1000/", f"{ORIGIN}/crm/company/details/1/"
    assert f"\n| [Contact 1000]({contact}) | [Company 1]({company}) | Person 2 | Person 3 | not known |\n" in shown
    assert f"| 1 | the company has no owner | nobody | [Company 102]({ORIGIN}/crm/company/details/102/) |\n" in shown
    assert "\n## By cause\n\n| Contacts | Cause | What it means |\n| ---: | --- | --- |\n| 33 | not known |" in shown
    assert "Who gains" not in markdown(a_plan(20))
    assert "\n- **Causes**: 23 not known\n" in markdown(a_plan(20))


def test_the_markdown_of_a_run_shows_result_and_detail() -> None:
    """And the command to see the rest."""
    rows = [row(contact=k, result="applied") for k in range(3)] + [row(result="denied", detail="no right")]
    shown = markdown(a_run(*rows, row(contact=9)), most_rows=3)
    assert "\n## Changes (3 of 5)\n" in shown
    assert "| Hugo Castro | Ida Ito | not known | denied: no right |\n" in shown
    assert "| Hugo Castro | Ida Ito | not known | open |\n" in shown
    assert shown.endswith("… and 2 more; all: `reconciler show 12 --format csv --output run-12.csv`\n")


def test_markdown_without_an_origin_has_no_links() -> None:
    """A record without a name has its number, which must not become an issue's."""
    report = a_run(row(contact_name="", company_name="", result=Result.GONE))
    shown = markdown(but(report, origin=""))
    assert "| \\#15 | \\#4 | Hugo Castro | Ida Ito | not known | gone |" in shown
    assert "](" not in shown


def test_markdown_counts_the_companies_it_does_not_name() -> None:
    """Five are named."""
    report = a_plan(0)
    rows = tuple(row(company=k, result="company_has_no_owner") for k in range(1, 8))
    shown = markdown(but(report, standing=rows))
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
    """Six cells stay six cells, and every link leads to the portal."""
    shown = markdown(a_run(row(contact_name=name, company_name=name, before_name=name, after_name=name)))
    (line,) = [line for line in shown.split("\n") if line.startswith("| [")]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 7
    assert re.findall(r"://", line.replace(ORIGIN, "")) == []
    assert "<" not in line.replace("<!-- -->", "")


def test_the_markdown_of_an_undo_says_what_stays_and_why() -> None:
    """Its rows go back; a cause would mean nothing here."""
    shown = markdown(an_undo(3), most_rows=2)
    assert shown.startswith("# Undo of run 12 of acme.bitrix24.com\n")
    assert "\n## To put back (2 of 3)\n\n| Contact | Company | From | Back to |\n" in shown
    assert "\n… and 1 more\n" in shown
    assert "\n## Not put back\n\n| Contacts | Why | Old owner | Companies |\n" in shown
    assert "| 1 | it had no owner, and Bitrix24 cannot empty one | Hugo Castro |" in shown


def test_the_markdown_names_the_rule_where_it_is_not_the_company_s_owner() -> None:
    """A successor is nobody's mistake."""
    shown = markdown(a_run(row(rule="successor"), row(contact=16), causes={}))
    assert "| Ida Ito (successor) |" in shown
    assert "| Ida Ito |" in shown


def test_the_markdown_of_a_large_run_that_wrote_nothing_sums_nobody_up() -> None:
    """Nobody gained by it; nor is a cause told that the journal does not know."""
    shown = markdown(a_run(*[row(contact=k, result="denied") for k in range(30)], causes={}))
    assert "Who gained" not in shown
    assert "By cause" not in shown
