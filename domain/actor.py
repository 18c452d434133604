"""Who acts."""

import msgspec

from keyledger.domain import arguments


class Actor(msgspec.Struct, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """Who acts, as the service knows it; recorded with every command's event. Each field is a text or None.

    credential_id: the key's id of the service credential that the HTTP service was called with; of a revocation by
        possession, of the key itself, whose secret was shown and nothing else.
    """

    user_id: str | None = None
    organization_id: str | None = None
    ip_address: str | None = None
    request_id: str | None = None
    credential_id: str | None = None

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            text = arguments.optional_text(field, getattr(self, field), trimmed=False)
            msgspec.structs.force_setattr(self, field, text)  # plain, where a subclass of str was given

    @property
    def subject(self) -> str | None:
        """Whose keys the actor means when it names no subject: the active organization's, else the user's."""
        return self.organization_id or self.user_id
