"""WeChat Pay's own books in the sandbox: orders, payments and refunds in fen, and every rule about them.

No HTTP here. Times come from the caller. Refusals are the answers the platform gives.
"""

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from sandbox.wechat_pay.wire import Merchant, Refusal, nonce

BEIJING = timezone(timedelta(hours=8))
PREPAY_LIFE = timedelta(hours=2)
H5_LIFE = timedelta(minutes=5)
ORDER_LIFE = timedelta(days=7)
REFUND_LIFE = timedelta(days=365)
NO_CLOSE = 268449641
CHANGED = 268498688  # the Request-ID's number when a known order returns with other parameters
_NUMBER = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
_REFUND_NUMBER = re.compile(r"[A-Za-z0-9_\-|*@]{1,64}")
_CHANNELS = {"jsapi": "JSAPI", "h5": "MWEB", "native": "NATIVE", "codepay": "MICROPAY", "facepay": "FACEPAY"}
_CHANNELS["pappay"] = "PAP"  # by contract: taken in at once, taken from the purse later
READ = {"codepay": "MICROPAY", "facepay": "FACEPAY"}  # charged at once, and undone instead of closed


def rfc3339(at: datetime) -> str:
    """Write a time as WeChat does: Beijing, whole seconds, ``+08:00``."""
    return at.astimezone(BEIJING).isoformat(timespec="seconds")


@dataclass(slots=True)
class Order:
    """One order; ``state`` is NOTPAY, SUCCESS, REFUND or CLOSED, by a shown code also USERPAYING, PAYERROR, REVOKED."""

    mchid: str
    appid: str
    out_trade_no: str
    total: int
    trade_type: str
    notify_url: str
    description: str
    attach: str
    openid: str | None
    request: dict[str, Any]
    created: datetime
    expires: datetime
    prepay_id: str
    prepaid: datetime
    link: str
    state: str = "NOTPAY"
    transaction_id: str | None = None
    payer: str | None = None
    paid_at: datetime | None = None
    device: str = ""
    password_by: datetime | None = None
    reversed_at: datetime | None = None


@dataclass(slots=True)
class Refund:
    """One refund; ``status`` is PROCESSING, SUCCESS, CLOSED or ABNORMAL."""

    mchid: str
    out_refund_no: str
    out_trade_no: str
    refund_id: str
    transaction_id: str
    amount: int
    total: int
    notify_url: str | None
    request: dict[str, Any]
    created: datetime
    status: str = "PROCESSING"
    done_at: datetime | None = None


