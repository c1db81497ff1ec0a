"""Sentences that a reader of a plan should know before acting."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from reconciler.core.model import Standing
from reconciler.core.rules.undo import Obstacle, unrestorable
from reconciler.reporting.wording import NOT_COMPARED, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.model import User
    from reconciler.core.plan import Plan
    from reconciler.core.rules.undo import Left
    from reconciler.core.snapshot import Snapshot

#: Contacts named in a sentence.
_NAMED = 10
#: Stands at the head of every plan.
SIDE_EFFECTS = (
    "Deals, activities and tasks stay with the person who had them, and that person may lose sight of the contact "
    '(roles "own records only").'
)
_UNVERIFIED = (
    "The webhook has no user scope: nobody can tell whether the new owners still work there, so nothing of this may "
    "be written. Add the scope user_basic (or user) to the webhook."
)


def plan_notes(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """Yield what every plan says of itself, what weighs most first."""
    if plan.changes and not plan.owners_verified:
        yield _UNVERIFIED
    if plan.changes:
        yield SIDE_EFFECTS
    if snapshot.users is not None and (note := unrestorable_note(plan, snapshot.users)):
        yield note
    if note := unreadable_note(plan):
        yield note
    if snapshot.outside_roster:
        yield f"Not looked at: {counted(snapshot.outside_roster, 'contact')} {NOT_COMPARED}."


def unreadable_note(plan: Plan) -> str:
    """Name the contacts that are left alone because something of them cannot be read; empty: there are none."""
    found = [skip for skip in plan.skips if skip.reason is Standing.UNREADABLE]
    if not found:
        return ""
    named = [f"{skip.mismatch.contact} ({skip.detail})" for skip in found[:_NAMED]]
    rest = f", and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"Contacts left alone because the portal's answer cannot be read: {', '.join(named)}{rest}."


def unrestorable_note(plan: Plan, users: Mapping[int, User]) -> str:
    """Say how many of the changes an undo could never put back; nothing where it could put back all."""
    found = Counter(unrestorable(change, users) for change in plan.changes)
    none, unfit = found[Obstacle.NO_OWNER_BEFORE], found[Obstacle.OLD_OWNER_UNFIT]
    if not none + unfit:
        return ""
    parts = []
    if none:
        parts.append(f"{none:,} {'has' if none == 1 else 'have'} no owner now, and Bitrix24 cannot empty one")
    if unfit:
        parts.append(f"{unfit:,} {'has' if unfit == 1 else 'have'} an owner who is dismissed or no employee")
    count, all_ = none + unfit, len(plan.changes)
    return f"{count:,} of these {all_:,} changes could not be put back by an undo: {'; '.join(parts)}."


def left_lines(left: Iterable[Left]) -> Iterator[str]:
    """Yield a line for each reason why an undo leaves contacts as they are; the first of them are named."""
    found: defaultdict[Obstacle, list[int]] = defaultdict(list)
    for one in left:
        found[one.obstacle].append(one.change.contact)
    for obstacle, contacts in found.items():
        if len(contacts) == 1:
            yield f"  contact {contacts[0]}: {obstacle.sentence}"
        else:
            named = ", ".join(map(str, contacts[:_NAMED])) + (", …" if len(contacts) > _NAMED else "")
            yield f"  {len(contacts):,} contacts ({named}): {obstacle.sentence}"
