"""Commands by which people decide: approve and undo; and what a refused run says on the way there."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import RUN_KEYS, SMALL, Terminal

from reconciler.clock import SystemClock
from reconciler.journal.lease import hold_lease

if TYPE_CHECKING:
    from pathlib import Path

    from support.command_line import Desk, Ended, Served

DRIFT = SMALL.drifted
#: Fewer than the drift, so that the guard refuses.
FEW = str(DRIFT // 2)


@pytest.fixture
def strict(desk: Desk) -> Desk:
    """Give a desk whose guard holds back all of the portal's drift, and what comes later."""
    desk.env(GUARD__CHANGES=FEW, GUARD__SHARE="0.0001", GUARD__SHARE_FROM="0")
    return desk


def planned(desk: Desk) -> dict[str, Any]:
    """Return the plan."""
    document: dict[str, Any] = desk.run("plan", "--json").json
    return document


def refused(desk: Desk) -> str:
    """Let the guard refuse a run; return the digest."""
    ended = desk.run("--once", "--yes", "--json")
    assert ended.code == 3
    return str(ended.json["refusal"]["digest"])


def sentence(ended: Ended) -> str:
    """Return the one sentence that a mistake gets: exit code 2, nothing on standard output."""
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    return ended.err.removeprefix("reconciler: ").strip()


def move(portal: Served, contacts: int) -> list[int]:
    """Let somebody give so many contacts to another colleague than their company's owner."""
    rows = portal.portal.database.connection.execute(
        "SELECT contact.id, company.assigned_by_id AS owner FROM contact JOIN company ON company.id = company_id"
        " WHERE contact.assigned_by_id = owner AND is_my_company = 'N' AND contact.category_id = 0"
        " AND company.category_id = 0 ORDER BY contact.id DESC LIMIT ?",
        (contacts,),
    ).fetchall()
    for contact, owner in rows:
        portal.portal.people.edit_contact(contact, 1, assigned_by_id=3 if owner != 3 else 4)
    return [contact for contact, _ in rows]


def owner_of(portal: Served, contact: int) -> int:
    """Return who owns a contact."""
    row = portal.portal.database.row("SELECT assigned_by_id FROM contact WHERE id = ?", (contact,))
    assert row is not None
    return int(row["assigned_by_id"])


