"""The promises of docs/security.md: each has its tests; and the few that no other test holds."""

from __future__ import annotations

import io
import logging
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fact_coverage import docstrings

from reconciler.cli.portal_checks import NEEDS
from reconciler.core.redaction import Redactor
from reconciler.portal import entities as dialect
from reconciler.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.world import World

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"(?m)^\| (\d+) \| (.+?) \| (.+) \|$", PAGE)
NAMES = ("Zephyrine", "Quillfeather", "Obsidian Gearworks")


def test_each_promise_has_tests() -> None:
    """Numbered without a gap, each with tests that exist."""
    assert [int(number) for number, _, _ in PROMISES] == list(range(1, len(PROMISES) + 1))
    named = {test for _, _, held in PROMISES for test in re.findall(r"`(test_\w+)`", held)}
    assert all(re.fullmatch(r"(`test_\w+`(, )?)+", held) for _, _, held in PROMISES)
    assert sorted(named - docstrings().keys()) == []
    cited = {int(number) for span in re.findall(r"\(([\d, -]+)\)", PAGE) for number in re.findall(r"\d+", span)}
    assert max(cited) <= len(PROMISES)


def test_the_methods_that_are_called() -> None:
    """What the page lists by scope is what the program knows, and which settings need which is what `check` says."""
    names = {name: value for name, value in vars(dialect).items() if name.isupper() and isinstance(value, str)}
    called = {value for value in names.values() if value.islower()}
    table = PAGE.split("| scope | methods |")[1].split("\n\n")[0]
    rows = [line.split("|")[2] for line in table.splitlines()[2:]]
    listed = {method for row in rows for method in re.findall(r"`([\w.]+)`", row)}
    assert listed == called
    for need in NEEDS:
        assert any(f"`{need.scope}`" in row and need.setting in row for row in table.splitlines()), need.setting
    assert {name for name in called if re.search(r"\.(add|update|delete|set)$", name)} == {
        dialect.CONTACT_UPDATE,
        dialect.NOTICE_ADD,
    }


def named_world(make_world: Callable[..., World]) -> World:
    """Make a portal whose contacts and companies have names that stand nowhere else, and correct them."""
    world = make_world()
    world.drift(6, each=3)
    world.office.database.write("UPDATE contact SET name = ?, last_name = ?", NAMES[:2])
    world.office.database.write("UPDATE company SET title = ?", NAMES[2:])
    world.run()
    return world


def test_a_stolen_journal(make_world: Callable[..., World]) -> None:
    """Numbers and employees' names: neither the webhook nor a name of a contact or a company."""
    world = named_world(make_world)
    token = world.portal.webhook_path.strip("/").rpartition("/")[2]
    folder = world.journal.path.parent
    world.close()
    stolen = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"Bob" in stolen
    for secret in (token, *NAMES):
        assert secret.encode() not in stolen


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_stolen_log(make_world: Callable[..., World], form: str) -> None:
    """All there is to log, of a run: no name of a contact or a company."""
    stream = io.StringIO()
    logs.configure("debug", form, Redactor(), stream)  # type: ignore[arg-type]
    with closing(stream):
        named_world(make_world)
        logging.getLogger("reconciler").debug("the end")
        stolen = stream.getvalue()
    assert "run.finished" in stolen
    assert not [name for name in NAMES if name in stolen]


def test_the_image_is_no_more_than_it_must_be() -> None:
    """A number for a user, hashes for what is installed, nothing of the build in the end."""
    build, end = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[1:]
    assert re.findall(r"(?m)^USER (.+)$", end) == ["10001:10001"]
    installs = [line for line in build.splitlines() if " install " in line]
    assert installs
    assert all("--no-deps --require-hashes" in line or "--no-index" in line for line in installs)
    assert "--without-pip" in build
    assert not re.search(r"(?m)^RUN .*(pip|apt|curl)", end)
    assert re.findall(r"(?m)^COPY --from=build (\S+)", end) == ["/opt/reconciler"]
