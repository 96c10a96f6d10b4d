"""The insurance's part and the cash in one press at WeChat (移动医保支付 2.0, ``/v3/med-ins``).

The library has no such product; its core signs, verifies and encrypts all the same. Field rules: merchant document
4016781466. Where the published guides contradict each other it is a setting of the hospital (``MixSettings``).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from wechatpayv3.async_.type import RequestType

from adapters.wechat_pay.cash import WeChatPay
from adapters.wechat_pay.line import BEIJING, fen, moment, readable, text
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from payments.ports import (
    AddKind,
    CardType,
    CashChannel,
    ForgedNotice,
    MedInsStatus,
    MixKind,
    MixMoney,
    MixNo,
    MixNotice,
    MixOrder,
    MixPerson,
    MixPrepared,
    MixRefund,
    MixState,
    MixStatus,
    ReduceKind,
    SelfPayStatus,
)

_ORDERS = "/v3/med-ins/orders"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_\-|*]{6,32}")
_MIX_TRADE_NO = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_SUCCESS = "MEDICAL_INSURANCE.SUCCESS"
_OUR_THREE = ("payAuthNo", "payOrdId", "setlLatlnt")
_WEIGHTS, _CHECKS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), "10X98765432"


@dataclass(frozen=True, slots=True)
class MixSettings:
    """One hospital at the insurance inside WeChat.

    Args:
        city_id: Tencent's own number of the city, as they gave it (not the national code).
        institution_no, institution_name: as registered at the insurance.
        callback_url: public https address without query.
        passthrough_repeats: whether authorization, order and place stand in ``passthrough_request_content`` again: the
            guide's error list says they must, its list of questions that they must not; ask the province.
        test_env: the insurance's test environment. The cash stays real: never on in a running hospital.
        loopback_http: the one exception to https, for a sandbox on this machine.
    """

    city_id: str
    institution_no: str
    institution_name: str
    callback_url: str
    channel_no: str = ""
    passthrough_repeats: bool = True
    test_env: bool = False
    loopback_http: bool = False


class WeChatMix:
    """``payments.ports.MedInsMix`` over the line of a ``WeChatPay``; opened and closed with it.

    Its breaker is its own: when the mixed office does not answer, cash is paid all the same.

    Raises:
        NotConfigured: a setting is empty, or the callback address is one WeChat would refuse.
    """

    def __init__(self, pay: WeChatPay, settings: MixSettings, guard: Guard | None = None) -> None:
        for name in (f.name for f in fields(settings)[:4]):
            if not getattr(settings, name):
                raise NotConfigured(f"wechat_mix.{name}")
        parts = urlsplit(settings.callback_url)
        near = settings.loopback_http and parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not (parts.scheme == "https" or near) or not parts.hostname or parts.query or parts.fragment:
            raise NotConfigured("wechat_mix.callback_url")
        self._line, self._settings = pay.line, settings
        self._guard = guard or Guard("wechat_mix")

    async def create(self, order: MixOrder) -> MixPrepared:
        """Bind both parts together. See ``MedInsMix.create``."""
        fault = order.fault or _unfit(order)
        if fault:
            raise Rejected(MixNo.PARAM_ERROR, fault)
        body = self._body(order)
        try:
            answer = await self._line.request(_ORDERS, RequestType.POST, body, self._guard)
        except Rejected as no:
            raise _named(no) from None
        state = self._state(answer)
        if state.out_trade_no != order.out_trade_no or state.money != order.money:
            raise Unknown("the answer is about another order")
        return MixPrepared(state.mix_trade_no, self.client_params(order, state.mix_trade_no), state)

    def client_params(self, order: MixOrder, mix_trade_no: str) -> Mapping[str, str]:
        """What the page hands to WeChat. See ``MedInsMix.client_params``."""
        appid = self._line.appid(order.channel)
        params = self._line.bridge(appid, order.prepay_id) if order.prepay_id else {"appId": appid}
        # Unlike every other bridge call, this one spells it in lower case; a mini-program names no app at all.
        del params["appId"]
        if order.channel is CashChannel.JSAPI:
            params["appid"] = appid
        return {**params, "mixTradeNo": mix_trade_no}

    async def query(self, out_trade_no: str) -> MixState:
        """Ask by our number. See ``MedInsMix.query``."""
        if not _OUT_TRADE_NO.fullmatch(out_trade_no):
            raise Rejected(MixNo.PARAM_ERROR, "out_trade_no")
        state = await self._asked(f"{_ORDERS}/out-trade-no/{out_trade_no}")
        if state.out_trade_no != out_trade_no:
            raise Unknown("the answer is about another order")
        return state

    async def query_by_mix_trade_no(self, mix_trade_no: str) -> MixState:
        """Ask by WeChat's number. See ``MedInsMix.query_by_mix_trade_no``."""
        state = await self._asked(f"{_ORDERS}/mix-trade-no/{_mix_number(mix_trade_no)}")
        if state.mix_trade_no != mix_trade_no:
            raise Unknown("the answer is about another order")
        return state

    async def report_refund(self, refund: MixRefund) -> None:
        """Tell WeChat. See ``MedInsMix.report_refund``."""
        parts = (refund.fund_fen, refund.account_fen, refund.other_fen)
        if any(type(part) is not int or part < 0 for part in parts) or not 0 < refund.total_fen == sum(parts):
            raise Rejected(MixNo.PARAM_ERROR, "the parts do not make the total")
        body = {
            "med_refund_total_fee": refund.total_fen,
            "med_refund_gov_fee": refund.fund_fen,
            "med_refund_self_fee": refund.account_fen,
            "med_refund_other_fee": refund.other_fen,
            "refund_time": _rfc3339(refund.at),
            "out_refund_no": refund.refund_number,
        }
        path = f"/v3/med-ins/refunds/notify?mix_trade_no={_mix_number(refund.mix_trade_no)}"
        try:
            await self._line.request(path, RequestType.POST, body, self._guard)
        except Rejected as no:
            raise _named(no) from None

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> MixNotice:
        """Verify and read. See ``MedInsMix.decode_notify``."""
        envelope = self._line.decode_envelope(headers, raw, now)
        try:
            if envelope["event_type"] != _SUCCESS:
                raise ForgedNotice("another event")
            state = self._state(envelope["resource"])
            return MixNotice(str(envelope["id"]), moment(envelope["create_time"]), state)
        except (KeyError, TypeError, ValueError, Unknown) as error:
            raise ForgedNotice(f"unreadable: {type(error).__name__}") from None

    async def _asked(self, path: str) -> MixState:
        try:
            return self._state(await self._line.request(path, RequestType.GET, guard=self._guard))
        except Rejected as no:
            raise _named(no) from None

    def _state(self, answer: dict[str, Any]) -> MixState:
        state = readable(_mix_state, answer)
        apps = (self._line.settings.appid, self._line.settings.mini_appid)
        if answer.get("appid") not in apps or answer.get("med_inst_no") != self._settings.institution_no:
            raise Unknown("the answer is about another hospital")
        if state.money.fault:
            raise Unknown(f"the answer's money: {state.money.fault}")
        return state

    def _body(self, order: MixOrder) -> dict[str, Any]:
        mine, money = self._settings, order.money
        body: dict[str, Any] = {
            "mix_pay_type": order.kind.value,
            "order_type": order.scene.value,
            "appid": self._line.appid(order.channel),
            "openid": order.payer_openid,
            "payer": self._sealed(order.payer),
            "pay_for_relatives": order.relative is not None,
            "out_trade_no": order.out_trade_no,
            "serial_no": order.order_number,
            "city_id": mine.city_id,
            "med_inst_name": mine.institution_name,
            "med_inst_no": mine.institution_no,
            "total_fee": money.total_fen,
            "callback_url": mine.callback_url,
            "cash_add_detail": [{"cash_add_fee": fee, "cash_add_type": why.value} for why, fee in money.added],
            "cash_reduce_detail": [
                {"cash_reduce_fee": fee, "cash_reduce_type": why.value} for why, fee in money.reduced
            ],
            "attach": order.attach,
            "channel_no": mine.channel_no,
        }
        if order.relative is not None:
            body["relative"] = self._sealed(order.relative)
        if order.kind is not MixKind.CASH_ONLY:
            body |= self._insured(order)
        if order.kind is not MixKind.INSURANCE_ONLY:
            body |= {"wechat_pay_cash_fee": money.pay_fen, "prepay_id": order.prepay_id}
        if mine.test_env:
            body["med_ins_test_env"] = True
        return {name: value for name, value in body.items() if value not in ("", [])}

    def _insured(self, order: MixOrder) -> dict[str, Any]:
        content = dict(order.passthrough)
        if self._settings.passthrough_repeats:
            content |= zip(_OUR_THREE, (order.pay_auth_no, order.pay_order_id, order.location), strict=True)
        assert order.insured_at is not None  # noqa: S101 - MixOrder.fault saw to it
        return {
            "pay_order_id": order.pay_order_id,
            "pay_auth_no": order.pay_auth_no,
            "geo_location": order.location,
            "med_ins_order_create_time": _rfc3339(order.insured_at),
            "med_ins_gov_fee": order.money.fund_fen,
            "med_ins_self_fee": order.money.account_fen,
            "med_ins_other_fee": order.money.other_fen,
            "med_ins_cash_fee": order.money.cash_fen,
            "passthrough_request_content": json.dumps(content, ensure_ascii=False) if content else "",
        }

    def _sealed(self, who: MixPerson) -> dict[str, str]:
        digest = id_digest(who.id_number, who.card)
        name = self._line.encrypted(who.name)
        return {"name": name, "id_digest": self._line.encrypted(digest), "card_type": who.card.value}


