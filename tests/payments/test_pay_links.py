"""A pay link in many hands: it shows little, is paid once, ends when it should, and never keeps the family waiting."""

import json
import re
import time
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from api.pace import WITHIN, WRONG_AT_MOST
from billing.rules import NothingPayableError
from family_pay import flows
from family_pay.models import PayLink
from family_pay.rules import PayLinkGoneError, PayLinkState, TooManyLinksError
from family_pay.service import bonds, links
from family_pay.service.links import Made
from kernel.crypto import digest
from kernel.errors import ForbiddenError, HoufuError, NotFoundError
from kernel.ids import new_id
from kernel.money import yuan
from payments import flows as payments
from payments.ports import CashChannel
from payments.rules import (
    AlreadyPaidError,
    AmountChangedError,
    AttemptInProgressError,
    OverCapError,
    Piece,
    ShareGoneError,
)
from payments.service import labels
from payments.service.pressing import Press
from people.models import Grant
from people.rules import Actor
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, SON, WECHAT, Bill, House
from tests.payments.test_pages import SAFARI, read
from tests.payments.test_shares import at_once, cut, pays, sound

STRANGER = "oHF-demo-companion-000000004"


async def made(house: House, actor: Actor, bill: Bill, amount: int | None = None, share: int | None = None) -> Made:
    """Make a link."""
    async with house.db.begin() as tx:
        return await links.make(tx, actor, bill.visit, bill.owed if amount is None else amount, share)


async def by_link(house: House, link: Made, openid: str = STRANGER, key: str | None = None) -> UUID:
    """The green button of its page."""
    wish = Press(CashChannel.JSAPI, key or str(new_id()), link.amount_fen, "10.0.0.9", openid)
    return await flows.pay_by_link(house.db, house.pay, link.token, wish, house.till)


async def state(house: House, link: Made) -> str:
    """What whoever opens it finds."""
    async with house.db.begin() as tx:
        try:
            return (await links.opened(tx, link.token)).state
        except PayLinkGoneError:
            return PayLinkState.GONE


def nobody(house: House, agent: str = SAFARI) -> httpx.AsyncClient:
    """A browser in which nobody is logged in."""
    client = httpx.AsyncClient(
        base_url=house.url, trust_env=False, headers={"User-Agent": agent, "Sec-Fetch-Site": "same-origin"}
    )
    house.clients.append(client)
    return client


