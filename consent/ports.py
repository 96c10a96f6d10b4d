"""What consent needs from outside: the city's word on somebody's credit, and what makes papers provable to a court."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


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


@dataclass(frozen=True, slots=True)
class CreditRecord:
    """What the city's credit platform says: ``serious`` bars from the service; ``reference`` is its own number."""

    serious: bool
    reference: str


class CreditPlatform(Protocol):
    """The city's credit platform. Raises ``kernel.outside`` errors."""

    async def record_of(self, id_number: str, name: str, request_id: str) -> CreditRecord:
        """Ask for one person, who is told so in the letter.

        Raises:
            Rejected: the platform does not know such an identity.
            Unknown: no answer; asking again is harmless.
        """


class PaperRenderer(Protocol):
    """Draws the printed letter."""

    def letter(self, bundle: Mapping[str, Any], attachment: bytes) -> bytes:
        """The letter as PDF with the evidence bundle attached; slow (about a second), call it in a thread.

        Args:
            bundle: the parsed evidence.
            attachment: its bytes as they are kept.
        """


class DocumentSigner(Protocol):
    """The hospital side's certificate. Raises ``kernel.outside`` errors where a timestamp is fetched."""

    def sign(self, data: bytes) -> bytes:
        """A signature over bytes (ECDSA P-256, SHA-256, DER)."""

    def certificate(self) -> bytes:
        """The signer's certificate, DER."""

    async def sign_pdf(self, pdf: bytes, at: datetime) -> bytes:
        """The PDF with a signature over all of it, timestamped (PAdES B-T).

        Raises:
            Unknown, Throttled, Rejected: the time stamping authority did not help.
        """
