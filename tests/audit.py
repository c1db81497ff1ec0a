"""What we depend on, looked through: `make audit`.

First what needs nobody else: every lock has versions and hashes and no addresses, and what runs has a licence that lets
it. Then pip-audit asks for known vulnerabilities, which needs a service on the network; where that cannot be asked,
or knows nothing of a package, this says so and fails: silence is no good news.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
#: All locks; vulnerabilities are looked up for the one of what runs, and for the one of the tools.
LOCKS = tuple(sorted(path.name for path in ROOT.glob("requirements*.lock")))
AUDITED = ("requirements.lock", "requirements-dev.lock")
PIP_AUDIT = ROOT / ".venv-audit" / "bin" / "pip-audit"
#: Licences under which a program may be run, copied and built on, as the packages write them.
ALLOWED = frozenset(
    {
        *("MIT", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MPL-2.0", "ISC", "0BSD", "Zlib"),
        *("MIT License", "BSD License", "Apache Software License", "Apache 2.0"),
        *("Python Software Foundation License", "Mozilla Public License 2.0 (MPL 2.0)", "ISC License (ISCL)"),
    }
)
_PIN = re.compile(
    r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)((?: ;[^\\\n]*)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)


def pins(lock: str) -> dict[str, str]:
    """Return package -> version of a lock; only what has a hash."""
    text = (ROOT / lock).read_text(encoding="utf-8") + "\n"
    return {name: version for name, version, _ in _PIN.findall(text)}


def wrong_locks() -> Iterator[str]:
    """Say what is wrong with a lock."""
    for lock in LOCKS:
        text = (ROOT / lock).read_text(encoding="utf-8")
        named = set(re.findall(r"(?m)^([\w.-]+)", text))
        loose = sorted(named - pins(lock).keys())
        if loose:
            yield f"{lock}: without a version or a hash: {', '.join(loose)}"
        if re.search(r"(?m)^\s*[^#\s].*://|^-(?:i|e|f|-extra-index)|^--(?:index|find|trusted)", text):
            yield f"{lock}: an address or an option, where a mirror should do as well"


def wrong_licences() -> Iterator[str]:
    """Say which package that runs has a licence that is not on the list, or none."""
    for name in pins("requirements.lock"):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform
        said = licences(about)
        if not said or not said <= ALLOWED:
            yield f"{name}: {', '.join(sorted(said)) or 'no licence'}; look at it, and add it to ALLOWED"


def licences(about: Any) -> set[str]:
    """Return the licences that a package names: by the new field, else by its classifiers, else by the old field."""
    if expression := about.get("License-Expression"):
        parts = [[choice.strip("() ") for choice in part.split(" OR ")] for part in expression.split(" AND ")]
        return {next(filter(ALLOWED.__contains__, choices), choices[0]) for choices in parts}
    found = {line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License :: ")}
    found -= {"OSI Approved"}
    return found or {line.strip() for line in (about.get("License") or "").splitlines()[:1] if line.strip()}


def vulnerabilities(lock: str) -> list[str]:
    """Ask for the known vulnerabilities of a lock; return a line for each, and for what could not be found out."""
    command = [PIP_AUDIT, "--requirement", ROOT / lock, "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off"], check=False, capture_output=True, text=True, timeout=600
    )
    return told(done.stdout, lock)


def told(output: str, lock: str) -> list[str]:
    """Turn what pip-audit found into lines."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [f"{lock}: the service of known vulnerabilities cannot be reached; run this where the network is"]
    lines = [
        f"{lock}: {one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown or not packages:
        lines.append(
            f"{lock}: the service of known vulnerabilities answers for {len(packages) - len(unknown)} of "
            f"{len(packages)} packages only; run this where it has all"
        )
    return lines


def main() -> int:
    """Print what is wrong; 1 if anything is, or could not be found out."""
    wrong = [*wrong_locks(), *wrong_licences()]
    print(f"locks and licences: {len(wrong)} to look at")  # noqa: T201
    wrong += [line for lock in AUDITED for line in vulnerabilities(lock)]
    print("\n".join(wrong) or "no known vulnerability")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
