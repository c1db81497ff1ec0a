"""Exceptions and approvals, as the journal's own records have them, for people and for scripts."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from report_values import NOON, ORIGIN, names_of_strangers

from reconciler.core.model import Names, Standing
from reconciler.core.policy import PersonEdit
from reconciler.journal.records import ApprovalRecord, ApprovalState, ExceptionRecord, NewException
from reconciler.reporting.approvals import approvals_json, approvals_text
from reconciler.reporting.exceptions import exceptions_json, exceptions_text, setting_notes
from reconciler.reporting.to_json import json_text

USERS = Names(users={2: "Hugo Castro", 3: "Ida Ito"})


@dataclass(frozen=True, kw_only=True)
class Made:
    """An exception with everything known, some of it changed."""

    kind: Standing = Standing.QUARANTINED
    since: datetime = NOON
    expires_at: datetime | None = NOON + timedelta(days=7)
    released_at: datetime | None = None
    released_by: str | None = None
    run: int | None = None
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> ExceptionRecord:
        entry = {"contact": 15, "company": 4, "owner": 3, "last_editor": 2, "last_edited_at": NOON} | self.entry
        return ExceptionRecord(
            id=1,
            kind=self.kind,
            entry=NewException(**entry),
            since=self.since,
            expires_at=self.expires_at,
            released_at=self.released_at,
            released_by=self.released_by,
            run=self.run,
        )


def listed(*made: Made, **options: Any) -> str:
    """Render in UTC."""
    return exceptions_text([one.record for one in made], USERS, zone=UTC, **options)


def test_exceptions_stand_in_a_table_the_newest_first() -> None:
    """Why, since when, until when, who edited last, and how to end one."""
    shown = listed(
        Made(),
        Made(kind=Standing.UNDONE, since=NOON + timedelta(hours=1), expires_at=None, entry={"contact": 16}),
        width=200,
    )
    lines = shown.splitlines()
    assert lines[2].split()[0] == "16"
    assert "our change was taken back" in lines[2]
    assert re.search(
        r"  2026-03-04 13:00  its company gets another owner +by Hugo Castro at 2026-03-04 12:00$", lines[2]
    )
    assert "2026-03-11 12:00, or its company gets another owner" in lines[3]
    assert lines[-1] == "2 contacts: 1 quarantined, 1 undone."
    assert "/crm/" not in shown


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(Made(kind=Standing.KEPT, expires_at=None), " released ", id="until a person says so"),
        pytest.param(Made(expires_at=None, entry={"company": 0}), " released ", id="of no company"),
        pytest.param(Made(kind=Standing.KEPT), " 2026-03-11 12:00  ", id="until a time"),
        pytest.param(
            Made(released_at=NOON, released_by="anna"), " released 2026-03-04 12:00 UTC by anna ", id="released"
        ),
        pytest.param(Made(released_at=NOON), " released 2026-03-04 12:00 UTC  ", id="released by nobody in particular"),
        pytest.param(Made(entry={"last_editor": None}), " 2026-03-04 12:00\n", id="edited by nobody known"),
        pytest.param(Made(entry={"last_editor": 9, "last_edited_at": None}), " by #9\n", id="edited at no known time"),
        pytest.param(Made(entry={"detail": "three times today"}), "back (three times today) ", id="detail"),
    ],
)
def test_an_exception_says_how_it_ends_and_who_was_there_last(made: Made, expected: str) -> None:
    """Last edited, never changed: the portal does not say by whom the owner was."""
    assert expected in listed(made, width=200)


def test_the_last_edit_has_a_column_where_one_is_known() -> None:
    """An undo does not ask who edited a contact."""
    unknown = Made(entry={"last_editor": None, "last_edited_at": None})
    assert "Last edited" not in listed(unknown, width=200)
    assert " ·\n" in listed(unknown, Made(entry={"contact": 16}), width=200)


def test_a_wide_terminal_has_the_cards() -> None:
    """Where the portal's address is known."""
    assert f"{ORIGIN}/crm/contact/details/15/" in listed(Made(), width=160, origin=ORIGIN)
    assert "/crm/" not in listed(Made(), width=100, origin=ORIGIN)


