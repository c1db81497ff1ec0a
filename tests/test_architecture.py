"""Imports run one way (DESIGN 3), and no module grows beyond what fits in the head."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "reconciler"
SHELL = {
    "cli",
    "options",
    "commands",
    "shell",
    "foreground",
    "service",
    "reconcile",
    "wiring",
    "recognition",
    "config",
    "sources",
    "settings_files",
    "checking",
    "machine_checks",
    "portal_checks",
    "exclusion_checks",
    "service_links",
    "demo",
    "herald",
    "planning",
    "gate",
    "rules",
    "decisions",
    "exception_commands",
    "held_back",
    "manual",
    "embedded",
    "left_alone",
    "upkeep",
    "copying",
    "watch",
    "heartbeat",
    "pages",
    "probe",
    "__main__",
}
EVERYWHERE = {"errors", "clock"}
#: Package or module -> the parts of this program it may import, besides itself and `EVERYWHERE`.
ALLOWED = {
    "core": set[str](),
    "portal": {"core"},
    "journal": {"core"},
    "ops": {"core"},
    "simulator": set[str](),
    "errors": set[str](),
    "clock": set[str](),
}
#: Library -> the only modules that may import it.
ONLY_THERE = {
    "httpx": {"portal/address", "portal/client", "portal/line", "portal/deadline", "simulator/transport"},
    "httpcore": {"portal/deadline"},
    "certifi": {"portal/line"},
    "sqlalchemy": {"journal"},
    "alembic": {"journal"},
}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports, at its top or inside, for types or for use."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module in {"reconciler", "reconciler.portal", "reconciler.simulator", "reconciler.journal"}:
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def part(path: Path) -> str:
    """Return the package under reconciler/, or the module's name where it stands at the top."""
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    """The core knows nobody, the embedded portal shares nothing with the client, libraries keep their places."""
    own = part(path)
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "reconciler" and rest:
            target = rest.split(".")[0]
            if own not in SHELL and target not in {own, "__version__"} | EVERYWHERE:
                assert target in ALLOWED[own], f"{path.name} imports {name}"
        elif own == "core":
            assert first in sys.stdlib_module_names, f"{path.name} imports {name}"
        if first in ONLY_THERE and own not in SHELL:
            place = str(path.relative_to(ROOT).with_suffix(""))
            assert any(place.startswith(allowed) for allowed in ONLY_THERE[first]), f"{place} imports {name}"


def test_modules_fit_in_the_head() -> None:
    """No module is longer than 400 lines."""
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
