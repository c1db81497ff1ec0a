"""The worker's client in front of a cassette, and documented answers in the batches that it sends."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
from contract.cassette_files import WEBHOOK_URL
from support.portal_line import client_on

from reconciler.clock import VirtualClock
from reconciler.errors import PortalError
from reconciler.portal.rest.batch_codec import Answer, Command
from reconciler.portal.rest.connection import http_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.portal.rest.client import Client

#: The `time` of a batch whose answer is put together: the documented answer's own is inside.
_NO_TIME = {"start": 0, "finish": 0, "duration": 0, "processing": 0, "date_start": "2026-01-01T00:00:00+02:00"}


@cache
def http() -> httpx.Client:
    """Return the worker's HTTP client on a transport that vcrpy knows, made once: certificates take long to load."""
    return http_client(connect_timeout=1, read_timeout=1, transport=httpx.HTTPTransport())


def client() -> Client:
    """Return the worker's client for the address of all cassettes; what it waits for passes at once."""
    return client_on(http(), VirtualClock(), webhook=WEBHOOK_URL, attempts=1)


def sent(client: Client, commands: Sequence[Command]) -> list[Any]:
    """Send one batch and say what came of it: results with total and timing, or the errors' names and sentences."""
    try:
        answers = client.send(commands).answers
    except PortalError as error:
        return [type(error).__name__, str(error)]
    return [answer if isinstance(answer, Answer) else (type(answer).__name__, str(answer)) for answer in answers]


def command_of(method: str, request: Any) -> Command:
    """Return a documented request as a command of the worker; a list of objects gets its positions as keys."""
    return Command(method, {name: _sendable(value) for name, value in request.items()})


def _sendable(value: Any) -> Any:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return {str(position): _sendable(item) for position, item in enumerate(value)}
    if isinstance(value, dict):
        return {name: _sendable(item) for name, item in value.items()}
    return str(value) if isinstance(value, float) else value


def envelope_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the documented answer to one call as the answer to a batch of it alone (F1.3)."""
    time = answer.get("time", _NO_TIME)
    maps: dict[str, Any] = {
        "result": {"c0": answer["result"]} if "result" in answer else [],
        "result_error": [] if "result" in answer else {"c0": answer},
        "result_total": {"c0": answer["total"]} if "total" in answer else [],
        "result_next": {"c0": answer["next"]} if "next" in answer else [],
        "result_time": {"c0": time} if "result" in answer else [],
    }
    return {"result": maps, "time": time}
