"""Every call of the service with what it takes and answers: what its description is made from."""

from typing import Any, Literal

import msgspec

from keyledger.credentials import AUDIT, READ, VERIFY, WRITE
from keyledger.domain.events import EVENTS
from keyledger.http.bodies import BrowserCreate, BrowserUpdate, Create, Revoke, Update, Verify
from keyledger.http.health import Health, HealthObject
from keyledger.http.history_calls import EntryPage, HistoryCalls
from keyledger.http.key_calls import KeyCalls
from keyledger.http.oauth_calls import FORM, Introspect, Introspection, OAuthCalls
from keyledger.http.wire import DeletedObject, KeyObject, KeyPage

JSON = "application/json"

_EVERYWHERE = (431,)
_BODY = (400, 408, 413, 415)
_CALLER = (401, 403, 429, 503)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A call.

    handler: says in its docstring what the call is for. answers: what it answers, by status; refusals: with which
    statuses it refuses. body: one of these, or none; of what media type, and whether it must be there.
    scope: what a credential needs; None where none is asked for. browsers: whether sessions are served too.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    name: str
    handler: Any
    answers: dict[int, Any]
    refusals: tuple[int, ...]
    body: tuple[type[msgspec.Struct], ...] = ()
    media_type: str = JSON
    is_body_required: bool = True
    parameters: tuple[dict[str, Any], ...] = ()
    scope: str | None = None
    browsers: bool = False

    @property
    def statuses(self) -> tuple[int, ...]:
        """All that it may answer with."""
        of_caller = _CALLER if self.scope else ()
        of_body = _BODY if self.body else ()
        return tuple(sorted({*self.answers, *self.refusals, *of_caller, *of_body, *_EVERYWHERE}))


def _parameter(
    name: str, about: str, *, where: str = "query", required: bool = False, **schema: Any
) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "description": about, "schema": schema}


def _text(name: str, about: str, **schema: Any) -> dict[str, Any]:
    return _parameter(name, about, **{"type": "string", "minLength": 1, "maxLength": 255, **schema})


_ID = _parameter(
    "id", "A key's id.", where="path", required=True, type="string", pattern="^(ak|api_key)_[0-9A-Fa-f]{32}$"
)
_OWN_ID = _parameter(
    "id", "A key's id.", where="path", required=True, type="string", pattern="^ak_[0-9A-Fa-f]{32}$"
)
_IDEMPOTENCY_KEY = _text(
    "Idempotency-Key", "The caller's own name for this create: one key.", pattern="^[!-~]+$"
) | {"in": "header"}
_LIST = (
    _text("subject", "Whose keys; a browser may leave it out."),
    _text("type", "Of this type alone.", minLength=3, default="api_key"),
    _parameter("include_invalid", "Revoked and expired ones too.", type="string", enum=["true", "false"]),
    _parameter("limit", "At most so many.", type="number", minimum=1, maximum=100, default=10),
    _parameter("offset", "After so many.", type="number", minimum=0, default=0),
    _text("query", "Names that contain it.", minLength=0),
)
_HISTORY = (
    _text("api_key_id", "Of this key.", pattern="^ak_[0-9A-Fa-f]{32}$"),
    _text("subject", "Of keys that were this subject's after the event."),
    _text("actor", "What this user did."),
    _text("actor_organization_id", "What was done for this organization."),
    _text("actor_ip_address", "What was done from this address (not what used a key)."),
    _text("actor_request_id", "What this request did (not what used a key)."),
    _text(
        "credential_id",
        "What was done with this service credential (its calls are uses of the key of this id).",
        pattern="^ak_[0-9A-Fa-f]{32}$",
    ),
    _parameter(
        "event_types",
        "Some of these.",
        type="array",
        items={"type": "string", "enum": [each.topic for each in EVENTS]},
    )
    | {"explode": True, "style": "form"},
    _parameter("since", "From this on.", type="string", format="date-time"),
    _parameter("until", "Before this.", type="string", format="date-time"),
    _parameter("descending", "The newest first.", type="boolean", default=True),
    _parameter("page_size", "At most so many entries.", type="integer", minimum=1, maximum=1000, default=100),
    _parameter("cursor", "A page's `next_cursor`, with the same filters and order.", type="string"),
    _parameter("fresh", "With all that was committed before the call.", type="boolean", default=False),
)
_AT = _parameter("at", "A time (RFC 3339), or a position in the history.", required=True) | {
    "schema": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]}
}

