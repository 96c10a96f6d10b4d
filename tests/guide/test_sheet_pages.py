"""The guide sheet as the house prints it: for whom, with whose names, which way, and what a finder of it learns."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.dom import minidom

import pytest
from httpx import ASGITransport, AsyncClient, Response

from api.deps import COOKIE
from family_pay.rules import Offer, Relation
from family_pay.service import confirming, invitations
from guide import service as guide
from guide.maps.network import Network
from guide.service import maps, sheets
from houfu.app import create_app
from people.rules import OWNER, STAFF_VIEW, Depth
from people.service import access, staff
from pwa.press import press
from pwa.slip import DOTS
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.pwa.thermal import Printed, read
from tests.visits.ward import BASE, Ward, open_ward, visit_row
from visits.service import orders, passes


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One visit going on: she came to the heart's doctor; blood, heart and something sensitive are to be examined."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[AsyncClient]:
    """A browser; who asks is said with each request."""
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE) as client:
        yield client


async def get(web: AsyncClient, ward: Ward, who: str, rest: str = "") -> Response:
    """The sheet, or one of its papers, for one person."""
    headers = {"Cookie": f"{COOKIE}={ward.tokens[who]}", "Accept": "text/html"}
    return await web.get(f"/visits/{ward.visit}/sheet{rest}", headers=headers)


async def slip(web: AsyncClient, ward: Ward, who: str, query: str = "") -> Printed:
    """The slip of 58 mm."""
    found = await get(web, ward, who, f".escpos?paper=58{query}")
    assert found.status_code == 200
    assert found.headers["cache-control"] == "private, no-store"
    return read(found.content, DOTS[58])


async def publish(ward: Ward, network: Network) -> None:
    """The demo's map."""
    async with ward.world.db.begin() as tx:
        await maps.publish(tx, ward.hospital, network)


async def test_it_leads_through_the_day_without_a_phone(web: AsyncClient, ward: Ward, network: Network) -> None:
    """In the order advised, from the doctor to the blood and on from there, then back; what is done is gone."""
    await publish(ward, network)
    async with ward.world.db.begin() as tx:
        visit = await visit_row(tx, ward)
        made = await sheets.sheet_of(tx, visit, STAFF_VIEW, drawn=True)
        advised = [str(step["id"]) for step in guide.plan_of(await guide.steps_of(tx, ward.visit, STAFF_VIEW))[0]]
        free = await sheets.sheet_of(tx, visit, STAFF_VIEW, step_free=True)
        kept = passes.kept_code(tx.vault, visit)
        codes = [f"{BASE}/o/{order.paper_code}" for order in await orders.orders_of(tx, ward.visit)]
    assert made.patient == "朱**"
    assert len(advised) > 1
    assert [step.order_id for step in made.steps if step.order_id in advised] == advised
    blood = next(step for step in made.steps if step.name == "blood项目")
    assert blood.ready == ("先别吃东西，可以喝几口水。",)
    for step in made.steps:
        assert step.way is not None
        assert step.way.lines
        assert step.place
    (hidden,) = [step for step in made.steps if step.discreet]
    assert hidden.way is not None
    assert not hidden.way.floors, "a picture would have its name on it"
    assert blood.way is not None
    assert "“抽血处”" in blood.way.lines[-1]
    assert [name for name, _ in blood.way.floors][-1] == "门诊楼2楼"
    for _, svg in blood.way.floors:
        minidom.parseString(svg)  # noqa: S318 - our own
    assert made.back == ("心内科门诊", "门诊楼3楼东侧，301到308诊室")
    assert made.back_way is not None
    assert "“心内科门诊”" in made.back_way.lines[-1]
    assert not any("扶梯" in line for step in free.steps if step.way for line in step.way.lines)
    assert made.map_number == 1
    paper = await slip(web, ward, "g.guide")
    assert sorted(paper.codes) == sorted([*codes, kept])
    assert "路线按医院地图第1版。" in paper.words
    assert "2026年11月22日 11:00 打印" in paper.words
    await ward.perform("blood")
    assert "blood项目" not in (await slip(web, ward, "g.guide")).words


