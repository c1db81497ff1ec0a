"""The worker is really killed at each of its points; the next start brings everything to the same end."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from crashes import kill_everywhere
from crashes.stories import STORIES
from support.crashing import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Stories whose worker writes to the portal while it may be killed.
WRITING = {
    "writes",
    "approved",
    "yes",
    "undo",
    "undo-of-undo",
    "settling",
    "slow-sweep",
    "half-swept",
    "lanes",
    "people",
    "quarantine",
    "respected",
}


@pytest.fixture(scope="module")
def killed() -> Iterator[Callable[[str], dict[str, Any]]]:
    """Return what kills in a story; in a process without threads, which can be forked."""
    command = [sys.executable, kill_everywhere.__file__, "--json", "--asked"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as server:  # type: ignore[call-overload]

        def ask(story: str) -> dict[str, Any]:
            server.stdin.write(f"{story}\n")
            found: dict[str, Any] = json.loads(server.stdout.readline())
            return found

        yield ask
        server.stdin.close()


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_each_point(killed: Callable[[str], dict[str, Any]], name: str) -> None:
    """Nothing is lost, written twice or left open, and what is kept is what it would be had nobody been killed."""
    found = killed(name)
    assert found["wrong"] == []
    kinds = {Kind[kind] for kind in found["points"]}
    assert kinds >= {Kind.BEGIN, Kind.COMMIT, Kind.COMMITTED}
    assert (Kind.LATE in kinds) is (name in WRITING)


def test_the_page_knows_each_story() -> None:
    """Its table has a row for each, and a column for each kind of point."""
    page = kill_everywhere.PAGE.read_text(encoding="utf-8")
    table = page.split(kill_everywhere.START)[1].split(kill_everywhere.END)[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if " | " in line] == [
        "killed in",
        *(story.title for story in STORIES.values()),
        "all",
    ]
    assert all(f" {kind} " in table for kind in Kind)
