"""Creating, reading, changing and revoking keys."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from keyledger.api_key import APIKey, Page, api_key
from keyledger.domain import arguments, secret
from keyledger.domain.actor import Actor
from keyledger.domain.digest import Peppers
from keyledger.domain.errors import IdempotencyConflict, InvalidArgument, KeyNotFound
from keyledger.domain.events import Changes, KeyCreated, KeyDeleted, KeyRevoked
from keyledger.domain.ids import key_id_text, new_uuid, parse_key_id
from keyledger.infrastructure.database import one_call
from keyledger.infrastructure.key_store import KeyStore
from keyledger.infrastructure.key_view import KeyViews
from keyledger.infrastructure.verifying.key_changes import KeyChanges


class APIKeys:
    """The keys of a ledger (Clerk's `APIKeys`). Every method raises LedgerUnavailable when PostgreSQL is away."""

    def __init__(
        self,
        store: KeyStore,
        views: KeyViews,
        peppers: Peppers,
        clock: Callable[[], datetime],
        changes: KeyChanges,
        actor: Actor | None = None,
    ) -> None:
        self._store = store
        self._views = views
        self._peppers = peppers
        self._clock = clock
        self._changes = changes
        self._actor = actor

    def acting(self, actor: Actor) -> "APIKeys":
        """The same keys, with this actor recorded on each event. Raises InvalidArgument."""
        if not isinstance(actor, Actor):
            raise InvalidArgument("actor", "an Actor")
        return APIKeys(self._store, self._views, self._peppers, self._clock, self._changes, actor)

    def create(
        self,
        *,
        name: str,
        subject: str | None = None,
        description: str | None = None,
        seconds_until_expiration: float | None = None,
        type: str = "api_key",  # noqa: A002
        scopes: Iterable[str] = (),
        claims: Any = None,
        created_by: str | None = None,
        idempotency_key: str | None = None,
        actor: Actor | None = None,
    ) -> APIKey:
        """A new key, with its secret, which is given this once.

        With an `idempotency_key` that has made a key before: that key, without its secret.
        Raises InvalidArgument, IdempotencyConflict, and NameConflict where `Settings.unique_names` is on.
        """
        actor = self._actor_of(actor)
        now, key_id = self._clock(), new_uuid()
        text = secret.generate(key_id)
        event = KeyCreated(
            id=new_uuid(),
            occurred_at=now,
            actor=actor,
            type=arguments.text("type", type, minimum=3, maximum=25),
            name=arguments.text("name", name, minimum=3),
            subject=self._subject(subject, actor),
            description=_description(description),
            claims=arguments.claims(claims),
            scopes=arguments.scopes(scopes),
            created_by=arguments.optional_text("created_by", created_by) or (actor.user_id if actor else None),
            expiration=arguments.expiration(now, seconds_until_expiration),
            digest=self._peppers.digest(key_id, text),
        )
        if idempotency_key is None:
            view = self._store.create(key_id, event)
        else:
            idempotency_key = arguments.text("idempotency_key", idempotency_key, trimmed=False)
            fingerprint = _fingerprint(event, seconds_until_expiration)
            with one_call():
                made = self._store.create_once(key_id, event, idempotency_key, fingerprint)
                if isinstance(made, UUID):
                    return self._made_before(key_id_text(made))
            view = made
        self._changes.made(key_id)
        return api_key(view, self.get, secret=text)

    def get_all(
        self,
        *,
        subject: str | None = None,
        query: str | None = None,
        initial_page: int = 1,
        page_size: int = 10,
        include_invalid: bool = False,
    ) -> Page:
        """One page of a subject's keys, newest first; a page past the end is empty.

        `query` finds names that contain it, in upper or lower case. Revoked and expired keys are left out unless
        `include_invalid`. Raises InvalidArgument.
        """
        page = arguments.integer("initial_page", initial_page, minimum=1)
        size = arguments.integer("page_size", page_size, minimum=1, maximum=100)
        return self.window(
            subject=subject, query=query, offset=(page - 1) * size, limit=size, include_invalid=include_invalid
        )

    def window(
        self,
        *,
        subject: str | None = None,
        query: str | None = None,
        offset: int = 0,
        limit: int = 10,
        include_invalid: bool = False,
        type: str | None = None,  # noqa: A002
    ) -> Page:
        """As `get_all`, of `limit` keys (1 to 100) after the first `offset`, for the HTTP service.

        With a `type`, only keys of this type count. Raises InvalidArgument.
        """
        views, total = self._views.page(
            subject=self._subject(subject, self._actor),
            query=arguments.optional_text("query", query, minimum=0, trimmed=False),
            offset=arguments.integer("offset", offset, minimum=0),
            limit=arguments.integer("limit", limit, minimum=1, maximum=100),
            include_invalid=arguments.boolean("include_invalid", include_invalid),
            kind=arguments.optional_text("type", type, minimum=3),
        )
        return Page(data=tuple(api_key(view, self.get) for view in views), total_count=total)

    def get(self, api_key_id: str) -> APIKey:
        """The key of this id. Raises KeyNotFound."""
        key_id = parse_key_id(api_key_id)
        view = self._views.find(key_id)
        if view is None:
            raise KeyNotFound(f"no API key has the id {key_id_text(key_id)}")
        return api_key(view, self.get)

    def update(
        self,
        api_key_id: str,
        *,
        description: str | UnsetType | None = UNSET,
        scopes: Iterable[str] | UnsetType | None = UNSET,
        claims: Any = UNSET,
        subject: str | UnsetType = UNSET,
        seconds_until_expiration: float | UnsetType | None = UNSET,
        actor: Actor | None = None,
    ) -> APIKey:
        """Change what is given; None clears, and what is left out stays. A new expiration counts from now.

        Raises InvalidArgument, KeyNotFound, KeyRevokedError, and NameConflict as `create` does.
        """
        now, key_id, actor = self._clock(), parse_key_id(api_key_id), self._actor_of(actor)
        changes = Changes(
            description=_given(description, _description),
            scopes=_given(scopes, arguments.scopes),
            claims=_given(claims, arguments.claims),
            subject=_given(subject, lambda value: arguments.text("subject", value)),
            expiration=_given(seconds_until_expiration, lambda value: arguments.expiration(now, value)),
        )
        with one_call(), self._changes.of(key_id):
            view = self._store.update(
                key_id, lambda key: key.update(changes, event_id=new_uuid(), now=now, actor=actor)
            )
            return self.get(api_key_id) if view is None else api_key(view, self.get)

    def revoke(
        self,
        api_key_id: str,
        *,
        revocation_reason: str | None = None,
        barrier: bool = False,
        actor: Actor | None = None,
    ) -> APIKey:
        """Revoke a key, for ever. A second revocation records nothing and returns the key with the first reason.

        This process accepts the key no more once this returns, another one for at most a second longer
        (`Settings.lease_seconds`). With `barrier` it returns only when no process accepts it any more: at once
        where each has said so, else after their leases and a time-out at most. Raises KeyNotFound,
        InvalidArgument, and LedgerUnavailable also where the key is revoked and the barrier could not be raised:
        then revoke it again.
        """
        arguments.boolean("barrier", barrier)
        key, _ = self.revoke_once(api_key_id, revocation_reason=revocation_reason, actor=actor)
        if barrier:
            self._changes.await_all()
        return key

    def revoke_once(
        self, api_key_id: str, *, revocation_reason: str | None = None, actor: Actor | None = None
    ) -> tuple[APIKey, bool]:
        """The same, and whether it was this call that revoked the key, for the command line."""
        now, key_id, actor = self._clock(), parse_key_id(api_key_id), self._actor_of(actor)
        reason = arguments.revocation_reason(revocation_reason)
        event = KeyRevoked(id=new_uuid(), occurred_at=now, actor=actor, revocation_reason=reason)
        with one_call(), self._changes.of(key_id):
            view = self._store.revoke(key_id, event)
            return (self.get(api_key_id), False) if view is None else (api_key(view, self.get), True)

    def delete(self, api_key_id: str, *, actor: Actor | None = None) -> None:
        """Delete a key, for ever: it is found by no id, list or secret any more; its history stays.

        It ends as by `revoke`: this process accepts the key no more once this returns, another one for at most a
        second longer. Raises InvalidArgument, and KeyNotFound also where the key was deleted before.
        """
        now, key_id, actor = self._clock(), parse_key_id(api_key_id), self._actor_of(actor)
        event = KeyDeleted(id=new_uuid(), occurred_at=now, actor=actor)
        with one_call(), self._changes.of(key_id):
            self._store.delete(key_id, event)

    def _actor_of(self, actor: Actor | None) -> Actor | None:
        if actor is not None and not isinstance(actor, Actor):
            raise InvalidArgument("actor", "an Actor or None")
        return actor or self._actor

    def _made_before(self, api_key_id: str) -> APIKey:
        try:
            return msgspec.structs.replace(self.get(api_key_id), secret_already_issued=True)
        except KeyNotFound:
            raise IdempotencyConflict("the idempotency key made a key that has been deleted since") from None

    def _subject(self, subject: str | None, actor: Actor | None) -> str:
        if subject is None and actor is not None:
            subject = actor.subject
        if subject is None:
            raise InvalidArgument("subject", "required where no actor has an organization or a user")
        return arguments.text("subject", subject)


def _description(value: object) -> str | None:
    return arguments.optional_text("description", value, minimum=0, trimmed=False)


def _given(value: Any, rule: Callable[[Any], Any]) -> Any:
    return UNSET if value is UNSET else rule(value)


def _fingerprint(event: KeyCreated, seconds_until_expiration: float | None) -> bytes:
    """Equal for creates with the same arguments: whoever repeats one does it at another time."""
    claims = None if event.claims is None else json.loads(event.claims)
    seconds = None if seconds_until_expiration is None else float(seconds_until_expiration)
    same = [
        event.type,
        event.name,
        event.subject,
        event.description,
        claims,
        event.scopes,
        event.created_by,
        seconds,
    ]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).digest()
