"""The way on the guide's page: words first, a picture a floor, a link for who cannot climb stairs."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.dom import minidom

import pytest
from httpx import ASGITransport, AsyncClient

from api.deps import COOKIE
from guide.maps.network import Network
from guide.service import maps
from houfu.app import create_app
from pwa import build
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward
from words import guide_way as w


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on: she came to the heart's doctor, blood is to be drawn."""
    build.main()
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


def minutes(page: str) -> int:
    """How long the page says one walks."""
    found = re.search(r"走过去约 (\d+) 分钟", page)
    assert found
    return int(found[1])


async def test_the_guide_shows_the_way(ward: Ward, network: Network) -> None:
    """No map: no way. With one: from the doctor to the blood by escalator, or by lift without steps; then onwards."""
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
        lines, pictures, page = await shown()
        assert lines[1] == "乘下行扶梯到2楼。"
        assert "“抽血处”" in lines[-1]
        assert len(pictures) == 2
        for picture in pictures:
            minidom.parseString(picture)  # noqa: S318 - our own
            assert "style" not in picture, "the page's policy forbids styles in it"
        assert f"{address}?no_steps=1" in page
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
        await ward.perform("blood")
        lines, pictures, _ = await shown()
        assert "“心电图室”" in lines[-1]
