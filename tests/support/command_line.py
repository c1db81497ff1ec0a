"""The command line as its users meet it: arguments in, exit code and two streams out."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
from typer.main import get_command

from reconciler.cli.app import main
from reconciler.clock import SystemClock
from reconciler.simulator.assembly import build
from reconciler.simulator.options import PortalOptions
from reconciler.simulator.seed import SeedSpec, reseed
from reconciler.simulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from reconciler.simulator.portal import Portal
    from reconciler.simulator.server import Address

TOKEN = "k3yk3y/k3yk3y0".replace("/", "_")
SMALL = SeedSpec(companies=30, contacts=120, owners=6, drift=0.1)
URL = "RECONCILER_PORTAL__WEBHOOK_URL"
#: Seconds, longer than anything takes here on the busiest machine.
PATIENCE = 60
RUN_KEYS = {
    *("schema", "run", "status", "companies", "contacts", "not_compared", "drift", "standing"),
    *("applied", "already", "conflict", "gone", "denied", "failed", "unknown", "reasons", "causes"),
    *("requests", "commands", "operating_seconds", "duration_seconds"),
}
#: How to start the program in a process of its own.
PROGRAM = (sys.executable, "-c", "from reconciler.cli.app import main; main()")


_trust = cache(httpx.create_ssl_context)
_commands = cache(get_command)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a start of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Served:
    """An embedded portal on a port of this machine, the same again for each test."""

    def __init__(self, portal: Portal, address: Address) -> None:
        self.portal = portal
        self.address = address
        self.url = address.webhook_url
        self._options = portal.options

    def set(self, **options: Any) -> None:
        """Let the portal be another one until the end of the test."""
        self.portal.options = replace(self.portal.options, **options)

    def fail(self, *faults: Mapping[str, Any]) -> None:
        """Let these things go wrong."""
        self.portal.faults.load(list(faults))

    def at_rest(self) -> None:
        """Wait until the portal has done all that it was asked for, by clients that have ended meanwhile."""
        at_rest(self.address)

    def reset(self) -> None:
        reseed(self.portal.database)
        self.portal.reset()
        self.portal.clock_offset = 0.0
        self.portal.options = self._options


def at_rest(address: Address) -> None:
    """Wait until a portal has done all that it was asked for, by clients that have ended meanwhile."""
    httpx.get(address.stats_url)  # whoever had knocked before is inside when this is answered
    assert address.visitors.wait_until_gone(PATIENCE)


@contextmanager
def served(**how: Any) -> Iterator[Served]:
    """Serve a small portal."""
    portal = build(SMALL, limits="self-hosted", options=PortalOptions(token=TOKEN))
    with serve(portal, **how) as address:
        yield Served(portal, address)


class HurriedClock(SystemClock):
    """The real time, but for sleeps, which pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        super().sleep(0)
        self._skipped += max(0.0, seconds)


class Desk:
    """A user's shell: a directory of its own, an environment, and the program."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        # Made anew for each of hundreds of starts, these two would be half of the time.
        monkeypatch.setattr("httpx.create_ssl_context", _trust)
        monkeypatch.setattr("typer.main.get_command", _commands)
        for name in [*os.environ]:
            if name.startswith(("RECONCILER_", "NO_COLOR", "COLUMNS", "LINES")):
                monkeypatch.delenv(name)
        # The tests of two processes at once must not ask for the same port.
        self.env(WEB__PORT="0")

    @property
    def journal(self) -> Path:
        """The database at its default place."""
        return self.folder / "reconciler.sqlite3"

    def env(self, **values: str | None) -> None:
        """Set variables, with RECONCILER_ in front; None takes one away."""
        for name, value in values.items():
            if value is None:
                self._monkeypatch.delenv(f"RECONCILER_{name}", raising=False)
            else:
                self._monkeypatch.setenv(f"RECONCILER_{name}", value)

    def environment(self, name: str) -> str:
        """Return what a variable is set to."""
        return os.environ[f"RECONCILER_{name}"]

    def break_down(self, message: str) -> None:
        """Let something go wrong that nobody foresaw, far below."""

        def failing(*_: object, **__: object) -> None:
            raise RuntimeError(message)

        self._monkeypatch.setattr("reconciler.engine.wiring.http_client", failing)

    def config(self, text: str, name: str = "config.toml") -> Path:
        """Write a settings file."""
        path = self.folder / name
        path.write_text(text)
        return path

    def hurry(self) -> None:
        """Let waiting cost nothing."""
        self._monkeypatch.setattr("reconciler.cli.context.SystemClock", HurriedClock)

    def run(self, *arguments: str) -> Ended:
        """Start the program, wait for its end."""
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["reconciler", *arguments])
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = self._capsys.readouterr()
        # The embedded portal lives in this process too, and complains of clients that hang up.
        err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("Client ("))
        assert isinstance(code, int)
        return Ended(code=code, out=out, err=err)


class Terminal:
    """A terminal with a person before it, who acts when a text appears."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *streams: str) -> None:
        self._monkeypatch = monkeypatch
        self._streams = streams or ("stdin", "stdout", "stderr")
        self._keyboard = -1
        self.shown = ""

    def type(self, text: str) -> None:
        """Press these keys now."""
        os.write(self._keyboard, text.encode())

    @contextmanager
    def person(self, *waits_for: tuple[str, Callable[[], None] | str]) -> Iterator[None]:
        """Sit down: wait for each text, then type, or do something; at the end all that was shown is in `shown`."""
        master, slave = os.openpty()
        self._keyboard = master
        with ExitStack() as stack:
            for name in self._streams:
                mode = "r" if name == "stdin" else "w"
                stream = stack.enter_context(os.fdopen(os.dup(slave), mode, encoding="utf-8"))
                self._monkeypatch.setattr(sys, name, stream)
            os.close(slave)
            reader = threading.Thread(target=self._look_on, args=(master, [*waits_for]))
            reader.start()
            yield
        for name in self._streams:
            self._monkeypatch.setattr(sys, name, getattr(sys, f"__{name}__"))
        reader.join(10)
        os.close(master)

    def _look_on(self, master: int, waits_for: list[tuple[str, Callable[[], None] | str]]) -> None:
        while True:
            try:
                shown = os.read(master, 65_536)
            except OSError:  # the other side has closed
                return
            self.shown += shown.decode(errors="replace")
            while waits_for and waits_for[0][0] in self.shown:
                _, act = waits_for.pop(0)
                if isinstance(act, str):
                    self.type(act)
                else:
                    act()


def interrupt(number: signal.Signals = signal.SIGINT) -> None:
    """Send a signal to the program that runs in this process."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
