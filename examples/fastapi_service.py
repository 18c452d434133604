"""FastAPI: `granian --interface asgi examples.fastapi_service:app`, and see /docs."""

from typing import Annotated

from fastapi import FastAPI, Security

from keyledger import APIKey, KeyLedger
from keyledger.adapters.fastapi import APIKeyAuth, KeyRefused, refused

api_key = APIKeyAuth(KeyLedger.open())
app = FastAPI(exception_handlers={KeyRefused: refused})


@app.get("/things")
async def things(key: Annotated[APIKey, Security(api_key, scopes=["things:read"])]) -> str:
    return key.subject


@app.get("/health")
async def health() -> str:
    return "well"
