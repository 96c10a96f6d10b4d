"""Paying with the insurance on its page, by forms: who is offered it, consent, the split, the password, and undone."""

import asyncio
import html
import json
import re

import httpx
from sqlalchemy import text

from api.deps import COOKIE
from billing.rules import Parts, spread
from billing.service.lines import lines_of
from kernel.ids import new_id
from kernel.money import yuan
from payments import flows
from payments.flows import mixing as mixed_flows
from payments.flows.mixing import Lines
from payments.models import InsurancePart
from payments.service import consents, parts
from people.models import Grant
from people.rules import Actor, ActorKind, GrantKind
from people.service import patients, sessions
from tests.adapters.conftest import until
from tests.listening import soon
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, Bill, House
from tests.payments.test_insurance import held, nothing, of_visit, whole
from tests.payments.test_pages import SAFARI, attempt_of, press, read
from tests.payments.test_told import at, line_of, moved, pushed


def here(bill: Bill) -> str:
    """The page."""
    return f"/visits/{bill.visit}/insurance"


async def begin(phone: httpx.AsyncClient, bill: Bill, account: str = "no") -> httpx.Response:
    """用医保付, and how accounts are used."""
    return await phone.post(here(bill), data={"account": account}, headers=PAGE)


def consent_link(page: str) -> str:
    """Where the green button of the consent leads."""
    found = re.search(r'href="(/insurance/[0-9a-f-]{36}/consent)"', page)
    assert found, page[-2500:]
    return found[1]


async def out(phone: httpx.AsyncClient, link: str) -> httpx.URL:
    """Off to the insurance's page."""
    answer = await phone.get(link, headers=PAGE)
    assert answer.status_code == 303
    return httpx.URL(answer.headers["location"])


async def answered(house: House, url: httpx.URL, answer: str, openid: str = MOTHER, **form: str) -> str:
    """She reads it and presses; the path it leads back to."""
    assert str(url).startswith(house.town.ports.url("insurance"))
    async with httpx.AsyncClient(trust_env=False) as browser:
        asked = await browser.get(url.copy_add_param("person", openid))
        assert "同意授权" in asked.text
        done = await browser.post(url.copy_add_param("person", openid), data={"answer": answer, **form})
    assert done.status_code == 303, done.text
    assert done.headers["location"].startswith(house.url)
    return str(done.headers["location"].removeprefix(house.url))


async def consented(house: House, phone: httpx.AsyncClient, bill: Bill) -> str:
    """Every consent that is asked for is given; the page afterwards."""
    page = await read(phone, here(bill))
    while "去医保授权" in page:
        back = await answered(house, await out(phone, consent_link(page)), "yes")
        assert (await phone.get(back, headers=PAGE)).headers["location"] == here(bill)
        page = await read(phone, here(bill))
    return page


async def to_agreement(house: House, bill: Bill, account: str = "no") -> tuple[httpx.AsyncClient, str]:
    """The mother's phone with everything reckoned and shown."""
    phone = house.phone(house.mother)
    assert (await begin(phone, bill, account)).headers["location"] == here(bill)
    page = await consented(house, phone, bill)
    assert "医保算好了，请看清楚" in page
    return phone, page


