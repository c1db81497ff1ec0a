"""Programs that a benchmark starts: each in a process of its own, measured, and never longer than the benchmark."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Seconds until a process is given up: a portal that does not answer, a worker that does not end.
PATIENCE = 1_800
#: macOS counts the peak in bytes, the others in kilobytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has ended, and what it took."""

    exit_code: int
    #: Standard output, and the seconds from the start at which each line of it arrived.
    output: str
    arrived: list[float]
    errors: str
    #: From the start of the process to its end.
    seconds: float
    cpu_seconds: float
    #: Largest resident memory of its life, in MB (10^6 bytes).
    peak_mb: float


def run(command: Sequence[str | Path], environment: Mapping[str, str], folder: str | Path) -> Ended:
    """Run a program to its end, in a working directory.

    Of this child alone. A child's peak begins at ours, so a benchmark must stay a small process.
    """
    with tempfile.TemporaryFile() as told:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, env=dict(environment), cwd=folder)
        with process, _bounded(process):
            lines, arrived = [], []
            for line in process.stdout or ():
                lines.append(line)
                arrived.append(time.monotonic() - started)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        told.seek(0)
        return Ended(
            exit_code=process.returncode,
            output=b"".join(lines).decode(errors="replace"),
            arrived=arrived,
            errors=told.read().decode(errors="replace"),
            seconds=seconds,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_mb=used.ru_maxrss * RSS_UNIT / 1e6,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A portal in a process of its own, and its back door."""

    webhook_url: str
    stats_url: str
    tls_certificate: str | None = None
    _context: dict[str, ssl.SSLContext] = field(default_factory=dict, repr=False)

    def stats(self) -> dict[str, Any]:
        """Return what the portal counted since it was last told to forget."""
        return self._ask("GET", "/_sim/stats")

    def forget(self) -> None:
        """Start the portal's counters and meters again; its data stay."""
        self._ask("POST", "/_sim/reset", {"data": "keep"})

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Call a method as any client would, and return its result."""
        answer = self._ask("POST", urlsplit(self.webhook_url).path + method, params)
        if "result" not in answer:
            raise SystemExit(f"the portal did not carry out {method}: {answer}")
        return answer["result"]

    def _ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        address = urlsplit(self.stats_url).netloc
        connection = http.client.HTTPConnection(address, timeout=60)
        if self.tls_certificate is not None:
            context = self._context.setdefault("", ssl.create_default_context(cafile=self.tls_certificate))
            connection = http.client.HTTPSConnection(address, timeout=60, context=context)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(verb, path, sent, {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.load(connection.getresponse())
        finally:
            connection.close()
        return answer


@contextmanager
def serving(command: Sequence[str | Path]) -> Iterator[Served]:
    """Run a program that serves a portal and says where on its first line; it ends with the block."""
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, env=without_settings()
        )
        with process, _bounded(process):
            answer = json.loads((process.stdout.readline() if process.stdout else b"") or b"{}")
            if "webhook_url" not in answer:
                told.seek(0)
                raise SystemExit(f"the portal did not start: {told.read().decode(errors='replace')}")
            yield Served(
                webhook_url=answer["webhook_url"],
                stats_url=answer["stats_url"],
                tls_certificate=answer.get("tls_certificate"),
            )


def without_settings() -> dict[str, str]:
    """Return our environment without settings of the worker."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("RECONCILER_")}


@contextmanager
def _bounded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process with the block at the latest, and before that when patience ends."""
    timer = threading.Timer(PATIENCE, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.terminate()  # of one that has ended already, this is nothing
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
