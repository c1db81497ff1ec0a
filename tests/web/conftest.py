"""A desk and a portal for the service's pages; the fixtures are those of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from support.command_line import URL, Desk, Served, closed_port, interrupt, logging_restored, served

from reconciler.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.command_line import Ended


@pytest.fixture(scope="module")
def portal_server() -> Iterator[Served]:
    """Serve one portal for the module."""
    with served() as server:
        yield server


@pytest.fixture
def portal(portal_server: Served) -> Iterator[Served]:
    """Give the portal as it was seeded."""
    yield portal_server
    portal_server.reset()


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], portal: Served
) -> Iterator[Desk]:
    """Give a directory and an environment in which the portal's address is set."""
    monkeypatch.setenv(URL, "")
    desk = Desk(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv(URL, portal.url)
    with logging_restored():
        yield desk


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
