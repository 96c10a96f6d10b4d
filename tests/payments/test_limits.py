"""What a payer lets herself pay: held at the press, to the fen, at two places at once; and a right that ends."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select

from family_pay.models import PayAsk
from family_pay.service import asking, bonds
from kernel.errors import HoufuError, NotFoundError
from kernel.money import yuan
from notices import service as notices
from payments import flows
from payments.models import PayerLimit
from payments.rules import Piece
from payments.rules.limits import AfterVisit, AskFirstError, Limits, OverLimitError, WrongLimitsError
from payments.service import limits
from people.models import Grant
from people.rules import Actor
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, PAGE, SON, Bill, House
from tests.payments.test_pages import read
from tests.payments.test_shares import at_once, cut, money_back, pays, presses, sound
from visits.models import Visit


async def allow(house: House, actor: Actor, **fen: Any) -> None:
    """Set one's limits for the mother."""
    async with house.db.begin() as tx:
        await limits.set_for(tx, actor, house.mother.id, Limits(**fen))


async def left(house: House, actor: Actor) -> int | None:
    """What the limits leave now."""
    async with house.db.begin() as tx:
        return (await limits.left(tx, actor.id, house.mother.id)).fen


async def refused(
    house: House, actor: Actor, openid: str, bill: Bill, share: int | None, amount: int
) -> OverLimitError:
    """A press over the limit: nothing is begun, here or at WeChat."""
    before, orders = await house.snapshot(), len(house.town.pay.books.orders)
    with pytest.raises(OverLimitError) as found:
        await presses(house, actor, openid, bill, share, amount)
    assert await house.snapshot() == before
    assert len(house.town.pay.books.orders) == orders
    return found.value


async def another(house: House, item: str = "CONS2") -> Bill:
    """A second visit of the mother's on the same day: registered for another at first, and put right."""
    clinic = house.town.his.clinic
    card = house.town.his.catalogue.patients["P0000002"]
    house.town.his.books.account_used["P0000002"] = card.account_fen
    encounter = clinic.register(card, "CARD")
    order = clinic.order(encounter, item)
    clinic.confirm(order)
    await until(house._heard)
    async with house.db.begin() as tx:
        other = (await tx.session.scalars(select(Visit).where(Visit.patient_id != house.mother.id))).one()
        other.patient_id, other.mode = house.mother.id, "DEFERRED"
        other.day -= timedelta(days=1)  # one visit of a patient and day
        visit = other.id
    return Bill(visit, encounter, [order], await house.owed(visit))


async def test_each_limit_holds_and_says_what_is_left(house: House) -> None:
    """Once, a day, a month: one fen too much is refused kindly; what fits is paid; her limits bind nobody else."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400), Piece(200))
    await allow(house, house.daughter, per_payment_fen=399)
    said = (await refused(house, house.daughter, DAUGHTER, bill, 1, 400)).params["says"]
    assert said == "您给自己定了一次最多付 ¥3.99，现在还能付 ¥3.99。"
    await allow(house, house.daughter, per_day_fen=599)
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    said = (await refused(house, house.daughter, DAUGHTER, bill, 2, 200)).params["says"]
    assert said == "您给自己定了一天最多付 ¥5.99，现在还能付 ¥1.99。"
    await allow(house, house.daughter, per_day_fen=600, per_month_fen=400)
    said = (await refused(house, house.daughter, DAUGHTER, bill, 2, 200)).params["says"]
    assert said == "您给自己定了一个月最多付 ¥4.00，现在不能再付。"
    await allow(house, house.daughter, per_day_fen=600, per_month_fen=600)
    await pays(house, house.daughter, DAUGHTER, bill, 2, 200)
    assert await left(house, house.daughter) == 0
    await pays(house, house.son, SON, bill, None, bill.owed - 600)
    await sound(house)


async def test_what_comes_back_can_be_paid_again(house: House) -> None:
    """A live order counts, a closed one does not; money given back counts until it has arrived."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400), Piece(200))
    await allow(house, house.daughter, per_day_fen=500)
    live = await presses(house, house.daughter, DAUGHTER, bill, 1, 400)
    said = (await refused(house, house.daughter, DAUGHTER, bill, 2, 200)).params["says"]
    assert said == "您给自己定了一天最多付 ¥5.00，正在付的 ¥4.00 也算在内，现在还能付 ¥1.00。"
    await flows.close(house.db, house.pay, live)
    assert await left(house, house.daughter) == 500
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    await flows.give_up(house.db, house.pay, house.mother, bill.visit)
    assert await left(house, house.daughter) == 100
    await money_back(house, bill.visit, 1)
    assert await left(house, house.daughter) == 500
    await sound(house)