async def agree(phone: httpx.AsyncClient, bill: Bill, page: str) -> str:
    """The green button; the page afterwards."""
    found = re.search(r'name="cash_fen" value="(\d+)"', page)
    assert found
    answer = await phone.post(f"{here(bill)}/agree", data={"cash_fen": found[1]}, headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{here(bill)}?go=1")
    return await read(phone, f"{here(bill)}?go=1")


def bridge_params(page: str) -> dict[str, str]:
    """What the page hands to WeChat."""
    found = re.search(r"data-invoke='([^']+)' data-call=\"requestMedicalInsurancePay\"", page)
    assert found, page[-2500:]
    params: dict[str, str] = json.loads(found[1])
    return params


async def password(house: House, page: str, openid: str = MOTHER) -> str:
    """She types her password in WeChat."""
    said = await house.control("/control/mix/pay", {"openid": openid, "params": bridge_params(page)})
    return str(said["err_msg"]).partition(":")[2]


def lines(house: House) -> Lines:
    """Our lines for it."""
    ports = house.world.ports
    assert ports.insurance is not None
    assert ports.mix is not None
    return Lines(ports.insurance, ports.mix, house.pay)


async def swept(house: House, times: int = 3) -> None:
    """The sweepers look, and look again."""
    for _ in range(times):
        house.clock.move(seconds=61)
        await mixed_flows.due(house.db, lines(house))
        await flows.sweep(house.db, house.pay)
        await flows.insurance_due(house.db, lines(house).center)
        await flows.refund_due(house.db, house.pay)


def numbers(page: str) -> list[int]:
    """Amounts of the split in fen, top to bottom: the total, what others bear (negative), one's own."""
    table = re.findall(
        r'<p class="sum-row(?: all)?"><span>[^<]*</span><span class="num">(-?)¥([\d,.]+)</span></p>', page
    )
    return [int(sign + amount.replace(",", "").replace(".", "")) for sign, amount in table]


async def test_from_the_bill_to_the_receipt(house: House) -> None:
    """Offered and chosen; consent; the split adds up; one password pays both; told live; a receipt by whose money."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    sheet = await read(mother, f"/visits/{bill.visit}/pay")
    assert re.search(r'name="way" value="insurance" checked', sheet)
    assert "医院估算" in sheet
    assert "（医院估算）" in await read(mother, f"/visits/{bill.visit}/bill")
    form = {"_idem": "k" * 20, "amount_fen": str(bill.owed), "way": "insurance"}
    answer = await mother.post(f"/visits/{bill.visit}/pay", data=form, headers=PAGE)
    assert answer.headers["location"] == f"{here(bill)}?again=1"
    choose = await read(mother, f"{here(bill)}?again=1")
    assert all(words in choose for words in ("由医保按规定来", "用个人账户", "不用个人账户"))
    heard, listening = list[str](), asyncio.Event()
    daughter = house.phone(house.daughter)
    line = line_of(await read(daughter, f"/visits/{bill.visit}/bill"))
    task = asyncio.create_task(pushed(daughter, line, heard, listening))
    await asyncio.wait_for(listening.wait(), 20)
    phone, page = await to_agreement(house, bill)
    [part] = await of_visit(house, bill)
    total, *others, own = numbers(page)
    assert (total + sum(others), own) == (part.cash_fen, part.cash_fen)
    assert -sum(others) == (part.fund_fen or 0) + (part.account_fen or 0) + (part.other_fen or 0)
    assert f"医保的部分和自己付的 ¥{yuan(part.cash_fen or 0)} 一起付" in page
    assert house.taken == 0
    pressing = await agree(phone, bill, page)
    assert "请在微信里输密码" in pressing
    assert "data-auto=1" in pressing
    assert await password(house, pressing) == "ok"
    await swept(house)
    await house.settle()
    after = await read(phone, f"{here(bill)}?p=1&r=ok")
    assert "都付好了" in after

    async def told() -> bool:
        return any("医保正在结算，先不要付" in said for said in heard)

    await until(told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found = re.search(r'href="(/payments/[0-9a-f-]{36}/receipt)"', after)
    assert found
    receipt = await read(phone, found[1])
    assert f"付好了，¥{yuan(part.cash_fen or 0)}" in receipt
    assert f'医保基金付</span><span class="num">¥{yuan(part.fund_fen or 0)}' in receipt
    assert str(part.pay_order_id) in receipt
    assert (await phone.get(f"{found[1]}.pdf")).content.startswith(b"%PDF-")
    assert "（医院估算）" not in await read(mother, f"/visits/{bill.visit}/bill")
    await whole(house, bill)


async def test_what_asks_and_what_is_told(house: House) -> None:
    """Reckoning and the password are told by a push; only once nobody but WeChat knows does the page ask by itself."""
    bill = await house.bill()
    centre, phone = house.town.insurance.behaviour, house.phone(house.mother)
    await begin(phone, bill)
    centre.plan([{"on": "place", "do": "error_before"}])
    page = await consented(house, phone, bill)
    assert ("医保正在算" in page, moved(page)) == (True, "news from:body")
    async with at(house, house.mother, page) as heard:
        await swept(house, 1)
        await soon(heard, "医保算好了", 5)
    page = await agree(phone, bill, await read(phone, here(bill)))
    assert ("请在微信里输密码" in page, moved(page)) == (True, "news from:body")
    centre.plan([{"on": "query", "do": "error_before", "times": None}])
    async with at(house, house.mother, page) as heard:
        assert await password(house, page) == "ok"
        house.clock.move(seconds=61)
        await mixed_flows.due(house.db, lines(house))
        await soon(heard, "医保正在结算", 5)
    page = await read(phone, here(bill))
    assert ("data-invoke" in page, moved(page)) == (False, "news from:body, every 5s")
    assert (await of_visit(house, bill))[0].state == "paying"
    centre.forget()
    house.clock.move(seconds=3)
    assert "都付好了" in await read(phone, here(bill)), "the look itself had the centre asked"


async def test_two_departments(house: House) -> None:
    """第 1 个，共 2 个: two consents, two passwords, then the cash as ever; the pay sheet shows who bore what."""
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    phone = house.phone(house.mother)
    await begin(phone, bill)
    page = await read(phone, here(bill))
    assert "第 1 个，共 2 个" in page
    back = await answered(house, await out(phone, consent_link(page)), "yes")
    await phone.get(back, headers=PAGE)
    page = await read(phone, here(bill))
    assert "请您授权（第 2 个，共 2 个）" in page
    assert "算好了" in page
    page = await consented(house, phone, bill)
    cash = sum(p.cash_fen or 0 for p in await of_visit(house, bill))
    assert numbers(page)[-1] == cash
    page = await agree(phone, bill, page)
    for number in (1, 2):
        assert f"请在微信里输密码（第 {number} 个，共 2 个）" in page
        assert f'data-check="{here(bill)}?p={number}"' in page
        assert await password(house, page) == "ok"
        page = await read(phone, f"{here(bill)}?p={number}&r=ok")
    await swept(house)
    page = await read(phone, here(bill))
    assert f"还要自己付 ¥{yuan(cash)}" in page
    assert f"付 ¥{yuan(cash)}" in await read(house.phone(house.daughter), f"/visits/{bill.visit}/pay")
    sheet = await read(phone, f"/visits/{bill.visit}/pay")
    assert "医院估算" not in sheet
    assert sum(numbers(sheet)[:-1]) == numbers(sheet)[-1] == cash
    there = await press(phone, Bill(bill.visit, bill.encounter, bill.orders, cash))
    await house.bridge(attempt_of(there))
    await house.until_state(attempt_of(there), "paid")
    await house.settle()
    await whole(house, bill)


async def test_differs_from_the_estimate(house: House) -> None:
    """Relatives share their account: what differs from the estimate is said line by line, before and after."""
    bill = await house.bill()
    before = await of_lines(house, bill)
    next(p for p in house.town.insurance.books.people.values() if p.openid == MOTHER).account = 100
    phone, page = await to_agreement(house, bill, "yes")
    [part] = await of_visit(house, bill)
    assert part.mutual_aid_fen
    assert f'家人共济</span><span class="num">-¥{yuan(part.mutual_aid_fen)}' in page
    assert "和就诊时的估算不一样" in page
    async with house.db.begin() as tx:
        now = await consents.latest_round(tx, bill.visit)
        assert now is not None
        each = await parts.line_by_line(tx, now)
    assert sum(was.self_fen for _, was, _ in each) == sum(before.values())
    for line, was, is_ in each:
        if was != is_:
            said = (
                f'自己付 <span class="num">¥{yuan(is_.self_fen)}</span>（估算 <span class="num">¥{yuan(was.self_fen)}'
            )
            assert said in page, line.name
    assert "data-invoke" in await agree(phone, bill, page)
    await password(house, await read(phone, here(bill)))
    await swept(house)
    await house.settle()
    shown = await read(phone, f"/visits/{bill.visit}/bill")
    assert "和估算不同" in shown
    assert "原来估算" in shown
    found = re.search(r'href="(/[a-z/0-9-]+)"[^>]*>看收据', await read(phone, here(bill)))
    assert found
    assert f'家人共济付</span><span class="num">¥{yuan(part.mutual_aid_fen)}' in await read(phone, found[1])
    await whole(house, bill)


async def of_lines(house: House, bill: Bill) -> dict[str, int]:
    """One's own part of every line, as estimated."""
    rows = (await house.phone(house.mother).get(f"/api/visits/{bill.visit}")).json()["lines"]
    assert all(row["estimate"] is None for row in rows)
    return {row["id"]: row["self_fen"] for row in rows}


async def test_a_state_is_of_one_session_and_used_once(house: House) -> None:
    """Forged, of another session, a stranger's, an older one, a second time: refused, no effect."""
    bill = await house.bill()
    mother, daughter = house.phone(house.mother), house.phone(house.daughter)
    await begin(mother, bill)
    link = consent_link(await read(mother, here(bill)))
    old = await answered(house, await out(mother, link), "yes")
    back = await answered(house, await out(mother, link), "yes")
    foreign = f"{here(bill)}?said=foreign"
    forged = re.sub(r"state=[^&]+", "state=forged", back)
    other = httpx.AsyncClient(base_url=house.url, trust_env=False)
    house.clients.append(other)
    async with house.db.begin() as tx:
        person = await sessions.by_wechat(tx, MOTHER, house.town.keys.wechat.appid)
        assert person is not None
        other.headers["Cookie"] = f"{COOKIE}={(await sessions.begin(tx, person)).token}"
    for phone, path in ((mother, forged), (mother, old), (other, back)):
        assert (await phone.get(path, headers=PAGE)).headers["location"] == foreign
    assert (await daughter.get(back, headers=PAGE)).status_code == 404
    del other.headers["Cookie"]
    assert (await other.get(back, headers=PAGE)).headers["location"].startswith("/login")
    assert "这次授权对不上" in await read(mother, foreign)
    assert (await of_visit(house, bill))[0].auth_sealed is None
    assert (await mother.get(back, headers=PAGE)).headers["location"] == here(bill)
    assert (await of_visit(house, bill))[0].state == "placed"
    assert (await mother.get(back, headers=PAGE)).headers["location"] == foreign


async def test_consent_refused_or_in_vain(house: House) -> None:
    """不同意, a code that is no good, no answer: said each time, nothing taken, and she can consent once more."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    await begin(mother, bill)
    link = consent_link(await read(mother, here(bill)))
    back = await answered(house, await out(mother, link), "no")
    assert "您没有同意授权，没有扣款" in await read(mother, (await mother.get(back, headers=PAGE)).headers["location"])
    back = re.sub("authCode=.*", "authCode=nonsense", await answered(house, await out(mother, link), "yes"))
    back = back if "authCode" in back else f"{back}&authCode=nonsense"
    assert "这次授权没有成功" in await read(mother, (await mother.get(back, headers=PAGE)).headers["location"])
    house.town.insurance.behaviour.plan([{"on": "auth", "do": "error_before"}])
    back = await answered(house, await out(mother, link), "yes")
    assert "不知道授权成没成" in await read(mother, (await mother.get(back, headers=PAGE)).headers["location"])
    assert "医保算好了" in await consented(house, mother, bill)
    assert house.taken == 0


async def test_whose_it_is_not(house: House) -> None:
    """A relative who pays, a companion, a stranger: as little as elsewhere, and nothing is begun or moved."""
    bill = await house.bill()
    stranger, companion = [await somebody(house, watches=watches) for watches in (False, True)]
    phones = [(house.phone(who), status) for who, status in ((house.daughter, 403), (companion, 403), (stranger, 404))]
    for phone, status in phones:
        assert [a.status_code for a in await everything(phone, bill)] == [status] * 5
    assert await house.states(bill.visit) == {"billable"}
    mother = house.phone(house.mother)
    await begin(mother, bill)
    link = consent_link(await read(mother, here(bill)))
    for phone, status in phones:
        assert [a.status_code for a in await everything(phone, bill)] == [status] * 5
        for path in (link, link.replace("/consent", "/back?state=x"), f"/api{link}"):
            assert (await phone.get(path, headers=PAGE)).status_code == 404
    told = await read(phones[0][0], f"/visits/{bill.visit}/pay", 409)
    assert "医保正在结算，算好以后才知道还要付多少" in told
    desk = await read(house.phone(house.counter), f"/desk/pay/{bill.visit}")
    assert "患者正在手机上用医保结算，先不要收钱" in desk
    assert "付好了" not in desk
    assert [(p.state, p.consent_hash) for p in await of_visit(house, bill)] == [("created", None)]


async def everything(phone: httpx.AsyncClient, bill: Bill) -> list[httpx.Response]:
    """All that can be done with the page."""
    return [
        await phone.get(here(bill), headers=PAGE),
        await begin(phone, bill),
        await phone.post(f"{here(bill)}/agree", data={"cash_fen": "0"}, headers=PAGE),
        await phone.get(f"{here(bill)}/stop", headers=PAGE),
        await phone.post(f"{here(bill)}/stop", headers=PAGE),
    ]


async def somebody(house: House, *, watches: bool) -> Actor:
    """Somebody logged in who is nobody to her, or looks on."""
    async with house.db.begin() as tx:
        person = tx.add(patients.new_person(tx, "路人"))
        await tx.session.flush()
        house.tokens[person.id] = (await sessions.begin(tx, person)).token
        if watches:
            tx.add(
                Grant(
                    id=new_id(), patient_id=house.mother.id, person_id=person.id, kind=GrantKind.WATCH,
                    relation="other", depth=2, opened=[], bond=new_id(), state="active", created_at=tx.now,
                )
            )  # fmt: skip
    return Actor(ActorKind.PERSON, person.id)


async def test_who_is_told_why_not(house: House) -> None:
    """Another browser, a relative, somebody whose insurance rests, a HIS that says no: once, in plain words."""
    bill = await house.bill()
    outside = house.phone(house.mother, SAFARI)
    sheet = await read(outside, f"/visits/{bill.visit}/pay")
    assert sheet.count("医保只能在微信里用") == 1
    assert f'href="{here(bill)}">去微信里用医保' in sheet
    page = await read(outside, here(bill))
    assert 'href="weixin://"' in page
    assert "data:image/png" in page
    assert (await begin(outside, bill)).headers["location"] == here(bill)
    assert await house.count(InsurancePart) == 0
    assert (await read(house.phone(house.daughter), f"/visits/{bill.visit}/pay")).count("医保要由患者本人那边用") == 1
    mother = house.phone(house.mother)
    started = house.town.his.books.encounters[bill.encounter].started
    started["insurance"]["status"] = "suspended"
    answer = await begin(mother, bill)
    assert (answer.status_code, "医院说这次就诊不能在手机上用医保" in answer.text) == (409, True)
    async with house.db.begin() as tx:
        await tx.session.execute(text("UPDATE encounter SET insurance_status = 'suspended'"))
    sheet = await read(mother, f"/visits/{bill.visit}/pay")
    assert sheet.count("参保状态不正常，这次不能用医保") == 1
    assert 'value="insurance"' not in sheet
    assert "参保状态不正常" in await read(mother, here(bill))
    assert await house.states(bill.visit) == {"billable"}


async def test_disagreed(house: House) -> None:
    """Seen and not wanted: asked once more, revoked at the centre, said plainly; then paid without, or tried again."""
    bill = await house.bill()
    phone, page = await to_agreement(house, bill)
    assert "不同意，先不用医保付" in page
    assert "现在还没有扣钱" in await read(phone, f"{here(bill)}/stop")
    assert (await phone.post(f"{here(bill)}/stop", headers=PAGE)).headers["location"] == here(bill)
    assert "正在取消" in await read(phone, here(bill))
    assert (await phone.get(f"/visits/{bill.visit}/pay", headers=PAGE)).headers["location"] == here(bill)
    await swept(house, 1)
    page = await read(phone, here(bill))
    assert "医保没有扣钱" in page
    assert "再用一次医保" in page
    assert "医保个人账户怎么用" in await read(phone, f"{here(bill)}?again=1")
    assert f"付 ¥{yuan(bill.owed)}" in await read(house.phone(house.daughter), f"/visits/{bill.visit}/pay")
    await nothing(house, bill)


async def test_given_up_after_the_insurance_paid(house: House) -> None:
    """One of two has paid: what goes back is said before and meanwhile, and it does."""
    await house.bill("CONS2")
    bill = await house.bill("URINE")
    phone, page = await to_agreement(house, bill)
    page = await agree(phone, bill, page)
    assert await password(house, page) == "ok"
    await swept(house, 1)
    first = (await of_visit(house, bill))[0]
    assert (first.state, held(house) > 0) == ("paid", True)
    gone = (first.fund_fen or 0) + (first.account_fen or 0) + (first.other_fen or 0)
    asked = await read(phone, f"{here(bill)}/stop")
    assert f"医保付的 ¥{yuan(gone)} 会退回医保" in asked
    assert "正在付的会取消" in asked
    await phone.post(f"{here(bill)}/stop", headers=PAGE)
    page = await read(phone, here(bill))
    assert f"医保付过的 ¥{yuan(gone)} 正在退回医保" in page
    assert moved(page) == "news from:body"
    house.town.insurance.behaviour.plan([{"on": "refund", "do": "error_before"}])
    async with at(house, house.mother, page) as heard:  # each settlement is shown, so each is told
        await swept(house, 1)
        await soon(heard, "正在取消", 5)
        page = await read(phone, here(bill))
        assert ("取消了，没有扣" in page, "正在退回" in page) == (True, True)
        await swept(house)
        await soon(heard, "这次没有用成医保", 5)
    assert f"医保付过的 ¥{yuan(gone)} 已退回医保" in await read(phone, here(bill))
    assert sorted(p.state for p in await of_visit(house, bill)) == ["refunded", "revoked"]
    assert held(house) == 0
    assert await house.states(bill.visit) == {"billable"}


async def test_a_line_taken_back_after_all_was_paid(house: House) -> None:
    """The insurance's settlement goes back whole: the page says so; then it may be used once more."""
    bill = await house.bill("CONS2", "URINE")
    phone, page = await to_agreement(house, bill)
    assert await password(house, await agree(phone, bill, page)) == "ok"
    await swept(house, 1)
    await house.settle()
    assert "都付好了" in await read(phone, here(bill))
    async with house.db.begin() as tx:
        charge = (await lines_of(tx, bill.visit))[0]
    data = {"charge_no": charge.number, "reason": "退药", "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, data)

    async def said() -> bool:
        return "退了一项，医保整笔退回再算" in await read(phone, here(bill))

    await until(said)
    await swept(house)
    page = await read(phone, here(bill))
    assert "退了一项，医保整笔退回再算" in page
    assert "再用一次医保" in page
    assert "都付好了" not in page
    assert held(house) == 0


async def test_the_phone_says_paid_and_nobody_else(house: House) -> None:
    """还不知道…请别再付 while WeChat knows of nothing; a sheet she left can be opened again, inside WeChat."""
    bill = await house.bill()
    phone, page = await to_agreement(house, bill)
    await agree(phone, bill, page)
    waits = await read(phone, f"{here(bill)}?p=1&r=ok")
    assert "还不知道医保付没付" in waits
    assert "请别再付" in waits
    assert "data-invoke" not in waits
    again = await read(phone, f"{here(bill)}?p=1&r=cancel")
    assert "data-invoke" in again
    assert "data-auto" not in again
    outside = await read(house.phone(house.mother, SAFARI), here(bill))
    assert "请在微信里打开这一页，再输密码" in outside
    assert "data-invoke" not in outside
    assert (await of_visit(house, bill))[0].state == "paying"


async def test_nothing_remains_in_cash(house: House) -> None:
    """The insurance pays all of it: no payment, and yet a receipt; for her and on paper, and for nobody else."""
    bill = await house.bill("URINE")
    for who in house.town.insurance.books.people.values():
        who.account = 50_000
    phone, page = await to_agreement(house, bill, "yes")
    assert "同意，用医保付" in page
    assert await password(house, await agree(phone, bill, page)) == "ok"
    await swept(house)
    await house.settle()
    answer = await phone.get(here(bill), headers={**PAGE, "HX-Request": "true"})
    there = answer.headers["HX-Redirect"]
    assert there.startswith(f"/visits/{bill.visit}/receipts/")
    [part] = await of_visit(house, bill)
    receipt = await read(phone, there)
    assert f"医保付好了，¥{yuan(part.total_fen)}" in receipt
    assert part.cash_fen == 0
    assert (await phone.get(f"{there}/paper.pdf")).content.startswith(b"%PDF-")
    assert (await house.phone(house.daughter).get(there, headers=PAGE)).status_code == 404
    assert house.taken == 0
    await whole(house, bill)


async def test_where_a_mini_program_jumps(house: House) -> None:
    """For programs: the insurance's mini-program and its path; the page itself says so where there is no other way."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    made = await mother.post(f"/api/visits/{bill.visit}/insurance", json={})
    [part] = made.json()["settlements"]
    jump = (await mother.get(f"/api/insurance/{part}/consent")).json()
    assert jump["app_id"] == "wxe183cd55df4b4369"
    assert jump["path"].startswith("auth/pages/bindcard/auth/index?openType=getAuthCode&bizType=04107")
    assert f"orgCodg={house.world.settings.insurance_org_code}" in jump["path"]
    object.__setattr__(house.world, "settings", house.world.settings.model_copy(update={"insurance_consent_url": ""}))
    assert "请在医院的小程序里授权" in await read(mother, here(bill))
    assert (await mother.get(f"/insurance/{part}/consent", headers=PAGE)).headers["location"] == here(bill)


async def test_a_relatives_consent_by_the_family_account(house: House) -> None:
    """The daughter's card is bound for her mother's: the consent page knows whom the insurance knows."""
    url = httpx.URL(
        f"{house.town.ports.url('insurance')}/consent",
        params={"org": house.world.settings.insurance_org_code, "state": "s", "back": f"{house.url}/x"},
    )
    books = house.town.insurance.books
    hers = next(p for p in books.people.values() if p.openid == DAUGHTER)
    mother = next(p for p in books.people.values() if p.openid == MOTHER)
    assert hers.id_number in mother.family
    back = await answered(house, url, "yes", DAUGHTER, patient=mother.id_number)
    code = httpx.URL(back).params["authCode"]
    assert books.codes[code][0].patient == mother.id_number
    stranger = next(p for p in books.people.values() if hers.id_number not in p.family and p is not hers)
    async with httpx.AsyncClient(trust_env=False) as browser:
        there = url.copy_add_param("person", DAUGHTER)
        refused = await browser.post(there, data={"answer": "yes", "patient": stranger.id_number})
        assert refused.status_code == 403
        assert (await browser.get(url.copy_set_param("org", "H0"))).status_code == 400
        assert (await browser.get(url.copy_set_param("back", "javascript:x"))).status_code == 400
    assert len(books.codes) == 1


def test_what_the_insurance_never_pays_is_not_said_to_be_paid_by_it() -> None:
    """More than estimated is spread over the lines it bears; one it bears nothing of only gets what is left over."""
    free, borne = Parts(0, 0, 0, 50), Parts(30, 0, 0, 20)
    assert spread(Parts(30, 15, 0, 55), [free, borne]) == [free, Parts(30, 15, 0, 5)]
    assert spread(Parts(30, 25, 0, 45), [free, borne]) == [Parts(0, 5, 0, 45), Parts(30, 20, 0, 0)]


def test_amounts_are_read() -> None:
    """The reader of these tests reads a split."""
    row = '<p class="sum-row"><span>x</span><span class="num">-¥1,2.34</span></p>'
    assert numbers(html.unescape(row)) == [-1234]
