"""The APIv2 address of the sandbox's WeChat Pay, for faces and contracts: XML both ways, behind TLS.

The handshake asks everybody for a certificate; only the undoing insists on one, and on the merchant's own. Real answers
come with status 200 whatever they say; a request whose signature does not hold gets ``return_code`` FAIL, unsigned.
"""

import asyncio
import hmac
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.wechat_pay import papay_calls
from sandbox.wechat_pay.behave import Rule
from sandbox.wechat_pay.books import BEIJING, Order
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.wire import Fields, Merchant, Refusal, nonce, sign_fields, xml_of
from sandbox.wechat_pay.world import World

_SPELT = {"ORDER_NOT_EXIST": "ORDERNOTEXIST", "ORDER_CLOSED": "ORDERCLOSED", "SYSTEM_ERROR": "SYSTEMERROR"}
_SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
Handler = Callable[[World, Merchant, Fields], Fields]


class Unsigned(Exception):
    """The request is not believed: ``return_code`` FAIL."""


def build(world: World) -> Starlette:
    """The server; it wants a listener that speaks TLS and says who shook hands (``sandbox.tls``)."""

    def route(path: str, name: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answer(world, request, name, handler)

        return Route(path, endpoint, methods=["POST"])

    async def reverse(request: Request) -> Response:
        shown = request.scope.get("extensions", {}).get("tls", {}).get("client_cert")
        if not shown:
            return HTMLResponse(
                "<html><head><title>400 No required SSL certificate was sent</title></head></html>", 400
            )
        return await _answer(world, request, "face_reverse", _reverse, shown)

    return Starlette(
        routes=[
            route("/face/get_wxpayface_authinfo", "face_terminal", _terminal),
            route("/pay/facepay", "face", _charge),
            route("/pay/facepayquery", "face_query", _query),
            Route("/secapi/pay/facepayreverse", reverse, methods=["POST"]),
            *(route(path, name, handler) for path, name, handler in papay_calls.ROUTES),
        ]
    )


def _read(body: bytes) -> Fields:
    if b"<!" in body.replace(b"<![CDATA[", b""):
        raise Unsigned("XML格式错误")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - no declaration gets this far
    except ElementTree.ParseError:
        raise Unsigned("XML格式错误") from None
    if root.tag != "xml" or any(len(child) for child in root):
        raise Unsigned("XML格式错误")
    return {child.tag: child.text or "" for child in root}


def _believed(world: World, body: bytes) -> tuple[Merchant, Fields]:
    asked = _read(body)
    merchant = world.merchants.get(asked.get("mch_id", ""))
    if merchant is None or not merchant.apiv2_key:
        raise Unsigned("商户号mch_id不存在")
    if asked.get("appid") not in merchant.appids:
        raise Unsigned("appid和mch_id不匹配")
    if asked.get("sign_type", "MD5") not in ("MD5", "HMAC-SHA256"):
        raise Unsigned("sign_type参数有误")
    if not hmac.compare_digest(sign_fields(asked, merchant.apiv2_key), asked.get("sign", "")):
        raise Unsigned("签名错误")
    # Asking about a contract carries none.
    if "version" not in asked and not re.fullmatch(r"[A-Za-z0-9]{1,32}", asked.get("nonce_str", "")):
        raise Unsigned("nonce_str参数有误")
    return merchant, asked


async def _answer(world: World, request: Request, name: str, handler: Handler, shown: bytes | None = None) -> Response:
    try:
        merchant, asked = _believed(world, await request.body())
    except Unsigned as no:
        return _fail(str(no))
    if shown is not None and not _belongs(shown, merchant):
        return _fail("证书与商户号不匹配")
    amount = int(asked["total_fee"]) if asked.get("total_fee", "").isdigit() else None
    rule = world.behaviour.now(name, asked.get("out_trade_no"), amount)
    do = rule.do if rule else None
    if do == "fail":
        return _fail("系统繁忙")
    try:
        told = await _done(rule, lambda: handler(world, merchant, asked))
    except Refusal as no:
        told = {"result_code": "FAIL", "err_code": _SPELT.get(no.code, no.code), "err_code_des": no.message}
    return _told(merchant, asked, told, do)


async def _done(rule: Rule | None, handle: Callable[[], Fields]) -> Fields:
    """Do what was asked, as well as the rule lets us."""
    do = rule.do if rule else None
    pause = rule.seconds if rule is not None else None
    if do == "recall":
        return {"result_code": "FAIL", "err_code": "SYSTEMERROR", "recall": "Y"}
    if do == "error_before":
        raise Refusal(200, "SYSTEMERROR", "接口返回错误")
    if do == "throttle":
        raise Refusal(200, "FREQUENCY_LIMITED", "频率限制")
    if do == "slow":
        await asyncio.sleep(1.0 if pause is None else pause)
    told = handle()
    if do == "hang_after":
        await asyncio.sleep(30.0 if pause is None else pause)
    if do in ("error_after", "hang_after"):
        raise Refusal(200, "SYSTEMERROR", "接口返回错误")
    return {"result_code": "SUCCESS", **told}


def _told(merchant: Merchant, asked: Fields, told: Fields, spoil: str | None) -> Response:
    head = {"return_code": "SUCCESS", "return_msg": "OK", "appid": asked["appid"], "mch_id": merchant.mchid}
    told = {name: value for name, value in told.items() if value}
    fields = {
        **head,
        "nonce_str": nonce(32),
        **({"sign_type": asked["sign_type"]} if "sign_type" in asked else {}),
        **told,
    }
    if spoil != "unsigned":
        fields["sign"] = "0" * 64 if spoil == "bad_signature" else sign_fields(fields, merchant.apiv2_key)
    return Response(xml_of(fields), media_type="text/plain")


def _fail(why: str) -> Response:
    return Response(xml_of({"return_code": "FAIL", "return_msg": why}), media_type="text/plain")


def _belongs(shown: bytes, merchant: Merchant) -> bool:
    theirs = x509.load_der_x509_certificate(shown).public_key()
    return theirs.public_bytes(*_SPKI) == merchant.key.public_bytes(*_SPKI)


def _needs(asked: Fields, *names: str) -> None:
    missing = [name for name in names if not asked.get(name)]
    if missing:
        raise Refusal(200, "LACK_PARAMS", f"缺少参数{missing[0]}")


def _terminal(world: World, _: Merchant, asked: Fields) -> Fields:
    _needs(asked, "rawdata", "store_id", "store_name", "device_id", "now", "version")
    if not asked["now"].isdigit() or abs(world.wall() - int(asked["now"])) > 300 or asked["version"] != "1":
        raise Refusal(200, "PARAM_ERROR", "now 或 version 有误")
    return {"authinfo": world.faces.permit(world.now()), "expires_in": "3600"}


def _charge(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "body", "out_trade_no", "total_fee", "fee_type", "spbill_create_ip", "openid", "face_code")
    if not re.fullmatch(r"[1-9][0-9]{0,9}", asked["total_fee"]) or asked["fee_type"] != "CNY":
        raise Refusal(200, "PARAM_ERROR", "total_fee 必须是大于 0 的整数分")
    if len(asked["body"].encode()) > 128:
        raise Refusal(200, "PARAM_ERROR", "body 过长")
    data: dict[str, Any] = {
        "mchid": merchant.mchid,
        "appid": asked["appid"],
        "out_trade_no": asked["out_trade_no"],
        "description": asked["body"],
        "attach": asked.get("attach", ""),
        "amount": {"total": int(asked["total_fee"]), "currency": "CNY"},
        "payer": {"openid": asked["openid"], "face_code": asked["face_code"]},
        "scene_info": {"device_id": asked.get("device_info", "")},
    }
    order = world.charge_face(merchant, data)
    if order.state == "USERPAYING":
        raise Refusal(200, "USERPAYING", "需要用户输入支付密码")
    return _shown(order)


def _query(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "out_trade_no")
    order = world.books.order(merchant.mchid, asked["out_trade_no"], world.now())
    if order.trade_type != "FACEPAY":
        raise Refusal(200, "ORDER_NOT_EXIST", "订单不存在")
    words = {"trade_state": order.state, "trade_state_desc": transaction(order)["trade_state_desc"]}
    return {**_shown(order), **words}


def _reverse(world: World, merchant: Merchant, asked: Fields) -> Fields:
    _needs(asked, "out_trade_no")
    world.books.reverse(merchant.mchid, asked["out_trade_no"], world.now(), "FACEPAY")
    return {"recall": "N"}


def _shown(order: Order) -> Fields:
    shown = {"out_trade_no": order.out_trade_no, "attach": order.attach, "device_info": order.device}
    if order.paid_at is None:
        return shown
    return shown | {
        "openid": order.payer or "",
        "is_subscribe": "N",
        "trade_type": order.trade_type,
        "bank_type": "OTHERS",
        "fee_type": "CNY",
        "total_fee": str(order.total),
        "cash_fee": str(order.total),
        "transaction_id": order.transaction_id or "",
        "time_end": order.paid_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
    }
