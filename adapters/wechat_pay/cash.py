"""Our cash register at WeChat Pay: open, look, close, charge a shown code, reverse, refund, read notices and books."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

from wechatpayv3.async_.type import WeChatPayType

from adapters.wechat_pay.bill import read_bill
from adapters.wechat_pay.deduct import WeChatDeduct
from adapters.wechat_pay.face import WeChatFace
from adapters.wechat_pay.line import BEIJING, Line, WeChatPaySettings, fen, moment, readable, text
from kernel.outside import Guard, Rejected, Unknown
from payments.ports import (
    CashChannel,
    CashNotice,
    CashOrder,
    CashState,
    CodeCharge,
    ForgedNotice,
    Prepared,
    RefundOrder,
    RefundState,
    RefundStatus,
    TradeBill,
    TradeState,
)

_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
_AUTH_CODE = re.compile(r"1[0-5][0-9]{16}")
_OUT_REFUND_NO = re.compile(r"[A-Za-z0-9_\-|*]{1,64}")
_PAY_TYPES = {
    CashChannel.JSAPI: WeChatPayType.JSAPI,
    CashChannel.MINIPROG: WeChatPayType.MINIPROG,
    CashChannel.H5: WeChatPayType.H5,
    CashChannel.NATIVE: WeChatPayType.NATIVE,
}


class WeChatPay:
    """``payments.ports.CashPay`` over WeChat Pay; use inside ``async with`` (the application's lifespan).

    Raises:
        NotConfigured: a setting is empty.
    """

    def __init__(
        self,
        settings: WeChatPaySettings,
        guard: Guard | None = None,
        timeout: tuple[float, float] = (3, 5),
        face: WeChatFace | None = None,
        deduct: WeChatDeduct | None = None,
    ):
        self.line = Line(settings, guard or Guard("wechat_pay"), timeout)
        self.face, self.deduct = face, deduct
        self._settings = settings
        self._library = self.line.library

    async def __aenter__(self) -> Self:
        await self.line.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for beside in (self.face, self.deduct):
            if beside is not None:
                await beside.close()
        await self.line.close()

    async def create(self, order: CashOrder) -> Prepared:
        """Open the order at WeChat, or find the identical one again. See ``CashPay.create``."""
        appid = self.line.appid(order.channel)
        asked = _checked(order)
        answer = await self.line.ask(
            lambda: self._library.pay(**asked, appid=appid, pay_type=_PAY_TYPES[order.channel])
        )
        if order.channel is CashChannel.H5:
            return Prepared(order.out_trade_no, h5_url=text(answer, "h5_url"))
        if order.channel is CashChannel.NATIVE:
            return Prepared(order.out_trade_no, code_url=text(answer, "code_url"))
        prepay_id = text(answer, "prepay_id")
        return Prepared(order.out_trade_no, prepay_id, self.line.bridge(appid, prepay_id))

    async def query(self, out_trade_no: str) -> CashState:
        """Ask WeChat for the order. See ``CashPay.query``."""
        _number(out_trade_no)
        answer = await self.line.ask(lambda: self._library.query(out_trade_no=out_trade_no))
        return self._same_order(answer, out_trade_no)

    async def close(self, out_trade_no: str) -> None:
        """Close at WeChat; twice is once. See ``CashPay.close``."""
        _number(out_trade_no)
        try:
            await self.line.ask(lambda: self._library.close(out_trade_no=out_trade_no))
        except Rejected as no:
            if no.reason != "ORDER_CLOSED":
                raise

    async def charge_code(self, charge: CodeCharge) -> CashState:
        """Charge a shown code. See ``CashPay.charge_code``."""
        _number(charge.out_trade_no)
        _whole(charge.amount_fen)
        if not _AUTH_CODE.fullmatch(charge.auth_code):
            raise Rejected("AUTH_CODE_INVALID", "not a payment code of WeChat")
        if not charge.store:
            raise Rejected("PARAM_ERROR", "store")
        answer = await self.line.ask(
            lambda: self._library.pay(
                description=charge.description[:127],
                out_trade_no=charge.out_trade_no,
                amount={"total": charge.amount_fen, "currency": "CNY"},
                payer={"auth_code": charge.auth_code},
                scene_info={"device_id": charge.terminal[:32], "store_info": {"out_id": charge.store[:32]}},
                attach=charge.attach or None,
                appid=self._settings.appid,
                pay_type=WeChatPayType.CODEPAY,
            )
        )
        # While the payer types, the answer says no more than that.
        mine = {"out_trade_no": charge.out_trade_no, "mchid": self._settings.mchid, "appid": self._settings.appid}
        typing = answer.get("trade_state") == TradeState.USERPAYING
        return self._same_order({**mine, **answer} if typing else answer, charge.out_trade_no)

    async def reverse(self, out_trade_no: str) -> None:
        """Undo a charge by code. See ``CashPay.reverse``."""
        _number(out_trade_no)
        answer = await self.line.ask(lambda: self._library.codepay_reverse(out_trade_no=out_trade_no))
        if answer.get("out_trade_no") != out_trade_no:
            raise Unknown("the answer is about another order")

    async def refund(self, order: RefundOrder) -> RefundState:
        """Ask for money back. See ``CashPay.refund``."""
        _number(order.out_trade_no)
        if not _OUT_REFUND_NO.fullmatch(order.out_refund_no):
            raise Rejected("PARAM_ERROR", "out_refund_no")
        _whole(order.refund_fen)
        _whole(order.total_fen)
        answer = await self.line.ask(
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
            answer = await self.line.ask(lambda: self._library.query_refund(out_refund_no=out_refund_no))
        except Rejected as no:
            if no.reason == "RESOURCE_NOT_EXISTS":
                raise Rejected("REFUND_NOT_EXIST", no.message) from None
            raise
        return self._same_refund(answer, out_refund_no)

    async def trade_bill(self, day: date) -> TradeBill:
        """Fetch and check WeChat's books of a past day. See ``CashPay.trade_bill``."""
        told = await self.line.ask(lambda: self._library.trade_bill(bill_date=day.isoformat()))
        url = text(told, "download_url")
        if not url.startswith(self._settings.base_url.rstrip("/") + "/"):
            raise Unknown("the bill lies at a foreign address")
        packed = await self.line.ask_raw(lambda: self._library.download_bill(url))
        if told.get("hash_type") != "SHA1":
            raise Unknown("the bill's digest is of another kind")
        # The download is unsigned: only the digest from the signed answer vouches for it.
        return readable(lambda content: read_bill(content, told["hash_value"], day), packed)

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> CashNotice:
        """Verify and read a payment or refund notice. See ``CashPay.decode_notify``."""
        envelope = self.line.decode_envelope(headers, raw, now)
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
            return CashNotice(str(envelope["id"]), kind, moment(envelope["create_time"]), payment, refund)
        except (KeyError, TypeError, ValueError) as error:
            raise ForgedNotice(f"unreadable: {type(error).__name__}") from None

    def _same_order(self, answer: dict[str, Any], out_trade_no: str) -> CashState:
        state = readable(_cash_state, answer)
        if state.out_trade_no != out_trade_no or state.mchid != self._settings.mchid:
            raise Unknown("the answer is about another order")
        return state

    def _same_refund(self, answer: dict[str, Any], out_refund_no: str) -> RefundState:
        state = readable(_refund_state, answer)
        if state.out_refund_no != out_refund_no:
            raise Unknown("the answer is about another refund")
        return state


def _checked(order: CashOrder) -> dict[str, Any]:
    _number(order.out_trade_no)
    _whole(order.amount_fen)
    asked: dict[str, Any] = {
        "description": order.description[:127],
        "out_trade_no": order.out_trade_no,
        "amount": {"total": order.amount_fen, "currency": "CNY"},
        # The platform wants +08:00, not Z, and whole seconds.
        "time_expire": order.expires_at.astimezone(BEIJING).isoformat(timespec="seconds"),
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


def _cash_state(data: dict[str, Any]) -> CashState:
    amount = data.get("amount") or {}
    paid_at = data.get("success_time")
    return CashState(
        out_trade_no=str(data["out_trade_no"]),
        trade_state=TradeState(data["trade_state"]),
        mchid=str(data["mchid"]),
        appid=str(data["appid"]),
        transaction_id=data.get("transaction_id") or None,
        amount_fen=fen(amount["total"]) if "total" in amount else None,
        payer_openid=(data.get("payer") or {}).get("openid"),
        success_time=moment(paid_at) if paid_at else None,
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
        refund_fen=fen(amount["refund"]),
        total_fen=fen(amount["total"]),
        refund_id=data.get("refund_id"),
        transaction_id=data.get("transaction_id"),
        success_time=moment(done_at) if done_at else None,
    )