def sql(journal: Path, statement: str) -> None:
    """Change a journal behind the program's back."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(statement)


# A refused run


def test_a_refused_run_writes_nothing_and_says_the_way_out(strict: Desk, portal: Served) -> None:
    """Exit code 3, where nobody is to be asked; numbers, limit and people in one sentence."""
    ended = strict.run("--once", "--yes")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert ended.out.startswith(f"Refused, nothing written: {DRIFT} contacts would change; ")
    assert f"{DRIFT} contacts would get another owner (limit {FEW})" in ended.err
    assert f"reconciler approve {planned(strict)['digest'][:12]}" in ended.err
    assert portal.portal.history == []


def test_a_refused_run_is_an_object_too(strict: Desk, portal: Served) -> None:
    """With what a script needs to approve it."""
    ended = strict.run("--once", "--yes", "--json")
    assert (ended.code, ended.err, portal.portal.history) == (3, "", [])
    assert ended.json.keys() == RUN_KEYS | {"error", "refusal"}
    assert (ended.json["schema"], ended.json["status"], ended.json["applied"]) == (1, "refused", 0)
    assert ended.json["refusal"]["limits"][0] == {"limit": "changes", "number": DRIFT, "allowed": int(FEW)}
    assert (ended.json["refusal"]["changes"], ended.json["refusal"]["passing"]) == (DRIFT, 0)
    assert ended.json["refusal"]["digest"] == planned(strict)["digest"]


def test_yes_answers_a_question_and_lifts_no_guard(strict: Desk, portal: Served) -> None:
    """--yes is for the ordinary case."""
    assert strict.run("--once", "--yes").code == 3
    assert portal.portal.history == []


def test_a_plan_says_that_a_run_would_be_refused(strict: Desk) -> None:
    """In text and JSON; exit code 0, because the plan is what was asked for."""
    document = planned(strict)
    (note,) = [note for note in document["notes"] if note.startswith("A run would be refused by the guard: ")]
    assert f"{DRIFT} contacts would get another owner (limit {FEW})" in note
    assert note.endswith(f"reconciler --once --approve {document['digest'][:12]}.")
    assert "A run would be refused" in strict.run("plan").out
    strict.env(GUARD__CHANGES=None, GUARD__SHARE=None)
    assert "would be refused" not in strict.run("plan").out


def test_a_plan_knows_what_was_approved(strict: Desk) -> None:
    """Nothing of it would be refused any more."""
    strict.run("approve", refused(strict), "--yes")
    assert "would be refused" not in strict.run("plan").out


# approve


def test_what_waits_is_listed(strict: Desk) -> None:
    """As a table with the next step, and as JSON with the numbers that a person was shown."""
    digest = refused(strict)
    shown = strict.run("approve")
    assert (shown.code, shown.err) == (0, "")
    assert f"{digest[:12]}  waiting" in shown.out
    assert f"`reconciler approve {digest[:12]}`" in shown.out
    document = strict.run("--json", "approve").json
    assert document["schema"] == 1
    (found,) = document["approvals"]
    assert (found["digest"], found["state"], found["changes"], found["run"]) == (digest, "waiting", DRIFT, 1)
    assert found["numbers"]["limits"][0]["number"] == DRIFT


def test_nothing_waits(desk: Desk) -> None:
    """After runs that the guard let pass."""
    desk.run("--once", "--yes")
    assert desk.run("approve").out == "Nothing waits for approval, and no approval is in force.\n"
    assert desk.run("approve", "--json").json == {"schema": 1, "approvals": []}


def test_what_was_approved_goes_through(strict: Desk, portal: Served) -> None:
    """The next run does it, without a question; then it is used up."""
    digest = refused(strict)
    ended = strict.run("approve", digest[:12], "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{DRIFT} changes ({digest[:12]}) will go through with the next run until ")
    assert strict.run("--once", "--yes").code == 0
    assert portal.portal.drift() == 0
    assert "its changes are done, or not wanted any more" in sentence(strict.run("approve", digest, "--yes"))


def test_the_answer_to_an_approval_is_an_object_too(strict: Desk) -> None:
    """Digest, state and number of changes."""
    digest = refused(strict)
    assert strict.run("approve", digest[:12].upper(), "--yes", "--json").json == {
        "schema": 1,
        "digest": digest,
        "state": "approved",
        "changes": DRIFT,
        "left": DRIFT,
    }


def test_what_came_later_is_guarded_as_usual(strict: Desk, portal: Served) -> None:
    """Approval is of changes: those go through, a new pile waits, and the exit code says so."""
    strict.run("approve", refused(strict), "--yes")
    moved = move(portal, 2 * DRIFT)
    ended = strict.run("--once", "--yes", "--json")
    assert (ended.code, ended.json["status"], ended.json["applied"]) == (3, "refused", DRIFT)
    assert ended.json["refusal"]["changes"] > int(FEW)
    assert {row["contact"] for row in planned(strict)["changes"]} <= {*moved}
    assert len({edit.id for edit in portal.portal.history if edit.source == "rest"}) == DRIFT


def test_an_approval_can_be_taken_back(strict: Desk, portal: Served) -> None:
    """Then the next run is refused; what was withdrawn cannot be approved."""
    digest = refused(strict)
    strict.run("approve", digest, "--yes")
    ended = strict.run("approve", digest[:12], "--withdraw")
    assert (ended.code, ended.out) == (
        0,
        f"{DRIFT} changes ({digest[:12]}) will not go through without another approval.\n",
    )
    assert "it was withdrawn" in sentence(strict.run("approve", digest, "--yes"))
    assert (strict.run("--once", "--yes").code, portal.portal.history) == (3, [])


def test_an_approval_expires(strict: Desk, portal: Served) -> None:
    """After guard.approval_days."""
    digest = refused(strict)
    strict.env(GUARD__APPROVAL_DAYS="0.0000001")
    assert strict.run("approve", digest, "--yes").code == 0
    assert (strict.run("--once", "--yes").code, portal.portal.history) == (3, [])
    digest = refused(strict)
    sql(strict.journal, "UPDATE approval SET state = 'expired', closed_at = '2026-01-01 00:00:00.000000'")
    assert "it has expired" in sentence(strict.run("approve", digest, "--yes"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["abcdefabcdef"], "abcdefabcdef cannot be approved: no changes with this digest were held back here"),
        (["abcdefabcdef", "--withdraw"], "abcdefabcdef cannot be withdrawn: no changes with this digest"),
        (["fedcba"], "no changes with this digest were held back here; `reconciler approve` lists what waits"),
        (["abc"], "abc cannot be approved: a digest needs at least its first 6 characters"),
        (["--withdraw"], "--withdraw needs the digest"),
    ],
    ids=["unknown", "unknown to withdraw", "the next step", "too short", "none to withdraw"],
)
def test_a_digest_that_cannot_be_meant(arguments: list[str], told: str, strict: Desk) -> None:
    """One sentence, exit code 2; with --json the same as an object."""
    refused(strict)
    assert told in sentence(strict.run("approve", *arguments, "--yes"))
    document = strict.run("approve", *arguments, "--yes", "--json").json
    assert (document["schema"], document["exit_code"]) == (1, 2)
    assert told in document["error"]


@pytest.mark.parametrize(
    "arguments",
    [["approve"], ["approve", "abcdefabcdef", "--yes"], ["exceptions"], ["exceptions", "release", "1", "--yes"]],
    ids=["approve", "approve a digest", "exceptions", "release"],
)
def test_where_there_was_no_run_there_is_nothing_to_decide(arguments: list[str], desk: Desk) -> None:
    """Said so, and no journal is made by asking."""
    ended = desk.run(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert "There was no run yet" in ended.err
    assert not desk.journal.exists()


# --once --approve


@pytest.mark.parametrize("refused_before", [False, True], ids=["of the plan", "of a refusal"])
def test_a_run_approves_what_was_shown(refused_before: bool, strict: Desk, portal: Served) -> None:
    """With the digest of `plan --json`, or of a run that was refused."""
    digest = refused(strict) if refused_before else planned(strict)["digest"]
    ended = strict.run("--once", "--yes", "--approve", digest[:12], "--json")
    assert (ended.code, ended.json["status"], ended.json["applied"]) == (0, "applied", DRIFT)
    assert portal.portal.drift() == 0


def test_a_run_approves_nothing_else(strict: Desk, portal: Served) -> None:
    """A digest that is not this plan's, nor of anything refused."""
    told = sentence(strict.run("--once", "--yes", "--approve", "abcdefabcdef"))
    assert told.startswith("abcdefabcdef cannot be approved: no changes with this digest were held back here")
    assert portal.portal.history == []
    ended = strict.run("--once", "--yes", "--approve", "abcdefabcdef", "--json")
    assert (ended.code, ended.json["status"], portal.portal.history) == (2, "failed", [])


