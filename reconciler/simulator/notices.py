"""Notices in the bell (`im.notify.system.add`, F10): one for each tag, and what a person finds there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.simulator.calls import Result
from reconciler.simulator.errors import Refusal, RestError
from reconciler.simulator.php import intval, strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site
    from reconciler.simulator.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What stands in somebody's bell."""

    id: int
    user: int
    message: str
    #: For other channels, such as e-mail; empty where it is the same.
    message_out: str
    #: With the application's own mark before it; empty for none.
    tag: str
    #: The portal's clock, epoch seconds.
    at: int


def system_add(site: Site, call: Call) -> Result:
    """Ring a bell; a notice with a tag replaces the earlier one of that tag.

    A webhook has no application, so without `CLIENT_ID` its tag is not one.
    """
    params = call.params.upper_keys()
    user, message = intval(params.get("USER_ID")), strval(params.get("MESSAGE", "")).strip()
    if user <= 0:
        raise RestError(Refusal("USER_ID_EMPTY", "User ID can't be empty"))
    if not message:
        raise RestError(Refusal("MESSAGE_EMPTY", "Message can't be empty"))
    client, tag = strval(params.get("CLIENT_ID", "")), strval(params.get("TAG", ""))
    tag = f"{client}|{tag}" if client and tag else ""
    if site.database.row("SELECT 1 FROM user WHERE id = ? AND active = 1", (user,)) is None:
        return Result(value=False)
    if tag:
        site.database.write("DELETE FROM notice WHERE tag = ? AND user_id = ?", (tag, user))
    number = site.database.insert(
        "notice",
        user_id=user,
        message=message,
        message_out=strval(params.get("MESSAGE_OUT", "")),
        tag=tag,
        at=call.now,
    )
    return Result(value=number)


def notices(database: Database) -> list[Notice]:
    """Return what stands in all bells, the oldest first."""
    rows = database.rows("SELECT id, user_id, message, message_out, tag, at FROM notice ORDER BY id")
    return [
        Notice(
            id=row["id"],
            user=row["user_id"],
            message=row["message"],
            message_out=row["message_out"],
            tag=row["tag"],
            at=row["at"],
        )
        for row in rows
    ]