def id_digest(number: str, card: CardType = CardType.ID_CARD) -> str:
    """What WeChat compares identity numbers by: MD5 in lower hex over the upper-case number, 15 digits made 18.

    Golden vector (merchant guide): ``44030019000101123x`` → ``09eb26e839ff3a2e3980352ae45ef09e``.
    """
    upper = number.strip().upper()
    if card in (CardType.ID_CARD, CardType.HOUSEHOLD_REGISTRATION) and re.fullmatch(r"[0-9]{15}", upper):
        # GB 11643: fifteen digits leave out the century and the check character.
        longer = f"{upper[:6]}19{upper[6:]}"
        weighed = sum(int(digit) * weight for digit, weight in zip(longer, _WEIGHTS, strict=True))
        upper = longer + _CHECKS[weighed % 11]
    # The platform's choice; it is encrypted on the way, and no proof of anything.
    return hashlib.md5(upper.encode(), usedforsecurity=False).hexdigest()


def _unfit(order: MixOrder) -> str | None:
    """What does not fit the wire, though the values themselves are right."""
    lengths = (
        ("serial_no", order.order_number, 20),
        ("pay_order_id", order.pay_order_id, 64),
        ("pay_auth_no", order.pay_auth_no, 40),
        ("geo_location", order.location, 40),
        ("prepay_id", order.prepay_id, 64),
        ("attach", order.attach, 128),
    )
    if not _OUT_TRADE_NO.fullmatch(order.out_trade_no):
        return "out_trade_no"
    if set(order.passthrough) & set(_OUR_THREE):
        return "passthrough"
    if len(json.dumps(dict(order.passthrough), ensure_ascii=False).encode()) > 1800:
        return "passthrough"
    return next((name for name, value, most in lengths if len(value) > most), "" if order.order_number else "serial_no")


