"""A plan, an undo, a run or a set that waits for approval as one value, whatever it is shown as.

Names come from a CRM, where strangers type them. They stand here as they came; each format makes them
harmless in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.core.model import RunReport

#: An undo is a plan too: nothing of it is written yet. Held is a set of changes that waits, or waited, for approval.
Kind = Literal["plan", "undo", "run", "held"]
Format = Literal["text", "json", "markdown", "csv", "html"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contact: a change that is planned or was made, or one that is left alone. Unknown names are empty."""

    contact: int
    contact_name: str
    company: int
    company_name: str
    #: Owner now (plan), or before the run; 0 for none.
    before: int
    before_name: str
    #: The wanted owner; where the contact is left alone the company's owner, 0 for none.
    after: int
    after_name: str
    #: Plan and undo: empty for a change, else the `Standing` or `Obstacle`. Run: the `Result`, empty while open,
    #: and `held_back` for what the guard held back in it.
    result: str = ""
    #: One sentence where the result does not say it all.
    detail: str = ""
    #: The `Cause` of the mismatch; empty in an undo.
    cause: str = ""
    #: The `Rule` that chose the new owner; empty where nothing is to be written.
    rule: str = ""
    #: Owner of the company; 0 for none, and where nobody asked.
    company_owner: int = 0
    company_owner_name: str = ""
    #: Who edited anything of the contact last, not necessarily its owner, and when; 0 and None: not known.
    last_edited_by: int = 0
    last_edited_by_name: str = ""
    last_edited_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How many contacts a person gains and loses."""

    person: int
    name: str
    gains: int
    loses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A plan, an undo or a run, ready to be shown."""

    kind: Kind
    title: str
    portal: str
    #: `https://host` of the portal, for links to its cards. Empty: no links.
    origin: str
    #: A plan's status says `in_sync` where nothing would change, and nothing otherwise.
    counts: RunReport
    #: The portal's time of the sweep, or when the run began.
    started_at: datetime
    #: None for a plan, and for a run that is under way or ended without a word.
    finished_at: datetime | None = None
    #: The command that ran; empty for a plan.
    command: str = ""
    #: Of the planned changes, in full; empty where there were none.
    digest: str = ""
    changes: tuple[Row, ...] = ()
    #: How many changes there are besides; only a document of a set that was held back has not all of them.
    omitted: int = 0
    #: Who gains and loses by all changes, the largest movement first, in such a document.
    people: tuple[Balance, ...] = ()
    #: Drifted contacts that are left alone; in an undo the changes that stay.
    standing: tuple[Row, ...] = ()
    #: Sentences that a reader should know before acting.
    notes: tuple[str, ...] = ()
