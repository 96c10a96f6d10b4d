"""The insurance at the counter: a patient without a phone, a certified terminal, her word at the desk; or all back."""

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from kernel.errors import ForbiddenError
from kernel.ids import new_id
from kernel.money import yuan
from payments import flows
from payments.models import CodeWait, InsurancePart
from payments.rules import InsuranceState
from payments.service import anew, insurance
from people.models import Hospital, Staff
from people.rules import Actor, ActorKind, Role
from people.service import sessions
from tests.listening import soon
from tests.payments.conftest import MOTHER, Bill, House
from tests.payments.desk import opened, sound, staff
from tests.payments.test_captures import OTHER, SCANNER, Terminal, terminal
from tests.payments.test_counter_pages import post, sheet, visit_of
from tests.payments.test_insurance import center, held, insurer, nothing, of_visit, swept
from tests.payments.test_insurance_pages import numbers
from tests.payments.test_pages import read
from tests.payments.test_told import at, moved
from visits.service import passes

I = InsuranceState  # noqa: E741
PLACES = {SCANNER: "一楼收费处 1 号窗口", OTHER: "一楼收费处 2 号窗口"}


def here(bill: Bill) -> str:
    """The desk's page of the visit."""
    return f"/desk/pay/{bill.visit}"


def doing(bill: Bill, do: str = "") -> str:
    """Where its insurance forms go."""
    return f"/desk/insurance/{bill.visit}{f'/{do}' if do else ''}"


def mother(house: House) -> str:
    """Her identity number."""
    return next(p.id_number for p in house.town.insurance.books.people.values() if p.openid == MOTHER)


async def certificate(house: House, number: str | None = None, **over: Any) -> str:
    """What a certified terminal's library gives for the person before it."""
    async with httpx.AsyncClient(base_url=house.town.ports.url("insurance"), trust_env=False) as http:
        answer = await http.post("/control/certificate", json={"id_number": number or mother(house)})
    assert answer.status_code == 200
    read = {name: answer.json()[name] for name in ("authno", "ectoken", "idno")}
    return json.dumps(read | over, separators=(",", ":"))


async def awaited(house: House, desk: httpx.AsyncClient, bill: Bill, name: str = SCANNER) -> Terminal:
    """The cashier chooses the terminal the patient stands before."""
    found = re.search(rf'<option value="([0-9a-f-]+)"[^>]*>{PLACES[name]}<', await read(desk, here(bill)))
    assert found
    await post(desk, doing(bill, "terminal"), said=found[1])
    return await terminal(house, name)


async def begun(house: House, bill: Bill, account: str = "no", actor: Actor | None = None) -> httpx.AsyncClient:
    """用医保 at the desk."""
    desk = house.phone(actor or house.counter)
    assert "请医保算" in await read(desk, here(bill))
    await post(desk, doing(bill), account=account)
    assert "请患者刷脸，或扫医保码" in await read(desk, here(bill))
    return desk


async def reckoned(house: House, bill: Bill, kind: str = "EC_FACE", account: str = "no") -> httpx.AsyncClient:
    """One settlement read, handed in and shown."""
    desk = await begun(house, bill, account)
    machine = await awaited(house, desk, bill)
    assert (await machine.send(await certificate(house), kind)).status_code == 202
    return desk


async def agreed(desk: httpx.AsyncClient, bill: Bill) -> str:
    """The patient has read it, and says yes; the page afterwards."""
    found = re.search(r'name="cash_fen" value="(\d+)"', await read(desk, here(bill)))
    assert found
    await post(desk, doing(bill, "agree"), cash_fen=found[1])
    return await read(desk, here(bill))


async def untouched(house: House, bill: Bill, part: UUID) -> None:
    """Nothing was handed in, and the settlement still waits for its certificate."""
    [found] = [p for p in await of_visit(house, bill) if p.id == part]
    assert (found.state, found.auth_sealed, found.pay_order_id) == ("created", None, None)
    assert house.town.insurance.books.orders == {}


