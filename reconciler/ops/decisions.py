"""What people decided, or have to decide: contacts left alone, and changes that the guard refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from reconciler.core.model import Standing
from reconciler.ops.facts import card, counted, moment, person, reason_sentence
from reconciler.ops.refusal import approve_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

#: Where the address of the card fits as well.
_WIDE = 130
_COLORS = {"waiting": "yellow", "approved": "green"}


class Entry(Protocol):
    """What led to an exception."""

    @property
    def contact(self) -> int: ...

    @property
    def company(self) -> int: ...

    @property
    def owner(self) -> int | None: ...

    @property
    def last_editor(self) -> int | None: ...

    @property
    def last_edited_at(self) -> datetime | None: ...

    @property
    def detail(self) -> str: ...


class LeftAlone(Protocol):
    """What this list needs to know of an exception; the journal's records are such."""

    @property
    def id(self) -> int: ...

    @property
    def kind(self) -> Standing: ...

    @property
    def entry(self) -> Entry: ...

    @property
    def since(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def released_at(self) -> datetime | None: ...

    @property
    def released_by(self) -> str | None: ...


def exceptions_json(found: Iterable[LeftAlone], users: Mapping[int, str]) -> dict[str, Any]:
    """Return the exceptions for scripts, the newest first; `until` is null where no time ends it."""
    return {
        "schema": 1,
        "exceptions": [
            {
                "id": one.id,
                "contact": one.entry.contact,
                "kind": one.kind.value,
                "reason": one.kind.sentence,
                "detail": one.entry.detail,
                "since": one.since.isoformat(),
                "until": _iso(one.expires_at),
                "company": one.entry.company or None,
                "owner": one.entry.owner,
                "owner_name": users.get(one.entry.owner or 0, ""),
                "last_edited_by": one.entry.last_editor or None,
                "last_edited_by_name": users.get(one.entry.last_editor or 0, ""),
                "last_edited_at": _iso(one.entry.last_edited_at),
                "released_at": _iso(one.released_at),
                "released_by": one.released_by,
            }
            for one in _newest(found)
        ],
    }


def exceptions_text(
    found: Iterable[LeftAlone],
    users: Mapping[int, str],
    *,
    origin: str = "",
    width: int = 100,
    color: bool = False,
    zone: tzinfo | None = None,
) -> str:
    """Return the exceptions as a table, the newest first, and how to end one."""
    from rich.console import Group  # noqa: PLC0415 - rich costs time, and only text needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    from reconciler.ops import tables  # noqa: PLC0415 - as above
    from reconciler.ops.display import display  # noqa: PLC0415 - as above

    shown = _newest(found)
    if not shown:
        return "No contact is left alone for a reason of its own.\n"
    linked = width >= _WIDE and bool(card(origin, "contact", 1))
    columns: list[tuple[str, dict[str, object]]] = [("Contact", tables.RIGHT), ("Why", tables.FOLD)]
    columns += [("Since", tables.WHOLE), ("Until", tables.FOLD), ("Last edited", tables.FOLD)]
    columns += [("Card", tables.WHOLE)] if linked else []
    made = tables.table(*columns)
    for one in shown:
        why = reason_sentence(one.kind.value) + (f" ({one.entry.detail})" if one.entry.detail else "")
        cells = [
            Text(str(one.entry.contact)),
            Text(display(why)),
            Text(f"{one.since.astimezone(zone):%Y-%m-%d %H:%M}"),
            Text(display(until(one, zone))),
            Text(display(last_edited(one.entry, users, zone))),
        ]
        cells += [Text(card(origin, "contact", one.entry.contact), style="dim")] if linked else []
        made.add_row(*cells)
    number = shown[0].entry.contact
    count = counted(len(shown), "contact")
    hint = f"{count}; `reconciler exceptions release {number}` lets contact {number} be corrected again."
    return tables.draw(Group(made, Text(""), Text(hint, style="dim")), width=width, color=color)


def _newest(found: Iterable[LeftAlone]) -> Sequence[LeftAlone]:
    return sorted(found, key=lambda one: (one.since, one.entry.contact), reverse=True)


def until(one: LeftAlone, zone: tzinfo | None) -> str:
    """Say what ends an exception, or has."""
    if one.released_at is not None:
        by = f" by {one.released_by}" if one.released_by else ""
        return f"released {moment(one.released_at, zone)}{by}"
    ends = [f"{one.expires_at.astimezone(zone):%Y-%m-%d %H:%M}"] if one.expires_at else []
    # What a person keeps has nothing to do with who owns the company.
    ends += ["its company gets another owner"] if one.entry.company and one.kind is not Standing.KEPT else []
    return ", or ".join(ends) or "released"


def last_edited(entry: Entry, users: Mapping[int, str], zone: tzinfo | None) -> str:
    """Say who edited anything of the contact last, which need not be who changed its owner."""
    by = f"by {person(entry.last_editor, users.get(entry.last_editor, ''))}" if entry.last_editor else ""
    at = f"{entry.last_edited_at.astimezone(zone):%Y-%m-%d %H:%M}" if entry.last_edited_at else ""
    return " at ".join(filter(None, (by, at))) or "·"


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

    from reconciler.ops import tables  # noqa: PLC0415 - as above

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
