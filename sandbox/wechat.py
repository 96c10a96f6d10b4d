"""WeChat on loopback: logging in by tapping a name, tokens that rotate, a message box for every person.

``build(World(...))`` is the ASGI app. Real paths and error codes of the official account and the mini-program: OAuth
(codes live five minutes and work once), plain token (a new one kills the old), stable token (repeated calls do not
rotate it), JS ticket, template messages, ``jscode2session``. Beside them:

============================ ==================================================================================
GET  /control/inbox/{openid} the messages this person received, oldest first, each with ``said``, as the phone shows it
POST /control/ask            ``{"openid", "template_id", "times"}``: the person lets us send subscription notices
POST /control/receipts       the receipts since the last call, as XML events in clear: ``[{"openid", "xml"}]``
POST /control/js_code        ``{"openid"}`` of the mini-program → ``{"code"}``, what ``wx.login`` would give
POST /control/jssdk          ``{"url", "timestamp", "nonceStr", "signature"}`` → ``{"ok"}``, as ``wx.config`` checks
POST /control/behave         ``{"kill_tokens": true}`` all tokens die now; ``{"stale_always": bool}``;
                             ``{"fail_next": n, "status": 500}``; ``{"errcode_next": 45009}``; ``{"slow": seconds}``
                             for the next call; ``{"slow_after": seconds}`` takes it first; ``{"quota": n}`` messages
                             a day; ``{"lose_next": n}`` messages are taken and never reach the phone;
                             ``{"push": how}`` spoils the next message (``wechat_account``)
POST /control/follow         ``{"openid", "follows": bool}``; the account's server is told
POST /control/scan           ``{"openid", "text"}``: what a code says → ``{"open": url}`` or ``{"seen", "reply"}``
POST /control/say            ``{"openid", "text"}``; POST /control/tap ``{"openid", "button": 0}``: of the menu
GET  /control/talk/{openid}  the conversation with the account
GET  /account                the same for people: follow, scan, tap, write (``?person=``)
POST /control/person         ``{"name", "openid"}``: somebody more has WeChat
============================ ==================================================================================
"""

import asyncio
import hashlib
import html
import io
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import qrcode
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import wechat_hand as hand
from sandbox.page import page
from sandbox.wechat_account import Account, Refused
from sandbox.wechat_letters import Server
from words import sandbox_wechat as words

CODE_LIFE = timedelta(minutes=5)
TOKEN_LIFE = timedelta(seconds=7200)
SAME_WITHIN = timedelta(minutes=10)  # a second message of the same client_msg_id is not shown
COOKIE = "sandbox_person"
RECEIPT = (
    "<xml><ToUserName><![CDATA[gh_sandbox]]></ToUserName><FromUserName><![CDATA[{}]]></FromUserName>"
    "<CreateTime>{}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event>"
    "<MsgID>{}</MsgID><Status><![CDATA[{}]]></Status></xml>"
)


@dataclass(slots=True)
class Person:
    """Somebody with a phone: one openid per app, following the account or not."""

    name: str
    openid: str
    mini_openid: str | None = None
    unionid: str | None = None
    follows: bool = True


@dataclass(frozen=True, slots=True)
class App:
    """An official account or mini-program and its secret."""

    appid: str
    secret: str


@dataclass(slots=True)
class Code:
    """A login code on its way."""

    appid: str
    openid: str
    scope: str
    until: datetime
    used: bool = False


@dataclass(slots=True)
class Token:
    """An access token or ticket in force."""

    value: str
    until: datetime