async def test_a_finder_learns_neither_name_nor_what_is_sensitive(
    web: AsyncClient, ward: Ward, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Her name is masked, 妇科 a room, codes name nobody, whoever prints; names of things only when asked for."""
    await publish(ward, network)
    shown: list[str] = []

    def make(html: str, _: bytes) -> bytes:
        shown.append(html)
        return b"%PDF-"

    monkeypatch.setattr(press, "make", make)
    for who in ("mother", "g.guide"):
        for text in (
            (await get(web, ward, who)).text.split("<main")[1],
            (await slip(web, ward, who)).words,
            (await get(web, ward, who, ".pdf")).text + shown[-1],
        ):
            assert "朱**" in text
            for secret in ("朱桂芳", "妇科", "gyn项目", "GYNE", "19900000001", "999901"):
                assert secret not in text, secret
            assert "一项检查" in text
            assert "431到434诊室" in text, "she finds it all the same"
        full = await slip(web, ward, who, "&full=1")
        assert "gyn项目" in full.words
        assert "朱桂芳" not in full.words
    page = (await get(web, ward, "g.guide")).text
    assert f"/visits/{ward.visit}/sheet?full=1" in page
    assert f"/visits/{ward.visit}/sheet.escpos?paper=58" in page
    assert ".escpos" not in (await get(web, ward, "mother")).text
    for said in (await slip(web, ward, "mother")).codes:
        assert re.fullmatch(rf"{BASE}/o/[\w-]{{16}}|HFP[\w-]+", said)


async def test_what_a_relative_may_not_know_is_not_on_the_paper_she_prints(web: AsyncClient, ward: Ward) -> None:
    """Her sister carries the pass: her paper has two codes beside the pass, and no trace of the third; it is a look."""
    async with ward.world.db.begin() as tx:
        mother = ward.actors["mother"]
        offer = Offer(Relation.SIBLING, depth=Depth.STEPS, books=True)
        made = await invitations.invite(tx, mother, mother.id, offer, agrees=True)
        await tx.session.flush()
        await invitations.accept(tx, ward.actors["stranger"], made.token)
        await confirming.answer(tx, mother, made.id, agreed=True)
    mine, theirs = await slip(web, ward, "mother"), await slip(web, ward, "stranger", "&full=1")
    assert (len(mine.codes), len(theirs.codes)) == (4, 3)
    for trace in ("gyn", "妇", "一项检查", "431", "只写了种类"):
        assert trace not in theirs.words
    assert "full=1" not in (await get(web, ward, "stranger")).text, "nor that there were names to be had"
    async with ward.world.db.begin() as tx:
        looked = [(one.viewer, one.page) for one in await access.looks(tx, ward.actors["mother"].id)]
    assert looked == [(ward.actors["stranger"].viewer, "sheet")]


async def test_who_may_not_show_the_pass_prints_nothing(web: AsyncClient, ward: Ward) -> None:
    """A department's desk and who only watches are refused, somebody else finds nothing; nothing is made or kept."""
    for rest in ("", ".pdf", ".escpos"):
        assert (await get(web, ward, "k.blood", rest)).status_code == 403
        assert (await get(web, ward, "neighbour", rest)).status_code == 403
        assert (await get(web, ward, "neighbour", rest + "?full=1")).status_code == 403
    async with ward.world.db.begin() as tx:
        assert await access.looks(tx, ward.actors["mother"].id) == []


async def test_the_same_for_programs(web: AsyncClient, ward: Ward, network: Network) -> None:
    """JSON says what the paper says, and the same codes; without a map there are no ways and no version. She reads who
    printed it; what staff look at without making a paper is not told."""
    headers = {"Cookie": f"{COOKIE}={ward.tokens['g.guide']}"}
    address = f"/api/visits/{ward.visit}/sheet"
    plain = (await web.get(address, headers=headers)).json()
    assert plain["map_version"] is None
    assert [step["way"] for step in plain["steps"]] == [None, None, None]
    await publish(ward, network)
    sheet = (await web.get(address, headers=headers)).json()
    assert sheet["map_version"] == 1
    assert sheet["patient"] == "朱**"
    blood = next(step for step in sheet["steps"] if step["name"] == "blood项目")
    assert (blood["state"], blood["discreet"]) == ("placed", False)
    assert blood["way"]["about"]
    assert {step["code"] for step in sheet["steps"]} | {sheet["kept"]} == set((await slip(web, ward, "g.guide")).codes)
    async with ward.world.db.begin() as tx:
        made = await sheets.sheet_of(tx, await visit_row(tx, ward), OWNER)
    assert [step["ready"] for step in sheet["steps"]] == [list(step.ready) for step in made.steps]
    async with ward.world.db.begin() as tx:
        looked = await access.looks(tx, ward.actors["mother"].id)
        name = await staff.name_of(tx, ward.actors["g.guide"].id)
    assert {(x.viewer_name, x.relation, x.page) for x in looked} == {(name, "staff", "printed")}
    assert name
    shown = await web.get("/family", headers={"Cookie": f"{COOKIE}={ward.tokens['mother']}", "Accept": "text/html"})
    assert f"医院的 {name} 给您打印了指引单" in shown.text
