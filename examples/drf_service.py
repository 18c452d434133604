"""Django REST framework: `granian --interface wsgi examples.drf_service:app`."""

import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

from keyledger import KeyLedger

settings.configure(
    SECRET_KEY=secrets.token_hex(),  # Django 4.2 wants one to log an error
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    KEYLEDGER={"LEDGER": KeyLedger.open()},
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["keyledger.adapters.drf.APIKeyAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["keyledger.adapters.drf.HasAPIKey"],
        "EXCEPTION_HANDLER": "keyledger.adapters.drf.exception_handler",
    },
)
app = get_wsgi_application()

from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Things(APIView):
    required_scopes = ("things:read",)

    def get(self, request):
        return Response(request.auth.subject)


class Health(APIView):
    permission_classes = ()

    def get(self, _):
        return Response("well")


urlpatterns = [path("things", Things.as_view()), path("health", Health.as_view())]
