"""Each promise has a patch that breaks it, which fits, and whose seed breaks nothing as long as it is not applied."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from broken.run import PATCHES, ROOT, RUN, applied, hunks
from chaos.invariants import ALL, nothing_grows
from chaos.test_chaos import TELLING

if TYPE_CHECKING:
    from pathlib import Path


def test_each_promise_has_its_patch() -> None:
    """In the order of the promises; what follows breaks one of them in another way."""
    promises = [promise.__name__ for promise in (*ALL, nothing_grows)]
    named = [patch.stem.split("_", 1) for patch in PATCHES]
    assert [number for number, _ in named] == [f"{number:02}" for number in range(1, len(PATCHES) + 1)]
    assert [name for _, name in named][: len(promises)] == promises
    assert {name for _, name in named} == set(promises)


def test_the_seeds_of_the_patches_are_tried_unbroken_too() -> None:
    """That a seed fails under a patch says something only when it does not fail without."""
    named = [found[1] for patch in PATCHES if (found := RUN.search(patch.read_text(encoding="utf-8")))]
    assert {f"--seed {seed}" for seed in TELLING} == {one for one in named if one.startswith("--seed ")}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_each_patch_fits(patch: Path, tmp_path: Path) -> None:
    """As the program stands now: whoever moves the lines mends the patch."""
    shutil.copytree(ROOT / "reconciler", tmp_path / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    changes = hunks(patch.read_text(encoding="utf-8"))
    assert applied(changes, tmp_path) == ""
    assert applied(changes, tmp_path).endswith("any more")  # it is there already
