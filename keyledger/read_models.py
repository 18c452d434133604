"""The read models by name, for whoever rebuilds or verifies them."""

from keyledger.domain.errors import InvalidArgument
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.read_models import CONTROL, READ_MODELS

ALL: tuple[ReadModel, ...] = (CONTROL, *READ_MODELS)


def named(projection: str | None) -> tuple[ReadModel, ...]:
    """The read model of this name, or with None all. Raises InvalidArgument."""
    if projection is None:
        return ALL
    found = tuple(model for model in ALL if model.name == projection)
    if not found:
        allowed = ", ".join(repr(model.name) for model in ALL)
        raise InvalidArgument("projection", f"one of {allowed}, or None for all")
    return found
