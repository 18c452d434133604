"""A PostgreSQL server that runs in a data directory and lives as long as somebody uses it."""

from keyledger.infrastructure.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
