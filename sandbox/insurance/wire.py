"""How the payment centre seals what it says and opens what it is told; written from the public samples, not from ours.

Contents are encrypted under a key made of the app's id and secret. Signed is a text: every outer pair as ``k=v&``
sorted without case, the opened contents among them as compact JSON of strings with sorted keys, then ``key=<secret>``.
"""

import base64
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.insurance import gm

APART = ("signData", "encData", "extra")


class Refusal(Exception):
    """The centre says no: a code, words, and for gateways an HTTP status other than 200."""

    def __init__(self, code: str, message: str = "", status: int = 200) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message or code, status


@dataclass(frozen=True, slots=True)
class Dialect:
    """What this province does its own way; the same four switches the hospital has to set.

    Args:
        case_blind: keys inside are sorted without case.
        user_id: for SM2; None is the app's secret.
        numbered: contents lie in ``infno``/``input.data`` and come back in ``infcode``/``output.data``.
        lower_hex: how ``encData`` is written.
        signs_refusals: whether a no is signed too.
    """

    case_blind: bool = False
    user_id: str | None = None
    numbered: bool = False
    lower_hex: bool = False
    signs_refusals: bool = True


@dataclass(frozen=True, slots=True)
class App:
    """A hospital's application at the centre.

    Args:
        public_key: the hospital's, ``04‖x‖y`` in hex.
        notify_url: where 6302 goes; empty for nowhere.
    """

    app_id: str
    app_secret: str
    public_key: str
    org_code: str
    notify_url: str = ""


class Wire:
    """Both directions for one app.

    Args:
        private: the centre's private key.
    """

    def __init__(self, app: App, private: int, dialect: Dialect) -> None:
        self.app, self.dialect = app, dialect
        self._private, self._public = private, gm.public_key(private)
        self._theirs = gm.decode(bytes.fromhex(app.public_key))
        self._uid = (dialect.user_id or app.app_secret).encode()
        first = gm.sm4_encrypt(app.app_id[:16].encode(), app.app_secret.encode())
        self._key = first.hex().upper()[:16].encode()

    def open(self, outer: dict[str, Any]) -> dict[str, Any]:
        """Contents of a request, verified.

        Raises:
            Refusal: ``BAD_ENVELOPE``, ``SIGN_ERROR``.
        """
        if outer.get("encType") != "SM4" or outer.get("signType") != "SM2":
            raise Refusal("BAD_ENVELOPE", "encType 或 signType 有误")
        try:
            data = read(gm.sm4_decrypt(self._key, bytes.fromhex(str(outer["encData"]))))
            signature = base64.b64decode(str(outer["signData"]), validate=True)
        except (KeyError, ValueError):
            raise Refusal("BAD_ENVELOPE", "报文解密失败") from None
        text = self.text({**outer, "data": data})
        if not gm.verify(self._theirs, self._uid, text.encode(), signature):
            raise Refusal("SIGN_ERROR", "验签失败")
        return data

    def seal(self, head: dict[str, Any], data: dict[str, Any] | None, spoil: str | None = None) -> dict[str, Any]:
        """An answer or notice, sealed and signed.

        Args:
            spoil: ``bad_signature``, ``wrong_user_id``, ``wrong_key``, ``tamper`` (after signing), ``unsigned``.
        """
        outer: dict[str, Any] = {**head, "appId": self.app.app_id, "encType": "SM4", "signType": "SM2"}
        outer["version"] = "2.0.1"
        text = self.text(outer if data is None else {**outer, "data": data}).encode()
        private, public = self._private, self._public
        if spoil == "wrong_key":
            private = gm.new_key()
            public = gm.public_key(private)
        signature = gm.sign(private, public, b"nobody" if spoil == "wrong_user_id" else self._uid, text)
        if spoil == "bad_signature":
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        if data is not None:
            shown = {**data, "spoilt": "1"} if spoil == "tamper" else data
            plain = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
            sealed = gm.sm4_encrypt(self._key, plain).hex()
            outer["encData"] = sealed if self.dialect.lower_hex else sealed.upper()
        if spoil != "unsigned":
            outer["signData"] = base64.b64encode(signature).decode()
        return outer

    def text(self, outer: dict[str, Any]) -> str:
        """What is signed."""
        lines = []
        for name in outer:
            said = self._said(outer[name]) if name not in APART else None
            if said is not None:
                lines.append(f"{name}={said if isinstance(outer[name], dict | list) else json.loads(said)}&")
        lines.sort(key=lambda line: line.casefold())
        return "".join(lines) + "key=" + self.app.app_secret

    def _said(self, value: Any) -> str | None:
        """A value as JSON text of strings; None where it is left out."""
        if value is None or value == "":
            return None
        if isinstance(value, dict):
            order = sorted(value.items(), key=lambda pair: pair[0].lower() if self.dialect.case_blind else pair[0])
            said = [(name, self._said(inner)) for name, inner in order]
            return "{" + ",".join(f"{_quoted(n)}:{v}" for n, v in said if v is not None) + "}"
        if isinstance(value, list):
            items = [v for v in map(self._said, value) if v is not None]
            return "[" + ",".join(items) + "]" if items else None
        return _quoted(str(value).lower() if isinstance(value, bool) else str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def read(raw: bytes) -> dict[str, Any]:
    """A JSON object without floats.

    Raises:
        ValueError: something else.
    """
    found = json.loads(raw, parse_float=Decimal)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def fen(value: object, name: str) -> int:
    """An amount in yuan as the hospital wrote it.

    Raises:
        Refusal: ``PARAM_ERROR``.
    """
    try:
        amount = Decimal(str(value)) * 100
        if not amount.is_finite() or amount != int(amount) or amount < 0:
            raise ValueError
    except (ArithmeticError, ValueError):
        raise Refusal("PARAM_ERROR", f"{name} 金额有误") from None
    return int(amount)


def yuan(amount: int) -> str:
    """``7760`` → ``"77.60"``."""
    return f"{amount // 100}.{amount % 100:02d}"
