"""The official account as people meet it in WeChat: following, scanning its codes, its menu, what it answers.

Every act is told to the account's server as WeChat does it: encrypted XML, five seconds to answer, three tries. The
conversation shows what came back, or WeChat's own words when nothing did.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from sandbox import wechat_letters as letters
from words import sandbox_wechat as words

TRIES = 3
NAME = "gh_houfu"
CODE_URL = "http://weixin.qq.com/q/"
_LONGEST = 2_592_000  # seconds a temporary code lives at most
_TYPES = {"view": "url", "click": "key", "miniprogram": "appid", "scancode_waitmsg": "key", "scancode_push": "key"}


class Refused(Exception):
    """An answer with ``errcode``; WeChat says it with HTTP 200."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode, self.errmsg = errcode, errmsg


@dataclass(frozen=True, slots=True)
class Code:
    """A code of the account: what it brings, and until when (None: for good)."""

    scene: str
    ticket: str
    until: datetime | None


@dataclass(slots=True)
class Account:
    """One account's conversations and what is told to its server.

    Attributes:
        server: where messages go; None: nobody is told.
        patience: seconds the server has to answer.
        transport: another way to it than the network (tests).
        spoil: how the next message is spoilt: ``forged``, ``tampered``, ``plain``, ``old``, ``foreign``; ``deaf``: the
            answer is not heard, so the message comes again.
        log: every try: (event or type, HTTP status or None).
        recorded: query and body of every try, to be played again.
    """

    appid: str
    now: Callable[[], datetime]
    server: letters.Server | None = None
    patience: float = 5.0
    transport: httpx.AsyncBaseTransport | None = None
    spoil: str | None = None
    menu: list[dict[str, Any]] | None = None
    codes: dict[str, Code] = field(default_factory=dict)
    talks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    log: list[tuple[str, int | None]] = field(default_factory=list)
    recorded: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    last_id: int = 23_000_000_000
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    # -- what a hospital's server calls

    def create_code(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``POST /cgi-bin/qrcode/create``."""
        name, info = asked.get("action_name"), asked.get("action_info")
        scene = info.get("scene", {}) if isinstance(info, dict) else {}
        if name in ("QR_STR_SCENE", "QR_LIMIT_STR_SCENE"):
            text = scene.get("scene_str")
            if not isinstance(text, str) or not 1 <= len(text) <= 64:
                raise Refused(40066, "invalid scene_str")
        elif name in ("QR_SCENE", "QR_LIMIT_SCENE"):
            text = str(scene.get("scene_id", ""))
        else:
            raise Refused(40053, "invalid action info")
        seconds = int(asked.get("expire_seconds", 60))
        if not 1 <= seconds <= _LONGEST:
            raise Refused(40067, "invalid expire_seconds")
        until = None if "LIMIT" in str(name) else self.now() + timedelta(seconds=seconds)
        url, ticket = CODE_URL + secrets.token_urlsafe(9), "gQ" + secrets.token_urlsafe(60)
        self.codes[url] = Code(text, ticket, until)
        return {"ticket": ticket, "url": url} | ({"expire_seconds": seconds} if until else {})

    def create_menu(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``POST /cgi-bin/menu/create``."""
        buttons = asked.get("button")
        if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
            raise Refused(40016, "invalid button size")
        for button in buttons:
            if len(str(button.get("name", "")).encode()) not in range(1, 17):
                raise Refused(40018, "invalid button name size")
            needed = _TYPES.get(str(button.get("type")))
            if needed is None and not button.get("sub_button"):
                raise Refused(40017, "invalid button type")
            if needed is not None and not button.get(needed):
                raise Refused(40020 if needed == "url" else 40019, f"invalid button {needed}")
        self.menu = [{**button, "sub_button": button.get("sub_button", [])} for button in buttons]
        return {"errcode": 0, "errmsg": "ok"}

    def get_menu(self) -> dict[str, Any]:
        """``GET /cgi-bin/menu/get``."""
        if self.menu is None:
            raise Refused(46003, "menu no exist")
        return {"menu": {"button": self.menu}}

    def delete_menu(self) -> dict[str, Any]:
        """``GET /cgi-bin/menu/delete``."""
        self.menu = None
        return {"errcode": 0, "errmsg": "ok"}

    def code_of(self, text: str) -> Code | None:
        """The living code with this url or ticket."""
        found = next((c for url, c in self.codes.items() if text in (url, c.ticket)), None)
        return found if found is not None and (found.until is None or found.until > self.now()) else None

    # -- what people do

    async def event(self, openid: str, name: str, **more: Any) -> dict[str, Any]:
        """Something happened; returns what the person sees of it."""
        return await self._tell(openid, {"MsgType": "event", "Event": name, **more})

    async def say(self, openid: str, text: str) -> dict[str, Any]:
        """The person writes something."""
        self.talks.setdefault(openid, []).append({"from": "person", "text": text})
        self.last_id += 1
        return await self._tell(openid, {"MsgType": "text", "Content": text, "MsgId": self.last_id})

    async def scan(self, openid: str, follows: bool, text: str) -> dict[str, Any]:
        """The person scans a code: of the account, or any other, which WeChat opens as a page."""
        code = self.code_of(text)
        if code is None:
            if text.startswith(CODE_URL):
                return {"seen": words.CODE_DEAD}
            return {"open": text}
        if follows:
            return await self.event(openid, "SCAN", EventKey=code.scene, Ticket=code.ticket)
        return await self.event(openid, "subscribe", EventKey=f"qrscene_{code.scene}", Ticket=code.ticket)

    async def tap(self, openid: str, number: int) -> dict[str, Any]:
        """The person taps a button of the menu."""
        button: Mapping[str, Any] = (self.menu or [])[number]
        if button.get("type") == "click":
            return await self.event(openid, "CLICK", EventKey=button["key"])
        await self.event(openid, "VIEW", EventKey=button.get("url", ""))
        return {"open": button.get("url")}

    def soon(self, work: Any) -> None:
        """Tell something in a moment, without anybody waiting."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """Drop what is still to be told."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _tell(self, openid: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        whole = {"ToUserName": NAME, "FromUserName": openid, "CreateTime": int(self.now().timestamp()), **fields}
        if self.server is None:
            return {"seen": None}
        spoil, self.spoil = self.spoil, None
        name = str(fields.get("Event", fields["MsgType"]))
        async with httpx.AsyncClient(transport=self.transport, trust_env=False, timeout=self.patience) as client:
            for attempt in range(TRIES):
                heard = await self._try(client, self.server, name, openid, letters.xml(whole), spoil)
                if heard is not None and not (spoil == "deaf" and attempt == 0):
                    return self._shown(openid, heard)
        return self._shown(openid, {"text": words.ACCOUNT_BROKEN, "from": "wechat"})

    async def _try(
        self, client: httpx.AsyncClient, server: letters.Server, name: str, openid: str, text: str, spoil: str | None
    ) -> dict[str, Any] | None:
        """One try; None when WeChat would try again, an empty dict when the account has nothing to say."""
        query, body = _spoilt(server, self.appid, text, openid, int(self.now().timestamp()), spoil)
        self.recorded.append((query, body))
        try:
            answer = await client.post(server.url, params=query, content=body, headers={"Content-Type": "text/xml"})
        except httpx.HTTPError:
            self.log.append((name, None))
            return None
        self.log.append((name, answer.status_code))
        if answer.status_code != 200:
            return None
        try:
            told = letters.answer(server, self.appid, answer.content)
        except letters.UnreadableError:
            return None
        return {} if told is None else _read(told)

    def _shown(self, openid: str, heard: dict[str, Any]) -> dict[str, Any]:
        if not heard:
            return {"seen": None}
        self.talks.setdefault(openid, []).append({"from": "account", **heard})
        return {"seen": heard.get("title") or heard["text"], "reply": heard}

    async def again(self, number: int = -1) -> int:
        """Somebody who recorded a message plays it again; the status it gets."""
        query, body = self.recorded[number]
        if self.server is None:
            raise LookupError("no server")
        async with httpx.AsyncClient(transport=self.transport, trust_env=False) as client:
            return (await client.post(self.server.url, params=query, content=body)).status_code


def _read(told: Mapping[str, Any]) -> dict[str, Any]:
    if told["MsgType"] == "news":
        items = told["Articles"]["item"]
        first: Mapping[str, Any] = items[0] if isinstance(items, Sequence) and not isinstance(items, str) else items
        return {"title": first["Title"], "text": first["Description"], "url": first["Url"]}
    text = str(told["Content"])
    links = re.findall(r'<a href="([^"]+)">', text)
    return {"text": text, "url": links[0] if links else None}


def _spoilt(
    server: letters.Server, appid: str, text: str, openid: str, stamp: int, spoil: str | None
) -> tuple[dict[str, str], bytes]:
    if spoil == "old":
        stamp -= 360
    if spoil == "foreign":
        appid = "wx" + "0" * 16
    query, body = letters.post(server, appid, text, openid, stamp)
    if spoil == "forged":
        query["msg_signature"] = query["signature"] = "0" * 40
    if spoil == "tampered":
        middle = len(body) // 2
        body = body[:middle] + (b"B" if body[middle : middle + 1] == b"A" else b"A") + body[middle + 1 :]
    if spoil == "plain":
        del query["msg_signature"], query["encrypt_type"]
        body = text.encode()
    return query, body