async def test_a_printed_pass_to_the_receipt(house: House) -> None:
    """Found by her printed pass; a face, the split, her yes, the terminal's; the rest in cash; a receipt of all."""
    bill = await house.bill()
    await opened(house, house.counter)
    desk, visit = house.phone(house.counter), await visit_of(house, bill)
    async with house.db.begin() as tx:
        code = passes.kept_code(tx.vault, visit)
    found = await post(desk, "/desk/counter/find", code=code)
    assert found.headers["location"] == here(bill)
    await begun(house, bill)
    assert "窗口正在用医保结算，先不要付" in await read(house.phone(house.mother), f"/visits/{bill.visit}/bill")
    assert "窗口正在用医保" in await read(house.phone(house.mother), f"/visits/{bill.visit}/insurance")
    machine = await awaited(house, desk, bill)
    assert f"请患者在 {PLACES[SCANNER]} 刷脸，或扫医保码" in await read(desk, here(bill))
    answer = await machine.send(await certificate(house), "EC_FACE")
    assert (answer.status_code, answer.json()) == (202, {"state": "taken"})
    page = await read(desk, here(bill))
    [part] = await of_visit(house, bill)
    total, *others, own = numbers(page)
    assert (total, total + sum(others), own) == (part.total_fen, part.cash_fen, part.cash_fen)
    assert "请把屏幕转给患者看" in page
    assert "every 2s" not in page
    assert await house.count(CodeWait) == 0
    page = await agreed(desk, bill)
    assert "请患者在医保的机器上点确认" in page
    assert "先不要收钱" in page
    assert house.taken == 0
    insurer(house, "pay")
    await post(desk, doing(bill, "ask"))
    page = await read(desk, here(bill))
    cash = part.cash_fen or 0
    assert f"还要收 ¥{yuan(cash)}" in page
    await post(desk, f"{here(bill)}/cash", **sheet(bill, amount_fen=cash, said="100"))
    page = await read(desk, here(bill))
    assert "找零" in page
    assert "医保付好了，都付清了" in page
    await house.settle()
    receipt = await read(desk, f"/visits/{bill.visit}/receipt")
    assert f"/visits/{bill.visit}/receipt" in await read(desk, here(bill))
    assert yuan(part.fund_fen or 0) in receipt
    assert yuan(cash) in receipt
    [after] = await of_visit(house, bill)
    assert {after.actor, after.auth_by, after.confirmed_by} == {house.counter.viewer}
    assert await house.states(bill.visit) == {"settled"}
    assert held(house) + cash == after.total_fen
    await sound(house)


async def test_two_departments_at_two_desks(house: House) -> None:
    """Two settlements, two readings; the second, the yes and the money by another cashier at another desk."""
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    desk = await begun(house, bill)
    assert "第 1 个，共 2 个" in await read(desk, here(bill))
    machine = await awaited(house, desk, bill)
    first = await certificate(house)
    assert (await machine.send(first, "EC_QRCODE")).status_code == 202
    page = await read(desk, here(bill))
    assert "请患者刷脸，或扫医保码（第 2 个，共 2 个）" in page
    other = await staff(house, "c.cash2")
    theirs = house.phone(other)
    assert "第 2 个，共 2 个" in await read(theirs, here(bill))
    elsewhere = await awaited(house, theirs, bill, OTHER)
    told = json.loads(first)
    again = json.dumps({"idno": told["idno"], "authno": told["authno"]}, separators=(",", ":"))
    refused = await elsewhere.send(again, "EC_FACE", operator="c.cash2")
    assert (refused.status_code, refused.json()["code"]) == (409, "code_used")
    assert (await elsewhere.send(await certificate(house), operator="c.cash2", kind="EC_FACE")).status_code == 202
    found = await of_visit(house, bill)
    cash = sum(p.cash_fen or 0 for p in found)
    assert numbers(await read(desk, here(bill)))[-1] == cash
    await agreed(theirs, bill)
    insurer(house, "pay", 0)
    await swept(house)
    assert "还不知道医保付没付" in await read(desk, here(bill))
    insurer(house, "pay", 1)
    await swept(house)
    await opened(house, other)
    await post(theirs, f"{here(bill)}/cash", **sheet(bill, amount_fen=cash))
    await house.settle()
    found = await of_visit(house, bill)
    assert {p.confirmed_by for p in found} == {other.viewer}
    assert {p.auth_by for p in found} == {house.counter.viewer, other.viewer}
    assert await house.states(bill.visit) == {"settled"}
    await sound(house)


