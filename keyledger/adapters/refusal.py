"""What a request is answered that is not let in: RFC 6750 in the header, RFC 9457 in the body."""

from functools import lru_cache
from http import HTTPStatus

import msgspec

from keyledger import InvalidArgument

MISSING = "missing"
AMBIGUOUS = "ambiguous"
UNAVAILABLE = "unavailable"
PROBLEM = "application/problem+json"

_REMEMBERED = 1024

_STATUSES = {MISSING: 401, AMBIGUOUS: 400, UNAVAILABLE: 503, "insufficient_scope": 403}
_DETAILS = {
    AMBIGUOUS: "The request holds more than one credential; send one",
    UNAVAILABLE: "The API key cannot be checked at the moment; try again",
    "malformed": "The text is not an API key",
    "not_found": "No API key has this secret",
    "revoked": "The API key has been revoked",
    "expired": "The API key has expired",
    "insufficient_scope": "The API key lacks a scope that this call needs",
}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, ready to be sent: `status` is 400, 401, 403 or 503.

    code: `missing`, `ambiguous`, `unavailable`, or the code of the verification.
    detail: a sentence for people.
    challenge: the value of WWW-Authenticate (RFC 6750, section 3); None at 503.
    retry_after_seconds: the value of Retry-After; None but at 503.
    headers: all of them, these and Content-Type, but for Content-Length.
    body: application/problem+json (RFC 9457).
    """

    status: int
    code: str
    detail: str
    challenge: str | None
    retry_after_seconds: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Refusals:
    """The refusals of one guard; those that it made lately are not made again."""

    def __init__(self, *, scheme: str, realm: str, where: str, retry_after_seconds: int) -> None:
        """`scheme` is the scheme of authentication that is asked for, `where` says how a key is sent."""
        if not realm.isascii() or not realm.isprintable() or not realm or '"' in realm or "\\" in realm:
            raise InvalidArgument("realm", 'a text of printable ASCII without " and \\')
        if isinstance(retry_after_seconds, bool) or not isinstance(retry_after_seconds, int):
            raise InvalidArgument("retry_after_seconds", "a whole number of seconds")
        self._begin = f'{scheme} realm="{realm}"'
        self._where = where
        self._retry_after_seconds = retry_after_seconds
        # Bounded, as a service may ask for scopes that it makes at each request, such as `repo:17`.
        self._made = lru_cache(_REMEMBERED)(self._make)

    def of(self, code: str, scopes: tuple[str, ...] = ()) -> Refusal:
        """The refusal for a code; `scopes` are those that the call needs."""
        return self._made(code, scopes if code == "insufficient_scope" else ())

    def _make(self, code: str, scopes: tuple[str, ...]) -> Refusal:
        status = _STATUSES.get(code, 401)
        detail = f"This needs an API key; send it as {self._where}" if code == MISSING else _DETAILS[code]
        challenge = None if code == UNAVAILABLE else self._challenge(code, detail, scopes)
        retry = self._retry_after_seconds if code == UNAVAILABLE else None
        body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code}
        headers = [("Content-Type", PROBLEM)]
        if challenge is not None:
            headers.append(("WWW-Authenticate", challenge))
        if retry is not None:
            headers.append(("Retry-After", str(retry)))
        return Refusal(
            status=status,
            code=code,
            detail=detail,
            challenge=challenge,
            retry_after_seconds=retry,
            headers=tuple(headers),
            body=msgspec.json.encode(body),
        )

    def _challenge(self, code: str, detail: str, scopes: tuple[str, ...]) -> str:
        """RFC 6750, section 3: no error where no credential was given."""
        if code == MISSING:
            return self._begin
        error = {AMBIGUOUS: "invalid_request", "insufficient_scope": code}.get(code, "invalid_token")
        challenge = f'{self._begin}, error="{error}", error_description="{detail}"'
        # A scope that the grammar of RFC 6750 has no room for, such as one with a space, names none of them.
        if scopes and all(map(_is_scope_token, scopes)):
            challenge += f', scope="{" ".join(scopes)}"'
        return challenge


def _is_scope_token(scope: str) -> bool:
    return all("!" <= character <= "~" and character not in '"\\' for character in scope)
