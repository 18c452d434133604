"""Django: `granian --interface asgi examples.django_service:app`, or `--interface wsgi` and `:wsgi`."""

import secrets

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from keyledger import KeyLedger

ledger = KeyLedger.open()
settings.configure(
    SECRET_KEY=secrets.token_hex(),  # Django 4.2 wants one to log an error
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["keyledger.adapters.django.APIKeyMiddleware"],
    KEYLEDGER={"LEDGER": ledger, "SCOPES": ["things:read"], "EXEMPT": ["/health"]},
)

urlpatterns = [
    path("things", lambda request: HttpResponse(request.api_key.subject)),
    path("health", lambda _: HttpResponse("well")),
]
app = get_asgi_application()
wsgi = get_wsgi_application()
