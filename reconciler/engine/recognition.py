"""Making sure that the portal is the one that the journal knows by its name.

The address is compared at each run. The portal's first users are compared at the first run of a process, and after an
hour again. The question travels with the first request of the run, so its answer is known before anything is planned or
written. Where a look finds nothing new and no drift, there is nothing to plan, and it is not asked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from reconciler.portal.read.first_users import QUESTION, registered
from reconciler.portal.rest.question import Question

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.errors import PortalError
    from reconciler.journal.portals import Portals
    from reconciler.portal.rest.batch_codec import Answer
    from reconciler.portal.rest.client import Client
    from reconciler.settings.address import Webhook

log = structlog.get_logger("reconciler.journal")

#: For so many seconds a portal is the one that it was: another one may be put back while the service is running.
COMPARED_FOR = 3600.0


class Recognition:
    """Compares one portal with the journal."""

    def __init__(self, client: Client, portals: Portals, *, name: str, webhook: Webhook, clock: Clock) -> None:
        """`name` is the portal's name in the journal."""
        self._client = client
        self._clock = clock
        self._portals = portals
        self._name = name
        self._webhook = webhook
        #: Monotonic seconds; None: not yet.
        self._compared_at: float | None = None

    def __call__(self, accept: bool) -> None:
        """Compare the address now, and the first users with the next request; `accept` what differs.

        The caller holds the lease. Raises PortalChangedError, also out of that request.
        """
        self._portals.recognise(self._name, self._webhook.name, self._webhook.is_host, accept)
        compared_at = self._compared_at
        if compared_at is None or self._clock.monotonic() - compared_at >= COMPARED_FOR:
            question = Question(QUESTION, partial(self._compare, accept), "users", self._not_shown)
            self._client.beside.put(question, can_wait=not accept and self._portals.knows_users(self._name))

    def _compare(self, accept: bool, answer: Answer) -> None:
        self._portals.compare_users(self._name, registered(answer), accept)
        self._compared_at = self._clock.monotonic()

    def _not_shown(self, error: PortalError) -> None:
        """Go on: without the right to see users, nothing is written anyway."""
        log.info("journal.portal_not_compared", reason=str(error))