async def test_nothing_remains_in_cash(house: House) -> None:
    """Her account bears the rest: once the terminal has asked her all is paid, without a shift; the receipt says it."""
    bill = await house.bill("URINE")
    books = house.town.insurance.books
    books.people[mother(house)].account = 100_000
    desk = await reckoned(house, bill, "EC_QRCODE", "yes")
    [part] = await of_visit(house, bill)
    assert (part.account_used, part.cash_fen) == (True, 0)
    assert part.account_fen
    await agreed(desk, bill)
    insurer(house, "pay")
    await swept(house)
    await house.settle()
    page = await read(desk, here(bill))
    assert "医保付好了，都付清了" in page
    assert "收好了" not in page
    assert numbers(page)[-1] == 0
    assert yuan(part.account_fen) in await read(desk, f"/visits/{bill.visit}/receipt")
    assert await house.states(bill.visit) == {"settled"}
    assert house.town.his.books.complaints == []
    await sound(house)


@pytest.mark.parametrize("when", ["capture", "agree", "paying", "cash"])
async def test_she_says_no(house: House, when: str) -> None:
    """Unread, after she saw it, at the terminal, before the cash: all goes back, and the desk may take it all."""
    bill = await house.bill()
    desk = await (begun if when == "capture" else reckoned)(house, bill)
    if when in ("paying", "cash"):
        await agreed(desk, bill)
    if when == "cash":
        insurer(house, "pay")
        await swept(house)
        asked = await read(desk, doing(bill, "stop"))
        assert "会退回医保" in asked
    await post(desk, doing(bill, "stop"))
    if when != "capture":
        page = await read(desk, here(bill))
        assert "正在取消医保" in page
        assert "收好了" not in page
    await swept(house)
    page = await read(desk, here(bill))
    assert "这次没有用成医保" in page
    assert ("已退回医保" if when == "cash" else "医保没有扣钱") in page
    await nothing(house, bill)
    assert "请医保算" in page
    await opened(house, house.counter)
    await post(desk, f"{here(bill)}/cash", **sheet(bill))
    await house.settle()
    assert await house.states(bill.visit) == {"settled"}


async def test_what_is_not_her_certificate(house: House) -> None:
    """Somebody else's, a bare code, a payment code, too old: said at the desk, nothing handed in; hers then is."""
    bill = await house.bill()
    desk = await begun(house, bill)
    [part] = await of_visit(house, bill)
    machine = await awaited(house, desk, bill)
    stranger = next(n for n in house.town.insurance.books.people if n != mother(house))
    for value, kind, status, code, said in (
        (await certificate(house, stranger), "EC_FACE", 409, "certificate_foreign", "读到的不是这位患者的医保"),
        ("E1234567890", "EC_QRCODE", 422, "bad_capture", "没有读到医保凭证"),
        ('{"authno":"AUTH0123456789"}', "EC_QRCODE", 422, "bad_capture", "没有读到医保凭证"),
        ("131234567890123456", "PAY_CODE", 409, "capture_not_here", "刚才读的不是医保码"),
        ("face-1", "FACE_CODE", 409, "capture_not_here", "刚才读的不是医保码"),
    ):
        answer = await machine.send(value, kind)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert said in await read(desk, here(bill))
        await untouched(house, bill, part.id)
    hers = await certificate(house)
    late = await machine.send(hers, "EC_FACE", stamp=house.clock(), captured_at=house.clock() - timedelta(seconds=61))
    assert (late.status_code, late.json()["code"]) == (422, "bad_capture")
    other = await machine.send(await certificate(house), "EC_FACE", operator="c.cash2")
    assert (other.status_code, other.json()["code"]) == (409, "capture_not_awaited")
    await untouched(house, bill, part.id)
    assert (await machine.send(hers, "EC_FACE")).status_code == 202
    assert "请把屏幕转给患者看" in await read(desk, here(bill))