def test_approve_goes_with_once(desk: Desk) -> None:
    """The service takes approvals from the journal."""
    assert "--approve goes with --once" in sentence(desk.run("--approve", "abcdefabcdef"))


# The question


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 3)], ids=["yes", "no"])
def test_a_refusal_is_shown_above_the_question(
    typed: str, code: int, strict: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the guard's numbers stand below the plan; a yes approves just this."""
    question = f"Let them through, and change the owner of {DRIFT} contacts now? [y/N] "
    terminal = Terminal(monkeypatch)
    with terminal.person((question, typed)):
        ended = strict.run("--once")
    assert (ended.code, portal.portal.drift()) == (code, DRIFT if code else 0)
    shown = terminal.shown
    assert shown.index("Plan for") < shown.index("The guard stops this plan.") < shown.index(question)
    with closing(sqlite3.connect(strict.journal)) as connection:
        states = connection.execute("SELECT state FROM approval").fetchall()
    assert states == [("waiting" if code else "used",)]


def test_an_undo_asks_and_shows_what_it_puts_back(desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no leaves all as it is."""
    desk.run("--once", "--yes")
    terminal = Terminal(monkeypatch)
    with terminal.person(("[y/N] ", "n\n")):
        ended = desk.run("undo", "1")
    assert (ended.code, portal.portal.drift()) == (3, 0)
    assert "Undo of run 1 of 127.0.0.1" in terminal.shown
    assert f"Refused, nothing written: {DRIFT} contacts would be put back" in terminal.shown


# undo


def test_a_run_is_taken_back(desk: Desk, portal: Served) -> None:
    """Every contact has its old owner, and the next sweep leaves them alone."""
    before = {row["contact"]: row["before"] for row in planned(desk)["changes"]}
    desk.run("--once", "--yes")
    ended = desk.run("undo", "1", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{DRIFT} of {DRIFT} contacts put back; ")
    assert {contact: owner_of(portal, contact) for contact in before} == before
    again = desk.run("--once", "--yes", "--json").json
    assert (again["status"], again["applied"], again["reasons"]) == ("in_sync", 0, {"undone": DRIFT})
    assert [run["command"] for run in desk.run("runs", "--json").json["runs"]] == ["once", "undo", "once"]


def test_an_undo_is_an_object_too(desk: Desk) -> None:
    """A run's keys, and what is left as it is."""
    desk.run("--once", "--yes")
    document = desk.run("undo", "1", "--json", "--yes").json
    assert document.keys() == RUN_KEYS | {"left"}
    assert (document["schema"], document["run"], document["applied"], document["left"]) == (1, 2, DRIFT, [])


def test_what_somebody_changed_since_is_left_and_listed(desk: Desk, portal: Served) -> None:
    """In the answer, with the reason; the rest is put back."""
    rows = planned(desk)["changes"]
    touched, gone = rows[0]["contact"], rows[1]["contact"]
    desk.run("--once", "--yes")
    portal.portal.people.edit_contact(touched, 1, assigned_by_id=1)
    portal.portal.people.delete_contact(gone)
    ended = desk.run("undo", "1", "--yes")
    first, *listed = ended.out.splitlines()
    assert first.startswith(f"{DRIFT - 2} of {DRIFT - 2} contacts put back; 2 left as they are; ")
    assert sorted(listed) == sorted(
        [
            f"  contact {touched}: somebody has changed the contact since",
            f"  contact {gone}: the contact is deleted or no longer visible",
        ]
    )
    assert (ended.code, owner_of(portal, touched)) == (0, 1)


def test_an_undo_of_what_was_all_changed_since(desk: Desk, portal: Served) -> None:
    """Nothing is put back, and that is no mistake."""
    row = planned(desk)["changes"][0]
    desk.run("--once", "--yes", "--limit", "1")
    portal.portal.people.edit_contact(row["contact"], 1, assigned_by_id=1)
    ended = desk.run("undo", "1", "--yes")
    assert (ended.code, owner_of(portal, row["contact"])) == (0, 1)
    assert ended.out.startswith("Nothing put back; 1 left as it is; ")
    document = desk.run("undo", "1", "--json", "--yes").json
    assert (document["status"], document["left"][0]["reason"]) == ("in_sync", "changed_since")


def test_one_contact_or_one_company_is_taken_back(desk: Desk, portal: Served) -> None:
    """`--contact` and `--company` reach over all runs, or into the one that is named."""
    rows = planned(desk)["changes"]
    desk.run("--once", "--yes")
    one = rows[0]
    assert desk.run("undo", "--contact", str(one["contact"]), "--yes", "--json").json["applied"] == 1
    assert owner_of(portal, one["contact"]) == one["before"]
    others = [row for row in rows if row["company"] != one["company"]]
    company = others[0]["company"]
    wanted = [row for row in others if row["company"] == company]
    assert desk.run("undo", "1", "--company", str(company), "--yes", "--json").json["applied"] == len(wanted)
    assert {owner_of(portal, row["contact"]) for row in wanted} == {row["before"] for row in wanted}
    assert portal.portal.drift() == 1 + len(wanted)


def test_an_undo_is_guarded(desk: Desk, portal: Served) -> None:
    """It is a write like any other: what passes is put back, and --approve lets the rest through."""
    desk.run("--once", "--yes")
    desk.env(GUARD__CHANGES=FEW)
    ended = desk.run("undo", "1", "--json", "--yes")
    document = ended.json
    held, passing = document["refusal"]["changes"], document["refusal"]["passing"]
    assert (held + passing, document["applied"], portal.portal.drift()) == (DRIFT, passing, passing)
    assert (ended.code, document["status"], held > 0) == (3, "refused", True)
    digest = document["refusal"]["digest"]
    assert desk.run("undo", "1", "--approve", digest[:12], "--yes").code == 0
    assert portal.portal.drift() == DRIFT


def test_an_approved_undo_goes_on_when_it_is_asked_for_again(desk: Desk, portal: Served) -> None:
    """No sweep carries it, and the answer says so."""
    desk.run("--once", "--yes")
    desk.env(GUARD__CHANGES=FEW)
    digest = desk.run("undo", "1", "--json", "--yes").json["refusal"]["digest"]
    assert "will go through when the undo is asked for again until " in desk.run("approve", digest, "--yes").out
    passed = portal.portal.drift()
    assert desk.run("--once", "--yes").code == 0
    assert portal.portal.drift() == passed < DRIFT
    assert desk.run("undo", "1", "--yes").code == 0
    assert portal.portal.drift() == DRIFT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["2"], "the journal knows no change of ours there"),
        (["3"], "there is no such run of this portal"),
        (["99"], "there is no such run of this portal"),
        (["--contact", "999999"], "the journal knows no change of ours there"),
        (["--company", "999999"], "the journal knows no change of ours there"),
        ([], "say what: a run's number, `latest`, --contact or --company"),
        (["0"], "a run is a number from 1 on, or `latest`; 0 is neither"),
        (["late"], "a run is a number from 1 on, or `latest`; late is neither"),
    ],
    ids=["wrote nothing", "its own number", "unknown", "contact", "company", "nothing", "zero", "a word"],
)
def test_an_undo_of_what_cannot_be_meant(arguments: list[str], told: str, desk: Desk, portal: Served) -> None:
    """One sentence, exit code 2, nothing written."""
    desk.run("--once", "--yes")
    desk.run("--once", "--yes")
    assert told in sentence(desk.run("undo", *arguments, "--yes"))
    assert portal.portal.drift() == 0
    ended = desk.run("undo", *arguments, "--json", "--yes")
    assert (ended.code, ended.json["schema"]) == (2, 1)
    assert ended.json["error"]


