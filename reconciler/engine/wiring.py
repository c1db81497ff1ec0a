"""What the settings describe, made: the client of the portal, how updates travel, how sweeps read."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.core.companies import Strategy
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.portal.write.writer import ChunkLimits

if TYPE_CHECKING:
    import httpx

    from reconciler.clock import Clock
    from reconciler.settings.model import Settings


def connect(
    settings: Settings, clock: Clock, transport: httpx.BaseTransport | None = None, *, patient: bool = True
) -> Client:
    """Make the client that the settings describe; `transport` replaces the network. Raises UsageError.

    Not `patient`: a portal that does not answer the very first request is not asked again.
    """
    portal, limits = settings.portal, settings.portal.resolved_limits
    http = http_client(
        connect_timeout=portal.connect_timeout,
        read_timeout=portal.read_timeout,
        proxy=portal.proxy.get_secret_value() if portal.proxy else None,
        ca_bundle=portal.ca_bundle,
        transport=transport,
    )
    return Client(
        portal.webhook(),
        http,
        clock=clock,
        throttle=Throttle(clock, burst=limits.burst, per_second=limits.per_second, margin=portal.margin),
        budget=Budget(clock, limit=limits.operating_seconds),
        limits=Limits(
            attempts=settings.retry.attempts,
            retry_seconds=settings.retry.max_seconds,
            read_timeout=portal.read_timeout,
            body_bytes=portal.body_limit,
            answer_bytes=portal.answer_limit,
            lanes=settings.sweep.lanes,
            patient=patient,
        ),
        random=random.Random(),
    )


def chunk_limits(settings: Settings) -> ChunkLimits:
    """Return how updates travel by the settings."""
    start, most, seconds = settings.write.batch_start, settings.write.batch_max, settings.write.target_seconds
    return ChunkLimits(start=start, most=most, target_seconds=seconds, conditional=settings.write.conditional)


def tactics(settings: Settings) -> SweepOptions:
    """Return how sweeps read by the settings."""
    sweep = settings.sweep
    strategy = None if sweep.strategy == "auto" else Strategy(sweep.strategy)
    return SweepOptions(strategy=strategy, relist=timedelta(hours=sweep.relist_hours))
