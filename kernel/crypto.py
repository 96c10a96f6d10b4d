"""Locks for what must not lie about in clear, and seals that show who wrote something.

One master key per generation; everything else is derived from it by HKDF with a purpose, so that a field key, the
blind index and a pass key never meet. The first generation writes, all generations read (rotation).
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class UnreadableError(Exception):
    """Sealed bytes were changed, moved to another row, or belong to a key we do not have."""


class Vault:
    """Derives purpose keys and seals fields.

    Args:
        masters: generation (1–255) → 32 bytes; the highest writes.
        index_key: 32 bytes for blind indexes, not rotated with the masters (an index must keep matching).

    Raises:
        ValueError: no key or a key of another length.
    """

    def __init__(self, masters: Mapping[int, bytes], index_key: bytes) -> None:
        if not masters or any(len(k) != 32 for k in masters.values()) or len(index_key) != 32:
            raise ValueError("keys must be 32 bytes each, at least one")
        self._masters = dict(masters)
        self._index_key = index_key
        self.current = max(masters)
        self.key = lru_cache(maxsize=256)(self._derive)
        self._aes = lru_cache(maxsize=16)(lambda generation: AESGCM(self._derive("field", generation)))

    @property
    def generations(self) -> tuple[int, ...]:
        """Readable generations, newest first."""
        return tuple(sorted(self._masters, reverse=True))

    def _derive(self, purpose: str, generation: int | None = None) -> bytes:
        master = self._masters[self.current if generation is None else generation]
        return HKDF(SHA256(), 32, None, f"houfu/{purpose}".encode()).derive(master)

    def seal(self, text: str | bytes, *where: object) -> bytes:
        """Encrypt for one place: ``where`` (table, column, row id) must be given again to open.

        Returns: generation (1 byte) + nonce (12) + ciphertext and tag (AES-256-GCM).
        """
        data = text.encode() if isinstance(text, str) else text
        nonce = os.urandom(12)
        return bytes([self.current]) + nonce + self._aes(self.current).encrypt(nonce, data, _place(where))

    def open_bytes(self, sealed: bytes, *where: object) -> bytes:
        """Decrypt what was sealed for ``where``.

        Raises:
            UnreadableError: tampered, swapped with another row, or sealed with an unknown key.
        """
        generation = sealed[0] if sealed else 0
        if generation not in self._masters:
            raise UnreadableError("unknown key generation")
        try:
            return self._aes(generation).decrypt(sealed[1:13], sealed[13:], _place(where))
        except (InvalidTag, ValueError) as wrong:
            raise UnreadableError("sealed bytes do not open here") from wrong

    def open(self, sealed: bytes, *where: object) -> str:
        """Decrypt text; see ``open_bytes``."""
        return self.open_bytes(sealed, *where).decode()

    def index(self, kind: str, value: str) -> bytes:
        """The blind index of a value: equal values of one kind meet, nobody without the key can enumerate them."""
        return hmac.digest(self._index_key, f"{kind}\0{value}".encode(), "sha256")


def _place(where: tuple[object, ...]) -> bytes:
    return "\0".join(str(w) for w in where).encode()


def digest(text: str | bytes) -> bytes:
    """SHA-256, for one-time codes and session tokens of full entropy."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).digest()


_CHECK = b"houfu"


class Positions:
    """Turns a place in a feed into an opaque token of fixed length, different for each viewer, and back.

    Plain numbers would betray by their gaps how much a viewer is not shown. One AES block holds a five-byte check,
    three bytes of chance and the number, under a key of viewer and feed; a forged or foreign token does not pass the
    check. A page's token carries chance, or two loads of it would tell whether something hidden came in between.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _cipher(self, viewer: str, subject: UUID) -> Cipher[modes.ECB]:
        return Cipher(algorithms.AES(hmac.digest(self._key, f"{viewer}/{subject}".encode(), "sha256")), modes.ECB())  # noqa: S305 - one block, no pattern

    def writer(self, viewer: str, subject: UUID) -> "PositionWriter":
        """A writer for one stream, which keeps its cipher."""
        return PositionWriter(self._cipher(viewer, subject))

    def read(self, token: str, viewer: str, subject: UUID) -> int | None:
        """The number in a token; ``None`` when it was not made for this viewer and feed."""
        try:
            block = base64.urlsafe_b64decode(token + "==")
        except ValueError:
            return None
        if len(block) != 16:
            return None
        decryptor = self._cipher(viewer, subject).decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        return int.from_bytes(plain[8:], "big") if plain[:5] == _CHECK else None


class PositionWriter:
    """Makes the tokens of one viewer's stream of one feed."""

    def __init__(self, cipher: Cipher[modes.ECB]) -> None:
        self._encryptor = cipher.encryptor()

    def token(self, seq: int, chance: bytes = b"fed") -> str:
        """22 URL-safe characters.

        Args:
            chance: three bytes; a row's own token has none, since the row itself is told beside it.
        """
        block = self._encryptor.update(_CHECK + chance + seq.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(block)[:22].decode()


def load_vault(path: Path) -> Vault:
    """Read the key file, making it on first start (mode 0600).

    Lines: ``index <base64>`` and ``master <generation> <base64>``; rotation adds a ``master`` line.

    Raises:
        ValueError: a line cannot be read.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"index {_fresh()}", f"master 1 {_fresh()}"]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")
    masters: dict[int, bytes] = {}
    index = b""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if words[:1] == ["index"] and len(words) == 2:
            index = base64.b64decode(words[1])
        elif words[:1] == ["master"] and len(words) == 3:
            masters[int(words[1])] = base64.b64decode(words[2])
        elif words:
            raise ValueError(f"{path.name} line {number}: expected 'index …' or 'master N …'")
    return Vault(masters, index)


def _fresh() -> str:
    return base64.b64encode(os.urandom(32)).decode()
