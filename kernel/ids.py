"""Ids: random for what we begin ourselves, derived for what the hospital numbers.

A derived id makes the hospital's own number the primary key: uniqueness needs no second index, an event finds its row
without a look-up query, and two processes that meet the same number make the same row.
"""

import secrets
import uuid
from functools import lru_cache
from uuid import UUID

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # no 0 O 1 I: read aloud over a counter


def new_id() -> UUID:
    """A random id."""
    return uuid.uuid4()


@lru_cache(maxsize=8192)  # an event names its visit, order and charge again and again
def derive(space: UUID, kind: str, number: str) -> UUID:
    """The id of ``kind`` numbered ``number`` within ``space`` (usually a hospital's random id)."""
    return uuid.uuid5(space, f"{kind}:{number}")


def token(bytes_: int = 24) -> str:
    """An unguessable URL-safe text (192 bits by default)."""
    return secrets.token_urlsafe(bytes_)


def digits(count: int) -> str:
    """A random code of decimal digits, for SMS."""
    return "".join(secrets.choice("0123456789") for _ in range(count))


def short_code(count: int) -> str:
    """A random code people can read to each other (5 bits a character)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
