import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_values import HOSTILE, NOON, a_plan, a_run, an_undo, but, names_of_strangers, row
from rich.cells import cell_len

from reconciler.core.model import Result, Status
from reconciler.reporting.build import SIDE_EFFECTS, Report, render


def text(report: Report, **options: object) -> str:
    """Render in UTC."""
    return render(report, "text", zone=NOON.tzinfo, **options)


def test_a_small_plan_reads_as_a_page() -> None:
    """Head, changes, cards, and what is left alone."""
    shown = text(a_plan(2), width=90)
    assert shown.startswith("Plan for acme.bitrix24.com\n\n  Taken      2026-03-04 12:00 UTC\n")
    assert "  Looked at  102 companies, 9,988 linked contacts\n" in shown
    assert "  Drift      5 contacts (0.1%): 2 to change, 3 left alone\n" in shown
    assert "  Cost       9 requests (240 commands), 4.1 s\n" in shown
    assert SIDE_EFFECTS[:50] in shown
    assert "  1000  Contact 1000  Company 1  Person 2  Person 3\n" in shown
    assert "  https://acme.bitrix24.com/crm/contact/details/1000/  Contact 1000\n" in shown
    assert "         2  the company's owner is dismissed  Person 9         Company 101\n" in shown
    assert "Who gains" not in shown


def test_the_digest_is_shown_short() -> None:
    """Twelve characters are what `approve` takes."""
    report = a_plan(2)
    assert f"Digest     {report.digest[:12]}\n" in text(report)
    assert report.digest not in text(report)


def test_a_large_plan_starts_with_people_and_ends_with_a_way_to_the_rest() -> None:
    """Five hundred rows say less than ten people do."""
    shown = text(a_plan(500), width=80)
    assert shown.index("Who gains and who loses\n") < shown.index("Changes (50 of 500)")
    assert "… and 450 more; all: `reconciler plan --format csv --output plan.csv`" in shown
    assert shown.count("/crm/contact/details/") == 5


def test_the_table_of_people_is_cut_and_says_so() -> None:
    """Ten people, of however many there are; who only gives or only takes has a dot."""
    rows = tuple(row(contact=k, after=100 + k, after_name=f"Person {100 + k}") for k in range(30))
    report = but(a_plan(2), changes=rows)
    shown = text(report)
    assert "Who gains and who loses (the first 10 of 31 people)" in shown
    assert "  Hugo Castro    2      ·     30\n" in shown
    assert "  Person 100   100      1      ·\n" in shown


def test_contacts_without_an_owner_count_as_nobody_s() -> None:
    """Owner 0 is no person."""
    report = a_plan(2)
    rows = tuple(row(contact=k, before=0, before_name="", after=k + 7, after_name="") for k in range(30))
    shown = text(but(report, changes=rows))
    assert re.search(r"\n  nobody +· +30\n", shown)
    assert "  0  Anna Meyer  Delta Machines  nobody  #7\n" in shown


