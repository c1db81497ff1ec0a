"""Put an embedded portal together: data, meters, prices; free of any web framework, for use in one process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from reconciler.clock import SystemClock
from reconciler.errors import UsageError
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.database import Database
from reconciler.simulator.meters import LeakyBucket, OperatingMeter, OperatingModel
from reconciler.simulator.moving_clock import MovingClock
from reconciler.simulator.portal import Portal, PortalOptions
from reconciler.simulator.seed import SeedSpec, seed

if TYPE_CHECKING:
    from reconciler.clock import Clock

Limits: TypeAlias = Literal["cloud", "enterprise", "self-hosted"]

#: Capacity and rate of the leaky bucket (F5.1), and the seconds of a method in ten minutes (F5.2); None is no limit.
LIMITS: dict[str, tuple[tuple[float, float] | None, float | None]] = {
    "cloud": ((50, 2), 480),
    "enterprise": ((250, 5), 480),
    "self-hosted": (None, None),
}


def build(
    spec: SeedSpec,
    *,
    limits: Limits = "cloud",
    profile: Profile | str = "instant",
    clock: Clock | None = None,
    options: PortalOptions | None = None,
    operating_model: OperatingModel = OperatingModel.DOCS,
    ban: bool = False,
) -> Portal:
    """Return a seeded portal with the limits and the pace asked for.

    Without a clock, or with a `SystemClock`, it gets a `MovingClock` of its own: the real time, which `/_sim/clock`
    can move, and whose end ends nothing else.
    """
    if limits not in LIMITS:
        raise UsageError(f"There are no limits {limits!r}; choose one of: {', '.join(LIMITS)}.")
    bucket, operating = LIMITS[limits]
    if clock is None or type(clock) is SystemClock:
        clock = MovingClock()
    options = options or PortalOptions()
    if limits == "self-hosted":
        options = replace(options, self_hosted=True)
    costs = CostModel(profile, seed=spec.seed)
    database = Database()
    seed(database, spec, int(clock.now().timestamp()))
    return Portal(
        database,
        options,
        clock=clock,
        bucket=LeakyBucket(clock, *bucket) if bucket else None,
        meter=OperatingMeter(clock, operating_model, operating, ban),
        costs=costs,
    )
