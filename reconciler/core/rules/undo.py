"""Taking a run back: which of its changes can be put back, and why the rest cannot.

the contact, as it stands                       the change before it          verdict
==============================================  ============================  =====================================
deleted, or not visible                         any                           left: gone
holds what we wrote                             an active employee            put back
holds what we wrote                             nobody (0)                    left: an owner cannot be emptied (F4)
holds what we wrote                             dismissed, or no employee     left: the old owner may own nothing
holds something else                            any                           left: changed since
of another company now                          any                           left: changed since
kept by a person since                          any                           left: kept

What was taken back already is left, and so is what a later run wrote again: its older change does not stand any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Change, Rule, User
from reconciler.core.policy import fit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from reconciler.core.check import ContactRow


class Obstacle(StrEnum):
    """Why a change cannot be put back. The value is what JSON shows."""

    GONE = "gone"
    CHANGED_SINCE = "changed_since"
    KEPT = "kept"
    TAKEN_BACK = "taken_back"
    WRITTEN_AGAIN = "written_again"
    NO_OWNER_BEFORE = "no_owner_before"
    OLD_OWNER_UNFIT = "old_owner_unfit"

    @property
    def sentence(self) -> str:
        """What a person reads."""
        return _SENTENCES[self]


_SENTENCES = {
    Obstacle.GONE: "the contact is deleted or no longer visible",
    Obstacle.CHANGED_SINCE: "somebody has changed the contact since",
    Obstacle.KEPT: "kept as it is by a person",
    Obstacle.TAKEN_BACK: "this change was taken back already",
    Obstacle.WRITTEN_AGAIN: "a later run has changed the contact again",
    Obstacle.NO_OWNER_BEFORE: "it had no owner, and Bitrix24 cannot empty one",
    Obstacle.OLD_OWNER_UNFIT: "its old owner is dismissed or no employee's account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A change that is not put back, and why."""

    change: Change
    obstacle: Obstacle


def restore(
    applied: Sequence[Change],
    contacts: Mapping[int, ContactRow],
    users: Mapping[int, User],
    kept: Collection[int] = (),
) -> tuple[tuple[Change, ...], tuple[Left, ...]]:
    """Return the changes that put back what stands as we left it, and those that are left, by the table above.

    `kept` are the contacts that a person keeps as they are.
    """
    back: list[Change] = []
    left: list[Left] = []
    for change in sorted(applied, key=lambda c: (c.company, c.contact)):
        contact = contacts.get(change.contact)
        obstacle = _obstacle(change, contact, kept) or unrestorable(change, users)
        if obstacle is None:
            back.append(
                Change(
                    contact=change.contact,
                    company=change.company,
                    before=change.after,
                    after=change.before,
                    rule=Rule.UNDO,
                    cause=Cause.UNKNOWN,
                    modified=contact.modified if contact else None,
                )
            )
        else:
            left.append(Left(change=change, obstacle=obstacle))
    return tuple(back), tuple(left)


def _obstacle(change: Change, contact: ContactRow | None, kept: Collection[int]) -> Obstacle | None:
    if contact is None:
        return Obstacle.GONE
    if contact.owner != change.after or contact.company != change.company:
        return Obstacle.CHANGED_SINCE
    return Obstacle.KEPT if change.contact in kept else None


def unrestorable(change: Change, users: Mapping[int, User]) -> Obstacle | None:
    """Tell, also before it is written, why a change could never be put back; None: it could."""
    if change.before == 0:
        return Obstacle.NO_OWNER_BEFORE
    return None if fit(users.get(change.before)) else Obstacle.OLD_OWNER_UNFIT