def test_an_undo_of_a_run_that_is_not_kept(desk: Desk) -> None:
    """The journal was pruned."""
    desk.run("--once", "--yes")
    desk.run("--once", "--yes")
    sql(desk.journal, "DELETE FROM change")
    sql(desk.journal, "DELETE FROM run WHERE id = 1")
    assert "so old that the journal does not keep it any more" in sentence(desk.run("undo", "1", "--yes"))


def test_an_undo_of_a_run_that_is_under_way(desk: Desk, portal: Served) -> None:
    """It holds the lease, so the undo waits for a minute, then says so: exit code 5."""
    desk.run("--once", "--yes")
    desk.hurry()
    with hold_lease(desk.journal, SystemClock(), 0):
        ended = desk.run("undo", "1", "--yes")
    assert (ended.code, ended.out, ended.err.count("\n"), portal.portal.drift()) == (5, "", 1, 0)


# plan --standing


def test_the_work_list_of_what_is_left_alone(desk: Desk, portal: Served) -> None:
    """Whose companies need another owner, as CSV: on standard output, or in a file for a spreadsheet."""
    dismissed = planned(desk)["changes"][0]["after"]
    portal.portal.database.connection.execute("UPDATE user SET active = 0 WHERE id = ?", (dismissed,))
    skipped = planned(desk)["skipped"]
    ended = desk.run("plan", "--standing")
    assert (ended.code, ended.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert {row["contact_id"] for row in rows} == {str(row["contact"]) for row in skipped} != set()
    assert {row["reason"] for row in rows} == {"the company's owner is dismissed"}
    assert {row["company_owner_id"] for row in rows} == {str(dismissed)}
    assert desk.run("plan", "--standing", "--output", "work.html").out == ""
    assert (desk.folder / "work.html").read_text(encoding="utf-8-sig") == ended.out


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "html"]], ids=["--json", "--format"])
def test_the_work_list_has_one_shape(arguments: list[str], desk: Desk) -> None:
    """Whoever asks for another one is told."""
    assert (
        "--standing writes CSV"
        in desk.run("plan", "--standing", *arguments).out + desk.run("plan", "--standing", *arguments).err
    )


