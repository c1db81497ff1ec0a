"""A backfill on a portal where people keep editing: approved once, carried through over slots and a restart.

The issue's 30,000 are scaled to 1,000 here, and the portal's updates slowed down in return (2.4 seconds each: 480
portal seconds make 200 a slot, where a real portal has time for about a thousand). The full size is a command, in
`backfill_in_full.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust.backfill_story import Story

from reconciler.core import notifications as matters
from reconciler.portal.write.writer import ChunkLimits
from reconciler.simulator.costs import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from support.trust import TrustWorld

BACKLOG = 1_000


def test_a_backfill_over_many_slots(trust: Callable[..., TrustWorld], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, approved once, restarted once; what people do meanwhile is set right within two slots."""
    monkeypatch.setattr(matters, "BACKFILL", 100)
    world = trust(
        profile=Profile(write_median=2.4, network=0.05),
        chunks=ChunkLimits(target_seconds=50),
        settings={"guard": {"changes": 100, "gained": 100, "lost": 100}, "notify": {"users": [1]}},
    )
    story = Story(world, backlog=BACKLOG, restart_at=3)
    story.run()
    assert 5 <= story.slots <= 9
    assert max(story.fixed_after.values()) <= 2
    assert len(story.fixed_after) >= 3 * story.slots
