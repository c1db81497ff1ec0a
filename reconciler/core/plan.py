"""The plan: a value that can be shown, counted, compared and approved before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.model import Cause, Change, Skip, Standing
from reconciler.core.policy import Case, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be written, and what is left alone and why; both sorted by company, then contact."""

    portal: str
    changes: tuple[Change, ...]
    skips: tuple[Skip, ...]
    #: False: the owners could not be checked (no user scope), so nothing of this may be written.
    owners_verified: bool = True

    @property
    def drift(self) -> int:
        """Drifted contacts, actionable and standing."""
        return len(self.changes) + len(self.skips)

    @property
    def reasons(self) -> Mapping[Standing, int]:
        """Standing drift by reason."""
        return Counter(skip.reason for skip in self.skips)

    @property
    def causes(self) -> Mapping[Cause, int]:
        """Drift by cause, actionable and standing."""
        return Counter([change.cause for change in self.changes] + [skip.cause for skip in self.skips])

    @property
    def digest(self) -> str:
        """The digest of all its changes."""
        return digest(self.portal, [change.key for change in self.changes])


def digest(portal: str, keys: Iterable[tuple[int, int, int, int]]) -> str:
    """SHA-256 over the portal and the changes, the same whatever their order."""
    rows = sorted(list(key) for key in keys)
    return hashlib.sha256(json.dumps([portal, rows], separators=(",", ":")).encode()).hexdigest()


def make_plan(case: Case, *, portal: str, limit: int | None = None) -> Plan:
    """Derive the plan from a complete snapshot and what is known besides.

    `limit` is the highest number of changes; what lies beyond it is skipped with that reason.
    """
    changes: list[Change] = []
    skips: list[Skip] = []
    for mismatch in sorted(case.snapshot.mismatches, key=lambda m: (m.company, m.contact)):
        verdict = judge(mismatch, case)
        if isinstance(verdict, Change) and limit is not None and len(changes) >= limit:
            verdict = Skip(mismatch=mismatch, reason=Standing.OVER_LIMIT, cause=verdict.cause)
        if isinstance(verdict, Change):
            changes.append(verdict)
        elif verdict is not None:
            skips.append(verdict)
    return Plan(
        portal=portal,
        changes=tuple(changes),
        skips=tuple(skips),
        owners_verified=case.snapshot.users is not None,
    )
