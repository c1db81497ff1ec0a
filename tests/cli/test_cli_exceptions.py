"""Contacts that are left alone: listed, and released one by one or in bulk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from getpass import getuser
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import SMALL, Terminal, closed_port

from reconciler.cli.options import ExceptionKind
from reconciler.clock import SystemClock
from reconciler.core.model import Standing
from reconciler.journal.exceptions import _KINDS
from reconciler.journal.lease import hold_lease

if TYPE_CHECKING:
    from pathlib import Path

    from support.command_line import Desk, Ended, Served

DRIFT = SMALL.drifted
JUDGED = "From the next sweep on, the settings alone decide about"


@pytest.fixture
def undone(desk: Desk) -> Desk:
    """Give a desk where run 1 wrote all the drift, and run 2 took it back."""
    desk.run("--once", "--yes")
    desk.run("undo", "1", "--yes")
    return desk


def sql(journal: Path, statement: str) -> list[tuple[Any, ...]]:
    """Change a journal, or look into it, behind the program's back."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        return connection.execute(statement).fetchall()


def listed(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    """Return the exceptions that the command lists."""
    found: list[dict[str, Any]] = desk.run("exceptions", *arguments, "--json").json["exceptions"]
    return found


def in_force(desk: Desk) -> set[int]:
    """Return the contacts with an exception in force, by the journal's own table: also after a terminal was used."""
    return {row[0] for row in sql(desk.journal, "SELECT contact_id FROM exception WHERE released_at IS NULL")}


def contacts(found: list[dict[str, Any]]) -> set[int]:
    """Return the contacts of these exceptions."""
    return {one["contact"] for one in found}


def sentence(ended: Ended) -> str:
    """Return the one sentence that a mistake gets: exit code 2, nothing on standard output."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    return ended.err.removeprefix("reconciler: ").strip()


# The list


def test_what_is_left_alone_is_listed(desk: Desk) -> None:
    """With the reason and how to end it; as JSON with everything."""
    desk.run("--once", "--yes")
    assert desk.run("exceptions").out == "There are no exceptions.\n"
    desk.run("undo", "1", "--yes")
    shown = desk.run("exceptions")
    assert (shown.code, shown.err) == (0, "")
    assert "our change" in shown.out
    assert f"{DRIFT} contacts: {DRIFT} undone." in shown.out
    document = desk.run("--json", "exceptions").json
    assert (document["schema"], len(document["exceptions"]), document["notes"]) == (1, DRIFT, [])
    assert {(one["kind"], one["run"]) for one in document["exceptions"]} == {("undone", 2)}
    assert desk.run("exceptions", "--json").json == document
    assert f"`reconciler exceptions release {document['exceptions'][0]['contact']}` lets" in shown.out


def test_contacts_and_companies_have_their_names(undone: Desk, portal: Served) -> None:
    """Those of the portal; a contact that is gone has none."""
    gone = listed(undone)[0]["contact"]
    portal.portal.people.delete_contact(gone)
    rows = portal.portal.database.rows("SELECT id, name, last_name FROM contact")
    people = {row["id"]: f"{row['name']} {row['last_name']}".strip() for row in rows} | {gone: ""}
    companies = {row["id"]: row["title"] for row in portal.portal.database.rows("SELECT id, title FROM company")}
    found = listed(undone)
    assert [(one["contact_name"], one["company_name"]) for one in found] == [
        (people[one["contact"]], companies[one["company"]]) for one in found
    ]
    assert all(found[-1][name] for name in ("contact_name", "company_name"))
    assert found[-1]["contact_name"].split()[0] in undone.run("exceptions").out


def test_the_list_needs_no_portal(undone: Desk, portal: Served) -> None:
    """It says why names are missing; with --offline nobody is asked, so there is nothing to say."""
    numbers = contacts(listed(undone))
    before = portal.portal.stats()["requests"]
    offline = undone.run("exceptions", "--offline", "--json").json
    assert portal.portal.stats()["requests"] == before
    assert (contacts(offline["exceptions"]), offline["notes"]) == (numbers, [])
    undone.env(PORTAL__NAME=sql(undone.journal, "SELECT name FROM portal")[0][0], RETRY__ATTEMPTS="1")
    for address, reason in ((None, "No webhook address is set"), (closed_port(), "cannot be reached")):
        url = None if address is None else f"http://127.0.0.1:{address}/rest/1/code/"
        sql(undone.journal, f"UPDATE portal SET address = '127.0.0.1:{address}'")  # noqa: S608
        undone.env(PORTAL__WEBHOOK_URL=url)
        ended = undone.run("exceptions", "--json")
        assert (ended.code, contacts(ended.json["exceptions"])) == (0, numbers)
        (note,) = ended.json["notes"]
        assert note.startswith("No names of contacts and companies are shown: ")
        assert reason in note
        assert note in " ".join(undone.run("exceptions").out.split())


def test_an_answer_that_is_not_whole_gives_no_names(undone: Desk, portal: Served) -> None:
    """The list is as long as ever, and the reason is not that of a sweep."""
    portal.fail({"kind": "short_page", "method": "crm.contact.list"})
    document = undone.run("exceptions", "--json").json
    assert len(document["exceptions"]) == DRIFT
    assert document["notes"] == ["No names of contacts and companies are shown: the portal's answer was not whole."]


def test_another_portal_is_not_asked_for_names(undone: Desk, portal: Served) -> None:
    """Its contacts of the same numbers are other people."""
    name = sql(undone.journal, "SELECT name FROM portal")[0][0]
    undone.env(PORTAL__NAME=name)
    sql(undone.journal, "UPDATE portal SET address = 'elsewhere.bitrix24.com'")
    before = portal.portal.stats()["requests"]
    document = undone.run("exceptions", "--json").json
    assert portal.portal.stats()["requests"] == before
    assert "was at elsewhere.bitrix24.com in the journal" in document["notes"][0]
    assert {one["contact_name"] for one in document["exceptions"]} == {""}


def test_the_list_is_narrowed_down(undone: Desk) -> None:
    """By contact, kind, company and run; options that are repeated take any of what they name."""
    every = listed(undone)
    first, second = every[:2]
    sql(undone.journal, f"UPDATE exception SET kind = 'respected' WHERE contact_id = {first['contact']}")  # noqa: S608
    two = (str(first["contact"]), str(second["contact"]))
    assert contacts(listed(undone, "--contact", two[0], "--contact", two[1])) == {*map(int, two)}
    assert contacts(listed(undone, "--kind", "respected")) == {first["contact"]}
    assert len(listed(undone, "--kind", "respected", "--kind", "undone")) == DRIFT
    of_company = {one["contact"] for one in every if one["company"] == second["company"]}
    assert contacts(listed(undone, "--company", str(second["company"]))) == of_company
    assert [len(listed(undone, "--run", run)) for run in ("1", "2", "latest", "3")] == [DRIFT, DRIFT, DRIFT, 0]
    assert listed(undone, "--contact", two[1], "--kind", "respected") == []
    assert undone.run("exceptions", "--kind", "quarantined").out == "No exception in force matches.\n"


def test_what_another_setting_made_is_said(undone: Desk) -> None:
    """By the list and by `check`, as long as there is any; the list is the one that is asked for."""
    number = listed(undone)[0]["contact"]
    sql(undone.journal, f"UPDATE exception SET kind = 'respected' WHERE contact_id = {number}")  # noqa: S608
    said = 'while policy.person_edit was "respect". The present value "overwrite" does not end that'

    def checked() -> tuple[str, str]:
        (line,) = (one for one in undone.run("check", "--json").json["checks"] if one["subject"] == "exceptions")
        return line["state"], line["sentence"]

    assert said in undone.run("exceptions", "--json").json["notes"][0]
    assert said in " ".join(undone.run("exceptions").out.split())
    assert undone.run("exceptions", "--kind", "undone", "--json").json["notes"] == []
    state, line = checked()
    assert (state, said in line) == ("warning", True)
    assert line.startswith(
        f"1 respected, {DRIFT - 1} undone; `reconciler exceptions` lists them. 1 contact is left alone"
    )
    undone.env(POLICY__PERSON_EDIT="respect")
    assert undone.run("exceptions", "--json").json["notes"] == []
    assert checked() == ("ok", f"1 respected, {DRIFT - 1} undone; `reconciler exceptions` lists them")
    undone.run("exceptions", "release", "--all", "--yes")
    assert "exceptions" not in {one["subject"] for one in undone.run("check", "--json").json["checks"]}


def test_a_table_of_very_many_is_cut(undone: Desk) -> None:
    """The newest are shown; JSON has all of them."""
    sql(
        undone.journal,
        "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)"
        " INSERT INTO exception (portal_id, contact_id, kind, since) SELECT 1, i, 'kept', '2030-01-01 00:00:00' FROM n",
    )
    shown = undone.run("exceptions", "--offline").out
    assert shown.count("kept as it is by a person") == 500
    assert f"… and {500 + DRIFT} more; `reconciler exceptions --json` lists all" in shown
    assert f"{1_000 + DRIFT:,} contacts: {DRIFT} undone, 1,000 kept." in shown
    assert len(listed(undone, "--offline")) == 1_000 + DRIFT


def test_the_kinds_are_those_of_the_journal() -> None:
    """Whoever adds one adds it to the option, too."""
    assert {kind.value for kind in ExceptionKind} == {kind.value for kind in _KINDS}
    assert all(Standing(kind.value) for kind in ExceptionKind)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kind", "whim"], "'whim' is not one of"),
        (["--run", "first"], "a run is a number from 1 on, or `latest`; first is neither"),
        (["--contact", "0"], "0 is no number from 1 on"),
        (["--kind", "undone", "release", "--all"], "--kind does not go before the command release"),
        (["release"], "say which: IDs, --kind, --company, --run or --all"),
        (["release", "--all", "--kind", "undone"], "--all goes without IDs, --kind, --company and --run"),
        (["release", "5", "--all"], "--all goes without IDs, --kind, --company and --run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant(arguments: list[str], said: str, desk: Desk) -> None:
    """One sentence, exit code 2."""
    assert said in sentence(desk.run("exceptions", *arguments))


# Release


@pytest.mark.parametrize("by", ["id", "contact"])
def test_what_is_released_is_corrected_again(by: str, undone: Desk, portal: Served) -> None:
    """By the exception's number or its contact's."""
    found = listed(undone)
    # Its number must not be that of another contact.
    one = next(one for one in found if one["id"] not in contacts(found))
    ended = undone.run("exceptions", "release", str(one[by]), "--yes")
    assert (ended.code, ended.err) == (0, "")
    number = one["contact"]
    assert ended.out == (
        f"Released: 1 exception.\n{JUDGED} contact {number}.\n"
        f"What an undo took back may then be written again: contact {number}.\n"
    )
    assert undone.run("--once", "--yes", "--json").json["applied"] == 1
    assert portal.portal.drift() == DRIFT - 1


@pytest.mark.parametrize(
    "arguments",
    [["--all"], ["--kind", "undone"], ["--run", "1"], ["--run", "2"], ["--run", "latest", "--kind", "undone"]],
    ids=" ".join,
)
def test_all_of_an_undo_is_released(arguments: list[str], undone: Desk, portal: Served) -> None:
    """The next sweep writes all of it again."""
    ended = undone.run("exceptions", "release", *arguments, "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"Released: {DRIFT} exceptions.\n{JUDGED} {DRIFT} contacts.\n"
        f"What an undo took back may then be written again: {DRIFT} contacts.\n"
    )
    assert listed(undone) == []
    assert undone.run("--once", "--yes", "--json").json["applied"] == DRIFT
    assert portal.portal.drift() == 0


def test_a_release_keeps_to_what_is_chosen(undone: Desk) -> None:
    """A company, and a contact of a kind; the answer as JSON names the contacts."""
    every = listed(undone)
    company = every[0]["company"]
    of_company = {one["contact"] for one in every if one["company"] == company}
    answer = undone.run("exceptions", "release", "--company", str(company), "--yes", "--json").json
    assert answer == {
        "schema": 1,
        "released": len(of_company),
        "contacts": sorted(of_company),
        "notes": answer["notes"],
    }
    assert contacts(listed(undone)) == contacts(every) - of_company
    one, other = sorted(contacts(every) - of_company)[:2]
    sql(undone.journal, f"UPDATE exception SET kind = 'respected' WHERE contact_id = {one}")  # noqa: S608
    refused = undone.run("exceptions", "release", str(one), str(other), "--kind", "respected", "--yes")
    assert f"no exception {other} is in force and matches, so nothing is released" in sentence(refused)
    assert undone.run("exceptions", "release", str(one), "--kind", "respected", "--yes").code == 0
    assert contacts(listed(undone)) == contacts(every) - of_company - {one}


def test_another_exception_of_the_same_contact_holds(undone: Desk, portal: Served) -> None:
    """Said, instead of that the contact will be looked after."""
    number = listed(undone)[0]["contact"]
    sql(
        undone.journal,
        "INSERT INTO exception (portal_id, contact_id, kind, since)"  # noqa: S608
        f" SELECT portal_id, contact_id, 'kept', since FROM exception WHERE contact_id = {number}",
    )
    ended = undone.run("exceptions", "release", "--kind", "undone", "--yes")
    rest = DRIFT - 1
    assert ended.out == (
        f"Released: {DRIFT} exceptions.\n{JUDGED} {rest} contacts.\n"
        f"What an undo took back may then be written again: {rest} contacts.\n"
        f"Contact {number} stays left alone by another exception.\n"
    )
    assert undone.run("--once", "--yes", "--json").json["applied"] == rest
    assert portal.portal.drift() == 1


def test_a_number_is_first_of_all_a_contacts(undone: Desk) -> None:
    """An exception that happens to have the number of another contact stays: the list shows contacts' numbers."""
    one, other = listed(undone)[:2]
    sql(undone.journal, f"UPDATE exception SET id = {one['contact']} WHERE contact_id = {other['contact']}")  # noqa: S608
    ended = undone.run("exceptions", "release", str(one["contact"]), "--yes")
    assert f"{JUDGED} contact {one['contact']}.\n" in ended.out
    assert ended.out.endswith(
        f"{one['contact']} is taken as the number of a contact; the exception of this number, of contact "
        f"{other['contact']}, stays.\n"
    )
    left = contacts(listed(undone))
    assert (one["contact"] in left, other["contact"] in left, len(left)) == (False, True, DRIFT - 1)


def test_a_release_is_an_object_too(undone: Desk) -> None:
    """--json before or after each of the two words."""
    numbers = [str(number) for number in contacts(listed(undone))]
    answers = [
        undone.run("--json", "exceptions", "release", numbers[0], "--yes").json,
        undone.run("exceptions", "--json", "release", numbers[1], "--yes").json,
        undone.run("exceptions", "release", numbers[2], "--yes", "--json").json,
    ]
    assert [(one["schema"], one["released"], one["contacts"]) for one in answers] == [
        (1, 1, [int(number)]) for number in numbers[:3]
    ]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("999999", "no exception 999999 is in force, so nothing is released"),
        ("0", "no number from 1 on"),
        ("x", "no number from 1 on"),
    ],
    ids=["unknown", "zero", "a word"],
)
def test_a_release_of_what_cannot_be_meant(number: str, said: str, undone: Desk) -> None:
    """One sentence, exit code 2; what else was named stays, too."""
    known = str(listed(undone)[0]["contact"])
    assert said in sentence(undone.run("exceptions", "release", known, number, "--yes"))
    assert undone.run("exceptions", "release", known, number, "--yes", "--json").json["exit_code"] == 2
    assert len(listed(undone)) == DRIFT


