"""The real service, looked at over its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from support.command_line import closed_port, interrupt

from reconciler.service.scheduler import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command_line import Desk, Ended


@pytest.fixture
def serve(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[httpx.Client], object]], Ended]:
    """Return what runs the real service for one sweep, looks at its pages, and ends it as Ctrl-C does."""
    tick = Service.tick

    def run(look: Callable[[httpx.Client], object]) -> Ended:
        port = closed_port()
        desk.env(WEB__PORT=str(port))

        def tick_and_look(service: Service) -> None:
            try:
                tick(service)
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                    look(client)
            finally:
                interrupt()

        monkeypatch.setattr(Service, "tick", tick_and_look)
        return desk.run()

    return run
