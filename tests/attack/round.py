"""One round: a worker repairs a small portal, or takes that back, while somebody edits at the worst moments.

Before the attack the worker has looked at the portal once, so that it knows what is new; then companies are handed
over, and their contacts are to follow. `person_edit = "respect"`: what a person decides from then on must stay, in the
run that is attacked, in the one that finds out what became of it, and in the next sweep.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attack.proxy import Passage, proxy
from attack.worker import READ_SECONDS, start
from support.portal_fixture import ANN, BOB, Office

from reconciler.clock import SystemClock
from reconciler.journal.store import open_journal
from reconciler.simulator.costs import CostModel, Profile
from reconciler.simulator.moving_clock import MovingClock
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from reconciler.simulator.edits import Edit
    from reconciler.simulator.portal import Portal
    from reconciler.simulator.writes import Write

CLEO = 9
COMPANIES, EACH = (101, 102, 103), 4
CONTACTS = range(11, 11 + len(COMPANIES) * EACH)
#: Nobody plans to write it. A macro that stands for an id, and whose command has failed, becomes 1.
BYSTANDER = 1
#: Seconds until a worker that does not end is a failure.
LONGEST = 90.0
#: Requests of a round that are attacked at most.
ATTACKS = 3
#: So long an update takes the portal.
UPDATE = Profile(read=0.002, write_median=0.01, write_p90=0.02)
_DECISIONS = frozenset({"ASSIGNED_BY_ID", "COMPANY_ID"})

#: Exit codes of a worker that has done its work as far as it was let, and of one that was killed.
ENDS = {0, 1, 4, -signal.SIGKILL}


@dataclass(kw_only=True)
class Told:
    """What came of a round."""

    seed: int
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    #: Seconds from a precondition to its write, by the portal, of each edit that fell between them.
    ages: list[float] = field(default_factory=list)


class Round:
    """A portal, a worker, and who interferes."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = Random(seed)
        self.told = Told(seed=seed)
        self._folder = folder
        self._lock = threading.Lock()
        self._attacking = False
        self._attacks = 0
        self._worker: BaseProcess | None = None
        self._undo = self.random.random() < 0.4
        office = Office(clock=MovingClock(), costs=CostModel(UPDATE, seed=seed))
        office.user(CLEO, name="Cleo")
        then = int(office.clock.now().timestamp()) - 86_400
        for company in COMPANIES:
            office.company(company, ANN, date_create=then, date_modify=then)
        office.contact(BYSTANDER, CLEO, date_create=then, date_modify=then)
        for contact in CONTACTS:
            company = COMPANIES[(contact - CONTACTS[0]) // EACH]
            office.contact(contact, ANN, company, date_create=then, date_modify=then)
        self.portal: Portal = office.portal

    def play(self) -> Told:
        """Play the round."""
        with ExitStack() as stack:
            stack.callback(self.portal.database.close)
            address = stack.enter_context(serve(self.portal))
            port = stack.enter_context(proxy(address.port, self._decide))
            path = urlsplit(address.webhook_url).path
            # All runs go through the proxy: another address would be another portal for the journal.
            through = f"http://127.0.0.1:{port}{path}"
            if self._run(through, "--once", "--yes"):
                return self._not_begun()
            for company in COMPANIES:
                self.portal.people.edit_company(company, by=1, assigned_by_id=BOB)
            attacked = ["--once", "--yes"]
            if self._undo:
                if self._run(through, *attacked):
                    return self._not_begun()
                attacked = ["undo", self._latest_run(), "--yes"]
            began = len(self.portal.history)
            self._attacking = True
            self._run(through, *attacked)
            self._attacking = False
            ended = len(self.portal.history)
            # What the attacked run has left open is looked at by whichever comes next.
            self._run(through, "--once", "--yes")
            self._judge(began, ended)
        return self.told

    def _not_begun(self) -> Told:
        """Leave the round: on a busy machine the portal has not answered in two seconds, and nothing was written."""
        self.told.counts["not begun"] += 1
        return self.told

    def _run(self, webhook_url: str, *arguments: str) -> int | None:
        """Let a worker work to its end, also to a violent one; return its exit code."""
        self._worker = start(arguments, webhook_url, self._folder)
        self._worker.join(LONGEST)
        if self._worker.is_alive():
            self.told.violations.append(f"`{' '.join(arguments)}` did not end")
            self._worker.kill()
            self._worker.join()
        self._ended(self._worker.exitcode, *arguments)
        return self._worker.exitcode

    def _ended(self, code: int | None, *arguments: str) -> None:
        """Count how a worker ended; one that was refused was not attacked."""
        self.told.counts[f"ended with {code}"] += 1
        if code not in ENDS:
            self.told.violations.append(f"`{' '.join(arguments)}` was refused with exit code {code}")

    def _latest_run(self) -> str:
        journal = open_journal(f"sqlite:///{self._folder / 'reconciler.sqlite3'}", SystemClock(), read_only=True)
        try:
            return str(journal.runs(1)[0].report.run)
        finally:
            journal.close()

    # What happens on the way

    def _decide(self, body: bytes) -> Passage:
        if not self._attacking:
            return Passage()
        if b"crm.contact.update" not in body:
            return Passage(up=self.random.choice([0.0, 0.0, 0.05]))
        with self._lock:
            if self._attacks >= ATTACKS:
                return Passage()
            self._attacks += 1
            way = self.random.choice(_WAYS)
            self.told.counts[way.__name__.removeprefix("_")] += 1
            return way(self, json.loads(body)["cmd"])

    def _edit(self) -> None:
        """Give some contacts to Cleo, as somebody would by hand."""
        for contact in self.random.sample(CONTACTS, self.random.randint(1, 3)):
            self.portal.people.edit_contact(contact, by=CLEO, assigned_by_id=CLEO)

    def _put_back(self) -> None:
        """Put back the owner from before to what was just written."""
        written = [write for write in self.portal.writes if write.changed][-EACH:]
        for write in self.random.sample(written, min(2, len(written))):
            before = next(edit.before for edit in write.changed if edit.field == "ASSIGNED_BY_ID")
            self.portal.people.edit_contact(write.id, by=CLEO, assigned_by_id=before)

    def _changing(self) -> None:
        self.random.choice([self._edit, self._put_back])()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if self._worker is not None and self._worker.pid:
                os.kill(self._worker.pid, number)

    def _stopped(self, seconds: float) -> None:
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._edit()
        self._signal(signal.SIGCONT)

    # The decisions

    def _judge(self, began: int, ended: int) -> None:
        """Hold each write of the portal's own record against what people did before it."""
        history = self.portal.history
        writes = {index: write for write in self.portal.writes for index in _places(history, write)}
        for index in range(began, len(history)):
            edit = history[index]
            if (edit.entity, edit.field) != ("contact", "ASSIGNED_BY_ID"):
                continue
            if edit.source == "person":
                self.told.counts["edits by a person"] += 1
                continue
            self.told.counts["writes"] += 1
            self._judge_write(
                edit, writes[index], [e for e in history[began:index] if _decides(e, edit.id)], index < ended
            )

    def _judge_write(self, edit: Edit, write: Write, earlier: list[Edit], attacked: bool) -> None:
        """Say whether a write went over what a person decided; `earlier` are the decisions before it."""
        when = "the attacked run" if attacked else "the next sweep"
        changed = f"{when} gave contact {edit.id} from {edit.before} to {edit.after}"
        if edit.id == BYSTANDER:
            self.told.violations.append(f"{changed}, which was not planned")
        if not earlier:
            return
        last = earlier[-1]
        if write.conditional and last in write.between:
            self.told.counts["between precondition and write"] += 1
            self.told.ages.append(write.age or 0.0)
        elif not attacked and last.after == ANN and not self._undo:
            # The owner from before the company was handed over: the next sweep cannot know whose choice it is.
            self.told.counts["old owner followed by the next sweep"] += 1
        else:
            self.told.violations.append(f"{changed}, over a person's {last.after}")


def _decides(edit: Edit, contact: int) -> bool:
    return edit.source == "person" and (edit.entity, edit.id) == ("contact", contact) and edit.field in _DECISIONS


def _places(history: list[Edit], write: Write) -> list[int]:
    """Return where a write's changes stand in the history."""
    return [index for index, edit in enumerate(history) if any(edit is changed for changed in write.changed)]


# The ways of attack


def _edit_before(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(before=round_._edit)


def _slow_up(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(up=round_.random.uniform(0.1, READ_SECONDS + 0.5), before=round_._edit)


def _slow_down(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(down=round_.random.uniform(0.1, READ_SECONDS + 0.5), after=round_._changing)


def _trickle(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(trickle=round_.random.uniform(0.2, READ_SECONDS), after=round_._changing)


def _lost(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(lost=True, after=round_._changing)


def _stop_before(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(before=lambda: round_._stopped(round_.random.uniform(0.1, 1.5)))


def _stop_after(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(after=lambda: round_._stopped(round_.random.uniform(0.1, 1.5)))


def _kill_before(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(before=lambda: (round_._signal(signal.SIGKILL), round_._edit()))


def _kill_after(round_: Round, _commands: dict[str, str]) -> Passage:
    return Passage(after=lambda: (round_._signal(signal.SIGKILL), round_._changing()))


def _between(round_: Round, commands: dict[str, str]) -> Passage:
    """Edit contacts between any two commands of the batch, perhaps between a precondition and its write."""
    round_.portal.faults.load(
        [
            {
                "kind": "human_edit_between",
                "command": round_.random.randint(1, len(commands)),
                "contact_id": contact,
                "owner": CLEO,
                "by": CLEO,
                "times": 1,
            }
            for contact in round_.random.sample(CONTACTS, 6)
        ]
    )
    return Passage(after=lambda: round_.portal.faults.load([]))


def _failing(round_: Round, commands: dict[str, str]) -> Passage:
    """Let some commands fail, and perhaps preconditions among them."""
    failing = round_.random.sample(range(1, len(commands) + 1), min(3, len(commands)))
    faults = [{"kind": "command_error", "command": number, "times": 1} for number in failing]
    round_.portal.faults.load(faults)
    return Passage(before=round_._edit, after=lambda: round_.portal.faults.load([]))


_WAYS = [
    *(_edit_before, _slow_up, _slow_down, _trickle, _lost, _stop_before, _stop_after, _kill_before, _kill_after),
    *(_between, _between, _between, _failing, _failing),
]


def play(seed: int) -> Told:
    """Play one round in a folder of its own."""
    with TemporaryDirectory(prefix="attack-") as folder:
        return Round(seed, Path(folder)).play()
