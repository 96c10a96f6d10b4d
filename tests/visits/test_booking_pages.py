"""The pages and the API of booking, by plain forms: three taps, and every way it can go."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient

from houfu.app import create_app
from tests.listening import hear, soon
from tests.visits.booking_stand import TODAY, Desk

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
Phones = dict[str, AsyncClient]


@pytest.fixture
async def phones(desk: Desk) -> AsyncIterator[Phones]:
    """A browser of each, logged in."""
    app = create_app(desk.world)
    async with AsyncExitStack() as stack:
        yield {
            who: await stack.enter_async_context(
                AsyncClient(
                    transport=ASGITransport(app),
                    base_url="https://houfu.test",
                    headers=PAGE | {"Authorization": f"Bearer {token}"},
                )
            )
            for who, token in desk.tokens.items()
        }


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', page))


def told(desk: Desk, page: str, who: str = "mother") -> AbstractAsyncContextManager[list[bytes]]:
    """What this page is told from now on."""
    (line,) = re.findall(r'hx-sse:connect="([^"]+)"', page)
    path, _, query = line.partition("?")
    return hear(desk.world, desk.tokens[who], path, query)


async def test_a_daughter_books_for_her_mother_by_three_taps(desk: Desk, phones: Phones) -> None:
    """Department, time, yes; her mother's name, hospital, time and fee are before her. The mother sees who did it."""
    daughter, mother = phones["daughter"], phones["mother"]
    whose = desk.actors["mother"].id
    daughter.cookies.set("person", str(whose))
    first = (await daughter.get("/book")).text
    assert "朱**" in first
    assert "朱桂芳" not in first
    (times,) = re.findall(r'href="(/book/\w+/CARD)"', first)
    second = (await daughter.get(times)).text
    (confirm,) = re.findall(rf'href="([^"]*slot={desk.slot(14)})"', second)
    third = (await daughter.get(confirm.replace("&amp;", "&"))).text
    for said in ("朱**", "滨海市第一人民医院", "周明远", "今天", "14:00–14:30", "¥1.00，记在账上，看完一起付"):
        assert said in third
    form = fields(third)
    assert form["patient"] == str(whose)
    done = await daughter.post("/book", data=form)
    assert done.status_code == 303
    again = await daughter.post("/book", data=form)
    assert again.headers["location"] == done.headers["location"]
    assert desk.places == {desk.slot(14): 1}
    page = (await mother.get(done.headers["location"])).text
    assert "陈* 替您约的" in page
    assert "第 1 号" in page
    assert "今天 12:00前可以在这里取消" in page
    assert "今天 14:00" in (await mother.get("/bookings")).text
    assert (await phones["neighbour"].get(done.headers["location"])).status_code == 404


async def test_taken_meanwhile_then_cancelled_with_a_question(desk: Desk, phones: Phones) -> None:
    """Somebody was quicker: said kindly, with the nearest free; that one is booked, and cancelled after being asked."""
    mother = phones["mother"]
    third = (await mother.get(f"/book/HF01/CARD/confirm?day={TODAY}&slot={desk.slot(14)}")).text
    desk.his.behaviour.be("taken")
    lost = await mother.get((await mother.post("/book", data=fields(third))).headers["location"])
    assert "这个号刚刚被别人约走了" in lost.text
    (other, *_) = re.findall(r'href="(/book/[^"]*confirm[^"]*)"', lost.text)
    form = fields((await mother.get(other.replace("&amp;", "&"))).text)
    assert form["slot"] == desk.slot(13, 30)
    place = (await mother.post("/book", data=form)).headers["location"]
    asked = (await mother.get(f"{place}/cancel")).text
    assert "取消这个号" in asked
    assert desk.places == {desk.slot(13, 30): 1}
    assert (await mother.post(f"{place}/cancel")).headers["location"] == place
    assert "已经取消" in (await mother.get(place)).text
    assert desk.places == {}


