"""clerk-backend-api at a server: one JSON call a line on stdin, one JSON answer a line on stdout."""

import json
import os
import sys
from typing import Any

from clerk_backend_api import Clerk
from clerk_backend_api.models import ClerkBaseError
from clerk_backend_api.security import VerifyTokenOptions, verify_token
from clerk_backend_api.security.types import TokenVerificationError
from clerk_backend_api.utils import BackoffStrategy, RetryConfig

CLIENT = json.loads(os.environ["CLIENT"])
METHODS = {
    "create": "create_api_key",
    "list": "get_api_keys",
    "get": "get_api_key",
    "update": "update_api_key",
    "delete": "delete_api_key",
    "getSecret": "get_api_key_secret",
    "revoke": "revoke_api_key",
    "verify": "verify_api_key",
}


def call(clerk: Clerk, method: str, arguments: dict[str, Any]) -> Any:
    if method == "verify_token":
        options = VerifyTokenOptions(secret_key=CLIENT["secret"], api_url=CLIENT["url"])
        return verify_token(arguments["token"], options)
    found = getattr(clerk.api_keys, METHODS[method])(**arguments)
    return found.model_dump(mode="json", by_alias=True)


def answer(clerk: Clerk, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": call(clerk, method, arguments)}
    except TokenVerificationError as error:
        return {"error": {"name": "TokenVerificationError", "reason": error.reason.name}}
    except ClerkBaseError as error:
        body = json.loads(error.body) if error.body else {}
        said = {name: body[name] for name in ("errors", "clerk_trace_id") if name in body}
        return {"error": {"name": type(error).__name__, "status": error.status_code, **said}}
    except (TypeError, ValueError) as error:
        return {"error": {"name": type(error).__name__, "message": str(error)}}


def main() -> None:
    most = CLIENT.get("retry_milliseconds", 1)
    retries = RetryConfig("backoff", BackoffStrategy(20, 200, 1.5, most), retry_connection_errors=most > 1)
    url = f"{CLIENT['url']}/v1"
    with Clerk(bearer_auth=CLIENT["secret"], server_url=url, retry_config=retries) as clerk:
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(answer(clerk, asked["method"], asked["argument"])), flush=True)


main()
