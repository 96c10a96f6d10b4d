"""What WeChat checks of a mixed order before it takes it: form, money, which fields go together, who the people are.

Each refusal ends in the number the real one puts behind its Request-ID (troubleshooting guide of wechatpay-skills).
"""

import hashlib
import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.wechat_pay.wire import Refusal

KINDS = ("CASH_ONLY", "INSURANCE_ONLY", "CASH_AND_INSURANCE")
SCENES = (
    *("REG_PAY", "DIAG_PAY", "COVID_EXAM_PAY", "IN_HOSP_PAY", "PHARMACY_PAY", "INSURANCE_PAY", "INT_REG_PAY"),
    *("INT_RE_DIAG_PAY", "INT_RX_PAY", "COVID_ANTIGEN_PAY", "MED_PAY"),
)
CARDS = (
    *("ID_CARD", "HOUSEHOLD_REGISTRATION", "FOREIGNER_PASSPORT", "FOREIGN_PERMANENT_RESIDENT"),
    *(f"MAINLAND_TRAVEL_PERMIT_FOR_{place}" for place in ("TW", "MO", "HK")),
)
ADDS = ("DEFAULT_ADD_TYPE", "FREIGHT", "OTHER_MEDICAL_EXPENSES")
REDUCES = (
    *("DEFAULT_REDUCE_TYPE", "HOSPITAL_REDUCE", "PHARMACY_DISCOUNT", "DISCOUNT", "PRE_PAYMENT", "DEPOSIT_DEDUCTION"),
)
LONGEST = {
    "out_trade_no": 32,
    "serial_no": 20,
    "pay_order_id": 64,
    "pay_auth_no": 40,
    "geo_location": 40,
    "city_id": 8,
    "med_inst_name": 128,
    "med_inst_no": 32,
    "callback_url": 256,
    "prepay_id": 64,
    "attach": 128,
    "channel_no": 32,
    "passthrough_request_content": 2048,
}
NEEDED = ("openid", "out_trade_no", "serial_no", "city_id", "med_inst_name", "med_inst_no", "callback_url")
INSURED = ("pay_order_id", "pay_auth_no", "geo_location", "med_ins_order_create_time")
FEES = ("med_ins_gov_fee", "med_ins_self_fee", "med_ins_other_fee", "med_ins_cash_fee")
THREE = ("payAuthNo", "payOrdId", "setlLatlnt")
BAD_PARAM, EXISTS, NOT_EXIST, OPENID = 268435461, 268512536, 268529515, 268510603
DIGEST, NAME, NO_CARD, NO_RELATIVE = 268545961, 268545962, 268545963, 268545964
AUTH, INSURANCE_NO, CASH_FIELDS, MIX_FIELDS = 268547120, 268510610, 268529474, 268529475
CASH_MONEY, TOTAL_MONEY, MIX_MONEY = 268529476, 268529477, 268529481


def wrong(message: str) -> Refusal:
    """A field is not as it must be."""
    return Refusal(400, "PARAM_ERROR", message, BAD_PARAM)


def limit(message: str, number: int) -> Refusal:
    """Every field is fine alone, but not together."""
    return Refusal(403, "RULE_LIMIT", message, number)


def check_form(data: dict[str, Any], loopback_http: bool) -> None:
    """Each field by itself."""
    for name in NEEDED:
        if not isinstance(data.get(name), str) or not data[name]:
            raise wrong(f"缺少 {name}")
    for name, most in LONGEST.items():
        if not isinstance(data.get(name, ""), str) or len(data.get(name, "").encode()) > most:
            raise wrong(f"{name} 过长")
    if data.get("mix_pay_type") not in KINDS or data.get("order_type") not in SCENES:
        raise wrong("mix_pay_type 或 order_type 有误")
    if not re.fullmatch(r"[A-Za-z0-9_\-|*]{6,32}", data["out_trade_no"]):
        raise wrong("out_trade_no 有误")
    _check_amounts(data)
    _check_time(data.get("med_ins_order_create_time"))
    parts = urlsplit(data["callback_url"])
    near = loopback_http and parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not (parts.scheme == "https" or near) or not parts.hostname or parts.query:
        raise wrong("callback_url 必须是不带参数的 https 地址")


