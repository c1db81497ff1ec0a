"""A day of service, 144 runs, while people edit all the time: nothing stays wrong, nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from support.command_line import TOKEN, URL

from reconciler.core.model import Status
from reconciler.service.pruning import Upkeep
from reconciler.service.scheduler import Service
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.world import World

    from reconciler.simulator.people import People

INTERVAL = 600.0
TICKS = 144
COMPANIES, EACH = 300, 6
OWNERS = tuple(range(11, 21))
#: Of a run without changes, and of a change, in the file: what `docs/operations.md` says.
BYTES_A_RUN, BYTES_A_CHANGE = 350, 330
#: Whoever else is linked to several companies is reported, and is no mismatch here.
WRONG = (
    "SELECT c.id, c.assigned_by_id, k.assigned_by_id FROM contact c JOIN company k ON k.id = c.company_id"
    " WHERE c.assigned_by_id <> k.assigned_by_id"
    " AND (SELECT count(*) FROM contact_company l WHERE l.contact_id = c.id) = 1"
)


class Staff:
    """People who do whatever people do, at random moments."""

    def __init__(self, people: People, seed: int) -> None:
        self._people = people
        self._random = Random(seed)
        self._contacts = list(range(1, COMPANIES * EACH + 1))
        self.done: dict[str, int] = {}

    def act(self) -> None:
        """Do one thing."""
        what = self._random.choice(("hand over", "hand over", "edit", "edit", "create", "move", "delete", "note"))
        getattr(self, f"_{what.replace(' ', '_')}")()
        self.done[what] = self.done.get(what, 0) + 1

    def _anybody(self) -> int:
        return self._random.choice(OWNERS)

    def _company(self) -> int:
        return 10_000 + self._random.randrange(COMPANIES)

    def _hand_over(self) -> None:
        self._people.edit_company(self._company(), self._anybody(), assigned_by_id=self._anybody())

    def _edit(self) -> None:
        self._people.edit_contact(self._random.choice(self._contacts), self._anybody(), assigned_by_id=self._anybody())

    def _note(self) -> None:
        self._people.edit_contact(self._random.choice(self._contacts), self._anybody(), name="Renamed")

    def _create(self) -> None:
        self._contacts.append(
            self._people.create_contact(self._anybody(), self._company(), assigned_by_id=self._anybody())
        )

    def _move(self) -> None:
        """Link a contact to another company in the place of its own: no date moves."""
        contact, company = self._random.choice(self._contacts), self._company()
        self._people.bind(contact, company, primary=True)
        for old in self._people._database.rows(
            "SELECT company_id FROM contact_company WHERE contact_id = ? AND company_id <> ?", (contact, company)
        ):
            self._people.unbind(contact, old["company_id"])

    def _delete(self) -> None:
        self._people.delete_contact(self._contacts.pop(self._random.randrange(len(self._contacts))))


class Ages:
    """Since when each mismatch has been there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since: dict[tuple[int, ...], float] = {}

    def look(self) -> dict[tuple[int, ...], float]:
        """Return (contact, owner, company's owner) -> since when, by the portal's clock."""
        now = self._world.witness.clock.monotonic()
        present = [tuple(row) for row in self._world.portal.database.rows(WRONG)]
        self._since = {wrong: self._since.get(wrong, now) for wrong in present}
        return self._since


