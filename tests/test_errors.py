"""The tree of errors: what its page draws is what there is."""

from __future__ import annotations

import re

from reconciler import errors

#: A line of the drawing: the branches before the name, the name, and the exit code where it is not the parent's.
_LINE = re.compile(r"^    ((?:[│├└─ ]{4})*)(\w+)(?: +([0-9])(?: {2}|$))?")


def drawn() -> dict[str, tuple[str | None, int]]:
    """Return each drawn class -> its parent and its exit code."""
    found: dict[str, tuple[str | None, int]] = {}
    above: list[str] = []
    tree = str(errors.__doc__).split("::\n\n")[1].split("\n\n")[0]
    for line in tree.splitlines():
        match = _LINE.match(line)
        assert match, line
        del above[len(match[1]) // 4 :]
        parent = above[-1] if above else None
        found[match[2]] = (parent, int(match[3]) if match[3] else found[str(parent)][1])
        above.append(match[2])
    return found


def test_the_drawn_tree_is_complete() -> None:
    """Each class with its parent and its exit code, and none that does not exist."""

    def below(kind: type[errors.ReconcilerError], parent: str | None) -> dict[str, tuple[str | None, int]]:
        found = {kind.__name__: (parent, kind.exit_code)}
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                found |= below(child, kind.__name__)
        return found

    assert drawn() == below(errors.ReconcilerError, None)
