"""One made-up WeChat Pay: its merchants, books, postman, and the way to make it misbehave."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.wechat_pay.behave import Behaviour
from sandbox.wechat_pay.books import Books, Order, Refund
from sandbox.wechat_pay.codes import Codes
from sandbox.wechat_pay.faces import Faces
from sandbox.wechat_pay.notifier import Notifier
from sandbox.wechat_pay.papay import Papay
from sandbox.wechat_pay.wire import Merchant, Refusal, Wire, verifies


@dataclass(frozen=True, slots=True)
class Payer:
    """A person who can pay: one name, one openid per app (``openids`` maps appid to openid)."""

    name: str
    openids: dict[str, str]


class World:
    """The state behind one server.

    Args:
        merchants: who may ask.
        platform_key: PEM of the platform's private key; public_key_id: its announced id.
        payers: who can pay; an order for an openid outside this list is refused.
        now: the world's clock, for expiry, dates and the age of notices.
        scale: factor on all pauses (notice retries, refunds).
        wall: real seconds, for request and answer signatures (the merchant's library signs with the real clock).
        refund_seconds: pause before a refund reaches the payer, times ``scale``.
        require_referer: H5 pages opened without a Referer are refused, as the real one does.
    """

    def __init__(
        self,
        merchants: Iterable[Merchant],
        platform_key: str,
        public_key_id: str,
        payers: Iterable[Payer],
        now: Callable[[], datetime],
        *,
        scale: float = 1.0,
        wall: Callable[[], float] = time.time,
        refund_seconds: float = 3.0,
        require_referer: bool = True,
    ) -> None:
        self.merchants = {m.mchid: m for m in merchants}
        self.wire = Wire(platform_key, public_key_id)
        self.payers = list(payers)
        self.now, self.wall = now, wall
        self.books = Books()
        self.codes: Codes[Payer] = Codes()
        self.faces = Faces()
        self.behaviour = Behaviour()
        self.notifier = Notifier(self.wire, self.behaviour, now, scale)
        self.papay = Papay(self.books, self.notifier, now)
        self.files: dict[str, tuple[str, bytes]] = {}
        self.refund_seconds = refund_seconds
        self.require_referer = require_referer

    def join(self, name: str, openid: str) -> None:
        """Somebody more can pay, with the same openid under every app; twice is once."""
        appids = {appid for merchant in self.merchants.values() for appid in merchant.appids}
        if not any(openid in payer.openids.values() for payer in self.payers):
            self.payers.append(Payer(name, dict.fromkeys(appids, openid)))

    def knows(self, appid: str, openid: str) -> bool:
        """Whether the openid is somebody's under this app."""
        return any(p.openids.get(appid) == openid for p in self.payers)

    def pay_by_bridge(self, params: dict[str, str], openid: str) -> Order:
        """Pay as the phone does with the parameters the merchant's page handed to the bridge.

        Raises:
            Refusal: a parameter, its signature, the payer, the order or the bank says no.
        """
        return self.take(self.ticket(params), openid)

    def ticket(self, params: dict[str, str]) -> Order:
        """Check the parameters a page handed to the bridge, before anything is shown to the payer.

        Raises:
            Refusal: a parameter or its signature does not hold.
        """
        package = params.get("package", "")
        order = self.books.by_prepay(package.removeprefix("prepay_id="))
        if not package.startswith("prepay_id=") or order is None or order.trade_type != "JSAPI":
            raise Refusal(400, "PREPAY_NOT_EXIST", "支付凭证不存在")
        text = "".join(str(params.get(k, "")) + "\n" for k in ("appId", "timeStamp", "nonceStr", "package"))
        merchant = self.merchants[order.mchid]
        if params.get("appId") != order.appid or params.get("signType") != "RSA":
            raise Refusal(400, "PARAM_ERROR", "支付参数有误")
        if not str(params.get("timeStamp", "")).isdigit() or not verifies(
            merchant.key, text.encode(), params.get("paySign", "")
        ):
            raise Refusal(401, "SIGN_ERROR", "支付验证签名失败")
        return order

    def take(self, order: Order, openid: str) -> Order:
        """Let the bank decide, take the money, begin to tell the merchant.

        Raises:
            Refusal: no money was taken.
        """
        if not self.knows(order.appid, openid):
            raise Refusal(403, "OPENID_MISMATCH", "openid 与 appid 不匹配")
        self.books.touch(order, self.now())
        if order.state == "NOTPAY" and self._declined(order):
            raise Refusal(403, "BANK_DECLINED", "银行拒绝了这次付款")
        self.books.pay(order, openid, self.now())
        self.notifier.paid(self.merchants[order.mchid], order)
        return order

    def _declined(self, order: Order) -> bool:
        rule = self.behaviour.now("pay", order.out_trade_no, order.total)
        return rule is not None and rule.do == "decline"

    def show_code(self, openid: str) -> str:
        """What the phone of this person (by any of their openids) shows the cashier.

        Raises:
            Refusal: nobody's.
        """
        payer = next((p for p in self.payers if openid in p.openids.values()), None)
        if payer is None:
            raise Refusal(404, "NO_SUCH_PAYER", "没有这个人")
        return self.codes.show(payer, self.now())

    def charge_code(self, merchant: Merchant, data: dict[str, Any]) -> Order:
        """The cashier has scanned a phone: the money is taken at once, or the payer is asked for a password.

        Raises:
            Refusal: nothing was taken.
        """
        known = (merchant.mchid, str(data.get("out_trade_no"))) in self.books.orders
        code = str(data.get("payer", {}).get("auth_code"))
        payer = None if known or not code.isdigit() else self.codes.payer(code, self.now())
        order = self.books.create(merchant, "codepay", data, self.now())
        if known or payer is None:
            return order
        self.codes.use(code)
        return self._charged(order, payer.openids[order.appid])

    def _charged(self, order: Order, openid: str) -> Order:
        """Let the bank decide about a code or a face that was just used."""
        rule = self.behaviour.now("pay", order.out_trade_no, order.total)
        if rule is not None and rule.do == "decline":
            order.state = "PAYERROR"
            raise Refusal(403, "NOTENOUGH", "用户账号余额不足")
        if rule is not None:
            until = None if rule.seconds is None else self.now() + timedelta(seconds=rule.seconds)
            self.books.ask_password(order, openid, until)
        else:
            self.books.pay(order, openid, self.now())
        return order

    def charge_face(self, merchant: Merchant, data: dict[str, Any]) -> Order:
        """A terminal has looked at a face: as ``charge_code``.

        Raises:
            Refusal: nothing was taken.
        """
        known = (merchant.mchid, str(data.get("out_trade_no"))) in self.books.orders
        if not known:
            self.faces.check(data, self.now())
        order = self.books.create(merchant, "facepay", data, self.now())
        if known:
            return order
        self.faces.use(data["payer"]["face_code"])
        return self._charged(order, data["payer"]["openid"])

    def begin_refund(self, merchant: Merchant, data: dict[str, object]) -> Refund:
        """Accept a refund and let the money travel."""
        known = (merchant.mchid, str(data.get("out_refund_no"))) in self.books.refunds
        refund = self.books.refund(merchant, data, self.now())
        if not known:
            rule = self.behaviour.now("refunding", refund.out_trade_no, refund.amount)
            do = rule.do if rule else None
            if do != "stuck":
                status = {"abnormal": "ABNORMAL", "closed": "CLOSED"}.get(do or "", "SUCCESS")
                self.notifier.soon(self._arrive(merchant, refund, status))
        return refund

    async def _arrive(self, merchant: Merchant, refund: Refund, status: str) -> None:
        await asyncio.sleep(self.refund_seconds * self.notifier.scale)
        self.finish_refund(merchant, refund, status)

    def finish_refund(self, merchant: Merchant, refund: Refund, status: str) -> None:
        """The bank has answered: SUCCESS, ABNORMAL or CLOSED; the merchant is told once."""
        if refund.status == "PROCESSING":
            self.books.settle_refund(refund, status, self.now())
            self.notifier.refunded(merchant, refund)
