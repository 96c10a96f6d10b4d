"""The pages of a visit as browsers ask for them: the mother, the daughter who pays, the neighbour who looks on."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import select

from api.deps import COOKIE
from billing.service import answers
from houfu.app import create_app
from people.service import access
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import BASE, Ward, open_ward, visit_row
from visits.models import HisCall
from visits.service import orders, passes


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """One post-pay visit going on."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        yield opened


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[AsyncClient]:
    """A browser without cookies of its own; who asks is said with each request."""
    headers = {"Accept": "text/html", "Origin": BASE}
    async with AsyncClient(transport=ASGITransport(create_app(ward.world)), base_url=BASE, headers=headers) as client:
        yield client


async def get(web: AsyncClient, ward: Ward, who: str, path: str) -> Response:
    """One page for one person."""
    return await web.get(path, headers={"Cookie": f"{COOKIE}={ward.tokens[who]}"})


async def post(web: AsyncClient, ward: Ward, who: str, path: str, **data: str) -> Response:
    """One form of one person."""
    return await web.post(path, data=data, headers={"Cookie": f"{COOKIE}={ward.tokens[who]}"})


def amount(text: str, after: str) -> str:
    """The first amount after some words."""
    found = re.search(r"¥(?:</small>)?([0-9.]+)", text[text.index(after) :])
    assert found
    return found[1]


async def test_the_bill_shows_owed_only_what_was_done(web: AsyncClient, ward: Ward) -> None:
    """Three orders: nothing to pay. Blood is drawn: its own part is payable, the others stay ordered."""
    bill = f"/visits/{ward.visit}/bill"
    page = (await get(web, ward, "mother", bill)).text
    assert amount(page, "到现在一共") == "0.00"
    assert "还没做的 ¥198.00，现在不收。" in page
    assert "去付款" not in page
    await ward.perform("blood")
    page = (await get(web, ward, "mother", bill)).text
    assert amount(page, "到现在一共") == "126.00"
    assert amount(page, "去付款") == "63.00"
    assert page.count('data-list="ordered"') == 2
    assert "某护士" in page


async def test_foreign_and_absent_visits_are_one(web: AsyncClient, ward: Ward) -> None:
    """A stranger and a member of staff elsewhere get, for her visit, word for word what a made-up id gets."""
    absent = uuid4()
    for page in ("bill", "guide", "pass", "story", "leave", "sheet", "pass/live.png", "pass/kept.png"):
        foreign = await get(web, ward, "stranger", f"/visits/{ward.visit}/{page}")
        nothing = await get(web, ward, "stranger", f"/visits/{absent}/{page}")
        assert (foreign.status_code, nothing.status_code) == (404, 404)
        assert foreign.text.replace(str(ward.visit), "") == nothing.text.replace(str(absent), "")
    async with ward.world.db.begin() as tx:
        assert await access.looks(tx, ward.actors["mother"].id) == []


async def test_who_looked_is_written_down(web: AsyncClient, ward: Ward) -> None:
    """The daughter reads the bill, the neighbour the story; her own looks are nobody's business."""
    await get(web, ward, "mother", f"/visits/{ward.visit}/bill")
    await get(web, ward, "daughter", f"/visits/{ward.visit}/bill")
    await get(web, ward, "neighbour", f"/visits/{ward.visit}/story")
    async with ward.world.db.begin() as tx:
        looks = await access.looks(tx, ward.actors["mother"].id)
    assert {(look.viewer_name, look.page) for look in looks} == {("陈*", "bill"), ("刘*", "story")}


async def test_the_neighbour_sees_steps_and_no_money(web: AsyncClient, ward: Ward) -> None:
    """Steps only, nothing gynaecological, no amount, no way to the bill, the pass or the guide."""
    await ward.perform("blood")
    story = await get(web, ward, "neighbour", f"/visits/{ward.visit}/story")
    assert "做完了：blood项目" in story.text
    assert "¥" not in story.text
    assert "gyn" not in story.text
    assert "朱桂芳" not in story.text
    assert "这次没有开放账单。" in story.text
    for page, leads in (("bill", "story"), ("guide", "story")):
        found = await get(web, ward, "neighbour", f"/visits/{ward.visit}/{page}")
        assert (found.status_code, found.headers["location"]) == (303, f"/visits/{ward.visit}/{leads}")
    for page in ("pass", "pass/live.png", "sheet", "leave"):
        assert (await get(web, ward, "neighbour", f"/visits/{ward.visit}/{page}")).status_code == 403


