"""One merchant's line to WeChat Pay, APIv3: signed both ways, and never an unsigned word believed.

The unmodified ``wechatpayv3`` client in public-key mode signs and verifies; this module adds what it lacks: deadlines,
a bulkhead and breaker, freshness of answers and notices, and one closed set of errors (``kernel.outside``).
Sources: WeChat Pay APIv3 merchant documentation; the library's gaps were measured, see each comment.
"""

import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import httpx
from wechatpayv3.async_ import AsyncWeChatPay

# Not wechatpayv3.WeChatPayType: the async client has an enum of its own and takes no other.
from wechatpayv3.async_.type import WeChatPayType

from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import CashChannel, ForgedNotice, MixNo

FRESH = timedelta(minutes=5)
MAX_NOTICE_BYTES = 64 * 1024
BEIJING = timezone(timedelta(hours=8))
A = TypeVar("A")
T = TypeVar("T")
# The platform spells these differently from page to page.
_SAME = {
    "ORDERPAID": "ORDER_PAID",
    "ORDERCLOSED": "ORDER_CLOSED",
    "ORDERNOTEXIST": "ORDER_NOT_EXIST",
    "ORDER_NOT_EXISTS": "ORDER_NOT_EXIST",
    "FREQUENCY_LIMIT_EXCEED": "FREQUENCY_LIMITED",
    "RATELIMIT_EXCEEDED": "FREQUENCY_LIMITED",
    "AUTHCODEEXPIRE": "AUTH_CODE_INVALID",
    "AUTH_CODE_EXPIRE": "AUTH_CODE_INVALID",
    "AUTH_CODE_ERROR": "AUTH_CODE_INVALID",
    "NOTENOUGH": "NOT_ENOUGH",
    "ORDERREVERSED": "ORDER_REVERSED",
}
_DONT_KNOW = {"SYSTEM_ERROR", "SYSTEMERROR", "BANK_ERROR", "BANKERROR", "SERVICE_ERROR"}
# One code stands for many things; the number at the end of the Request-ID tells them apart.
_NUMBERS = {
    268449641: "CLOSE_NOT_FOR_CODES",  # an order by a shown code is reversed, not closed
    268560650: "PASSWORD_ENTERED",  # the payer is through: it can no longer be closed, only paid or refunded
    268512536: MixNo.EXISTS,
    268529515: MixNo.NOT_EXIST,
    268510603: MixNo.OPENID,
    268545961: MixNo.IDENTITY,
    268545962: MixNo.IDENTITY,
    268545963: MixNo.NO_E_CERTIFICATE,
    268545964: MixNo.NO_FAMILY_ACCOUNT,
    268547120: MixNo.AUTHORIZATION,
    268545967: MixNo.AUTHORIZATION,
    268510610: MixNo.INSURANCE_SAYS_NO,
    268529474: MixNo.LINKAGE,
    268529475: MixNo.LINKAGE,
    268529476: MixNo.MONEY,
    268529477: MixNo.MONEY,
    268529481: MixNo.MONEY,
}
_SAID: ContextVar[int] = ContextVar("wechat_pay_number", default=0)


@dataclass(frozen=True, slots=True)
class WeChatPaySettings:
    """One merchant (one hospital). Keys are PEM texts; ``mini_appid`` only where there is a mini-program."""

    mchid: str
    appid: str
    cert_serial: str
    private_key: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    public_key_id: str
    public_key: str
    notify_url: str
    refund_notify_url: str
    base_url: str = "https://api.mch.weixin.qq.com"
    mini_appid: str | None = None


