"""The addresses a hospital calls: the payment centre's five transactions, sealed, and the city host's question."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.insurance import statement
from sandbox.insurance.behave import SPOILT, Rule
from sandbox.insurance.books import Order
from sandbox.insurance.consent import consent_routes
from sandbox.insurance.control import control_routes
from sandbox.insurance.wire import Refusal, read, yuan
from sandbox.insurance.world import BEIJING, World

FRESH_SECONDS = 300
PATHS = {
    "upload": ("6201", "/org/local/api/hos/uldFeeInfo"),
    "place": ("6202", "/org/local/api/hos/pay_order"),
    "refund": ("6203", "/org/local/api/hos/refund_Order"),
    "query": ("6301", "/org/local/api/hos/query_order_info"),
    "revoke": ("6401", "/org/local/api/hos/revoke_order"),
    "total": ("3201", "/org/local/api/hos/stmt_total"),
    "detail": ("3202", "/org/local/api/hos/stmt_detail"),
    "family": ("FAMILY", "/org/local/api/hos/family_account"),
}
Handler = Callable[[World, dict[str, Any], Rule | None], dict[str, Any]]


def build(world: World, more: tuple[BaseRoute, ...] = ()) -> Starlette:
    """The server. Mounted inside another app its lifespan does not run: call ``world.stop()`` at the end."""

    def route(name: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answer(world, request, name)

        return Route(PATHS[name][1], endpoint, methods=["POST"])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.stop()

    async def user_query(request: Request) -> Response:
        return await _user_query(world, request)

    routes: list[BaseRoute] = [
        *map(route, PATHS),
        Route("/api/mipuserquery/userQuery/{partner}", user_query, methods=["POST"]),
        *control_routes(world),
        *consent_routes(world),
        *more,
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _answer(world: World, request: Request, name: str) -> Response:
    number = PATHS[name][0]
    try:
        data = _opened(world, await request.body(), number)
        rule = world.behaviour.now(name, _order_number(world, data))
        early = await _before(rule)
        if early is not None:
            return early
        try:
            told = HANDLERS[name](world, data, rule)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Refusal("PARAM_ERROR", "字段有误") from None
        late = await _after(rule)
        if late is not None:
            return late
    except Refusal as no:
        return JSONResponse(world.refusal(no.code, no.message), no.status)
    do = rule.do if rule else ""
    if do == "unsure":
        return JSONResponse(world.refusal("SYSTEM_ERROR", "系统繁忙"))
    if do == "wrong_amounts" and "fundPay" in told:
        told["fundPay"] = f"{told['fundPay'][:-2]}99"
        told["ownPayAmt"] = f"1{told['ownPayAmt']}"
    if do == "other_order":
        told["payOrdId"] = "ORDSOMEBODYELSES"
    return JSONResponse(world.letter(number, told, do if do in SPOILT else None, 600 if do == "old" else 0))


def _opened(world: World, raw: bytes, number: str) -> dict[str, Any]:
    try:
        outer = read(raw)
    except ValueError:
        raise Refusal("BAD_ENVELOPE", "不是 JSON 对象", 400) from None
    if outer.get("appId") != world.keys.app_id or outer.get("version") != "2.0.1":
        raise Refusal("APP_UNKNOWN", "appId 或 version 有误")
    data = world.wire.open(outer)
    stamp = str(outer.get("timestamp"))
    if not stamp.isdigit() or abs(world.now().timestamp() - int(stamp) / 1000) > FRESH_SECONDS:
        raise Refusal("TIMESTAMP_EXPIRED", "时间戳超出范围")
    if not world.dialect.numbered:
        if "infno" in data:
            raise Refusal("PARAM_ERROR", "报文不应再包一层")
        return data
    inner = data.get("input", {}).get("data")
    if data.get("infno") != number or len(str(data.get("msgid"))) != 30 or not isinstance(inner, dict):
        raise Refusal("PARAM_ERROR", "infno、msgid 或 input 有误")
    return inner


def _order_number(world: World, data: dict[str, Any]) -> str | None:
    order = world.books.orders.get(str(data.get("payOrdId")))
    return order.number if order else data.get("medOrgOrd")


async def _before(rule: Rule | None) -> Response | None:
    do = rule.do if rule else None
    if rule is not None and do == "slow":
        await asyncio.sleep(rule.seconds if rule.seconds is not None else 1.0)
    if rule is not None and do == "silent":
        await asyncio.sleep(rule.seconds if rule.seconds is not None else 30.0)
        do = "down"
    if do == "down":
        return HTMLResponse("<html><body>503 Service Temporarily Unavailable</body></html>", 503)
    if do == "throttle":
        return JSONResponse({"code": "FLOW_LIMIT", "message": "请求过于频繁"}, 429)
    if do == "error_before":
        return HTMLResponse("<html><body>500</body></html>", 500)
    return None


async def _after(rule: Rule | None) -> Response | None:
    do = rule.do if rule else None
    if rule is not None and do == "hang_after":
        await asyncio.sleep(rule.seconds if rule.seconds is not None else 30.0)
    if do in ("error_after", "hang_after"):
        return HTMLResponse("<html><body>500</body></html>", 500)
    return Response("{", media_type="application/json") if do == "garbage" else None


def _upload(world: World, data: dict[str, Any], _: Rule | None) -> dict[str, Any]:
    order = world.books.upload(world.keys.org_code, data)
    extra = {"mdtrtId": order.registration}
    return {"payOrdId": order.pay_order_id, "payToken": order.token, "extData": extra}


def _place(world: World, data: dict[str, Any], _: Rule | None) -> dict[str, Any]:
    return _shown(world, world.books.place(world.keys.org_code, data))


def _query(world: World, data: dict[str, Any], rule: Rule | None) -> dict[str, Any]:
    order = world.books.asked_by(world.keys.org_code, data)
    if rule is not None and rule.do == "stale" and order.before is not None:
        return world.view(order, order.before, "01")
    return _shown(world, order)


def _revoke(world: World, data: dict[str, Any], _: Rule | None) -> dict[str, Any]:
    order = world.books.revoke(world.keys.org_code, data)
    return {"payOrdId": order.pay_order_id, "success": True, "message": "撤销成功"}


def _refund(world: World, data: dict[str, Any], rule: Rule | None) -> dict[str, Any]:
    outcome = {"fail": "FAIL", "exp": "EXP"}.get(rule.do if rule else "", "SUCC")
    made = world.refund(world.keys.org_code, data, outcome)
    told = {
        "payOrdId": made.order,
        "appRefdSn": made.number,
        "refdSn": made.id,
        "refStatus": made.status,
        "totlRefdAmt": yuan(made.insurance + made.cash),
    }
    if made.status == "SUCC":
        at = made.at.astimezone(BEIJING)
        told |= {"hiFefdSn": f"HI{made.id[3:]}", "hiTrnsDate": f"{at:%Y%m%d}", "hiTrnsTime": f"{at:%H%M%S}"}
    return told


def _shown(world: World, order: Order) -> dict[str, Any]:
    return world.view(order, world.books.shown(order), "01")


def _family(world: World, data: dict[str, Any], _: Rule | None) -> dict[str, Any]:
    if data["orgCodg"] != world.keys.org_code or data["idType"] != "01" or data["payerIdType"] != "01":
        raise Refusal("PARAM_ERROR", "字段有误")
    patient = world.books.people.get(str(data["idNo"]))
    related = patient is not None and data["payerIdNo"] in patient.family
    return {"idNo": data["idNo"], "payerIdNo": data["payerIdNo"], "familyFlag": "1" if related else "0"}


HANDLERS: dict[str, Handler] = {
    "upload": _upload,
    "place": _place,
    "refund": _refund,
    "query": _query,
    "revoke": _revoke,
    "total": statement.total,
    "detail": statement.detail,
    "family": _family,
}


async def _user_query(world: World, request: Request) -> Response:
    rule = world.behaviour.now("auth")
    early = await _before(rule)
    if early is not None:
        return early
    stamp = request.headers.get("god-portal-timestamp", "")
    text = f"{world.keys.partner_id}{stamp}".encode()
    mac = hmac.new(world.keys.partner_secret.encode(), text, hashlib.sha256).hexdigest()
    given = request.headers.get("god-portal-signature", "")
    fresh = stamp.isdigit() and abs(world.now().timestamp() - int(stamp) / 1000) <= FRESH_SECONDS
    right = request.path_params["partner"] == world.keys.partner_id and hmac.compare_digest(mac, given)
    if not right or not fresh or not request.headers.get("god-portal-request-id"):
        return JSONResponse({"code": 401, "message": "签名有误"})
    try:
        asked = json.loads(await request.body())
        auth, token = world.books.resolve(str(asked["qrcode"]), str(asked["openid"]))
    except (ValueError, TypeError, KeyError):
        return JSONResponse({"code": 400, "message": "参数有误"})
    except Refusal as no:
        return JSONResponse({"code": no.code, "message": no.message})
    late = await _after(rule)
    if late is not None:
        return late
    payer = world.books.people[auth.payer]
    family = auth.payer != auth.patient
    numbers = {"family_pay_auth_no" if family else "pay_auth_no": auth.number}
    if rule is not None and rule.do in ("both", "neither"):
        names = ("pay_auth_no", "family_pay_auth_no") if rule.do == "both" else ()
        numbers = dict.fromkeys(names, auth.number)
    told = {"code": 0, "message": "成功", "user_name": payer.name, "user_card_no": payer.id_number, "ec_token": token}
    return JSONResponse({**told, **numbers})
