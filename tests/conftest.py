"""What holds for all tests."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from support.restored import logging_restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command_line import Desk, Served
    from support.world import World

# No deadline: a busy machine is no bug. In the gate the same examples each time: red means that the change did it.
settings.register_profile(
    "reconciler", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("reconciler")

#: Long stories and whole processes: `make coverage`, a step of the gate, runs them too; `make test` stays quick.
LONG_STORIES = (
    "tests/trust/",
    "tests/pacing/",
    "tests/sweeps/",
    "tests/cli/test_cli_decisions.py",
    "tests/cli/test_cli_killed.py",
    "tests/cli/test_cli_processes.py",
    "tests/hostile/test_hostile_journal.py",
    "tests/deploy/test_first_hour.py",
    "tests/hostile/test_hostile_runs.py",
    "tests/hostile/test_hostile_settings.py",
    "tests/crashes/",
    "tests/faults/",
    "tests/portal/test_writer_faults.py",
    "tests/portal/test_writer_pacing.py",
    "tests/service_days/",
    "tests/test_bench.py",
    "tests/test_run_ends.py",
    "tests/test_run_properties.py",
    "tests/web/test_status_month.py",
)
_ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test` leaves out."""
    for item in items:
        if str(item.path.relative_to(_ROOT)).startswith(LONG_STORIES):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    """Let no test log for those after it, whichever they are: the runner deals them out anew each time."""
    with logging_restored():
        yield


@pytest.fixture(scope="session")
def portal_server() -> Iterator[Served]:
    """Serve one portal for the whole session."""
    from support.command_line import served  # noqa: PLC0415 - most tests need none of it

    with served() as server:
        yield server


@pytest.fixture
def portal(portal_server: Served) -> Iterator[Served]:
    """Give the portal as it was seeded."""
    yield portal_server
    portal_server.reset()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], portal: Served) -> Desk:
    """Give a directory and an environment in which the portal's address is set."""
    from support.command_line import URL, Desk  # noqa: PLC0415 - as above

    monkeypatch.setenv(URL, "")
    desk = Desk(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv(URL, portal.url)
    return desk


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Return what makes a portal, a worker and a journal on one virtual time."""
    from support.world import MEMORY, World  # noqa: PLC0415 - most tests need none of it

    with ExitStack() as stack:

        def make(**options: Any) -> World:
            folder = Path(stack.enter_context(TemporaryDirectory(dir=MEMORY)))
            return stack.enter_context(closing(World(folder, **options)))

        yield make
