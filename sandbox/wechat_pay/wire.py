"""How WeChat Pay signs, checks and encrypts: the APIv3 envelope, written from its public rules and not from ours.

Requests: ``Authorization: WECHATPAY2-SHA256-RSA2048 mchid,nonce_str,signature,timestamp,serial_no`` over five lines;
answers and notices: ``Wechatpay-*`` headers over three lines;
notice bodies: AES-256-GCM under the merchant's APIv3 key.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

SCHEME = "WECHATPAY2-SHA256-RSA2048"
FRESH_SECONDS = 300
_PAIR = re.compile(r'(\w+)="([^"]*)"')
_ALPHABET = string.ascii_letters + string.digits


class Refusal(Exception):
    """An APIv3 error answer: HTTP status, code, words, and the number that ends the Request-ID."""

    def __init__(self, status: int, code: str, message: str, number: int = 268435456) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.number = status, code, message, number


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant as the platform knows it."""

    mchid: str
    cert_serial: str
    public_key: str
    apiv3_key: str
    appids: frozenset[str]
    apiv2_key: str = ""

    @property
    def key(self) -> RSAPublicKey:
        """The key of the registered certificate."""
        key = load_pem_public_key(self.public_key.encode())
        if not isinstance(key, RSAPublicKey):
            raise TypeError("merchant key is not RSA")
        return key


def nonce(length: int = 32) -> str:
    """A random string of letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def verifies(key: RSAPublicKey, text: bytes, signature: str) -> bool:
    """Whether the base64 signature is the key's over the text."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


class Wire:
    """The platform's end of the line.

    Args:
        platform_key: PEM, signs answers and notices.
        public_key_id: ``PUB_KEY_ID_…`` announced with each signature.
    """

    def __init__(self, platform_key: str, public_key_id: str) -> None:
        key = load_pem_private_key(platform_key.encode(), None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("platform key is not RSA")
        self._key = key
        self.public_key_id = public_key_id
        self._seen: dict[tuple[str, str], float] = {}

    def authorize(
        self, merchants: dict[str, Merchant], headers: dict[str, str], method: str, target: str, body: bytes, now: float
    ) -> Merchant:
        """Check a request over its raw bytes.

        Args:
            target: raw path with query.
            now: real seconds; the merchant's library signs with the real clock.

        Raises:
            Refusal: 400 without User-Agent or Accept, 401 for everything about the signature.
        """
        if not headers.get("user-agent") or not headers.get("accept"):
            raise Refusal(400, "PARAM_ERROR", "缺少 User-Agent 或 Accept")
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        given = dict(_PAIR.findall(rest))
        if scheme != SCHEME or set(given) != {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}:
            raise Refusal(401, "SIGN_ERROR", "Authorization 格式不正确")
        merchant = merchants.get(given["mchid"])
        if merchant is None or merchant.cert_serial != given["serial_no"]:
            raise Refusal(401, "SIGN_ERROR", "商户证书序列号有误")
        if not given["timestamp"].isdigit() or abs(now - int(given["timestamp"])) > FRESH_SECONDS:
            raise Refusal(401, "SIGN_ERROR", "时间戳已过期")
        text = f"{method}\n{target}\n{given['timestamp']}\n{given['nonce_str']}\n".encode() + body + b"\n"
        if not verifies(merchant.key, text, given["signature"]):
            raise Refusal(401, "SIGN_ERROR", "签名错误")
        self._once(merchant.mchid, given["nonce_str"], now)
        if headers.get("wechatpay-serial", self.public_key_id) != self.public_key_id:
            raise Refusal(400, "PARAM_ERROR", "Wechatpay-Serial 有误")
        return merchant

    def _once(self, mchid: str, value: str, now: float) -> None:
        for key in [k for k, at in self._seen.items() if now - at > 2 * FRESH_SECONDS]:
            del self._seen[key]
        if (mchid, value) in self._seen:
            raise Refusal(401, "SIGN_ERROR", "随机串重复")
        self._seen[mchid, value] = now

    def opened(self, sealed: str) -> str:
        """Read a field encrypted for the platform (RSA-OAEP with SHA-1, base64).

        Raises:
            ValueError: it was not.
        """
        padding = OAEP(mgf=MGF1(algorithm=SHA1()), algorithm=SHA1(), label=None)  # noqa: S303 - as the platform has it
        return self._key.decrypt(base64.b64decode(sealed, validate=True), padding).decode()

    def sign(self, body: bytes, at: float, spoil: str | None = None) -> dict[str, str]:
        """Signature headers for an answer or notice.

        Args:
            spoil: ``bad_signature``, ``wrong_serial``, ``stale``, ``unsigned`` or ``signtest`` to get it wrong.
        """
        if spoil == "unsigned":
            return {}
        stamp, word = str(int(at) - (86400 if spoil == "stale" else 0)), nonce()
        text = f"{stamp}\n{word}\n".encode() + body + b"\n"
        signature = base64.b64encode(self._key.sign(text, PKCS1v15(), SHA256())).decode()
        if spoil == "bad_signature":
            signature = base64.b64encode(secrets.token_bytes(256)).decode()
        if spoil == "signtest":
            signature = "WECHATPAY/SIGNTEST/" + signature
        serial = "PUB_KEY_ID_" + "0" * 28 if spoil == "wrong_serial" else self.public_key_id
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": word,
            "Wechatpay-Signature": signature,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature-Type": SCHEME,
        }


def sealed(apiv3_key: str, content: dict[str, Any], kind: str) -> dict[str, str]:
    """Encrypt a notice's content (AES-256-GCM, ``kind`` as associated data)."""
    word = nonce(12)
    plain = json.dumps(content, ensure_ascii=False).encode()
    secret = AESGCM(apiv3_key.encode()).encrypt(word.encode(), plain, kind.encode())
    return {
        "original_type": kind,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(secret).decode(),
        "associated_data": kind,
        "nonce": word,
    }


Fields = dict[str, str]
"""What APIv2 speaks: one level of names and texts."""


def sign_fields(fields: Mapping[str, str], key: str) -> str:
    """APIv2's signature, upper-case hex, by the way the fields themselves name."""
    told = [f"{k}={v}" for k, v in sorted(fields.items()) if k != "sign" and v]
    text = "&".join([*told, f"key={key}"]).encode()
    if fields.get("sign_type", "MD5") == "HMAC-SHA256":
        return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()


def xml_of(fields: Mapping[str, str]) -> bytes:
    """As WeChat writes it: everything wrapped in CDATA."""
    inside = "".join(f"<{k}><![CDATA[{v}]]></{k}>\n" for k, v in fields.items())
    return f"<xml>{inside}</xml>".encode()
