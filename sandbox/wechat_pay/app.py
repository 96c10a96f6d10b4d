"""The APIv3 address of the sandbox's WeChat Pay: what a merchant's server calls, signed both ways."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.wechat_pay import bills
from sandbox.wechat_pay.books import Refund, rfc3339
from sandbox.wechat_pay.control import control_routes
from sandbox.wechat_pay.mixed import MixDesk
from sandbox.wechat_pay.mixed_app import mixed_control
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.papay_app import papay_routes
from sandbox.wechat_pay.wire import Merchant, Refusal, nonce
from sandbox.wechat_pay.world import World


@dataclass(slots=True)
class Call:
    """One authorised request."""

    merchant: Merchant
    request: Request
    data: dict[str, Any]

    @property
    def base(self) -> str:
        """Our own address, as the caller reached it."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    @property
    def number(self) -> str | None:
        """The merchant's order number, wherever it stands."""
        found = self.request.path_params.get("out_trade_no") or self.data.get("out_trade_no")
        return found if isinstance(found, str) else None

    @property
    def amount(self) -> int | None:
        """The amount asked for, if any."""
        amount = self.data.get("amount")
        found = self.data.get("total_fee")
        if isinstance(amount, dict):
            found = amount.get("refund", amount.get("total"))
        return found if isinstance(found, int) else None


Handler = Callable[[World, Call], dict[str, Any] | None]


