"""Our cash register's line to WeChat Pay: open, look, close, refund, read notices; never believe an unsigned word.

The unmodified ``wechatpayv3`` client in public-key mode signs and verifies; this module adds what it lacks: deadlines,
a bulkhead and breaker, freshness of answers and notices, and one closed set of errors (``kernel.outside``).
Sources: WeChat Pay APIv3 merchant documentation; the library's gaps were measured, see each comment.
"""

import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta, timezone
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from wechatpayv3.async_ import AsyncWeChatPay

# Not wechatpayv3.WeChatPayType: the async client has an enum of its own and takes no other.
from wechatpayv3.async_.type import WeChatPayType

from adapters.wechat_pay_bill import read_bill
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import (
    CashChannel,
    CashNotice,
    CashOrder,
    CashState,
    ForgedNotice,
    Prepared,
    RefundOrder,
    RefundState,
    RefundStatus,
    TradeBill,
    TradeState,
)

FRESH = timedelta(minutes=5)
MAX_NOTICE_BYTES = 64 * 1024
A = TypeVar("A")
T = TypeVar("T")
_BEIJING = timezone(timedelta(hours=8))
_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
_OUT_REFUND_NO = re.compile(r"[A-Za-z0-9_\-|*]{1,64}")
# The platform spells these differently from page to page.
_SAME = {
    "ORDERPAID": "ORDER_PAID",
    "ORDERCLOSED": "ORDER_CLOSED",
    "ORDERNOTEXIST": "ORDER_NOT_EXIST",
    "ORDER_NOT_EXISTS": "ORDER_NOT_EXIST",
    "FREQUENCY_LIMIT_EXCEED": "FREQUENCY_LIMITED",
    "RATELIMIT_EXCEEDED": "FREQUENCY_LIMITED",
}
_DONT_KNOW = {"SYSTEM_ERROR", "SYSTEMERROR", "BANK_ERROR", "BANKERROR", "SERVICE_ERROR"}
_PAY_TYPES = {
    CashChannel.JSAPI: WeChatPayType.JSAPI,
    CashChannel.MINIPROG: WeChatPayType.MINIPROG,
    CashChannel.H5: WeChatPayType.H5,
    CashChannel.NATIVE: WeChatPayType.NATIVE,
}


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


