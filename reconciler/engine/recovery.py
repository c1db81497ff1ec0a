"""What an earlier run left open is settled by reading, and contacts that were taken back are left alone."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from reconciler.core.model import Outcome, Result, Rule, Standing
from reconciler.engine.planning import undone
from reconciler.portal.write.writer import SETTLED_SECONDS, settle_open

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from reconciler.engine.run import RunContext

log = structlog.get_logger("reconciler.run")

#: Results after which a contact has the owner that was wanted.
_HELD = frozenset({Result.APPLIED, Result.ALREADY})


def settle_open_writes(worker: RunContext, told: Callable[[str, int, int], None]) -> None:
    """Find out, by reading, what became of the writes that an earlier run left open."""
    intents = worker.journal.open_intents(worker.portal)
    if not intents:
        return
    # The portal may still be at work on the last request of that run, for as long as it lets one (F5.3). How long ago
    # that was, this host's time of day cannot say: somebody may have set it since.
    told(f"writes that an earlier run left open, after a wait of {SETTLED_SECONDS:.0f} s", 0, len(intents))
    worker.clock.sleep(SETTLED_SECONDS)
    for run, of_run in groupby(intents, key=lambda intent: intent.run):
        group = list(of_run)
        outcomes = settle_open(worker.client, [intent.change for intent in group], most=worker.chunks.most)
        keep_exceptions(worker, run, outcomes, {intent.change.contact for intent in group if intent.puts_forward})
        worker.journal.settle(run, outcomes)
        log.info("run.settled", settled_run=run, **Counter(outcome.result.value for outcome in outcomes))


def keep_exceptions(worker: RunContext, run: int, outcomes: Iterable[Outcome], put_forward: Collection[int]) -> None:
    """Leave alone what was taken back, and no longer that whose undo was; `put_forward` are contacts of the latter.

    Before the outcomes are stored: after a crash in between, what is still open is settled, and this done again.
    """
    exceptions = worker.journal.exceptions
    held = [o.change for o in outcomes if o.change.rule is Rule.UNDO and o.result in _HELD]
    taken_back = [undone(change) for change in held if change.contact not in put_forward]
    forward = {change.contact for change in held} & set(put_forward)
    if taken_back:
        exceptions.add(worker.portal, Standing.UNDONE, taken_back, run=run)
    if forward:
        exceptions.release_kind(worker.portal, Standing.UNDONE, forward, "undo")
