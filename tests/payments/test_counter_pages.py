"""The window's pages by plain forms: shift, finding, cash with change, codes, scanners, refunds to the hand-out."""

import html
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from billing.service import lines
from kernel.ids import new_id
from payments import flows
from payments.models import Attempt, CodeWait, Refund, Shift, TillMovement
from payments.rules import Piece
from payments.service import rounds
from people.rules import Actor
from tests.listening import soon
from tests.payments.conftest import PAGE, Bill, House
from tests.payments.desk import cash, opened, shown_code, sound, staff, takes
from tests.payments.test_captures import terminal, waits
from tests.payments.test_pages import read
from tests.payments.test_told import at, moved
from visits.models import Visit
from visits.service import passes


async def post(client: httpx.AsyncClient, path: str, status: int = 303, **form: Any) -> httpx.Response:
    """A form of the page."""
    answer = await client.post(path, data={k: str(v) for k, v in form.items()}, headers=PAGE)
    assert answer.status_code == status, (path, answer.status_code, html.unescape(answer.text)[:600])
    return answer


async def visit_of(house: House, bill: Bill) -> Visit:
    """The row."""
    async with house.db.begin() as tx:
        found: Visit | None = await tx.get(Visit, bill.visit)
        assert found is not None
        return found


def sheet(bill: Bill, **over: Any) -> dict[str, Any]:
    """What every form of the pay page carries."""
    return {"_idem": str(new_id()), "amount_fen": bill.owed, "share": 0, **over}


async def test_a_cashiers_morning(house: House) -> None:
    """Open with a float, find by a printed pass, take a hundred, read the change, close with a count."""
    bill = await house.bill()
    desk, visit = house.phone(house.counter), await visit_of(house, bill)
    assert "还没有开班" in await read(desk, f"/desk/pay/{bill.visit}")
    assert "先数一下抽屉" in await read(desk, "/desk/counter")
    assert "金额要写成数字" in html.unescape((await post(desk, "/desk/counter/shift", 422, do="open", yuan="x")).text)
    await post(desk, "/desk/counter/shift", do="open", yuan="200.00")
    async with house.db.begin() as tx:
        code = passes.kept_code(tx.vault, visit)
    found = await post(desk, "/desk/counter/find", code=code)
    assert found.headers["location"] == f"/desk/pay/{bill.visit}"
    answer = await post(desk, f"/desk/pay/{bill.visit}/cash", 422, **sheet(bill, said="1"))
    assert "还差" in html.unescape(answer.text)
    await post(desk, f"/desk/pay/{bill.visit}/cash", **sheet(bill, said="100"))
    page = await read(desk, f"/desk/pay/{bill.visit}")
    assert f"¥{(10_000 - bill.owed) / 100:.2f}" in page
    assert "找零" in page
    mine = await read(desk, "/desk/counter")
    assert f"¥{(20_000 + bill.owed) / 100:.2f}" in mine
    short = await post(desk, "/desk/counter/shift", 422, do="close", yuan="1")
    assert "点的钱和账上差" in html.unescape(short.text)
    counted = f"{(20_000 + bill.owed) / 100:.2f}"
    done = await post(desk, "/desk/counter/shift", do="close", yuan=counted)
    assert "交班好了" in await read(desk, done.headers["location"])
    finance = house.phone(await staff(house, "f.finance"))
    listed = await read(finance, "/desk/shifts")
    assert "一致" in listed
    assert f"¥{counted}" in listed
    for actor in (house.mother, await staff(house, "g.guide")):
        phone = house.phone(actor)
        assert (await phone.get("/desk/counter", headers=PAGE)).status_code == 403
        assert (await phone.get("/desk/shifts", headers=PAGE)).status_code == 403
    await sound(house)


async def test_found_by_whatever_is_shown(house: House) -> None:
    """Live pass, printed pass, visit number, ID number: the same visit; strangers' codes and numbers: nobody."""
    bill = await house.bill()
    desk, visit = house.phone(house.counter), await visit_of(house, bill)
    card = house.town.his.catalogue.patients["P0000001"]
    async with house.db.begin() as tx:
        live, kept = passes.live_code(tx.vault, visit, tx.now), passes.kept_code(tx.vault, visit)
    for shown in (live, kept, visit.number, visit.number.replace(" ", ""), card.id_number, f" {kept} "):
        found = await post(desk, "/desk/counter/find", code=shown)
        assert found.headers["location"] == f"/desk/pay/{bill.visit}", shown
    for nobody, status in (
        ("8888888888", 404),
        ("999901199001011236", 404),
        ("朱桂芳", 404),
        (kept[:-4] + "AAAA", 422),
    ):
        await post(desk, "/desk/counter/find", status, code=nobody)
    house.clock.move(days=1)
    desk = house.phone(await staff(house, "c.cash"))
    await post(desk, "/desk/counter/find", 409, code=kept)
    again = await post(desk, "/desk/counter/find", code=card.id_number)
    assert again.headers["location"] == f"/desk/pay/{bill.visit}"
    assert await house.count(TillMovement) == 0


