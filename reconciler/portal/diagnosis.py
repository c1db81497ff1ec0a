"""What `reconciler check` asks the portal: is the webhook good for the job, and what will its writes set off.

Each finding is one sentence with the next step. The portal is only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from reconciler.errors import MissingScopeError, PortalError
from reconciler.portal.entities import (
    COMPANY,
    COMPANY_LIST,
    CONTACT_LIST,
    ID,
    OWNER,
    PROFILE,
    SCOPES,
    SERVER_TIME,
    USER_LIST,
    WORKFLOW_TEMPLATES,
)
from reconciler.portal.rest.batch_codec import Answer, Command, Value, identifier, moment, text
from reconciler.portal.write.capability import try_conditions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from reconciler.portal.rest.client import Client

#: Further apart than this, the clocks of portal and worker are worth a word; in seconds.
CLOCK_SECONDS = 60
#: A portal that is silent for so long does not answer at all, as far as a person who waits is concerned.
FIRST_ANSWER_SECONDS = 30.0
#: AUTO_EXECUTE of workflow templates that start on each edit (F17).
_ON_EDIT = {"2", "3"}
#: Characters of a name that are repeated, and names in a line: there are some sixty scopes.
_LONGEST_NAME, _MOST_NAMES = 100, 100


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `check`."""

    subject: str
    state: State
    sentence: str


def diagnose(client: Client, now: datetime) -> Iterator[Finding]:
    """Yield what there is to say of the portal and the webhook; `now` is the worker's time.

    A portal that cannot be reached, or does not accept the webhook, is one failed finding and the last.
    """
    commands = {
        SERVER_TIME: Command(SERVER_TIME, {}),
        PROFILE: Command(PROFILE, {}),
        SCOPES: Command(SCOPES, {}),
        COMPANY_LIST: Command(COMPANY_LIST, {"select": [ID], "start": 0}),
        CONTACT_LIST: Command(CONTACT_LIST, {"filter": {f"!{COMPANY}": 0}, "select": [ID], "start": 0}),
        USER_LIST: Command(USER_LIST, {"FILTER": {ID: 1}, "start": 0}),
        WORKFLOW_TEMPLATES: Command(
            WORKFLOW_TEMPLATES,
            {"SELECT": [ID, "NAME", "AUTO_EXECUTE"], "FILTER": {"DOCUMENT_TYPE": "CONTACT"}, "start": 0},
        ),
    }
    client.first_answer_seconds = FIRST_ANSWER_SECONDS
    try:
        answers = dict(zip(commands, client.ask(list(commands.values())), strict=True))
        owned = _owned(client, answers[PROFILE])
    except PortalError as error:
        yield _failed("portal", error)
        return
    yield Finding(subject="portal", state=State.OK, sentence=f"{client.host} answers and accepts the webhook")
    yield _clock(answers[SERVER_TIME], now)
    yield _scopes(answers[SCOPES])
    yield from _crm(answers)
    yield _users(answers[USER_LIST])
    yield from _account(answers[PROFILE], owned)
    yield _conditional(client)
    yield _workflows(answers[WORKFLOW_TEMPLATES])
    yield Finding(
        subject="notices",
        state=State.WARNING,
        sentence="each change may ring one bell for the people concerned, on portals of the newer kind whatever we ask "
        "for; warn them before a large run",
    )


def _clock(answer: Answer | PortalError, now: datetime) -> Finding:
    if isinstance(answer, PortalError):
        return _failed("clock", answer)
    try:
        apart = abs((moment(answer.result) - now).total_seconds())
    except (ValueError, TypeError):
        return Finding(subject="clock", state=State.FAILED, sentence="the portal does not tell its time")
    if apart > CLOCK_SECONDS:
        sentence = f"the portal's clock is {apart:.0f} s from this host's; set this host's by NTP, reports show both"
        return Finding(subject="clock", state=State.WARNING, sentence=sentence)
    return Finding(subject="clock", state=State.OK, sentence=f"the portal's clock is {apart:.0f} s from this host's")


def _scopes(answer: Answer | PortalError) -> Finding:
    if isinstance(answer, PortalError):
        return _failed("scopes", answer)
    names = ", ".join(map(_word, answer.result[:_MOST_NAMES])) if isinstance(answer.result, list) else ""
    return Finding(subject="scopes", state=State.OK, sentence=f"the webhook has {names or 'none'}")


def _crm(answers: Mapping[str, Answer | PortalError]) -> Iterator[Finding]:
    for method, noun in ((COMPANY_LIST, "companies"), (CONTACT_LIST, "contacts with a company")):
        answer = answers[method]
        if isinstance(answer, MissingScopeError):
            way_out = "the webhook lacks the scope crm; add it to the webhook in the portal"
            yield Finding(subject=noun, state=State.FAILED, sentence=way_out)
        elif isinstance(answer, PortalError):
            yield _failed(noun, answer)
        else:
            yield Finding(subject=noun, state=State.OK, sentence=f"{answer.total or 0:,} {noun} visible")


