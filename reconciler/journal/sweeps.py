"""What complete sweeps of a whole portal leave behind, for the next one to judge by.

The roster, the watermark, the drift that stands, and the exceptions that ended with an owner move on together, in one
transaction at the end of a run. A run that is killed before has left nothing: the next one finds the same evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.rules.follow_parent import Evidence
from reconciler.journal import companies as roster
from reconciler.journal import drift, exceptions, rows, writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.clock import Clock
    from reconciler.core.companies import Halfway
    from reconciler.core.model import Cause, Mismatch
    from reconciler.core.snapshot import Snapshot
    from reconciler.journal.database import Database
    from reconciler.journal.records import Known, StandingDrift

#: The reason of drift that would be written, but was not: stopped, denied, in conflict.
WAITING = "waiting"
#: The guard held it back, and nobody has approved it.
HELD = "held_back"


class Sweeps:
    """The sweeps of the journal; times are the portal's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def known(self, portal: str) -> Known:
        """Return what the next sweep can build on."""
        with self._database.reading() as connection:
            return roster.known(connection, portal)

    def evidence(self, portal: str, mismatches: Sequence[Mismatch]) -> Evidence:
        """Return what is known from before the sweep that found these; so ask before `remember`."""
        companies = {mismatch.company: mismatch.company_owner for mismatch in mismatches}
        with self._database.reading() as connection:
            last = roster.last_sweep(connection, portal)
            last_sweep = None if last is None else last.taken_at
            earlier_owners, unmoved = roster.owners_before(connection, portal, companies, last_sweep)
            known, left_at = drift.known(connection, portal, mismatches)
            contacts = [mismatch.contact for mismatch in mismatches]
            written = writes.last_written(connection, portal, contacts)
            in_conflict = writes.last_in_conflict(connection, portal, contacts)
        recorded_at = {contact: frozenset({company}) for contact, company in left_at.items()}
        for contact, (_, company) in written.items():
            recorded_at[contact] = recorded_at.get(contact, frozenset()) | {company}
        return Evidence(
            last_sweep=last_sweep,
            earlier_owners=earlier_owners,
            known=known,
            written={contact: owner for contact, (owner, _) in written.items()},
            recorded_at=recorded_at,
            unmoved=unmoved,
            in_conflict=in_conflict,
        )

    def keep(self, portal: str, so_far: Halfway) -> None:
        """Store how far a sweep has come, so that the next run can go on with it."""
        with self._database.writing() as connection:
            roster.keep(connection, rows.portal_key(connection, portal, self._clock.now()), so_far)

    def remember(self, portal: str, snapshot: Snapshot, left: Iterable[tuple[Mismatch, str, Cause]]) -> None:
        """Store a complete sweep of the whole portal when its run ends, however it ends.

        `left` is all drift that is left as it is: (mismatch, reason, cause), the reason a value of
        `core.model.Standing`, or `WAITING`, or `HELD`. A sweep that is not to be believed must not be remembered: the
        next one would be compared with it.
        """
        now = self._clock.now()
        with self._database.writing() as connection:
            key = rows.portal_key(connection, portal, now)
            roster.save(connection, key, snapshot)
            drift.remember(connection, key, left, snapshot.taken_at)
            exceptions.release_over(connection, key, min(now, snapshot.taken_at))
            exceptions.release_moved(connection, key, now)

    def held(self, portal: str) -> frozenset[Mismatch]:
        """Return what the guard held back in the last complete sweep."""
        with self._database.reading() as connection:
            return drift.left_for(connection, portal, HELD)

    def standing(self, portal: str) -> list[StandingDrift]:
        """Return the drift that the last complete sweep left, sorted by company, then contact."""
        with self._database.reading() as connection:
            return drift.present(connection, portal)
