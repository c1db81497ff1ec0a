"""Who is connected to a served portal, so that a test can tell when nobody is asking it for anything any more."""

from __future__ import annotations

import threading
from typing import Any

from cheroot.server import HTTPConnection


class Visitors:
    """The connections that are open; makes each, as a server's `ConnectionClass`."""

    def __init__(self) -> None:
        self._open: set[_Visitor] = set()
        self._changed = threading.Condition()

    def __call__(self, *how: Any) -> HTTPConnection:
        """Take in a connection that was accepted."""
        visitor = _Visitor(self, *how)
        with self._changed:
            self._open.add(visitor)
        return visitor

    def leave(self, visitor: _Visitor) -> None:
        """Forget a connection that was closed."""
        with self._changed:
            self._open.discard(visitor)
            self._changed.notify_all()

    def wait_until_gone(self, seconds: float) -> bool:
        """Wait until no connection is open that was accepted: whatever was asked has been done; False: not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)


class _Visitor(HTTPConnection):
    def __init__(self, visitors: Visitors, *how: Any) -> None:
        super().__init__(*how)
        self._visitors = visitors

    def close(self) -> None:
        super().close()
        self._visitors.leave(self)
