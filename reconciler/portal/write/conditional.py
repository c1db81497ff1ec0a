"""One batch of conditional updates: its commands, and what their answers say of each change.

The commands of a batch are carried out one after the other in one process of the portal, and each can refer to the
answers before it. So the portal itself refuses an update whose record, company or new owner is not as planned:

=============  ====================================================  =================================================
people         the new owners, as far as they are active             once; alone for an owner who is not the company's
company        the companies that should have the same owner         once for each such owner; none for an undo
contact        the one contact, if owner and company are as planned  right in front of its update
update         the number of the contact comes from that answer      0 where there is none: refused
read-back      all contacts of the batch                             at the end
=============  ====================================================  =================================================

A company is taken from its list by position, with equality: where one before it is missing, positions shift and nothing
matches, so it fails closed. Nothing here goes by the text of an error: other methods word it differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.check import Precondition, rests_on
from reconciler.core.model import Change, Rule
from reconciler.errors import BlockedError, NotJsonError, PortalError
from reconciler.portal.entities import (
    BATCH_COMMANDS,
    COMPANY,
    COMPANY_LIST,
    CONTACT_LIST,
    CONTACT_UPDATE,
    ID,
    MODIFIED,
    OWNER,
    USER_LIST,
)
from reconciler.portal.rest.batch_codec import Answer, Command, Found, Value, identifier, readable_moment
from reconciler.portal.write.looks import command_to_look

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class _Listed:
    """A list command that should find just these records, in this order."""

    position: int
    ids: tuple[int, ...]

    def reference(self, number: int) -> Found:
        return Found(self.position, (self.ids.index(number), ID))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditions:
    """The preconditions of one change, and where its contact's stands; its update is the next command."""

    change: Change
    people: _Listed
    #: None: an undo looks at no company.
    companies: _Listed | None
    contact: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The commands of one request; the read-back is the last."""

    commands: tuple[Command, ...]
    _conditions: tuple[_Conditions, ...]

    def findings(self, answers: Sequence[Answer | PortalError]) -> list[Finding]:
        """Say of each change, in order, what the answers show."""
        return [_finding(conditions, answers) for conditions in self._conditions]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the answers say of one change."""

    change: Change
    precondition: Precondition
    #: Why its precondition is not known; also where it shifted, so that it may pass alone.
    error: PortalError | None = None
    shifted: bool = False
    #: What its update was answered.
    answer: Answer | PortalError
    #: When its contact was last changed, as the precondition shows it.
    modified: datetime | None = None
    #: Seconds of the portal's clock from the beginning of the precondition to the end of the update: somebody else's
    #: edit in between is overwritten. None: not tried, or not measured.
    gap: float | None = None


def fitting(changes: Iterable[Change]) -> int:
    """Return how many of the first changes fit into a batch."""
    owners: set[tuple[bool, int]] = set()
    alone: set[int] = set()
    count, used = 0, 1
    for change in changes:
        follows = _follows(change)
        if follows:
            used += not any(key[0] for key in owners)
        elif change.after not in alone:
            alone.add(change.after)
            used += 1
        if change.rule is not Rule.UNDO and (follows, rests_on(change)) not in owners:
            owners.add((follows, rests_on(change)))
            used += 1
        used += 2
        if used > BATCH_COMMANDS:
            break
        count += 1
    return count


def compose(changes: Sequence[Change]) -> Batch:
    """Make the batch for so many changes as fit."""
    commands: list[Command] = []

    def add(command: Command, ids: Iterable[int]) -> _Listed:
        commands.append(command)
        return _Listed(len(commands) - 1, tuple(ids))

    people: dict[tuple[bool, int], _Listed] = {}
    wanted = sorted({change.after for change in changes if _follows(change)})
    if wanted:
        together = add(_people(wanted), wanted)
        people.update(dict.fromkeys(((True, owner) for owner in wanted), together))
    # One by one: with no company to compare them with, a position that shifts would give the record to somebody else.
    for owner in sorted({change.after for change in changes if not _follows(change)}):
        people[False, owner] = add(_people([owner]), [owner])
    companies: dict[tuple[bool, int], _Listed] = {}
    for follows, owner in sorted({(_follows(c), rests_on(c)) for c in changes if c.rule is not Rule.UNDO}):
        ids = sorted(
            {c.company for c in changes if (_follows(c), rests_on(c)) == (follows, owner) and c.rule is not Rule.UNDO}
        )
        active = people[True, owner].reference(owner) if follows else None
        companies[follows, owner] = add(_companies(ids, owner, active), ids)
    conditions = []
    for change in changes:
        follows = _follows(change)
        its = _Conditions(
            change=change,
            people=people[follows, change.after],
            companies=None if change.rule is Rule.UNDO else companies[follows, rests_on(change)],
            contact=len(commands),
        )
        commands += [_contact(its), _update(its)]
        conditions.append(its)
    commands.append(command_to_look(change.contact for change in changes))
    return Batch(tuple(commands), tuple(conditions))