async def test_staff_turn_a_line_and_then_the_visit_pay_first(web: AsyncClient, ward: Ward) -> None:
    """The counter excludes one line, then the whole visit: the HIS is told without a reason, and nobody outside is."""
    page, story = f"/desk/visits/{ward.visit}", f"/visits/{ward.visit}/story"

    async def told() -> list[tuple[str, object]]:
        async with ward.world.db.begin() as tx:
            calls = await tx.session.scalars(select(HisCall).where(HisCall.kind != "post").order_by(HisCall.turn))
            return [(call.kind, call.data) for call in calls]

    async def neighbours() -> str:
        return re.sub('after=[^"]+', "", (await get(web, ward, "neighbour", story)).text)  # a place in the feed

    before = await neighbours()
    assert "改成先缴费" not in (await get(web, ward, "g.guide", page)).text
    assert "gyn费 ¥25.00" in (await get(web, ward, "c.cash", page)).text
    line = {"charge": str(ward.charges["gyn"]), "why": "ABORTION"}
    assert (await post(web, ward, "k.blood", page + "/exclude", **line)).status_code == 403
    assert (await post(web, ward, "daughter", page + "/exclude", **line)).status_code == 403
    assert await told() == []
    assert (await post(web, ward, "c.cash", page + "/exclude", **line)).status_code == 303
    assert (await post(web, ward, "c.cash", page + "/exclude", **line)).status_code == 404
    assert await told() == [("exclude", {"charge_no": "C3"})]
    assert (await post(web, ward, "d.card", page + "/exclude", why="ABORTION")).status_code == 303
    assert (await post(web, ward, "d.card", page + "/exclude", why="OTHER")).status_code == 404
    assert await told() == [("exclude", {"charge_no": "C3"}), ("exclude", {}), ("unmark", {})]
    async with ward.world.db.begin() as tx:
        visit = await visit_row(tx, ward)
        assert (visit.mode, visit.mode_reason) == ("UPFRONT", "excluded")
        assert "ABORTION" not in "".join(await tx.session.scalars(select(HisCall.key)))
    assert await neighbours() == before
    for who in ("daughter", "mother"):
        shown = (await get(web, ward, who, f"/visits/{ward.visit}/bill")).text
        assert not re.search("ABORTION|流产|excluded|排除", shown)


async def test_hidden_lines_stay_hidden_and_are_in_the_payers_total(web: AsyncClient, ward: Ward) -> None:
    """The daughter pays: the hidden line is not named, its part is in what she is asked to pay."""
    for name in ("blood", "gyn"):
        await ward.perform(name)
    page = (await get(web, ward, "daughter", f"/visits/{ward.visit}/bill")).text
    assert "blood费" in page
    assert "gyn费" not in page
    assert amount(page, "到现在一共") == "126.00"
    assert amount(page, "去付款") == "88.00"
    assert "这项我没做" not in page
    assert "现在就走" not in page


async def test_she_gives_up_an_order_and_disputes_a_line(web: AsyncClient, ward: Ward) -> None:
    """Given up: off the bill, pressed twice is once. Disputed: not payable until staff answer; the rest is."""
    for name in ("blood", "gyn"):
        await ward.perform(name)
    give_up = f"/visits/{ward.visit}/orders/{ward.orders['ecg']}/abandon"
    assert "取消后不收钱" in (await get(web, ward, "mother", give_up)).text
    for _ in range(2):
        assert (await post(web, ward, "mother", give_up)).headers["location"] == f"/visits/{ward.visit}/bill"
    assert await ward.state("ecg") == "abandoned"
    say = f"/visits/{ward.visit}/lines/{ward.charges['blood']}/dispute"
    assert "这项根本没做" in (await get(web, ward, "mother", say)).text
    for _ in range(2):
        assert (await post(web, ward, "mother", say, reason="not_done", note="没抽血")).status_code == 303
    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/bill")).text
    assert amount(page, "去付款") == "25.00"
    assert "在核对，先不收" in page
    desk = (await get(web, ward, "k.blood", "/desk")).text
    assert "这项根本没做：没抽血" in desk
    async with ward.world.db.begin() as tx:
        [(said, _, _)] = await answers.disputes_open(tx, ward.hospital)
    assert (await post(web, ward, "d.card", f"/desk/disputes/{said.id}", upheld="1")).status_code == 403
    assert (await post(web, ward, "k.blood", f"/desk/disputes/{said.id}", upheld="1")).status_code == 303
    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/bill")).text
    assert amount(page, "到现在一共") == "50.00"


async def test_what_was_done_cannot_be_given_up(web: AsyncClient, ward: Ward) -> None:
    """Performed meanwhile: a sentence, and nothing changes."""
    await ward.perform("ecg")
    tried = await post(web, ward, "mother", f"/visits/{ward.visit}/orders/{ward.orders['ecg']}/abandon")
    assert tried.status_code == 409
    assert "已经做完" in tried.text
    assert await ward.state("ecg") == "performed"
    for who in ("daughter", "neighbour"):
        path = f"/visits/{ward.visit}/orders/{ward.orders['blood']}/abandon"
        assert (await post(web, ward, who, path)).status_code == 403
    assert await ward.state("blood") == "placed"


async def test_she_leaves_now(web: AsyncClient, ward: Ward) -> None:
    """Blood is done, the rest not: told in money, then the rest is given up and the way leads to paying."""
    await ward.perform("blood")
    asked = (await get(web, ward, "mother", f"/visits/{ward.visit}/leave")).text
    assert "做完的要付 ¥63.00。" in asked
    assert "没做的 ¥72.00 全部取消，不收钱。" in asked
    left = await post(web, ward, "mother", f"/visits/{ward.visit}/leave")
    assert left.headers["location"] == f"/visits/{ward.visit}/pay"
    assert [await ward.state(n) for n in ("blood", "ecg", "gyn")] == ["performed", "abandoned", "abandoned"]


