"""Every direct dependency has its line in docs/dependencies.md, and every line its dependency."""

from __future__ import annotations

import re
import subprocess
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


def installed_by(target: str, folder: Path) -> list[str]:
    """Return what make would install for a target where there is no environment yet."""
    command = ["make", "--dry-run", f"VENV={folder}", "-C", str(ROOT), target]
    recipe = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"-r (requirements[\w-]*\.lock)", recipe)


def test_the_demo_installs_only_what_runs(tmp_path: Path) -> None:
    """The tools of the tests are a second step: a demo needs none of them."""
    assert installed_by("demo", tmp_path / "new") == ["requirements.lock", "requirements-build.lock"]
    assert installed_by("test", tmp_path / "new") == [
        "requirements.lock",
        "requirements-build.lock",
        "requirements-dev.lock",
    ]


PAGES = [
    ".ci/run",
    ".ci/installs",
    "Dockerfile",
    "Makefile",
    "README.md",
    *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]


def test_each_lock_is_installed_without_resolving_it() -> None:
    """A resolver may choose a version that has no hash in the lock, and every new machine then fails."""
    lines = [line for page in PAGES for line in (ROOT / page).read_text(encoding="utf-8").splitlines()]
    variable = next(line.partition(":=")[2] for line in lines if line.startswith("INSTALL "))
    installing = [line.replace("$(INSTALL)", variable) for line in lines if re.search(r"-r requirements", line)]
    assert len(installing) > 5
    assert [line for line in installing if "--no-deps --require-hashes" not in line] == []


@pytest.mark.parametrize("page", ["Dockerfile", "Makefile", "docs/operations.md"])
def test_each_installation_is_checked(page: str) -> None:
    """After a lock, `pip check` finds what is missing of it, and the program is imported."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for after in text.split("-r requirements.lock")[1:]:
        assert re.search(r"pip check|\$\(CHECK\)|bin/python check", after)
        assert re.search(r"import reconciler|, reconciler;", after)
