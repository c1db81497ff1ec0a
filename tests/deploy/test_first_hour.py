"""docs/first-hour.md, line by line on the embedded portal: each command works, and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command_line import TOKEN, Desk, Served, interrupt
from support.commands_of_pages import Line, lines

from reconciler.service.scheduler import Service
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent.parent / "docs" / "first-hour.md"
#: A company 42 and an owner 5 with something to correct, and enough mistakes for the guard.
SEED = SeedSpec(companies=120, contacts=1_200, owners=8, drift=0.4)


@pytest.fixture
def newcomer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Desk, Served]]:
    """Give a desk to an administrator who has nothing yet, and the portal."""
    portal = build(SEED, limits="self-hosted", options=PortalOptions(token=TOKEN))
    tick = Service.tick

    def tick_once(service: Service) -> None:
        tick(service)
        interrupt()

    monkeypatch.setattr(Service, "tick", tick_once)
    with serve(portal) as address:
        yield Desk(tmp_path, monkeypatch, capsys), Served(portal, address)


class Reader:
    """Types what the page says; what stands there in capitals is taken from what was shown before."""

    def __init__(self, desk: Desk, portal: Served) -> None:
        self.desk = desk
        self.portal = portal
        self.shown = ""
        #: What was typed -> drift after it.
        self.drift: dict[str, int] = {"": portal.portal.drift()}

    def type(self, line: Line) -> None:
        first, *words = line.words
        if first == "export":
            name, _, value = words[0].partition("=")
            assert re.fullmatch(r"https://[\w.-]+/rest/\d+/[\w-]+/", value)
            self.desk.env(**{name.removeprefix("RECONCILER_"): self.portal.url, "WEB__PORT": "0"})
            return
        assert first == "reconciler", line.text
        target = words[words.index(">") + 1] if ">" in words else ""
        words = words[: words.index(">")] if target else words
        # Who reads the page sits at a terminal, and says yes there to what the guard lets pass.
        agreed = ["--yes"] if {"--once", "undo", "DIGEST", "release"} & {*words} else []
        ended = self.desk.run(*map(self.meant, words), *agreed)
        assert ended.code == line.code, f"{line.text}: {ended.err}"
        if target:
            (self.desk.folder / target).write_text(ended.out, encoding="utf-8")
        self.shown = ended.out + ended.err
        self.drift[line.text] = self.portal.portal.drift()

    def meant(self, word: str) -> str:
        if word == "DIGEST":
            found = re.search(r"reconciler approve ([0-9a-f]{12})", self.shown)
            assert found, self.shown
            return found[1]
        if word == "CONTACT":
            found = re.search(r"(?m)^ *(\d+) ", self.shown)
            assert found, self.shown
            return found[1]
        return word


def test_the_first_hour(newcomer: tuple[Desk, Served]) -> None:
    """One company, one manager, everything else after an approval; then the service, and an undo that stays."""
    desk, portal = newcomer
    reader = Reader(desk, portal)
    for line in lines(PAGE):
        reader.type(line)
    drift = list(reader.drift.values())
    after = reader.drift
    standing = desk.run("plan", "--json").json["standing"]
    # Looking changes nothing; a company, a manager and the rest are each a step.
    assert after["reconciler plan --owner 5"] < after["reconciler plan --company 42"] == drift[0]
    assert (
        after["reconciler approve DIGEST"] < after["reconciler --once --owner 5"] < after["reconciler plan --owner 5"]
    )
    assert after["reconciler runs"] < after["reconciler approve DIGEST"] / 2
    assert after["reconciler"] == after["reconciler runs"]
    # What was taken back is left alone, but the one that was released.
    taken_back = after["reconciler undo 1"] - after["reconciler"]
    assert taken_back > 1
    assert after["reconciler backup journal-copy.sqlite3"] == after["reconciler undo 1"] - 1 == standing
    for name in ("plan.html", "left-alone.csv", "backfill.html", "journal-copy.sqlite3"):
        assert (desk.folder / name).stat().st_size > 100, name


def test_the_page_warns_of_what_the_address_is() -> None:
    """And names the scopes that `check` asks for."""
    text = PAGE.read_text(encoding="utf-8")
    assert "is a password" in text
    assert "`crm`" in text
    assert "`user_basic`" in text
