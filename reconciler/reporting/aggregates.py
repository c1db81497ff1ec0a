"""Rows summed up before any format: by cause, by person, by reason; and in which order rows are read."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Result, Standing
from reconciler.core.rules.undo import Obstacle
from reconciler.reporting.report import Balance
from reconciler.reporting.wording import person

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.reporting.report import Report, Row

#: What needs a person comes first where not every row fits.
_URGENCY = ("held_back", "failed", "denied", "unknown", "", "conflict", "gone", "already", "applied")
#: Changes that can be read one by one.
_LARGE = 20
#: Reasons that lie with one person: people work through them person by person.
_OF_A_PERSON = frozenset(
    {Standing.OWNER_DISMISSED, Standing.OWNER_NOT_EMPLOYEE, Standing.SUCCESSOR_UNFIT, Obstacle.OLD_OWNER_UNFIT}
)
#: Somebody has to act on these; the rest of the reasons follows.
_FIRST = (
    Standing.OWNER_DISMISSED,
    Standing.OWNER_NOT_EMPLOYEE,
    Standing.SUCCESSOR_UNFIT,
    Standing.OWNER_MISSING,
    Standing.UNREADABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCount:
    """How many contacts drifted for one cause."""

    cause: str
    changes: int
    left_alone: int

    @property
    def contacts(self) -> int:
        return self.changes + self.left_alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Contacts that are left alone for one reason; where it lies with one person, of that person."""

    reason: str
    #: What the person is called whom it is about, or how many people.
    whose: str
    contacts: int
    #: The companies, the one with the most contacts first, as (ID, name).
    companies: tuple[tuple[int, str], ...]


def is_large(report: Report) -> bool:
    """Whether the changes should be summed up before they are listed."""
    return len(report.changes) + report.omitted > _LARGE


def balances(report: Report) -> list[Balance]:
    """Return who gains and who loses, the largest movement first; of a run what was really written."""
    if report.kind == "held":
        return list(report.people)
    rows = [row for row in report.changes if row.result == Result.APPLIED] if report.kind == "run" else report.changes
    gains, loses = Counter(row.after for row in rows), Counter(row.before for row in rows)
    names = {row.before: row.before_name for row in rows} | {row.after: row.after_name for row in rows}
    return balanced(gains, loses, names)


def balanced(gains: Mapping[int, int], loses: Mapping[int, int], names: Mapping[int, str]) -> list[Balance]:
    """Return the people of these numbers of contacts, the largest movement first; `names` may lack some."""
    found = [
        Balance(person=number, name=names.get(number, ""), gains=gains.get(number, 0), loses=loses.get(number, 0))
        for number in gains.keys() | loses.keys()
    ]
    return sorted(found, key=lambda one: (-one.gains - one.loses, one.person))


def balances_title(report: Report, people: Sequence[Balance], most: int) -> str:
    """Return what stands above the table of `balances`, of which `most` are shown."""
    title = "Who gained and who lost" if report.kind == "run" else "Who gains and who loses"
    return f"{title} (the first {most} of {len(people):,} people)" if len(people) > most else title


def by_cause(report: Report) -> list[CauseCount]:
    """Return the drift by cause, the most frequent first; nothing where no cause was kept."""
    total = report.counts.causes
    changes: Mapping[str, int] = Counter(row.cause for row in report.changes)
    if report.kind == "held":  # its rows may be only the first
        changes = {cause.value: count for cause, count in total.items()}
    elif report.kind == "run" and changes.get(""):
        return []
    found = [
        CauseCount(cause=cause, changes=changes.get(cause, 0), left_alone=max(0, total[cause] - changes.get(cause, 0)))
        for cause in Cause
        if total.get(cause)
    ]
    return sorted(found, key=lambda one: -one.contacts)


def groups(rows: Sequence[Row]) -> list[Group]:
    """Gather what is left alone by reason, and by person where people work through it so; the largest first."""
    found: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.result, row.after if row.result in _OF_A_PERSON else 0].append(row)
    order = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Group(
            reason=reason,
            whose=_whose(members),
            contacts=len(members),
            companies=_companies(members),
        )
        for (reason, _), members in order
    ]


def _companies(members: Iterable[Row]) -> tuple[tuple[int, str], ...]:
    return tuple(company for company, _ in Counter((row.company, row.company_name) for row in members).most_common())


def _whose(members: Iterable[Row]) -> str:
    people = {row.after: row.after_name for row in members}
    if len(people) > 1:
        return f"{len(people):,} people"
    ((number, name),) = people.items()
    return person(number, name)


def detail_counts(rows: Sequence[Row], most: int) -> list[tuple[str, str, int]]:
    """Return (result, detail, contacts) of the changes that have a detail, the most frequent first."""
    found = Counter((row.result, row.detail) for row in rows if row.detail)
    return [(result, detail, contacts) for (result, detail), contacts in found.most_common(most)]


def urgent_first(rows: Sequence[Row]) -> list[Row]:
    """Sort the rows so that what needs a person comes first; the order is kept otherwise."""
    return sorted(rows, key=lambda row: _URGENCY.index(row.result) if row.result in _URGENCY else 0)


def work_order(rows: Iterable[Row]) -> list[Row]:
    """Sort what is left alone as people work through it: by reason, owner of the company, company, contact."""
    reasons = {reason.value: place for place, reason in enumerate(dict.fromkeys((*_FIRST, *Standing)))}
    return sorted(
        rows,
        key=lambda row: (
            reasons.get(row.result, len(reasons)),
            row.result,
            row.after_name.casefold(),
            row.after,
            row.company_name.casefold(),
            row.company,
            row.contact,
        ),
    )
