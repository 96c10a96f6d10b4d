"""Our WeChat client against the sandbox's WeChat, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.wechat import WeChat, WeChatSettings
from adapters.wechat_messages import Template, WeChatPusher
from api.doors import menu
from houfu.wechat import bring_menu
from kernel.ids import new_id
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown
from notices.rules.messages import FIELDS
from people.ports import WeChatSubject
from sandbox import wechat as sandbox
from sandbox.keys import SandboxKeys

BACK = "https://houfu.example/login?to=bill"


@dataclass
class Line:
    """Both ends, and a browser without a memory."""

    world: sandbox.World
    wechat: WeChat
    settings: WeChatSettings
    http: httpx.AsyncClient

    async def log_in(self, person: str = "oMother") -> str:
        """Tap a name on the login page; the code that comes back."""
        url = self.wechat.authorize_url(BACK, "s1").partition("#")[0]
        answer = await self.http.get(url + f"&person={person}")
        assert answer.status_code == 302
        back = urlsplit(answer.headers["location"])
        found = parse_qs(back.query)
        assert (back.netloc, found["state"], found["to"]) == ("houfu.example", ["s1"], ["bill"])
        return found["code"][0]

    async def behave(self, **how: Any) -> None:
        await self.http.post("/control/behave", json=how)


async def push(wechat: WeChat, openid: str, template: str, data: dict[str, str], link: str = BACK) -> str:
    """A template message of these keywords and values, as the house would send it."""
    names = dict(zip(data, FIELDS, strict=False))
    pusher = WeChatPusher(wechat, {"test": Template(template, names)})
    return await pusher.push(openid, "test", {names[k]: v for k, v in data.items()}, link, new_id().hex)


@asynccontextmanager
async def a_line(keys: SandboxKeys, clock: Any, serving: Any) -> AsyncIterator[Line]:
    mine = keys.wechat
    world = sandbox.World(
        sandbox.App(mine.appid, mine.secret),
        sandbox.App(mine.mini_appid, mine.mini_secret),
        [
            sandbox.Person("妈妈", "oMother", "mMother", "uMother"),
            sandbox.Person("女儿", "oDaughter", follows=False),
        ],
        clock,
        redirect_hosts=["houfu.example"],
        templates=["TM1"],
    )
    async with serving(sandbox.build(world)) as base:
        settings = WeChatSettings(**keys.client_wechat(base))
        wechat = WeChat(settings, Guard("wechat", deadline=10), timeout=(2, 2))
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            yield Line(world, wechat, settings, http)
        await wechat.close()


@pytest.fixture
async def line(world_keys: SandboxKeys, clock: Any, serving: Any) -> AsyncIterator[Line]:
    async with a_line(world_keys, clock, serving) as made:
        yield made


async def test_a_person_logs_in_by_tapping_a_name(line: Line) -> None:
    """The page asks who one is; the code that comes back is the person, once."""
    url = line.wechat.authorize_url(BACK, "s1")
    assert url.endswith("#wechat_redirect")
    shown = await line.http.get(url.partition("#")[0])
    assert "您现在是哪一位？" in shown.text
    assert "以女儿登录" in shown.text
    code = await line.log_in()
    assert await line.wechat.exchange(code) == WeChatSubject("oMother", "uMother")
    with pytest.raises(Rejected) as used:
        await line.wechat.exchange(code)
    assert used.value.reason == "40163"


async def test_the_next_login_is_silent(line: Line) -> None:
    """The sandbox remembers the tapped person by cookie, as WeChat remembers its own user; a host may decide too."""
    await line.log_in("oDaughter")
    url = line.wechat.authorize_url(BACK, "s2").partition("#")[0]
    answer = await line.http.get(url)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    assert (await line.wechat.exchange(code)).openid == "oDaughter"
    line.world.at_home["houfu.example"] = "oMother"
    answer = await line.http.get(url)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    assert (await line.wechat.exchange(code)).openid == "oMother"


async def test_codes_die(line: Line, clock: Any) -> None:
    """After five minutes, or when made up, a code is nobody."""
    code = await line.log_in()
    clock.move(minutes=6)
    for bad in (code, "made-up"):
        with pytest.raises(Rejected) as no:
            await line.wechat.exchange(bad)
        assert no.value.reason == "40029"


async def test_a_foreign_return_address_is_refused(line: Line) -> None:
    """WeChat sends nobody to a host that is not registered, and makes no code."""
    url = line.wechat.authorize_url("https://evil.example/", "s").partition("#")[0]
    answer = await line.http.get(url + "&person=oMother")
    assert answer.status_code == 400
    assert line.world.codes == {}


async def test_the_mini_program_logs_in(line: Line) -> None:
    """wx.login's code is the same person under the mini-program's openid; without a mini-program it is said so."""
    code = (await line.http.post("/control/js_code", json={"openid": "mMother"})).json()["code"]
    assert await line.wechat.mini_session(code) == WeChatSubject("mMother", "uMother")
    bare = WeChat(replace(line.settings, mini_appid=None))
    with pytest.raises(NotConfigured):
        await bare.mini_session("x")
    await bare.close()


async def test_a_page_is_signed_without_its_fragment(line: Line) -> None:
    """wx.config accepts the signature for the address before '#', and no other."""
    config = await line.wechat.jssdk_config("https://houfu.example/bill?v=1#top")
    checked = {**config, "url": "https://houfu.example/bill?v=1"}
    assert (await line.http.post("/control/jssdk", json=checked)).json() == {"ok": True}
    wrong = {**checked, "url": "https://houfu.example/bill"}
    assert (await line.http.post("/control/jssdk", json=wrong)).json() == {"ok": False}


async def test_a_template_message_arrives(line: Line) -> None:
    """It lies in the person's box with its values and link; nobody else's box changes."""
    link = "https://houfu.example/bill"
    msgid = await push(line.wechat, "oMother", "TM1", {"thing1": "抽血已做完", "amount2": "¥126.00"}, link)
    box = (await line.http.get("/control/inbox/oMother")).json()
    assert [(m["data"]["thing1"]["value"], m["url"], str(m["msgid"])) for m in box] == [("抽血已做完", link, msgid)]
    assert (await line.http.get("/control/inbox/oDaughter")).json() == []


@pytest.mark.parametrize(
    ("openid", "template", "reason"),
    [("oDaughter", "TM1", "43004"), ("oNobody", "TM1", "40003"), ("oMother", "TM9", "40037")],
)
async def test_a_message_nobody_may_get(line: Line, openid: str, template: str, reason: str) -> None:
    """Not following, unknown, or an unapproved template: a definite no, no box changes."""
    with pytest.raises(Rejected) as no:
        await push(line.wechat, openid, template, {"a": "b"})
    assert no.value.reason == reason
    assert line.world.inbox == {}


async def test_one_token_serves_many_and_other_systems_keep_theirs(line: Line) -> None:
    """Twenty messages at once fetch the stable token once; another system's plain token neither kills nor dies."""
    await asyncio.gather(*(push(line.wechat, "oMother", "TM1", {"n": str(i)}) for i in range(20)))
    assert len(line.world.inbox["oMother"]) == 20
    assert line.world.calls["/cgi-bin/stable_token"] == 1
    mine = {"grant_type": "client_credential", "appid": line.settings.appid, "secret": line.settings.secret}
    await line.http.get("/cgi-bin/token", params=mine)
    await push(line.wechat, "oMother", "TM1", {"n": "21"})
    assert line.world.calls["/cgi-bin/stable_token"] == 1
    assert len(line.world.plain) == 1


