"""A portal with people, and a worker with policies."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from support.trust import TrustWorld
from support.world import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def trust() -> Iterator[Callable[..., TrustWorld]]:
    """Return what makes a portal, and a worker that follows the `settings` given."""
    with ExitStack() as stack:

        def make(**options: Any) -> TrustWorld:
            folder = Path(stack.enter_context(TemporaryDirectory(dir=MEMORY)))
            return stack.enter_context(closing(TrustWorld(folder, **options)))

        yield make