async def test_a_stranger_in_a_browser(house: House) -> None:
    """Hospital, amount, masked name, nothing else; paid by H5; receipt for him, the giver reads that it was paid."""
    bill = await house.bill()
    items = [c["name"] for c in house.town.his.books.encounters[bill.encounter].charges.values()]
    items += [d["name"] for d in json.loads(HOSPITAL_FILE.read_text("utf-8"))["departments"]]
    daughter, stranger = house.phone(house.daughter), nobody(house)
    assert "发链接，请别人付" in await read(daughter, f"/visits/{bill.visit}/pay")
    assert yuan(bill.owed) in await read(daughter, f"/visits/{bill.visit}/links")
    answer = await daughter.post(f"/visits/{bill.visit}/links", data={"amount_fen": str(bill.owed)}, headers=PAGE)
    token = re.search(r"/l/([A-Za-z0-9_-]{32})", answer.text)
    assert token, answer.text[:800]
    there = f"/l/{token[1]}"
    page = await read(stranger, there)
    for hidden in ("朱桂芳", str(bill.visit), str(house.mother.id), str(house.daughter.id), *items):
        assert hidden not in page, hidden
    for shown in ("朱**", house.town.his.catalogue.name, f"付 ¥{yuan(bill.owed)}"):
        assert shown in page, shown
    seen = (await stranger.get(f"/api/pay-links/{token[1]}")).json()
    assert set(seen) == {"hospital", "patient", "amount_fen", "state", "expires_at", "paid_at"}
    form = {"_idem": str(new_id()), "amount_fen": str(bill.owed)}
    wrong = await stranger.post(f"{there}/pay", data={**form, "amount_fen": "1"}, headers=PAGE)
    assert (wrong.status_code, "金额变了" in wrong.text, house.town.pay.books.orders) == (409, True, {})
    going = (await stranger.post(f"{there}/pay", data=form, headers=PAGE)).headers["location"]
    assert going.startswith(f"{there}/p/")
    again = (await stranger.post(f"{there}/pay", data=form, headers=PAGE)).headers["location"]
    assert again == going
    sheet = await read(stranger, going)
    cashier = re.search(r'href="([^"]+checkmweb[^"]+)" referrerpolicy="origin"', sheet)
    assert cashier, sheet[-1500:]
    [order] = house.town.pay.books.orders.values()
    assert (order.total, order.description) == (bill.owed, f"{house.town.his.catalogue.name} 就诊费")
    assert "有人正在付这一笔" in await read(nobody(house), there)
    payment, cashbox = UUID(going.rpartition("/")[2]), httpx.URL(cashier[1])
    assert cashbox.params["redirect_url"] == f"{house.url}{going}?r=ok"
    async with httpx.AsyncClient(trust_env=False, headers={"Referer": house.url}) as browser:
        assert (await browser.get(cashbox)).status_code == 200
        assert (await browser.post(cashbox, data={"openid": STRANGER})).status_code == 200
    await house.until_state(payment, "paid")
    answer = await stranger.get(f"{going}?r=ok", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    receipt = await read(stranger, there)
    for shown in ("付好了", f"¥</small>{yuan(bill.owed)}", "朱**", "收据号"):
        assert shown in receipt, shown
    for hidden in ("朱桂芳", str(bill.visit), *items):
        assert hidden not in receipt, hidden
    await house.settle()
    for who in (daughter, house.phone(house.mother)):
        assert "收到链接的人" in await read(who, f"/visits/{bill.visit}/bill")
    assert "付好了" in await read(daughter, f"/visits/{bill.visit}/links")
    own = await read(house.phone(house.mother), f"/payments/{payment}/receipt")
    assert "收到的链接，手机浏览器" in own
    assert "收到链接的人" in own
    assert (await daughter.get(f"/payments/{payment}/receipt")).status_code == 404
    attempt = await house.attempt(payment)
    assert (attempt.payer_id, attempt.relation) == (None, labels.LINK)
    await house.balanced()
    await sound(house)


async def test_inside_wechat_it_is_paid_by_whoever_holds_it(house: House) -> None:
    """WeChat says by whom before the page is shown; the bridge takes his money and nobody else's; twice is once."""
    bill = await house.bill()
    link = await made(house, house.mother, bill)
    phone = nobody(house, WECHAT)
    away = await phone.get(f"/l/{link.token}", headers=PAGE)
    assert away.status_code == 303
    assert "snsapi_base" in away.headers["location"]
    assert link.token not in away.headers["location"]
    assert (await phone.get("/link/back?code=x&state=y", headers=PAGE)).status_code == 404
    key = str(new_id())
    attempt = await by_link(house, link, key=key)
    assert await by_link(house, link, key=key) == attempt
    with pytest.raises(AttemptInProgressError):
        await by_link(house, link)
    assert await house.bridge(attempt, MOTHER) != "ok"
    assert await house.bridge(attempt, STRANGER) == "ok"
    await house.until_state(attempt, "paid")
    assert await state(house, link) == "paid"
    with pytest.raises(AlreadyPaidError):
        await by_link(house, link)
    async with house.db.begin() as tx:
        [row] = await links.given(tx, house.mother, bill.visit)
        with pytest.raises(ForbiddenError):
            await links.given(tx, house.counter, bill.visit)
    assert (row.state, row.attempt and row.attempt.id) == ("paid", attempt)
    house.clock.move(days=8)
    assert await state(house, link) == "gone"
    assert house.payments == 1
    await sound(house)


async def test_many_hands_in_the_same_second(house: House) -> None:
    """Five who hold it, the son beside them: one order is open at a time, one is paid, the money is taken once."""
    bill = await house.bill()
    link = await made(house, house.mother, bill)
    found = await at_once(
        *[lambda: by_link(house, link)] * 5, lambda: pays(house, house.son, SON, bill, None, bill.owed)
    )
    assert all(isinstance(f, UUID | HoufuError) for f in found), found
    alive = [a for a in await house.attempts(bill.visit) if a.state not in ("closed", "failed")]
    assert len(alive) == 1, found
    if alive[0].relation == labels.LINK:  # unless the son was last, and went before it
        assert await house.bridge(alive[0].id, STRANGER) == "ok"
        await house.until_state(alive[0].id, "paid")
    assert (house.payments, house.taken) == (1, bill.owed)
    await sound(house)


async def test_the_family_need_not_wait(house: House) -> None:
    """A stranger holds the order open: the daughter stops it and pays; he reads 没有付成, and then 不用付了."""
    bill = await house.bill()
    link = await made(house, house.mother, bill)
    stranger = await by_link(house, link)
    daughter = house.phone(house.daughter)
    assert "有人正用链接付" in await read(daughter, f"/visits/{bill.visit}/pay")
    away = nobody(house)
    assert (await away.post(f"/visits/{bill.visit}/pay/instead", headers=PAGE)).status_code in (303, 401)
    assert (await house.attempt(stranger)).state == "offered"
    answer = await daughter.post(f"/visits/{bill.visit}/pay/instead", headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/visits/{bill.visit}/pay")
    assert (await house.attempt(stranger)).state == "closed"
    assert "这次没有付成" in await read(away, f"/l/{link.token}/p/{stranger}")
    again = await by_link(house, link)
    shown = await house.press(house.counter, bill, None, channel=CashChannel.NATIVE)  # he has put his phone away
    assert [(await house.attempt(a)).state for a in (again, shown)] == ["closed", "offered"]
    with pytest.raises(AttemptInProgressError):
        await by_link(house, link)
    assert await state(house, link) == "busy"
    await payments.close(house.db, house.pay, shown)
    await pays(house, house.daughter, DAUGHTER, bill, None, bill.owed)
    assert await state(house, link) == "settled"
    assert "不用再付" in await read(away, f"/l/{link.token}")
    assert (house.payments, house.taken) == (1, bill.owed)
    await sound(house)


async def test_a_link_nobody_finishes(house: House) -> None:
    """Another who holds it waits two minutes, then his press closes the first; after five it closes by itself."""
    bill = await house.bill()
    link = await made(house, house.mother, bill)
    first = await by_link(house, link)
    house.clock.move(minutes=2)
    second = await by_link(house, link)
    assert [(await house.attempt(a)).state for a in (first, second)] == ["closed", "offered"]
    house.clock.move(minutes=5, seconds=1)
    await payments.sweep(house.db, house.pay)
    assert (await house.attempt(second)).state == "closed"
    assert await house.states(bill.visit) == {"billable"}
    assert await state(house, link) == "open"
    await sound(house)


async def test_it_ends(house: House) -> None:
    """Its giver's right ends; it is taken back while somebody pays; its day is over: nothing comes, all told alike."""
    bill = await house.bill()
    sons = await made(house, house.son, bill)
    async with house.db.begin() as tx:
        grant = (await tx.session.scalars(select(Grant).where(Grant.person_id == house.son.id))).one()
        await bonds.withdraw(tx, house.mother, grant.bond)
    before = await house.snapshot()
    with pytest.raises(PayLinkGoneError):
        await by_link(house, sons)
    with pytest.raises(NotFoundError):
        await made(house, house.son, bill)
    assert await house.snapshot() == before
    mothers, daughters = await made(house, house.mother, bill), await made(house, house.daughter, bill)
    attempt = await by_link(house, daughters)
    for actor in (house.son, house.counter):
        with pytest.raises(NotFoundError):
            await flows.withdraw_link(house.db, house.pay, actor, daughters.id)
    assert (await house.attempt(attempt)).state == "offered"
    mother = house.phone(house.mother)
    listed = (await mother.get(f"/api/visits/{bill.visit}/pay-links")).json()
    assert [(x["id"], x["state"]) for x in listed] == [
        (str(daughters.id), "paying"), (str(mothers.id), "busy"), (str(sons.id), "gone"),
    ]  # fmt: skip
    assert (await mother.delete(f"/api/pay-links/{daughters.id}")).status_code == 204
    assert (await house.attempt(attempt)).state == "closed"
    with pytest.raises(PayLinkGoneError):
        await by_link(house, daughters)
    house.clock.move(hours=24)
    with pytest.raises(PayLinkGoneError):
        await by_link(house, mothers)
    phone = nobody(house)
    told = [await read(phone, f"/l/{secret}", 404) for secret in (mothers.token, daughters.token, sons.token, "A" * 32)]
    assert len({re.sub(r'value="[^"]*"', "", text) for text in told}) == 1
    assert house.payments == 0
    async with house.db.begin() as tx:
        kept = (await tx.session.scalars(select(PayLink))).all()
    assert {row.token_digest for row in kept} == {digest(x.token) for x in (mothers, daughters, sons)}
    await sound(house)


async def test_what_a_link_can_be_made_for(house: House) -> None:
    """The amount that was shown, of all or one share, five at once; it changes, and the link is worth nothing."""
    bill = await house.bill()
    with pytest.raises(AmountChangedError):
        await made(house, house.mother, bill, 1)
    with pytest.raises(ShareGoneError):
        await made(house, house.mother, bill, 400, share=1)
    async with house.db.begin() as tx:
        await tx.session.execute(update(Grant).where(Grant.person_id == house.son.id).values(cap_fen=bill.owed - 1))
    with pytest.raises(OverCapError):
        await made(house, house.son, bill)
    whole = await made(house, house.mother, bill)
    await cut(house, house.mother, bill, Piece(400))
    one = await made(house, house.daughter, bill, 400, share=1)
    assert [await state(house, x) for x in (whole, one)] == ["open", "open"]
    attempt = await by_link(house, one)
    assert (await house.attempt(attempt)).amount_fen == 400
    assert await state(house, whole) == "changed"
    with pytest.raises(AmountChangedError):
        await by_link(house, whole)
    assert await house.bridge(attempt, STRANGER) == "ok"
    await house.until_state(attempt, "paid")
    for _ in range(5):
        await made(house, house.mother, bill, bill.owed - 400)
    with pytest.raises(TooManyLinksError):
        await made(house, house.mother, bill, bill.owed - 400)
    await pays(house, house.mother, MOTHER, bill, None, bill.owed - 400)
    with pytest.raises(NothingPayableError):
        await made(house, house.mother, bill, 1)
    await sound(house)


async def test_guessing_and_family(house: House) -> None:
    """Thirty addresses of nothing from one place, and it waits, even for a right one; family goes to its own sheet."""
    bill = await house.bill()
    link = await made(house, house.mother, bill)
    daughter, phone = house.phone(house.daughter), nobody(house)
    form = {"_idem": str(new_id()), "amount_fen": str(bill.owed)}
    for answer in (
        await daughter.get(f"/l/{link.token}", headers=PAGE),
        await daughter.post(f"/l/{link.token}/pay", data=form, headers=PAGE),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, f"/visits/{bill.visit}/pay")
    pace = house.world.extras["pace"]
    for _ in range(WRONG_AT_MOST - 1):
        pace.wrong("127.0.0.1", time.monotonic())
    answers = [(await phone.get(f"/api/pay-links/{new_id().hex}")).status_code for _ in range(2)]
    assert answers == [404, 429]
    assert (await phone.get(f"/l/{link.token}", headers=PAGE)).status_code == 429
    assert (await phone.post(f"/l/{link.token}/pay", data=form, headers=PAGE)).status_code == 429
    pace.check("127.0.0.2", time.monotonic())
    pace.check("127.0.0.1", time.monotonic() + WITHIN)
    assert house.town.pay.books.orders == {}
