"""Django's side of the contenders: it has one set of settings in a process, which the tests override."""

import secrets
from types import ModuleType
from typing import Any

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY=secrets.token_hex(),  # Django 4.2 wants one to log an error
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    REST_FRAMEWORK={"EXCEPTION_HANDLER": "keyledger.adapters.drf.exception_handler"},
)
django.setup()

from rest_framework.views import APIView  # noqa: E402

from keyledger.adapters.django import require_api_key  # noqa: E402
from keyledger.adapters.drf import APIKeyAuthentication, HasAPIKey  # noqa: E402

scopes: tuple[str, ...] = ()


def things(request: Any) -> HttpResponse:
    return HttpResponse(request.api_key.subject)


async def async_things(request: Any) -> HttpResponse:
    return HttpResponse(request.api_key.subject)


class Things(APIView):
    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (HasAPIKey,)

    @property
    def required_scopes(self) -> tuple[str, ...]:
        return scopes

    def get(self, request: Any) -> HttpResponse:
        return HttpResponse(request.auth.subject)

    post = get


def urls(kind: str) -> Any:
    """A module of URLs whose `/things` is guarded by a middleware, a decorator or the REST framework."""
    view = {
        "middleware": things,
        "middleware async": async_things,
        "decorator": require_api_key(scopes=scopes)(things),
        "decorator async": require_api_key(scopes=scopes)(async_things),
        "drf": Things.as_view(),
    }[kind]
    module = ModuleType("urls")
    module.__dict__["urlpatterns"] = [path("things", view), path("health", lambda _: HttpResponse("well"))]
    return module
