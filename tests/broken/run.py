"""Break each of the ten promises on purpose, one at a time, and see that a test tells: `make broken`.

Each `NN_<promise>.patch` says in its head which arguments of `tests/chaos/run.py` fail under it; the promise's name is
expected in what that prints. The patches are applied to copies; one that does not fit any more is a failure, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
RUN = re.compile(r"^Run: (.*)$", re.MULTILINE)
_FILE = re.compile(r"^\+\+\+ b/(\S+)$")


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """A piece of a file, as it is and as it shall be."""

    path: str
    before: str
    after: str


def main() -> int:
    """Try all patches, two at a time; return the exit code."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        complaints = list(pool.map(tried, PATCHES))
    return bool(any(complaints))


def tried(patch: Path) -> str:
    """Apply a patch to a copy and run its test there; return what is wrong: the test did not fail, or the patch."""
    began = time.monotonic()
    text = patch.read_text(encoding="utf-8")
    found = RUN.search(text)
    assert found, f"{patch.name} names no test"
    promise = patch.stem.partition("_")[2]
    with TemporaryDirectory(prefix="broken-") as folder:
        copy = Path(folder)
        for part in ("reconciler", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        complaint = applied(hunks(text), copy)
        if not complaint:
            # The copy goes before what is installed, and is what the test then imports.
            environment = os.environ | {"PYTHONPATH": str(copy)}
            command = [sys.executable, "tests/chaos/run.py", "--processes", "1", *found[1].split()]
            run = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
            if run.returncode != 1 or promise not in run.stdout:
                complaint = f"`{' '.join(command[1:])}` did not tell: {(run.stdout + run.stderr)[-500:]}"
    verdict = complaint or "told"
    sys.stdout.write(f"{patch.stem}: {verdict} ({time.monotonic() - began:.0f} s)\n")
    sys.stdout.flush()
    return complaint


def hunks(text: str) -> list[Hunk]:
    """Read a unified diff; line numbers are not looked at."""
    found: list[Hunk] = []
    path, before, after = "", [], list[str]()

    def end() -> None:
        if before or after:
            found.append(Hunk(path=path, before="".join(before), after="".join(after)))
        before.clear()
        after.clear()

    for line in text.splitlines(keepends=True):
        named = _FILE.match(line)
        if named or line.startswith(("@@", "---")):
            end()
            path = named[1] if named else path
        elif path:
            if line[0] in " -":
                before.append(line[1:])
            if line[0] in " +":
                after.append(line[1:])
    end()
    return found


def applied(changes: list[Hunk], root: Path) -> str:
    """Make the changes; return what is wrong: each must find its lines just once."""
    if not changes:
        return "the patch changes nothing"
    for change in changes:
        path = root / change.path
        text = path.read_text(encoding="utf-8")
        if text.count(change.before) != 1:
            return f"the patch does not fit {change.path} any more"
        path.write_text(text.replace(change.before, change.after), encoding="utf-8")
    return ""


if __name__ == "__main__":
    sys.exit(main())