class WeChatPay:
    """``payments.ports.CashPay`` over WeChat Pay; use inside ``async with`` (the application's lifespan).

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(self, settings: WeChatPaySettings, guard: Guard | None = None, timeout: tuple[float, float] = (3, 5)):
        for name in (f.name for f in fields(settings) if f.name != "mini_appid"):
            if not getattr(settings, name):
                raise NotConfigured(f"wechat_pay.{name}")
        self._settings = settings
        self._guard = guard or Guard("wechat_pay")
        self._library = AsyncWeChatPay(
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
        self._library._core._gate_way = settings.base_url.rstrip("/")

    async def __aenter__(self) -> Self:
        await self._library.__aenter__()
        self._library._core._client.event_hooks = {"response": [_fresh_answer]}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._library.__aexit__(kind, error, trace)

    async def create(self, order: CashOrder) -> Prepared:
        """Open the order at WeChat, or find the identical one again. See ``CashPay.create``."""
        appid = self._appid(order.channel)
        asked = _checked(order)
        answer = await self._ask(lambda: self._library.pay(**asked, appid=appid, pay_type=_PAY_TYPES[order.channel]))
        if order.channel is CashChannel.H5:
            return Prepared(order.out_trade_no, h5_url=_text(answer, "h5_url"))
        if order.channel is CashChannel.NATIVE:
            return Prepared(order.out_trade_no, code_url=_text(answer, "code_url"))
        prepay_id = _text(answer, "prepay_id")
        return Prepared(order.out_trade_no, prepay_id, self._client_params(appid, prepay_id))

    async def query(self, out_trade_no: str) -> CashState:
        """Ask WeChat for the order. See ``CashPay.query``."""
        _number(out_trade_no)
        answer = await self._ask(lambda: self._library.query(out_trade_no=out_trade_no))
        state = _readable(_cash_state, answer)
        if state.out_trade_no != out_trade_no or state.mchid != self._settings.mchid:
            raise Unknown("the answer is about another order")
        return state

    async def close(self, out_trade_no: str) -> None:
        """Close at WeChat; twice is once. See ``CashPay.close``."""
        _number(out_trade_no)
        try:
            await self._ask(lambda: self._library.close(out_trade_no=out_trade_no))
        except Rejected as no:
            if no.reason != "ORDER_CLOSED":
                raise

    async def refund(self, order: RefundOrder) -> RefundState:
        """Ask for money back. See ``CashPay.refund``."""
        _number(order.out_trade_no)
        if not _OUT_REFUND_NO.fullmatch(order.out_refund_no):
            raise Rejected("PARAM_ERROR", "out_refund_no")
        _whole(order.refund_fen)
        _whole(order.total_fen)
        answer = await self._ask(
            lambda: self._library.refund(
                out_refund_no=order.out_refund_no,
                out_trade_no=order.out_trade_no,
                amount={"refund": order.refund_fen, "total": order.total_fen, "currency": "CNY"},
                reason=order.reason[:80] or None,
                notify_url=self._settings.refund_notify_url,
            )
        )
        return self._same_refund(answer, order.out_refund_no)

    async def query_refund(self, out_refund_no: str) -> RefundState:
        """Ask WeChat for a refund. See ``CashPay.query_refund``."""
        if not _OUT_REFUND_NO.fullmatch(out_refund_no):
            raise Rejected("PARAM_ERROR", "out_refund_no")
        try:
            answer = await self._ask(lambda: self._library.query_refund(out_refund_no=out_refund_no))
        except Rejected as no:
            if no.reason == "RESOURCE_NOT_EXISTS":
                raise Rejected("REFUND_NOT_EXIST", no.message) from None
            raise
        return self._same_refund(answer, out_refund_no)

    async def trade_bill(self, day: date) -> TradeBill:
        """Fetch and check WeChat's books of a past day. See ``CashPay.trade_bill``."""
        told = await self._ask(lambda: self._library.trade_bill(bill_date=day.isoformat()))
        url = _text(told, "download_url")
        if not url.startswith(self._settings.base_url.rstrip("/") + "/"):
            raise Unknown("the bill lies at a foreign address")
        packed = await self._ask_raw(lambda: self._library.download_bill(url))
        # The download is unsigned: only the digest from the signed answer vouches for it.
        return _readable(lambda content: read_bill(content, told["hash_value"], day), packed)

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> CashNotice:
        """Verify and read a payment or refund notice. See ``CashPay.decode_notify``."""
        envelope = self.decode_envelope(headers, raw, now)
        try:
            content = envelope["resource"]
            kind = str(envelope["event_type"])
            if content["mchid"] != self._settings.mchid:
                raise ForgedNotice("another merchant")
            payment = refund = None
            if kind.startswith("TRANSACTION."):
                payment = _cash_state(content)
                if payment.appid not in (self._settings.appid, self._settings.mini_appid):
                    raise ForgedNotice("another app")
            elif kind.startswith("REFUND."):
                refund = _refund_state(content)
            return CashNotice(str(envelope["id"]), kind, _time(envelope["create_time"]), payment, refund)
        except (KeyError, TypeError, ValueError) as error:
            raise ForgedNotice(f"unreadable: {type(error).__name__}") from None

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
            envelope = self._library.callback(lower, raw)
        except Exception as error:
            raise ForgedNotice(f"refused: {type(error).__name__}") from None
        if not isinstance(envelope, dict) or not isinstance(envelope.get("resource"), dict):
            raise ForgedNotice("signature")
        return envelope

    def _appid(self, channel: CashChannel) -> str:
        if channel is not CashChannel.MINIPROG:
            return self._settings.appid
        if not self._settings.mini_appid:
            raise NotConfigured("wechat_pay.mini_appid")
        return self._settings.mini_appid

    def _client_params(self, appid: str, prepay_id: str) -> dict[str, str]:
        stamp, nonce, package = str(int(time.time())), _nonce(), f"prepay_id={prepay_id}"
        return {
            "appId": appid,
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": str(self._library.sign([appid, stamp, nonce, package])),
        }

    def _same_refund(self, answer: dict[str, Any], out_refund_no: str) -> RefundState:
        state = _readable(_refund_state, answer)
        if state.out_refund_no != out_refund_no:
            raise Unknown("the answer is about another refund")
        return state

    async def _ask(self, call: Callable[[], Awaitable[tuple[int, str | bytes]]]) -> dict[str, Any]:
        content = await self._ask_raw(call)
        if not content:
            return {}
        return _readable(_object, content)

    async def _ask_raw(self, call: Callable[[], Awaitable[tuple[int, str | bytes]]]) -> bytes:
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

        return await self._guard.call(once)


