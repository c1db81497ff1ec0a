"""A set of changes that the guard held back, as a document: what somebody who approves it agrees to.

The journal keeps numbers of contacts and companies, and no names of theirs. Why a contact drifted it keeps as long as
the drift stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Change, Names, Rule, RunReport, Status
from reconciler.ops.document import Report, Row
from reconciler.ops.refusal import without_next_step
from reconciler.ops.report import change_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.ops.decisions import Approval

    Key = tuple[int, int, int, int]

#: What the rows say in a run that held them back.
HELD_BACK = "held_back"


def held_rows(
    keys: Iterable[Key], causes: Mapping[tuple[int, int, int], Cause], names: Names, *, undo: bool, result: str = ""
) -> list[Row]:
    """Return the rows of a set, sorted by company, then contact; `causes` by contact, company and its owner."""
    rule = Rule.UNDO if undo else Rule.COMPANY_OWNER
    rows = []
    for contact, company, before, after in sorted(keys, key=lambda key: (key[1], key[0])):
        change = Change(contact=contact, company=company, before=before, after=after, rule=rule)
        cause = causes.get((contact, company, before))
        row = replace(change_row(change, names, result=result), rule="")
        rows.append(replace(row, cause=cause.value if cause else ""))
    return rows


def held_report(one: Approval, rows: Iterable[Row], *, portal: str, origin: str) -> Report:
    """Make the document of a set."""
    causes = {Cause(name): count for name, count in one.numbers.get("causes", {}).items() if name in set(Cause)}
    return Report(
        kind="held",
        title=f"Changes that the guard held back on {portal}",
        portal=portal,
        origin=origin,
        counts=RunReport(
            run=one.run, status=Status.REFUSED, drift=one.count, standing=one.count - one.left, causes=causes
        ),
        started_at=one.created_at,
        command=str(one.state),
        digest=one.digest,
        changes=tuple(rows),
        notes=(_sentence(without_next_step(one.sentence)),),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
