"""`im.notify.system.add` and `im.notify.personal.add`: bells rung on purpose (F10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.simulator.calls import Result
from reconciler.simulator.encoding import encode_json
from reconciler.simulator.errors import controller
from reconciler.simulator.php import PhpArray, decode_json, intval, strval

if TYPE_CHECKING:
    from reconciler.simulator.calls import Call, Site

_MAX_ATTACH = 60_000


def notify(site: Site, call: Call, *, personal: bool) -> Result:
    """Ring somebody's bell; false for somebody who does not exist."""
    query = call.params.upper_keys()
    user_id, message = intval(query.get("USER_ID")), strval(query.get("MESSAGE")).strip()
    if user_id <= 0:
        raise controller("USER_ID_EMPTY", "User ID can't be empty")
    if not message:
        raise controller("MESSAGE_EMPTY", "Message can't be empty")
    _check_attachment(query.get("ATTACH"))
    if site.database.row("SELECT 1 FROM user WHERE id = ?", (user_id,)) is None:
        return Result(value=False)
    # A tag belongs to an application: through a webhook it counts only together with CLIENT_ID.
    tagged = call.caller.application or bool(strval(query.get("CLIENT_ID")))
    number = site.bell.ring(
        user_id=user_id,
        by=call.caller.user_id if personal else None,
        message=message,
        tag=strval(query.get("TAG")) if tagged else "",
        sub_tag=strval(query.get("SUB_TAG")) if tagged else "",
    )
    return Result(value=number)


def _check_attachment(attach: Any) -> None:
    if attach is None or attach == "":
        return
    text = attach if isinstance(attach, str) else ""
    parsed = decode_json(text.encode(errors="replace")) if text else attach
    if len(text or encode_json(attach)) > _MAX_ATTACH:
        raise controller("ATTACH_OVERSIZE", "You have exceeded the maximum allowable size of attach")
    if not isinstance(parsed, PhpArray) or not len(parsed):
        raise controller("ATTACH_ERROR", "Incorrect attach params")
