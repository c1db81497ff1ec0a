"""What a plan says of itself before anybody acts on it."""

from dataclasses import replace

import pytest
from report_values import a_plan, a_snapshot

from reconciler.core.model import Change, User
from reconciler.core.plan import Plan
from reconciler.core.rules.undo import Left, Obstacle
from reconciler.reporting.notes import left_lines, plan_notes, unrestorable_note

USERS = {
    1: User(id=1, name="Ida", active=True, employee=True),
    2: User(id=2, name="Hugo", active=False, employee=True),
    3: User(id=3, name="Bot", active=True, employee=False),
}


def plan(*before: int) -> Plan:
    """Return a plan whose contacts have these owners now."""
    made = [Change(contact=k, company=4, before=owner, after=9) for k, owner in enumerate(before, 1)]
    return Plan(portal="acme", changes=tuple(made), skips=())


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param((1, 1), "", id="all can go back"),
        pytest.param((), "", id="an empty plan"),
        pytest.param(
            (0, 1),
            "1 of these 2 changes could not be put back by an undo: 1 has no owner now, and Bitrix24 cannot empty one.",
            id="nobody before",
        ),
        pytest.param(
            (2, 3, 77, 1),
            "3 of these 4 changes could not be put back by an undo: 3 have an owner who is dismissed or no employee.",
            id="unfit before",
        ),
        pytest.param(
            (0, 0, 2, 1),
            "3 of these 4 changes could not be put back by an undo: 2 have no owner now, and Bitrix24 cannot empty "
            "one; 1 has an owner who is dismissed or no employee.",
            id="both",
        ),
    ],
)
def test_a_plan_says_what_could_not_be_put_back(before: tuple[int, ...], expected: str) -> None:
    """Before the first write, when it can still be read."""
    assert unrestorable_note(plan(*before), USERS) == expected


def test_the_note_stands_in_the_plan() -> None:
    """Where the users are known; else another note says that they are not."""
    snapshot = a_snapshot()
    shown = list(plan_notes(plan(0), snapshot))
    assert len(shown) == 3
    assert shown[1].startswith("1 of these 1 changes")
    assert not any("put back" in note for note in plan_notes(plan(0), replace(snapshot, users=None)))
    assert not any("put back" in note for note in a_plan(3).notes)


def test_what_an_undo_leaves_is_a_line_for_each_reason() -> None:
    """However many contacts there are: the first ten are named."""
    gone, back = (
        [Left(change=change, obstacle=obstacle) for change in plan(*[1] * count).changes]
        for obstacle, count in ((Obstacle.GONE, 1), (Obstacle.TAKEN_BACK, 1_340))
    )
    assert list(left_lines([*gone, *back])) == [
        "  contact 1: the contact is deleted or no longer visible",
        "  1,340 contacts (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …): this change was taken back already",
    ]
    assert list(left_lines(back[:2])) == ["  2 contacts (1, 2): this change was taken back already"]
