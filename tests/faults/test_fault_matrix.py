"""Every fault in every phase of a run: what it does to the run, what is left, and that the next run mends it."""

from __future__ import annotations

import gc
from random import Random
from typing import TYPE_CHECKING

import pytest
from faults.catalogue import FAULTS
from faults.cells import play
from faults.endings import cells, ending, why_not
from faults.phases import PHASES, world_after
from faults.write_matrix import PAGE, written

from reconciler.portal.rest import error_codes as refusals
from reconciler.simulator.faults import COMMAND_KINDS, REQUEST_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.catalogue import Fault
    from faults.phases import Phase

#: The next run's status by all that it begins with.
_ENDS: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _without_collections() -> Iterator[None]:
    """Spare a fifth of the time: a world is some hundred thousand objects, and gone with its test."""
    gc.disable()
    yield
    gc.enable()


def _id(phase: Phase, faults: tuple[Fault, ...]) -> str:
    first = faults[0]
    return f"{phase.name}-{first.family.name.lower()}-{first.level}{'-lasting' if first.lasting else ''}"


@pytest.mark.parametrize(
    ("phase", "faults"), [pytest.param(phase, faults, id=_id(phase, faults)) for phase, faults in cells()]
)
def test_a_family_of_faults_in_a_phase(phase: Phase, faults: tuple[Fault, ...]) -> None:
    """Each fault ends as its rule says; nothing unplanned, unjournalled or unread, nothing left open."""
    told = {fault.name: play(phase, fault, _ENDS) for fault in faults}
    assert told == {fault.name: ending(phase, fault) for fault in faults}


def test_a_cell_ends_alone_as_among_others() -> None:
    """Cells share the story before them and what follows from the same state; without either they end the same."""
    alone = [(phase, fault) for phase, faults in cells() for fault in faults][::60]
    Random(7).shuffle(alone)
    told, expected = [], []
    for phase, fault in alone:
        world_after.cache_clear()
        told.append(play(phase, fault, {}))
        expected.append(ending(phase, fault))
    assert told == expected


def test_every_kind_of_fault_is_tried_in_every_phase() -> None:
    """F6: each kind and each row has a cell in each phase that is told in full, or a reason."""
    # A replica that lags fails nothing: tests of the embedded portal have it.
    assert {fault.kind for fault in FAULTS} == (REQUEST_KINDS.keys() | COMMAND_KINDS.keys()) - {"replica_lag"}
    codes = {fault.parameters.get("code") for fault in FAULTS}
    assert codes >= refusals._BY_CODE.keys()
    tried = {(phase.name, fault.name) for phase, faults in cells() for fault in faults}
    missing = [(p, f) for p in PHASES for f in FAULTS if (p.name, f.name) not in tried]
    assert all(why_not(phase, fault) for phase, fault in missing)
    assert {phase.name for phase, _ in missing} == {p.name for p in PHASES if p.as_another or p.within}


def test_the_page_is_current() -> None:
    """docs/reliability.md is written by `make matrix WRITE=--write`."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page)
