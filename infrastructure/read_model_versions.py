"""The versions of the read models: which ones a database has, and making those that it lacks."""

import logging
from collections.abc import Collection

from keyledger.domain.errors import LedgerUnavailable, SchemaOutOfDate
from keyledger.infrastructure.codec import EventCodec
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.following.read_model import ReadModel
from keyledger.infrastructure.following.runner import Runner
from keyledger.infrastructure.following.sequencer import Sequencer
from keyledger.infrastructure.queries import QUERIES
from keyledger.infrastructure.read_models import READ_MODELS
from keyledger.infrastructure.rebuilding.rebuild import rebuild
from keyledger.infrastructure.rebuilding.rebuild_report import Progress, RebuildProgress

_log = logging.getLogger("keyledger.schema")

_LOCK = 0x6B65796C65646773  # the number after the schema's: the advisory lock that lets one rebuild run at a time
_FILL_EVENTS = 10_000


def check(connection: DeadlineConnection) -> None:
    """Raise SchemaOutOfDate unless every read model is the version that this keyledger makes."""
    found = _versions(connection)
    for model in READ_MODELS:
        version = found.get(model.name, 0)
        if version > model.version:
            raise SchemaOutOfDate(
                f"the read model {model.name!r} is at version {version}, newer than the {model.version} that this"
                " keyledger makes: upgrade the package"
            )
        if version < model.version:
            raise SchemaOutOfDate(
                f"the read model {model.name!r} is at version {version} of {model.version}:"
                " run `keyledger migrate`, or open with migrate=True"
            )


def add(connection: DeadlineConnection) -> list[str]:
    """Take note of the read models that this database has never heard of, and return their names."""
    parameters = {
        "names": [model.name for model in READ_MODELS],
        "versions": [model.version for model in READ_MODELS],
    }
    return [name for (name,) in connection.execute(QUERIES["add_projections"], parameters)]


def outdated(connection: DeadlineConnection) -> list[ReadModel]:
    """The read models that this database has never heard of, or of which an older version made the rows."""
    found = _versions(connection)
    return [model for model in READ_MODELS if found.get(model.name, 0) < model.version]


def rebuild_outdated(database: Database, progress: Progress | None) -> None:
    """Rebuild the read models of an older version; another process that does so is waited for."""
    if not database.run(outdated):
        return
    with database.apart() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = database.run(outdated)
        _log.warning("rebuilding the read models %s", ", ".join(model.name for model in found))
        rebuild(database, EventCodec(), found, progress)


def fill(database: Database, names: Collection[str], progress: Progress | None) -> None:
    """Bring new read models to the head: who opens the ledger next finds what had happened before."""
    head = Sequencer(database).catch_up()
    runner = Runner(database, EventCodec(), READ_MODELS)
    for name in names:
        try:
            for position in (*range(_FILL_EVENTS, head, _FILL_EVENTS), head):
                runner.catch_up(position, name)
                if progress is not None:
                    progress(RebuildProgress(projection=name, position=position, head=head))
        except LedgerUnavailable as error:  # one that has stopped keeps nobody from opening the ledger
            _log.warning("%s", error)


def _versions(connection: DeadlineConnection) -> dict[str, int]:
    return {name: version for name, version, *_ in connection.execute(QUERIES["find_projections"])}
