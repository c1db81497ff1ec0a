"""README.md and the pages under docs/ are true: what they show is what the program prints, and their commands work."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from readme import BLOCKS, PAGE, ROOT, output, written
from support.command_line import TOKEN, Desk, Served, Terminal, interrupt

from reconciler.service.scheduler import Service
from reconciler.settings.model import Settings
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = PAGE.read_text(encoding="utf-8")
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [PAGE, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
#: Large enough for a company 42 with something to correct, and too small for the guard to count shares.
SEED = SeedSpec(companies=60, contacts=550, owners=6, drift=0.5)
#: What a test of a page does not run, and why.
NOT_RUN = {
    "make": "it would install an environment, and `make test` is what runs here: that the target exists is enough",
    "docker": "a container engine is not among what the tests may ask for",
    "source": "there is nothing to see; that it names the environment of the Makefile is held below",
}


def commands(page: Path) -> list[str]:
    """Return the lines that a page tells people to type."""
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```", page.read_text(encoding="utf-8"))
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def tour() -> dict[str, str]:
    """Return the one-page tour of the source: the names on the left -> what is said of them."""
    block = CONTRIBUTING.read_text(encoding="utf-8").split("## The source in one page\n\n```\n")[1].split("```")[0]
    rows: dict[str, str] = {}
    left = ""
    for line in block.splitlines():
        left = line[:24].strip() or left
        rows[left] = f"{rows.get(left, '')} {line[24:].strip()}"
    return rows


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Desk, Served]]:
    """Give a desk to somebody who reads the page, and a portal for the address in it."""
    portal = build(SEED, limits="self-hosted", options=PortalOptions(token=TOKEN))
    with serve(portal) as address:
        yield Desk(tmp_path, monkeypatch, capsys), Served(portal, address)


@pytest.mark.parametrize("marker", BLOCKS)
def test_what_the_readme_shows_is_what_the_program_prints(marker: str) -> None:
    """Help and transcript, but for times and ports: `make docs` puts them there."""
    assert written(README, marker, output(BLOCKS[marker])) == README


def test_a_change_of_what_is_printed_is_found() -> None:
    """The test above can fail: another word counts, another second does not."""
    shown = README.split("<!-- transcript")[1].split("<!-- end of transcript")[0].split("\n", 3)[3].rsplit("```", 1)[0]
    assert written(README, "transcript", shown) == README
    assert written(README, "transcript", re.sub(r"\d\.\d s", "8.8 s", shown)) == README
    assert written(README, "transcript", shown.replace("A manager", "A boss")) != README


def test_the_readmes_commands_work(reader: tuple[Desk, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, with the address of an embedded portal in the place of yours; the last ones find nothing left."""
    desk, portal = reader
    tick = Service.tick

    def tick_once(service: Service) -> None:
        tick(service)
        interrupt()

    monkeypatch.setattr(Service, "tick", tick_once)
    drift = [portal.portal.drift()]
    for line in commands(PAGE):
        first, *words = shlex.split(line)
        if first == "reconciler" and tuple(words) not in BLOCKS.values():
            # Who reads the page sits at a terminal, and says yes there.
            ended = desk.run(*words, *(["--yes"] if "--once" in words else []))
            assert ended.code == 0, f"{line}: {ended.err}"
            drift.append(portal.portal.drift())
        elif first == "export":
            name, _, value = words[0].partition("=")
            assert re.fullmatch(r"https://[\w.-]+/rest/\d+/[\w-]+/", value)
            desk.env(**{name.removeprefix("RECONCILER_"): portal.url})
        elif first in {"mkdir", "echo", "chmod"}:
            subprocess.run(line, shell=True, check=True, cwd=desk.folder)  # noqa: S602 - the page's own line
        else:
            assert first in {*NOT_RUN, "reconciler"}, line
    # One company, then all of them, and nothing else writes.
    assert len(set(drift)) == 3
    assert sorted(drift, reverse=True) == drift
    document = desk.run("plan", "--json").json
    assert document["changes"] == []
    assert drift[-1] == document["standing"]
    assert (desk.folder / "plan.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    # The secret file does what the variable did.
    desk.env(PORTAL__WEBHOOK_URL=None, SECRETS_DIR=str(desk.folder / "secrets"))
    assert desk.run("plan", "--json").json["status"] == "in_sync"


def test_the_readmes_once_asks_and_shows_the_plan(reader: tuple[Desk, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the sentence below the commands says: on a terminal it asks."""
    desk, portal = reader
    desk.env(PORTAL__WEBHOOK_URL=portal.url)
    terminal = Terminal(monkeypatch)
    with terminal.person(("[y/N] ", "n\n")):
        assert desk.run("--once").code == 3
    assert "Plan for" in terminal.shown


def test_the_make_targets_of_the_readme_exist() -> None:
    """Each `make ...` of the page is a target, and the environment is where the page says."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|\$ )make ([a-z]+)", README):
        assert f"\n{target}:" in makefile
    assert "$ source .venv/bin/activate" in README
    assert "\nVENV   := .venv\n" in makefile


def test_no_other_page_has_a_console() -> None:
    """Commands need a test that types them: that page has its own in tests/deploy."""
    assert {page.name for page in PAGES[1:] if commands(page)} == {"first-hour.md"}


def test_the_tour_names_every_module() -> None:
    """Each module at the top and each package stands on the left, and each module of a package in its line."""
    rows = tour()
    source = ROOT / "reconciler"
    named = [name for left in rows for name in left.split()]
    top = {path.name for path in source.glob("*.py")} - {"__init__.py"}
    packages = {f"{path.parent.name}/" for path in source.glob("*/__init__.py")}
    assert sorted(named) == sorted(top | packages)
    for package in packages - {"simulator/"}:
        files = {
            path for path in (source / package).rglob("*") if not {"migrations", "__pycache__"} & set(path.parts[:-1])
        }
        modules = {path.stem for path in files if path.name[0] not in "_."}
        words = set(re.findall(r"\w+", rows[package]))
        assert modules - words == set(), package


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every file that a page links to is there."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [CONTRIBUTING, ROOT / "docs" / "extending.md"], ids=lambda page: page.name)
def test_what_a_page_for_developers_names_is_there(page: Path) -> None:
    """Files, folders and targets of make."""
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:reconciler|tests|deploy|docs|benchmarks)/[\w*./-]+)`", text)
    targets = set(re.findall(r"`make (\w+)", text))
    assert len(paths) > 8
    assert targets
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []
    assert targets <= set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def test_the_readme_has_its_example_of_settings() -> None:
    """The file with every setting is one click away."""
    assert "](config.example.toml)" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_in_the_pages_can_be_used(page: Path) -> None:
    """Each TOML example loads as it stands."""
    for example in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        Settings.model_validate(tomllib.loads(example))
