"""Browser sessions: who is signed in, by the session token that the browser sends (Clerk's Frontend API)."""

from collections.abc import Awaitable
from typing import Protocol

from keyledger.domain.actor import Actor


class Authenticator(Protocol):
    """Knows who is signed in. One that asks another service does so within a time-out of its own."""

    def __call__(self, token: str, /) -> Awaitable[Actor | None] | Actor | None:
        """The user and the active organization of a token; None for one that is not accepted."""
        ...


async def actor_of(authenticator: Authenticator, token: str) -> Actor | None:
    """Who the authenticator says it is; nobody without a user's id."""
    found = authenticator(token)
    if isinstance(found, Awaitable):
        found = await found
    return found if isinstance(found, Actor) and found.user_id else None


def own_subjects(actor: Actor) -> tuple[str, ...]:
    """Whose keys the actor sees: those of the active organization, and the user's."""
    return tuple(subject for subject in (actor.organization_id, actor.user_id) if subject)
