"""Journals for tests: real files, copied from one that was migrated once."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.clock import VirtualClock
from reconciler.journal.store import Journal, open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty journal with the latest schema; copy it, never write to it."""
    path = tmp_path_factory.mktemp("template") / "journal.db"
    open_journal(f"sqlite:///{path}", VirtualClock()).close()
    return path


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that stands still unless somebody waits."""
    return VirtualClock()


@pytest.fixture
def url(template: Path, tmp_path: Path) -> str:
    """Return the address of an empty journal of this test's own."""
    return f"sqlite:///{shutil.copy(template, tmp_path / 'journal.db')}"


@pytest.fixture
def journal(url: str, clock: VirtualClock) -> Iterator[Journal]:
    """Return an open, empty journal."""
    with open_journal(url, clock) as opened:
        yield opened


@pytest.fixture
def quick(journal: Journal) -> Journal:
    """Return the same journal, that does not wait for the disk: for properties, which need many small steps."""
    connection = journal._database.engine.raw_connection()
    connection.cursor().execute("PRAGMA synchronous = OFF")
    connection.close()  # back into the pool, as it is
    return journal


@pytest.fixture
def unprivileged(template: Path) -> Iterator[Path]:
    """Run the test as a user whom permissions bind, also where tests run as root; return a directory of its own.

    The template comes first: with it everything is imported that this user might not be allowed to read.
    """
    assert template.is_file()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o700)  # whatever the umask
        user = os.geteuid()
        if user == 0:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
            Path(name).chmod(0o700)
