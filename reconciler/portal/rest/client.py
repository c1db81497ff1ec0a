"""Batches over HTTP: throttled, metered, retried where that is safe, and nothing of the webhook in any message.

A read may be repeated; `Client.read` does so until each of its commands is answered. A write may not: `Client.send`
makes one attempt and tells what happened, and the writer looks before it tries again.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Self

import structlog
import tenacity

from reconciler.core.model import Usage
from reconciler.core.redaction import Redactor
from reconciler.errors import (
    ForeignAnswerError,
    OperationTimeLimitError,
    PortalError,
    RateLimitedError,
    TooLargeError,
    TransientError,
)
from reconciler.portal.entities import BATCH, BATCH_COMMANDS, REQUEST_SECONDS
from reconciler.portal.rest.batch_codec import Answer, BatchAnswer, Command, batch_body, decode_batch, fresh_nonce
from reconciler.portal.rest.connection import Line
from reconciler.portal.rest.departure import Departure
from reconciler.portal.rest.error_codes import slows_down
from reconciler.portal.rest.listener import NullListener
from reconciler.portal.rest.question import Beside

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import httpx

    from reconciler.clock import Clock
    from reconciler.portal.rest.batch_codec import Timing
    from reconciler.portal.rest.batch_limits import Limits
    from reconciler.portal.rest.limits import Budget, Throttle
    from reconciler.portal.rest.listener import Listener
    from reconciler.settings.address import Webhook

log = structlog.get_logger("reconciler.portal")

#: First and longest pause before a repetition, in seconds; the real one is a random part of it (full jitter).
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
#: Seconds that a request of reads is planned to take: half of what the portal lets it (F5.3).
READ_SECONDS = REQUEST_SECONDS / 2
#: Bytes of a batch's body besides its commands, and beside each of them: quotes, key, colon and comma.
_ENVELOPE, _BESIDE = 24, 21


class Client:
    """Sends batches to one portal; reads in several lanes at a time."""

    def __init__(
        self,
        webhook: Webhook,
        http: httpx.Client,
        *,
        clock: Clock,
        throttle: Throttle,
        budget: Budget,
        limits: Limits,
        random: random.Random,
        nonce: Callable[[], str] = fresh_nonce,
    ) -> None:
        """`nonce` gives what the keys of each batch begin with."""
        self._departure = Departure(clock)
        leave = self._departure.leave
        self._line = Line(webhook, http, answer_bytes=limits.answer_bytes, depart=self._depart, leave=leave)
        self._clock = clock
        self._random = random
        self._nonce = nonce
        self._limits = limits
        self._body_bytes = limits.body_bytes
        # An answer may repeat the address it was sent to: a web server's error, a proxy's.
        self._redact = Redactor([webhook.token])
        self._reached = False
        self.throttle = throttle
        self.budget = budget
        self.usage = Usage()
        #: The portal's clock when it began with its latest answer; None before the first.
        self.heard_at: datetime | None = None
        #: Seconds by which its clock was ahead of ours then, less what that answer took.
        self.ahead: float | None = None
        #: Told of each request, from whichever lane; whoever wants to know takes its place.
        self.listener: Listener = NullListener()
        #: Within how many seconds the portal must answer for the first time; None: as always.
        self.first_answer_seconds: float | None = None
        self.beside = Beside()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    @property
    def sent_at(self) -> float:
        """When the latest request of this thread left (monotonic seconds)."""
        return self._departure.sent_at

    @property
    def at_once(self) -> int:
        """How many commands `ask` has under way at a time; decoded answers to more of them only take room."""
        return self._limits.lanes * BATCH_COMMANDS

    @property
    def host(self) -> str:
        """Where the portal answers now."""
        return self._line.webhook.host

    @property
    def account(self) -> int:
        """The user whose webhook it is."""
        return self._line.webhook.user_id

    @property
    def origin(self) -> str:
        """The portal's pages, for links to its cards."""
        return self._line.webhook.origin

    def read(self, commands: Sequence[Command]) -> list[Answer]:
        """Return the answer to each command, in order; any number of commands.

        Repeats what failed in passing, up to the limits. Raises the first error that repetition did not or cannot
        mend; nothing is ever left out.
        """
        answers = self.ask(commands)
        for answer in answers:
            if isinstance(answer, PortalError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Answer)]

    def read_together(self, commands: Sequence[Command]) -> list[Answer]:
        """As `read`, but all answers, at most fifty, are of one request: it is repeated as a whole, never in parts."""
        attempt = 0
        while True:
            attempt += 1
            answers = self._repeat(commands).answers
            failures = [answer for answer in answers if isinstance(answer, PortalError)]
            if not failures:
                return [answer for answer in answers if isinstance(answer, Answer)]
            lasting = [f for f in failures if not isinstance(f, TransientError | OperationTimeLimitError)]
            if lasting or attempt == self._limits.attempts:
                raise (lasting or failures)[0]
            if any(isinstance(failure, TransientError) for failure in failures):
                self._clock.sleep(self._pause(attempt))

    def ask(self, commands: Sequence[Command]) -> list[Answer | PortalError]:
        """As `read`, but errors of single commands that repetition cannot mend are returned in their place."""
        question = self.beside.due if commands else None
        if question is None:
            return self._ask(commands)
        *answers, answer = self._ask([*commands, question.command])
        self.beside.is_over()
        question.take(answer)
        return answers

    def ask_beside(self) -> None:
        """Ask alone what was to travel along, where it has not been asked yet."""
        if question := self.beside.due:
            [answer] = self._ask([question.command])
            self.beside.is_over()
            question.take(answer)

    def _ask(self, commands: Sequence[Command]) -> list[Answer | PortalError]:
        answers: dict[int, Answer | PortalError] = {}
        waiting = list(range(len(commands)))
        for attempt in range(1, self._limits.attempts + 1):
            left = deque(waiting)
            while left:
                batches = self._cut(commands, left)
                calls = [partial(self._attempt, [commands[index] for index in batch]) for batch in batches]
                for batch, found in reversed([*zip(batches, self._clock.gather(calls, len(calls)), strict=True)]):
                    if found is None:
                        left.extendleft(reversed(batch))
                    else:
                        answers.update(zip(batch, found, strict=True))
            waiting = [i for i in waiting if isinstance(answers[i], TransientError | OperationTimeLimitError)]
            if not waiting:
                break
            if attempt < self._limits.attempts and any(isinstance(answers[i], TransientError) for i in waiting):
                self._clock.sleep(self._pause(attempt))
        return [answers[index] for index in range(len(commands))]

    def _cut(self, commands: Sequence[Command], left: deque[int]) -> list[list[int]]:
        """Take the next batches, one for each lane, in about equal parts; the first is never empty."""
        batches: list[list[int]] = []
        beside: Counter[str] = Counter()
        size = -(-len(left) // -(-len(left) // BATCH_COMMANDS))
        while left and len(batches) < self._limits.lanes:
            next_ones = [commands[index] for index in islice(left, size)]
            fitting = self._fitting(next_ones, beside)
            if not fitting:
                break
            beside.update(command.method for command in next_ones[:fitting])
            batches.append([left.popleft() for _ in range(fitting)])
        return batches

    def _attempt(self, batch: Sequence[Command]) -> Sequence[Answer | PortalError] | None:
        """Return the answers to one batch; None: it would rather pass with fewer commands."""
        try:
            return self._repeat(batch, whole=len(batch) == 1).answers
        except (TooLargeError, TransientError) as failure:
            if not self._learn(batch, failure):
                raise
            return None

    def send(self, commands: Sequence[Command], not_after: float | None = None) -> BatchAnswer:
        """Send one batch once; raise TooLateError instead where it would leave after a moment (monotonic seconds).

        Raises RateLimitedError, AuthorizationError, BlockedError: nothing of it was carried out. Raises any other
        TransientError: what became of it is not known. Raises ValueError for more commands than a batch may hold.
        """
        if len(commands) > BATCH_COMMANDS:
            raise ValueError(f"{len(commands)} commands are more than a batch holds ({BATCH_COMMANDS})")
        with self._lock:
            self.usage = replace(self.usage, commands=self.usage.commands + len(commands))
        methods = [command.method for command in commands]
        try:
            with self._departure.no_later_than(not_after):
                batch = self._send(commands)
        except PortalError as failure:
            self.listener.failed(methods, failure)
            raise
        self.listener.ended(methods, [one if isinstance(one, PortalError) else None for one in batch.answers])
        return batch

    def _send(self, commands: Sequence[Command]) -> BatchAnswer:
        calls = Counter(command.method for command in commands)
        try:
            nonce = self._nonce()
            sent = batch_body([command.encoded for command in commands], nonce)
            with self.budget.sending(calls):
                status, body = self._line.post(sent, None if self._reached else self.first_answer_seconds)
            batch = self._decode(body, status, len(commands), nonce)
        except RateLimitedError:
            self._reached = True
            self.throttle.refused()
            raise
        except OperationTimeLimitError:
            self.budget.exhausted(BATCH)
            raise
        except TransientError as failure:
            if slows_down(failure):
                self.throttle.refused()
            self.budget.unanswered(calls, self._clock.monotonic() - self.sent_at)
            raise
        self._reached = True
        (self.throttle.refused if any(map(slows_down, batch.answers)) else self.throttle.accepted)()
        self._meter(commands, batch)
        return batch

    def _depart(self) -> None:
        """Wait for a request's turn, and take note that it leaves."""
        waited = self.throttle.acquire()
        if waited:
            self.listener.held_back(waited)
        self._departure.leave()
        with self._lock:
            self.usage = replace(self.usage, requests=self.usage.requests + 1)

    def _decode(self, body: bytes, status: int, count: int, nonce: str) -> BatchAnswer:
        """Decode an answer, the token masked in whatever its errors say."""
        try:
            return decode_batch(body, status, count, nonce, self._redact.text)
        except ForeignAnswerError:
            self._line.hang_up()  # the answer that belongs here may come next
            raise

    def _learn(self, commands: Sequence[Command], failure: PortalError) -> bool:
        """Say whether a failed request would rather pass with fewer commands; if so, plan for that from here on."""
        if len(commands) == 1:
            return False
        if isinstance(failure, TooLargeError):
            refused = sum(len(command.encoded) + _BESIDE for command in commands) + _ENVELOPE
            self._body_bytes = min(self._body_bytes, refused // 2)
            return True
        # The budget knows how long it took. A portal that never answered is silent to fewer commands, too.
        return (self._limits.patient or self._reached) and self._was_cut()

    def _was_cut(self) -> bool:
        """Say whether the request that failed just now took longer than one may be planned to take."""
        return self._clock.monotonic() - self.sent_at > READ_SECONDS

    def _repeat(self, commands: Sequence[Command], *, whole: bool = True) -> BatchAnswer:
        """Send a batch of reads until it is answered; wait for the budget before each time, and when it is used up.

        Without `whole` a request that the portal cut for its time is not repeated: the caller sends less.
        """
        left = self._limits.attempts
        while True:
            left -= 1
            try:
                return self._patiently(commands, whole=whole)
            except OperationTimeLimitError as refusal:  # of `batch` itself: the budget knows now how long to wait
                if not left:
                    raise
                log.warning("portal.operation_limit", error=str(refusal))

    def _patiently(self, commands: Sequence[Command], *, whole: bool) -> BatchAnswer:
        """Send a batch of reads, again where that may help, up to the limits on attempts and on time."""
        started = self._clock.monotonic()

        def attempt() -> BatchAnswer:
            nonlocal started
            started += self._await_budget(commands)  # a lost answer has used some of it up, too
            return self.send(commands)

        def give_up(state: tenacity.RetryCallState) -> bool:
            spent = self._clock.monotonic() - started + state.upcoming_sleep
            if not (self._limits.patient or self._reached):
                return True
            return state.attempt_number >= self._limits.attempts or spent > self._limits.retry_seconds

        def note(state: tenacity.RetryCallState) -> None:
            failure = state.outcome.exception() if state.outcome else None
            log.warning("portal.retry", attempt=state.attempt_number, pause=state.upcoming_sleep, error=str(failure))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda failure: isinstance(failure, TransientError) and (whole or not self._was_cut())
            ),
            stop=give_up,
            wait=lambda state: self._pause(state.attempt_number),
            sleep=self._clock.sleep,
            before_sleep=note,
            reraise=True,
        )
        return retrying(attempt)

    def _await_budget(self, commands: Sequence[Command]) -> float:
        """Wait until each method of the batch has seconds left; return for how long; end here when asked to stop."""
        self._clock.sleep(0)
        waited = 0.0
        for method in dict.fromkeys(command.method for command in commands):
            while self.budget.affordable(method) < 1:
                wait = self.budget.wait(method)
                log.info("portal.budget_wait", method=method, seconds=round(wait, 1))
                self.listener.budget_waited(method, wait)
                self._clock.sleep(wait)
                waited += wait
        return waited

    def _fitting(self, commands: Sequence[Command], beside: Counter[str]) -> int:
        """Return how many of the first commands make the next batch; at least one, if none is planned `beside` them.

        They fit into the limit on a body, into the seconds of a request by what their like took last, and into what
        the budget leaves to each method.
        """
        if not beside:
            self._await_budget(commands[:1])
        room, seconds = self._body_bytes - _ENVELOPE, READ_SECONDS
        affordable = {m: self.budget.affordable(m) - beside[m] for m in {command.method for command in commands}}
        for count, command in enumerate(commands):
            room -= len(command.encoded) + _BESIDE
            seconds -= self.budget.cost(command.method)
            affordable[command.method] -= 1
            if (count or beside) and (room < 0 or seconds < 0 or affordable[command.method] < 0):
                return count
        return len(commands)

    def _pause(self, attempt: int) -> float:
        return self._random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))

    def _meter(self, commands: Sequence[Command], batch: BatchAnswer) -> None:
        """Let the budget see what the portal measured, per method and for the envelope (F15)."""
        by_method: dict[str, list[Timing]] = {}
        limited: set[str] = set()
        for command, answer in zip(commands, batch.answers, strict=True):
            if isinstance(answer, Answer):
                by_method.setdefault(command.method, []).append(answer.timing)
            elif isinstance(answer, OperationTimeLimitError):
                limited.add(command.method)
        now = batch.began.timestamp() + (batch.timing.duration or 0.0)
        counted = sum(self.budget.observe(method, timings, now) for method, timings in by_method.items())
        self.budget.observe(BATCH, [batch.timing], now)
        for method in limited:
            self.budget.exhausted(method)
        with self._lock:
            self.heard_at = batch.began
            self.ahead = (batch.began - self._clock.now()).total_seconds()
            self.usage = replace(self.usage, operating_seconds=self.usage.operating_seconds + counted)
