"""Answers as they leave the portal: JSON with its headers, HTML of the web server, and spoilt ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.simulator.encoding import encode_json, encode_xml
from reconciler.simulator.errors import WRONG_ENCODING
from reconciler.simulator.http import Response

if TYPE_CHECKING:
    from reconciler.simulator.faults import Fault


def as_rest(
    status: int, body: dict[str, Any], *, seconds: float = 0.0, xml: bool = False, application: str = ""
) -> Response:
    """Answer as the portal's code does (F5.3)."""
    try:
        written = encode_xml(body) if xml else encode_json(body)
    except UnicodeEncodeError:
        written = encode_json(WRONG_ENCODING.body())  # with the status of the answer that cannot be written
    headers = {
        "Content-Type": f"{'text/xml' if xml else 'application/json'}; charset=utf-8",
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
        "X-Bitrix-Rest-Time": f"{seconds:.10f}",
        "X-Bitrix-Rest-User-Time": f"{seconds:.10f}",
        "X-Bitrix-Rest-System-Time": f"{0:.10f}",
    }
    if application:
        headers["X-Bitrix-Rest-Application"] = application
    return Response(status=status, body=written, headers=headers)


def preflight() -> Response:
    """Answer a browser that asks what a page of another site may send (F1.1)."""
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "origin, content-type, accept"}
    return Response(status=200, body=b"", headers=headers)


def of_own_server(response: Response) -> Response:
    """Take away the headers that only the cloud adds."""
    kept = {name: value for name, value in response.headers.items() if not name.startswith("X-Bitrix-")}
    return replace(response, headers=kept)


def as_html(status: int, title: str, headers: dict[str, str] | None = None) -> Response:
    """Answer as the web server in front of the portal does."""
    page = f"<html>\n<head><title>{status} {title}</title></head>\n<body><h1>{status} {title}</h1></body>\n</html>\n"
    return Response(status=status, body=page.encode(), headers={"Content-Type": "text/html", **(headers or {})})


def cut() -> Response:
    """Answer nothing: the connection is cut before the first byte."""
    return Response(status=200, body=b"", cut_after=0)


def spoilt(response: Response, fault: Fault | None) -> Response:
    """Spoil a finished answer as a fault says."""
    if fault is None:
        return response
    if fault.kind == "wrong_json":
        return Response(status=200, body=b'["unexpected"]', headers=response.headers)
    if fault.kind == "empty_answer":
        return Response(status=200, body=b"", headers=response.headers)
    return replace(response, cut_after=0 if fault.kind == "lost_answer" else fault["bytes"])