@dataclass(slots=True)
class Books:
    """Everything the platform knows; ``dump`` is the oracle a test compares ours with."""

    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    refunds: dict[tuple[str, str], Refund] = field(default_factory=dict)
    _serial: int = 0

    def create(self, merchant: Merchant, kind: str, data: dict[str, Any], now: datetime) -> Order:
        """Open an order or find the identical one.

        Args:
            kind: ``jsapi``, ``h5``, ``native``, ``codepay``, ``facepay`` or ``pappay``.
        """
        _check_order(merchant, kind, data, now)
        key = (merchant.mchid, data["out_trade_no"])
        # Of a code only a print is kept, to know it again.
        request = {"kind": kind, **data} | ({"payer": _printed(data)} if kind in READ else {})
        known = self.orders.get(key)
        if known is not None:
            self.touch(known, now)
            if known.request != request:
                raise Refusal(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致", CHANGED)
            if known.state in ("SUCCESS", "REFUND"):
                raise Refusal(400, "ORDERPAID", "该订单已支付")
            if known.state == "CLOSED":
                raise Refusal(400, "ORDER_CLOSED", "该订单已关闭")
            if known.state in ("PAYERROR", "REVOKED"):
                raise Refusal(400, "ORDERREVERSED", "该订单已撤销或支付失败")
            if now - known.prepaid >= (H5_LIFE if kind == "h5" else PREPAY_LIFE):
                known.prepay_id, known.link, known.prepaid = _prepay_id(now), nonce(24), now
            return known
        _check_expiry(data.get("time_expire"), now)
        expires = datetime.fromisoformat(data["time_expire"]) if "time_expire" in data else now + ORDER_LIFE
        order = Order(
            mchid=merchant.mchid,
            appid=data["appid"],
            out_trade_no=data["out_trade_no"],
            total=data["amount"]["total"],
            trade_type=_CHANNELS[kind],
            notify_url=data.get("notify_url", ""),
            description=data["description"],
            attach=data.get("attach", ""),
            openid=None if kind in READ else data.get("payer", {}).get("openid"),
            request=request,
            created=now,
            expires=expires,
            prepay_id=_prepay_id(now),
            prepaid=now,
            link=nonce(24),
            device=data.get("scene_info", {}).get("device_id", ""),
        )
        self.orders[key] = order
        return order

    def order(self, mchid: str, out_trade_no: str, now: datetime) -> Order:
        """Find an order as it stands now."""
        order = self.orders.get((mchid, out_trade_no))
        if order is None:
            raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")
        self.touch(order, now)
        return order

    def by_transaction(self, mchid: str, transaction_id: str) -> Order:
        """Find a paid order by the platform's number."""
        for order in self.orders.values():
            if order.mchid == mchid and order.transaction_id == transaction_id:
                return order
        raise Refusal(404, "ORDER_NOT_EXIST", "订单不存在")

    def by_prepay(self, prepay_id: str) -> Order | None:
        """Find the order a payer holds the ticket of."""
        return next((o for o in self.orders.values() if o.prepay_id == prepay_id), None)

    def by_link(self, link: str) -> Order | None:
        """Find the order behind an H5 page or a QR code."""
        return next((o for o in self.orders.values() if o.link == link), None)

    def touch(self, order: Order, now: datetime) -> None:
        """An unpaid order past its time is closed the next time anybody looks; a password may have been entered."""
        if order.state == "USERPAYING" and order.password_by is not None and now >= order.password_by:
            self.enter_password(order, order.password_by)
        if order.state == "NOTPAY" and now >= order.expires:
            order.state = "CLOSED"

    def close(self, mchid: str, out_trade_no: str, now: datetime) -> None:
        """Close; doing it again changes nothing."""
        order = self.order(mchid, out_trade_no, now)
        if order.trade_type in (*READ.values(), "PAP"):
            raise Refusal(400, "INVALID_REQUEST", "付款码支付不支持关单，请使用撤销接口", NO_CLOSE)
        if order.state in ("SUCCESS", "REFUND"):
            raise Refusal(400, "ORDERPAID", "该订单已支付")
        order.state = "CLOSED"

    def ask_password(self, order: Order, openid: str, until: datetime | None) -> None:
        """The payer of a shown code must enter a password; they do at ``until``, or when they are told to."""
        order.state, order.payer, order.password_by = "USERPAYING", openid, until

    def enter_password(self, order: Order, at: datetime) -> None:
        """They did."""
        if order.state != "USERPAYING" or order.payer is None:
            raise Refusal(400, "ORDER_STATUS", "订单不在等待密码")
        order.state, order.password_by = "NOTPAY", None
        self.pay(order, order.payer, at)

    def reverse(self, mchid: str, out_trade_no: str, now: datetime, trade_type: str = "MICROPAY") -> None:
        """Undo a payment by a shown code (or a face): unpaid never will be, paid goes back whole; twice is once."""
        order = self.order(mchid, out_trade_no, now)
        if order.trade_type != trade_type:
            raise Refusal(400, "INVALID_REQUEST", "这个订单不能在这里撤销")
        if order.state == "REFUND":
            raise Refusal(400, "INVALID_REQUEST", "订单已退款，不能撤销")
        if order.state == "SUCCESS":
            order.reversed_at = now
        order.state = "REVOKED"

    def pay(self, order: Order, openid: str, now: datetime) -> None:
        """Take the money, exactly once.

        Raises:
            Refusal: the payer's page is told why not.
        """
        self.touch(order, now)
        if order.state in ("SUCCESS", "REFUND"):
            raise Refusal(400, "ORDERPAID", "该订单已支付")
        if order.state == "CLOSED":
            raise Refusal(400, "ORDER_CLOSED", "该订单已关闭")
        if now - order.prepaid >= (H5_LIFE if order.trade_type == "MWEB" else PREPAY_LIFE):
            raise Refusal(400, "PREPAY_EXPIRED", "支付凭证已过期")
        if order.openid is not None and order.openid != openid:
            raise Refusal(403, "PAYER_MISMATCH", "此商家订单只能由下单的微信号支付")
        self._serial += 1
        order.state, order.payer, order.paid_at = "SUCCESS", openid, now
        order.transaction_id = f"4200{now.astimezone(BEIJING):%Y%m%d}{self._serial:06d}{secrets.randbelow(10**10):010d}"

    def refund(self, merchant: Merchant, data: dict[str, Any], now: datetime) -> Refund:
        """Accept a refund or find the identical one."""
        order = self._refunded_order(merchant, data, now)
        amount = data["amount"]
        key = (merchant.mchid, data["out_refund_no"])
        known = self.refunds.get(key)
        if known is not None:
            if known.request != data:
                raise Refusal(400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试", CHANGED)
            return known
        if order.state not in ("SUCCESS", "REFUND") or order.transaction_id is None or order.paid_at is None:
            raise Refusal(400, "INVALID_REQUEST", "订单未支付，不能退款")
        if amount["total"] != order.total:
            raise Refusal(400, "INVALID_REQUEST", "订单总金额有误")
        if now - order.paid_at > REFUND_LIFE:
            raise Refusal(400, "INVALID_REQUEST", "订单已超过一年，不能退款")
        taken = sum(r.amount for r in self.refunds_of(order) if r.status != "CLOSED")
        if taken + amount["refund"] > order.total:
            raise Refusal(403, "INVALID_REQUEST", "申请退款金额大于订单剩余可退金额")
        self._serial += 1
        refund = Refund(
            mchid=merchant.mchid,
            out_refund_no=data["out_refund_no"],
            out_trade_no=order.out_trade_no,
            refund_id=f"5030{now.astimezone(BEIJING):%Y%m%d}{self._serial:06d}{secrets.randbelow(10**10):010d}",
            transaction_id=order.transaction_id,
            amount=amount["refund"],
            total=order.total,
            notify_url=data.get("notify_url"),
            request=data,
            created=now,
        )
        self.refunds[key] = refund
        order.state = "REFUND"
        return refund

    def _refunded_order(self, merchant: Merchant, data: dict[str, Any], now: datetime) -> Order:
        amount = data.get("amount")
        if not isinstance(amount, dict) or amount.get("currency") != "CNY":
            raise Refusal(400, "PARAM_ERROR", "amount 有误")
        if not _fen(amount.get("refund")) or not _fen(amount.get("total")):
            raise Refusal(400, "PARAM_ERROR", "金额必须是大于 0 的整数分")
        if not _REFUND_NUMBER.fullmatch(str(data.get("out_refund_no", ""))):
            raise Refusal(400, "PARAM_ERROR", "out_refund_no 有误")
        if "transaction_id" in data:
            return self.by_transaction(merchant.mchid, data["transaction_id"])
        return self.order(merchant.mchid, str(data.get("out_trade_no", "")), now)

    def settle_refund(self, refund: Refund, status: str, now: datetime) -> None:
        """The bank has answered; only a refund in process may change."""
        if refund.status == "PROCESSING":
            refund.status = status
            refund.done_at = now if status == "SUCCESS" else None

    def find_refund(self, mchid: str, out_refund_no: str) -> Refund:
        """Find a refund."""
        refund = self.refunds.get((mchid, out_refund_no))
        if refund is None:
            raise Refusal(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        return refund

    def refunds_of(self, order: Order) -> list[Refund]:
        """All refunds of an order."""
        return [r for r in self.refunds.values() if (r.mchid, r.out_trade_no) == (order.mchid, order.out_trade_no)]

    def dump(self) -> dict[str, Any]:
        """The books as JSON: orders, payments, refunds, and their sums in fen."""
        paid = [o for o in self.orders.values() if o.paid_at is not None]
        returned = [r.amount for r in self.refunds.values() if r.status == "SUCCESS"]
        returned += [o.total for o in paid if o.reversed_at is not None]
        return {
            "orders": [_plain(asdict(o)) for o in self.orders.values()],
            "payments": [
                {
                    "mchid": o.mchid,
                    "out_trade_no": o.out_trade_no,
                    "transaction_id": o.transaction_id,
                    "total": o.total,
                    "payer": o.payer,
                    "paid_at": rfc3339(o.paid_at) if o.paid_at else None,
                }
                for o in paid
            ],
            "refunds": [_plain(asdict(r)) for r in self.refunds.values()],
            "sums": {"paid": sum(o.total for o in paid), "refunded": sum(returned)},
        }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: rfc3339(v) if isinstance(v, datetime) else v for k, v in row.items()}


def _prepay_id(now: datetime) -> str:
    return f"wx{now.astimezone(BEIJING):%d%H%M%S}{nonce(24)}0000"


def _fen(value: object) -> bool:
    return type(value) is int and 1 <= value <= 10**10


def _check_order(merchant: Merchant, kind: str, data: dict[str, Any], now: datetime) -> None:
    if data.get("mchid") != merchant.mchid or data.get("appid") not in merchant.appids:
        raise Refusal(400, "APPID_MCHID_NOT_MATCH", "appid 与 mchid 不匹配")
    if not _NUMBER.fullmatch(str(data.get("out_trade_no", ""))):
        raise Refusal(400, "PARAM_ERROR", "out_trade_no 有误")
    description = data.get("description")
    if not isinstance(description, str) or not 0 < len(description) <= 127:
        raise Refusal(400, "PARAM_ERROR", "description 有误")
    amount = data.get("amount")
    if not isinstance(amount, dict) or not _fen(amount.get("total")) or amount.get("currency", "CNY") != "CNY":
        raise Refusal(400, "PARAM_ERROR", "金额必须是大于 0 的整数分")
    if kind not in READ and not _reachable(str(data.get("notify_url", ""))):
        raise Refusal(400, "PARAM_ERROR", "notify_url 必须是不带参数的 https 地址")
    if len(str(data.get("attach", ""))) > 128:
        raise Refusal(400, "PARAM_ERROR", "attach 过长")
    _check_payer(kind, data)


def _check_payer(kind: str, data: dict[str, Any]) -> None:
    if kind == "jsapi" and not isinstance(data.get("payer", {}).get("openid"), str):
        raise Refusal(400, "PARAM_ERROR", "缺少 payer.openid")
    if kind == "codepay":
        _check_code(data)
    if kind == "h5":
        scene = data.get("scene_info", {})
        if not scene.get("payer_client_ip") or not scene.get("h5_info", {}).get("type"):
            raise Refusal(400, "PARAM_ERROR", "缺少 scene_info.payer_client_ip 或 h5_info.type")


def _check_code(data: dict[str, Any]) -> None:
    if not re.fullmatch(r"1[0-5][0-9]{16}", str(data.get("payer", {}).get("auth_code", ""))):
        raise Refusal(400, "AUTH_CODE_INVALID", "请扫描微信支付付款码（以10/11/12/13/14/15为前缀的18位数字）")
    store = data.get("scene_info", {}).get("store_info", {})
    if not (store.get("id") or store.get("out_id")):
        raise Refusal(400, "PARAM_ERROR", "缺少 scene_info.store_info")
    if "notify_url" in data:
        raise Refusal(400, "PARAM_ERROR", "付款码支付没有 notify_url")


def _printed(data: dict[str, Any]) -> str:
    payer = data["payer"]
    return hashlib.sha256(str(payer.get("auth_code") or payer.get("face_code")).encode()).hexdigest()


def _reachable(notify_url: str) -> bool:
    parts = urlsplit(notify_url)
    host = parts.hostname or ""
    # Loopback addresses may be plain http: the sandbox stands where the internet would.
    near = host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")
    return (parts.scheme == "https" or (parts.scheme == "http" and near)) and bool(host) and not parts.query


def _check_expiry(text: object, now: datetime) -> None:
    if text is None:
        return
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", text):
        raise Refusal(400, "PARAM_ERROR", "time_expire 格式有误")
    if not now < datetime.fromisoformat(text) <= now + ORDER_LIFE:
        raise Refusal(400, "PARAM_ERROR", "time_expire 超出范围")
