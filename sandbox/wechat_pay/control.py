"""The payer's side and the puppeteer's: paying by bridge, the H5 cashier, scanning, misbehaviour, the books.

======================== ====================================================================================
POST /control/pay        ``{"openid", "params": {appId, timeStamp, nonceStr, package, signType, paySign}}`` →
                         ``{"err_msg": "get_brand_wcpay_request:ok" | ":fail" | ":cancel", "reason"?}``;
                         ``"cancel": true`` backs out; ``"preview": true`` → ``{"amount", "description"}``
GET  /control/bridge.js  ``?openid=`` a ``WeixinJSBridge`` for a page of this person, to be injected where the real
                         WeChat would inject its own: shows a sheet, then pays
GET  …/checkmweb         the H5 cashier page (``h5_url``; ``&redirect_url=`` leads back); POST pays
POST /control/scan       ``{"code_url", "openid"}`` pays a NATIVE order; without ``openid`` only shows it
POST /control/payer      ``{"name", "openid"}``: somebody more can pay
POST /control/code       ``{"openid"}`` → ``{"auth_code"}``: the payment code on this person's phone, good for a minute
POST /control/code/password  ``{"out_trade_no", "ok"}``: whoever is asked for the password enters it, or does not
POST /control/face       ``{"authinfo", "openid", "out_trade_no", "total_fee"}`` → ``{"face_code", "openid"}``: what the
                         SDK of a terminal that may look gets for this person's face, for this order
POST /control/behave     a list of rules (see ``behave``) or ``{"rules": […], "reset": true}``
POST /control/notify     ``{"out_trade_no", "spoil"?, "overrides"?, "wrong_key"?, "url"?, "event_type"?}`` sends one
                         notice, paid or not; ``{"replay": id}`` sends recorded bytes again → ``{"id", "status"}``
POST /control/refund     ``{"out_refund_no", "status"}`` ends a refund that is stuck
GET  /control/books      the oracle: orders, payments, refunds, sums in fen
GET  /control/notifies   every try of every notice
======================== ====================================================================================
"""

import html
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kernel.money import yuan
from sandbox.page import page
from sandbox.wechat_pay.books import Order
from sandbox.wechat_pay.notifier import transaction
from sandbox.wechat_pay.wire import Refusal
from sandbox.wechat_pay.world import World
from words import sandbox_wechat as words

_BRIDGE = Path(__file__).with_name("bridge.js")
_SAY = {
    "BANK_DECLINED": words.DECLINED,
    "PREPAY_EXPIRED": words.LINK_DEAD,
    "ORDERPAID": words.ALREADY_PAID,
    "ORDER_CLOSED": words.CLOSED,
}


def control_routes(world: World) -> list[BaseRoute]:
    """All routes of this page."""
    control = Control(world)
    return [
        Route("/control/pay", control.pay, methods=["POST"]),
        Route("/control/bridge.js", control.bridge, methods=["GET"]),
        Route("/control/scan", control.scan, methods=["POST"]),
        Route("/control/payer", control.payer, methods=["POST"]),
        Route("/control/code", control.code, methods=["POST"]),
        Route("/control/face", control.face, methods=["POST"]),
        Route("/control/code/password", control.password, methods=["POST"]),
        Route("/control/behave", control.behave, methods=["POST"]),
        Route("/control/notify", control.notify, methods=["POST"]),
        Route("/control/refund", control.refund, methods=["POST"]),
        Route("/control/books", control.books, methods=["GET"]),
        Route("/control/notifies", control.notifies, methods=["GET"]),
        Route("/cgi-bin/mmpayweb-bin/checkmweb", control.cashier, methods=["GET", "POST"]),
    ]


def bridge_script(base: str, openid: str) -> str:
    """A ``WeixinJSBridge`` of one person; ``base`` is where the page reaches our ``/control/pay``."""
    say = {"title": words.CASHIER, "pay": words.PAY, "leave": words.LEAVE, "note": words.CASHIER_NOTE}
    script = _BRIDGE.read_text("utf-8")
    for place, value in {"{{base}}": base, "{{openid}}": openid, "{{words}}": say}.items():
        script = script.replace(place, json.dumps(value, ensure_ascii=False))
    return script