# What is held back in part


def test_the_rest_of_a_run_is_written(desk: Desk, portal: Served) -> None:
    """Exit code 3; the answer says how many, and the sentence which, why, and what to do."""
    desk.env(GUARD__CHANGES=FEW)
    ended = desk.run("--once", "--yes")
    left = portal.portal.drift()
    assert 0 < left < DRIFT
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert ended.out.startswith(f"{DRIFT - left} of {DRIFT} contacts corrected, {left} held back by the guard; ")
    assert f"{DRIFT} contacts would get another owner (limit {FEW}), and {left} of them wait for approval" in ended.err
    digest = ended.err.strip()[-12:]
    assert desk.run("approve", "--json").json["approvals"][0]["digest"].startswith(digest)
    assert desk.run("--once", "--yes").code == 3
    assert portal.portal.drift() == left


def test_a_run_that_wrote_a_part_says_so(desk: Desk, portal: Served) -> None:
    """In the list and in its document; the word of scripts stays."""
    desk.env(GUARD__CHANGES=FEW)
    desk.run("--once", "--yes")
    left = portal.portal.drift()
    assert " held back in part " in desk.run("runs").out
    assert "Status held back in part " in " ".join(desk.run("show", "1").out.split())
    assert desk.run("show", "1", "--json").json["status"] == "refused"
    desk.run("--once", "--yes")
    latest = " ".join(desk.run("show", "latest").out.split())
    assert "Status refused " in latest
    assert f"{left} contacts would get another owner" in latest


