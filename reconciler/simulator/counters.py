"""What the portal counts about itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from threading import Lock
from typing import Any


class Counters:
    """Counters since the start or the last reset."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Start all counters again."""
        with self._lock:
            self._requests = 0
            self._batches = 0
            self._commands: Counter[str] = Counter()
            self._rejected: Counter[str] = Counter()
            self._seconds: defaultdict[str, float] = defaultdict(float)

    def request(self) -> int:
        """Count a request and return its number, from 1."""
        with self._lock:
            self._requests += 1
            return self._requests

    def batch(self) -> None:
        with self._lock:
            self._batches += 1

    def command(self, method: str) -> None:
        with self._lock:
            self._commands[method] += 1

    def rejected(self, code: str) -> None:
        with self._lock:
            self._rejected[code] += 1

    def spent(self, method: str, seconds: float) -> None:
        with self._lock:
            self._seconds[method] += seconds

    def snapshot(self) -> dict[str, Any]:
        with self._lock:
            return {
                "requests": self._requests,
                "batches": self._batches,
                "commands": dict(sorted(self._commands.items())),
                "server_seconds": {method: round(self._seconds[method], 6) for method in sorted(self._seconds)},
                "rejected": dict(sorted(self._rejected.items())),
            }
