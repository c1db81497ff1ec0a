"""What can go wrong: every kind of fault of the embedded portal, and every row of the portal's own error table (F6).

A kind happens to a whole request, to one of its commands, or it is somebody at work. `lasting` repeats a fault that
passes as one that does not: from its request on everything fares so, until the next run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from support.world import CLEO

from reconciler.simulator.errors import ANY_TIME

if TYPE_CHECKING:
    from collections.abc import Mapping


class Family(StrEnum):
    """Faults that end alike. The value is what the page calls them."""

    LOST = "no answer, though it may have been carried out"
    BROKEN = "an inner failure, or one command of many without an answer"
    RATE = "too many requests"
    OPERATION = "the seconds of ten minutes are used up"
    FATAL = "the webhook or the portal as a whole refuses"
    DENIED = "a call is denied"
    GONE = "a call says: not found"
    REFUSED = "a call is refused for another reason"
    SCOPE = "a call lacks its scope"
    PAGE = "a page lacks rows"
    FILTER = "a filter is ignored"
    PART = "a batch is carried out in part"
    SLOW = "slow"
    CONTACT = "somebody gives a contact away"
    COMPANY = "somebody gives a company away"
    DELETED = "somebody deletes a contact"


class Level(StrEnum):
    """What a fault happens to."""

    REQUEST = "request"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail; `kind` and `parameters` are the embedded portal's."""

    name: str
    family: Family
    level: Level
    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False

    @property
    def carried_out(self) -> bool:
        """Whether the request does its work before it fails."""
        return self.kind in _SPOILT or bool(self.parameters.get("commit"))


_SPOILT = ("lost_answer", "truncated_body", "wrong_json", "empty_answer")
#: Rows of F6 that a portal gives to a whole request, by family; all others are FATAL.
_WHOLE = {
    "QUERY_LIMIT_EXCEEDED": Family.RATE,
    "OPERATION_TIME_LIMIT": Family.OPERATION,
    "INTERNAL_SERVER_ERROR": Family.LOST,
    "ERROR_UNEXPECTED_ANSWER": Family.LOST,
    "ERROR_CORE": Family.LOST,
    "CONNECTION_ERROR": Family.LOST,
}
#: Rows of F6 that it gives to one call: code, description, family.
_CALLS = (
    ("", "Access denied.", Family.DENIED),
    ("ACCESS_DENIED", "Access denied!", Family.DENIED),
    ("", "Not found", Family.GONE),
    ("", "Contact is not found", Family.GONE),
    ("NOT_FOUND", "Element not found", Family.GONE),
    ("OWNER_NOT_FOUND", "Owner was not found", Family.GONE),
    ("", "Parameter 'fields' must be array.", Family.REFUSED),
    ("", "The portal repeats /rest/1/simulatedtoken0/batch.json", Family.REFUSED),
    ("ERROR_CORE", "Handler says <b>no</b><br>", Family.REFUSED),
    ("INVALID_ARG_VALUE", "Invalid filter", Family.REFUSED),
    ("CRM_FIELD_ERROR_VALUE_NOT_VALID", "Invalid value", Family.REFUSED),
    ("100", "Invalid value {bad} to match with parameter {id}", Family.REFUSED),
    ("ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported", Family.REFUSED),
    ("METHOD_NOT_FOUND", "Method not found!", Family.REFUSED),
    ("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", Family.REFUSED),
    ("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", Family.REFUSED),
    ("insufficient_scope", "", Family.SCOPE),
    ("INTERNAL_SERVER_ERROR", "Internal server error", Family.BROKEN),
)


def _request(name: str, family: Family, kind: str, **parameters: Any) -> Fault:
    return Fault(name=name, family=family, level=Level.REQUEST, kind=kind, parameters=parameters)


def _command(name: str, family: Family, kind: str, **parameters: Any) -> Fault:
    return Fault(name=name, family=family, level=Level.COMMAND, kind=kind, parameters=parameters)


_KINDS = (
    _request("html_502", Family.LOST, "html_502"),
    _request("html_502, carried out", Family.LOST, "html_502", commit=True),
    _request("html_504", Family.LOST, "html_504"),
    _request("html_504, carried out", Family.LOST, "html_504", commit=True),
    _request("internal_error", Family.LOST, "internal_error"),
    _request("internal_error, carried out", Family.LOST, "internal_error", commit=True),
    _request("rate_limited", Family.RATE, "rate_limited"),
    _request("cut_before", Family.LOST, "cut_before"),
    _request("lost_answer", Family.LOST, "lost_answer"),
    _request("truncated_body", Family.LOST, "truncated_body"),
    _request("wrong_json", Family.LOST, "wrong_json"),
    _request("empty_answer", Family.LOST, "empty_answer"),
    _request("partial_batch", Family.PART, "partial_batch"),
    _request("token_revoked", Family.FATAL, "token_revoked"),
    _request(
        "error that repeats the address", Family.FATAL, "error", code="X", description="/rest/1/simulatedtoken0/batch"
    ),
    _command("missing_result", Family.BROKEN, "missing_result"),
    _command("operation_limit", Family.OPERATION, "operation_limit"),
    _command("short_page", Family.PAGE, "short_page"),
    _command("empty_page", Family.PAGE, "empty_page"),
    _command("dropped_filter", Family.FILTER, "dropped_filter"),
    _command("slow by a second", Family.SLOW, "slow"),
    _request("human_edit of a contact before", Family.CONTACT, "human_edit", contact_id=1, owner=CLEO),
    _request("human_edit of a contact after", Family.CONTACT, "human_edit", contact_id=1, owner=CLEO, moment="after"),
    _request("human_edit of a company before", Family.COMPANY, "human_edit", company_id=101, owner=CLEO),
    _request("human_edit of a company after", Family.COMPANY, "human_edit", company_id=101, owner=CLEO, moment="after"),
    _request("delete_contacts before", Family.DELETED, "delete_contacts", ids=[1]),
    _request("delete_contacts after", Family.DELETED, "delete_contacts", ids=[1], moment="after"),
    _command("human_edit_between of a contact", Family.CONTACT, "human_edit_between", contact_id=1, owner=CLEO),
    _command("human_edit_between of a company", Family.COMPANY, "human_edit_between", company_id=101, owner=CLEO),
)
#: Every row of F6: as the refusal of a request, or of a call.
_ROWS = (
    *(_request(f"F6 {code}", _WHOLE.get(code, Family.FATAL), "refused", code=code) for code in ANY_TIME),
    *(
        _command(
            f"F6 {code or '(no code)'}: {description}" if description else f"F6 {code}, of a call",
            family,
            "command_error",
            code=code,
            description=description,
        )
        for code, description, family in _CALLS
    ),
)
#: Of a kind that passes, so many that do not.
_LASTING = {
    "html_502",
    "lost_answer",
    "rate_limited",
    "partial_batch",
    "missing_result",
    "operation_limit",
    "F6 OPERATION_TIME_LIMIT",
    "short_page",
    "dropped_filter",
    "F6 INTERNAL_SERVER_ERROR: Internal server error",
}
_ONCE = (*_KINDS, *_ROWS)
FAULTS: tuple[Fault, ...] = (
    *_ONCE,
    *(replace(fault, name=f"{fault.name}, lasting", lasting=True) for fault in _ONCE if fault.name in _LASTING),
)