async def test_a_killed_token_is_replaced_once(line: Line) -> None:
    """WeChat forgets our token: one new one, one more try. A WeChat that refuses every token is not asked for ever."""
    await push(line.wechat, "oMother", "TM1", {"n": "1"})
    await line.behave(kill_tokens=True)
    await push(line.wechat, "oMother", "TM1", {"n": "2"})
    assert len(line.world.inbox["oMother"]) == 2
    assert line.world.calls["/cgi-bin/stable_token"] == 2
    asked = line.world.calls["/cgi-bin/message/template/send"]
    await line.behave(stale_always=True)
    with pytest.raises(Rejected, match="40001"):
        await push(line.wechat, "oMother", "TM1", {"n": "3"})
    assert line.world.calls["/cgi-bin/message/template/send"] == asked + 2
    assert len(line.world.inbox["oMother"]) == 2


async def test_a_code_of_the_account_carries_its_scene(line: Line) -> None:
    """A temporary code is made: it lives as long as asked, brings the scene, and can be drawn by WeChat or by us."""
    url = await line.wechat.scene_qr("a-scene_nobody-guesses", 1800)
    assert url.startswith("http://weixin.qq.com/q/")
    code = line.world.talk.code_of(url)
    assert code is not None
    assert code.scene == "a-scene_nobody-guesses"
    drawn = await line.http.get("/cgi-bin/showqrcode", params={"ticket": code.ticket})
    assert drawn.content.startswith(b"\x89PNG")
    for bad in ("x" * 65, ""):
        with pytest.raises(Rejected, match="40066"):
            await line.wechat.scene_qr(bad, 1800)


