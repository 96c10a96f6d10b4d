"""What an official account tells us: only from WeChat, once, answered so that people get where they wanted to go."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select

from adapters.wechat_callback import CallbackDesk
from api.callbacks import wechat
from api.doors import menu
from api.world import Ports, World
from houfu import tables, wiring
from kernel.clock import ManualClock
from kernel.outside import NotConfigured, Unknown
from kernel.settings import load
from people import flows
from people.events import WeChatFollowChanged, WeChatMessageReported
from people.models import Hospital, WeChatFollower, WeChatMessage, WeChatScene
from people.service import sessions, wechat_account
from people.service.wechat_account import Purpose
from pwa.pages import doors
from sandbox.wechat_account import Account
from sandbox.wechat_letters import Server
from tests.api.conftest import a_hospital, a_person

BASE, APPID, TOKEN, KEY = "https://houfu.test", "wx0123456789abcdef", "a-token", "k" * 42 + "A"
PATH = "/api/callbacks/wechat"
NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)


class NoHis:
    """No hospital's system is asked here."""

    async def of(self, hospital_id: object) -> Any:
        raise LookupError(hospital_id)


class Codes:
    """The account's side that makes codes, straight from the made-up WeChat."""

    def __init__(self, account: Account) -> None:
        self.account, self.asked = account, 0

    async def scene_qr(self, scene: str, seconds: int) -> str:
        self.asked += 1
        told = {
            "action_name": "QR_STR_SCENE",
            "expire_seconds": seconds,
            "action_info": {"scene": {"scene_str": scene}},
        }
        return str(self.account.create_code(told)["url"])

    async def menu(self) -> list[dict[str, Any]]:
        return []

    async def set_menu(self, buttons: Any) -> None:
        raise NotImplementedError


@dataclass
class Post:
    """An account of the made-up WeChat, our house, and the clock both go by."""

    world: World
    account: Account
    client: AsyncClient
    codes: Codes
    clock: ManualClock
    heard: list[object]

    async def count(self, model: Any) -> int:
        """Rows of a table."""
        async with self.world.db.begin() as tx:
            return await tx.session.scalar(select(func.count()).select_from(model)) or 0

    async def code(self, path: str, purpose: Purpose = Purpose.BIND) -> str:
        """A code that leads to a path."""
        return await flows.code_to(self.world.db, self.codes, path, purpose)


