"""How a cell ended, or shall end."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a dataclass's own
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The run that a fault happened to, and the next one, without it."""

    status: str
    #: What became of its changes: result -> how many; `open` where nobody knows yet.
    outcomes: Mapping[str, int]
    #: Contacts written in it, by the portal's own record.
    written: int
    #: Status of the next run.
    then: str
    #: Writes over a person's change that fell between a check and its write.
    overruled: int = 0
