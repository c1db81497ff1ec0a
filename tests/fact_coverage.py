"""Which known facts about a portal no test holds: `make facts`; with `--write` the page's tables are written anew.

Facts stand in `facts.toml`, by section, each with the tests that hold it. A test counts for a fact when it exists and
its docstring cites the section.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from contract.deviations import DEVIATIONS
from contract.documented_examples import EXAMPLES, OTHER_STATUS, WITHOUT_EXAMPLE

from reconciler.simulator import faults

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "embedded-portal.md"
_TEST = re.compile(r'(?ms)^ *def (test_\w+)\(.*?\)(?: -> None)?:\n +r?"""(.*?)"""')


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing a portal does."""

    #: `F2 lists: pages`; the first word is what tests cite.
    section: str
    name: str
    tests: tuple[str, ...]
    #: Why no test holds it, if none does.
    reason: str = ""

    def wrong(self, docstrings: dict[str, list[str]]) -> str:
        """Say in a sentence what is wrong with this fact's line, or nothing."""
        if not self.tests:
            return "" if self.reason else "no test holds it, and no reason is given"
        if self.reason:
            return "tests hold it, and yet a reason says why none does"
        cites = re.compile(rf"\b{re.escape(self.section.split()[0])}\b")
        missing = [test for test in self.tests if test not in docstrings]
        known = [test for test in self.tests if test in docstrings]
        many = [test for test in known if sum(bool(cites.search(text)) for text in docstrings[test]) > 1]
        silent = [test for test in known if not any(map(cites.search, docstrings[test]))]
        words = [f"there is no {test}" for test in missing] + [f"{test} does not cite the section" for test in silent]
        words += [f"{test} stands in several files: say which" for test in many]
        return "; ".join(words)


def facts() -> list[Fact]:
    """Read the list."""
    table = tomllib.loads((TESTS / "facts.toml").read_text(encoding="utf-8"))
    reasons = table.pop("reasons")
    found = [
        Fact(section=section, name=name, tests=tuple(tests), reason=reasons.pop(name, ""))
        for section, held in table.items()
        for name, tests in held.items()
    ]
    if reasons:
        raise LookupError(f"reasons for facts that are none: {', '.join(reasons)}")
    return found


@cache
def docstrings() -> dict[str, list[str]]:
    """Return the docstrings of all tests by name, and by file and name."""
    found: dict[str, list[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for name, text in _TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(text)
            found[f"{path.name}::{name}"] = [text]
    return found


def uncovered() -> list[str]:
    """Return a line for each fact that no test holds though no reason says why, or whose line is wrong."""
    known = docstrings()
    return [f"{fact.section}: {fact.name}: {wrong}" for fact in facts() if (wrong := fact.wrong(known))]


def fact_table() -> str:
    """Return the page's table of facts."""
    lines = ["| | what a portal does | here |", "|---|---|---|"]
    for fact in facts():
        held = f"{len(fact.tests)} test{'s' if len(fact.tests) > 1 else ''}" if fact.tests else f"no: {fact.reason}"
        lines.append(f"| {fact.section} | {fact.name} | {held} |")
    return "\n".join(lines)


def deviation_table() -> str:
    """Return the page's table of deviations from the documentation's example answers."""
    lines = ["| example | where | why |", "|---|---|---|"]
    for deviation in DEVIATIONS:
        places = ", ".join(f"`{path}`" for path in deviation.paths.split())
        only = " (only one of the two has it)" if deviation.only_missing else ""
        lines.append(f"| `{deviation.examples}` | {places}{only} | {deviation.reason} |")
    lines += [f"| `{name}` | HTTP status | {reason} |" for name, reason in OTHER_STATUS.items()]
    return "\n".join(lines)


def method_list() -> str:
    """Return the page's list of methods whose documented examples are held."""
    return ", ".join(f"`{method}`" for method in sorted({example.method for example in EXAMPLES} | WITHOUT_EXAMPLE))


def fault_table() -> str:
    """Return the table of faults as the program itself explains them."""
    _, _, body, _ = re.split(r"(?m)^=+ +=+$\n", faults.__doc__ or "")
    rows = re.sub(r"\n {10,}", " ", body.strip()).splitlines()
    lines = ["| kind | what happens, and parameters (with their defaults) |", "|---|---|"]
    return "\n".join([*lines, *("| {} | {} |".format(*re.split(r" {2,}", row, maxsplit=1)) for row in rows)])


def written(page: str) -> str:
    """Return the page with its generated parts as they should be."""
    parts = {"facts": fact_table(), "deviations": deviation_table(), "methods": method_list(), "faults": fault_table()}
    for name, text in parts.items():
        start, end = f"<!-- {name}: written by `make facts` -->\n", f"\n<!-- end of {name} -->"
        before, rest = page.split(start)
        page = before + start + text + end + rest.split(end)[1]
    return page


def main() -> int:
    """Print what is uncovered; 1 if anything is."""
    wrong = uncovered()
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    covered = sum(bool(fact.tests) for fact in facts())
    without = sum(not fact.tests for fact in facts())
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    sys.stdout.write(f"{covered} facts held by tests, {without} explained, {len(wrong)} in want of a test\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
