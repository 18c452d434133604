"""What is refused, whatever form it is written in."""

from starlette.exceptions import HTTPException

from keyledger.domain.errors import (
    IdempotencyConflict,
    InvalidArgument,
    KeyLedgerError,
    KeyNotFound,
    KeyRevokedError,
    NameConflict,
    PepperUnavailable,
)

RETRY_SECONDS = 1
"""What `Retry-After` says where the ledger cannot decide: it takes up again by itself."""


class Problem(Exception):
    """An answer that is no success.

    status: of HTTP. code: for programs. message: what sort it is; detail: for whom it may concern.
    param: what it is about. headers: more of the answer's.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: str,
        *,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.param = param
        self.headers = headers or {}


def bad_request(detail: str, param: str | None = None) -> Problem:
    """400."""
    return Problem(400, "bad_request", "Bad Request", detail, param=param)


def not_found(detail: str = "No API key has this id.") -> Problem:
    """404, the same for what does not exist and for what the caller may not see."""
    return Problem(404, "api_key_not_found", "API key not found", detail)


def no_id() -> Problem:
    """400 for what cannot be a key's id, such as one with a slash in it, in Clerk's words."""
    return bad_request("Invalid 'url_parameter.apiKeyID': Failed regex check", "apiKeyID")


def unavailable(detail: str = "The ledger cannot decide at the moment; try again.") -> Problem:
    """503: the ledger cannot decide now."""
    return Problem(
        503,
        "ledger_unavailable",
        "Service Unavailable",
        detail,
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def too_many(retry_seconds: int) -> Problem:
    """429."""
    return Problem(
        429,
        "too_many_requests",
        "Too Many Requests",
        "Too many secrets were refused that came from here; try again later.",
        headers={"Retry-After": str(retry_seconds)},
    )


def of_error(error: KeyLedgerError) -> Problem:
    """What the ledger refused. Whatever is left is no answer, so it is one that can be had later."""
    match error:
        case InvalidArgument():
            return bad_request(f"Invalid '{error.param}': {error.allowed}.", error.param)
        case KeyNotFound():
            return not_found()
        case KeyRevokedError():
            return bad_request("A revoked API key cannot be updated.")
        case NameConflict():
            return Problem(409, "token_creation_conflict", "Conflict", "An API key of this subject has this name.")
        case IdempotencyConflict():
            return Problem(409, "idempotency_conflict", "Conflict", f"{str(error).capitalize()}.")
        case PepperUnavailable():  # which no other try mends: it says what does
            return unavailable(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    return unavailable()


def of_http(error: HTTPException) -> Problem:
    """What the router refused."""
    if error.status_code == 405:
        detail = "This path does not take this method."
        return Problem(405, "method_not_allowed", "Method Not Allowed", detail, headers=dict(error.headers or {}))
    return Problem(error.status_code, "resource_not_found", "Not Found", "There is nothing at this path.")