def _mix_number(mix_trade_no: str) -> str:
    # It becomes part of a path: never let a stray character through.
    if not _MIX_TRADE_NO.fullmatch(mix_trade_no):
        raise Rejected(MixNo.PARAM_ERROR, "mix_trade_no")
    return mix_trade_no


def _named(no: Rejected) -> Rejected:
    """The same refusal by its own name, where WeChat's answer carried no number."""
    names = {"ALREADY_EXISTS": MixNo.EXISTS, "ORDER_NOT_EXIST": MixNo.NOT_EXIST, "NOT_FOUND": MixNo.NOT_EXIST}
    return Rejected(names.get(no.reason, no.reason), no.message)


def _rfc3339(at: datetime) -> str:
    # The platform wants +08:00, not Z, and whole seconds.
    return at.astimezone(BEIJING).isoformat(timespec="seconds")


def _mix_state(data: dict[str, Any]) -> MixState:
    """Unknown words raise ValueError: every ``UNKNOWN_…`` is an error, and so is what no list of theirs has."""

    def money(name: str) -> int:
        return fen(data.get(name) or 0)

    paid_at = data.get("paid_time")
    return MixState(
        out_trade_no=text(data, "out_trade_no"),
        mix_trade_no=text(data, "mix_trade_no"),
        kind=MixKind(data["mix_pay_type"]),
        status=MixStatus(data["mix_pay_status"]),
        cash=SelfPayStatus(data["self_pay_status"]),
        insurance=MedInsStatus(data["med_ins_pay_status"]),
        money=MixMoney(
            total_fen=fen(data["total_fee"]),
            fund_fen=money("med_ins_gov_fee"),
            account_fen=money("med_ins_self_fee"),
            other_fen=money("med_ins_other_fee"),
            cash_fen=money("med_ins_cash_fee"),
            pay_fen=money("wechat_pay_cash_fee"),
            added=tuple(
                (AddKind(one["cash_add_type"]), fen(one["cash_add_fee"])) for one in data.get("cash_add_detail") or ()
            ),
            reduced=tuple(
                (ReduceKind(one["cash_reduce_type"]), fen(one["cash_reduce_fee"]))
                for one in data.get("cash_reduce_detail") or ()
            ),
        ),
        order_number=str(data.get("serial_no") or ""),
        pay_order_id=str(data.get("pay_order_id") or ""),
        paid_at=moment(paid_at) if paid_at else None,
        failed_because=str(data.get("med_ins_fail_reason") or ""),
    )