async def _fresh_answer(response: httpx.Response) -> None:
    """Refuse a recorded answer played again; the library verifies the signature but not the time in it."""
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
    return Rejected(code, message)


def _checked(order: CashOrder) -> dict[str, Any]:
    _number(order.out_trade_no)
    _whole(order.amount_fen)
    asked: dict[str, Any] = {
        "description": order.description[:127],
        "out_trade_no": order.out_trade_no,
        "amount": {"total": order.amount_fen, "currency": "CNY"},
        # The platform wants +08:00, not Z, and whole seconds.
        "time_expire": order.expires_at.astimezone(_BEIJING).isoformat(timespec="seconds"),
        "attach": order.attach or None,
    }
    if order.channel in (CashChannel.JSAPI, CashChannel.MINIPROG):
        if not order.payer_openid:
            raise Rejected("PARAM_ERROR", "payer_openid")
        asked["payer"] = {"openid": order.payer_openid}
    if order.channel is CashChannel.H5:
        if not order.payer_ip:
            raise Rejected("PARAM_ERROR", "payer_ip")
        asked["scene_info"] = {"payer_client_ip": order.payer_ip, "h5_info": {"type": "Wap"}}
    return asked


def _number(out_trade_no: str) -> None:
    # It becomes part of a path: never let a stray character through.
    if not _OUT_TRADE_NO.fullmatch(out_trade_no):
        raise Rejected("PARAM_ERROR", "out_trade_no")


def _whole(fen: int) -> None:
    if type(fen) is not int or fen < 1:
        raise Rejected("PARAM_ERROR", "amount")


def _nonce() -> str:
    return secrets.token_hex(16)


def _object(raw: bytes) -> dict[str, Any]:
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _readable(read: Callable[[A], T], answer: A) -> T:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise Unknown(f"unreadable answer: {type(error).__name__}") from None


def _text(answer: dict[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise Unknown(f"no {name} in the answer")
    return found


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("time without zone")
    return at.astimezone(UTC)


def _fen(value: object) -> int:
    if type(value) is not int:
        raise TypeError("amount is not an integer")
    return value


def _cash_state(data: dict[str, Any]) -> CashState:
    amount = data.get("amount") or {}
    paid_at = data.get("success_time")
    return CashState(
        out_trade_no=str(data["out_trade_no"]),
        trade_state=TradeState(data["trade_state"]),
        mchid=str(data["mchid"]),
        appid=str(data["appid"]),
        transaction_id=data.get("transaction_id") or None,
        amount_fen=_fen(amount["total"]) if "total" in amount else None,
        payer_openid=(data.get("payer") or {}).get("openid"),
        success_time=_time(paid_at) if paid_at else None,
        trade_type=data.get("trade_type") or None,
        attach=data.get("attach") or "",
    )


def _refund_state(data: dict[str, Any]) -> RefundState:
    amount = data["amount"]
    done_at = data.get("success_time")
    return RefundState(
        out_refund_no=str(data["out_refund_no"]),
        out_trade_no=str(data["out_trade_no"]),
        # Notices say refund_status, answers say status.
        status=RefundStatus(data.get("refund_status") or data["status"]),
        refund_fen=_fen(amount["refund"]),
        total_fen=_fen(amount["total"]),
        refund_id=data.get("refund_id"),
        transaction_id=data.get("transaction_id"),
        success_time=_time(done_at) if done_at else None,
    )