@pytest.mark.parametrize("width", [60, 70, 80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Names give way; numbers and addresses do not."""
    long = row(contact=123456789, contact_name="Anna " * 20, company_name="Delta " * 20, after_name="Ida " * 20)
    report = a_run(*[row(contact=k) for k in range(30)], long, row(result="denied", detail="no right " * 20))
    shown = text(report, width=width)
    assert max(cell_len(line) for line in shown.split("\n")) <= width
    assert "  123456789  " in shown
    assert "https://acme.bitrix24.com/crm/contact/details/15/" in shown


def test_a_wide_terminal_has_every_card_in_the_table() -> None:
    """No second list then."""
    shown = text(a_plan(30), width=150)
    assert shown.count("/crm/contact/details/") == 30
    assert "\nCards\n" not in shown


def test_without_an_origin_there_are_no_cards() -> None:
    """A journal may be read where the webhook is not known."""
    report = a_plan(2)
    shown = text(but(report, origin=""))
    assert "Cards" not in shown
    assert "1000  Contact 1000" in shown


def test_a_plan_with_nothing_to_do_says_so() -> None:
    """Silence would look like a mistake."""
    assert "\nNothing to change.\n" in text(a_plan(0, skips=False))
    assert "Left alone" not in text(a_plan(0, skips=False))


def test_a_run_shows_what_went_wrong_first_and_why() -> None:
    """Two denied contacts among fifty must not hide below the fold."""
    rows = [row(contact=k, result="applied") for k in range(40)]
    rows += [row(contact=100 + k, result="denied", detail="no right to this contact") for k in range(2)]
    shown = text(a_run(*rows, row(contact=200)), most_rows=3)
    assert "Changes (3 of 43)" in shown
    assert "200" in shown
    assert "  applied" not in shown.split("Changes")[1]
    assert "         2  denied  no right to this contact\n" in shown
    assert "… and 40 more; all: `reconciler show 12 --format csv --output run-12.csv`" in shown
    assert "  Drift      503 contacts (5.0%): 500 to change, 3 left alone (the company's owner is dismissed)\n" in shown


def test_a_run_under_way_and_one_that_failed_say_so() -> None:
    """A run without an end has no status yet; an error stands in the head."""
    assert "  Status     not finished\n" in text(a_run(finished=False))
    shown = text(a_run(status=Status.FAILED, error="the portal is away", contacts=0, drift=0, standing=0))
    assert "  Error      the portal is away\n" in shown
    assert "  Drift      0 contacts\n" in shown
    assert "Nothing to change" not in shown


def test_standing_companies_are_cut_and_counted() -> None:
    """Three names are enough to know where to look; one without a name has its number."""
    rows = tuple(row(company=k, company_name=f"C{k}" if k else "", result="company_has_no_owner") for k in range(9))
    report = a_plan(2)
    shown = text(but(report, standing=rows), width=120)
    assert "#0, C1, C2 and 6 more\n" in shown


def test_a_pipe_gets_plain_text_and_a_terminal_gets_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the caller decides, not what rich finds in the environment."""
    report = a_run(*[row(contact=k, result=result) for k, result in enumerate(Result)])
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "20"}.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in text(report)
    assert "\x1b[31mdenied" in text(report, color=True)


def test_rich_markup_in_a_name_is_shown_as_it_is() -> None:
    """`[red]` is a name here."""
    assert "[red]Anna[/red] :smile:" in text(a_run(row(contact_name=HOSTILE["rich markup"])))


@given(st.lists(names_of_strangers, min_size=4, max_size=4), st.integers(50, 200))
def test_any_name_fits_and_keeps_the_table_whole(names: list[str], width: int) -> None:
    """One line a row, whatever stands in it."""
    keys = ("contact_name", "company_name", "before_name", "after_name")
    report = a_run(row(contact=987654, **dict(zip(keys, names, strict=True))))
    shown = text(report, width=width)
    assert "987654" in shown
    assert "\x1b" not in shown
    assert all(cell_len(line) <= width for line in shown.split("\n"))


def test_contacts_without_names_are_one_column() -> None:
    """The journal keeps none: a run from it shows no empty column."""
    lines = render(a_run(row(contact_name="", result="applied")), "text").splitlines()
    head = next(line for line in lines if "Company" in line)
    assert head.split() == ["Contact", "Company", "Before", "After", "Result"]
    assert "     15  Delta Machines  Hugo Castro  Ida Ito  applied" in "\n".join(lines)


def test_causes_stand_beside_the_changes_where_they_differ() -> None:
    """A large plan tells what they mean; where all have one cause, a column of it would only take room."""
    shown = text(a_plan(30, causes=True), width=100)
    assert "By cause\n" in shown
    assert "         6  changed back   corrected by us before" in shown
    assert re.search(r"\n  1001  Contact 1001 +Company 2 +Person 3 +Person 4 +handed over\n", shown)
    assert "  Causes  " not in shown
    assert (
        "  Causes     1 changed back, 1 handed over, 1 newly created, 1 newly linked, 1 edited, 1 not known\n"
        in text(a_plan(3, causes=True))
    )
    assert "From      To\n" in text(a_plan(30))


def test_a_rule_has_a_column_where_one_is_not_the_usual() -> None:
    """The successor of somebody who has left is not the company's owner."""
    shown = text(a_run(row(result="applied"), row(contact=16, rule="head_of_department", result="applied")))
    assert "Ida Ito  head of department  applied\n" in shown
    assert "By rule" not in text(a_run(row()))
    assert "By rule" not in text(a_run(row(), row(contact=16, rule="successor", result="applied")), most_rows=1)


def test_an_undo_says_what_goes_back_and_what_stays() -> None:
    """With the obstacle of each."""
    shown = text(an_undo(60))
    assert shown.startswith("Undo of run 12 of acme.bitrix24.com\n")
    assert "  Changes  67 of ours: 60 to put back, 7 that stay\n" in shown
    assert "To put back (50 of 60)\n" in shown
    assert "  … and 10 more\n" in shown
    assert "\nNot put back\n" in shown
    assert "         1  kept as it is by a person  " in shown
    assert "         1  it had no owner, and Bitrix24 cannot empty one       Hugo Castro  Delta Machines\n" in shown
    assert "Nothing can be put back.\n" in text(an_undo(0))


def test_a_large_run_says_who_gained() -> None:
    """Of what was written; nobody, where nothing was."""
    shown = text(a_run(*[row(contact=k, result="applied") for k in range(30)]))
    assert "Who gained and who lost\n" in shown
    assert "Who gained" not in text(a_run(*[row(contact=k, result="denied") for k in range(30)], causes={}))


def test_the_company_with_most_contacts_is_named_first() -> None:
    """Where some companies of a group are named, it is those that matter."""
    groups = ((7, 1), (17, 2), (17, 3), (27, 4), (27, 5), (27, 6))
    rows = tuple(
        row(contact=contact, company=company, company_name=f"Company {company}", result="company_owner_dismissed")
        for company, contact in groups
    )
    shown = text(but(a_plan(0), standing=rows), width=120)
    assert "Company 27, Company 17, Company 7" in " ".join(shown.split())
