"""One contestant at one portal: who they are, how they are started, and what is counted of them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import run, serving, without_settings

from reconciler.simulator.costs import PROFILES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from processes import Ended, Served

HERE = Path(__file__).parent
PEER_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
PROGRAM = Path(sys.executable).with_name("reconciler")

PROFILE = "cloud"
#: What the portal spends on a request besides its commands, and on the way there and back.
_PER_REQUEST = PROFILES[PROFILE].request_overhead + PROFILES[PROFILE].network
#: The commands that write; everything else reads.
_WRITES = frozenset({"crm.contact.update"})
#: Most companies in a drift query.
GROUP = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One portal; everything else of it is the seed's default: 15 % of contacts without a company, 10 % gaps."""

    companies: int
    contacts: int
    drifted: int = 0
    owners: int = 50

    def __str__(self) -> str:
        return f"{self.companies:,} / {self.contacts:,}"

    def times(self, scale: float) -> Size:
        """Return a smaller one."""
        companies, contacts = (max(1, round(number * scale)) for number in (self.companies, self.contacts))
        return replace(self, companies=companies, contacts=contacts, drifted=math.ceil(self.drifted * scale))

    def portal(self) -> AbstractContextManager[Served]:
        """Serve it: over TLS, because b24pysdk speaks nothing else."""
        linked = self.contacts - round(self.contacts * 0.15)
        share = self.drifted / linked if linked else 0
        command: list[str | Path] = [
            PROGRAM,
            "simulate",
            "--json",
            "--port",
            "0",
            "--tls",
            "--profile",
            PROFILE,
            "--limits",
            "cloud",
        ]
        return serving([*command, *self._options("companies", "contacts", "owners"), "--drift", repr(share)])

    def companies_by_owner(self) -> dict[int, int]:
        """Return how many companies each owner has."""
        command = [sys.executable, str(HERE / "seeded.py"), *self._options("companies", "contacts", "owners")]
        told = subprocess.run(command, capture_output=True, check=True)
        return {int(owner): companies for owner, companies in json.loads(told.stdout).items()}

    def _options(self, *names: str) -> list[str]:
        return [word for name in names for word in (f"--{name}", str(getattr(self, name)))]