async def test_the_guide_says_where_and_how_to_prepare(web: AsyncClient, ward: Ward) -> None:
    """Fasting comes as a sentence; after the blood the next door is the ECG's."""
    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/guide")).text
    now = page[page.index('id="now"') : page.index("今天要做的")]
    assert "blood项目" in now
    assert "先别吃东西，可以喝几口水。" in now
    await ward.perform("blood")
    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/guide")).text
    assert "ecg项目" in page[page.index('id="now"') : page.index("今天要做的")]


async def test_home_for_each_of_them(web: AsyncClient, ward: Ward) -> None:
    """The mother finds her pass, the daughter her mother's day, a stranger an offer and nothing of anybody."""
    mother = (await get(web, ward, "mother", "/")).text
    assert f'href="/visits/{ward.visit}/pass"' in mother
    daughter = (await get(web, ward, "daughter", "/")).text
    assert f'href="/visits/{ward.visit}/story"' in daughter
    assert "妈妈 朱**" in daughter
    assert f"/visits/{ward.visit}/pass" not in daughter
    stranger = (await get(web, ward, "stranger", "/")).text
    assert str(ward.visit) not in stranger
    assert f'href="/consent/new/{ward.hospital}"' in stranger
    assert f'href="/visits/{ward.visit}/bill"' in (await get(web, ward, "mother", "/visits")).text


async def test_the_desk_scans_a_pass_and_a_paper(web: AsyncClient, ward: Ward) -> None:
    """Live: reported. Paper of another desk: a sentence. Kept at the next desk: reported, name to be checked."""
    async with ward.world.db.begin() as tx:
        visit = await visit_row(tx, ward)
        live, kept = passes.live_code(tx.vault, visit, tx.now), passes.kept_code(tx.vault, visit)
    page = await post(web, ward, "k.blood", "/desk/scan", code=live)
    assert page.status_code == 200
    assert "已报到：blood项目 · 朱桂芳" in page.text
    assert "请核对姓名" not in page.text
    again = await post(web, ward, "k.blood", "/desk/scan", code=live)
    assert (again.status_code, "已经报到过了，不用再扫。" in again.text) == (409, True)
    assert "朱桂芳（请核对姓名）" in (await post(web, ward, "k.ecg", "/desk/scan", code=kept)).text
    forged = await post(web, ward, "k.blood", "/desk/scan", code="HFPxyz")
    assert (forged.status_code, "这个码不是本院的就诊码。" in forged.text) == (422, True)
    assert (await post(web, ward, "mother", "/desk/scan", code=live)).status_code == 403


async def test_a_printed_code_reveals_nothing_without_a_session(web: AsyncClient, ward: Ward) -> None:
    """Nobody: to the login. A stranger: like a code that is none. She herself: her guide. A desk: its scan field."""
    async with ward.world.db.begin() as tx:
        order = await orders.order_by_id(tx, ward.orders["gyn"])
        assert order is not None
        code = order.paper_code
    nobody, nothing = await web.get(f"/o/{code}"), await web.get("/o/nonsense")
    assert nobody.headers["location"] == f"/login?next=/o/{code}"
    assert (nobody.status_code, nobody.text) == (nothing.status_code, nothing.text)
    for who in ("stranger", "neighbour"):
        found, none = await get(web, ward, who, f"/o/{code}"), await get(web, ward, who, "/o/nonsense")
        assert (found.status_code, none.status_code) == (404, 404)
        assert found.text.replace(code, "") == none.text.replace("nonsense", "")
    assert (await get(web, ward, "mother", f"/o/{code}")).headers["location"] == f"/visits/{ward.visit}/guide"
    assert (await get(web, ward, "k.blood", f"/o/{code}")).headers["location"] == f"/desk?code={code}"


async def test_paper_for_who_has_no_phone(web: AsyncClient, ward: Ward) -> None:
    """The guide desk prints pass and open orders; a department's desk may not."""
    sheet = await get(web, ward, "g.guide", f"/visits/{ward.visit}/sheet")
    assert sheet.text.count('src="data:image/png;base64,') == 4
    assert "朱**" in sheet.text
    assert (await get(web, ward, "k.blood", f"/visits/{ward.visit}/sheet")).status_code == 403


async def test_yesterdays_pass_is_shown_as_over(web: AsyncClient, ward: Ward) -> None:
    """The next day the page says so and draws no live code."""
    from datetime import timedelta

    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/pass")).text
    assert 'data-live="/visits/' in page
    assert (await get(web, ward, "mother", f"/visits/{ward.visit}/pass/live.png")).content[:4] == b"\x89PNG"
    ward.clock.move(timedelta(days=1))
    page = (await get(web, ward, "mother", f"/visits/{ward.visit}/pass")).text
    assert "这是以前的就诊码，今天不能用。" in page
    assert "data-live" not in page
