"""The hand that holds a phone with WeChat in it: follows the account, scans, taps its menu, writes to it."""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.page import page
from sandbox.wechat_account import Account
from words import sandbox_wechat as words

_SCRIPT = Path(__file__).with_name("wx.js")


def page_script(base: str, account: str) -> str:
    """The page script of one person's WeChat.

    Args:
        base: where the page reaches our ``/control``; account: the person's conversation with the account.
    """
    script = _SCRIPT.read_text("utf-8")
    for place, value in {"{{base}}": base, "{{account}}": account}.items():
        script = script.replace(place, json.dumps(value))
    return script


class Holder(Protocol):
    """Somebody with WeChat."""

    name: str
    openid: str
    follows: bool


class Place(Protocol):
    """The world as far as a hand needs it."""

    talk: Account
    at_home: dict[str, str]

    def person(self, openid: str) -> Any:
        """Somebody by their openid, or None."""


def routes(world: Place) -> list[BaseRoute]:
    """Paths for programs under ``/control``, and ``/account`` for people."""
    hand = _Hand(world)
    return [
        Route("/control/follow", hand.follow, methods=["POST"]),
        Route("/control/scan", hand.scan, methods=["POST"]),
        Route("/control/say", hand.say, methods=["POST"]),
        Route("/control/tap", hand.tap, methods=["POST"]),
        Route("/control/talk/{openid}", hand.conversation, methods=["GET"]),
        Route("/account", hand.show, methods=["GET"]),
        Route("/account", hand.act, methods=["POST"]),
    ]


class _Hand:
    def __init__(self, world: Place) -> None:
        self.world = world

    async def follow(self, request: Request) -> Response:
        asked = await request.json()
        person: Holder | None = self.world.person(str(asked.get("openid")))
        if person is None:
            return JSONResponse({"error": "no such person"}, 404)
        return JSONResponse(
            {"follows": bool(asked.get("follows")), **await self._follow(person, bool(asked["follows"]))}
        )

    async def _follow(self, person: Holder, follows: bool) -> dict[str, Any]:
        if person.follows == follows:
            return {"seen": None}
        person.follows = follows
        more: dict[str, Any] = {"EventKey": ""}
        return await self.world.talk.event(person.openid, "subscribe" if follows else "unsubscribe", **more)

    async def _scan(self, person: Holder, text: str) -> dict[str, Any]:
        before = person.follows
        if self.world.talk.code_of(text) is not None:
            person.follows = True
        return await self.world.talk.scan(person.openid, before, text)

    async def scan(self, request: Request) -> Response:
        asked = await request.json()
        person: Holder | None = self.world.person(str(asked.get("openid")))
        if person is None:
            return JSONResponse({"error": "no such person"}, 404)
        return JSONResponse(await self._scan(person, str(asked.get("text", ""))))

    async def say(self, request: Request) -> Response:
        asked = await request.json()
        return JSONResponse(await self.world.talk.say(str(asked["openid"]), str(asked["text"])))

    async def tap(self, request: Request) -> Response:
        asked = await request.json()
        return JSONResponse(await self.world.talk.tap(str(asked["openid"]), int(asked["button"])))

    async def conversation(self, request: Request) -> Response:
        return JSONResponse(self.world.talk.talks.get(request.path_params["openid"], []))

    # -- for people

    async def show(self, request: Request) -> Response:
        person: Holder | None = self.world.person(request.query_params.get("person", ""))
        if person is None:
            return HTMLResponse(page(words.ACCOUNT, f"<p>{words.NOBODY}</p>"), 404)
        said = self.world.talk.talks.get(person.openid, [])
        talk = "".join(_bubble(one, self._own(person, str(one.get("url") or ""))) for one in said)
        follow = _form(
            "follow", words.UNFOLLOW if person.follows else words.FOLLOW, "" if person.follows else "1", "quiet"
        )
        buttons = "".join(
            _form("tap", html.escape(str(b["name"])), str(n)) for n, b in enumerate(self.world.talk.menu or [])
        )
        newest = next((u for u in reversed(self.world.talk.codes) if self.world.talk.code_of(u)), "")
        scan = _field("scan", words.SCAN, words.SCAN_SAYS, newest)
        say = _field("say", words.SAY, words.SAY_SAYS)
        inner = f"{talk}{buttons if person.follows else ''}{scan}{say if person.follows else ''}{follow}"
        title = words.ACCOUNT_OF.format(name=person.name)
        return HTMLResponse(page(title, f'{inner}<p class="note">{words.WHO_NOTE}</p>'))

    async def act(self, request: Request) -> Response:
        person: Holder | None = self.world.person(request.query_params.get("person", ""))
        if person is None:
            return HTMLResponse(page(words.ACCOUNT, f"<p>{words.NOBODY}</p>"), 404)
        form = await request.form()
        do, value = str(form.get("do", "")), str(form.get("value", "")).strip()
        seen: Mapping[str, Any] = {}
        if do == "follow":
            seen = await self._follow(person, bool(value))
        elif do == "scan":
            seen = await self._scan(person, value)
        elif do == "tap" and value.isdigit():
            seen = await self.world.talk.tap(person.openid, int(value))
        elif do == "say" and value:
            seen = await self.world.talk.say(person.openid, value)
        to = str(seen["open"]) if str(seen.get("open", "")).startswith("http") else None
        return RedirectResponse(self._own(person, to or f"/account?{urlencode({'person': person.openid})}"), 303)

    def _own(self, person: Holder, url: str) -> str:
        """A page of the hospital, on the host of this person's phone where each has one (the stage)."""
        parts = urlsplit(url)
        home = next((host for host, openid in self.world.at_home.items() if openid == person.openid), None)
        if home is None or parts.hostname != "127.0.0.1":
            return url
        return urlunsplit(parts._replace(netloc=f"{home}:{parts.port}"))


def _bubble(one: Mapping[str, Any], url: str) -> str:
    text = html.escape(str(one["text"])).replace("\n", "<br>")
    if one.get("title"):
        text = f"<b>{html.escape(str(one['title']))}</b><br>{text}"
    if url:  # the account's own links inside a text are shown as the button below it
        text += f'<a class="button" href="{html.escape(url)}">{words.OPEN}</a>'
    text = text.replace(html.escape("</a>"), "")
    while (at := text.find(html.escape("<a href="))) >= 0:
        end = text.find(html.escape(">"), at)
        text = text[:at] + text[end + len(html.escape(">")) :]
    return f"<p>{text}</p>"


def _form(do: str, label: str, value: str, kind: str = "") -> str:
    return (
        f'<form method="post"><input type="hidden" name="do" value="{do}">'
        f'<button class="{kind}" name="value" value="{html.escape(value)}">{label}</button></form>'
    )


def _field(do: str, label: str, says: str, value: str = "") -> str:
    box = f'<input name="value" size="34" value="{html.escape(value)}">'
    return (
        f'<form method="post"><input type="hidden" name="do" value="{do}">'
        f'<label>{says}<br>{box}</label><button class="quiet">{label}</button></form>'
    )
