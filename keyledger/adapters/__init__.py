"""Adapters for the frameworks that services are written in, one module each, each an extra but for plain ASGI.

All of them ask one `Guard`, which reads the request, has the ledger verify the key and says what to answer.
"""

from keyledger.adapters.guard import Guard, GuardOptions
from keyledger.adapters.refusal import Refusal

__all__ = ["Guard", "GuardOptions", "Refusal"]
