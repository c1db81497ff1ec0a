"""What the commands of `reconciler exceptions` do: list what is left alone, add to it, and release it.

The list comes from the journal, also where the portal cannot be asked; names of contacts and companies come from the
portal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.cli.approvals import for_reading, origin_of
from reconciler.cli.context import has_colors
from reconciler.cli.signals import in_foreground
from reconciler.core.model import Names, Standing
from reconciler.core.sanitize import display
from reconciler.engine.approval import who
from reconciler.errors import IncompleteReadError, ReconcilerError, UsageError
from reconciler.journal.records import NewException, Selection
from reconciler.journal.store import open_journal
from reconciler.portal.read.details import read_contacts
from reconciler.portal.read.names import read_names
from reconciler.reporting.exceptions import exceptions_json, exceptions_text, newest, setting_notes
from reconciler.reporting.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.cli.context import Shell
    from reconciler.cli.options import ExceptionFilters
    from reconciler.core.model import ContactDetail
    from reconciler.journal.records import ExceptionRecord
    from reconciler.journal.store import Journal
    from reconciler.portal.rest.client import Client
    from reconciler.settings.model import Settings

#: Seconds within which a portal must answer for the first time that is asked for names only.
_NAMES_WITHIN = 10.0
#: Rows that a table shows, and those before the question. To fold the text of 50,000 rows takes more than a minute.
_MOST_ROWS, _ROWS_TO_ASK = 500, 20
#: Numbers that a sentence lists.
_LISTED = 10
#: Characters of a reason.
_LONGEST_REASON = 500


def show(shell: Shell, filters: ExceptionFilters, *, offline: bool) -> int:
    """List the exceptions in force that match, with names where the portal gives them."""
    settings = shell.settings()
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        records = journal.exceptions.entries(portal, _selection(journal, portal, filters))
        users, known_at = journal.user_names(portal), journal.portals.address(portal)
    shown = records if shell.json else newest(records)[:_MOST_ROWS]
    names, notes = _named(shell, settings, [] if offline else shown, known_at)
    names = replace(names, users=users)
    kinds = {kind.value: sum(record.kind is kind for record in records) for kind in Standing}
    notes += setting_notes(kinds, settings.policy.person_edit)

    def text() -> str:
        if not records:
            chosen = any((filters.numbers, filters.kinds, filters.companies, filters.runs))
            return "No exception in force matches." if chosen else "There are no exceptions."
        number = shown[0].entry.contact
        hint = (
            f"`reconciler exceptions release {number}` lets contact {number} be corrected again; "
            "--kind, --company, --run or --all releases several."
        )
        origin = origin_of(settings, portal)
        return exceptions_text(records, names, [*notes, hint], origin=origin, width=shell.width, most_rows=_MOST_ROWS)

    shell.answer(exceptions_json(records, names, notes), text)
    return 0


def release(shell: Shell, filters: ExceptionFilters, *, yes: bool) -> int:
    """Release the exceptions in force that match, after a yes. What comes up meanwhile stays."""
    stream = None if yes else shell.asking("`exceptions release` shows the exceptions and asks")
    settings = shell.settings()
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=for_reading(settings)) as journal:
        records, notes = _to_release(journal, portal, filters)
        if not records:
            shell.answer(_released([]), lambda: "Nothing to release: no exception in force matches.")
            return 0
        if stream is not None:
            shown = newest(records)[:_ROWS_TO_ASK]
            names, unnamed = _named(shell, settings, shown, journal.portals.address(portal))
            names = replace(names, users=journal.user_names(portal))
            said = [*unnamed, *notes, "Once they are released:", *_consequences(journal, portal, records)]
            text = exceptions_text(
                records, names, said, width=shell.width, color=has_colors(stream), most_rows=_ROWS_TO_ASK
            )
            shell.tell(text, stream=stream)
            if not shell.ask(f"Release {counted(len(records), 'exception')}?", stream):
                shell.answer(_released([]), lambda: "Nothing is released.")
                return 3
        count = journal.exceptions.release(portal, [record.id for record in records], who())
        after = _consequences(journal, portal, records)
    over = len(records) - count
    after += [f"{counted(over, 'exception')} had ended meanwhile."] if over else []
    after += notes if stream is None else []
    lines = [f"Released: {counted(count, 'exception')}.", *after]
    shell.answer(_released(records, count, after), lambda: "\n".join(lines))
    return 0


def add(shell: Shell, contacts: Iterable[int], reason: str) -> int:
    """Leave contacts alone until somebody releases them, for a reason; the portal is only asked whether they exist."""
    numbers, reason = set(contacts), display(reason).strip()
    if len(reason) > _LONGEST_REASON:
        raise UsageError(f"--reason takes at most {_LONGEST_REASON} characters, and this has {len(reason):,}")
    settings = shell.settings()
    portal = settings.portal.key
    found, notes = _look_up(shell, settings, numbers)
    if found is not None and (missing := sorted(numbers - found.keys())):
        raise UsageError(f"the portal shows no contact {_some(missing)}, so nothing is added; correct the numbers")
    by = f"{who()}: {reason}" if reason else who()
    entries = [_kept(number, (found or {}).get(number), by) for number in sorted(numbers)]
    with open_journal(settings.journal.url, shell.clock) as journal:
        added = journal.exceptions.add(portal, Standing.KEPT, entries)
        under_way = {intent.change.contact for intent in journal.open_intents(portal)} & numbers
    already = sorted(numbers - set(added))
    if under_way:
        notes.append(f"A write that has left before may still be carried out: {_contacts(under_way)}.")
    names = {number: row[2].name for number, row in (found or {}).items()}

    def text() -> str:
        lines = [f"Left alone until released: {counted(len(added), 'contact')}."] if added else []
        lines += [display(f"  {number} {names.get(number, '')}".rstrip()) for number in added[:_ROWS_TO_ASK]]
        lines += [f"  … and {len(added) - _ROWS_TO_ASK:,} more"] if len(added) > _ROWS_TO_ASK else []
        lines += [f"Left alone before, and unchanged: {_contacts({*already})}."] if already else []
        return "\n".join([*lines, *notes])

    shell.answer({"schema": 1, "added": added, "already": already, "notes": notes}, text)
    return 0


def _look_up(
    shell: Shell, settings: Settings, contacts: Iterable[int]
) -> tuple[Mapping[int, tuple[int, int, ContactDetail]] | None, list[str]]:
    """Ask the portal for these contacts; None where it cannot be asked, and a note says why."""
    known_at = None
    if settings.journal.is_there:
        with open_journal(settings.journal.url, shell.clock) as journal:
            known_at = journal.portals.address(settings.portal.key)
    try:
        with ask_portal(shell, settings, known_at) as client:
            return in_foreground(lambda: read_contacts(client, contacts, ""), shell.clock), []
    except ReconcilerError as error:
        return None, [f"Nobody looked whether the portal has these contacts: {_reason(error)}."]


def _kept(contact: int, found: tuple[int, int, ContactDetail] | None, by: str) -> NewException:
    """Return the exception of a contact, with its company, owner and last edit where the portal showed them."""
    if found is None:
        return NewException(contact=contact, detail=by)
    company, owner, detail = found
    return NewException(
        contact=contact,
        company=company,
        owner=owner,
        last_editor=detail.modified_by,
        last_edited_at=None if detail.doubt else detail.modified,
        detail=by,
    )


def _released(records: Iterable[ExceptionRecord], count: int = 0, notes: Sequence[str] = ()) -> dict[str, object]:
    contacts = sorted({record.entry.contact for record in records})
    return {"schema": 1, "released": count, "contacts": contacts, "notes": list(notes)}


def _selection(journal: Journal, portal: str, filters: ExceptionFilters) -> Selection:
    """Return what the filters choose, with the number of the latest run in the place of its word."""
    return Selection(
        contacts=filters.numbers,
        kinds=[Standing(kind.value) for kind in filters.kinds],
        companies=filters.companies,
        runs=[_latest_run(journal, portal) if run == "latest" else run for run in filters.runs],
    )


def _latest_run(journal: Journal, portal: str) -> int:
    latest = next(iter(journal.history.runs(portal, 1)), None)
    if latest is None or latest.report.run is None:
        raise UsageError(f"there was no run of {portal} yet")
    return latest.report.run


def _to_release(journal: Journal, portal: str, filters: ExceptionFilters) -> tuple[list[ExceptionRecord], list[str]]:
    """Return what is chosen, and sentences about numbers that mean two things. Raises UsageError for unknown numbers.

    A number is first of all a contact's, as the list shows it; else an exception's.
    """
    among = journal.exceptions.entries(portal, replace(_selection(journal, portal, filters), contacts=()))
    if not filters.numbers:
        return among, []
    numbers = set(filters.numbers)
    contacts = {record.entry.contact for record in among} & numbers
    found = [record for record in among if record.entry.contact in contacts or record.id in numbers - contacts]
    unknown = sorted(numbers - contacts - {record.id for record in found})
    if unknown:
        raise UsageError(
            f"no exception {_some(unknown)} is in force{' and matches' if _narrowed(filters) else ''}, so nothing is "
            "released; `reconciler exceptions` lists them"
        )
    notes = [
        f"{record.id} is taken as the number of a contact; the exception of this number, of contact "
        f"{record.entry.contact}, stays."
        for record in among
        if record.id in contacts and record not in found
    ]
    return found, notes


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:_LISTED])) + (", …" if len(numbers) > _LISTED else "")


def _narrowed(filters: ExceptionFilters) -> bool:
    return bool(filters.kinds or filters.companies or filters.runs)


def _consequences(journal: Journal, portal: str, records: Sequence[ExceptionRecord]) -> list[str]:
    """Say what becomes of these contacts without these exceptions: also before they are released."""
    contacts = {record.entry.contact for record in records}
    released = {record.id for record in records}
    others = journal.exceptions.entries(portal, Selection(contacts=contacts))
    held = {record.entry.contact for record in others if record.id not in released}
    free = contacts - held
    undone = {record.entry.contact for record in records if record.kind is Standing.UNDONE} & free
    said = []
    if free:
        said.append(f"From the next sweep on, the settings alone decide about {_contacts(free)}.")
    if undone:
        said.append(f"What an undo took back may then be written again: {_contacts(undone)}.")
    if held:
        stays = "stays" if len(held) == 1 else "stay"
        said.append(f"{_contacts(held).capitalize()} {stays} left alone by another exception.")
    return said


def _contacts(contacts: set[int]) -> str:
    """Return one contact by its number, several by how many they are."""
    return counted(len(contacts), "contact") if len(contacts) > 1 else f"contact {min(contacts)}"


def _named(
    shell: Shell, settings: Settings, records: Sequence[ExceptionRecord], known_at: str | None
) -> tuple[Names, list[str]]:
    """Ask the portal for the names of these contacts and their companies; where it gives none, a note says why.

    `known_at` is the portal's address in the journal.
    """
    if not records:
        return Names(), []
    contacts = {record.entry.contact for record in records}
    companies = {record.entry.company for record in records} - {0, None}
    try:
        with ask_portal(shell, settings, known_at) as client:
            return in_foreground(lambda: read_names(client, contacts, companies), shell.clock), []
    except ReconcilerError as error:
        return Names(), [f"No names of contacts and companies are shown: {_reason(error)}."]


def _reason(error: ReconcilerError) -> str:
    """Say why the portal gave no answer; the sentences of an incomplete read are about a sweep."""
    return "the portal's answer was not whole" if isinstance(error, IncompleteReadError) else str(error).rstrip(".")


def ask_portal(shell: Shell, settings: Settings, known_at: str | None) -> Client:
    """Connect to the portal that the journal's rows are about. Raises UsageError."""
    address = settings.portal.webhook().name
    if known_at not in {None, address}:
        raise UsageError(f"{settings.portal.key} was at {known_at} in the journal, and the settings name {address}")
    client = shell.connect(settings)
    client.first_answer_seconds = _NAMES_WITHIN
    return client
