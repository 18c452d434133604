"""The service's description of itself (OpenAPI 3.1), made from the types that its calls read and write."""

from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from keyledger.credentials import SCOPES
from keyledger.http.forms import (
    PROBLEM_TYPE,
    PROBLEMS,
    ClerkErrors,
    OAuthError,
    ProblemDetails,
    form_of,
    media_type_of,
    type_of,
)
from keyledger.http.operations import JSON, OPERATIONS, Operation

_TEMPLATE = "#/components/schemas/{name}"
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}}}
_HEADERS = {401: _CHALLENGE, 429: _RETRY, 503: _RETRY}
_SECURITY = {
    "credential": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "sk_…",
        "description": f"A service credential, with some of the scopes {', '.join(SCOPES)}.",
    },
    "session": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A browser's session token, where the service is told whose to accept.",
    },
    "sessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__session",
        "description": "The same; to read, and for nothing else.",
    },
}


@lru_cache(4)
def document(root_path: str = "") -> bytes:
    """The document, of a service that is mounted at this path."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    _, schemas = msgspec.json.schema_components(_types(), ref_template=_TEMPLATE)
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "keyledger",
            "version": version("keyledger"),
            "description": "Clerk's API for API keys over a ledger, with the history and OAuth's calls beside it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        "x-problem-types": {
            PROBLEM_TYPE + code: {"status": status, "title": HTTPStatus(status).phrase}
            for code, status in PROBLEMS.items()
        },
    }
    return msgspec.json.encode(found)


def _types() -> list[Any]:
    found = [kind for operation in OPERATIONS for kind in (*operation.body, *operation.answers.values()) if kind]
    return [*dict.fromkeys(found), ClerkErrors, OAuthError, ProblemDetails]


def _operation(operation: Operation) -> dict[str, Any]:
    about = (operation.handler.__doc__ if operation.handler else None) or "This description."
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": about.strip().splitlines()[0],
        "security": _security(operation),
        "responses": {str(status): _answer(operation, status) for status in operation.statuses},
    }
    if operation.parameters:
        found["parameters"] = list(operation.parameters)
    if operation.body:
        schemas = [_schema(kind) for kind in operation.body]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        found["requestBody"] = {
            "required": operation.is_body_required,
            "content": {operation.media_type: {"schema": schema}},
        }
    return found


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.scope is None:
        return []
    by_browsers: list[dict[str, list[str]]] = [{"session": []}] if operation.browsers else []
    by_cookie: list[dict[str, list[str]]] = [{"sessionCookie": []}] if operation.method == "GET" else []
    return [{"credential": [operation.scope]}, *by_browsers, *(by_cookie if by_browsers else ())]


def _answer(operation: Operation, status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status in _HEADERS:
        found["headers"] = _HEADERS[status]
    if status not in operation.answers:
        form = form_of(operation.path)
        found["content"] = {media_type_of(form, status): {"schema": _schema(type_of(form, status))}}
    elif operation.answers[status] is not None:
        found["content"] = {JSON: {"schema": _schema(operation.answers[status])}}
    return found


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)
    return schema