def test_a_plan_says_what_a_run_would_hold_back(desk: Desk, portal: Served) -> None:
    """First nothing of it waits; then what waits is told from what a limit would hold back now."""
    desk.env(GUARD__CHANGES=FEW)
    first = desk.run("plan", "--json").json["notes"][-1]
    desk.run("--once", "--yes")
    left = portal.portal.drift()
    assert first.startswith("A run would be held back in part by the guard: ")
    assert f", and {left} of them would wait for approval; " in first
    desk.env(GUARD__CHANGES=None)
    note = desk.run("plan", "--json").json["notes"][-1]
    assert note.startswith(
        f"A run would not write what was held back by the guard in an earlier run: {left} contacts would get"
    )


def test_a_run_whose_changes_are_not_kept_says_so(strict: Desk) -> None:
    """After they were written: the run's document has nothing to list."""
    digest = refused(strict)
    sentence = "The journal does not keep the changes any more that were held back in this run."
    assert sentence not in strict.run("show", "1", "--json").json["notes"]
    strict.run("--once", "--yes", "--approve", digest)
    assert strict.run("show", "1", "--json").json["notes"] == [sentence]
    assert strict.run("show", "latest", "--json").json["notes"] == []


def test_what_is_withdrawn_is_what_was_left(strict: Desk, portal: Served) -> None:
    """What is written stays, and is not counted."""
    digest = refused(strict)
    strict.run("approve", digest, "--yes")
    strict.run("--once", "--yes", "--limit", "3")
    left = portal.portal.drift()
    assert left == DRIFT - 3
    ended = strict.run("approve", digest, "--withdraw", "--json")
    assert (ended.json["changes"], ended.json["left"], ended.json["state"]) == (DRIFT, left, "withdrawn")