async def test_two_places_at_once(house: House) -> None:
    """She presses for two visits in one moment, three times: her day's limit lets one of them through, never both."""
    bill, other = await house.bill(), await another(house)
    for n in range(3):
        await allow(house, house.daughter, per_day_fen=bill.owed + other.owed - 1)
        found = await at_once(
            lambda: presses(house, house.daughter, DAUGHTER, bill, None, bill.owed),
            lambda: presses(house, house.daughter, DAUGHTER, other, None, other.owed),
        )
        won = [f for f in found if isinstance(f, UUID)]
        assert (len(won), sum(isinstance(f, OverLimitError) for f in found)) == (1, 1), (n, found)
        await flows.close(house.db, house.pay, won[0])
    assert house.payments == 0
    await sound(house)


async def test_who_sets_what(house: House) -> None:
    """Only somebody who pays for her sets limits, and only sound ones; a right made anew forgets nothing."""
    for actor, error in ((house.mother, NotFoundError), (house.counter, NotFoundError)):
        with pytest.raises(error):
            await allow(house, actor, per_day_fen=100)
    with pytest.raises(WrongLimitsError):
        await allow(house, house.daughter, per_day_fen=0)
    assert await house.count(PayerLimit) == 0
    await allow(house, house.daughter, per_day_fen=100)
    async with house.db.begin() as tx:
        await bonds.withdraw(tx, house.daughter, (await tx.session.scalars(_held(house.daughter))).one().bond)
    with pytest.raises(NotFoundError):
        await allow(house, house.daughter, per_day_fen=10_000)
    assert await left(house, house.daughter) == 100


def _held(actor: Actor) -> Select[Grant]:
    return select(Grant).where(Grant.person_id == actor.id, Grant.state == "active")


async def test_the_right_ends_while_she_pays(house: House) -> None:
    """Her mother ends it: nothing new can be begun, what is under way may come and stands, its receipt stays hers."""
    bill = await house.bill()
    await cut(house, house.mother, bill, Piece(400), Piece(200))
    live = await presses(house, house.daughter, DAUGHTER, bill, 1, 400)
    async with house.db.begin() as tx:
        await bonds.withdraw(tx, house.mother, (await tx.session.scalars(_held(house.daughter))).one().bond)
    before = await house.snapshot()
    with pytest.raises(HoufuError) as no:
        await presses(house, house.daughter, DAUGHTER, bill, 2, 200)
    assert no.value.code == "not_found"
    with pytest.raises(NotFoundError):
        await flows.give_up(house.db, house.pay, house.daughter, bill.visit)
    assert await house.snapshot() == before
    phone = house.phone(house.daughter)
    assert (await phone.get(f"/payments/{live}")).status_code == 200
    assert await house.bridge(live, DAUGHTER) == "ok"
    await house.until_state(live, "paid")
    await pays(house, house.son, SON, bill, None, bill.owed - 400)
    await house.settle()
    receipt = await phone.get(f"/payments/{live}/receipt")
    assert receipt.status_code == 200
    assert ("朱**" in receipt.text, "朱桂芳" in receipt.text, "¥4.00" in receipt.text) == (True, False, True)
    assert (await phone.get(f"/visits/{bill.visit}/bill")).status_code == 404
    paid = await read(phone, "/payments")
    assert all(text in paid for text in ("家人 朱**", "¥4.00", f"/payments/{live}/receipt")), paid
    [one] = (await phone.get("/api/payments")).json()
    assert (one["id"], one["patient"], one["amount_fen"]) == (str(live), "朱**", 400)
    assert "还没有付过" in await read(house.phone(house.mother), "/payments")
    assert (await house.attempt(live)).relation == "daughter"
    await sound(house)


async def test_the_sheet_named_somebody_else(house: House) -> None:
    """The visit turns out to be somebody else's between sheet and press: refused, nothing is begun; then it goes."""
    bill = await house.bill()
    before = await house.snapshot()
    for client, seen in ((house.phone(house.daughter), house.daughter.id), (house.phone(house.mother), house.son.id)):
        form = {"_idem": "a-key-of-a-page", "amount_fen": str(bill.owed), "patient": str(seen)}
        answer = await client.post(f"/visits/{bill.visit}/pay", data=form, headers={"Accept": "text/html"})
        assert (answer.status_code, "已经不是刚才那个人的了" in answer.text) == (409, True)
        asked = await client.post(
            f"/api/visits/{bill.visit}/payments",
            json={"amount_fen": bill.owed, "patient_id": str(seen)},
            headers={"Idempotency-Key": "a-key-of-a-page"},
        )
        assert (asked.status_code, asked.json()["code"]) == (409, "other_patient")
    assert await house.snapshot() == before
    form = {"_idem": "another-key", "amount_fen": str(bill.owed), "patient": str(house.mother.id)}
    answer = await house.phone(house.daughter).post(f"/visits/{bill.visit}/pay", data=form)
    assert answer.status_code == 303


