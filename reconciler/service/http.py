"""The service's pages, connected: what they show comes from the watch, the client's meters and the journal.

They have a connection of their own to the journal, because the worker's is used by one thread at a time.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from reconciler.engine.held_back import report_of_set
from reconciler.errors import JournalError
from reconciler.journal.records import NoApproval
from reconciler.journal.store import open_journal
from reconciler.portal.entities import COMPANY_LIST, CONTACT_LIST, CONTACT_UPDATE, USER_LIST
from reconciler.reporting.build import render
from reconciler.reporting.held_back import for_a_page
from reconciler.reporting.to_html import page_policy
from reconciler.service.health import LivenessListener
from reconciler.telemetry.metrics import CONTENT_TYPE, Metrics, Readings
from reconciler.web.server import Page, Site, serve
from reconciler.web.status import MONTH, MOST_CHANGES, MOST_EXCEPTIONS, MOST_RUNS, Present, status_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.model import Cause
    from reconciler.engine.run import RunContext, RunResult
    from reconciler.journal.store import Journal
    from reconciler.service.health import Watch
    from reconciler.settings.model import Settings

log = structlog.get_logger("reconciler.web")

#: Those that every service calls.
_METHODS = (COMPANY_LIST, CONTACT_LIST, CONTACT_UPDATE, USER_LIST)
#: Seconds for which a status page counts, and a look at whether the journal can be written.
_PAGE_LASTS, _LOOK_LASTS = 2.0, 10.0
#: Changes of a set that its page lists.
MOST_LISTED = 10_000


@contextmanager
def pages(settings: Settings, worker: RunContext, watch: Watch, redact: Callable[[str], str]) -> Iterator[Tally | None]:
    """Serve the pages until the block is left, where the settings want them; yield what counts the runs.

    Raises UsageError where the address is taken.
    """
    worker.client.listener = LivenessListener(watch)
    if not settings.web.enabled:
        yield None
        return
    web, metrics = settings.web, Metrics(_METHODS)
    with open_journal(settings.journal.url, worker.clock) as journal:
        view = View(worker, journal, watch, metrics, redact)
        with serve(view.site, address=web.address, port=web.port, allowed_hosts=web.allowed_hosts) as port:
            worker.client.listener = LivenessListener(watch, metrics)
            log.info("web.started", address=web.address, port=port)
            yield Tally(metrics)


class Tally:
    """Counts runs for the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def begun(self) -> None:
        self._metrics.run_began()

    def ended(self, finished: RunResult) -> None:
        drift: Counter[tuple[str, Cause]] | None = None
        if finished.proposal is not None:
            plan = finished.proposal.plan
            drift = Counter(("actionable", change.cause) for change in plan.changes)
            drift.update(("standing", skip.cause) for skip in plan.skips)
        self._metrics.run_ended(finished.report, drift, refused=finished.refusal is not None)

    def failed(self, kind: str) -> None:
        self._metrics.run_failed(kind)


