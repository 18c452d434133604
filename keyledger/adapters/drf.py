"""Django REST framework: an authentication class, a permission class and a handler of exceptions.

    KEYLEDGER = {"LEDGER": "service.keys.ledger"}
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["keyledger.adapters.drf.APIKeyAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["keyledger.adapters.drf.HasAPIKey"],
        "EXCEPTION_HANDLER": "keyledger.adapters.drf.exception_handler",
    }

    class Things(APIView):
        required_scopes = ["things:read"]

The settings are those of `keyledger.adapters.django`. `request.auth` is the key.
"""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework import views
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from keyledger import APIKey
from keyledger.adapters.django import asked, guard, response
from keyledger.adapters.guard import scope_texts
from keyledger.adapters.refusal import MISSING, Refusal


class KeyRefused(APIException):
    """The request is not let in; `refusal` is what to answer.

    The framework's own handler of exceptions gives it the same status and headers, and a body of its own form.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail, refusal.code)
        self.refusal = refusal
        self.status_code = refusal.status
        self.auth_header = refusal.challenge
        self.wait = refusal.retry_after_seconds


class KeyUser(AnonymousUser):
    """Who a key belongs to: no row of Django's, but authenticated. `pk` is the key's subject."""

    def __init__(self, api_key: APIKey) -> None:
        super().__init__()
        self.api_key = api_key
        self.pk = self.id = self.username = api_key.subject

    @property
    def is_anonymous(self) -> bool:
        """Nobody with a key is."""
        return False

    @property
    def is_authenticated(self) -> bool:
        """Everybody with a key is."""
        return True

    def __str__(self) -> str:
        return str(self.api_key.subject)


class APIKeyAuthentication(BaseAuthentication):
    """Authenticates by API key, with the view's `required_scopes` in the same verification.

    A request with no credential is left to the next class; one whose key is refused is answered.
    """

    def authenticate(self, request: Request) -> tuple[Any, APIKey] | None:
        """The user and the key. Raises KeyRefused."""
        view = (request.parser_context or {}).get("view")
        wanted = guard().with_scopes(scope_texts(getattr(view, "required_scopes", ())))
        found = guard().check(**asked(request), scopes=wanted)
        if not isinstance(found, Refusal):
            return self.user(found), found
        if found.code == MISSING:
            return None
        raise KeyRefused(found)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """The challenge where no credential was given, without which DRF makes a 403 of a 401."""
        return guard().refusals.of(MISSING).challenge or ""

    def user(self, api_key: APIKey) -> Any:
        """Whose key it is. Override it to return a user of Django's."""
        return KeyUser(api_key)


class HasAPIKey(BasePermission):
    """Lets in who came with an API key that has the view's `required_scopes`, and with nothing else."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether APIKeyAuthentication let this request in, which asked for the scopes."""
        return isinstance(request.auth, APIKey) and request.auth.allows(*getattr(view, "required_scopes", ()))


def exception_handler(error: Exception, context: dict[str, Any]) -> Any:
    """Answers a refusal as RFC 9457; all else as the framework does."""
    refusal = error.refusal if isinstance(error, KeyRefused) else None
    missing = guard().refusals.of(MISSING)
    if isinstance(error, NotAuthenticated) and getattr(error, "auth_header", None) == missing.challenge:
        refusal = missing
    if refusal is None:
        return views.exception_handler(error, context)
    views.set_rollback()
    return response(refusal)
