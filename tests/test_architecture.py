"""Imports run one way, and no module grows beyond what fits in the head."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "reconciler"
_PORTAL = {"core", "portal.entities", "portal.rest"}
_ENGINE = {
    "core",
    "settings",
    "portal",
    "portal.rest",
    "portal.read",
    "portal.write",
    "journal",
    "telemetry",
    "reporting",
}
#: Folder, or a module that stands for itself -> the folders it may import, besides itself, `errors` and `clock`.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "clock": set(),
    "core": set(),
    "settings": {"core"},
    "portal.entities": set(),
    "portal.rest": {"core", "settings", "portal.entities"},
    "portal.read": _PORTAL,
    "portal.write": _PORTAL,
    "portal": {*_PORTAL, "portal.write"},
    "journal": {"core", "settings"},
    "telemetry": {"core"},
    "reporting": {"core"},
    "web": {"core", "reporting"},
    "engine": _ENGINE,
    "service": {*_ENGINE, "portal.entities", "engine", "web"},
    "cli": {*_ENGINE, "portal.entities", "engine", "web", "service", "simulator"},
    "__main__": {"cli"},
    "simulator": set(),
}
EVERYWHERE = {"errors", "clock"}
#: Library -> the only modules that may import it.
ONLY_THERE = {
    "httpx": {
        "engine/wiring",
        "portal/rest/client",
        "portal/rest/connection",
        "portal/rest/deadline",
        "settings/address",
        "simulator/transport",
    },
    "httpcore": {"portal/rest/deadline"},
    "certifi": {"portal/rest/connection"},
    "sqlalchemy": {"journal"},
    "alembic": {"journal"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "__init__.py"
}


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports, at its top or inside, for types or for use."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in below if name.removeprefix("reconciler.") in MODULES}
            names.update(modules or {node.module})
    return names


def folder(module: str) -> str:
    """Return the row of `ALLOWED` that a module belongs to: the longest name that it begins with."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ALLOWED), module)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    """The core knows nobody, the embedded portal shares nothing with the client, libraries keep their places."""
    own = folder(module)
    for name in imported(MODULES[module]):
        first, _, rest = name.partition(".")
        if first == "reconciler" and rest:
            assert folder(rest) in ALLOWED[own] | {own} | EVERYWHERE, f"{module} imports {name}"
        elif own == "core":
            assert first in sys.stdlib_module_names, f"{module} imports {name}"
        if first in ONLY_THERE:
            place = module.replace(".", "/")
            assert any(place.startswith(allowed) for allowed in ONLY_THERE[first]), f"{module} imports {name}"


def test_there_is_no_circle() -> None:
    """No module of the worker imports itself through others, for types neither; the embedded portal's still do."""
    imports = {
        module: {name.removeprefix("reconciler.") for name in imported(path)} & MODULES.keys()
        for module, path in MODULES.items()
        if folder(module) != "simulator"
    }
    while leaves := {module for module, names in imports.items() if not names & imports.keys()}:
        imports = {module: names for module, names in imports.items() if module not in leaves}
    assert sorted(imports) == []


def test_modules_fit_in_the_head() -> None:
    """No module is longer than 400 lines."""
    long = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
