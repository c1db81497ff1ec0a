"""What `reconciler check` does: look at everything that must be right for a run, today's and later ones."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.cli.machine_checks import journal_on_machine, settings_on_machine
from reconciler.cli.portal_checks import settings_in_portal
from reconciler.cli.signals import in_foreground
from reconciler.core.sanitize import hanging
from reconciler.errors import JournalError, PortalError, ReconcilerError
from reconciler.journal.store import open_journal
from reconciler.portal.diagnosis import FIRST_ANSWER_SECONDS, Finding, State, diagnose
from reconciler.portal.read.first_users import QUESTION, registered
from reconciler.reporting.exceptions import setting_notes
from reconciler.reporting.wording import counted, file_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.cli.context import Shell
    from reconciler.clock import Clock
    from reconciler.journal.store import Journal
    from reconciler.portal.rest.client import Client
    from reconciler.settings.model import Settings


def check(shell: Shell) -> int:
    """Look at everything that must be right, and say what is not."""
    settings = shell.settings()

    def work() -> list[Finding]:
        webhook = settings.portal.webhook()
        findings = [*settings_on_machine(settings, shell.config_file)]
        address = f"{webhook.origin}, as user {webhook.user_id}"
        findings.insert(1, Finding(subject="address", state=State.OK, sentence=address))
        try:
            with open_journal(settings.journal.url, shell.clock) as journal:
                findings.append(Finding(subject="database", state=State.OK, sentence=_journal_words(journal)))
                findings.extend(journal_on_machine(journal.path))
                findings.extend(_exceptions(journal, settings))
        except ReconcilerError as error:
            findings.append(Finding(subject="database", state=State.FAILED, sentence=str(error)))
        with shell.connect(settings) as client:
            if sys.stderr.isatty():
                shell.tell(
                    f"asking {client.host}, for {FIRST_ANSWER_SECONDS:.0f} seconds at most until it first answers …"
                )
            findings.extend(portal := [*diagnose(client, shell.clock.now())])
            if portal[0].state is not State.FAILED:
                findings.extend(_same_portal(client, settings, shell.clock))
                findings.extend(settings_in_portal(client, settings))
        return findings

    findings = in_foreground(work, shell.clock)
    failed = any(finding.state is State.FAILED for finding in findings)
    document = {
        "schema": 1,
        "status": "failed" if failed else "ok",
        "checks": [{"subject": f.subject, "state": f.state, "sentence": f.sentence} for f in findings],
    }
    lines = (hanging(f"{f.state:<9}{f.subject:<24}{f.sentence}", 33, shell.columns) for f in findings)
    shell.answer(document, lambda: "\n".join(lines))
    return 1 if failed else 0


def _same_portal(client: Client, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Say that a run would be refused, because the journal knows another portal by this name; else nothing."""
    with suppress(JournalError, PortalError), open_journal(settings.journal.url, clock, read_only=True) as journal:
        users = registered(client.read([QUESTION])[0])
        webhook = settings.portal.webhook()
        if doubt := journal.portals.doubt(settings.portal.key, webhook.name, users):
            yield Finding(subject="same portal", state=State.FAILED, sentence=doubt)


def _exceptions(journal: Journal, settings: Settings) -> Iterator[Finding]:
    """Say how many exceptions are in force, and which of them the present settings would not make; none: nothing."""
    kinds = journal.exceptions.counts(settings.portal.key)
    notes = setting_notes(kinds, settings.policy.person_edit)
    if kinds:
        counts = ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds))
        sentence = f"{counts}; `reconciler exceptions` lists them"
        state = State.WARNING if notes else State.OK
        yield Finding(subject="exceptions", state=state, sentence=". ".join([sentence, *notes]).rstrip("."))


def _journal_words(journal: Journal) -> str:
    survey = journal.housekeeping.survey()
    words = f"{journal.path}, {file_size(survey.size)}, {counted(survey.runs, 'run')}"
    return words if survey.oldest is None else f"{words} since {survey.oldest:%Y-%m-%d}"
