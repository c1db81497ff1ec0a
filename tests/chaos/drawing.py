"""What a seed is about: a portal, settings, faults and people, all drawn from one number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chaos.scene import BOT, DAN, GONE, LEAVER, OWNERS, TOKEN
from support.world import CONTACT_UPDATE

from reconciler.core.companies import Strategy
from reconciler.core.flapping import FlapLimit
from reconciler.core.guard import GuardLimits
from reconciler.core.policy import DismissedOwner, MultiCompany, PersonEdit, Policies, Scope
from reconciler.engine.planning import Rules
from reconciler.portal.read.sweep import SweepOptions
from reconciler.portal.write.writer import ChunkLimits
from reconciler.simulator.costs import Profile
from reconciler.simulator.errors import ANY_TIME
from reconciler.simulator.meters import OperatingModel

if TYPE_CHECKING:
    from collections.abc import Sequence

METHODS = (None, None, CONTACT_UPDATE, CONTACT_UPDATE, "crm.contact.list", "crm.company.list", "user.get")
#: Some take no time at all; in the others something can happen between any two requests.
_PROFILES = (
    "instant",
    "instant",
    "instant",
    Profile(network=0.3),
    Profile(network=0.3),
    Profile(network=0.8),
    "cloud",
    "cloud",
    Profile(write_median=1.0, network=0.2, read=0.05),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What holds for a whole seed."""

    seed: int
    # The portal
    companies: int
    contacts: int
    #: Whether the worker's time-outs count, which costs a thread for each request.
    timeouts: bool
    profile: Profile | str
    bucket: tuple[float, float] | None
    operating: float | None
    model: OperatingModel
    ban: bool
    update_path: str
    clock_offset: float
    # The worker
    rules: Rules
    chunks: ChunkLimits
    tactics: SweepOptions
    lanes: int
    #: Whether requests and answers are held up on their way, to beyond the time-out, and whether the process of the
    #: worker is stopped for a while and goes on.
    delays: bool
    stops: bool
    #: Whether somebody now and then puts back an owner at once, before the worker has read the answer.
    reversals: bool
    read_timeout: float = 75.0

    def delay(self, random: Random) -> float:
        """Draw the seconds that a request, or its answer, is held up on its way: up to a few more than the time-out."""
        return random.uniform(0, self.read_timeout + 3) if self.delays and random.random() < 0.15 else 0.0

    def stop(self, random: Random) -> float:
        """Draw the seconds for which the worker's process is stopped."""
        return random.choice([2.0, 8.0, 60.0]) if self.stops and random.random() < 0.1 else 0.0


def draw(random: Random, seed: int) -> Setup:
    """Draw what holds for a whole seed."""
    way = Random(f"way of seed {seed}")
    profile = random.choice(_PROFILES)
    limited = random.random()
    dismissed = random.choice([*DismissedOwner, DismissedOwner.REPORT])
    person_edit = random.choice([PersonEdit.OVERWRITE, PersonEdit.OVERWRITE, PersonEdit.RESPECT])
    settle = 5.0 if person_edit is PersonEdit.OVERWRITE and random.random() < 0.15 else 0.0
    contacts = random.randint(4, 22)
    policies = Policies(
        scope=random.choice([Scope.ALL] * 5 + [Scope.PREVIOUS_OWNER, Scope.EMPTY_OR_PREVIOUS]),
        person_edit=person_edit,
        settle=timedelta(minutes=settle),
        leave_contacts=frozenset([random.randint(1, contacts)] if random.random() < 0.1 else []),
        leave_owners=frozenset([random.choice(OWNERS)] if random.random() < 0.1 else []),
        dismissed_owner=dismissed,
        successor=random.choice([DAN, DAN, GONE]) if dismissed is DismissedOwner.SUCCESSOR else 0,
        multi_company=random.choice(list(MultiCompany)),
    )
    guard = GuardLimits(
        changes=random.choice([3, 1000, 1000, 1000]),
        share=random.choice([0.1, 0.5]),
        share_from=random.choice([10, 500, 500]),
        gained=random.choice([3, 500, 500]),
        lost=random.choice([3, 500, 500]),
        companies=0.2,
    )
    strategy = random.choice([None, None, Strategy.DRIFT, Strategy.PAGES])
    return Setup(
        seed=seed,
        companies=random.randint(2, 6),
        contacts=contacts,
        timeouts=(timeouts := random.random() < 0.2),
        delays=timeouts and way.random() < 0.7,
        stops=way.random() < 0.2,
        reversals=way.random() < 0.2,
        profile=profile,
        bucket=None if limited < 0.3 else random.choice([(50, 2), (50, 2), (8, 2)]),
        operating=None if limited < 0.3 else random.choice([480, 480, 40]),
        model=random.choice(list(OperatingModel)),
        ban=random.random() < 0.3,
        update_path=random.choice(["legacy", "factory"]),
        clock_offset=random.choice([0.0, 0.0, random.uniform(-86_400, 86_400)]),
        rules=Rules(
            policies=policies,
            guard=guard,
            patience=FlapLimit(times=random.choice([2, 3, 3]), within=timedelta(hours=24)),
        ),
        chunks=ChunkLimits(start=random.choice([1, 3, 10]), most=random.choice([10, 25])),
        tactics=SweepOptions(strategy=strategy),
        lanes=random.choice([1, 1, 2, 3]),
    )


