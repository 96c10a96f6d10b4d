"""The addresses of mixed payments, and what the payer's phone and the puppeteer do with them.

============================ ================================================================================
POST /control/mix/pay        ``{"openid", "params": {…}}`` → ``{"err_msg": "requestMedicalInsurancePay:ok" | ":fail" |
                             ":cancel", "reason"?}``; ``"cancel": true`` backs out; ``"preview": true`` →
                             ``{"amount", "description"}``. "ok" only means that WeChat is done
POST /control/mix/finish     ``{"out_trade_no", "success"}`` ends an insurance part that hangs
POST /control/mix/notify     ``{"out_trade_no", "spoil"?, "overrides"?, "wrong_key"?, "url"?, "event_type"?}`` sends one
                             notice, paid or not → ``{"id", "status"}``; ``/control/notify`` replays
GET  /control/mix/books      the oracle
============================ ================================================================================
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kernel.money import yuan
from sandbox.wechat_pay.mixed import MixDesk, MixOrder
from sandbox.wechat_pay.wire import Merchant, Refusal
from words import sandbox_wechat as words

SAY = "requestMedicalInsurancePay"


def mixed_control(desk: MixDesk) -> list[BaseRoute]:
    """All routes of this page."""
    control = MixControl(desk)
    return [
        Route("/control/mix/pay", control.pay, methods=["POST"]),
        Route("/control/mix/finish", control.finish, methods=["POST"]),
        Route("/control/mix/notify", control.notify, methods=["POST"]),
        Route("/control/mix/books", control.books, methods=["GET"]),
    ]


class MixControl:
    """The endpoints around one desk."""

    def __init__(self, desk: MixDesk) -> None:
        self.desk = desk

    async def pay(self, request: Request) -> Response:
        """The phone's bridge."""
        asked = await request.json()
        if asked.get("cancel"):
            return JSONResponse({"err_msg": f"{SAY}:cancel"})
        try:
            order = self.desk.ticket(asked.get("params", {}))
            if asked.get("preview"):
                return JSONResponse(self._shown(order))
            self.desk.pay(order, str(asked.get("openid")))
        except Refusal as no:
            return JSONResponse({"err_msg": f"{SAY}:fail", "reason": no.code})
        return JSONResponse({"err_msg": f"{SAY}:ok"})

    def _shown(self, order: MixOrder) -> dict[str, str]:
        paid = order.shown.get("wechat_pay_cash_fee", 0)
        insured = sum(order.shown.get(f"med_ins_{part}_fee", 0) for part in ("gov", "self", "other"))
        parts = words.MIXED.format(house=order.shown["med_inst_name"], insured=yuan(insured), paid=yuan(paid))
        return {"amount": yuan(order.shown["total_fee"]), "description": parts}

    async def finish(self, request: Request) -> Response:
        """The insurance answers at last."""
        asked = await request.json()
        order = self._order(asked)
        if order is None:
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 404)
        try:
            self.desk.finish(order, bool(asked.get("success")))
        except Refusal as no:
            return JSONResponse({"code": no.code}, 409)
        return JSONResponse({"status": self.desk.status(order)})

    async def notify(self, request: Request) -> Response:
        """Send one notice of any kind."""
        asked: dict[str, Any] = await request.json()
        order, post = self._order(asked), self.desk.world.notifier
        if order is None:
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 404)
        merchant = self.desk.world.merchants[order.mchid]
        if asked.get("wrong_key"):
            merchant = Merchant(merchant.mchid, "", merchant.public_key, "0" * 32, merchant.appids)
        content = self.desk.view(order) | asked.get("overrides", {})
        event = str(asked.get("event_type", "MEDICAL_INSURANCE.SUCCESS"))
        body = post.envelope(merchant, event, "医保混合收款成功", "medical_insurance", content)
        status = await post.post(str(asked.get("url", order.shown["callback_url"])), body, asked.get("spoil"))
        return JSONResponse({"id": body["id"], "status": status})

    async def books(self, _: Request) -> Response:
        """The oracle."""
        return JSONResponse(self.desk.dump())

    def _order(self, asked: dict[str, Any]) -> MixOrder | None:
        return next((o for o in self.desk.orders.values() if o.number == asked.get("out_trade_no")), None)
