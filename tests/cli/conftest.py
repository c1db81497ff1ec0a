"""One portal for all tests of the command line, and a desk of its own for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.command_line import URL, Desk, Served, logging_restored, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def portal_server() -> Iterator[Served]:
    """Serve one portal for the whole session."""
    with served() as server:
        yield server


@pytest.fixture(scope="session")
def tls_server() -> Iterator[Served]:
    """Serve one over HTTPS, with a certificate that nobody knows."""
    with served(tls=True) as server:
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