@pytest.fixture
async def post(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    """One hospital with an official account."""
    heard: list[object] = []

    async def hear(_: object, event: object) -> None:
        heard.append(event)

    listening = {**tables.SUBSCRIBERS, WeChatFollowChanged: [hear], WeChatMessageReported: [hear]}
    monkeypatch.setattr(tables, "SUBSCRIBERS", listening)
    clock = ManualClock(NOON)
    settings = load({}, database_url=database_url, key_file=tmp_path / "keys", public_url=BASE, wechat_appid=APPID)
    desk = CallbackDesk(APPID, TOKEN, KEY)
    world = wiring.build(settings, clock=clock, ports=Ports(his=NoHis(), wechat_desk=desk))
    part = FastAPI()
    part.state.world = world
    part.include_router(wechat.router)
    part.include_router(doors.router)
    app = ASGITransport(part)
    server = Server(f"{BASE}{PATH}", TOKEN, KEY)
    account = Account(APPID, lambda: clock.time, server, transport=app)
    async with AsyncClient(transport=app, base_url=BASE) as client:
        async with world.db.begin() as tx:
            hospital = await tx.get(Hospital, await a_hospital(tx))
            assert hospital is not None
            hospital.name, hospital.phone = "演示医院", "0519-8888"
        yield Post(world, account, client, Codes(account), clock, heard)
    await world.db.close()


async def test_wechat_tries_our_address(post: Post) -> None:
    """Signed, it gets its own word back as plain text; unsigned or old, 401 and not a word."""
    from sandbox.wechat_letters import signature

    stamp = str(int(NOON.timestamp()))
    asked = {"timestamp": stamp, "nonce": "n", "echostr": "<b>5</b>", "signature": signature(TOKEN, stamp, "n")}
    answer = await post.client.get(PATH, params=asked)
    assert (answer.status_code, answer.text) == (200, "<b>5</b>")
    assert answer.headers["content-type"].startswith("text/plain")
    old = str(int(stamp) - 301)
    for bad in ({"signature": "0" * 40}, {"timestamp": old, "signature": signature(TOKEN, old, "n")}):
        refused = await post.client.get(PATH, params=asked | bad)
        assert (refused.status_code, refused.text) == (401, "")


async def test_whoever_follows_is_greeted(post: Post) -> None:
    """A follower hears which hospital this is, where to begin and whom to call; leaving is noted without a word."""
    seen = await post.account.event("oMother", "subscribe", EventKey="")
    assert seen["seen"] == (
        '您好，这里是演示医院。看病中途不用交钱，看完一次付清。\n<a href="https://houfu.test/go?to=%2F">点这里开始</a>\n'
        "有事打电话 0519-8888。"
    )
    async with post.world.db.begin() as tx:
        assert await wechat_account.follows(tx, APPID, "oMother") is True
        assert await wechat_account.follows(tx, APPID, "oNobody") is None
    assert (await post.account.event("oMother", "unsubscribe", EventKey=""))["seen"] is None
    async with post.world.db.begin() as tx:
        assert await wechat_account.follows(tx, APPID, "oMother") is False
    assert post.heard == [WeChatFollowChanged(APPID, None, True), WeChatFollowChanged(APPID, None, False)]


async def test_an_older_message_changes_nothing(post: Post) -> None:
    """She left and follows again; the notice that she had left is brought late and does not undo it."""
    post.clock.move(timedelta(minutes=2))
    await post.account.event("oMother", "subscribe", EventKey="")
    late = {"CreateTime": int(NOON.timestamp()), "EventKey": ""}
    await post.account.event("oMother", "unsubscribe", **late)
    async with post.world.db.begin() as tx:
        assert await wechat_account.follows(tx, APPID, "oMother") is True
    assert len(post.heard) == 1


@pytest.mark.parametrize("follows", [True, False])
async def test_a_scanned_code_leads_to_its_page(post: Post, follows: bool) -> None:
    """A relative scans the code at the bedside, following or not: a card opens just that page, and names nobody."""
    text = await post.code("/bind/SECRET")
    seen = await post.account.scan("oDaughter", follows, text)
    reply = seen["reply"]
    assert (reply["title"], reply["url"]) == ("家人请您点这里", "https://houfu.test/go?to=%2Fbind%2FSECRET")
    on = await post.client.get("/go?to=%2Fbind%2FSECRET")
    assert (on.status_code, on.headers["location"]) == (303, "/login?next=/bind/SECRET")
    async with post.world.db.begin() as tx:
        (row,) = await tx.session.scalars(select(WeChatScene))
        assert b"SECRET" not in row.path_sealed
    assert await post.count(WeChatFollower) == (0 if follows else 1)


async def test_each_code_says_what_it_is_about(post: Post) -> None:
    """The letter on a tablet, an order on paper, a bill, a visit."""
    titles = {
        Purpose.LETTER: "接着看同意书",
        Purpose.ORDER: "到了，去报到",
        Purpose.PAY: "看一看，再付款",
        Purpose.VISIT: "今天的就诊",
    }
    for purpose, title in titles.items():
        seen = await post.account.scan("oMother", True, await post.code(f"/{purpose}", purpose))
        assert seen["seen"] == title


async def test_a_code_dies(post: Post) -> None:
    """The same page shown again uses the same code; after half an hour, or made up, it leads nowhere."""
    text = await post.code("/bind/A")
    assert await post.code("/bind/A") == text
    assert post.codes.asked == 1
    scene = post.account.codes[text].scene
    post.clock.move(timedelta(minutes=31))
    for dead in (scene, "made-up"):
        seen = await post.account.event("oDaughter", "SCAN", EventKey=dead, Ticket="t")
        assert seen["seen"].startswith("这个二维码过期了。请对方再打开一次，您重新扫。")
    assert await post.code("/bind/A") != text
    async with post.world.db.begin() as tx:
        await wechat_account.forget_old(tx)
    assert await post.count(WeChatScene) == 1


async def test_wechat_does_not_make_a_code(post: Post) -> None:
    """WeChat is away: the caller learns it, and the next try makes one."""

    async def away(scene: str, seconds: int) -> str:
        raise Unknown("away")

    post.codes.scene_qr, real = away, post.codes.scene_qr  # type: ignore[method-assign]
    with pytest.raises(Unknown):
        await post.code("/bind/A")
    post.codes.scene_qr = real  # type: ignore[method-assign]
    assert (await post.account.scan("oSon", True, await post.code("/bind/A")))["seen"] == "家人请您点这里"


async def test_what_is_written_gets_a_warm_answer(post: Post) -> None:
    """Nobody reads here: what to tap, and the number where somebody answers. A tapped key gets the same."""
    said = await post.account.say("oMother", "医生在吗")
    assert said["seen"].startswith("您好，收到了。这里是自动回话，要办的事点一下就行。")
    assert said["seen"].endswith("有事打电话 0519-8888。")
    assert said["reply"]["url"] == "https://houfu.test/go/pay"
    assert (await post.account.event("oMother", "CLICK", EventKey="help"))["seen"] == said["seen"]
    for silent in ("VIEW", "LOCATION", "some_new_event"):
        assert (await post.account.event("oMother", silent, EventKey="x"))["seen"] is None


async def test_the_answer_is_not_heard(post: Post) -> None:
    """WeChat hears nothing and brings the message again: the same answer, and its effects once."""
    post.account.spoil = "deaf"
    said = await post.account.event("oMother", "subscribe", EventKey="")
    assert said["seen"].startswith("您好，这里是演示医院。")
    assert [status for _, status in post.account.log] == [200, 200]
    assert len(post.heard) == 1
    assert await post.count(WeChatMessage) == 1


async def test_what_is_not_wechat_s_changes_nothing(post: Post) -> None:
    """A wrong signature, a changed byte, an unencrypted letter, one six minutes old, one for another account: 401."""
    for how in ("forged", "tampered", "plain", "old", "foreign"):
        post.account.log.clear()
        post.account.spoil = how
        said = await post.account.event("oMother", "subscribe", EventKey="")
        assert [status for _, status in post.account.log] == [401] * 3, how
        assert said["seen"] == "该公众号提供的服务出现故障，请稍后再试"
        assert (await post.count(WeChatFollower), await post.count(WeChatMessage), post.heard) == (0, 0, [])


async def test_a_recorded_message_is_played_again(post: Post) -> None:
    """She follows and leaves; who recorded the first message plays it again: no effect, and after five minutes 401."""
    await post.account.event("oMother", "subscribe", EventKey="")
    post.clock.move(timedelta(seconds=10))
    await post.account.event("oMother", "unsubscribe", EventKey="")
    assert await post.account.again(0) == 200
    async with post.world.db.begin() as tx:
        assert await wechat_account.follows(tx, APPID, "oMother") is False
    post.clock.move(timedelta(minutes=5))
    assert await post.account.again(0) == 401
    assert len(post.heard) == 2


async def test_rubbish_is_refused(post: Post) -> None:
    """Whatever is posted there, the answer is 401 without a word."""
    entity = b"<!DOCTYPE x [<!ENTITY a 'b'>]><xml><Encrypt>&a;</Encrypt></xml>"
    sealed = b"<xml><Encrypt>AAAA</Encrypt></xml>"
    for body in (b"", b"<xml>", b"<xml><Encrypt>", b"<xml/>", sealed, entity, b"\xff" * 100):
        asked = {"timestamp": "1", "nonce": "n", "msg_signature": "x"}
        answer = await post.client.post(PATH, params=asked, content=body)
        assert (answer.status_code, answer.text) == (401, ""), body


async def test_a_message_of_ours_is_reported(post: Post) -> None:
    """WeChat says what became of a template message: handed on once, in its own words."""
    for _ in range(2):
        await post.account.event("oMother", "TEMPLATESENDJOBFINISH", MsgID=200163836, Status="failed:user block")
    assert post.heard == [WeChatMessageReported(APPID, "200163836", "failed:user block")]


async def test_whoever_is_known_is_named_to_the_house(post: Post) -> None:
    """Somebody who has logged in with WeChat follows: the fact says who it is."""
    async with post.world.db.begin() as tx:
        person = await a_person(tx)
        await sessions.link_wechat(tx, person, "oMother", APPID)
    await post.account.event("oMother", "subscribe", EventKey="")
    assert post.heard == [WeChatFollowChanged(APPID, person.id, True)]


async def test_a_slow_house_lets_wechat_come_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database does not answer in time: 503 within the five seconds, nothing half done, the next try is taken."""
    import asyncio

    taken = wechat_account.take

    async def slow(*given: Any) -> Any:
        monkeypatch.setattr(wechat_account, "take", taken)
        answer = await taken(*given)
        await asyncio.sleep(5)
        return answer

    monkeypatch.setattr(wechat_account, "take", slow)
    monkeypatch.setattr(wechat, "PATIENCE", 0.2)
    said = await post.account.event("oMother", "subscribe", EventKey="")
    assert [status for _, status in post.account.log] == [503, 200]
    assert said["seen"].startswith("您好")
    assert len([e for e in post.heard if isinstance(e, WeChatFollowChanged)]) == 2  # one was rolled back
    assert await post.count(WeChatMessage) == 1


def test_the_desk_is_set_up_whole() -> None:
    """A token without its key, or a key that is none: said at the start."""
    for token, key in (("", KEY), (TOKEN, ""), (TOKEN, "k" * 42), (TOKEN, "!" * 43)):
        with pytest.raises(NotConfigured):
            CallbackDesk(APPID, token, key)


def test_the_menu_leads_through_our_doors() -> None:
    """Three buttons, none longer than WeChat takes."""
    buttons = menu(BASE)
    assert [b["name"] for b in buttons] == ["诊后付", "缴费", "云伴诊"]
    assert all(re.fullmatch(r"https://houfu\.test/go[/?].*", b["url"]) for b in buttons)