@dataclass(slots=True)
class World:
    """The state behind one server.

    Args:
        account: the official account; mini: the mini-program.
        persons: who can log in.
        now: the world's clock, for the life of codes and tokens.
        redirect_hosts: hosts registered for web login (``host`` or ``host:port``); None lets every host pass.
        templates: approved template ids; None approves all.
        server: where the account's messages go.
        at_home: who is holding the phone, by the host the login returns to (``mother.houfu.localhost`` → openid), so
            that frames of several people on one stage do not share a WeChat.
    """

    account: App
    mini: App | None
    persons: list[Person]
    now: Callable[[], datetime]
    redirect_hosts: Iterable[str] | None = None
    templates: Iterable[str] | None = None
    at_home: dict[str, str] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    plain: dict[str, Token] = field(default_factory=dict)
    stable: dict[str, Token] = field(default_factory=dict)
    ticket: Token | None = None
    inbox: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked_for: dict[tuple[str, str], int] = field(default_factory=dict)
    client_ids: dict[tuple[str, str], tuple[datetime, int]] = field(default_factory=dict)
    receipts: list[dict[str, str]] = field(default_factory=list)
    quota: int = 100_000
    sent: int = 0
    lose_next: int = 0
    slow_after: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    fail_next: int = 0
    fail_status: int = 500
    errcode_next: int | None = None
    slow: float = 0.0
    stale_always: bool = False
    server: Server | None = None
    talk: Account = field(init=False)

    def __post_init__(self) -> None:
        self.talk = Account(self.account.appid, lambda: self.now(), self.server)

    def app(self, appid: object, secret: object) -> App:
        """Find an app by its papers."""
        found = next((a for a in (self.account, self.mini) if a and a.appid == appid), None)
        if found is None:
            raise Refused(40013, "invalid appid")
        if found.secret != secret:
            raise Refused(40125, "invalid appsecret")
        return found

    def person(self, openid: str) -> Person | None:
        """Find somebody by their openid in either app."""
        return next((p for p in self.persons if openid in (p.openid, p.mini_openid)), None)

    def new_code(self, appid: str, openid: str, scope: str) -> str:
        """A login code for this person."""
        code = secrets.token_hex(16)
        self.codes[code] = Code(appid, openid, scope, self.now() + CODE_LIFE)
        return code

    def spend(self, code: object, appid: str) -> Code:
        """Use a code up."""
        found = self.codes.get(str(code))
        if found is None or found.appid != appid or found.until <= self.now():
            raise Refused(40029, "invalid code")
        if found.used:
            raise Refused(40163, "code been used")
        found.used = True
        return found

    def authorised(self, token: str | None) -> str:
        """The appid a token stands for."""
        if self.stale_always:
            raise Refused(40001, "invalid credential, access_token is invalid or not latest")
        for kept in (self.plain, self.stable):
            for appid, found in kept.items():
                if found.value == token:
                    if found.until <= self.now():
                        raise Refused(42001, "access_token expired")
                    return appid
        raise Refused(40001, "invalid credential, access_token is invalid or not latest")

    def issue(self, kept: dict[str, Token], appid: str, *, rotate: bool) -> dict[str, Any]:
        """Give out a token; ``rotate`` kills the one before."""
        now = self.now()
        found = kept.get(appid)
        if rotate or found is None or found.until <= now + timedelta(minutes=5):
            found = kept[appid] = Token(secrets.token_hex(32), now + TOKEN_LIFE)
        return {"access_token": found.value, "expires_in": int((found.until - now).total_seconds())}


Endpoint = Callable[[Request], Awaitable[dict[str, Any]]]


