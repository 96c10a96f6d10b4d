"""Where a payer signs a deduction contract, and what the puppeteer may do with contracts and charges.

======================== ====================================================================================
GET  /papay/entrustweb   the page a merchant sends a payer to; POST with ``openid`` signs
POST /control/contract   ``{"url", "openid"}`` signs as that page does; ``{"openid", "end": true}``: this person ends
                         every contract in WeChat's own settings → ``{"contracts": n}``
POST /control/deduct     ``{"out_trade_no", "ok"}`` decides a charge that is stuck
GET  /control/contracts  every contract
======================== ====================================================================================
"""

import html
from dataclasses import asdict
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.page import page
from sandbox.wechat_pay import papay_calls
from sandbox.wechat_pay.wire import Refusal
from sandbox.wechat_pay.world import World
from words import sandbox_wechat as words


def papay_routes(world: World) -> list[BaseRoute]:
    """All routes of this page."""
    desk = _Desk(world)
    return [
        Route("/papay/entrustweb", desk.page, methods=["GET", "POST"]),
        Route("/control/contract", desk.contract, methods=["POST"]),
        Route("/control/deduct", desk.deduct, methods=["POST"]),
        Route("/control/contracts", desk.contracts, methods=["GET"]),
    ]


class _Desk:
    def __init__(self, world: World) -> None:
        self.world = world

    async def page(self, request: Request) -> Response:
        """WeChat's page: who asks, and a button."""
        given = dict(request.query_params)
        try:
            merchant = self.world.papay.asked(self.world.merchants, given, self.world.wall())
            if request.method == "POST":
                self.world.papay.sign(merchant, given, str((await request.form()).get("openid")))
                return HTMLResponse(page(words.ENTRUST, f"<p>{words.ENTRUSTED}</p>"))
        except Refusal as no:
            return HTMLResponse(page(words.ENTRUST, f"<p>{html.escape(no.message)}</p>"), no.status)
        names = "".join(
            f'<option value="{html.escape(p.openids[given["appid"]], quote=True)}">{html.escape(p.name)}</option>'
            for p in self.world.payers
            if given["appid"] in p.openids
        )
        form = (
            f'<form method="post"><label>{words.WHO_PAYS} <select name="openid">{names}</select></label>'
            f"<button>{words.ENTRUST_YES}</button></form>"
        )
        says = f"<p>{words.ENTRUST_SAYS}</p><p>{html.escape(given['contract_display_account'])}</p>"
        return HTMLResponse(page(words.ENTRUST, f'{says}{form}<p class="note">{words.CASHIER_NOTE}</p>'))

    async def contract(self, request: Request) -> Response:
        """Sign, or end all of one's own."""
        asked, papay_ = await request.json(), self.world.papay
        if asked.get("end"):
            mine = [c for c in papay_.contracts.values() if c.openid == asked["openid"] and c.state == "0"]
            for one in mine:
                papay_.end(self.world.merchants[one.mchid], one, "2")
            return JSONResponse({"contracts": len(mine)})
        given = dict(parse_qsl(urlsplit(asked["url"]).query))
        try:
            merchant = papay_.asked(self.world.merchants, given, self.world.wall())
            made = papay_.sign(merchant, given, str(asked["openid"]))
        except Refusal as no:
            return JSONResponse({"code": no.code}, no.status)
        return JSONResponse({"contract_id": made.contract_id})

    async def deduct(self, request: Request) -> Response:
        """Decide what is stuck."""
        asked = await request.json()
        order = next((o for o in self.world.books.orders.values() if o.out_trade_no == asked.get("out_trade_no")), None)
        standing = [c for c in self.world.papay.contracts.values() if order and c.openid == _payer(order.request)]
        if order is None or not standing:
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 404)
        papay_calls.finish(
            self.world, self.world.merchants[order.mchid], order, standing[-1], ok=bool(asked.get("ok", True))
        )
        return JSONResponse({"trade_state": order.state})

    async def contracts(self, _: Request) -> Response:
        """The oracle."""
        rows = [
            {**asdict(c), "signed": c.signed.isoformat(), "ended": str(c.ended)}
            for c in self.world.papay.contracts.values()
        ]
        return JSONResponse(rows)


def _payer(request: dict[str, object]) -> object:
    payer = request.get("payer")
    return payer.get("openid") if isinstance(payer, dict) else None