async def test_after_the_visit_she_is_asked_or_finds_it_ready(house: House) -> None:
    """The daughter wishes it ready up to an amount, the son to be asked: told once, no order made, no money moved."""
    bill = await house.bill()
    async with house.db.begin() as tx:
        ready = Limits(after_visit=AfterVisit.READY, ready_fen=bill.owed)
        await limits.set_for(tx, house.daughter, house.mother.id, ready)
        await limits.set_for(tx, house.son, house.mother.id, Limits(after_visit=AfterVisit.ASK))
    phones = {who: house.phone(who) for who in (house.daughter, house.son, house.mother)}
    assert "给您备好了" not in await read(phones[house.daughter], "/")
    house.town.his.clinic.finish(bill.encounter)
    await until(lambda: _ended(house, bill.visit))
    assert await told(house) == 2
    assert await told(house) == 0
    assert house.town.pay.books.orders == {}
    assert await house.attempts(bill.visit) == []
    assert "妈妈 朱** 看完了，给您备好了，点一下就付" in await read(phones[house.daughter], "/")
    assert "妈妈 朱** 看完了，这笔由您付吗" in await read(phones[house.son], "/")
    for who, ready_ in ((house.daughter, True), (house.son, False)):
        [row] = [n for n in await _news(house, who) if n["what"] == "to_pay"]
        assert (row["amount_fen"], row["ready"], row["who"]) == (bill.owed, ready_, "朱**")
    await allow(house, house.daughter, per_payment_fen=bill.owed)  # her wishes are set anew as a whole
    assert "备好" not in await read(phones[house.daughter], "/")
    page = await read(phones[house.son], f"/visits/{bill.visit}/pay")
    assert "这次我不付" in page
    assert (await phones[house.mother].post(f"/visits/{bill.visit}/pay/decline", headers=PAGE)).status_code == 404
    assert (await phones[house.son].post(f"/visits/{bill.visit}/pay/decline", headers=PAGE)).status_code == 303
    assert "由您付吗" not in await read(phones[house.son], "/")
    assert [n["what"] for n in await _news(house, house.mother)] == [*["claimed", "bound"] * 2, "declined"]
    assert "这次我不付" not in await read(phones[house.son], f"/visits/{bill.visit}/pay")
    await allow(house, house.daughter, after_visit=AfterVisit.ASK)
    assert "由您付吗" in await read(phones[house.daughter], "/")
    await pays(house, house.son, SON, bill, None, bill.owed)
    assert "由您付吗" not in await read(phones[house.daughter], "/")
    await house.settle()
    async with house.db.begin() as tx:
        asks = (await tx.session.scalars(select(PayAsk))).all()
        assert [ask.over_at is not None for ask in asks] == [True, True]


async def told(house: House) -> int:
    """The sweep that tells payers."""
    async with house.db.begin() as tx:
        return await asking.tell_due(tx)


async def _ended(house: House, visit: UUID) -> bool:
    async with house.db.begin() as tx:
        row = await tx.get(Visit, visit)
        return row is not None and row.state == "ended"


async def _news(house: House, who: Actor) -> list[dict[str, Any]]:
    async with house.db.begin() as tx:
        try:
            rows = await notices.since(tx, who.id, 0)
        except LookupError:
            return []
        return [row.payload["family"] for row in rows if row.kind == "family"]


