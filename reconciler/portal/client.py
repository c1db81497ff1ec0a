"""Batches over HTTP: throttled, metered, retried where that is safe, and nothing of the webhook in any message.

A read may be repeated; `Client.read` does so until each of its commands is answered. A write may not: `Client.send`
makes one attempt and tells what happened, and the writer looks before it tries again (DESIGN 5).
"""

from __future__ import annotations

import http.cookiejar
import re
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Self

import httpx
import structlog
import tenacity

from reconciler import __version__
from reconciler.core.model import Usage
from reconciler.errors import (
    MovedError,
    NotJsonError,
    OperationTimeLimitError,
    PortalError,
    RateLimitedError,
    TooLargeError,
    TransientError,
    UnreachableError,
    UsageError,
)
from reconciler.portal.dialect import BATCH, BATCH_COMMANDS
from reconciler.portal.wire import Answer, BatchAnswer, Command, Timing, batch_body, decode_batch

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

    from reconciler.clock import Clock
    from reconciler.portal.address import Webhook
    from reconciler.portal.pacing import Budget, Throttle

log = structlog.get_logger("reconciler.portal")

#: First and longest pause before a repetition, in seconds; the real one is a random part of it (full jitter).
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: How a cloud portal's host ends: a rename stays inside the family (DESIGN 12).
_CLOUD = re.compile(r"[a-z0-9-]+\.(?P<family>bitrix24\.[a-z]{2,3}(\.[a-z]{2})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the client goes. Times in seconds, sizes in bytes."""

    attempts: int = 6
    retry_seconds: float = 300.0
    read_timeout: float = 75.0
    #: Longest body sent: a stock web server refuses more than 1 MB (F17).
    body_bytes: int = 512_000
    #: Longest answer read.
    answer_bytes: int = 50_000_000
    #: Whether to try again before the portal has answered for the first time: not when a person waits, because an
    #: address that never worked is wrong more often than the portal is away.
    patient: bool = True


def http_client(
    *,
    connect_timeout: float,
    read_timeout: float,
    proxy: str | None = None,
    ca_bundle: Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Make the HTTP client: nothing from the environment, no cookies (F11.23), no redirect followed, TLS verified.

    Raises UsageError for a bundle that cannot be loaded.
    """
    try:
        if ca_bundle is None:
            context = httpx.create_ssl_context(trust_env=False)
        else:
            context = ssl.create_default_context(cafile=str(ca_bundle))
    except (OSError, ssl.SSLError) as cause:
        raise UsageError("portal.ca_bundle cannot be loaded; it must be a file of PEM certificates") from cause
    client = httpx.Client(
        transport=transport,
        verify=context,
        proxy=None if transport is not None else proxy,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(connect=connect_timeout, read=read_timeout, write=read_timeout, pool=read_timeout),
        headers={
            "User-Agent": f"reconciler/{__version__}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        },
    )
    client.cookies.jar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return client


class Client:
    """Sends batches to one portal."""

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
    ) -> None:
        self._webhook = webhook
        self._http = http
        self._clock = clock
        self._random = random
        self._limits = limits
        self._body_bytes = limits.body_bytes
        self._moved = False
        self._reached = False
        self.throttle = throttle
        self.budget = budget
        self.usage = Usage()
        #: When the latest request left (monotonic seconds).
        self.sent_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def host(self) -> str:
        """Where the portal answers now."""
        return self._webhook.host

    @property
    def origin(self) -> str:
        """The portal's pages, for links to its cards."""
        return self._webhook.origin

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

    def ask(self, commands: Sequence[Command]) -> list[Answer | PortalError]:
        """As `read`, but errors of single commands that repetition cannot mend are returned in their place."""
        answers: dict[int, Answer | PortalError] = {}
        waiting = list(range(len(commands)))
        for attempt in range(1, self._limits.attempts + 1):
            for indexes in self._pack(commands, waiting):
                batch = self._halved([commands[index] for index in indexes])
                answers.update(zip(indexes, batch, strict=True))
            waiting = [i for i in waiting if isinstance(answers[i], TransientError | OperationTimeLimitError)]
            if not waiting:
                break
            if attempt < self._limits.attempts and any(isinstance(answers[i], TransientError) for i in waiting):
                self._clock.sleep(self._pause(attempt))
        return [answers[index] for index in range(len(commands))]

    def send(self, commands: Sequence[Command]) -> BatchAnswer:
        """Send one batch once.

        Raises RateLimitedError, AuthorizationError, BlockedError: nothing of it was carried out. Raises
        UnreachableError, NotJsonError, ServerFaultError: what became of it is not known.
        """
        self.throttle.acquire()
        self.sent_at = self._clock.monotonic()
        self.usage = replace(self.usage, requests=self.usage.requests + 1, commands=self.usage.commands + len(commands))
        try:
            status, body = self._post(batch_body([command.encode() for command in commands]))
            batch = decode_batch(body, status, len(commands))
        except RateLimitedError:
            self._reached = True
            self.throttle.refused()
            raise
        except OperationTimeLimitError:
            self.budget.exhausted(BATCH)
            raise
        self._reached = True
        self.throttle.accepted()
        self._meter(commands, batch)
        return batch

    def _halved(self, commands: Sequence[Command]) -> Sequence[Answer | PortalError]:
        """Send a batch of reads, in halves where the web server finds it too long."""
        try:
            return self._repeat(commands).answers
        except TooLargeError:
            if len(commands) == 1:
                raise
            middle = len(commands) // 2
            self._body_bytes = max(self._body_bytes // 2, 1)
            return [*self._halved(commands[:middle]), *self._halved(commands[middle:])]

    def _repeat(self, commands: Sequence[Command]) -> BatchAnswer:
        """Send a batch of reads until it is answered as a whole."""
        started = self._clock.monotonic()

        def give_up(state: tenacity.RetryCallState) -> bool:
            spent = self._clock.monotonic() - started + state.upcoming_sleep
            if not (self._limits.patient or self._reached):
                return True
            return state.attempt_number >= self._limits.attempts or spent > self._limits.retry_seconds

        def note(state: tenacity.RetryCallState) -> None:
            failure = state.outcome.exception() if state.outcome else None
            log.warning("portal.retry", attempt=state.attempt_number, pause=state.upcoming_sleep, error=str(failure))

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=give_up,
            wait=lambda state: self._pause(state.attempt_number),
            sleep=self._clock.sleep,
            before_sleep=note,
            reraise=True,
        )
        for _ in range(self._limits.attempts - 1):
            self._await_budget(commands)
            try:
                return retrying(self.send, commands)
            except OperationTimeLimitError as refusal:  # of `batch` itself: the budget knows now how long to wait
                log.warning("portal.operation_limit", error=str(refusal))
        self._await_budget(commands)
        return retrying(self.send, commands)

    def _await_budget(self, commands: Sequence[Command]) -> None:
        """Wait until each method of the batch has seconds left; end here when asked to stop."""
        self._clock.sleep(0)
        for method in dict.fromkeys(command.method for command in commands):
            while self.budget.affordable(method) < 1:
                wait = self.budget.wait(method)
                log.info("portal.budget_wait", method=method, seconds=round(wait, 1))
                self._clock.sleep(wait)

    def _pack(self, commands: Sequence[Command], indexes: Sequence[int]) -> list[list[int]]:
        """Divide commands into batches within the portal's 50 and the limit on a body."""
        batches: list[list[int]] = []
        room = 0
        for index in indexes:
            size = len(commands[index].encode()) + 12  # quotes, key, colon and comma
            if not batches or len(batches[-1]) == BATCH_COMMANDS or size > room:
                batches.append([])
                room = self._body_bytes
            batches[-1].append(index)
            room -= size
        return batches

    def _pause(self, attempt: int) -> float:
        return self._random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))

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
        self.budget.observe(BATCH, [replace(batch.timing, duration=None)], now)
        for method in limited:
            self.budget.exhausted(method)
        self.usage = replace(self.usage, operating_seconds=self.usage.operating_seconds + counted)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        response_status, location, content = self._exchange(body)
        if location is not None:
            self._follow(location)
            response_status, location, content = self._exchange(body)
            if location is not None:
                raise MovedError("the portal redirects twice; put its present address into portal.webhook_url")
        if response_status in {413, 414}:
            raise TooLargeError("the web server finds the request too long; lower portal.body_limit")
        return response_status, content

    def _exchange(self, body: bytes) -> tuple[int, str | None, bytes]:
        """POST once; return status, the Location of a redirect, and the body."""
        deadline = self._clock.monotonic() + 2 * self._limits.read_timeout
        content = bytearray()
        try:
            with self._http.stream("POST", f"{self._webhook.base_url}{BATCH}.json", content=body) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > self._limits.answer_bytes:
                        _give_up(f"the answer is longer than {self._limits.answer_bytes} bytes (portal.answer_limit)")
                    if self._clock.monotonic() > deadline:
                        _give_up("the answer trickles in too slowly")
                location = response.headers.get("Location") if response.is_redirect else None
                return response.status_code, location, bytes(content)
        except httpx.TimeoutException as cause:
            raise UnreachableError(f"{self.host} did not answer in time; is the portal up?") from cause
        except httpx.TransportError as cause:
            sentence = f"{self.host} cannot be reached ({_reason(cause)}); check portal.webhook_url and the network"
            raise UnreachableError(sentence) from cause
        except httpx.HTTPError as cause:  # an answer that cannot be decoded
            raise NotJsonError(f"{self.host} sent an answer that cannot be read") from cause

    def _follow(self, location: str) -> None:
        """Take over the portal's new address, inside the cloud's family only (F6, DESIGN 12)."""
        try:
            new = httpx.URL(location)
        except httpx.InvalidURL as cause:
            raise MovedError(f"{self.host} redirects to an address that is none") from cause
        old, name = _CLOUD.fullmatch(self.host), _CLOUD.fullmatch(new.host)
        same_family = old and name and old["family"].casefold() == name["family"].casefold()
        if self._moved or not (same_family and new.scheme == "https" and new.port is None):
            raise MovedError(
                f"{self.host} redirects to {new.host or 'an unknown host'}, which is not followed; "
                "if that is your portal, put its address into portal.webhook_url"
            )
        log.warning("portal.moved", old=self.host, new=new.host)
        base_url = f"https://{new.host}/rest/{self._webhook.user_id}/{self._webhook.token}/"
        self._webhook = replace(self._webhook, host=new.host, base_url=base_url)
        self._moved = True


def _give_up(sentence: str) -> NoReturn:
    raise NotJsonError(sentence)


def _reason(failure: httpx.TransportError) -> str:
    """Say in a word what went wrong below HTTP, without an address."""
    root: BaseException = failure
    while root.__cause__ is not None or root.__context__ is not None:
        root = root.__cause__ or root.__context__ or root
    if isinstance(root, ssl.SSLCertVerificationError):
        return "its certificate is not trusted: portal.ca_bundle names another authority"
    return type(failure).__name__ if not isinstance(root, OSError) else (root.strerror or type(root).__name__)