def test_a_set_that_is_over_is_shown_and_not_called_done(
    strict: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No question, and no word of what was written: nothing was."""
    digest = refused(strict)
    strict.run("approve", digest, "--withdraw")
    terminal = Terminal(monkeypatch)
    with terminal.person():
        ended = strict.run("approve", digest)
    assert (ended.code, portal.portal.history) == (2, [])
    shown = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).split())
    assert f"State withdrawn Changes {DRIFT} Digest" in shown
    assert "The journal does not keep these changes any more." in shown
    assert "already right" not in shown


@pytest.mark.parametrize(("second", "code"), [("y\n", 0), ("n\n", 3)], ids=["all", "what passes"])
def test_somebody_is_asked_for_each_part(
    second: str, code: int, desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First for what the guard lets pass, then for what it holds back."""
    desk.env(GUARD__CHANGES=FEW)
    held = desk.run("plan", "--json").json["notes"][-1].partition(", and ")[2].partition(" ")[0]
    passing = DRIFT - int(held)
    one, other = f"Change the owner of {passing} contacts now? [y/N] ", f"Let the {held} that are held back through"
    terminal = Terminal(monkeypatch)
    with terminal.person((one, "y\n"), (other, second)):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (code, int(held) if code else 0)
    assert f"The guard holds back {held} of {DRIFT} changes." in terminal.shown


def test_a_no_to_the_first_question_is_no_second_one(
    desk: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written."""
    desk.env(GUARD__CHANGES=FEW)
    terminal = Terminal(monkeypatch)
    with terminal.person(("[y/N] ", "n\n")):
        ended = desk.run("--once")
    assert (ended.code, portal.portal.drift()) == (3, DRIFT)
    assert terminal.shown.count("[y/N]") == 1


# What is approved is shown


def wanted(portal: Served) -> set[tuple[int, int, int, int]]:
    """Return contact, company, owner and wanted owner of what drifts, by the portal's own tables."""
    rows = portal.portal.database.rows(
        "SELECT contact.id, company_id, contact.assigned_by_id AS now, company.assigned_by_id AS wanted FROM contact"
        " JOIN company ON company.id = company_id WHERE contact.assigned_by_id <> company.assigned_by_id"
        " AND is_my_company = 'N' AND contact.category_id = 0 AND company.category_id = 0"
    )
    return {(row["id"], row["company_id"], row["now"], row["wanted"]) for row in rows}


def test_a_run_shows_what_was_held_back_in_it(strict: Desk, portal: Served) -> None:
    """Each change, in text and as JSON; the journal holds it, and so does the portal."""
    refused(strict)
    document = strict.run("show", "latest", "--json").json
    rows = document["changes"]
    assert {(row["contact"], row["company"], row["before"], row["after"]) for row in rows} == wanted(portal)
    assert {row["result"] for row in rows} == {"held_back"}
    shown = strict.run("show", "1").out
    assert shown.count("held_back") == DRIFT
    assert f"reconciler approve {planned(strict)['digest'][:12]}" in shown


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 3)], ids=["yes", "no"])
def test_an_approval_shows_the_changes_and_asks(
    typed: str, code: int, strict: Desk, portal: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal; a no approves nothing."""
    digest = refused(strict)
    terminal = Terminal(monkeypatch)
    with terminal.person((f"Let {DRIFT} changes through? [y/N] ", typed)):
        ended = strict.run("approve", digest)
    assert ended.code == code
    contacts = [contact for contact, *_ in wanted(portal)]
    assert all(f"{contact}" in terminal.shown for contact in contacts)
    assert "Changes that the guard held back on " in terminal.shown
    assert ("Nothing is approved." in terminal.shown) == (code == 3)
    with closing(sqlite3.connect(strict.journal)) as connection:
        states = connection.execute("SELECT state FROM approval").fetchall()
    assert states == [("waiting" if code else "approved",)]


def test_an_approval_without_a_yes(strict: Desk) -> None:
    """Exit code 2, and the sentence says what to add; nothing is approved."""
    digest = refused(strict)
    assert "there is no terminal to ask on; add --yes" in sentence(strict.run("approve", digest))
    assert strict.run("approve", "--json").json["approvals"][0]["state"] == "waiting"


def test_a_set_that_was_written_is_not_listed(strict: Desk, portal: Served) -> None:
    """Nothing of it is left, so nothing waits, and nobody can approve it."""
    digest = refused(strict)
    assert strict.run("--once", "--yes", "--approve", digest).code == 0
    assert strict.run("approve").out == "Nothing waits for approval, and no approval is in force.\n"
    assert "its changes are done, or not wanted any more" in sentence(strict.run("approve", digest, "--yes"))
    assert portal.portal.drift() == 0
