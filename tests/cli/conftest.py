"""What only the tests of the command line need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.command_line import Served, served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tls_server() -> Iterator[Served]:
    """Serve a portal over HTTPS, with a certificate that nobody knows."""
    with served(tls=True) as server:
        yield server
