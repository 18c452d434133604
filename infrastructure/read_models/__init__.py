"""The read models, each a projection with its tables."""

from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.read_models.control import ControlModel
from keyledger.infrastructure.read_models.history import HistoryModel
from keyledger.infrastructure.read_models.listing import ListingModel
from keyledger.infrastructure.read_models.usage import UsageModel

READ_MODELS: tuple[ReadModel, ...] = (UsageModel(), HistoryModel(), ListingModel())
"""Those that the runner keeps."""

CONTROL: ReadModel = ControlModel()
"""The one that appends keep."""
