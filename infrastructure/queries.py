"""The SQL statements by name: `QUERIES["find_key"]` is sql/find_key.sql."""

from importlib import resources


def load(package: str) -> dict[str, str]:
    """The .sql files of a package, by their names without the ending, in order."""
    files = (entry for entry in resources.files(package).iterdir() if entry.name.endswith(".sql"))
    return {
        entry.name.removesuffix(".sql"): entry.read_text("utf-8") for entry in sorted(files, key=lambda e: e.name)
    }


QUERIES = load("keyledger.infrastructure.sql")
