"""The calls on the history: who did what, and keys as they were. For services with the scope `audit:read`."""

from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyledger.credentials import AUDIT
from keyledger.credentials import SUBJECT as CREDENTIALS
from keyledger.domain.actor import Actor
from keyledger.http.callers import Callers
from keyledger.http.history_query import history_arguments, past_moment
from keyledger.http.problems import not_found
from keyledger.http.wire import Answer, key_object, raw
from keyledger.ledger import KeyLedger
from keyledger.projections.history_entry import HistoryEntry


class ActorObject(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted; credential_id: with which service credential."""

    user_id: str | None
    organization_id: str | None
    ip_address: str | None
    request_id: str | None
    credential_id: str | None


class EntryObject(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the audit history, as of Python's HistoryEntry; details: an object. Moments are RFC 3339."""

    position: int
    index: int
    event_id: str
    event_type: str
    api_key_id: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    actor: ActorObject | None
    details: msgspec.Raw


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of it.

    next_cursor: where it goes on, null at the end. end_cursor, of an ascending page: its end, even there.
    """

    entries: list[EntryObject]
    next_cursor: str | None
    end_cursor: str | None


class HistoryCalls:
    """The handlers of a ledger."""

    def __init__(self, ledger: KeyLedger, callers: Callers) -> None:
        self._ledger = ledger
        self._callers = callers

    def routes(self) -> list[Route]:
        """By path, below /v1."""
        return [
            Route("/audit", self.audit, methods=["GET"]),
            Route("/replay/api_keys/{id}", self.replay, methods=["GET"]),
        ]

    async def audit(self, request: Request) -> Response:
        """A page of the audit history."""
        await self._callers.service(request, AUDIT)
        wanted = history_arguments(request.scope["query_string"])
        page = await self._ledger.aio.audit.history(**wanted)
        entries = [_entry(entry) for entry in page.entries]
        return Answer(EntryPage(entries=entries, next_cursor=page.next_cursor, end_cursor=page.end_cursor))

    async def replay(self, request: Request) -> Response:
        """A key as it was at a moment; 404 where it did not exist then, and for a credential."""
        await self._callers.service(request, AUDIT)
        moment = past_moment(request.scope["query_string"])
        key = await self._ledger.aio.replay.key_as_of(request.path_params["id"], moment)
        if key is None or key.subject == CREDENTIALS:
            raise not_found("No API key had this id then.")
        return Answer(key_object(key))


def _entry(entry: HistoryEntry) -> EntryObject:
    fields: dict[str, Any] = {**msgspec.structs.asdict(entry), "actor": entry.actor and _actor(entry.actor)}
    return EntryObject(**{**fields, "details": raw(msgspec.to_builtins(entry.details))})


def _actor(actor: Actor) -> ActorObject:
    return ActorObject(**msgspec.structs.asdict(actor))
