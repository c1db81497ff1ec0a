"""Commands by which people decide: let changes through that were held back, and what was held back in a run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.journal.records import ApprovalRecord, ApprovalState, NoApproval
from reconciler.journal.store import open_journal
from reconciler.reporting.wording import counted

if TYPE_CHECKING:
    from reconciler.cli.context import Shell
    from reconciler.settings.model import Settings

_CAN_BE_APPROVED = {ApprovalState.WAITING, ApprovalState.SUPERSEDED}
#: Rows of a set that are shown before the question.
_ROWS_TO_ASK = 20


def approvals(shell: Shell) -> int:
    """List what waits for approval, and which approvals are in force."""
    from reconciler.reporting.approvals import approvals_json, approvals_text

    settings = shell.settings()
    with open_journal(settings.journal.url, shell.clock, read_only=True) as journal:
        records = [one for one in journal.approvals.open(settings.portal.key) if one.left]
    shell.answer(approvals_json(records), lambda: approvals_text(records, width=shell.width))
    return 0


def approve(shell: Shell, digest: str, *, yes: bool) -> int:
    """Show a set of changes that was held back, and let it through after a yes."""
    from reconciler.cli.context import has_colors
    from reconciler.engine.approval import who
    from reconciler.engine.held_back import report_of_set
    from reconciler.reporting.build import render
    from reconciler.reporting.refusal import is_of_undo

    stream = None if yes else shell.asking("`approve` shows the changes and asks")
    settings = shell.settings()
    portal, lasts = settings.portal.key, timedelta(days=settings.guard.approval_days)
    with open_journal(settings.journal.url, shell.clock, read_only=for_reading(settings)) as journal:
        found = _found(journal.approvals.find(portal, digest), digest)
        if stream is not None:
            report = report_of_set(journal, found, portal, origin_of(settings, portal), most=_ROWS_TO_ASK)
            text = render(report, "text", width=shell.width, color=has_colors(stream), most_rows=_ROWS_TO_ASK)
            shell.tell(text, stream=stream)
            if (
                found.left
                and found.state in _CAN_BE_APPROVED
                and not shell.ask(f"Let {counted(found.left, 'change')} through?", stream)
            ):
                shell.answer(_answer(found), lambda: "Nothing is approved.")
                return 3
        by, how = who(), "by command"
        record = _found(journal.approvals.approve(portal, digest, by=by, how=how, lasts=lasts), digest)
    until = f" until {record.expires_at:%Y-%m-%d %H:%M} UTC" if record.expires_at else ""
    # A sweep plans nothing of an undo: it goes on when it is asked for again.
    when = "when the undo is asked for again" if is_of_undo(record.numbers) else "with the next run"
    what = f"{counted(found.left, 'change')} ({record.digest[:12]})"
    shell.answer(
        _answer(record) | {"left": found.left},
        lambda: f"{what} will go through {when}{until}, as far as they are still wanted; the rest is guarded as usual.",
    )
    return 0


def withdraw(shell: Shell, digest: str) -> int:
    """Take an approval back, or turn down what waits for one."""
    settings = shell.settings()
    with open_journal(settings.journal.url, shell.clock, read_only=for_reading(settings)) as journal:
        portal = settings.portal.key
        left = _found(journal.approvals.find(portal, digest), digest, "withdrawn").left
        record = _found(journal.approvals.withdraw(portal, digest), digest, "withdrawn")
    what = f"{counted(left, 'change')} ({record.digest[:12]})"
    shell.answer(_answer(record) | {"left": left}, lambda: f"{what} will not go through without another approval.")
    return 0


def _found(record: ApprovalRecord | NoApproval, digest: str, done: str = "approved") -> ApprovalRecord:
    if isinstance(record, NoApproval):
        raise UsageError(f"{digest} cannot be {done}: {record.sentence}")
    return record


def _answer(record: ApprovalRecord) -> dict[str, object]:
    return {
        "schema": 1,
        "digest": record.digest,
        "state": record.state.value,
        "changes": record.count,
        "left": record.left,
    }


def origin_of(settings: Settings, portal: str) -> str:
    """Return where the cards of this portal are; nothing where the settings name another one, or none."""
    if settings.portal.webhook_url is None or settings.portal.key != portal:
        return ""
    return settings.portal.webhook().origin


def for_reading(settings: Settings) -> bool:
    """Open the journal read-only where there is none: that is then an error, and none is made."""
    return not settings.journal.is_there
