"""One run in values: what it needs, what it shall do, what may be written, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.engine.planning import Rules
from reconciler.portal.read.sweep import Scope, SweepOptions
from reconciler.portal.write.writer import ChunkLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.clock import Clock
    from reconciler.core.guard import Verdict
    from reconciler.core.model import Change, RunReport
    from reconciler.engine.planning import PlannedRun, Undo
    from reconciler.errors import ReconcilerError
    from reconciler.journal.store import Journal
    from reconciler.portal.rest.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run needs: a portal, a journal, the rules and the time."""

    #: The portal's name in the journal.
    portal: str
    client: Client
    journal: Journal
    clock: Clock
    rules: Rules = field(default_factory=Rules)
    chunks: ChunkLimits = field(default_factory=ChunkLimits)
    tactics: SweepOptions = field(default_factory=SweepOptions)
    #: Compares the portal with the journal, also in the next request; True accepts what differs. PortalChangedError.
    recognise: Callable[[bool], None] = lambda _accept: None


class Consent(StrEnum):
    """What somebody who is asked before the first write agrees to."""

    #: Nothing is written, not even what was approved before.
    NOTHING = "nothing"
    #: What was approved before, and what the guard lets pass.
    PASSING = "passing"
    #: What the guard holds back, too.
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the guard holds back, and why."""

    #: Of what is held back.
    digest: str
    verdict: Verdict
    sentence: str
    #: The same with people's numbers in the place of their names: for logs.
    without_names: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What may be written, and what not."""

    through: tuple[Change, ...] = ()
    refusal: Refusal | None = None
    #: Key of a change -> the approval that lets it through.
    approvals: Mapping[tuple[int, int, int, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a run shall do."""

    command: str
    scope: Scope = field(default_factory=Scope)
    #: Highest number of changes; None: all.
    limit: int | None = None
    #: Take something back instead of sweeping.
    undo: Undo | None = None
    #: Digest, or its beginning, of changes to let through; empty for none.
    approve: str = ""
    #: Go on where the portal's name in the journal stood for another address or portal until now.
    accept_portal: bool = False
    #: Seconds to wait for the lease.
    lease_wait: float = 60.0
    #: Length of the slot: after so many seconds the next chunk is left to the next run. None: all is written.
    seconds: float | None = None
    #: Asked before the first write: what of the proposal may be written. By default nobody is there to approve.
    confirm: Callable[[PlannedRun, Refusal | None], Consent] = lambda _proposal, _refusal: Consent.PASSING
    #: Told how far reading is: what, IDs covered, IDs in all.
    reading: Callable[[str, int, int], None] = lambda _noun, _done, _total: None
    #: Told how far writing is: changes settled, changes in all.
    writing: Callable[[int, int], None] = lambda _done, _total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended, and what there is to say of it."""

    report: RunReport
    #: The error that ended it early.
    failure: ReconcilerError | None = None
    proposal: PlannedRun | None = None
    refusal: Refusal | None = None
    #: Changes that the guard or an approval let through.
    let_through: int = 0