async def test_her_pages(house: House) -> None:
    """Limits as she types them; the sheet says whom she pays for, what is left, and over the limit offers a part."""
    bill = await house.bill()
    phone, path = house.phone(house.daughter), f"/family/limits/{house.mother.id}"
    assert path in await read(phone, "/family")
    assert (await house.phone(house.mother).get(path, headers=PAGE)).status_code == 404
    form = {"payment": "", "day": "¥4", "month": "1,000", "after": "ready", "ready": "3"}
    for wrong in ({"day": "四块"}, {"day": "0"}, {"ready": ""}, {"month": "1.001"}):
        answer = await phone.post(path, data={**form, **wrong}, headers=PAGE)
        assert (answer.status_code, "金额要写成数字" in answer.text) == (422, True), wrong
    assert await house.count(PayerLimit) == 0
    assert "存好了" in (await phone.post(path, data=form, headers=PAGE)).text
    asked = (await phone.get(f"/api{path}")).json()
    assert asked == {
        "per_payment_fen": None, "per_day_fen": 400, "per_month_fen": 100_000, "after_visit": "ready", "ready_fen": 300,
        "left_fen": 400,
    }  # fmt: skip
    sheet = await read(phone, f"/visits/{bill.visit}/pay")
    assert "您给自己定了一天最多付 ¥4.00，现在还能付 ¥4.00。" in sheet
    assert "先付一部分" in sheet
    assert 'form="pay"' not in sheet
    press = {"_idem": "a-key-of-a-page", "amount_fen": str(bill.owed), "patient": str(house.mother.id)}
    answer = await phone.post(f"/visits/{bill.visit}/pay", data=press, headers=PAGE)
    assert (answer.status_code, "可以先分摊付一部分" in answer.text) == (403, True)
    raised = {"per_day_fen": bill.owed}
    assert (await phone.post(f"/api{path}", json=raised)).json()["left_fen"] == bill.owed
    sheet = await read(phone, f"/visits/{bill.visit}/pay")
    assert f"替妈妈付 ¥{yuan(bill.owed)}" in sheet
    assert f'name="patient" value="{house.mother.id}"' in sheet
    for where in ("/", "/visits", f"/visits/{bill.visit}/pay"):
        page = await read(phone, where)
        assert f"/person?id={house.mother.id}&back=" in page, where
        assert "妈妈 朱**" in page, where


async def test_the_mother_wants_to_be_asked_first(house: House) -> None:
    """每次先问我 holds: no payment and no link before her yes, for no more than she said yes to; her no counts, too."""
    bill = await house.bill()
    async with house.db.begin() as tx:
        for grant in await tx.session.scalars(_held(house.daughter)):
            grant.ask_first = True
    daughter, mother = house.phone(house.daughter), house.phone(house.mother)
    sheet = await read(daughter, f"/visits/{bill.visit}/pay")
    assert "妈妈想每次先知道" in sheet
    assert 'form="pay"' not in sheet
    before = await house.snapshot()
    with pytest.raises(AskFirstError):
        await presses(house, house.daughter, DAUGHTER, bill, None, bill.owed)
    made = await daughter.post(f"/api/visits/{bill.visit}/pay-links", json={"amount_fen": bill.owed})
    assert (made.status_code, made.json()["code"]) == (403, "ask_first")
    assert await house.snapshot() == before
    asked = f"/visits/{bill.visit}/pay/ask"
    assert (await daughter.post(asked, data={"amount_fen": str(bill.owed + 1)}, headers=PAGE)).status_code == 409
    for _ in range(2):
        answer = await daughter.post(asked, data={"amount_fen": "400"}, headers=PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/visits/{bill.visit}/pay")
    assert [n["what"] for n in await _news(house, house.mother)][4:] == ["wishes_to_pay"]
    there = f"/visits/{bill.visit}/pay/answer/{house.daughter.id}"
    assert there in await read(mother, "/")
    [request] = (await mother.get("/api/pay-requests")).json()
    assert (request["who"], request["amount_fen"]) == ("您女儿 陈*", 400)
    assert "您女儿 陈* 想替您付 ¥4.00" in await read(mother, there)
    for other in (daughter, house.phone(house.son)):
        assert (await other.get(there, headers=PAGE)).status_code == 404
        assert (await other.post(there, data={"reason": "yes"}, headers=PAGE)).status_code == 404
    await cut(house, house.mother, bill, Piece(400), Piece(500))
    assert (await mother.post(there, data={"reason": "no"}, headers=PAGE)).status_code == 303
    assert "妈妈说这次不用您付" in await read(daughter, f"/visits/{bill.visit}/pay?share=1")
    word = {"visit_id": str(bill.visit), "person_id": str(house.daughter.id), "agreed": True}
    assert (await house.phone(house.son).post("/api/pay-requests/answer", json=word)).status_code == 404
    assert (await mother.post("/api/pay-requests/answer", json=word)).status_code == 204
    assert (await mother.get("/api/pay-requests")).json() == []
    assert there not in await read(mother, "/")
    assert [n["what"] for n in await _news(house, house.daughter)][-2:] == ["refused", "agreed"]
    with pytest.raises(AskFirstError):
        await presses(house, house.daughter, DAUGHTER, bill, 2, 500)
    await pays(house, house.daughter, DAUGHTER, bill, 1, 400)
    await pays(house, house.son, SON, bill, None, bill.owed - 400)
    await sound(house)
