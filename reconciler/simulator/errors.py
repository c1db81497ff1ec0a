"""The portal's own error answers (F6)."""

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

    @property
    def name(self) -> str:
        """The code, or what stands for it in statistics."""
        return self.code or self.description

    def body(self) -> dict[str, str]:
        return {"error": self.code, "error_description": self.description}


class RestError(Exception):
    """Ends one call with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.description)
        self.refusal = refusal


def crm(description: str) -> RestError:
    """Refuse as the CRM does: no code, HTTP 400."""
    return RestError(Refusal("", description))


METHOD_NOT_FOUND = Refusal("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
QUERY_LIMIT = Refusal("QUERY_LIMIT_EXCEEDED", "Too many requests", 503)
OPERATION_TIME_LIMIT = Refusal("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
INTERNAL = Refusal("INTERNAL_SERVER_ERROR", "Internal server error", 500)
WRONG_TRANSPORT = Refusal("INTERNAL_WRONG_TRANSPORT", "Wrong transport!", 500)

# The documentation gives some of these a status of their own; measured portals answer 401 to all (F6, DISAGREE).
NO_AUTH = Refusal("NO_AUTH_FOUND", "Wrong authorization data", 401)
INVALID_CREDENTIALS = Refusal("INVALID_CREDENTIALS", "Invalid request credentials", 401)
OWNER_DISMISSED = Refusal("authorization_error", "Unable to authorize user", 401)
INSUFFICIENT_SCOPE = Refusal(
    "insufficient_scope", "The request requires higher privileges than provided by the webhook token", 401
)
HTTPS_REQUIRED = Refusal("INVALID_REQUEST", "Https required.", 401)
DOCUMENTED_STATUS = {"INVALID_CREDENTIALS": 403, "insufficient_scope": 403, "INVALID_REQUEST": 400}

BATCH_TOO_LONG = Refusal("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
BATCH_NOT_ALLOWED = Refusal("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
