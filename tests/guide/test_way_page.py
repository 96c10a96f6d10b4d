"""The way on the guide's page: words first, a picture a floor, a link for who cannot climb stairs."""

import json
import math
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import delete

from api.deps import COOKIE
from guide import service as guide
from guide.maps.network import Network
from guide.models import Advice
from guide.order.walks import Nearby
from guide.ports import Profile
from guide.service import maps, spots, walking
from houfu.app import create_app
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from people.rules import OWNER
from people.service import hospitals
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward, visit_row
from visits.service import encounters, orders
from visits.service.orders import OrderFact
from words import guide_way as w
from words.guide_order import NO_WAY_STEP_FREE


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on: she came to the heart's doctor, blood is to be drawn."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


def minutes(page: str) -> tuple[int, int]:
    """How long the page says one walks, at least and at most."""
    found = re.search(r"走过去(?:约(\d+)–)?(\d+)分钟", page)
    assert found
    return int(found[1] or 0), int(found[2])


async def us_order(tx: Tx, ward: Ward) -> tuple[Any, Any, OrderFact]:
    """An ultrasound is ordered as well."""
    encounter = encounters.encounter_id(ward.hospital, "E1")
    fact = OrderFact("O9", encounter, "imaging", "us项目", "US", None, (), None, None, "周明远", tx.now, 9)
    return await hospitals.by_id(tx, ward.hospital), await visit_row(tx, ward), fact


class Partly:
    """A map with three places, and no way without steps to one of them."""

    stamp = "1"

    def knows(self, place: str) -> bool:
        return place in ("A", "B", "C")

    def walking_seconds(self, from_place: str, to_place: str, profile: str = Profile.WALK) -> float:
        far = not (self.knows(from_place) and self.knows(to_place)) or (to_place == "C" and Profile(profile).step_free)
        return math.inf if far else 77.0


def test_what_the_map_does_not_know_has_a_time_and_a_doubt() -> None:
    """On the map its seconds; off it, or without a way for this profile, the rule of thumb, and it says which."""
    nearby = Nearby({"A": ("门诊楼", 1), "C": ("门诊楼", 3), "D": ("门诊楼", 1)})
    on_map: Any = Partly()
    walk = walking.Walking(Profile.WALK, nearby, on_map)
    chair = walking.Walking(Profile.WHEELCHAIR, nearby, on_map)
    assert [walk.walking_seconds("A", to) for to in "ABCD"] == [77.0, 77.0, 77.0, 45.0]
    assert [walk.doubt("A", to) for to in "BCD"] == [None, None, walking.Doubt.UNKNOWN]
    assert chair.walking_seconds("A", "C") == nearby.walking_seconds("A", "C", "wheelchair") < math.inf
    assert [chair.doubt("A", to) for to in "BCD"] == [None, walking.Doubt.NO_WAY, walking.Doubt.UNKNOWN]
    bare = walking.Walking(Profile.SLOW, nearby)
    assert (bare.walking_seconds("A", "D"), bare.doubt("A", "D")) == (72.0, None)