def build(world: World) -> Starlette:
    """The server."""
    api, control = _Api(world), _Control(world)

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            return await _answer(world, request, endpoint)

        return Route(path, answer, methods=[method])

    routes = [
        Route("/connect/oauth2/authorize", control.authorize, methods=["GET"]),
        route("/sns/oauth2/access_token", "GET", api.exchange),
        route("/sns/jscode2session", "GET", api.mini_session),
        route("/cgi-bin/token", "GET", api.token),
        route("/cgi-bin/stable_token", "POST", api.stable_token),
        route("/cgi-bin/ticket/getticket", "GET", api.js_ticket),
        route("/cgi-bin/message/template/send", "POST", api.send_template),
        route("/cgi-bin/message/subscribe/bizsend", "POST", api.send_subscribed),
        route("/cgi-bin/qrcode/create", "POST", api.create_code),
        route("/cgi-bin/menu/create", "POST", api.create_menu),
        route("/cgi-bin/menu/get", "GET", api.get_menu),
        route("/cgi-bin/menu/delete", "GET", api.delete_menu),
        Route("/cgi-bin/showqrcode", control.show_code, methods=["GET"]),
        *hand.routes(world),
        Route("/control/inbox/{openid}", control.inbox, methods=["GET"]),
        Route("/control/ask", control.ask, methods=["POST"]),
        Route("/control/receipts", control.receipts, methods=["POST"]),
        Route("/control/js_code", control.js_code, methods=["POST"]),
        Route("/control/jssdk", control.jssdk, methods=["POST"]),
        Route("/control/behave", control.behave, methods=["POST"]),
        Route("/control/person", control.join, methods=["POST"]),
    ]
    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    return Starlette(routes=routes, middleware=[cors])


async def _answer(world: World, request: Request, endpoint: Endpoint) -> Response:
    world.calls[request.url.path] = world.calls.get(request.url.path, 0) + 1
    if world.slow:
        pause, world.slow = world.slow, 0.0
        await asyncio.sleep(pause)
    if world.fail_next:
        world.fail_next -= 1
        return Response("busy", world.fail_status)
    try:
        if world.errcode_next is not None:
            code, world.errcode_next = world.errcode_next, None
            raise Refused(code, "as told")
        content = await endpoint(request)
    except Refused as no:
        content = {"errcode": no.errcode, "errmsg": no.errmsg}
    if world.slow_after:
        pause, world.slow_after = world.slow_after, 0.0
        await asyncio.sleep(pause)
    # WeChat labels its JSON as text.
    return Response(json.dumps(content, ensure_ascii=False), media_type="text/plain")