async def test_not_known_is_said_as_not_known(desk: Desk, phones: Phones) -> None:
    """No answer: do not book again; then it is booked, and the page is told, or looks by itself without a script."""
    mother = phones["mother"]
    third = (await mother.get(f"/book/HF01/CARD/confirm?day={TODAY}&slot={desk.slot(14)}")).text
    desk.his.behaviour.be("500_after", kinds=("book",))
    place = (await mother.post("/book", data=fields(third))).headers["location"]
    page = (await mother.get(place)).text
    assert "还不知道约上没有" in page
    assert "请别再约" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert 'hx-trigger="every' not in page
    async with told(desk, page) as heard:
        assert heard == []
        await desk.pass_time(seconds=7)
        await soon(heard, "event: reload", 5)
    assert "约好了" in (await mother.get(place)).text
    async with told(desk, page) as late:  # what came between the drawing of the page and its line
        await soon(late, "event: reload", 5)
    desk.his.behaviour.be("500_after", kinds=("cancel_booking",))
    await mother.post(f"{place}/cancel")
    page = (await mother.get(place)).text
    async with told(desk, page) as heard:
        await desk.pass_time(seconds=7)
        await soon(heard, "event: reload", 5)
    assert "hx-sse:connect" not in (await mother.get(place)).text, "given up: nothing moves here any more"


async def test_the_fee_is_pushed_and_a_stranger_hears_nothing(desk: Desk, phones: Phones) -> None:
    """Booked, the fee to come: its page is told when she may pay. The daughter who booked hears it, others may not."""
    await desk.settings(registration_upfront=True)
    made = await desk.book(desk.slot(), by="daughter")
    place = f"/bookings/{made.id}"
    pages = {who: (await phones[who].get(place)).text for who in ("mother", "daughter")}
    assert all("付" in page and "?line=" not in page for page in pages.values())
    async with told(desk, pages["mother"]) as hers, told(desk, pages["daughter"], "daughter") as theirs:
        assert await desk.hear()
        await soon(hers, "event: reload", 5)
        await soon(theirs, "event: reload", 5)
    page = (await phones["mother"].get(place)).text
    assert "/pay?line=" in page
    async with told(desk, page) as heard:
        await asyncio.sleep(0.05)
        assert heard == [], "it is as it was drawn"
    refused = await phones["neighbour"].get(f"/api{place}/stream")
    assert refused.status_code == 404


async def test_the_hospital_is_away_and_the_fee_changes(desk: Desk, phones: Phones) -> None:
    """Nothing is said of free times, plainly; back again, a fee that has changed is shown before anything is booked."""
    mother = phones["mother"]
    desk.his.behaviour.be("down")
    away = await mother.get("/book/HF01/CARD")
    assert (away.status_code, "不是约满了" in away.text) == (503, True)
    desk.world.slots.forget(desk.hospital, "CARD", TODAY)
    third = (await mother.get(f"/book/HF01/CARD/confirm?day={TODAY}&slot={desk.slot(14)}")).text
    await desk.settings(registration_upfront=True)
    changed = await mother.post("/book", data=fields(third))
    assert changed.status_code == 409
    assert "¥1.00，约好后先付" in changed.text
    assert desk.places == {}
    assert (await mother.post("/book", data=fields(changed.text))).status_code == 303
    await desk.hear()
    (only,) = re.findall(r'href="(/bookings/[0-9a-f-]+)"', (await mother.get("/bookings")).text)
    owed = (await mother.get(only)).text
    assert "请在今天 09:30前付" in owed
    (pay,) = re.findall(r'href="(/visits/[^"]+/pay\?line=[^"]+)"', owed)
    assert "挂号费" in (await mother.get(pay)).text
    assert "今天还没有就诊" not in (await mother.get("/")).text


