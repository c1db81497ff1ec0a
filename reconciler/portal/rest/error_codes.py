"""The portal's error answers (F6), classified into the tree of `reconciler.errors`.

The code decides; where it is empty, shared or unknown, the description and the HTTP status do. The status decides
nothing that a known code says: documentation and measurement disagree about it (F6).

A new code is one line in `_BY_CODE`. Each error that may pass is retried wherever requests are sent, because that is
decided by its class; `slows_down` says which of them also make us send less.
"""

from __future__ import annotations

from reconciler import errors

_Kind = type[errors.PortalError]

#: Characters of the portal's own words that are repeated in an error.
LONGEST = 300
#: The statuses of a server that has too much to do: 429 Too Many Requests, 503 Service Unavailable.
_BUSY = frozenset({429, 503})

_NEW_WEBHOOK = "make a new inbound webhook in the portal and put its address into portal.webhook_url"
_ASK_ADMINISTRATOR = "ask the portal's administrator"

_BY_CODE: dict[str, tuple[_Kind, str]] = {
    "QUERY_LIMIT_EXCEEDED": (errors.RateLimitedError, "the portal gets too many requests from this address"),
    "OPERATION_TIME_LIMIT": (errors.OperationTimeLimitError, "the method's seconds in ten minutes are used up"),
    "OVERLOAD_LIMIT": (
        errors.BlockedError,
        "the portal has blocked this webhook for overload; only Bitrix24's support can lift that",
    ),
    "INTERNAL_SERVER_ERROR": (errors.ServerFaultError, "the portal failed inside"),
    "ERROR_UNEXPECTED_ANSWER": (errors.ServerFaultError, "the portal failed inside"),
    "CONNECTION_ERROR": (errors.ServerFaultError, "the portal cannot reach its authorization server"),
    "WRONG_ENCODING": (errors.RefusedError, "the portal cannot encode its answer: a record holds broken text"),
    "expired_token": (errors.AuthorizationError, f"the access token has expired; {_NEW_WEBHOOK}"),
    "invalid_token": (errors.AuthorizationError, f"the portal does not know this access token; {_NEW_WEBHOOK}"),
    "NO_AUTH_FOUND": (errors.AuthorizationError, f"the portal does not know this webhook; {_NEW_WEBHOOK}"),
    "INVALID_CREDENTIALS": (
        errors.AuthorizationError,
        f"the portal does not accept the webhook: wrong, deleted or expired; {_NEW_WEBHOOK}",
    ),
    "authorization_error": (
        errors.AuthorizationError,
        f"the webhook's user is dismissed or not activated; {_NEW_WEBHOOK} as somebody who works there",
    ),
    "user_access_error": (errors.AuthorizationError, f"the webhook's user has no access; {_ASK_ADMINISTRATOR}"),
    "allowed_only_intranet_user": (
        errors.AuthorizationError,
        f"the webhook's user is an extranet user; {_NEW_WEBHOOK} as an employee",
    ),
    "APPLICATION_NOT_FOUND": (errors.AuthorizationError, f"the application was removed; {_NEW_WEBHOOK}"),
    "WRONG_AUTH_TYPE": (errors.AuthorizationError, "the portal allows this method to applications only"),
    "METHOD_CONFIRM_WAITING": (errors.AuthorizationError, f"the method waits for a confirmation; {_ASK_ADMINISTRATOR}"),
    "METHOD_CONFIRM_DENIED": (errors.AuthorizationError, f"the method was not confirmed; {_ASK_ADMINISTRATOR}"),
    "insufficient_scope": (
        errors.MissingScopeError,
        "the webhook lacks a scope for this method; add it to the webhook in the portal",
    ),
    "INVALID_REQUEST": (
        errors.AuthorizationError,
        "the portal wants https; change the address in portal.webhook_url to https://",
    ),
    "PORTAL_DELETED": (errors.BlockedError, f"the portal is closed or deleted; {_ASK_ADMINISTRATOR}"),
    "PAYMENT_REQUIRED": (errors.BlockedError, f"the portal's subscription is not paid; {_ASK_ADMINISTRATOR}"),
    "ERROR_METHOD_NOT_FOUND": (
        errors.BadRequestError,
        "the portal does not have this method; is its CRM module switched on?",
    ),
    # A spelling that is documented and was never seen; "not found" in its description means no record.
    "METHOD_NOT_FOUND": (
        errors.BadRequestError,
        "the portal does not have this method; is its CRM module switched on?",
    ),
    "NOT_FOUND": (errors.NotFoundError, "the record does not exist"),
    "OWNER_NOT_FOUND": (errors.NotFoundError, "the record does not exist"),
    "ERROR_BATCH_LENGTH_EXCEEDED": (errors.BadRequestError, "the batch is too long for the portal"),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": (errors.BadRequestError, "the portal does not allow this method in a batch"),
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": (errors.BadRequestError, "the portal has no such manifest"),
    "INTERNAL_WRONG_TRANSPORT": (errors.BadRequestError, "the portal does not know this form of answer"),
    "INTERNAL_WRONG_HANDLER_CLASS": (errors.BadRequestError, "the portal does not know this form of answer"),
    "ERROR_ARGUMENT": (errors.BadRequestError, "the portal does not accept an argument"),
    "INVALID_ARG_VALUE": (errors.BadRequestError, "the portal does not accept an argument"),
    "CRM_FIELD_ERROR_VALUE_NOT_VALID": (errors.BadRequestError, "the portal does not accept the value"),
    "ENTITY_TYPE_NOT_SUPPORTED": (errors.BadRequestError, "the portal does not support this type of record"),
    "100": (errors.BadRequestError, "the portal does not accept an argument"),
}


def slows_down(error: object) -> bool:
    """Return whether an answer asks for fewer requests, in the portal's words or by the status of any server."""
    return isinstance(error, errors.RateLimitedError | errors.BusyError) or (
        isinstance(error, errors.TransientError) and error.status in _BUSY
    )


def classify(code: str, description: str, *, status: int | None) -> errors.PortalError:
    """Turn an error answer into the error to raise or to note. `status` is None for a command of a batch."""
    kind, sentence = _BY_CODE.get(code) or _by_description(code, description, status)
    said = ": ".join(part for part in (_short(code), _short(description)) if part)
    return kind(f"{sentence} (the portal says: {said})" if said else sentence, code=code[:LONGEST], status=status)


def _short(description: str) -> str:
    """Return what an error says as part of a sentence: handlers of third parties answer with whole pages (F11.25)."""
    line = " ".join(description.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _by_description(  # noqa: PLR0911 - one return for each meaning
    code: str, description: str, status: int | None
) -> tuple[_Kind, str]:
    """Decide the codes that mean several things, and the empty one (F6)."""
    text = description.casefold()
    if code == "ACCESS_DENIED" and ("subscription" in text or "commercial" in text):
        return errors.BlockedError, "the portal's plan has no REST interface; renew the subscription"
    if code == "ACCESS_DENIED" or "access denied" in text:
        return errors.DeniedError, "the webhook's user has no right to this"
    if "not found" in text:
        return errors.NotFoundError, "the record does not exist"
    if status in _BUSY:
        return errors.BusyError, "the portal has too much to do"
    if status is not None and status >= 500:  # noqa: PLR2004 - the class of status "server error"
        return errors.ServerFaultError, "the portal failed inside"
    if "must be array" in text or "is not defined or invalid" in text:
        return errors.BadRequestError, "the portal does not understand the call"
    return errors.RefusedError, "the portal refused"
