"""F6, row by row: code, description and status of an error become one class of the tree."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.portal.rest import error_codes as refusals
from reconciler.portal.rest.error_codes import LONGEST, classify, slows_down

A, B, S = errors.AuthorizationError, errors.BlockedError, errors.ServerFaultError
BUSY = errors.BusyError
BAD, DENIED, GONE, REFUSED = errors.BadRequestError, errors.DeniedError, errors.NotFoundError, errors.RefusedError

#: (code, description, statuses of documentation and source, class)
TABLE = [
    ("QUERY_LIMIT_EXCEEDED", "Too many requests", (503,), errors.RateLimitedError),
    ("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", (429,), errors.OperationTimeLimitError),
    ("OVERLOAD_LIMIT", "REST API is blocked due to overload.", (503, 401), B),
    ("INTERNAL_SERVER_ERROR", "Internal server error", (500,), S),
    ("ERROR_UNEXPECTED_ANSWER", "", (500,), S),
    ("ERROR_CORE", "SQL query error!", (500,), S),
    ("ERROR_CORE", "Handler says <b>no</b><br>", (400,), REFUSED),
    ("expired_token", "The access token provided has expired", (401,), A),
    ("invalid_token", "Unable to get application by token", (401,), A),
    ("NO_AUTH_FOUND", "Wrong authorization data", (401,), A),
    ("INVALID_CREDENTIALS", "Invalid request credentials", (403, 401), A),
    ("authorization_error", "Unable to authorize user", (401,), A),
    ("insufficient_scope", "The request requires higher privileges", (403, 401), errors.MissingScopeError),
    ("INVALID_REQUEST", "Https required.", (400, 401), A),
    ("ACCESS_DENIED", "REST is available only by subscription", (403, 401), B),
    ("ACCESS_DENIED", "REST is available only on commercial plans", (403, 401), B),
    ("ACCESS_DENIED", "Access denied!", (403,), DENIED),
    ("", "Access denied.", (400,), DENIED),
    ("", "Contact is not found", (400,), GONE),
    ("", "Not found", (400,), GONE),
    ("", "Parameter 'fields' must be array.", (400,), BAD),
    ("", "ID is not defined or invalid.", (400,), BAD),
    ("ERROR_ARGUMENT", "Argument 'x' is null or empty", (400,), BAD),
    ("INVALID_ARG_VALUE", "Invalid filter", (400,), BAD),
    ("NOT_FOUND", "Element not found", (400,), GONE),
    ("OWNER_NOT_FOUND", "", (400,), GONE),
    ("CRM_FIELD_ERROR_VALUE_NOT_VALID", "", (400,), BAD),
    ("100", "Invalid value", (400,), BAD),
    ("ENTITY_TYPE_NOT_SUPPORTED", "", (400,), BAD),
    ("ERROR_METHOD_NOT_FOUND", "Method not found!", (404,), BAD),
    ("METHOD_NOT_FOUND", "Method not found!", (404,), BAD),
    ("WRONG_AUTH_TYPE", "Current authorization type is denied for this method", (403,), A),
    ("user_access_error", "", (403, 401), A),
    ("APPLICATION_NOT_FOUND", "", (401,), A),
    ("CONNECTION_ERROR", "Error connecting to authorization server", (401,), S),
    ("METHOD_CONFIRM_WAITING", "", (401,), A),
    ("METHOD_CONFIRM_DENIED", "", (403,), A),
    ("PORTAL_DELETED", "Portal was deleted", (500, 403), B),
    ("PAYMENT_REQUIRED", "", (402,), B),
    ("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", (400,), BAD),
    ("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", (405,), BAD),
    ("ERROR_MANIFEST_IS_NOT_AVAILABLE", "", (404,), BAD),
    ("INTERNAL_WRONG_TRANSPORT", "Wrong transport!", (500,), BAD),
    ("INTERNAL_WRONG_HANDLER_CLASS", "", (500,), BAD),
    ("WRONG_ENCODING", "Wrong request encoding", (200,), REFUSED),
    ("allowed_only_intranet_user", "", (403,), A),
]


@pytest.mark.parametrize(
    ("code", "description", "status", "kind"),
    [
        pytest.param(code, description, status, kind, id=f"{code or description.split()[0]}-{status}")
        for code, description, statuses, kind in TABLE
        for status in statuses
    ],
)
def test_a_row_of_the_table(code: str, description: str, status: int, kind: type[errors.PortalError]) -> None:
    """The class is exact, the code and the status are kept, and the sentence repeats what the portal said."""
    error = classify(code, description, status=status)
    assert type(error) is kind
    assert (error.code, error.status) == (code, status)
    assert ": ".join(part for part in (code, description) if part) in str(error)


@pytest.mark.parametrize(
    ("code", "description", "kind"),
    [
        pytest.param(code, description, kind, id=f"{code or description.split()[0]}-{statuses[0]}")
        for code, description, statuses, kind in TABLE
        if code != "ERROR_CORE"
    ],
)
def test_the_status_decides_nothing_that_a_code_says(
    code: str, description: str, kind: type[errors.PortalError]
) -> None:
    """F6: measured portals answer 401 where the documentation says 403 or 400; inside a batch there is none."""
    for status in (None, 200, 401, 418):
        assert type(classify(code, description, status=status)) is kind


@pytest.mark.parametrize(
    ("code", "description", "status", "kind"),
    [
        pytest.param("", "", None, REFUSED, id="nothing-at-all"),
        pytest.param("", "", 400, REFUSED, id="nothing-400"),
        pytest.param("", "", 500, S, id="nothing-500"),
        pytest.param("", "Доступ запрещен.", 400, REFUSED, id="localized-denied"),
        pytest.param("", "Контакт не найден", None, REFUSED, id="localized-not-found"),
        pytest.param("", "Произошла ошибка", 500, S, id="localized-fault"),
        pytest.param("", "Произошла ошибка", 503, BUSY, id="localized-busy"),
        pytest.param("PORTAL_BUSY", "Portal is busy", 503, BUSY, id="unknown-code-503"),
        pytest.param("TOO_MANY", "", 429, BUSY, id="unknown-code-429"),
        pytest.param("SOMETHING_NEW", "", 502, S, id="unknown-code-502"),
        pytest.param("ERROR_CORE", "text of a handler", None, REFUSED, id="legacy-in-a-batch"),
        pytest.param("SOMETHING_NEW", "", 400, REFUSED, id="unknown-code"),
        pytest.param("SOMETHING_NEW", "", 500, S, id="unknown-code-500"),
        pytest.param("ACCESS_DENIED", "Доступ запрещен", 403, DENIED, id="localized-with-code"),
        pytest.param("insufficient_scope", "", None, errors.MissingScopeError, id="scope-in-a-batch"),
        pytest.param("ERROR", "access DENIED", None, DENIED, id="any-case"),
    ],
)
def test_what_the_table_does_not_name(
    code: str, description: str, status: int | None, kind: type[errors.PortalError]
) -> None:
    """F6: the description may be localized, then it says nothing to us; a server's status is a server's fault."""
    assert type(classify(code, description, status=status)) is kind


@pytest.mark.parametrize(
    ("error", "slower"),
    [
        (errors.RateLimitedError("", status=None), True),
        (errors.BusyError(""), True),
        (errors.NotJsonError("", status=503), True),
        (errors.NotJsonError("", status=429), True),
        (errors.NotJsonError("", status=502), False),
        (errors.UnreachableError(""), False),
        (errors.BlockedError("", status=503), False),
        (None, False),
    ],
    ids=repr,
)
def test_what_asks_for_fewer_requests(error: object, slower: bool) -> None:
    """The portal by its code, a web server before it by its status."""
    assert slows_down(error) is slower


def test_a_new_code_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its line in the table it is known also inside a batch, where there is no status."""
    assert type(classify("PORTAL_BUSY", "", status=None)) is REFUSED
    monkeypatch.setitem(refusals._BY_CODE, "PORTAL_BUSY", (BUSY, "the portal is busy"))
    assert type(classify("PORTAL_BUSY", "", status=None)) is BUSY


def test_nothing_said_is_nothing_repeated() -> None:
    """No empty brackets at the end."""
    assert str(classify("", "", status=None)) == "the portal refused"


def test_a_page_of_a_third_party_stays_a_sentence() -> None:
    """F11.25: a handler may answer with a page; one line of it is enough."""
    error = classify("ERROR_CORE", "<div>\n  no\t</div>" + "x" * 10_000, status=400)
    assert "\n" not in str(error)
    assert "<div> no </div>xxx" in str(error)
    assert len(str(error)) < LONGEST + 100