class _Api:
    """What a hospital's server calls."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def exchange(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        app = self.world.app(asked.get("appid"), asked.get("secret"))
        code = self.world.spend(asked.get("code"), app.appid)
        person = self.world.person(code.openid)
        answer = {
            "access_token": secrets.token_hex(32),
            "expires_in": 7200,
            "refresh_token": secrets.token_hex(32),
            "openid": code.openid,
            "scope": code.scope,
        }
        return answer | ({"unionid": person.unionid} if person and person.unionid else {})

    async def mini_session(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        app = self.world.app(asked.get("appid"), asked.get("secret"))
        code = self.world.spend(asked.get("js_code"), app.appid)
        person = self.world.person(code.openid)
        answer = {"openid": code.openid, "session_key": secrets.token_urlsafe(18)}
        return answer | ({"unionid": person.unionid} if person and person.unionid else {})

    async def token(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        if asked.get("grant_type") != "client_credential":
            raise Refused(40002, "invalid grant_type")
        app = self.world.app(asked.get("appid"), asked.get("secret"))
        return self.world.issue(self.world.plain, app.appid, rotate=True)

    async def stable_token(self, request: Request) -> dict[str, Any]:
        asked = await request.json()
        if asked.get("grant_type") != "client_credential":
            raise Refused(40002, "invalid grant_type")
        app = self.world.app(asked.get("appid"), asked.get("secret"))
        return self.world.issue(self.world.stable, app.appid, rotate=bool(asked.get("force_refresh")))

    async def js_ticket(self, request: Request) -> dict[str, Any]:
        self._account(request)
        now = self.world.now()
        if self.world.ticket is None or self.world.ticket.until <= now:
            self.world.ticket = Token(secrets.token_hex(40), now + TOKEN_LIFE)
        left = int((self.world.ticket.until - now).total_seconds())
        return {"errcode": 0, "errmsg": "ok", "ticket": self.world.ticket.value, "expires_in": left}

    async def send_template(self, request: Request) -> dict[str, Any]:
        asked, person = await self._message(request)
        if not person.follows:
            raise Refused(43004, "require subscribe")
        mine = (person.openid, str(asked.get("client_msg_id") or secrets.token_hex(8)))
        if len(mine[1]) > 32:
            raise Refused(47003, "argument invalid, client_msg_id")
        now = self.world.now()
        before = self.world.client_ids.get(mine)
        if before is not None and before[0] > now - SAME_WITHIN:
            return {"errcode": 0, "errmsg": "ok", "msgid": before[1]}
        answer = self._keep(asked, person)
        self.world.client_ids[mine] = (now, answer["msgid"])
        return answer

    async def send_subscribed(self, request: Request) -> dict[str, Any]:
        asked, person = await self._message(request)
        mine = (person.openid, str(asked["template_id"]))
        if self.world.asked_for.get(mine, 0) < 1:
            raise Refused(43101, "user refuse to accept the msg")
        self.world.asked_for[mine] -= 1
        return {"errcode": 0, "errmsg": "ok"} | {"msgid": self._keep(asked, person)["msgid"]}

    async def _message(self, request: Request) -> tuple[dict[str, Any], Person]:
        self._account(request)
        asked = json.loads(await request.body())
        person = next((p for p in self.world.persons if p.openid == asked.get("touser")), None)
        if person is None:
            raise Refused(40003, "invalid openid")
        if self.world.templates is not None and asked.get("template_id") not in self.world.templates:
            raise Refused(40037, "invalid template_id")
        data = asked.get("data")
        if not isinstance(data, dict) or not all(isinstance(v, dict) and "value" in v for v in data.values()):
            raise Refused(47003, "argument invalid")
        if any(name.startswith("thing") and not 0 < len(v["value"]) <= 20 for name, v in data.items()):
            raise Refused(47003, "argument invalid, thing")
        if self.world.sent >= self.world.quota:
            raise Refused(45009, "reach max api daily quota limit")
        return asked, person

    def _keep(self, asked: dict[str, Any], person: Person) -> dict[str, Any]:
        world = self.world
        world.sent += 1
        msgid = 100000 + world.sent
        lost = world.lose_next > 0
        world.lose_next -= lost
        said = [str(v["value"]) for v in asked["data"].values()]
        if not lost:
            kept = {**asked, "msgid": msgid, "at": world.now().isoformat(), "said": said}
            world.inbox.setdefault(person.openid, []).append(kept)
        status = "failed: system failed" if lost else "success"
        stamp = int(world.now().timestamp())
        world.receipts.append({"openid": person.openid, "xml": RECEIPT.format(person.openid, stamp, msgid, status)})
        if world.server is not None:
            done = {"MsgID": msgid, "Status": status}
            world.talk.soon(world.talk.event(person.openid, "TEMPLATESENDJOBFINISH", **done))
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

    async def create_code(self, request: Request) -> dict[str, Any]:
        self._account(request)
        return self.world.talk.create_code(json.loads(await request.body()))

    async def create_menu(self, request: Request) -> dict[str, Any]:
        self._account(request)
        return self.world.talk.create_menu(json.loads(await request.body()))

    async def get_menu(self, request: Request) -> dict[str, Any]:
        self._account(request)
        return self.world.talk.get_menu()

    async def delete_menu(self, request: Request) -> dict[str, Any]:
        self._account(request)
        return self.world.talk.delete_menu()

    def _account(self, request: Request) -> None:
        if self.world.authorised(request.query_params.get("access_token")) != self.world.account.appid:
            raise Refused(48001, "api unauthorized")


class _Control:
    """The person's side and the puppeteer's."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        back = asked.get("redirect_uri", "")
        if asked.get("appid") != self.world.account.appid or asked.get("response_type") != "code":
            return HTMLResponse(page(words.WHO_ARE_YOU, f"<p>{words.BAD_APP}</p>"), 400)
        parts = urlsplit(back)
        hosts = self.world.redirect_hosts
        if parts.scheme not in ("http", "https") or (hosts is not None and parts.netloc not in hosts):
            return HTMLResponse(page(words.WHO_ARE_YOU, f"<p>{words.BAD_REDIRECT}</p>"), 400)
        chosen = asked.get("person") or self.world.at_home.get(parts.hostname or "") or request.cookies.get(COOKIE)
        person = next((p for p in self.world.persons if chosen is not None and p.openid == chosen), None)
        if person is None:
            return HTMLResponse(page(words.WHO_ARE_YOU, self._choices(request)))
        code = self.world.new_code(self.world.account.appid, person.openid, asked.get("scope", "snsapi_base"))
        query = urlencode({"code": code, "state": asked.get("state", "")})
        answer = RedirectResponse(f"{back}{'&' if parts.query else '?'}{query}", 302)
        if asked.get("person"):
            answer.set_cookie(COOKIE, person.openid, path="/connect", httponly=True, samesite="lax")
        return answer

    def _choices(self, request: Request) -> str:
        if not self.world.persons:
            return f"<p>{words.NOBODY}</p>"
        links = "".join(
            f'<a class="button" href="{html.escape(str(request.url.include_query_params(person=p.openid)))}">'
            f"{html.escape(words.PICK.format(name=p.name))}</a>"
            for p in self.world.persons
        )
        return f'{links}<p class="note">{words.WHO_NOTE}</p>'

    async def inbox(self, request: Request) -> Response:
        return JSONResponse(self.world.inbox.get(request.path_params["openid"], []))

    async def ask(self, request: Request) -> Response:
        asked = await request.json()
        mine = (str(asked["openid"]), str(asked["template_id"]))
        self.world.asked_for[mine] = self.world.asked_for.get(mine, 0) + int(asked.get("times", 1))
        return JSONResponse({})

    async def receipts(self, request: Request) -> Response:
        told, self.world.receipts = self.world.receipts, []
        return JSONResponse(told)

    async def show_code(self, request: Request) -> Response:
        code = next((u for u, c in self.world.talk.codes.items() if c.ticket == request.query_params.get("ticket")), "")
        if not code:
            return Response("", 404)
        picture = io.BytesIO()
        qrcode.make(code).save(picture)
        return Response(picture.getvalue(), media_type="image/png")

    async def js_code(self, request: Request) -> Response:
        openid = (await request.json()).get("openid")
        if self.world.mini is None or not any(p.mini_openid == openid for p in self.world.persons):
            return JSONResponse({"error": "no such person"}, 404)
        return JSONResponse({"code": self.world.new_code(self.world.mini.appid, openid, "mini")})

    async def jssdk(self, request: Request) -> Response:
        asked = await request.json()
        ticket = self.world.ticket.value if self.world.ticket else ""
        text = (
            f"jsapi_ticket={ticket}&noncestr={asked.get('nonceStr')}"
            f"&timestamp={asked.get('timestamp')}&url={asked.get('url')}"
        )
        # SHA-1 is what the JS-SDK uses.
        expected = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return JSONResponse({"ok": asked.get("signature") == expected})

    async def behave(self, request: Request) -> Response:
        asked = await request.json()
        if asked.get("kill_tokens"):
            self.world.plain.clear()
            self.world.stable.clear()
        self.world.stale_always = bool(asked.get("stale_always", self.world.stale_always))
        self.world.fail_next = int(asked.get("fail_next", self.world.fail_next))
        self.world.fail_status = int(asked.get("status", self.world.fail_status))
        self.world.errcode_next = asked.get("errcode_next", self.world.errcode_next)
        self.world.slow = float(asked.get("slow", self.world.slow))
        self.world.slow_after = float(asked.get("slow_after", self.world.slow_after))
        self.world.quota = int(asked.get("quota", self.world.quota))
        self.world.lose_next = int(asked.get("lose_next", self.world.lose_next))
        self.world.talk.spoil = asked.get("push", self.world.talk.spoil)
        return JSONResponse({})

    async def join(self, request: Request) -> Response:
        asked = await request.json()
        openid = str(asked["openid"])
        if self.world.person(openid) is None:
            self.world.persons.append(Person(str(asked["name"]), openid, f"m{openid}"))
        return JSONResponse({})
