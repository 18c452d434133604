"""Names that no two live keys of a subject may have, where that is wanted."""

from keyledger.domain.errors import NameConflict
from keyledger.infrastructure.connection import DeadlineConnection
from keyledger.infrastructure.key_search import KeySearch
from keyledger.infrastructure.queries import QUERIES
from keyledger.projections.control import ControlRow


def take_name(connection: DeadlineConnection, row: ControlRow) -> None:
    """In a transaction that makes a key so, keep its name from others. Raises NameConflict.

    Whoever else wants the name waits until that transaction has ended, and then finds the key.
    """
    parameters = {
        "id": row.id,
        "subject": row.subject,
        "name": row.name,
        "grams": KeySearch.of(row.name).grams,
    }
    connection.execute(QUERIES["lock_name"], parameters)
    # Planned anew: which index is the right one depends on how many keys the subject has.
    found = connection.execute(QUERIES["find_name"], parameters, prepare=False).fetchone()
    if found == (True,):
        raise NameConflict("a live API key of the same subject has this name")