async def test_the_guide_shows_the_way(ward: Ward, network: Network) -> None:
    """No map: no way. With one: next door first, then to the blood by escalator, or by lift without steps; onwards."""
    headers = {"Accept": "text/html", "Origin": BASE, "Cookie": f"{COOKIE}={ward.tokens['mother']}"}
    address = f"/visits/{ward.visit}/guide"
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE, headers=headers) as web:

        async def shown(query: str = "") -> tuple[list[str], list[str], str]:
            page = (await web.get(address + query)).text
            lines = re.findall(r"<li><span>([^<]*)</span></li>", page)
            return lines, re.findall(r"<svg xmlns.*?</svg>", page, re.S), page

        assert (await shown())[:2] == ([], [])
        async with ward.world.db.begin() as tx:
            await maps.publish(tx, ward.hospital, network)
            await tx.session.execute(delete(Advice))  # as if nobody had looked before there was a map
        lines, _, _ = await shown()
        assert lines == ["出门右转，直走约5米，“心电图室”在左手边。"]  # the map knows what the sheet does not
        await ward.perform("ecg")
        lines, pictures, page = await shown()
        assert lines[1] == "乘下行扶梯到2楼。"
        assert "“抽血处”" in lines[-1]
        assert len(pictures) == 2
        for picture in pictures:
            minidom.parseString(picture)  # noqa: S318 - our own
            assert "style" not in picture, "the page's policy forbids styles in it"
        assert f"{address}?no_steps=1" in page
        assert "路线按医院地图第1版。" in page
        slow = (await web.get(address, headers={"Cookie": f"{headers['Cookie']}; elder=1"})).text
        assert minutes(slow) > minutes(page), "in 长辈版 one walks slowly"
        lines, _, page = await shown("?no_steps=1")
        assert lines[1] == "乘2号电梯到2楼。"
        assert "这条路没有台阶" in page
        assert f'hx-get="{address}?no_steps=1"' in page, "renewed by a step, the way is still without steps"
        async with ward.world.db.begin() as tx:
            for lift in ("1号电梯", "2号电梯", "空中连廊"):
                await maps.close(tx, ward.hospital, lift)
        assert (await shown("?no_steps=1"))[:2] == ([w.NO_STEP_FREE], [])
        async with ward.world.db.begin() as tx:
            await orders.place(tx, *(await us_order(tx, ward)))
            await walking.choose(tx, ward.actors["mother"], ward.visit, Profile.WHEELCHAIR)
        assert (await shown())[0] == [w.NO_STEP_FREE]  # remembered: nobody has to ask for it again
        async with ward.world.db.begin() as tx:
            steps, _ = guide.plan_of(await guide.steps_of(tx, ward.visit, OWNER))
            told = {s["name"]: s["because"] for s in steps}
        assert set(told) == {"blood项目", "us项目"}  # nothing is hidden because nobody finds a way
        assert told["blood项目"].endswith(NO_WAY_STEP_FREE)
        with pytest.raises(NotFoundError):
            async with ward.world.db.begin() as tx:
                await walking.choose(tx, ward.actors["stranger"], ward.visit, Profile.BED)
        with pytest.raises(ForbiddenError):
            async with ward.world.db.begin() as tx:
                await walking.choose(tx, ward.actors["neighbour"], ward.visit, Profile.BED)
        async with ward.world.db.begin() as tx:
            assert await walking.profile_of(tx, await visit_row(tx, ward)) is Profile.WHEELCHAIR
            await walking.choose(tx, ward.actors["g.guide"], ward.visit, Profile.WALK)
        await ward.perform("blood")
        lines, pictures, _ = await shown()
        assert "“超声科”" in lines[-1]


async def test_she_says_where_she_stands(ward: Ward, network: Network) -> None:
    """The QR on a wall leads to her guide, beginning there, until she goes on; a list does the same without scanning.
    Whoever has no visit here, or scans another house's sign, is led to the first page, and nothing is told."""
    await ward.perform("ecg")
    async with ward.world.db.begin() as tx:
        await maps.publish(tx, ward.hospital, network)
        every = await spots.signs(tx, ward.hospital)
        code = (await hospitals.by_id(tx, ward.hospital)).code
    assert len({s.code for s in every}) == len(every) > 100
    assert {len(s.code) for s in every} == {7}
    sign = next(s for s in every if s.name == "磁共振室")
    assert (sign.where, sign.code) == ("医技楼1楼", spots.code_of(sign.key))
    transport = ASGITransport(create_app(ward.world))
    async with AsyncClient(transport=transport, base_url=BASE, headers={"Accept": "text/html", "Origin": BASE}) as web:

        async def get(path: str, who: str = "mother") -> Response:
            return await web.get(path, headers={"Cookie": f"{COOKIE}={ward.tokens[who]}"})

        scanned = await get(f"/guide/at/{code}/{sign.code}")
        place = scanned.headers["location"]
        assert place.startswith(f"/visits/{ward.visit}/guide?at={sign.code}&since=")
        page = (await get(place)).text
        assert "从“磁共振室”出发" in page
        assert f'hx-get="{place.replace("&", "&amp;")}"' in page
        wheels = re.search(r'href="([^"]*no_steps=1[^"]*)"', page)
        assert wheels
        assert "从“磁共振室”出发" in (await get(wheels[1].replace("&amp;", "&"))).text
        listed = (await get(f"/visits/{ward.visit}/where")).text
        words, _, drawn = listed.partition("<svg xmlns")
        assert f"at={sign.code}" in words
        assert words.count("?at=") == len(network.occupants)
        # The map to tap on: the floor of her doctor, and any other; every place with a sign begins a way.
        at = {link[1].replace("&amp;", "&") for link in re.finditer(r'<a href="([^"]*at=[^"]*)" tabindex', drawn)}
        doctor = next(s for s in every if "心" in s.name and "内科" in s.name)
        assert len(at) == len([s for s in every if s.where == doctor.where])
        other = re.search(r'href="([^"]*floor=[^"]*)">医技楼1楼', words)
        assert other
        drawn = (await get(other[1])).text.partition("<svg xmlns")[2]
        tapped = re.search(rf'<a href="([^"]*at={sign.code}[^"]*)" tabindex', drawn)
        assert tapped
        assert "从“磁共振室”出发" in (await get(tapped[1].replace("&amp;", "&"))).text
        assert (await get(f"/visits/{ward.visit}/where?floor=99")).status_code == 200
        for path, who in (
            (f"/guide/at/{code}/{sign.code}", "stranger"),
            (f"/guide/at/{code}/{sign.code}", "neighbour"),
            (f"/guide/at/HF99/{sign.code}", "mother"),
        ):
            assert (await get(path, who)).headers["location"] == "/"
        strange = (await get(f"/visits/{ward.visit}/guide?at=QQQQQQQ&since=0")).text
        assert "从“磁共振室”出发" in strange  # a sign that is not there says nothing; the last one is remembered
        assert "QQQQQQQ" not in strange
        ward.clock.move(timedelta(minutes=1))
        await ward.perform("blood")  # she has gone on: the sign is behind her
        assert "从“磁共振室”出发" not in (await get(place)).text