def test_no_mismatch_outlives_an_interval_and_a_sweep(make_world: Callable[..., World]) -> None:
    """Some two thousand edits in a day of virtual time, many of them while a run is reading or writing."""
    world = make_world(profile="cloud")
    for owner in OWNERS:
        world.office.user(owner)
    for number in range(COMPANIES):
        owner = OWNERS[number % len(OWNERS)]
        world.office.company(10_000 + number, owner)
        for contact in range(number * EACH + 1, (number + 1) * EACH + 1):
            world.office.contact(contact, OWNERS[0] if contact % 20 == 0 else owner, 10_000 + number)
    staff, ages, random = Staff(world.portal.people, 7), Ages(world), Random(8)
    upkeep = Upkeep(world.worker, 365)
    service = Service(world.worker, upkeep.hear, interval=INTERVAL)
    sizes = [world.journal.housekeeping.survey().size]
    late: list[str] = []

    def act() -> None:
        staff.act()
        ages.look()

    for tick in range(TICKS):
        began = world.clock.monotonic()
        # Some at any moment of the interval, some while the run is at work.
        for _ in range(10):
            world.later(random.uniform(0, INTERVAL), act)
        for _ in range(4):
            world.later(random.uniform(0, 8), act)
        service.tick()
        took = world.clock.monotonic() - began
        alone = world.journal.exceptions.in_force("portal")
        late += [
            f"tick {tick}: contact {wrong[0]} for {world.clock.monotonic() - since:.0f} s"
            for wrong, since in ages.look().items()
            if wrong[0] not in alone and world.clock.monotonic() - since > INTERVAL + took
        ]
        sizes.append(world.journal.housekeeping.survey().size)
        world.clock.sleep(INTERVAL - took)
    assert late == []
    assert len(staff.done) == 6
    assert sum(staff.done.values()) > 1_900
    runs = world.journal.runs(1_000)
    assert len(runs) == TICKS
    assert {run.report.status for run in runs} <= {Status.APPLIED, Status.IN_SYNC, Status.PARTIAL}
    intended = {
        (row.change.contact, row.change.after) for run in runs for row in world.journal.changes(run.report.run or 0)
    }
    assert {(edit.id, edit.after) for edit in world.portal.history if edit.source == "rest"} <= intended
    # The journal: a day's growth is its runs and changes, and nothing else.
    survey = world.journal.housekeeping.survey()
    world.journal.close()
    grown = world.journal.path.stat().st_size - 200_000
    print(f"\n{survey.runs} runs, {survey.changes} changes: {world.journal.path.stat().st_size / 1e6:.2f} MB")  # noqa: T201
    assert grown < survey.runs * BYTES_A_RUN + survey.changes * BYTES_A_CHANGE


#: Stands for the schedule: a run for each line of standard input, then the memory of the process, in bytes.
PACED = """
import sys
from reconciler.service import scheduler
def run(self):
    for _ in sys.stdin:
        self.tick()
        fields = dict(line.split(":") for line in open("/proc/self/smaps_rollup").read().splitlines()[1:])
        print(int(fields["Rss"].split()[0]) * 1024, flush=True)
scheduler.Service.run = run
from reconciler.cli.app import main
main()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="NO /proc HERE: memory is not measured")  # noqa: PTH110
def test_memory_is_flat(tmp_path: Path) -> None:
    """The whole service in a process of its own, its pages included: the last hour within 5 % of the second."""
    portal = build(
        SeedSpec(companies=COMPANIES, contacts=2_000, owners=10),
        limits="self-hosted",
        options=PortalOptions(token=TOKEN),
    )
    random = Random(5)
    companies = [row["id"] for row in portal.database.rows("SELECT id FROM company WHERE category_id = 0")]
    owners = [row["id"] for row in portal.database.rows("SELECT DISTINCT assigned_by_id AS id FROM company")]
    with serve(portal) as address, (tmp_path / "log").open("w") as log:
        env = {URL: address.webhook_url, "PATH": os.environ["PATH"], "RECONCILER_WEB__PORT": "0"}
        env["RECONCILER_PORTAL__LIMITS"] = "self-hosted"  # no waiting for the portal's bucket
        with subprocess.Popen(
            [sys.executable, "-c", PACED, "--log-format", "json"],
            cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        ) as process:  # fmt: skip
            memory: list[int] = []
            for _ in range(TICKS):
                portal.people.edit_company(random.choice(companies), 1, assigned_by_id=random.choice(owners))
                assert process.stdin
                assert process.stdout
                process.stdin.write("\n")
                process.stdin.flush()
                memory.append(int(process.stdout.readline()))
            process.communicate(timeout=30)
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    finished = [event for event in events if event["event"] == "run.finished"]
    assert len(finished) == TICKS
    assert sum(event.get("applied", 0) for event in finished) > TICKS
    second, last = sum(memory[6:12]) / 6, sum(memory[-6:]) / 6
    print(f"\nmemory: {second / 1e6:.1f} MB in the second hour, {last / 1e6:.1f} MB in the last")  # noqa: T201
    assert last < 1.05 * second
