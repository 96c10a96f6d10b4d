"""The real clients against the made-up WeChat, push service and SMS gateway, and the pages that go with them."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from httpx import ASGITransport, AsyncClient

from adapters.sms import SmsSettings, TencentSms
from adapters.web_push import VapidPush, WebPushSettings
from adapters.wechat import WeChat, WeChatSettings
from adapters.wechat_messages import TemplatesError, WeChatPusher, read_sms_kinds, read_templates
from api.callbacks.sms import secret_of
from api.deps import COOKIE
from houfu.app import create_app
from kernel.outside import Rejected, Throttled, Unknown
from notices import flows
from notices.ports import Lines, Subscription
from notices.rules.delivery import DELIVERY, DeliveryState
from notices.service import recording
from sandbox import keys as sandbox_keys
from sandbox import push, sms, wechat
from tests.notices.conftest import APPID, Reach
from tests.notices.test_reach import end_visit, queue
from tests.visits.ward import BASE
from words import sandbox_sms, sandbox_wechat


@dataclass
class Town:
    """The three servers, and our clients of them."""

    wechat: wechat.World
    push: push.World
    sms: sms.World
    push_url: str
    lines: Lines

    @property
    def line(self) -> VapidPush:
        assert isinstance(self.lines.web_push, VapidPush)
        return self.lines.web_push


@pytest.fixture(scope="module")
def keys() -> sandbox_keys.SandboxKeys:
    """One cabinet for this file."""
    return sandbox_keys.fresh()


@pytest.fixture
async def town(reach: Reach, serving: Callable[[Any], Any], keys: sandbox_keys.SandboxKeys) -> AsyncIterator[Town]:
    """The servers on the ward's clock."""

    def now() -> Any:
        return reach.ward.clock.time

    account = wechat.App(keys.wechat.appid, keys.wechat.secret)
    people = [wechat.Person("妈妈", "o-mother"), wechat.Person("女儿", "o-daughter")]
    ids = {str(t["id"]) for t in sandbox_wechat.TEMPLATES.values()} | {"SUB"}
    we, ring = wechat.World(account, None, people, now, templates=ids), push.World()
    mine = keys.sms
    texts = sms.World(mine.secret_id, mine.secret_key, mine.sdk_app_id, mine.sign_name, now, sandbox_sms.TEMPLATES)
    async with AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(serving(app))
            for app in (wechat.build(we), push.build(ring), sms.build(texts))
        ]
        line = WeChat(WeChatSettings(keys.wechat.appid, keys.wechat.secret, api_base_url=urls[0]))
        browser = VapidPush(WebPushSettings(keys.vapid, "mailto:a@b.test", (urls[1].removeprefix("http://"),)))
        gateway = TencentSms(SmsSettings(**keys.client_sms(urls[2])))
        for one in (line, browser, gateway):
            stack.push_async_callback(one.close)
        templates = read_templates(json.dumps(sandbox_wechat.TEMPLATES))
        kinds = read_sms_kinds(json.dumps(sandbox_sms.KINDS))
        pusher = WeChatPusher(line, templates)
        yield Town(we, ring, texts, urls[1], Lines(BASE, APPID, pusher, browser, gateway, kinds))


