"""What the audit history and the past are asked for, in the query."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from keyledger.domain.actor import Actor
from keyledger.http.problems import bad_request
from keyledger.http.query import pairs

_MOMENT = "an RFC 3339 time with its zone, such as 2026-03-01T12:00:00Z; `+` is written %2B"
_ACTOR = {
    "actor": "user_id",
    "actor_organization_id": "organization_id",
    "actor_ip_address": "ip_address",
    "actor_request_id": "request_id",
}
_TEXTS = ("api_key_id", "subject", "credential_id", "cursor")
_MOMENTS = ("since", "until")
_FLAGS = {"descending": True, "fresh": False}
_POSITION = re.compile(r"[0-9]{1,19}")
_SIZE = re.compile(r"[0-9]{1,9}")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]

PARAMETERS = (*_TEXTS, *_ACTOR, "event_types", *_MOMENTS, *_FLAGS, "page_size")


def history_arguments(query_string: bytes) -> dict[str, Any]:
    """The arguments of Audit.history. A list is a parameter that stands several times, or has commas.

    Raises Problem, also for an unknown parameter: a filter that is misspelt must not show everything.
    """
    given, event_types = _given(query_string, PARAMETERS)
    actor = {field: given[name] for name, field in _ACTOR.items() if name in given}
    return {
        **{name: given.get(name) for name in _TEXTS},
        **{name: _moment(name, given[name]) for name in _MOMENTS if name in given},
        **{name: _flag(name, given[name]) if name in given else usual for name, usual in _FLAGS.items()},
        "actor": Actor(**actor) if actor else None,
        "event_types": event_types,
        "page_size": _page_size(given.get("page_size", "100")),
    }


def past_moment(query_string: bytes) -> datetime | int:
    """The moment `at`: a time, or a position. Raises Problem."""
    given, _ = _given(query_string, ("at",))
    text = given.get("at", "")
    if _POSITION.fullmatch(text):
        return int(text)
    return _moment("at", text, f"{_MOMENT}; or a position: a whole number")


def _given(query_string: bytes, known: tuple[str, ...]) -> tuple[dict[str, str], list[str] | None]:
    given: dict[str, str] = {}
    event_types: list[str] | None = None
    for name, value in pairs(query_string):
        if name not in known:
            raise bad_request(f"Invalid query: its parameters are {', '.join(known)}.", "query")
        if name == "event_types":
            event_types = [*(event_types or ()), *value.split(",")]
        elif name in given:
            raise bad_request(f"Invalid '{name}': it is there twice.", name)
        given[name] = value
    return given, event_types


def _moment(param: str, text: str, allowed: str = _MOMENT) -> datetime:
    try:
        return msgspec.convert(text, _Time)
    except msgspec.ValidationError:
        raise bad_request(f"Invalid '{param}': {allowed}.", param) from None


def _flag(param: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise bad_request(f"Invalid '{param}': true or false.", param)
    return text == "true"


def _page_size(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise bad_request("Invalid 'page_size': a whole number from 1 to 1000.", "page_size")
    return int(text)