async def test_a_span_and_how_old_it_is(ward: Ward) -> None:
    """No word of the queue: it says so. A word: a span, by the hospital's own minutes. Half an hour later it is wider,
    and called old."""
    headers = {"Accept": "text/html", "Origin": BASE, "Cookie": f"{COOKIE}={ward.tokens['mother']}"}
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE, headers=headers) as web:

        async def line() -> str:
            page = (await web.get(f"/visits/{ward.visit}/guide")).text
            found = re.search(r'<p class="dim split queue">(.*?)</p>', page)
            assert found
            return re.sub("<[^>]*>", " ", found[1]).strip()

        assert await line() == "医院没有说前面还有几人，先按检查要求和远近走。"
        async with ward.world.db.begin() as tx:
            for name, ahead in (("blood", 30), ("gyn", 30), ("ecg", 4)):
                order = await orders.order_by_id(tx, ward.orders[name])
                assert order is not None
                await orders.check_in(tx, order, tx.now) if name == "ecg" else None
                await orders.queue_moved(tx, order, ahead=ahead, called=False, room=None, at=tx.now)
        assert await line() == "前面 4 人  大约 11:20–12:00 轮到您  医院 11:00 说的"
        ward.clock.move(timedelta(minutes=30))
        assert await line() == "前面 4 人  大约 11:20–12:10 轮到您  医院 11:00 说的，后来可能变了"
    step = {"state": "placed", "kind": "imaging", "ahead": 4, "queue_at": "2026-11-22T03:00:00+00:00", "minutes": 8.0}
    spans = []
    for later in (0, 20, 50):
        turn = guide.turn_of(step, datetime(2026, 11, 22, 3, later, tzinfo=UTC))
        assert turn is not None
        spans.append((turn.begin.strftime("%M"), (turn.end - turn.begin).total_seconds() / 60))
    assert spans == [("20", 35.0), ("10", 65.0), ("00", 95.0)]


async def test_who_follows_sees_where_her_step_is(ward: Ward, network: Network) -> None:
    """The neighbour's page has the floor with the place of the next step he sees; without a map it has the words."""
    headers = {"Accept": "text/html", "Cookie": f"{COOKIE}={ward.tokens['neighbour']}"}
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE, headers=headers) as web:
        assert "<svg xmlns" not in (await web.get(f"/visits/{ward.visit}/story")).text
        async with ward.world.db.begin() as tx:
            await maps.publish(tx, ward.hospital, network)
        page = (await web.get(f"/visits/{ward.visit}/story")).text
        shown = re.search(r"<svg xmlns.*?</svg>", page, re.S)
        assert shown
        minidom.parseString(shown[0])  # noqa: S318 - our own
        title = re.search(r"<title>(.*?)</title>", shown[0])
        assert title
        assert title[1] in {"门诊楼2楼平面图，标出了抽血处", "门诊楼3楼平面图，标出了心电图室"}