@pytest.fixture
async def phone(reach: Reach, town: Town) -> AsyncIterator[AsyncClient]:
    """The mother's browser."""
    world = replace(reach.ward.world, ports=replace(reach.ward.world.ports, reach=town.lines))
    headers = {"Accept": "text/html", "Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    cookies = {COOKIE: reach.ward.tokens["mother"]}
    async with AsyncClient(
        transport=ASGITransport(create_app(world)), base_url=BASE, headers=headers, cookies=cookies
    ) as made:
        yield made


async def subscribe(phone: AsyncClient, town: Town) -> str:
    """What the button on the settings page does; the browser's id at its push service."""
    page = (await phone.get("/settings")).text
    (key,) = re.findall(r'data-push-key="([\w-]+)"', page)
    async with httpx.AsyncClient(trust_env=False) as outside:
        made = (await outside.post(f"{town.push_url}/control/subscribe", json={"key": key})).json()
    body = {"endpoint": made["endpoint"], "keys": made["keys"]}
    assert (await phone.post("/api/reminders/browsers", json=body)).status_code == 204
    assert (await phone.get("/api/reminders")).json()["rings_here"] is True
    return str(made["id"])


async def test_from_channel_to_channel_over_the_wire(reach: Reach, town: Town, phone: AsyncClient) -> None:
    """She subscribes on the settings page. WeChat first; she leaves the account: her browser is rung, by what it alone
    can open; the bill is due and unread: SMS, whose digits the page calls ours; all receipts come home."""
    reach.lines = town.lines
    browser = await subscribe(phone, town)
    await queue(reach, "blood", 2)
    await reach.run(seconds=6)
    (message,) = town.wechat.inbox["o-mother"]
    assert (
        message["said"] == ["滨海市第一人民医院", "-", "快到您了", "门诊楼 2 层 抽血处"]
        or message["said"][2] == "快到您了"
    )
    assert message["url"] == f"{BASE}/visits/{reach.ward.visit}/guide"
    event = ElementTree.fromstring(town.wechat.receipts[0]["xml"])  # noqa: S314 - our own sandbox wrote it
    told = (event.findtext("MsgID") or "", event.findtext("Status") or "")
    assert await reach.do(lambda tx: recording.record_wechat_job(tx, *told))

    town.wechat.person("o-mother").follows = False  # type: ignore[union-attr]
    await queue(reach, "ecg", 0, called=True)
    await reach.run(seconds=4)
    (note,) = town.push.browsers[browser].shown.values()
    assert note["title"] == "滨海市第一人民医院 叫到您了"
    assert (note["urgency"], note["topic"], 0 < note["ttl"] <= 600) == ("high", note["tag"], True)
    assert note["url"] == f"/visits/{reach.ward.visit}/guide"
    assert not any("叫到".encode() in raw for raw in town.push.raw)

    await reach.ward.perform("ecg")
    await end_visit(reach)
    await reach.run(minutes=11)
    await reach.run(hours=4)
    mine = [m for m in town.sms.messages if m["phone"] == "+8619900000001"]
    assert len(mine) == 1
    (digits,) = re.findall(r"查询码 (\d{4})$", mine[0]["text"])
    assert "朱桂芳" not in mine[0]["text"]
    async with httpx.AsyncClient(trust_env=False) as gateway:
        base = town.lines.sms._settings.base_url  # type: ignore[union-attr]
        reports = (await gateway.post(f"{base}/control/reports")).json()
    path = f"/api/callbacks/sms/{secret_of(reach.ward.world.db.vault)}"
    assert (await phone.post("/api/callbacks/sms/guessed", json=reports)).status_code == 401
    assert (await phone.post(path, content=b"{}")).status_code == 422
    for _ in range(2):
        assert (await phone.post(path, json=reports)).json() == {"result": 0, "errmsg": "OK"}
    assert await reach.rows("SELECT DISTINCT state FROM delivery WHERE channel = 'sms'") == [("delivered",)]
    assert await reach.rows("SELECT state FROM delivery WHERE number = '" + told[0] + "'") == [("delivered",)]

    page = (await phone.post("/caller", data={"digits": digits})).text
    assert "是滨海市第一人民医院发的" in page
    wrong = (await phone.post("/caller", data={"digits": "0000" if digits != "0000" else "1111"})).text
    assert "这不是我们发的" in wrong
    await flows.ask_due(reach.ward.world.db, town.lines)


async def test_an_answer_that_was_lost(reach: Reach, town: Town) -> None:
    """WeChat takes the message and its answer is lost: the same id again, shown once, one number; a text whose answer
    is lost is found at the gateway by our own id and not sent again."""
    reach.lines = town.lines
    await reach.run()
    town.wechat.slow_after = 0.5
    pusher = town.lines.wechat
    assert isinstance(pusher, WeChatPusher)
    fields = dict.fromkeys(("title", "body", "hospital", "who", "amount", "until", "place", "count", "code"), "甲")
    pusher._line.account._guard._deadline = 0.3
    with pytest.raises(Unknown):
        await pusher.push("o-mother", "turn", fields, BASE, "a" * 32)
    pusher._line.account._guard._deadline = 8
    first = await pusher.push("o-mother", "turn", fields, BASE, "a" * 32)
    assert [str(m["msgid"]) for m in town.wechat.inbox["o-mother"]] == [first]
    with pytest.raises(Rejected, match="47003"):
        await pusher.push("o-mother", "turn", fields, BASE, "a" * 33)

    line = town.lines.sms
    assert line is not None
    await reach.do(lambda tx: _other_phone(reach, tx, "19900009905"))
    await reach.wish("mother", basic=True)
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    assert await reach.rows("SELECT state FROM delivery") == [("unknown",)]
    await reach.run(minutes=1)
    await flows.ask_due(reach.ward.world.db, town.lines)
    assert await reach.rows("SELECT state FROM delivery") == [("delivered",)]
    assert len(town.sms.messages) == 1


async def _other_phone(reach: Reach, tx: Any, number: str) -> None:
    from people.service import patients

    patients.set_phone(tx, await patients.by_id(tx, reach.person("mother")), number)


async def test_what_wechat_refuses(reach: Reach, town: Town) -> None:
    """Not asked for (43101), the day's quota (45009), an unapproved template (40037); a long value is cut to fit."""
    assert isinstance(town.lines.wechat, WeChatPusher)
    fields = dict.fromkeys(("title", "body", "hospital", "who", "amount", "until", "place", "count", "code"), "长" * 30)
    setting = {"bound": {"id": "SUB", "data": {"thing1": "title"}, "subscribe": True}, "test": {"id": "NO", "data": {}}}
    pusher = WeChatPusher(town.lines.wechat._line, read_templates(json.dumps(setting)))
    assert not pusher.repeatable("bound")
    for kind, code in (("bound", "43101"), ("test", "40037")):
        with pytest.raises(Rejected) as no:
            await pusher.push("o-mother", kind, fields, BASE, "b" * 32)
        assert no.value.reason == code
    town.wechat.asked_for["o-mother", "SUB"] = 1
    await pusher.push("o-mother", "bound", fields, BASE, "b" * 32)
    assert town.wechat.inbox["o-mother"][0]["said"] == ["长" * 19 + "…"]
    town.wechat.quota = 1
    with pytest.raises(Throttled):
        await town.lines.wechat.push("o-mother", "turn", fields, BASE, "c" * 32)
    assert len(town.wechat.inbox["o-mother"]) == 1


async def test_what_a_push_service_refuses(town: Town, keys: sandbox_keys.SandboxKeys) -> None:
    """Another key than the browser subscribed with, an ended subscription, keys of no use, too often, down; and an
    address of no push service is never called, wherever in the house it comes from."""
    async with httpx.AsyncClient(trust_env=False, base_url=town.push_url) as outside:
        made = (await outside.post("/control/subscribe", json={"key": town.line.public_key})).json()
        to = Subscription(made["endpoint"], made["keys"]["p256dh"], made["keys"]["auth"])
        note = {"title": "t", "body": "b", "tag": "x", "url": "/"}
        await town.line.push(to, note, "x", 60, urgent=False)
        await town.line.push(to, {**note, "title": "t2"}, "x", 60, urgent=False)
        assert [n["title"] for n in (await outside.get(f"/control/shown/{made['id']}")).json()] == ["t2"]
        other = VapidPush(WebPushSettings(sandbox_keys.fresh().vapid, "mailto:a@b.test", town.line._settings.services))
        with pytest.raises(Rejected, match="403"):
            await other.push(to, note, "y", 60, urgent=False)
        await other.close()
        with pytest.raises(Rejected, match="GONE"):
            await town.line.push(replace(to, p256dh="x"), note, "z", 60, urgent=False)
        for status, error in ((429, Throttled), (500, Unknown)):
            await outside.post("/control/behave", json={"fail_next": 1, "status": status})
            with pytest.raises(error):
                await town.line.push(to, note, "z", 60, urgent=False)
        await outside.post("/control/behave", json={"id": made["id"], "gone": True})
        with pytest.raises(Rejected, match="GONE"):
            await town.line.push(to, note, "z", 60, urgent=False)
    asked = len(town.push.raw)
    for elsewhere in ("http://127.0.0.1:1/x", "https://evil.test/push", "https://fcm.googleapis.com.evil.test/x"):
        assert not town.line.accepts(elsewhere)
    assert len(town.push.raw) == asked
    known = VapidPush(WebPushSettings(keys.vapid, "mailto:a@b.test"))
    assert known.accepts("https://fcm.googleapis.com/fcm/send/abc")
    assert known.accepts("https://web.push.apple.com/abc")
    for bad in ("http://fcm.googleapis.com/x", "https://u@fcm.googleapis.com/x", "https://fcm.googleapis.com:8443/x"):
        assert not known.accepts(bad)
    await known.close()


async def test_the_pages(reach: Reach, town: Town, phone: AsyncClient) -> None:
    """Switches and hours are kept and shown; a browser of no push service is refused; a test message once a minute;
    the desk sees the digits her page shows, and looking is a press."""
    form = {"topic": ["visit"], "channel": ["wechat"], "quiet_from": "22:00", "quiet_to": "06:30", "basic": "1"}
    assert (await phone.post("/settings/reminders", data=form)).headers["location"] == "/settings?said=saved"
    kept = (await phone.get("/api/reminders")).json()
    assert (kept["off_topics"], kept["off_channels"]) == (["bill", "family"], ["sms", "web_push"])
    assert (kept["quiet_from"], kept["quiet_to"], kept["basic"]) == ("22:00", "06:30", True)
    page = (await phone.get("/settings?said=saved")).text
    assert page.count(" checked") >= 3
    assert "记下了。" in page
    wrong = await phone.post("/settings/reminders", data={**form, "quiet_from": "99:00"})
    assert wrong.status_code == 422
    body = {"endpoint": "http://169.254.1.1/x", "keys": {"p256dh": "B" * 87, "auth": "k" * 22}}
    assert (await phone.post("/api/reminders/browsers", json=body)).json()["code"] == "not_a_push_service"
    assert await reach.rows("SELECT count(*) FROM push_subscription") == [(0,)]
    assert (await phone.delete("/api/reminders/browsers")).status_code == 422
    assert (await phone.post("/settings/reminders/test")).headers["location"] == "/settings?said=sent"
    assert (await phone.post("/settings/reminders/test")).headers["location"] == "/settings?said=again"
    (code,) = (await phone.get("/api/caller-codes")).json()
    assert code["digits"] in (await phone.get("/caller")).text
    visit = f"/desk/visits/{reach.ward.visit}"
    phone.cookies.clear()
    phone.cookies.set(COOKIE, reach.ward.tokens["g.guide"])
    assert code["digits"] not in (await phone.get(visit)).text
    assert code["digits"] in (await phone.post(f"{visit}/caller")).text
    assert await reach.rows("SELECT count(*) FROM caller_look") == [(1,)]


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", '{"turn": 1}', '{"else": {"id": "1"}}', '{"turn": {"data": {}}}',
     '{"turn": {"id": "1", "data": {"thing1": "diagnosis"}}}', '{"turn": {"id": "1", "more": 2}}'],
)  # fmt: skip
def test_a_setting_that_names_what_is_not_there(text: str) -> None:
    """No JSON, no such kind, no template, and above all no such field: there is none for a diagnosis."""
    with pytest.raises(TemplatesError):
        read_templates(text)


def test_every_other_move_of_a_delivery_is_refused() -> None:
    """The table is small; what is not in it raises, and what ended stays ended."""
    ended = (DeliveryState.READ, DeliveryState.FAILED, DeliveryState.DROPPED)
    assert not any(before in ended for before, _ in DELIVERY.edges)
    assert not DELIVERY.allows(DeliveryState.SENT, DeliveryState.SENDING)
    assert not DELIVERY.allows(DeliveryState.DELIVERED, DeliveryState.FAILED)
