"""The letters to an official account's server, as WeChat writes and reads them: XML, AES-256-CBC, SHA-1 signed."""

import base64
import hashlib
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import xmltodict
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32


class UnreadableError(Exception):
    """The other side's answer is not a letter of this account."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where an account's messages go, and the two secrets of its server configuration."""

    url: str
    token: str
    aes_key: str


def xml(fields: Mapping[str, Any]) -> str:
    """``<xml>`` with these members; numbers bare, texts as CDATA, as WeChat writes them."""
    inner = "".join(
        f"<{name}>{value}</{name}>" if isinstance(value, int) else f"<{name}><![CDATA[{escape(str(value))}]]></{name}>"
        for name, value in fields.items()
    )
    return f"<xml>{inner}</xml>"


def signature(*words: str) -> str:
    """SHA-1 over the sorted words: what both ``signature`` and ``msg_signature`` are."""
    return hashlib.sha1("".join(sorted(words)).encode(), usedforsecurity=False).hexdigest()


def seal(server: Server, appid: str, text: str) -> str:
    """Random 16 bytes, length, text, appid; padded to 32; AES-256-CBC, whose first block is the key's own beginning."""
    data = text.encode()
    plain = os.urandom(16) + struct.pack("!I", len(data)) + data + appid.encode()
    pad = BLOCK - len(plain) % BLOCK
    return base64.b64encode(_cipher(server).encryptor().update(plain + bytes([pad]) * pad)).decode()


def unseal(server: Server, appid: str, sealed: str) -> str:
    """The text again.

    Raises:
        UnreadableError: another key or another account.
    """
    try:
        plain = _cipher(server).decryptor().update(base64.b64decode(sealed))
        plain = plain[16 : -plain[-1]]
        (length,) = struct.unpack("!I", plain[:4])
        text, whose = plain[4 : 4 + length].decode(), plain[4 + length :].decode()
    except (ValueError, struct.error, IndexError) as error:
        raise UnreadableError(str(error)) from None
    if whose != appid:
        raise UnreadableError("another account")
    return text


def _cipher(server: Server) -> Cipher[modes.CBC]:
    key = base64.b64decode(server.aes_key + "=")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def post(server: Server, appid: str, text: str, openid: str, stamp: int) -> tuple[dict[str, str], bytes]:
    """Query and body of one encrypted message."""
    nonce, sealed = str(secrets.randbelow(10**10)), seal(server, appid, text)
    query = {
        "signature": signature(server.token, str(stamp), nonce),
        "timestamp": str(stamp),
        "nonce": nonce,
        "openid": openid,
        "encrypt_type": "aes",
        "msg_signature": signature(server.token, str(stamp), nonce, sealed),
    }
    return query, xml({"ToUserName": "gh_houfu", "Encrypt": sealed}).encode()


def answer(server: Server, appid: str, body: bytes) -> dict[str, Any] | None:
    """What the account answered; None for nothing (``success`` or an empty body).

    Raises:
        UnreadableError: neither nothing nor a letter WeChat can read.
    """
    if body in (b"", b"success"):
        return None
    try:
        told = xmltodict.parse(body)["xml"]
        sealed = told["Encrypt"]
        expected = signature(server.token, told["TimeStamp"], told["Nonce"], sealed)
        if told["MsgSignature"] != expected:
            raise UnreadableError("signature")
        read: dict[str, Any] = xmltodict.parse(unseal(server, appid, sealed))["xml"]
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(type(error).__name__) from None
    return read
