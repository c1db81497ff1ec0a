"""The portal's own error answers, one by one as F6 lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the client sees it: an HTTP answer, or one entry of `result_error` inside a batch.

    `code` may be empty, as it is for most refusals of the CRM.
    """

    code: str
    description: str
    status: int = 400
    #: The status in the documentation, where measured portals give another (F6, DISAGREE).
    documented: int | None = None
    #: The parameter that is wrong, where the answer names it.
    argument: str = ""

    @property
    def name(self) -> str:
        """The code, or what stands for it in statistics."""
        return self.code or self.description

    def body(self) -> dict[str, str]:
        named = {"argument": self.argument} if self.argument else {}
        return {"error": self.code, "error_description": self.description, **named}

    def status_as(self, statuses: str) -> int:
        """Return the HTTP status, `measured` or `documented`."""
        return self.documented if statuses == "documented" and self.documented is not None else self.status


class RestError(Exception):
    """Ends one call with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.description)
        self.refusal = refusal


def crm(description: str) -> RestError:
    """Refuse as the CRM does: no code, HTTP 400."""
    return RestError(Refusal("", description))


def controller(code: str, description: str) -> RestError:
    """Refuse as the newer methods do (`crm.item.*`): always a code, HTTP 400."""
    return RestError(Refusal(code, description))


METHOD_NOT_FOUND = Refusal("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
QUERY_LIMIT = Refusal("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)
OPERATION_TIME_LIMIT = Refusal("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
INTERNAL = Refusal("INTERNAL_SERVER_ERROR", "Internal server error", 500)
WRONG_TRANSPORT = Refusal("INTERNAL_WRONG_TRANSPORT", "Wrong transport!", 500)
#: What no database takes: a number beyond 64 bits, half a letter, a filter of a thousand levels.
SQL_ERROR = Refusal("ERROR_CORE", "SQL query error!", 500)
#: The answer itself cannot be written; a refusal with the status of a success.
WRONG_ENCODING = Refusal("WRONG_ENCODING", "Wrong request encoding", 200)

# Every failed authorization is 401 on measured portals, whatever the documentation says of it (F6, DISAGREE).
NO_AUTH = Refusal("NO_AUTH_FOUND", "Wrong authorization data", 401)
INVALID_CREDENTIALS = Refusal("INVALID_CREDENTIALS", "Invalid request credentials", 401, 403)
OWNER_DISMISSED = Refusal("authorization_error", "Unable to authorize user", 401)
EXPIRED_TOKEN = Refusal("expired_token", "The access token provided has expired", 401)
INSUFFICIENT_SCOPE = Refusal(
    "insufficient_scope", "The request requires higher privileges than provided by the webhook token", 401, 403
)
HTTPS_REQUIRED = Refusal("INVALID_REQUEST", "Https required.", 401, 400)

ACCESS_DENIED = Refusal("ACCESS_DENIED", "Access denied!", 403)
APPLICATION_ONLY = Refusal(
    "WRONG_AUTH_TYPE", "Current authorization type is denied for this method Application context required", 403
)
INTRANET_ONLY = Refusal("allowed_only_intranet_user", "Action is allowed only to intranet users", 403)

BATCH_TOO_LONG = Refusal("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
BATCH_NOT_ALLOWED = Refusal("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")

#: What a portal may answer to any request, for reasons that nothing in this one can bring about: the fault
#: `refused` gives them, by code.
ANY_TIME = {
    refusal.code: refusal
    for refusal in (
        METHOD_NOT_FOUND,
        QUERY_LIMIT,
        OPERATION_TIME_LIMIT,
        INTERNAL,
        WRONG_TRANSPORT,
        SQL_ERROR,
        WRONG_ENCODING,
        NO_AUTH,
        INVALID_CREDENTIALS,
        OWNER_DISMISSED,
        EXPIRED_TOKEN,
        INSUFFICIENT_SCOPE,
        HTTPS_REQUIRED,
        APPLICATION_ONLY,
        INTRANET_ONLY,
        Refusal("OVERLOAD_LIMIT", "REST API is blocked due to overload.", 401, 503),
        Refusal("ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response.", 500),
        Refusal("invalid_token", "Unable to get application by token", 401),
        Refusal("ACCESS_DENIED", "REST is available only by subscription", 401, 403),
        Refusal("user_access_error", "The user does not have access to the application.", 401, 403),
        Refusal("APPLICATION_NOT_FOUND", "Application not found", 401),
        Refusal("CONNECTION_ERROR", "Error connecting to authorization server", 401),
        Refusal("METHOD_CONFIRM_WAITING", "Waiting for confirmation", 401),
        Refusal("METHOD_CONFIRM_DENIED", "Method call denied", 403),
        Refusal("PORTAL_DELETED", "Portal was deleted", 403, 500),
        Refusal("PAYMENT_REQUIRED", "Payment required", 401),
        Refusal("ERROR_ARGUMENT", "Argument 'ID' is null or empty", 400, argument="ID"),
        Refusal("ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available", 404),
        Refusal("INTERNAL_WRONG_HANDLER_CLASS", "Wrong handler class!", 500),
    )
}
