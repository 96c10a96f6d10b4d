"""WeChat's office for mixed payments: binds a cash order and an order of the insurance, and has both paid at one press.

The insurance's part is really paid in the insurance's own books, the cash in ours; each can fail alone. How the three
states come about: ``self_pay_status`` is what our books say of the cash order, ``med_ins_pay_status`` what became of
the insurance's part as far as WeChat was told, ``mix_pay_status`` follows from both.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sandbox import insurance
from sandbox.insurance.books import Order as Insured
from sandbox.insurance.books import Person
from sandbox.wechat_pay import mixed_rules as rules
from sandbox.wechat_pay.books import BEIJING, Order, rfc3339
from sandbox.wechat_pay.wire import Merchant, Refusal
from sandbox.wechat_pay.world import World


@dataclass(frozen=True, slots=True)
class MedIns:
    """What WeChat knows of the insurance.

    Args:
        world: the payment centre, with its books.
        cities: Tencent's numbers of the cities it serves.
        institutions: number → name of the hospitals registered.
        passthrough: whether authorization, order and place must stand in the passed-on content again.
        loopback_http: callbacks to this machine may go without https.
    """

    world: insurance.World
    cities: frozenset[str]
    institutions: dict[str, str]
    passthrough: Literal["must", "must_not", "either"] = "must"
    loopback_http: bool = False


@dataclass(slots=True)
class MixOrder:
    """One mixed order; ``shown`` is what was asked, without the people."""

    mchid: str
    mix_trade_no: str
    shown: dict[str, Any]
    patient: str
    created: datetime
    insurance: str = "CREATED"  # SUCCESS, FAIL, REFUND; NONE without
    cash_failed: bool = False
    hanging: bool = False
    paid_at: datetime | None = None
    reason: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> str:
        """The merchant's number."""
        return str(self.shown["out_trade_no"])

    @property
    def kind(self) -> str:
        """CASH_ONLY, INSURANCE_ONLY, CASH_AND_INSURANCE."""
        return str(self.shown["mix_pay_type"])


