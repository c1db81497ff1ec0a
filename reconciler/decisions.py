"""Commands by which people decide: let changes through, take a run back, release what is left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.journal.records import NoApproval
from reconciler.journal.store import open_journal
from reconciler.ops.facts import counted

if TYPE_CHECKING:
    from reconciler.config import Settings
    from reconciler.shell import Shell


def approve(shell: Shell, digest: str | None, *, withdraw: bool) -> int:
    """Let a refused set of changes through, or take that back; without a digest, list what there is."""
    from reconciler.ops.decisions import approvals_json, approvals_text

    settings = shell.settings()
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=_for_reading(settings, digest is None)) as journal:
        if digest is None:
            records = [one for one in journal.approvals.open(portal) if one.left]
            shell.answer(approvals_json(records), lambda: approvals_text(records, width=shell.width))
            return 0
        if withdraw:
            record = journal.approvals.withdraw(portal, digest)
        else:
            lasts = timedelta(days=settings.guard.approval_days)
            from reconciler.gate import who

            record = journal.approvals.approve(portal, digest, by=who(), how="by command", lasts=lasts)
    if isinstance(record, NoApproval):
        raise UsageError(f"{digest} cannot be {'withdrawn' if withdraw else 'approved'}: {record.sentence}")
    document = {"schema": 1, "digest": record.digest, "state": record.state.value, "changes": record.count}
    what = f"{counted(record.count, 'change')} ({record.digest[:12]})"
    if withdraw:
        shell.answer(document, lambda: f"{what} will not go through.")
        return 0
    until = f" until {record.expires_at:%Y-%m-%d %H:%M} UTC" if record.expires_at else ""
    # A sweep plans nothing of an undo: it goes on when it is asked for again.
    when = "when the undo is asked for again" if "undo" in record.numbers else "with the next run"
    shell.answer(document, lambda: f"{what} will go through {when}{until}; the rest of a plan is guarded as usual.")
    return 0


def exceptions(shell: Shell) -> int:
    """List the contacts that are left alone."""
    from reconciler.ops.decisions import exceptions_json, exceptions_text

    settings = shell.settings()
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        records = journal.exceptions.entries(portal)
        names = journal.user_names(portal)
    shell.answer(exceptions_json(records, names), lambda: exceptions_text(records, names, width=shell.width))
    return 0


def release(shell: Shell, number: int) -> int:
    """Let a contact be looked after again; the number of an exception serves as well, where no contact has it."""
    settings = shell.settings()
    portal = settings.portal.key
    with open_journal(settings.journal.url, shell.clock, read_only=_for_reading(settings)) as journal:
        # The list shows contacts: an exception that happens to have a contact's number is not what was meant.
        every = journal.exceptions.entries(portal)
        entries = [one for one in every if one.entry.contact == number] or [one for one in every if one.id == number]
        if not entries:
            raise UsageError(f"no exception {number} is in force; `reconciler exceptions` lists them")
        from reconciler.gate import who

        count = journal.exceptions.release(portal, [entry.id for entry in entries], who())
    shell.answer(
        {"schema": 1, "released": count},
        lambda: f"Released: the next sweep looks after contact {entries[0].entry.contact} again.",
    )
    return 0


def _for_reading(settings: Settings, wanted: bool = False) -> bool:
    """Tell whether the journal is to be opened for reading: also where there is none, which then is told, not made."""
    return wanted or not settings.journal.is_there
