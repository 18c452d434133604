"""Plain ASGI: `granian --interface asginl examples.asgi_service:app`."""

from keyledger import KeyLedger
from keyledger.adapters.asgi import APIKeyMiddleware


async def service(scope, _, send):
    key = scope.get("keyledger.api_key")
    body = key.subject.encode() if key else b"well"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


app = APIKeyMiddleware(service, KeyLedger.open(), scopes=["things:read"], exempt=["/health"])
