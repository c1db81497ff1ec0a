"""Exceptions, the contacts that are left alone until they are released: as a table, as JSON, and notes on them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reconciler.core.model import Names, Standing
from reconciler.core.policy import PersonEdit
from reconciler.reporting.wording import card, counted, moment, person, reason_sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

#: Columns of a terminal on which the address of the card has room, too.
_WIDE = 130


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

    @property
    def run(self) -> int | None: ...


One = TypeVar("One", bound=LeftAlone)


def exceptions_json(found: Iterable[LeftAlone], names: Names, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the exceptions for scripts, the newest first.

    `until` is null where no time ends an exception, `run` where no run is known to have made it; names that are not
    known are empty.
    """
    return {
        "schema": 1,
        "exceptions": [
            {
                "id": one.id,
                "contact": one.entry.contact,
                "contact_name": names.contacts.get(one.entry.contact, ""),
                "kind": one.kind.value,
                "reason": one.kind.sentence,
                "detail": one.entry.detail,
                "since": one.since.isoformat(),
                "run": one.run,
                "until": _iso(one.expires_at),
                "company": one.entry.company or None,
                "company_name": names.companies.get(one.entry.company, ""),
                "owner": one.entry.owner,
                "owner_name": names.users.get(one.entry.owner or 0, ""),
                "last_edited_by": one.entry.last_editor or None,
                "last_edited_by_name": names.users.get(one.entry.last_editor or 0, ""),
                "last_edited_at": _iso(one.entry.last_edited_at),
                "released_at": _iso(one.released_at),
                "released_by": one.released_by,
            }
            for one in newest(found)
        ],
        "notes": list(notes),
    }


def exceptions_text(
    found: Collection[LeftAlone],
    names: Names,
    notes: Iterable[str] = (),
    *,
    origin: str = "",
    width: int = 100,
    color: bool = False,
    zone: tzinfo | None = None,
    most_rows: int | None = None,
) -> str:
    """Return the exceptions as a table, the newest first, with their number by kind below, then the notes.

    At most `most_rows` rows; None: all. Columns of names and of the last edit are there
    where any is known.
    """
    from rich.console import Group  # noqa: PLC0415 - rich costs time, and only text needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    from reconciler.core.sanitize import display  # noqa: PLC0415 - as above
    from reconciler.reporting import to_text as tables  # noqa: PLC0415 - as above

    linked = width >= _WIDE and bool(card(origin, "contact", 1))
    edited = any(one.entry.last_editor or one.entry.last_edited_at for one in found)
    columns: list[tuple[str, dict[str, object]]] = [("Contact", tables.RIGHT)]
    columns += [("Name", {})] if names.contacts else []
    columns += [("Company", tables.FOLD if names.companies else tables.RIGHT), ("Why", tables.FOLD)]
    columns += [("Since", tables.WHOLE), ("Until", tables.FOLD)]
    columns += [("Last edited", tables.FOLD)] if edited else []
    columns += [("Card", tables.WHOLE)] if linked else []
    made = tables.table(*columns)
    shown = newest(found)[:most_rows]
    for one in shown:
        company = f"{one.entry.company} {names.companies.get(one.entry.company, '')}" if one.entry.company else "·"
        made.add_row(
            str(one.entry.contact),
            *([tables.name(names.contacts.get(one.entry.contact) or "·")] if names.contacts else []),
            Text(display(company.rstrip())),
            Text(display(_why(one))),
            f"{one.since.astimezone(zone):%Y-%m-%d %H:%M}" + (f"\nrun {one.run}" if one.run else ""),
            Text(display(until(one, zone))),
            *([Text(display(last_edited(one.entry, names.users, zone)))] if edited else []),
            *([Text(card(origin, "contact", one.entry.contact), style="dim")] if linked else []),
        )
    hidden = len(found) - len(shown)
    below = [
        *([f"… and {hidden:,} more; `reconciler exceptions --json` lists all"] if hidden else []),
        f"{_counts(found)}.",
        *notes,
    ]
    lines = [part for line in below for part in (Text(""), Text(display(line)))]
    return tables.draw(Group(made, *lines), width=width, color=color)


def newest(found: Iterable[One]) -> list[One]:
    """Return the exceptions in the order in which they are listed."""
    return sorted(found, key=lambda one: (one.since, one.entry.contact), reverse=True)


def _why(one: LeftAlone) -> str:
    return reason_sentence(one.kind.value) + (f" ({one.entry.detail})" if one.entry.detail else "")


def _counts(found: Collection[LeftAlone]) -> str:
    """Say how many, and of which kinds: a contact may have an exception of each."""
    contacts = len({one.entry.contact for one in found})
    said = counted(contacts, "contact")
    if contacts != len(found):
        said = f"{len(found):,} exceptions of {said}"
    kinds = Counter(one.kind for one in found)
    return f"{said}: " + ", ".join(f"{kinds[kind]:,} {kind}" for kind in Standing if kinds[kind])


def setting_notes(kinds: Mapping[str, int], person_edit: PersonEdit) -> list[str]:
    """Say which exceptions another value of `policy.person_edit` would not make; `kinds` counts those in force."""
    respected, quarantined = kinds.get(Standing.RESPECTED, 0), kinds.get(Standing.QUARANTINED, 0)
    if respected and person_edit is PersonEdit.OVERWRITE:
        said = (
            f'{_are(respected)} left alone because a person chose this owner while policy.person_edit was "respect". '
            'The present value "overwrite" does not end that: another owner of the company does, or '
            "`reconciler exceptions release --kind respected`."
        )
        return [said]
    if quarantined and person_edit is PersonEdit.RESPECT:
        said = (
            f'{_are(quarantined)} in quarantine, and policy.person_edit = "respect" does not end that. When the '
            "quarantine is over or released, an owner that somebody set after our last write is respected."
        )
        return [said]
    return []


def _are(contacts: int) -> str:
    return f"{counted(contacts, 'contact')} {'is' if contacts == 1 else 'are'}"


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


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
