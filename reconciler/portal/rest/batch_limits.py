"""How far the client goes before it gives up, sends less, or waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the client goes. Times in seconds, sizes in bytes."""

    attempts: int = 6
    retry_seconds: float = 300.0
    read_timeout: float = 75.0
    #: Longest body sent: a stock web server refuses more than 1 MB (F17).
    body_bytes: int = 512_000
    #: Longest answer read.
    answer_bytes: int = 50_000_000
    #: Requests of reads that are under way at the same time; writes are always one stream.
    lanes: int = 1
    #: Whether to try again before the portal has answered for the first time: not when a person waits, because an
    #: address that never worked is wrong more often than the portal is away.
    patient: bool = True
