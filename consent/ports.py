"""What consent needs from outside: a trusted clock's signature under what was signed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """An RFC 3161 token (DER), checked: its imprint is the digest asked for, its signature chains to the trusted CA."""

    der: bytes
    at: datetime
    serial: int


class Timestamps(Protocol):
    """A time stamping authority. Raises ``kernel.outside`` errors."""

    async def token(self, digest: bytes) -> TimestampToken:
        """Have a SHA-256 digest (32 bytes) timestamped.

        Raises:
            Rejected: the authority refused, or what it sent does not fit the digest.
        """
