"""One request to the embedded portal and its answer, free of any web framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as it came in."""

    #: `GET`, `POST`, …
    method: str
    #: Path without the query, still percent-encoded: `/rest/1/token/crm.contact.list.json`.
    path: str
    #: Raw query string without the `?`.
    query: str = ""
    #: Header names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: The client's address: the leaky bucket is kept per portal and source address (F5.1).
    source: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer, or as much of it as gets through."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Cut the connection after so many bytes of the body; 0 cuts before the status line, None sends all.
    cut_after: int | None = None