async def test_when_nobody_waits(house: House) -> None:
    """Nothing begun, given up, over two minutes ago, or a code awaited: refused, nothing handed in, nothing lost."""
    bill = await house.bill()
    machine = await terminal(house)
    refused = await machine.send(await certificate(house), "EC_FACE")
    assert (refused.status_code, refused.json()["code"]) == (409, "capture_not_awaited")
    desk = await begun(house, bill)
    refused = await machine.send(await certificate(house), "EC_FACE")
    assert refused.json()["code"] == "capture_not_awaited"
    await awaited(house, desk, bill)
    house.clock.move(seconds=121)
    refused = await machine.send(await certificate(house), "EC_FACE")
    assert refused.json()["code"] == "capture_not_awaited"
    await awaited(house, desk, bill)
    await post(desk, doing(bill, "stop"))
    refused = await machine.send(await certificate(house), "EC_FACE")
    assert refused.json()["code"] == "capture_not_awaited"
    assert house.town.insurance.books.orders == {}
    await nothing(house, bill)


@pytest.mark.parametrize("what", ["forged", "stale", "used", "another's"])
async def test_the_centre_refuses_it(house: House, what: str) -> None:
    """A number it never gave, one too old, used, or a stranger's under her name: said why, and read once more.

    The other department's settlement stands as it was. Read again it goes on; or she gives it up, and pays without.
    """
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    books, value = house.town.insurance.books, await certificate(house)
    auth = books.auths[json.loads(value)["authno"]]
    if what == "forged":
        value = await certificate(house, authno="AUTHFORGED0123456789")
    elif what == "stale":
        auth.until = books.now() - timedelta(seconds=1)
    elif what == "used":
        auth.order = "ORDOTHER"
    else:
        stranger = next(n for n in books.people if n != mother(house))
        value = await certificate(house, stranger, idno=mother(house))
    desk = await begun(house, bill)
    machine = await awaited(house, desk, bill)
    assert (await machine.send(await certificate(house), "EC_FACE")).status_code == 202
    await awaited(house, desk, bill)
    assert (await machine.send(value, "EC_FACE")).status_code == 202
    page = await read(desk, here(bill))
    assert {"forged": "凭证无效", "stale": "凭证过期了", "used": "凭证用过了"}.get(what, "不是这位患者的凭证") in page
    assert "第 2 个，共 2 个" in page
    first, second = await of_visit(house, bill)
    assert (first.state, second.state, second.auth_sealed, second.next_look_at) == ("placed", "created", None, None)
    assert len(books.orders) == 1
    async with house.db.begin() as tx:
        assert await anew.troubles(tx, house.hospital) == []  # nobody but the patient has to do anything
    if what != "forged":
        await post(desk, doing(bill, "stop"))
        await swept(house)
        bill = replace(bill, owed=await house.owed(bill.visit))
        await nothing(house, bill)
        return
    machine = await awaited(house, desk, bill)
    assert (await machine.send(await certificate(house), "EC_FACE")).status_code == 202
    page = await read(desk, here(bill))
    assert "请把屏幕转给患者看" in page
    assert [p.state for p in await of_visit(house, bill)] == ["placed", "placed"]
    # An answer about the refused one comes late: it is about nothing any more.
    async with house.db.begin() as tx:
        late = await insurance.asked(tx, second.id)
        late = replace(late, fees=replace(late.fees, order_number=second.order_number + "0"))
        assert not await insurance.still(tx, second.id, late)
    await agreed(desk, bill)
    insurer(house, "pay")
    await swept(house)
    found = await of_visit(house, bill)
    assert [(p.state, p.trouble) for p in found] == [("paid", None)] * 2
    assert held(house) == sum(p.total_fen - (p.cash_fen or 0) for p in found)
    await sound(house)


