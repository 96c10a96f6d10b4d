"""All ways between the places of a visit on one page: for the phone to keep, drawn anew only when something changed."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.dom import minidom

import brotli
import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import delete

from api.deps import COOKIE
from guide.maps import picture
from guide.maps.network import Network
from guide.maps.picture import Labels, Sign
from guide.models import Advice
from guide.ports import Profile
from guide.routes import say
from guide.routes.engine import Engine
from guide.service import maps
from houfu.app import create_app
from pwa.pages.ways import MOST, pairs_of, places_of
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One visit going on: from the heart's doctor to the blood, the ECG and the gynaecologist."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


async def test_the_ways_between_her_places(ward: Ward, network: Network) -> None:
    """Each place to each, the next one first; unchanged nothing is sent, a closed lift is; family sees none of it."""
    path = f"/visits/{ward.visit}/ways"
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as web:

        async def get(who: str = "mother", query: str = "", tag: str = "") -> Any:
            headers = {"Accept": "text/html", "Cookie": f"{COOKIE}={ward.tokens[who]}"}
            return await web.get(path + query, headers=headers | ({"If-None-Match": tag} if tag else {}))

        assert "svg xmlns" not in (await get()).text, "no map yet"
        async with ward.world.db.begin() as tx:
            await maps.publish(tx, ward.hospital, network)
            await tx.session.execute(delete(Advice))  # as if nobody had looked before there was a map
        answer = await get()
        page = answer.text
        assert re.findall(r"<h2>从(.*?)出来</h2>", page)[:2] == [
            "心内科门诊",
            "心电图室",
        ]  # next door first, by the map
        assert len(re.findall("<details", page)) == 12
        assert "乘下行扶梯到2楼。" in page
        used = set(re.findall(r'<use href="#(.*?)"/>', page))
        assert used == set(re.findall(r'<g id="(floor-\d+)">', page)), "each floor is drawn once"
        ids, turns = set(re.findall(r'id="(way-\d+-\d+)"', page)), set(re.findall(r'data-to="(.*?)"', page))
        assert turns <= ids, "a badge leads to a picture that is there"
        for drawn in re.findall(r"<svg xmlns.*?</svg>", page, re.S):
            minidom.parseString(drawn)  # noqa: S318 - our own
        assert len(brotli.compress(answer.content)) < 20_000

        tag = answer.headers["etag"]
        again = await get(tag=tag)
        assert (again.status_code, again.content) == (304, b"")
        changed = {k for k, v in again.headers.items() if answer.headers.get(k) != v}
        assert changed <= {"x-request-id"}, "a browser writes these over the page's own, the policy among them"
        assert (await get(query="?no_steps=1", tag=tag)).status_code == 200
        async with ward.world.db.begin() as tx:
            for lift in ("1号电梯", "2号电梯", "空中连廊"):
                await maps.close(tx, ward.hospital, lift)
        assert (await get(tag=tag)).status_code == 200
        await ward.perform("blood")
        assert re.findall(r"<h2>从(.*?)出来</h2>", (await get()).text)[0] == "抽血处"
        assert (await get("daughter")).status_code == 303
        assert (await get("stranger")).status_code == 404


def test_pairs() -> None:
    """Where she is, every open place and the doctor, each to each; of more than twenty the first, and the doctor."""

    def step(n: int, state: str = "placed", planned: int | None = None) -> dict[str, Any]:
        return {"door": f"d{n}", "state": state, "rank": n, "planned": planned}

    assert places_of([], "doctor") == places_of([step(1, "performed")], "doctor") == []
    assert places_of([step(1), step(2, planned=0), step(3, "cancelled")], "doctor") == ["doctor", "d2", "d1"]
    assert places_of([step(1, "result"), step(2)], "doctor", "d1") == ["d1", "d2", "doctor"]
    assert pairs_of(["d1", "d2", "doctor"], {"d2", "doctor"}) == [
        ("d1", "d2"), ("d1", "doctor"), ("d2", "doctor"), ("doctor", "d2"),
    ]  # fmt: skip
    places = places_of([step(n) for n in range(18)], "doctor", "sign")
    every = set(pairs_of(places, {*places} - {"sign"}))
    assert every == {(a, b) for a in places for b in places if a != b and b != "sign"}
    assert len(places) == MOST
    more = places_of([step(n) for n in range(30)], "doctor")
    assert {a for a, _ in pairs_of([*more, "last"], {*more, "last"})} == {*more[: MOST - 1], "last"}


def test_badges_stand_apart(network: Network) -> None:
    """Between some departments: small, inside the picture, no plate over another, both ends to be tapped."""
    engine = Engine(network)
    spaces = list(network.occupants.values())
    plate = re.compile(
        r'<rect x="(-?\d+)" y="(-?\d+)" width="(\d+)" height="(\d+)"[^>]*fill="#(?:333|b93c0a|1d4fd8)"/>'
    )
    seen = 0
    for n, start in enumerate(spaces):
        path = engine.route(network.spaces[start].node, network.spaces[spaces[n * 7 % len(spaces)]].node, Profile.WALK)
        for level, lines in say.lines(network, path).items() if path else ():
            letters = picture.LARGE if n % 2 else picture.TYPE
            labels = Labels(Sign("从3楼来", "a"), Sign("去5楼", "b"), letters=letters)
            drawn = picture.floor(network, level, routes=lines, labels=labels)
            assert len(brotli.compress(drawn.encode())) <= 10_000
            left, top, wide, high = map(int, re.findall(r'viewBox="(.*?)"', drawn)[0].split())
            boxes = [tuple(map(int, m)) for m in plate.findall(drawn)]
            assert len(boxes) == 3
            for x, y, w, h in boxes:
                assert left <= x <= x + w <= left + wide
                assert top <= y <= y + h <= top + high
            for k, (x, y, w, h) in enumerate(boxes):
                assert not any(x < X + W and x + w > X and y < Y + H and y + h > Y for X, Y, W, H in boxes[:k]), drawn
            assert len(re.findall(r'<g data-to="[ab]">', drawn)) == 2
            seen += 1
    assert seen > 40
