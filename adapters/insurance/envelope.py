"""The sealed letter we exchange with the insurance's payment centre: encrypted with SM4, signed with SM2.

``{appId, version, encType: "SM4", signType: "SM2", timestamp, encData, signData}``. Signed is not the letter but a text
made of it with its decrypted contents, so who reads must decrypt, rebuild that text and verify, in this order. Sources:
the centre's public Java and C# samples; where they differ, a ``Province`` says which of them a province follows.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

import gmalg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from adapters.insurance.curve import quick_curve

UNSIGNED = frozenset({"signData", "encData", "extra"})
_BLOCK = 16
_CURVE = quick_curve()


class BadEnvelope(Exception):
    """It cannot be decrypted, or nobody we know signed it; the text never holds any of its contents."""


class NestedOrder(StrEnum):
    """How the keys inside ``data`` are sorted for the signed text; the outermost are always sorted without case."""

    ORDINAL = "ordinal"
    CASE_INSENSITIVE = "case_insensitive"


class Wrapping(StrEnum):
    """What lies inside ``data``: the transaction's fields, or those in ``infno``, ``msgid``, ``input.data``."""

    PLAIN = "plain"
    NUMBERED = "numbered"


@dataclass(frozen=True, slots=True)
class Province:
    """What differs from province to province; settle it with the centre's test environment and add golden vectors.

    Args:
        user_id: for SM2; None is the app's secret, as in the public samples.
        upper_hex: how we write ``encData``; either is read.
        unsigned_refusals: whether a no without a signature counts. Leave it off unless the centre never signs them.
        unsure: codes that may come although it happened.
        reasons: the centre's code → ours, for refusals somebody reacts to.
    """

    name: str
    nested_order: NestedOrder = NestedOrder.ORDINAL
    user_id: str | None = None
    wrapping: Wrapping = Wrapping.PLAIN
    upper_hex: bool = True
    version: str = "2.0.1"
    unsigned_refusals: bool = False
    unsure: frozenset[str] = frozenset({"SYSTEM_ERROR"})
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Access:
    """Who we are at the centre. Keys: 32 bytes private, ``04‖x‖y`` public, in hexadecimal or base64.

    Args:
        public_key: the centre's.
    """

    app_id: str
    app_secret: str = field(repr=False)
    private_key: str = field(repr=False)
    public_key: str


@dataclass(frozen=True, slots=True)
class Letter:
    """An opened, verified envelope: ``head`` is everything outside ``data``."""

    head: Mapping[str, Any]
    data: Mapping[str, Any] | None


class Envelope:
    """Seals and opens; the work is CPU, tens of milliseconds: keep it off the event loop. Safe between threads.

    Raises:
        ValueError: a key is no key.
    """

    def __init__(self, access: Access, province: Province) -> None:
        self._app_id, self._secret, self._province = access.app_id, access.app_secret, province
        self._key = data_key(access.app_id, access.app_secret)
        self._private = _key(access.private_key, 32)
        self._public = _key(access.public_key, 65)
        # Kept, or the library would work it out anew for every signature.
        self._own_public = gmalg.SM2().generate_pk(self._private)
        self._uid = (province.user_id or access.app_secret).encode()
        if not _CURVE.ec.isvalid((int.from_bytes(self._public[1:33], "big"), int.from_bytes(self._public[33:], "big"))):
            raise ValueError("the centre's public key is not on the curve")

    def seal(self, data: Mapping[str, Any], timestamp_ms: int) -> dict[str, Any]:
        """Encrypt and sign."""
        head = {
            "appId": self._app_id,
            "version": self._province.version,
            "encType": "SM4",
            "signType": "SM2",
            "timestamp": str(timestamp_ms),
        }
        signature = self._sign(sign_text({**head, "data": data}, self._secret, self._province.nested_order))
        sealed = sm4(self._key, compact(data).encode()).hex()
        sealed = sealed.upper() if self._province.upper_hex else sealed
        return {**head, "encData": sealed, "signData": base64.b64encode(signature).decode()}

    def open(self, raw: bytes) -> Letter:
        """Decrypt, then verify.

        Raises:
            BadEnvelope: not a letter, not for us, not to be decrypted, or not signed by the centre.
        """
        outer = _object(raw)
        if outer.get("appId") != self._app_id:
            raise BadEnvelope("another app's letter")
        data: Mapping[str, Any] | None = None
        if outer.get("encData"):
            data = self._decrypted(outer["encData"])
        head = {name: value for name, value in outer.items() if name not in UNSIGNED and name != "data"}
        text = sign_text(head if data is None else {**head, "data": data}, self._secret, self._province.nested_order)
        if not self._verifies(text, outer.get("signData")):
            raise BadEnvelope("signature")
        return Letter(head, data)

    def _decrypted(self, sealed: object) -> Mapping[str, Any]:
        try:
            if not isinstance(sealed, str):
                raise TypeError
            return _object(sm4_open(self._key, bytes.fromhex(sealed)))
        except (ValueError, TypeError):
            raise BadEnvelope("not to be decrypted") from None

    def _sign(self, text: str) -> bytes:
        r, s = _sm2(self._private, self._uid, self._own_public).sign(text.encode())
        # The library cuts leading zeros off.
        return bytes(r.rjust(32, b"\0") + s.rjust(32, b"\0"))

    def _verifies(self, text: str, signature: object) -> bool:
        if not isinstance(signature, str):
            return False
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        try:
            verifier = _sm2(None, self._uid, self._public)
            return len(raw) == 64 and bool(verifier.verify(text.encode(), raw[:32], raw[32:]))
        except gmalg.errors.GMError:
            # Numbers no signature has, such as a sum that is no point.
            return False