class Line:
    """What every product of WeChat Pay shares; opened and closed by whoever owns it.

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(self, settings: WeChatPaySettings, guard: Guard, timeout: tuple[float, float]) -> None:
        for name in (f.name for f in fields(settings) if f.name != "mini_appid"):
            if not getattr(settings, name):
                raise NotConfigured(f"wechat_pay.{name}")
        self.settings = settings
        self._guard = guard
        self.library = AsyncWeChatPay(
            wechatpay_type=WeChatPayType.JSAPI,
            mchid=settings.mchid,
            private_key=settings.private_key,
            cert_serial_no=settings.cert_serial,
            appid=settings.appid,
            apiv3_key=settings.apiv3_key,
            notify_url=settings.notify_url,
            timeout=timeout,
            public_key=settings.public_key,
            public_key_id=settings.public_key_id,
        )
        # The library has no parameter for its address.
        self.library._core._gate_way = settings.base_url.rstrip("/")

    async def open(self) -> None:
        """Begin to hold connections."""
        await self.library.__aenter__()
        self.library._core._client.event_hooks = {"response": [_fresh_answer]}

    async def close(self) -> None:
        """Let them go."""
        await self.library.__aexit__(None, None, None)

    async def request(
        self, path: str, method: Any, data: dict[str, Any] | None = None, guard: Guard | None = None
    ) -> dict[str, Any]:
        """A call the library has no method for, signed and verified by it all the same.

        Args:
            guard: the caller's own, so that one product that does not answer leaves the others alone.
        """
        return await self.ask(lambda: self.library._core.request(path, method=method, data=data), guard)

    def encrypted(self, text: str) -> str:
        """For WeChat Pay's eyes only: RSA-OAEP with its public key, base64."""
        return str(self.library._core.encrypt(text))

    def appid(self, channel: CashChannel) -> str:
        """The app a page of this kind belongs to."""
        if channel is not CashChannel.MINIPROG:
            return self.settings.appid
        if not self.settings.mini_appid:
            raise NotConfigured("wechat_pay.mini_appid")
        return self.settings.mini_appid

    def bridge(self, appid: str, prepay_id: str) -> dict[str, str]:
        """The signed parameters with which a page of this app asks WeChat for the money."""
        stamp, nonce, package = str(int(time.time())), secrets.token_hex(16), f"prepay_id={prepay_id}"
        return {
            "appId": appid,
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": str(self.library.sign([appid, stamp, nonce, package])),
        }

    def decode_envelope(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> dict[str, Any]:
        """Verify any APIv3 notice and decrypt it into ``resource``; for events this module does not know.

        Raises:
            ForgedNotice: signature, key, age or shape does not hold.
        """
        lower = {name.lower(): value for name, value in headers.items()}
        stamp = lower.get("wechatpay-timestamp", "")
        # The library checks neither age nor repetition.
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(now.timestamp() - int(stamp)) > FRESH.total_seconds():
            raise ForgedNotice("not fresh")
        if len(raw) > MAX_NOTICE_BYTES:
            raise ForgedNotice("too long")
        try:
            # Returns None for a bad signature, raises bare exceptions for an unknown key or algorithm.
            envelope = self.library.callback(lower, raw)
        except Exception as error:
            raise ForgedNotice(f"refused: {type(error).__name__}") from None
        if not isinstance(envelope, dict) or not isinstance(envelope.get("resource"), dict):
            raise ForgedNotice("signature")
        return envelope

    async def ask(
        self, call: Callable[[], Awaitable[tuple[int, str | bytes]]], guard: Guard | None = None
    ) -> dict[str, Any]:
        """Make one call and read its JSON answer."""
        content = await self.ask_raw(call, guard)
        if not content:
            return {}
        return readable(_object, content)

    async def ask_raw(
        self, call: Callable[[], Awaitable[tuple[int, str | bytes]]], guard: Guard | None = None
    ) -> bytes:
        """Make one call; its verified body. Raises the four errors of ``kernel.outside``."""

        async def once() -> bytes:
            try:
                status, content = await call()
            except httpx.HTTPError as error:
                raise Unknown(type(error).__name__) from None
            except (Unknown, TimeoutError):
                raise
            except Exception as error:
                # The library raises bare exceptions when an answer's signature does not hold.
                raise Unknown(f"unverifiable: {error}") from None
            raw = content.encode() if isinstance(content, str) else content
            if 200 <= status < 300:
                return raw
            raise _refusal(status, raw)

        return await (guard or self._guard).call(once)


async def _fresh_answer(response: httpx.Response) -> None:
    """Refuse a recorded answer played again; the library verifies the signature but not the time in it."""
    told = response.headers.get("Request-ID", "").rpartition("-")[2]
    _SAID.set(int(told) if re.fullmatch(r"[0-9]{9}", told) else 0)
    if 200 <= response.status_code < 300 and "Wechatpay-Timestamp" in response.headers:
        stamp = response.headers["Wechatpay-Timestamp"]
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > FRESH.total_seconds():
            raise Unknown("the answer is not fresh")


def _refusal(status: int, raw: bytes) -> Rejected | Unknown | Throttled:
    try:
        body = _object(raw)
        code, message = str(body["code"]), str(body.get("message", ""))
    except (ValueError, KeyError):
        # Not the platform speaking: a proxy's page proves nothing.
        return Unknown(f"HTTP {status} without a code")
    code = _SAME.get(code, code)
    if status == 429 or code == "FREQUENCY_LIMITED":
        return Throttled(code)
    if status >= 500 or status == 408 or code in _DONT_KNOW:
        return Unknown(f"HTTP {status} {code}")
    return Rejected(_NUMBERS.get(_SAID.get(), code), message)


def _object(raw: bytes) -> dict[str, Any]:
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def readable(read: Callable[[A], T], answer: A) -> T:
    """Read something verified; what cannot be read proves nothing."""
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise Unknown(f"unreadable answer: {type(error).__name__}") from None


def text(answer: dict[str, Any], name: str) -> str:
    """A text the answer must have."""
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise Unknown(f"no {name} in the answer")
    return found


def moment(text: str) -> datetime:
    """A time as WeChat Pay writes it."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("time without zone")
    return at.astimezone(UTC)


def fen(value: object) -> int:
    """An amount, a whole number and nothing else."""
    if type(value) is not int:
        raise TypeError("amount is not an integer")
    return value