class Control:
    """The endpoints around one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def pay(self, request: Request) -> Response:
        """The phone's bridge."""
        asked = await request.json()
        if asked.get("cancel"):
            return JSONResponse({"err_msg": "get_brand_wcpay_request:cancel"})
        try:
            if asked.get("preview"):
                order = self.world.ticket(asked.get("params", {}))
                return JSONResponse({"amount": yuan(order.total), "description": order.description})
            self.world.pay_by_bridge(asked.get("params", {}), str(asked.get("openid")))
        except Refusal as no:
            return JSONResponse({"err_msg": "get_brand_wcpay_request:fail", "reason": no.code})
        return JSONResponse({"err_msg": "get_brand_wcpay_request:ok"})

    async def bridge(self, request: Request) -> Response:
        """The script the made-up WeChat injects."""
        base = f"{request.url.scheme}://{request.headers.get('host', '')}"
        script = bridge_script(base, request.query_params.get("openid", ""))
        return Response(script, media_type="text/javascript; charset=utf-8")

    async def scan(self, request: Request) -> Response:
        """The phone's camera on a desk screen."""
        asked = await request.json()
        order = self.world.books.by_link(str(asked.get("code_url", "")).partition("?pr=")[2])
        if order is None or order.trade_type != "NATIVE":
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 404)
        shown = {"description": order.description, "total": order.total, "mchid": order.mchid}
        if "openid" not in asked:
            return JSONResponse(shown)
        try:
            self.world.take(order, str(asked["openid"]))
        except Refusal as no:
            return JSONResponse({"code": no.code}, no.status)
        return JSONResponse({**shown, "code": "OK"})

    async def payer(self, request: Request) -> Response:
        """Somebody's WeChat gets a purse."""
        asked = await request.json()
        self.world.join(str(asked["name"]), str(asked["openid"]))
        return JSONResponse({})

    async def code(self, request: Request) -> Response:
        """A phone shows its payment code."""
        asked = await request.json()
        try:
            return JSONResponse({"auth_code": self.world.show_code(str(asked.get("openid")))})
        except Refusal as no:
            return JSONResponse({"code": no.code}, no.status)

    async def face(self, request: Request) -> Response:
        """A terminal looks at a face."""
        asked = await request.json()
        openid, number = str(asked.get("openid")), str(asked.get("out_trade_no"))
        if not any(openid in payer.openids.values() for payer in self.world.payers):
            return JSONResponse({"code": "NO_SUCH_PAYER"}, 404)
        try:
            total, now = int(asked.get("total_fee", 0)), self.world.now()
            code = self.world.faces.look(str(asked.get("authinfo")), openid, number, total, now)
        except Refusal as no:
            return JSONResponse({"code": no.code}, no.status)
        return JSONResponse({"face_code": code, "openid": openid})

    async def password(self, request: Request) -> Response:
        """The payer types it, or gives up."""
        asked = await request.json()
        order = next((o for o in self.world.books.orders.values() if o.out_trade_no == asked.get("out_trade_no")), None)
        if order is None or order.state != "USERPAYING":
            return JSONResponse({"code": "ORDER_STATUS"}, 409)
        if asked.get("ok", True):
            self.world.books.enter_password(order, self.world.now())
        else:
            order.state, order.payer = "PAYERROR", None
        return JSONResponse({"trade_state": order.state})

    async def behave(self, request: Request) -> Response:
        """Add rules, or behave again."""
        asked = await request.json()
        rules = asked if isinstance(asked, list) else asked.get("rules", [])
        if isinstance(asked, dict) and asked.get("reset"):
            self.world.behaviour.forget()
        try:
            self.world.behaviour.plan(rules)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"rules": len(self.world.behaviour.rules)})

    async def notify(self, request: Request) -> Response:
        """Send one notice of any kind, or an old one again."""
        asked: dict[str, Any] = await request.json()
        post = self.world.notifier
        if "replay" in asked:
            if asked["replay"] not in post.sent:
                return JSONResponse({"code": "NOTICE_NOT_SENT"}, 404)
            return JSONResponse({"id": asked["replay"], "status": await post.replay(asked["replay"])})
        order = next((o for o in self.world.books.orders.values() if o.out_trade_no == asked.get("out_trade_no")), None)
        if order is None:
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 404)
        merchant = self.world.merchants[order.mchid]
        if asked.get("wrong_key"):
            merchant = type(merchant)(merchant.mchid, "", merchant.public_key, "0" * 32, merchant.appids)
        content = _merged(transaction(order), asked.get("overrides", {}))
        event = str(asked.get("event_type", "TRANSACTION.SUCCESS"))
        body = post.envelope(merchant, event, "支付成功", "transaction", content)
        status = await post.post(str(asked.get("url", order.notify_url)), body, asked.get("spoil"))
        return JSONResponse({"id": body["id"], "status": status})

    async def refund(self, request: Request) -> Response:
        """End a stuck refund."""
        asked = await request.json()
        refund = next(
            (r for r in self.world.books.refunds.values() if r.out_refund_no == asked.get("out_refund_no")), None
        )
        if refund is None or asked.get("status") not in ("SUCCESS", "ABNORMAL", "CLOSED"):
            return JSONResponse({"code": "PARAM_ERROR"}, 400)
        self.world.finish_refund(self.world.merchants[refund.mchid], refund, asked["status"])
        return JSONResponse({"status": refund.status})

    async def books(self, _: Request) -> Response:
        """The oracle."""
        return Response(json.dumps(self.world.books.dump(), ensure_ascii=False), media_type="application/json")

    async def notifies(self, _: Request) -> Response:
        """The postman's log."""
        return JSONResponse(self.world.notifier.dump())

    async def cashier(self, request: Request) -> Response:
        """The page an H5 payer sees."""
        order = self.world.books.by_link(request.query_params.get("package", ""))
        if order is None or order.trade_type != "MWEB" or order.prepay_id != request.query_params.get("prepay_id"):
            return self._say(words.LINK_DEAD, None, 404)
        back = request.query_params.get("redirect_url")
        if back is not None and urlsplit(back).scheme not in ("http", "https"):
            back = None
        if request.method == "GET":
            if self.world.require_referer and not request.headers.get("referer"):
                return self._say(words.LINK_DEAD, None, 403)
            return HTMLResponse(self._till(order, back))
        openid = str((await request.form()).get("openid"))
        try:
            self.world.take(order, openid)
        except Refusal as no:
            return self._say(_SAY.get(no.code, words.LINK_DEAD), back, no.status)
        return self._say(f"{words.PAID.format(amount=yuan(order.total))}{words.PAID_NEXT}", back)

    def _till(self, order: Order, back: str | None) -> str:
        choices = "".join(
            f'<option value="{html.escape(p.openids[order.appid])}">{html.escape(p.name)}</option>'
            for p in self.world.payers
            if order.appid in p.openids
        )
        leave = f'<a class="plain" href="{html.escape(back)}">{words.LEAVE}</a>' if back else ""
        return page(
            words.CASHIER,
            f'<p class="amount">¥{yuan(order.total)}</p><p>{words.PAYEE}：{html.escape(order.description)}</p>'
            f'<form method="post"><label>{words.WHO_PAYS} <select name="openid">{choices}</select></label>'
            f"<button>{words.PAY}</button></form>{leave}<p class='note'>{words.CASHIER_NOTE}</p>",
        )

    def _say(self, text: str, back: str | None, status: int = 200) -> Response:
        link = f'<a class="button" href="{html.escape(back)}">{words.BACK}</a>' if back else ""
        return HTMLResponse(page(words.CASHIER, f"<p>{text}</p>{link}"), status)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