def _users(answer: Answer | PortalError) -> Finding:
    if isinstance(answer, MissingScopeError):
        sentence = (
            "the webhook lacks a user scope, so new owners cannot be checked and nothing will be written; "
            "add user_basic (or user) to the webhook in the portal"
        )
        return Finding(subject="users", state=State.FAILED, sentence=sentence)
    if isinstance(answer, PortalError):
        return _failed("users", answer)
    return Finding(subject="users", state=State.OK, sentence="owners can be checked before they are written")


def _owned(client: Client, answer: Answer | PortalError) -> int | None:
    """Count what the webhook's own account owns; None where nobody can tell. Raises PortalError."""
    number = _account_id(answer)
    if not number:
        return None
    condition: dict[str, Value] = {f"={OWNER}": number}
    counts = client.ask(
        [Command(method, {"filter": condition, "select": [ID], "start": 0}) for method in (COMPANY_LIST, CONTACT_LIST)]
    )
    totals = [count.total for count in counts if isinstance(count, Answer) and count.total is not None]
    return sum(totals) if len(totals) == len(counts) else None


def _account_id(answer: Answer | PortalError) -> int:
    """Return the user of the webhook, 0 where the portal does not say."""
    try:
        return identifier(answer.result.get(ID)) if isinstance(answer, Answer) else 0
    except (ValueError, AttributeError):
        return 0


def _account(answer: Answer | PortalError, owned: int | None) -> Iterator[Finding]:
    """Judge the account under which the webhook acts (F2, F4: what it may see is all that is seen)."""
    if isinstance(answer, PortalError):
        yield _failed("account", answer)
        return
    number = _account_id(answer)
    if not number:
        yield Finding(subject="account", state=State.FAILED, sentence="the portal does not tell the webhook's user")
        return
    profile: Mapping[str, Any] = answer.result
    name = " ".join(_word(profile[field]) for field in ("NAME", "LAST_NAME") if profile.get(field))
    who = f"user {number} ({name})" if name else f"user {number}"
    if profile.get("ADMIN") is True:
        yield Finding(subject="account", state=State.OK, sentence=f"{who} is an administrator and sees everything")
    else:
        sentence = (
            f"{who} is no administrator: records that this account may not see are neither counted nor corrected; "
            "make the webhook as an administrator"
        )
        yield Finding(subject="account", state=State.WARNING, sentence=sentence)
    if owned:
        sentence = (
            f"{who} owns {owned:,} companies and contacts: our changes and this person's own look alike in the "
            "portal; better make the webhook under an account of its own"
        )
        yield Finding(subject="own records", state=State.WARNING, sentence=sentence)
    elif owned is not None:
        yield Finding(subject="own records", state=State.OK, sentence=f"{who} owns no records")


def _conditional(client: Client) -> Finding:
    """Find out whether the portal itself refuses writes that are not as planned any more; nothing is written."""
    subject = "conditional updates"
    try:
        takes = try_conditions(client)
    except PortalError as error:
        sentence = f"not known whether the portal takes them: {error}"
        return Finding(subject=subject, state=State.WARNING, sentence=sentence)
    if takes is None:
        sentence = "not known whether the portal takes them: there is no contact to try it on; nothing was written"
        return Finding(subject=subject, state=State.WARNING, sentence=sentence)
    if not takes:
        sentence = (
            "the portal takes none, and nothing will be written; with write.conditional = false contacts are looked at "
            "before they are written instead, and an edit in between may be written over"
        )
        return Finding(subject=subject, state=State.FAILED, sentence=sentence)
    sentence = "the portal itself refuses a write where contact, company or new owner are not as planned any more"
    return Finding(subject=subject, state=State.OK, sentence=sentence)


def _workflows(answer: Answer | PortalError) -> Finding:
    if isinstance(answer, PortalError):
        sentence = (
            "cannot be looked at without the scope bizproc; look in the portal whether a workflow starts when a "
            "contact is edited: each of our changes would start it"
        )
        return Finding(subject="workflows", state=State.WARNING, sentence=sentence)
    rows = [row for row in answer.result if isinstance(row, dict)] if isinstance(answer.result, list) else []
    names = [_word(row.get("NAME") or f"template {_word(row.get(ID))}") for row in rows if _starts_on_edit(row)]
    if names:
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004 - a line's worth
        sentence = f"each change starts {len(names)} on edit: {shown}; switch them off for a large run"
        return Finding(subject="workflows", state=State.WARNING, sentence=sentence)
    return Finding(subject="workflows", state=State.OK, sentence="none starts when a contact is edited")


def _starts_on_edit(row: Mapping[str, Any]) -> bool:
    return _word(row.get("AUTO_EXECUTE")) in _ON_EDIT


def _word(value: Any) -> str:
    """Return a name as part of a sentence, whatever the portal gave."""
    return "?" if isinstance(value, list | dict) else text(value)[:_LONGEST_NAME]


def _failed(subject: str, error: PortalError) -> Finding:
    return Finding(subject=subject, state=State.FAILED, sentence=str(error))
