"""What a verification found."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from keyledger.api_key import APIKey
from keyledger.domain.use import Outcome

Code = Outcome | Literal["malformed"]


class Verification(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """What a verification found: `valid`, `code` and `api_key`.

    It holds the key as the cache does, which costs the callers that do not look at it nothing.
    """

    valid: bool
    code: Code
    _found: Any = None
    _key_of: Callable[[Any], APIKey] | None = None

    @classmethod
    def of(cls, code: Code, api_key: APIKey | None = None) -> "Verification":
        """The one of this code, and of this key where it is known."""
        return cls(valid=code == "valid", code=code, _found=api_key)

    @property
    def api_key(self) -> APIKey | None:
        """None where the secret is malformed or not found; set where it is right, even if the key is refused.

        From memory it is the key as it was read then: its `last_used_at` does not follow its uses.
        """
        return self._found if self._key_of is None else self._key_of(self._found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verification) and self.__rich_repr__() == other.__rich_repr__()

    def __ne__(self, other: object) -> bool:  # a Struct's own does not ask __eq__
        return not self == other

    def __hash__(self) -> int:
        return hash((self.code, self.api_key))

    def __repr__(self) -> str:
        return f"Verification({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields as they are read."""
        return [("valid", self.valid), ("code", self.code), ("api_key", self.api_key)]

    def __reduce__(self) -> tuple[Any, tuple[Code, APIKey | None]]:
        return Verification.of, (self.code, self.api_key)


MALFORMED = Verification.of("malformed")
NOT_FOUND = Verification.of("not_found")
