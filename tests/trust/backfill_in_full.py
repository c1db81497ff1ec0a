"""The backfill of 30,000 in full, in virtual time: `PYTHONPATH=.:tests python tests/trust/backfill_in_full.py`."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from support.trust import TrustWorld
from support.world import MEMORY
from trust.backfill_story import Story

from reconciler.simulator.costs import Profile


def main() -> None:
    """Run it, and say how it went."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    began = time.monotonic()
    profile = Profile(write_median=0.35, network=0.04, request_overhead=0.06)
    with (
        TemporaryDirectory(dir=MEMORY) as folder,
        closing(TrustWorld(Path(folder), profile=profile, settings={"notify": {"users": [1]}})) as world,
    ):
        story = Story(world, backlog=30_000, restart_at=9)
        story.run()
        sys.stdout.write(
            f"{story.slots} slots, {world.clock.monotonic() / 3600:.1f} virtual hours; {len(story.fixed_after)} fresh "
            f"mismatches, each set right within {max(story.fixed_after.values())} slots; "
            f"{time.monotonic() - began:.0f} s\n"
        )


if __name__ == "__main__":
    main()
