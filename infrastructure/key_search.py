"""What a search looks for, in the forms that SQL takes it in."""

from itertools import pairwise

import msgspec

from keyledger.projections.control import searchable

_MOST_GRAMS = 32


class KeySearch(msgspec.Struct, frozen=True, kw_only=True):
    """A text that names are to hold.

    pattern: for LIKE, with the text taken literally.
    grams: of the numbers that `keyledger.grams` makes of such a name, some that only few other names have.
    """

    pattern: str
    grams: list[int]

    @classmethod
    def of(cls, query: str) -> "KeySearch":
        """The search for a text of one character at least."""
        text = searchable(query)
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return cls(pattern=f"%{escaped}%", grams=_longest_grams(text)[:_MOST_GRAMS])


def _longest_grams(text: str) -> list[int]:
    """The threes of characters that stand together; of shorter texts the text."""
    letters = [ord(letter) for letter in text]
    if len(letters) < 3:
        return [letters[0] << 21 | letters[1]] if len(letters) == 2 else letters
    pairs = [first << 21 | second for first, second in pairwise(letters)]
    return list(dict.fromkeys(pair << 21 | letter for pair, letter in zip(pairs, letters[2:], strict=False)))