async def test_a_card_and_a_share(house: House) -> None:
    """The page shows the shares; one is taken by the bank's slip, the rest stays."""
    bill = await house.bill()
    await opened(house, house.counter)
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(400)], bill.owed)
    desk = house.phone(house.counter)
    page = await read(desk, f"/desk/pay/{bill.visit}?share=1")
    assert "4.00" in page
    assert "这次收哪一份" in page
    await post(desk, f"/desk/pay/{bill.visit}/card", **sheet(bill, amount_fen=400, share=1, said="0912-77"))
    assert await house.owed(bill.visit) == bill.owed - 400
    gone = await desk.get(f"/desk/pay/{bill.visit}?share=1", headers=PAGE)
    assert gone.status_code == 409
    await post(desk, f"/desk/pay/{bill.visit}/card", 409, **sheet(bill, amount_fen=400, share=1, said="0912-78"))
    await sound(house)


async def test_a_code_with_a_password_on_the_page(house: House) -> None:
    """Typed by the scanner: waits for the password, seen live; never typed: undone and said why; the next one pays."""
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 3600})
    bill = await house.bill()
    desk = house.phone(house.counter)
    await post(desk, f"/desk/pay/{bill.visit}/code", **sheet(bill, said=await shown_code(house)))
    waiting = await read(desk, f"/desk/pay/{bill.visit}")
    assert "等患者输密码" in waiting
    assert moved(waiting) == "news from:body"
    async with at(house, house.counter, waiting) as heard:
        for _ in range(7):
            house.clock.move(seconds=5)
            await flows.sweep(house.db, house.pay)
        await soon(heard, "data:", 5)
    page = await read(desk, f"/desk/pay/{bill.visit}")
    assert "30 秒没有输密码，已经撤销" in page
    await house.behave()
    bad = await post(desk, f"/desk/pay/{bill.visit}/code", 422, **sheet(bill, said="123"))
    assert "没有读清楚" in html.unescape(bad.text)
    await post(desk, f"/desk/pay/{bill.visit}/code", **sheet(bill, said=await shown_code(house)))
    assert "钱已付到" in await read(desk, f"/desk/pay/{bill.visit}")
    await sound(house)


async def test_a_scanner_with_its_own_line(house: House) -> None:
    """The page waits at a terminal; a face is refused with another way; a code then pays; stopping waits no more."""
    house.faceless()
    bill = await house.bill()
    desk = house.phone(house.counter)
    page = await read(desk, f"/desk/pay/{bill.visit}")
    found = re.search(r'<option value="([0-9a-f-]+)">一楼收费处 1 号窗口<', page)
    assert found
    await post(desk, f"/desk/pay/{bill.visit}/scanner", **sheet(bill, said=found[1]))
    assert "请在 一楼收费处 1 号窗口 扫患者手机上的付款码" in await read(desk, f"/desk/pay/{bill.visit}")
    await post(desk, f"/desk/pay/{bill.visit}/stop")
    assert await house.count(CodeWait) == 0
    await post(desk, f"/desk/pay/{bill.visit}/scanner", **sheet(bill, said=found[1]))
    scanner = await terminal(house)
    page = await read(desk, f"/desk/pay/{bill.visit}")
    hers = (await read(house.phone(house.mother), f"/visits/{bill.visit}/bill")).replace("page=bill", "page=pay")
    async with at(house, house.counter, page) as heard, at(house, house.mother, hers) as phone:
        assert (await scanner.send("face-code-1", kind="FACE_CODE")).status_code == 409
        await soon(heard, "data:", 5)
        assert "这里还不能刷脸付" in await read(desk, f"/desk/pay/{bill.visit}")
        assert (await scanner.look()).status_code == 409  # nor looked at, which is told as well
        await soon(heard[1:], "data:", 5)
        assert phone == [], "what is read in vain at a window is the window's business"
        heard.clear()
        assert (await scanner.send(await shown_code(house))).status_code == 202
        await soon(heard, "data:", 5)
        await soon(phone, "data:", 5)
    assert "钱已付到" in await read(desk, f"/desk/pay/{bill.visit}")
    await sound(house)


async def test_what_only_time_changes_is_looked_at_once(house: House) -> None:
    """A scanner waits for two minutes: the page looks again when they are over, and not before, and not twice."""
    bill = await house.bill()
    await waits(house, bill)
    desk = house.phone(house.counter)
    trigger = moved(await read(desk, f"/desk/pay/{bill.visit}"))
    found = re.fullmatch(r"news from:body, load delay:(\d+)s", trigger)
    assert found, trigger
    assert 115 <= int(found[1]) <= 121
    house.clock.move(seconds=int(found[1]))
    page = await read(desk, f"/desk/pay/{bill.visit}")
    assert ("等扫码" in page, moved(page)) == (False, "news from:body")


