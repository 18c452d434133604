"""In which form a refusal is written: Clerk's at Clerk's paths, OAuth's at OAuth's, else RFC 9457's."""

import re
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from keyledger.http.problems import Problem
from keyledger.http.wire import Answer

PROBLEM_TYPE = "urn:keyledger:problem:"
"""What a problem's `type` begins with; its code follows."""

_CLERK = re.compile(r"(/v1)?/api_keys(/.*)?", re.DOTALL)
_OAUTH = re.compile(r"/oauth2/(introspect|revoke)")
_OAUTH_CODES = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}
_NOT_DESCRIBING = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class ClerkError(msgspec.Struct, frozen=True, kw_only=True):
    """One of Clerk's errors. meta: `param_name`, of what it is about."""

    message: str
    long_message: str
    code: str
    meta: dict[str, str] | UnsetType = UNSET


class ClerkErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Clerk's errors; there is always one."""

    errors: list[ClerkError]
    clerk_trace_id: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457, with what sort it is as `code`, the request's id, and the parameter that it is about."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    param: str | UnsetType = UNSET


class OAuthError(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6749, section 5.2, and RFC 6750, section 3.1."""

    error: str
    error_description: str


PROBLEMS = {
    "bad_request": 400,
    "authorization_header_missing": 401,
    "authentication_invalid": 401,
    "forbidden": 403,
    "insufficient_scope": 403,
    "api_key_not_found": 404,
    "resource_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "request_entity_too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "ledger_unavailable": 503,
}
"""The codes that problems have outside Clerk's paths, with their statuses."""

Form = Callable[[Problem, str], Response]
"""Writes a refusal, to the request of an id."""


def form_of(path: str) -> Form:
    """The form of a path's refusals; the path is below where the service is mounted."""
    if _CLERK.fullmatch(path):
        return clerk
    return oauth if _OAUTH.fullmatch(path) else problem_details


def media_type_of(form: Form, status: int) -> str:
    """Of a refusal in this form."""
    is_problem = type_of(form, status) is ProblemDetails
    return "application/problem+json" if is_problem else "application/json"


def type_of(form: Form, status: int) -> type[msgspec.Struct]:
    """What a refusal in this form says."""
    if form is clerk:
        return ClerkErrors
    return OAuthError if form is oauth and status in _OAUTH_CODES else ProblemDetails


def clerk(problem: Problem, request_id: str) -> Response:
    """Clerk's."""
    meta = UNSET if problem.param is None else {"param_name": problem.param}
    error = ClerkError(message=problem.message, long_message=problem.detail, code=problem.code, meta=meta)
    return _answer(problem, ClerkErrors(errors=[error], clerk_trace_id=request_id))


def problem_details(problem: Problem, request_id: str) -> Response:
    """RFC 9457's."""
    details = ProblemDetails(
        type=PROBLEM_TYPE + problem.code,
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
        param=UNSET if problem.param is None else problem.param,
    )
    return _answer(problem, details, media_type="application/problem+json")


def oauth(problem: Problem, request_id: str) -> Response:
    """OAuth's, for what OAuth has a code for."""
    if problem.status not in _OAUTH_CODES:
        return problem_details(problem, request_id)
    code = problem.code if problem.code == "unsupported_token_type" else _OAUTH_CODES[problem.status]
    detail = _NOT_DESCRIBING.sub("'", problem.detail)
    return _answer(problem, OAuthError(error=code, error_description=detail))


def _answer(problem: Problem, body: msgspec.Struct, *, media_type: str = Answer.media_type) -> Response:
    return Answer(body, status_code=problem.status, headers=problem.headers, media_type=media_type)