async def test_unknown_in_the_middle(house: House) -> None:
    """No answer to the upload, the reckoning, about the payment: said so, asked on, and whole in the end."""
    bill = await house.bill()
    world = house.town.insurance
    world.behaviour.plan([{"on": "upload", "do": "error_after"}, {"on": "place", "do": "error_before", "times": 2}])
    desk = await reckoned(house, bill)
    assert "医保正在算" in await read(desk, here(bill))
    assert re.fullmatch(r"news from:body, load delay:(5\d|6[01])s", moved(await read(desk, here(bill))))
    house.clock.move(seconds=61)
    page = await read(desk, here(bill))
    assert ("医保还没有回话" in page, moved(page)) == (True, "news from:body")
    async with at(house, house.counter, page) as heard:
        await swept(house, 4)
        await soon(heard, "医保算好了", 5)
    world.behaviour.plan([{"on": "query", "do": "stale", "times": None}])
    await agreed(desk, bill)
    insurer(house, "pay")
    await swept(house)
    page = await read(desk, here(bill))
    assert "还不知道医保付没付" in page
    assert "先不要收钱" in page
    assert "收好了" not in page
    await post(desk, f"{here(bill)}/cash", 409, **sheet(bill))
    world.behaviour.forget()
    await swept(house)
    [part] = await of_visit(house, bill)
    assert f"还要收 ¥{yuan(part.cash_fen or 0)}" in await read(desk, here(bill))
    assert len(world.books.orders) == 1
    await sound(house)


async def elsewhere(house: House) -> Actor:
    """A cashier of another hospital of the house, logged in."""
    other, cashier = new_id(), new_id()
    async with house.db.begin() as tx:
        own = await tx.get(Hospital, house.hospital)
        assert own is not None
        named = {"code": "HF99", "name": "示例二院", "his_url": own.his_url, "settings": own.settings}
        tx.add(Hospital(id=other, city=own.city, phone=own.phone, address=own.address, **named))
        await tx.session.flush()
        tx.add(Staff(id=cashier, hospital_id=other, login="c.other", name="窗口", role=Role.COUNTER, pin_hash=b""))
        await tx.session.flush()
        house.tokens[cashier] = (await sessions.begin_staff(tx, cashier)).token
    return Actor(ActorKind.STAFF, cashier, other, Role.COUNTER)


async def test_who_may(house: House) -> None:
    """Another hospital's cashier finds nothing, guide and doctor may not, a phone cannot agree for the counter."""
    bill = await house.bill()
    desk = await reckoned(house, bill)
    [part] = await of_visit(house, bill)
    cash = part.cash_fen or 0
    foreign = house.phone(await elsewhere(house))
    for who, status in ((foreign, 404), (house.phone(await staff(house, "g.guide")), 403)):
        for do in ("", "terminal", "agree", "ask", "stop"):
            await post(who, doing(bill, do), status, account="", said="x", cash_fen=cash)
    with pytest.raises(ForbiddenError):
        await flows.confirm(house.db, center(house), house.mother, bill.visit, cash)
    await post(desk, doing(bill, "agree"), 409, cash_fen=cash + 1)
    [after] = await of_visit(house, bill)
    assert (after.state, after.confirmed_by) == ("placed", None)


async def test_begun_on_the_phone_stays_there(house: House) -> None:
    """The patient's own round is no cashier's to agree to or to give up; the desk says that her phone has the turn."""
    bill = await house.bill()
    his = await house.world.ports.his.of(house.hospital)
    [part] = await flows.insure(house.db, his, house.mother, bill.visit, account_used=None)
    code = house.town.insurance.books.consent(MOTHER)
    await flows.authorize(house.db, center(house), house.mother, part, code, MOTHER)
    [found] = await of_visit(house, bill)
    desk = house.phone(house.counter)
    page = await read(desk, here(bill))
    assert "患者正在手机上用医保结算" in page
    assert "患者同意" not in page
    await post(desk, doing(bill, "agree"), 403, cash_fen=found.cash_fen or 0)
    await post(desk, doing(bill, "stop"), 403)
    assert (await of_visit(house, bill))[0].state == "placed"


async def test_the_hospital_says_no(house: House) -> None:
    """Its system is silent, or knows no insurance: nothing is begun, said what to do."""
    bill = await house.bill()
    desk = house.phone(house.counter)
    assert "请医保算" in await read(desk, here(bill))
    house.town.his.behaviour.be("down", times=1)
    assert "现在连不上医院系统" in html.unescape((await post(desk, doing(bill), 503)).text)
    for encounter in house.town.his.books.encounters.values():
        encounter.started["insurance"]["status"] = "none"
    said = html.unescape((await post(desk, doing(bill), 409)).text)
    assert "医院系统说这次就诊不能用医保" in said
    assert "请医保算" in said
    assert await house.count(InsurancePart) == 0
    await nothing(house, bill)
