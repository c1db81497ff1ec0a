"""From an HTTP request to parameters, with everything PHP and the REST module do on the way (F1.1)."""

from __future__ import annotations

import re
from email.parser import BytesParser
from email.policy import HTTP
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from reconciler.simulator.auth import parse_address
from reconciler.simulator.php import PhpArray, decode_json, intval, parse_str

if TYPE_CHECKING:
    from reconciler.simulator.auth import Address
    from reconciler.simulator.http import Request


class Incoming:
    """A request as the portal's code sees it."""

    def __init__(self, request: Request, max_input_vars: int) -> None:
        self.request = request
        self._limit = max_input_vars

    @cached_property
    def address(self) -> Address | None:
        return parse_address(self.request.path)

    @property
    def scheme(self) -> str:
        return self.request.headers.get("x-forwarded-proto", "http")

    @property
    def xml(self) -> bool:
        """Whether the answer is wanted as XML."""
        return self.address is not None and self.address.transport == "xml"

    @property
    def bearer(self) -> str | None:
        """The token in the header, which comes before those in the parameters."""
        found = re.match(r"Bearer\s+(.*)", self.request.headers.get("authorization", ""), re.IGNORECASE)
        return found[1] if found else None

    @cached_property
    def params(self) -> PhpArray:
        """Return query and body as one array; the body's keys win."""
        params = parse_str(self.request.query, self._limit)
        if self.request.method == "POST":
            for key, value in self._body().items():
                params.put(key, value)
        params.pop("state")  # part of the signature feature, never seen by a method
        return params

    def _body(self) -> PhpArray:
        content_type = self.request.headers.get("content-type", "")
        kind = content_type.split(";", 1)[0].strip()
        if kind == "application/json":
            # Only this exact spelling. Broken JSON is no parameters at all, without an error.
            return decode_json(self.request.body)
        if kind == "multipart/form-data":
            return self._multipart(content_type)
        return parse_str(self.request.body.decode("utf-8", errors="surrogateescape"), self._limit)

    def _multipart(self, content_type: str) -> PhpArray:
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", errors="replace")
        message = BytesParser(policy=HTTP).parsebytes(head + self.request.body)
        pairs = []
        # Without a boundary there are no parts, and without parts no parameters.
        for part in message.iter_parts() if message.is_multipart() else ():
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(payload, bytes):
                pairs.append(f"{quote_plus(name)}={quote_plus(payload)}")
        return parse_str("&".join(pairs), self._limit)


def take_start(params: PhpArray) -> int:
    """Take the paging parameter out of the parameters, as a number."""
    return intval(params.pop("start"))
