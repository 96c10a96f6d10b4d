"""Paying on the pages, without JavaScript where WeChat allows it: sheet, waiting, receipt; and at the counter."""

import html
import json
import re
from uuid import UUID

import httpx

from kernel.ids import new_id
from kernel.money import yuan
from payments import flows
from payments.models import Attempt
from people.service import patients, sessions
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, Bill, House

SAFARI = "Mozilla/5.0 (iPhone) Version/18.0 Safari/605"


async def read(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    """A page's text."""
    answer = await client.get(path, headers=PAGE)
    assert answer.status_code == status, (path, answer.status_code, answer.text[:400])
    return html.unescape(answer.text)


async def press(client: httpx.AsyncClient, bill: Bill, key: str | None = None) -> str:
    """The green button; the address it leads to."""
    form = {"_idem": key or str(new_id()), "amount_fen": str(bill.owed), "way": "wechat"}
    answer = await client.post(f"/visits/{bill.visit}/pay", data=form, headers=PAGE)
    assert answer.status_code == 303, answer.text[:600]
    return str(answer.headers["location"])


def attempt_of(path: str) -> UUID:
    """The id in an address."""
    return UUID(path.split("/")[2])


async def test_the_daughter_pays_inside_wechat(house: House) -> None:
    """Amount and hospital on the sheet, no item; the bridge, 结算中, settled; a receipt for both, deep only for one."""
    bill = await house.bill()
    daughter, mother = house.phone(house.daughter), house.phone(house.mother)
    names = [c["name"] for c in house.town.his.books.encounters[bill.encounter].charges.values()]
    hospital = house.town.his.catalogue.name
    sheet = await read(daughter, f"/visits/{bill.visit}/pay")
    assert yuan(bill.owed) in sheet
    assert hospital in sheet
    assert not any(name in sheet for name in names)
    assert "朱桂芳" not in sheet
    there = await press(daughter, bill)
    page = await read(daughter, there)
    found = re.search(r"data-invoke='([^']+)'", page)
    assert found
    params = json.loads(found[1])
    answer = await house.control("/control/pay", {"openid": DAUGHTER, "params": params})
    assert answer["err_msg"].endswith(":ok")
    await house.until_state(attempt_of(there), "paid")
    assert "医院正在入账" in await read(daughter, f"{there}?r=ok")
    assert "您女儿已经付好了" in await read(mother, f"/visits/{bill.visit}/pay", 409)
    await house.settle()
    answer = await daughter.get(f"{there}?r=ok", headers={**PAGE, "HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == f"{there}/receipt"
    assert (await daughter.get(there, headers=PAGE)).headers["location"] == f"{there}/receipt"
    hers, own = await read(daughter, f"{there}/receipt"), await read(mother, f"{there}/receipt")
    assert f"付好了，¥{yuan(bill.owed)}" in hers
    assert [name for name in names if name in hers] == []
    assert all(name in own for name in names)
    assert "您女儿" in own
    for phone in (daughter, mother):
        pdf = await phone.get(f"{there}/receipt.pdf")
        assert pdf.headers["content-type"] == "application/pdf"
        assert pdf.content.startswith(b"%PDF-")
    rolls = [(await mother.get(f"{there}/receipt.pdf?paper={paper}")).content for paper in ("58", "80")]
    assert len({pdf.content, *rolls}) == 3, "each paper has its own shape"
    assert (await mother.get(f"{there}/receipt.pdf?paper=a0")).status_code == 422
    assert (await house.phone(house.son).get(f"{there}/receipt", headers=PAGE)).status_code == 404
    assert (await mother.get(there, headers=PAGE)).status_code == 404


async def test_in_another_browser(house: House) -> None:
    """Outside WeChat: the cashier page by a plain link that leads back, and the answer is asked for there."""
    await house.behave({"on": "notify", "do": "drop", "times": None})
    bill = await house.bill()
    daughter = house.phone(house.daughter, SAFARI)
    there = await press(daughter, bill)
    found = re.search(r'href="([^"]+checkmweb[^"]+)" referrerpolicy="origin"', await read(daughter, there))
    assert found
    link = httpx.URL(found[1])
    back = link.params["redirect_url"]
    assert back == f"{house.url}{there}?r=ok"
    async with httpx.AsyncClient(trust_env=False, headers={"Referer": house.url}) as browser:
        assert (await browser.get(link)).status_code == 200
        assert (await browser.post(link, data={"openid": DAUGHTER})).status_code == 200
    assert "医院正在入账" in await read(daughter, back.removeprefix(house.url))
    assert (await house.attempt(attempt_of(there))).state == "paid"
    await house.balanced()


async def test_the_cashier_link_is_renewed(house: House) -> None:
    """The link lives five minutes, the attempt fifteen: a page opened later gets a fresh one of the same order."""
    bill = await house.bill()
    daughter = house.phone(house.daughter, SAFARI)
    there = await press(daughter, bill)
    first = re.search(r"package=([\w-]+)", await read(daughter, there))
    house.clock.move(minutes=5, seconds=1)
    second = re.search(r"package=([\w-]+)", await read(daughter, there))
    assert first
    assert second
    assert first[1] != second[1]
    assert len(house.town.pay.books.orders) == 1


async def test_the_other_is_told_and_can_pay_after_a_no(house: House) -> None:
    """While the daughter's sheet is open the mother reads who is paying; after 这次不付了 she can pay herself."""
    bill = await house.bill()
    daughter, mother = house.phone(house.daughter), house.phone(house.mother)
    there = await press(daughter, bill)
    for told in (
        await read(mother, f"/visits/{bill.visit}/pay", 409),
        (await mother.post(f"/visits/{bill.visit}/pay", data=form(bill), headers=PAGE)).text,
    ):
        assert "您女儿正在付这一笔，您这边没有扣款" in html.unescape(told)
    assert (await mother.post(f"{there}/cancel", headers=PAGE)).status_code == 404
    assert (await house.attempt(attempt_of(there))).state == "offered"
    assert (await daughter.post(f"{there}/cancel", headers=PAGE)).status_code == 303
    assert "这次没有付成" in await read(daughter, there)
    again = await press(mother, bill)
    assert (await house.attempt(attempt_of(again))).state == "offered"
    assert house.payments == 0


def form(bill: Bill) -> dict[str, str]:
    """What the sheet posts."""
    return {"_idem": str(new_id()), "amount_fen": str(bill.owed), "way": "wechat"}


async def test_says_paid_but_wechat_does_not(house: House) -> None:
    """The phone came back saying ok, WeChat knows of nothing: 还不知道, 请别再付, and the next answer decides."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    there = await press(mother, bill)
    assert "还不知道有没有付成" in await read(mother, f"{there}?r=ok")
    assert (await house.attempt(attempt_of(there))).state == "offered"
    assert "等您付款" in await read(mother, f"{there}?r=cancel")


async def test_a_payment_that_came_late(house: House) -> None:
    """Closed, yet paid: the payer's page says the money is on its way back."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    there = await press(mother, bill)
    await flows.close(house.db, house.pay, attempt_of(there))
    order = next(iter(house.town.pay.books.orders.values()))
    order.state = "NOTPAY"
    house.town.pay.take(order, MOTHER)
    await house.until_state(attempt_of(there), "refunding")
    assert "正在退回您原来的账户" in await read(mother, there)


async def test_the_counter(house: House) -> None:
    """The counter makes a code, the patient scans it with her own WeChat; a stranger's desk sees nothing."""
    bill = await house.bill()
    counter = house.phone(house.counter)
    assert yuan(bill.owed) in await read(counter, f"/desk/pay/{bill.visit}")
    answer = await counter.post(f"/desk/pay/{bill.visit}", data=form(bill), headers=PAGE)
    assert answer.status_code == 303
    found = re.search(r'src="([^"]+qr\.png)"', await read(counter, f"/desk/pay/{bill.visit}"))
    assert found
    picture = await counter.get(found[1])
    assert picture.content.startswith(b"\x89PNG")
    assert (await house.phone(house.mother).get(found[1])).status_code == 403
    [attempt] = await house.attempts(bill.visit)
    async with house.db.begin() as tx:
        from payments.service.attempts import prepared_of

        ready = prepared_of(tx, attempt)
    assert ready is not None
    scanned = await house.control("/control/scan", {"code_url": ready.code_url, "openid": MOTHER})
    assert scanned["code"] == "OK"
    await house.until_state(attempt.id, "paid")
    await house.settle()
    assert "付好了" in await read(counter, f"/desk/pay/{bill.visit}")
    await house.balanced()


async def test_for_programs(house: House) -> None:
    """The same by JSON: a key is needed, the same key answers the same, a stranger finds nothing."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    path, body = f"/api/visits/{bill.visit}/payments", {"amount_fen": bill.owed}
    assert (await mother.post(path, json=body)).status_code == 422
    key = {"Idempotency-Key": str(new_id())}
    first, again = [await mother.post(path, json=body, headers=key) for _ in range(2)]
    assert first.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["client_params"]["signType"] == "RSA"
    payment = f"/api/payments/{first.json()['id']}"
    assert (await house.phone(house.son).get(payment)).status_code == 404
    assert (await mother.get(payment)).json()["state"] == "offered"
    busy = await house.phone(house.daughter).post(path, json=body, headers={"Idempotency-Key": str(new_id())})
    assert (busy.status_code, busy.json()["code"]) == (409, "attempt_in_progress")
    assert (await mother.post(f"{payment}/cancel")).json()["state"] == "closed"
    assert await house.count(Attempt) == 1


async def test_in_the_mini_program(house: House) -> None:
    """Programs say where they run: WeChat knows the payer by another app there, and its order is that app's."""
    bill = await house.bill()
    daughter, mini = house.phone(house.daughter), house.town.keys.wechat.mini_appid
    body = {"amount_fen": bill.owed, "channel": "MINIPROG"}
    key = {"Idempotency-Key": str(new_id())}
    unknown = await daughter.post(f"/api/visits/{bill.visit}/payments", json=body, headers=key)
    assert (unknown.status_code, unknown.json()["code"]) == (409, "pay_needs_wechat_login")
    async with house.db.begin() as tx:
        person = await patients.by_id(tx, house.daughter.id)
        await sessions.link_wechat(tx, person, f"m{DAUGHTER}", mini)
    made = await daughter.post(f"/api/visits/{bill.visit}/payments", json=body, headers=key)
    params = made.json()["client_params"]
    assert params["appId"] == mini
    answer = await house.control("/control/pay", {"openid": f"m{DAUGHTER}", "params": params})
    assert answer["err_msg"].endswith(":ok")
    await house.until_state(UUID(made.json()["id"]), "paid")
    await house.settle()
    assert await house.states(bill.visit) == {"settled"}
