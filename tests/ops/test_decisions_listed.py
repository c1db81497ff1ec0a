"""Exceptions and approvals, as the journal's own records have them, for people and for scripts."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from report_values import NOON, ORIGIN, names_of_strangers

from reconciler.core.model import Standing
from reconciler.journal.records import ApprovalRecord, ApprovalState, ExceptionRecord, NewException
from reconciler.ops.answers import json_text
from reconciler.ops.decisions import approvals_json, approvals_text, exceptions_json, exceptions_text

USERS = {2: "Hugo Castro", 3: "Ida Ito"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """An exception with everything known, some of it changed."""

    kind: Standing = Standing.QUARANTINED
    since: datetime = NOON
    expires_at: datetime | None = NOON + timedelta(days=7)
    released_at: datetime | None = None
    released_by: str | None = None
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
    assert lines[-1] == "2 contacts; `reconciler exceptions release 16` lets contact 16 be corrected again."
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
        pytest.param(Made(entry={"last_editor": None, "last_edited_at": None}), " ·\n", id="never edited"),
        pytest.param(Made(entry={"detail": "three times today"}), "back (three times today) ", id="detail"),
    ],
)
def test_an_exception_says_how_it_ends_and_who_was_there_last(made: Made, expected: str) -> None:
    """Last edited, never changed: the portal does not say by whom the owner was."""
    assert expected in listed(made, width=200)


def test_a_wide_terminal_has_the_cards() -> None:
    """Where the portal's address is known."""
    assert f"{ORIGIN}/crm/contact/details/15/" in listed(Made(), width=160, origin=ORIGIN)
    assert "/crm/" not in listed(Made(), width=100, origin=ORIGIN)


def test_a_narrow_terminal_cuts_nothing_of_an_exception() -> None:
    """Sentences fold."""
    shown = listed(Made(entry={"detail": "three times today"}), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "2026-03-04 12:00" in shown


def test_no_exception_says_so() -> None:
    """An empty table would look like a mistake."""
    assert listed() == "No contact is left alone for a reason of its own.\n"
    assert exceptions_json([], {}) == {"schema": 1, "exceptions": []}


def test_exceptions_for_scripts() -> None:
    """Names beside numbers, times with their zone, null for what there is not."""
    records = [Made().record, Made(since=NOON + timedelta(1), expires_at=None, entry={"company": 0}).record]
    document = json.loads(json_text(exceptions_json(records, USERS)))
    assert [one["since"] for one in document["exceptions"]] == [
        "2026-03-05T12:00:00+00:00",
        "2026-03-04T12:00:00+00:00",
    ]
    assert document["exceptions"][1] == {
        "id": 1,
        "contact": 15,
        "kind": "quarantined",
        "reason": "in quarantine: somebody keeps changing it back",
        "detail": "",
        "since": "2026-03-04T12:00:00+00:00",
        "until": "2026-03-11T12:00:00+00:00",
        "company": 4,
        "owner": 3,
        "owner_name": "Ida Ito",
        "last_edited_by": 2,
        "last_edited_by_name": "Hugo Castro",
        "last_edited_at": "2026-03-04T12:00:00+00:00",
        "released_at": None,
        "released_by": None,
    }
    assert (document["exceptions"][0]["until"], document["exceptions"][0]["company"]) == (None, None)


@given(names_of_strangers)
def test_no_name_or_detail_of_an_exception_moves_a_cursor(name: str) -> None:
    """Details may quote the portal."""
    made = Made(entry={"detail": name}, released_at=NOON, released_by=name)
    assert "\x1b" not in exceptions_text([made.record], {2: name}, zone=UTC)


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
