"""One call of a REST method, free of HTTP: who calls, with what, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from reconciler.simulator.bell import Bell
from reconciler.simulator.errors import crm
from reconciler.simulator.php import PhpArray, intval
from reconciler.simulator.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.simulator.database import Database
    from reconciler.simulator.edits import Edits
    from reconciler.simulator.handlers import Handler
    from reconciler.simulator.recycling import RecycleBin
    from reconciler.simulator.workflows import Template

#: What a user who is no administrator may do with contacts and companies.
Role: TypeAlias = Literal["all", "own_only", "read_only", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user behind the webhook, and what the webhook allows."""

    user_id: int
    admin: bool = True
    role: Role = "all"
    scopes: frozenset[str] = frozenset({"crm", "user"})
    #: Through an application's token, not through a webhook.
    application: bool = False
    #: Not an extranet user.
    intranet: bool = True

    def owner_limit(self) -> int | None:
        """Return the only owner whose records are visible, or None for all."""
        return self.user_id if not self.admin and self.role == "own_only" else None

    def may_read(self) -> bool:
        return self.admin or self.role != "none"

    def may_edit(self) -> bool:
        return self.admin or self.role in ("all", "own_only")

    def may_edit_of(self, owner: int | None) -> bool:
        """Say whether a record of this owner may be changed; a missing one is nobody's (F4)."""
        limit = self.owner_limit()
        return self.may_edit() and limit in (None, owner)

    def may_read_of(self, owner: int | None) -> bool:
        """Say whether a record of this owner is visible."""
        limit = self.owner_limit()
        return self.may_read() and limit in (None, owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A method with its parameters; `start` is already taken out of them (F1.1)."""

    method: str
    params: PhpArray
    start: int
    caller: Caller
    #: The portal's clock, whole epoch seconds, and its zone in seconds.
    now: int
    utc_offset: int

    def param(self, name: str, default: Any = None) -> Any:
        """Find a parameter as the CRM does: as given, upper, lower, capitalized or with `ar` before it (F1.1)."""
        for key in (name, name.upper(), name.lower(), name.capitalize(), f"ar{name.capitalize()}"):
            if key in self.params:
                return self.params.get(key)
        return default

    def record_id(self) -> int:
        """Return the record that is meant; its name has only two spellings (F1.1)."""
        return intval(self.params.get("id", self.params.get("ID")))

    def array(self, name: str) -> PhpArray:
        """Return a parameter that must be an array; missing means empty."""
        value = self.param(name, PhpArray())
        if not isinstance(value, PhpArray):
            raise crm(f"Parameter '{name}' must be array.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a method gives back, and what it cost the database."""

    value: Any
    total: int | None = None
    next: int | None = None
    rows: int = 1
    #: Rows that a COUNT had to look at; 0 for none, or when the number was still known.
    counted_rows: int = 0
    #: Rows looked at besides those returned: the other contacts of the companies in an IN list (F14).
    examined_rows: int = 0
    #: Rows that the database walked over in the order of the table, because it expected to fill a page soon (F14).
    walked_rows: int = 0


#: Every scope that the documentation lists; this portal has methods of a few.
SCOPES = (
    *("appform", "baas", "bizproc", "biconnector", "booking", "calendar", "calendarmobile", "call", "catalog"),
    *("catalogmobile", "clouds", "contact_center", "crm", "cashbox", "configuration.import", "delivery", "department"),
    *("disk", "documentgenerator", "entity", "faceid", "forum", "humanresources.hcmlink", "im", "im.import"),
    *("imbot", "imconnector", "imopenlines", "intranet", "landing", "landing_cloud", "lists", "log", "mailservice"),
    *("main", "messageservice", "mobile", "notifications", "pay_system", "placement", "pull", "pull_channel", "rating"),
    *(
        "rpa",
        "sale",
        "salescenter",
        "sign.b2e",
        "smile",
        "socialnetwork",
        "sonet_group",
        "task",
        "tasks",
        "tasks_extended",
    ),
    *("tasksmobile", "telephony", "timeman", "user", "user.userfield", "user_basic", "user_brief", "userconsent"),
    *("userfieldconfig", "vote"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What methods work on."""

    database: Database
    edits: Edits
    bin: RecycleBin
    #: The workflows there are.
    templates: tuple[Template, ...] = ()
    #: Every method, with the scopes of which one is needed.
    methods: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bell: Bell = field(default_factory=Bell)
    #: What was written, and when it had been read.
    writes: Writes = field(default_factory=Writes)
    #: Every scope this portal knows, for `scope?full=1`.
    all_scopes: tuple[str, ...] = field(default=SCOPES)
    #: What the application has bound to events.
    handlers: list[Handler] = field(default_factory=list)
