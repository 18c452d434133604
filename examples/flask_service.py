"""Flask: `granian --interface wsgi examples.flask_service:app`."""

from flask import Flask, g

from keyledger import KeyLedger
from keyledger.adapters.flask import KeyLedgerAuth, require_api_key

app = Flask(__name__)
KeyLedgerAuth(KeyLedger.open(), app)


@app.get("/things")
@require_api_key(scopes=["things:read"])
def things():
    return g.api_key.subject


@app.get("/health")
def health():
    return "well"
