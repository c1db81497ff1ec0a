"""Carrying out a plan, so that a person's later decision stands: the portal itself refuses what is not as planned.

One request carries a chunk of changes, each behind its preconditions, and their read-back (`conditional`). A request
whose answer was lost is never simply repeated: the contacts are read first.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import structlog

from reconciler.core.check import ContactRow, Precondition, after_write, resting_on
from reconciler.core.model import Change, Outcome, Result
from reconciler.errors import (
    BlockedError,
    NotJsonError,
    OperationTimeLimitError,
    PortalError,
    RateLimitedError,
    TooLargeError,
    TransientError,
)
from reconciler.portal.entities import COMPANY_LIST, CONTACT_LIST, CONTACT_UPDATE, REQUEST_SECONDS, USER_LIST
from reconciler.portal.rest.batch_codec import Answer
from reconciler.portal.write.capability import takes_conditions
from reconciler.portal.write.conditional import Finding, compose, fitting
from reconciler.portal.write.looks import look_at, looked
from reconciler.portal.write.precheck import look_then_write
from reconciler.portal.write.verdict import failed, of_the_whole, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.portal.rest.client import Client

log = structlog.get_logger("reconciler.writer")

#: How often a change is sent before it is given up.
SENDINGS = 4
#: How many answers in a row may be lost before the run is given up: more than one broken company's contacts.
LOSSES = 25
#: What the next chunk may grow by.
GROWTH = 2
#: The part of a chunk that is sent where the budget has no room for more.
EDGE = 0.7
#: So long after a request the portal is no longer at work on it: its own limit (F5.3), and the way there.
SETTLED_SECONDS = REQUEST_SECONDS + 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLimits:
    """How updates travel: how many in one request, no more than fit into a batch beside their preconditions."""

    start: int = 10
    most: int = 23
    #: Seconds that the updates of one request should take: far from the portal's 60 (F5.3).
    target_seconds: float = 15.0
    #: Whether the portal refuses what is not as planned. False: contacts are looked at before they are written.
    conditional: bool = True


class Writer:
    """Carries out changes one chunk after the other; its answers to the journal come in the order of events.

    `intend` is called with what is about to leave, before it does; `settle` with what became of changes; `kept` returns
    those of these contacts that a person has kept as they are since the plan: they are not written.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        limits: ChunkLimits,
        *,
        intend: Callable[[Sequence[Change]], None],
        settle: Callable[[Sequence[Outcome]], None],
        kept: Callable[[Collection[int]], Collection[int]] = lambda _: (),
    ) -> None:
        self._client = client
        self._clock = clock
        self._limits = limits
        self._intend = intend
        self._settle = settle
        self._kept = kept
        self._size, self._most = limits.start, limits.most
        self._queue: deque[Change] = deque()
        self._sendings: Counter[int] = Counter()
        #: Contacts that have a request of their own: beside others their precondition shifted, or the answer was lost.
        self._alone: set[int] = set()
        self._losses = 0
        self._until: float | None = None
        #: Longest time between a precondition and the end of its write, in seconds of the portal's clock.
        self.longest_gap = 0.0

    def apply(self, changes: Sequence[Change], until: float | None = None) -> None:
        """Carry out all changes, or as many as can be begun before `until` (monotonic seconds).

        Raises PortalError when the portal as a whole can no longer be used; changes that were sent and not settled
        then stay open in the journal. Raises Stopped between two requests.
        """
        self._queue = deque(changes)
        self._until = until
        if changes and self._limits.conditional and not takes_conditions(self._client, changes[: self._limits.start]):
            raise BlockedError(
                "the portal does not fill in what one command of a batch takes from another, so that it cannot refuse "
                "a write by itself, and nothing was written; write.conditional = false has contacts looked at before "
                "they are written"
            )
        while self._queue:
            self._clock.sleep(0)
            if self._over(0.0) or not self._affordable():
                log.info("writer.slot_over", left=len(self._queue))
                return
            if chunk := self._without_kept(self._take()):
                self._write(chunk)

    def _affordable(self) -> bool:
        """Wait until the budget allows most of a chunk: a small one is a request more. Return False if not in time."""
        while waits := self._waits():
            wait, method = max(waits)
            if self._over(wait):
                return False
            log.info("writer.budget_wait", method=method, seconds=round(wait, 1))
            self._client.listener.budget_waited(method, wait)
            self._clock.sleep(wait)
        return True

    def _waits(self) -> list[tuple[float, str]]:
        """Return how long to wait for each method that has too little left for most of the next chunk.

        For all of it, seconds of the budget would be left unused that make up nearly a chunk.
        """
        enough = math.ceil(EDGE * len(self._next()))
        calls = {CONTACT_UPDATE: enough, CONTACT_LIST: enough + 1, COMPANY_LIST: 1, USER_LIST: 1}
        waits = [(self._client.budget.wait(method, count), method) for method, count in calls.items()]
        return [(wait, method) for wait, method in waits if wait]

    def _over(self, wait: float) -> bool:
        """Tell whether our time is over after so long a wait; what was sent before is carried through all the same."""
        late = self._until is not None and self._clock.monotonic() + wait >= self._until
        return late and not self._sendings[self._queue[0].contact]

    def _next(self) -> list[Change]:
        """Return the next chunk, without regard to the budget."""
        first = self._queue[0]
        if first.contact in self._alone:
            return [first]
        ahead = takewhile(lambda change: change.contact not in self._alone, self._queue)
        chunk = list(islice(ahead, min(self._size, self._most)))
        return chunk[: fitting(chunk)]

    def _take(self) -> list[Change]:
        """Take the next chunk, or as much of it as the budget has room for."""
        chunk, budget = self._next(), self._client.budget
        room = min(budget.affordable(CONTACT_UPDATE), budget.affordable(CONTACT_LIST) - 1, len(chunk))
        return [self._queue.popleft() for _ in range(max(1, int(room)))]

    def _without_kept(self, chunk: list[Change]) -> list[Change]:
        """Settle what a person has kept since the plan, as a conflict; return the rest."""
        kept = self._kept([change.contact for change in chunk])
        detail = "a person keeps the contact as it is (`reconciler exceptions`)"
        self._report([Outcome(change=c, result=Result.CONFLICT, detail=detail) for c in chunk if c.contact in kept])
        return [change for change in chunk if change.contact not in kept]

    def _write(self, chunk: list[Change]) -> None:
        """Send a chunk and settle it."""
        self._intend(chunk)
        sent_before = {change.contact for change in chunk if self._sendings[change.contact]}
        self._sendings.update(change.contact for change in chunk)
        try:
            findings, read_back = self._send(chunk)
        except (RateLimitedError, OperationTimeLimitError, TooLargeError) as refusal:
            log.warning("writer.refused", error=str(refusal))
            if isinstance(refusal, TooLargeError) and len(chunk) > 1:
                # What was too long is so again; nothing of it was carried out, so it is not counted as sent.
                self._most, self._size = len(chunk) - 1, len(chunk) // 2
                self._sendings.subtract(change.contact for change in chunk)
            self._again(chunk, refusal)
            return
        except TransientError as loss:
            log.warning("writer.answer_lost", changes=len(chunk), error=str(loss))
            self._size = max(1, len(chunk) // 2)
            # One contact that breaks its request takes no other with it to the end.
            self._alone.update(c.contact for c in chunk if self._sendings[c.contact] == SENDINGS - 1)
            self._find_out(chunk)
            self._count_loss(loss)
            return
        self._adapt(len(chunk), self._clock.monotonic() - self._client.sent_at)
        self._take_note(findings, read_back, sent_before)

    def _send(self, chunk: Sequence[Change]) -> tuple[list[Finding], Answer | PortalError]:
        """Send a chunk; return what is found of each change, and the read-back."""
        if not self._limits.conditional:
            return look_then_write(self._client, self._clock, chunk)
        batch = compose(chunk)
        answers = self._client.send(batch.commands).answers
        return batch.findings(answers), answers[-1]

    def _find_out(self, chunk: Sequence[Change]) -> None:
        """Settle a chunk whose answer was lost by reading it; send again what surely was not written."""
        rows = self._look_back(chunk)
        verdicts = [(change, after_write(change, rows.get(change.contact), answered=False)) for change in chunk]
        applied = [outcome for _, outcome in verdicts if outcome and outcome.result is Result.APPLIED]
        self._report(applied)
        pending = [change for change, outcome in verdicts if outcome not in applied]
        if not pending:
            return
        # The portal may still be at work on the request, for as long as it lets one run (F5.3).
        self._clock.sleep(SETTLED_SECONDS)
        rows = self._look_back(pending)
        self._settle_or_again(
            ((change, after_write(change, rows.get(change.contact), answered=False)) for change in pending), rows
        )

    def _take_note(self, findings: Sequence[Finding], read_back: Answer | PortalError, sent_before: set[int]) -> None:
        """Settle an answered chunk from the answers to its commands and from its read-back."""
        rows = self._read_back([finding.change for finding in findings], read_back)
        fatal: PortalError | None = None
        verdicts: list[tuple[Change, Outcome | None]] = []
        for finding in findings:
            change = finding.change
            if finding.gap is not None:
                self.longest_gap = max(self.longest_gap, finding.gap)
            if finding.shifted:
                self._alone.add(change.contact)
            try:
                sent = change.contact in sent_before
                verdicts.append((change, verdict(finding, rows.get(change.contact), sent_before=sent)))
            except PortalError as failure:  # the webhook or the portal itself: the next chunk would fare no better
                fatal = failure
            fatal = of_the_whole(finding) or fatal
        self._settle_or_again(verdicts, rows)
        if fatal is not None:
            raise fatal
        doubts = [finding.error for finding in findings if finding.precondition is Precondition.UNKNOWN]
        if len(doubts) == len(findings) and doubts[0] is not None:
            self._count_loss(doubts[0])
        else:
            self._losses = 0

    def _count_loss(self, loss: PortalError) -> None:
        """Count a request that nothing came of. Raises what it failed with once there were too many in a row."""
        self._losses += 1
        if self._losses >= LOSSES:
            raise loss

    def _look_back(self, chunk: Sequence[Change]) -> Mapping[int, ContactRow]:
        return look_at(self._client, [change.contact for change in chunk])

    def _read_back(self, chunk: Sequence[Change], answer: Answer | PortalError) -> Mapping[int, ContactRow]:
        if isinstance(answer, Answer):
            try:
                return looked(answer, [change.contact for change in chunk])
            except NotJsonError as doubt:
                log.warning("portal.look_again", error=str(doubt))
        return self._look_back(chunk)

    def _settle_or_again(
        self, verdicts: Iterable[tuple[Change, Outcome | None]], rows: Mapping[int, ContactRow]
    ) -> None:
        """Settle what is decided, and try the rest again, now resting on the rows that were just read."""
        verdicts = list(verdicts)
        self._report([outcome for _, outcome in verdicts if outcome is not None])
        self._again([resting_on(change, rows.get(change.contact)) for change, outcome in verdicts if outcome is None])

    def _again(self, changes: Sequence[Change], refusal: PortalError | None = None) -> None:
        """Put changes back in front of the queue; give up those that were sent too often.

        `refusal`: the whole request was refused, so it is raised instead.
        """
        spent = [change for change in changes if self._sendings[change.contact] >= SENDINGS]
        if spent and refusal is not None:
            raise refusal
        self._report([failed(change, f"not carried out in {SENDINGS} attempts") for change in spent])
        self._queue.extendleft(change for change in reversed(changes) if change not in spent)

    def _adapt(self, updates: int, seconds: float) -> None:
        """Aim the next chunk at the target time; grow to at most twice its size."""
        fitting_in = self._limits.target_seconds / max(seconds / updates, 1e-6)
        self._size = int(max(1, min(fitting_in, max(self._size + 1, self._size * GROWTH), self._most)))

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._settle(outcomes)


def settle_open(client: Client, changes: Sequence[Change], *, most: int) -> list[Outcome]:
    """Say what became of writes whose answers an earlier run never saw, `most` at a time."""
    outcomes: list[Outcome] = []
    for start in range(0, len(changes), most):
        chunk = changes[start : start + most]
        rows = look_at(client, [change.contact for change in chunk])
        for change in chunk:
            outcome = after_write(change, rows.get(change.contact), answered=False)
            outcomes.append(outcome or failed(change, "not written: the run ended before"))
    return outcomes
