"""What a verification found."""

from typing import Literal

import msgspec

from keyledger.api_key import APIKey
from keyledger.domain.use import Outcome

Code = Outcome | Literal["malformed"]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found.

    `api_key` is None where the secret is malformed or not found, and set where the secret is right, even if the
    key is refused. From memory it is the key as it was read then: its `last_used_at` does not follow its uses.
    """

    valid: bool
    code: Code
    api_key: APIKey | None = None