def drift_queries(companies_by_owner: dict[int, int]) -> int:
    """Return the commands that a poll of the whole portal needs at least, by groups of companies of one owner."""
    return sum(math.ceil(companies / GROUP) for companies in companies_by_owner.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A program that reconciles."""

    name: str
    #: Looks, and sets right what drifted.
    command: tuple[str | Path, ...]
    #: Only looks. Empty: there is no such command, and a line of output says when all is read.
    looking: tuple[str | Path, ...] = ()
    ours: bool = False
    #: Sends one request after the other, also for writing.
    sequential: bool = True

    def environment(self, portal: Served) -> dict[str, str]:
        """Return the settings, of which there are no others."""
        authority = portal.tls_certificate or ""
        if self.ours:
            return {
                **without_settings(),
                "RECONCILER_PORTAL__WEBHOOK_URL": portal.webhook_url,
                "RECONCILER_PORTAL__CA_BUNDLE": authority,
                "RECONCILER_PORTAL__LIMITS": "cloud",
                # As the peers' scripts do it; by default such contacts are reported, and looked at in each poll.
                "RECONCILER_POLICY__MULTI_COMPANY": "primary",
            }
        return {"PATH": os.environ["PATH"], "REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority}


OURS = Contestant(
    name="reconciler",
    command=(PROGRAM, "--once", "--yes", "--json"),
    looking=(PROGRAM, "plan", "--json"),
    ours=True,
)
FAST = Contestant(
    name="fast_bitrix24", command=(PEER_PYTHON, HERE / "peers" / "with_fast_bitrix24.py"), sequential=False
)
PEERS = (
    FAST,
    *(
        Contestant(name=f"b24pysdk {way}", command=(PEER_PYTHON, HERE / "peers" / "with_b24pysdk.py", way))
        for way in ("as_list", "as_list_fast")
    ),
)


def versions() -> str:
    """Return the versions of the peers."""
    ask = "from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in ('fast-bitrix24', 'b24pysdk')))"
    told = subprocess.run([PEER_PYTHON, "-c", ask], capture_output=True, text=True, check=True)
    return told.stdout.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of a run that reads, or that writes."""

    requests: int = 0
    commands: int = 0
    portal_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one run took, and what the portal says of it."""

    case: str
    size: Size
    who: Contestant
    seconds: float
    peak_mb: float
    #: What the portal counted.
    stats: dict[str, Any]
    #: Mismatches before.
    drifted: int
    #: Changes that it says it made.
    applied: int
    #: Reading alone, whole requests only where that was measured by a run of its own.
    reading: Part
    #: Whether the time of day of reading and writing is known apart; if not, all of it counts as reading.
    told_apart: bool
    #: How it ended, where that was not well.
    failure: str = ""
    #: Not measured at this size, but this many times what was measured at another; 0 for measured.
    scaled: float = 0.0

    @property
    def requests(self) -> int:
        return int(self.stats["requests"])

    @property
    def commands(self) -> int:
        return sum(self.stats["commands"].values())

    @property
    def writes(self) -> int:
        """The updates among the commands."""
        return sum(count for method, count in self.stats["commands"].items() if method in _WRITES)

    @property
    def portal_seconds(self) -> float:
        """Time truly spent on commands; an envelope's time would be theirs once more."""
        return sum(float(seconds) for method, seconds in self.stats["server_seconds"].items() if method != "batch")

    @property
    def writing(self) -> Part:
        """All that is not reading: the updates, and what is read to be sure of them."""
        return Part(
            requests=max(0, self.requests - self.reading.requests),
            commands=max(0, self.commands - self.reading.commands),
            portal_seconds=max(0.0, self.portal_seconds - self.reading.portal_seconds),
            seconds=max(0.0, self.seconds - self.reading.seconds),
        )

    @property
    def operating(self) -> float:
        """The seconds that the portal's meter counted."""
        return sum(map(float, self.stats["operating_seconds"].values()))

    @property
    def rejected(self) -> int:
        return sum(self.stats["rejected"].values())

    @property
    def left(self) -> int:
        """Mismatches afterwards."""
        return int(self.stats["drift"])

    @property
    def wrong_or_lost(self) -> int:
        """Updates that repaired nothing, and those that were made and not told, or told and not made."""
        applied = int(self.stats["updates_applied"])
        wrong = int(self.stats["noop_updates"]) + abs(applied - (self.drifted - self.left))
        return wrong + abs(applied - self.applied)

    @property
    def portal_share(self) -> float:
        """The processor time that the portal's own program took, by the time that it plays."""
        played = self.portal_seconds + self.requests * _PER_REQUEST
        return float(self.stats["cpu_seconds"]) / played if played else 0.0

    def times(self, factor: float, *, case: str, size: Size) -> Measured:
        """Return what this would be with so many times the commands."""
        stats = dict(self.stats)
        for name in ("commands", "server_seconds"):
            stats[name] = {method: factor * number for method, number in self.stats[name].items()}
        stats["requests"] = round(self.requests * factor)
        reading = Part(
            requests=round(self.reading.requests * factor),
            commands=round(self.reading.commands * factor),
            portal_seconds=self.reading.portal_seconds * factor,
            seconds=self.reading.seconds * factor,
        )
        return replace(
            self, case=case, size=size, stats=stats, reading=reading, seconds=self.seconds * factor, scaled=factor
        )


@dataclass(slots=True)
class Arena:
    """A portal, one contestant, and the working directory that keeps what it remembers."""

    size: Size
    portal: Served
    who: Contestant
    folder: str
    done: list[Measured] = field(default_factory=list)

    def measure(self, case: str, *, look_first: bool = False) -> Measured:
        """Let the contestant reconcile; `look_first` has a run before it that only reads, to tell the two apart."""
        reading = None
        if look_first and self.who.looking:
            reading = self._looked()
        drifted = self._fresh()
        ended = self._run(self.who.command)
        stats = self.portal.stats()
        said = _said(ended)
        lists = {method for method in stats["commands"] if method not in _WRITES}
        measured = Measured(
            case=case,
            size=self.size,
            who=self.who,
            seconds=ended.seconds,
            peak_mb=ended.peak_mb,
            stats=stats,
            drifted=drifted,
            applied=int(said.get("applied", 0)),
            reading=reading
            or Part(
                requests=stats["requests"] if not drifted else 0,
                commands=sum(stats["commands"][method] for method in lists),
                portal_seconds=sum(stats["server_seconds"].get(method, 0.0) for method in lists),
                seconds=ended.seconds if self.who.ours or not drifted else ended.arrived[0] if ended.arrived else 0.0,
            ),
            told_apart=reading is not None or not drifted or not self.who.ours,
            failure=_failure(ended),
        )
        self.done.append(measured)
        return measured

    def _looked(self) -> Part:
        self._fresh()
        ended = self._run(self.who.looking)
        stats = self.portal.stats()
        return Part(
            requests=stats["requests"],
            commands=sum(stats["commands"].values()),
            portal_seconds=sum(stats["server_seconds"].values()),
            seconds=ended.seconds,
        )

    def _run(self, command: Sequence[str | Path]) -> Ended:
        # Peers are told the address as scripts are; ours by its settings.
        address = () if self.who.ours else (self.portal.webhook_url,)
        return run([*command, *address], self.who.environment(self.portal), self.folder)

    def _fresh(self) -> int:
        self.portal.forget()
        return int(self.portal.stats()["drift"])


def _said(ended: Ended) -> dict[str, Any]:
    """Return the last JSON object of the output: ours is laid out over many lines, a peer's last line is one."""
    for text in (ended.output, ended.output.strip().rpartition("\n")[2]):
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    return {}


def _failure(ended: Ended) -> str:
    if not ended.exit_code:
        return ""
    last = (ended.errors.strip() or ended.output.strip() or "nothing said").splitlines()[-1]
    return f"exit code {ended.exit_code}: {_said(ended).get('error', last)[:200]}"
