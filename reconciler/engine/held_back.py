"""What the guard held back, read from the journal: for the commands and the page that show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.model import Cause
from reconciler.journal.records import ApprovalRecord
from reconciler.reporting.aggregates import balanced
from reconciler.reporting.held_back import HELD_BACK, held_report, held_rows
from reconciler.reporting.refusal import held_digest, is_of_undo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.journal.records import Contents
    from reconciler.journal.store import Journal
    from reconciler.reporting.report import Report, Row


def report_of_set(journal: Journal, record: ApprovalRecord, portal: str, origin: str, *, most: int) -> Report:
    """Return the document of what is left of a set, with at most so many of its changes."""
    contents, names = journal.approvals.contents(record, portal, most), journal.user_names(portal)
    undo = is_of_undo(record.numbers)
    return held_report(
        record,
        held_rows(contents.changes, names, undo=undo),
        left=contents.count,
        causes={} if undo else _causes(record, contents),
        people=balanced(contents.gains, contents.loses, names),
        portal=portal,
        origin=origin,
    )


def _causes(record: ApprovalRecord, contents: Contents) -> Mapping[Cause, int]:
    """Return how many have which cause; nothing where that is not known of all that is left."""
    known = {cause: count for cause, count in contents.causes.items() if cause is not None}
    if known == dict(contents.causes):
        return known
    # Those of a run over a part of the portal stand nowhere, but in the numbers of the whole set.
    told = {Cause(name): count for name, count in record.numbers.get("causes", {}).items() if name in set(Cause)}
    return told if contents.count == record.count else {}


def rows_held_in(journal: Journal, portal: str, sentence: str) -> list[Row]:
    """Return the rows of what a run held back, by the sentence that it ended with; none where they are not kept."""
    digest = held_digest(sentence)
    record = journal.approvals.find(portal, digest) if digest else None
    if not isinstance(record, ApprovalRecord):
        return []
    stands = journal.sweeps.standing(portal)
    causes = {(one.mismatch.contact, one.mismatch.company, one.mismatch.owner): one.cause for one in stands}
    keys = sorted(journal.approvals.keys(record), key=lambda key: (key[1], key[0]))
    undo = is_of_undo(record.numbers)
    changes = [(key, causes.get(key[:3])) for key in keys]
    return held_rows(changes, journal.user_names(portal), undo=undo, result=HELD_BACK)
