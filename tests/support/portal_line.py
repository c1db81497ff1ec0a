"""A client of ours on a line to the embedded portal, or to answers that the embedded portal cannot give."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import httpx
from support.portal_fixture import Office

from reconciler.clock import Timeline, VirtualClock
from reconciler.portal.rest.batch_limits import Limits
from reconciler.portal.rest.client import Client
from reconciler.portal.rest.connection import http_client
from reconciler.portal.rest.limits import Budget, Throttle
from reconciler.settings.address import parse_webhook
from reconciler.simulator.transport import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "simulatedtoken0"
HOST = "acme.bitrix24.ru"
WEBHOOK = f"https://{HOST}/rest/1/{TOKEN}/"
#: When the portal of `batch_answer` began.
BEGAN = "2026-01-01T03:00:00+03:00"


def client_on(
    transport: httpx.BaseTransport | httpx.Client,
    clock: VirtualClock,
    *,
    webhook: str = WEBHOOK,
    burst: float | None = None,
    per_second: float | None = None,
    operating: float | None = None,
    seed: int = 1,
    nonce: Callable[[], str] = str,
    **limits: Any,
) -> Client:
    """Return a client on any transport; without limits of the portal, and with plain keys, unless given."""
    line = Limits(**limits)
    if not isinstance(transport, httpx.Client):
        transport = http_client(connect_timeout=10, read_timeout=line.read_timeout, transport=transport)
    return Client(
        parse_webhook(webhook),
        transport,
        clock=clock,
        throttle=Throttle(clock, burst=burst, per_second=per_second, margin=0.2),
        budget=Budget(clock, limit=operating),
        limits=line,
        random=random.Random(seed),
        nonce=nonce,
    )


class Line:
    """An office, and a client of ours that talks to it; each has a clock of its own on one timeline."""

    def __init__(self, office: Office | None = None, **client: Any) -> None:
        self.office = office or Office(clock=VirtualClock(Timeline()))
        self.clock = VirtualClock(self.office.clock.timeline)
        webhook = f"https://{HOST}{self.office.portal.webhook_path}"
        self.client = client_on(InProcessTransport(self.office.portal), self.clock, webhook=webhook, **client)

    @property
    def stats(self) -> dict[str, Any]:
        return self.office.portal.stats()


class Script:
    """Answers given one after the other, the last one for ever; notes when and with what each request came."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]) -> None:
        self.clock = VirtualClock()
        self.requests: list[httpx.Request] = []
        self.at: list[float] = []
        self._answers = answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        self.at.append(self.clock.monotonic())
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self, **arguments: Any) -> Client:
        return client_on(httpx.MockTransport(self), self.clock, **arguments)

    @property
    def commands(self) -> list[list[str]]:
        """The commands of each request."""
        return [list(json.loads(request.content)["cmd"].values()) for request in self.requests]


def batch_answer(results: dict[str, Any] | None = None, **maps: Any) -> httpx.Response:
    """Return what a portal says to a batch; the maps but `result` are empty unless given."""
    empty: dict[str, Any] = {"result_error": [], "result_total": [], "result_next": [], "result_time": []}
    time = {"duration": 0.1, "date_start": BEGAN}
    result = {"result": results if results is not None else {"c0": True}, **empty, **maps}
    return httpx.Response(200, json={"result": result, "time": maps.pop("time", time)})


def error_answer(status: int, code: str, description: str = "") -> httpx.Response:
    """Return an error of the portal."""
    return httpx.Response(status, json={"error": code, "error_description": description})


class Tampered(httpx.BaseTransport):
    """Hands requests on to a portal, and lets a function change what it answers to each command."""

    def __init__(self, inner: httpx.BaseTransport, change: Callable[[str, str, dict[str, Any]], None]) -> None:
        """`change` gets a command, its key and the maps of the answer."""
        self._inner = inner
        self._change = change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        response.read()
        if response.status_code != httpx.codes.OK:
            return response
        body = response.json()
        for key, command in json.loads(request.content)["cmd"].items():
            self._change(command, key, body["result"])
        return httpx.Response(response.status_code, json=body)


def tampered(line: Line, method: str, result: Any, **maps: Any) -> Line:
    """Let each call of a method answer with this result instead; `total=None` takes its count away."""

    def change(command: str, key: str, answer: dict[str, Any]) -> None:
        if command.startswith(method):
            for name in ("result", "result_error", "result_total"):
                answer[name] = answer[name] or {}
            answer["result_error"].pop(key, None)
            answer["result"][key] = result
            for name, value in maps.items():
                answer[f"result_{name}"].pop(key, None) if value is None else answer[f"result_{name}"].update(
                    {key: value}
                )

    line.client = client_on(Tampered(InProcessTransport(line.office.portal), change), line.clock)
    return line
