"""A few dozen seeds of chaos, and that a seed is always the same story; `make chaos` plays many more."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from chaos.invariants import nothing_grows
from chaos.run import one
from chaos.story import play
from support.world import MEMORY

#: The seeds under which the patches of `tests/broken` tell.
TELLING = (0, 139, 34, 11, 123, 1411, 5, 1, 43, 15, 619)
#: Contacts were linked since the count that the guard measures the share against, which is off up to ten.
LINKED_SINCE = (3600, 4842, 5005, 7691)


@pytest.mark.parametrize("seeds", [TELLING, LINKED_SINCE, range(200, 206)], ids=str)
def test_no_seed_breaks_a_promise(seeds: range | tuple[int, ...]) -> None:
    """Faults, kills, people and other programs at random moments: all nine promises of a seed hold."""
    broken = {seed: violations for seed in seeds if (violations := one(seed).violations)}
    assert broken == {}


def test_a_seed_is_always_the_same_story() -> None:
    """Whatever a seed does once it does again, so that a failure can be looked at."""
    traces = []
    for _ in range(2):
        with TemporaryDirectory(dir=MEMORY) as folder:
            traces.append([play(seed, Path(folder) / str(seed)).trace for seed in _folders(folder, 4, 9)])
    assert traces[0] == traces[1]
    assert len(set(traces[0])) == len(traces[0])


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param((90_000, 20, 3), [], id="steady"),
        pytest.param((190_000, 20, 3), ["nothing_grows: 90000 kilobytes became 190000"], id="memory"),
        pytest.param((90_000, 21, 3), ["nothing_grows: 20 open files became 21"], id="a-file-left-open"),
        pytest.param((90_000, 20, 4), ["nothing_grows: 3 threads became 4"], id="a-thread-left-behind"),
    ],
)
def test_what_grows_is_told(last: tuple[int, int, int], expected: list[str]) -> None:
    """Of the samples of a process the later ones are compared: (resident kilobytes, open files, threads)."""
    assert list(nothing_grows([(50_000, 9, 1), (90_000, 20, 3), (90_000, 20, 3), last])) == expected


def _folders(folder: str, *seeds: int) -> tuple[int, ...]:
    for seed in seeds:
        (Path(folder) / str(seed)).mkdir()
    return seeds