def _check_amounts(data: dict[str, Any]) -> None:
    for name in ("total_fee", "wechat_pay_cash_fee", *FEES):
        if type(data.get(name, 0)) is not int or data.get(name, 0) < 0:
            raise wrong(f"{name} 必须是整数分")
    _check_details(data, "cash_add", ADDS)
    _check_details(data, "cash_reduce", REDUCES)


def _check_time(text: object) -> None:
    if text is None:
        return
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", str(text)):
        raise wrong("med_ins_order_create_time 时间解析失败")
    try:
        datetime.fromisoformat(str(text))
    except ValueError:
        raise wrong("med_ins_order_create_time 时间解析失败") from None


def _check_details(data: dict[str, Any], name: str, kinds: tuple[str, ...]) -> None:
    for one in data.get(f"{name}_detail", []):
        if one.get(f"{name}_type") not in kinds or type(one.get(f"{name}_fee")) is not int or one[f"{name}_fee"] < 1:
            raise wrong(f"{name}_detail 有误")


def check_money(data: dict[str, Any]) -> None:
    """Both formulas."""
    gov, own, other, cash = (data.get(name, 0) for name in FEES)
    paid, total = data.get("wechat_pay_cash_fee", 0), data.get("total_fee", 0)
    more = sum(one["cash_add_fee"] for one in data.get("cash_add_detail", []))
    less = sum(one["cash_reduce_fee"] for one in data.get("cash_reduce_detail", []))
    if paid != cash + more - less:
        raise limit("自费金额校验不通过", CASH_MONEY)
    if total < 1 or total != gov + own + other + paid + less:
        raise limit("订单总金额校验不通过", TOTAL_MONEY)
    if total != gov + own + other + cash + more:
        raise limit("混合单金额不正确", MIX_MONEY)


def check_linkage(data: dict[str, Any]) -> None:
    """Which fields go together."""
    kind, paid = data["mix_pay_type"], data.get("wechat_pay_cash_fee", 0)
    if kind == "CASH_ONLY":
        if any(name in data for name in INSURED) or sum(data.get(name, 0) for name in FEES):
            raise limit("纯自费单字段校验失败", CASH_FIELDS)
    elif not all(data.get(name) for name in INSURED) or not all(name in data for name in FEES):
        raise limit("混合支付单字段校验失败", MIX_FIELDS)
    if kind == "INSURANCE_ONLY":
        if paid or "prepay_id" in data:
            raise limit("混合支付单字段校验失败", MIX_FIELDS)
    elif not paid or not data.get("prepay_id"):
        raise limit("自费字段校验失败", CASH_FIELDS if kind == "CASH_ONLY" else MIX_FIELDS)
    if kind == "CASH_AND_INSURANCE" and not sum(data[name] for name in FEES):
        raise limit("混合支付单字段校验失败", MIX_FIELDS)


def check_passthrough(data: dict[str, Any], rule: str) -> None:
    """What is passed on to the insurance; ``rule`` is must, must_not or either: provinces differ."""
    try:
        content = json.loads(data.get("passthrough_request_content", "{}"))
        given = [name in content for name in THREE]
    except (ValueError, TypeError):
        raise wrong("passthrough_request_content 不是 JSON") from None
    if data["mix_pay_type"] == "CASH_ONLY" or rule == "either":
        return
    if rule == "must" and not all(given):
        raise Refusal(400, "INVALID_REQUEST", "未找到对应授权信息", 268545967)
    if rule == "must_not" and any(given):
        raise wrong("passthrough_request_content 不能重复已有字段")
    if all(given) and tuple(content[name] for name in THREE) != (
        *(data["pay_auth_no"], data["pay_order_id"], data["geo_location"]),
    ):
        raise Refusal(400, "INVALID_REQUEST", "未找到对应授权信息", 268545967)


def digest_of(id_number: str) -> str:
    """What the e-certificate's number looks like as ``id_digest``."""
    return hashlib.md5(id_number.upper().encode(), usedforsecurity=False).hexdigest()