def build(world: World, more: tuple[BaseRoute, ...] = (), mixed: MixDesk | None = None) -> Starlette:
    """The server; ``mixed`` for a platform that also serves the insurance.

    Mounted inside another app its lifespan does not run: call ``world.notifier.stop()`` at the end.
    """

    def route(path: str, method: str, name: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answer(world, request, name, handler)

        return Route(path, endpoint, methods=[method])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.notifier.stop()

    async def download(request: Request) -> Response:
        return _download(world, request)

    pay = "/v3/pay/transactions"
    routes: list[BaseRoute] = [
        route(f"{pay}/out-trade-no/{{out_trade_no}}", "GET", "query", _query),
        route(f"{pay}/id/{{transaction_id}}", "GET", "query", _query_by_id),
        route(f"{pay}/out-trade-no/{{out_trade_no}}/close", "POST", "close", _close),
        route(f"{pay}/out-trade-no/{{out_trade_no}}/reverse", "POST", "reverse", _reverse),
        route(f"{pay}/codepay", "POST", "code", _charge_code),
        route(f"{pay}/{{kind}}", "POST", "create", _create),
        route("/v3/refund/domestic/refunds", "POST", "refund", _refund),
        route("/v3/refund/domestic/refunds/{out_refund_no}", "GET", "query_refund", _query_refund),
        route("/v3/bill/tradebill", "GET", "bill", _bill),
        Route("/v3/billdownload/file", download, methods=["GET"]),
        *control_routes(world),
        *papay_routes(world),
        *more,
    ]
    if mixed is not None:
        routes += [*(route(*one) for one in _mixed_routes(mixed)), *mixed_control(mixed)]
    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    return Starlette(routes=routes, middleware=[cors], lifespan=lifespan)


async def _authorised(world: World, request: Request) -> Call:
    body = await request.body()
    target = request.scope["raw_path"].decode().partition("?")[0]
    if request.url.query:
        target += "?" + request.url.query
    headers = dict(request.headers)
    merchant = world.wire.authorize(world.merchants, headers, request.method, target, body, world.wall())
    try:
        data = json.loads(body) if body else {}
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Refusal(400, "PARAM_ERROR", "请求体不是 JSON 对象")
    if request.method == "POST" and "application/json" not in request.headers.get("content-type", ""):
        raise Refusal(415, "PARAM_ERROR", "Content-Type 有误")
    return Call(merchant, request, data)


async def _answer(world: World, request: Request, name: str, handler: Handler) -> Response:
    try:
        call = await _authorised(world, request)
        rule = world.behaviour.now(name, call.number, call.amount)
        do = rule.do if rule else None
        if do == "error_before":
            raise Refusal(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
        if do == "throttle":
            raise Refusal(429, "FREQUENCY_LIMITED", "频率限制，请降低请求频率")
        if do == "password_entered":
            raise Refusal(400, "INVALID_REQUEST", "已完成验密，不允许关单", 268560650)
        if rule is not None and do == "slow":
            await asyncio.sleep(rule.seconds if rule.seconds is not None else 1.0)
        content = handler(world, call)
        if rule is not None and do == "hang_after":
            await asyncio.sleep(rule.seconds if rule.seconds is not None else 30.0)
        if do in ("error_after", "hang_after"):
            raise Refusal(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
    except Refusal as no:
        return _refused(no)
    # Compact and unescaped, as the platform writes it: the merchant must verify the bytes, not its own re-dump.
    body = b"" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    signature = world.wire.sign(body, world.wall(), do)
    headers = {"Request-ID": f"08{nonce(30)}-0", **signature}
    if content is None:
        return Response(status_code=204, headers=headers)
    return Response(body, headers=headers, media_type="application/json; charset=utf-8")


def _refused(no: Refusal) -> Response:
    body = json.dumps({"code": no.code, "message": no.message}, ensure_ascii=False)
    headers = {"Request-ID": f"08{nonce(30)}-{no.number}"}
    return Response(body, no.status, headers, media_type="application/json; charset=utf-8")


def _create(world: World, call: Call) -> dict[str, Any]:
    kind = call.request.path_params["kind"]
    if kind not in ("jsapi", "h5", "native"):
        raise Refusal(404, "RESOURCE_NOT_EXISTS", "没有这个接口")
    openid = call.data.get("payer", {}).get("openid")
    if kind == "jsapi" and isinstance(openid, str) and not world.knows(call.data.get("appid", ""), openid):
        raise Refusal(400, "PARAM_ERROR", "无效的 openid，或 appid 与 openid 不匹配")
    order = world.books.create(call.merchant, kind, call.data, world.now())
    if kind == "jsapi":
        return {"prepay_id": order.prepay_id}
    if kind == "native":
        return {"code_url": f"weixin://wxpay/bizpayurl?pr={order.link}"}
    return {"h5_url": f"{call.base}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={order.prepay_id}&package={order.link}"}


def _charge_code(world: World, call: Call) -> dict[str, Any]:
    order = world.charge_code(call.merchant, call.data)
    # While the payer types, the real one says no more than this.
    return {"trade_state": order.state} if order.state == "USERPAYING" else transaction(order)


def _reverse(world: World, call: Call) -> dict[str, Any]:
    _same_merchant(call, call.data.get("mchid"))
    number = call.request.path_params["out_trade_no"]
    world.books.reverse(call.merchant.mchid, number, world.now())
    return {"appid": call.data.get("appid"), "mchid": call.merchant.mchid, "out_trade_no": number}


def _mixed_routes(desk: MixDesk) -> list[tuple[str, str, str, Handler]]:
    orders = "/v3/med-ins/orders"

    def create(_: World, call: Call) -> dict[str, Any]:
        serial = call.request.headers.get("wechatpay-serial")
        return desk.view(desk.create(call.merchant, call.data, serial))

    def query(_: World, call: Call) -> dict[str, Any]:
        given = call.request.path_params
        if "mix_trade_no" in given:
            return desk.view(desk.find(call.merchant.mchid, lambda o: o.mix_trade_no == given["mix_trade_no"]))
        return desk.view(desk.find(call.merchant.mchid, lambda o: o.number == given["out_trade_no"]))

    def report(_: World, call: Call) -> None:
        desk.report(call.merchant, call.request.query_params.get("mix_trade_no", ""), call.data)

    return [
        (orders, "POST", "mix_create", create),
        (f"{orders}/out-trade-no/{{out_trade_no}}", "GET", "mix_query", query),
        (f"{orders}/mix-trade-no/{{mix_trade_no}}", "GET", "mix_query", query),
        ("/v3/med-ins/refunds/notify", "POST", "mix_report", report),
    ]


def _query(world: World, call: Call) -> dict[str, Any]:
    _same_merchant(call, call.request.query_params.get("mchid"))
    return transaction(world.books.order(call.merchant.mchid, call.request.path_params["out_trade_no"], world.now()))


def _query_by_id(world: World, call: Call) -> dict[str, Any]:
    _same_merchant(call, call.request.query_params.get("mchid"))
    return transaction(world.books.by_transaction(call.merchant.mchid, call.request.path_params["transaction_id"]))


def _close(world: World, call: Call) -> None:
    _same_merchant(call, call.data.get("mchid"))
    world.books.close(call.merchant.mchid, call.request.path_params["out_trade_no"], world.now())


def _refund(world: World, call: Call) -> dict[str, Any]:
    return refund_view(world.begin_refund(call.merchant, call.data))


def _query_refund(world: World, call: Call) -> dict[str, Any]:
    return refund_view(world.books.find_refund(call.merchant.mchid, call.request.path_params["out_refund_no"]))


def _same_merchant(call: Call, mchid: object) -> None:
    if mchid != call.merchant.mchid:
        raise Refusal(400, "PARAM_ERROR", "mchid 与签名的商户号不一致")


def refund_view(refund: Refund) -> dict[str, Any]:
    """A refund as the refund calls show it."""
    shown: dict[str, Any] = {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": refund.transaction_id,
        "out_trade_no": refund.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(refund.created),
        "status": refund.status,
        "amount": {
            "total": refund.total,
            "refund": refund.amount,
            "payer_total": refund.total,
            "payer_refund": refund.amount,
            "settlement_refund": refund.amount,
            "settlement_total": refund.total,
            "discount_refund": 0,
            "currency": "CNY",
        },
    }
    if refund.done_at is not None:
        shown["success_time"] = rfc3339(refund.done_at)
    return shown


def _bill(world: World, call: Call) -> dict[str, Any]:
    asked = call.request.query_params
    if asked.get("bill_type", "ALL") != "ALL" or asked.get("tar_type") != "GZIP":
        raise Refusal(400, "PARAM_ERROR", "只提供 ALL 和 GZIP")
    try:
        day = date.fromisoformat(asked.get("bill_date", ""))
    except ValueError:
        raise Refusal(400, "PARAM_ERROR", "bill_date 有误") from None
    over = world.behaviour.now("day") is not None
    lines = bills.rows(world.books, call.merchant.mchid, day, world.now(), over=over)

    def how(number: str) -> str | None:
        rule = world.behaviour.now("rows", number)
        return rule.do if rule else None

    content, digest = bills.packed(bills.spoilt(lines, how))
    token = nonce(40)
    world.files[token] = (call.merchant.mchid, content)
    return {
        "hash_type": "SHA1",
        "hash_value": digest,
        "download_url": f"{call.base}/v3/billdownload/file?token={token}",
    }


def _download(world: World, request: Request) -> Response:
    target = f"{request.scope['raw_path'].decode().partition('?')[0]}?{request.url.query}"
    try:
        merchant = world.wire.authorize(world.merchants, dict(request.headers), "GET", target, b"", world.wall())
        owner, content = world.files.get(request.query_params.get("token", ""), ("", b""))
        if owner != merchant.mchid:
            raise Refusal(404, "RESOURCE_NOT_EXISTS", "文件不存在")
    except Refusal as no:
        return _refused(no)
    return Response(content, media_type="application/x-gzip")
