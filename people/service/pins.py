"""A PIN is kept so that nobody can read it back: scrypt with a salt of its own."""

import hashlib
import hmac
import os

_N, _R, _P = 2**14, 8, 1
NO_PIN = b"\0" * 16 + b"\0" * 32  # compared with when there is nobody, so that both answers take as long


def hash_pin(pin: str) -> bytes:
    """Salt (16 bytes) and scrypt hash (32); takes some 50 ms, so run it in a thread."""
    salt = os.urandom(16)
    return salt + _scrypt(pin, salt)


def is_pin(pin: str, kept: bytes) -> bool:
    """Whether this is the PIN; in constant time, and as slow as ``hash_pin``."""
    return hmac.compare_digest(_scrypt(pin, kept[:16]), kept[16:])


def _scrypt(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)