class View:
    """Answers the pages' questions, one at a time each."""

    def __init__(
        self, worker: RunContext, journal: Journal, watch: Watch, metrics: Metrics, redact: Callable[[str], str]
    ) -> None:
        self._portal, self._client, self._clock = worker.portal, worker.client, worker.clock
        self._journal = journal
        self._watch = watch
        self._metrics = metrics
        self._redact = redact
        self._drawing, self._listing, self._looking = threading.Lock(), threading.Lock(), threading.Lock()
        self._page: tuple[float, Page] | None = None
        #: The latest page of a set, with its digest.
        self._set: tuple[float, str, Page] | None = None
        self._writable: tuple[float, str] | None = None
        self._last = Readings(
            alive=True,
            ready=False,
            authorized=True,
            interval=watch.interval,
            last_attempt=None,
            last_success=None,
            success_age=None,
        )

    @property
    def site(self) -> Site:
        """What the pages ask."""
        return Site(
            status=self.status,
            held_back=self.held_back,
            not_alive=lambda: self._redact(self._watch.not_alive()),
            not_ready=self.not_ready,
            metrics=self.metrics,
            metrics_type=CONTENT_TYPE,
        )

    def not_ready(self) -> list[str]:
        """Say why the service does not do its work, a journal that cannot be written included."""
        reasons = [*self._watch.not_ready(), *filter(None, [self._not_writable()])]
        return [self._redact(reason) for reason in reasons]

    def _not_writable(self) -> str:
        """Say why nothing can be written to the journal; empty: it can. Looked at every few seconds at most."""
        with self._looking:
            now = self._clock.monotonic()
            if self._writable is None or now - self._writable[0] >= _LOOK_LASTS:
                try:
                    self._journal.require_writable()
                    said = ""
                except JournalError as error:
                    said = str(error).rstrip(".")
                    said = said[:1].lower() + said[1:]  # it stands among others
                self._writable = (now, said)
            return self._writable[1]

    def metrics(self) -> bytes:
        """Return the metrics; where the journal cannot be read, its counts stay as they were."""
        watch = self._watch
        attempt, success = watch.last_attempt, watch.last_success
        self._last = replace(
            self._last,
            alive=not watch.not_alive(),
            ready=not self.not_ready(),
            authorized=not watch.locked_out,
            last_attempt=attempt.timestamp() if attempt else None,
            last_success=success.timestamp() if success else None,
            success_age=watch.success_age,
            used=self._client.budget.used(),
            granted=self._client.budget.limit,
        )
        with suppress(JournalError):
            waiting = [one.left for one in self._journal.approvals.open(self._portal) if one.state == "waiting"]
            kinds = self._journal.exceptions.counts(self._portal)
            self._last = replace(self._last, waiting=sum(waiting), exceptions=kinds)
        with suppress(OSError):
            path = self._journal.path
            files = (path, path.with_name(f"{path.name}-wal"))
            size = sum(file.stat().st_size for file in files if file.exists())
            self._last = replace(self._last, journal_bytes=size, free_bytes=shutil.disk_usage(path.parent).free)
        return self._metrics.text(self._last)

    def status(self) -> Page:
        """Return the status page; not made anew for each of those who ask at the same time. Raises JournalError."""
        with self._drawing:
            now = self._clock.monotonic()
            if self._page is None or now - self._page[0] >= _PAGE_LASTS:
                self._page = (now, status_page(self._present()))
            return self._page[1]

    def held_back(self, digest: str) -> Page | str:
        """Return the page of the latest set whose digest begins so, or say why there is none. Raises JournalError."""
        with self._listing:
            now = self._clock.monotonic()
            if self._set is None or self._set[1] != digest or now - self._set[0] >= _PAGE_LASTS:
                record = self._journal.approvals.find(self._portal, digest)
                if isinstance(record, NoApproval):
                    return record.sentence
                report = report_of_set(self._journal, record, self._portal, self._client.origin, most=MOST_LISTED)
                page = Page(text=render(for_a_page(report), "html"), policy=page_policy())
                self._set = (now, digest, page)
            return self._set[2]

    def _present(self) -> Present:
        watch, journal, portal, now = self._watch, self._journal, self._portal, self._clock.now()
        runs = journal.history.runs(portal, MOST_RUNS)
        return Present(
            portal=portal,
            origin=self._client.origin,
            now=now,
            interval=watch.interval,
            wrong=self.not_ready(),
            running_since=watch.last_attempt if watch.running else None,
            last_attempt=watch.last_attempt,
            last_success=watch.last_success,
            runs=runs,
            looks=journal.history.looks(portal, now - MONTH),
            approvals=[one for one in journal.approvals.open(portal) if one.left],
            changes=journal.history.changes(portal, MOST_CHANGES),
            exceptions=journal.exceptions.latest(portal, MOST_EXCEPTIONS),
            kinds=journal.exceptions.counts(portal),
            used=self._client.budget.used(),
            granted=self._client.budget.limit,
            users=journal.user_names(portal),
        )