def test_a_narrow_terminal_cuts_nothing_of_an_exception() -> None:
    """Sentences fold."""
    shown = listed(Made(entry={"detail": "three times today"}), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "2026-03-04 12:00" in shown


def test_names_stand_beside_numbers() -> None:
    """A contact and a company that the portal does not show keep theirs; the run stands below the time."""
    names = Names(contacts={15: "Hugo Marin"}, companies={4: "Cedar Supplies"}, users=USERS.users)
    made = [Made(run=7).record, Made(entry={"contact": 16, "company": 9}).record, Made(entry={"company": 0}).record]
    lines = exceptions_text(made, names, zone=UTC, width=200).splitlines()
    assert lines[0].split()[:3] == ["Contact", "Name", "Company"]
    assert re.match(r" +16  · +9  +in quarantine", lines[2])
    assert re.match(r" +15  Hugo Marin +4 Cedar Supplies +in quarantine.*2026-03-04 12:00  ", lines[3])
    assert lines[4].strip() == "run 7"
    assert re.match(r" +15  Hugo Marin +· +in quarantine", lines[5])


def test_a_long_list_is_cut_before_a_question() -> None:
    """What is hidden is counted, and the numbers below are of all."""
    made = [Made(entry={"contact": number}).record for number in range(1, 31)]
    shown = exceptions_text(made, USERS, ["A note."], zone=UTC, most_rows=20)
    assert shown.count("in quarantine") == 20
    assert shown.endswith(
        "\n… and 10 more; `reconciler exceptions --json` lists all\n\n30 contacts: 30 quarantined.\n\nA note.\n"
    )


def test_a_contact_with_two_exceptions_is_one_contact() -> None:
    """The number of each kind is of exceptions."""
    shown = listed(Made(), Made(kind=Standing.KEPT))
    assert shown.endswith("\n2 exceptions of 1 contact: 1 quarantined, 1 kept.\n")


@pytest.mark.parametrize(
    ("kinds", "setting", "said"),
    [
        ({"respected": 2}, PersonEdit.OVERWRITE, "2 contacts are left alone because a person chose this owner while"),
        ({"respected": 1}, PersonEdit.OVERWRITE, "1 contact is left alone because a person chose this owner while"),
        ({"quarantined": 1}, PersonEdit.RESPECT, "1 contact is in quarantine, and policy.person_edit = "),
        ({"respected": 1, "undone": 1}, PersonEdit.RESPECT, ""),
        ({"quarantined": 1, "kept": 1}, PersonEdit.OVERWRITE, ""),
    ],
    ids=lambda value: str(value) if isinstance(value, dict | PersonEdit) else "",
)
def test_what_exceptions_of_another_setting_still_do(kinds: dict[str, int], setting: PersonEdit, said: str) -> None:
    """Said where there are any that the present setting would not make, and nowhere else."""
    notes = setting_notes(kinds, setting)
    assert len(notes) == bool(said)
    assert "".join(notes).startswith(said)


def test_exceptions_for_scripts() -> None:
    """Names beside numbers, times with their zone, null for what there is not."""
    names = Names(contacts={15: "Hugo Marin"}, companies={4: "Cedar Supplies"}, users=USERS.users)
    records = [Made(run=7).record, Made(since=NOON + timedelta(1), expires_at=None, entry={"company": 0}).record]
    document = json.loads(json_text(exceptions_json(records, names, ["A note."])))
    assert document["notes"] == ["A note."]
    assert [one["since"] for one in document["exceptions"]] == [
        "2026-03-05T12:00:00+00:00",
        "2026-03-04T12:00:00+00:00",
    ]
    assert document["exceptions"][1] == {
        "id": 1,
        "contact": 15,
        "contact_name": "Hugo Marin",
        "kind": "quarantined",
        "reason": "in quarantine: somebody keeps changing it back",
        "detail": "",
        "since": "2026-03-04T12:00:00+00:00",
        "run": 7,
        "until": "2026-03-11T12:00:00+00:00",
        "company": 4,
        "company_name": "Cedar Supplies",
        "owner": 3,
        "owner_name": "Ida Ito",
        "last_edited_by": 2,
        "last_edited_by_name": "Hugo Castro",
        "last_edited_at": "2026-03-04T12:00:00+00:00",
        "released_at": None,
        "released_by": None,
    }
    last = document["exceptions"][0]
    assert (last["until"], last["company"], last["company_name"], last["run"]) == (None, None, "", None)


@given(names_of_strangers)
def test_no_name_or_detail_of_an_exception_moves_a_cursor(name: str) -> None:
    """Details may quote the portal."""
    made = Made(entry={"detail": name}, released_at=NOON, released_by=name)
    assert "\x1b" not in exceptions_text(
        [made.record], Names(contacts={15: name}, companies={4: name}, users={2: name}), [name], zone=UTC
    )


def approval(state: ApprovalState, **values: Any) -> ApprovalRecord:
    """Return a refused set of changes."""
    defaults = {
        "id": 1,
        "digest": "0123456789abcdef" * 4,
        "count": 30_000,
        "left": 20_000,
        "numbers": {"changes": 30_000},
        "sentence": "refused by the guard",
        "run": 12,
        "created_at": NOON,
        "approved_at": None,
        "approved_by": None,
        "expires_at": None,
        "closed_at": None,
    }
    return ApprovalRecord(state=state, **(defaults | values))


def test_approvals_stand_in_a_table_the_newest_first() -> None:
    """With the command for the one that waits."""
    approved = {"approved_by": "anna (approve)", "expires_at": NOON + timedelta(days=7), "digest": "ff" * 32}
    found = [
        approval(ApprovalState.APPROVED, run=None, **approved),
        approval(ApprovalState.WAITING, created_at=NOON + timedelta(hours=1)),
    ]
    shown = approvals_text(found, zone=UTC, width=100)
    lines = shown.splitlines()
    assert lines[2] == "0123456789ab  waiting    30,000  20,000   12  2026-03-04 13:00  ·               ·"
    assert (
        lines[3] == "ffffffffffff  approved   30,000  20,000       2026-03-04 12:00  anna (approve)  2026-03-11 12:00"
    )
    assert lines[-1] == "To let the latest through: `reconciler approve 0123456789ab`"
    assert max(map(len, approvals_text(found, zone=UTC, width=80).splitlines())) <= 80
    assert "\x1b[33mwaiting" in approvals_text(found, color=True)


def test_no_approval_waits_where_all_is_done() -> None:
    """Nothing to type, then."""
    assert "reconciler approve" not in approvals_text([approval(ApprovalState.USED)])
    assert approvals_text([]) == "Nothing waits for approval, and no approval is in force.\n"


def test_approvals_for_scripts() -> None:
    """The whole digest, the state as a word, and what the person was shown."""
    document = json.loads(json_text(approvals_json([approval(ApprovalState.USED, approved_at=NOON)])))
    assert document["approvals"] == [
        {
            "digest": "0123456789abcdef" * 4,
            "state": "used",
            "changes": 30_000,
            "left": 20_000,
            "run": 12,
            "created_at": "2026-03-04T12:00:00+00:00",
            "approved_at": "2026-03-04T12:00:00+00:00",
            "approved_by": None,
            "expires_at": None,
            "closed_at": None,
            "sentence": "refused by the guard",
            "numbers": {"changes": 30_000},
        }
    ]
