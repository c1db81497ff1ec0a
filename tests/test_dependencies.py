"""Every direct dependency has its line in docs/dependencies.md, and every line its dependency."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SIMULATOR = PROJECT["project"]["optional-dependencies"]["simulator"]
#: Groups with an environment, and versions, of their own.
APART = ("audit", "bench")
#: The tests need that extra too; it has a table of its own.
GROUPS = PROJECT["dependency-groups"].values()
TOOLS = [line for group in GROUPS for line in group if isinstance(line, str) and line not in SIMULATOR]


def names(requirements: list[str]) -> set[str]:
    """Return the packages' names."""
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the table under a heading: package -> the other cells."""
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: others for first, *others in cells}


@pytest.mark.parametrize(
    ("heading", "requirements"),
    [
        ("What runs", PROJECT["project"]["dependencies"]),
        ("Extra `simulator`", SIMULATOR),
        ("What builds and tests", PROJECT["build-system"]["requires"] + TOOLS),
    ],
)
def test_each_direct_dependency_is_justified(heading: str, requirements: list[str]) -> None:
    """None is missing, none is left over, and each says what it saves, who keeps it and its licence."""
    table = rows(heading)
    assert set(table) == names(requirements)
    assert list(table) == sorted(table)
    assert all(len(cells) == 3 and all(cells) for cells in table.values())


@pytest.mark.parametrize("lock", [f"requirements{which}.lock" for which in ("", "-build", "-dev", "-bench", "-audit")])
def test_locks_have_hashes_and_no_addresses(lock: str) -> None:
    """Each pinned version is followed by its hashes; where it comes from is the installer's business."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"(?m)^[\w.-]+(?:\[[\w,-]+\])?==[^\s]+(?: ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", text)
    assert len(pins) == len(re.findall(r"(?m)^\w", text)) > 0
    assert "://" not in text


def test_the_locks_agree() -> None:
    """What is tested is what runs: a package in two locks has one version.

    Other people's clients live apart, and one of them caps what we do not.
    """
    pinned: dict[str, set[str]] = {}
    for lock in set(ROOT.glob("requirements*.lock")) - {ROOT / f"requirements-{name}.lock" for name in APART}:
        for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8")):
            pinned.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}


def test_nothing_older_than_what_is_tested_is_let_in() -> None:
    """Each floor is the minor version in the lock: an older one nobody has tried."""
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    pinned = {name.replace("_", "-"): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock)}
    groups = (group for name, group in PROJECT["dependency-groups"].items() if name not in APART)
    lines = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"], *SIMULATOR]
    lines += [line for group in groups for line in group if isinstance(line, str)]
    floors = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in lines)  # type: ignore[union-attr]
    tested = {name: ".".join(pinned[name.replace("_", "-")].split(".")[:2]) for name in floors}
    assert floors == tested