async def test_the_menu_is_brought_once(line: Line) -> None:
    """No menu, then ours, then another system's: what differs is said and mended; a right menu is left alone."""
    wanted = menu("https://houfu.example")
    first = await bring_menu(line.wechat, "https://houfu.example")
    assert [text.split()[:2] for text in first] == [["+", b["name"]] for b in wanted]
    assert await bring_menu(line.wechat, "https://houfu.example") == []
    assert line.world.calls["/cgi-bin/menu/create"] == 1
    await line.wechat.set_menu([{"type": "click", "name": "旧", "key": "old"}])
    looked = await bring_menu(line.wechat, "https://houfu.example", change=False)
    assert looked[0] == "- 旧 old"
    assert [b["name"] for b in await line.wechat.menu()] == ["旧"]
    await bring_menu(line.wechat, "https://houfu.example")
    assert [b["url"] for b in await line.wechat.menu()] == [b["url"] for b in wanted]
    with pytest.raises(Rejected, match="40018"):
        await line.wechat.set_menu([{"type": "view", "name": "六个字的按钮", "url": "https://x"}])


async def test_each_new_call_survives_a_dead_token(line: Line) -> None:
    """Codes, menu and the page's ticket: a token WeChat calls expired is replaced once; busy and the limit are told."""
    await line.wechat.menu()
    for call in (
        lambda: line.wechat.scene_qr("s", 60),
        line.wechat.menu,
        lambda: line.wechat.jssdk_config("https://x"),
    ):
        await line.behave(kill_tokens=True)
        await call()
    assert line.world.calls["/cgi-bin/stable_token"] == 4
    await line.behave(errcode_next=-1)
    with pytest.raises(Unknown):
        await line.wechat.menu()
    await line.behave(errcode_next=45009)
    with pytest.raises(Throttled):
        await line.wechat.scene_qr("s", 60)


async def test_wrong_secret_is_a_definite_no(line: Line) -> None:
    """40125 at login and at the token; the secret is in no error text."""
    wrong = WeChat(replace(line.settings, secret="wrong-secret"))
    code = await line.log_in()
    for call in (wrong.exchange(code), push(wrong, "oMother", "TM1", {})):
        with pytest.raises(Rejected) as no:
            await call
        assert no.value.reason == "40125"
        assert "wrong-secret" not in repr(no.value) + str(no.value)
    await wrong.close()
    assert line.settings.secret not in repr(line.settings)


async def test_silence_and_errors_are_unknown(line: Line) -> None:
    """A slow answer, a 502, "busy" (-1) and a dead address are unknown; the frequency limit is throttled."""
    await push(line.wechat, "oMother", "TM1", {"n": "1"})
    for how in ({"slow": 3}, {"fail_next": 1, "status": 502}, {"errcode_next": -1}):
        await line.behave(**how)
        with pytest.raises(Unknown):
            await push(line.wechat, "oMother", "TM1", {"n": "2"})
    await line.behave(errcode_next=45009)
    with pytest.raises(Throttled):
        await push(line.wechat, "oMother", "TM1", {"n": "2"})
    dead = WeChat(replace(line.settings, api_base_url="http://127.0.0.1:1"))
    with pytest.raises(Unknown) as error:
        await dead.exchange("secret-code")
    assert error.value.__cause__ is None
    assert "secret-code" not in str(error.value)
    await dead.close()


async def test_nothing_is_sent_without_an_account(line: Line) -> None:
    """A hospital without an official account is told so at start."""
    with pytest.raises(NotConfigured):
        WeChat(replace(line.settings, secret=""))
