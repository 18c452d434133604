"""The secret: `ak_`, the key's id, 256 random bits and a CRC-32, each in base62, 74 characters in all.

The checksum (as in GitHub's tokens) tells garbage from a secret before anything is looked up.
"""

import re
import secrets
import zlib
from uuid import UUID

PREFIX = "ak_"
CREDENTIAL_PREFIX = "sk_"
"""What a service credential's secret is shown with, in place of the other (Clerk's secret keys)."""
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_DIGITS = 22
RANDOM_DIGITS = 43
CHECKSUM_DIGITS = 6
LENGTH = len(PREFIX) + ID_DIGITS + RANDOM_DIGITS + CHECKSUM_DIGITS

ID = slice(len(PREFIX), len(PREFIX) + ID_DIGITS)
"""Where in a secret the key's id stands."""

# A secret, or so much of one's beginning that fewer than 128 bits are left to guess; a key's id is shorter.
# In a URL the underscore may be percent-encoded.
_TRACE = re.compile(
    f"[as]k(?:_|%5[Ff])(?:(?!{PREFIX}|{CREDENTIAL_PREFIX})[0-9A-Za-z]){{44,{LENGTH - len(PREFIX)}}}"
)
_VALUES = bytes.maketrans(ALPHABET.encode(), bytes(range(len(ALPHABET))))


def generate(key_id: UUID) -> str:
    """A new secret for the key."""
    body = (
        PREFIX + _base62(key_id.int, ID_DIGITS) + _base62(int.from_bytes(secrets.token_bytes(32)), RANDOM_DIGITS)
    )
    return body + checksum(body)


def parse(text: object) -> UUID | None:
    """The key's id inside a secret; None for anything that is not one, also for a service credential's."""
    if not isinstance(text, str) or len(text) != LENGTH or not text.startswith(PREFIX):
        return None
    if not text.isascii() or not text[len(PREFIX) :].isalnum():
        return None
    encoded = text.encode()
    values = encoded.translate(_VALUES)
    if zlib.crc32(encoded[:-CHECKSUM_DIGITS]) != _number(values[-CHECKSUM_DIGITS:]):
        return None
    number = _number(values[ID])
    return UUID(int=number) if number < 1 << 128 else None


def digits_of_id(key_id: bytes) -> str:
    """That part, of the 16 bytes of a key's id."""
    return _base62(int.from_bytes(key_id), ID_DIGITS)


def checksum(body: str) -> str:
    """The CRC-32 of all that goes before it, six base62 digits."""
    return _base62(zlib.crc32(body.encode("ascii")), CHECKSUM_DIGITS)


def as_credential(text: str) -> str:
    """A secret in the form of a service credential's."""
    return CREDENTIAL_PREFIX + text.removeprefix(PREFIX)


def of_credential(text: str) -> str:
    """The secret that a service credential's form stands for."""
    return PREFIX + text.removeprefix(CREDENTIAL_PREFIX)


def is_of_credential(text: str) -> bool:
    """Whether it is a service credential's secret, and no damaged one."""
    return text.startswith(CREDENTIAL_PREFIX) and parse(of_credential(text)) is not None


def may_occur_in(text: str) -> bool:
    """Whether it is worth while to look for one in the text."""
    return "k_" in text or "k%5" in text


def occurs_in(text: str) -> bool:
    """Whether something that looks like a secret, or like one cut short, stands anywhere in the text."""
    return may_occur_in(text) and _TRACE.search(text) is not None


def redact(text: str) -> str:
    """The text with everything that looks like a secret, or like one cut short, blacked out."""
    return _TRACE.sub("ak_[redacted]", text) if may_occur_in(text) else text


def _number(values: bytes) -> int:
    """The number that has these values for digits."""
    number = 0
    for value in values:
        number = number * 62 + value
    return number


def _base62(number: int, digits: int) -> str:
    found = []
    for _ in range(digits):
        number, value = divmod(number, 62)
        found.append(ALPHABET[value])
    return "".join(reversed(found))
