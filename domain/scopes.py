"""What a key's scopes allow.

A key is granted scopes: texts that mean themselves, or patterns.
- `repo:read` allows `repo:read`.
- `repo:*` allows everything that begins with `repo:`, such as `repo:read` and `repo:a:b`, and `repo:` itself;
  never `repo`. What stands before the `*` must end with a colon.
- `*` alone allows everything.
- Every other text with a `*` in it (`a*`, `*:read`, `a:*:b`) is no pattern; it allows itself, to the letter.

What a call asks for is always literal: `repo:*` is asked for like any other text, and a key has it that was
granted `repo:*`, or a pattern that covers it. Upper and lower case differ.
"""

from collections.abc import Iterable, Sequence

import msgspec

EVERYTHING = "*"


class Grant(msgspec.Struct, frozen=True):
    """The scopes of a key, ready to be asked: the texts themselves, and the beginnings that its patterns allow."""

    texts: frozenset[str]
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, scopes: Iterable[str]) -> "Grant":
        """What these scopes allow."""
        texts = frozenset(scopes)
        return cls(texts=texts, beginnings=tuple(scope[:-1] for scope in texts if _is_pattern(scope)))

    def allows(self, wanted: Sequence[str]) -> bool:
        """Whether every scope that a call asks for is allowed."""
        for scope in wanted:  # noqa: SIM110 - on every verification's path, and `all` takes twice as long
            if scope not in self.texts and not scope.startswith(self.beginnings):
                return False
        return True


def _is_pattern(scope: str) -> bool:
    return scope == EVERYTHING or scope.endswith(":*")