_KEYS = (
    Operation(
        method="GET",
        path="/api_keys",
        name="getApiKeys",
        handler=KeyCalls.list,
        parameters=_LIST,
        answers={200: KeyPage},
        refusals=(400,),
        scope=READ,
        browsers=True,
    ),
    Operation(
        method="POST",
        path="/api_keys",
        name="createApiKey",
        handler=KeyCalls.create,
        parameters=(_IDEMPOTENCY_KEY,),
        body=(Create, BrowserCreate),
        answers={200: KeyObject, 201: KeyObject},
        refusals=(409,),
        scope=WRITE,
        browsers=True,
    ),
    Operation(
        method="POST",
        path="/api_keys/verify",
        name="verifyApiKey",
        handler=KeyCalls.verify,
        body=(Verify,),
        answers={200: KeyObject},
        refusals=(404,),
        scope=VERIFY,
    ),
    Operation(
        method="GET",
        path="/api_keys/{id}",
        name="getApiKey",
        handler=KeyCalls.get,
        parameters=(_ID,),
        answers={200: KeyObject},
        refusals=(400, 404),
        scope=READ,
        browsers=True,
    ),
    Operation(
        method="PATCH",
        path="/api_keys/{id}",
        name="updateApiKey",
        handler=KeyCalls.update,
        parameters=(_ID,),
        body=(Update, BrowserUpdate),
        answers={200: KeyObject},
        refusals=(404, 409),
        scope=WRITE,
        browsers=True,
    ),
    Operation(
        method="DELETE",
        path="/api_keys/{id}",
        name="deleteApiKey",
        handler=KeyCalls.delete,
        parameters=(_ID,),
        answers={200: DeletedObject},
        refusals=(400, 404),
        scope=WRITE,
    ),
    Operation(
        method="GET",
        path="/api_keys/{id}/secret",
        name="getApiKeySecret",
        handler=KeyCalls.secret,
        parameters=(_ID,),
        answers={},
        refusals=(400, 404),
        scope=READ,
    ),
    Operation(
        method="POST",
        path="/api_keys/{id}/revoke",
        name="revokeApiKey",
        handler=KeyCalls.revoke,
        parameters=(_ID,),
        body=(Revoke,),
        is_body_required=False,
        answers={200: KeyObject},
        refusals=(404,),
        scope=WRITE,
        browsers=True,
    ),
)

OPERATIONS = (
    *_KEYS,
    *(msgspec.structs.replace(each, path=f"/v1{each.path}", name=f"{each.name}V1") for each in _KEYS),
    Operation(
        method="GET",
        path="/v1/audit",
        name="getAuditHistory",
        handler=HistoryCalls.audit,
        parameters=_HISTORY,
        answers={200: EntryPage},
        refusals=(400,),
        scope=AUDIT,
    ),
    Operation(
        method="GET",
        path="/v1/replay/api_keys/{id}",
        name="getPastApiKey",
        handler=HistoryCalls.replay,
        parameters=(_OWN_ID, _AT),
        answers={200: KeyObject},
        refusals=(400, 404),
        scope=AUDIT,
    ),
    Operation(
        method="POST",
        path="/oauth2/introspect",
        name="introspect",
        handler=OAuthCalls.introspect,
        body=(Introspect,),
        media_type=FORM,
        answers={200: Introspection},
        refusals=(),
        scope=VERIFY,
    ),
    Operation(
        method="POST",
        path="/oauth2/revoke",
        name="revokeByPossession",
        handler=OAuthCalls.revoke,
        body=(Introspect,),
        media_type=FORM,
        answers={200: None},
        refusals=(429, 503),
    ),
    Operation(
        method="GET",
        path="/health/live",
        name="isAlive",
        handler=Health.live,
        answers={200: HealthObject},
        refusals=(),
    ),
    Operation(
        method="GET",
        path="/health/ready",
        name="isReady",
        handler=Health.ready,
        answers={200: HealthObject},
        refusals=(503,),
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        name="getDescription",
        handler=None,
        answers={200: dict[str, Any]},
        refusals=(),
    ),
)