def draw_faults(random: Random, contacts: int) -> list[dict[str, Any]]:
    """Draw what goes wrong for a while."""
    return [_fault(random, contacts) for _ in range(random.choice([0, 0, 1, 1, 2, 3]))]


def _fault(random: Random, contacts: int) -> dict[str, Any]:
    kind, parameters = random.choice(_KINDS)
    fault: dict[str, Any] = {"kind": kind, "times": random.randint(1, 3)}
    for name, values in parameters.items():
        fault[name] = random.choice(values)
    if "contact_id" in fault:
        fault["contact_id"] = random.randint(1, contacts)
    if "company_id" in fault:
        fault["company_id"] = random.randint(101, 103)
    if "ids" in fault:
        fault["ids"] = [random.randint(1, contacts)]
    method = random.choice(METHODS)
    if method is not None:
        fault["method"] = method
    elif random.random() < 0.5:
        fault["request"] = random.randint(1, 12)
    if random.random() < 0.4:
        fault["every"] = random.randint(1, 3)
    return fault


#: Kind and what its parameters may be; errors repeat the webhook's address, as a proxy's do.
_KINDS: Sequence[tuple[str, dict[str, Sequence[Any]]]] = (
    ("html_502", {"commit": (False, True)}),
    ("html_504", {"commit": (False, True)}),
    ("internal_error", {"commit": (False, True)}),
    ("rate_limited", {}),
    ("refused", {"code": tuple(sorted(ANY_TIME))}),
    ("error", {"code": ("", "ODD"), "description": (f"no route to /rest/1/{TOKEN}/batch.json",), "status": (400, 500)}),
    ("cut_before", {}),
    ("lost_answer", {}),
    ("lost_answer", {}),
    ("truncated_body", {"bytes": (0, 20, 300)}),
    ("wrong_json", {}),
    ("empty_answer", {}),
    ("human_edit", {"contact_id": (0,), "owner": OWNERS, "moment": ("before", "after")}),
    ("human_edit", {"company_id": (0,), "owner": OWNERS, "moment": ("before", "after")}),
    ("human_edit_between", {"contact_id": (0,), "owner": OWNERS}),
    ("human_edit_between", {"company_id": (0,), "owner": OWNERS}),
    ("delete_contacts", {"ids": (0,), "moment": ("before", "after")}),
    ("partial_batch", {"commands": (0, 1, 2, 5, 12)}),
    ("missing_result", {}),
    (
        "command_error",
        {
            "code": ("", "ERROR_CORE", "INTERNAL_SERVER_ERROR"),
            "description": ("Access denied.", "Not found", f"see /rest/1/{TOKEN}/profile"),
        },
    ),
    ("operation_limit", {}),
    ("short_page", {"rows": (1, 2)}),
    ("empty_page", {}),
    ("dropped_filter", {"field": ("", "COMPANY_ID", "ASSIGNED_BY_ID", "ID")}),
    ("slow", {"seconds": (1.0, 9.0, 70.0)}),
)
#: Whoever a company may have as its owner: mostly one who may.
COMPANY_OWNERS = (*OWNERS, *OWNERS, *OWNERS, GONE, BOT, 0)
CONTACT_OWNERS = (*OWNERS, *OWNERS, GONE, 0)
assert LEAVER in OWNERS
