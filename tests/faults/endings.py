"""How each cell shall end: rules by family and phase, and the exceptions by name.

A run reads before it writes, so a fault that does not pass ends it with nothing written; one that passes is not
noticed in the end. What people do ends by how far the run had come with their record.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from faults.catalogue import FAULTS, Family, Fault, Level
from faults.phases import CHUNK, CONTACTS, PHASES
from faults.told import Told

if TYPE_CHECKING:
    from faults.phases import Phase

#: Contacts 1 and 2 are of company 101.
_OF_COMPANY = 2
_WRITES = ("write", "undo write")
_PRECONDITIONS = ("precondition", "company", "people")
_CALLS = (Family.DENIED, Family.GONE, Family.REFUSED, Family.SCOPE)
_PEOPLE = (Family.CONTACT, Family.COMPANY, Family.DELETED)


class Instant(IntEnum):
    """How far a run has come with the record that somebody touches."""

    UNREAD = 0
    READ = 1
    CHECKED = 2
    WRITTEN = 3
    READ_BACK = 4


def cells() -> list[tuple[Phase, tuple[Fault, ...]]]:
    """Return the faults of each phase, those of one family together."""
    found = []
    for phase in PHASES:
        groups: dict[tuple[Family, Level, bool], list[Fault]] = {}
        for fault in FAULTS:
            if not why_not(phase, fault):
                groups.setdefault((fault.family, fault.level, fault.lasting), []).append(fault)
        found += [(phase, tuple(group)) for group in groups.values()]
    return found


def why_not(phase: Phase, fault: Fault) -> str:
    """Say why a fault is not tried in a phase; nothing where it is."""
    if fault.level is Level.REQUEST and phase.within:
        return f"one request with: {phase.within}"
    if phase.name in _PRECONDITIONS and fault.family is Family.FILTER:
        return "a portal that ignores a filter on these fields fails each sweep, so nothing is written"
    if phase.as_another and fault not in _FIRST:
        return "the first of its family is"
    return ""


_FIRST = [
    fault
    for number, fault in enumerate(FAULTS)
    if fault.lasting
    or fault.family in _PEOPLE
    or (fault.family, fault.level) not in [(other.family, other.level) for other in FAULTS[:number]]
]


def ending(phase: Phase, fault: Fault) -> Told:
    """Return how a cell shall end."""
    if fault.family in _PEOPLE:
        return _person(phase, fault)
    if fault.lasting:
        return _lasting(phase, fault)
    if fault.family in _CALLS:
        return _refused_call(phase, fault)
    return _fatal(phase) if fault.family is Family.FATAL else _mended(phase)


def _mended(phase: Phase) -> Told:
    done = CONTACTS - CHUNK if phase.name == "settling" else CONTACTS
    return Told(status="applied", outcomes={"applied": done}, written=done, then="in_sync")


_NOTHING = Told(status="failed", outcomes={}, written=0, then="applied")
_INCOMPLETE = Told(status="incomplete", outcomes={}, written=0, then="applied")
_OPEN = Told(status="failed", outcomes={"open": CHUNK}, written=0, then="applied")
_OPEN_AND_WRITTEN = Told(status="failed", outcomes={"open": CHUNK}, written=CHUNK, then="applied")
_ALL_FAILED = Told(status="partial", outcomes={"failed": CONTACTS}, written=0, then="applied")


def _fatal(phase: Phase) -> Told:
    """Return how a run that ends at once ends; what had been sent is open, and settled by the next one."""
    if phase.name in _WRITES:
        return _OPEN
    return _OPEN_AND_WRITTEN if phase.name == "late read-back" else _NOTHING


def _refused_call(phase: Phase, fault: Fault) -> Told:  # noqa: PLR0911 - a return for each rule
    family = fault.family
    if phase.name in _WRITES and family is Family.SCOPE:  # as the webhook itself; the others are read back
        return Told(status="failed", outcomes={"applied": 2, "open": 1}, written=2, then="applied")
    if phase.name in _WRITES:  # costs one contact
        result = "denied" if family is Family.DENIED else "failed"  # also "not found", of a contact that is there
        rest = CONTACTS - 1
        return Told(status="partial", outcomes={"applied": rest, result: 1}, written=rest, then="applied")
    if phase.name in _PRECONDITIONS and family is Family.SCOPE:  # as the webhook itself; what it gates is not written
        done = 2 if phase.name == "precondition" else 0
        outcomes = {"applied": done, "failed": CHUNK - done} if done else {"failed": CHUNK}
        return Told(status="failed", outcomes=outcomes, written=done, then="applied")
    if phase.name in _PRECONDITIONS:  # tried again
        return _mended(phase)
    if phase.name == "details":  # each contact's links are asked for alone
        return _mended(phase)
    if phase.name == "links" and family is Family.GONE:  # a contact that is gone needs none
        return _mended(phase)
    if phase.name == "links" and family is not Family.SCOPE:  # a second company could be hidden
        return _INCOMPLETE
    return _fatal(phase)


def _lasting(phase: Phase, fault: Fault) -> Told:  # noqa: C901, PLR0911 - a return for each rule
    family, command = fault.family, fault.level is Level.COMMAND
    if phase.name in _WRITES:
        return _lasting_write(phase, fault)
    if (
        phase.name in ("late read-back", "late settling") and family is Family.PART
    ):  # of one command, which is carried out
        done = CHUNK if phase.name == "late read-back" else 0
        outcomes = {"applied": done, "failed": CHUNK} if done else {"failed": CHUNK}
        return Told(status="partial", outcomes=outcomes, written=done, then="applied")
    if phase.name == "precondition" or (phase.name == "count" and family is Family.PAGE):  # the read-back fails, too
        return _OPEN
    if phase.name == "company" and family is Family.PAGE:  # of two companies, the first still comes
        return Told(status="partial", outcomes={"applied": 4, "failed": 2}, written=4, then="applied")
    if phase.name in _PRECONDITIONS:
        return _ALL_FAILED
    if phase.name == "late read-back":
        return _OPEN_AND_WRITTEN
    if phase.name == "details" and command:  # each contact's links are asked for alone
        return _mended(phase)
    if phase.name == "links" and family in (Family.PAGE, Family.FILTER):  # it has neither
        return _mended(phase)
    # A sweep tells a read that is not whole; a check fails. A fault that goes unnoticed fails the check, of the same
    # method: that a filter is ignored which no row contradicts, or that a count has no rows.
    doubted = (
        "companies",
        "look",
        "drift",
        "pages",
        "survey",
        "companies' details",
        "users",
        "undo users",
        "undo look",
    )
    if family is Family.PAGE and phase.name in doubted:
        return _INCOMPLETE
    if family is Family.FILTER and phase.name in ("look", "users", "undo users"):
        return _INCOMPLETE
    return _NOTHING


def _lasting_write(phase: Phase, fault: Fault) -> Told:
    if fault.family is Family.PART:  # of one command: the precondition on the new owners
        return _ALL_FAILED
    if fault.level is Level.REQUEST:
        return _OPEN_AND_WRITTEN if fault.carried_out else _OPEN
    # An update has no page and no filter; one without an answer is read back.
    unharmed = fault.family in (Family.PAGE, Family.FILTER) or fault.kind == "missing_result"
    return _mended(phase) if unharmed else _ALL_FAILED


def _person(phase: Phase, fault: Fault) -> Told:  # noqa: C901, PLR0911 - a return for each rule
    if phase.name == "settling":  # of the killed run: whoever touched its contacts has them written once more
        more = {Family.CONTACT: 1, Family.COMPANY: _OF_COMPANY, Family.DELETED: 0}[fault.family]
        done = CONTACTS - CHUNK + more
        return Told(status="applied", outcomes={"applied": done}, written=done, then="in_sync")
    undo, at = phase.story == "undo", _instant(phase, fault)
    again = "in_sync" if undo else "applied"
    if fault.family is Family.COMPANY:
        if undo or at is Instant.UNREAD:  # an undo puts back an older owner, whoever the company's is now
            return _mended(phase)
        if at is Instant.READ:
            return _besides("conflict", _OF_COMPANY, then=again)
        return Told(status="applied", outcomes={"applied": CONTACTS}, written=CONTACTS, then=again)
    if at is Instant.READ_BACK:
        then = "in_sync" if fault.family is Family.DELETED else again
        return Told(status="applied", outcomes={"applied": CONTACTS}, written=CONTACTS, then=then)
    if fault.family is Family.DELETED:
        rest = CONTACTS - 1
        if at is Instant.UNREAD:
            return Told(status="applied", outcomes={"applied": rest}, written=rest, then="in_sync")
        return _besides("gone", 1, then="in_sync", written_too=at is Instant.WRITTEN)
    if at is Instant.CHECKED:  # the gap of one request that no check can close
        mended = _mended(phase)
        return Told(
            status=mended.status, outcomes=mended.outcomes, written=mended.written, then=mended.then, overruled=1
        )
    if at is Instant.UNREAD and undo:
        rest = CONTACTS - 1
        return Told(status="applied", outcomes={"applied": rest}, written=rest, then="in_sync")
    if at is Instant.UNREAD:
        return _mended(phase)
    return _besides("conflict", 1, then=again, written_too=at is Instant.WRITTEN)


def _besides(result: str, number: int, *, then: str, written_too: bool = False) -> Told:
    """All is applied but so many contacts."""
    rest = CONTACTS - number
    written = CONTACTS if written_too else rest
    return Told(status="applied", outcomes={"applied": rest, result: number}, written=written, then=then)


def _instant(phase: Phase, fault: Fault) -> Instant:  # noqa: PLR0911 - a return for each rule
    after = fault.parameters.get("moment") == "after"
    contact = fault.family is not Family.COMPANY
    match phase.name:
        case "survey":
            return Instant.UNREAD
        case "companies" | "look":
            return Instant.READ if after and not contact else Instant.UNREAD
        case "drift" | "pages" | "undo look":
            return Instant.READ if after or not contact else Instant.UNREAD
        case "write" | "undo write":
            if fault.level is Level.COMMAND:
                return Instant.CHECKED
            return Instant.READ_BACK if after else Instant.READ
        case "precondition" if not contact:
            return Instant.CHECKED
        case "late read-back":
            return Instant.READ_BACK if after else Instant.WRITTEN
    return Instant.READ