async def lines_of(house: House, bill: Bill) -> list[Any]:
    """Paid lines."""
    async with house.db.begin() as tx:
        return [c for c in await lines.lines_of(tx, bill.visit) if c.self_fen]


async def paid_in_cash(house: House) -> Bill:
    """The mother has paid at the window."""
    bill = await house.bill()
    await opened(house, house.counter)
    await takes(house, house.counter, bill, cash(bill))
    await house.settle()
    return bill


async def test_a_refund_from_the_phone_to_the_window(house: House) -> None:
    """She asks on her phone, finance agrees, the cashier hands it out, her bill says so; no step by anybody else."""
    bill = await paid_in_cash(house)
    mother, desk = house.phone(house.mother), house.phone(house.counter)
    finance = house.phone(await staff(house, "f.finance"))
    [one, *_] = await lines_of(house, bill)
    assert "退费咨询" in await read(mother, f"/visits/{bill.visit}/bill")
    await post(mother, f"/visits/{bill.visit}/refunds", 409, reason="not_done")
    await post(mother, f"/visits/{bill.visit}/refunds", line=one.id, reason="twice", note="昨天收过")
    assert "等医院答复" in await read(mother, f"/visits/{bill.visit}/refunds")
    assert "已提退费" in await read(mother, f"/visits/{bill.visit}/bill")
    work = await read(finance, "/desk/refunds")
    assert "同一项收了两次：昨天收过" in work
    found = re.search(r"/desk/refunds/answer/([0-9a-f-]{36})", work)
    assert found
    assert "/desk/refunds/answer/" not in await read(desk, "/desk/refunds")
    await post(desk, f"/desk/refunds/answer/{found[1]}", 403, agreed=1)
    await post(finance, f"/desk/refunds/answer/{found[1]}", 422, agreed=0)
    await post(finance, f"/desk/refunds/answer/{found[1]}", agreed=1)
    assert "同意了，钱正在退" in await read(mother, f"/visits/{bill.visit}/refunds")
    hand = re.search(r"/desk/refunds/hand/([0-9a-f-]{36})", await read(desk, "/desk/refunds"))
    assert hand
    await post(finance, f"/desk/refunds/hand/{hand[1]}", 403)
    await post(desk, f"/desk/refunds/hand/{hand[1]}")
    assert "已退回" in await read(mother, f"/visits/{bill.visit}/refunds")
    assert "已退款" in await read(mother, f"/visits/{bill.visit}/bill")
    assert await house.count(Refund) == 1
    await sound(house)


async def test_refused_and_asked_by_the_desk(house: House) -> None:
    """The desk asks for somebody who stands there, finance says why not; the patient reads it, a payer never."""
    bill = await paid_in_cash(house)
    desk, mother = house.phone(house.counter), house.phone(house.mother)
    finance = house.phone(await staff(house, "f.finance"))
    [one, *_] = await lines_of(house, bill)
    await post(desk, f"/visits/{bill.visit}/refunds", line=one.id, reason="not_done")
    found = re.search(r"/desk/refunds/answer/([0-9a-f-]{36})", await read(finance, "/desk/refunds"))
    assert found
    await post(finance, f"/desk/refunds/answer/{found[1]}", agreed=0, said="化验室有记录")
    said = await read(mother, f"/visits/{bill.visit}/refunds")
    assert "没有同意" in said
    assert "化验室有记录" in said
    daughter = house.phone(house.daughter)
    for path in (f"/visits/{bill.visit}/refunds", "/desk/refunds"):
        assert (await daughter.get(path, headers=PAGE)).status_code in (403, 404)
    await post(daughter, f"/visits/{bill.visit}/refunds", 403, line=one.id, reason="not_done")
    await sound(house)


@pytest.mark.parametrize("who", ["g.guide", "k.blood", "d.card"])
async def test_others_take_no_money(house: House, who: str) -> None:
    """Guide, lab and doctor: none of the window's doors open, and nothing happens."""
    bill = await house.bill()
    actor: Actor = await staff(house, who)
    other = house.phone(actor)
    for way in ("cash", "card", "code", "scanner"):
        await post(other, f"/desk/pay/{bill.visit}/{way}", 403, **sheet(bill, said="131234567890123456"))
    await post(other, "/desk/counter/find", 403, code="8888888888")
    await post(other, "/desk/counter/shift", 403, do="open", yuan="1")
    assert (await house.count(Attempt), await house.count(Shift), await house.count(CodeWait)) == (0, 0, 0)
    async with house.db.begin() as tx:
        assert (await tx.session.scalars(select(Attempt))).all() == []
