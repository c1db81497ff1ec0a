"""Telling people in Bitrix24 itself: a notice in the bell of each configured user (`im.notify.system.add`, F10).

A notice is worth one attempt: what could not be told is told by the next run (`core.matters`), and a failing portal
is often the very matter. The tag makes a later notice take the place of an earlier one of the same matter; a webhook
has no application of its own, so that the tag counts only with a `CLIENT_ID`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from reconciler.errors import MissingScopeError, PortalError
from reconciler.portal.entities import BATCH_COMMANDS, NOTICE_ADD
from reconciler.portal.rest.batch_codec import Answer, Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.notifications import Notification
    from reconciler.portal.rest.client import Client

log = structlog.get_logger("reconciler.portal")

#: By which the portal tells our tags from those of others.
CLIENT_ID = "owner-reconciler"
#: Characters of a notice.
LONGEST = 2_000
#: Names are typed by strangers: brackets would be BB codes (a link, a button, a call) and macros of the batch (F1.3),
#: angle brackets tags wherever a portal shows notices as HTML.
_HARMLESS = str.maketrans("[]<>", "()‹›")  # noqa: RUF001 - they shall look alike


def notify(client: Client, users: Sequence[int], matters: Sequence[Notification]) -> dict[str, str]:
    """Tell each of the users each matter; return, by tag, why some matters reached none of them.

    Failures are logged and never raised; only `Stopped` is, while it waits for its turn at the portal.
    """
    notices = [(matter, user) for matter in matters for user in users]
    reached: set[str] = set()
    reasons: dict[str, str] = {}
    for start in range(0, len(notices), BATCH_COMMANDS):
        batch = notices[start : start + BATCH_COMMANDS]
        for (matter, user), reason in zip(batch, _send(client, batch), strict=True):
            if reason:
                log.warning("notice.failed", matter=matter.kind.value, user=user, error=reason)
                reasons.setdefault(matter.tag, reason)
            else:
                reached.add(matter.tag)
    return {tag: reason for tag, reason in reasons.items() if tag not in reached}


def _send(client: Client, notices: Sequence[tuple[Notification, int]]) -> list[str]:
    """Send a batch of notices once; return for each why it failed, empty where it did not."""
    try:
        answers = client.send([_command(matter, user) for matter, user in notices]).answers
    except PortalError as error:
        return [_reason(error)] * len(notices)
    return [_judge(answer) for answer in answers]


def _command(matter: Notification, user: int) -> Command:
    message = f"[B]{bb_safe(matter.title)}[/B][BR]{bb_safe(matter.sentence)}"
    return Command(
        NOTICE_ADD,
        {
            "USER_ID": user,
            "MESSAGE": message,
            # For e-mail, where codes would be shown as they are.
            "MESSAGE_OUT": f"{bb_safe(matter.title)}: {bb_safe(matter.sentence)}",
            "TAG": bb_safe(matter.tag),
            "CLIENT_ID": CLIENT_ID,
        },
    )


def bb_safe(text: str) -> str:
    """Return text that a chat shows as it is: in one line, no codes, no invisible characters, not too long."""
    line = " ".join(text.split())
    shown = "".join(character for character in line if character.isprintable()).translate(_HARMLESS)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def _judge(answer: Answer | PortalError) -> str:
    if isinstance(answer, PortalError):
        return _reason(answer)
    return "" if answer.result else "the portal made no notice; is this user still there?"


def _reason(error: PortalError) -> str:
    if isinstance(error, MissingScopeError):
        return "the webhook lacks the scope im, so nobody is told in Bitrix24; add it to the webhook in the portal"
    return str(error)
