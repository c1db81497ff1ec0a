"""What the guard says: numbers, limits, names, and the next step, whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from report_values import names_of_strangers

from reconciler.core.guard import Breach, GuardLimits, Limit, Population, Verdict, breaches
from reconciler.core.model import Cause, Change
from reconciler.core.sanitize import display
from reconciler.reporting.refusal import refusal_json, refusal_sentence, refusal_text, stored_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST = "0123456789abcdef" * 4
NAMES = {1: "Ida Ito", 2: "Hugo Castro", 3: "Max Okafor"}


def changes(number: int, *, before: int = 2, after: int = 1) -> list[Change]:
    """Return so many changes."""
    return [Change(contact=k, company=4, before=before, after=after) for k in range(1, number + 1)]


def verdict(found: Sequence[Breach], some: Sequence[Change], passing: Sequence[Change] = ()) -> Verdict:
    """Return what the guard says."""
    return Verdict(passing=tuple(passing), held=tuple(some), breaches=tuple(found))


def breach(limit: Limit, number: float, allowed: float, person: int = 0) -> Breach:
    """Return one limit that was passed."""
    return Breach(limit=limit, number=number, allowed=allowed, person=person)


CHANGES = breach(Limit.CHANGES, 3000, 1000)
SHARE = breach(Limit.SHARE, 0.3, 0.1)
COMPANIES = breach(Limit.COMPANIES, 0.4, 0.2)
GAINED = breach(Limit.GAINED, 2000, 500, 1)
LOST = breach(Limit.LOST, 1900, 500, 2)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            [CHANGES],
            "3,000 contacts would get another owner (limit 1,000); Ida Ito would gain the most (3,000) and Hugo Castro "
            "would lose the most (3,000)",
            id="too many",
        ),
        pytest.param(
            [SHARE, GAINED],
            "3,000 contacts would get another owner; that is 30.0% of the linked contacts (limit 10%); Ida Ito would "
            "gain the most (2,000, limit 500) and Hugo Castro would lose the most (3,000)",
            id="a share, and one who gains",
        ),
        pytest.param(
            [CHANGES, SHARE, COMPANIES, GAINED, LOST],
            "3,000 contacts would get another owner (limit 1,000); that is 30.0% of the linked contacts (limit 10%); "
            "40.0% of the companies known before are missing (limit 20%); Ida Ito would gain the most (2,000, limit "
            "500) and Hugo Castro would lose the most (1,900, limit 500)",
            id="everything",
        ),
        pytest.param(
            [GAINED, breach(Limit.GAINED, 700, 500, 3), LOST, breach(Limit.LOST, 600, 500, 3)],
            "3,000 contacts would get another owner; Ida Ito would gain the most (2,000, limit 500) and Hugo Castro "
            "would lose the most (1,900, limit 500); 1 other person would gain or lose too many, too",
            id="several people",
        ),
    ],
)
def test_a_refusal_in_one_sentence(found: list[Breach], expected: str) -> None:
    """Each number with its limit, then the command that lets it through."""
    sentence = refusal_sentence(verdict(found, changes(3000)), NAMES, DIGEST)
    assert sentence == (
        f"refused by the guard, none of it written: {expected}; to let exactly these changes through: "
        "reconciler approve 0123456789ab"
    )


def test_contacts_that_nobody_owned_are_nobody_s_loss() -> None:
    """Only who gains is told."""
    sentence = refusal_sentence(verdict([CHANGES], changes(3000, before=0)), NAMES, DIGEST)
    assert "Ida Ito would gain the most (3,000); to let" in sentence
    assert "lose" not in sentence


@pytest.mark.parametrize(
    ("share", "limit", "expected"),
    [
        (0.3, 0.1, "30.0% of"),
        (0.10004, 0.1, "10.004% of"),
        (0.1 + 1e-12, 0.1, "10.000000000% of"),
        (1, 0.125, "(limit 12.5%)"),
    ],
)
def test_a_share_can_be_told_from_its_limit(share: float, limit: float, expected: str) -> None:
    """A share of 10.0% beyond a limit of 10% would look like a mistake of ours."""
    assert expected in refusal_sentence(verdict([breach(Limit.SHARE, share, limit)], changes(3)), NAMES, DIGEST)


def test_a_refusal_for_scripts_and_the_journal() -> None:
    """Plain numbers; a person only where it is about one."""
    document = refusal_json(verdict([SHARE, GAINED], changes(3000, before=0)), NAMES, DIGEST)
    assert document.pop("sentence").startswith("refused by the guard")
    assert document == {
        "digest": DIGEST,
        "changes": 3000,
        "passing": 0,
        "causes": {"unknown": 3000},
        "people": [
            {"person": 0, "name": "", "gains": 0, "loses": 3000},
            {"person": 1, "name": "Ida Ito", "gains": 3000, "loses": 0},
        ],
        "limits": [
            {"limit": "share", "number": 0.3, "allowed": 0.1},
            {"limit": "gained", "number": 2000, "allowed": 500, "person": 1, "name": "Ida Ito"},
        ],
        "gains_most": {"person": 1, "name": "Ida Ito", "contacts": 2000},
        "loses_most": None,
        "way_out": "reconciler approve 0123456789ab",
    }


def test_a_refusal_above_the_question() -> None:
    """A table of the limits, then who moves most where no limit names them."""
    assert refusal_text(verdict([CHANGES, SHARE], changes(3000)), NAMES, DIGEST, width=80) == (
        """The guard stops this plan.

  Over the limits of the guard   here  limit
  ──────────────────────────────────────────
  changes                       3,000  1,000
  share of the linked contacts  30.0%    10%

  Ida Ito would gain the most: 3,000 contacts.
  Hugo Castro would lose the most: 3,000 contacts.
  To let exactly these changes through later:
    reconciler approve 0123456789ab