async def test_who_booked_may_pay_the_fee_and_sees_nothing_else(desk: Desk, phones: Phones) -> None:
    """The daughter pays amounts only; the fee of what she booked is hers to pay by name, no other payer's."""
    await desk.settings(registration_upfront=True)
    made = await desk.book(desk.slot(9, 30, days=1), by="daughter")
    await desk.hear()
    page = (await phones["daughter"].get(f"/bookings/{made.id}")).text
    (pay,) = re.findall(r'href="(/visits/[^"]+/pay\?line=[^"]+)"', page)
    sheet = await phones["daughter"].get(pay)
    assert (sheet.status_code, "¥1.00" in sheet.text, "挂号费" in sheet.text) == (200, True, False)
    assert (await phones["neighbour"].get(pay)).status_code == 404
    assert "还没有就诊" in (await phones["mother"].get("/")).text, "it is not her day yet"


async def test_a_missed_call_on_the_phone_and_at_the_desk(desk: Desk, phones: Phones) -> None:
    """The phone says what to do by the hospital's rule; the guide desk puts her back, the cashier may not."""
    made = await desk.book(desk.slot(9, 30))
    desk.his.appointments.miss(made.id.hex)
    await desk.hear()
    place = f"/bookings/{made.id}"
    assert "请到导诊台说一声" in (await phones["mother"].get(place)).text
    await desk.settings(missed_call="kiosk")
    assert "自助机" in (await phones["mother"].get(place)).text
    guide = phones["g.guide"]
    assert "朱桂芳" in (await guide.get("/desk/bookings")).text
    assert (await phones["d.ent"].post(f"/desk/bookings/{made.id}/requeue")).status_code == 403
    assert (await phones["mother"].post(f"/desk/bookings/{made.id}/requeue")).status_code == 403
    assert (await desk.look(made.id)).state == "missed"
    assert (await guide.post(f"/desk/bookings/{made.id}/requeue")).status_code == 303
    assert "已到医院" in (await phones["mother"].get(place)).text


async def test_programs_do_the_same_by_json(desk: Desk, phones: Phones) -> None:
    """What is free for her, booked with a key, looked at, cancelled; a payer who may not book finds nothing."""
    daughter, whose = phones["daughter"], str(desk.actors["mother"].id)
    daughter.headers["Accept"] = "application/json"
    asked = {"department": "CARD", "day": str(TODAY), "patient_id": whose}
    path = f"/api/hospitals/{desk.hospital}/slots"
    free = (await daughter.get(path, params=asked)).json()
    assert {s["doctor"] for s in free} == {"周明远", "何静"}
    slot = next(s for s in free if s["id"] == desk.slot(14))
    assert (slot["fee_fen"], slot["pay"], slot["free"]) == (100, "account", 6)
    body = asked | {"hospital_id": str(desk.hospital), "slot": slot["id"], "fee_fen": 100, "pay": "account"}
    key = {"Idempotency-Key": uuid4().hex}
    made = await daughter.post("/api/bookings", json=body, headers=key)
    assert made.status_code == 201
    booking = made.json()
    assert (booking["state"], booking["patient"], booking["number"]) == ("booked", "朱**", "1")
    assert (await daughter.post("/api/bookings", json=body, headers=key)).json()["id"] == booking["id"]
    assert [b["id"] for b in (await daughter.get("/api/bookings")).json()] == [booking["id"]]
    neighbour = phones["neighbour"]
    neighbour.headers["Accept"] = "application/json"
    assert (await neighbour.get(path, params=asked)).status_code == 404
    assert (await neighbour.post("/api/bookings", json=body, headers=key)).status_code == 404
    assert (await neighbour.get(f"/api/bookings/{booking['id']}")).status_code == 404
    assert (await neighbour.post(f"/api/bookings/{booking['id']}/cancel")).status_code == 404
    assert desk.places == {desk.slot(14): 1}
    assert (await daughter.post(f"/api/bookings/{booking['id']}/cancel")).json()["state"] == "cancelled"
    assert desk.places == {}
