"""The patient's side and the puppeteer's: consenting, agreeing to pay, misfortunes, notices, the books.

========================== ====================================================================================
POST /control/consent      ``{"openid", "patient"?: identity number}`` → ``{"auth_code"}``: somebody agrees in the
                           insurance's mini-program, for themselves or (family account) for a relative
POST /control/certificate  ``{"id_number"}`` → ``{"authno", "ectoken", "idno", "username"}``: a certified terminal
                           reads somebody's e-certificate or face; good for 15 minutes and one order
POST /control/person       ``{"name", "id_number", "openid"?, "scheme"?, "account"?, "sharing"?, "family"?}`` (see
                           ``books.Person``): somebody more is insured
POST /control/order        ``{"payOrdId" | "medOrgOrd" | "auth_code" (of its consent, or ``authno``), "do"}`` moves an
                           order: ``pay`` the patient agrees, the insurance pays; ``cash`` the cash part arrived;
                           ``fail`` it fails, also after it was paid; ``inside`` settled at the window; ``reverse`` the
                           insurer takes it back; ``settling`` 2; ``abnormal`` 14
POST /control/refund       ``{"appRefdSn", "success": bool}`` decides a refund nobody knew about
POST /control/behave       a list of rules (see ``behave``) or ``{"rules": […], "reset": true}``
POST /control/notify       ``{"payOrdId", "spoil"?, "overrides"?, "url"?}`` sends a 6302 now; ``{"replay": payOrdId}``
                           sends the last genuine bytes again → ``{"status"}``
GET  /control/books        the oracle: orders, refunds, sums in fen
GET  /control/notifies     every try of every notice
========================== ====================================================================================
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.insurance.books import Order, Person
from sandbox.insurance.wire import Refusal
from sandbox.insurance.world import World


def control_routes(world: World) -> list[BaseRoute]:
    """All routes of this page."""
    control = Control(world)
    return [
        Route("/control/consent", control.consent, methods=["POST"]),
        Route("/control/certificate", control.certificate, methods=["POST"]),
        Route("/control/person", control.person, methods=["POST"]),
        Route("/control/order", control.order, methods=["POST"]),
        Route("/control/refund", control.refund, methods=["POST"]),
        Route("/control/behave", control.behave, methods=["POST"]),
        Route("/control/notify", control.notify, methods=["POST"]),
        Route("/control/books", control.books, methods=["GET"]),
        Route("/control/notifies", control.notifies, methods=["GET"]),
    ]


class Control:
    """The endpoints around one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def consent(self, request: Request) -> Response:
        """A person in the mini-program."""
        asked = await request.json()
        try:
            code = self.world.books.consent(str(asked.get("openid")), asked.get("patient"))
        except (Refusal, KeyError) as no:
            return JSONResponse({"code": no.code if isinstance(no, Refusal) else "NO_SUCH_PERSON"}, 400)
        return JSONResponse({"auth_code": code})

    async def certificate(self, request: Request) -> Response:
        """A person before a certified terminal."""
        asked = await request.json()
        whose = self.world.books.people.get(str(asked.get("id_number")))
        if whose is None:
            return JSONResponse({"code": "NO_SUCH_PERSON"}, 400)
        auth, token = self.world.books.certificate(whose.id_number)
        read = {"authno": auth.number, "ectoken": token, "idno": whose.id_number, "username": whose.name}
        return JSONResponse(read)

    async def person(self, request: Request) -> Response:
        """Somebody takes out an insurance."""
        asked: dict[str, Any] = await request.json()
        asked |= {name: tuple(asked.get(name, ())) for name in ("sharing", "family")}
        self.world.books.join(Person(**asked))
        return JSONResponse({})

    async def order(self, request: Request) -> Response:
        """Move an order."""
        asked, world = await request.json(), self.world
        order = self._order(asked)
        moves: dict[str, Callable[[Order], None]] = {
            "pay": world.pay,
            "cash": world.cash,
            "fail": world.fail,
            "inside": world.inside,
            "reverse": world.reverse,
            "settling": lambda one: world.put(one, 2),
            "abnormal": lambda one: world.put(one, 14),
        }
        if order is None or asked.get("do") not in moves:
            return JSONResponse({"code": "ORDER_NOT_EXIST" if order is None else "PARAM_ERROR"}, 400)
        try:
            moves[asked["do"]](order)
        except Refusal as no:
            return JSONResponse({"code": no.code, "status": order.status}, 409)
        return JSONResponse({"payOrdId": order.pay_order_id, "status": order.status})

    async def refund(self, request: Request) -> Response:
        """Decide an undecided refund."""
        asked = await request.json()
        made = self.world.books.refunds.get(str(asked.get("appRefdSn")))
        if made is None:
            return JSONResponse({"code": "REFUND_NOT_EXIST"}, 400)
        try:
            self.world.finish_refund(made, bool(asked.get("success")))
        except Refusal as no:
            return JSONResponse({"code": no.code}, 409)
        return JSONResponse({"status": made.status})

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
        """Send one notice now, genuine or not."""
        asked: dict[str, Any] = await request.json()
        world = self.world
        if "replay" in asked:
            try:
                return JSONResponse({"status": await world.replay(str(asked["replay"]))})
            except KeyError:
                return JSONResponse({"code": "NOTICE_NOT_SENT"}, 400)
        order = self._order(asked)
        if order is None:
            return JSONResponse({"code": "ORDER_NOT_EXIST"}, 400)
        view = world.view(order, world.books.shown(order), "02") | asked.get("overrides", {})
        return JSONResponse({"status": await world.post(view, asked.get("spoil"), asked.get("url"))})

    async def books(self, _: Request) -> Response:
        """The oracle."""
        return JSONResponse(self.world.books.dump())

    async def notifies(self, _: Request) -> Response:
        """The postman's log."""
        return JSONResponse([asdict(one) for one in self.world.tries])

    def _order(self, asked: dict[str, Any]) -> Order | None:
        orders = self.world.books.orders
        if "payOrdId" in asked:
            return orders.get(str(asked["payOrdId"]))
        if "auth_code" in asked:
            auth = self.world.books.consents.get(str(asked["auth_code"]))
            return next((o for o in orders.values() if auth is not None and o.auth == auth.number), None)
        return next((o for o in orders.values() if o.number == asked.get("medOrgOrd")), None)
