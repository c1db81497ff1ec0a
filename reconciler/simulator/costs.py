"""How long the portal takes: calibrated from measured SQL (F14) and from recorded answers (F16).

A model only names durations. Who waits, and how, is the portal's affair: it sleeps what the model says minus what was
really spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random
from statistics import NormalDist
from threading import Lock

from reconciler.errors import UsageError

#: The last words of method names that write; a write's time is all workflows and events, not rows (F4).
_WRITES = frozenset({"add", "update", "delete", "set", "remove", "import", "recover"})
_P90 = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The prices of a portal, in seconds."""

    #: A call that reads, before any row is touched: PHP and the REST layer.
    read: float = 0.0
    #: Each row returned: reading it, and making JSON of it.
    row: float = 0.0
    #: Each row that a COUNT walks over, which `start >= 0` adds to every page.
    counted_row: float = 0.0
    #: Each row looked at and not returned: the other contacts of the companies in an IN list.
    examined_row: float = 0.0
    #: Each row walked over in the order of the table, in search of a page of contacts of some companies.
    walked_row: float = 0.0
    #: A call that writes: log-normal, because most take a quarter of a second and a few take many. A 90th
    #: percentile not above the median makes all writes equal.
    write_median: float = 0.0
    write_p90: float = 0.0
    #: Authorization and start-up of one HTTP request, whatever it holds.
    request_overhead: float = 0.0
    #: The way there and back.
    network: float = 0.0

    def times(self, factor: float) -> Profile:
        """Return the same portal, slower."""
        return Profile(**{price.name: getattr(self, price.name) * factor for price in fields(self)})


_CLOUD = Profile(
    read=0.025,
    row=0.4e-3 / 50,  # 0.4 ms for a page of 50
    counted_row=94e-3 / 1_000_000,  # 94 ms for a COUNT over a million contacts
    examined_row=8.4e-3 / 2_000,  # the drift query: 500 companies with 4 contacts each
    walked_row=2.37 / 1_000_000,  # the same ordered by ID: 2,370 ms at a million contacts
    write_median=0.25,
    write_p90=1.0,
    request_overhead=0.060,
    network=0.040,
)

#: By name, as the command line knows them.
PROFILES: dict[str, Profile] = {"instant": Profile(), "cloud": _CLOUD, "slow": _CLOUD.times(5)}


class CostModel:
    """Durations of calls by a profile, a name of `PROFILES` or one's own; the same seed draws the same ones."""

    def __init__(self, profile: Profile | str = "instant", *, seed: int = 0) -> None:
        if isinstance(profile, str):
            if profile not in PROFILES:
                raise UsageError(f"There is no cost profile {profile!r}; choose one of: {', '.join(PROFILES)}.")
            profile = PROFILES[profile]
        self.profile = profile
        self._random = Random(seed)
        self._lock = Lock()
        spread = profile.write_p90 / profile.write_median if profile.write_median else 1.0
        self._sigma = math.log(max(1.0, spread)) / _P90

    @property
    def request_overhead(self) -> float:
        """Seconds that each HTTP request costs the portal besides its calls."""
        return self.profile.request_overhead

    @property
    def network(self) -> float:
        """Seconds of the way there and back."""
        return self.profile.network

    def seconds(
        self, method: str, rows: int, counted_rows: int, *, examined_rows: int = 0, walked_rows: int = 0
    ) -> float:
        """Return how long one call takes inside the portal.

        `rows` are those returned, `counted_rows` those a COUNT walked over (0 when none was asked for),
        `examined_rows` those looked at besides, `walked_rows` those walked over in the order of the table. `batch`
        itself costs nothing but its calls.
        """
        method = method.lower()
        if method == "batch":
            return 0.0
        profile = self.profile
        if method.rpartition(".")[2] in _WRITES:
            if not profile.write_median:
                return 0.0
            with self._lock:  # one sequence of draws, whoever asks
                return profile.write_median * math.exp(self._sigma * self._random.gauss())
        return (
            profile.read
            + profile.row * rows
            + profile.counted_row * counted_rows
            + profile.examined_row * examined_rows
            + profile.walked_row * walked_rows
        )
