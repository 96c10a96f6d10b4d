"""What a merchant asks of deduction contracts by APIv2: how one stands, its end, a charge, and how that went."""

import asyncio
import re
from typing import Any

from sandbox.wechat_pay.books import Order
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.papay import CONTRACT_LIFE, PAUSE, PLAN_ID, Contract, shown
from sandbox.wechat_pay.wire import Fields, Merchant, Refusal
from sandbox.wechat_pay.world import World


def _needs(asked: Fields, *names: str) -> None:
    missing = [name for name in names if not asked.get(name)]
    if missing:
        raise Refusal(200, "LACK_PARAMS", f"缺少参数{missing[0]}")


def _found(world: World, merchant: Merchant, asked: Fields) -> Contract:
    if asked.get("plan_id") != PLAN_ID or asked.get("version") != "1.0":
        raise Refusal(200, "PARAM_ERROR", "plan_id 或 version 有误")
    found = world.papay.contracts.get((merchant.mchid, asked.get("contract_code", "")))
    if found is None:
        raise Refusal(200, "CONTRACT_NOT_EXIST", "签约协议不存在")
    return found


def _query_contract(world: World, merchant: Merchant, asked: Fields) -> Fields:
    found = _found(world, merchant, asked)
    until = found.signed + CONTRACT_LIFE
    return {
        "contract_id": found.contract_id,
        "plan_id": PLAN_ID,
        "openid": found.openid,
        "request_serial": found.serial,
        "contract_code": found.code,
        "contract_display_account": found.display,
        "contract_state": found.state,
        "contract_signed_time": str(int(found.signed.timestamp())),
        "contract_expired_time": str(int(until.timestamp())),
        "contract_terminated_time": str(int(found.ended.timestamp())) if found.ended else "",
        "contract_termination_mode": found.mode if found.ended else "",
        "contract_termination_remark": found.remark,
    }


def _delete_contract(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "contract_termination_remark")
    found = _found(world, merchant, asked)
    if found.state != "0":
        raise Refusal(200, "CONTRACT_NOT_EXIST", "签约协议不存在")
    world.papay.end(merchant, found, "3", asked["contract_termination_remark"])
    return {"contract_id": found.contract_id, "plan_id": PLAN_ID, "contract_code": found.code}


def _apply(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "body", "out_trade_no", "total_fee", "spbill_create_ip", "notify_url", "contract_id")
    if asked.get("trade_type") != "PAP" or not re.fullmatch(r"[1-9][0-9]{0,9}", asked["total_fee"]):
        raise Refusal(200, "PARAM_ERROR", "trade_type 或 total_fee 有误")
    found = world.papay.by_id(asked["contract_id"])
    if found is None or found.state != "0" or found.mchid != merchant.mchid:
        raise Refusal(200, "CONTRACT_NOT_EXIST", "签约协议不存在")
    known = (merchant.mchid, asked["out_trade_no"]) in world.books.orders
    data: dict[str, Any] = {
        "mchid": merchant.mchid,
        "appid": asked["appid"],
        "out_trade_no": asked["out_trade_no"],
        "description": asked["body"],
        "attach": asked.get("attach", ""),
        "notify_url": asked["notify_url"],
        "amount": {"total": int(asked["total_fee"]), "currency": "CNY"},
        "payer": {"openid": found.openid},
    }
    order = world.books.create(merchant, "pappay", data, world.now())
    if not known:
        rule = world.behaviour.now("deducting", order.out_trade_no, order.total)
        if rule is None or rule.do != "stuck":
            world.notifier.soon(_decide(world, merchant, order, found, ok=rule is None))
    return {}


async def _decide(world: World, merchant: Merchant, order: Order, found: Contract, *, ok: bool) -> None:
    await asyncio.sleep(PAUSE * world.notifier.scale)
    finish(world, merchant, order, found, ok=ok)


def finish(world: World, merchant: Merchant, order: Order, found: Contract, *, ok: bool) -> None:
    """The purse gives the money, or has too little."""
    if order.state != "NOTPAY":
        return
    if ok:
        world.books.pay(order, found.openid, world.now())
    else:
        order.state = "PAYERROR"
    world.papay.told(merchant, order, found.contract_id, "" if ok else "NOTENOUGH")


def _query_order(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "out_trade_no")
    order = world.books.order(merchant.mchid, asked["out_trade_no"], world.now())
    if order.trade_type != "PAP":
        raise Refusal(200, "ORDER_NOT_EXIST", "订单不存在")
    state = {"NOTPAY": "ACCEPT", "PAYERROR": "PAY_FAIL"}.get(order.state, order.state)
    base = {"out_trade_no": order.out_trade_no, "attach": order.attach, "trade_state": state}
    return {**base, "trade_state_desc": transaction(order)["trade_state_desc"], **shown(order)}


ROUTES = (
    ("/papay/querycontract", "contract", _query_contract),
    ("/papay/deletecontract", "contract_end", _delete_contract),
    ("/pay/pappayapply", "deduct", _apply),
    ("/pay/paporderquery", "deduct_query", _query_order),
)
"""(path, name in ``behave``, handler) of what a merchant asks by APIv2."""
