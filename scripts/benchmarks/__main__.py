"""`python -m scripts.benchmarks`: see scripts/bench."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keyledger.infrastructure import schema
from keyledger.infrastructure.database import Database
from keyledger.infrastructure.embedded import EmbeddedServer
from scripts.benchmarks import (
    following,
    history,
    hot,
    lists,
    load,
    middleware,
    plain,
    replay,
    report,
    revocations,
    uses,
    verify,
    write,
)
from scripts.benchmarks.peers import comparison, installing
from scripts.benchmarks.peers.errors import PeerUnavailable
from scripts.benchmarks.scale import FULL, QUICK, Scale

GROUPS: dict[str, Callable[[str, Scale], None]] = {
    "write": write.run,
    "verify": verify.run,
    "hot": hot.run,
    "uses": uses.run,
    "revoke": revocations.run,
    "load": load.run,
    "middleware": middleware.run,
    "lists": lists.run,
    "history": history.run,
    "replay": replay.run,
    "sequencer": following.run_sequencer,
    "runner": following.run,
}


def main() -> None:
    """Run the groups that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"{', '.join(GROUPS)}; all by default")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="a verification beside those of djangorestframework-api-key and better-auth, which are installed"
        " below .peers with pip and npm; with no group, that alone",
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: in half a minute, less exact")
    parser.add_argument("--no-fsync", action="store_true", help="a server that does not wait for the disk")
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}; allowed: {', '.join(GROUPS)}")
    try:
        _run(arguments)
    except PeerUnavailable as error:
        parser.exit(1, f"scripts/bench: {error}\n")


def _run(arguments: argparse.Namespace) -> None:
    peers = installing.install() if arguments.peers else None
    scale = QUICK if arguments.quick else FULL
    with _server(fsync=not arguments.no_fsync) as dsn:
        report.environment(dsn)
        for group in arguments.groups or ([] if peers else GROUPS):
            GROUPS[group](dsn, scale)
        if peers:
            comparison.run(dsn, scale, peers)


@contextmanager
def _server(*, fsync: bool) -> Iterator[str]:
    """A migrated PostgreSQL of our own, gone afterwards; KEYLEDGER_POSTGRES_BIN chooses its programs."""
    wait = "on" if fsync else "off"
    options = {"fsync": wait, "synchronous_commit": wait}
    with tempfile.TemporaryDirectory(prefix="keyledger-bench-") as folder:
        server = EmbeddedServer.acquire(Path(folder) / "pg", options=options)
        try:
            database = Database(server.conninfo)
            schema.migrate(database)
            database.close()
            plain.create_table(server.conninfo)
            yield server.conninfo
        finally:
            server.release()


if __name__ == "__main__":
    main()