def sign_text(letter: Mapping[str, Any], secret: str, order: NestedOrder) -> str:
    """What is signed: ``k=v&`` of every outer pair, sorted without case, then ``key=<secret>``.

    Inside ``data`` every level's keys are sorted, every scalar is a string, and null, "" and [] are gone.
    """
    pairs = []
    for name, value in letter.items():
        kept = _strings(value, order)
        if name not in UNSIGNED and kept is not None:
            pairs.append(f"{name}={kept if isinstance(kept, str) else compact(kept)}&")
    return "".join(sorted(pairs, key=str.lower)) + f"key={secret}"


def _strings(value: Any, order: NestedOrder) -> Any:
    """The value as it is signed; None if it is left out."""
    if isinstance(value, Mapping):
        names = sorted(value, key=str.lower if order is NestedOrder.CASE_INSENSITIVE else None)
        kept = {name: _strings(value[name], order) for name in names}
        return {name: one for name, one in kept.items() if one is not None}
    if isinstance(value, list | tuple):
        return [one for one in (_strings(item, order) for item in value) if one is not None] or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # 12.30 would become 12.3 and break the signature; whoever parses uses Decimal.
        raise TypeError("a float cannot be signed")
    return None if value is None or value == "" else str(value)


def data_key(app_id: str, app_secret: str) -> bytes:
    """The key for ``encData``: the first 16 characters of the upper-case hex of the secret under the app's id.

    Raises:
        ValueError: the id is shorter than 16 bytes.
    """
    first = app_id[:16].encode()
    if len(first) != _BLOCK:
        raise ValueError("an app id has at least 16 ASCII characters")
    return sm4(first, app_secret.encode()).hex().upper()[:16].encode()


def sm4(key: bytes, plain: bytes) -> bytes:
    """SM4-ECB with PKCS7 padding, as the centre prescribes it."""
    padder, cipher = PKCS7(_BLOCK * 8).padder(), _cipher(key).encryptor()
    return cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()


def sm4_open(key: bytes, sealed: bytes) -> bytes:
    """The reverse of ``sm4``.

    Raises:
        ValueError: wrong length or padding.
    """
    cipher, padder = _cipher(key).decryptor(), PKCS7(_BLOCK * 8).unpadder()
    return padder.update(cipher.update(sealed) + cipher.finalize()) + padder.finalize()


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    # ECB is what the centre's protocol says; integrity comes from the signature.
    return Cipher(algorithms.SM4(key), modes.ECB())  # noqa: S305


def compact(value: object) -> str:
    """JSON without spaces, Chinese as it is; amounts must be strings already."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_decimal)


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadEnvelope("no JSON") from None
    if not isinstance(found, dict):
        raise BadEnvelope("no object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


def _key(text: str, length: int) -> bytes:
    """A key from hexadecimal or base64, whole; a leading zero byte of a private key (Java) is cut off."""
    raw = bytes.fromhex(text) if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text) else base64.b64decode(text, validate=True)
    if length == 32:
        raw = raw.removeprefix(b"\0") if len(raw) == 33 else raw
    if len(raw) != length or (length == 65 and raw[:1] != b"\x04"):
        raise ValueError(f"not a key of {length} bytes")
    return raw


class _Sm3:
    """SM3 from the native library under the face ``gmalg`` expects: its own takes 30 ms for a long bill."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._hash = hashes.Hash(hashes.SM3())

    def update(self, data: bytes) -> None:
        self._hash.update(bytes(data))

    def value(self) -> bytes:
        return self._hash.copy().finalize()


def _sm2(private: bytes | None, uid: bytes, public: bytes) -> Any:
    # One for each use: it keeps its hash inside, and several threads sign at once.
    made = gmalg.SM2(private, uid, public)
    made._core._hash_obj = _Sm3()
    made._core.ecdlp = _CURVE
    return made