def _follows(change: Change) -> bool:
    """Tell whether the new owner is the company's, so that the precondition on the company compares the two."""
    return change.rule is Rule.COMPANY_OWNER


def _people(ids: list[int]) -> Command:
    return Command(USER_LIST, {"FILTER": {f"@{ID}": ids, "ACTIVE": 1}, "start": 0})


def _companies(ids: list[int], owner: int, active: Found | None) -> Command:
    condition: dict[str, Value] = {f"@{ID}": ids, OWNER: owner}
    if active is not None:
        condition[f"={OWNER}"] = active
    # `start=0`: the portal's count proves that no row is missing.
    return Command(COMPANY_LIST, {"order": {ID: "ASC"}, "filter": condition, "select": [ID], "start": 0})


def _contact(its: _Conditions) -> Command:
    change = its.change
    condition: dict[str, Value] = {ID: change.contact, OWNER: change.before, COMPANY: change.company}
    if its.companies is not None:
        # Beside the number itself: a 0 alone would also match contacts without a company (F2).
        condition[f"={COMPANY}"] = its.companies.reference(change.company)
    return Command(CONTACT_LIST, {"filter": condition, "select": [ID, MODIFIED], "start": -1})


def _update(its: _Conditions) -> Command:
    """Write the owner and nothing else; the flag silences notices where the portal lets it (F4, F17)."""
    change = its.change
    owner: Value = change.after if _follows(change) else its.people.reference(change.after)
    return Command(
        CONTACT_UPDATE,
        {"id": Found(its.contact, (0, ID)), "fields": {OWNER: owner}, "params": {"REGISTER_SONET_EVENT": "N"}},
    )


def _finding(its: _Conditions, answers: Sequence[Answer | PortalError]) -> Finding:
    held, update = answers[its.contact], answers[its.contact + 1]
    for listed, missing in ((its.people, Precondition.OWNER), (its.companies, Precondition.COMPANY)):
        if listed is None:
            continue
        number = its.change.after if missing is Precondition.OWNER else its.change.company
        try:
            found = _ids(answers[listed.position], listed.ids)
        except PortalError as error:
            return Finding(change=its.change, precondition=Precondition.UNKNOWN, error=error, answer=update)
        if number not in found:
            return Finding(change=its.change, precondition=missing, answer=update)
        if found.index(number) != listed.ids.index(number):
            return Finding(change=its.change, precondition=Precondition.UNKNOWN, shifted=True, answer=update)
    try:
        met = _ids(held, (its.change.contact,), counted=False)
    except PortalError as error:
        return Finding(change=its.change, precondition=Precondition.UNKNOWN, error=error, answer=update)
    if not met:
        return Finding(change=its.change, precondition=Precondition.CONTACT, answer=update)
    return Finding(
        change=its.change,
        precondition=Precondition.MET,
        answer=update,
        modified=readable_moment(held.result[0].get(MODIFIED)) if isinstance(held, Answer) else None,
        gap=_gap(held, update),
    )


def _ids(answer: Answer | PortalError, asked: tuple[int, ...], *, counted: bool = True) -> tuple[int, ...]:
    """Return the records that a list found, in its order. Raises what it failed with, or that it cannot be believed."""
    if isinstance(answer, PortalError):
        raise answer
    rows = answer.result
    try:
        found = tuple(identifier(row[ID]) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError) as doubt:
        raise NotJsonError("a precondition came back in an unknown shape") from doubt
    if not set(found) <= set(asked):
        raise BlockedError(
            "the portal ignores the conditions of a list: what was not asked for came back, so nothing more is written"
        )
    whole = not counted or len(found) == (answer.total or 0)
    if not whole or not isinstance(rows, list) or list(found) != sorted(set(found)):
        raise NotJsonError("a precondition came back in an unknown shape")
    return found


def _gap(held: Answer | PortalError, update: Answer | PortalError) -> float | None:
    if isinstance(held, Answer) and isinstance(update, Answer):
        began, ended = held.timing.start, update.timing.finish
        if began is not None and ended is not None:
            return ended - began
    return None