"""
    )


def test_many_people_are_cut_in_the_table_and_counted() -> None:
    """Six are enough to see what it is about."""
    found = [breach(Limit.LOST, 900 - k, 500, k) for k in range(1, 10)]
    shown = refusal_text(verdict([COMPANIES, GAINED, *found], changes(3000)), NAMES, DIGEST, width=80, color=True)
    assert "gained by Ida Ito" in shown
    assert "lost by #5" in shown
    assert "lost by #6" not in shown
    assert "and 4 more" in shown
    assert "of the companies missing" in shown
    assert "Companies seldom vanish" in shown
    assert "would gain the most" not in shown


def test_nothing_but_emptied_contacts_has_nobody_to_name() -> None:
    """No line about who loses."""
    shown = refusal_text(verdict([CHANGES], changes(3, before=0)), NAMES, DIGEST)
    assert "would lose" not in shown
    assert refusal_sentence(verdict([COMPANIES], []), NAMES, DIGEST).count(";") == 2
    assert "gain" not in refusal_text(verdict([COMPANIES], []), NAMES, DIGEST)


@given(names_of_strangers)
def test_a_name_in_a_refusal_is_one_harmless_line(name: str) -> None:
    """The sentence goes to logs, notices and terminals."""
    found = breaches(changes(3000), Population(contacts=9000, companies=9), GuardLimits())
    sentence = refusal_sentence(verdict(found, changes(3000)), {1: name, 2: name}, DIGEST)
    assert display(sentence) == sentence
    assert len(sentence) < 500
    assert "\x1b" not in refusal_text(verdict(found, changes(3000)), {1: name}, DIGEST)


def test_a_part_that_is_held_back_is_told_from_the_whole() -> None:
    """The numbers are those of all changes; how many wait, and why they drifted, is said beside them."""
    edited = [Change(contact=9000 + k, company=4, before=3, after=1, cause=Cause.CONTACT_CHANGED) for k in range(600)]
    sentence = refusal_sentence(verdict([CHANGES, SHARE], edited, changes(2400)), NAMES, DIGEST)
    assert sentence == (
        "held back in part by the guard: 3,000 contacts would get another owner (limit 1,000), and 600 of them wait "
        "for approval (600 edited); all 3,000 are 30.0% of the linked contacts (limit 10%); Ida Ito would gain the "
        "most (3,000) and Hugo Castro would lose the most (2,400); to let these 600 through: "
        "reconciler approve 0123456789ab"
    )
    said = sentence.removesuffix("; to let these 600 through: reconciler approve 0123456789ab")
    assert stored_sentence(sentence, whole=True) == f"H{said[1:]}."
    assert stored_sentence(sentence, whole=False) == f"When it was held back: {said}."
    shown = refusal_text(verdict([CHANGES], edited, changes(2400)), NAMES, DIGEST, width=80)
    assert shown == (
        """The guard holds back 600 of 3,000 changes.

  Over the limits of the guard   here  limit
  ──────────────────────────────────────────
  changes                       3,000  1,000

  Held back         contacts
  ──────────────────────────
  edited                 600
  Ida Ito gains          600
  Max Okafor loses       600

  By all 3,000 changes Ida Ito would gain the most: 3,000 contacts.
  By all 3,000 changes Hugo Castro would lose the most: 2,400 contacts.
  To let the 600 through later:
    reconciler approve 0123456789ab
"""
    )


def test_of_many_people_whose_changes_are_held_back_some_are_shown() -> None:
    """And the table says that there are others."""
    for people, others in ((5, False), (6, True)):  # besides the one who gains
        held = [Change(contact=k, company=4, before=10 + k % people, after=1) for k in range(600)]
        shown = refusal_text(verdict([CHANGES], held, changes(2400)), NAMES, DIGEST, width=80)
        assert ("and other people" in shown) is others
