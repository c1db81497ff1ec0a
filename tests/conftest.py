"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no bug. In the gate the same examples each time: red means that the change did it.
settings.register_profile(
    "reconciler", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("reconciler")
