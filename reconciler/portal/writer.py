"""Carrying out a plan: check, write, read back, so that a person's later decision stands (DESIGN 6).

One request carries the updates of a chunk, their read-back and the check of the next chunk. A check counts only if
its write leaves within two seconds of its answer; otherwise there is a fresh one in a request of its own. A request
whose answer was lost is never simply repeated: the contacts are read first.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from reconciler.core.check import ContactRow, after_write, before_write
from reconciler.core.model import Change, Outcome, Result
from reconciler.errors import (
    NotJsonError,
    OperationTimeLimitError,
    PortalError,
    RateLimitedError,
    TooLargeError,
    TransientError,
)
from reconciler.portal.dialect import BATCH_COMMANDS, CONTACT_UPDATE, OWNER, REQUEST_SECONDS
from reconciler.portal.looks import Look, commands_to_look, look_at, looked
from reconciler.portal.verdicts import failed, verdict
from reconciler.portal.wire import Answer, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.clock import Clock
    from reconciler.portal.client import Client

log = structlog.get_logger("reconciler.writer")

#: A check is worth nothing when its write leaves later than so many seconds after it.
CHECK_SECONDS = 2.0
#: How often a change is sent before it is given up.
SENDINGS = 4
#: How many fresh checks in a row may come too late for their write before the run is given up.
CHECKS = 10
#: How many answers in a row may be lost before the run is given up: more than one broken company's contacts.
LOSSES = 25
#: What the next chunk may grow by.
GROWTH = 1.5
#: So long after a request left, the portal is no longer at work on it: its own limit (F5.3), and the way there.
SETTLED_SECONDS = REQUEST_SECONDS + 5.0
#: Updates that fit into a batch beside their read-back and the three commands of the next chunk's check.
MOST_UPDATES = BATCH_COMMANDS - 1 - 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLimits:
    """How many updates go into one request."""

    start: int = 10
    most: int = 25
    #: Seconds that the updates of one request should take: far from the portal's 60 (F5.3).
    target_seconds: float = 15.0


class Writer:
    """Carries out changes one chunk after the other; its answers to the journal come in the order of events.

    `intend` is called with what is about to leave, before it does; `settle` with what became of changes.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        limits: ChunkLimits,
        *,
        intend: Callable[[Sequence[Change]], None],
        settle: Callable[[Sequence[Outcome]], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._limits = replace(limits, start=min(limits.start, MOST_UPDATES), most=min(limits.most, MOST_UPDATES))
        self._intend = intend
        self._settle = settle
        self._size = self._limits.start
        self._queue: deque[Change] = deque()
        self._sendings: Counter[int] = Counter()
        self._losses = 0
        self._until: float | None = None
        #: Longest time between a check's answer and the departure of its write, in seconds.
        self.longest_gap = 0.0

    def apply(self, changes: Sequence[Change], until: float | None = None) -> None:
        """Carry out all changes, or as many as can be begun before `until` (monotonic seconds).

        Raises PortalError when the portal as a whole can no longer be used; changes that were sent and not settled
        then stay open in the journal. Raises Stopped between two requests.
        """
        self._queue = deque(changes)
        self._until = until
        look: Look | None = None
        chunk: list[Change] = []
        while chunk or self._queue:
            self._clock.sleep(0)
            if self._over(0.0, chunk) or not (chunk or self._affordable()):
                log.info("writer.slot_over", left=len(chunk) + len(self._queue))
                return
            if not chunk:
                chunk, look = self._take(), None
            if look is None or not self._in_time(look):
                look = self._look_afresh(chunk)
            due = self._still_due(chunk, look)
            if due:
                chunk, look = self._write(due, look)
            else:
                chunk, look = [], None

    def _affordable(self) -> bool:
        """Wait until the budget allows a whole chunk, since each smaller one is a request more; False: not in time."""
        while wait := self._client.budget.wait(CONTACT_UPDATE, min(self._size, len(self._queue))):
            if self._over(wait, ()):
                return False
            log.info("writer.budget_wait", seconds=round(wait, 1))
            self._client.listener.budget_waited(CONTACT_UPDATE, wait)
            self._clock.sleep(wait)
        return True

    def _over(self, wait: float, chunk: Sequence[Change]) -> bool:
        """Tell whether our time is over after so long a wait; what was sent before is carried through all the same."""
        first = chunk[0] if chunk else self._queue[0]
        late = self._until is not None and self._clock.monotonic() + wait >= self._until
        return late and not self._sendings[first.contact]

    def _take(self) -> list[Change]:
        """Take the next chunk, which is whole unless the budget never has room for one so large."""
        fitting = min(self._size, len(self._queue), self._client.budget.affordable(CONTACT_UPDATE))
        return [self._queue.popleft() for _ in range(int(fitting))]

    def _take_beside(self, due: Sequence[Change]) -> list[Change]:
        """Take the chunk that follows one that is on its way; nothing where there would be a wait between them."""
        size = min(self._size, len(self._queue))
        room = self._client.budget.affordable(CONTACT_UPDATE) - len(due) >= size
        return [self._queue.popleft() for _ in range(size)] if room else []

    def _still_whole(self, following: list[Change]) -> list[Change]:
        """Put back what is too much after an answer: updates got slower, or the budget is used up."""
        size = min(self._size, len(following))
        keep = size if self._client.budget.affordable(CONTACT_UPDATE) >= size else 0
        self._again(following[keep:])
        return following[:keep]

    def _in_time(self, look: Look) -> bool:
        """Tell whether a write that is sent now leaves soon enough after its check."""
        return self._clock.monotonic() - look.at + self._client.throttle.delay(1) <= CHECK_SECONDS

    def _look_afresh(self, chunk: Sequence[Change]) -> Look:
        """Check a chunk in a request of its own, timed so that the write can follow at once."""
        for _ in range(CHECKS):
            self._clock.sleep(self._client.throttle.delay(2))
            look = look_at(self._client, self._clock, chunk, companies=True)
            if self._in_time(look):
                return look
        raise RateLimitedError("the portal gets so many requests that no write can follow its check in two seconds")

    def _still_due(self, chunk: Sequence[Change], look: Look) -> list[Change]:
        """Settle what a check forbids; return the rest."""
        verdicts = {change: self._before_write(change, look) for change in chunk}
        self._report([outcome for outcome in verdicts.values() if outcome is not None])
        return [change for change, outcome in verdicts.items() if outcome is None]

    def _before_write(self, change: Change, look: Look) -> Outcome | None:
        contact, company_owner = look.contacts.get(change.contact), look.owners.get(change.company)
        outcome = before_write(change, contact, company_owner, fit=change.after in look.fit)
        if outcome is not None and outcome.result is Result.ALREADY and self._sendings[change.contact]:
            return replace(outcome, result=Result.APPLIED, detail="an earlier attempt took effect late")
        return outcome

    def _write(self, due: list[Change], look: Look) -> tuple[list[Change], Look | None]:
        """Send the updates; return the next chunk with its check, if the answer brought one."""
        following = self._take_beside(due)
        checks = commands_to_look(following, companies=True) if following else []
        commands = [*map(_update, due), *commands_to_look(due, companies=False), *checks]
        self._intend(due)
        self._sendings.update(change.contact for change in due)
        if not self._in_time(look):  # the journal's disk was slow
            self._again(following)
            self._again(due)
            return [], None
        try:
            batch = self._client.send(commands)
        except (RateLimitedError, OperationTimeLimitError, TooLargeError) as refusal:
            log.warning("writer.refused", error=str(refusal))
            if isinstance(refusal, TooLargeError):
                self._size = max(1, len(due) // 2)
            self._again(following)
            self._again(due, refusal)
            return [], None
        except TransientError as loss:
            log.warning("writer.answer_lost", changes=len(due), error=str(loss))
            self._size = max(1, len(due) // 2)
            self._losses += 1
            self._again(following)
            self._find_out(due)
            if self._losses >= LOSSES:
                raise
            return [], None
        finally:
            self.longest_gap = max(self.longest_gap, self._client.sent_at - look.at)
        self._losses = 0
        self._adapt(len(due), self._clock.monotonic() - self._client.sent_at)
        next_look = self._next_look(following, batch.answers[len(due) + 1 :])
        self._take_note(due, batch.answers)
        return self._still_whole(following), next_look

    def _find_out(self, due: Sequence[Change]) -> None:
        """Settle a chunk whose answer was lost by reading it; send again what surely was not written."""
        sent_at = self._client.sent_at
        look = self._look_back(due)
        verdicts = [(c, after_write(c, look.contacts.get(c.contact), answered=False)) for c in due]
        applied = [outcome for _, outcome in verdicts if outcome and outcome.result is Result.APPLIED]
        self._report(applied)
        pending = [change for change, outcome in verdicts if outcome not in applied]
        if not pending:
            return
        # The portal may still be at work on the request, for as long as it lets one run (F5.3).
        self._clock.sleep(sent_at + SETTLED_SECONDS - self._clock.monotonic())
        look = self._look_back(pending)
        self._settle_or_again(
            (change, after_write(change, look.contacts.get(change.contact), answered=False)) for change in pending
        )

    def _take_note(self, due: Sequence[Change], answers: Sequence[Answer | PortalError]) -> None:
        """Settle an answered chunk from the answers to its updates and from its read-back."""
        rows = self._read_back(due, answers[len(due)])
        fatal: PortalError | None = None
        verdicts: list[tuple[Change, Outcome | None]] = []
        for change, answer in zip(due, answers, strict=False):
            try:
                verdicts.append((change, verdict(change, answer, rows.get(change.contact))))
            except PortalError as failure:  # the webhook itself: the next chunk would fare no better
                fatal = failure
        self._settle_or_again(verdicts)
        if fatal is not None:
            raise fatal

    def _look_back(self, chunk: Sequence[Change]) -> Look:
        return look_at(self._client, self._clock, chunk, companies=False)

    def _read_back(self, due: Sequence[Change], answer: Answer | PortalError) -> Mapping[int, ContactRow]:
        if isinstance(answer, Answer):
            try:
                return looked([answer], due, self._clock.monotonic()).contacts
            except NotJsonError as doubt:
                log.warning("portal.look_again", error=str(doubt))
        return self._look_back(due).contacts

    def _next_look(self, following: Sequence[Change], answers: Sequence[Answer | PortalError]) -> Look | None:
        """Take the check that came along; None where it cannot be used and a fresh one is due."""
        seen = [answer for answer in answers if isinstance(answer, Answer)]
        if not following or len(seen) < len(answers):
            return None
        try:
            return looked(seen, following, self._clock.monotonic())
        except NotJsonError as doubt:
            log.warning("portal.look_again", error=str(doubt))
            return None

    def _settle_or_again(self, verdicts: Iterable[tuple[Change, Outcome | None]]) -> None:
        verdicts = list(verdicts)
        self._report([outcome for _, outcome in verdicts if outcome is not None])
        self._again([change for change, outcome in verdicts if outcome is None])

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
        """Aim the next chunk at the target time; grow by at most half (DESIGN 5)."""
        fitting = self._limits.target_seconds / max(seconds / updates, 1e-6)
        self._size = int(max(1, min(fitting, max(self._size + 1, self._size * GROWTH), self._limits.most)))

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._settle(outcomes)


def settle_open(client: Client, clock: Clock, changes: Sequence[Change], *, most: int) -> list[Outcome]:
    """Say what became of writes whose answers an earlier run never saw, `most` at a time (DESIGN 6)."""
    outcomes: list[Outcome] = []
    for start in range(0, len(changes), most):
        chunk = changes[start : start + most]
        contacts = look_at(client, clock, chunk, companies=False).contacts
        for change in chunk:
            outcome = after_write(change, contacts.get(change.contact), answered=False)
            outcomes.append(outcome or failed(change, "not written: the run ended before"))
    return outcomes


def _update(change: Change) -> Command:
    """Write the owner and nothing else; the flag silences notices where the portal lets it (F4, F17)."""
    return Command(
        CONTACT_UPDATE,
        {"id": change.contact, "fields": {OWNER: change.after}, "params": {"REGISTER_SONET_EVENT": "N"}},
    )