class MixDesk:
    """The orders and everything that can be done with them."""

    def __init__(self, world: World, given: MedIns) -> None:
        self.world, self.given = world, given
        self.orders: dict[tuple[str, str], MixOrder] = {}

    # ------------------------------------------------------------------------------------------ the merchant's calls

    def create(self, merchant: Merchant, data: dict[str, Any], serial: str | None) -> MixOrder:
        """Take an order, or say why not."""
        if not serial:
            raise rules.wrong("缺少 Wechatpay-Serial")
        rules.check_form(data, self.given.loopback_http)
        if data.get("appid") not in merchant.appids:
            raise Refusal(400, "APPID_MCHID_NOT_MATCH", "appid 与 mchid 不匹配")
        if data["city_id"] not in self.given.cities:
            raise rules.wrong("city_id 有误")
        if self.given.institutions.get(data["med_inst_no"]) != data["med_inst_name"]:
            raise rules.wrong("med_inst_no 或 med_inst_name 有误")
        rules.check_linkage(data)
        rules.check_money(data)
        rules.check_passthrough(data, self.given.passthrough)
        payer, patient = self._people(data)
        if (merchant.mchid, data["out_trade_no"]) in self.orders:
            raise Refusal(400, "ALREADY_EXISTS", "订单已存在", rules.EXISTS)
        if data["mix_pay_type"] != "INSURANCE_ONLY":
            self._same_cash(merchant, data)
        if data["mix_pay_type"] != "CASH_ONLY":
            self._same_insured(data, payer, patient)
        now = self.world.now()
        made = MixOrder(
            mchid=merchant.mchid,
            mix_trade_no=f"MIX{now.astimezone(BEIJING):%Y%m%d}{secrets.token_hex(8).upper()}",
            shown={name: value for name, value in data.items() if name not in ("payer", "relative")},
            patient=patient.id_number,
            created=now,
            insurance="NONE" if data["mix_pay_type"] == "CASH_ONLY" else "CREATED",
        )
        self.orders[merchant.mchid, made.number] = made
        return made

    def find(self, mchid: str, fits: Callable[[MixOrder], bool]) -> MixOrder:
        """An order of this merchant's as it stands now."""
        order = next((o for o in self.orders.values() if o.mchid == mchid and fits(o)), None)
        if order is None:
            raise Refusal(404, "NOT_FOUND", "未找到订单，请确认订单号是否正确", rules.NOT_EXIST)
        self._touch(order)
        return order

    def report(self, merchant: Merchant, mix_trade_no: str, data: dict[str, Any]) -> None:
        """The merchant says that the insurance has its money again; the last report counts."""
        order = self.find(merchant.mchid, lambda o: o.mix_trade_no == mix_trade_no)
        names = ("med_refund_total_fee", "med_refund_gov_fee", "med_refund_self_fee", "med_refund_other_fee")
        fees = [fee for fee in (data.get(name) for name in names) if type(fee) is int and fee >= 0]
        if len(fees) != len(names) or fees[0] != sum(fees[1:]):
            raise rules.wrong("医保退款金额有误")
        at = str(data.get("refund_time"))
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", at) or not data.get("out_refund_no"):
            raise rules.wrong("refund_time 或 out_refund_no 有误")
        if tuple(fees[1:]) != tuple(order.shown.get(name, 0) for name in rules.FEES[:3]):
            raise Refusal(400, "INVALID_REQUEST", "退款金额与医保支付不符")
        # Stricter than the real one, which believes it: whoever reports too early is wrong here.
        if order.insurance not in ("SUCCESS", "REFUND") or self.insured(order).insurance != "back":
            raise Refusal(400, "INVALID_REQUEST", "医保尚未退款")
        order.insurance = "REFUND"
        order.reports.append(data)

    # --------------------------------------------------------------------------------------------- the payer's press

    def ticket(self, params: dict[str, str]) -> MixOrder:
        """Check what a page handed to the bridge."""
        order = next((o for o in self.orders.values() if o.mix_trade_no == params.get("mixTradeNo")), None)
        if order is None or params.get("appid", order.shown["appid"]) != order.shown["appid"]:
            raise Refusal(400, "MIX_ORDER_NOT_EXIST", "订单不存在")
        self._touch(order)
        if order.kind != "INSURANCE_ONLY":
            cash = self.world.ticket({**params, "appId": order.shown["appid"]})
            if (cash.mchid, cash.out_trade_no) != (order.mchid, order.number):
                raise Refusal(400, "PARAM_ERROR", "支付凭证与订单不符")
        return order

    def pay(self, order: MixOrder, openid: str) -> MixOrder:
        """The payer has entered the password: cash and insurance, each for itself.

        Raises:
            Refusal: nothing was taken from anybody.
        """
        if openid != order.shown["openid"]:
            raise Refusal(403, "PAYER_MISMATCH", "只能由下单的微信号支付")
        if self.status(order) != "MIX_PAY_CREATED" or order.hanging:
            raise Refusal(400, "ORDER_STATUS", "订单状态不允许支付")
        rule = self.world.behaviour.now("mix_pay", order.number, order.shown["total_fee"])
        do = rule.do if rule else None
        with_cash, with_insurance = order.kind != "INSURANCE_ONLY", order.kind != "CASH_ONLY"
        if with_insurance and self.insured(order).status != 1:
            raise Refusal(400, "ORDER_STATUS", "医保订单状态不允许支付")
        if do == "cash_fails" and with_cash:
            order.cash_failed = True
            self.world.books.close(order.mchid, order.number, self.world.now())
        elif with_cash:
            self.world.take(self.cash(order), openid)
        if with_insurance and do == "insurance_hangs":
            order.hanging = True
            self.given.world.put(self.insured(order), 2)
            return order
        if with_insurance:
            self._pay_insurance(order, fails=do == "insurance_fails")
        self._settle(order)
        return order

    def finish(self, order: MixOrder, success: bool) -> None:
        """The insurance has answered at last."""
        if not order.hanging:
            raise Refusal(400, "ORDER_STATUS", "订单不在等待医保")
        order.hanging = False
        self._pay_insurance(order, fails=not success)
        self._settle(order)

    def _pay_insurance(self, order: MixOrder, *, fails: bool) -> None:
        insured, centre = self.insured(order), self.given.world
        left_over = insured.cut is not None and insured.cut.cash > 0
        if left_over and not order.cash_failed:
            centre.cash(insured)
        try:
            if fails:
                raise Refusal(500, "INSURANCE_FAILED", "医保局结算失败")
            centre.pay(insured)
            order.insurance = "SUCCESS"
        except (Refusal, insurance.Refusal) as no:
            if insured.status in (1, 2, 3):
                centre.fail(insured)
            order.insurance, order.reason = "FAIL", no.message or no.code

    def _settle(self, order: MixOrder) -> None:
        if self.status(order) == "MIX_PAY_SUCCESS":
            order.paid_at = self.world.now()
            self.world.notifier.mixed(self.world.merchants[order.mchid], order.shown["callback_url"], self.view(order))

    # --------------------------------------------------------------------------------------------------- how it stands

    def self_status(self, order: MixOrder) -> str:
        """What our books say of the cash."""
        if order.kind == "INSURANCE_ONLY":
            return "NO_SELF_PAY"
        cash = self.cash(order)
        if cash.state == "REFUND":
            back = sum(r.amount for r in self.world.books.refunds_of(cash) if r.status == "SUCCESS")
            return "SELF_PAY_REFUND" if back == cash.total else "SELF_PAY_SUCCESS"
        words = {"SUCCESS": "SELF_PAY_SUCCESS", "NOTPAY": "SELF_PAY_CREATED"}
        return "SELF_PAY_FAIL" if order.cash_failed else words.get(cash.state, "SELF_PAY_FAIL")

    def insurance_status(self, order: MixOrder) -> str:
        """What WeChat knows of the insurance's part."""
        return "NO_MED_INS_PAY" if order.insurance == "NONE" else f"MED_INS_PAY_{order.insurance}"

    def status(self, order: MixOrder) -> str:
        """Both together."""
        ends = {self.self_status(order).removeprefix("SELF_PAY_"), order.insurance} - {"NO_SELF_PAY", "NONE"}
        for word in ("FAIL", "CREATED"):
            if word in ends:
                return f"MIX_PAY_{word}"
        return "MIX_PAY_REFUND" if ends == {"REFUND"} else "MIX_PAY_SUCCESS"

    def view(self, order: MixOrder) -> dict[str, Any]:
        """An order as answers and notices show it."""
        shown = {
            **order.shown,
            "mix_trade_no": order.mix_trade_no,
            "mix_pay_status": self.status(order),
            "self_pay_status": self.self_status(order),
            "med_ins_pay_status": self.insurance_status(order),
        }
        if order.paid_at is not None:
            shown["paid_time"] = rfc3339(order.paid_at)
        if order.insurance == "FAIL":
            shown["med_ins_fail_reason"] = order.reason
        return shown

    def cash(self, order: MixOrder) -> Order:
        """The cash part."""
        return self.world.books.order(order.mchid, order.number, self.world.now())

    def insured(self, order: MixOrder) -> Insured:
        """The insurance's part."""
        return self.given.world.books.orders[order.shown["pay_order_id"]]

    def dump(self) -> list[dict[str, Any]]:
        """The oracle: numbers, states and money, nobody's name and no authorization."""
        hidden = ("openid", "pay_auth_no", "geo_location", "passthrough_request_content")
        return [
            {name: value for name, value in self.view(order).items() if name not in hidden} | {"reports": order.reports}
            for order in self.orders.values()
        ]

    def _touch(self, order: MixOrder) -> None:
        """A cash part closed or an insurance order taken back before the press ends the whole."""
        if order.insurance != "CREATED" or order.hanging:
            return
        gone = self.insured(order).status == 12
        if gone or self.self_status(order) == "SELF_PAY_FAIL":
            order.insurance, order.reason = "FAIL", "订单已关闭"

    # -------------------------------------------------------------------------------------------- what belongs together

    def _people(self, data: dict[str, Any]) -> tuple[Person, Person]:
        if not self.world.knows(data["appid"], data["openid"]):
            raise Refusal(400, "PARAM_ERROR", "请确认 openid 是否正确", rules.OPENID)
        openids = next(p.openids for p in self.world.payers if p.openids.get(data["appid"]) == data["openid"])
        known = self.given.world.books.people.values()
        payer = next((p for p in known if p.openid and p.openid in openids.values()), None)
        name, digest = self._opened(data.get("payer"), "payer")
        if payer is None:
            raise Refusal(400, "INVALID_REQUEST", "微信号未绑定医保电子凭证", rules.NO_CARD)
        if digest != rules.digest_of(payer.id_number):
            raise Refusal(400, "INVALID_REQUEST", "个人身份ID摘要不匹配", rules.DIGEST)
        if name != payer.name:
            raise Refusal(400, "INVALID_REQUEST", "用户姓名不匹配", rules.NAME)
        if bool(data.get("pay_for_relatives")) != ("relative" in data):
            raise rules.wrong("亲属信息为空")
        if "relative" not in data:
            return payer, payer
        name, digest = self._opened(data["relative"], "relative")
        whose = next((p for p in known if rules.digest_of(p.id_number) == digest and p.name == name), None)
        if whose is None or payer.id_number not in whose.family:
            raise Refusal(400, "INVALID_REQUEST", "亲属关系不存在", rules.NO_RELATIVE)
        return payer, whose

    def _opened(self, sealed: Any, what: str) -> tuple[str, str]:
        if not isinstance(sealed, dict) or sealed.get("card_type") not in rules.CARDS:
            raise rules.wrong(f"{what} 有误")
        try:
            name, digest = (self.world.wire.opened(str(sealed.get(part, ""))) for part in ("name", "id_digest"))
        except ValueError:
            raise rules.wrong(f"{what} 解密失败") from None
        if not re.fullmatch(r"[0-9a-f]{32}", digest):
            raise Refusal(400, "INVALID_REQUEST", "个人身份ID摘要不匹配", rules.DIGEST)
        return name, digest

    def _same_cash(self, merchant: Merchant, data: dict[str, Any]) -> None:
        cash = self.world.books.by_prepay(data["prepay_id"])
        wanted = (merchant.mchid, *(data[n] for n in ("out_trade_no", "wechat_pay_cash_fee", "openid", "appid")))
        given = cash and (cash.mchid, cash.out_trade_no, cash.total, cash.openid, cash.appid)
        if cash is None or cash.state != "NOTPAY" or given != wanted:
            raise Refusal(400, "INVALID_REQUEST", "自费预下单ID和收款预下单ID不一致", rules.INSURANCE_NO)

    def _same_insured(self, data: dict[str, Any], payer: Person, patient: Person) -> None:
        books = self.given.world.books
        auth, insured = books.auths.get(data["pay_auth_no"]), books.orders.get(data["pay_order_id"])
        right = auth is not None and insured is not None and insured.auth == auth.number
        if not right or auth is None or (auth.payer, auth.patient) != (payer.id_number, patient.id_number):
            raise Refusal(400, "INVALID_REQUEST", "PAY_AUTH_NO 校验失败", rules.AUTH)
        if self.given.world.now() > auth.until:
            raise Refusal(400, "INVALID_REQUEST", "PAY_AUTH_NO 校验失败", rules.AUTH)
        assert insured is not None  # noqa: S101 - as above
        cut = insured.cut
        fees = tuple(data[name] for name in rules.FEES)
        same = cut is not None and fees == (cut.fund, cut.account, cut.other, cut.cash)
        if insured.status != 1 or insured.number != data["serial_no"] or not same:
            raise Refusal(400, "INVALID_REQUEST", "医保局结算校验失败", rules.INSURANCE_NO)