def test_nothing_to_release_is_no_failure(undone: Desk) -> None:
    """A script may say `--all` twice."""
    ended = undone.run("exceptions", "release", "--kind", "quarantined", "--yes")
    assert (ended.code, ended.out) == (0, "Nothing to release: no exception in force matches.\n")
    answer = undone.run("exceptions", "release", "--run", "77", "--yes", "--json").json
    assert answer == {"schema": 1, "released": 0, "contacts": [], "notes": []}


def test_a_release_without_a_yes(undone: Desk) -> None:
    """Exit code 2 where nobody can be asked, and the sentence says what to add."""
    assert "there is no terminal to ask on; add --yes" in sentence(undone.run("exceptions", "release", "--all"))
    assert len(listed(undone)) == DRIFT


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 3)], ids=["yes", "no"])
def test_a_release_shows_what_it_is_about_and_asks(
    typed: str, code: int, undone: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With names, and with what will be written again; a no releases nothing."""
    found = listed(undone)
    terminal = Terminal(monkeypatch)
    with terminal.person((f"Release {DRIFT} exceptions? [y/N] ", typed)):
        ended = undone.run("exceptions", "release", "--run", "1")
    assert ended.code == code
    before, _, after = terminal.shown.partition("[y/N]")
    assert all(f"{one['contact']}" in before for one in found)
    assert found[0]["contact_name"].split()[0] in before
    assert "Once they are released:" in before
    assert f"What an undo took back may then be written again: {DRIFT} contacts." in before
    assert ("Nothing is released." in after, len(in_force(undone))) == ((code == 3), DRIFT if code else 0)


def test_only_what_was_shown_is_released(undone: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came up, or ended, while somebody read the question."""
    first, second = sorted(contacts(listed(undone)))[:2]
    sql(undone.journal, f"DELETE FROM exception WHERE contact_id = {first}")  # noqa: S608

    def meanwhile() -> None:
        sql(
            undone.journal,
            "INSERT INTO exception (portal_id, contact_id, kind, since)"  # noqa: S608
            f" SELECT portal_id, {first}, kind, since FROM exception WHERE contact_id = {second}",
        )
        sql(
            undone.journal,
            f"UPDATE exception SET released_at = since, released_by = 'time' WHERE contact_id = {second}",  # noqa: S608
        )
        terminal.type("y\n")

    terminal = Terminal(monkeypatch)
    with terminal.person((f"Release {DRIFT - 1} exceptions? [y/N] ", meanwhile)):
        assert undone.run("exceptions", "release", "--all").code == 0
    assert f"Released: {DRIFT - 2} exceptions." in terminal.shown
    assert "1 exception had ended meanwhile." in terminal.shown
    assert in_force(undone) == {first}


def test_a_release_does_not_wait_for_a_run(undone: Desk) -> None:
    """The service may be at work on the same journal: what it has planned stays planned."""
    with hold_lease(undone.journal, SystemClock(), 0):
        assert undone.run("exceptions", "release", "--all", "--yes").code == 0
    assert listed(undone) == []


def test_options_stand_before_or_after_these_commands_too(desk: Desk, portal: Served) -> None:
    """--config says which portal's exceptions are meant; after wins. Those of another one stay."""
    desk.env(PORTAL__WEBHOOK_URL=None)
    text = '[portal]\nname = "{}"\nwebhook_url = "{}"'
    one = str(desk.config(text.format("one", portal.url), "one.toml"))
    two = str(desk.config(text.format("two", portal.url), "two.toml"))
    desk.run("--once", "--yes", "--config", one)
    desk.run("--config", two, "undo", "1", "--yes", "--config", one)

    def left_alone(*arguments: str) -> int:
        return len(desk.run(*arguments, "--json").json["exceptions"])

    assert left_alone("exceptions", "--config", one) == left_alone("--config", one, "exceptions") == DRIFT
    assert left_alone("--config", one, "exceptions", "--config", two) == 0
    assert desk.run("--config", one, "approve", "--config", two, "--json").json["approvals"] == []
    assert desk.run("exceptions", "release", "--all", "--yes", "--json", "--config", two).json["released"] == 0
    assert left_alone("exceptions", "--config", one) == DRIFT


# Add


def drifting(desk: Desk) -> list[int]:
    """Return the contacts that the next run would write."""
    return sorted(row["contact"] for row in desk.run("plan", "--json").json["changes"])


def test_what_is_added_is_left_alone(desk: Desk, portal: Served) -> None:
    """Before the first run, too; nothing is written to the portal, and the list says who added it and why."""
    one, other, *rest = drifting(desk)
    ended = desk.run("exceptions", "add", str(other), str(one), str(one), "--reason", "  key account,\nstays with Ada ")
    assert (ended.code, ended.err, portal.portal.history) == (0, "", [])
    lines = ended.out.splitlines()
    assert lines[0] == "Left alone until released: 2 contacts."
    rows = portal.portal.database.rows("SELECT id, name, last_name, company_id, assigned_by_id FROM contact")
    people = {row["id"]: row for row in rows}
    assert lines[1:] == [f"  {n} {people[n]['name']} {people[n]['last_name']}" for n in (one, other)]
    skipped = desk.run("plan", "--json").json["skipped"]
    assert {row["contact"]: row["reason"] for row in skipped} == {one: "kept", other: "kept"}
    assert desk.run("--once", "--yes", "--json").json["applied"] == len(rest)
    assert portal.portal.drift() == 2
    entry = listed(desk)[-1]
    assert (entry["contact"], entry["kind"], entry["run"], entry["until"]) == (one, "kept", None, None)
    assert entry["detail"] == f"{getuser()}: key account, stays with Ada"
    assert (entry["company"], entry["owner"]) == (people[one]["company_id"], people[one]["assigned_by_id"])
    assert entry["contact_name"] == f"{people[one]['name']} {people[one]['last_name']}"
    released = desk.run("exceptions", "release", "--kind", "kept", "--yes")
    assert released.out == f"Released: 2 exceptions.\n{JUDGED} 2 contacts.\n"
    assert desk.run("--once", "--yes", "--json").json["applied"] == 2


def test_what_was_added_before_stays_as_it_is(desk: Desk) -> None:
    """With its first reason; the answer tells the two apart."""
    desk.run("exceptions", "add", "1", "--reason", "first")
    answer = desk.run("exceptions", "add", "1", "2", "--reason", "second", "--json").json
    assert answer == {"schema": 1, "added": [2], "already": [1], "notes": []}
    assert desk.run("exceptions", "add", "1").out == "Left alone before, and unchanged: contact 1.\n"
    reasons = {one["contact"]: one["detail"].partition(": ")[2] for one in listed(desk)}
    assert reasons == {1: "first", 2: "second"}


def test_a_number_that_is_no_contact_is_refused(desk: Desk) -> None:
    """Nothing is added then, and no journal is made."""
    said = sentence(desk.run("exceptions", "add", "1", "99999", "88888"))
    assert said == "the portal shows no contact 88888, 99999, so nothing is added; correct the numbers"
    assert not desk.journal.exists()


def test_where_the_portal_cannot_be_asked_contacts_are_added_all_the_same(undone: Desk) -> None:
    """The answer says that nobody looked, and why."""
    undone.env(PORTAL__NAME=sql(undone.journal, "SELECT name FROM portal")[0][0], PORTAL__WEBHOOK_URL=None)
    ended = undone.run("exceptions", "add", "99999")
    assert (ended.code, ended.err) == (0, "")
    first, second, third = ended.out.splitlines()
    assert (first, second) == ("Left alone until released: 1 contact.", "  99999")
    assert third.startswith("Nobody looked whether the portal has these contacts: No webhook address is set")
    assert contacts(listed(undone, "--kind", "kept")) == {99999}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x"], "x is no number from 1 on"),
        ([], "Missing argument"),
        (["1", "--reason", "x" * 501], "--reason takes at most 500 characters, and this has 501"),
    ],
    ids=["a word", "nothing", "a long reason"],
)
def test_what_cannot_be_added(arguments: list[str], said: str, desk: Desk) -> None:
    """One sentence, exit code 2."""
    assert said in sentence(desk.run("exceptions", "add", *arguments))


def test_a_reason_is_made_harmless(desk: Desk) -> None:
    """It may hold anything that a shell hands over."""
    desk.run("exceptions", "add", "1", "--reason", "a\x1b[31m\udcff b")
    assert listed(desk)[0]["detail"] == f"{getuser()}: a[31m b"


def test_a_write_under_way_is_said(undone: Desk) -> None:
    """It may arrive after the contact was added."""
    sql(undone.journal, "UPDATE change SET result = NULL, settled_at = NULL WHERE id = 1")
    (number,) = sql(undone.journal, "SELECT contact_id FROM change WHERE id = 1")[0]
    notes = undone.run("exceptions", "add", str(number), "--json").json["notes"]
    assert notes == [f"A write that has left before may still be carried out: contact {number}."]
