"""What people have to decide, or decided: the changes that the guard refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from reconciler.reporting.refusal import approve_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, tzinfo

_COLORS = {"waiting": "yellow", "approved": "green"}


class Approval(Protocol):
    """What this list needs to know of an approval; the journal's records are such."""

    @property
    def digest(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def left(self) -> int: ...

    @property
    def numbers(self) -> Mapping[str, Any]: ...

    @property
    def sentence(self) -> str: ...

    @property
    def run(self) -> int | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def approved_at(self) -> datetime | None: ...

    @property
    def approved_by(self) -> str | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def closed_at(self) -> datetime | None: ...


def approvals_json(found: Iterable[Approval]) -> dict[str, Any]:
    """Return the sets for scripts, the newest first; `numbers` are what a person was shown."""
    return {
        "schema": 1,
        "approvals": [
            {
                "digest": one.digest,
                "state": str(one.state),
                "changes": one.count,
                "left": one.left,
                "run": one.run,
                "created_at": one.created_at.isoformat(),
                "approved_at": _iso(one.approved_at),
                "approved_by": one.approved_by,
                "expires_at": _iso(one.expires_at),
                "closed_at": _iso(one.closed_at),
                "sentence": one.sentence,
                "numbers": dict(one.numbers),
            }
            for one in sorted(found, key=lambda one: (one.created_at, one.digest), reverse=True)
        ],
    }


def approvals_text(
    found: Iterable[Approval], *, width: int = 100, color: bool = False, zone: tzinfo | None = None
) -> str:
    """Return the sets as a table, the newest first, and how to let the one through that waits."""
    from rich.console import Group  # noqa: PLC0415 - rich costs time, and only text needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    from reconciler.reporting import to_text as tables  # noqa: PLC0415 - as above

    shown = sorted(found, key=lambda one: (one.created_at, one.digest), reverse=True)
    if not shown:
        return "Nothing waits for approval, and no approval is in force.\n"
    columns: list[tuple[str, dict[str, object]]] = [("Digest", tables.WHOLE), ("State", tables.WHOLE)]
    columns += [("Changes", tables.RIGHT), ("Left", tables.RIGHT), ("Run", tables.RIGHT), ("Held back", tables.WHOLE)]
    made = tables.table(*columns, ("Approved by", {}), ("Expires", tables.WHOLE))
    for one in shown:
        made.add_row(
            Text(one.digest[:12]),
            Text(str(one.state), style=_COLORS.get(one.state, "")),
            Text(f"{one.count:,}"),
            Text(f"{one.left:,}"),
            Text(str(one.run or "")),
            Text(f"{one.created_at.astimezone(zone):%Y-%m-%d %H:%M}"),
            tables.name(one.approved_by or "·"),
            Text(f"{one.expires_at.astimezone(zone):%Y-%m-%d %H:%M}" if one.expires_at else "·"),
        )
    waiting = next((one for one in shown if one.state == "waiting"), None)
    hint = [Text(""), Text(f"To let the latest through: `{approve_command(waiting.digest)}`")] if waiting else []
    return tables.draw(Group(made, *hint), width=width, color=color)


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
